"""Distances on a grid that are finer than its voxels."""

from math import erf

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.places import Bounds
from OrbitalSegLib.training.templates.seeds import Capsule

SMOOTHING_MM = 0.5
"""Takes the steps of the voxels out of a distance: on a plane at any angle they are 0.2 mm and more without it."""


def empty_grid(box_mm: Bounds, spacing_mm: float) -> sitk.Image:
    """An empty isotropic grid over a box in LPS mm."""
    grid = sitk.Image([int(np.ceil((high - low) / spacing_mm)) + 1 for low, high in box_mm], sitk.sitkUInt8)
    grid.SetOrigin([low for low, _ in box_mm])
    grid.SetSpacing([spacing_mm] * 3)
    return grid


def signed_mm(inside: np.ndarray, grid: sitk.Image, reach_mm: float = np.inf) -> np.ndarray:
    """Signed distance to the faces of a mask in mm, negative inside, float32; further out than `reach_mm` some larger
    value."""
    spacing = grid.GetSpacing()[0]
    distance = np.full(inside.shape, 1e3, np.float32)
    block = _around(inside, reach_mm / spacing)
    if block is None:
        return distance
    mask = sitk.GetImageFromArray(inside[block].astype(np.uint8))
    part = sitk.SignedMaurerDistanceMap(mask, insideIsPositive=False, squaredDistance=False, useImageSpacing=False)
    # The filter measures to the centres of the mask's outermost voxels.
    distance[block] = (sitk.GetArrayFromImage(part) - 0.5) * spacing
    return distance


def _around(inside: np.ndarray, margin: float) -> tuple[slice, ...] | None:
    """The box around a mask with a margin in voxels; None where the mask is empty."""
    block = []
    for axis in range(3):
        found = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        if not found.size:
            return None
        low, high = found[0] - margin, found[-1] + 1 + margin
        block.append(slice(int(max(low, 0)), int(min(high, inside.shape[axis]))))
    return tuple(block)


def unsigned_mm(sheet: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """Distance to a sheet one voxel thick, in mm, zero on its smoothed middle."""
    half = grid.GetSpacing()[0] / 2
    distance = np.maximum(signed_mm(sheet, grid) + half, 0)
    return _unblurred(smooth(distance, grid), SMOOTHING_MM)


def _unblurred(blurred_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """The distance to a plane of which a Gaussian blur of this width was given."""
    x = np.linspace(0, 6 * sigma_mm, 200)
    blurred = sigma_mm * np.sqrt(2 / np.pi) * np.exp(-((x / sigma_mm) ** 2) / 2)
    blurred += x * np.array([erf(v / (sigma_mm * np.sqrt(2))) for v in x])
    near = np.interp(blurred_mm, blurred, x).astype(np.float32)
    return np.where(blurred_mm < blurred[-1], near, blurred_mm)


def smooth(array: np.ndarray, grid: sitk.Image, sigma_mm: float = SMOOTHING_MM) -> np.ndarray:
    """A Gaussian blur, float32."""
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(on_grid(array.astype(np.float32), grid), sigma_mm))


def capsules_mm(capsules: tuple[Capsule, ...], grid: sitk.Image) -> np.ndarray:
    """Signed distance to the union of capsules in mm, negative inside; 1000 where none is near."""
    nearest = np.full(grid.GetSize()[::-1], 1e3, np.float32)
    origin, spacing = np.array(grid.GetOrigin()), grid.GetSpacing()[0]
    for capsule in capsules:
        start, end = np.array(capsule.start_mm), np.array(capsule.end_mm)
        reach = capsule.radius_mm + 2
        low = np.floor((np.minimum(start, end) - reach - origin) / spacing).astype(int)
        high = np.ceil((np.maximum(start, end) + reach - origin) / spacing).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, grid.GetSize())
        if (low >= high).any():
            continue
        axes = [np.arange(a, b) * spacing + o for a, b, o in zip(low, high, origin, strict=True)]
        z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij", sparse=True)
        block = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
        nearest[block] = np.minimum(nearest[block], _to_line(x, y, z, start, end) - capsule.radius_mm)
    return nearest


def _to_line(x: np.ndarray, y: np.ndarray, z: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    length2 = max(float(along @ along), 1e-9)
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1] + (z - start[2]) * along[2]) / length2, 0, 1)
    return np.sqrt(
        (x - start[0] - t * along[0]) ** 2 + (y - start[1] - t * along[1]) ** 2 + (z - start[2] - t * along[2]) ** 2
    )
