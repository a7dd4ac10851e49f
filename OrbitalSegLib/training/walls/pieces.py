"""Pieces of wall, drawn endlessly: a curved sheet of bone of known thickness between an orbit and a sinus, with holes,
linings and whatever may lie behind, scanned as a head is.

A head has a few walls; a piece takes a hundredth of its time. So the network of profiles sees every combination of
thickness, content, point spread, slice and direction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.grids import Grid, behind, sheet
from OrbitalSegLib.training.synthesis.scanner import DrawnScanner, scan
from OrbitalSegLib.training.synthesis.settings import Range, Settings

Array = np.ndarray

SPACING_MM = 0.25
SIZE = 64
GRID = Grid((-SPACING_MM * (SIZE - 1) / 2,) * 3, (SIZE,) * 3, SPACING_MM)

WITHIN_MM = 4.5
"""Points are drawn this near to the middle, so that their profiles lie inside."""

RIM_MM = 0.5
"""Nearer to the rim of a hole it is not said whether there is bone."""

THICKNESS_MM: Range = (0.06, 1.6)
VARIATION: Range = (0.0, 0.5)
BEND_MM: Range = (8.0, 80.0)
"""Radius of either curvature, outwards or inwards."""
HOLE_MM: Range = (2.0, 20.0)
HOLE_SHARE = 0.85
LINED_SHARE = 0.7
LINING_MM: Range = (0.1, 4.0)
MUSCLE_SHARE = 0.4
MUSCLE_MM: Range = (0.3, 5.0)
"""How far a muscle lies from the wall in the orbit."""
SEPTUM_SHARE = 0.25
SEPTUM_MM: Range = (1.5, 6.0)
"""How far a septum lies from the wall in the sinus."""
STRANDED_SHARE = 0.2
"""Orbits with blood or oedema along the wall."""
CONTENTS = ("air", "air", "air", "mucosa", "fluid")
"""What fills the sinus beyond its lining."""
HERNIATIONS = ("flat", "fat", "fat", "muscle", "blood", "air")

SETTINGS = Settings(streak_share=0.15, narrow_view_share=0.0, thin_slice_share=0.55, pixel_mm=(0.3, 1.0))


@dataclass(frozen=True)
class Piece:
    """A scan of a piece of wall, and points of it."""

    ct: sitk.Image
    points_mm: Array
    """(n, 3)."""
    normals: Array
    """Out of the orbit."""
    thickness_mm: Array
    """0 in a hole."""


class _Surface:
    """The wall's mid-surface as a height over a plane: bent two ways, and rippled."""

    def __init__(self, draw: Draw) -> None:
        random = draw.stream("surface")
        frame, _ = np.linalg.qr(random.normal(size=(3, 3)))
        self.axes = frame.T.astype(np.float32)
        """Both directions along the plane, and the one out of the orbit."""
        radius = np.exp(random.uniform(np.log(BEND_MM[0]), np.log(BEND_MM[1]), 2)) * random.choice([-1, 1], 2)
        self._bend = (1 / radius).astype(np.float32)
        self._ripple_mm = np.float32(random.uniform(0, 0.25))
        self._wave, self._phase = random.uniform(0.3, 1.2, 2), random.uniform(0, 2 * np.pi, 2)

    def height(self, u: Array, v: Array) -> Array:
        ripple = np.sin(self._wave[0] * u + self._phase[0]) * np.sin(self._wave[1] * v + self._phase[1])
        return (self._bend[0] * u * u + self._bend[1] * v * v) / 2 + self._ripple_mm * ripple.astype(np.float32)

    def slope(self, u: Array, v: Array) -> tuple[Array, Array]:
        step = np.float32(0.01)
        return (
            (self.height(u + step, v) - self.height(u - step, v)) / (2 * step),
            (self.height(u, v + step) - self.height(u, v - step)) / (2 * step),
        )


def drawn(seed: int, count: int) -> Piece:
    """The piece of a seed, with at most `count` points."""
    draw = Draw(seed)
    random = draw.stream("points")
    surface = _Surface(draw)
    thickness_of = _thickness(draw)
    hole_of = _hole(draw)
    places = np.stack([axis + np.zeros(GRID.shape, np.float32) for axis in GRID.open_axes()], axis=-1)
    u, v, w = np.moveaxis(places @ surface.axes.T, -1, 0)
    ahead = w - surface.height(u, v)
    steep = surface.slope(u, v)
    distance = ahead / np.sqrt(1 + steep[0] ** 2 + steep[1] ** 2)
    depth, bulge = hole_of(u, v)
    wall_mm = thickness_of(u, v) * behind(depth, SPACING_MM)
    bone = sheet(distance, wall_mm, SPACING_MM)
    hu = _tissues(draw, distance, bulge, depth)
    bone, hu = _with_septum(draw, distance, u, bone, hu)
    scanner = DrawnScanner.drawn(draw, SETTINGS)
    taken = scan(hu, bone, np.zeros_like(hu), GRID, scanner, draw)

    u, v = random.uniform(-WITHIN_MM, WITHIN_MM, (2, count)).astype(np.float32)
    depth, _ = hole_of(u, v)
    clear = np.abs(depth) > RIM_MM
    u, v, depth = u[clear], v[clear], depth[clear]
    du, dv = surface.slope(u, v)
    normals = np.stack([-du, -dv, np.ones_like(du)], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = np.stack([u, v, surface.height(u, v)], axis=1)
    thickness = np.where(depth > 0, 0, thickness_of(u, v))
    return Piece(taken.ct, points @ surface.axes, normals @ surface.axes, thickness.astype(np.float32))


def _thickness(draw: Draw) -> Callable[[Array, Array], Array]:
    """Thickness in mm at a place of the wall."""
    random = draw.stream("thickness")
    middle = draw.log_uniform("thickness mm", THICKNESS_MM)
    strength = draw.uniform("variation", VARIATION)
    wave, phase = random.uniform(-0.6, 0.6, (2, 2)), random.uniform(0, 2 * np.pi, 2)

    def at(u: Array, v: Array) -> Array:
        waves = sum(np.sin(wave[k, 0] * u + wave[k, 1] * v + phase[k]) for k in range(2))
        return np.clip(middle * np.exp(strength * waves), *THICKNESS_MM).astype(np.float32)

    return at


def _hole(draw: Draw) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Depth in mm inside the rim of a hole, negative outside, and how far the border bulges there."""
    random = draw.stream("hole")
    radius = draw.log_uniform("hole mm", HOLE_MM) / 2
    middle = random.uniform(-WITHIN_MM, WITHIN_MM, 2)
    there = draw.chance("hole", HOLE_SHARE)
    uneven, turn, lobes = random.uniform(0, 0.25), random.uniform(0, 2 * np.pi), int(random.integers(2, 6))
    flat = draw.choice("herniation", HERNIATIONS) == "flat"
    rise = 0.0 if flat else draw.uniform("herniation mm", (-1.0, 1.0)) * radius * random.uniform(0.2, 1.0)

    def at(u: Array, v: Array) -> tuple[Array, Array]:
        if not there:
            return np.full_like(u, -99), np.zeros_like(u)
        away, angle = np.hypot(u - middle[0], v - middle[1]), np.arctan2(v - middle[1], u - middle[0])
        rim = radius * (1 + uneven * np.sin(lobes * angle + turn))
        bulge = rise * np.clip(1 - (away / rim) ** 2, 0, 1)
        return (rim - away).astype(np.float32), bulge.astype(np.float32)

    return at


def _tissues(draw: Draw, distance: Array, bulge: Array, depth: Array) -> Array:
    """HU without bone: the orbit's content, the border that bulges in a hole, a lining, and what fills the sinus."""
    s = SETTINGS
    fat, muscle = draw.uniform("fat hu", s.fat_hu), draw.uniform("muscle hu", s.muscle_hu)
    mucosa, water = draw.uniform("mucosa hu", s.mucosa_hu), draw.uniform("water hu", s.water_hu)
    blood, air = draw.uniform("blood hu", (35.0, 80.0)), -1000.0
    orbit = np.full(distance.shape, fat, np.float32)
    if draw.chance("stranded", STRANDED_SHARE):
        along = behind(-distance - np.float32(draw.uniform("strand mm", (0.5, 4.0))), SPACING_MM)
        orbit += (draw.uniform("strand hu", (-60.0, 60.0)) - fat) * along
    if draw.chance("muscle", MUSCLE_SHARE):
        orbit += (muscle - orbit) * behind(distance + np.float32(draw.log_uniform("muscle mm", MUSCLE_MM)), SPACING_MM)
    kind = draw.choice("herniation", HERNIATIONS)
    filled = {"muscle": muscle, "blood": blood, "air": air}.get(kind)
    if filled is not None:
        near = behind(np.maximum(-depth, -distance - np.float32(draw.uniform("filled mm", (0.0, 3.0)))), SPACING_MM)
        orbit += (filled - orbit) * near
    sinus = {"air": air, "mucosa": mucosa, "fluid": water}[draw.choice("content", CONTENTS)]
    border = distance - bulge
    beyond = np.full(distance.shape, sinus, np.float32)
    if draw.chance("lined", LINED_SHARE):
        lining = np.float32(draw.log_uniform("lining mm", LINING_MM))
        torn = draw.chance("torn", 0.4)  # the hole's part of the lining is gone
        width = np.where((depth > 0) & torn, np.float32(0), lining)
        beyond += (mucosa - beyond) * behind(border - width, SPACING_MM)
    return beyond + (orbit - beyond) * behind(border, SPACING_MM)


def _with_septum(draw: Draw, distance: Array, u: Array, bone: Array, hu: Array) -> tuple[Array, Array]:
    """Bone's HU where it is, and at times a septum in the sinus, which runs up to the wall at an angle."""
    if draw.chance("septum", SEPTUM_SHARE):
        tilt = np.float32(draw.uniform("septum tilt", (-0.6, 0.6)))
        away = (distance - np.float32(draw.uniform("septum away mm", SEPTUM_MM)) - tilt * u) / np.hypot(1, tilt)
        septum = sheet(away, draw.log_uniform("septum mm", (0.08, 0.8)), SPACING_MM)
        septum *= 1 - behind(distance - np.float32(1.2), SPACING_MM)  # it is not the wall
        bone = np.maximum(bone, septum)
    density = np.float32(draw.uniform("thin hu", SETTINGS.thin_hu))
    return bone, hu + (density - hu) * bone
