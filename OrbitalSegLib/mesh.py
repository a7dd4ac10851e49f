"""Checks of a triangle mesh: is it closed, does it face outward, does it cross itself?"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from OrbitalSegLib.progress import Progress, silent

Floats = NDArray[Any]
Integers = NDArray[Any]
Flags = NDArray[np.bool_]

TOUCHING = 1e-9
"""Triangles closer than this part of the mesh's diagonal touch: a quarter of a nanometre on a head, far below the
rounding of the STL's 32-bit coordinates, far above that of the 64-bit arithmetic here."""

FLAT = 1e-6
"""A triangle lower than this part of its longest edge is degenerate; two triangles on one edge that enclose an angle
(in radians) smaller than this lie folded on each other."""

CHUNK_PAIRS = 1 << 17
"""Pairs of boxes or triangles that are looked at at once: what fits the processor's cache."""

EIGHT_TRUE = np.uint64(0x0101010101010101)
"""Eight flags, all set, seen as one number."""


@dataclass(frozen=True)
class MeshReport:
    """What is right and wrong with a mesh; lengths are mm.

    `open_edges` belong to one triangle, `non_manifold_edges` to more than two, `inconsistent_edges` to two that face
    opposite ways. `coincident_vertices` have the position of another vertex, which a file format without vertex numbers
    (STL) would weld. `volume_ml` is positive where the triangles face outward. `euler` is vertices - edges + triangles;
    `tunnels` (the genus, summed over all parts) says something only of a closed mesh.
    """

    triangles: int
    vertices: int
    open_edges: int
    non_manifold_edges: int
    inconsistent_edges: int
    degenerate_triangles: int
    duplicate_triangles: int
    coincident_vertices: int
    self_intersections: int
    parts: int
    euler: int
    volume_ml: float

    @property
    def tunnels(self) -> int:
        return self.parts - self.euler // 2

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
    """Look for every defect of `MeshReport` in a surface of triangles, whose points are mm."""
    points, triangles = arrays_of(surface)
    return report(points, triangles, len(self_intersections(points, triangles, progress=progress)))


def report(points: Floats, triangles: Integers, self_intersections: int) -> MeshReport:
    """The report on points (n, 3), mm, and triangles (m, 3) whose self-intersections are counted already."""
    edges = EdgeTable(triangles)
    used = np.unique(triangles).size
    return MeshReport(
        triangles=len(triangles),
        vertices=used,
        open_edges=edges.open_edges,
        non_manifold_edges=edges.non_manifold_edges,
        inconsistent_edges=edges.inconsistent_edges,
        degenerate_triangles=int(degenerate_triangles(points, triangles).sum()),
        duplicate_triangles=duplicate_triangles(triangles),
        coincident_vertices=int(coincident_vertices(points).sum()),
        self_intersections=self_intersections,
        parts=count_parts(edges.first, edges.second),
        euler=used - len(edges.first) + len(triangles),
        volume_ml=volume_ml(points, triangles),
    )


def arrays_of(surface: vtkPolyData) -> tuple[Floats, Integers]:
    """The points (n, 3) and triangles (m, 3) of a surface. Raises ValueError if it has other polygons."""
    polygons = surface.GetPolys()
    if polygons.GetNumberOfCells() == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if polygons.IsHomogeneous() != 3:
        raise ValueError("the surface has polygons that are not triangles")
    points = vtk_to_numpy(surface.GetPoints().GetData())
    triangles = vtk_to_numpy(polygons.GetConnectivityArray()).reshape(-1, 3)
    return points, triangles.astype(np.int32, copy=False)


def surface_of(points: Floats, triangles: Integers) -> vtkPolyData:
    """A surface of its own copy of points (n, 3) and triangles (m, 3)."""
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


class EdgeTable:
    """Every edge of the triangles once, from vertex `first` to the higher vertex `second`, and the defects of edges.

    `wrong_vertices` are those of all edges with a defect.
    """

    def __init__(self, triangles: Integers) -> None:
        vertices = int(triangles.max(initial=0)) + 1
        keys = np.empty((3, len(triangles)), np.int64)
        for corner in range(3):
            start, end = triangles[:, corner], triangles[:, (corner + 1) % 3]
            keys[corner] = np.minimum(start, end)
            keys[corner] *= vertices
            keys[corner] += np.maximum(start, end)
            keys[corner] *= 2
            keys[corner] += start > end
        uses = np.sort(keys, axis=None)
        edges = uses >> 1
        begins = np.flatnonzero(np.diff(edges, prepend=-1))
        count = np.diff(begins, append=len(edges))
        backward = np.add.reduceat(uses & 1, begins) if len(uses) else count
        self.first, self.second = np.divmod(edges[begins], vertices)
        self.open_edges = int((count == 1).sum())
        self.non_manifold_edges = int((count > 2).sum())
        self.inconsistent_edges = int(((count == 2) & (backward != 1)).sum())
        wrong = (count != 2) | (backward != 1)
        self.wrong_vertices = np.unique(np.concatenate([self.first[wrong], self.second[wrong]]))


def volume_ml(points: Floats, triangles: Integers) -> float:
    """The enclosed volume, positive if the triangles face outward; points are mm."""
    if len(triangles) == 0:
        return 0.0
    a, b, c = np.moveaxis(_corners(points - points.mean(axis=0), triangles), 1, 0)
    return float(_dot(a, _cross(b, c)).sum()) / 6 / 1000


def degenerate_triangles(points: Floats, triangles: Integers) -> Flags:
    """Whether each triangle is a line or a point: two equal vertices, or no height to speak of (`FLAT`)."""
    a, b, c = np.moveaxis(_corners(points, triangles), 1, 0)
    longest_squared = np.maximum(np.maximum(_squared(b - a), _squared(c - b)), _squared(a - c))
    return _squared(_cross(b - a, c - a)) <= (FLAT * longest_squared) ** 2


def duplicate_triangles(triangles: Integers) -> int:
    """How many triangles have the same three vertices as an earlier one, in whatever order."""
    vertices = np.sort(triangles, axis=1).T
    suspects = vertices[:, _repeated(vertices)]
    return suspects.shape[1] - np.unique(suspects, axis=1).shape[1]


def coincident_vertices(points: Floats) -> Flags:
    """Whether each point has exactly the position of another one."""
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


def count_parts(first: Integers, second: Integers) -> int:
    """The number of connected parts of the vertices that the edges (first[i], second[i]) name."""
    used = np.zeros(int(second.max(initial=0)) + 1, bool)
    used[first] = used[second] = True
    label = np.arange(used.size)
    while first.size:
        a, b = label[first], label[second]
        apart = np.flatnonzero(a != b)
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(parent := label[label], label):
            label = parent
    return int((label[used] == np.flatnonzero(used)).sum())


def self_intersections(
    points: Floats, triangles: Integers, among: Flags | None = None, progress: Progress = silent
) -> Integers:
    """The pairs of triangles (k, 2) that meet where a mesh may not, lower index first, sorted.

    Two triangles intersect if they have a point in common that is neither their common vertex nor on their common edge:

    - without a common vertex: any contact, be it a crossing, an overlap in one plane, or a vertex, edge or face that
      touches the other triangle (closer than `TOUCHING`);
    - with one common vertex: if they meet anywhere else;
    - with a common edge: if they are folded onto each other (closer than `FLAT`); neighbours in one plane are not;
    - with three common vertices: always.

    Degenerate triangles are a defect of their own and are not looked at. `among` (m) limits the search to pairs of
    which at least one triangle is flagged.
    """
    wanted = np.flatnonzero(~degenerate_triangles(points, triangles))
    if among is not None:
        wanted = wanted[_near(points, triangles[wanted], among[wanted])]
    triangles = triangles[wanted]
    if len(wanted) == 0:
        return np.zeros((0, 2), np.int64)
    coordinates = np.ascontiguousarray(points.T, np.float64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        at_vertices = pool.submit(_star_intersections, coordinates, triangles)
        search = _Search(coordinates, triangles)
        pieces = search.pieces()
        found = []
        for done, elsewhere in enumerate(pool.map(search.below, pieces), start=1):
            found.append(elsewhere)
            progress(done / len(pieces))
        found.append(at_vertices.result())
    pairs = np.sort(wanted[np.concatenate(found)], axis=1)
    if among is not None:
        pairs = pairs[among[pairs].any(axis=1)]
    return np.unique(pairs, axis=0)


def _near(points: Floats, triangles: Integers, chosen: Flags) -> Flags:
    """Flag the triangles near chosen ones: all whose boxes meet a chosen one's on a grid of 64 cells a side."""
    near = np.zeros(len(triangles), bool)
    if not chosen.any():
        return near
    lowest = points.min(axis=0).astype(np.float64)
    cell = max(float(np.ptp(points, axis=0).max()), np.finfo(float).tiny) / 64
    corners = ((_corners(points, triangles) - lowest[:, None, None]) / cell).astype(np.int64)
    lower, upper = corners.min(axis=1), corners.max(axis=1) + 1
    # Every box adds 1 to its cells: summing the signs at its eight corners does that, and looking up takes the reverse.
    covered = np.zeros((66, 66, 66), np.int64)
    for sign, corner in _box_corners(lower[:, chosen], upper[:, chosen]):
        np.add.at(covered, corner, sign)
    summed = np.zeros((67, 67, 67), np.int64)
    summed[1:, 1:, 1:] = _summed(np.asarray(_summed(covered) > 0, np.int64))
    count = sum(sign * summed[corner] for sign, corner in _box_corners(lower, upper))
    return np.asarray(count > 0)


def _box_corners(lower: Integers, upper: Integers) -> Iterator[tuple[int, tuple[Integers, ...]]]:
    """The eight corners of boxes (3, n), each with its sign in a sum over the box: + where an even number is upper."""
    for chosen in np.ndindex(2, 2, 2):
        corner = tuple((lower, upper)[which][axis] for axis, which in enumerate(chosen))
        yield (-1) ** sum(chosen), corner


def _summed(volume: Integers) -> Integers:
    return volume.cumsum(axis=0).cumsum(axis=1).cumsum(axis=2)


# Arrays of vectors below have x, y and z in front, (3, ...): whole rows are what numpy and the cache are fast with.


def _corners(points: Floats, triangles: Integers) -> Floats:
    """The triangles' corners, (xyz, corner, triangle), 64-bit."""
    return np.ascontiguousarray(points.T, np.float64).take(triangles.T, axis=1)


def _dot(a: Floats, b: Floats) -> Floats:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Floats, b: Floats) -> Floats:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _squared(vectors: Floats) -> Floats:
    return _dot(vectors, vectors)


def _unit(vectors: Floats) -> Floats:
    """Vectors of length one; those of no length stay."""
    length = np.sqrt(_squared(vectors))
    return vectors / np.where(length > 0, length, 1)


# Triangles with a common vertex


def _star_intersections(coordinates: Floats, triangles: Integers) -> Integers:
    """Intersecting pairs that share a vertex: only around vertices whose star is not seen to be flat enough."""
    suspect = _unproven_stars(coordinates, triangles)
    corner = np.flatnonzero(suspect[triangles.ravel()])
    vertex = triangles.ravel()[corner]
    order = np.argsort(vertex, kind="stable")
    vertex, triangle = vertex[order], corner[order] // 3
    found = [np.zeros((0, 2), np.int64)]
    for apart in range(1, len(vertex)):
        same = np.flatnonzero(vertex[apart:] == vertex[:-apart])
        if same.size == 0:
            break
        for some in _chunks(same):
            pairs = np.stack([triangle[some], triangle[some + apart]], axis=1)
            found.append(pairs[_meet_beside_shared(coordinates, triangles, pairs)])
    return np.concatenate(found)


def _unproven_stars(coordinates: Floats, triangles: Integers) -> Flags:
    """Flag the vertices whose triangles may intersect each other.

    If some direction sees all triangles round a vertex from their front, and they go round it once, then their
    projection along it covers no place twice, and they cannot meet anywhere but at their common edges and the vertex.
    The mean normal is tried as that direction; going round once means that the ring of neighbours crosses a ray from
    the vertex once.
    """
    vertices = coordinates.shape[1]
    corners = coordinates.take(triangles.T, axis=1)
    normals = _unit(_cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    direction = np.zeros_like(coordinates)
    for axis in range(3):
        for corner in range(3):
            direction[axis] += np.bincount(triangles[:, corner], normals[axis], vertices)
    direction = _unit(direction)
    steep = np.abs(direction[2]) < 0.9
    sideways = np.stack(
        [
            np.where(steep, -direction[1], 0),
            np.where(steep, direction[0], -direction[2]),
            np.where(steep, 0, direction[1]),
        ]
    )
    suspect = np.zeros(vertices, bool)
    suspect[EdgeTable(triangles).wrong_vertices] = True
    crossings = np.zeros(vertices, np.int64)
    for corner in range(3):
        vertex = triangles[:, corner]
        suspect[vertex[_dot(normals, direction.take(vertex, axis=1)) < 1e-3]] = True
        across = sideways.take(vertex, axis=1)
        here, following, last = (corners[:, (corner + turn) % 3] for turn in range(3))
        crossing = (_dot(across, following - here) < 0) & (_dot(across, last - here) >= 0)
        crossings += np.bincount(vertex[crossing], minlength=vertices)
    return suspect | (crossings != 1)


def _meet_beside_shared(coordinates: Floats, triangles: Integers, pairs: Integers) -> Flags:
    """Whether the two triangles of each pair, which share a vertex at least, meet anywhere else."""
    first, second = triangles[pairs[:, 0]], triangles[pairs[:, 1]]
    equal = first[:, :, None] == second[:, None, :]
    shared_first, shared_second = equal.any(axis=2), equal.any(axis=1)
    shared = shared_first.sum(axis=1)
    meet = shared == 3
    one, two = np.flatnonzero(shared == 1), np.flatnonzero(shared == 2)
    meet[one] = _cones_meet(
        coordinates[:, _turned(first[one], shared_first[one]).T],
        coordinates[:, _turned(second[one], shared_second[one]).T],
    )
    meet[two] = _folded(
        coordinates[:, _turned(first[two], ~shared_first[two]).T],
        coordinates[:, _turned(second[two], ~shared_second[two]).T],
    )
    return meet


def _turned(triangles: Integers, apex: Flags) -> Integers:
    """The triangles (k, 3) turned so that the corner flagged in `apex` (k, 3) is in front."""
    return np.take_along_axis(triangles, (np.argmax(apex, axis=1)[:, None] + np.arange(3)) % 3, axis=1)


def _folded(first: Floats, second: Floats) -> Flags:
    """Whether triangles (3, 3, k) with a common edge, their free corners in front, lie on the same side of it."""
    edge = _unit(first[:, 2] - first[:, 1])
    arm_first, arm_second = first[:, 0] - first[:, 1], second[:, 0] - first[:, 1]
    across_first = _unit(arm_first - _dot(arm_first, edge) * edge)
    across_second = _unit(arm_second - _dot(arm_second, edge) * edge)
    return _squared(across_first - across_second) <= FLAT**2


def _cones_meet(first: Floats, second: Floats) -> Flags:
    """Whether triangles (3, 3, k) with a common vertex, in front, meet elsewhere.

    Both are convex, so they do if the angles that they fill at the vertex have a ray in common, that is if the origin
    lies in the tetrahedron of the one's two edge directions and the other's, turned round.
    """
    a = _unit(first[:, 1:] - first[:, :1])
    b = _unit(second[:, 1:] - second[:, :1])
    rays = np.concatenate([a, -b], axis=1)
    weights = np.stack(
        [
            _dot(rays[:, 1], _cross(rays[:, 2], rays[:, 3])),
            -_dot(rays[:, 0], _cross(rays[:, 2], rays[:, 3])),
            _dot(rays[:, 3], _cross(rays[:, 0], rays[:, 1])),
            -_dot(rays[:, 2], _cross(rays[:, 0], rays[:, 1])),
        ]
    )
    rounding = 1e-14
    meet = (weights >= -rounding).all(axis=0) | (weights <= rounding).all(axis=0)
    plane = np.flatnonzero((np.abs(weights) <= TOUCHING).all(axis=0))
    meet[plane] = _angles_overlap(a[:, :, plane], b[:, :, plane])
    return meet


def _angles_overlap(a: Floats, b: Floats) -> Flags:
    """Whether the angles between two directions each (3, 2, k), all in one plane, overlap."""
    turns = _cross(a[:, 0], a[:, 1]), _cross(b[:, 0], b[:, 1])
    normal = np.where(_squared(turns[0]) > _squared(turns[1]), turns[0], turns[1])
    overlap = np.zeros(a.shape[2], bool)
    for angle, turn, others in ((a, turns[0], b), (b, turns[1], a)):
        way = np.sign(_dot(normal, turn)) * normal
        for other in (others[:, 0], others[:, 1]):
            after = _dot(way, _cross(angle[:, 0], other))
            before = _dot(way, _cross(other, angle[:, 1]))
            overlap |= (after >= -TOUCHING) & (before >= -TOUCHING)
    return overlap


# Triangles without a common vertex


class _BoxTree:
    """Bounding boxes of triangles, and of neighbouring two, four, eight ..., up to one of all.

    Two boxes overlap where (lower x, y, z, -upper x, y, z) of one <= (upper x, y, z, -lower x, y, z) of the other, so
    each box is stored as these two rows of eight 16-bit numbers (two are 0): a test is one comparison of short rows.
    Boxes are rounded outward to 65,000 steps in the longest direction.
    """

    def __init__(self, lower: Floats, upper: Floats) -> None:
        middle = (lower.min(axis=1) + upper.max(axis=1))[:, None] / 2
        step = max(float((upper.max(axis=1) - lower.min(axis=1)).max()), np.finfo(float).tiny) / 65000
        rows = np.zeros((lower.shape[1], 8), np.int16)
        rows[:, :3] = np.floor((lower - middle) / step).T
        rows[:, 3:6] = -np.ceil((upper - middle) / step).T
        self.levels = [self._level(rows)]
        while len(rows) > 1:
            rows = np.minimum(rows[0::2], np.concatenate([rows[1::2], rows[-1:]])[: (len(rows) + 1) // 2])
            self.levels.append(self._level(rows))

    @staticmethod
    def _level(rows: Integers) -> tuple[Integers, Integers]:
        return rows, np.ascontiguousarray(-rows[:, [3, 4, 5, 0, 1, 2, 6, 7]])

    def children(self, level: int, first: Integers, second: Integers) -> tuple[Integers, Integers]:
        """The pairs of boxes of a level that overlap and whose parents are the given pairs, first <= second."""
        first, second = first * 2, second * 2
        different = np.flatnonzero(first != second)
        first = np.concatenate([first, first + 1, first, first.take(different) + 1])
        second = np.concatenate([second, second + 1, second + 1, second.take(different)])
        rows, opposite = self.levels[level]
        if len(rows) % 2:
            inside = np.flatnonzero(second < len(rows))
            first, second = first.take(inside), second.take(inside)
        overlap = rows.take(first, axis=0) <= opposite.take(second, axis=0)
        keep = np.flatnonzero(overlap.view(np.uint64).ravel() == EIGHT_TRUE)
        return first.take(keep), second.take(keep)


def _curve_order(positions: Floats) -> Integers:
    """The order of positions (3, n) along a Z-order curve of 1024 steps in the longest direction."""
    lowest = positions.min(axis=1, keepdims=True)
    longest = max(float(np.ptp(positions, axis=1).max()), np.finfo(float).tiny)
    code = np.zeros(positions.shape[1], np.uint64)
    for axis, steps in enumerate(((positions - lowest) * (1023 / longest)).astype(np.uint64)):
        for shift, bits in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
            steps = (steps | steps << np.uint64(shift)) & np.uint64(bits)
        code |= steps << np.uint64(axis)
    index_bits = np.uint64(32)
    code = np.sort(code << index_bits | np.arange(len(code), dtype=np.uint64))
    return (code & np.uint64(0xFFFFFFFF)).astype(np.int64)


class _Search:
    """Looks for intersecting pairs of triangles that have no common vertex."""

    def __init__(self, coordinates: Floats, triangles: Integers) -> None:
        self.order = _curve_order(coordinates.take(triangles[:, 0], axis=1))
        self.vertices = triangles[self.order].T.copy()
        a, b, c = self.corners = [coordinates.take(corner, axis=1) for corner in self.vertices]
        self.tree = _BoxTree(np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c))
        self.normals = _unit(_cross(b - a, c - a))
        self.offsets = _dot(self.normals, a)
        self.touching = TOUCHING * float(np.linalg.norm(np.ptp(coordinates, axis=1)))

    def pieces(self) -> list[tuple[int, Integers, Integers]]:
        """The work in pieces: a level, and pairs of boxes in it."""
        level = len(self.tree.levels) - 1
        first = second = np.zeros(1, np.int64)
        while level > 0 and len(first) < CHUNK_PAIRS:
            level -= 1
            first, second = self.tree.children(level, first, second)
        order = np.lexsort([second, first])  # what is near in space stays near in memory
        first, second = first[order], second[order]
        step = CHUNK_PAIRS >> min(level * 2, 9)
        return [(level, first[at : at + step], second[at : at + step]) for at in range(0, len(first), step)]

    def below(self, piece: tuple[int, Integers, Integers]) -> Integers:
        """The intersecting pairs of triangles (k, 2) under pairs of boxes of a level."""
        level, first, second = piece
        while level > 0:
            level -= 1
            first, second = self.tree.children(level, first, second)
        first, second = _kept(self._share_no_vertex(first, second), first, second)
        first, second = _kept(self._meets_plane(first, second), first, second)
        first, second = _kept(self._meets_plane(second, first), first, second)
        for start in range(3):
            first, second = _kept(self._reaches_inside(start, first, second), first, second)
            first, second = _kept(self._reaches_inside(start, second, first), first, second)
        first, second = _kept(self._edges_inseparable(first, second), first, second)
        return self.order[np.stack([first, second], axis=1)]

    def _share_no_vertex(self, first: Integers, second: Integers) -> Flags:
        shared = np.zeros(len(first), bool)
        others = self.vertices.take(second, axis=1)
        for vertex in self.vertices.take(first, axis=1):
            for other in others:
                shared |= vertex == other
        return ~shared

    def _meets_plane(self, first: Integers, second: Integers) -> Flags:
        """Whether the second triangle is not wholly on one side of the first one's plane."""
        normal, offset = self.normals.take(first, axis=1), self.offsets.take(first)
        a, b, c = (_dot(normal, corner.take(second, axis=1)) for corner in self.corners)
        lowest, highest = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        return (lowest <= offset + self.touching) & (highest >= offset - self.touching)

    def _reaches_inside(self, start: int, first: Integers, second: Integers) -> Flags:
        """Whether the second triangle is not wholly beyond the first one's edge that starts at a corner."""
        begin = self.corners[start].take(first, axis=1)
        edge = self.corners[(start + 1) % 3].take(first, axis=1) - begin
        outward = _unit(_cross(edge, self.normals.take(first, axis=1)))
        a, b, c = (_dot(outward, corner.take(second, axis=1)) for corner in self.corners)
        return np.minimum(np.minimum(a, b), c) <= _dot(outward, begin) + self.touching

    def _edges_inseparable(self, first: Integers, second: Integers) -> Flags:
        """Whether no plane passes between the triangles that is parallel to an edge of each.

        With the planes parallel to either triangle, or square to it through an edge, those are all that need a try.
        """
        a, b = (np.stack([corner.take(some, axis=1) for corner in self.corners], axis=1) for some in (first, second))
        a, b = a - a[:, :1], b - a[:, :1]
        edges_a, edges_b = np.roll(a, -1, axis=1) - a, np.roll(b, -1, axis=1) - b
        apart = np.zeros(len(first), bool)
        for edge_a, edge_b in np.ndindex(3, 3):
            along = _unit(_cross(edges_a[:, edge_a], edges_b[:, edge_b]))[:, None]
            on_a, on_b = _dot(along, a), _dot(along, b)
            gap = np.maximum(on_b.min(axis=0) - on_a.max(axis=0), on_a.min(axis=0) - on_b.max(axis=0))
            apart |= gap > self.touching
        return ~apart


def _kept(keep: Flags, first: Integers, second: Integers) -> tuple[Integers, Integers]:
    some = np.flatnonzero(keep)
    return first.take(some), second.take(some)


def _chunks(rows: Integers) -> Iterator[Integers]:
    for begin in range(0, len(rows), CHUNK_PAIRS):
        yield rows[begin : begin + CHUNK_PAIRS]
