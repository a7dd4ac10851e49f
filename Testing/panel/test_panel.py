"""Every control of the panel, and every state: with a worker that only pretends."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from conftest import FOLDER
from fakes import BOX_MM, Database, image_of, mask_array, write_result
from hands import choose, edit, export_check, node_names, voxels
from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import segment_ids
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.classical import CLASSICAL
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.structures import STRUCTURES
from OrbitalSegLib.tasks import job_from
from OrbitalSegPanel import packages, segments, thresholds, volumes
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.settings import DEFAULTS, PROBABILITY, RESULT, SEGMENTATION, Settings


def test_an_empty_panel_offers_what_can_be_done(panel):
    ui = panel.ui
    assert "not a medical device" in ui.noticeLabel.text
    assert ui.phantomButton.enabled
    for name in ("segmentButton", "cancelButton", "saveLogButton", "exportButton", "recordButton", "roiButton"):
        assert not getattr(ui, name).enabled, name
    for name in (
        "nextSliceButton",
        "markSliceButton",
        "maskButton",
        "thinBrushButton",
        "resetLimitsButton",
        "settleButton",
    ):
        assert not getattr(ui, name).enabled, name
    assert ui.conditionsTable.isHidden()


def test_the_table_stands_there_as_soon_as_a_scan_is_chosen(ready):
    table = ready.ui.conditionsTable
    texts = [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]
    assert ["✗", "Matrix", "20 x 24", "at least 512 x 512"] in texts
    assert ["?", "Tube voltage", "not stated", "80 to 120 kV (100 advised)"] in texts
    assert "Thin walls" in ready.ui.feasibilityLabel.text
    assert "not met" in table.item([row[1] for row in texts].index("Matrix"), 0).toolTip()


def test_what_the_scanner_said_is_read_from_slicers_database(ready, host, tmp_path, monkeypatch):
    from phantom_series import write_series

    files = write_series(tmp_path / "series")
    monkeypatch.setattr(host.slicer, "dicomDatabase", Database(tmp_path / "series"), raising=False)
    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "from DICOM")
    volumes.put_image(node, sitk.Image([16, 16, 8], sitk.sitkInt16))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    ready.ui.volumeSelector.setCurrentNode(node)
    table = ready.ui.conditionsTable
    rows = {table.item(row, 1).text(): table.item(row, 2).text() for row in range(table.rowCount)}
    assert rows["Tube voltage"] == "100 kV"
    ready.ui.segmentButton.click()
    assert ready.logic.python.jobs[-1]["acquisition"]["tube_voltage_kv"] == 100


def test_the_practice_scan_is_one_click_away(panel, python):
    from phantom_series import SIZE, write_series

    panel.ui.phantomButton.click()
    assert job_from(python.jobs[-1]).task == "phantom"
    python.result.mkdir()
    write_series(python.result / "series")
    python.succeed()
    panel.logic.poll()
    node = panel.ui.volumeSelector.currentNode()
    assert node.GetImageData().GetDimensions()[0] == SIZE
    table = panel.ui.conditionsTable
    assert "100 kV" in [table.item(row, 2).text() for row in range(table.rowCount)]


def test_sample_data_offers_the_practice_scan_without_a_download(panel, python, host, monkeypatch):
    import OrbitalSeg
    from host import scripted

    class Parent:
        """What Slicer keeps of a module."""

        path = OrbitalSeg.__file__

    OrbitalSeg.OrbitalSeg(Parent())
    scripted.STARTED[-1]()
    (source,) = scripted.SampleDataLogic.sources["OrbitalSeg"]
    assert Path(source.thumbnailFileName).is_file()
    shown = []
    monkeypatch.setattr(host.slicer.util, "selectModule", shown.append, raising=False)
    widget = SimpleNamespace(self=lambda: panel)
    monkeypatch.setattr(host.slicer.modules.orbitalseg, "widgetRepresentation", lambda: widget, raising=False)
    source.customDownloader(source)
    assert shown == ["OrbitalSeg"]
    assert python.jobs[-1]["task"] == "phantom"


def test_a_practice_scan_that_cannot_be_read_leaves_the_scene(panel, python, host):
    before = node_names(host.scene)
    panel.ui.phantomButton.click()
    python.succeed()
    panel.logic.poll()
    assert "could not be read" in panel.ui.messageLabel.text
    assert node_names(host.scene) == before


def test_a_transform_is_said(ready, host, volume):
    assert ready.ui.transformLabel.isHidden()
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    ready.refresh()
    assert not ready.ui.transformLabel.isHidden()
    assert "copy" in ready.ui.transformLabel.text


def test_what_was_done_to_a_moved_volume_is_said_with_the_result(segment, ready, host, volume):
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    segment()
    assert "The volume's transform is applied to a copy of it." in ready.ui.messageLabel.text


def test_the_side_stands_in_the_name_of_the_result(segment, ready):
    node = segment()
    assert node.GetName() == "CT, orbital bone"
    choose(ready.ui.regionBox, "right")
    assert segment() is node
    assert node.GetName() == "CT, bone of the right orbit"
    node.SetName("mine")
    choose(ready.ui.regionBox, "left")
    assert segment().GetName() == "mine"


@pytest.mark.parametrize("region", ["auto", "left", "right", "whole"])
def test_the_job_is_one_that_the_worker_takes(ready, python, region):
    choose(ready.ui.regionBox, region)
    ready.ui.purposeEdit.setText("Plate, right floor")
    ready.ui.purposeEdit.textEdited.emit("Plate, right floor")
    ready.ui.segmentButton.click()
    job = python.jobs[-1]
    assert job["contract"] == CONTRACT
    assert job_from(job).method == "threshold"
    assert (job["region"], job["purpose"]) == (region, "Plate, right floor")
    image = sitk.ReadImage(job["input"])
    assert (image.GetSize(), image.GetOrigin()) == ((24, 20, 12), (-12.0, -10.0, 100.0))


def test_a_box_of_the_scene_becomes_the_region(ready, python):
    ready.ui.roiButton.click()
    roi = ready.ui.roiSelector.currentNode()
    roi.SetCenterWorld(1, 2, 108)
    roi.SetSizeWorld(10, 12, 8)
    assert ready.ui.regionBox.itemData(ready.ui.regionBox.currentIndex) == "roi"
    ready.ui.segmentButton.click()
    assert python.jobs[-1]["region"] == pytest.approx([-6, 4, -8, 4, 104, 112])


def test_a_region_by_box_without_a_box_is_refused_in_words(ready, python):
    choose(ready.ui.regionBox, "roi")
    ready.ui.segmentButton.click()
    assert "Choose a box" in ready.ui.messageLabel.text
    assert python.jobs == []


@pytest.mark.parametrize("name", list(METHODS))
def test_the_parameters_are_those_of_the_method(ready, name):
    choose(ready.ui.methodBox, name)
    for item in (item for item in METHODS[name].describe() if item["kind"] == "number"):
        spin = ready.ui.parametersBox.findChild(type(ready.ui.parametersBox).mro()[-2], f"parameter_{item['name']}")
        assert item["title"] in spin.toolTip
        assert spin.maximum == item["maximum"]
    assert Settings(ready.logic.settings.node)["parameters"].get(name, {}) == {}


def test_the_memory_of_a_run_is_said_before_it_starts(ready, tmp_path):
    assert ready.ui.memoryLabel.text == "A method without networks needs little memory."
    choose(ready.ui.methodBox, "multigrey")
    assert ready.ui.memoryLabel.text.startswith("Memory: about ")
    (tmp_path / "model.json").write_text("{")
    ready.ui.modelEdit.currentPath = str(tmp_path)
    assert "no model package" in ready.ui.memoryLabel.text


def test_only_what_differs_from_the_default_is_sent(ready, python, host):
    spin = ready.ui.parametersBox.findChild(host.qt.QDoubleSpinBox, "parameter_lower_hu")
    spin.setValue(250)
    ready.ui.segmentButton.click()
    assert python.jobs[-1]["parameters"] == {"lower_hu": 250.0}
    python.fail()
    ready.logic.poll()
    spin.setValue(300)
    ready.ui.segmentButton.click()
    assert python.jobs[-1]["parameters"] == {}


def test_progress_is_shown_and_the_window_stays_usable(ready, python):
    ready.ui.segmentButton.click()
    assert not ready.ui.segmentButton.enabled
    assert ready.ui.cancelButton.enabled
    python.work.lines = [{"event": "progress", "percent": 42, "step": "modelling", "seconds_left": 75.2}]
    ready.logic.poll()
    assert ready.ui.progressBar.value == 42
    assert ready.ui.stepLabel.text == "modelling, 1 min 15 s left"


def test_cancel_ends_the_run_and_leaves_the_scene(ready, python, host, tmp_path):
    before = node_names(host.scene)
    ready.ui.segmentButton.click()
    ready.ui.cancelButton.click()
    assert python.work.asked_to_stop
    ready.logic.poll()
    assert "cancelled" in ready.ui.messageLabel.text
    assert ready.ui.segmentButton.enabled
    assert node_names(host.scene) == before
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_failure_is_told_in_the_workers_words_with_a_log_to_save(ready, python, tmp_path):
    ready.ui.segmentButton.click()
    python.fail("No bone was found: lower the limit.")
    ready.logic.poll()
    assert ready.ui.messageLabel.text == "No bone was found: lower the limit."
    assert ready.ui.saveLogButton.enabled
    section = ready.sections[3]
    section.write_log(tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text() == "what it said\n"


def test_warnings_and_the_verdict_are_kept_in_sight(ready, python, host):
    ready.ui.segmentButton.click()
    python.work.lines = [{"event": "warning", "code": "thin-walls", "text": "Thin walls: not feasible."}]
    write_result(python.result)
    python.succeed(monitoring={"verdict": "check", "reasons": ["Slices are thick."]})
    ready.logic.poll()
    assert "Thin walls: not feasible." in ready.ui.messageLabel.text
    assert "Verdict: check." in ready.ui.verdictLabel.text
    assert "Slices are thick." in ready.ui.verdictLabel.text
    ready.panel.say("Something else.")
    ready.refresh()
    assert not ready.ui.verdictLabel.isHidden()
    host.scene.RemoveNode(ready.ui.segmentationSelector.currentNode())
    assert ready.ui.verdictLabel.isHidden()


def test_segments_of_one_orbit_say_whose_side_they_are(segment):
    segmentation = segment(asked="right").GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    assert "Orbital bone, right" in names
    assert all(name.endswith(", right") for name in names)


def test_a_result_becomes_segments(segment):
    node = segment()
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(4)]
    assert names == ["Orbital bone", "Cortical bone", "Thin bone", "Inferred wall (not seen on the scan)"]
    assert voxels(node, "bone") == mask_array().sum()
    assert segmentation.GetSegment("inferred").GetColor() == pytest.approx(segments.WARNING_COLOUR)
    display = node.GetDisplayNode()
    assert display.GetSegmentOpacity2DFill("inferred") == 0
    assert display.GetSegmentOpacity2DFill("bone") > 0
    assert segmentation.GetSegment("bone").GetRepresentation(segments.SURFACE).GetNumberOfCells() > 100
    assert segments.tag(segmentation.GetSegment("bone"), "TerminologyEntry").startswith("Segmentation category")
    assert node.GetStorageNode() is None or not node.GetStorageNode().GetFileName()


def polled(panel) -> int:
    """How often the window looked until the work was done."""
    count = 0
    while panel.logic.runs.busy:
        panel.poll()
        count += 1
    return count


def test_a_result_is_read_in_parts_between_which_the_window_lives(ready, python):
    ready.ui.segmentButton.click()
    write_result(python.result)
    python.succeed(volumes_ml={"bone": 1.0})
    ready.poll()
    assert ready.logic.runs.running == "segment"
    assert ready.ui.segmentationSelector.currentNode() is None
    assert not ready.ui.segmentButton.enabled
    assert polled(ready) > 1
    assert "The segments are in the scene." in ready.ui.messageLabel.text
    node = ready.ui.segmentationSelector.currentNode()
    assert voxels(node, "bone") == mask_array().sum()
    assert node.GetSegmentation().GetSegment("bone").GetRepresentation(segments.SURFACE).GetNumberOfCells() > 100
    assert ready.logic.edited() == []


def test_a_scene_that_is_closed_while_a_result_is_read_stays_empty(ready, python, host):
    ready.ui.segmentButton.click()
    write_result(python.result)
    folder = python.result
    python.succeed()
    ready.poll()
    host.scene.Clear(False)
    assert ready.logic.runs.running is None
    ready.poll()
    assert not host.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not folder.exists()


@pytest.mark.parametrize("finish", [polled, lambda panel: panel.logic.poll()], ids=["in parts", "at once"])
@pytest.mark.parametrize("name", ["record.json", "segmentation.seg.nrrd", "probability-thin.nrrd"])
def test_a_result_that_cannot_be_read_leaves_the_scene_as_it_was(ready, python, host, name, finish):
    before = node_names(host.scene)
    ready.ui.segmentButton.click()
    write_result(python.result)
    (python.result / name).write_text("{")
    python.succeed()
    finish(ready)
    assert "could not be read" in ready.ui.messageLabel.text
    assert node_names(host.scene) == before


def test_a_second_run_replaces_what_nobody_touched(segment, host):
    first = segment()
    assert segment(grown=1) is first
    assert voxels(first, "bone") == mask_array(1).sum()
    assert len(host.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_an_edited_segment_is_replaced_only_after_asking_and_one_undo_brings_it_back(segment, ready):
    node = segment()
    edit(node)
    edited = voxels(node, "bone")
    questions = []
    ready.panel.ask = lambda text: questions.append(text) or True
    ready.ui.segmentButton.click()
    write_result(ready.logic.python.result, grown=1)
    ready.logic.python.succeed()
    ready.logic.poll()
    assert "Orbital bone" in questions[0]
    assert voxels(node, "bone") == mask_array(1).sum()
    ready.ui.editorWidget.undo()
    assert voxels(node, "bone") == edited


def test_an_edited_segment_stays_when_the_answer_is_no(segment):
    node = segment()
    edit(node)
    edited = voxels(node, "bone")
    other = segment(answer=False, grown=1)
    assert other is not node
    assert (voxels(node, "bone"), voxels(other, "bone")) == (edited, mask_array(1).sum())


def test_what_a_run_knew_counts_only_for_its_own_segmentation_and_scan(segment, ready, python, host, tmp_path):
    first = segment()
    edit(first)
    second = segment(answer=False, grown=1)
    ui = ready.ui
    ui.exportFolderEdit.currentPath = str(tmp_path)
    assert ui.slidersBox.enabled
    other = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another CT")
    volumes.put_image(other, image_of(np.zeros((4, 4, 4), np.int16)))
    ui.volumeSelector.setCurrentNode(other)
    assert ui.slidersBox.enabled  # the result knows its scan
    ui.exportButton.click()
    assert sitk.ReadImage(python.jobs[-1]["ct"]).GetSize() == (24, 20, 12)
    python.fail()
    ready.logic.poll()
    ui.segmentationSelector.setCurrentNode(first)
    assert not ui.slidersBox.enabled
    assert not ui.recordButton.enabled
    before = segments.fingerprint(first, "bone")
    ready.logic.move_limits({"cortical": 0.1, "thin": 0.1})
    assert segments.fingerprint(first, "bone") == before
    ui.exportButton.click()
    assert "record" not in python.jobs[-1]
    python.fail()
    ready.logic.poll()
    ui.segmentationSelector.setCurrentNode(second)
    assert ui.slidersBox.enabled


def test_an_edit_during_the_run_is_not_overwritten_either(segment, ready, python):
    node = segment()
    ready.ui.segmentButton.click()
    edit(node)
    edited = voxels(node, "bone")
    write_result(python.result, grown=1)
    python.succeed()
    ready.logic.poll()
    assert voxels(node, "bone") == edited
    assert "left alone" in ready.ui.messageLabel.text


def test_the_users_own_segments_are_never_touched(segment):
    node = segment()
    own = node.GetSegmentation().AddEmptySegment("mine", "My plate")
    segment(grown=1)
    assert node.GetSegmentation().GetSegment(own).GetName() == "My plate"


def slider(ready, name: str):
    return ready.ui.slidersBox.findChild(type(ready.ui.slidersBox).mro()[-2], f"limit_{name}")


def slide(ready, host, **values: float) -> None:
    """Move sliders, and wait until bone of these limits is shown."""
    for name, value in values.items():
        slider(ready, name).value = value
    host.process_until(lambda: ready.logic.settings["limits"].items() >= values.items(), 5)


def test_a_slider_does_not_jump_back_where_the_panel_shows_its_state_meanwhile(segment, ready, host):
    segment()
    slider(ready, "cortical").value = 0.3
    ready.refresh()
    host.process_until(lambda: ready.logic.settings["limits"]["cortical"] == pytest.approx(0.3), 5)


@pytest.fixture
def settling(segment, ready, host):
    """A slider was moved, and rests: the worker makes what a run with its limit makes."""
    node = segment()
    slide(ready, host, cortical=0.3)
    host.process_until(lambda: ready.logic.runs.running == "settle", 5)
    return node


def test_a_slider_shows_a_preview_of_other_bone_at_once(segment, ready, python, host):
    node = segment()
    jobs = len(python.jobs)
    assert slider(ready, "cortical").value == pytest.approx(0.5)
    before = voxels(node, "bone")
    slide(ready, host, cortical=0.3)
    x, y = (slice(max(a, 0), b) for a, b in ((6, 18), (6, 14)))
    wanted = mask_array()[:, y, x]
    array = np.zeros_like(mask_array())
    array[:, y, x] = wanted
    array[2, 6:14, 6:18] = 1
    assert voxels(node, "bone") == (array * inside_the_box()).sum()
    assert "preview" in ready.ui.thresholdLabel.text
    assert len(python.jobs) == jobs
    assert ready.logic.settings["limits"] == {"cortical": 0.3, "thin": 0.5}
    assert "Limits of probability were moved after the run: cortical 0.3, thin 0.5." in [
        review["comment"] for review in ready.logic.reviews()
    ]
    ready.ui.editorWidget.undo()
    assert voxels(node, "bone") == before


def test_when_sliders_rest_the_segments_become_what_a_run_makes(settling, ready, python):
    job = job_from(python.jobs[-1])
    assert (job.task, job.method, job.parameters) == (
        "segment",
        "multigrey",
        {"cortical_above": 0.3, "thin_above": 0.5},
    )
    assert (job.kept / "record.json").is_file()
    assert sitk.ReadImage(str(job.input)).GetSize() == (24, 20, 12)
    ui, node = ready.ui, settling
    assert ui.slidersBox.enabled
    assert ui.cancelButton.enabled
    assert not ui.exportButton.enabled
    python.work.lines = [{"event": "progress", "percent": 42, "step": "modelling", "seconds_left": 5.0}]
    ready.logic.poll()
    assert "42 %" in ui.thresholdLabel.text
    write_result(python.result, grown=1, limits=(0.3, 0.5))
    python.succeed(monitoring={"verdict": "check", "reasons": ["Limits are low."]})
    ready.ui.nextSliceButton.click()
    node.GetDisplayNode().SetSegmentVisibility("cortical", True)
    ready.logic.poll()
    assert whole(node, "bone").sum() == mask_array(1).sum()
    assert node.GetSegmentation().GetSegment("bone").GetRepresentation(segments.SURFACE).GetNumberOfCells() > 100
    assert node.GetDisplayNode().GetSegmentVisibility("cortical")  # as the user had it
    assert segments.edited(node) == []
    assert "preview" not in ui.thresholdLabel.text
    assert "Limits are low." in ui.verdictLabel.text
    assert ready.logic.settings["review"]  # what was seen stays seen, where it is the same
    assert all("moved" not in (review["comment"] or "") for review in ready.logic.reviews())
    before = whole(node, "bone")
    ready.ui.editorWidget.undo()  # one for preview and result together
    assert voxels(node, "bone") == mask_array().sum()
    ready.logic.move_limits({"cortical": 0.2, "thin": 0.5})
    ready.logic.move_limits({"cortical": 0.3, "thin": 0.5})
    np.testing.assert_array_equal(whole(node, "bone"), before)


@pytest.mark.usefixtures("settling")
def test_the_limits_of_the_run_come_back_after_others_were_settled(ready, python, host):
    write_result(python.result, grown=1, limits=(0.3, 0.5))
    python.succeed()
    ready.logic.poll()
    ready.ui.resetLimitsButton.click()
    assert slider(ready, "cortical").value == pytest.approx(0.5)
    host.process_until(lambda: ready.logic.runs.running == "settle", 5)
    job = job_from(python.jobs[-1])
    assert job.parameters == {"cortical_above": 0.5, "thin_above": 0.5}
    assert job.input.is_file()
    assert json.loads((job.kept / "record.json").read_text())["steps"][1]["parameters"]["cortical_above"] == 0.3
    assert not ready.ui.resetLimitsButton.enabled


@pytest.mark.usefixtures("settling")
def test_a_slider_that_moves_again_ends_what_was_being_made(ready, python, host, tmp_path):
    first = python.work
    slide(ready, host, cortical=0.35)
    assert first.killed
    assert len(list((tmp_path / FOLDER).iterdir())) == 1  # the run's
    assert slider(ready, "cortical").value == pytest.approx(0.35)
    host.process_until(lambda: ready.logic.runs.running == "settle", 5)
    assert python.jobs[-1]["parameters"]["cortical_above"] == 0.35


def test_a_preview_can_be_kept_and_made_exact_later(settling, ready, python):
    shown = voxels(settling, "bone")
    ready.ui.cancelButton.click()
    ready.logic.poll()
    assert voxels(settling, "bone") == shown
    assert "preview" in ready.ui.thresholdLabel.text
    ready.ui.settleButton.click()
    assert ready.logic.runs.running == "settle"
    python.fail("The result is of another scan.")
    ready.logic.poll()
    assert "another scan" in ready.ui.messageLabel.text
    assert voxels(settling, "bone") == shown


def test_what_was_edited_while_it_was_made_is_left_alone(settling, ready, python):
    edit(settling)
    edited = voxels(settling, "bone")
    write_result(python.result, grown=1, limits=(0.3, 0.5))
    python.succeed()
    ready.logic.poll()
    assert voxels(settling, "bone") == edited
    assert "edited" in ready.ui.messageLabel.text


def test_a_result_that_goes_while_others_limits_are_made_does_no_harm(settling, ready, python, host):
    host.scene.RemoveNode(settling)
    write_result(python.result, grown=1, limits=(0.3, 0.5))
    python.succeed()
    ready.logic.poll()
    assert ready.logic.runs.running is None
    assert not ready.ui.slidersBox.enabled


def test_a_slider_that_nobody_moved_keeps_decimals_that_it_does_not_show(ready, python, host):
    ready.ui.segmentButton.click()
    write_result(python.result, limits=(0.5, 0.585))
    python.succeed()
    ready.logic.poll()
    slide(ready, host, cortical=0.3)
    assert ready.logic.settings["limits"] == {"cortical": 0.3, "thin": 0.585}


def test_what_a_slider_needs_is_made_when_its_section_is_opened(segment, ready, host, monkeypatch):
    from OrbitalSegPanel import logic

    made = []
    monkeypatch.setattr(logic, "Thresholds", lambda *given: made.append(thresholds.Thresholds(*given)) or made[-1])
    segment()
    ready.ui.thresholdSection.collapsed = True
    ready.ui.thresholdSection.collapsed = False
    host.process_until(lambda: made, 5)
    slide(ready, host, cortical=0.3)
    assert len(made) == 1


def test_after_an_undo_a_surface_is_made_of_what_is_shown(segment, ready, python, tmp_path):
    node = segment()
    segment(grown=1)
    ready.ui.editorWidget.undo()
    assert voxels(node, "bone") == mask_array().sum()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    ready.ui.exportButton.click()
    assert "record" not in python.jobs[-1]  # that knows the second run only


def test_the_limits_of_a_result_bring_its_own_segments_back(segment, ready):
    node = segment()
    before = {name: segments.fingerprint(node, name) for name in STRUCTURES}
    surface = node.GetSegmentation().GetSegment("bone").GetRepresentation
    triangles = surface(segments.SURFACE).GetNumberOfCells()
    ready.logic.move_limits({"cortical": 0.3, "thin": 0.5})
    assert segments.fingerprint(node, "bone") != before["bone"]
    assert surface(segments.SURFACE) is None  # nothing stale is shown in 3D
    ready.refresh()
    ready.ui.resetLimitsButton.click()
    assert {name: segments.fingerprint(node, name) for name in STRUCTURES} == before
    assert surface(segments.SURFACE).GetNumberOfCells() == triangles
    assert segments.edited(node) == []
    assert ready.logic.reviews() == []


def test_inferred_wall_that_a_slider_makes_seen_is_inferred_no_more(segment, ready):
    node = segment()
    wall = voxels(node, "inferred")
    assert wall > 0
    ready.logic.move_limits({"cortical": 0.0, "thin": 0.0})
    everything = inside_the_box().sum()
    assert voxels(node, "bone") < everything  # no probability at all is above no limit
    array = {name: whole(node, name) for name in ("bone", "inferred")}
    assert not (array["bone"] & array["inferred"]).any()
    assert voxels(node, "inferred") <= wall


def whole(node, identity: str) -> np.ndarray:
    """A segment on the grid of the pretended scan (z, y, x)."""
    labels = segments.label_map(node, identity)
    array, extent = segments.array_of(labels), labels.GetExtent()
    place = np.linalg.inv(segments.grid_of(node)[0]) @ segments.image_to_ras(labels) @ (*extent[::2], 1)
    x, y, z = np.rint(place[:3]).astype(int)
    found = np.zeros_like(mask_array(), bool)
    found[z : z + array.shape[0], y : y + array.shape[1], x : x + array.shape[2]] = array
    return found


def inside_the_box() -> np.ndarray:
    """The voxels of the pretended scan whose centres lie in the region."""
    from fakes import ORIGIN_MM, SIZE_XYZ, SPACING_MM

    axes = [ORIGIN_MM[a] + SPACING_MM[a] * np.arange(SIZE_XYZ[a]) for a in range(3)]
    x, y, z = ((axes[a] >= BOX_MM[2 * a]) & (axes[a] <= BOX_MM[2 * a + 1]) for a in range(3))
    return z[:, None, None] & y[:, None] & x


def test_thresholds_keep_no_probabilities_so_their_sliders_are_off(segment, ready):
    segment(networks=False)
    assert not ready.ui.slidersBox.enabled
    assert ready.logic.thresholds() is None


def test_the_presets_set_the_editor(segment, ready, volume):
    segment()
    editor = ready.ui.editorWidget.mrmlSegmentEditorNode()
    assert editor.GetSegmentationNode() is ready.ui.segmentationSelector.currentNode()
    assert editor.GetSourceVolumeNode() is volume
    ready.ui.maskButton.click()
    assert editor.GetSourceVolumeIntensityMask()
    assert tuple(editor.GetSourceVolumeIntensityMaskRange()) == (-100, 300)
    ready.ui.maskButton.click()
    assert not editor.GetSourceVolumeIntensityMask()
    for button, effect in (
        ("thinBrushButton", "Paint"),
        ("islandsButton", "Islands"),
        ("smoothingButton", "Smoothing"),
    ):
        getattr(ready.ui, button).click()
        assert editor.GetActiveEffectName() == effect
    ready.exit()
    assert not editor.GetActiveEffectName()


def test_voxels_are_exported_by_side_and_nothing_is_overwritten(segment, ready, tmp_path):
    node = segment()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "nifti")
    for _ in range(2):
        choose(ready.ui.sideBox, "both")
        ready.ui.exportButton.click()
    for side in ("left", "right"):
        choose(ready.ui.sideBox, side)
        ready.ui.exportButton.click()
    found = {path.name: int(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).sum()) for path in tmp_path.glob("*.gz")}
    assert sorted(found) == ["bone-both-2.nii.gz", "bone-both.nii.gz", "bone-left.nii.gz", "bone-right.nii.gz"]
    assert found["bone-both.nii.gz"] == voxels(node, "bone")
    assert found["bone-left.nii.gz"] + found["bone-right.nii.gz"] == found["bone-both.nii.gz"]
    left = sitk.ReadImage(str(tmp_path / "bone-left.nii.gz"))
    indices = np.argwhere(sitk.GetArrayFromImage(left))[:, ::-1]
    assert min(left.TransformIndexToPhysicalPoint(index.tolist())[0] for index in indices) >= 0  # LPS: x to the left


@pytest.fixture
def export_nrrd(ready, tmp_path):
    """Exports voxels of a side; returns the names of all files, and what was said."""

    def press(side: str):
        ready.ui.exportFolderEdit.currentPath = str(tmp_path)
        choose(ready.ui.formatBox, "nrrd")
        choose(ready.ui.sideBox, side)
        ready.ui.exportButton.click()
        return sorted(path.name for path in tmp_path.glob("*.nrrd")), ready.ui.exportLabel.text

    return press


def test_a_result_of_one_orbit_is_named_after_it_and_never_cut_in_two(segment, export_nrrd):
    segment(asked="right")
    assert export_nrrd("both")[0] == ["segmentation-right.seg.nrrd"]
    assert export_nrrd("right")[0] == ["segmentation-right-2.seg.nrrd", "segmentation-right.seg.nrrd"]
    names, said = export_nrrd("left")
    assert len(names) == 2
    assert "holds the right orbit only" in said


@pytest.mark.parametrize("found", [True, False])
def test_a_box_is_cut_between_the_orbits_of_the_scan_or_not_at_all(segment, export_nrrd, monkeypatch, tmp_path, found):
    from OrbitalSegLib import locating
    from OrbitalSegLib.export.segmentation import read_segmentation

    places = ((8.0, 0.0, 0.0), (-4.0, 0.0, 0.0)) if found else ((8.0, 0.0, 0.0), None)
    left, right = (SimpleNamespace(opening_mm=place) for place in places)
    monkeypatch.setattr(locating, "locate", lambda _ct: SimpleNamespace(left=left, right=right))
    segment(asked="box")
    names, said = export_nrrd("left")
    assert names == (["segmentation-left.seg.nrrd"] if found else [])
    assert ("cannot be told apart" in said) != found
    if found:
        mask = read_segmentation(tmp_path / names[0], "bone")
        indices = np.argwhere(sitk.GetArrayFromImage(mask))[:, ::-1]
        assert min(mask.TransformIndexToPhysicalPoint(index.tolist())[0] for index in indices) == 2.0


def test_a_surface_is_exported_and_its_quality_shown(segment, ready, python, tmp_path):
    segment()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "stl")
    ready.ui.exportButton.click()
    job = python.jobs[-1]
    assert (job["task"], job["segment"], job["formats"]) == ("surface", "bone", ["stl"])
    assert sitk.ReadImage(job["ct"]).GetSize() == (24, 20, 12)
    assert job_from(job).smoothing == "faithful"
    python.result.mkdir()
    (python.result / "bone.stl").write_bytes(b"x" * 100)
    (python.result / "bone-quality.vtp").write_bytes(b"y")
    (python.result / "record.json").write_text("{}")
    python.succeed(surface={"triangles": 12, "closed": True, "deviation_mm": {"p95": 0.21}})
    ready.logic.poll()
    assert (tmp_path / "bone-both.stl").read_bytes() == b"x" * 100
    table = ready.ui.qualityTable
    rows = {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}
    assert rows == {"Triangles": "12", "closed": "yes", "deviation mm p95": "0.21"}
    assert ready.ui.filesList.item(0).text() == "bone-both.stl"


@pytest.mark.usefixtures("panel")
def test_the_map_of_a_surface_is_shown_where_the_surface_is(tmp_path):
    from OrbitalSegLib.export.surfaces import write_map
    from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of_mask
    from OrbitalSegPanel import exporting, quality

    bone = image_of(mask_array())
    mesh, _ = surface_of_mask(bone, SurfaceParameters())
    thickness_mm = np.full(mesh.GetNumberOfPoints(), 2.5, np.float32)
    thickness_mm[:2] = (0.0, -1.0)
    thickness = numpy_to_vtk(thickness_mm, deep=True)
    thickness.SetName(quality.THICKNESS)
    mesh.GetPointData().AddArray(thickness)
    write_map(mesh, tmp_path / "bone-left-quality.vtp")
    node = quality.show_surface(exporting.Exported(tmp_path, [tmp_path / "bone-left-quality.vtp"]))
    assert node.GetName() == "bone-left"
    assert node.GetDisplayNode().GetScalarVisibility()
    colours = vtk_to_numpy(node.GetPolyData().GetPointData().GetArray(node.GetDisplayNode().GetActiveScalarName()))
    assert [tuple(colour) for colour in colours[:2]] == [quality.STOP_COLOURS[0], quality.NOT_MEASURED]
    assert set(map(tuple, colours[2:])) == {quality.STOP_COLOURS[-1]}
    middle = np.reshape(node.GetPolyData().GetBounds(), (3, 2)).mean(axis=1)  # RAS
    wanted = bone.TransformContinuousIndexToPhysicalPoint([11.5, 9.5, 5.5])
    np.testing.assert_allclose(middle, np.multiply(wanted, (-1, -1, 1)), atol=0.6)


def test_inferred_wall_is_exported_only_when_chosen(segment, ready, tmp_path):
    segment()
    assert not export_check(ready, "inferred").checked
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "nrrd")
    ready.ui.exportButton.click()
    export_check(ready, "inferred").click()
    ready.ui.exportButton.click()
    from OrbitalSegLib.errors import InputError
    from OrbitalSegLib.export.segmentation import read_segmentation

    with pytest.raises(InputError):
        read_segmentation(tmp_path / "segmentation-both.seg.nrrd", "inferred")
    assert sitk.GetArrayFromImage(read_segmentation(tmp_path / "segmentation-both-2.seg.nrrd", "inferred")).any()


def export_both(ready, folder) -> None:
    """Bone and inferred wall as one, and nothing else."""
    ready.ui.exportFolderEdit.currentPath = str(folder)
    for name in ("bone", "bone+inferred"):
        export_check(ready, name).click()
    for form, able in (("nrrd", False), ("stl", True)):
        choose(ready.ui.formatBox, form)
        assert export_check(ready, "bone+inferred").enabled is able
    ready.ui.exportButton.click()


def test_bone_and_inferred_wall_are_one_surface_where_it_is_chosen(segment, ready, python, tmp_path):
    segment()
    assert not export_check(ready, "bone+inferred").checked
    export_both(ready, tmp_path)
    job = python.jobs[-1]
    assert (job["task"], job_from(job).parts) == ("surface", ("bone", "inferred"))
    assert segment_ids(Path(job["input"])) >= {"bone", "inferred"}
    assert "record" in job  # as the run left both
    python.result.mkdir()
    (python.result / "bone_inferred.stl").write_bytes(b"x" * 100)
    (python.result / "bone_inferred-quality.vtp").write_bytes(b"y")
    (python.result / "record.json").write_text("{}")
    python.succeed(surface={"triangles": 12})
    ready.logic.poll()
    assert (tmp_path / "bone_inferred-both.stl").read_bytes() == b"x" * 100


def test_one_surface_of_what_was_edited_is_made_of_the_masks(segment, ready, python, tmp_path):
    segment()
    edit(ready.ui.segmentationSelector.currentNode())
    export_both(ready, tmp_path)
    assert python.jobs[-1]["task"] == "surface"
    assert "record" not in python.jobs[-1]


@pytest.mark.parametrize("folder", ["", "missing"])
def test_an_export_without_a_folder_is_refused_in_words(segment, ready, tmp_path, folder):
    segment()
    ready.ui.exportFolderEdit.currentPath = folder and str(tmp_path / folder)
    ready.ui.exportButton.click()
    assert "folder" in ready.ui.exportLabel.text


def test_the_review_walks_every_slice_and_remembers(segment, ready):
    segment()
    ui = ready.ui
    for seen in range(1, 7):
        ui.nextSliceButton.click()
        assert ui.reviewBar.value == seen
    assert not ui.nextSliceButton.enabled
    assert "6 of 6 slices seen" in ui.reviewLabel.text
    assert "slice 8 is shown" in ui.reviewLabel.text
    ui.markSliceButton.click()
    assert ui.markSliceButton.checked
    assert "1 marked" in ui.reviewLabel.text
    assert "slice-by-slice check" in ui.missingLabel.text
    ui.restartReviewButton.click()
    assert ui.reviewBar.value == 0


def test_a_slice_that_changed_after_it_was_seen_has_to_be_seen_again(segment, ready):
    node = segment()
    ui = ready.ui
    for _ in range(6):
        ui.nextSliceButton.click()
    edit(node)  # the first slice, while the last one is shown
    ready.refresh()
    assert ui.reviewBar.value == 5
    assert "1 changed" in ui.reviewLabel.text
    assert "slice-by-slice check" in ui.missingLabel.text
    ui.nextSliceButton.click()
    assert "slice 3 is shown" in ui.reviewLabel.text
    assert ui.reviewBar.value == 6


def test_a_marked_slice_can_be_reached_again_and_its_mark_taken_away(segment, ready):
    segment()
    ui = ready.ui
    ui.nextSliceButton.click()
    ui.nextSliceButton.click()
    ui.markSliceButton.click()
    for _ in range(4):
        ui.nextSliceButton.click()
    assert "6 of 6 slices seen, slice 8 is shown, 1 marked" in ui.reviewLabel.text
    ui.nextSliceButton.click()
    assert "slice 4 is shown" in ui.reviewLabel.text
    assert ui.markSliceButton.checked
    ui.markSliceButton.click()
    assert not ui.nextSliceButton.enabled
    assert "slice-by-slice check" not in ui.missingLabel.text


def test_the_slice_in_review_is_shown_in_its_own_plane(segment, ready, host):
    segment()
    red = host.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    red.SetLayoutName("Red")
    red.SetOrientation("Coronal")  # as if the scan were oblique to the view
    ready.ui.nextSliceButton.click()
    shown = red.GetSliceToRAS()
    assert [abs(round(shown.GetElement(row, 2), 6)) for row in range(3)] == [0, 0, 1]
    assert shown.GetElement(2, 3) == pytest.approx(100.0 + 3 * 1.5)
    ready.ui.nextSliceButton.click()
    assert shown.GetElement(2, 3) == pytest.approx(100.0 + 4 * 1.5)


def test_a_physicians_word_holds_only_for_what_was_judged(segment, ready):
    node = segment()
    ready.ui.physicianEdit.setText("Surgeon")
    ready.ui.physicianEdit.textEdited.emit("Surgeon")
    choose(ready.ui.outcomeBox, "accepted")
    assert [review["kind"] for review in ready.logic.reviews()] == ["physician"]
    edit(node)
    ready.refresh()
    assert "changed since" in ready.ui.missingLabel.text
    assert ready.logic.reviews() == []
    choose(ready.ui.outcomeBox, "rejected")
    assert [review["outcome"] for review in ready.logic.reviews()] == ["rejected"]


def test_what_the_written_record_lacks_is_said(segment, ready, python, tmp_path):
    segment()
    ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    ready.ui.recordButton.click()
    python.result.mkdir()
    python.succeed(missing=[{"id": "kernel", "term": "Reconstruction kernel", "part": "x", "why": "not stated"}])
    ready.logic.poll()
    assert "Missing in it: Reconstruction kernel (not stated)." in ready.ui.recordLabel.text


def test_the_record_is_asked_for_with_what_was_filled_in(segment, ready, python, tmp_path):
    segment()
    ui = ready.ui
    for edit_line, text in ((ui.purposeEdit, "Plate"), (ui.operatorEdit, "Engineer"), (ui.physicianEdit, "Surgeon")):
        edit_line.setText(text)
        edit_line.textEdited.emit(text)
    for _ in range(6):
        ui.nextSliceButton.click()
    choose(ui.outcomeBox, "accepted")
    assert ui.missingLabel.text == "All that can be filled in here is there."
    ui.recordFolderEdit.currentPath = str(tmp_path)
    ui.recordButton.click()
    job = python.jobs[-1]
    checked = job_from(job)
    assert (checked.task, checked.purpose, checked.operator) == ("review", "Plate", "Engineer")
    kinds = {review["kind"]: review for review in job["reviews"]}
    assert kinds["slice-by-slice"]["seen"] == 1
    assert kinds["physician"]["by"] == "Surgeon"
    assert (checked.result / "segmentation.seg.nrrd").is_file()
    assert checked.edited.is_file()
    python.result.mkdir()
    python.succeed(missing=[])
    ready.logic.poll()
    assert job["output"].rsplit("/", 1)[-1] in ui.recordLabel.text


def test_packages_are_asked_for_only_when_a_method_needs_them(ready, python, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _name: None)
    questions = []
    ready.panel.ask = lambda text: bool(questions.append(text))
    ready.ui.segmentButton.click()
    assert questions == []
    python.fail()
    ready.logic.poll()
    choose(ready.ui.methodBox, "multigrey")
    assert "openvino" in ready.ui.packagesLabel.text
    ready.ui.segmentButton.click()
    assert "openvino" in questions[0]
    assert "MB" in questions[0]
    assert python.installed == []
    ready.panel.ask = lambda _text: True
    ready.ui.segmentButton.click()
    assert python.installed == [(["openvino>=2024.4"], None)]
    assert ready.logic.runs.running == "install"


def test_how_surfaces_are_made_is_passed_on(segment, ready, python, tmp_path):
    segment()
    ready.ui.exportFolderEdit.currentPath = ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "3mf")
    choose(ready.ui.smoothingBox, "none")
    ready.ui.thickenSpin.setValue(0.8)
    ready.ui.simplifySpin.setValue(0.05)
    ready.ui.exportButton.click()
    wanted = {"smoothing": "none", "thicken_mm": 0.8, "simplify_mm": 0.05}
    assert python.jobs[-1].items() >= wanted.items()
    job_from(python.jobs[-1])
    python.fail()
    ready.logic.poll()
    ready.ui.recordButton.click()
    assert python.jobs[-1].items() >= wanted.items()
    job_from(python.jobs[-1])


def test_a_surface_is_made_of_what_the_run_knew_until_somebody_edits(segment, ready, python, tmp_path):
    node = segment()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.sideBox, "left")
    ready.ui.exportButton.click()
    job = python.jobs[-1]
    assert (Path(job["record"]) / "record.json").is_file()
    assert job["region"][0] == pytest.approx((BOX_MM[0] + BOX_MM[1]) / 2)
    job_from(job)
    python.fail()
    ready.logic.poll()
    edit(node)
    ready.ui.exportButton.click()
    assert "record" not in python.jobs[-1]


def test_files_of_one_export_stay_together_and_overwrite_none(segment, ready, python, tmp_path):
    segment()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    for form in ("stl", "obj"):
        choose(ready.ui.formatBox, form)
        ready.ui.exportButton.click()
        python.result.mkdir()
        for name in (f"bone.{form}", "bone-quality.vtp", "record.json"):
            (python.result / name).write_text(form)
        python.succeed()
        ready.logic.poll()
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
        "bone-both.stl": "stl",
        "bone-both-quality.vtp": "stl",
        "bone-both-record.json": "stl",
        "bone-both-2.obj": "obj",
        "bone-both-2-quality.vtp": "obj",
        "bone-both-2-record.json": "obj",
    }


def test_an_export_that_fails_half_way_leaves_no_file(segment, ready, python, tmp_path):
    segment()
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    ready.ui.exportButton.click()
    python.result.mkdir()
    (python.result / "bone.stl").write_text("x")
    python.succeed()
    ready.logic.poll()
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
    assert "No such file" in ready.ui.exportLabel.text


def test_dicom_needs_a_scan_from_dicom_and_says_so(segment, ready, python, tmp_path):
    segment()
    jobs = len(python.jobs)
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    choose(ready.ui.formatBox, "dicom")
    assert not ready.ui.sideBox.enabled
    assert not ready.ui.smoothingBox.enabled
    ready.ui.exportButton.click()
    assert "imported it from DICOM" in ready.ui.exportLabel.text
    assert len(python.jobs) == jobs


@pytest.mark.parametrize(("form", "module"), [("dicom", "highdicom"), ("stl", "manifold3d")])
def test_packages_of_an_export_are_asked_for_when_it_needs_them(
    segment, ready, python, tmp_path, monkeypatch, form, module
):
    segment()
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _name: None)
    questions = []
    ready.panel.ask = lambda text: bool(questions.append(text))
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    jobs = len(python.jobs)
    ready.ui.exportButton.click()
    assert questions == []  # a plain surface needs none
    python.fail()
    ready.logic.poll()
    ready.ui.simplifySpin.setValue(0.1)
    choose(ready.ui.formatBox, form)
    ready.ui.exportButton.click()
    assert module in questions[0]
    assert len(python.jobs) == jobs + 1
    ready.panel.ask = lambda _text: True
    ready.ui.exportButton.click()
    assert python.installed[-1][0][0].startswith(module)
    python.fail("No network.", "not-installed")
    ready.logic.poll()
    assert ready.ui.exportLabel.text == "No network."


def test_a_box_lies_where_the_views_meet(ready, host, volume):
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        node = host.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetLayoutName(name)
        node.SetOrientation(orientation)
        node.JumpSliceByOffsetting(4, -3, 110)
    ready.ui.roiButton.click()
    assert ready.ui.roiSelector.currentNode().GetCenterWorld() == pytest.approx((4, -3, 110))
    host.slicer.util.getNode("Red").JumpSliceByOffsetting(0, 0, 900)  # outside the scan
    ready.ui.roiButton.click()
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    middle = [(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
    assert ready.ui.roiSelector.currentNode().GetCenterWorld() == pytest.approx(middle)


def test_a_scene_that_is_closed_during_a_run_ends_it(ready, python, host, tmp_path):
    ready.ui.segmentButton.click()
    host.scene.Clear(False)
    assert python.work.killed
    assert ready.logic.runs.running is None
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert not ready.ui.segmentButton.enabled
    ready.logic.poll()


def test_a_volume_that_is_deleted_during_a_run_does_no_harm(ready, python, host, volume):
    ready.ui.segmentButton.click()
    host.scene.RemoveNode(volume)
    write_result(python.result)
    python.succeed()
    ready.logic.poll()
    assert ready.ui.segmentationSelector.currentNode() is not None
    assert not ready.ui.segmentButton.enabled
    assert not ready.ui.slidersBox.enabled


def test_a_segmentation_that_is_deleted_during_a_run_is_made_anew(segment, ready, python, host):
    first = segment()
    ready.ui.segmentButton.click()
    host.scene.RemoveNode(first)
    write_result(python.result, grown=1)
    python.succeed()
    ready.logic.poll()
    node = ready.ui.segmentationSelector.currentNode()
    assert node is not None
    assert voxels(node, "bone") == mask_array(1).sum()


def test_another_module_may_be_shown_during_a_run(ready, python):
    ready.ui.segmentButton.click()
    ready.exit()
    write_result(python.result)
    python.succeed()
    ready.logic.poll()
    ready.enter()
    assert ready.ui.segmentationSelector.currentNode() is not None


def test_reloading_the_module_ends_the_run_and_leaves_no_file(ready, python, host, tmp_path):
    ready.ui.segmentButton.click()
    ready.cleanup()
    assert python.work.killed
    assert list((tmp_path / FOLDER).iterdir()) == []
    again = host.panel(type(ready.logic)(python, tmp_path / FOLDER))
    assert again.ui.volumeSelector.currentNode() is ready.ui.volumeSelector.currentNode()
    again.cleanup()


def test_every_setting_comes_back_with_a_saved_scene(segment, ready, host, tmp_path):
    node = segment()
    settings = ready.logic.settings
    settings["purpose"] = "Plate"
    settings["exportSide"] = "left"
    ready.ui.nextSliceButton.click()
    voxels_before = voxels(node, "bone")
    saved = {name: settings[name] for name in DEFAULTS}
    assert host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    host.scene.Clear(False)
    assert ready.logic.settings.reference(SEGMENTATION) is None
    assert host.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    ready.refresh()
    settings = ready.logic.settings
    assert {name: settings[name] for name in DEFAULTS} == saved
    node = settings.reference(SEGMENTATION)
    assert voxels(node, "bone") == voxels_before
    assert ready.ui.segmentationSelector.currentNode() is node
    assert len(settings.references(PROBABILITY)) == 2
    assert json.loads(settings.reference(RESULT).GetText().partition("\n")[0])["steps"]
    assert segments.edited(node) == []
    ready.logic.move_limits({"cortical": 0.3, "thin": 0.5})
    assert voxels(node, "bone") > voxels_before


@pytest.mark.parametrize(("moved_mm", "place_mm"), [(2e-14, 100.0), (1.0, 101.0)])
def test_the_scan_of_a_result_is_known_again_by_every_digit(segment, ready, python, host, volume, moved_mm, place_mm):
    """In a scene that was saved and opened again the last digits are others; a volume that was moved is another one."""
    segment()
    ready.logic.forget()  # the scan as it was segmented
    x, y, z = volume.GetOrigin()
    volume.SetOrigin(x, y, z + moved_mm)
    assert volume.GetOrigin()[2] != z
    slide(ready, host, cortical=0.3)
    host.process_until(lambda: ready.logic.runs.running == "settle", 5)
    assert sitk.ReadImage(python.jobs[-1]["input"]).GetOrigin()[2] == place_mm


@pytest.mark.usefixtures("panel")
@pytest.mark.parametrize("spacing_mm", [(0.625, 1.25, 1.25), (1.25, 0.5, 0.3125)])
def test_what_nobody_edited_is_as_it_was_after_a_saved_scene_was_opened(host, tmp_path, spacing_mm):
    """Places at half a hundredth of a millimetre, which the last digit rounds up or down."""
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "saved")
    node.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
    to_ras = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
    to_ras[:3, 3] = (-119.75, -130.125, -99.9)
    for low, identity in enumerate(STRUCTURES, 2):
        node.GetSegmentation().AddEmptySegment(identity, identity)
        array = np.zeros((9, 9, 9), np.uint8)
        array[low:, low:, low:] = 1
        segments.set_voxels(node, identity, array, to_ras)
    segments.remember(node)
    assert host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    host.scene.Clear(False)
    assert host.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    (node,) = host.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segments.edited(node) == []


def test_the_result_can_be_reviewed_after_a_saved_scene_was_opened(segment, ready, python, tmp_path):
    segment()
    ready.logic.forget()
    ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    ready.ui.recordButton.click()
    source = job_from(python.jobs[-1]).result
    made = {path.name: path.read_bytes() for path in source.iterdir()}
    write_result(tmp_path / "again")
    assert made.keys() == {path.name for path in (tmp_path / "again").iterdir()}
    assert made["segmentation.seg.nrrd"] == (tmp_path / "again/segmentation.seg.nrrd").read_bytes()


def test_everything_is_reached_by_the_keyboard_and_says_what_it_is(panel):
    from PySide6 import QtWidgets
    from PySide6.QtCore import Qt

    focusable = (
        *(QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QLineEdit),
        *(QtWidgets.QAbstractSpinBox, QtWidgets.QAbstractItemView),
    )
    named = [child for child in vars(panel.ui).values() if isinstance(child, focusable)]
    named = [child for child in named if not child.name.startswith("qt_")]
    assert len(named) > 25
    for child in named:
        assert child.focusPolicy & Qt.TabFocus, child.name
        assert child.toolTip, child.name


def test_an_outcome_says_whether_it_was_cancelled():
    assert Outcome(None, "cancelled").cancelled
    assert not Outcome(None, "crashed").cancelled


# Every method


NO_BONE_HERE = {"subtraction": "No whole orbit was found"}
"""By method that finds none in a scan of this size the words of its sentence."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [method.name for method in CLASSICAL])
def test_each_method_is_clicked_and_ends_in_bone_or_in_its_sentence(ready, python, name):
    """By the real worker, in this process."""
    choose(ready.ui.methodBox, name)
    ready.ui.segmentButton.click()
    assert python.jobs[-1]["method"] == name
    lines = []
    worker.run(python.jobs[-1], lines.append)
    last = lines[-1]
    succeeded = last["event"] == "result"
    python.work.ending = Outcome(last) if succeeded else Outcome(None, last["code"], last["text"])
    ready.logic.poll()
    node = ready.ui.segmentationSelector.currentNode()
    assert succeeded == (node is not None) == (name not in NO_BONE_HERE)
    if succeeded:
        assert segments.volume_ml(node, "bone") > 0.1
    else:
        assert NO_BONE_HERE[name] in ready.ui.messageLabel.text


# Corrections come back


@pytest.fixture
def learning(panel, tmp_path):
    """The panel with the folders of section 10 chosen; that of the cases is not there yet."""
    ui = panel.ui
    for name, edit_of in (("records", ui.reviewedFolderEdit), ("scans", ui.scansFolderEdit)):
        assert not ui.collectButton.enabled
        (tmp_path / name).mkdir()
        edit_of.currentPath = str(tmp_path / name)
    assert not ui.finetuneButton.enabled
    ui.casesFolderEdit.currentPath = str(tmp_path / "cases")
    return panel


def test_accepted_records_are_collected(learning, python, tmp_path):
    learning.ui.collectButton.click()
    job = job_from(python.jobs[-1])
    assert (job.task, job.results, job.scans, job.output) == (
        "collect",
        *(tmp_path / name for name in ("records", "scans", "cases")),
    )
    assert not learning.ui.collectButton.enabled
    left_out = [{"name": "record-2", "text": "A later review of the same scan is taken."}]
    python.succeed(cases=3, patients=2, left_out=left_out, notes=[])
    learning.logic.poll()
    assert learning.ui.learnLabel.text == (
        "3 cases of 2 patients.\nrecord-2: A later review of the same scan is taken."
    )


def test_a_folder_of_cases_is_never_collected_into_again(learning, python, tmp_path):
    (tmp_path / "cases").mkdir()
    learning.ui.collectButton.click()
    assert not python.jobs
    assert "is there already" in learning.ui.messageLabel.text


@pytest.mark.parametrize(
    ("verdict", "says"),
    [("better", "better on 2 held-back"), ("worse", "keep the old one"), ("alike", "neither"), (None, "not known")],
)
def test_networks_learn_on_from_the_cases_and_it_is_said_whether_they_are_better(
    learning, python, tmp_path, monkeypatch, verdict, says
):
    monkeypatch.setattr(packages, "missing_for_learning", list)
    learning.ui.finetuneButton.click()
    assert not python.jobs
    assert "collect them first" in learning.ui.messageLabel.text
    (tmp_path / "cases").mkdir()
    learning.ui.finetuneButton.click()
    job = job_from(python.jobs[-1])
    assert (job.task, job.data, job.output) == ("finetune", tmp_path / "cases", tmp_path / "cases-learnt")
    python.work.lines.append({"event": "progress", "percent": 40, "step": "training", "seconds_left": 9})
    learning.logic.poll()
    assert learning.ui.learnLabel.text == "Training, 40 %. Cancel stands in section 4."
    python.succeed(verdict=verdict, cases=2, before={"dice_bone": 0.9}, after={"dice_bone": 0.95}, changes=1, said=[])
    learning.logic.poll()
    assert says in learning.ui.learnLabel.text
    assert "dice_bone: 0.900 → 0.950" in learning.ui.learnLabel.text


def test_what_learning_needs_is_asked_for(learning, python, tmp_path, monkeypatch):
    (tmp_path / "cases").mkdir()
    monkeypatch.setattr(packages, "missing_for_learning", lambda: [packages.LEARNING[0]])
    asked = []
    monkeypatch.setattr(learning.panel, "ask", lambda text: asked.append(text))
    learning.ui.finetuneButton.click()
    assert "trains networks, about 200 MB" in asked[0]
    assert not python.jobs
