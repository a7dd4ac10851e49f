"""What a surface is made of: which voxels are bone, and how much of each voxel is."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.images import on_grid, volume_ml
from OrbitalSegLib.methods.fraction import SOFT_HU, fraction_of_ct
from OrbitalSegLib.progress import Warn, unheard
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import INFERRED

CRUMB_ML = 0.004
"""As much as the smallest piece of inferred wall."""

AIR_HU = -1024.0
"""Of what lies beyond the CT."""

FAR_MM = 10_000.0
"""Beyond every scan."""


@dataclass(frozen=True)
class BoneField:
    """What is meshed. Both images lie on one grid."""

    mask: sitk.Image
    """Which voxels are bone: what is joined in it is joined in the surface, and what is apart stays apart."""
    fraction: sitk.Image | None = None
    """How much of each voxel is bone: 32-bit float, 0 to 1, one half where half of it is. None: all or nothing."""
    source: str = "mask"
    """Where the fraction comes from, for the record: `probability`, `CT`, `CT and mask`, `fraction` or `mask`."""
    inferred: sitk.Image | None = None
    """Of the mask what is no bone that the scan shows, where some of it is not: the surface is marked there."""
    inferred_as: str = INFERRED
    """The structure that this is."""
    edited: bool = False
    """Whether a person may have changed the mask: then what is open in it is meant to be."""


def agreeing(fraction: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """A fraction that contradicts the mask in no voxel: what was repaired, painted, erased or cut off wins.

    A voxel of the mask that is less than half bone becomes all bone, another that is half bone or more becomes none.

    Parameters
    ----------
    fraction
        From 0 to 1, how much of each voxel is bone.
    mask
        On the same grid.

    Returns
    -------
    fraction
        At least one half where the mask is set, and less elsewhere.
    """
    bone = _array(mask) != 0
    values = _array(fraction)
    values[bone & (values < 0.5)] = 1
    values[~bone & (values >= 0.5)] = 0
    return on_grid(values, fraction)


def with_inferred(bone: BoneField, inferred: BoneField, as_: str = INFERRED) -> BoneField:
    """Bone and inferred wall, or another structure of its kind, as one. The fraction is the higher of theirs, where
    both have one.

    Crumbs of nothing that wall and bone enclose, up to `CRUMB_ML`, count as wall: else each were a shell of its own.

    Parameters
    ----------
    bone
        What is seen.
    inferred
        On the same grid.
    as_
        The name of the structure that is joined to it.

    Returns
    -------
    field
        One surface is made of it, which knows where it is inferred.
    """
    wall = sitk.Or(inferred.mask, _enclosed_crumbs(sitk.Or(bone.mask, inferred.mask), bone.mask))
    mask = sitk.Or(bone.mask, wall)
    if bone.fraction is None or inferred.fraction is None:
        return replace(bone, mask=mask, fraction=None, inferred=wall, inferred_as=as_)
    fraction = agreeing(sitk.Maximum(bone.fraction, inferred.fraction), mask)
    return replace(bone, mask=mask, fraction=fraction, inferred=wall, inferred_as=as_)


def _enclosed_crumbs(mask: sitk.Image, bone: sitk.Image) -> sitk.Image:
    """What a mask encloses and its bone alone does not, in pieces (joined by faces) of `CRUMB_ML` at most."""
    inside = sitk.And(sitk.BinaryFillhole(mask), 1 - sitk.Or(mask, sitk.BinaryFillhole(bone)))
    labels = _array(sitk.ConnectedComponent(inside))
    voxels = np.bincount(labels.ravel())
    crumb = voxels * np.prod(mask.GetSpacing()) <= 1000 * CRUMB_ML
    crumb[0] = False
    return on_grid(crumb[labels].astype(np.uint8), mask)


def part_of(bone: BoneField, region: Region) -> BoneField:
    """What of a field lies in a region.

    Parameters
    ----------
    bone
        On any grid.
    region
        A box in LPS mm, or the whole scan.

    Returns
    -------
    field
        On the same grid; outside the region it holds nothing.

    Raises
    ------
    InputError
        `region-outside`: they have no voxel in common.
    """
    inside = region.within(bone.mask)
    mask = sitk.Multiply(bone.mask, inside)
    fraction = None if bone.fraction is None else agreeing(bone.fraction, mask)
    inferred = None if bone.inferred is None else sitk.Multiply(bone.inferred, inside)
    return replace(bone, mask=mask, fraction=fraction, inferred=inferred)


def halves_of(bone: BoneField, middle_mm: float | None = None) -> dict[str, BoneField]:
    """The patient's `left` and `right` half of a bone, as far as they hold something.

    It is cut at `middle_mm`, x between the orbits, or else in the middle of the bone.

    Parameters
    ----------
    bone
        On a grid in patient space.
    middle_mm
        x between the orbits (LPS), or None.

    Returns
    -------
    halves
        By `left` and `right`; one that is empty is left out.
    """
    if middle_mm is None:
        x = np.flatnonzero(_array(bone.mask).any(axis=(0, 1)))
        middle_mm = bone.mask.TransformContinuousIndexToPhysicalPoint([(x[0] + x[-1]) / 2, 0.0, 0.0])[0]
    halves = {"left": (middle_mm, FAR_MM), "right": (-FAR_MM, middle_mm)}
    found = {}
    for side, (low, high) in halves.items():
        try:
            half = part_of(bone, Region((low, high, -FAR_MM, FAR_MM, -FAR_MM, FAR_MM)))
        except InputError:  # the region holds nothing of this side
            continue
        if volume_ml(half.mask) > 0:
            found[side] = half
    return found


def fields_of(
    masks: dict[str, sitk.Image],
    names: Iterable[str],
    field_of: Callable[[str], BoneField] | None = None,
    warn: Warn = unheard,
) -> dict[str, BoneField]:
    """What the surfaces of these structures are made of, of those that hold something; without `field_of` their masks.
    `bone+inferred` is bone with inferred wall.

    `warn` hears of those that are empty.

    Parameters
    ----------
    masks
        By structure, on one grid.
    names
        Of structures, or `bone+inferred`.
    field_of
        Gives what is known of a structure besides its mask.
    warn
        Hears of those that are empty.

    Returns
    -------
    fields
        By name, in the order of `names`.
    """
    fields = {}
    for name in names:
        own = [part for part in name.split("+") if volume_ml(masks[part]) > 0]
        if not own:
            warn("empty-surface", f"There is no {name} bone within these limits, so no surface of it.")
            continue
        parts = [field_of(part) if field_of else BoneField(masks[part]) for part in own]
        fields[name] = reduce(with_inferred, parts)
    return fields


def with_halves(fields: dict[str, BoneField], middle_mm: float | None = None) -> dict[str, BoneField]:
    """Each field, and after it its halves as `NAME-left` and `NAME-right` (see `halves_of`).

    Parameters
    ----------
    fields
        By name.
    middle_mm
        x between the orbits (LPS), or None: the middle of each.

    Returns
    -------
    fields
        By name; what was given comes first each time.
    """
    found = {}
    for name, field in fields.items():
        found[name] = field
        found |= {f"{name}-{side}": half for side, half in halves_of(field, middle_mm).items()}
    return found


def field_of_edited(mask: sitk.Image, ct: sitk.Image | None) -> BoneField:
    """A mask that a person may have edited, with the CT it was made from, on any grid that covers it.

    The limit of bone is not known any more, so it is taken from the CT where the mask ends: the median, over all
    neighbours of which one is bone, of the mean of both. Where the CT agrees with the mask, it tells where in the voxel
    the bone ends; where it does not, somebody knew better, and the mask counts alone.

    Parameters
    ----------
    mask
        As a person left it.
    ct
        In HU; None: the mask alone tells.

    Returns
    -------
    field
        On the mask's grid.
    """
    if ct is None:
        return BoneField(mask)
    # With a voxel around: a file may end where bone does, and the limit is not to depend on where it ends.
    around = sitk.ConstantPad(mask, [1] * 3, [1] * 3)
    hu = _array(sitk.Resample(ct, around, sitk.Transform(), sitk.sitkLinear, math.nan, sitk.sitkFloat32))
    limit_hu = _edge_hu(hu, _array(around) != 0)
    here, bone = on_grid(np.nan_to_num(hu[1:-1, 1:-1, 1:-1], nan=AIR_HU), mask), _array(mask) != 0
    by_ct = _array(fraction_of_ct(here, limit_hu))
    agrees = (by_ct >= 0.5) == bone
    return BoneField(mask, on_grid(np.where(agrees, by_ct, bone).astype(np.float32), mask), "CT and mask", edited=True)


def field_of_painted(wall: sitk.Image, bone: BoneField) -> BoneField:
    """Inferred wall that a person may have edited, beside such bone: no CT shows it, so that the mask counts alone.

    What is bone is no wall.

    Parameters
    ----------
    wall
        As a person left it.
    bone
        On the same grid; what it holds is no wall.

    Returns
    -------
    field
        On that grid.
    """
    wall = sitk.And(wall, 1 - bone.mask)
    return BoneField(wall, sitk.Cast(wall, sitk.sitkFloat32) if bone.fraction is not None else None, edited=True)


def _edge_hu(hu: NDArray[np.float32], bone: NDArray[np.bool_]) -> float:
    """The limit of bone by what both sides of its edges have; beyond the CT, where `hu` is not a number, are none.

    In whole HU, so that an edit of a few voxels changes the surface there and nowhere else.
    """
    means = []
    for axis in range(3):
        a, b = (np.moveaxis(bone, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        high, low = (np.moveaxis(hu, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        means.append((high[a != b] + low[a != b]) / 2)
    edges = np.concatenate(means)
    edges = edges[np.isfinite(edges)]
    return round(float(np.median(edges))) if edges.size else SOFT_HU


def _array(image: sitk.Image) -> NDArray:
    return sitk.GetArrayFromImage(image)
