"""What is known of the walls of an orbit: points on their mid-surfaces, and the file that holds them."""

from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np

from OrbitalSegLib.errors import InputError


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

    def at(self, where: np.ndarray) -> "WallPoints":
        """Some of the points: by flags (n,), or by their numbers."""
        return WallPoints(**{one.name: getattr(self, one.name)[where] for one in fields(self)})


WALL_ARRAYS = ("wall", "side", "thickness_mm", "hole", "depth_mm", "area_mm2", "normals")
"""The arrays of a `walls.vtp`, one value for each point."""


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
