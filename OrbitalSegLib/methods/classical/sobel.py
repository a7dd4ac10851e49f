"""Edges after Sobel, closed and filled: bands where the scan changes fast [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.methods.classical.edges import closing_parameter, filled, mean_parameter, windowed
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress

OF_A_SLOPE = 44.0
"""What SimpleITK's operator gives for a slope of one a voxel: a test holds it."""


@dataclass(frozen=True)
class SobelParameters:
    """An edge is where the slope passes `edge_hu`."""

    edge_hu: float = parameter(60.0, "Edge above", "HU/voxel", 1, 1000)
    closing_voxels: int = closing_parameter(0)
    mean_hu: float = mean_parameter()


def run(task: Task, parameters: SobelParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    slope = sitk.SobelEdgeDetection(windowed(task.part))
    progress(0.4)
    edges = slope > parameters.edge_hu * OF_A_SLOPE
    result = filled(task, edges, parameters.closing_voxels, parameters.mean_hu, asdict(parameters))
    progress(1.0)
    return result


SOBEL = Method(
    "sobel",
    "Edges by Sobel",
    "ISO/IEC 3532-1 6.3",
    SobelParameters,
    run,
    family="Edge Detection",
    begins="region",
    seconds=3.0,
)
