"""The phantom's exported surface can go to a printer."""

from pathlib import Path

import pytest
import SimpleITK as sitk
from judges import REPAIRS, admesh_repairs, closed_and_outward, pymeshlab_self_intersections

from OrbitalSegLib import worker
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.phantom import VARIANTS, scan, write_series
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.slow


ASKED = {"small": "auto", "blow-out": "left"}
"""Both orbits, and the broken one alone."""


@pytest.fixture(scope="module", params=ASKED)
def result(request, tmp_path_factory) -> Path:
    """The result folder of a phantom, made as a user makes it."""
    folder = tmp_path_factory.mktemp("phantom")
    (folder / "series").mkdir()
    variant = VARIANTS[request.param]
    write_series(scan(variant.anatomy, variant.scanner), folder / "series")
    job = {"contract": CONTRACT, "task": "segment", "input": str(folder / "series"), "output": str(folder / "result")}
    job |= {"method": "threshold", "region": ASKED[request.param]}
    lines: list[dict] = []
    assert worker.run(job, lines.append) == 0, lines[-1]
    return folder / "result"


def test_our_own_checker_finds_a_sound_surface_of_the_masks_volume(result):
    report = mesh.check(read_stl(result / "bone.stl"))
    assert report.sound, report
    bone = sitk.ReadImage(str(result / "bone.nii.gz"))
    voxel_ml = bone.GetSpacing()[0] * bone.GetSpacing()[1] * bone.GetSpacing()[2] / 1000
    assert report.volume_ml == pytest.approx(sitk.GetArrayFromImage(bone).sum() * voxel_ml, rel=0.01)


def test_trimesh_finds_it_closed_and_outward(result):
    assert closed_and_outward(result / "bone.stl").volume > 10_000


def test_admesh_finds_nothing_to_repair(result, require_tool):
    found = admesh_repairs(require_tool("admesh"), result / "bone.stl")
    assert found.pop("Number of facets") > 100_000
    assert found == dict.fromkeys(REPAIRS, 0)


def test_pymeshlab_finds_no_self_intersection(result, pymeshlab_python):
    assert pymeshlab_self_intersections(pymeshlab_python, result / "bone.stl") == 0
