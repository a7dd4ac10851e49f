"""The classical methods that the standard names: what they know of bone stands in their parameters."""

from OrbitalSegLib.methods.classical import (
    confidence,
    connected,
    fuzzycmeans,
    hysteresis,
    kmeans,
    neighbourhood,
    otsu,
    threshold,
)
from OrbitalSegLib.methods.method import Method

CLASSICAL: tuple[Method, ...] = (
    threshold.THRESHOLD,
    hysteresis.HYSTERESIS,
    connected.CONNECTED,
    confidence.CONFIDENCE,
    neighbourhood.NEIGHBOURHOOD,
    otsu.OTSU,
    kmeans.KMEANS,
    fuzzycmeans.FUZZYCMEANS,
)
"""In the order in which they are listed: by limits, by growing, by the values' own classes."""
