"""A volume of the scene held against table A.1, at once: by its grid, and by what the scanner said of it."""

import json
from dataclasses import asdict
from typing import Any

import SimpleITK as sitk
import slicer

from OrbitalSegLib import acquisition, reading
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, Planes, Scan, acquisition_from
from OrbitalSegPanel.volumes import grid_of, header_files, put_image

ATTRIBUTE = "OrbitalSeg.acquisition"
"""Where a volume keeps what the scanner said of it: it is saved with the scene, without the DICOM files."""


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


def said_of(volume: Any) -> dict[str, Any] | None:
    """What the scanner said, as the record writes it; None if nobody knows. DICOM headers are read once."""
    kept = volume.GetAttribute(ATTRIBUTE)
    if kept:
        return json.loads(kept)
    files = header_files(volume)
    if not files:
        return None
    try:
        said = asdict(reading.acquisition_of(files))
    except InputError:
        return None  # files that have changed since Slicer read them say nothing of this volume
    remember(volume, said)
    return said


def remember(volume: Any, said: dict[str, Any]) -> None:
    volume.SetAttribute(ATTRIBUTE, json.dumps(said))


def series_as_volume(folder: Any, name: str) -> Any:
    """A DICOM series as a new volume, with what the scanner said of it. Raises `InputError`."""
    scan = reading.read(folder)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    put_image(node, scan.image)
    remember(node, asdict(scan.acquisition))
    return node
