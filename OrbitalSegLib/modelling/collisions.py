"""Of several places for each vertex, the best at which nothing collides."""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import (
    Flags,
    Floats,
    Integers,
    at_any_corner,
    degenerate_triangles,
    self_intersections,
)
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.progress import Progress, silent

ROUNDS_BEFORE_GROWING = 8
"""After so many rounds of putting colliding vertices back, their neighbours go back with them, so that it ends."""


@dataclass(frozen=True)
class Settled:
    """Points (n, 3) at which nothing collides, and how many vertices are not at their best place."""

    points: Floats
    put_back: int


def settled(places: list[Floats], triangles: Integers, topology: Topology, progress: Progress = silent) -> Settled:
    """Every vertex at the last of its `places` (n, 3) at which it collides with nothing.

    Triangles collide that intersect or are degenerate, and vertices that coincide. Every round puts colliding vertices
    one place back; at the first place nothing may collide, so there is an end.
    Raises `InputError` `damaged-surface`, which says where.
    """
    points = places[-1].copy()
    place = np.full(len(points), len(places) - 1)
    among: Flags | None = None
    for round_ in range(len(points) * len(places) + 1):
        bad = _colliding(points, triangles, topology, among, progress)
        if not bad.any():
            return Settled(points, int((place < len(places) - 1).sum()))
        if round_ >= ROUNDS_BEFORE_GROWING:
            bad[triangles[at_any_corner(bad, triangles)]] = True
        movable = bad & (place > 0)
        if not movable.any():
            raise damaged(points[bad])
        place[movable] -= 1
        for number, candidate in enumerate(places):
            here = movable & (place == number)
            points[here] = candidate[here]
        among = at_any_corner(bad, triangles)
    raise damaged(points)


def damaged(points: Floats) -> InputError:
    """The error for a surface that cannot be made sound near these points (LPS mm)."""
    x, y, z = points.mean(axis=0)
    return InputError(
        "damaged-surface",
        f"No surface that is closed and crosses itself nowhere was found near x {x:.0f}, y {y:.0f}, z {z:.0f} mm: "
        "choose a smaller region, or no smoothing.",
    )


def _colliding(
    points: Floats, triangles: Integers, topology: Topology, among: Flags | None, progress: Progress
) -> Flags:
    """Flag the vertices that collide; where all but some triangles are known not to (`among`), only with those."""
    bad = mesh.coincident_vertices(points)
    moved = triangles if among is None else triangles[among]
    bad[moved[degenerate_triangles(points, moved)]] = True
    pairs = self_intersections(points, triangles, topology.wrong_vertices, among=among, progress=progress)
    bad[triangles[pairs]] = True
    return bad
