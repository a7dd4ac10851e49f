"""Defects and reconstruction: with a worker that only pretends."""

import pytest

from fakes import reconstruction_summary, write_reconstruction
from hands import edit, node_names
from OrbitalSegLib.export.segmentation import segment_ids
from OrbitalSegLib.structures import STRUCTURES
from OrbitalSegLib.tasks import job_from
from OrbitalSegPanel import segments
from OrbitalSegPanel.settings import RECONSTRUCTED

FILES = {
    "bone_reconstructed-left.stl", "bone_reconstructed-left.3mf", "bone_reconstructed-left-record.json",
    "reconstructed-left.stl", "reconstructed-left-record.json",
}  # fmt: skip


@pytest.fixture
def segmented(segment, ready, tmp_path):
    """The segmentation of a result; the section is open, and a folder is chosen."""
    node = segment()
    ready.ui.reconstructionSection.collapsed = False
    (tmp_path / "models").mkdir()
    ready.ui.modelsFolderEdit.currentPath = str(tmp_path / "models")
    return node


@pytest.fixture
def reconstruct(ready, python):
    """Presses the button and lets the worker do it."""

    def press(**opening):
        ready.ui.reconstructButton.click()
        write_reconstruction(python.result, reconstruction_summary(**opening))
        python.succeed(**reconstruction_summary(**opening))
        ready.logic.poll()

    return press


def names(panel) -> list[str]:
    return [model.GetName() for model in panel.logic.settings.references(RECONSTRUCTED)]


def test_without_segments_there_is_nothing_to_do(ready):
    assert not ready.ui.reconstructButton.enabled
    assert not ready.ui.showReconstructionBox.enabled
    assert ready.ui.reconstructionLabel.isHidden()


def test_the_walls_are_reconstructed_as_they_are_now(segmented, ready, python):
    edit(segmented)
    ready.ui.reconstructButton.click()
    job = python.jobs[-1]
    assert job_from(job).task == "reconstruct"
    assert segment_ids(python.folder / "edited.seg.nrrd") & set(STRUCTURES) == {"bone", "inferred"}


@pytest.mark.usefixtures("segmented")
def test_a_folder_is_asked_for_before_anything_runs(ready, python):
    jobs = len(python.jobs)
    ready.ui.modelsFolderEdit.currentPath = ""
    ready.ui.reconstructButton.click()
    assert "Choose a folder that exists." in ready.ui.reconstructionLabel.text
    assert len(python.jobs) == jobs


def test_the_models_are_written_shown_and_told_and_no_segment_is_touched(segmented, ready, reconstruct, tmp_path):
    before = {name: segments.fingerprint(segmented, name) for name in STRUCTURES}
    reconstruct()
    assert {path.name for path in (tmp_path / "models").iterdir()} == FILES
    assert names(ready) == ["Orbit left as it was"]
    said = ready.ui.reconstructionLabel.text
    assert "Left, floor: 79 mm², 90 % mirrored, uncertain by 0.4 mm at least." in said
    assert "Right: nothing to reconstruct." in said
    assert "written and read back: 5." in ready.ui.messageLabel.text
    assert {name: segments.fingerprint(segmented, name) for name in STRUCTURES} == before


@pytest.mark.usefixtures("segmented")
def test_a_second_time_overwrites_no_file_and_replaces_the_model(ready, reconstruct, tmp_path, host):
    reconstruct()
    nodes = len(node_names(host.scene))
    reconstruct(uncertain_mm=None)
    files = {path.name for path in (tmp_path / "models").iterdir()}
    assert files >= FILES | {"bone_reconstructed-left-2.stl", "reconstructed-left-2.stl"}
    assert len(node_names(host.scene)) == nodes
    assert "how far it is off cannot be told" in ready.ui.reconstructionLabel.text


def test_after_an_edit_and_until_its_undo_it_is_called_outdated(segmented, ready, reconstruct, host):
    reconstruct()
    edit(segmented)
    host.process_until(lambda: "have changed since" in ready.ui.reconstructionLabel.text, 5)
    assert names(ready) == ["Orbit left as it was (before a change)"]


@pytest.mark.usefixtures("segmented")
def test_the_model_is_hidden_when_one_wants(ready, reconstruct):
    reconstruct()
    (model,) = ready.logic.settings.references(RECONSTRUCTED)
    assert model.GetDisplayNode().GetVisibility()
    ready.ui.showReconstructionBox.setChecked(False)
    assert not model.GetDisplayNode().GetVisibility()


@pytest.mark.usefixtures("segmented")
def test_a_result_without_models_leaves_all_as_it_was(ready, python, host):
    nodes = node_names(host.scene)
    ready.ui.reconstructButton.click()
    python.result.mkdir()
    python.succeed(**reconstruction_summary())
    ready.logic.poll()
    assert "could not be read: there is no model in it" in ready.ui.reconstructionLabel.text
    assert node_names(host.scene) == nodes
