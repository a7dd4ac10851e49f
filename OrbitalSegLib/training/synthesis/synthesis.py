"""A case from a template and a seed: anatomy, bone, tissues, scan, label."""

from dataclasses import asdict

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.preprocessing import to_isotropic
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, Case, Flag
from OrbitalSegLib.training.synthesis import filled, markers, objects, orbit, tissues
from OrbitalSegLib.training.synthesis.deformation import AnatomyOnGrid, Deformation
from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.fractures import Fractures, draw_fractures
from OrbitalSegLib.training.synthesis.grids import Grid, behind
from OrbitalSegLib.training.synthesis.labels import label_flags, wall_points, without_bone_behind
from OrbitalSegLib.training.synthesis.scanner import DrawnScanner, outside_view, scan
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.synthesis.tissues import Densities, Painter
from OrbitalSegLib.training.synthesis.walls import WallThicknesses, fracturable, orbit_wall_mm
from OrbitalSegLib.training.templates.template import Template

TRUTH_SPACING_MM = 0.2
"""The coarsest grid on which bone is true (docs/contracts.md, section 2)."""

TRUTH_SLICES = 16
"""Slices of truth that are made at a time, so that memory stays small."""


def synthesize(template: Template, seed: int, settings: Settings | None = None, *, truth: bool = False) -> Case:
    """Make the case of a template and a seed; the same three give the same voxels.

    The volume lies around the origin of patient space, which the template's orbits are moved to. `truth` adds the bone
    on a grid of 0.2 mm around the orbits in view, which takes longer than all the rest.
    """
    settings = settings or Settings()
    draw = Draw(seed)
    deformation = Deformation(template, draw, settings)
    walls = WallThicknesses(draw, settings)
    grid = _volume(settings)
    anatomy = deformation.anatomy(grid)
    fractures = draw_fractures(fracturable(anatomy, orbit_wall_mm(anatomy)), draw, settings)
    bone = walls.bone(anatomy, fractures)
    density = Densities.drawn(draw, settings)
    painter = Painter(anatomy, bone, fractures, draw, settings, density, template.landmarks_mm)
    hu, metal = _painted(painter)
    scanner = DrawnScanner.drawn(draw, settings)
    scanned = scan(hu, bone.fraction, metal, grid, scanner, draw)
    working = to_isotropic(scanned.ct, WORKING_SPACING_MM)
    clean = to_isotropic(scanned.clean, WORKING_SPACING_MM)
    flags = label_flags(anatomy, bone, metal)
    if scanner.narrow:
        flags[:, outside_view(flags.shape[1:])] |= np.uint8(Flag.IGNORE)
    points = wall_points(anatomy, bone, mirrored=deformation.mirrored)
    facts = {
        "template": template.name,
        "seed": seed,
        "settings": {name: value for name, value in asdict(settings).items() if value is not None},
        "drawn": draw.values,
        "scanner": scanner.facts(),
        "mirrored": deformation.mirrored,
        "licence": template.licence,
    }
    label = _on_grid_of(working, grid.image(flags))
    return Case(
        ct=scanned.ct,
        working_ct=working,
        clean=clean,
        label=label,
        walls=without_bone_behind(points, label),
        facts=facts,
        truth=_truth(deformation, walls, fractures, anatomy) if truth else None,
    )


def _volume(settings: Settings) -> Grid:
    size = [round(s / WORKING_SPACING_MM) for s in settings.size_mm]
    origin = [-WORKING_SPACING_MM * (n - 1) / 2 for n in size]
    return Grid((origin[0], origin[1], origin[2]), (size[0], size[1], size[2]), WORKING_SPACING_MM)


def _painted(p: Painter) -> tuple[np.ndarray, np.ndarray]:
    """HU of the whole head, and the fraction of metal."""
    a, h = p.anatomy, p.voxel_mm
    eyes = orbit.eyes(p)
    depth_mm = orbit.skin_depth_mm(p, eyes)
    hu = tissues.exterior_hu(p, depth_mm)
    orbit.paint_lids(p, hu, eyes, depth_mm)
    objects.paint_surroundings(p, hu, depth_mm)
    markers.paint(p, hu, depth_mm)

    border_mm = p.bone.wall_mm - p.fractures.bulge_mm(a.grid)
    hu += (tissues.cranial_hu(p) - hu) * behind((a.cranial_mm - a.exterior_mm) / 2, h)
    from_orbit_mm = border_mm - p.bone.thickness_mm / 2
    beyond = np.minimum(a.cranial_mm, a.exterior_mm)
    sinuses = tissues.sinus_hu(p, from_orbit_mm)
    filled.fill(p, sinuses)
    hu += (sinuses - hu) * behind((a.sinus_mm - beyond) / 2, h)
    content = orbit.orbit_hu(p, eyes)
    orbit.herniated_hu(p, content)
    hu += (content - hu) * behind(border_mm, h)
    for eye in eyes:
        orbit.paint_eye(p, hu, eye)

    bone = tissues.bone_hu(p)
    hu += (bone - hu) * p.bone.fraction
    objects.paint_teeth(p, hu)
    metal = objects.metal(p)
    hu += (objects.METAL_HU - hu) * metal
    return hu, metal


def _on_grid_of(working: sitk.Image, label: sitk.Image) -> sitk.Image:
    """The label's voxels that the working grid holds. Both grids begin at the same voxel."""
    size = working.GetSize()
    cut = label[: size[0], : size[1], : size[2]]
    cut.CopyInformation(working)
    return cut


def _truth(
    deformation: Deformation, walls: WallThicknesses, fractures: Fractures, anatomy: AnatomyOnGrid
) -> sitk.Image:
    """Bone fraction of at least one half around the orbits in view."""
    grid = _around_orbits(anatomy)
    slabs = []
    for start in range(0, grid.size[2], TRUTH_SLICES):
        stop = min(start + TRUTH_SLICES, grid.size[2])
        # One slice more on either side, for the slope of the distances.
        low, high = max(start - 1, 0), min(stop + 1, grid.size[2])
        slab = grid.part((slice(low, high), slice(0, grid.size[1]), slice(0, grid.size[0])))
        bone = walls.bone(deformation.anatomy(slab), fractures)
        slabs.append((bone.fraction[start - low : stop - low] >= 0.5).astype(np.uint8))
    return grid.image(np.concatenate(slabs))


def _around_orbits(anatomy: AnatomyOnGrid) -> Grid:
    """A grid of 0.2 mm around all that lies within 4 mm of an orbit."""
    near = np.argwhere(anatomy.orbit_mm < 4)[:, ::-1]
    coarse = anatomy.grid
    if not len(near):
        near = np.array([[0, 0, 0], np.array(coarse.size) - 1])
    low = np.array(coarse.origin_mm) + near.min(axis=0) * coarse.spacing_mm
    high = np.array(coarse.origin_mm) + near.max(axis=0) * coarse.spacing_mm
    size = [int(n) + 1 for n in np.ceil((high - low) / TRUTH_SPACING_MM)]
    return Grid((low[0], low[1], low[2]), (size[0], size[1], size[2]), TRUTH_SPACING_MM)
