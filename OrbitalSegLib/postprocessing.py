"""What is done to a bone mask after a method has made it: holes filled, small objects dropped [3532-2 13], [Ekman].

Every step says what it removed and added, and warns when what it removed is as thin as an orbital wall.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.progress import Progress, silent

Flag = TypeVar("Flag", np.uint8, np.bool_)

AIR_BELOW_HU = -200.0
"""A hole that is darker than this on average holds air, or air and fat [3532-2 8.2]."""

FLAKE_THICKNESS_MM = 1.5
"""A wall of the orbit is thinner than this; most of it is under 1 mm."""

FLAKE_EXTENT_MM = 4.0
"""A piece with less area than a square of this side is more likely noise than wall."""

FLAKE_ASPECT = 4.0
"""The square root of a flake's area is at least this many thicknesses. A ball has 3; a cube has 2.3 to 4.9 by its
direction, so that now and then a crumb is taken for wall: better than the other way round."""

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class PostprocessingParameters:
    """Which steps run, in the order of the fields; the defaults are for a mask whose thin walls may be in pieces.

    Raises `JobError` `invalid-job` for a value that means nothing.
    """

    fill_objects: bool = True
    """Fill holes that bone encloses in 3D [Ekman]. Holes that hold air stay open: filled air cells thicken a wall."""

    fill_maximum_ml: float = 0.1
    """Larger holes stay open. As for objects: what is larger is anatomy (a blocked sinus, an opacified cell)."""

    minimum_object_ml: float = 0.1
    """Objects (26-connected) smaller than this are dropped [Ekman]; 0 keeps them all. What inferred wall joins is one
    object: a flake of wall is judged by the wall that it is a part of."""

    keep_largest: int | None = None
    """How many of the largest objects (26-connected) are kept; None keeps them all. [Ekman] keeps 1 for orbital bone,
    which thresholds cannot afford: their walls lie in pieces."""

    thin_touches_cortical: bool = False
    """Whether thin bone is kept only where it touches cortical bone [Ekman: optionally a class must touch another]."""

    def __post_init__(self) -> None:
        if self.fill_maximum_ml < 0 or self.minimum_object_ml < 0:
            raise JobError("invalid-job", "A volume of post-processing is negative: give millilitres, 0 or more.")
        if self.keep_largest is not None and self.keep_largest < 1:
            raise JobError("invalid-job", "The number of objects to keep must be 1 or more, or null to keep them all.")


def postprocess(
    bone: sitk.Image,
    ct: sitk.Image,
    parameters: PostprocessingParameters,
    progress: Progress = silent,
    *,
    joint: sitk.Image | None = None,
) -> tuple[sitk.Image, list[dict[str, Any]]]:
    """Repair a mask: fill holes, drop small objects [3532-2 13].

    Parameters
    ----------
    bone
        A mask, unsigned 8 bits, 0 or 1.
    ct
        HU, on the same grid.
    parameters
        Which steps run.
    progress
        Hears how much is done, from 0 to 1.
    joint
        A mask on the same grid: what joins pieces of bone to one object, and counts towards its volume, but is no bone.

    Returns
    -------
    mask
        The repaired bone, on the same grid.
    steps
        What each step did, in order, JSON-able: `step`, `objects` (how many it removed or filled), `removed_ml`,
        `added_ml`, `wall_flakes` and `wall_flakes_ml`, with a `warning` where there are such; filling adds how many
        holes it left open, `air_holes` and `large_holes`.

    Examples
    --------
    >>> bone = np.zeros((9, 9, 9), np.uint8)
    >>> bone[1:8, 1:8, 1:8] = 1
    >>> bone[4, 4, 4] = 0
    >>> ct = sitk.GetImageFromArray(np.full(bone.shape, 60, np.int16))
    >>> mask, steps = postprocess(sitk.GetImageFromArray(bone), ct, PostprocessingParameters())
    >>> mask[4, 4, 4], steps[0]["step"], steps[0]["objects"]
    (1, 'fill objects', 1)
    """
    _check_same_grid(bone, ct)
    box = _Box.around(bone if joint is None else sitk.Or(bone, joint))
    mask = box.cut(bone)
    steps = []
    if parameters.fill_objects:
        steps.append(_fill_objects(mask, ct, box, parameters.fill_maximum_ml))
        progress(0.4)
    if parameters.minimum_object_ml > 0 or parameters.keep_largest is not None:
        objects = _Objects.of(mask, box, None if joint is None else box.cut(joint))
        progress(0.8)
        if parameters.minimum_object_ml > 0:
            kept = objects.joined_ml >= parameters.minimum_object_ml - box.voxel_ml / 2
            steps.append(objects.remove("drop small objects", ~kept))
        if parameters.keep_largest is not None:
            steps.append(objects.remove("keep largest objects", objects.ranks >= parameters.keep_largest))
    progress(1.0)
    return box.paste(mask), steps


def keep_touching(mask: sitk.Image, other: sitk.Image) -> tuple[sitk.Image, dict[str, Any]]:
    """Keep the objects (26-connected) of `mask` that overlap or touch (26-neighbourhood) `other` [Ekman].

    Both are 8 bits, 1 and 0, on one grid. Returns the mask and the step as `postprocess` does.
    """
    _check_same_grid(mask, other)
    box = _Box.around(mask)
    array = box.cut(mask)
    objects = _Objects.of(array, box)
    near_other = dilated(box.cut(other)).ravel()[objects.voxels] != 0
    touching = np.bincount(objects.of_voxel, near_other, minlength=len(objects.volumes_ml)) > 0
    step = objects.remove("keep touching objects", ~touching)
    return box.paste(array), step


def _check_same_grid(image: sitk.Image, other: sitk.Image) -> None:
    if not image.IsSameImageGeometryAs(other):
        raise ValueError("The two images are not on the same grid.")


@dataclass(frozen=True)
class _Box:
    """The part of a grid that holds a mask, with a rim of one voxel: the image's own, or 0 beyond the scan's edge."""

    image: sitk.Image
    slices: tuple[slice, slice, slice]

    @classmethod
    def around(cls, mask: sitk.Image) -> "_Box":
        array = sitk.GetArrayViewFromImage(mask)
        slices = []
        for axis in range(3):
            used = np.flatnonzero(array.any(axis=tuple({0, 1, 2} - {axis})))
            slices.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
        return cls(mask, (slices[0], slices[1], slices[2]))

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """In the order of the array's axes."""
        return np.array(self.image.GetSpacing()[::-1])

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / MM3_PER_ML

    def cut(self, image: sitk.Image) -> NDArray[Any]:
        array = sitk.GetArrayViewFromImage(image)
        sizes = list(zip(self.slices, array.shape, strict=True))
        part = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, size)) for s, size in sizes)
        return np.pad(array[part], [(int(s.start == 0), int(s.stop == size)) for s, size in sizes])

    def paste(self, array: NDArray[np.uint8]) -> sitk.Image:
        whole = np.zeros(self.image.GetSize()[::-1], np.uint8)
        whole[self.slices] = array[1:-1, 1:-1, 1:-1]
        return on_grid(whole, self.image)


def _fill_objects(mask: NDArray[np.uint8], ct: sitk.Image, box: _Box, maximum_ml: float) -> dict[str, Any]:
    """Fill the holes of `mask` in place."""
    voxels, of_voxel = _holes(mask)
    counts = np.bincount(of_voxel)
    mean_hu = np.bincount(of_voxel, box.cut(ct).ravel()[voxels]) / counts
    large = counts * box.voxel_ml > maximum_ml
    air = ~large & (mean_hu < AIR_BELOW_HU)
    filled = ~large & ~air
    mask.ravel()[voxels[filled[of_voxel]]] = 1
    step = _step("fill objects", objects=filled.sum(), added_ml=counts[filled].sum() * box.voxel_ml)
    return step | {"air_holes": int(air.sum()), "large_holes": int(large.sum())}


def _holes(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The flat indices of what bone encloses, ascending, and the number of each voxel's hole.

    Enclosed is what is not connected with the mask's rim, which is empty. Background is connected by faces, for bone
    is connected by corners.
    """
    background = sitk.ConnectedComponent(sitk.GetImageFromArray(1 - mask))
    labels = sitk.GetArrayViewFromImage(background).ravel()
    voxels = np.flatnonzero((labels != 0) & (labels != labels[0]))
    return voxels, _numbered_by_first(labels[voxels].astype(np.int64))


@dataclass
class _Objects:
    """The 26-connected objects of a mask (zyx, with an empty rim), numbered from 0 in the order of their first voxel.

    `voxels` are flat indices into the mask, ascending, and `of_voxel` the object of each; a removed object stays
    numbered but holds no voxel of the mask.
    """

    mask: NDArray[np.uint8]
    box: _Box
    voxels: NDArray[np.int64]
    of_voxel: NDArray[np.int64]
    volumes_ml: NDArray[np.floating]
    """Of what the mask holds."""
    joined_ml: NDArray[np.floating]
    """With what joins its pieces: by this an object is judged."""

    @classmethod
    def of(cls, mask: NDArray[np.uint8], box: _Box, joint: NDArray[np.uint8] | None = None) -> "_Objects":
        """Pieces of the mask that `joint` joins are one object."""
        whole = mask if joint is None else mask | joint
        labelled = sitk.ConnectedComponent(sitk.GetImageFromArray(whole), True)
        labels = sitk.GetArrayViewFromImage(labelled).ravel()
        voxels = np.flatnonzero(mask)
        label_of = labels[voxels].astype(np.int64)
        of_voxel = _numbered_by_first(label_of)
        counts = np.bincount(of_voxel)
        joined = np.zeros(len(counts), np.int64)
        joined[of_voxel] = np.bincount(labels)[label_of]
        return cls(mask, box, voxels, of_voxel, counts * box.voxel_ml, joined * box.voxel_ml)

    @property
    def ranks(self) -> NDArray[np.int64]:
        """0 for the largest; among equals the one that comes first in the grid."""
        ranks = np.empty(len(self.volumes_ml), np.int64)
        ranks[np.argsort(-self.joined_ml, kind="stable")] = np.arange(len(ranks))
        return ranks

    def remove(self, step: str, unwanted: NDArray[np.bool_]) -> dict[str, Any]:
        """Clear the unwanted objects that are still in the mask and say what that was."""
        flat = self.mask.ravel()
        there = unwanted[self.of_voxel] & (flat[self.voxels] != 0)
        voxels, of_voxel = self.voxels[there], self.of_voxel[there]
        flat[voxels] = 0
        gone = np.unique(of_voxel)
        flakes = gone[self._are_flakes(voxels, of_voxel)[gone]]
        return _step(
            step,
            objects=len(gone),
            removed_ml=self.volumes_ml[gone].sum(),
            flakes=len(flakes),
            flakes_ml=self.volumes_ml[flakes].sum(),
        )

    def _are_flakes(self, voxels: NDArray[np.int64], of_voxel: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the objects, given whole by their voxels and cleared from the mask, are sheets as thin as a wall.

        The area of a sheet is half the root of the squared sums of its voxel faces across the three axes: exact for a
        flat sheet in any direction, some 15 % low for half a sphere. The mean thickness is volume over area.
        """
        own = np.full(self.mask.size, -1, np.int32)
        own[voxels] = of_voxel
        count = len(self.volumes_ml)
        squared_mm4 = np.zeros(count)
        for axis, spacing_mm in enumerate(self.box.spacing_mm):
            stride = int(np.prod(self.mask.shape[axis + 1 :]))
            faces = sum((own[voxels + step] != of_voxel).astype(float) for step in (-stride, stride))
            face_mm2 = float(np.prod(self.box.spacing_mm)) / spacing_mm
            squared_mm4 += (np.bincount(of_voxel, faces, minlength=count) * face_mm2) ** 2
        area_mm2 = np.sqrt(squared_mm4) / 2
        thickness_mm = self.volumes_ml * MM3_PER_ML / np.maximum(area_mm2, 1e-9)
        extent_mm = np.sqrt(area_mm2)
        wide = (extent_mm > FLAKE_EXTENT_MM) & (extent_mm > FLAKE_ASPECT * thickness_mm)
        return wide & (thickness_mm < FLAKE_THICKNESS_MM)


def _step(
    step: str,
    *,
    objects: int,
    removed_ml: float = 0.0,
    added_ml: float = 0.0,
    flakes: int = 0,
    flakes_ml: float = 0.0,
) -> dict[str, Any]:
    done: dict[str, Any] = {
        "step": step,
        "objects": int(objects),
        "removed_ml": float(removed_ml),
        "added_ml": float(added_ml),
        "wall_flakes": flakes,
        "wall_flakes_ml": float(flakes_ml),
    }
    if flakes:
        pieces = "1 piece" if flakes == 1 else f"{flakes} pieces"
        done["warning"] = (
            f"The step '{step}' removed {pieces} ({flakes_ml:.2f} ml) as thin as a wall: look for gaps in the walls of "
            "the orbit, or turn the step off."
        )
    return done


def _numbered_by_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number labels from 0 by their first occurrence: ITK's own order may depend on its threads."""
    first = np.zeros(labels.max(initial=0) + 1, np.int64)
    first[labels[::-1]] = np.arange(len(labels), 0, -1)  # the last value assigned stays: the first occurrence
    used = np.flatnonzero(first)
    number = np.empty_like(first)
    number[used[np.argsort(first[used])]] = np.arange(len(used))
    return number[labels]


def dilated(mask: NDArray[Flag], axes: Sequence[int] = (0, 1, 2)) -> NDArray[Flag]:
    """A mask (flags, or 8 bits of 0 and 1) with the neighbours of each voxel along these axes: 26, or 8 in a plane."""
    for axis in axes:
        along = np.moveaxis(mask, axis, 0)
        grown = along.copy()
        grown[1:] |= along[:-1]
        grown[:-1] |= along[1:]
        mask = np.moveaxis(grown, 0, axis)
    return mask
