"""How much of each voxel is bone, by what a method measured: 32-bit float, 0 to 1, one half at the limit of bone."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import on_grid

SOFT_HU = 60.0
"""Muscle and other soft tissue end about here: what is not above holds no bone."""

NARROWEST_HU = 40.0
"""Half the window of HU is no narrower than this, however low the limit of bone is."""

LEAST_LIMIT = 0.02
"""A limit of probability that is nearer to 0 or 1 is treated as this."""


def fraction_of_ct(ct: sitk.Image, lower_hu: float, upper_hu: float | None = None) -> sitk.Image:
    """One half at `lower_hu`, nothing in soft tissue, linear between and as far above; no bone above `upper_hu`.

    Parameters
    ----------
    ct
        In HU.
    lower_hu
        Where bone ends: half a voxel of it.
    upper_hu
        Above it there is no bone but metal; None: nothing is too dense.

    Returns
    -------
    fraction
        32-bit float from 0 to 1, on the CT's grid.
    """
    hu, half = sitk.GetArrayFromImage(ct), max(lower_hu - SOFT_HU, NARROWEST_HU)
    fraction = _window(hu, lower_hu, half)
    if upper_hu is not None:
        fraction = np.minimum(fraction, 1 - _window(hu, upper_hu, half))
    return on_grid(fraction, ct)


def fraction_of_probability(probability: sitk.Image, limit: float) -> sitk.Image:
    """Of a probability (8 bits, value / 255): one half at the limit, linear as far as to 0 or 1, what is nearer.

    Parameters
    ----------
    probability
        Unsigned 8 bits.
    limit
        From 0 to 1.

    Returns
    -------
    fraction
        32-bit float from 0 to 1, on the same grid.
    """
    half = max(min(limit, 1 - limit), LEAST_LIMIT)
    values = sitk.GetArrayFromImage(probability).astype(np.float32) / np.float32(255)
    return on_grid(_window(values, limit, half), probability)


def _window(values: NDArray, middle: float, half: float) -> NDArray[np.float32]:
    return np.clip((values.astype(np.float32) - np.float32(middle)) / np.float32(2 * half) + np.float32(0.5), 0, 1)
