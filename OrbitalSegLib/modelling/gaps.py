"""Gaps in walls that the scan may have made: proposed, never closed (but see `slits`).

A wall that is too thin for its voxels, or was blurred, falls below the limit of bone in places, and the mask has a gap
there; but its bone fraction still stands out from both sides. A foramen, a fissure or a fracture has none.
"""

from itertools import combinations
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers, chunks, spread

EVIDENCE = 0.12
"""A lower bone fraction is noise."""

STANDS_OUT = 1.5
"""A wall's fraction is so many times that beside it, two voxels away on both sides."""

NEAR = 3
"""Voxels: further away from the mask there is no wall to have a gap in."""

LEAST_VOXELS = 2
LISTED = 50


def gaps(bone: BoneField) -> list[dict[str, Any]]:
    """The largest gaps in the mask in which a wall's bone fraction goes on below one half; see `listed`."""
    if bone.fraction is None:
        return []
    mask, fraction = padded(bone, 2)
    flat, strides = fraction.ravel(), strides_of(fraction)
    candidates = np.flatnonzero(~mask & (fraction >= EVIDENCE))
    lines = [*strides, *(a + way * b for a, b in combinations(strides, 2) for way in (1, -1))]
    beside = mask
    for axis in range(3):
        beside = spread(beside, axis, NEAR)
    candidates = candidates[beside.ravel().take(candidates)]
    found = [candidates[:0]]
    for some in chunks(candidates):
        found.append(some[np.logical_or.reduce([stands_out(flat, some, line) for line in lines])])
    return listed(flags_at(np.concatenate(found), mask.shape, 2, bone.mask), bone.fraction, LEAST_VOXELS)[:LISTED]


def padded(bone: BoneField, by: int) -> tuple[Flags, Floats]:
    """Mask and bone fraction (z, y, x) with nothing around, so that neighbours can be told by their numbers."""
    assert bone.fraction is not None
    mask, fraction = (sitk.GetArrayViewFromImage(image) for image in (bone.mask, bone.fraction))
    return np.pad(mask != 0, by), np.pad(fraction, by)


def strides_of(array: Floats | Flags) -> list[int]:
    """How far the numbers of two neighbours along z, y and x are apart."""
    return [step // array.itemsize for step in array.strides]


def flags_at(places: Integers, shape: tuple[int, ...], pad: int, grid: sitk.Image) -> sitk.Image:
    """An image on a grid of the voxels with these numbers in a padded array."""
    flags = np.zeros(shape, np.uint8)
    flags.ravel()[places] = 1
    return on_grid(flags[(slice(pad, -pad),) * 3], grid)


def stands_out(flat: Floats, places: Integers, one: int) -> Flags:
    """Whether the fraction at places, or beside them along a line, stands out from both sides of a wall across it."""
    near = np.maximum.reduce([flat.take(places + way) for way in (-one, 0, one)])
    far = np.maximum(flat.take(places - 2 * one), flat.take(places + 2 * one))
    return np.asarray((flat.take(places) >= near / 2) & (near >= STANDS_OUT * far))


def listed(flags: sitk.Image, fraction: sitk.Image, least_voxels: int) -> list[dict[str, Any]]:
    """The connected pieces of a mask, largest first.

    Each has its area (its voxels' volume, divided by the length of a voxel's side of that volume), its middle in LPS mm
    and its mean bone fraction.
    """
    components = sitk.ConnectedComponent(flags, True)
    labels = sitk.GetArrayViewFromImage(components).ravel()  # no copy: it is as large as the grid
    places = np.flatnonzero(labels)
    label = labels.take(places) - 1
    count = np.bincount(label)
    values = sitk.GetArrayViewFromImage(fraction).ravel().take(places)
    indices = np.unravel_index(places, flags.GetSize()[::-1])[::-1]
    middles = np.stack([np.bincount(label, index) / count for index in indices], axis=1)
    area_mm2 = count * float(np.prod(flags.GetSpacing())) ** (2 / 3)
    mean = np.bincount(label, values) / count
    largest = [i for i in np.argsort(-count, kind="stable") if count[i] >= least_voxels]
    return [
        {
            "area_mm2": round(float(area_mm2[i]), 2),
            "middle_mm": [round(x, 1) for x in flags.TransformContinuousIndexToPhysicalPoint(middles[i].tolist())],
            "mean_fraction": round(float(mean[i]), 3),
        }
        for i in largest
    ]
