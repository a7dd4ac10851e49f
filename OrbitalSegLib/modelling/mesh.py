"""Checks of a triangle mesh: is it closed, does it face outward, does it cross itself?"""

from dataclasses import dataclass

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from OrbitalSegLib.modelling.intersections import (
    Flags,
    Floats,
    Integers,
    at_any_corner,
    corners_of,
    cross,
    degenerate_triangles,
    dot,
    self_intersections,
    slices,
)
from OrbitalSegLib.progress import Progress, silent

FILLED_RINGS = 8
"""How far a value is carried to vertices that have none."""


@dataclass(frozen=True)
class MeshReport:
    """What is right and wrong with a mesh; lengths are mm.

    `open_edges` belong to one triangle, `non_manifold_edges` to more than two, `inconsistent_edges` to two that face
    opposite ways. `coincident_vertices` have the position of another vertex, which a file format without vertex numbers
    (STL) would weld. `volume_ml` is positive where the triangles face outward. `tunnels` is the genus, summed over all
    `parts`; it says something only of a closed mesh.
    """

    triangles: int
    open_edges: int
    non_manifold_edges: int
    inconsistent_edges: int
    duplicate_triangles: int
    degenerate_triangles: int
    coincident_vertices: int
    self_intersections: int
    parts: int
    tunnels: int
    volume_ml: float

    @property
    def sound(self) -> bool:
        """Closed, two triangles at every edge, facing outward, crossing nothing, nothing degenerate or twice."""
        defects = (
            self.open_edges
            + self.non_manifold_edges
            + self.inconsistent_edges
            + self.degenerate_triangles
            + self.duplicate_triangles
            + self.coincident_vertices
            + self.self_intersections
        )
        return self.triangles > 0 and defects == 0 and self.volume_ml > 0


def check(surface: vtkPolyData, progress: Progress = silent) -> MeshReport:
    """Look for every defect of `MeshReport` in a surface of triangles, whose points are mm [3532-1].

    Parameters
    ----------
    surface
        Triangles, mm.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    report
        How many there are of each, and whether the surface is sound: none of any.

    Raises
    ------
    ValueError
        It has polygons that are no triangles.

    Examples
    --------
    >>> corners = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
    >>> open_box = surface_of(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2]]))
    >>> report = check(open_box)
    >>> report.sound, report.open_edges
    (False, 3)
    """
    points, triangles = arrays_of(surface)
    topology = Topology(triangles)
    crossing = self_intersections(points, triangles, topology.wrong_vertices, progress=progress)
    return MeshReport(
        triangles=len(triangles),
        open_edges=topology.open_edges,
        non_manifold_edges=topology.non_manifold_edges,
        inconsistent_edges=topology.inconsistent_edges,
        duplicate_triangles=topology.duplicate_triangles,
        degenerate_triangles=int(degenerate_triangles(points, triangles).sum()),
        coincident_vertices=int(coincident_vertices(points).sum()),
        self_intersections=len(crossing),
        parts=topology.parts,
        tunnels=topology.tunnels,
        volume_ml=volume_ml(points, triangles),
    )


def arrays_of(surface: vtkPolyData) -> tuple[Floats, Integers]:
    """The points and triangles of a surface as arrays.

    Parameters
    ----------
    surface
        Of triangles alone.

    Returns
    -------
    points
        (n, 3), in the surface's units.
    triangles
        (m, 3), the numbers of each triangle's points.

    Raises
    ------
    ValueError
        It has other polygons.
    """
    polygons = surface.GetPolys()
    if polygons.GetNumberOfCells() == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if polygons.IsHomogeneous() != 3:
        raise ValueError("the surface has polygons that are not triangles")
    points = vtk_to_numpy(surface.GetPoints().GetData())
    triangles = vtk_to_numpy(polygons.GetConnectivityArray()).reshape(-1, 3)
    return points, triangles.astype(np.int32, copy=False)


def surface_of(points: Floats, triangles: Integers) -> vtkPolyData:
    """A surface of its own copy of points and triangles.

    Parameters
    ----------
    points
        (n, 3), mm.
    triangles
        (m, 3), the numbers of each triangle's points.

    Returns
    -------
    surface
        It shares no memory with the arrays.
    """
    vtk_points = vtkPoints()
    vtk_points.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    cells = vtkCellArray()
    connectivity = np.ascontiguousarray(triangles, np.int64).ravel()
    offsets = np.arange(0, connectivity.size + 1, 3, dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(connectivity, deep=True))
    surface = vtkPolyData()
    surface.SetPoints(vtk_points)
    surface.SetPolys(cells)
    return surface


class Topology:
    """What is right and wrong with triangles (m, 3) wherever their vertices lie; the names are those of `MeshReport`.

    `wrong_vertices` are those of every edge with a defect, `part_of_vertices` (n) tells for each vertex the lowest that
    it is connected with.
    """

    def __init__(self, triangles: Integers) -> None:
        vertices = int(triangles.max(initial=0)) + 1
        uses = _directed_edges(triangles, vertices)
        edges = uses >> 1
        begins = np.flatnonzero(np.diff(edges, prepend=-1))
        count = np.diff(begins, append=len(edges))
        backward = np.add.reduceat(uses & 1, begins) if len(uses) else count
        first, second = np.divmod(edges[begins], vertices)
        wrong = (count != 2) | (backward != 1)
        self.open_edges = int((count == 1).sum())
        self.non_manifold_edges = int((count > 2).sum())
        self.inconsistent_edges = int(((count == 2) & (backward != 1)).sum())
        self.wrong_vertices = np.unique(np.concatenate([first[wrong], second[wrong]]))
        self.duplicate_triangles = _duplicates(triangles)
        self.sound = len(wrong) > 0 and not wrong.any() and self.duplicate_triangles == 0
        used = np.zeros(vertices, bool)
        used[first] = used[second] = True
        self.part_of_vertices = _labels(first, second, vertices)
        self.parts = int((self.part_of_vertices[used] == np.flatnonzero(used)).sum())
        euler = int(used.sum()) - len(first) + len(triangles)
        self.tunnels = self.parts - euler // 2


def _directed_edges(triangles: Integers, vertices: int) -> Integers:
    """Every triangle's edges as sorted numbers: (lower vertex * vertices + higher vertex) * 2 + (1 if backward)."""
    numbers = np.empty((3, len(triangles)), np.int64)
    for corner, number in enumerate(numbers):
        start, end = triangles[:, corner], triangles[:, (corner + 1) % 3]
        number[:] = np.minimum(start, end)
        number *= vertices
        number += np.maximum(start, end)
        number *= 2
        number += start > end
    return np.sort(numbers, axis=None)


class Neighbours:
    """The vertices that share an edge with each of `count` vertices of a closed mesh."""

    def __init__(self, triangles: Integers, count: int) -> None:
        starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
        bits = np.int64(32)
        both = np.sort(starts.astype(np.int64) << bits | ends)
        self._ends = both & np.int64(0xFFFFFFFF)
        self.count = np.bincount(starts, minlength=count)
        self._used = np.flatnonzero(self.count)
        self._first = (np.cumsum(self.count) - self.count)[self._used]

    def sum(self, values: Floats) -> Floats:
        """Of values (k, n), those of each vertex's neighbours, summed."""
        found = np.zeros(values.shape)
        if len(self._used):
            for row, of in zip(found, values, strict=True):
                row[self._used] = np.add.reduceat(of.take(self._ends), self._first)
        return found


def _duplicates(triangles: Integers) -> int:
    """How many triangles have the same three vertices as an earlier one, in whatever order."""
    vertices = np.sort(triangles, axis=1).T
    suspects = vertices[:, _repeated(vertices)]
    return suspects.shape[1] - np.unique(suspects, axis=1).shape[1]


def _labels(first: Integers, second: Integers, count: int) -> Integers:
    """For each vertex the lowest that it is connected with by the edges (first[i], second[i]), lower vertex first."""
    label = np.arange(count)
    label[second] = first
    while True:
        while not np.array_equal(parent := label.take(label), label):
            label = parent
        a, b = label.take(first), label.take(second)
        apart = np.flatnonzero(a != b)
        if apart.size == 0:
            return label
        first, second, a, b = (some.take(apart) for some in (first, second, a, b))
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))


def volume_ml(points: Floats, triangles: Integers) -> float:
    """The enclosed volume in ml, positive if the triangles face outward.

    Parameters
    ----------
    points
        (n, 3), mm.
    triangles
        (m, 3), the numbers of each triangle's points.

    Returns
    -------
    volume
        In ml; it means something for closed surfaces only.

    Examples
    --------
    >>> corners = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
    >>> round(volume_ml(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])), 9)
    1.0
    """
    if len(triangles) == 0:
        return 0.0
    first, six_fold = points[0].astype(np.float64)[:, None], np.empty(len(triangles))
    for some in slices(len(triangles)):
        a, b, c = (corner - first for corner in corners_of(points, triangles[some]))
        six_fold[some] = dot(a, cross(b, c))
    return float(six_fold.sum()) / 6 / 1000


def area_mm2(points: Floats, triangles: Integers) -> float:
    """The area of triangles.

    Parameters
    ----------
    points
        (n, 3), mm.
    triangles
        (m, 3), the numbers of each triangle's points.

    Returns
    -------
    area
        In mm².

    Examples
    --------
    >>> corners = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0]])
    >>> area_mm2(corners, np.array([[0, 1, 2]]))
    300.0
    """
    a, b, c = corners_of(points, triangles)
    return float(np.sqrt((cross(b - a, c - a) ** 2).sum(axis=0)).sum() / 2)


def coincident_vertices(points: Floats) -> Flags:
    """Whether each point has exactly the position of another one.

    Parameters
    ----------
    points
        (n, 3).

    Returns
    -------
    flags
        (n,).
    """
    coordinates = points.T.astype(np.float64) + 0.0  # turns -0.0 into 0.0
    suspects = np.flatnonzero(_repeated(coordinates.view(np.int64)))
    _, inverse, count = np.unique(points[suspects], axis=0, return_inverse=True, return_counts=True)
    flags = np.zeros(len(points), bool)
    flags[suspects[count[inverse] > 1]] = True
    return flags


def _repeated(rows: Integers) -> Flags:
    """Flag the columns of (3, n) that may be equal to another one; equal columns are never missed."""
    mixed = np.zeros(rows.shape[1], np.uint64)
    for row in rows:
        mixed += row.astype(np.uint64)
        mixed *= np.uint64(0x9E3779B97F4A7C15)  # the golden ratio: spreads neighbouring numbers over all 64 bits
        mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.isin(mixed, twice) if twice.size else np.zeros(rows.shape[1], bool)


def filled(values: Floats, triangles: Integers) -> Floats:
    """Values of vertices, what is not a number replaced by the neighbours' mean, ring by ring up to `FILLED_RINGS`.

    Parameters
    ----------
    values
        (n,), of vertices.
    triangles
        (m, 3), the numbers of each triangle's points.

    Returns
    -------
    values
        (n,); what no ring reaches stays as it is.
    """
    values = values.copy()
    for _ in range(FILLED_RINGS):
        missing = np.isnan(values)
        if not missing.any():
            return values
        some = triangles[at_any_corner(missing, triangles)]
        known = [~missing.take(corner) for corner in some.T]
        sums = sum(np.where(there, values.take(corner), 0) for there, corner in zip(known, some.T, strict=True))
        counts = sum(there.astype(np.float64) for there in known)
        total, count = (sum(np.bincount(corner, of, len(values)) for corner in some.T) for of in (sums, counts))
        values = np.where(missing & (count > 0), total / np.maximum(count, 1), values)
    return np.nan_to_num(values)
