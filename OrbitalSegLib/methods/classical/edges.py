"""What the methods share that look for the edges of bone: edges closed, and what they enclose filled [3532-1 6.3]."""

from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.images import mask_array, mask_on_grid
from OrbitalSegLib.methods.classical.histogram import SOFT_HU, no_bone
from OrbitalSegLib.methods.method import ByValue, Task
from OrbitalSegLib.methods.parameters import parameter

DARKEST_HU, BRIGHTEST_HU = 0.0, 1000.0
"""Edges are looked for between these, so that skin and air cells have weak ones, and dense bone none inside."""


def closing_parameter(voxels: int) -> Any:
    """Of every such method. Ours: as few as keep bone apart from what lies beside it, for closing blurs thin walls."""
    return parameter(voxels, "Edges closed over", "voxels", 0, 5, whole=True)


def mean_parameter() -> Any:
    """Of every such method. What edges enclose is bone where its mean is above this: cortical bone [3532-2 D.3]."""
    return parameter(200.0, "Bone has its mean above", "HU", SOFT_HU, 3071.0)


def windowed(ct: sitk.Image) -> sitk.Image:
    """HU between the darkest and the brightest that count, 32-bit float."""
    return sitk.Clamp(sitk.Cast(ct, sitk.sitkFloat32), lowerBound=DARKEST_HU, upperBound=BRIGHTEST_HU)


def filled(task: Task, edges: sitk.Image, closing: int, mean_hu: float, parameters: dict[str, Any]) -> ByValue:
    """Bone of edges: the pieces into which they cut the scan where these are bright, and the bright side of each edge.

    On an edge and beside it is bone what is nearer to the brightest than to the darkest neighbour (26), and brighter
    than soft tissue: so a wall between two edges stays, however dark it is.

    Raises `InputError` `empty-result` where there is neither.
    """
    ct = task.part
    if closing:
        edges = sitk.BinaryMorphologicalClosing(edges, [closing] * 3)
    hu = sitk.GetArrayFromImage(windowed(ct))
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(edges == 0))
    count = np.maximum(np.bincount(pieces.ravel()), 1)
    means = np.bincount(pieces.ravel(), hu.ravel()) / count
    bright = means > mean_hu
    bright[0] = False
    middle = (sitk.GrayscaleDilate(windowed(ct), [1] * 3) + sitk.GrayscaleErode(windowed(ct), [1] * 3)) / 2
    on_edge = (
        mask_array(sitk.BinaryDilate(edges, [1] * 3, sitk.sitkBox))
        & (hu > sitk.GetArrayFromImage(middle))
        & (hu > SOFT_HU)
    )
    bone = bright[pieces] | on_edge
    if not bone.any():
        raise no_bone(float(means[1:].max(initial=DARKEST_HU)))
    measured = {
        "edge_voxels": int(mask_array(edges).sum()),
        "pieces": len(means) - 1,
        "bright_pieces": int(bright.sum()),
    }
    return ByValue(ct, task.allowed(mask_on_grid(bone, ct)), parameters, measured=measured)
