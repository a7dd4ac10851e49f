"""Reviewed results become a data set, networks learn on from it, and it is said whether they are better for it."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import ct_slices, save

from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids, write_segmentation
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.training import dataset, quality, store

AIR, SOFT, PLATE, SHEET, BONE = -1000, 0, 100, 200, 900


def ct(seed: int = 0) -> sitk.Image:
    """A block of bone in soft tissue in air, on it a faint plate of bone too, and beside it a sheet that is none."""
    hu = np.full((24, 32, 32), AIR, np.int16)
    hu[2:22, 3:29, 3:29] = SOFT
    hu[6:16, 6:14, 6:16] = BONE
    hu[6:16, 6:8, 16:26] = PLATE
    hu[6:16, 12:14, 16:26] = SHEET
    hu += np.random.default_rng(seed).integers(-5, 6, hu.shape, np.int16)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.5, 0.5, 0.5))
    image.SetOrigin((10.0, -20.0, 30.0 + seed))
    return image


def flags(array: np.ndarray, low: int, high: int) -> np.ndarray:
    return (array > low) & (array < high)


def run(task: str, **job: object) -> dict:
    """The last line of the worker; what it is asked for must be understood."""
    lines: list[dict] = []
    worker.run({"contract": CONTRACT, "task": task, **job}, lines.append)
    return lines[-1]


def segmented(folder: Path, seed: int, **told: object) -> Path:
    """The scan in `scans`, and what a threshold, or what is told, makes of it."""
    scan = folder / "scans" / f"Doe^Jane-{seed}.nrrd"
    scan.parent.mkdir(exist_ok=True, parents=True)
    if not scan.exists():
        sitk.WriteImage(ct(seed), str(scan))
    made = folder / "made" / str(seed)
    made.parent.mkdir(exist_ok=True)
    how = told if told else {"method": "threshold", "parameters": {"lower_hu": 150.0}}
    line = run(
        "segment", input=str(scan), output=str(made), region="whole", postprocess={"minimum_object_ml": 0}, **how
    )
    assert line["event"] == "result", line
    return made


def reviewed(folder: Path, seed: int, outcome: str = "accepted with edits", by: str = "Dr Roe", **told: object) -> Path:
    """The same with the plate added and the sheet taken away by hand, where edits were made."""
    made = segmented(folder, seed, **told)
    edited = None
    if outcome == "accepted with edits":
        hu = sitk.GetArrayFromImage(ct(seed))
        mask = sitk.GetImageFromArray((flags(hu, 50, 150) | (hu > 500)).astype(np.uint8))
        mask.CopyInformation(ct(seed))
        edited = folder / f"edited-{seed}.seg.nrrd"
        write_segmentation({"bone": mask}, edited)
    review = {"kind": "slice-by-slice", "outcome": outcome, "by": by, "date": "2026-11-01", "comment": "of Jane Doe"}
    output = folder / "results" / f"Doe^Jane {seed} {outcome}"
    output.parent.mkdir(exist_ok=True)
    line = run("review", input=str(made), output=str(output), reviews=[review], edited=edited and str(edited))
    assert line["event"] == "result", line
    return output


def collected(folder: Path, **told: object) -> dict:
    asked = {"input": str(folder / "results"), "scans": str(folder / "scans"), "output": str(folder / "data")}
    return run("collect", **(asked | told))


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> tuple[Path, dict]:
    """Accepted with edits, accepted as it was, rejected, seen by nobody, without its scan, and changed since."""
    folder = tmp_path_factory.mktemp("several")
    reviewed(folder, 1)
    reviewed(folder, 2, "accepted")
    reviewed(folder, 3, "rejected")
    shutil.copytree(segmented(folder, 4), folder / "results" / "unseen")
    reviewed(folder, 5, "accepted")
    (folder / "scans" / "Doe^Jane-5.nrrd").unlink()
    changed = reviewed(folder, 6, "accepted")
    (changed / "bone.stl").write_bytes(b"")
    return folder, collected(folder)


def test_what_was_accepted_becomes_a_case_and_of_everything_else_it_is_said_why_not(several):
    folder, line = several
    assert line["event"] == "result", line
    summary = line["summary"]
    assert (summary["cases"], summary["patients"]) == (2, 2)
    said = {one["name"].removeprefix("Doe^Jane "): one["text"] for one in summary["left_out"]}
    assert said.keys() == {"3 rejected", "5 accepted", "6 accepted", "unseen"}
    assert "Nobody has reviewed it" in said["unseen"]
    assert "rejected" in said["3 rejected"]
    assert "scan is not among" in said["5 accepted"]
    assert "changed since it was written" in said["6 accepted"]
    with (folder / "data" / "private" / "left-out.csv").open(encoding="utf-8") as file:
        assert {row["why"] for row in csv.DictReader(file)} == set(said.values())


def test_a_result_that_nobody_reviewed_is_left_out(tmp_path):
    segmented(tmp_path, 1)
    line = collected(tmp_path, input=str(tmp_path / "made"))
    assert (line["code"], "Nobody has reviewed it" in line["text"]) == ("no-result", True)
    assert not (tmp_path / "data").exists()


def test_a_case_holds_what_was_accepted_and_marks_what_was_changed(several):
    folder, _ = several
    entries = dataset.collect(folder / "data")
    assert quality.inspect(entries) == []
    assert len({entry.about["patient"] for entry in entries}) == 2
    counts = {}
    for entry in entries:
        image, label = dataset.read_pair(entry)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image) % 1, 0)
        hu, bone = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(label) > 0
        edited = sitk.GetArrayFromImage(read_segmentation(entry.folder / "label.seg.nrrd", "edited")) > 0
        counts[bool(edited.any())] = entry
        assert bone[hu > 500].all()
        assert bone[flags(hu, 50, 150)].all() == edited.any()
        assert bone[flags(hu, 150, 300)].any() != edited.any()
        assert (edited == (flags(hu, 50, 300) & edited.any())).all()
    dataset.pack(counts[True], folder / "packed")
    packed = store.open_case(folder / "packed" / counts[True].name)
    assert packed.flags == store.FLAGS
    changed = (packed.label & packed.flags["edited"]) > 0
    assert set(np.unique(packed.label[changed] & packed.flags["bone"])) == {0, packed.flags["bone"]}
    assert len(packed.places["edited"]) == changed.sum() == 2 * 10 * 2 * 10


def test_nothing_in_a_data_set_says_whose_it_is(several):
    folder, _ = several
    for path in (folder / "data").rglob("*"):
        if path.is_file() and path.parent.name != "private":
            content = path.read_bytes() + path.name.encode()
            assert not [word for word in (b"Doe", b"Jane", b"Roe", b"2026", str(folder).encode()) if word in content], (
                path
            )
    with (folder / "data" / "private" / "key.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert {Path(row["scan"]).name for row in rows} == {"Doe^Jane-1.nrrd", "Doe^Jane-2.nrrd"}
    assert sorted(row["case"] for row in rows) == sorted(entry.name for entry in dataset.collect(folder / "data"))


def test_of_two_reviews_of_a_scan_the_later_is_taken(tmp_path):
    reviewed(tmp_path, 1, "accepted")
    record = next((tmp_path / "results").iterdir()) / "record.json"
    revised = json.loads(record.read_text(encoding="utf-8"))["revised"]
    line = run(
        "review",
        input=str(record.parent),
        output=str(tmp_path / "results" / "again"),
        reviews=[{"kind": "physician", "outcome": "accepted with edits"}],
    )
    assert line["event"] == "result", line
    again = json.loads((tmp_path / "results" / "again" / "record.json").read_text(encoding="utf-8"))["revised"]
    summary = collected(tmp_path)["summary"]
    assert summary["cases"] == 1
    assert summary["left_out"][0]["text"].startswith("A later review")
    if again > revised:
        assert summary["left_out"][0]["name"] == record.parent.name


def test_two_scans_of_one_patient_stay_on_one_side(tmp_path):
    voxels = sitk.GetArrayFromImage(ct())
    for number in (1, 2, 3):
        slices = ct_slices(
            (voxels + number).astype(np.int16),
            SeriesInstanceUID=f"1.2.3.{number}",
            StudyInstanceUID=f"1.2.{number}",
            PatientID="one" if number < 3 else "other",
        )
        scan = save(slices, tmp_path / "scans" / str(number))
        (tmp_path / "made").mkdir(exist_ok=True)
        made = {"input": str(scan), "output": str(tmp_path / "made" / str(number)), "region": "whole"}
        line = run("segment", method="threshold", reviews=[{"kind": "physician", "outcome": "accepted"}], **made)
        assert line["event"] == "result", line
    line = collected(tmp_path, input=str(tmp_path / "made"))
    assert line["event"] == "result", line
    assert (line["summary"]["cases"], line["summary"]["patients"]) == (3, 2)


@pytest.mark.parametrize(
    ("told", "code", "word"),
    [
        ({"input": "nowhere"}, "no-such-input", "does not exist"),
        ({"scans": "nowhere"}, "no-such-input", "does not exist"),
        ({"input": "scans"}, "no-result", "There is no result"),
        ({"output": "results"}, "exists", "exists already"),
    ],
)
def test_what_cannot_be_collected_is_said(told, code, word, several):
    folder, _ = several
    line = collected(
        folder, **({"output": str(folder / "other")} | {key: str(folder / name) for key, name in told.items()})
    )
    assert (line["code"], word in line["text"]) == (code, True), line
    assert not (folder / "other").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".orbitalseg-")]


# What was corrected is learnt

TOML = """
name = "tiny"
channels = [8, 16]
patch = 32
batch = 6
steps = {steps}
precision = "fp32"
average = 0.9
checkpoint_steps = 1000
[networks]
single = ["bone"]
[schedule]
learning_rate = 1e-2
warm_up_steps = 5
[sampling]
places = {{ bone = 0.4, edited = 0.4, anywhere = 0.2 }}
offset = 8
"""


@pytest.fixture
def command(wide_terminal: None) -> Callable[..., str]:  # noqa: ARG001 - it sets the terminal
    typer = pytest.importorskip("typer.testing")
    from OrbitalSegLib.cli import app

    def run(*words: object) -> str:
        result = typer.CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.mark.learn
@pytest.mark.slow
def test_a_network_learns_what_was_corrected_and_it_is_said_where(tmp_path, command):
    pytest.importorskip("torch")
    for name, steps in (("first", 150), ("more", 100)):
        (tmp_path / f"{name}.toml").write_text(TOML.format(steps=steps))
    for seed in (8, 9):
        (tmp_path / "old" / str(seed) / "a").mkdir(parents=True)
        image = ct(seed)
        sitk.WriteImage(image, str(tmp_path / "old" / str(seed) / "a" / "image.nrrd"))
        sitk.WriteImage(sitk.Cast(image > 150, sitk.sitkUInt8), str(tmp_path / "old" / str(seed) / "a" / "label.nrrd"))
    command("train", tmp_path / "first.toml", "--cases", tmp_path / "old" / "8", "-o", tmp_path / "run")
    words = ("--run", tmp_path / "run", "--cases", tmp_path / "old" / "9", "-o", tmp_path / "package")
    command("package", tmp_path / "first.toml", *words)
    for seed in (1, 2, 3):
        reviewed(tmp_path, seed, method="singlegrey", model=str(tmp_path / "package"))
    said = command(
        "collect", tmp_path / "results", "--scans", tmp_path / "scans", "-o", tmp_path / "data", "--progress", "none"
    )
    assert "3 cases of 3 patients" in said
    told = ("--config", tmp_path / "more.toml", "-o", tmp_path / "more")
    said = command("finetune", tmp_path / "package", tmp_path / "data", *told)
    assert "On 1 held-back cases the new package is better" in said, said
    found = json.loads((tmp_path / "more" / "comparison.json").read_text(encoding="utf-8"))
    assert found["verdict"] == "better"
    assert found["before"]["sensitivity_thin"] < 0.5 < 0.9 < found["after"]["sensitivity_thin"]
    assert found["after"]["excess"] < 0.1 < found["before"]["excess"]
    with (tmp_path / "more" / "changes.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert {row["kind"] for row in rows} == {"found", "opened"}
    sizes = {row["kind"]: float(row["size"]) for row in rows}
    assert min(sizes.values()) > 5
    assert not segment_ids(tmp_path / "edited-1.seg.nrrd") - {"bone", "orbital bone"}
