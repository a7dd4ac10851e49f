"""Sinuses that are full of fluid, mucus or blood, each by itself."""

from collections.abc import Iterator

import numpy as np

from OrbitalSegLib.training.synthesis import tissues
from OrbitalSegLib.training.synthesis.grids import behind
from OrbitalSegLib.training.synthesis.orbit import SIDES
from OrbitalSegLib.training.synthesis.settings import Range
from OrbitalSegLib.training.synthesis.tissues import Painter

FRONTAL_ABOVE_GLOBE_MM = 12.0
"""From here above the middle of the eye on, what is not behind the orbits is frontal sinus."""

SPHENOID_BEFORE_APEX_MM = 3.0
"""From here before the tip of the orbit on there is the sphenoid sinus."""

UNEVEN_MM = np.float32(1.5)
"""Standard deviation of the border where one sinus opens into the next or into the nose."""

MIXED_HU: Range = (3.0, 15.0)
"""Unevenness of what is not homogeneous."""


def fill(p: Painter, hu: np.ndarray) -> None:
    """Fill some sinuses, in place, in the densities of sinuses and nose. Bone, and so the label, stays as it is."""
    how = p.settings.filled
    if how is None:
        return
    for name, where in _sinuses(p):
        if not p.draw.chance(f"{name} filled", how.share):
            continue
        content: np.ndarray = np.asarray(p.draw.uniform(f"{name} filled hu", how.hu), np.float32)
        if not p.draw.chance(f"{name} homogeneous", how.homogeneous_share):
            content = content + np.float32(p.draw.uniform(f"{name} mixed hu", MIXED_HU)) * p.fine()
        if p.draw.chance(f"{name} with a level", how.level_share):
            inside = (p.anatomy.sinus_mm < -1) & (where > 0.5)
            level_mm = tissues.level_mm(p, f"{name} filled", inside[::4, ::4, ::4])
            where = where * behind(level_mm - p.anatomy.grid.axis_mm(1)[None, :, None], p.voxel_mm)
        hu += (content - hu) * where


def _sinuses(p: Painter) -> Iterator[tuple[str, np.ndarray]]:
    """Each sinus of each side: its name, and which part of each voxel is its."""
    _, y, z = p.anatomy.places
    globe_z, apex_y = (
        np.float32(np.mean([p.landmarks_mm[f"{what}_{side}"][axis] for side in SIDES]))
        for what, axis in (("globe", 2), ("apex", 1))
    )
    uneven = UNEVEN_MM * p.textures("lumps", (5.0, 14.0))
    high = behind(globe_z - np.float32(tissues.ETHMOID_BELOW_GLOBE_MM) - z + uneven, p.voxel_mm)
    above = behind(globe_z + np.float32(FRONTAL_ABOVE_GLOBE_MM) - z + uneven, p.voxel_mm)
    back = behind(apex_y - np.float32(SPHENOID_BEFORE_APEX_MM) - y + uneven, p.voxel_mm)
    maxillary, left = tissues.maxillary(p), tissues.left(p)
    nasal = (1 - maxillary) * high
    for name, where in (
        ("maxillary", maxillary),
        ("ethmoid", nasal * (1 - back) * (1 - above)),
        ("frontal", nasal * (1 - back) * above),
        ("sphenoid", nasal * back),
    ):
        for side in SIDES:
            yield f"{side} {name}", where * (left if side == "left" else 1 - left)
