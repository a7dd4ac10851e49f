"""Images as arrays and back, and how large what they hold is: one place for each helper."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Voxels = tuple[slice, slice, slice]
"""A box of an array's voxels: along z, y and x."""

DIGITS_OF_ML = 4


def volume_ml(mask: sitk.Image) -> float:
    """The volume of the voxels of a mask that are not 0, in ml, rounded as records have it.

    Examples
    --------
    >>> mask = sitk.Image(10, 10, 10, sitk.sitkUInt8) + 1
    >>> mask.SetSpacing((0.5, 0.5, 2.0))
    >>> volume_ml(mask)
    0.5
    """
    voxels = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
    return round(voxels * float(np.prod(mask.GetSpacing())) / 1000, DIGITS_OF_ML)


def on_grid(array: NDArray, grid: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image on the grid of another image.

    Examples
    --------
    >>> ct = sitk.Image(3, 2, 1, sitk.sitkInt16)
    >>> on_grid(np.zeros((1, 2, 3), np.float32), ct).IsSameImageGeometryAs(ct)
    True
    """
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image


def mask_on_grid(flags: NDArray, grid: sitk.Image) -> sitk.Image:
    """Flags (z, y, x) as a mask on the grid of an image: unsigned 8 bits, 0 or 1."""
    return on_grid(flags.astype(np.uint8), grid)


def mask_array(mask: sitk.Image) -> NDArray[np.bool_]:
    """A mask's voxels that are not 0 as an array of flags (z, y, x)."""
    flags: NDArray[np.bool_] = sitk.GetArrayViewFromImage(mask) != 0
    return flags


def spacing_zyx(image: sitk.Image) -> NDArray[np.float64]:
    """The spacing in mm in the order of the array's axes."""
    return np.array(image.GetSpacing()[::-1])


def bounds(flags: NDArray[np.bool_]) -> Voxels:
    """The box around the set voxels (z, y, x); one voxel where there is none.

    Examples
    --------
    >>> flags = np.zeros((4, 5, 6), bool)
    >>> flags[1, 2:4, 3] = True
    >>> bounds(flags)
    (slice(1, 2, None), slice(2, 4, None), slice(3, 4, None))
    """
    used = [np.flatnonzero(flags.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    z, y, x = (slice(int(u[0]), int(u[-1]) + 1) if u.size else slice(0, 1) for u in used)
    return z, y, x
