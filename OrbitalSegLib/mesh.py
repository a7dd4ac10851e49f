"""Checks of a triangle mesh: is it closed, does it face outward, does it cross itself?"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from OrbitalSegLib.progress import Progress, silent

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Flags = NDArray[np.bool_]

TOUCHING = 1e-9
"""Triangles closer than this part of the mesh's diagonal touch: a quarter of a nanometre on a head, far below the
rounding of the STL's 32-bit coordinates, far above that of the 64-bit arithmetic here."""

FLAT = 1e-6
"""A triangle lower than this part of its longest edge is degenerate; two triangles on one edge that enclose an angle
(in radians) smaller than this lie folded on each other."""

CHUNK_PAIRS = 1 << 17
"""Pairs of boxes or triangles that are looked at at once: what fits the processor's cache."""


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
    """Every edge of the triangles once, from vertex `first` to the higher vertex `second`, and the defects of edges."""

    def __init__(self, triangles: Integers) -> None:
        vertices = int(triangles.max(initial=-1)) + 1
        start = triangles.astype(np.int64).T.ravel()
        end = np.roll(triangles, -1, axis=1).astype(np.int64).T.ravel()
        keys = (np.minimum(start, end) * vertices + np.maximum(start, end)) * 2 + (start > end)
        keys.sort()
        edge = keys >> 1
        begins = np.flatnonzero(np.r_[True, edge[1:] != edge[:-1]]) if edge.size else np.zeros(0, np.int64)
        uses = np.diff(np.r_[begins, edge.size])
        backward_uses = np.add.reduceat(keys & 1, begins) if edge.size else uses
        self.first, self.second = np.divmod(edge[begins], max(vertices, 1))
        self.open_edges = int((uses == 1).sum())
        self.non_manifold_edges = int((uses > 2).sum())
        self.inconsistent_edges = int(((uses == 2) & (backward_uses != 1)).sum())
        wrong = (uses != 2) | (backward_uses != 1)
        self.wrong_vertices = np.unique(np.r_[self.first[wrong], self.second[wrong]])


def volume_ml(points: Floats, triangles: Integers) -> float:
    """The enclosed volume, positive if the triangles face outward; points are mm."""
    if len(triangles) == 0:
        return 0.0
    a, b, c = _corners(_centred(points), triangles)
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6 / 1000


def degenerate_triangles(points: Floats, triangles: Integers) -> Flags:
    """Whether each triangle is a line or a point: two equal vertices, or no height to speak of (`FLAT`)."""
    a, b, c = _corners(_centred(points), triangles)
    longest_squared = np.maximum.reduce([_squared(b - a), _squared(c - b), _squared(a - c)])
    doubled_area_squared = _squared(np.cross(b - a, c - a))
    return doubled_area_squared <= (FLAT * longest_squared) ** 2


def duplicate_triangles(triangles: Integers) -> int:
    """How many triangles have the same three vertices as an earlier one, in whatever order."""
    vertices = np.sort(triangles, axis=1).astype(np.uint64)
    mixed = (vertices[:, 0] * np.uint64(0x9E3779B97F4A7C15) + vertices[:, 1]) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed += vertices[:, 2]
    ordered = np.sort(mixed)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    suspects = vertices[np.isin(mixed, repeated)] if repeated.size else vertices[:0]
    return len(suspects) - len(np.unique(suspects, axis=0))


def coincident_vertices(points: Floats) -> Flags:
    """Whether each point has exactly the position of another one."""
    order = np.lexsort(points.T)
    same = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    flags = np.zeros(len(points), bool)
    flags[order[1:][same]] = True
    flags[order[:-1][same]] = True
    return flags


def count_parts(first: Integers, second: Integers) -> int:
    """The number of connected parts of the vertices that the edges (first[i], second[i]) name."""
    if len(first) == 0:
        return 0
    used = np.zeros(int(second.max()) + 1, bool)
    used[first] = used[second] = True
    label = np.arange(used.size)
    while True:
        a, b = label[first], label[second]
        apart = a != b
        if not apart.any():
            return int((label[used] == np.flatnonzero(used)).sum())
        first, second = first[apart], second[apart]
        np.minimum.at(label, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while ((parent := label[label]) != label).any():
            label = parent


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
    centred = _centred(points)
    candidates = np.flatnonzero(~degenerate_triangles(points, triangles))
    triangles = triangles[candidates]
    chosen = None if among is None else among[candidates]
    found = [
        _star_intersections(centred, triangles, chosen),
        _apart_intersections(centred, triangles, chosen, progress),
    ]
    pairs = np.sort(candidates[np.concatenate(found)], axis=1)
    return np.unique(pairs, axis=0)


def _centred(points: Floats) -> Floats:
    """Points as 64-bit numbers about the middle of their box, so that nothing is lost to a far origin."""
    exact = points.astype(np.float64)
    return exact - (exact.min(axis=0) + exact.max(axis=0)) / 2 if len(exact) else exact


def _corners(points: Floats, triangles: Integers) -> tuple[Floats, Floats, Floats]:
    a, b, c = (points.take(triangles[:, corner], axis=0) for corner in range(3))
    return a, b, c


def _squared(vectors: Floats) -> Floats:
    return np.einsum("...i,...i->...", vectors, vectors)


def _unit(vectors: Floats) -> Floats:
    """Vectors of length one; those of no length stay."""
    length = np.sqrt(_squared(vectors))
    return vectors / np.where(length > 0, length, 1)[..., None]


# Triangles with a common vertex


def _star_intersections(points: Floats, triangles: Integers, among: Flags | None) -> Integers:
    """Intersecting pairs that share a vertex: only around vertices whose star is not seen to be flat enough."""
    suspect = _unproven_stars(points, triangles)
    corner = np.flatnonzero(suspect[triangles.ravel()])
    vertex = triangles.ravel()[corner]
    order = np.argsort(vertex, kind="stable")
    vertex, triangle = vertex[order], corner[order] // 3
    found = [np.zeros((0, 2), np.int64)]
    for apart in range(1, len(vertex)):
        same = np.flatnonzero(vertex[apart:] == vertex[:-apart])
        if same.size == 0:
            break
        pairs = np.stack([triangle[same], triangle[same + apart]], axis=1)
        if among is not None:
            pairs = pairs[among[pairs].any(axis=1)]
        found += [part[_meet_beside_shared(points, triangles, part)] for part in _chunks(pairs)]
    return np.concatenate(found)


def _unproven_stars(points: Floats, triangles: Integers) -> Flags:
    """Flag the vertices whose triangles may intersect each other.

    If some direction sees all triangles round a vertex from their front, and they go round it once, then their
    projection along it covers no place twice, and they cannot meet anywhere but at their common edges and the vertex.
    The mean normal is tried as that direction; going round once means that the ring of neighbours crosses a ray from
    the vertex once.
    """
    a, b, c = _corners(points, triangles)
    normals = _unit(np.cross(b - a, c - a))
    direction = np.zeros_like(points)
    for axis in range(3):
        for corner in range(3):
            direction[:, axis] += np.bincount(triangles[:, corner], normals[:, axis], len(points))
    direction = _unit(direction)
    sideways = np.where(np.abs(direction[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    sideways = np.cross(direction, sideways)
    suspect = np.zeros(len(points), bool)
    suspect[EdgeTable(triangles).wrong_vertices] = True
    crossings = np.zeros(len(points), np.int64)
    ring = (a, b, c)
    for corner in range(3):
        vertex = triangles[:, corner]
        height = np.einsum("ij,ij->i", normals, direction.take(vertex, axis=0))
        suspect[vertex[height < 1e-3]] = True
        across = sideways.take(vertex, axis=0)
        here, following, last = ring[corner], ring[(corner + 1) % 3], ring[(corner + 2) % 3]
        below = np.einsum("ij,ij->i", across, following - here) < 0
        above = np.einsum("ij,ij->i", across, last - here) >= 0
        crossings += np.bincount(vertex[below & above], minlength=len(points))
    return suspect | (crossings != 1)


def _meet_beside_shared(points: Floats, triangles: Integers, pairs: Integers) -> Flags:
    """Whether the two triangles of each pair, which share a vertex at least, meet anywhere else."""
    first, second = triangles[pairs[:, 0]], triangles[pairs[:, 1]]
    equal = first[:, :, None] == second[:, None, :]
    shared_first, shared_second = equal.any(axis=2), equal.any(axis=1)
    shared = shared_first.sum(axis=1)
    meet = shared == 3
    for count, test, flags in ((1, _cones_meet, (True, True)), (2, _folded, (False, False))):
        some = np.flatnonzero(shared == count)
        apex_first = np.argmax(shared_first[some] == flags[0], axis=1)
        apex_second = np.argmax(shared_second[some] == flags[1], axis=1)
        meet[some] = test(
            points[_turned(first[some], apex_first)],
            points[_turned(second[some], apex_second)],
        )
    return meet


def _turned(triangles: Integers, first: Integers) -> Integers:
    """The triangles (k, 3) with the corner `first` (k) in front."""
    return np.take_along_axis(triangles, (first[:, None] + np.arange(3)) % 3, axis=1)


def _folded(first: Floats, second: Floats) -> Flags:
    """Whether triangles (k, 3, 3) with a common edge, their free corners in front, lie on the same side of it."""
    edge = _unit(first[:, 2] - first[:, 1])
    arms = []
    for triangle in (first, second):
        arm = triangle[:, 0] - first[:, 1]
        arms.append(_unit(arm - np.einsum("ij,ij->i", arm, edge)[:, None] * edge))
    return _squared(arms[0] - arms[1]) <= FLAT**2


def _cones_meet(first: Floats, second: Floats) -> Flags:
    """Whether triangles (k, 3, 3) with a common vertex, in front, meet elsewhere.

    Both are convex, so they do if the angles that they fill at the vertex have a ray in common, that is if the origin
    lies in the tetrahedron of the one's two edge directions and the other's, turned round.
    """
    a, b = _unit(first[:, 1:] - first[:, :1]), _unit(second[:, 1:] - second[:, :1])
    rays = [a[:, 0], a[:, 1], -b[:, 0], -b[:, 1]]
    weights = np.empty((len(a), 4))
    for left_out in range(4):
        u, v, w = (rays[ray] for ray in range(4) if ray != left_out)
        weights[:, left_out] = np.einsum("ij,ij->i", u, np.cross(v, w)) * (-1) ** left_out
    meet = (weights >= -1e-12).all(axis=1) | (weights <= 1e-12).all(axis=1)
    plane = np.flatnonzero((np.abs(weights) <= TOUCHING).all(axis=1))
    meet[plane] = _angles_overlap(a[plane], b[plane])
    return meet


def _angles_overlap(a: Floats, b: Floats) -> Flags:
    """Whether the angles between two directions each (k, 2, 3), all in one plane, overlap."""
    normals = np.stack([np.cross(a[:, 0], a[:, 1]), np.cross(b[:, 0], b[:, 1])], axis=1)
    normal = np.take_along_axis(normals, np.argmax(_squared(normals), axis=1)[:, None, None], axis=1)[:, 0]
    overlap = np.zeros(len(a), bool)
    for angle, others in ((a, b), (b, a)):
        turn = np.sign(np.einsum("ij,ij->i", normal, np.cross(angle[:, 0], angle[:, 1])))
        for other in (others[:, 0], others[:, 1]):
            after = turn * np.einsum("ij,ij->i", normal, np.cross(angle[:, 0], other))
            before = turn * np.einsum("ij,ij->i", normal, np.cross(other, angle[:, 1]))
            overlap |= (after >= -TOUCHING) & (before >= -TOUCHING)
    return overlap


# Triangles without a common vertex


class _BoxTree:
    """Bounding boxes of triangles, and of neighbouring two, four, eight ..., up to one of all.

    `levels[0]` holds the triangles' boxes in the order of a space-filling curve, as six rows: lower x, y, z, upper
    x, y, z; 32-bit, rounded outward.
    """

    def __init__(self, corners: Floats, among: Flags | None) -> None:
        lower, upper = corners.min(axis=1), corners.max(axis=1)
        self.order = _curve_order((lower + upper) / 2)
        box = np.empty((6, len(corners)), np.float32)
        for axis in range(3):
            box[axis] = lower[self.order, axis]
            box[axis + 3] = upper[self.order, axis]
        grown = np.spacing(np.abs(box).max(initial=1)) * 2
        box[:3] -= grown
        box[3:] += grown
        chosen = None if among is None else among[self.order]
        self.levels, self.chosen = [box], [chosen]
        while box.shape[1] > 1:
            if box.shape[1] % 2:
                box = np.concatenate([box, box[:, -1:]], axis=1)
                chosen = None if chosen is None else np.r_[chosen, chosen[-1:]]
            box = np.concatenate([np.minimum(box[:3, 0::2], box[:3, 1::2]), np.maximum(box[3:, 0::2], box[3:, 1::2])])
            chosen = None if chosen is None else chosen[0::2] | chosen[1::2]
            self.levels.append(box)
            self.chosen.append(chosen)

    def descend(self, level: int, first: Integers, second: Integers) -> tuple[Integers, Integers]:
        """The pairs of boxes one level lower whose parents are the given pairs and which overlap."""
        different = first != second
        first, second = first * 2, second * 2
        one = np.concatenate([first, first + 1, first, first[different] + 1])
        other = np.concatenate([second, second + 1, second + 1, second[different]])
        box, chosen = self.levels[level - 1], self.chosen[level - 1]
        inside = other < box.shape[1]
        one, other = one[inside], other[inside]
        if chosen is not None:
            keep = np.flatnonzero(chosen[one] | chosen[other])
            one, other = one[keep], other[keep]
        for axis in range(3):
            lower, upper = box[axis], box[axis + 3]
            keep = np.flatnonzero((lower.take(one) <= upper.take(other)) & (lower.take(other) <= upper.take(one)))
            one, other = one.take(keep), other.take(keep)
        return one, other


def _curve_order(positions: Floats) -> Integers:
    """The order of positions (n, 3) along a Z-order curve of 1024 steps in the longest direction."""
    lower = positions.min(axis=0, initial=np.inf)
    longest = max(float((positions.max(axis=0, initial=-np.inf) - lower).max()), np.finfo(float).tiny)
    steps = ((positions - lower) * (1023 / longest)).astype(np.uint32)
    code = np.zeros(len(positions), np.uint32)
    for axis in range(3):
        spread = steps[:, axis]
        for shift, bits in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
            spread = (spread | spread << np.uint32(shift)) & np.uint32(bits)
        code |= spread << np.uint32(axis)
    return np.argsort(code, kind="stable")


def _apart_intersections(points: Floats, triangles: Integers, among: Flags | None, progress: Progress) -> Integers:
    """Intersecting pairs without a common vertex."""
    if len(triangles) < 2:
        return np.zeros((0, 2), np.int64)
    tree = _BoxTree(points[triangles], among)
    search = _Search(tree, points, triangles)
    level, first, second = len(tree.levels) - 1, np.zeros(1, np.int32), np.zeros(1, np.int32)
    while level > 0 and len(first) < CHUNK_PAIRS:
        first, second = tree.descend(level, first, second)
        level -= 1
    pieces = list(_chunks(np.stack([first, second], axis=1), CHUNK_PAIRS // 16))
    found = [np.zeros((0, 2), np.int64)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda piece: search.below(level, piece[:, 0], piece[:, 1]), pieces)
        for done, pairs in enumerate(results, start=1):
            found.append(pairs)
            progress(done / len(pieces))
    return tree.order[np.concatenate(found)]


class _Search:
    """Looks for intersecting pairs below a pair of boxes; triangles are in the tree's order."""

    def __init__(self, tree: _BoxTree, points: Floats, triangles: Integers) -> None:
        self.tree = tree
        self.vertices = triangles[tree.order]
        self.corners = points[self.vertices]
        a, b, c = (self.corners[:, corner] for corner in range(3))
        self.normals = _unit(np.cross(b - a, c - a))
        self.offsets = np.einsum("ij,ij->i", self.normals, a)
        self.touching = TOUCHING * float(np.linalg.norm(np.ptp(points, axis=0)))

    def below(self, level: int, first: Integers, second: Integers) -> Integers:
        """The intersecting pairs of triangles (k, 2) under pairs of boxes of a level."""
        while level > 0:
            first, second = self.tree.descend(level, first, second)
            level -= 1
        found = [self._intersecting(part) for part in _chunks(np.stack([first, second], axis=1))]
        return np.concatenate([np.zeros((0, 2), np.int64), *found])

    def _intersecting(self, pairs: Integers) -> Integers:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        first, second = self.vertices.take(pairs[:, 0], axis=0), self.vertices.take(pairs[:, 1], axis=0)
        share = np.zeros(len(pairs), bool)
        for turn in range(3):
            share |= (first == np.roll(second, turn, axis=1)).any(axis=1)
        pairs = pairs[~share]
        for plane, other in ((0, 1), (1, 0)):
            normal = self.normals.take(pairs[:, plane], axis=0)
            offset = self.offsets.take(pairs[:, plane])
            heights = np.einsum("ikj,ij->ik", self.corners.take(pairs[:, other], axis=0), normal) - offset[:, None]
            one_side = (heights > self.touching).all(axis=1) | (heights < -self.touching).all(axis=1)
            pairs = pairs[~one_side]
        return pairs[~self._separable(self.corners[pairs[:, 0]], self.corners[pairs[:, 1]])]

    def _separable(self, first: Floats, second: Floats) -> Flags:
        """Whether a plane passes between triangles (k, 3, 3): perpendicular to one of the 17 axes that can do it."""
        edges_first, edges_second = np.roll(first, -1, axis=1) - first, np.roll(second, -1, axis=1) - second
        normal_first = np.cross(edges_first[:, 0], edges_first[:, 1])[:, None]
        normal_second = np.cross(edges_second[:, 0], edges_second[:, 1])[:, None]
        axes = np.concatenate(
            [
                normal_first,
                normal_second,
                np.cross(edges_first[:, :, None], edges_second[:, None, :]).reshape(-1, 9, 3),
                np.cross(normal_first, edges_first),
                np.cross(normal_second, edges_second),
            ],
            axis=1,
        )
        axes = _unit(axes)
        middle = first[:, :1]
        along_first = np.einsum("iaj,ikj->iak", axes, first - middle)
        along_second = np.einsum("iaj,ikj->iak", axes, second - middle)
        gap = np.maximum(
            along_second.min(axis=2) - along_first.max(axis=2), along_first.min(axis=2) - along_second.max(axis=2)
        )
        return (gap > self.touching).any(axis=1)


def _chunks(rows: Integers, size: int = CHUNK_PAIRS) -> Iterator[Integers]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]
