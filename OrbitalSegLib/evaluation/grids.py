"""Masks are compared voxel by voxel: they must lie on one grid, or on parts of one."""

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError

LATTICE_TOLERANCE = 1e-3
"""Voxel centres further apart than this part of a voxel are not the same voxels."""


def on_grid_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The image on the reference's grid, voxel by voxel: cut off where it is larger, 0 where it is smaller.

    Nothing is interpolated: a thin wall does not survive the resampling of its mask. Raises `InputError`
    `different-grids` unless both grids are parts of one.
    """
    if image.IsSameImageGeometryAs(reference):
        return image
    if not _same_lattice(reference, image):
        raise InputError(
            "different-grids",
            "The images lie on different grids: bring the result to the grid of the truth (its probabilities, "
            "if there are any, rather than its mask), and compare again.",
        )
    return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def mask_array(mask: sitk.Image) -> np.ndarray:
    """A mask's non-zero voxels as an array of flags, z y x."""
    return sitk.GetArrayFromImage(mask) != 0


def spacing_zyx(image: sitk.Image) -> np.ndarray:
    """The spacing in mm in the order of the array's axes."""
    return np.array(image.GetSpacing()[::-1])


def bounds(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """The box around the set voxels; one voxel where there is none."""
    used = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    z, y, x = (slice(u[0], u[-1] + 1) if u.size else slice(0, 1) for u in used)
    return z, y, x


def voxel_indices(image: sitk.Image, points_mm: np.ndarray) -> np.ndarray:
    """Where points (n, 3) in LPS mm lie on an image's grid: x y z in voxels, with fractions, from the first centre."""
    to_index = np.linalg.inv(np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing()))
    return (points_mm - np.array(image.GetOrigin())) @ to_index.T


def _same_lattice(reference: sitk.Image, image: sitk.Image) -> bool:
    if not np.allclose(reference.GetDirection(), image.GetDirection(), rtol=0, atol=1e-6):
        return False
    last = [size - 1 for size in image.GetSize()]
    corners = [image.TransformIndexToPhysicalPoint(index) for index in ([0, 0, 0], last)]
    first, end = (np.array(reference.TransformPhysicalPointToContinuousIndex(point)) for point in corners)
    whole = np.abs(first - np.round(first)).max() < LATTICE_TOLERANCE
    return bool(whole and np.abs(end - first - last).max() < LATTICE_TOLERANCE)
