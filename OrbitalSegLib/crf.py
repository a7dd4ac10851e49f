"""A conditional random field: labels that agree with their neighbours where the image shows no edge [3532-2 13].

Our own: a pairwise field on the 26 neighbours of each voxel near the border of what is above a limit. Neighbours count
by their distance and by how alike they are in HU; the mean field is found in a fixed number of steps, in each of which
all voxels change at once, so that no order matters.
"""

from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.progress import Progress, silent

STEPS = 5
"""Of the mean field: it changes little after these."""

ALIKE_HU = 60.0
"""Neighbours that differ by this count 61 % of those that do not: three times the noise of a usual scan. Ours."""

BAND_VOXELS = 2
"""So far from the border of the mask voxels may change."""

FULL = 255
"""The 8-bit value of a probability of 1."""

_AT_ONCE = 1 << 19
"""Voxels that are looked at together, which bounds the memory."""

Array = NDArray[np.float32]


def refine(
    probability: sitk.Image, ct: sitk.Image, limit: float, weight: float, progress: Progress = silent
) -> sitk.Image:
    """The probability (unsigned 8 bits, value / 255) as the field would have it; `weight` 0 leaves it as it is.

    `ct` is HU on the same grid. What is above `limit` is a label; `weight`, in units of the logit, is what all 26
    neighbours say together when they are sure and look the same as the voxel itself.
    """
    if weight == 0:
        return probability
    field = np.pad(sitk.GetArrayFromImage(probability), 1, mode="edge")
    band = np.flatnonzero(_band(field > limit * FULL))
    if not len(band):
        return probability
    hu = np.pad(sitk.GetArrayFromImage(ct), 1, mode="edge").ravel()
    offsets, shares = _neighbours(field.shape, probability.GetSpacing())
    decided = _logit(np.full(1, limit))
    own = _logit(field.ravel()[band] / FULL) - decided
    sides = np.sign(field.ravel() - np.float32(limit * FULL)).astype(np.float32)
    sides[band] = np.tanh(own / 2)
    now = own
    for step in range(STEPS):
        now = np.empty_like(own)
        for start in range(0, len(band), _AT_ONCE):
            which = slice(start, start + _AT_ONCE)
            now[which] = own[which] + np.float32(weight) * _said(band[which], hu, sides, offsets, shares)
            progress((step + min(start + _AT_ONCE, len(band)) / len(band)) / STEPS)
        sides[band] = np.tanh(now / 2)
    refined = field.ravel()
    refined[band] = np.rint(FULL / (1 + np.exp(-(now + decided))))
    return on_grid(refined.reshape(field.shape)[1:-1, 1:-1, 1:-1], probability)


def _band(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels near the border of a mask, less the rim of the array."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    reach = [BAND_VOXELS] * 3
    grown = sitk.GetArrayFromImage(sitk.BinaryDilate(image, reach, sitk.sitkBox))
    left = sitk.GetArrayFromImage(sitk.BinaryErode(image, reach, sitk.sitkBox))
    inner = np.zeros(mask.shape, bool)
    inner[1:-1, 1:-1, 1:-1] = (grown != left)[1:-1, 1:-1, 1:-1]
    return inner


def _neighbours(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> tuple[list[int], list[np.float32]]:
    """How far each of the 26 lies in a flat array, and its share by the inverse of its distance; they sum to 1."""
    steps = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
    inverse = np.array([1 / np.linalg.norm(np.multiply(step, spacing_mm[::-1])) for step in steps])
    strides = (shape[1] * shape[2], shape[2], 1)
    return [int(np.dot(step, strides)) for step in steps], list((inverse / inverse.sum()).astype(np.float32))


def _said(voxels: NDArray[np.int64], hu: NDArray, sides: Array, offsets: list[int], shares: list[np.float32]) -> Array:
    """What the neighbours say of each voxel, -1 to 1."""
    here = hu[voxels].astype(np.float32)
    total = np.zeros(len(voxels), np.float32)
    for offset, share in zip(offsets, shares, strict=True):
        there = voxels + offset
        differs = (hu[there] - here) * np.float32(1 / ALIKE_HU)
        total += share * np.exp(np.float32(-0.5) * differs * differs) * sides[there]
    return total


def _logit(probability: NDArray[np.float64]) -> Array:
    """Of 8-bit values, whose ends are as sure as half a level."""
    clipped = np.clip(probability, 0.5 / FULL, 1 - 0.5 / FULL)
    return np.log(clipped / (1 - clipped)).astype(np.float32)
