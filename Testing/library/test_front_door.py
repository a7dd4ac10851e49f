"""`import OrbitalSegLib`: what the command line makes, in memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

import OrbitalSegLib
from OrbitalSegLib import worker
from OrbitalSegLib.errors import Cancelled, JobError
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, write_series
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.base

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A coarse scan of the phantom."""
    folder = tmp_path_factory.mktemp("scan")
    coarse = Scanner(matrix=100, pixel_mm=1.5, slice_thickness_mm=1.5, spacing_mm=1.5)
    write_series(scan(Anatomy(), coarse), folder)
    return folder


@pytest.mark.slow
def test_the_lines_of_the_readme_give_the_bytes_of_the_command_line(folder, tmp_path, monkeypatch):
    job = {"contract": CONTRACT, "task": "segment", "input": str(folder), "output": str(tmp_path / "a")}
    assert worker.run({**job, "method": "threshold", "region": "right"}, lambda _line: None) == 0
    lines = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    asked = 'segment(scan, "threshold", region="right")'
    said = lines.replace('"FOLDER"', repr(str(folder))).replace("segment(scan)", asked)
    assert said.count(str(folder)) == said.count(asked) == 1
    exec(said, {})
    assert (tmp_path / "b/bone.stl").read_bytes() == (tmp_path / "a/bone.stl").read_bytes()


@pytest.mark.slow
def test_what_is_given_are_images_and_progress_is_heard(folder):
    ct = OrbitalSegLib.read(folder)
    heard: list[float] = []
    found = OrbitalSegLib.segment(ct, "threshold", progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)
    assert found.masks["bone"].IsSameImageGeometryAs(ct.image)
    assert OrbitalSegLib.evaluate(found.masks["bone"], found.masks["bone"])["whole_dice"] == 1.0
    assert {orbit.side for orbit in OrbitalSegLib.locate(ct.image).both} == {"left", "right"}


def test_the_work_can_be_stopped(folder):
    def stop(_share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        OrbitalSegLib.segment(OrbitalSegLib.read(folder), "threshold", progress=stop)


def test_a_method_that_is_none_is_named(folder):
    with pytest.raises(JobError, match="There is no method guess"):
        OrbitalSegLib.segment(OrbitalSegLib.read(folder), "guess")


def test_a_mask_has_a_surface_too():
    ball = sitk.GaussianSource(size=[24, 24, 24], sigma=[6.0] * 3, mean=[12.0] * 3, scale=1.0) > 0.5
    assert OrbitalSegLib.surface(ball).GetNumberOfPolys() > 100


def test_the_version_costs_no_import_of_the_rest():
    program = "import sys, OrbitalSegLib; assert 'SimpleITK' not in sys.modules; print(OrbitalSegLib.__version__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == OrbitalSegLib.__version__
    with pytest.raises(AttributeError, match="no attribute"):
        OrbitalSegLib.nothing  # noqa: B018
