"""What a model package brings beside the project's own structures is a structure in the panel as any other."""

import numpy as np
import pytest

from fakes import GLOBE, write_result
from hands import choose, export_check, voxels
from OrbitalSegLib.export.segmentation import segment_ids
from OrbitalSegPanel import exporting, segments


@pytest.fixture
def globe(segment):
    """A result with an eyeball."""
    return segment(globe=True)


def again(ready, python, answer: bool = True, **result):
    ready.panel.ask = lambda _question: answer
    ready.ui.segmentButton.click()
    write_result(python.result, **result)
    python.succeed(volumes_ml={"bone": 1.0})
    ready.logic.poll()
    return ready.ui.segmentationSelector.currentNode()


def cut(node, identity: str) -> None:
    """Empty the segment's first slice."""
    labels = segments.label_map(node, identity)
    array = segments.array_of(labels).astype(np.uint8)
    array[0] = 0
    matrix, extent = segments.image_to_ras(labels), labels.GetExtent()
    matrix[:3, 3] += matrix[:3, :3] @ (extent[0], extent[2], extent[4])
    segments.set_voxels(node, identity, array, matrix)


def test_it_has_its_own_title_and_colour(globe):
    segment = globe.GetSegmentation().GetSegment("globe")
    assert segment.GetName() == GLOBE["title"]
    assert np.allclose(segment.GetColor(), GLOBE["colour"], atol=1e-3)


def test_the_next_run_replaces_it(ready, python, globe):
    before = voxels(globe, "globe")
    assert again(ready, python, globe=True, grown=1) is globe
    assert globe.GetSegmentation().GetSegmentIDs().count("globe") == 1
    assert voxels(globe, "globe") > before
    assert again(ready, python) is globe
    assert globe.GetSegmentation().GetSegment("globe") is None  # that run found none


def test_a_segment_of_the_user_stays_whatever_the_next_run_brings(ready, python, globe):
    globe.GetSegmentation().AddEmptySegment("tumour", "tumour")
    assert again(ready, python, globe=True) is globe
    assert globe.GetSegmentation().GetSegment("tumour") is not None


def test_what_a_person_changed_of_it_is_not_replaced_unasked(ready, python, globe):
    cut(globe, "globe")
    assert ready.logic.edited() == [GLOBE["title"]]
    held = voxels(globe, "globe")
    assert again(ready, python, answer=False, globe=True) is not globe
    assert voxels(globe, "globe") == held


def test_a_change_of_it_is_a_slice_that_must_be_seen_again(ready, globe):
    ui = ready.ui
    while ready.logic.review() is None or ready.logic.review().unseen:
        ui.nextSliceButton.click()
    cut(globe, "globe")
    assert ready.logic.review().changed


@pytest.mark.usefixtures("globe")
def test_it_can_be_exported(ready, tmp_path):
    assert not export_check(ready, "globe").checked
    assert export_check(ready, "globe").text == GLOBE["title"]
    export_check(ready, "globe").click()
    export_check(ready, "bone").click()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "nrrd")
    ready.ui.exportButton.click()
    held = segment_ids(tmp_path / "segmentation-both.seg.nrrd")
    assert "globe" in held
    assert "bone" not in held


@pytest.mark.usefixtures("globe")
def test_a_gap_is_never_made_into_a_surface(ready, tmp_path):
    ready.logic.settings["exportSegments"] = ["gap", "bone"]
    node = ready.ui.segmentationSelector.currentNode()
    node.GetSegmentation().AddEmptySegment("gap", "gap")
    segments.set_voxels(node, "gap", np.ones((4, 4, 4), np.uint8), np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert segments.volume_ml(node, "gap") > 0
    ready.logic.settings["exportFolder"] = str(tmp_path)
    for form, held in (("stl", ("bone",)), ("nrrd", ("bone", "gap"))):
        choose(ready.ui.formatBox, form)
        assert export_check(ready, "gap").enabled is (form == "nrrd")
        assert exporting.plan(ready.logic.settings, None, node, None).segments == held


def test_what_can_be_exported_is_what_the_chosen_segmentation_may_hold(ready, host, globe):
    other = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "another")
    ready.ui.segmentationSelector.setCurrentNode(other)
    assert export_check(ready, "globe") is None
    ready.ui.segmentationSelector.setCurrentNode(globe)
    assert export_check(ready, "globe") is not None


def test_its_limit_has_a_slider_of_its_title_and_moves_it(ready, globe):
    from OrbitalSegPanel import results

    assert results.limits_in(ready.logic.settings)["globe"] == 0.5
    titles = [label.text for label in ready.ui.slidersBox.findChildren(ready.ui.thresholdLabel.__class__)]
    assert f"{GLOBE['title']} above:" in titles
    limits = ready.logic.settings["limits"]
    bone = voxels(globe, "bone")
    ready.logic.move_limits(limits | {"globe": 0.9})
    assert voxels(globe, "globe") == 0
    ready.logic.move_limits(limits)
    assert voxels(globe, "globe") > 0
    assert voxels(globe, "bone") == bone


@pytest.mark.usefixtures("globe")
def test_it_is_still_known_in_a_scene_that_was_saved(host, tmp_path):
    assert host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    host.scene.Clear(False)
    assert host.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    (node,) = host.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segments.brought(node)["globe"].title == GLOBE["title"]
    assert segments.edited(node) == []
