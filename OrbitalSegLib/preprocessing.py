"""What a network sees of a scan: one isotropic spacing and the 8-bit window of thin bone, denoised if asked [3532-2 8].

Of the other steps that the standard names, registration has no use with one image, and padding is the engine's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import mask_on_grid, on_grid, spacing_zyx
from OrbitalSegLib.places import Box
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

WINDOW_HU = (-200.0, 300.0)
"""Below is air or fat, above is certainly cortical bone [3532-2 8.2]."""

LEVELS = 255
"""The largest of the window's 8-bit values [3532-2 8.2]."""

DENOISING_STEPS = 5
"""Steps of diffusion: a value reaches so many voxels. Ours."""

BYTES_OF_DENOISED = 4
"""What a voxel of the scan takes meanwhile, beside the scan."""

_SLAB = 16
"""Slices that are denoised at a time."""

COARSE = 1.5
"""So many times the working grid's spacing a voxel of the scan is longer than, where walls can be lost on it."""

WALL_SHARE = 0.24
"""Just less than the quarter that a wall of one working voxel takes of voxels twice as long, midway between two."""

_SAME_PLACE = 1e-6
"""Places (in voxels) that differ by less are one place, so that rounding of an origin moves no value."""


@dataclass(frozen=True)
class WorkingGrid:
    """An isotropic grid along the axes of a scan, each turned towards left, posterior, superior.

    Its voxels lie at whole multiples of the spacing from the scan's first voxel, whatever the region: so a place in
    the patient has the same value in every region that holds it.
    """

    spacing_mm: float
    anchor_mm: tuple[float, ...]
    """The centre of the scan's first voxel, LPS."""
    direction: tuple[float, ...]
    low: tuple[int, ...]
    """x, y, z: the first voxel, counted from the anchor."""
    size: tuple[int, ...]
    """x, y, z."""

    @property
    def voxels(self) -> int:
        return int(np.prod(self.size))

    @property
    def origin_mm(self) -> list[float]:
        axes = np.reshape(self.direction, (3, 3))
        return (np.array(self.anchor_mm) + axes @ np.array(self.low) * self.spacing_mm).tolist()

    def image(self, array: NDArray) -> sitk.Image:
        """An array (z, y, x) of this grid as an image."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([self.spacing_mm] * 3)
        image.SetOrigin(self.origin_mm)
        image.SetDirection(self.direction)
        return image


def working_grid(image: sitk.Image, spacing_mm: float, box_mm: Box | None = None) -> WorkingGrid:
    """The working grid of a scan, or of a part of it: it covers every voxel centre there (docs/contracts.md, 3).

    Parameters
    ----------
    image
        The scan: its first voxel is where the grid begins, whatever the part.
    spacing_mm
        The side of a voxel [3532-2 8.3].
    box_mm
        `(x0, x1, y0, y1, z0, z1)` in LPS mm: the part. None is the whole scan.

    Examples
    --------
    >>> ct = sitk.Image(20, 20, 10, sitk.sitkInt16)
    >>> ct.SetSpacing((0.5, 0.5, 1.0))
    >>> working_grid(ct, 0.5).size
    (20, 20, 19)
    """
    scan = _oriented(image)
    extent_mm = (np.array(scan.GetSize()) - 1) * scan.GetSpacing()
    last = np.ceil(extent_mm / spacing_mm - _SAME_PLACE).astype(int)
    low, high = np.zeros(3, int), last + 1
    if box_mm is not None:
        corners = np.array(list(product(*np.reshape(box_mm, (3, 2)))))
        places = (corners - scan.GetOrigin()) @ np.reshape(scan.GetDirection(), (3, 3)) / spacing_mm
        low = np.clip(np.floor(places.min(axis=0) + _SAME_PLACE).astype(int), 0, last)
        high = np.clip(np.ceil(places.max(axis=0) - _SAME_PLACE).astype(int) + 1, low + 1, last + 1)
    return WorkingGrid(
        spacing_mm,
        tuple(scan.GetOrigin()),
        tuple(scan.GetDirection()),
        tuple(int(i) for i in low),
        tuple(int(i) for i in high - low),
    )


def working_grid_of(scan: sitk.Image, own: sitk.Image) -> WorkingGrid:
    """The working grid of a scan on which an image made on one lies."""
    oriented = _oriented(scan)
    places = (np.array(own.GetOrigin()) - oriented.GetOrigin()) @ np.reshape(oriented.GetDirection(), (3, 3))
    spacing_mm = own.GetSpacing()[0]
    low = tuple(int(i) for i in np.rint(places / spacing_mm))
    return WorkingGrid(
        spacing_mm, tuple(oriented.GetOrigin()), tuple(oriented.GetDirection()), low, tuple(own.GetSize())
    )


def denoised(image: sitk.Image, edges_hu: float, grid: WorkingGrid, progress: Progress = silent) -> sitk.Image:
    """The scan with less noise where a working grid lies, by anisotropic diffusion [Perona and Malik]; 0: as it is.

    Neighbours even out in `DENOISING_STEPS` steps, the less the more they differ: those that differ by `edges_hu` at
    37 % of the usual rate, by three times as much not at all. The rate falls with the square of the spacing along an
    axis. What an edge is stands in HU and not, as in ITK's filters, in what is usual in the image: so no voxel depends
    on what lies further off.
    """
    if edges_hu == 0:
        return image
    array = sitk.GetArrayFromImage(image)
    z, y, x = _box_of(grid, image)
    spacing = spacing_zyx(image)
    shares = (spacing.min() / spacing) ** 2
    before = sitk.GetArrayViewFromImage(image)
    for start in range(z.start, z.stop, _SLAB):
        inner = slice(start, min(start + _SLAB, z.stop)), y, x
        outer = tuple(slice(max(s.start - DENOISING_STEPS, 0), s.stop + DENOISING_STEPS) for s in inner)
        part = before[outer].astype(np.float32)
        for _ in range(DENOISING_STEPS):
            part += _diffusion(part, edges_hu, shares)
        core = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
        array[inner] = _rounded(part[core])
        progress((inner[0].stop - z.start) / (z.stop - z.start))
    return on_grid(array, image)


def window_8bit(image: sitk.Image) -> sitk.Image:
    """HU to unsigned 8 bits by formula 1: `(I - Imin) * 255 / (Imax - Imin)`, clipped and rounded [3532-2 8.2].

    Examples
    --------
    >>> ct = sitk.GetImageFromArray(np.array([[[-1024, -200, 50, 300, 3000]]], np.int16))
    >>> sitk.GetArrayFromImage(window_8bit(ct)).tolist()
    [[[0, 0, 128, 255, 255]]]
    """
    return on_grid(_windowed(sitk.GetArrayFromImage(image)), image)


def to_isotropic(
    image: sitk.Image, spacing_mm: float, box_mm: Box | None = None, progress: Progress = silent
) -> sitk.Image:
    """A scan in HU on its working grid (see `working_grid`), signed 16 bits.

    Interpolation is linear. Along an axis on which the scan is finer than `spacing_mm`, every voxel is the mean of its
    neighbours, weighted by a triangle of that half-width, so that nothing is lost between two voxels.
    """
    return to_working(image, working_grid(image, spacing_mm, box_mm), progress)


def to_working(image: sitk.Image, grid: WorkingGrid, progress: Progress = silent) -> sitk.Image:
    """A scan in HU on one of its working grids, as `to_isotropic` does it."""
    return _resampled(image, grid, _rounded, np.int16, progress)


def to_windowed(
    image: sitk.Image, grid: WorkingGrid, quantised: bool = True, progress: Progress = silent
) -> sitk.Image:
    """The same as `window_8bit(to_isotropic(...))`, in a third of the memory.

    Not `quantised`, the window is 0 to 1 in 32-bit floats.
    """
    if quantised:
        return _resampled(image, grid, lambda hu: _windowed(_rounded(hu)), np.uint8, progress)
    return _resampled(image, grid, lambda hu: _fraction(_rounded(hu)), np.float32, progress)


def from_working(values: sitk.Image, grid: sitk.Image, progress: Progress = silent) -> sitk.Image:
    """A probability (or any image of a working grid) on the grid of the scan or a part of it: linear, 32-bit float.

    It is thresholded there: a mask one voxel thick would lose a tenth of its walls on the way (measured).
    Beyond the working grid it is 0.
    """
    return _on_scan(values, grid, [1.0] * 3, progress)


def walls_through(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """Voxels of the scan, or a part of it, through which a wall of a working grid's mask runs that interpolation loses.

    1 where walls of one or two working voxels fill at least `WALL_SHARE` of a voxel, the part near its centre weighing
    most. On a scan that is not `too_coarse` there is none.
    """
    if not too_coarse(grid, mask):
        return sitk.Cast(0 * grid, sitk.sitkUInt8)
    walls = mask_on_grid(_walls(sitk.GetArrayFromImage(mask) > 0), mask)
    half_width = np.maximum(np.array(_oriented(grid).GetSpacing()) / mask.GetSpacing(), 1)
    return _on_scan(walls, grid, half_width.tolist(), silent) >= WALL_SHARE


def too_coarse(grid: sitk.Image, working: sitk.Image) -> bool:
    """Whether a scan's voxels are so much longer than those of a working grid that walls can be lost between them."""
    return max(grid.GetSpacing()) > COARSE * working.GetSpacing()[0]


def _walls(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What an opening by a voxel and its six neighbours takes away: what is one or two voxels thick."""
    return mask & ~_shifted(_shifted(mask, np.bitwise_and), np.bitwise_or)


def _shifted(mask: NDArray[np.bool_], join: Callable[..., Any]) -> NDArray[np.bool_]:
    """Each voxel joined with its six neighbours; what lies beyond the grid is as the voxel itself."""
    result = mask.copy()
    for axis in range(3):
        ours, theirs = np.moveaxis(result, axis, 0), np.moveaxis(mask, axis, 0)
        join(ours[1:], theirs[:-1], out=ours[1:])
        join(ours[:-1], theirs[1:], out=ours[:-1])
    return result


def _on_scan(values: sitk.Image, grid: sitk.Image, half_width: Sequence[float], progress: Progress) -> sitk.Image:
    """By a triangle whose half width along each axis is in voxels of the values; beyond these it is 0."""
    target = _oriented(grid)
    axes = np.reshape(target.GetDirection(), (3, 3))
    offset_mm = (np.array(target.GetOrigin()) - values.GetOrigin()) @ axes
    ratio = np.array(target.GetSpacing()) / values.GetSpacing()
    places = [
        offset_mm[i] / values.GetSpacing()[i] + np.arange(count) * ratio[i] for i, count in enumerate(target.GetSize())
    ]
    inside = [(p > -1 + _SAME_PLACE) & (p < n - _SAME_PLACE) for p, n in zip(places, values.GetSize(), strict=True)]
    taps = [
        _Taps.at(p, w, n, inside=i) for p, w, n, i in zip(places, half_width, values.GetSize(), inside, strict=True)
    ]
    array = sitk.GetArrayFromImage(values)
    result = on_grid(_stacked(array, taps, lambda part: part, np.float32, progress), target)
    orientation = _orientation(grid)
    return result if orientation == "LPS" else sitk.DICOMOrient(result, orientation)


def _box_of(grid: WorkingGrid, image: sitk.Image) -> tuple[slice, ...]:
    """The voxels of an image (z, y, x) that a working grid of it looks at."""
    ends = np.array([np.array(grid.low), np.array(grid.low) + grid.size - 1]) * grid.spacing_mm
    corners = np.array(grid.anchor_mm) + np.array(list(product(*ends.T))) @ np.reshape(grid.direction, (3, 3)).T
    places = np.array([image.TransformPhysicalPointToContinuousIndex(corner.tolist()) for corner in corners])
    reach = np.maximum(1, grid.spacing_mm / np.array(image.GetSpacing()))
    low = np.clip(np.floor(places.min(axis=0) - reach).astype(int), 0, np.array(image.GetSize()) - 1)
    high = np.clip(np.ceil(places.max(axis=0) + reach).astype(int) + 1, low + 1, image.GetSize())
    return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))


def _diffusion(part: NDArray[np.float32], edges_hu: float, shares: NDArray) -> NDArray[np.float32]:
    """One step: a sixth of what flows from each voxel's six neighbours, `shares` of it along each axis."""
    change = np.zeros_like(part)
    for axis, share in enumerate(shares):
        difference = np.diff(part, axis=axis)
        flow = difference * np.exp(-np.square(difference * np.float32(1 / edges_hu))) * np.float32(share / 6)
        along = np.moveaxis(change, axis, 0)
        along[:-1] += np.moveaxis(flow, axis, 0)
        along[1:] -= np.moveaxis(flow, axis, 0)
    return change


def _oriented(image: sitk.Image) -> sitk.Image:
    """The same voxels with their axes as near as can be to left, posterior, superior: what a network was taught on."""
    return image if _orientation(image) == "LPS" else sitk.DICOMOrient(image, "LPS")


def _orientation(image: sitk.Image) -> str:
    return str(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection()))


def _rounded(hu: NDArray) -> NDArray[np.int16]:
    return np.clip(np.rint(hu), AIR_HU, HIGHEST_HU).astype(np.int16)


def _windowed(hu: NDArray) -> NDArray[np.uint8]:
    return np.rint(_fraction(hu) * np.float32(LEVELS)).astype(np.uint8)


def _fraction(hu: NDArray) -> NDArray[np.float32]:
    low, high = WINDOW_HU
    return (np.clip(hu, low, high).astype(np.float32) - np.float32(low)) / np.float32(high - low)


def _resampled(
    image: sitk.Image, grid: WorkingGrid, finish: Callable[[NDArray], NDArray], dtype: type, progress: Progress
) -> sitk.Image:
    scan = _oriented(image)
    ratios = grid.spacing_mm / np.array(scan.GetSpacing())
    taps = [
        _Taps.at((low + np.arange(size)) * ratio, max(1.0, ratio), count)
        for low, size, ratio, count in zip(grid.low, grid.size, ratios, scan.GetSize(), strict=True)
    ]
    return grid.image(_stacked(sitk.GetArrayViewFromImage(scan), taps, finish, dtype, progress))


@dataclass(frozen=True)
class _Taps:
    """For every place along an axis, the voxels that make its value, and their weights: both (places, taps)."""

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def at(cls, places: NDArray, half_width: float, count: int, inside: NDArray[np.bool_] | None = None) -> "_Taps":
        """A triangle around each place (in voxels); beyond the first and last voxel, these go on.

        Where `inside` is given and False, all weights are 0, and what lies beyond the ends counts as 0 too.
        """
        places = np.round(places / _SAME_PLACE) * _SAME_PLACE
        indices = np.floor(places - half_width).astype(int)[:, None] + 1 + np.arange(int(np.ceil(2 * half_width)))
        weights = np.maximum(1 - np.abs(indices - places[:, None]) / half_width, 0)
        weights /= weights.sum(axis=1, keepdims=True)
        if inside is not None:
            weights *= inside[:, None] & (indices >= 0) & (indices < count)
        return cls(np.clip(indices, 0, count - 1), weights.astype(np.float32))


def _stacked(
    array: NDArray, taps: list[_Taps], finish: Callable[[NDArray], NDArray], dtype: type, progress: Progress
) -> NDArray:
    """An array (z, y, x) resampled by the taps of x, y and z, slice by slice."""
    columns, rows, slices = taps
    result: NDArray = np.empty([len(axis.indices) for axis in (slices, rows, columns)], dtype)
    for number, resampled in enumerate(_slices(array, columns, rows, slices)):
        result[number] = finish(resampled)
        progress((number + 1) / len(result))
    return result


def _slices(array: NDArray, columns: _Taps, rows: _Taps, slices: _Taps) -> Iterator[NDArray[np.float32]]:
    planes: dict[int, NDArray[np.float32]] = {}
    for indices, weights in zip(slices.indices, slices.weights, strict=True):
        planes = {int(i): planes[i] if i in planes else _along(_along(array[i], rows, 0), columns, 1) for i in indices}
        yield reduce(np.add, (w * planes[int(i)] for i, w in zip(indices, weights, strict=True)))


def _along(plane: NDArray, taps: _Taps, axis: int) -> NDArray[np.float32]:
    parts = (
        plane.take(indices, axis=axis) * (weights if axis == 1 else weights[:, None])
        for indices, weights in zip(taps.indices.T, taps.weights.T, strict=True)
    )
    return reduce(np.add, parts)
