"""Gaps in walls that the scan may have made: proposed, never closed.

A wall that is too thin for its voxels, or was blurred, falls below the limit of bone in places, and the mask has a gap
there; but its bone fraction still stands out from both sides. A foramen, a fissure or a fracture has none.
"""

from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.intersections import Flags, Floats

EVIDENCE = 0.12
"""A lower bone fraction is noise."""

STANDS_OUT = 1.5
"""A wall's fraction is so many times that beside it, two voxels away on both sides."""

LEAST_VOXELS = 2
LISTED = 50


def wall_support(fraction: Floats) -> Flags:
    """Voxels (z, y, x) of walls too thin to reach one half: their fraction stands out from both sides."""
    support = np.zeros(fraction.shape, bool)
    padded = np.pad(fraction, 2)
    core = (slice(2, -2),) * 3
    for step in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0)):
        beside = [
            padded[tuple(slice(2 + s * way, n - 2 + s * way) for s, n in zip(step, padded.shape, strict=True))]
            for way in (-2, -1, 1, 2)
        ]
        two_before, before, after, two_after = beside
        peak = np.maximum(np.maximum(before, after), padded[core])
        side = np.maximum(two_before, two_after)
        support |= (padded[core] >= EVIDENCE) & (padded[core] >= peak / 2) & (peak >= STANDS_OUT * side)
    return support


def gaps(bone: BoneField) -> list[dict[str, Any]]:
    """Gaps in the mask in which a wall's bone fraction goes on below one half, largest first.

    Each has its area (its voxels' volume, divided by the length of a voxel's side of that volume), its middle in LPS mm
    and its mean bone fraction.
    """
    if bone.fraction is None:
        return []
    mask = sitk.GetArrayFromImage(bone.mask) != 0
    candidates = wall_support(sitk.GetArrayFromImage(bone.fraction)) & ~mask & _beside(mask)
    labels = sitk.ConnectedComponent(_image(candidates, bone.mask), True)
    figures = sitk.LabelIntensityStatisticsImageFilter()
    figures.Execute(labels, bone.fraction)
    voxel_mm3 = float(np.prod(bone.mask.GetSpacing()))
    found = [
        {
            "area_mm2": round(figures.GetNumberOfPixels(label) * voxel_mm3 ** (2 / 3), 2),
            "middle_mm": [round(x, 1) for x in figures.GetCentroid(label)],
            "mean_fraction": round(figures.GetMean(label), 3),
        }
        for label in figures.GetLabels()
        if figures.GetNumberOfPixels(label) >= LEAST_VOXELS
    ]
    return sorted(found, key=lambda gap: -gap["area_mm2"])[:LISTED]


def _beside(mask: Flags) -> Flags:
    """Within three voxels of the mask: further away there is no wall to have a gap in."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [3, 3, 3], sitk.sitkBox)) != 0


def _image(flags: Flags, grid: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(flags.astype(np.uint8))
    image.CopyInformation(grid)
    return image
