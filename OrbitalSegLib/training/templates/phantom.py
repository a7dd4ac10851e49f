"""The analytic phantom as an anatomy: every distance near a wall comes from its formulas."""

from collections.abc import Iterator, Sequence

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.orbit_solid import OrbitSolid
from OrbitalSegLib.phantom.anatomy import CSF_HU, MUCOSA_HU, SIDES, Anatomy, Parts, parts
from OrbitalSegLib.places import Bounds
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.shapes import Shape
from OrbitalSegLib.training.templates.build import assemble
from OrbitalSegLib.training.templates.distance import empty_grid, signed_mm, unsigned_mm
from OrbitalSegLib.training.templates.seeds import Seeds
from OrbitalSegLib.training.templates.template import REACH_MM, SPACING_MM, Compartment, Template

BOX_MM: Bounds = ((-72.0, 72.0), (-58.0, 58.0), (-62.0, 48.0))

FORMULA_MM = 1.5
"""Nearer than this to a surface its formula is the distance; further away it is measured on the grid."""

SEPTUM_MM = 2.0
"""Two air spaces that come closer than this have a septum between them."""

SLAB = 16
"""Slices that are sampled at once."""

PHANTOM = Seeds(
    name="phantom",
    source="The analytic phantom of OrbitalSegLib.phantom",
    licence="Apache-2.0",
    box_mm=BOX_MM,
    seeds={},
    openings={},
    landmarks_mm={
        "globe_right": (-31.0, -14.0, 0.0),
        "globe_left": (31.0, -14.0, 0.0),
        "apex_right": (-15.5, 17.5, 3.6),
        "apex_left": (15.5, 17.5, 3.6),
        "nostril": (0.0, -36.0, -28.0),
    },
    remarks=(
        "Bones and spaces are ellipsoids, boxes and rods: edges are rounder and walls flatter than in life.",
        "Turbinates are soft tissue without bone.",
        "Behind the globe soft tissue lies between the orbit's roof and the skull base.",
    ),
)


def phantom_template(spacing_mm: float = SPACING_MM, progress: Progress = silent) -> Template:
    """The phantom's healthy head as a template. A coarse spacing is for tests."""
    anatomy = Anatomy()
    head = parts(anatomy)
    grid = empty_grid(BOX_MM, spacing_mm)
    openings = [shape for _, _, shape in head.openings]
    bone_mm = np.maximum(_sampled(head.bone, grid), -_sampled([layers.shape for layers in head.voids], grid))
    progress(0.2)
    spaces = _spaces(head, anatomy)
    air = [shape for which in spaces if which is not Compartment.CRANIAL for shape in spaces[which]]
    return assemble(
        PHANTOM,
        grid,
        _whole(bone_mm, grid),
        _free_mm(head, anatomy, spaces, grid),
        _whole(_sampled([head.soft[0].shape], grid), grid, np.inf),
        natural=_sampled(openings, grid) < 0,
        septum_mm=_septum_mm(air, grid),
        progress=lambda done: progress(0.2 + 0.8 * done),
    )


def _spaces(head: Parts, anatomy: Anatomy) -> dict[Compartment, list[Shape]]:
    """The shapes of each compartment but the exterior."""
    sinuses = {side: shape for side, name, shape in head.walls if name == "floor"}
    air = [layers.shape for layers in head.voids if layers.fill[0][1] == MUCOSA_HU]
    return {
        Compartment.RIGHT_ORBIT: [anatomy.orbit("right").cavity],
        Compartment.LEFT_ORBIT: [anatomy.orbit("left").cavity],
        Compartment.RIGHT_MAXILLARY: [sinuses["right"]],
        Compartment.LEFT_MAXILLARY: [sinuses["left"]],
        Compartment.NASAL: [shape for shape in air if shape not in sinuses.values()],
        Compartment.CRANIAL: [layers.shape for layers in head.voids if layers.fill[0][1] == CSF_HU],
    }


def _free_mm(
    head: Parts, anatomy: Anatomy, spaces: dict[Compartment, list[Shape]], grid: sitk.Image
) -> Iterator[tuple[Compartment, np.ndarray]]:
    """The signed distance to each compartment's free space.

    The openings belong to none, so that they end half way. The exterior is what neither the solids of the bone nor any
    space covers, and the entrance in front of each orbit.
    """
    inner_mm = _sampled([*head.bone, *(shape for _, _, shape in head.openings)], grid)
    for which, shapes in spaces.items():
        distance = _sampled(shapes, grid)
        inner_mm = np.minimum(inner_mm, distance)
        yield which, _whole(distance, grid)
    for side in SIDES:
        inner_mm = np.maximum(inner_mm, -_sampled([_entrance(anatomy.orbit(side))], grid))
    yield Compartment.EXTERIOR, _whole(-inner_mm, grid)


def _entrance(orbit: OrbitSolid) -> Shape:
    """What the soft face fills in front of an orbit's front plane."""
    tube = orbit.tube
    return Shape(lambda x, y, z: np.maximum(tube.field(x, y, z), orbit.front_distance(x, y)), tube.box)


def _septum_mm(air: list[Shape], grid: sitk.Image) -> np.ndarray:
    """Distance to the middle between any two air spaces that come close."""
    first = np.full(grid.GetSize()[::-1], 1e3, np.float32)
    second = first.copy()
    for shape in air:
        distance = _sampled([shape], grid)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    across = np.where(first + second < SEPTUM_MM, (second - first) / 2, 1e3)
    sheet = across < grid.GetSpacing()[0] / 2
    return np.where(across < FORMULA_MM, across, unsigned_mm(sheet, grid))


def _whole(field_mm: np.ndarray, grid: sitk.Image, reach_mm: float = 2 * REACH_MM) -> np.ndarray:
    """The formula's distance where it holds, and the distance on the grid elsewhere."""
    return np.where(np.abs(field_mm) < FORMULA_MM, field_mm, signed_mm(field_mm < 0, grid, reach_mm))


def _sampled(shapes: Sequence[Shape], grid: sitk.Image) -> np.ndarray:
    """The field of shapes joined, [z, y, x]; some large value where none is near."""
    lowest = np.full(grid.GetSize()[::-1], 1e3, np.float32)
    axes = [
        (np.arange(n) * grid.GetSpacing()[0] + o).astype(np.float32)
        for n, o in zip(grid.GetSize(), grid.GetOrigin(), strict=True)
    ]
    for shape in shapes:
        spans = [
            np.searchsorted(axis, limits) for axis, limits in zip(axes, shape.grown(2 * FORMULA_MM).box, strict=True)
        ]
        if any(low == high for low, high in spans):
            continue
        (x0, x1), (y0, y1), (z0, z1) = spans
        for start in range(z0, z1, SLAB):
            block = (slice(start, min(start + SLAB, z1)), slice(y0, y1), slice(x0, x1))
            x, y, z = axes[0][None, None, block[2]], axes[1][None, block[1], None], axes[2][block[0], None, None]
            lowest[block] = np.minimum(lowest[block], shape.field(x, y, z))
    return lowest
