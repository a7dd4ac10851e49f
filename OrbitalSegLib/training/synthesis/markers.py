"""Radio-opaque markers, wires and tubes on the skin, or in the air before it: as bright as bone, and none."""

import numpy as np

from OrbitalSegLib.training.synthesis.grids import behind
from OrbitalSegLib.training.synthesis.tissues import Painter

KINDS = ("bead", "bead", "ring", "tube")

FLATNESS = (0.25, 1.0)
"""Half thickness of a bead over its radius."""

RING = (0.15, 0.45)
"""The same of a ring's wire."""


def paint(p: Painter, hu: np.ndarray, depth_mm: np.ndarray) -> None:
    """Markers and tubes in the air around the head, in place, given the depth below the skin. They are no bone."""
    how = p.settings.markers
    if how is None or not p.draw.chance("markers", how.share):
        return
    outside_mm = -depth_mm
    free = np.clip(outside_mm / np.float32(p.voxel_mm), 0, 1)
    low, high = how.number
    for index in range(low + int(p.draw.stream("markers number").integers(high - low + 1))):
        name = f"marker {index}"
        off = p.draw.chance(f"{name} off", how.off_share)
        gap_mm = np.float32(p.draw.uniform(f"{name} gap mm", how.gap_mm) if off else 0)
        places = np.argwhere(np.abs(outside_mm - gap_mm) < p.voxel_mm)
        if len(places):
            place = places[int(p.draw.stream(f"{name} place").integers(len(places)))]
            shape = _shape(p, name, place, outside_mm, gap_mm)
            hu += (np.float32(p.draw.log_uniform(f"{name} hu", how.hu)) - hu) * shape * free


def _shape(p: Painter, name: str, place: np.ndarray, outside_mm: np.ndarray, gap_mm: np.float32) -> np.ndarray:
    """Which part of each voxel a marker fills that stands on the skin, or so far before it, at a place (z, y, x)."""
    how = p.settings.markers
    assert how is not None
    h, grid = p.voxel_mm, p.anatomy.grid
    normal = _normal(outside_mm, place)
    offsets = [axis - axis.ravel()[at] for axis, at in zip(grid.open_axes(), place[::-1], strict=True)]
    along = sum(n * o for n, o in zip(normal, offsets, strict=True))
    aside = np.sqrt(np.maximum(sum(o * o for o in offsets) - along**2, 0))
    radius = np.float32(p.draw.log_uniform(f"{name} mm", how.radius_mm))
    kind = p.draw.choice(f"{name} kind", KINDS)
    if kind == "bead":
        half = radius * np.float32(p.draw.uniform(f"{name} flatness", FLATNESS))
        return behind((np.hypot(aside / radius, (along - half) / half) - 1) * half, h)
    if kind == "ring":
        wire = radius * np.float32(p.draw.uniform(f"{name} ring", RING))
        return behind(np.hypot(aside - radius, along - wire) - wire, h)
    # A tube lies on the skin wherever a plane cuts it.
    across = np.cross(normal, p.draw.stream(f"{name} direction").standard_normal(3)).astype(np.float32)
    across /= np.linalg.norm(across)
    radius /= 2
    away = np.hypot(outside_mm - gap_mm - radius, sum(a * o for a, o in zip(across, offsets, strict=True)))
    bore = radius / 2 if p.draw.chance(f"{name} hollow", 0.5) else -radius
    return behind(away - radius, h) - behind(away - bore, h)


def _normal(outside_mm: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Away from the skin (x, y, z), where a place's neighbours say so."""
    near = tuple(slice(max(at - 2, 0), at + 3) for at in place)
    slopes = np.array([slope.mean() for slope in np.gradient(outside_mm[near])], np.float32)[::-1]
    return slopes / max(float(np.linalg.norm(slopes)), 1e-6)
