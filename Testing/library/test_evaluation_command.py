"""`orbitalseg evaluate` and `evaluate-cases`, and the worker's jobs behind them."""

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
from typer.testing import CliRunner

from OrbitalSegLib import worker
from OrbitalSegLib.cli import app
from OrbitalSegLib.evaluation import pictures
from OrbitalSegLib.evaluation.figures import evaluate
from OrbitalSegLib.evaluation.wall_points import WallPoints, write_walls
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.usefixtures("wide_terminal")


def slab(bottom: int, top: int) -> sitk.Image:
    voxels = np.zeros((20, 24, 28), np.uint8)
    voxels[bottom:top, 4:20, 4:24] = 1
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 0.5))
    return image


TRUTH, SEEN, INFERRED = slab(8, 12), slab(8, 11), slab(11, 12)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    sitk.WriteImage(TRUTH, str(folder / "truth.nrrd"))
    (folder / "result").mkdir()
    write_segmentation({"bone": SEEN, "inferred": INFERRED}, folder / "result" / "segmentation.seg.nrrd")
    sitk.WriteImage(sitk.Cast(TRUTH, sitk.sitkInt16) * 1250 - 1000, str(folder / "ct.nrrd"))
    x, y = (a.ravel() for a in np.meshgrid(np.arange(3, 11, 0.5), np.arange(3, 9, 0.5)))
    count = len(x)
    points = WallPoints(
        points_mm=np.stack([x, y, np.full(count, 4.9)], axis=1),
        normals=np.tile([0.0, 0.0, 1.0], (count, 1)),
        wall=np.zeros(count, np.uint8),
        side=np.zeros(count, np.uint8),
        thickness_mm=np.where(x < 7, 0.5, 0.0),
        hole=(x >= 7).astype(np.uint8),
        depth_mm=x - 7,
        area_mm2=np.full(count, 0.25),
    )
    write_walls(points, folder / "walls.vtp")
    return folder


def run(**job: object) -> tuple[int, list[dict]]:
    lines: list[dict] = []
    given = {name: str(value) if isinstance(value, Path) else value for name, value in job.items()}
    return worker.run({"contract": CONTRACT, **given}, lines.append), lines


def judged(files: Path, **changes: object) -> dict[str, float]:
    code, lines = run(task="evaluate", input=files / "result", truth=files / "truth.nrrd", **changes)
    assert code == 0, lines[-1]
    assert lines[-1]["files"] == []
    json.dumps(lines, allow_nan=False)
    return lines[-1]["summary"]["figures"]


def orbitalseg(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_job_gives_every_figure(files):
    figures = judged(files, ct=files / "ct.nrrd", walls=files / "walls.vtp", region="whole")
    expected = evaluate(TRUTH, SEEN, sitk.Cast(TRUTH, sitk.sitkInt16) * 1250 - 1000)
    assert {name: figures[name] for name in expected} == {
        name: None if np.isnan(value) else value for name, value in expected.items()
    }
    assert figures["cortical_dice"] == pytest.approx(6 / 7)
    assert figures["walls_closed_floor"] == figures["holes_closed_floor"] == 1
    assert figures["walls_closed_roof"] is None


def test_seen_and_inferred_can_be_judged_together(files):
    assert judged(files)["whole_dice"] == pytest.approx(6 / 7)
    assert judged(files, segment="inferred")["whole_sensitivity"] == pytest.approx(1 / 4)
    assert judged(files, segment="bone+inferred")["whole_dice"] == 1


def test_a_truth_on_another_grid_is_judged_with_its_voxels_divided(files, tmp_path):
    coarse = sitk.GetImageFromArray(sitk.GetArrayFromImage(TRUTH)[::4, ::2, ::2])
    coarse.SetSpacing((1.0, 1.0, 2.0))
    coarse.SetOrigin((0.25, 0.25, 0.75))
    sitk.WriteImage(coarse, str(tmp_path / "truth.nrrd"))
    code, lines = run(task="evaluate", input=files / "result", truth=tmp_path / "truth.nrrd", segment="bone+inferred")
    assert code == 0, lines[-1]
    summary = lines[-1]["summary"]
    assert summary["figures"]["whole_dice"] == 1
    assert (summary["grid"]["size"], summary["grid"]["spacing_mm"]) == ([28, 24, 20], [0.5] * 3)
    agreed = run(task="observers", input=files / "result", observers=[str(tmp_path / "truth.nrrd")] * 2)[1][-1]
    own = run(task="observers", input=files / "result", observers=[str(files / "truth.nrrd")] * 2)[1][-1]
    assert agreed["summary"] == own["summary"]


def test_only_the_region_is_judged(files):
    found = judged(files, region=[-1.0, 20.0, -1.0, 20.0, -1.0, 5.2])
    assert found["whole_dice"] == 1
    assert found["whole_true_negative"] < judged(files)["whole_true_negative"]


@pytest.mark.parametrize(
    ("changes", "exit_code", "code"),
    [
        ({"truth": None}, 2, "invalid-job"),
        ({"region": "left"}, 2, "invalid-job"),
        ({"segment": "bone+teeth"}, 3, "not-a-segmentation"),
        ({"truth": "nowhere.nrrd"}, 3, "no-such-input"),
        ({"walls": "nowhere.vtp"}, 3, "unreadable"),
        ({"region": [100.0, 101.0, 0.0, 1.0, 0.0, 1.0]}, 3, "region-outside"),
    ],
)
def test_bad_jobs_say_what_is_wrong(files, changes, exit_code, code):
    found, lines = run(**{"task": "evaluate", "input": files / "result", "truth": files / "truth.nrrd"} | changes)
    assert (found, lines[-1]["code"]) == (exit_code, code)


def test_a_person_sees_a_table(files):
    done = orbitalseg("evaluate", files / "truth.nrrd", files / "result", "--ct", files / "ct.nrrd")
    assert done.exit_code == 0, done.stderr
    assert "0.857143" in done.stdout
    as_json = orbitalseg("evaluate", files / "truth.nrrd", files / "result", "--progress", "json")
    lines = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert lines[-1]["event"] == "result"
    assert [line["percent"] for line in lines[:-1]] == sorted(line["percent"] for line in lines[:-1])


@pytest.fixture
def cases(tmp_path) -> Path:
    for name, result in (("a", SEEN), ("b", TRUTH)):
        (tmp_path / "cases" / name).mkdir(parents=True)
        sitk.WriteImage(TRUTH, str(tmp_path / "cases" / name / "truth.nrrd"))
        sitk.WriteImage(result, str(tmp_path / "cases" / name / "result-mine.nrrd"))
    return tmp_path / "cases"


def test_many_cases_give_a_folder_that_can_be_made_again(cases, tmp_path):
    done = orbitalseg("evaluate-cases", cases, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "mine" in done.stdout
    listed = {path.name for path in (tmp_path / "out").iterdir()}
    assert listed == {"cases.csv", "summary.csv", "boxes.png", "worst-mine.png", "record.json", "log.txt"}
    assert orbitalseg("evaluate-cases", cases, "-o", tmp_path / "out").exit_code == 4
    assert orbitalseg("evaluate-cases", cases, "-o", tmp_path / "out", "--force").exit_code == 0


def test_without_matplotlib_there_are_tables_and_a_warning(cases, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "can_draw", lambda: False)
    code, lines = run(task="evaluate-cases", input=cases, output=tmp_path / "out")
    assert code == 0
    assert [line["code"] for line in lines if line["event"] == "warning"] == ["no-pictures"]
    assert lines[-1]["summary"]["methods"]["mine"]["worst_case"] == "a"
    assert "boxes.png" not in lines[-1]["files"]


def test_a_folder_without_cases_leaves_nothing_behind(tmp_path):
    (tmp_path / "cases").mkdir()
    code, lines = run(task="evaluate-cases", input=tmp_path / "cases", output=tmp_path / "out")
    assert (code, lines[-1]["code"]) == (3, "no-such-input")
    assert not (tmp_path / "out").exists()


def test_a_method_is_placed_among_people(files, tmp_path):
    for name, mask in (("anna", slab(8, 12)), ("ben", slab(7, 12)), ("carla", slab(9, 12))):
        sitk.WriteImage(mask, str(tmp_path / f"{name}.nrrd"))
    people = sorted(tmp_path.iterdir())
    code, lines = run(task="observers", input=files / "result", observers=[str(p) for p in people], region="whole")
    assert code == 0, lines[-1]
    json.dumps(lines, allow_nan=False)
    summary = lines[-1]["summary"]
    assert [pair["dice"] for pair in summary["pairs"]] == pytest.approx([8 / 9, 6 / 7, 3 / 4])
    assert list(summary["places"]) == ["observer 1", "observer 2", "observer 3", "method"]
    assert summary["places"]["method"]["with_others"]["dice"] == pytest.approx((6 / 7 + 3 / 4 + 2 / 3) / 3)
    assert summary["no_worse"] is False
    done = orbitalseg("observers", files / "result", *people, "--segment", "bone+inferred")
    assert done.exit_code == 0, done.stderr
    assert "no worse than" in done.stdout
    assert "observer 3" in done.stdout


@pytest.mark.parametrize("changes", [{"observers": ["one.nrrd"]}, {"observers": "one.nrrd"}, {"region": "left"}])
def test_bad_jobs_of_observers_are_refused(files, changes):
    two = [str(files / "truth.nrrd")] * 2
    code, lines = run(**{"task": "observers", "input": files / "result", "observers": two} | changes)
    assert (code, lines[-1]["code"]) == (2, "invalid-job")
