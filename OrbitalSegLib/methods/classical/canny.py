"""Edges after Canny, closed and filled: thin lines where the scan changes fastest [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.classical.edges import closing_parameter, filled, mean_parameter, windowed
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress


@dataclass(frozen=True)
class CannyParameters:
    """An edge begins where the slope passes `strong_hu`, and goes on while it is above `weak_hu`."""

    strong_hu: float = parameter(20.0, "Edge begins above", "HU/voxel", 1, 1000)
    weak_hu: float = parameter(10.0, "Edge goes on above", "HU/voxel", 1, 1000)
    smoothing_mm: float = parameter(0.4, "Smoothed by", "mm", 0.1, 3)
    closing_voxels: int = closing_parameter(1)
    mean_hu: float = mean_parameter()

    def __post_init__(self) -> None:
        if self.weak_hu > self.strong_hu:
            raise JobError("invalid-job", "An edge cannot go on above a higher slope than it begins at.")


def run(task: Task, parameters: CannyParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    found = sitk.CannyEdgeDetection(
        windowed(task.part), parameters.weak_hu, parameters.strong_hu, [parameters.smoothing_mm**2] * 3, [0.01] * 3
    )
    progress(0.6)
    edges = sitk.Cast(found > 0, sitk.sitkUInt8)
    result = filled(task, edges, parameters.closing_voxels, parameters.mean_hu, asdict(parameters))
    progress(1.0)
    return result


CANNY = Method(
    "canny",
    "Edges by Canny",
    "ISO/IEC 3532-1 6.3",
    CannyParameters,
    run,
    family="Edge Detection",
    begins="region",
    seconds=5.0,
)
