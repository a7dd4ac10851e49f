"""Many scans: what is found, that each is done once as a single run would do it, and what an index says."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import PATIENT, ct_slices, head, save

from OrbitalSegLib import worker
from OrbitalSegLib.archive import one
from OrbitalSegLib.archive.finding import Unit, find_scans, scans_of, units_of
from OrbitalSegLib.archive.index import write_index
from OrbitalSegLib.archive.one import Errand, Processes, do, outcome_in
from OrbitalSegLib.archive.room import Room
from OrbitalSegLib.errors import Cancelled, InputError, OutputError
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import HELD, silent

SEGMENT = {"task": "segment", "method": "threshold", "region": "whole"}
ORBITS = {"task": "orbits"}


def study(folder: Path, number: int, seed: int = 1, **changes: Any) -> Path:
    """A series of 40 mm, which could show an orbit, in a study of its own."""
    uids = {"StudyInstanceUID": f"1.2.{number}", "series": f"1.2.{number}.1", "PatientID": f"{PATIENT}{number}"}
    return save(ct_slices(head((40, 20, 24), seed), **{**uids, **changes}), folder)


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path


def volume(path: Path) -> Path:
    image = sitk.GetImageFromArray(head((40, 20, 24), seed=5))
    image.SetSpacing((0.8, 0.8, 1.0))
    sitk.WriteImage(image, str(path))
    return path


def batch(source: Path, results: Path, *jobs: dict, **more: Any) -> tuple[int, list[dict]]:
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "batch", "input": str(source), "output": str(results)}
    return worker.run({**job, "jobs": list(jobs or [SEGMENT]), **more}, lines.append), lines


def rows_of(results: Path) -> dict[str, dict[str, str]]:
    with (results / "index.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def key_of(results: Path) -> dict[str, str]:
    """Paths by names."""
    with (results / "private/key.csv").open(newline="") as file:
        return {row["name"]: row["path"] for row in csv.DictReader(file)}


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".orbitalseg"
    }


# What is found


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Scans in every layout, and what is none in several ways."""
    root = tmp_path_factory.mktemp("archive")
    study(root / "site/Secret/thin", 1)
    study(root / "site/Secret/thick", 1, series="1.2.1.2", SeriesNumber=3)
    study(root / "flat", 2, seed=2)
    for file in study(root / "work", 3, seed=3).iterdir():
        shutil.move(file, root / "flat" / f"other{file.name}")
    (root / "work").rmdir()
    pieces = sorted(study(root / "split/one", 4, seed=4).iterdir(), key=lambda file: int(file.name[1:]))
    (root / "split/two").mkdir()
    for file in pieces[20:]:
        shutil.move(file, root / "split/two" / file.name)
    zipped(study(root / "work", 5), root / "scan.zip")
    shutil.rmtree(root / "work")
    volume(root / "volume.nrrd")
    (root / "broken-empty").mkdir()
    (root / "broken-text").mkdir()
    (root / "broken-text/a.dcm").write_text("no scan")
    (root / "broken.zip").write_bytes((root / "scan.zip").read_bytes()[:2000])
    study(root / "broken-mr", 6, Modality="MR")
    study(root / "broken-scout", 7, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    study(root / "broken-chest", 8, BodyPartExamined="CHEST")
    (root / "broken.nii.gz").write_bytes(b"no volume")
    (root / "readme.txt").write_text("of no concern")
    return root


BROKEN = {
    "broken-empty": "no-dicom",
    "broken-text": "no-dicom",
    "broken.zip": "truncated",
    "broken-mr": "wrong-modality",
    "broken-scout": "scout-only",
    "broken-chest": "no-orbit",
    "broken.nii.gz": "unreadable",
}


def test_units_are_the_highest_folders_of_one_study_and_tear_no_series(tree):
    found = {unit.path.relative_to(tree).as_posix() for unit in units_of(tree, tree / "results", silent)}
    assert found == {"site/Secret", "flat", "split", "scan.zip", "volume.nrrd", *BROKEN}


@pytest.mark.slow
def test_every_series_that_is_fit_is_found_or_of_each_study_the_best(tree):
    for take, count in (("all", 2), ("best", 1)):
        found = find_scans(tree, tree / "results", take, False, silent)
        by_path: dict[str, list] = {}
        for scan in found:
            by_path.setdefault(scan.unit.path.relative_to(tree).as_posix(), []).append(scan)
        assert len(by_path["site/Secret"]) == count
        assert [scan.series for scan in by_path["flat"]] == ["A2", "B2"]
        assert [scan.voxels for scan in by_path["split"]] == [40 * 20 * 24]
        assert by_path["split"][0].series is None
        broken = {path: scans[0].problem.code for path, scans in by_path.items() if scans[0].problem}
        assert broken == {path: code for path, code in BROKEN.items() if path != "broken.nii.gz"}


def test_a_copy_is_a_scan_of_its_own(tmp_path):
    study(tmp_path / "a", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert [unit.path.name for unit in units_of(tmp_path, tmp_path / "results", silent)] == ["a", "b"]


def test_results_are_no_scans(tmp_path):
    study(tmp_path / "a", 1)
    study(tmp_path / "results/inner", 2)
    study(tmp_path / "earlier", 3)
    for name in ("record.json", "segmentation.seg.nrrd"):
        (tmp_path / "earlier" / name).write_text("x")
    assert [unit.path.name for unit in units_of(tmp_path, tmp_path / "results", silent)] == ["a"]


def test_loose_images_beside_folders_do_not_make_them_one(tmp_path):
    study(tmp_path / "a", 1)
    study(tmp_path / "b", 2)
    shutil.copy(next((tmp_path / "a").iterdir()), tmp_path / "stray")
    assert [unit.path.name for unit in units_of(tmp_path, tmp_path / "results", silent)] == ["stray", "a", "b"]


def test_a_folder_without_any_scan_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(InputError, match="There is no scan here") as caught:
        find_scans(tmp_path, tmp_path / "results", "all", False, silent)
    assert caught.value.code == "no-dicom"


def test_a_list_names_scans_and_series(tree, tmp_path):
    listed = tmp_path / "scans.csv"
    lines = ["path,name,series", f"{tree / 'site/Secret'},first,A3", f"{tree / 'volume.nrrd'},,", f"{tree / 'gone'},,"]
    listed.write_text("\n".join(lines), encoding="utf-8-sig")
    units = units_of(listed, tmp_path / "results", silent)
    assert units[:2] == [Unit(tree / "site/Secret", "A3", "first"), Unit(tree / "volume.nrrd")]
    found = find_scans(listed, tmp_path / "results", "all", False, silent)
    assert [scan.series for scan in found] == ["A3", None, None]
    assert [scan.problem.code if scan.problem else None for scan in found] == [None, None, "no-such-input"]


@pytest.mark.parametrize(
    "text", ["", "file\na\n", "path,other\na,b\n", 'path\n"a', "path,name\na,x\nb,X\n", "path,name\na,x y\n"]
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path, text):
    (tmp_path / "scans.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        units_of(tmp_path / "scans.csv", tmp_path / "results", silent)
    assert caught.value.code == "no-list"


def test_a_series_that_is_not_there_is_said(tree):
    (found,) = scans_of(Unit(tree / "flat", "Z9"), "all", False)
    assert found.problem.code == "unknown-series"


# What is made


SOME = ("flat", "scan.zip", "broken.nii.gz", "broken.zip", "broken-mr", "broken-text")


@pytest.fixture(scope="module")
def few(tree, tmp_path_factory) -> Path:
    """Some of them: a run of each takes seconds."""
    folder = tmp_path_factory.mktemp("few") / "Secret"
    folder.mkdir()
    for name in SOME:
        (shutil.copytree if (tree / name).is_dir() else shutil.copy)(tree / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def results(few, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "results"
    code, lines = batch(few, folder)
    assert code == worker.INCOMPLETE, lines[-1]
    assert lines[-1]["summary"] == {"scans": 7, "done": 3, "incomplete": 0, "failed": 4}
    assert [line["total"] for line in lines if line["event"] == "scan"] == [4] * 4
    assert [line["step"] for line in lines if line["event"] == "progress"][-1] == "scans"
    return folder


@pytest.mark.slow
def test_every_scan_has_a_row_and_what_is_broken_its_sentence(results, few):
    rows, key = rows_of(results), key_of(results)
    assert list(rows) == sorted(rows)
    assert rows.keys() == key.keys()
    failed = {name: row["code"] for name, row in rows.items() if row["status"] == "failed"}
    assert {Path(key[name]).relative_to(few).as_posix(): code for name, code in failed.items()} == {
        name: code for name, code in BROKEN.items() if name in SOME
    }
    assert all(rows[name]["text"].endswith(".") for name in failed)
    assert all(float(row["segment_volumes_ml_bone"]) > 0 for row in rows.values() if row["status"] == "done")
    assert (results / "index.html").read_text().count("data-number=") == 3 * len(rows)  # of three volumes
    assert {row["verdict"] for row in rows.values()} == {"", "do not use"}


TIMES = ("created", "steps", "outputs", "seal")


def timeless(folder: Path) -> dict[str, Any]:
    """A result folder without its times."""
    files: dict[str, Any] = files_in(folder)
    record = json.loads(files.pop("record.json"))
    for name in ("record.html", "log.txt"):
        files.pop(name)
    steps = [{name: value for name, value in step.items() if name != "seconds"} for step in record["steps"]]
    for step in steps:
        if step["step"] == "modelling":
            for surface in step["measured"].values():
                surface.pop("seconds")
    outputs = [item for item in record["outputs"] if item["file"] not in ("record.html", "log.txt")]
    entries = {name: value for name, value in record.items() if name not in TIMES}
    return files | {"record.json": entries | {"steps": steps, "outputs": outputs}}


@pytest.mark.slow
def test_results_are_those_of_single_runs_to_the_byte_but_for_times(results, few, tmp_path):
    key = {path: name for name, path in key_of(results).items()}  # the last of a folder's scans
    for path in ("flat", "scan.zip"):
        job = {
            "contract": CONTRACT,
            **SEGMENT,
            "input": str(few / path),
            "output": str(tmp_path / key[str(few / path)]),
        }
        assert worker.run(job | ({"series": "B2"} if path == "flat" else {}), lambda _line: None) == 0
        made = results / "scans" / key[str(few / path)] / "segment"
        assert timeless(made) == timeless(tmp_path / made.parent.name)


def test_nothing_but_the_private_folder_knows_the_patient_or_a_path(results, few):
    secret = [PATIENT.encode(), b"Secret", str(few).encode(), b"1.2.2.1"]
    for name, content in files_in(results).items():
        if not name.startswith("private/"):
            assert not [word for word in secret if word in content], name
            assert "Secret" not in name
    assert str(few).encode() in files_in(results)["private/key.csv"]


def test_the_page_needs_no_network_and_leads_to_every_result(results):
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "http" not in page
    links = re.findall(r"(?:href|src)='([^']+)'", page)
    assert len(links) == 6
    assert all((results / link).is_file() for link in links)
    assert page.count("<tr data-verdict=") == 7


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_is_new_is(results, few, tmp_path):
    again = tmp_path / "results"
    shutil.copytree(results, again)
    before = files_in(again)
    code, lines = batch(few, again)
    assert code == worker.INCOMPLETE
    assert not [line for line in lines if line["event"] == "scan"]
    assert files_in(again) == before
    shutil.rmtree(next((again / "scans").glob("*-B2")))
    code, lines = batch(few, again)
    assert [(line["status"], line["done"], line["total"]) for line in lines if line["event"] == "scan"] == [
        ("done", 1, 1)
    ]
    assert files_in(again)["index.csv"] == before["index.csv"]


def test_a_result_whose_scan_is_gone_stays_in_the_index(results, few, tmp_path):
    again, less = tmp_path / "results", tmp_path / "tree"
    shutil.copytree(results, again)
    shutil.copytree(few / "broken-mr", less / "other")
    batch(less, again)
    rows = rows_of(again)
    assert sum(row["status"] == "done" for row in rows.values()) == 3
    assert [row["code"] for row in rows.values() if row["status"] == "failed"] == ["wrong-modality"]


def test_failed_scans_are_tried_again_where_that_is_asked(results, few, tmp_path):
    again = tmp_path / "results"
    shutil.copytree(results, again)
    _, lines = batch(few, again, retry=True)
    (line,) = (line for line in lines if line["event"] == "scan")
    assert (line["code"], line["total"]) == ("unreadable", 1)
    assert files_in(again)["index.csv"] == files_in(results)["index.csv"]


@pytest.mark.parametrize("jobs", [[{**SEGMENT, "method": "hysteresis"}], [SEGMENT, ORBITS]])
def test_a_batch_with_other_jobs_is_refused_in_the_same_folder(results, few, jobs):
    before = files_in(results)
    code, lines = batch(few, results, *jobs)
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert "other jobs" in lines[-1]["text"]
    assert files_in(results) == before


def test_somebody_elses_folder_is_refused(few, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    code, lines = batch(few, tmp_path)
    assert (code, lines[-1]["code"]) == (4, "exists")
    assert files_in(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.slow
def test_further_tasks_are_about_the_first_ones_result(tmp_path):
    """The scan has no orbit: the segmentation stays, and the row says what is missing."""
    study(tmp_path / "tree/a", 1)
    code, _ = batch(tmp_path / "tree", tmp_path / "results", SEGMENT, ORBITS)
    assert code == worker.INCOMPLETE
    (row,) = rows_of(tmp_path / "results").values()
    assert (row["status"], row["code"]) == ("incomplete", "no-orbit")
    assert [path.name for path in sorted((tmp_path / "results/scans/0001-A2").iterdir())] == ["outcome.json", "segment"]


@pytest.mark.parametrize(("jobs", "says"), [
    ([{"task": "phantom"}], "must be one of: info, segment, surface, orbits, "),
    ([{"task": "batch"}], "must be one of"),
    ([{}], "needs a `task`"),
    ([{"task": "orbits"}], "begins with what makes a result"),
    ([{"task": "info"}, ORBITS], "begins with what makes a result"),
    ([SEGMENT, SEGMENT], "once"),
    ([{**SEGMENT, "input": "a"}], "`input` is given by the batch"),
    ([{**SEGMENT, "method": 3}], "`method` must be text"),
    ([{**SEGMENT, "colour": 3}], "no key `colour`"),
    ([SEGMENT, {**ORBITS, "region": "whole"}], "`region` must be one of"),
    ([], "one job at least"),
])  # fmt: skip
def test_jobs_that_make_no_sense_are_refused_before_anything_is_done(tmp_path, jobs, says):
    code, lines = batch(tmp_path, tmp_path / "results", jobs=jobs)
    assert (code, lines[-1]["code"]) == (2, "invalid-job")
    assert says in lines[-1]["text"]
    assert not list(tmp_path.iterdir())


# How it may end


def errand(tmp_path: Path, **more: Any) -> Errand:
    for name in ("scans", "private"):
        (tmp_path / name).mkdir(exist_ok=True)
    job = {"contract": CONTRACT, **SEGMENT, "input": str(volume(tmp_path / "ct.nrrd")), "output": ""}
    return Errand("0001", tmp_path / "scans", tmp_path / "private", (job,), 1, **more)


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for Python")
def test_a_process_that_dies_is_a_row(tmp_path, monkeypatch):
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho last words >&2\nkill -KILL $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(one.sys, "executable", str(dying))
    outcome = do(errand(tmp_path), Room(), Processes())
    assert (outcome["status"], outcome["code"]) == ("failed", "crashed")
    assert "(code -9)" in outcome["text"]
    assert outcome_in(tmp_path / "scans/0001") == outcome
    assert (tmp_path / "private/0001-segment.txt").read_text() == "last words\n"


@pytest.mark.slow
def test_a_scan_lands_once_whoever_does_it(tmp_path):
    given, found = errand(tmp_path), []
    threads = [threading.Thread(target=lambda: found.append(do(given, Room(), Processes()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = outcome_in(tmp_path / "scans/0001")
    assert [outcome["status"] for outcome in found] == ["done", "done"]
    assert found.count(kept) >= 1
    assert [path.name for path in (tmp_path / "scans").iterdir()] == ["0001"]


@pytest.mark.slow
def test_a_claim_that_a_killed_run_left_is_no_result(tmp_path):
    given = errand(tmp_path)
    (tmp_path / "scans/0001").mkdir()
    assert do(given, Room(), Processes())["status"] == "done"
    assert outcome_in(tmp_path / "scans/0001")


def test_another_version_and_another_disk_do_nothing(tmp_path):
    outcome = do(errand(tmp_path, version="0.0"), Room(), Processes())
    assert (outcome["code"], "another version" in outcome["text"]) == ("cannot-write", True)
    given = errand(tmp_path)
    (tmp_path / "scans").rmdir()
    outcome = do(given, Room(), Processes())
    assert (outcome["code"], "shared folders" in outcome["text"]) == ("cannot-write", True)


def test_work_that_was_stopped_starts_nothing_and_leaves_nothing(tmp_path):
    processes = Processes()
    processes.stop()
    with pytest.raises(Cancelled):
        do(errand(tmp_path), Room(), processes)
    assert not list((tmp_path / "scans").iterdir())


def test_a_worker_ends_when_whoever_started_it_is_gone(tmp_path):
    job = {"contract": CONTRACT, "task": "phantom", "output": str(tmp_path / "phantom")}
    command = [sys.executable, "-m", "OrbitalSegLib.worker", HELD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.stdin.close()
        last = json.loads(process.stdout.readlines()[-1])
    assert (process.returncode, last["code"]) == (130, "cancelled")
    assert not list(tmp_path.iterdir())


def test_room_is_waited_for_and_one_is_never_refused():
    room, order = Room(10), []
    with room.take(100):
        waiting = threading.Thread(target=lambda: [order.append("in") for _ in [0] if room.take(1).__enter__() is None])
        waiting.start()
        time.sleep(0.05)
        order.append("out")
        assert not room.is_shared
    waiting.join()
    assert order == ["out", "in"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed as systems of POSIX do")
def test_killed_at_any_moment_it_goes_on_to_the_same_index(results, few, tmp_path):
    job = {"contract": CONTRACT, "task": "batch", "input": str(few), "output": str(tmp_path / "r"), "jobs": [SEGMENT]}
    (tmp_path / "job.json").write_text(json.dumps(job))
    random = np.random.default_rng(3)
    for _ in range(3):
        command = [sys.executable, "-m", "OrbitalSegLib.worker", str(tmp_path / "job.json")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.5, 4.0))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    code, _ = batch(few, tmp_path / "r")
    assert code == worker.INCOMPLETE
    assert files_in(tmp_path / "r")["index.csv"] == files_in(results)["index.csv"]
    kept = {path.name for path in (tmp_path / "r/scans").iterdir()}
    assert kept == {path.name for path in (results / "scans").iterdir()}


def test_an_index_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(OutputError):
        write_index({}, tmp_path / "gone")
