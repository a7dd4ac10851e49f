"""The worker: one job in JSON in, lines of JSON out, and an exit code."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.phantom import VARIANTS, scan, write_series
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.results import last_step

pytestmark = pytest.mark.base


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """A volume with a hollow bony box, thin on one side, in soft tissue in air."""
    voxels = np.full((24, 48, 48), -1000, np.int16)
    voxels[2:22, 4:44, 4:44] = 40
    voxels[6:18, 10:38, 10:38] = 1000
    voxels[8:16, 13:35, 13:37] = 40
    voxels[8:16, 13:35, 37] = 250
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 0.8))
    image.SetOrigin((-12.0, -12.0, 100.0))
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def run(job: dict) -> tuple[int, list[dict]]:
    lines: list[dict] = []
    return worker.run({"contract": CONTRACT, **job}, lines.append), lines


def segment(ct: Path, result: Path, **changes: object) -> tuple[int, list[dict]]:
    job = {"task": "segment", "input": str(ct), "output": str(result), "method": "threshold", "region": "whole"}
    return run(job | changes)


def start(job: dict) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", "OrbitalSegLib.worker", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(json.dumps({"contract": CONTRACT, **job}))
    process.stdin.close()
    process.stdin = None
    return process


def test_a_result_folder_holds_what_the_contract_says(ct, tmp_path):
    code, lines = segment(ct, tmp_path / "result", surfaces=["cortical"])
    assert code == 0, lines[-1]
    files = lines[-1]["files"]
    assert sorted(path.name for path in (tmp_path / "result").iterdir()) == sorted(files)
    assert set(files) == {
        "segmentation.seg.nrrd",
        "bone.nii.gz",
        "bone.stl",
        "cortical.stl",
        "record.json",
        "record.html",
        "preview.png",
        "log.txt",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_lines_come_in_the_contracts_order_and_percent_never_falls(ct, tmp_path):
    _, lines = segment(ct, tmp_path / "result")
    progress = [line for line in lines if line["event"] == "progress"]
    assert all(list(line) == ["event", "percent", "step", "seconds_left"] for line in progress)
    percents = [line["percent"] for line in progress]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    steps = list(dict.fromkeys(line["step"] for line in progress))
    record = json.loads((tmp_path / "result" / "record.json").read_text())
    assert steps == [entry["step"] for entry in record["steps"]]
    warnings = [line for line in lines if line["event"] == "warning"]
    assert [(line["code"], line["text"]) for line in warnings] == [
        (entry["code"], entry["text"]) for entry in record["warnings"]
    ]
    assert lines[-1]["event"] == "result"


def test_the_record_says_how_the_result_was_made(ct, tmp_path):
    segment(ct, tmp_path / "result", method="hysteresis", parameters={"seed_hu": 500})
    text = (tmp_path / "result" / "record.json").read_text()
    record = json.loads(text)
    assert list(record) == [
        *("record", "product", "created", "environment", "steps", "warnings", "outputs"),
        *("settings", "purpose", "operator", "reviews"),
        *("input", "acquisition", "region", "conditions", "feasibility", "monitoring", "missing", "seal"),
    ]
    segmenting = next(entry for entry in record["steps"] if entry["step"] == "segmenting")
    assert segmenting["parameters"] == {"method": "hysteresis", "seed_hu": 500, "lower_hu": 150.0}
    assert "not a medical device" in record["product"]["notice"]
    for output in record["outputs"]:
        content = (tmp_path / "result" / output["file"]).read_bytes()
        assert output["sha256"] == hashlib.sha256(content).hexdigest()
    assert {output["file"] for output in record["outputs"]} | {"record.json"} == {
        path.name for path in (tmp_path / "result").iterdir()
    }
    for path in (tmp_path, ct.parent):
        assert str(path) not in text
        assert str(path) not in (tmp_path / "result" / "log.txt").read_text()


def test_the_same_input_gives_the_same_voxels_and_surface(ct, tmp_path):
    for name in ("a", "b"):
        segment(ct, tmp_path / name)
    for file in ("segmentation.seg.nrrd", "bone.nii.gz", "bone.stl", "preview.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_masks_follow_the_limits_and_the_region(ct, tmp_path):
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(ct)))
    segment(ct, tmp_path / "plain", postprocess="none", parameters={"lower_hu": 200})
    bone = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "plain" / "bone.nii.gz")))
    np.testing.assert_array_equal(bone, voxels > 200)
    box = [-12.0, 0.1, -12.0, 12.0, 100.0, 120.0]
    segment(ct, tmp_path / "box", postprocess="none", region=box)
    half = sitk.ReadImage(str(tmp_path / "box" / "bone.nii.gz"))
    inside = np.zeros(voxels.shape, bool)
    inside[..., :25] = True  # centres at -12.0, -11.5 ... 0.0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(half), (voxels > 300) & inside)
    record = json.loads((tmp_path / "box" / "record.json").read_text())
    assert record["region"] == {"asked": "box", "box_mm": box, "margin_mm": 10.0, "tile_size": None}


def test_a_surface_is_made_of_an_edited_segmentation(ct, tmp_path):
    segment(ct, tmp_path / "result")
    code, lines = run(
        {
            "task": "surface",
            "input": str(tmp_path / "result" / "segmentation.seg.nrrd"),
            "output": str(tmp_path / "surface"),
            "segment": "bone",
        }
    )
    assert code == 0, lines[-1]
    assert {path.name for path in (tmp_path / "surface").iterdir()} == {"bone.stl", "record.json", "log.txt"}
    of_scan, of_mask = (read_stl(tmp_path / name / "bone.stl") for name in ("result", "surface"))
    np.testing.assert_allclose(of_mask.GetBounds(), of_scan.GetBounds(), atol=0.5)  # one knows the scan, one the mask
    assert of_mask.GetNumberOfCells() > 1000


def test_an_existing_result_is_kept_unless_overwriting_is_allowed(ct, tmp_path):
    segment(ct, tmp_path / "result")
    before = (tmp_path / "result" / "record.json").read_bytes()
    code, lines = segment(ct, tmp_path / "result")
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert (tmp_path / "result" / "record.json").read_bytes() == before
    code, _ = segment(ct, tmp_path / "result", overwrite=True, method="hysteresis")
    assert code == 0
    record = json.loads((tmp_path / "result" / "record.json").read_text())
    assert last_step(record, "segmenting")["parameters"]["method"] == "hysteresis"


@pytest.mark.slow
def test_thin_bone_that_touches_no_cortical_bone_can_be_dropped(tmp_path):
    voxels = np.full((20, 40, 40), -1000, np.int16)
    voxels[5:15, 5:15, 5:15] = 1000
    voxels[8:12, 15:30, 8:12] = 180  # a thin wall on the block
    voxels[5:15, 34, 20:38] = 180  # a thin wall alone
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "ct.nrrd"))
    bone = {}
    for touching in (False, True):
        result = tmp_path / f"result {touching}"
        repair = {"thin_touches_cortical": touching, "minimum_object_ml": 0}
        code, lines = segment(tmp_path / "ct.nrrd", result, parameters={"lower_hu": 100}, postprocess=repair)
        assert code == 0, lines[-1]
        bone[touching] = sitk.GetArrayFromImage(sitk.ReadImage(str(result / "bone.nii.gz")))
    np.testing.assert_array_equal(bone[False], voxels > 100)
    expected = voxels > 100
    expected[:, 34] = False
    np.testing.assert_array_equal(bone[True], expected)
    assert "wall-flakes" in [line["code"] for line in lines if line["event"] == "warning"]


def test_a_class_without_voxels_gets_a_warning_and_no_surface(ct, tmp_path):
    code, lines = segment(ct, tmp_path / "result", surfaces=["thin"], postprocess="none")
    assert code == 0
    assert "empty-surface" in [line["code"] for line in lines if line["event"] == "warning"]
    assert not (tmp_path / "result" / "thin.stl").exists()


@pytest.mark.parametrize(
    ("changes", "exit_code", "code"),
    [
        ({"parameters": {"lower_hu": 5000}}, 3, "empty-result"),
        ({"region": [900, 910, 0, 10, 0, 10]}, 3, "region-outside"),
        ({"surfaces": ["inferred"]}, 2, "invalid-job"),
        ({"method": "magic"}, 2, "unknown-method"),
        ({"parameters": {"level": 1}}, 2, "unknown-parameter"),
        ({"task": "fly"}, 2, "invalid-job"),
        ({"series": "7"}, 3, "unknown-series"),
        ({"output": "/" + "x" * 300}, 4, "cannot-write"),
        ({"input": "/" + "x" * 300}, 3, "unreadable"),
    ],
)
def test_what_a_user_can_get_wrong_gives_one_sentence_and_leaves_nothing(ct, tmp_path, changes, exit_code, code):
    returned, lines = segment(ct, tmp_path / "result", **changes)
    assert (returned, lines[-1]["event"], lines[-1]["code"]) == (exit_code, "error", code)
    assert lines[-1]["text"].endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ct.nrrd", ".", "edited"])
def test_overwriting_replaces_no_input_and_nothing_that_a_person_made(ct, tmp_path, name):
    """The scan itself, the folder it lies in, and a result whose segmentation was edited by hand."""
    (tmp_path / "ct.nrrd").write_bytes(ct.read_bytes())
    segment(ct, tmp_path / "edited")
    with (tmp_path / "edited" / "segmentation.seg.nrrd").open("ab") as file:
        file.write(b"an edit")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, lines = segment(tmp_path / "ct.nrrd", tmp_path / name, overwrite=True)
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_overwriting_replaces_no_folder_of_other_files(ct, tmp_path):
    segment(ct, tmp_path / "result")
    (tmp_path / "result" / "thesis.txt").write_text("years of work")
    code, lines = segment(ct, tmp_path / "result", overwrite=True)
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert (tmp_path / "result" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "record.json").write_text('{"product": "a record, but of something else"}')
    code, lines = segment(ct, tmp_path / "notes", overwrite=True)
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["record.json"]


def test_a_surface_cannot_take_the_place_of_its_segmentation(ct, tmp_path):
    segment(ct, tmp_path / "result")
    file = tmp_path / "result" / "segmentation.seg.nrrd"
    code, lines = run({"task": "surface", "input": str(file), "output": str(tmp_path / "result"), "overwrite": True})
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert file.exists()


def test_a_gap_is_a_warning_to_info_and_an_error_to_segment(tmp_path):
    (tmp_path / "series").mkdir()
    variant = VARIANTS["small"]
    coarse = replace(variant.scanner, matrix=48, pixel_mm=2.5, spacing_mm=2.0, missing=(10, 11, 12))
    write_series(scan(variant.anatomy, coarse), tmp_path / "series")
    code, lines = run({"task": "info", "input": str(tmp_path / "series")})
    assert code == 0
    assert "slice-gap" in [line["code"] for line in lines if line["event"] == "warning"]
    code, lines = segment(tmp_path / "series", tmp_path / "result")
    assert (code, lines[-1]["code"]) == (3, "slice-gap")


def test_a_wrong_phantom_is_named_with_those_that_exist(tmp_path):
    code, lines = run({"task": "phantom", "output": str(tmp_path / "x"), "variant": "unicorn"})
    assert (code, lines[-1]["code"]) == (2, "invalid-job")
    assert "plain" in lines[-1]["text"]


def test_the_methods_are_listed():
    code, lines = run({"task": "methods"})
    assert code == 0
    assert [method["name"] for method in lines[-1]["summary"]["methods"]] == list(METHODS)


@pytest.mark.parametrize(("error", "code", "word"), [(MemoryError, 3, "memory"), (ZeroDivisionError, 1, "report")])
def test_a_crash_is_still_one_line_and_leaves_nothing(ct, tmp_path, monkeypatch, capsys, error, code, word):
    def fail(*_arguments: object) -> None:
        raise error("planted")

    monkeypatch.setattr("OrbitalSegLib.results.write_segmentation", fail)
    returned, lines = segment(ct, tmp_path / "result")
    assert returned == code
    assert word in lines[-1]["text"]
    assert list(tmp_path.iterdir()) == []
    assert ("planted" in capsys.readouterr().err) == (code == 1)


def test_the_process_answers_on_standard_output_alone(ct, tmp_path):
    process = start({"task": "segment", "input": str(ct), "output": str(tmp_path / "result"), "method": "threshold"})
    output, noise = process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert lines[-1]["event"] == "result"
    assert noise == ""


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"segment"'])
def test_a_job_that_is_no_job_is_refused(text, tmp_path):
    (tmp_path / "job.json").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "OrbitalSegLib.worker", str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "invalid-job"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["missing.json"]])
def test_the_command_needs_one_job(arguments, capsys):
    assert worker.main(arguments) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "invalid-job"


@pytest.mark.slow
def test_a_file_beside_the_job_cancels_it_too(tmp_path):
    job, users = tmp_path / "job.json", tmp_path / "the user's"
    users.mkdir()
    job.write_text(json.dumps({"contract": CONTRACT, "task": "phantom", "output": str(users / "scan")}))
    command = [sys.executable, "-m", "OrbitalSegLib.worker", str(job)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["event"] == "progress"
        (tmp_path / "job.json.cancel").touch()
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1])["code"] == "cancelled"
    assert list(users.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["reading", "modelling"])
def test_cancelling_leaves_nothing_behind(tmp_path, number, moment):
    voxels = np.random.default_rng(3).integers(-1000, 1500, (90, 200, 200), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "ct.nrrd"))
    job = {"task": "segment", "input": str(tmp_path / "ct.nrrd"), "output": str(tmp_path / "result")}
    process = start(job | {"method": "threshold", "region": "whole"})
    for line in process.stdout:
        if json.loads(line).get("step") == moment:
            break
    process.send_signal(number)
    rest, noise = process.communicate(timeout=120)
    assert process.returncode == 130, noise
    assert json.loads(rest.splitlines()[-1])["code"] == "cancelled"
    assert "Traceback" not in noise
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]
