"""Masks are compared voxel by voxel: on one grid, on parts of one, or on one whose voxels are parts of the truth's."""

from itertools import product

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError

LATTICE_TOLERANCE = 0.05
"""Voxel centres further apart than this part of a voxel are not the same voxels. A NIfTI's single-precision quaternion
alone can move the far end of 512 voxels by so much."""


SAME_LENGTH = 0.01
"""Voxels that differ by a smaller part of them are as long as each other: exporters round spacings."""


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


def divided(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The reference, each of its voxels divided into so many parts along each axis that none is longer than a voxel of
    the image: `at_voxels_of` that grid loses no wall of the image. Itself where both grids are parts of one.

    Every part holds what its voxel holds. Raises `InputError` `different-grids` where the axes are not parallel.

    Examples
    --------
    >>> truth, result = sitk.Image(4, 4, 2, sitk.sitkUInt8), sitk.Image(8, 8, 8, sitk.sitkUInt8)
    >>> truth.SetSpacing((1.0, 1.0, 2.5))
    >>> result.SetSpacing((0.5, 0.5, 0.5))
    >>> divided(truth, result).GetSize()
    (8, 8, 10)
    """
    image = in_axes_of(reference, image)
    if _same_lattice(reference, image):
        return reference
    _check_parallel(reference, image)
    spacing = np.array(reference.GetSpacing())
    parts = np.maximum(np.ceil(spacing / image.GetSpacing() - SAME_LENGTH), 1).astype(int)
    if (parts == 1).all():
        return reference
    array = sitk.GetArrayFromImage(reference)
    for axis, count in enumerate(parts[::-1]):
        array = array.repeat(count, axis=axis)
    found = sitk.GetImageFromArray(array)
    found.SetSpacing((spacing / parts).tolist())
    found.SetDirection(reference.GetDirection())
    first = (1 / parts - 1) / 2  # the centre of the first part, in voxels of the reference
    found.SetOrigin((reference.GetOrigin() + _axes(reference) @ (first * spacing)).tolist())
    return found


def at_voxels_of(reference: sitk.Image, image: sitk.Image) -> sitk.Image:
    """The image on the reference's grid: each voxel takes what the image's voxel around its centre holds, and 0 beyond.

    Nothing is interpolated. Raises `InputError` `different-grids` where the axes are not parallel.
    """
    image = in_axes_of(reference, image)
    if image.IsSameImageGeometryAs(reference):
        return image
    if not _same_lattice(reference, image):
        _check_parallel(reference, image)
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


def _check_parallel(reference: sitk.Image, image: sitk.Image) -> None:
    """Whether the far end of the image lies where it would along the reference's axes."""
    far = np.array(image.GetSize()) * image.GetSpacing()
    off_mm = np.abs((_axes(image) - _axes(reference)) * far).sum(axis=1).max()
    if off_mm > LATTICE_TOLERANCE * min(image.GetSpacing()):
        raise InputError(
            "different-grids",
            "The images lie on grids whose axes are not parallel: bring the result's probabilities to axes along those "
            "of the truth, and compare again.",
        )


def _axes(image: sitk.Image) -> np.ndarray:
    """(3, 3): unit vectors along the image's axes, as columns."""
    return np.reshape(image.GetDirection(), (3, 3))
