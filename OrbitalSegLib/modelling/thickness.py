"""How thick the walls of a closed surface are.

Parallel rays along x, y and z cut the surface; what lies between where a ray goes in and where it comes out next is
bone. Each place is measured by the rays of the axis that its normal is nearest to. Ray length times the cosine between
ray and normal, the mean of both sides', is the thickness of a wall with parallel sides, however it leans, and nearly
that of a curved one.
"""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.modelling.intersections import Floats, Integers, normals_of, slices
from OrbitalSegLib.progress import Progress, silent

RAYS_MM = 0.3
"""Distance of neighbouring rays: about one for each triangle of a surface whose vertices are 0.4 mm apart."""

FACING = -0.7
"""The two sides of a wall face away from each other: the cosine between their normals is below this. An edge that
tapers has none."""

STEEPEST = 3**-0.5
"""Every normal has a component along some axis that is at least this."""

AT_ONCE = 1 << 17
"""Triangles whose rays are looked at at once."""


@dataclass(frozen=True)
class WallSamples:
    """Samples of walls: thickness, the area that each stands for, where they lie, and on which triangle."""

    thickness_mm: Floats
    area_mm2: Floats
    places_mm: Floats
    triangles: Integers


def walls(points: Floats, triangles: Integers, progress: Progress = silent) -> WallSamples:
    """Sample the walls of a closed surface, whose `points` are mm; thick bone counts as a wall too."""
    normals = normals_of(points, triangles)
    for some in slices(len(triangles)):
        normals[:, some] /= np.maximum(np.sqrt((normals[:, some] ** 2).sum(axis=0)), 1e-300)
    parts = []
    for axis in range(3):
        parts.append(_along(axis, points, triangles, normals))
        progress((axis + 1) / 3)
    return WallSamples(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in WallSamples.__dataclass_fields__)
    )


def _along(axis: int, points: Floats, triangles: Integers, normals: Floats) -> WallSamples:
    """What the rays along one axis tell of the places whose normals are near to it."""
    ray, depth, hit = _hits(axis, points, triangles, normals[axis])
    # One number for both: sorting by two takes twice as long.
    deepest = np.ptp(depth) * 1.001 if depth.size else 0.0
    order = np.argsort(ray + (depth - depth.min(initial=np.inf)) / (deepest or 1.0))
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
    places = sum(points[corner] for corner in triangles[found].T) / 3
    return WallSamples(thickness, RAYS_MM**2 / steep, places, found)


def _hits(axis: int, points: Floats, triangles: Integers, along: Floats) -> tuple[Integers, Floats, Integers]:
    """Ray number, depth and triangle of every place where a ray cuts a triangle that it is not parallel to."""
    # Off any grid that the points may lie on, so that rays cut triangles and seldom vertices.
    u, v = (
        (points[:, i].astype(np.float64) - points[:, i].min()) / RAYS_MM + shift
        for i, shift in zip((i for i in range(3) if i != axis), (0.4142, 0.7321), strict=True)
    )
    depth = points[:, axis].astype(np.float64)
    rays_across = int(v.max()) + 2
    rays, depths, hits = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0, np.int64)]
    candidates = np.flatnonzero(np.abs(along) > 1e-3)
    for start in range(0, len(candidates), AT_ONCE):
        some = candidates[start : start + AT_ONCE]
        corners = triangles[some].T.astype(np.int64)
        us, vs, ds = (place.take(corners) for place in (u, v, depth))
        owner, at_u, at_v = _cells(us, vs)
        second, third = _weights(us, vs, owner, at_u, at_v)
        inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
        owner, second, third = owner.take(inside), second.take(inside), third.take(inside)
        low, middle, high = (row.take(owner) for row in ds)
        rays.append(at_u.take(inside) * rays_across + at_v.take(inside))
        depths.append(low + second * (middle - low) + third * (high - low))
        hits.append(some.take(owner))
    return np.concatenate(rays), np.concatenate(depths), np.concatenate(hits)


def _cells(us: Floats, vs: Floats) -> tuple[Integers, Integers, Integers]:
    """For the boxes of triangles (3, n), the whole numbers in them: triangle, first and second number."""
    first_u, first_v = (np.ceil(place.min(axis=0)).astype(np.int64) for place in (us, vs))
    last_u, last_v = (np.floor(place.max(axis=0)).astype(np.int64) for place in (us, vs))
    across = np.maximum(last_v - first_v + 1, 0)
    total = np.maximum(last_u - first_u + 1, 0) * across
    owner = np.repeat(np.arange(len(total)), total)
    within = np.arange(len(owner)) - (np.cumsum(total) - total).take(owner)
    row, column = np.divmod(within, across.take(owner))
    return owner, first_u.take(owner) + row, first_v.take(owner) + column


def _weights(us: Floats, vs: Floats, owner: Integers, at_u: Integers, at_v: Integers) -> tuple[Floats, Floats]:
    """The second and third barycentric coordinate of places in triangles (3, n) of which they are the owners'."""
    (u1, u2), (v1, v2) = us[1:] - us[0], vs[1:] - vs[0]
    area = u1 * v2 - v1 * u2
    area = np.where(area == 0, np.inf, area)
    u, v = at_u - us[0].take(owner), at_v - vs[0].take(owner)
    second = u * (v2 / area).take(owner) - v * (u2 / area).take(owner)
    third = v * (u1 / area).take(owner) - u * (v1 / area).take(owner)
    return second, third
