"""Blow-out fractures: holes in floor and medial wall, and what comes through them."""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.grids import Grid, sheet
from OrbitalSegLib.training.synthesis.settings import Herniation, Settings

FAR_MM = np.float32(99.0)

CLEAR_OF_SOLID_MM, CLEAR_OF_OPENING_MM, CLEAR_OF_RIM_MM, CLEAR_OF_EDGE_MM = 2.0, 2.5, 1.0, 4.0
"""How far the middle of a hole lies from thick bone, natural openings, the end of the sinus and the volume's edge."""

LOBES = (2, 3, 4, 5)
LOBE_SIZE = 0.12
"""The rim of a hole is a circle with so many lobes of about this share of its radius."""

WALL_WITHIN = 0.5
"""A curved wall stays within this share of the hole's radius, and 2 mm, of the plane that touches it."""


@dataclass(frozen=True)
class BreakableWall:
    """What a fracture needs to know of the floor and the medial wall on a grid."""

    grid: Grid
    distance_mm: np.ndarray
    """Signed distance from the mid-surface, negative in the orbit."""
    eligible: np.ndarray
    """Voxels on the mid-surface where a hole's middle may lie."""


@dataclass(frozen=True)
class Hole:
    """One hole, round in the plane that touches the wall at its middle."""

    middle_mm: np.ndarray
    normal: np.ndarray
    """Towards the sinus."""
    radius_mm: float
    lobes: tuple[tuple[float, float], ...]
    """Amplitude and phase of each of `LOBES`."""
    herniation: Herniation
    sag_mm: float
    """How far orbital content passes the wall; negative where air enters the orbit."""
    plate_degrees: float
    """How far a trapdoor's plate hangs open."""

    @property
    def reach_mm(self) -> float:
        return 1.6 * self.radius_mm + abs(self.sag_mm) + 3

    def block(self, grid: Grid) -> tuple[slice, slice, slice]:
        return grid.block(self.middle_mm - self.reach_mm, self.middle_mm + self.reach_mm)

    def depth_mm(self, grid: Grid) -> np.ndarray:
        """How far a place of the wall lies inside the hole's rim; negative outside, and away from the wall."""
        inside, height = self._inside_mm(grid)
        return np.where(np.abs(height) < WALL_WITHIN * self.radius_mm + 2, inside, np.minimum(inside, -FAR_MM))

    def bulge_mm(self, grid: Grid) -> np.ndarray:
        """How far the border of the orbital content is moved towards the sinus."""
        inside, height = self._inside_mm(grid)
        dome = np.clip(inside / np.float32(self.radius_mm), 0, 1)
        near = np.abs(height) < WALL_WITHIN * self.radius_mm + 3 + abs(self.sag_mm)
        return np.where(near, np.float32(self.sag_mm) * dome * (2 - dome), 0)

    def plate_distance_mm(self, grid: Grid) -> np.ndarray:
        """Distance from the middle of the plate that hangs on one edge of the hole."""
        along, across, height = self._coordinates(grid)
        angle = np.radians(self.plate_degrees)
        from_hinge = along + np.float32(self.radius_mm)
        on_plate = from_hinge * np.cos(angle) + height * np.sin(angle)
        off_plate = height * np.cos(angle) - from_hinge * np.sin(angle)
        beyond = np.hypot(on_plate - np.float32(self.radius_mm), across) - np.float32(0.85 * self.radius_mm)
        return np.where(beyond > 0, np.hypot(off_plate, beyond), off_plate)

    def _inside_mm(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """How far inside the rim each place lies in the touching plane, and its height over that plane."""
        along, across, height = self._coordinates(grid)
        angle = np.arctan2(across, along)
        radius = np.full(angle.shape, np.float32(self.radius_mm))
        for count, (amplitude, phase) in zip(LOBES, self.lobes, strict=True):
            radius += np.float32(self.radius_mm * amplitude) * np.cos(count * angle + np.float32(phase))
        return radius - np.hypot(along, across), height

    def _coordinates(self, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Along the wall, across that, and along the normal, from the middle, in mm."""
        x, y, z = (axis - np.float32(m) for axis, m in zip(grid.open_axes(), self.middle_mm, strict=True))
        helper = np.eye(3)[np.abs(self.normal).argmin()]
        first = np.cross(self.normal, helper)
        first /= np.linalg.norm(first)
        axes = (first, np.cross(self.normal, first), self.normal)
        return tuple(np.float32(a[0]) * x + np.float32(a[1]) * y + np.float32(a[2]) * z for a in axes)


@dataclass(frozen=True)
class Fractures:
    """All holes of one head."""

    holes: tuple[Hole, ...]

    def depth_mm(self, grid: Grid) -> np.ndarray:
        """How far each place lies inside the rim of a hole; negative outside, -99 far from every hole."""
        depth = np.full(grid.shape, -FAR_MM)
        for hole in self.holes:
            block = hole.block(grid)
            np.maximum(depth[block], hole.depth_mm(grid.part(block)), out=depth[block])
        return depth

    def bulge_mm(self, grid: Grid) -> np.ndarray:
        """How far the border of the orbital content lies beyond the wall, towards the sinus."""
        bulge = np.zeros(grid.shape, np.float32)
        for hole in self.holes:
            block = hole.block(grid)
            bulge[block] += hole.bulge_mm(grid.part(block))
        return bulge

    def plates(self, grid: Grid, thickness_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Bone fraction of displaced plates, and the distance from their middle (99 mm where none is near)."""
        distance = np.full(grid.shape, FAR_MM)
        for hole in self.holes:
            if hole.herniation == "trapdoor":
                block = hole.block(grid)
                np.minimum(distance[block], np.abs(hole.plate_distance_mm(grid.part(block))), out=distance[block])
        return sheet(distance, thickness_mm, grid.spacing_mm), distance


def draw_fractures(wall: BreakableWall, draw: Draw, settings: Settings) -> Fractures:
    """Holes at random places of the wall; none in the share of heads that is intact, or where no wall is in view."""
    candidates = np.argwhere(wall.eligible)
    if not draw.chance("fractured", settings.fracture_share) or not len(candidates):
        return Fractures(())
    count = settings.holes[0] + int(draw.uniform("holes", (0.0, settings.holes[1] - settings.holes[0] + 0.999)))
    return Fractures(tuple(_hole(wall, candidates, draw, settings, f"hole {index}") for index in range(count)))


def _hole(wall: BreakableWall, candidates: np.ndarray, draw: Draw, settings: Settings, name: str) -> Hole:
    place = candidates[int(draw.uniform(f"{name} place", (0.0, 1.0)) * (len(candidates) - 1))]
    normal = _normal(wall, place)
    radius_mm = draw.log_uniform(f"{name} mm", settings.hole_mm) / 2
    herniation: Herniation = draw.choice(f"{name} herniation", settings.herniations)
    share = draw.uniform(f"{name} sag", settings.herniation_depth)
    sag_mm = {"flat": 0.0, "air": -0.4}.get(herniation, 1.0) * min(share * radius_mm + 0.5, 9.0)
    random = draw.stream(f"{name} rim")
    return Hole(
        middle_mm=np.array(wall.grid.origin_mm) + wall.grid.spacing_mm * place[::-1],
        normal=normal,
        radius_mm=radius_mm,
        lobes=tuple((float(random.normal(0, LOBE_SIZE / n)), float(random.uniform(0, 2 * np.pi))) for n in LOBES),
        herniation=herniation,
        sag_mm=sag_mm,
        plate_degrees=draw.uniform(f"{name} plate degrees", (15.0, 75.0)),
    )


def _normal(wall: BreakableWall, place: np.ndarray) -> np.ndarray:
    """Direction from the orbit to the sinus at a voxel, x y z, over a neighbourhood of 2 voxels."""
    around = tuple(slice(max(p - 2, 0), p + 3) for p in place)
    slopes = [float(slope.mean()) for slope in np.gradient(wall.distance_mm[around])]
    normal = np.array(slopes[::-1])
    return normal / np.linalg.norm(normal)
