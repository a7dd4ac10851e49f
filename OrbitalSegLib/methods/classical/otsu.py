"""Otsu's thresholds, one or several: they part the values so that each part is most alike [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.methods.classical.histogram import (
    SOFT_HU,
    bone_above,
    check_counted,
    counted,
    metal_parameter,
    no_bone,
    tissue_parameter,
)
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress

BINS = 256
"""Of the histogram: some 9 HU each."""


@dataclass(frozen=True)
class OtsuParameters:
    """Bone is above the lowest of `levels` thresholds that is above soft tissue."""

    levels: int = parameter(2, "Thresholds", "thresholds", 1, 3, whole=True)
    tissue_hu: float = tissue_parameter()
    metal_hu: float = metal_parameter()

    def __post_init__(self) -> None:
        check_counted(self.tissue_hu, self.metal_hu)


def run(task: Task, parameters: OtsuParameters, progress: Progress) -> ByValue:
    """See `Method`. Air and metal are not counted: one threshold would part air from the head."""
    values, often = counted(task, parameters.tissue_hu, parameters.metal_hu)
    progress(0.5)
    found = sitk.OtsuMultipleThresholdsImageFilter()
    found.SetNumberOfThresholds(parameters.levels)
    found.SetNumberOfHistogramBins(BINS)
    found.Execute(sitk.GetImageFromArray(np.repeat(values.astype(np.float32), often)[None]))
    thresholds = [_between(values, limit) for limit in found.GetThresholds()]
    bone = [limit for limit in thresholds if limit > SOFT_HU]
    if not bone:
        raise no_bone(float(np.average(values[values > thresholds[-1]], weights=often[values > thresholds[-1]])))
    progress(1.0)
    return bone_above(task, bone[0], asdict(parameters), {"thresholds_hu": [round(limit, 1) for limit in thresholds]})


def _between(values: NDArray[np.float64], limit: float) -> float:
    """The middle between the two values that a threshold parts: where none lies between them, any threshold is as good,
    and the lowest, which is found, may lie in soft tissue."""
    above = min(int(np.searchsorted(values, limit, side="right")), len(values) - 1)
    return float(values[max(above - 1, 0)] + values[above]) / 2


OTSU = Method("otsu", "Otsu's thresholds", "ISO/IEC 3532-1 6.3", OtsuParameters, run, begins="region", seconds=1.0)
