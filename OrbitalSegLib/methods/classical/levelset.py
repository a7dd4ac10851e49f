"""Threshold level set: a contour that grows where values are bone's, and bends little [3532-1 6.3]."""

from dataclasses import dataclass

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.classical.contours import (
    distance_to,
    growing_parameter,
    moved,
    rounds_parameter,
    smoothing_parameter,
)
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

REACH_HU = 300.0
"""Farther from the limit than this the force grows no more."""


@dataclass(frozen=True)
class LevelSetParameters:
    """The contour begins at places, or around `certain_hu`, and is driven to `lower_hu`."""

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    lower_hu: float = parameter(200.0, "Grown down to", "HU", AIR_HU, HIGHEST_HU)  # cortical bone ends [3532-2 D.3]
    growing: float = growing_parameter()
    smoothing: float = smoothing_parameter()
    rounds: int = rounds_parameter()

    def __post_init__(self) -> None:
        if self.lower_hu > self.certain_hu:
            raise JobError("invalid-job", "The limit where growing begins must not be below the lower limit.")


def run(task: Task, parameters: LevelSetParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct, lower_hu = task.part, parameters.lower_hu
    begun = distance_to(seeds_of(task, parameters.seeds, parameters.certain_hu, lower_hu))
    progress(0.2)
    hu = sitk.Clamp(sitk.Cast(ct, sitk.sitkFloat32), lowerBound=lower_hu - REACH_HU, upperBound=lower_hu + REACH_HU)
    mover = sitk.ThresholdSegmentationLevelSetImageFilter()
    mover.SetLowerThreshold(lower_hu)
    mover.SetUpperThreshold(lower_hu + 2 * REACH_HU)  # above all that there is: bone may be as dense as it likes
    found = moved(mover, begun, hu, parameters, ct)
    progress(1.0)
    return found


LEVELSET = Method(
    "levelset",
    "Threshold level set",
    "ISO/IEC 3532-1 6.3",
    LevelSetParameters,
    run,
    family="Deformable Models",
    begins="seed",
    seconds=8.0,
)
