"""Images as arrays and back, and how large what they hold is: one place for each helper."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

DIGITS_OF_ML = 4


def volume_ml(mask: sitk.Image) -> float:
    """The volume of the voxels of a mask that are not 0, rounded as records have it."""
    voxels = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
    return round(voxels * float(np.prod(mask.GetSpacing())) / 1000, DIGITS_OF_ML)


def on_grid(array: NDArray, grid: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image on the grid of another."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image
