"""The experiment: every method on every case, and one page."""

import csv
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
from typer.testing import CliRunner

from OrbitalSegLib import worker
from OrbitalSegLib.cli import app
from OrbitalSegLib.experiment.phantoms import phantom, phantom_case
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.results import read_record

METHODS = [
    {"name": "A", "method": "threshold"},
    {"name": "low", "method": "threshold", "parameters": {"lower_hu": 100}},
    {"method": "hysteresis"},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three cases: a box of bone, one wall of it thin, in soft tissue."""
    folder = tmp_path_factory.mktemp("cases")
    for number in range(3):
        hu = np.full((20, 30, 30), -1000, np.int16)
        hu[2:18, 3:27, 3:27] = 40
        truth = np.zeros(hu.shape, np.uint8)
        truth[5:15, 6 + number : 22, 6:22] = 1
        truth[7:13, 9 + number : 19, 9:19] = 0
        hu[truth > 0] = 1000
        thin = np.zeros(hu.shape, bool)
        thin[7:13, 9 + number : 19, 19:22] = True
        hu[thin] = 160
        (folder / f"case-{number}").mkdir()
        for name, voxels in (("ct", hu), ("truth", truth)):
            image = sitk.GetImageFromArray(voxels)
            image.SetSpacing((0.8, 0.8, 1.0))
            sitk.WriteImage(image, str(folder / f"case-{number}" / f"{name}.nrrd"))
    return folder


@pytest.fixture(scope="module")
def result(data, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("experiment") / "out"
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "experiment", "input": str(data), "output": str(output), "methods": METHODS}
    assert worker.run(job, lines.append) == 0, lines[-1]
    assert set(lines[-1]["summary"]["methods"]) == {"A", "low", "hysteresis"}
    assert lines[-1]["summary"]["cases"] == 3
    return output


@pytest.mark.slow
def test_every_method_is_judged_on_every_case(result):
    with (result / "cases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["case"], row["method"]) for row in rows} == {
        (f"case-{number}", method) for number in range(3) for method in ("A", "low", "hysteresis")
    }
    dice = {method: [float(r["whole_dice"]) for r in rows if r["method"] == method] for method in ("A", "low")}
    assert max(dice["A"]) < min(dice["low"]) == 1.0  # the thin wall


def test_the_page_has_figures_by_region_comparisons_and_pictures(result):
    text = (result / "experiment.html").read_text(encoding="utf-8")
    for words in ("Whole bone", "Cortical bone", "Thin bone", "Wilcoxon", "A - low", "lower_hu 100", "lower_hu 300"):
        assert words in text
    assert "each of 3 cases" in text
    assert text.count("data:image/png;base64,") == 4  # box plots, and the worst case of each method
    assert not re.search(r"""(src|href)=['"]https?:|url\(|@import""", text)


def test_its_record_says_what_was_run(result):
    record = read_record(result)
    step = next(step for step in record["steps"] if step["step"] == "experiment")
    assert step["parameters"]["methods"]["low"] == {"method": "threshold", "lower_hu": 100}
    assert step["measured"]["cases"] == 3
    assert {output["file"] for output in record["outputs"]} >= {"experiment.html", "summary.csv", "comparisons.csv"}


def test_the_command_understands_methods(data, tmp_path):
    command = ["experiment", "-o", str(tmp_path / "out"), str(data), "--progress", "none", "--method", "threshold"]
    command += ["--method", "low=threshold,lower_hu=100"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    record = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    step = next(step for step in record["steps"] if step["step"] == "experiment")
    assert step["parameters"]["methods"] == {
        "threshold": {"method": "threshold"},
        "low": {"method": "threshold", "lower_hu": 100.0},
    }


@pytest.mark.parametrize(
    ("methods", "code"),
    [
        ([{"method": "magic"}], "unknown-method"),
        ([{"method": "threshold", "parameters": {"magic": 1}}], "unknown-parameter"),
        ([{"method": "threshold"}, {"method": "threshold"}], "invalid-job"),
        ([{"name": "no method"}], "invalid-job"),
        ("threshold", "invalid-job"),
    ],
)
def test_methods_that_make_no_sense_are_refused(data, tmp_path, methods, code):
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "experiment", "input": str(data), "output": str(tmp_path / "out")}
    assert worker.run(job | {"methods": methods}, lines.append) == 2
    assert lines[-1]["code"] == code
    assert not (tmp_path / "out").exists()


def test_cases_without_ct_are_no_cases(data, tmp_path):
    (tmp_path / "data" / "case").mkdir(parents=True)
    sitk.WriteImage(sitk.ReadImage(str(data / "case-0" / "truth.nrrd")), str(tmp_path / "data" / "case" / "truth.nrrd"))
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "experiment", "input": str(tmp_path / "data"), "output": str(tmp_path / "out")}
    assert worker.run(job, lines.append) == 3
    assert lines[-1]["code"] == "no-cases"


def test_phantoms_differ_and_are_the_same_every_time():
    drawn = [phantom(number) for number in range(18)]
    assert phantom(4) == drawn[4]
    kinds = {(a.wall_thickness_mm, a.fracture, s.spacing_mm) for a, s in drawn}
    assert len(kinds) == 18
    assert len({a.cortical_hu for a, _ in drawn}) == 18


def test_a_phantom_case_has_scan_truth_and_walls(tmp_path, monkeypatch):
    coarse = {"matrix": 40, "pixel_mm": 3.0, "height_mm": 54.0, "centre_mm": (0.0, 15.0, 0.0)}
    monkeypatch.setattr("OrbitalSegLib.experiment.phantoms.COARSE", coarse)
    monkeypatch.setattr("OrbitalSegLib.experiment.phantoms.SPACINGS_MM", (3.0,))
    monkeypatch.setattr("OrbitalSegLib.experiment.phantoms.WALL_SPACING_MM", 3.0)
    case = phantom_case(0, tmp_path)
    ct, truth = sitk.ReadImage(str(case.ct)), sitk.ReadImage(str(case.truth))
    assert ct.IsSameImageGeometryAs(truth)
    bone = sitk.GetArrayFromImage(truth) > 0
    assert 0.05 < bone.mean() < 0.5
    hu = sitk.GetArrayFromImage(ct)
    assert hu[bone].mean() > hu[~bone].mean() + 500
    assert case.walls.exists()
