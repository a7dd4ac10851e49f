"""What fills the head besides bone: face, brain, sinuses with their lining, and the density of bone itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from OrbitalSegLib.places import Point
from OrbitalSegLib.training.synthesis.deformation import AnatomyOnGrid
from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.fractures import Fractures
from OrbitalSegLib.training.synthesis.grids import Grid, SmoothField, behind
from OrbitalSegLib.training.synthesis.settings import Range, Settings
from OrbitalSegLib.training.synthesis.walls import BoneOnGrid

AIR_HU = np.float32(-1000)

NEWBORN_CORTICAL_HU: Range = (250.0, 600.0)
NEWBORN_THIN_HU: Range = (150.0, 400.0)
ENHANCED_HU: Range = (30.0, 90.0)
SKIN_MM: Range = (0.8, 2.4)
SKIN_HU: Range = (-10.0, 70.0)
UNDER_SKIN_MM: Range = (1.5, 8.0)
CSF_MM: Range = (0.0, 4.0)
CSF_HU: Range = (0.0, 18.0)
BLOOD_HU: Range = (45.0, 80.0)

ETHMOID_BELOW_GLOBE_MM = 12.0
"""Down to here below the middle of the eye there are ethmoid cells; below that the nose."""

THIN_BELOW_MM, CORTICAL_FROM_MM = 0.6, 2.0
"""Sheets up to this thickness have the density of thin bone; from that on, of cortical bone."""


@dataclass(frozen=True)
class Densities:
    """HU of the tissues of one head."""

    fat: float
    muscle: float
    brain: float
    mucosa: float
    water: float
    blood: float
    skin: float
    cortical: float
    thin: float
    trabecular: float

    @classmethod
    def drawn(cls, draw: Draw, settings: Settings) -> "Densities":
        newborn = draw.chance("newborn", settings.newborn_share)
        enhanced = (
            draw.uniform("enhancement hu", ENHANCED_HU) if draw.chance("enhanced", settings.enhanced_share) else 0
        )
        cortical = draw.uniform("cortical hu", NEWBORN_CORTICAL_HU if newborn else settings.cortical_hu)
        return cls(
            fat=draw.uniform("fat hu", settings.fat_hu),
            muscle=draw.uniform("muscle hu", settings.muscle_hu) + enhanced,
            brain=draw.uniform("brain hu", settings.brain_hu) + enhanced / 6,
            mucosa=draw.uniform("mucosa hu", settings.mucosa_hu) + enhanced,
            water=draw.uniform("water hu", settings.water_hu),
            blood=draw.uniform("blood hu", BLOOD_HU),
            skin=draw.uniform("skin hu", SKIN_HU),
            cortical=cortical,
            thin=min(draw.uniform("thin hu", NEWBORN_THIN_HU if newborn else settings.thin_hu), cortical),
            trabecular=min(draw.uniform("trabecular hu", settings.trabecular_hu), 0.7 * cortical),
        )


class Textures:
    """Smooth random fields by name on one grid, made once each."""

    def __init__(self, draw: Draw, grid: Grid, settings: Settings) -> None:
        self._draw, self._grid = draw, grid
        self._reach_mm = max(settings.size_mm) / 2 + 2
        self._made: dict[str, np.ndarray] = {}

    def __call__(self, name: str, cell_mm: Range) -> np.ndarray:
        if name not in self._made:
            cell = self._draw.uniform(f"{name} mm", cell_mm)
            self._made[name] = SmoothField(self._draw.stream(name), self._reach_mm, cell).on(self._grid)
        return self._made[name]


@dataclass
class Painter:
    """The parts of one head, painted on one grid."""

    anatomy: AnatomyOnGrid
    bone: BoneOnGrid
    fractures: Fractures
    draw: Draw
    settings: Settings
    density: Densities
    landmarks_mm: Mapping[str, Point]
    """Of the template."""
    textures: Textures = field(init=False)

    def __post_init__(self) -> None:
        self.textures = Textures(self.draw, self.anatomy.grid, self.settings)

    @property
    def voxel_mm(self) -> float:
        return self.anatomy.grid.spacing_mm

    def soft(self) -> np.ndarray:
        """A texture of about 8 mm."""
        return self.textures("soft", (3.0, 9.0))

    def fine(self) -> np.ndarray:
        """A texture of about 3 mm."""
        return self.textures("fine", (1.6, 4.0))


def exterior_hu(p: Painter, depth_mm: np.ndarray) -> np.ndarray:
    """Face, scalp and neck, and the air around the head, given the depth below the skin."""
    h = p.voxel_mm
    share = p.draw.uniform("fat share", p.settings.fat_share)
    lobes = p.soft() + 0.4 * p.fine() - np.float32(np.quantile(p.soft()[::8, ::8, ::8], 1 - share))
    is_fat = np.clip(0.5 + 2 * lobes, 0, 1)
    under = p.draw.uniform("fat under skin mm", UNDER_SKIN_MM) * (1 + 0.3 * p.textures("cheek", (15.0, 35.0)))
    is_fat = np.maximum(is_fat, behind(depth_mm - under, h))
    hu = p.density.muscle + (p.density.fat - p.density.muscle) * is_fat + 5 * p.fine()
    skin_mm = p.draw.uniform("skin mm", SKIN_MM)
    hu += (p.density.skin - hu) * behind(depth_mm - skin_mm, h)
    hu += (AIR_HU - hu) * behind(depth_mm, h)
    return hu


def cranial_hu(p: Painter) -> np.ndarray:
    """Brain, with fluid under the skull and in its furrows."""
    depth_mm = np.minimum(-p.anatomy.cranial_mm, p.bone.solid_mm)
    csf_mm = p.draw.uniform("csf mm", CSF_MM) * (1 + 0.5 * p.soft())
    csf = np.maximum(behind(depth_mm - csf_mm, p.voxel_mm), np.clip(p.soft() + p.fine() - 1.8, 0, 1))
    brain = p.density.brain + 3 * p.fine()
    return brain + (p.draw.uniform("csf hu", CSF_HU) - brain) * csf


def sinus_hu(p: Painter, from_orbit_mm: np.ndarray) -> np.ndarray:
    """Air, lining and fluid of sinuses and nose, given the distance from orbital content."""
    a, h = p.anatomy, p.voxel_mm
    others = np.minimum(np.minimum(a.cranial_mm, a.exterior_mm), from_orbit_mm)
    from_wall_mm = np.minimum(np.minimum(others, a.solid_mm), a.septum_mm)
    lumps = p.textures("lumps", (5.0, 14.0))
    in_maxillary, on_left = maxillary(p), left(p)
    lining = _nasal_lining_mm(p, lumps) * (1 - in_maxillary)
    wet = np.zeros(a.grid.shape, np.float32)
    for name, where in (
        ("right maxillary", in_maxillary * (1 - on_left)),
        ("left maxillary", in_maxillary * on_left),
        ("nasal", 1 - in_maxillary),
    ):
        content = _content(p, name)
        if name != "nasal" or content in ("fluid", "full"):
            lining_mm, filled = _filling(p, name, content, lumps)
            lining = lining + where * lining_mm if name != "nasal" else lining
            wet = np.maximum(wet, where * filled)
    wet = np.maximum(wet, behind(from_wall_mm - lining, h))
    blood = p.draw.chance("bloody sinus", 0.3) and bool(p.fractures.holes)
    water = p.density.blood if blood else p.density.water
    secretion = p.draw.uniform("secretion", (0.0, 1.0))
    liquid = p.density.mucosa + (water - p.density.mucosa) * secretion + 4 * p.fine()
    return AIR_HU + (liquid - AIR_HU) * wet


def maxillary(p: Painter) -> np.ndarray:
    """How much of each voxel is nearer to a maxillary sinus than to the nasal compartment."""
    return np.clip(0.5 + p.anatomy.nasal_mm / 2, 0, 1)


def left(p: Painter) -> np.ndarray:
    """How much of each voxel is on the left side."""
    return np.clip(0.5 - p.anatomy.left_mm / 2, 0, 1)


def _content(p: Painter, name: str) -> str:
    """Which content a sinus has."""
    number = p.draw.uniform(f"{name} content", (0.0, 1.0))
    for content, share in (
        ("full", p.settings.full_share),
        ("fluid", p.settings.fluid_share),
        ("lined", p.settings.lined_share),
    ):
        if number < share:
            return content
        number -= share
    return "air"


def _filling(p: Painter, name: str, content: str, lumps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thickness of the lining, and which part of each voxel is filled with liquid."""
    lining_mm = p.draw.log_uniform(f"{name} lining mm", p.settings.lining_mm) * np.exp(0.4 * p.soft())
    if content == "lined":
        thick = p.draw.log_uniform(f"{name} thickened mm", p.settings.thickened_mm)
        lining_mm = lining_mm + thick * np.clip(0.6 * lumps + p.draw.uniform(f"{name} lumps", (-0.6, 0.6)), 0, None)
    filled = np.zeros(p.anatomy.grid.shape, np.float32)
    if content == "full":
        filled = (
            np.ones_like(filled)
            if name != "nasal"
            else (lumps > p.draw.uniform("nasal plugs", (-0.5, 0.8))).astype(np.float32)
        )
    elif content == "fluid" and name != "nasal":
        # The patient lies on the back: fluid gathers behind, and its level is horizontal whatever the head's position.
        y = p.anatomy.grid.axis_mm(1)[None, :, None]
        side = (-1 if name.startswith("left") else 1) * p.anatomy.left_mm[::4, ::4, ::4]
        inside = (p.anatomy.sinus_mm[::4, ::4, ::4] < -1) & (p.anatomy.nasal_mm[::4, ::4, ::4] > 2) & (side > 0)
        filled = filled + behind(level_mm(p, name, inside) - y, p.voxel_mm)
    return lining_mm, filled


def level_mm(p: Painter, name: str, inside: np.ndarray) -> float:
    """Where along y the fluid of a sinus begins, given which of every fourth voxel along each axis lie in it."""
    rows = np.nonzero(inside)[1]
    if not rows.size:
        return 0.0
    share = p.draw.uniform(f"{name} level", (0.05, 0.85))
    y = p.anatomy.grid.axis_mm(1)[::4][rows]
    return float(y.min() * (1 - share) + y.max() * share)


def _nasal_lining_mm(p: Painter, lumps: np.ndarray) -> np.ndarray:
    """Mucosa of nose and ethmoid cells: thick on the turbinates, thin high up between the orbits."""
    thick = p.draw.log_uniform("nasal lining mm", p.settings.nasal_lining_mm)
    thin = p.draw.log_uniform("ethmoid lining mm", p.settings.lining_mm)
    globes_z = np.mean([p.landmarks_mm[f"globe_{side}"][2] for side in ("right", "left")])
    high = np.clip(0.5 + (p.anatomy.places[2] - np.float32(globes_z - ETHMOID_BELOW_GLOBE_MM)) / 6, 0, 1)
    swollen = np.clip(lumps - p.draw.uniform("ethmoid swelling", (0.3, 2.5)), 0, None)
    ethmoid = thin * np.exp(0.4 * p.soft()) + 3 * swollen
    nasal = thick * np.clip(0.8 + 0.5 * lumps, 0.2, None)
    return ethmoid * high + nasal * (1 - high)


def bone_hu(p: Painter) -> np.ndarray:
    """The density of bone, wherever there is some: cortical, trabecular inside thick bone, less in thin sheets."""
    depth_mm = -p.bone.solid_mm
    cortical = p.density.cortical + 50 * p.fine()
    texture = p.draw.uniform("trabecular texture hu", p.settings.trabecular_texture_hu)
    trabecular = p.density.trabecular + texture * p.fine()
    cortical_mm = p.draw.uniform("cortical mm", p.settings.cortical_mm) * (1 + 0.3 * p.soft())
    hu = cortical + (trabecular - cortical) * np.clip(0.5 + (depth_mm - cortical_mm) / 0.8, 0, 1)
    compact = np.clip((p.bone.sheet_mm - THIN_BELOW_MM) / (CORTICAL_FROM_MM - THIN_BELOW_MM), 0, 1)
    thin = p.density.thin + (p.density.cortical - p.density.thin) * compact
    return np.where(p.bone.fraction > p.bone.solid + 1e-3, thin, hu)
