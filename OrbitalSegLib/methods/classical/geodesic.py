"""Geodesic active contour: a contour that grows and comes to rest on edges [3532-1 6.3, 3532-2 B]."""

from dataclasses import dataclass

import SimpleITK as sitk

from OrbitalSegLib.methods.classical.contours import (
    distance_to,
    growing_parameter,
    moved,
    rounds_parameter,
    smoothing_parameter,
)
from OrbitalSegLib.methods.classical.edges import windowed
from OrbitalSegLib.methods.classical.histogram import SOFT_HU
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU


@dataclass(frozen=True)
class GeodesicParameters:
    """A growing, a smoothing and an image force; the latter holds where the slope of the values passes `edge_hu`."""

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    edge_hu: float = parameter(250.0, "Half an edge at", "HU/mm", 1, 3000)
    smoothing_mm: float = parameter(0.3, "Smoothed by", "mm", 0.1, 3)
    growing: float = growing_parameter()
    smoothing: float = smoothing_parameter()
    # Ours: drawn harder to edges it leaves thin walls, whose two edges are one.
    image: float = parameter(0.3, "Image force", "weight", 0, 20)
    rounds: int = rounds_parameter()


def run(task: Task, parameters: GeodesicParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct = task.part
    begun = distance_to(seeds_of(task, parameters.seeds, parameters.certain_hu, SOFT_HU))
    progress(0.2)
    slope = sitk.GradientMagnitudeRecursiveGaussian(windowed(ct), parameters.smoothing_mm)
    free = sitk.Sigmoid(slope, -parameters.edge_hu / 4, parameters.edge_hu, 1.0, 0.0)
    mover = sitk.GeodesicActiveContourLevelSetImageFilter()
    mover.SetAdvectionScaling(parameters.image)
    found = moved(mover, begun, sitk.Cast(free, sitk.sitkFloat32), parameters, ct)
    progress(1.0)
    return found


GEODESIC = Method(
    "geodesic",
    "Geodesic active contour",
    "ISO/IEC 3532-1 6.3, 3532-2 annex B",
    GeodesicParameters,
    run,
    family="Deformable Models",
    begins="seed",
    seconds=10.0,
)
