"""A person's review of a result, with edits counted; and the proof that a result can be made again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import read_segmentation, write_segmentation
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.results import changed_entries, read_record

REVIEW = {"kind": "slice-by-slice", "outcome": "accepted with edits", "by": "Operator", "date": "2026-11-22"}


def run(task: str, **job: object) -> tuple[int, dict]:
    lines: list[dict] = []
    values = {"contract": CONTRACT, "task": task, **{k: str(v) if isinstance(v, Path) else v for k, v in job.items()}}
    return worker.run(values, lines.append), lines[-1]


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def image_of(voxels: np.ndarray, like: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.CopyInformation(like)
    return image


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a scan `ct.nrrd` and its `result`."""
    folder = tmp_path_factory.mktemp("audit")
    voxels = np.full((24, 40, 40), -1000, np.int16)
    voxels[2:22, 4:36, 4:36] = 40
    voxels[6:18, 8:30, 8:30] = 1000
    voxels[8:16, 11:27, 11:27] = 40
    voxels[8:16, 11:27, 28] = 250
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 0.8))
    image.SetOrigin((-10.0, 5.0, 100.0))
    sitk.WriteImage(image, str(folder / "ct.nrrd"))
    parameters = {"lower_hu": 200}
    code, last = run(
        "segment",
        input=folder / "ct.nrrd",
        output=folder / "result",
        method="threshold",
        parameters=parameters,
        region="whole",
    )
    assert code == 0, last
    return folder


@pytest.fixture
def edited(made, tmp_path) -> Path:
    """The bone with one voxel added and four removed, as a plain label map."""
    bone = read_segmentation(made / "result" / "segmentation.seg.nrrd")
    voxels = array(bone)
    assert voxels[12, 20, 20] == 0
    assert voxels[6, 10:14, 10].all()
    voxels[12, 20, 20] = 1
    voxels[6, 10:14, 10] = 0
    path = tmp_path / "edited.nrrd"
    sitk.WriteImage(image_of(voxels, bone), str(path))
    return path


# ---------------------------------------------------------------------------------------------------------------------
# Review


def test_edits_by_hand_are_counted_against_the_automatic_result(made, edited, tmp_path):
    code, last = run("review", input=made / "result", output=tmp_path / "b", edited=edited, reviews=[REVIEW])
    assert code == 0, last
    voxel_ml = 0.5 * 0.5 * 0.8 / 1000
    found = last["summary"]["edits"]["segments"]["bone"]
    assert (found["added_voxels"], found["removed_voxels"]) == (1, 4)
    assert found["added_ml"] == pytest.approx(voxel_ml, abs=1e-4)
    assert found["removed_ml"] == pytest.approx(4 * voxel_ml, abs=1e-4)
    assert found["edited_ml"] == pytest.approx(found["automatic_ml"] - 3 * voxel_ml, abs=1e-4)
    record = read_record(tmp_path / "b")
    assert record["edits"] == last["summary"]["edits"]
    assert record["reviews"][0] | REVIEW == record["reviews"][0]
    assert changed_entries(record) == []
    assert "slice-by-slice" not in {entry["id"] for entry in last["summary"]["missing"]}
    result = read_segmentation(tmp_path / "b" / "segmentation.seg.nrrd")
    np.testing.assert_array_equal(array(result), array(read_segmentation(edited)))
    np.testing.assert_array_equal(array(sitk.ReadImage(str(tmp_path / "b" / "bone.nii.gz"))), array(result))
    assert (tmp_path / "b" / "automatic.seg.nrrd").read_bytes() == (
        made / "result" / "segmentation.seg.nrrd"
    ).read_bytes()
    assert (tmp_path / "b" / "bone.stl").read_bytes() != (made / "result" / "bone.stl").read_bytes()
    assert not (tmp_path / "b" / "preview.png").exists()  # no CT was given


def test_what_is_taken_from_the_bone_is_taken_from_its_classes(made, edited, tmp_path):
    run("review", input=made / "result", output=tmp_path / "b", edited=edited)
    cortical = array(read_segmentation(tmp_path / "b" / "segmentation.seg.nrrd", "cortical"))
    assert not cortical[6, 10:14, 10].any()
    assert not cortical[12, 20, 20]


def test_a_second_review_still_counts_from_the_automatic_result(made, edited, tmp_path):
    run("review", input=made / "result", output=tmp_path / "b", edited=edited, operator="Operator", reviews=[REVIEW])
    bone = read_segmentation(edited)
    voxels = array(bone)
    voxels[12, 20, 21] = 1
    sitk.WriteImage(image_of(voxels, bone), str(tmp_path / "again.nrrd"))
    physician = {"kind": "physician", "outcome": "accepted"}
    code, last = run(
        "review", input=tmp_path / "b", output=tmp_path / "c", edited=tmp_path / "again.nrrd", reviews=[physician]
    )
    assert code == 0, last
    assert last["summary"]["edits"]["segments"]["bone"]["added_voxels"] == 2
    record = read_record(tmp_path / "c")
    assert [review["kind"] for review in record["reviews"]] == ["slice-by-slice", "physician"]
    assert record["operator"] == "Operator"
    automatic = [(folder / "automatic.seg.nrrd").read_bytes() for folder in (tmp_path / "b", tmp_path / "c")]
    assert automatic[0] == automatic[1]


def test_edits_can_be_taken_back(made, edited, tmp_path):
    run("review", input=made / "result", output=tmp_path / "b", edited=edited)
    original = made / "result" / "segmentation.seg.nrrd"
    code, last = run("review", input=tmp_path / "b", output=tmp_path / "c", edited=original)
    assert code == 0, last
    assert last["summary"]["edits"]["segments"]["bone"]["added_voxels"] == 0
    found = read_segmentation(tmp_path / "c" / "segmentation.seg.nrrd")
    np.testing.assert_array_equal(array(found), array(read_segmentation(original)))


def test_a_review_without_edits_keeps_every_file(made, tmp_path):
    code, last = run("review", input=made / "result", output=tmp_path / "b", purpose="A plate", reviews=[REVIEW])
    assert code == 0, last
    for name in ("segmentation.seg.nrrd", "bone.nii.gz", "bone.stl", "preview.png"):
        assert (tmp_path / "b" / name).read_bytes() == (made / "result" / name).read_bytes()
    record = read_record(tmp_path / "b")
    assert record["purpose"] == "A plate"
    assert "revised" in record
    assert record["created"] == read_record(made / "result")["created"]
    assert all(not row["added_voxels"] for row in record["edits"]["segments"].values())


def test_segments_by_name_are_taken_as_they_are(made, tmp_path):
    source = made / "result" / "segmentation.seg.nrrd"
    masks = {name: read_segmentation(source, name) for name in ("bone", "thin")}
    voxels = array(masks["thin"])
    voxels[10, 13, 28] = 0
    masks["thin"] = image_of(voxels, masks["thin"])
    write_segmentation(masks, tmp_path / "edited.seg.nrrd")
    code, last = run("review", input=made / "result", output=tmp_path / "b", edited=tmp_path / "edited.seg.nrrd")
    assert code == 0, last
    segments = last["summary"]["edits"]["segments"]
    assert segments["thin"]["removed_voxels"] == 1
    assert segments["bone"]["removed_voxels"] == segments["cortical"]["removed_voxels"] == 0


def test_a_smaller_label_map_of_the_same_grid_is_placed_right(made, tmp_path):
    bone = read_segmentation(made / "result" / "segmentation.seg.nrrd")
    sitk.WriteImage(bone[5:35, 5:35, 4:20], str(tmp_path / "part.nrrd"))
    code, last = run("review", input=made / "result", output=tmp_path / "b", edited=tmp_path / "part.nrrd")
    assert code == 0, last
    assert last["summary"]["edits"]["segments"]["bone"]["added_voxels"] == 0
    assert last["summary"]["edits"]["segments"]["bone"]["removed_voxels"] == 0


def test_a_segmentation_on_another_grid_is_refused(made, tmp_path):
    bone = read_segmentation(made / "result" / "segmentation.seg.nrrd")
    bone.SetOrigin((0.1, 0.0, 0.0))
    sitk.WriteImage(bone, str(tmp_path / "other.nrrd"))
    code, last = run("review", input=made / "result", output=tmp_path / "b", edited=tmp_path / "other.nrrd")
    assert (code, last["code"]) == (3, "different-grids")
    assert list(tmp_path.iterdir()) == [tmp_path / "other.nrrd"]


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "bone.stl"])
def test_a_result_that_was_changed_in_place_is_refused(made, tmp_path, name):
    shutil.copytree(made / "result", tmp_path / "a")
    with (tmp_path / "a" / name).open("ab") as file:
        file.write(b"\0")
    code, last = run("review", input=tmp_path / "a", output=tmp_path / "b")
    assert (code, last["code"]) == (3, "no-result")
    assert not (tmp_path / "b").exists()


def test_a_review_of_what_is_no_result_is_refused(made, tmp_path):
    for source in (made, made / "ct.nrrd"):
        code, last = run("review", input=source, output=tmp_path / "b")
        assert (code, last["code"]) == (3, "no-result")


# ---------------------------------------------------------------------------------------------------------------------
# Verification


def verified(made: Path, **changes: object) -> dict:
    code, last = run("verify", **{"input": made / "ct.nrrd", "record": made / "result", **changes})
    assert code == 0, last
    return last["summary"]


def what(summary: dict) -> set[str]:
    return {difference["what"] for difference in summary["differences"]}


def test_a_result_is_reproduced_bit_for_bit(made):
    summary = verified(made)
    assert summary == {"reproduced": True, "run": True, "differences": [], "masks": ["bone", "cortical", "thin"]}


def test_a_reviewed_result_is_reproduced_as_the_method_gave_it(made, edited, tmp_path):
    run("review", input=made / "result", output=tmp_path / "b", edited=edited)
    assert verified(made, record=tmp_path / "b")["reproduced"]


def test_one_other_voxel_of_the_input_is_noticed(made, tmp_path):
    scan = sitk.ReadImage(str(made / "ct.nrrd"))
    scan[3, 4, 5] = scan[3, 4, 5] + 1
    sitk.WriteImage(scan, str(tmp_path / "ct.nrrd"))
    summary = verified(made, input=tmp_path / "ct.nrrd")
    assert not summary["reproduced"]
    assert not summary["run"]
    assert what(summary) == {"input"}


def forged(made: Path, tmp_path: Path, change) -> Path:
    """A record that someone changed."""
    entries = json.loads((made / "result" / "record.json").read_text(encoding="utf-8"))
    change(entries)
    (tmp_path / "record.json").write_text(json.dumps(entries), encoding="utf-8")
    return tmp_path / "record.json"


def test_one_other_parameter_is_noticed(made, tmp_path):
    def change(entries):
        entries["settings"]["parameters"]["lower_hu"] = 30

    summary = verified(made, record=forged(made, tmp_path, change))
    assert not summary["reproduced"]
    assert what(summary) == {"record", "parameters", "masks"}
    assert any("lower_hu was 200 and is 30" in d["text"].replace(".0", "") for d in summary["differences"])


def test_a_parameter_that_changes_no_voxel_is_noticed_too(made, tmp_path):
    def change(entries):
        entries["settings"]["parameters"]["lower_hu"] = 201

    summary = verified(made, record=forged(made, tmp_path, change))
    assert not summary["reproduced"]
    assert what(summary) == {"record", "parameters"}


def test_a_changed_file_of_the_result_is_noticed(made, tmp_path):
    shutil.copytree(made / "result", tmp_path / "a")
    (tmp_path / "a" / "bone.stl").write_bytes(b"")
    (tmp_path / "a" / "log.txt").unlink()
    summary = verified(made, record=tmp_path / "a")
    assert [d["what"] for d in summary["differences"]] == ["files", "files"]
    assert not summary["reproduced"]


def test_other_versions_alone_are_said_and_do_not_count(made, tmp_path):
    def change(entries):
        entries["environment"]["numpy"] = "1.0"
        from OrbitalSegLib.results import seal_of

        entries["seal"] = seal_of(entries)

    summary = verified(made, record=forged(made, tmp_path, change))
    assert summary["reproduced"]
    assert what(summary) == {"environment"}


def test_another_model_package_is_noticed(made, tiny_package, sound_package, tmp_path):
    ct, folder = made / "ct.nrrd", tmp_path / "result"
    settings = {"method": "singlegrey", "model": tiny_package.folder, "engine": "torch", "threads": 1}
    code, last = run("segment", input=ct, output=folder, region="whole", **settings)
    assert code == 0, last
    assert verified(made, record=folder, model=tiny_package.folder)["reproduced"]
    summary = verified(made, record=folder, model=sound_package.folder)
    assert what(summary) == {"package"}
    assert not summary["reproduced"]
    monitoring = read_record(folder)["monitoring"]
    assert monitoring["verdict"] != "trust"
    assert any("tiny-1" in reason or "measured" in reason for reason in monitoring["reasons"])


def typed(command):
    """What the command line answers; `wide_terminal` has looked whether there is one."""
    from typer.testing import CliRunner

    from OrbitalSegLib.cli import app

    return CliRunner().invoke(app, command)


@pytest.mark.usefixtures("wide_terminal")
def test_the_command_ends_with_a_code_of_its_own_where_a_result_is_not_reproduced(made, tmp_path):
    command = ["verify", str(made / "result"), "--input", str(made / "ct.nrrd"), "--progress", "none"]
    found = typed(command)
    assert found.exit_code == 0, found.output
    assert "Reproduced" in found.output
    shutil.copytree(made / "result", tmp_path / "a")
    (tmp_path / "a" / "bone.nii.gz").write_bytes(b"")
    command[1] = str(tmp_path / "a")
    found = typed(command)
    assert found.exit_code == 5, found.output
    assert "bone.nii.gz" in found.output


@pytest.mark.usefixtures("wide_terminal")
def test_a_review_on_the_command_line(made, edited, tmp_path):
    command = ["review", str(made / "result"), "-o", str(tmp_path / "b"), "--edited", str(edited), "--progress", "none"]
    command += ["--physician", "accepted", "--by", "Dr. Y", "--purpose", "A plate", "--operator", "X"]
    found = typed(command)
    assert found.exit_code == 0, found.output
    assert "still missing" in found.output
    record = read_record(tmp_path / "b")
    assert (record["purpose"], record["operator"], record["reviews"][0]["by"]) == ("A plate", "X", "Dr. Y")
