"""What became of a surface: how far it moved, what it gained and lost, and how thin it is [3532-1 6.4]."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.distances import signed_distances_mm
from OrbitalSegLib.modelling.intersections import Floats, Integers, corners_of, cross
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.modelling.thickness import walls
from OrbitalSegLib.progress import Progress, silent

MEASURED_AT_MOST = 100_000
"""Vertices whose distance is measured; of a larger surface so many are taken evenly, and the map takes for the others
what is measured nearest to them along the surface."""

THIN_WALL_MM = 0.3
"""Walls below this are listed by area: most of the orbital floor and medial wall is no thicker in life."""

SHELLS_LISTED = 20


@dataclass(frozen=True)
class Quality:
    """`report` is for the record; `deviation_mm` and `thickness_mm` are by vertex, for the map."""

    report: dict[str, Any]
    deviation_mm: Floats
    thickness_mm: Floats


def quality(
    points: Floats,
    triangles: Integers,
    before: tuple[Floats, Integers],
    printer_minimum_mm: float,
    progress: Progress = silent,
    topology: Topology | None = None,
) -> Quality:
    """Compare a surface with what it was `before` smoothing, simplifying and thickening: points and triangles.

    Distances are signed: positive where the surface lies outside what it was. The `topology` of the triangles is worked
    out if it is not given.
    """
    old_points, old_triangles = before
    sample = _sample(len(points))
    distances = signed_distances_mm(
        points[sample], old_points, old_triangles, lambda fraction: progress(0.6 * fraction)
    )
    topology = topology or Topology(triangles)
    old = topology if triangles is old_triangles else Topology(old_triangles)
    volume, old_volume = mesh.volume_ml(points, triangles), mesh.volume_ml(old_points, old_triangles)
    found = walls(points, triangles, lambda fraction: progress(0.6 + 0.4 * fraction))
    report = {
        "deviation_mm": _deviation(distances, points[sample]),
        "volume_ml": {"before": old_volume, "after": volume, "change_percent": 100 * (volume / old_volume - 1)},
        "tunnels": {"before": old.tunnels, "after": topology.tunnels},
        "parts": {"before": old.parts, "after": topology.parts},
        "walls": _walls(found.thickness_mm, found.area_mm2, found.places_mm, printer_minimum_mm),
        "shells": shells(points, triangles, topology),
        "triangles": len(triangles),
    }
    thinnest = np.full(len(points), np.inf)
    np.minimum.at(thinnest, triangles[found.triangles].ravel(), np.repeat(found.thickness_mm, 3))
    return Quality(report, _spread(distances, sample, triangles, len(points)), thinnest)


def shells(points: Floats, triangles: Integers, topology: Topology) -> list[dict[str, Any]]:
    """The separate closed shells, largest first: triangles, volume (negative: a cavity) and middle, LPS mm."""
    part = topology.part_of_vertices[triangles[:, 0]]
    numbers, part = np.unique(part, return_inverse=True)
    a, b, c = corners_of(points - points.mean(axis=0), triangles)
    volume_ml = np.bincount(part, (a * cross(b, c)).sum(axis=0), len(numbers)) / 6000
    count = np.bincount(part, minlength=len(numbers))
    middle = np.stack([np.bincount(part, axis, len(numbers)) for axis in (a + b + c) / 3], axis=1) / count[:, None]
    middle += points.mean(axis=0)
    return [
        {
            "triangles": int(count[i]),
            "volume_ml": round(float(volume_ml[i]), 4),
            "middle_mm": [round(float(x), 1) for x in middle[i]],
        }
        for i in np.argsort(-count, kind="stable")[:SHELLS_LISTED]
    ]


def _sample(count: int) -> Integers:
    return np.unique(np.linspace(0, count - 1, min(count, MEASURED_AT_MOST)).astype(np.int64))


def _deviation(signed_mm: Floats, places_mm: Floats) -> dict[str, Any]:
    absolute = np.abs(signed_mm)
    furthest = int(absolute.argmax())
    figures = {
        name: round(float(np.percentile(values, percent)), 4)
        for name, values, percent in (
            ("median", absolute, 50),
            ("p95", absolute, 95),
            ("p99", absolute, 99),
            ("maximum", absolute, 100),
            ("signed_median", signed_mm, 50),
            ("signed_p05", signed_mm, 5),
            ("signed_p95", signed_mm, 95),
        )
    }
    return {
        **figures,
        "maximum_at_mm": [round(float(x), 1) for x in places_mm[furthest]],
        "measured_at_vertices": len(signed_mm),
    }


def _walls(thickness_mm: Floats, area_mm2: Floats, places_mm: Floats, printer_minimum_mm: float) -> dict[str, Any]:
    if thickness_mm.size == 0:
        return {"printer_minimum_mm": printer_minimum_mm}
    order = np.argsort(thickness_mm, kind="stable")
    share = np.cumsum(area_mm2[order]) / area_mm2.sum()
    thinnest = order[0]
    return {
        "minimum_mm": round(float(thickness_mm[thinnest]), 4),
        "minimum_at_mm": [round(float(x), 1) for x in places_mm[thinnest]],
        "p05_mm": round(float(thickness_mm[order[np.searchsorted(share, 0.05)]]), 4),
        "area_mm2": round(float(area_mm2.sum()), 1),
        f"area_under_{THIN_WALL_MM}_mm_mm2": round(float(area_mm2[thickness_mm < THIN_WALL_MM].sum()), 1),
        "printer_minimum_mm": printer_minimum_mm,
        "area_under_printer_minimum_mm2": round(float(area_mm2[thickness_mm < printer_minimum_mm].sum()), 1),
    }


def _spread(values: Floats, sample: Integers, triangles: Integers, count: int) -> Floats:
    """Values of some vertices to all: what is missing takes the mean of its neighbours, ring by ring."""
    spread = np.full(count, np.nan)
    spread[sample] = values
    return mesh.filled(spread, triangles)
