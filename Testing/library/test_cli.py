"""`orbitalseg`, as a person types it."""

import ast
import errno
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
import typer
from typer.testing import CliRunner

import OrbitalSegLib
from OrbitalSegLib import __main__, cli
from OrbitalSegLib.cli import app
from OrbitalSegLib.methods import DEFAULT_METHOD
from OrbitalSegLib.phantom import VARIANTS, Scanner, scan, truth, write_series
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.results import last_step
from OrbitalSegLib.tasks import TASKS, defects, orbits, work_of
from OrbitalSegLib.tasks.keys import is_required, keys_of

pytestmark = pytest.mark.usefixtures("wide_terminal")


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    voxels = np.full((20, 30, 30), -1000, np.int16)
    voxels[4:16, 6:24, 6:24] = 1000
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    return path


THRESHOLD = ("--method", "threshold", "--region", "whole")


def orbitalseg(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_info_shows_table_a1_and_the_judgement(ct):
    done = orbitalseg("info", ct)
    assert done.exit_code == 0
    assert "Reconstructed slice thickness" in done.stdout
    assert "not feasible" in done.stdout  # 20 slices of 1 mm hold no orbit


def test_in_german_the_command_says_all_in_german(ct, tmp_path, monkeypatch):
    done = orbitalseg("--language", "de", "info", ct)
    assert done.exit_code == 0
    assert "Rekonstruierte Schichtdicke" in done.stdout
    assert "Dünne Wände: nicht beurteilbar. Der Scan enthält den Bereich nicht" in done.stdout
    assert done.stderr.startswith("Warnung: ")
    assert "Fehler: Die Eingabe gibt es nicht" in orbitalseg("--language", "de", "info", tmp_path / "none").stderr
    lines = orbitalseg("--language", "de", "info", tmp_path / "none", "--progress", "json").stdout
    assert "does not exist" in json.loads(lines.splitlines()[-1])["text"]  # programs read English
    monkeypatch.setenv("ORBITALSEG_LANGUAGE", "fr")
    wrong = orbitalseg("info", ct)
    assert wrong.exit_code == 2
    assert "one of: en, de" in wrong.stderr


@pytest.mark.slow
def test_segment_writes_a_result_and_says_what_it_is(ct, tmp_path):
    done = orbitalseg(
        "segment", ct, *THRESHOLD, "-o", tmp_path / "result", "-p", "lower_hu=200", "--surface", "cortical"
    )
    assert done.exit_code == 0, done.stderr
    assert "bone 3.9 ml" in done.stdout
    assert "not a medical device" in done.stdout
    assert "Warning: Thin walls" in done.stderr
    record = json.loads((tmp_path / "result" / "record.json").read_text())
    assert last_step(record, "segmenting")["parameters"]["lower_hu"] == 200
    assert (tmp_path / "result" / "cortical.stl").exists()
    again = orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result")
    assert again.exit_code == 4
    assert "exists already" in again.stderr
    forced = orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result", "--force", "--keep-largest", 1)
    assert forced.exit_code == 0
    repair = last_step(json.loads((tmp_path / "result" / "record.json").read_text()), "postprocessing")
    assert repair["parameters"]["keep_largest"] == 1
    forced = orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result", "--force", "--postprocess", "none")
    assert forced.exit_code == 0
    steps = [entry["step"] for entry in json.loads((tmp_path / "result" / "record.json").read_text())["steps"]]
    assert "postprocessing" not in steps


def test_a_run_that_lacks_only_an_extra_shows_its_result_and_ends_with_a_code_of_its_own(ct, tmp_path, monkeypatch):
    def fail(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr("OrbitalSegLib.tasks.segment.draw_preview", fail)
    done = orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result", "-p", "lower_hu=200")
    assert done.exit_code == 6
    assert "bone 3.9 ml" in done.stdout
    assert "preview.png could not be written" in done.stderr
    assert (tmp_path / "result" / "bone.stl").exists()
    monkeypatch.undo()
    assert orbitalseg("methods").exit_code == 0


def test_surface_makes_an_stl_of_a_segment(ct, tmp_path):
    orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result")
    done = orbitalseg("surface", tmp_path / "result" / "segmentation.seg.nrrd", "-o", tmp_path / "surface")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "surface" / "bone.stl").exists()
    assert "3.9 ml" in done.stdout


def test_progress_as_json_is_the_workers_lines_and_nothing_else(ct, tmp_path):
    done = orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result", "--progress", "json")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events[0] == "progress"
    assert events[-1] == "result"


def test_info_lists_the_series_of_a_folder(tmp_path):
    variant = VARIANTS["small"]
    scanned = scan(variant.anatomy, replace(variant.scanner, matrix=64, pixel_mm=2.0, spacing_mm=3.0))
    write_series(scanned, tmp_path)
    done = orbitalseg("info", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "Head phantom by formula" in done.stdout
    assert "can be segmented" in done.stdout
    assert "the only CT series" in done.stdout
    assert "3 mm" in done.stdout
    assert "Phantom^OrbitalSeg" not in done.stdout


@pytest.mark.slow
def test_phantom_writes_a_series_and_its_truth(tmp_path, monkeypatch):
    coarse = replace(VARIANTS["small"], scanner=Scanner(matrix=48, pixel_mm=2.5, spacing_mm=4.0))
    monkeypatch.setitem(VARIANTS, "coarse", coarse)
    monkeypatch.setattr(truth, "ORBITS_MM", ((24.0, 36.0), (0.0, 10.0), (-20.0, -10.0)))  # a piece of the left floor
    done = orbitalseg("phantom", tmp_path / "head", "--variant", "coarse")
    assert done.exit_code == 0, done.stderr
    assert coarse.description in done.stdout
    written = {path.relative_to(tmp_path / "head").as_posix() for path in (tmp_path / "head").rglob("*.*")}
    assert len([name for name in written if name.startswith("series/")]) == 22
    assert {name for name in written if not name.startswith("series/")} == {
        *("truth/bone.nrrd", "truth/bone-surface.vtp", "truth/wall-midsurfaces.vtp", "truth/truth.json"),
        *("record.json", "log.txt"),
    }
    bone = sitk.ReadImage(str(tmp_path / "head" / "truth" / "bone.nrrd"))
    assert max(bone.GetSpacing()) <= 0.2
    assert 0 < sitk.GetArrayFromImage(bone).mean() < 0.5
    assert orbitalseg("phantom", tmp_path / "head", "--variant", "coarse").exit_code == 4
    assert orbitalseg("phantom", tmp_path / "head", "--variant", "coarse", "--force").exit_code == 0


def test_methods_lists_the_table():
    done = orbitalseg("methods")
    assert "threshold" in done.stdout
    assert "lower_hu (300)" in done.stdout
    listed = orbitalseg("methods", "--progress", "json")
    assert json.loads(listed.stdout)["summary"]["default"] == DEFAULT_METHOD
    assert "thin_above (the model's)" in done.stdout


def test_version_says_that_it_is_not_a_medical_device():
    done = orbitalseg("--version")
    assert VERSION in done.stdout
    assert "not a medical device" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["info", "nowhere"], 3, "does not exist"),
        (["segment", "nowhere", "-o", "x"], 3, "does not exist"),
        (["segment", "nowhere", "-o", "x", "--region", "both"], 2, "six numbers"),
        (["segment", "nowhere", "-o", "x", "-p", "lower_hu"], 2, "name=value"),
        (["segment", "nowhere", "-o", "x", "--method", "magic"], 2, "no method magic"),
        (["phantom", "x", "--variant", "unicorn"], 2, "no phantom unicorn"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(arguments, code, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = orbitalseg(*arguments)
    assert done.exit_code == code
    assert word in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_starts_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["orbitalseg", "methods", "--progress", "json"])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 0
    assert json.loads(capsys.readouterr().out)["event"] == "result"


def test_without_its_packages_the_command_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "OrbitalSegLib.cli")
    monkeypatch.delattr(OrbitalSegLib, "cli")
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert "orbitalseg[cli]" in str(caught.value.code)


def test_help_appears_without_the_heavy_packages():
    script = (
        "import sys\n"
        "from OrbitalSegLib.cli import app\n"
        "try:\n    app(['segment', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'numpy', 'SimpleITK', 'vtkmodules', 'pydicom'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_defects_shows_what_is_open_and_what_cannot_be_told(monkeypatch):
    opening = {"wall": "floor", "area_mm2": 79.4, "longest_mm": 11.1, "shortest_mm": 8.5, "from_rim_mm": 9.9}
    shown = [opening | {"name": name, "passed_mm": 9.7, "certainty": "open"} for name in (None, "infraorbital canal")]
    told = {
        "right": {"status": "cannot be told", "openings": None},
        "left": {"status": "found", "openings": shown},
    }
    monkeypatch.setattr(defects, "TASK", replace(defects.TASK, run=lambda *_: ([], {"orbits": told})))
    done = orbitalseg("defects", "result", "--ct", "scan", "-o", "out")
    assert done.exit_code == 0
    for said in ("cannot be told", "no natural one", "infraorbital canal", "79", "11 x 8", "missing"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("larger", "difference_ml", "said"),
    [
        ("left", 2.5, "The left orbit is larger by 2.5 ml (10.0%)."),
        (None, 0.5, "The orbits differ by 0.5 ml (2.0%), which equal orbits do too when they are measured."),
        (None, None, "no rim"),
    ],
)
def test_orbits_shows_a_table_and_what_the_difference_means(monkeypatch, larger, difference_ml, said):
    measured = {"status": "found", "bridged_share": 0.07, "inferred_share": 0.02, "beyond_ml": 0.31}
    found = {"right": measured | {"volume_ml": 25.0}, "left": measured | {"volume_ml": 25.0 + (difference_ml or 0)}}
    if difference_ml is None:
        found["left"] = {"status": "no rim"}
    summary = {"orbits": found, "larger": larger, "difference_ml": difference_ml}
    monkeypatch.setattr(orbits, "TASK", replace(orbits.TASK, run=lambda *_: ([], summary)))
    done = orbitalseg("orbits", "result", "--ct", "scan", "-o", "out")
    assert done.exit_code == 0
    assert said in done.stdout
    assert "25.0" in done.stdout
    assert "7%" in done.stdout
    assert "not a medical device" in done.stdout


def jobs_given(monkeypatch, *arguments: object) -> dict:
    """The job that a command gives to the worker."""
    given: list[dict] = []

    def run(job, emit):
        given.append(job)
        emit({"event": "error", "code": "internal", "text": "not now"})
        return 1

    monkeypatch.setattr("OrbitalSegLib.cli.worker.run", run)
    orbitalseg(*arguments)
    return given[0] if given else {}


def test_a_batch_takes_the_options_of_the_commands_as_they_are(monkeypatch):
    segment = (*THRESHOLD, "-p", "lower_hu=250", "--surface", "thin", "--postprocess", "none", "--purpose", "a plate")
    job = jobs_given(
        monkeypatch, "batch", "scans", "-o", "out", *segment, "--take", "best", "orbits", "--region", "left"
    )
    assert (job["task"], job["input"], job["output"], job["take"]) == ("batch", "scans", "out", "best")
    own = ("contract", "input", "output", "ct", "overwrite")
    alone = jobs_given(monkeypatch, "segment", "a", "-o", "b", *segment)
    first = {name: value for name, value in alone.items() if name not in own and value is not None}
    alone = jobs_given(monkeypatch, "orbits", "a", "--ct", "c", "-o", "b", "--region", "left")
    second = {name: value for name, value in alone.items() if name not in own and value is not None}
    assert job["jobs"] == [first, second]
    assert first["parameters"] == {"lower_hu": 250.0}
    plain = jobs_given(monkeypatch, "segment", "a", "-o", "b")
    plain = {name: value for name, value in plain.items() if name not in own and value is not None}
    assert jobs_given(monkeypatch, "batch", "scans", "-o", "out")["jobs"] == [plain]


@pytest.mark.parametrize(("words", "says"), [
    (("--methd", "threshold"), "--methd"),
    (("orbits", "--smoothing", "none"), "--smoothing"),
    (("-p", "lower_hu"), "name=value"),
])  # fmt: skip
def test_options_that_no_command_has_are_refused(monkeypatch, words, says):
    assert jobs_given(monkeypatch, "batch", "scans", "-o", "out", *words) == {}
    outcome = orbitalseg("batch", "scans", "-o", "out", *words)
    assert outcome.exit_code == 2
    assert says in outcome.output


def test_a_batch_says_what_went_wrong_and_where_the_index_is(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/broken.nrrd").write_text("x")
    outcome = orbitalseg("batch", tmp_path / "scans", "-o", tmp_path / "out", *THRESHOLD)
    assert outcome.exit_code == 6
    assert "0001: The volume file cannot be read" in outcome.output
    assert "index.html: 1 scans, 1 failed" in outcome.output.replace("\n", " ")


def test_verify_told_as_json_ends_with_its_code_and_says_nothing_else(ct, tmp_path):
    orbitalseg("segment", ct, *THRESHOLD, "-o", tmp_path / "result")
    same = orbitalseg("verify", tmp_path / "result", "--input", ct, "--progress", "json")
    assert same.exit_code == 0, same.output
    assert json.loads(same.stdout.splitlines()[-1])["summary"]["reproduced"] is True
    other = sitk.ReadImage(str(ct)) + 1
    sitk.WriteImage(other, str(tmp_path / "other.nrrd"))
    differs = orbitalseg("verify", tmp_path / "result", "--input", tmp_path / "other.nrrd", "--progress", "json")
    assert differs.exit_code == 5
    assert all(json.loads(line) for line in differs.stdout.splitlines())
    assert VERSION in orbitalseg("--version").stdout


def words_of(parameter) -> set[str]:
    return {parameter.name, *(word.lstrip("-").replace("-", "_") for word in parameter.opts)}


MADE = {
    "segment": {
        "from": "first",
        "parameters": "parameter",
        "postprocess": "postprocess",
        "surfaces": "surface",
        "input": "scan",
    },
    "info": {"input": "scan"},
    "verify": {"input": "scan"},
    "review": {"reviews": "by"},
    "observers": {"observers": "people"},
    "evaluate-cases": {"input": "folder"},
    "experiment": {"methods": "method"},
}
"""By task the keys of its job that a command makes of what has another name."""


def commands() -> dict[str, Any]:
    """Every command; that of a group with the group's name before its own."""
    found = typer.main.get_command(app).commands
    groups = {name: one.commands for name, one in found.items() if hasattr(one, "commands")}
    return found | {f"{group}-{name}": one for group, members in groups.items() for name, one in members.items()}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_command_gives_the_keys_of_its_tasks_job(task):
    """Every key without which the job is none, and no option that no key takes."""
    command = commands().get(task)
    if command is None:
        assert task == "dicom"  # the panel's alone
        return
    given = set().union(*map(words_of, command.params))
    made = MADE.get(task, {})
    for name, field in keys_of(work_of(task).job).items():
        if is_required(field):
            assert {name, field.name, made.get(name)} & given, name


def test_no_text_of_an_option_stands_twice():
    tree = ast.parse(Path(cli.__file__).read_text(encoding="utf-8"))
    texts = Counter(
        word.value.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "help" and isinstance(word.value, ast.Constant)
    )
    assert len(texts) > 50
    assert not [text for text, times in texts.items() if times > 1]
