"""A scan in the coordinates of a wall: profiles along the normal, on a small square of the wall around a point."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Array = NDArray

SIDE = 5
"""Profiles along each side of the square."""
ALONG_MM = 0.8
"""Distance of neighbouring profiles on the wall."""
DEPTH_MM = 0.25
"""Distance of neighbouring samples along the normal."""
SAMPLES = 29
"""Samples of a profile that the network sees: 3.5 mm to either side."""
MARGIN = 6
"""More samples at both ends, so that the place can be moved by 1.5 mm."""

AT_ONCE = 1000
"""Squares that are unrolled at a time: more are no faster."""


def unrolled(
    ct: sitk.Image, points_mm: Array, normals: Array, turn: Array | float = 0.0, margin: int = MARGIN
) -> Array:
    """HU (n, 5, 5, 29 + 2 margin), 16 bits, around points (n, 3) in LPS with unit normals, from the scan's own grid.

    `turn` (n,) turns each square about its normal, in radians. Beyond the scan is what lies at its border.
    """
    helper = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    cos, sin = np.cos(turn), np.sin(turn)
    if np.ndim(turn):
        cos, sin = cos[:, None], sin[:, None]
    first, second = cos * first + sin * second, cos * second - sin * first
    to_index = _to_index(ct)
    start, first, second, across = (
        np.asarray(values @ to_index.T, np.float32)
        for values in (points_mm - np.array(ct.GetOrigin()), first * ALONG_MM, second * ALONG_MM, normals * DEPTH_MM)
    )
    steps = np.arange(SIDE, dtype=np.float32) - SIDE // 2
    count = SAMPLES + 2 * margin
    depth = np.arange(count, dtype=np.float32) - count // 2
    hu = sitk.GetArrayViewFromImage(ct)
    result = np.empty((len(points_mm), SIDE, SIDE, count), np.int16)
    for begin in range(0, len(points_mm), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        index = [
            start[part, axis, None, None, None]
            + steps[:, None, None] * first[part, axis, None, None, None]
            + steps[:, None] * second[part, axis, None, None, None]
            + depth * across[part, axis, None, None, None]
            for axis in range(3)
        ]
        result[part] = np.rint(_at(hu, index))
    return result


def linear(image: sitk.Image, points_mm: Array) -> Array:
    """An image at points (..., 3) in LPS, by linear interpolation, 32-bit float; beyond it as at its border."""
    return interpolated(sitk.GetArrayViewFromImage(image), image, points_mm)


def interpolated(values: Array, grid: sitk.Image, points_mm: Array) -> Array:
    """The values (z, y, x) of a grid at points (..., 3), as `linear`."""
    index = (points_mm - np.array(grid.GetOrigin())) @ _to_index(grid).T
    return _at(values, [index[..., axis] for axis in range(3)])


def _to_index(grid: sitk.Image) -> Array:
    return np.linalg.inv(np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing()))


def _at(values: Array, index: Sequence[Array]) -> Array:
    """The values (z, y, x) between voxels, at index x, y and z of any shape."""
    flat, at, steps, parts = values.reshape(-1), np.zeros(index[0].shape, np.intp), [], []
    for place, length, stride in zip(reversed(index), values.shape, (values[0].size, values.shape[2], 1), strict=True):
        inside = np.clip(place, 0, length - 1)
        low = np.minimum(inside.astype(np.intp), max(length - 2, 0))
        parts.append((inside - low).astype(np.float32))
        steps.append(stride if length > 1 else 0)
        at += low * stride
    z, y, x = parts
    dz, dy, dx = steps
    found = np.zeros(at.shape, np.float32)
    for corner_z, of_z in ((0, 1 - z), (dz, z)):
        for corner_y, of_y in ((0, 1 - y), (dy, y)):
            row = at + (corner_z + corner_y)
            here = flat[row].astype(np.float32)
            found += of_z * of_y * (here + x * (flat[row + dx] - here))
    return found
