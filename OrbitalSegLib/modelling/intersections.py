"""Where a triangle mesh crosses itself: two million triangles in seconds, with NumPy alone.

Arrays of vectors have x, y and z in front, (3, ...): whole rows are what NumPy and the processor's cache are fast with.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

FACING = 1e-3
"""A triangle is seen from its front if the cosine to its normal is over this."""

CHUNK_PAIRS = 1 << 16
"""Pairs of boxes or triangles that are looked at at once: what fits the processor's cache."""

CHUNK_TRIANGLES = 1 << 13
"""The same of triangles with their corners and edges."""

CELLS = 64
"""Of the grid on which triangles are near each other, along its longest side."""

SLACK = 1e-3
"""Of a cell: chosen triangles are so much larger, so that what touches them is near them."""

EIGHT_TRUE = np.uint64(0x0101010101010101)
"""Eight flags, all set, seen as one number."""


def self_intersections(
    points: Floats,
    triangles: Integers,
    wrong_vertices: Integers,
    *,
    among: Flags | None = None,
    progress: Progress = silent,
) -> Integers:
    """The pairs of triangles (k, 2) that meet where a mesh may not, lower index first, sorted.

    Two triangles intersect if they have a point in common that is neither their common vertex nor on their common edge:

    - without a common vertex: any contact, be it a crossing, an overlap in one plane, or a vertex, edge or face that
      touches the other triangle (closer than `TOUCHING`);
    - with one common vertex: if they meet anywhere else;
    - with a common edge: if they are folded onto each other (closer than `FLAT`); neighbours in one plane are not;
    - with three common vertices: always.

    Degenerate triangles are a defect of their own and are not looked at. `points` is (n, 3), `triangles` (m, 3);
    `wrong_vertices` are `Topology.wrong_vertices` of the triangles. `among` (m) limits the search to pairs of which at
    least one triangle is flagged.
    """
    wanted = np.arange(len(triangles)) if among is None else np.flatnonzero(near(points, triangles, among))
    degenerate = degenerate_triangles(points, triangles[wanted])
    # Without a degenerate triangle the star of its vertices has a slit, and proves nothing.
    wrong_vertices = np.union1d(wrong_vertices, triangles[wanted[degenerate]])
    wanted = wanted[~degenerate]
    if len(wanted) == 0:
        return np.zeros((0, 2), np.int64)
    touching = TOUCHING * float(np.linalg.norm([np.ptp(axis.astype(np.float64)) for axis in points.T]))
    wanted = wanted[_curve_order(points.take(triangles[wanted, 0], axis=0).T)]
    corners = triangles[wanted]
    if among is not None:
        used, corners = np.unique(corners, return_inverse=True)
        points, corners = points[used], corners.reshape(-1, 3)
        wrong_vertices = np.flatnonzero(np.isin(used, wrong_vertices))
    near_each_other = _Triangles(points, corners)
    progress(0.1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        at_vertices = pool.submit(_at_vertices, near_each_other, wrong_vertices)
        search = _Search(near_each_other, touching)
        progress(0.2)
        pieces = search.pieces()
        found = [np.zeros((0, 2), np.int64)]
        for done, apart in enumerate(pool.map(search.below, pieces), start=1):
            found.append(apart)
            progress(0.2 + 0.8 * done / len(pieces))
        suspects = np.concatenate(found)
        found = [at_vertices.result(), *(search.meeting(some) for some in chunks(suspects))]
    pairs = np.sort(wanted[np.concatenate(found)], axis=1)
    if among is not None:
        pairs = pairs[among[pairs].any(axis=1)]
    return np.unique(pairs, axis=0)


def near(points: Floats, triangles: Integers, chosen: Flags) -> Flags:
    """Flag the triangles near chosen ones: all whose boxes meet a chosen one's, and some more.

    Boxes that meet have first corners that lie no further apart than the widest box, twice: on a grid of cells, so many
    cells round a chosen triangle's are looked at; and what is found there is looked at closely.
    """
    if not chosen.any():
        return np.zeros(len(triangles), bool)
    columns = [np.ascontiguousarray(column) for column in triangles.T]
    axes = [np.ascontiguousarray(axis) for axis in points.T]
    cell = (float(max(np.ptp(axis) for axis in axes)) or 1.0) / CELLS
    widest = max(_widest(axis, columns) for axis in axes)
    x, y, z = (np.minimum((axis - axis.min()) / cell, CELLS).astype(np.int32) for axis in axes)
    covered = np.zeros((CELLS + 1,) * 3, bool)
    first = columns[0][chosen]
    covered[x[first], y[first], z[first]] = True
    for axis in range(3):
        covered = spread(covered, axis, int(2 * widest / cell) + 1)
    flags: Flags = np.asarray(covered[x, y, z].take(columns[0]))
    some = np.flatnonzero(flags)
    flags[some] = _in_cells_of(points, triangles[some], chosen[some])
    return flags


def _in_cells_of(points: Floats, triangles: Integers, chosen: Flags) -> Flags:
    """Which triangles have a box that shares a cell of a finer grid with a chosen one's."""
    lows, ends, first = [], [], points[triangles[:, 0]].min(axis=0)
    cell = float((points[triangles[:, 0]].max(axis=0) - first).max()) / CELLS or 1.0
    for axis, begin in zip(points.T, first, strict=True):
        a, b, c = (axis.take(column).astype(np.float64) - begin for column in triangles.T)
        reach = np.where(chosen, SLACK, 0)
        low = np.minimum(np.minimum(a, b), c) / cell - reach
        high = np.maximum(np.maximum(a, b), c) / cell + reach
        lows.append(np.clip(low, 0, CELLS).astype(np.int32))
        ends.append(np.clip(high, 0, CELLS).astype(np.int32) + 1)
    changes = np.zeros((CELLS + 2,) * 3, np.int32)
    for corner, sign in _signed_corners([low[chosen] for low in lows], [end[chosen] for end in ends]):
        np.add.at(changes, corner, sign)
    before = np.pad(_summed(_summed(changes) > 0), ((1, 0),) * 3)
    within = np.zeros(len(triangles), np.int32)
    for corner, sign in _signed_corners(lows, ends):
        within -= sign * before[corner]
    return np.asarray(within > 0)


def _signed_corners(lows: list[Integers], ends: list[Integers]) -> Iterator[tuple[tuple[Integers, ...], int]]:
    """The eight corners of boxes of cells, and 1 for those at an even number of ends, -1 for the others."""
    for upper in product((0, 1), repeat=3):
        yield tuple((lows, ends)[end][axis] for axis, end in enumerate(upper)), (-1) ** sum(upper)


def _summed(cells: Integers | Flags) -> Integers:
    """For each cell the sum over all that are no further along any axis."""
    for axis in range(3):
        cells = np.cumsum(cells, axis=axis, dtype=np.int32)
    return np.asarray(cells)


def _widest(axis: Floats, columns: list[Integers]) -> float:
    """How far the widest triangle reaches along an axis, given the vertices' places on it."""
    a, b, c = (axis.take(column) for column in columns)
    return float((np.maximum(np.maximum(a, b), c) - np.minimum(np.minimum(a, b), c)).max())


def spread(flags: Flags, axis: int, reach: int) -> Flags:
    """Flags set up to `reach` further along an axis, both ways."""
    flags = np.moveaxis(flags, axis, 0)
    wider = flags.copy()
    for step in range(1, min(reach, len(flags) - 1) + 1):
        wider[step:] |= flags[:-step]
        wider[:-step] |= flags[step:]
    return np.moveaxis(wider, 0, axis)


def degenerate_triangles(points: Floats, triangles: Integers) -> Flags:
    """Whether each triangle is a line or a point: two equal vertices, or no height to speak of (`FLAT`)."""
    flags = [np.zeros(0, bool)]
    for some in chunks(triangles, CHUNK_TRIANGLES):
        a, b, c = corners_of(points, some)
        longest_squared = np.maximum(np.maximum(_squared(b - a), _squared(c - b)), _squared(a - c))
        flags.append(_squared(cross(b - a, c - a)) <= (FLAT * longest_squared) ** 2)
    return np.concatenate(flags)


def at_any_corner(flags: Flags, triangles: Integers) -> Flags:
    """Which triangles have a flagged vertex. By columns: NumPy is slow with rows of three."""
    first, second, third = triangles.T
    return flags.take(first) | flags.take(second) | flags.take(third)


def corners_of(points: Floats, triangles: Integers) -> tuple[Floats, Floats, Floats]:
    """The first, second and third corners of triangles, each (3, m), 64-bit."""
    a, b, c = (np.ascontiguousarray(points.take(corner, axis=0).T, np.float64) for corner in triangles.T)
    return a, b, c


def normals_of(points: Floats, triangles: Integers) -> Floats:
    """Of triangles (m, 3) what `cross` gives of their edges: (3, m), twice as long as they are large."""
    found = np.empty((3, len(triangles)))
    for some in slices(len(triangles)):
        a, b, c = corners_of(points, triangles[some])
        found[:, some] = cross(b - a, c - a)
    return found


def dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def cross(a: Floats, b: Floats) -> Floats:
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for axis, (up, down) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.subtract(a[up] * b[down], a[down] * b[up], out=product[axis])
    return product


def _squared(vectors: Floats) -> Floats:
    return dot(vectors, vectors)


def _unit(vectors: Floats) -> Floats:
    """Vectors of length one; those of no length stay."""
    length = np.sqrt(_squared(vectors))
    return np.asarray(vectors / np.where(length > 0, length, 1))


class _Triangles:
    """Triangles with what is asked of them again and again; `vertices` (3, m), corners and normals (3, m) each.

    Corners are kept as the points are, which for 32-bit ones takes half the memory; `corner` gives them 64-bit.
    """

    def __init__(self, points: Floats, triangles: Integers) -> None:
        self.coordinates = np.ascontiguousarray(points.T, np.float64)
        self.vertices = np.ascontiguousarray(triangles.T)
        self.corners = [np.ascontiguousarray(points.take(corner, axis=0).T) for corner in triangles.T]
        self.normals = normals_of(points, triangles)
        for some in slices(len(triangles)):
            self.normals[:, some] = _unit(self.normals[:, some])

    def corner(self, which: int, some: Integers | slice) -> Floats:
        """The first (0), second or third corner of some triangles, (3, k)."""
        corners = self.corners[which]
        found = corners[:, some] if isinstance(some, slice) else corners.take(some, axis=1)
        return found.astype(np.float64, copy=False)


# Triangles with a common vertex


def _at_vertices(triangles: _Triangles, wrong_vertices: Integers) -> Integers:
    """Intersecting pairs that share a vertex: only round vertices whose star is not seen to be flat enough."""
    suspect = _unproven_stars(triangles)
    suspect[wrong_vertices] = True
    corner, triangle = np.nonzero(suspect[triangles.vertices])
    vertex = triangles.vertices[corner, triangle]
    order = np.argsort(vertex, kind="stable")
    vertex, triangle = vertex[order], triangle[order]
    found = [np.zeros((0, 2), np.int64)]
    for distance in range(1, len(vertex)):
        same = np.flatnonzero(vertex[distance:] == vertex[:-distance])
        if same.size == 0:
            break
        for some in chunks(same):
            first, second = triangle[some], triangle[some + distance]
            found.append(np.stack(_kept(_meet_beside_shared(triangles, first, second), first, second), axis=1))
    return np.concatenate(found)


def _unproven_stars(triangles: _Triangles) -> Flags:
    """Flag the vertices whose triangles may intersect each other, if all their edges are right.

    If some direction sees all triangles round a vertex from their front, and they go round it once, then their
    projection along it covers no place twice, and they cannot meet anywhere but at their common edges and the vertex.
    The mean normal is tried as that direction; going round once means that the ring of neighbours crosses a ray from
    the vertex once.
    """
    count = triangles.coordinates.shape[1]
    direction = np.zeros((3, count))
    for axis, component in enumerate(triangles.normals):
        for vertex in triangles.vertices:
            direction[axis] += np.bincount(vertex, component, count)
    direction = _unit(direction)
    x, y, z = direction
    steep = np.abs(z) < 0.9
    sideways = np.stack([np.where(steep, -y, 0), np.where(steep, x, -z), np.where(steep, 0, y)])
    unproven = np.zeros(count, bool)
    crossings = np.zeros(count, np.int64)
    for some, turn in product(slices(triangles.vertices.shape[1]), range(3)):
        vertex = triangles.vertices[turn, some]
        unproven[vertex[dot(triangles.normals[:, some], direction.take(vertex, axis=1)) < FACING]] = True
        across = sideways.take(vertex, axis=1)
        here, following, last = (triangles.corner(which, some) for which in np.roll(range(3), -turn))
        crossed = vertex[(dot(across, following - here) < 0) & (dot(across, last - here) >= 0)]
        np.add.at(crossings, crossed, 1)
    return np.asarray(unproven | (crossings != 1))


def _meet_beside_shared(triangles: _Triangles, first: Integers, second: Integers) -> Flags:
    """Whether pairs of triangles that share a vertex at least meet anywhere else."""
    vertices_first, vertices_second = triangles.vertices[:, first], triangles.vertices[:, second]
    equal = vertices_first[:, None] == vertices_second[None]
    shared_first, shared_second = equal.any(axis=1), equal.any(axis=0)
    shared = shared_first.sum(axis=0)
    meet: Flags = np.asarray(shared == 3)
    for count, test in ((1, _cones_meet), (2, _folded)):
        some = np.flatnonzero(shared == count)
        # The odd corner in front: the only one that is shared, or the only one that is not.
        odd_first, odd_second = (shared_of[:, some] == (count == 1) for shared_of in (shared_first, shared_second))
        meet[some] = test(
            triangles.coordinates[:, _turned(vertices_first[:, some], odd_first)],
            triangles.coordinates[:, _turned(vertices_second[:, some], odd_second)],
        )
    return meet


def _turned(vertices: Integers, front: Flags) -> Integers:
    """The triangles' vertices (3, k), turned so that the corner flagged in `front` (3, k) is the first."""
    return np.take_along_axis(vertices, (np.argmax(front, axis=0) + np.arange(3)[:, None]) % 3, axis=0)


def _folded(first: Floats, second: Floats) -> Flags:
    """Whether triangles (3, 3, k) with a common edge, their free corners in front, lie on the same side of it."""
    edge = _unit(first[:, 2] - first[:, 1])
    arm_first, arm_second = first[:, 0] - first[:, 1], second[:, 0] - first[:, 1]
    across_first = _unit(arm_first - dot(arm_first, edge) * edge)
    across_second = _unit(arm_second - dot(arm_second, edge) * edge)
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
            dot(rays[:, 1], cross(rays[:, 2], rays[:, 3])),
            -dot(rays[:, 0], cross(rays[:, 2], rays[:, 3])),
            dot(rays[:, 3], cross(rays[:, 0], rays[:, 1])),
            -dot(rays[:, 2], cross(rays[:, 0], rays[:, 1])),
        ]
    )
    rounding = 1e-14
    meet: Flags = np.asarray((weights >= -rounding).all(axis=0) | (weights <= rounding).all(axis=0))
    plane = np.flatnonzero((np.abs(weights) <= TOUCHING).all(axis=0))
    meet[plane] = _angles_overlap(a[:, :, plane], b[:, :, plane])
    return meet


def _angles_overlap(a: Floats, b: Floats) -> Flags:
    """Whether the angles between two directions each (3, 2, k), all in one plane, overlap."""
    turns = cross(a[:, 0], a[:, 1]), cross(b[:, 0], b[:, 1])
    normal = np.where(_squared(turns[0]) > _squared(turns[1]), turns[0], turns[1])
    overlap = np.zeros(a.shape[2], bool)
    for angle, turn, others in ((a, turns[0], b), (b, turns[1], a)):
        way = np.sign(dot(normal, turn)) * normal
        for other in (others[:, 0], others[:, 1]):
            after = dot(way, cross(angle[:, 0], other))
            before = dot(way, cross(other, angle[:, 1]))
            overlap |= (after >= -TOUCHING) & (before >= -TOUCHING)
    return overlap


# Triangles without a common vertex


class _BoxTree:
    """Bounding boxes of triangles, and of neighbouring two, four, eight ..., up to one of all.

    Two boxes overlap where (lower x, y, z, -upper x, y, z) of one <= (upper x, y, z, -lower x, y, z) of the other, so
    each box is stored as these two rows of eight 16-bit numbers (two are 0): a test is one comparison of short rows.
    Boxes are rounded outward to 65,000 steps in the longest direction.
    """

    def __init__(self, corners: Sequence[Floats]) -> None:
        lowest, highest = (of([of(c, axis=1) for c in corners], axis=0).astype(np.float64) for of in (np.min, np.max))
        middle = (lowest + highest)[:, None] / 2
        step = (float((highest - lowest).max()) or 1.0) / 65000
        rows = np.zeros((corners[0].shape[1], 8), np.int16)
        for some in slices(len(rows)):
            a, b, c = (corner[:, some].astype(np.float64) for corner in corners)
            rows[some, :3] = np.floor((np.minimum(np.minimum(a, b), c) - middle) / step).T
            rows[some, 3:6] = -np.ceil((np.maximum(np.maximum(a, b), c) - middle) / step).T
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
    longest = float(np.ptp(positions, axis=1).max()) or 1.0
    code = np.zeros(positions.shape[1], np.uint32)
    for axis, places in enumerate(positions):
        steps = ((places - places.min()) * (1023 / longest)).astype(np.uint32)
        for shift, bits in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
            steps |= steps << np.uint32(shift)
            steps &= np.uint32(bits)
        code |= steps << np.uint32(axis)
    index_bits = np.uint64(32)
    numbered = np.sort(code.astype(np.uint64) << index_bits | np.arange(len(code), dtype=np.uint64))
    return (numbered & np.uint64(0xFFFFFFFF)).astype(np.int64)


class _Search:
    """Looks for intersecting pairs of triangles that have no common vertex.

    The triangles' order must be such that neighbours in it are near each other. Such that come closer than `touching`
    touch.
    """

    def __init__(self, triangles: _Triangles, touching: float) -> None:
        self.vertices, self.corner, self.normals = triangles.vertices, triangles.corner, triangles.normals
        self.tree = _BoxTree(triangles.corners)
        self.offsets = np.empty(self.normals.shape[1])
        for some in slices(len(self.offsets)):
            self.offsets[some] = dot(self.normals[:, some], self.corner(0, some))
        self.touching = touching

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
        """Under pairs of boxes of a level, the pairs of triangles (k, 2) that meet each other's planes."""
        level, first, second = piece
        while level > 0:
            level -= 1
            first, second = self.tree.children(level, first, second)
        first, second = _kept(self._share_no_vertex(first, second), first, second)
        first, second = _kept(self._meets_plane(first, second), first, second)
        first, second = _kept(self._meets_plane(second, first), first, second)
        return np.stack([first, second], axis=1)

    def meeting(self, pairs: Integers) -> Integers:
        """Those of such pairs that intersect: few, so all at once."""
        first, second = np.ascontiguousarray(pairs.T)
        for start in range(3):
            first, second = _kept(self._reaches_inside(start, first, second), first, second)
            first, second = _kept(self._reaches_inside(start, second, first), first, second)
        first, second = _kept(self._edges_inseparable(first, second), first, second)
        return np.stack([first, second], axis=1)

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
        a, b, c = (dot(normal, self.corner(which, second)) for which in range(3))
        lowest, highest = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        return (lowest <= offset + self.touching) & (highest >= offset - self.touching)

    def _reaches_inside(self, start: int, first: Integers, second: Integers) -> Flags:
        """Whether the second triangle is not wholly beyond the first one's edge that starts at a corner."""
        begin = self.corner(start, first)
        edge = self.corner((start + 1) % 3, first) - begin
        outward = _unit(cross(edge, self.normals.take(first, axis=1)))
        a, b, c = (dot(outward, self.corner(which, second)) for which in range(3))
        return np.minimum(np.minimum(a, b), c) <= dot(outward, begin) + self.touching

    def _edges_inseparable(self, first: Integers, second: Integers) -> Flags:
        """Whether no plane passes between the triangles that is parallel to an edge of each.

        With the planes parallel to either triangle, or square to it through an edge, those are all that need a try.
        """
        a, b = (np.stack([self.corner(which, some) for which in range(3)], axis=1) for some in (first, second))
        a, b = a - a[:, :1], b - a[:, :1]
        edges_a, edges_b = np.roll(a, -1, axis=1) - a, np.roll(b, -1, axis=1) - b
        apart = np.zeros(len(first), bool)
        for edge_a, edge_b in np.ndindex(3, 3):
            along = _unit(cross(edges_a[:, edge_a], edges_b[:, edge_b]))[:, None]
            on_a, on_b = dot(along, a), dot(along, b)
            gap = np.maximum(on_b.min(axis=0) - on_a.max(axis=0), on_a.min(axis=0) - on_b.max(axis=0))
            apart |= gap > self.touching
        return ~apart


def _kept(keep: Flags, first: Integers, second: Integers) -> tuple[Integers, Integers]:
    some = np.flatnonzero(keep)
    return first.take(some), second.take(some)


def chunks(rows: Integers, size: int = CHUNK_PAIRS) -> Iterator[Integers]:
    """Rows in pieces that fit the processor's cache."""
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


def slices(count: int, size: int = CHUNK_PAIRS) -> Iterator[slice]:
    """A row of so many, in pieces that fit the processor's cache."""
    for begin in range(0, count, size):
        yield slice(begin, begin + size)
