"""A case: a scan with its label, made by synthesis or imported, as a folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import whole, write_image, writing

CASE_VERSION = 1
WORKING_SPACING_MM = 0.5
"""The working grid on which the networks see a scan."""

LABEL_HALF_WIDTH_MM = 0.38
"""The training label of a thin wall reaches this far from its mid-surface: no gaps on the working grid."""


class Flag(IntFlag):
    """The bits of a case's label."""

    BONE = 1
    """Training label: at least half bone, or within `LABEL_HALF_WIDTH_MM` of the mid-surface of a wall."""
    HOLE = 2
    """Where a fracture removed a wall: the band that the wall's label would have."""
    WALL = 4
    """Near the mid-surface of floor, medial wall or roof: where balanced patches are drawn."""
    IGNORE = 8
    """Not scored: the rim of a hole, metal, and what the field of view cuts off."""
    ORBIT = 16
    AIRSPACE = 32
    """Sinuses and nose, whatever fills them."""
    CRANIAL = 64


class Wall(IntEnum):
    """The walls of an orbit: the array `wall` of a case's mid-surface points."""

    FLOOR = 0
    MEDIAL = 1
    ROOF = 2
    LATERAL = 3


@dataclass(frozen=True)
class WallPoints:
    """Points on the mid-surfaces of the orbits' walls; arrays of one length, points and normals (n, 3) in LPS."""

    points_mm: np.ndarray
    normals: np.ndarray
    """Unit vectors out of the orbit."""
    wall: np.ndarray
    """`Wall`."""
    side: np.ndarray
    """0 right, 1 left."""
    thickness_mm: np.ndarray
    """0 in a hole."""
    hole: np.ndarray
    """1 where a fracture removed the wall, else 0."""
    depth_mm: np.ndarray
    """Distance inside the rim of a hole; negative outside, and -99 far from every hole."""
    area_mm2: np.ndarray
    """How much of the mid-surface a point stands for."""


WALL_ARRAYS = ("wall", "side", "thickness_mm", "hole", "depth_mm", "area_mm2", "normals")
"""The arrays of a `walls.vtp`, one value for each point."""


@dataclass(frozen=True)
class Case:
    """A scan and what is known of it."""

    ct: sitk.Image
    """HU on the scanner's grid, signed 16 bits."""
    working_ct: sitk.Image
    """The same as the networks see it: on the working grid."""
    clean: sitk.Image
    """`working_ct` without noise and streaks; from it labels are divided into cortical and thin."""
    label: sitk.Image
    """Bits of `Flag` on the working grid, unsigned 8 bits."""
    walls: WallPoints
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Template, seed, every drawn parameter, scanner; plain JSON."""
    truth: sitk.Image | None = None
    """1 where the bone fraction is at least one half, on a grid of 0.2 mm or finer."""


IMAGES = {"ct": "ct", "working_ct": "working-ct", "clean": "clean", "label": "label"}
"""Image of a case -> its file without ending."""


def write_case(case: Case, folder: Path) -> None:
    """Write the folder whole or not at all. Raises `OutputError` `exists`, `cannot-write` or `disk-full`."""
    with whole(folder) as new, writing(folder.parent):
        new.mkdir()
        for name, file in IMAGES.items():
            write_image(getattr(case, name), new / f"{file}.nrrd")
        if case.truth is not None:
            write_image(case.truth, new / "truth.nrrd")
        write_walls(case.walls, new / "walls.vtp")
        facts = {"case": CASE_VERSION, **case.facts}
        (new / "case.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def is_case(folder: Path) -> bool:
    """Whether a folder holds a case that was written whole."""
    return (folder / "case.json").is_file()


def read_case(folder: Path) -> Case:
    """Read a folder written by `write_case`. Raises `InputError` `no-such-input` or `unreadable`."""
    if not is_case(folder):
        raise InputError("no-such-input", "There is no case in this folder: case.json is missing.")
    try:
        facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        images = {name: sitk.ReadImage(str(folder / f"{file}.nrrd")) for name, file in IMAGES.items()}
        truth = folder / "truth.nrrd"
        return Case(
            **images,
            walls=read_walls(folder / "walls.vtp"),
            facts=facts,
            truth=sitk.ReadImage(str(truth)) if truth.is_file() else None,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError("unreadable", "A file of the case is missing or damaged: make the case anew.") from error


def write_walls(points: WallPoints, path: Path) -> None:
    """Write points on walls as VTK's XML (`.vtp`). Raises OSError."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    places = vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points.points_mm, np.float32), deep=True))
    cloud = vtkPolyData()
    cloud.SetPoints(places)
    for name in WALL_ARRAYS:
        array = numpy_to_vtk(np.ascontiguousarray(getattr(points, name)), deep=True)
        array.SetName(name)
        cloud.GetPointData().AddArray(array)
    cloud.GetPointData().SetActiveNormals("normals")
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(cloud)
    writer.SetFileName(str(path))
    if not writer.Write():
        raise OSError(f"{path.name} could not be written")


def read_walls(path: Path) -> WallPoints:
    """Read a file written by `write_walls`. Raises `InputError` `unreadable`."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    unreadable = InputError("unreadable", "The walls cannot be read: give the walls.vtp of a synthetic case.")
    reader = vtkXMLPolyDataReader()
    if not reader.CanReadFile(str(path)):
        raise unreadable
    reader.SetFileName(str(path))
    reader.Update()
    cloud = reader.GetOutput()
    data = cloud.GetPointData()
    arrays = {}
    for name in WALL_ARRAYS:
        if not data.HasArray(name):
            raise unreadable
        arrays[name] = vtk_to_numpy(data.GetArray(name)).copy()
    places = cloud.GetPoints()
    points = vtk_to_numpy(places.GetData()).copy() if places is not None else np.empty((0, 3), np.float32)
    return WallPoints(points_mm=points, **arrays)
