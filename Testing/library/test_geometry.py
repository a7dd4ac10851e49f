"""However the phantom lies and is scanned, its bone is found where it is.

The bone is solid here and thresholded at half its height above soft tissue, where a threshold puts the surface right:
what is tested is the geometry of reading and exporting, not what 300 HU does to trabecular bone and thin walls.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.vtkCommonCore import mutable
from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

from OrbitalSegLib import reading
from OrbitalSegLib.export.stl import read_stl, write_stl
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Task
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.modelling.surface import surface_of_mask
from OrbitalSegLib.phantom import VARIANTS, Anatomy, exact_bone_surface, scan, truth_image, write_series
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region

pytestmark = pytest.mark.slow

CASES = [
    "tilt-plus-20",
    "tilt-minus-20",
    "oblique-15",
    "missing-slice",
    "uneven-spacing",
    "reversed",
    "feet-first",
    "prone",
    "feet-first-prone",
]
BOX_MM = ((-56.0, 56.0), (-26.0, 30.0), (-20.0, 20.0))
"""Both orbits: inside every scan, the tilted ones too."""
SEGMENTED = Region(tuple(edge for low, high in BOX_MM for edge in (low - 3.0, high + 3.0)))
"""A little more, so that nothing within is at an edge of the bone that was cut."""
UNTURNED_MM = ((-66.0, 66.0), (-42.0, 46.0), (-22.0, 22.0))
"""The box, however the head is turned."""
LEFT = Region((-3.0, *SEGMENTED.box_mm[1:]))
"""The left orbit: a surface of both takes twice the time."""
BONE_HU = 1200.0
HALF_HEIGHT_HU = 620.0
VOXEL_MM = 0.9
"""Largest side of the small phantom's voxels."""


def box_grid(spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """The untilted grid on which cases are compared."""
    grid = sitk.Image([int((b - a) / s) for (a, b), s in zip(BOX_MM, spacing_mm, strict=True)], sitk.sitkUInt8)
    grid.SetSpacing(spacing_mm)
    grid.SetOrigin([a for a, _ in BOX_MM])
    return grid


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """The bone of a case at half its height on its own scan grid, and what reading measured."""

    @cache
    def found(case: str) -> tuple[sitk.Image, dict]:
        folder = tmp_path_factory.mktemp("series")
        scanner = VARIANTS["small" if case == "reversed" else case].scanner
        write_series(scan(anatomy_of(case), scanner), folder, reverse=case == "reversed")
        read = reading.read(folder)
        method = METHODS["threshold"]
        parameters = method.make_parameters({"lower_hu": HALF_HEIGHT_HU})
        return method.run(Task(read.image, SEGMENTED), parameters, silent).bone, read.measured

    return found


@cache
def truth(anatomy: Anatomy) -> sitk.Image:
    return truth_image(anatomy, box_grid((0.6, 0.6, 0.9)))


def dice(bone: sitk.Image, true: sitk.Image) -> float:
    moved = sitk.Resample(sitk.Cast(bone, sitk.sitkFloat32), true, sitk.Transform(), sitk.sitkLinear, 0.0)
    a, b = sitk.GetArrayFromImage(moved) >= 0.5, sitk.GetArrayFromImage(true) > 0
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def anatomy_of(case: str) -> Anatomy:
    anatomy = VARIANTS["small" if case == "reversed" else case].anatomy
    return replace(anatomy, cortical_hu=BONE_HU, thin_hu=BONE_HU, trabecular_hu=BONE_HU, wall_thickness_mm=1.0)


@pytest.mark.parametrize("case", CASES)
def test_dice_is_that_of_the_plain_case(case, segmented):
    plain = dice(segmented("small")[0], truth(anatomy_of("small")))
    assert plain > 0.85
    assert dice(segmented(case)[0], truth(anatomy_of(case))) >= 0.98 * plain


@cache
def true_surface(anatomy: Anatomy) -> vtkStaticCellLocator:
    locator = vtkStaticCellLocator()
    locator.SetDataSet(exact_bone_surface(anatomy, UNTURNED_MM, spacing_mm=0.5))
    locator.BuildLocator()
    return locator


def distances_mm(points: np.ndarray, surface: vtkStaticCellLocator) -> np.ndarray:
    closest, cell, part, squared = [0.0, 0.0, 0.0], mutable(0), mutable(0), mutable(0.0)
    found = []
    for point in points:
        surface.FindClosestPoint(point, closest, cell, part, squared)
        found.append(np.sqrt(float(squared)))
    return np.array(found)


@pytest.mark.parametrize("case", ["small", *CASES])
def test_the_exported_surface_lies_on_the_true_one(case, segmented, tmp_path: Path):
    surface, _ = surface_of_mask(LEFT.inner_part(segmented(case)[0]))
    write_stl(surface, tmp_path / "bone.stl")
    points, _ = arrays_of(read_stl(tmp_path / "bone.stl"))
    low, high = np.array(BOX_MM).T + np.array([[2.0], [-2.0]])
    low[0] = 2.0
    inside = points[np.all((points > low) & (points < high), axis=1)].astype(float)
    sample = inside[:: max(1, len(inside) // 4000)]
    assert len(sample) > 2000
    assert np.percentile(distances_mm(sample, true_surface(anatomy_of(case))), 95) <= VOXEL_MM / 2


@pytest.mark.parametrize("case", CASES)
def test_left_is_left(case, segmented):
    """The phantom's left maxillary sinus is the larger one, so there is less bone and soft tissue beside it."""
    bone = segmented(case)[0]
    moved = sitk.GetArrayFromImage(
        sitk.Resample(sitk.Cast(bone, sitk.sitkFloat32), truth(anatomy_of(case)), sitk.Transform(), sitk.sitkLinear)
    )
    true = sitk.GetArrayFromImage(truth(anatomy_of(case))) > 0
    right_way = ((moved >= 0.5) & true).sum()
    assert right_way > 1.02 * ((moved[..., ::-1] >= 0.5) & true).sum()


@pytest.mark.parametrize(
    ("case", "resampled", "tilt"),
    [
        ("small", False, 0.0),
        ("reversed", False, 0.0),
        ("prone", False, 0.0),
        ("tilt-plus-20", True, 20.0),
        ("tilt-minus-20", True, 20.0),
        ("missing-slice", True, 0.0),
        ("uneven-spacing", True, 0.0),
    ],
)
def test_what_was_done_to_the_slices_is_recorded(case, resampled, tilt, segmented):
    measured = segmented(case)[1]
    assert measured["resampled"] == resampled
    assert measured["tilt_degrees"] == pytest.approx(tilt, abs=0.01)
