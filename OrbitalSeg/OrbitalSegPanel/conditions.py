"""A volume of the scene held against table A.1, at once: by its grid, and by what the scanner said of it."""

from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import acquisition
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, Planes, Scan, acquisition_from
from OrbitalSegPanel.origin import said_of
from OrbitalSegPanel.volumes import grid_of


def judge(volume: Any) -> tuple[list[Condition], Feasibility]:
    """Every row of the table, and the judgement for thin walls; `not stated` where nobody says."""
    size, spacing, origin, direction = grid_of(volume)
    geometry = sitk.Image(size, sitk.sitkUInt8)
    geometry.SetSpacing(spacing)
    geometry.SetOrigin(origin)
    geometry.SetDirection(direction)
    said = said_of(volume)
    known = Acquisition(
        file_format="volume of the scene",
        matrix=(size[1], size[0]),
        pixel_mm=max(spacing[:2]),
        slice_distance_mm=spacing[2],
    )
    found = acquisition_from(said) if said else known
    return acquisition.check(Scan(geometry, found, Planes.of(geometry), "nrrd"), Region())
