"""Solids by formula: a field of signed distances in mm, negative inside, and a box around it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from OrbitalSegLib.places import Bounds, Point

Field = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""f(x, y, z) in mm, arrays that broadcast. Zero on the surface, negative inside; its slope near the surface lies
between 0.5 and 1.5, so that a voxel near the surface is known by a small value."""

TINY = 1e-9

FAR_MM = 8.0
"""Further than this from a surface a field may be any larger value."""


@dataclass(frozen=True)
class Shape:
    """A solid; `|` joins, `&` intersects and `-` subtracts solids."""

    field: Field
    box: Bounds

    def __or__(self, other: "Shape") -> "Shape":
        box = tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(self.box, other.box, strict=True))
        return Shape(lambda x, y, z: np.minimum(self.field(x, y, z), other.field(x, y, z)), box)

    def __and__(self, other: "Shape") -> "Shape":
        box = tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(self.box, other.box, strict=True))
        return Shape(_highest(self, other.field, other_box=None), box)

    def __sub__(self, other: "Shape") -> "Shape":
        return Shape(_highest(self, lambda x, y, z: -other.field(x, y, z), other.grown(FAR_MM).box), self.box)

    def grown(self, mm: float) -> "Shape":
        """The solid with its surface moved outwards by `mm` (inwards where negative)."""
        box = tuple((low - mm, high + mm) for low, high in self.box)
        return Shape(lambda x, y, z: self.field(x, y, z) - np.float32(mm), box)

    def shell(self, from_mm: float, to_mm: float) -> "Shape":
        """What lies between `from_mm` and `to_mm` outside the solid."""
        middle, half = np.float32((from_mm + to_mm) / 2), np.float32((to_mm - from_mm) / 2)
        return Shape(lambda x, y, z: np.abs(self.field(x, y, z) - middle) - half, self.grown(to_mm).box)

    def mirrored(self) -> "Shape":
        """The solid on the other side of the sagittal plane."""
        (left, right), *rest = self.box
        return Shape(lambda x, y, z: self.field(-x, y, z), ((-right, -left), *rest))


def _highest(shape: Shape, other: Field, other_box: Bounds | None) -> Field:
    """The higher of two fields; the other is asked only where it matters: near the shape and inside its own box."""

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        values = shape.field(x, y, z)
        asked = values < FAR_MM
        for p, (low, high) in zip((x, y, z), other_box or (), strict=False):
            asked = asked & (p > low) & (p < high)
        points = (np.broadcast_to(p, asked.shape)[asked] for p in (x, y, z))
        values[asked] = np.maximum(values[asked], other(*points))
        return values

    return field


def union(*shapes: Shape) -> Shape:
    """All shapes joined."""
    return reduce(Shape.__or__, shapes)


def smooth_union(first: Shape, second: Shape, radius_mm: float) -> Shape:
    """Two shapes joined with a fillet."""

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        a, b = first.field(x, y, z), second.field(x, y, z)
        blend = np.maximum(radius_mm - np.abs(a - b), 0)
        return np.minimum(a, b) - blend * blend / np.float32(4 * radius_mm)

    return Shape(field, (first | second).grown(radius_mm / 4).box)


def ellipsoid(centre: Point, radii: Point) -> Shape:
    """An ellipsoid along the axes; the field is the distance to first order."""

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        scaled = [(p - np.float32(c)) / np.float32(r) for p, c, r in zip((x, y, z), centre, radii, strict=True)]
        norm = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
        slope = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii, strict=True)))
        return norm * (norm - 1) / (slope + np.float32(TINY))

    return Shape(field, _box_around(centre, radii))


def superellipsoid(centre: Point, radii: Point) -> Shape:
    """A rounded box: an ellipsoid with fourth powers; the field is the distance to first order."""

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        scaled = [(p - np.float32(c)) / np.float32(r) for p, c, r in zip((x, y, z), centre, radii, strict=True)]
        cubes = [s * s * s for s in scaled]
        norm = np.sqrt(np.sqrt(cubes[0] * scaled[0] + cubes[1] * scaled[1] + cubes[2] * scaled[2]))
        steepness = np.sqrt(sum((c / np.float32(r)) ** 2 for c, r in zip(cubes, radii, strict=True)))
        return (norm - 1) * norm**3 / (steepness + np.float32(TINY))

    return Shape(field, _box_around(centre, radii))


def capsule(start: Point, end: Point, radius_mm: float, end_radius_mm: float | None = None) -> Shape:
    """A rod with round ends, from `start` to `end`; its radius may change along it."""
    axis = np.subtract(end, start)
    length2 = float(axis @ axis)
    growth_mm = (radius_mm if end_radius_mm is None else end_radius_mm) - radius_mm

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        px, py, pz = (p - np.float32(s) for p, s in zip((x, y, z), start, strict=True))
        ax, ay, az = axis.astype(np.float32)
        along = np.clip((px * ax + py * ay + pz * az) / np.float32(length2), 0, 1)
        distance = np.sqrt((px - along * ax) ** 2 + (py - along * ay) ** 2 + (pz - along * az) ** 2)
        return distance - (np.float32(radius_mm) + along * np.float32(growth_mm))

    widest = max(radius_mm, radius_mm + growth_mm)
    low, high = np.minimum(start, end) - widest, np.maximum(start, end) + widest
    return Shape(field, _box_between(low, high))


def disc(centre: Point, axis: Point, radius_mm: float, half_height_mm: float) -> Shape:
    """A flat round disc: what a punch with this axis cuts out."""
    unit = np.asarray(axis) / np.linalg.norm(axis)

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        px, py, pz = (p - c for p, c in zip((x, y, z), centre, strict=True))
        along = px * unit[0] + py * unit[1] + pz * unit[2]
        across = np.sqrt(np.maximum(px**2 + py**2 + pz**2 - along**2, 0))
        return np.maximum(across - radius_mm, np.abs(along) - half_height_mm)

    reach = float(np.hypot(radius_mm, half_height_mm))
    return Shape(field, _box_around(centre, (reach, reach, reach)))


def rounded_box(low: Point, high: Point, radius_mm: float) -> Shape:
    """A box between two corners with rounded edges."""
    centre = (np.add(low, high) / 2).astype(np.float32)
    half = (np.subtract(high, low) / 2 - radius_mm).astype(np.float32)

    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        qx, qy, qz = (np.abs(p - c) - h for p, c, h in zip((x, y, z), centre, half, strict=True))
        outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2 + np.maximum(qz, 0) ** 2)
        return outside + np.minimum(np.maximum(np.maximum(qx, qy), qz), 0) - np.float32(radius_mm)

    return Shape(field, _box_between(low, high))


def half_space(point: Point, outward: Point) -> Shape:
    """Everything behind a plane."""
    unit = (np.asarray(outward) / np.linalg.norm(outward)).astype(np.float32)
    offset = np.float32(unit @ np.asarray(point, np.float32))
    everywhere = ((-1e3, 1e3),) * 3
    return Shape(lambda x, y, z: x * unit[0] + y * unit[1] + z * unit[2] - offset, everywhere)


def _box_around(centre: Point, radii: Point) -> Bounds:
    return _box_between(np.subtract(centre, radii), np.add(centre, radii))


def _box_between(low: np.ndarray | Point, high: np.ndarray | Point) -> Bounds:
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
