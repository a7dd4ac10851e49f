"""The free spaces of a head: to which compartment each place outside the bone belongs."""

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.training.templates.distance import capsules_mm, signed_mm
from OrbitalSegLib.training.templates.seeds import Seeds
from OrbitalSegLib.training.templates.template import Compartment

LEVELS_MM = 0.1
"""Steps in which the watershed's flood rises."""
DEEPEST_MM = 20.0


def free_spaces(
    bone_mm: np.ndarray, grid: sitk.Image, seeds: Seeds, markers: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    """Compartment + 1 for each voxel, unsigned 8 bits: the watershed of the distance to bone from the seeds.

    So compartments end at the narrowest place between two seeds: at the rim of the orbit, in the middle of a fissure,
    across a hole in a wall. `markers` (compartment + 1, or 0) and `outside` (what is the exterior) add to the seeds;
    markers bound the other compartments as bone does, so that air ends an orbit where its wall cannot be seen.
    Inside the bone the result has no meaning yet. Raises `InputError` `inconsistent` for a seed that lies in bone.
    """
    bone = bone_mm < 0
    depth_mm = np.minimum(bone_mm, signed_mm(markers > 0, grid)) if markers.any() else bone_mm
    marked = np.where(bone, 0, markers).astype(np.uint8)
    marked[outside & ~bone & (marked == 0)] = Compartment.EXTERIOR + 1
    for compartment, capsules in seeds.seeds.items():
        inside = (capsules_mm(capsules, grid) < 0) & ~bone & (marked == 0)
        marked[inside] = compartment + 1
    _check_marked(marked)
    levels = ((DEEPEST_MM - np.clip(depth_mm, 0, DEEPEST_MM)) / LEVELS_MM).round().astype(np.uint8)
    basins = sitk.MorphologicalWatershedFromMarkers(on_grid(levels, grid), on_grid(marked, grid), False, False)
    return sitk.GetArrayFromImage(basins)


def _check_marked(marked: np.ndarray) -> None:
    found = np.bincount(marked.ravel(), minlength=len(Compartment) + 1)
    missing = [c.name for c in Compartment if not found[c + 1]]
    if missing:
        raise InputError(
            "inconsistent", f"No seed of {', '.join(missing)} lies in free space inside the box: move or add seeds."
        )
