"""Surfaces as files: every format is one row of a table, and every file is read back before it counts as written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.export import obj, ply, stl, threemf
from OrbitalSegLib.files import output_error, safe_name
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers
from OrbitalSegLib.structures import INFERRED, RECONSTRUCTED, STRUCTURES, Colour, Structure, of_surface

PLAIN: Colour = (0.8, 0.8, 0.8)
"""Of a surface whose name has no colour."""

MARKS = (INFERRED, RECONSTRUCTED)
"""Structures that may be part of another's surface, and are marked on it."""

NAME_AT_MOST = 250

VOLUME_ROUNDING = 1e-9
"""Volumes that differ by less than this part are the same: triangles may be summed in another order."""


@dataclass(frozen=True)
class Format:
    """How a surface is written and read: points (n, 3) in LPS mm, triangles (m, 3), a name and a colour."""

    ending: str
    write: Callable[[Floats, Integers, Path, str, Colour], None]
    read: Callable[[Path], tuple[Floats, Integers]]
    title: str
    """For people who choose one."""
    write_marked: Callable[[Floats, Integers, Path, str, Colour, Flags, Structure], None] | None = None
    """The same with triangles of another structure marked, where the format can."""


def _write_stl(points: Floats, triangles: Integers, path: Path, name: str, _colour: Colour) -> None:
    stl.write_stl(mesh.surface_of(points, triangles), path, title=name)


FORMATS = {
    "stl": Format("stl", _write_stl, stl.read_corners, "STL, for printers"),
    "3mf": Format("3mf", threemf.write, threemf.read, "3MF, for printers", threemf.write),
    "obj": Format("obj", obj.write, obj.read, "OBJ"),
    "ply": Format("ply", ply.write, ply.read, "PLY"),
}


MAIN_FORMAT = "stl"
"""Without it there is no surface; the others come besides."""


def surface_path(folder: Path, name: str, format_name: str = MAIN_FORMAT) -> Path:
    """Where `write_surface` writes."""
    return folder / f"{safe_name(name)}.{FORMATS[format_name].ending}"


def write_surface(
    surface: vtkPolyData,
    folder: Path,
    name: str,
    format_name: str = MAIN_FORMAT,
    structures: Mapping[str, Structure] = STRUCTURES,
) -> Path:
    """Write a surface as `NAME.ENDING`, read it back and compare: number of triangles, bounds and volume.

    Parameters
    ----------
    surface
        Triangles, LPS, mm.
    folder
        Where to.
    name
        Of a structure, or any: the file's name has only letters that every file system takes, its content all.
    format_name
        A name in `FORMATS`.
    structures
        Where titles and colours are from.

    Returns
    -------
    path
        Where it was written.

    Raises
    ------
    OutputError
        `cannot-write`, `disk-full`.
    """
    chosen = FORMATS[format_name]
    path = surface_path(folder, name, format_name)
    points, triangles = mesh.arrays_of(surface)
    points = points.astype(np.float32)
    structure, _side = of_surface(name, structures)
    shown = (structure.title if structure and name == structure.name else name)[:NAME_AT_MOST]
    try:
        colour, data = structure.colour if structure else PLAIN, surface.GetPointData()
        mark = next((one for one in MARKS if data.HasArray(one)), None)
        if mark is not None and chosen.write_marked is not None:
            marked = (vtk_to_numpy(data.GetArray(mark)) > 0)[triangles].all(axis=1)
            chosen.write_marked(points, triangles, path, shown, colour, marked, STRUCTURES[mark])
        else:
            chosen.write(points, triangles, path, shown, colour)
        read_points, read_triangles = chosen.read(path)
    except (OSError, ValueError) as error:
        raise output_error(error, folder) from error
    if not _same(points, triangles, read_points, read_triangles):
        raise OutputError("cannot-write", stl.WRONG)
    return path


def write_map(surface: vtkPolyData, path: Path) -> None:
    """Write a surface with what is known of its vertices, as VTK's XML; read back and compared. See `write_surface`."""
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(surface)
    writer.SetFileName(str(path))
    written = writer.Write()
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    if written and path.is_file():
        reader.Update()
    if not written or not _same(*mesh.arrays_of(surface), *mesh.arrays_of(reader.GetOutput())):
        raise output_error(OSError(), path.parent)


def _same(points: Floats, triangles: Integers, read_points: Floats, read_triangles: Integers) -> bool:
    """Whether a surface read back is the one written; STL forgets how points were numbered."""
    if len(triangles) != len(read_triangles):
        return False
    if len(triangles) == 0:
        return True
    bounds, read_bounds = _bounds(points, triangles), _bounds(read_points, read_triangles)
    volume_ml, read_volume_ml = mesh.volume_ml(points, triangles), mesh.volume_ml(read_points, read_triangles)
    return np.array_equal(bounds, read_bounds) and abs(volume_ml - read_volume_ml) <= VOLUME_ROUNDING * abs(volume_ml)


def _bounds(points: Floats, triangles: Integers) -> Floats:
    used = np.zeros(len(points), bool)
    used[triangles.ravel()] = True
    there = [axis[used] for axis in points.T]
    return np.array([axis.min() for axis in there] + [axis.max() for axis in there])
