"""The classical methods that the standard names: what they know of bone stands in their parameters."""

from OrbitalSegLib.methods.classical import (
    canny,
    confidence,
    connected,
    fuzzycmeans,
    geodesic,
    hysteresis,
    kmeans,
    levelset,
    neighbourhood,
    otsu,
    sobel,
    splitmerge,
    subtraction,
    threshold,
    watershed,
)
from OrbitalSegLib.methods.method import Method

CLASSICAL: tuple[Method, ...] = (
    threshold.THRESHOLD,
    hysteresis.HYSTERESIS,
    connected.CONNECTED,
    confidence.CONFIDENCE,
    neighbourhood.NEIGHBOURHOOD,
    splitmerge.SPLITMERGE,
    canny.CANNY,
    sobel.SOBEL,
    watershed.WATERSHED,
    geodesic.GEODESIC,
    levelset.LEVELSET,
    otsu.OTSU,
    kmeans.KMEANS,
    fuzzycmeans.FUZZYCMEANS,
    subtraction.SUBTRACTION,
)
"""In the order in which they are listed: by limits, by growing, by edges, by contours, by the values' own classes."""
