"""What is not the patient, or not tissue: teeth and their fillings, plates, holders, tubes."""

import numpy as np

from OrbitalSegLib.training.synthesis.grids import behind
from OrbitalSegLib.training.synthesis.tissues import Painter

METAL_HU = np.float32(9000)
"""Titanium and amalgam lie far above what 12 bits hold; the scanner clips them."""

ENAMEL_HU = (1600.0, 2900.0)
TEETH_BELOW_NOSTRIL_MM = 16.0
"""Bone that lies lower than this below the nostrils is teeth."""


def paint_teeth(p: Painter, hu: np.ndarray) -> None:
    """Teeth, in place, where the volume reaches down to them."""
    z = p.anatomy.places[2]
    low = np.clip((p.landmarks_mm["nostril"][2] - TEETH_BELOW_NOSTRIL_MM - z) / 3, 0, 1) * p.bone.solid
    if low.max() <= 0:
        return
    crowns = np.clip(2 * p.fine() + p.textures("crowns", (4.0, 7.0)), 0, 1)
    hu += (p.draw.uniform("enamel hu", ENAMEL_HU) - hu) * low * crowns


def metal(p: Painter) -> np.ndarray:
    """Fraction of metal in each voxel: fillings, and plates and screws on the rims."""
    fraction = np.zeros(p.anatomy.grid.shape, np.float32)
    if p.draw.chance("dental metal", p.settings.teeth_metal_share):
        z = p.anatomy.places[2]
        low = z < p.landmarks_mm["nostril"][2] - TEETH_BELOW_NOSTRIL_MM
        _add_balls(p, fraction, "filling", np.argwhere(low & (p.bone.solid > 0.9)), (1.2, 3.5))
    if p.draw.chance("plate", p.settings.metal_share):
        _add_plate(p, fraction)
    return fraction


def _add_balls(p: Painter, fraction: np.ndarray, name: str, places: np.ndarray, radius_mm: tuple[float, float]) -> None:
    if not len(places):
        return
    for index in range(1 + int(p.draw.uniform(f"{name}s", (0.0, 4.0)))):
        place = places[int(p.draw.uniform(f"{name} {index} place", (0.0, 1.0)) * (len(places) - 1))]
        middle = np.array(p.anatomy.grid.origin_mm) + p.voxel_mm * place[::-1]
        radius = p.draw.uniform(f"{name} {index} mm", radius_mm)
        block = p.anatomy.grid.block(middle - radius - 1, middle + radius + 1)
        axes = p.anatomy.grid.part(block).open_axes()
        distance = np.sqrt(sum((axis - np.float32(m)) ** 2 for axis, m in zip(axes, middle, strict=True)))
        np.maximum(fraction[block], behind(distance - np.float32(radius), p.voxel_mm), out=fraction[block])


def _add_plate(p: Painter, fraction: np.ndarray) -> None:
    """A strip of titanium on the surface of thick bone beside an orbit."""
    on_bone = np.abs(p.bone.solid_mm - 0.5) < 0.3
    places = np.argwhere(on_bone & (p.anatomy.exterior_mm < 0) & (p.anatomy.orbit_mm < 9))
    if not len(places):
        return
    place = places[int(p.draw.uniform("plate place", (0.0, 1.0)) * (len(places) - 1))]
    middle = np.array(p.anatomy.grid.origin_mm) + p.voxel_mm * place[::-1]
    length, width = p.draw.uniform("plate length mm", (8.0, 25.0)), p.draw.uniform("plate width mm", (2.0, 5.0))
    block = p.anatomy.grid.block(middle - length, middle + length)
    axes = p.anatomy.grid.part(block).open_axes()
    direction = p.draw.stream("plate direction").standard_normal(3)
    direction /= np.linalg.norm(direction)
    offsets = [axis - np.float32(m) for axis, m in zip(axes, middle, strict=True)]
    along = sum(np.float32(d) * o for d, o in zip(direction, offsets, strict=True))
    aside = np.sqrt(np.maximum(sum(o * o for o in offsets) - along**2, 0))
    strip = behind(np.abs(along) - np.float32(length / 2), p.voxel_mm) * behind(aside - np.float32(width), p.voxel_mm)
    layer = behind(np.abs(p.bone.solid_mm[block] - 0.6) - 0.5, p.voxel_mm) * (p.anatomy.exterior_mm[block] < 1)
    np.maximum(fraction[block], strip * layer, out=fraction[block])


def paint_surroundings(p: Painter, hu: np.ndarray, depth_mm: np.ndarray) -> None:
    """Holder, straps, pads and tubes in the air around the head, in place."""
    if not p.draw.chance("holder", p.settings.holder_share):
        return
    h = p.voxel_mm
    outside_mm = -depth_mm - p.draw.uniform("holder gap mm", (0.2, 12.0)) - 1.5 * p.textures("cheek", (15.0, 35.0))
    free = np.clip(-depth_mm / np.float32(h), 0, 1)
    cover = p.draw.stream("holder direction").standard_normal(3).astype(np.float32)
    x, y, z = p.anatomy.grid.open_axes()
    facing = (cover[0] * x + cover[1] * y + cover[2] * z) / np.float32(np.linalg.norm(cover)) > p.draw.uniform(
        "holder from mm", (-10, 40)
    )
    shell = behind(np.abs(outside_mm) - np.float32(p.draw.log_uniform("holder mm", (0.5, 8.0)) / 2), h) * facing
    hu += (p.draw.choice("holder material", HOLDER_HU) - hu) * shell * free
    for index in range(int(p.draw.uniform("tubes", (0.0, 3.0)))):
        hu += (p.draw.uniform(f"tube {index} hu", (-150.0, 900.0)) - hu) * _tube(p, f"tube {index}") * free


HOLDER_HU = (-950.0, -850.0, -600.0, -100.0, 80.0, 250.0, 900.0)
"""Foam, foam, carbon, rubber, plastic, hard plastic, glass or bismuth."""


def _tube(p: Painter, name: str) -> np.ndarray:
    """A straight wire or hollow tube."""
    random = p.draw.stream(f"{name} line")
    direction = random.standard_normal(3)
    direction /= np.linalg.norm(direction)
    half = np.array(p.anatomy.grid.size) * p.voxel_mm / 2
    through = random.uniform(-half, half)
    offsets = [axis - np.float32(t) for axis, t in zip(p.anatomy.grid.open_axes(), through, strict=True)]
    along = sum(np.float32(d) * o for d, o in zip(direction, offsets, strict=True))
    away = np.sqrt(np.maximum(sum(o * o for o in offsets) - along**2, 0))
    radius = p.draw.log_uniform(f"{name} mm", (0.5, 5.0))
    bore = radius - 1.0 if p.draw.chance(f"{name} hollow", 0.5) else -5.0
    return behind(away - np.float32(radius), p.voxel_mm) - behind(away - np.float32(bore), p.voxel_mm)
