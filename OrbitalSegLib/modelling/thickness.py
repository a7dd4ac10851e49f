"""How thick the walls of a closed surface are.

Parallel rays along x, y and z cut the surface; what lies between where a ray goes in and where it comes out next is
bone. Each place is measured by the rays of the axis that its normal is nearest to. Ray length times the cosine between
ray and normal, the mean of both sides', is the thickness of a wall with parallel sides, however it leans, and nearly
that of a curved one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.modelling.intersections import Floats, Integers, corners_of, cross
from OrbitalSegLib.progress import Progress, silent

RAYS_MM = 0.2
"""Distance of neighbouring rays."""

FACING = -0.7
"""The two sides of a wall face away from each other: the cosine between their normals is below this. An edge that
tapers has none."""

STEEPEST = 3**-0.5
"""Every normal has a component along some axis that is at least this."""

AT_ONCE = 1 << 17
"""Triangles whose rays are looked at at once."""


@dataclass(frozen=True)
class Walls:
    """Samples of walls: thickness, the area that each stands for, where they lie, and on which triangle."""

    thickness_mm: Floats
    area_mm2: Floats
    places_mm: Floats
    triangles: Integers


def walls(points: Floats, triangles: Integers, progress: Progress = silent) -> Walls:
    """Sample the walls of a closed surface, whose `points` are mm; thick bone counts as a wall too."""
    a, b, c = corners_of(points, triangles)
    normals = cross(b - a, c - a)
    normals /= np.maximum(np.sqrt((normals**2).sum(axis=0)), 1e-300)
    parts = []
    for axis in range(3):
        parts.append(_along(axis, points, triangles, normals))
        progress((axis + 1) / 3)
    return Walls(*(np.concatenate([getattr(part, name) for part in parts]) for name in Walls.__dataclass_fields__))


def _along(axis: int, points: Floats, triangles: Integers, normals: Floats) -> Walls:
    """What the rays along one axis tell of the places whose normals are near to it."""
    ray, depth, hit = _hits(axis, points, triangles, normals[axis])
    order = np.lexsort([depth, ray])
    ray, depth, hit = ray[order], depth[order], hit[order]
    enters = normals[axis, hit] < 0
    pairs = np.flatnonzero(enters[:-1] & ~enters[1:] & (ray[:-1] == ray[1:]))
    cosine = (normals[:, hit[pairs]] * normals[:, hit[pairs + 1]]).sum(axis=0)
    pairs = pairs[cosine < FACING]
    steepness = np.abs(normals[axis, hit[pairs]]) + np.abs(normals[axis, hit[pairs + 1]])
    thickness = (depth[pairs + 1] - depth[pairs]) * steepness / 2
    found = np.concatenate([hit[pairs], hit[pairs + 1]])
    steep = np.abs(normals[axis, found])
    own = steep >= np.maximum(np.abs(normals[:, found]).max(axis=0) - 1e-12, STEEPEST - 1e-12)
    found, steep, thickness = found[own], steep[own], np.tile(thickness, 2)[own]
    return Walls(thickness, RAYS_MM**2 / steep, points[triangles[found]].mean(axis=1), found)


def _hits(axis: int, points: Floats, triangles: Integers, along: Floats) -> tuple[Integers, Floats, Integers]:
    """Ray number, depth and triangle of every place where a ray cuts a triangle that it is not parallel to."""
    others = [i for i in range(3) if i != axis]
    low = points.min(axis=0).astype(np.float64)
    # Off any grid that the points may lie on, so that rays cut triangles and seldom vertices.
    plane = (points[:, others] - low[others]) / RAYS_MM + np.array([0.4142, 0.7321])
    depth = points[:, axis].astype(np.float64)
    rays_across = int(plane[:, 1].max()) + 2
    rays, depths, hits = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, np.int64)]
    candidates = np.flatnonzero(np.abs(along) > 1e-3)
    for start in range(0, len(candidates), AT_ONCE):
        some = candidates[start : start + AT_ONCE]
        corners = plane[triangles[some]]
        for owner, u, v in _cells(corners.min(axis=1), corners.max(axis=1)):
            weights = _weights(corners[owner], np.stack([u, v], axis=1))
            inside = (weights >= 0).all(axis=1)
            rays.append((u * rays_across + v)[inside])
            depths.append((weights * depth[triangles[some[owner]]]).sum(axis=1)[inside])
            hits.append(some[owner[inside]])
    return np.concatenate(rays), np.concatenate(depths), np.concatenate(hits)


def _cells(low: Floats, high: Floats) -> Iterator[tuple[Integers, Integers, Integers]]:
    """For boxes (n, 2), the whole numbers in them: box, first and second number."""
    first = np.ceil(low).astype(np.int64)
    count = np.floor(high).astype(np.int64) - first + 1
    total = np.maximum(count, 0).prod(axis=1)
    owner = np.repeat(np.arange(len(low)), total)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(total) - total, total)
    step = np.maximum(count[owner, 1], 1)
    yield owner, first[owner, 0] + within // step, first[owner, 1] + within % step


def _weights(corners: Floats, at: Floats) -> Floats:
    """Barycentric coordinates (n, 3) of points in triangles (n, 3, 2)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]

    def turn(p: Floats, q: Floats) -> Floats:
        return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]

    area = turn(b - a, c - a)
    area = np.where(area == 0, np.inf, area)
    second, third = turn(at - a, c - a) / area, turn(b - a, at - a) / area
    return np.stack([1 - second - third, second, third], axis=1)
