"""Masks are compared voxel by voxel: they must lie on one grid, or on parts of one."""

from itertools import product

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError

LATTICE_TOLERANCE = 0.05
"""Voxel centres further apart than this part of a voxel are not the same voxels. A NIfTI's single-precision quaternion
alone can move the far end of 512 voxels by so much."""


def on_grid_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The image on the reference's grid, voxel by voxel: cut off where it is larger, 0 where it is smaller.

    The same voxels stored in another order of axes are the same grid. Nothing is interpolated: a thin wall does not
    survive the resampling of its mask. Raises `InputError` `different-grids` unless both grids are parts of one.
    """
    image = in_axes_of(reference, image)
    if image.IsSameImageGeometryAs(reference):
        return image
    if not _same_lattice(reference, image):
        raise InputError(
            "different-grids",
            "The images lie on different grids: bring the result to the grid of the truth (its probabilities, "
            "if there are any, rather than its mask), and compare again.",
        )
    return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def in_axes_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The image with its axes in the order and the directions of the reference's that they lie nearest to.

    Every voxel stays where it is in the patient.
    """
    along = _axes(reference).T @ _axes(image)
    order = np.abs(along).argmax(axis=1)  # for each of the reference's axes, the image's
    if sorted(order) != [0, 1, 2]:
        return image
    flipped = along[range(3), order] < 0
    if not flipped.any() and order.tolist() == [0, 1, 2]:
        return image
    turned = sitk.PermuteAxes(image, order.tolist())
    return turned[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]


def voxel_indices(image: sitk.Image, points_mm: np.ndarray) -> np.ndarray:
    """Where points (n, 3) in LPS mm lie on an image's grid: x y z in voxels, with fractions, from the first centre."""
    to_index = np.linalg.inv(np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing()))
    return (points_mm - np.array(image.GetOrigin())) @ to_index.T


def _same_lattice(reference: sitk.Image, image: sitk.Image) -> bool:
    """Whether each corner of the image lies on a voxel of the reference's grid, were that large enough."""
    corners = np.array(list(product(*((0, size - 1) for size in image.GetSize()))), float)
    places = corners @ (_axes(image) * image.GetSpacing()).T + image.GetOrigin()
    indices = voxel_indices(reference, places)
    first = np.round(indices[0])
    return bool(np.abs(indices - corners - first).max() < LATTICE_TOLERANCE)


def _axes(image: sitk.Image) -> np.ndarray:
    """(3, 3): unit vectors along the image's axes, as columns."""
    return np.reshape(image.GetDirection(), (3, 3))
