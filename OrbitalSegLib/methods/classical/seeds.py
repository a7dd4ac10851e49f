"""Where a method that grows begins, and what hangs together with that."""

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_array, mask_on_grid
from OrbitalSegLib.methods.method import Task
from OrbitalSegLib.methods.parameters import Points
from OrbitalSegLib.scan import HIGHEST_HU

CERTAIN_HU = 300.0
"""Above this is certainly cortical bone [3532-2 8.2]."""


def seeds_of(
    task: Task, places: Points, certain_hu: float, lower_hu: float, upper_hu: float = HIGHEST_HU
) -> sitk.Image:
    """The voxels at these places (LPS, mm), a mask on the grid of `task.part`.

    Without places it is what another method found, or else everything above `certain_hu` and not above `upper_hu`.

    Raises
    ------
    InputError
        `bad-seed`: a place lies outside the region, or its voxel is not above `lower_hu` and up to `upper_hu`;
        `empty-result`: there is nothing to begin at.
    JobError
        `invalid-job`: both places and another method are given.
    """
    ct = task.part
    if places and task.start is not None:
        raise JobError("invalid-job", "Say where growing begins, or which method runs first, but not both.")
    if places:
        seeds = np.zeros(ct.GetSize()[::-1], bool)
        for place in places:
            seeds[_voxel_at(ct, place, lower_hu, upper_hu)[::-1]] = True
        return mask_on_grid(seeds, ct)
    found = task.start if task.start is not None else (ct > certain_hu) & (ct <= upper_hu)
    if not mask_array(found).any():
        raise InputError(
            "empty-result",
            f"Nothing in the region is above {certain_hu:g} HU, where growing would begin: widen the region, lower the "
            "limit of what is certainly bone, or say where to begin."
            if task.start is None
            else "The method that runs first found nothing in the region to begin at: choose another, or none.",
        )
    return found


def _voxel_at(ct: sitk.Image, place: tuple[float, float, float], lower_hu: float, upper_hu: float) -> tuple[int, ...]:
    """Index (x, y, z) of the voxel at a place, where that can be grown from. Raises `InputError` `bad-seed`."""
    said = ":".join(f"{number:g}" for number in place)
    index = ct.TransformPhysicalPointToIndex(place)
    if not all(0 <= at < count for at, count in zip(index, ct.GetSize(), strict=True)):
        raise InputError(
            "bad-seed",
            f"The place {said} to begin at lies outside the region: give mm towards left, back and head (x:y:z).",
        )
    hu = ct[index]
    if not lower_hu < hu <= upper_hu:
        where, limit = ("not above", lower_hu) if hu <= lower_hu else ("above", upper_hu)
        raise InputError(
            "bad-seed",
            f"The place {said} to begin at has {hu:.0f} HU, which is {where} the limit of {limit:g} HU: put it into "
            "bone, or move the limit.",
        )
    return tuple(index)


def objects_with(mask: sitk.Image, seeds: sitk.Image, *, across_corners: bool = True) -> sitk.Image:
    """The objects of a mask that hold a seed: connected across corners (26 neighbours), or across faces alone (6)."""
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, across_corners))
    keep = np.zeros(int(labels.max()) + 1, np.uint8)
    keep[np.unique(labels[mask_array(seeds)])] = 1
    keep[0] = 0
    return mask_on_grid(keep[labels], mask)
