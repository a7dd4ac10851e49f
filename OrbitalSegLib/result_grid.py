"""The grid on which a result lies: the method's own where a voxel of the scan is longer than its voxels, or the scan's.

A mask on a coarse grid loses walls that the networks saw, and widens those that it keeps (docs/inference.md).
"""

from typing import Literal

import SimpleITK as sitk

GridChoice = Literal["auto", "scan"]
"""`auto`: the finer of the two; `scan`: the scan grid, whatever it is."""

SAME_LENGTH = 1.01
"""Voxels that differ by less are as long as each other: exporters round spacings."""


def is_finer(own: sitk.Image, scan: sitk.Image) -> bool:
    """Whether the scan's voxels are longer, in any direction, than those of a method's own grid."""
    return bool(max(scan.GetSpacing()) > SAME_LENGTH * max(own.GetSpacing()))
