"""A scan in the coordinates of a wall: profiles along the normal, on a small square of the wall around a point."""

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
    along = (np.arange(SIDE) - SIDE // 2) * ALONG_MM
    count = SAMPLES + 2 * margin
    across = (np.arange(count) - count // 2) * DEPTH_MM
    hu = sitk.GetArrayViewFromImage(ct)
    result = np.empty((len(points_mm), SIDE, SIDE, count), np.int16)
    for start in range(0, len(points_mm), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        places = (
            points_mm[part, None, None, None]
            + along[:, None, None, None] * first[part, None, None, None]
            + along[None, :, None, None] * second[part, None, None, None]
            + across[:, None] * normals[part, None, None, None]
        )
        result[part] = np.rint(interpolated(hu, ct, places))
    return result


def linear(image: sitk.Image, points_mm: Array) -> Array:
    """An image at points (..., 3) in LPS, by linear interpolation, 32-bit float; beyond it as at its border."""
    return interpolated(sitk.GetArrayViewFromImage(image), image, points_mm)


def interpolated(values: Array, grid: sitk.Image, points_mm: Array) -> Array:
    """The values (z, y, x) of a grid at points (..., 3), as `linear`."""
    to_index = np.linalg.inv(np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing()))
    index = (points_mm.reshape(-1, 3) - np.array(grid.GetOrigin())) @ to_index.T
    flat, at, steps, parts = values.reshape(-1), np.zeros(len(index), np.int64), [], []
    for axis, (length, stride) in enumerate(zip(values.shape, (values[0].size, values.shape[2], 1), strict=True)):
        place = np.clip(index[:, 2 - axis], 0, length - 1)
        low = np.minimum(place.astype(np.int64), max(length - 2, 0))
        parts.append((place - low).astype(np.float32))
        steps.append(stride if length > 1 else 0)
        at += low * stride
    z, y, x = parts
    dz, dy, dx = steps
    found = np.zeros(len(at), np.float32)
    for corner_z, of_z in ((0, 1 - z), (dz, z)):
        for corner_y, of_y in ((0, 1 - y), (dy, y)):
            row = at + (corner_z + corner_y)
            found += of_z * of_y * (flat[row] * (1 - x) + flat[row + dx] * x)
    return found.reshape(points_mm.shape[:-1])
