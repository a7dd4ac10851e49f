"""The grid on which a result lies: the method's own where a voxel of the scan is longer than its voxels, the scan's, or
one of a spacing that was asked for.

A mask on a coarse grid loses walls that the networks saw, and widens those that it keeps (docs/inference.md).
"""

from typing import Literal

import SimpleITK as sitk

from OrbitalSegLib.preprocessing import WorkingGrid, working_grid
from OrbitalSegLib.region import Region

GridName = Literal["auto", "scan"]

GridChoice = GridName | float
"""`auto`: the finer of the method's own and the scan's; `scan`: the scan grid, whatever it is; a number: the spacing of
an isotropic grid along the scan's axes, in mm."""

FINEST_MM, COARSEST_MM = 0.2, 1.0
"""Of a spacing that is asked for. No probability tells more than its own grid: finer voxels only end more smoothly."""

SAME_LENGTH = 1.01
"""Voxels that differ by less are as long as each other: exporters round spacings."""


def is_finer(own: sitk.Image, scan: sitk.Image) -> bool:
    """Whether the scan's voxels are longer, in any direction, than those of a method's own grid."""
    return bool(max(scan.GetSpacing()) > SAME_LENGTH * max(own.GetSpacing()))


def asked_grid(scan: sitk.Image, spacing_mm: float, region: Region) -> WorkingGrid:
    """The grid of region and margin with a spacing that was asked for."""
    return working_grid(scan, spacing_mm, region.margin_box_mm)
