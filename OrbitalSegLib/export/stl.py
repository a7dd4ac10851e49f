"""Binary STL in LPS millimetres, read back before it counts as written."""

from pathlib import Path

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.files import output_error
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Floats, Integers, cross, dot, slices
from OrbitalSegLib.product import VERSION

HEADER_BYTES = 80

FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
"""One triangle of a binary STL: 50 bytes."""

WRONG = "The surface file is not what was written: check the disk it is on, or choose another folder, and run again."
UNREADABLE = "The file is not a binary STL: export the surface again."


def write_stl(surface: vtkPolyData, path: Path, title: str = "") -> None:
    """Write a surface of triangles, whose points are LPS and mm, and read it back.

    The 80-byte header holds product, version, `SPACE=LPS`, the unit, that it is not a medical device, and of `title`
    what still fits. The same surface gives the same bytes. Raises `OutputError` `disk-full` or `cannot-write`.
    """
    points, triangles = mesh.arrays_of(surface)
    facets = np.zeros(len(triangles), FACET)
    facets["corners"] = points[triangles]
    for some in slices(len(facets)):
        facets["normal"][some] = _normals(facets["corners"][some])
    try:
        with path.open("wb") as file:
            file.write(_header(title))
            file.write(np.uint32(len(facets)).tobytes())
            file.write(facets.data)
        written = _read_facets(path)
    except OSError as error:
        raise output_error(error, path.parent) from error
    if written is None or not np.array_equal(written["corners"], facets["corners"]):
        raise OutputError("cannot-write", WRONG)


def read_stl(path: Path) -> vtkPolyData:
    """The surface in a binary STL, its corners welded by position. Raises `InputError` `unreadable`."""
    corners, _ = read_corners(path)
    points, triangles = np.unique(corners, axis=0, return_inverse=True)
    return mesh.surface_of(points, triangles.reshape(-1, 3))


def read_corners(path: Path) -> tuple[Floats, Integers]:
    """The same without welding: three points (n, 3) of its own for every triangle (m, 3)."""
    try:
        facets = _read_facets(path)
    except OSError as error:
        raise InputError("unreadable", UNREADABLE) from error
    if facets is None:
        raise InputError("unreadable", UNREADABLE)
    corners = facets["corners"].reshape(-1, 3)
    return corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3)


def _header(title: str) -> bytes:
    """80 bytes that do not begin with "solid", by which readers tell a text STL."""
    text = f"OrbitalSeg {VERSION} SPACE=LPS UNIT=mm not a medical device {title}"
    return text.encode("ascii", "replace")[:HEADER_BYTES].ljust(HEADER_BYTES)


def _normals(corners: Floats) -> Floats:
    """Unit normals of triangles (n, 3, 3)."""
    a, b, c = (np.ascontiguousarray(corner.T, np.float64) for corner in corners.transpose(1, 0, 2))
    normals = cross(b - a, c - a)
    return (normals / np.maximum(np.sqrt(dot(normals, normals)), np.finfo(float).tiny)).T


def _read_facets(path: Path) -> np.ndarray | None:
    """The triangles in a binary STL, or None if it is none."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES + 4)
        facets = np.fromfile(file, FACET)
        size = file.seek(0, 2)
    count = int.from_bytes(head[HEADER_BYTES:], "little")
    return facets if size == HEADER_BYTES + 4 + count * FACET.itemsize else None
