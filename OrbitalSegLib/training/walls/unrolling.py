"""A scan in the coordinates of a wall: profiles along the normal, on a small square of the wall around a point."""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from OrbitalSegLib.evaluation.grids import voxel_indices

Array = np.ndarray

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


def unrolled(ct: sitk.Image, points_mm: Array, normals: Array, turn: Array | float = 0.0) -> Array:
    """HU (n, 5, 5, 41), 16 bits, around points (n, 3) in LPS with unit normals, from the scan's own grid.

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
    count = SAMPLES + 2 * MARGIN
    across = (np.arange(count) - count // 2) * DEPTH_MM
    hu = sitk.GetArrayFromImage(ct)
    result = np.empty((len(points_mm), SIDE, SIDE, count), np.int16)
    for start in range(0, len(points_mm), 2000):
        part = slice(start, start + 2000)
        places = (
            points_mm[part, None, None, None]
            + along[:, None, None, None] * first[part, None, None, None]
            + along[None, :, None, None] * second[part, None, None, None]
            + across[:, None] * normals[part, None, None, None]
        )
        index = voxel_indices(ct, places.reshape(-1, 3))[:, ::-1].T
        values = ndimage.map_coordinates(hu, index, np.float32, order=1, mode="nearest")
        result[part] = np.rint(values).reshape(places.shape[:-1])
    return result
