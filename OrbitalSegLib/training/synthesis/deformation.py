"""Another head from the template: turned, scaled, mirrored and smoothly deformed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from OrbitalSegLib.images import on_grid, spacing_zyx
from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.grids import Grid, SmoothField
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.templates.template import Compartment, Template

BEHIND_GLOBE_MM = 12.0
"""The middle of an orbit lies this far behind the globe's."""

AT_ONCE = 3
"""Fields that are warped together: faster than one by one, in memory that lasts."""

SMOOTH = ("skin_mm", "opening_mm")
"""Fields that lose nothing on a coarser grid."""

COARSE = 4
"""Which sinus and which side is nearest is known on every so many voxels."""

PARTITIONS_CLEAR_MM = 0.4
"""A drawn septum ends this far from the middle of a sinus's wall."""

Places = tuple[np.ndarray, np.ndarray, np.ndarray]
"""x, y and z in template mm of every voxel of a grid."""


@dataclass(frozen=True)
class AnatomyOnGrid:
    """What the template says of each voxel of a grid in the scanned head. Distances are in template mm."""

    grid: Grid
    places: Places
    orbit_mm: np.ndarray
    sinus_mm: np.ndarray
    cranial_mm: np.ndarray
    exterior_mm: np.ndarray
    solid_mm: np.ndarray
    septum_mm: np.ndarray
    opening_mm: np.ndarray
    skin_mm: np.ndarray
    nasal_mm: np.ndarray
    """How much nearer the nasal compartment is than a maxillary sinus; negative where the nasal one is nearer."""
    left_mm: np.ndarray
    """How much nearer the left orbit is than the right one; negative on the left side of the template."""


class Partitions:
    """Septa and cells that a sinus has besides the template's: planes and spheres, in mm of the scanned head."""

    def __init__(self, draw: Draw, settings: Settings) -> None:
        random = draw.stream("partitions")
        half = np.array(settings.size_mm) / 2
        septa, cells = (int(random.integers(low, high + 1)) for low, high in (settings.septa, settings.cells))
        directions = random.normal(size=(septa, 3))
        self._planes = [
            (direction / np.linalg.norm(direction), random.uniform(-half, half)) for direction in directions
        ]
        smallest, largest = np.log(settings.cell_mm)
        radii = np.exp(random.uniform(smallest, largest, cells))
        self._cells = [(radius, random.uniform(-half, half)) for radius in radii]

    def within(self, septum_mm: np.ndarray, sinus_mm: np.ndarray, grid: Grid) -> np.ndarray:
        """The distance to the nearest septum, these included."""
        if not self._planes and not self._cells:
            return septum_mm
        x, y, z = grid.open_axes()
        nearest = np.full(grid.shape, np.inf, np.float32)
        for (a, b, c), (px, py, pz) in self._planes:
            nearest = np.minimum(nearest, np.abs(a * (x - px) + b * (y - py) + c * (z - pz)))
        for radius, (px, py, pz) in self._cells:
            nearest = np.minimum(nearest, np.abs(np.sqrt((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2) - radius))
        inside = sinus_mm < -PARTITIONS_CLEAR_MM
        return np.where(inside, np.minimum(septum_mm, nearest), septum_mm).astype(np.float32)


class Deformation:
    """Where in the template each place of the scanned head lies.

    A place p in mm around the middle of the volume comes from `centre + matrix (p + displacement(p))`.
    """

    def __init__(self, template: Template, draw: Draw, settings: Settings) -> None:
        self._template = template
        self.mirrored = draw.chance("mirror", settings.mirror_share)
        self._matrix = self._drawn_matrix(draw, settings)
        self._centre = self._drawn_centre(draw, settings)
        self._partitions = Partitions(draw, settings)
        reach = max(settings.size_mm) / 2 + 2
        coarse_mm, ripple_mm = draw.uniform("deformation_mm", settings.deformation_mm), draw.uniform(
            "ripple_mm", settings.ripple_mm
        )  # fmt: skip
        parts = (
            ("face", (35.0, 60.0), coarse_mm),
            ("detail", (14.0, 24.0), coarse_mm / 4),
            ("ripple", (5.0, 9.0), ripple_mm),
        )
        self._displacements = [
            [
                (amount, SmoothField(draw.stream(f"{name} {axis}"), reach, draw.uniform(f"{name} {axis} mm", cell)))
                for name, cell, amount in parts
            ]
            for axis in "xyz"
        ]

    @cached_property
    def _nearer(self) -> tuple[sitk.Image, sitk.Image]:
        return _nearer(self._template.compartment)

    def _drawn_matrix(self, draw: Draw, settings: Settings) -> np.ndarray:
        limits = (settings.nod_degrees, settings.rotation_degrees, settings.rotation_degrees)
        rotation = np.eye(3)
        for axis, limit in enumerate(limits):
            angle = np.radians(draw.uniform(f"rotation {'xyz'[axis]} degrees", limit))
            a, b = (axis + 1) % 3, (axis + 2) % 3
            turn = np.eye(3)
            turn[a, a] = turn[b, b] = np.cos(angle)
            turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
            rotation = rotation @ turn
        scale = [draw.uniform(f"scale {axis}", settings.scale) for axis in "xyz"]
        mirror = np.diag([-1.0 if self.mirrored else 1.0, 1.0, 1.0])
        return mirror @ np.diag(1 / np.array(scale)) @ rotation

    def _drawn_centre(self, draw: Draw, settings: Settings) -> np.ndarray:
        right, left = (np.array(self._template.landmarks_mm[f"globe_{side}"]) for side in ("right", "left"))
        chosen = settings.centre
        if chosen == "any":
            chosen = draw.choice("centre", ("both", "both", "right", "left"))
        middle = {"both": (right + left) / 2, "right": right, "left": left}[chosen] + (0, BEHIND_GLOBE_MM, 0)
        offset = np.array([draw.uniform(f"offset {axis} mm", settings.offset_mm) for axis in "xyz"])
        if draw.chance("far", settings.far_share):
            offset[2] += draw.choice("far side", (-1, 1)) * draw.uniform("far mm", (20.0, 32.0))
        return middle + offset

    def places(self, grid: Grid) -> Places:
        """Template coordinates in mm of the voxels of a grid."""
        moved = []
        for axis, straight in enumerate(grid.open_axes()):
            total = np.broadcast_to(straight, grid.shape).astype(np.float32)
            for amount, field in self._displacements[axis]:
                if amount:
                    total += np.float32(amount) * field.on(grid)
            moved.append(total)
        m = self._matrix.astype(np.float32)
        rows = [
            m[i, 0] * moved[0] + m[i, 1] * moved[1] + m[i, 2] * moved[2] + np.float32(self._centre[i]) for i in range(3)
        ]
        return (rows[0], rows[1], rows[2])

    def anatomy(self, grid: Grid) -> AnatomyOnGrid:
        """The template's fields, warped to a grid."""
        places = self.places(grid)
        distances = self._template.distances()
        warped: dict[str, np.ndarray] = {}
        sharp = [name for name in distances if name not in SMOOTH]
        for some in (sharp[:AT_ONCE], sharp[AT_ONCE:]):
            warped |= zip(some, _sampled([distances[name] for name in some], places), strict=True)
        warped |= zip(SMOOTH, _sampled_coarsely([distances[name] for name in SMOOTH], places, 2), strict=True)
        warped["septum_mm"] = self._partitions.within(warped["septum_mm"], warped["sinus_mm"], grid)
        nasal, left = _sampled_coarsely(self._nearer, places, COARSE)
        return AnatomyOnGrid(grid, places, **warped, nasal_mm=nasal, left_mm=left)


def _sampled(images: Sequence[sitk.Image], places: Places) -> list[np.ndarray]:
    """Images of one grid at template places, linear; beyond the edge the value at the edge."""
    spacing, origin, size = images[0].GetSpacing()[0], images[0].GetOrigin(), images[0].GetSize()
    block: list[slice] = []
    where = torch.empty((*places[0].shape, 3))
    for axis, place in enumerate(places):
        lowest, highest = ((float(end) - origin[axis]) / spacing for end in (place.min(), place.max()))
        start, last = (int(np.clip(end, 0, size[axis] - 2)) for end in (lowest, highest))
        block.append(slice(start, last + 2))
        scale = 2 / (spacing * (last + 1 - start))
        where[..., axis] = torch.from_numpy(place) * scale - ((origin[axis] + start * spacing) * scale + 1)
    parts = [sitk.GetArrayViewFromImage(image)[block[2], block[1], block[0]] for image in images]
    near = torch.from_numpy(np.stack(parts).astype(np.float32, copy=False))
    sampled = torch.nn.functional.grid_sample(
        near[None], where[None], mode="bilinear", padding_mode="border", align_corners=True
    )
    return list(sampled[0].numpy())


def _sampled_coarsely(images: Sequence[sitk.Image], places: Places, step: int) -> list[np.ndarray]:
    """The same for smooth images: on every so many voxels, and linear between them."""
    x, y, z = (np.ascontiguousarray(axis[::step, ::step, ::step]) for axis in places)
    spread = [step * (n - 1) + 1 for n in x.shape]
    ends = [(0, max(n - s, 0)) for n, s in zip(places[0].shape, spread, strict=True)]
    fields = []
    for coarse in _sampled(images, (x, y, z)):
        full = torch.nn.functional.interpolate(
            torch.from_numpy(coarse)[None, None], spread, mode="trilinear", align_corners=True
        )
        fields.append(np.pad(full[0, 0].numpy(), ends, mode="edge"))
    return fields


def _nearer(compartment: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """How much nearer the nasal compartment is than the maxillary sinuses, and the left half than the right, mm."""
    coarse = compartment[::COARSE, ::COARSE, ::COARSE]
    labels = sitk.GetArrayFromImage(coarse)

    def distance_mm(*of: Compartment) -> np.ndarray:
        return ndimage.distance_transform_edt(~np.isin(labels, of), sampling=spacing_zyx(coarse))

    nasal = distance_mm(Compartment.NASAL) - distance_mm(Compartment.RIGHT_MAXILLARY, Compartment.LEFT_MAXILLARY)
    left = distance_mm(Compartment.LEFT_ORBIT) - distance_mm(Compartment.RIGHT_ORBIT)
    return on_grid(nasal.astype(np.float32), coarse), on_grid(left.astype(np.float32), coarse)
