"""What the methods share that find the limit of bone among the values of the scan itself."""

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_array
from OrbitalSegLib.methods.method import ByValue, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

SOFT_HU = 100.0
"""Soft tissue ends here [3532-2 B]: a limit or a class of values that is not above is no bone's."""


def tissue_parameter() -> Any:
    """Of every such method: what is not above is air, or air and fat [3532-2 8.2], and is not counted."""
    return parameter(-200.0, "Counted above", "HU", AIR_HU, HIGHEST_HU)


def metal_parameter() -> Any:
    """Of every such method. Ours: no bone is denser, so what is above is metal, and is not counted."""
    return parameter(2000.0, "Counted up to", "HU", AIR_HU, HIGHEST_HU)


def classes_parameter() -> Any:
    """Into how many classes values are sorted. Ours: fat, soft tissue, thin and cortical bone."""
    return parameter(4, "Classes", "classes", 2, 10, whole=True)


def middle_parameter() -> Any:
    """Which classes are bone: those whose middle is above where cortical bone begins [3532-2 D.3]."""
    return parameter(200.0, "Bone has its middle above", "HU", SOFT_HU, 3071.0)


def check_counted(tissue_hu: float, metal_hu: float) -> None:
    """Raises `JobError` where nothing would be counted."""
    if tissue_hu >= metal_hu:
        raise JobError("invalid-job", "Nothing is counted: the lower of the two limits must be below the upper one.")


def counted(task: Task, tissue_hu: float, metal_hu: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Which values occur above `tissue_hu` and up to `metal_hu` where bone may be, in whole HU, and how often each.

    Raises `InputError` `empty-result` where there are fewer than two.
    """
    hu = sitk.GetArrayFromImage(task.part)
    within = (hu > tissue_hu) & (hu <= metal_hu)
    if task.start is not None:
        within &= mask_array(task.start)
    values, often = np.unique(np.rint(hu[within]), return_counts=True)
    if len(values) < 2:
        raise InputError(
            "empty-result",
            f"There is nothing to tell apart between {tissue_hu:g} and {metal_hu:g} HU in the region: choose another "
            "region, or move these limits.",
        )
    return values.astype(np.float64), often


def start_classes(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Where the middles of so many classes begin: evenly over the values, so that rare bone has one of its own."""
    shares: NDArray[np.float64] = (np.arange(count) + 0.5) / count
    return values[0] + shares * (values[-1] - values[0])


def first_of_bone(middles: NDArray[np.float64], bone_hu: float) -> int:
    """Which of the classes, by their growing middles, is the first of bone. Raises `InputError` `empty-result`."""
    bone = middles > bone_hu
    if not bone.any():
        raise no_bone(float(middles[-1]))
    return int(np.argmax(bone))


def bone_above(task: Task, limit_hu: float, parameters: dict[str, Any], measured: dict[str, Any]) -> ByValue:
    """Bone by the limit that was found, where bone may be."""
    ct = task.part
    return ByValue(
        ct, task.allowed(ct > limit_hu), parameters, limit_hu, measured={"limit_hu": round(limit_hu, 1), **measured}
    )


def no_bone(brightest_hu: float) -> InputError:
    """Raised where the values show no class that can be bone."""
    return InputError(
        "empty-result",
        f"The values in the region show no bone: the brightest class has its middle at {brightest_hu:.0f} HU. Choose a "
        "region with bone, more classes, or a limit of your own with the global threshold.",
    )
