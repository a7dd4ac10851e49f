"""The grid on which a result lies: the method's own where a voxel of the scan is longer than its voxels, or the scan's.

A mask on a coarse grid loses walls that the networks saw, and widens those that it keeps (docs/inference.md).
"""

from typing import Literal

import SimpleITK as sitk

from OrbitalSegLib.region import Region

GridChoice = Literal["auto", "scan"]
"""`auto`: the finer of the two; `scan`: the scan grid, whatever it is."""

SAME_LENGTH = 1.01
"""Voxels that differ by less are as long as each other: exporters round spacings."""


def is_finer(own: sitk.Image, scan: sitk.Image) -> bool:
    """Whether the scan's voxels are longer, in any direction, than those of a method's own grid."""
    return bool(max(scan.GetSpacing()) > SAME_LENGTH * max(own.GetSpacing()))


def on_result_grid(
    on_scan: dict[str, sitk.Image], own: dict[str, sitk.Image], region: Region, grid: GridChoice = "auto"
) -> dict[str, sitk.Image]:
    """The masks of a result, of those on the scan grid and those on the method's own: the latter, cut to the region,
    where theirs is the finer grid."""
    if grid == "auto" and is_finer(next(iter(own.values())), next(iter(on_scan.values()))):
        return {name: _cut_out(mask, region) for name, mask in own.items()}
    return on_scan


def _cut_out(mask: sitk.Image, region: Region) -> sitk.Image:
    """The part of a mask that a region holds, whole voxels; those whose centre lies outside are empty."""
    part = region.inner_part(mask)
    return part if region.box_mm is None else sitk.Multiply(part, region.within(part))
