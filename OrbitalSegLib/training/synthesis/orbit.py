"""What an orbit holds: fat, eye, lens, muscles, nerve, tear gland; and the lids before it."""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.training.synthesis.grids import behind
from OrbitalSegLib.training.synthesis.settings import Range
from OrbitalSegLib.training.synthesis.tissues import AIR_HU, Painter

SIDES = ("right", "left")

GLOBE_RADIUS_MM: Range = (11.0, 13.0)
PROTRUSION_MM: Range = (-4.0, 4.0)
"""How far the eye stands before the template's."""
SCLERA_MM: Range = (0.7, 1.6)
SCLERA_HU: Range = (35.0, 75.0)
VITREOUS_HU: Range = (0.0, 22.0)
LENS_HU: Range = (60.0, 130.0)
NERVE_RADIUS_MM: Range = (1.4, 2.6)
BELLY_MM: Range = (1.4, 3.2)
"""Half thickness of a straight muscle at its thickest."""
SWOLLEN_SHARE, SWOLLEN = 0.08, 1.8
"""Orbits with muscles as in thyroid disease."""
GAP_MM: Range = (0.3, 4.5)
"""Fat between a muscle and the wall."""
GLAND_RADIUS_MM: Range = (3.0, 7.0)
LID_MM: Range = (1.5, 3.5)

NEAR_GLOBE_MM = 48.0
"""Nothing of an orbit lies farther from the eye than this."""

MUSCLES = {"medial": (1.0, 0.0), "lateral": (-1.0, 0.0), "superior": (0.0, 1.0), "inferior": (0.0, -1.0)}
"""The straight muscles: towards the nose, and up."""

FLAT = 1.6
"""How much wider than thick a muscle is."""

STEPS = 14
"""Points along a muscle or nerve."""


@dataclass(frozen=True)
class Eye:
    """Where the parts of one orbit lie, in template mm."""

    side: str
    globe: np.ndarray
    radius_mm: float
    apex: np.ndarray
    medial_x: float
    """1 where the nose lies towards larger x, else -1."""


def eyes(p: Painter) -> list[Eye]:
    """Both eyes of a head."""
    found = []
    protrusion = p.draw.uniform("protrusion mm", PROTRUSION_MM)
    middle_x = sum(p.landmarks_mm[f"globe_{side}"][0] for side in SIDES) / 2
    for side in SIDES:
        globe = np.array(p.landmarks_mm[f"globe_{side}"], float)
        moved = [p.draw.uniform(f"{side} globe {axis} mm", (-1.5, 1.5)) for axis in "xyz"]
        moved[1] -= protrusion
        found.append(
            Eye(
                side=side,
                globe=globe + moved,
                radius_mm=p.draw.uniform("globe radius mm", GLOBE_RADIUS_MM)
                + p.draw.uniform(f"{side} globe mm", (-0.4, 0.4)),
                apex=np.array(p.landmarks_mm[f"apex_{side}"], float),
                medial_x=1.0 if globe[0] < middle_x else -1.0,
            )
        )
    return found


def orbit_hu(p: Painter, all_eyes: list[Eye]) -> np.ndarray:
    """Fat with muscles, nerve and gland: the content of the orbits, defined everywhere."""
    fat = p.density.fat + p.draw.uniform("orbital fat hu", (-5.0, 20.0))
    hu = (fat + p.draw.uniform("orbital strands hu", (4.0, 16.0)) * p.fine()).astype(np.float32)
    for eye in all_eyes:
        if p.draw.chance(f"{eye.side} oedema", p.settings.oedema_share):
            haze = np.clip(p.fine() + 0.6 * p.soft() - p.draw.uniform(f"{eye.side} oedema", (0.2, 1.6)), 0, 1)
            half = p.anatomy.left_mm < 0 if eye.side == "left" else p.anatomy.left_mm >= 0
            hu += (p.draw.uniform(f"{eye.side} oedema hu", (0.0, 75.0)) - hu) * haze * half
        near = _near(p, eye)
        places = [axis[near] for axis in p.anatomy.places]
        part = hu[near]
        for name in MUSCLES:
            _paint(
                part,
                _muscle_mm(p, eye, name, places),
                p.density.muscle + p.draw.uniform(f"{name} muscle hu", (-12, 12)),
                p,
            )
        _paint(part, _nerve_mm(p, eye, places), p.density.muscle - p.draw.uniform("nerve hu", (0.0, 20.0)), p)
        _paint(part, _gland_mm(p, eye, places), p.density.muscle, p)
        hu[near] = part
    return hu


def herniated_hu(p: Painter, orbit: np.ndarray) -> None:
    """Change orbital content where it passes a hole or air comes in, in place."""
    for index, hole in enumerate(p.fractures.holes):
        block = hole.block(p.anatomy.grid)
        depth = hole.depth_mm(p.anatomy.grid.part(block)) / np.float32(hole.radius_mm)
        beyond_mm, part = p.bone.wall_mm[block], orbit[block]
        if hole.herniation == "muscle":
            # Its section fills the middle of the hole and of the sag.
            inside = np.clip(2 * depth - 0.4, 0, 1) * np.clip(1.5 + beyond_mm, 0, 1)
            part += (np.float32(p.density.muscle) - part) * inside
        elif hole.herniation == "blood":
            inside = np.clip(4 * depth + 0.3, 0, 1) * np.clip(2.5 + beyond_mm, 0, 1)
            part += (np.float32(p.density.blood) - part) * inside
        elif hole.herniation == "air" and p.draw.chance(f"hole {index} bubbles", 0.5):
            bubbles = np.clip(6 * (p.fine()[block] - 1.2), 0, 1) * np.clip(3 * depth + 1, 0, 1)
            part += (AIR_HU - part) * bubbles * (beyond_mm < 0)


def paint_eye(p: Painter, hu: np.ndarray, eye: Eye) -> None:
    """The eye itself, which lies over the orbit and the lids and passes no wall, in place."""
    a = p.anatomy
    distance = _from_globe(p, eye)
    near = distance < eye.radius_mm + 1
    places = [axis[near] for axis in a.places]
    walled = np.minimum(a.sinus_mm[near], a.cranial_mm[near])
    outside = np.minimum(p.bone.wall_mm[near], (a.exterior_mm[near] - walled) / 2)
    part, distance = hu[near], np.maximum(distance[near] - np.float32(eye.radius_mm), outside)
    _paint(part, distance, p.draw.uniform("sclera hu", SCLERA_HU), p)
    _paint(part, distance + p.draw.uniform("sclera mm", SCLERA_MM), p.draw.uniform("vitreous hu", VITREOUS_HU), p)
    lens = eye.globe - (0, eye.radius_mm - 4.5, 0)
    flat = np.sqrt((places[0] - lens[0]) ** 2 + (2.2 * (places[1] - lens[1])) ** 2 + (places[2] - lens[2]) ** 2)
    _paint(part, (flat - 4.6) / 1.5, p.draw.uniform("lens hu", LENS_HU), p)
    hu[near] = part


def skin_depth_mm(p: Painter, all_eyes: list[Eye]) -> np.ndarray:
    """Depth below the skin, which the lids stretch over the eyes; negative outside the head."""
    outside = p.anatomy.skin_mm - p.draw.uniform("fuller face mm", (-1.0, 5.0)) - p.textures("cheek", (15.0, 35.0))
    lid = p.draw.uniform("lid mm", LID_MM)
    for eye in all_eyes:
        outside = np.minimum(outside, _from_globe(p, eye) - np.float32(eye.radius_mm + lid))
    return -outside


def paint_lids(p: Painter, hu: np.ndarray, all_eyes: list[Eye], depth_mm: np.ndarray) -> None:
    """Lids of skin and muscle before the eyes, in place, on the density of face and air."""
    thick = p.draw.uniform("lid muscle mm", (1.0, 5.0))
    for eye in all_eyes:
        from_eye = _from_globe(p, eye) - np.float32(eye.radius_mm)
        before = p.anatomy.places[1] < eye.globe[1] - 3
        near = before & (from_eye < 6) & (depth_mm > -1)
        part = hu[near]
        lid = behind(from_eye[near] - thick, p.voxel_mm) * behind(-depth_mm[near], p.voxel_mm)
        part += (p.density.muscle - 20 - part) * lid
        hu[near] = part


def _paint(part: np.ndarray, distance_mm: np.ndarray, hu: float, p: Painter) -> None:
    part += (np.float32(hu) - part) * behind(distance_mm, p.voxel_mm)


def _from_globe(p: Painter, eye: Eye) -> np.ndarray:
    x, y, z = (axis - np.float32(c) for axis, c in zip(p.anatomy.places, eye.globe, strict=True))
    return np.sqrt(x * x + y * y + z * z)


def _near(p: Painter, eye: Eye) -> np.ndarray:
    """Voxels that may hold muscle, nerve or gland of this eye."""
    x, y, _ = p.anatomy.places
    own_side = np.abs(x - np.float32(eye.globe[0])) < NEAR_GLOBE_MM / 2 + 4
    return own_side & (np.abs(y - np.float32(eye.globe[1] + 15)) < NEAR_GLOBE_MM) & (p.anatomy.orbit_mm < 3)


def _muscle_mm(p: Painter, eye: Eye, name: str, places: list[np.ndarray]) -> np.ndarray:
    """Signed distance to a straight muscle, which runs from the apex along its wall to the eye."""
    inwards, up = MUSCLES[name]
    aside = np.array([inwards * eye.medial_x, 0.0, up])
    belly = p.draw.uniform(f"{eye.side} {name} belly mm", BELLY_MM)
    if p.draw.chance(f"{eye.side} swollen", SWOLLEN_SHARE):
        belly *= SWOLLEN
    start, end = eye.apex, eye.globe + aside * (eye.radius_mm - 0.5) - (0, 3.0, 0)
    middle = 0.45 * start + 0.55 * end
    room = _room_mm(p, middle, aside)
    gap = p.draw.uniform(f"{eye.side} {name} gap mm", GAP_MM)
    middle = middle + aside * np.clip(room - belly - gap, -4.0, 9.0)
    shares = np.linspace(0.02, 1.0, STEPS)
    line = [(1 - s) ** 2 * start + 2 * s * (1 - s) * middle + s * s * end for s in shares]
    return _along(places, line, [belly * (0.4 + 0.6 * np.sin(np.pi * s)) for s in shares], aside)


def _room_mm(p: Painter, place: np.ndarray, aside: np.ndarray) -> float:
    """How far the wall is from a place in the template in one direction; 4 mm where that lies outside the volume."""
    coarse = tuple(axis[::4, ::4, ::4].ravel() for axis in p.anatomy.places)
    depth = p.anatomy.orbit_mm[::4, ::4, ::4].ravel()
    for reach in np.arange(0.0, 16.0, 1.0):
        x, y, z = place + aside * reach
        nearest = int(np.argmin((coarse[0] - x) ** 2 + (coarse[1] - y) ** 2 + (coarse[2] - z) ** 2))
        missed = (coarse[0][nearest] - x) ** 2 + (coarse[1][nearest] - y) ** 2 + (coarse[2][nearest] - z) ** 2
        if missed > 9:
            return 4.0
        if depth[nearest] > 0:
            return float(reach)
    return 4.0


def _nerve_mm(p: Painter, eye: Eye, places: list[np.ndarray]) -> np.ndarray:
    back = eye.globe + np.array([0, eye.radius_mm - 0.5, 0])
    bend = np.array([p.draw.uniform("nerve bend x", (-3, 3)), 0, p.draw.uniform("nerve bend z", (-3, 3))])
    shares = np.linspace(0, 1, STEPS)
    line = [(1 - s) * eye.apex + s * back + 4 * s * (1 - s) * bend for s in shares]
    return _along(places, line, [p.draw.uniform("nerve radius mm", NERVE_RADIUS_MM)] * STEPS, None)


def _gland_mm(p: Painter, eye: Eye, places: list[np.ndarray]) -> np.ndarray:
    """The tear gland lies above the eye, towards the temple; the eye itself is painted over it."""
    middle = eye.globe + np.array([-eye.medial_x * 11.0, -2.0, 9.0])
    radius = p.draw.uniform(f"{eye.side} gland mm", GLAND_RADIUS_MM)
    x, y, z = (axis - np.float32(c) for axis, c in zip(places, middle, strict=True))
    return np.sqrt(x * x + y * y + z * z) - np.float32(radius)


def _along(places: list[np.ndarray], line: list[np.ndarray], radii: list[float], flat: np.ndarray | None) -> np.ndarray:
    """Signed distance to balls along a line; `flat` is the direction in which a muscle is thinner than wide."""
    nearest = np.full(places[0].shape, np.inf, np.float32)
    for point, radius in zip(line, radii, strict=True):
        x, y, z = (axis - np.float32(c) for axis, c in zip(places, point, strict=True))
        if flat is None:
            squared = x * x + y * y + z * z
        else:
            off = np.float32(flat[0]) * x + np.float32(flat[2]) * z
            squared = (x * x + y * y + z * z - off * off) / np.float32(FLAT**2) + off * off
        np.minimum(nearest, np.sqrt(squared) - np.float32(radius), out=nearest)
    return nearest
