"""Slits that the grid cuts into a wall, joined: there the bone is shared by two voxels, and neither has half.

A wall that leans passes from one layer of voxels to the next. Where it is thinner than a voxel, or blurred, both layers
may hold less than half of bone there while together they hold as much as the wall beside: the mask has a slit, a voxel
or two wide, where the scan shows none.
"""

from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.gaps import EVIDENCE, flags_at, listed, padded, stands_out, strides_of
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers, chunks

WHOLE = 0.5
"""So much of a voxel, summed across the wall, is bone: as for one voxel alone."""

WIDEST, WIDEST_MM = 3, 1.6
"""Voxels, and mm: a wider gap has to be seen by a person, and is proposed (`gaps`). Three voxels of 0.5 mm."""


def joined(bone: BoneField) -> tuple[BoneField, list[dict[str, Any]]]:
    """The field with its slits joined, and what was joined, largest first: area, middle in LPS mm, mean fraction.

    A voxel is joined that is not bone, if it and its neighbour across the wall, no bone either, hold half of a voxel of
    bone together; if they stand out from both sides; and if there is bone beside it in the wall on two opposite sides,
    with at most `WIDEST` voxels and `WIDEST_MM` between, a step of the wall by one voxel allowed. Where a person may
    have edited the mask, nothing is joined.
    """
    if bone.fraction is None or bone.edited:
        return bone, []
    mask, fraction = padded(bone, WIDEST)
    found = _attached(_slits(mask, fraction, bone.mask.GetSpacing()[::-1]), mask)
    if found.size == 0:
        return bone, []
    new = flags_at(found, mask.shape, WIDEST, bone.mask)
    whole = sitk.Or(sitk.Cast(bone.mask != 0, sitk.sitkUInt8), new)
    return BoneField(whole, bone.fraction, bone.source), listed(new, bone.fraction, 1)


def _slits(mask: Flags, fraction: Floats, spacing_mm: tuple[float, ...]) -> Integers:
    """The numbers of the voxels that belong to slits, in padded arrays (z, y, x)."""
    strides, flat, bone = strides_of(fraction), fraction.ravel(), mask.ravel()
    candidates = np.flatnonzero(~bone & (flat >= EVIDENCE))
    found = [candidates[:0]]
    for some, across in product(chunks(candidates), range(3)):
        one = strides[across]
        some = some[_shared(flat, bone, some, one) & stands_out(flat, some, one)]
        (a, a_mm), (b, b_mm) = (
            pair for axis, pair in enumerate(zip(strides, spacing_mm, strict=True)) if axis != across
        )
        slanting_mm = float(np.hypot(a_mm, b_mm))
        between = np.zeros(len(some), bool)
        for along, step_mm in ((a, a_mm), (b, b_mm), (a + b, slanting_mm), (a - b, slanting_mm)):
            widest = min(WIDEST, int(WIDEST_MM / step_mm))
            ahead, behind = (
                [_bone_at(bone, some + way * (n + 1) * along, one) for n in range(widest)] for way in (1, -1)
            )
            for n in range(widest):
                for m in range(widest - n):
                    between |= ahead[n] & behind[m]
        found.append(some[between])
    return np.unique(np.concatenate(found))


def _shared(flat: Floats, bone: Flags, places: Integers, one: int) -> Flags:
    """Whether a voxel and the next across the wall, neither in the mask, hold half a voxel together."""
    beside = [np.where(bone.take(places + way), 0, flat.take(places + way)) for way in (-one, one)]
    return np.asarray(flat.take(places) + np.maximum(*beside) >= WHOLE)


def _bone_at(bone: Flags, places: Integers, one: int) -> Flags:
    """Whether there is bone at places, or one voxel before or after them across the wall."""
    return bone.take(places) | bone.take(places - one) | bone.take(places + one)


def _attached(places: Integers, mask: Flags) -> Integers:
    """Those of the places that are joined to the mask by faces or edges, through others or not."""
    whole = mask.copy()
    flat, strides = whole.ravel(), strides_of(whole)
    steps = [
        z * strides[0] + y * strides[1] + x * strides[2]
        for z in (-1, 0, 1)
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
        if abs(z) + abs(y) + abs(x) in (1, 2)
    ]
    left = places
    while left.size:
        touches = np.logical_or.reduce([flat.take(left + step) for step in steps])
        if not touches.any():
            break
        flat[left[touches]] = True
        left = left[~touches]
    return np.setdiff1d(places, left, assume_unique=True)
