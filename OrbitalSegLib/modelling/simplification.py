"""Fewer triangles, by a deviation in mm and never by a share. Needs the extra `mesh`."""

from typing import Any

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.distances import signed_distances_mm
from OrbitalSegLib.modelling.fitting import smooth_normals
from OrbitalSegLib.modelling.intersections import (
    Floats,
    Integers,
    at_any_corner,
    degenerate_triangles,
    self_intersections,
)
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.progress import Progress, silent

FIRST = 0.5
"""What manifold3d calls tolerance is exceeded twice where it removes one vertex after another (measured)."""

TRIES = 4
"""Where the result is not sound, or further away than asked, half the tolerance is tried, so many times in all."""

PUSHES, PUSH = 10, 0.2
"""Triangles that cross are pushed outwards by this part of the deviation, so many times: they are two sides of a thin
wall, or of a fold."""


def check_installed() -> None:
    """Raises `InputError` `needs-mesh` where the package is missing."""
    try:
        import manifold3d  # noqa: F401
    except ModuleNotFoundError as missing:
        text = "Simplifying needs one more package: pip install 'orbitalseg[mesh]', or leave `simplify_mm` out."
        raise InputError("needs-mesh", text) from missing


def simplified(
    points: Floats, triangles: Integers, deviation_mm: float, progress: Progress = silent
) -> tuple[Floats, Integers, dict[str, Any]]:
    """A sound surface no vertex of which, and of the given one, lies further than `deviation_mm` from the other.

    Returns points (32-bit), triangles and what was measured. Raises `InputError` `needs-mesh` where the package is
    missing, `damaged-surface` where no try gives a sound surface.
    """
    check_installed()
    import manifold3d

    whole = manifold3d.Manifold(manifold3d.Mesh(points.astype(np.float32), triangles.astype(np.uint32)))
    for attempt in range(TRIES):
        tolerance_mm = FIRST * deviation_mm / 2**attempt
        found = whole.simplify(tolerance_mm).to_mesh()
        less = np.array(found.vert_properties[:, :3], np.float32), np.array(found.tri_verts, np.int32)
        less = _untangled(*less, PUSH * deviation_mm), less[1]
        furthest_mm = _furthest_mm((points, triangles), less) if _sound(*less) else np.inf
        progress((attempt + 1) / TRIES)
        if furthest_mm <= deviation_mm:
            return *less, {
                "deviation_mm": deviation_mm,
                "tolerance_mm": tolerance_mm,
                "measured_deviation_mm": round(furthest_mm, 4),
                "triangles_before": len(triangles),
                "triangles": len(less[1]),
            }
    raise InputError(
        "damaged-surface",
        f"No simpler surface within {deviation_mm:g} mm is closed and crosses itself nowhere: "
        "ask for a smaller `simplify_mm`, or none.",
    )


def _untangled(points: Floats, triangles: Integers, step_mm: float) -> Floats:
    """Points of which those of crossing triangles are moved outwards, a step at a time, until none cross."""
    wrong = Topology(triangles).wrong_vertices
    normals = smooth_normals(points, triangles)
    among = None
    for _ in range(PUSHES):
        pairs = self_intersections(points, triangles, wrong, among=among)
        if len(pairs) == 0:
            break
        bad = np.zeros(len(points), bool)
        bad[triangles[pairs]] = True
        points = np.where(bad[:, None], points + step_mm * normals, points).astype(np.float32)
        among = at_any_corner(bad, triangles)
    return points


def _sound(points: Floats, triangles: Integers) -> bool:
    topology = Topology(triangles)
    return (
        topology.sound
        and not degenerate_triangles(points, triangles).any()
        and not mesh.coincident_vertices(points).any()
        and len(self_intersections(points, triangles, topology.wrong_vertices)) == 0
    )


def _furthest_mm(one: tuple[Floats, Integers], other: tuple[Floats, Integers]) -> float:
    there = np.abs(signed_distances_mm(one[0], *other)).max()
    back = np.abs(signed_distances_mm(other[0], *one)).max()
    return float(max(there, back))
