"""Watershed from markers: bone and the rest are flooded, and meet where the scan changes fastest [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.classical.histogram import SOFT_HU
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

OTHER, BONE_MARK = 1, 2


@dataclass(frozen=True)
class WatershedParameters:
    """Marked are what is certainly bone (or places in it) and what is certainly none, up to `none_hu`."""

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    none_hu: float = parameter(SOFT_HU, "Certainly no bone up to", "HU", AIR_HU, HIGHEST_HU)
    smoothing_mm: float = parameter(0.3, "Smoothed by", "mm", 0.1, 3)

    def __post_init__(self) -> None:
        if self.none_hu >= self.certain_hu:
            raise JobError("invalid-job", "What is certainly no bone must lie below what certainly is.")


def run(task: Task, parameters: WatershedParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct = task.part
    seeds = seeds_of(task, parameters.seeds, parameters.certain_hu, parameters.none_hu) & (ct > parameters.none_hu)
    slope = sitk.GradientMagnitudeRecursiveGaussian(ct, parameters.smoothing_mm)
    progress(0.2)
    markers = sitk.Cast(ct <= parameters.none_hu, sitk.sitkUInt8) * OTHER + seeds * BONE_MARK
    flooded = sitk.MorphologicalWatershedFromMarkers(slope, markers, False, False)
    progress(1.0)
    return ByValue(ct, sitk.Cast(flooded == BONE_MARK, sitk.sitkUInt8), asdict(parameters))


WATERSHED = Method(
    "watershed",
    "Watershed from markers",
    "ISO/IEC 3532-1 6.3",
    WatershedParameters,
    run,
    family="Morphological Operations",
    begins="seed",
    seconds=8.0,
)
