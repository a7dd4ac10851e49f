"""From bone and seeds to a template."""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.templates.distance import capsules_mm, empty_grid, signed_mm, smooth, unsigned_mm
from OrbitalSegLib.training.templates.seeds import Seeds
from OrbitalSegLib.training.templates.spaces import free_spaces
from OrbitalSegLib.training.templates.template import (
    LANDMARKS,
    ORBITS,
    REACH_MM,
    SINUSES,
    SKIN_REACH_MM,
    SPACING_MM,
    Compartment,
    Template,
)

GROUPS = {
    "orbit_mm": ORBITS,
    "sinus_mm": SINUSES,
    "cranial_mm": (Compartment.CRANIAL,),
    "exterior_mm": (Compartment.EXTERIOR,),
}

MAXILLARY = (Compartment.RIGHT_MAXILLARY, Compartment.LEFT_MAXILLARY)

ORBIT_ML = (15.0, 45.0)
"""An orbit's compartment, to the middle of its walls and the plane of its rim, has a volume between these."""

FAULT_MM = 2.0
"""A narrower gap in the bone towards the exterior is a fault of the data and is closed."""

OPEN_REACH_MM = 1.2
"""Half the thickness of an opening, across the place where two compartments meet."""

THIN_MM = 1.6
"""Bone of this thickness is solid where it lies `THIN_CLEAR_MM` away from every wall of an orbit or a sinus."""
THIN_CLEAR_MM = 2.5

SEPTUM_CLEAR_MM = 1.2
"""A septum's middle lies this far from every wall's middle."""
SEPTUM_SMOOTHING_MM = 0.4
SEPTUM_MM2 = 10.0
"""Smaller pieces of septum are noise."""

HULL_MM = 16.0
"""The skin bridges a gap in the bone that a ball of this radius does not enter [training prototype]."""
WIDE_HULL_MM = 30.0
"""The radius of the ball that does not enter an orbit. What lies outside is the exterior."""
HULL_SPACING_MM = 1.6
SKIN_OVER_HULL_MM = 6.0


def build(
    bone: sitk.Image,
    seeds: Seeds,
    markers: sitk.Image | None = None,
    head: sitk.Image | None = None,
    spacing_mm: float = SPACING_MM,
    progress: Progress = silent,
) -> Template:
    """A template from a mask of bone and seeds in its spaces.

    `markers` says of some voxels where they belong (`Compartment` + 1; 0: not known); `head` is a mask of everything
    inside the skin, without it the skin is a hull of the bone. Each image may lie on a grid of its own; where they end
    there is neither bone nor head. Raises `InputError` `inconsistent` where seeds or landmarks are missing, or
    compartments leak.
    """
    _check_landmarks(seeds)
    grid = template_grid(bone, seeds, spacing_mm)
    mask = _on_grid(bone, grid, sitk.sitkLinear) >= 0.5
    bone_mm = signed_mm(mask, grid)
    marked = np.zeros(mask.shape, np.uint8)
    if markers is not None:
        marked = _on_grid(markers, grid, sitk.sitkNearestNeighbor).astype(np.uint8)
    outside = _hull_mm(mask, WIDE_HULL_MM, grid) > 0
    progress(0.1)
    spaces = free_spaces(bone_mm, grid, seeds, marked, outside)
    progress(0.3)
    if head is None:
        nose = capsules_mm(seeds.nose, grid) < 0
        inner = mask | nose | (spaces != Compartment.EXTERIOR + 1)
        skin_mm = _hull_mm(inner, HULL_MM, grid) - SKIN_OVER_HULL_MM
    else:
        skin_mm = _head_mm(head, grid)
    free_mm = ((c, signed_mm((spaces == c + 1) & ~mask, grid, 2 * REACH_MM)) for c in Compartment)
    openings = tuple(capsule for some in seeds.openings.values() for capsule in some)
    natural = capsules_mm(openings, grid) < 0
    return assemble(seeds, grid, bone_mm, free_mm, skin_mm, natural, progress=progress)


def template_grid(bone: sitk.Image, seeds: Seeds, spacing_mm: float = SPACING_MM) -> sitk.Image:
    """The template's empty grid: the box of the seeds, or all of the bone's image, on the lattice of that image."""
    size, spacing, origin = bone.GetSize(), np.array(bone.GetSpacing()), np.array(bone.GetOrigin())
    corners = np.array([bone.TransformIndexToPhysicalPoint(i) for i in ((0, 0, 0), tuple(n - 1 for n in size))])
    low, high = np.sort(corners, axis=0) if seeds.box_mm is None else np.array(seeds.box_mm).T
    (x0, y0, z0), (x1, y1, z1) = origin + np.round((low - origin) / spacing) * spacing, high
    return empty_grid(((x0, x1), (y0, y1), (z0, z1)), spacing_mm)


def assemble(
    seeds: Seeds,
    grid: sitk.Image,
    bone_mm: np.ndarray,
    free_mm: Iterable[tuple[Compartment, np.ndarray]],
    skin_mm: np.ndarray,
    natural: np.ndarray,
    septum_mm: np.ndarray | None = None,
    progress: Progress = silent,
) -> Template:
    """The template from signed distances in mm, negative inside, of the bone, of each compartment's free space and of
    the head. `natural` is where walls end in life; without `septum_mm` the septa are found in the bone.

    In the bone between two spaces the compartments end half way, so the end is the middle of the wall to a fraction of
    a voxel. Raises `InputError` `inconsistent` where a compartment leaks or is missing.
    """
    compartment, groups = _partition(free_mm)
    progress(0.6)
    _check(compartment, grid)
    distances = {name: smooth(distance, grid) for name, distance in groups.items()}
    wall_mm = np.minimum(np.abs(distances["orbit_mm"]), np.abs(distances["sinus_mm"]))
    solid_mm = _solid_mm(bone_mm, wall_mm, grid, seeds.solid_thickness_mm)
    progress(0.8)
    if septum_mm is None:
        septum_mm = _septum_mm(bone_mm, solid_mm, wall_mm, grid)
    opening_mm = _opening_mm(compartment, bone_mm, natural, grid)
    distances |= {"solid_mm": solid_mm, "septum_mm": septum_mm, "opening_mm": opening_mm}
    images = {name: on_grid(np.clip(d, -REACH_MM, REACH_MM), grid) for name, d in distances.items()}
    progress(1.0)
    return Template(
        name=seeds.name,
        source=seeds.source,
        licence=seeds.licence,
        landmarks_mm=dict(seeds.landmarks_mm),
        remarks=seeds.remarks,
        compartment=on_grid(compartment, grid),
        skin_mm=on_grid(np.clip(skin_mm, -SKIN_REACH_MM, SKIN_REACH_MM), grid),
        **images,
    )


def _on_grid(image: sitk.Image, grid: sitk.Image, interpolator: int) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), interpolator, 0.0, sitk.sitkFloat32))


def _partition(free_mm: Iterable[tuple[Compartment, np.ndarray]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The nearest compartment of each voxel, and for each group of compartments the signed distance to its end."""
    nearest: dict[str, np.ndarray] = {}
    compartment, least = np.empty(0), np.empty(0)
    for which, distance in free_mm:
        if not least.size:
            compartment, least = np.full(distance.shape, which, np.uint8), distance.copy()
        closer = distance < least
        compartment[closer] = which
        least[closer] = distance[closer]
        group = next(name for name, members in GROUPS.items() if which in members)
        nearest[group] = np.minimum(nearest[group], distance) if group in nearest else distance
    ends = {}
    for group, distance in nearest.items():
        others = np.minimum.reduce([other for name, other in nearest.items() if name != group])
        ends[group] = (distance - others) / 2
    return compartment, ends


def _check_landmarks(seeds: Seeds) -> None:
    missing = [name for name in LANDMARKS if name not in seeds.landmarks_mm]
    if missing:
        raise InputError("inconsistent", f"The seeds name no {', '.join(missing)}: add them to landmarks_mm.")


def _check(compartment: np.ndarray, grid: sitk.Image) -> None:
    """Refuse a compartment that is missing, an orbit that is too small or leaks, and orbits on the wrong sides."""
    voxel_ml = float(np.prod(grid.GetSpacing())) / 1000
    found = np.bincount(compartment.ravel(), minlength=len(Compartment))
    for which in Compartment:
        if not found[which]:
            raise InputError("inconsistent", f"{which.name} is empty: give it a seed in free space inside the box.")
    for which in ORBITS:
        volume_ml = found[which] * voxel_ml
        if not ORBIT_ML[0] <= volume_ml <= ORBIT_ML[1]:
            raise InputError(
                "inconsistent",
                f"{which.name} has {volume_ml:.0f} ml, not {ORBIT_ML[0]:.0f} to {ORBIT_ML[1]:.0f}: its neighbours need "
                "seeds where it leaks, or it needs more of its own.",
            )
    right, left = (np.flatnonzero((compartment == which).any(axis=(0, 1))).mean() for which in ORBITS)
    if right > left:
        raise InputError("inconsistent", "The right orbit lies left of the left one: x grows to the patient's left.")


def _solid_mm(bone_mm: np.ndarray, wall_mm: np.ndarray, grid: sitk.Image, thickness_mm: float) -> np.ndarray:
    """Signed distance to the bone into which a ball of this diameter fits, and away from the walls of orbits and
    sinuses a smaller one."""
    opened = np.zeros(bone_mm.shape, bool)
    for diameter_mm, place in ((thickness_mm, True), (THIN_MM, wall_mm > THIN_CLEAR_MM)):
        core = bone_mm < -diameter_mm / 2
        opened |= (signed_mm(core, grid) < diameter_mm / 2) & (bone_mm < 0) & place
    return smooth(signed_mm(opened, grid), grid)


def _septum_mm(bone_mm: np.ndarray, solid_mm: np.ndarray, wall_mm: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """Distance to the middle of thin bone that is no wall of an orbit or a sinus."""
    depth = smooth(-bone_mm, grid, SEPTUM_SMOOTHING_MM)
    ridge = np.zeros(depth.shape, bool)
    for axis in range(3):
        before, after = (np.roll(depth, step, axis) for step in (1, -1))
        farther = np.maximum(np.roll(depth, 2, axis), np.roll(depth, -2, axis))
        ridge |= (depth >= before) & (depth > after) & (depth > farther + 0.05)
    ridge &= (bone_mm < 0) & (solid_mm > 0) & (wall_mm > SEPTUM_CLEAR_MM)
    pieces = sitk.ConnectedComponent(on_grid(ridge.astype(np.uint8), grid), True)
    pieces = sitk.RelabelComponent(pieces, minimumObjectSize=int(SEPTUM_MM2 / grid.GetSpacing()[0] ** 2))
    return unsigned_mm(sitk.GetArrayFromImage(pieces) > 0, grid)


def _opening_mm(compartment: np.ndarray, bone_mm: np.ndarray, natural: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """Signed distance to where compartments meet without bone and life has no wall either.

    Between orbit, sinus and cranial cavity, and around a maxillary sinus, that is so only in the natural openings;
    elsewhere towards the exterior it is so in every gap that is wider than `FAULT_MM`.
    """
    bone = bone_mm < 0
    inner, outer = np.zeros(bone.shape, bool), np.zeros(bone.shape, bool)
    group = np.array([_group(c) for c in Compartment], np.uint8)[compartment]
    for axis in range(3):
        here = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        meet = (group[here] != group[there]) & ~bone[here] & ~bone[there]
        outside = meet & ((compartment[here] == Compartment.EXTERIOR) | (compartment[there] == Compartment.EXTERIOR))
        outside &= ~(np.isin(compartment[here], MAXILLARY) | np.isin(compartment[there], MAXILLARY))
        for place in (here, there):
            outer[place] |= outside
            inner[place] |= meet & ~outside
    open_places = (inner & natural) | _wide(outer, bone_mm, grid)
    band = (signed_mm(open_places, grid) < OPEN_REACH_MM) & ~bone
    return smooth(signed_mm(band, grid), grid)


def _group(compartment: Compartment) -> int:
    return next(i for i, members in enumerate(GROUPS.values()) if compartment in members)


def _wide(gaps: np.ndarray, bone_mm: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """The gaps whose middle is more than half of `FAULT_MM` away from bone, whole."""
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(on_grid(gaps.astype(np.uint8), grid), True))
    wide = np.unique(pieces[gaps & (bone_mm > FAULT_MM / 2)])
    return gaps & np.isin(pieces, wide)


def _head_mm(head: sitk.Image, grid: sitk.Image) -> np.ndarray:
    return smooth(signed_mm(_on_grid(head, grid, sitk.sitkLinear) >= 0.5, grid), grid)


def _hull_mm(inner: np.ndarray, radius_mm: float, grid: sitk.Image) -> np.ndarray:
    """Signed distance to a mask that is closed by a ball, and of what cannot be seen from front and sides through it.

    It is made on a coarse grid. The head goes on beyond the back, top and bottom of the grid, and ends inside its
    front and sides.
    """
    margin = int(np.ceil(2 * radius_mm / HULL_SPACING_MM))
    coarse = sitk.Image([int(n * grid.GetSpacing()[0] / HULL_SPACING_MM) for n in grid.GetSize()], sitk.sitkUInt8)
    coarse.SetOrigin(grid.GetOrigin())
    coarse.SetSpacing([HULL_SPACING_MM] * 3)
    inside = _on_grid(on_grid(inner.astype(np.float32), grid), coarse, sitk.sitkLinear) > 0
    padded = np.pad(inside, ((margin, margin), (0, margin), (0, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (margin, 0), (margin, margin)))
    wide = sitk.Image(list(padded.shape[::-1]), sitk.sitkUInt8)
    wide.SetSpacing([HULL_SPACING_MM] * 3)
    wide.SetOrigin([o - margin * HULL_SPACING_MM for o in grid.GetOrigin()])
    closed = signed_mm(signed_mm(padded, wide) < radius_mm, wide) < -radius_mm
    from_front = np.maximum.accumulate(closed, axis=1)
    from_right = np.maximum.accumulate(closed, axis=2)
    from_left = np.maximum.accumulate(closed[..., ::-1], axis=2)[..., ::-1]
    hull_mm = signed_mm(from_front & from_right & from_left, wide)
    return _on_grid(on_grid(smooth(hull_mm, wide, 2 * HULL_SPACING_MM), wide), grid, sitk.sitkLinear)
