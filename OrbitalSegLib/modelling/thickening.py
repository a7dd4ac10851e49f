"""Walls that are too thin for a printer, thickened to both sides, and every cubic millimetre counted."""

from typing import Any

import numpy as np

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.collisions import settled
from OrbitalSegLib.modelling.fitting import smooth_normals
from OrbitalSegLib.modelling.intersections import Floats, Integers
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.modelling.thickness import walls
from OrbitalSegLib.progress import Progress, silent

PASSES = 3
"""What curves is thickened a little too little by one."""

ENOUGH = 0.02
"""A wall that lacks no more than this part of the limit is thick enough."""


def thickened(
    points: Floats, triangles: Integers, minimum_mm: float, progress: Progress = silent
) -> tuple[Floats, Floats, dict[str, Any]]:
    """Points at which walls are no thinner than `minimum_mm` where there is room for it; how far each went, in mm.

    Both sides of a wall go outwards by half of what it lacks, and so by half of the limit at most. No vertex goes where
    the surface would cross itself.
    """
    topology = Topology(triangles)
    start, volume_ml = points, mesh.volume_ml(points, triangles)
    for done in range(PASSES):
        grow_mm = _lacking_mm(points, triangles, minimum_mm) / 2
        if grow_mm.max() <= ENOUGH * minimum_mm / 2:
            break
        left_mm = minimum_mm / 2 - np.linalg.norm(points - start, axis=1)
        step = smooth_normals(points, triangles) * np.clip(grow_mm, 0, np.maximum(left_mm, 0))[:, None]
        places = [points, *((points + part * step).astype(np.float32) for part in (0.5, 1.0))]
        points = settled(places, triangles, topology).points
        progress((done + 1) / PASSES)
    moved_mm = np.linalg.norm(points - start, axis=1)
    left = walls(points, triangles)
    added_mm3 = 1000 * (mesh.volume_ml(points, triangles) - volume_ml)
    return (
        points,
        moved_mm,
        {
            "minimum_mm": minimum_mm,
            "added_mm3": round(added_mm3, 3),
            "vertices_moved": int((moved_mm > 0).sum()),
            "moved_maximum_mm": round(float(moved_mm.max(initial=0)), 4),
            "area_still_under_minimum_mm2": round(
                float(left.area_mm2[left.thickness_mm < (1 - ENOUGH) * minimum_mm].sum()), 1
            ),
        },
    )


def _lacking_mm(points: Floats, triangles: Integers, minimum_mm: float) -> Floats:
    """What the wall at each vertex lacks, by the mean of what is measured there; elsewhere what its neighbours lack."""
    found = walls(points, triangles)
    corners = triangles[found.triangles].ravel()
    total = np.bincount(corners, np.repeat(found.thickness_mm, 3), len(points))
    count = np.bincount(corners, minlength=len(points))
    lacking = np.where(count > 0, np.clip(minimum_mm - total / np.maximum(count, 1), 0, None), np.nan)
    return mesh.filled(lacking, triangles)
