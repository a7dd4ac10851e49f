"""Bone: thin walls as mid-surfaces with a thickness, thick bone as a solid, and what a network is to learn of them."""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.evaluation.wall_points import Wall
from OrbitalSegLib.training.cases import LABEL_HALF_WIDTH_MM
from OrbitalSegLib.training.synthesis import fractures
from OrbitalSegLib.training.synthesis.deformation import AnatomyOnGrid
from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.fractures import FAR_MM, Fractures
from OrbitalSegLib.training.synthesis.grids import Grid, SmoothField, behind, sheet
from OrbitalSegLib.training.synthesis.settings import Settings

CORNER_MM = np.float32(0.3)
"""Beyond the line where three compartments meet, a wall between two of them ends after this."""

SLOPE_WITHIN_MM = 3.0
"""Distances are made true distances of the deformed head this near to a wall."""

THINNEST_MM = 0.05
"""However a wall varies, it is nowhere thinner than this."""

THICKEST_MM = 2.6
"""Thicker bone is no sheet: templates hold it as a solid."""

BLEND_MM = 3.0
"""Over how many mm the thickness of the floor passes into that of the medial wall, and right into left."""

SIDE_VARIATION = (0.8, 1.25)
"""How much thicker the left walls are than the right ones."""


@dataclass(frozen=True)
class BoneOnGrid:
    """The bone on a grid."""

    wall_mm: np.ndarray
    """Signed distance from the mid-surface of the orbit's wall, negative in the orbit, in mm of the scanned head."""
    kind: np.ndarray
    """`Wall` of the nearest orbital wall."""
    intact_mm: np.ndarray
    """Thickness of the orbit's wall before any fracture; 0 in natural openings."""
    thickness_mm: np.ndarray
    """The same with holes."""
    depth_mm: np.ndarray
    """How far a place lies inside the rim of a hole."""
    solid_mm: np.ndarray
    """Signed distance to thick bone."""
    solid: np.ndarray
    """Fraction of thick bone in each voxel."""
    fraction: np.ndarray
    """Fraction of bone in each voxel."""
    sheet_mm: np.ndarray
    """Thickness of the sheet that is nearest, for its density."""
    banded: np.ndarray
    """Voxels that a training label calls wall although they may hold less than half bone."""


class WallThicknesses:
    """How thick each wall of a head is, at every place."""

    def __init__(self, draw: Draw, settings: Settings) -> None:
        reach = max(settings.size_mm) / 2 + 2
        thick = {Wall.ROOF: settings.roof_mm, Wall.LATERAL: settings.lateral_mm}
        self._base_mm = {kind: draw.log_uniform(f"{kind.name.lower()} mm", limits) for kind, limits in thick.items()}
        for kind in (Wall.FLOOR, Wall.MEDIAL):
            name = kind.name.lower()
            thicker = draw.chance(f"{name} thicker", settings.thicker_share)
            self._base_mm[kind] = draw.log_uniform(
                f"{name} mm", settings.thicker_wall_mm if thicker else settings.wall_mm
            )
        self._sinus_mm = draw.log_uniform("sinus wall mm", settings.sinus_wall_mm)
        self._septum_mm = draw.log_uniform("septum mm", settings.septum_mm)
        self._variation = draw.uniform("wall variation", settings.wall_variation)
        self._field = SmoothField(draw.stream("wall field"), reach, draw.uniform("wall field mm", (3.0, 14.0)))
        self._left = draw.uniform("left walls", SIDE_VARIATION) if self._variation else 1.0
        self._edge_mm = draw.uniform("thickest edge mm", settings.thickest_edge_mm)
        self._solid_shift_mm = draw.uniform("solid shift mm", settings.solid_shift_mm)

    @property
    def plate_mm(self) -> float:
        """Thickness of a displaced plate of bone."""
        return self._base_mm[Wall.FLOOR]

    def bone(self, anatomy: AnatomyOnGrid, fractures: Fractures) -> BoneOnGrid:
        """The bone of a head, holes and displaced plates included."""
        grid, h = anatomy.grid, anatomy.grid.spacing_mm
        solid_mm = anatomy.solid_mm + np.float32(self._solid_shift_mm)
        solid = behind(solid_mm, h)
        varied = self._variation_on(anatomy)
        closed = 1 - behind(anatomy.opening_mm, h)
        edge = np.float32(self._edge_mm) * np.clip(1 - solid_mm / 2, 0, 1)

        wall_mm = orbit_wall_mm(anatomy)
        kind = kinds(anatomy)
        intact_mm = _trimmed(self._orbital_mm(anatomy, kind, varied) + edge, closed)
        # Where the orbit is as near as that, its own wall is the wall, and a hole in it is a hole.
        beside_orbit = 1 - behind(anatomy.orbit_mm - CORNER_MM, h)
        blown_out = (kind == Wall.FLOOR) | (kind == Wall.MEDIAL)
        depth_mm = np.where(blown_out, fractures.depth_mm(grid), -FAR_MM)
        thickness_mm = _trimmed(intact_mm, 1 - behind(-depth_mm, h))
        sheets = [
            (wall_mm, thickness_mm),
            (_between(anatomy.sinus_mm, np.minimum(anatomy.cranial_mm, anatomy.exterior_mm)),
             _trimmed(np.float32(self._sinus_mm) * varied + edge, closed * beside_orbit)),
            (anatomy.septum_mm, np.float32(self._septum_mm) * varied + edge),
        ]  # fmt: skip
        plate, plate_mm = fractures.plates(grid, self.plate_mm)
        fraction = np.maximum(solid, plate)
        banded = plate_mm < max(self.plate_mm / 2, LABEL_HALF_WIDTH_MM)
        sheet_mm = np.where(plate > 0, np.float32(self.plate_mm), 0)
        for distance, thickness in sheets:
            part = sheet(distance, thickness, h)
            sheet_mm = np.where(part > fraction, thickness, sheet_mm)
            fraction = np.maximum(fraction, part)
            banded |= band(distance, thickness)
        return BoneOnGrid(
            wall_mm, kind, intact_mm, thickness_mm, depth_mm, solid_mm, solid, fraction, sheet_mm, banded
        )  # fmt: skip

    def _variation_on(self, anatomy: AnatomyOnGrid) -> np.ndarray:
        """What the thickness of every wall is multiplied with."""
        if not self._variation:
            return np.ones(anatomy.grid.shape, np.float32)
        factor = np.exp(np.float32(self._variation) * self._field.on(anatomy.grid))
        left = np.clip(0.5 - anatomy.left_mm / np.float32(BLEND_MM), 0, 1)
        return factor * (1 + np.float32(self._left - 1) * left)

    def _orbital_mm(self, anatomy: AnatomyOnGrid, kind: np.ndarray, varied: np.ndarray) -> np.ndarray:
        """Thickness of the orbits' walls."""
        table = np.array([self._base_mm[Wall(code)] for code in range(len(Wall))], np.float32)
        medial = np.clip(0.5 - anatomy.nasal_mm / np.float32(BLEND_MM), 0, 1)
        towards_sinus = table[Wall.FLOOR] + (table[Wall.MEDIAL] - table[Wall.FLOOR]) * medial
        thickness = np.where((kind == Wall.FLOOR) | (kind == Wall.MEDIAL), towards_sinus, table[kind])
        return np.clip(thickness * varied, THINNEST_MM, THICKEST_MM)


def band(distance_mm: np.ndarray, thickness_mm: np.ndarray) -> np.ndarray:
    """The training label of a sheet: as wide as it is, and never so thin that it falls between voxels."""
    half = np.maximum(thickness_mm / 2, np.float32(LABEL_HALF_WIDTH_MM))
    return (np.abs(distance_mm) < half) & (thickness_mm > 0)


def orbit_wall_mm(anatomy: AnatomyOnGrid) -> np.ndarray:
    """Signed distance from the border of the orbits in mm of the scanned head, negative inside."""
    others = np.minimum(np.minimum(anatomy.sinus_mm, anatomy.cranial_mm), anatomy.exterior_mm)
    return _true_distance((anatomy.orbit_mm - others) / 2, anatomy.grid)


def kinds(anatomy: AnatomyOnGrid) -> np.ndarray:
    """`Wall` of the nearest orbital wall, by what lies beyond it."""
    sinus = np.where(anatomy.nasal_mm < 0, np.uint8(Wall.MEDIAL), np.uint8(Wall.FLOOR))
    beyond = np.where(anatomy.cranial_mm < anatomy.exterior_mm, np.uint8(Wall.ROOF), np.uint8(Wall.LATERAL))
    return np.where(anatomy.sinus_mm < np.minimum(anatomy.cranial_mm, anatomy.exterior_mm), sinus, beyond)


def fracturable(anatomy: AnatomyOnGrid, wall_mm: np.ndarray) -> fractures.BreakableWall:
    """Where blow-outs happen: on the floor and the medial wall, away from rims, openings and the volume's edge."""
    grid = anatomy.grid
    eligible = np.abs(wall_mm) < 0.6 * grid.spacing_mm
    eligible &= anatomy.sinus_mm < 2 * grid.spacing_mm
    eligible &= np.minimum(anatomy.cranial_mm, anatomy.exterior_mm) > fractures.CLEAR_OF_RIM_MM
    eligible &= anatomy.solid_mm > fractures.CLEAR_OF_SOLID_MM
    eligible &= anatomy.opening_mm > fractures.CLEAR_OF_OPENING_MM
    rim = int(fractures.CLEAR_OF_EDGE_MM / grid.spacing_mm)
    inner = np.zeros(grid.shape, bool)
    inner[rim:-rim, rim:-rim, rim:-rim] = True
    return fractures.BreakableWall(grid, wall_mm, eligible & inner)


def _between(a_mm: np.ndarray, b_mm: np.ndarray) -> np.ndarray:
    """Distance from the surface where two spaces meet; it ends where a third one begins."""
    return np.maximum(np.abs(a_mm - b_mm) / 2, np.maximum(a_mm, b_mm) - CORNER_MM)


def _trimmed(thickness_mm: np.ndarray, there: np.ndarray) -> np.ndarray:
    """A wall that is there in part of a voxel; what is left of almost nothing is nothing."""
    left = thickness_mm * there
    return np.where(left < 0.5 * THINNEST_MM, np.float32(0), left)


def _true_distance(distance_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Divide a distance by its own slope, which the deformation changed, near its zero."""
    slopes = np.gradient(distance_mm, grid.spacing_mm)
    slope = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2)
    near = np.abs(distance_mm) < SLOPE_WITHIN_MM
    return np.where(near, distance_mm / np.clip(slope, 0.6, 1.6), distance_mm)
