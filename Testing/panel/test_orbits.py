"""Section 7, the volume of the orbits: with a worker that only pretends."""

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from conftest import FOLDER
from fakes import ORBIT_CENTRES_MM, ORBIT_RADIUS_MM, mask_array, orbits_summary, write_orbits
from hands import edit, node_names, voxels
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.structures import STRUCTURES
from OrbitalSegLib.tasks import job_from
from OrbitalSegPanel import models, orbits, segments
from OrbitalSegPanel.settings import ORBIT

SEGMENTS_CHANGED = "The segments have changed since: measure again."
SCAN_CHANGED = "The scan has changed since: measure again."


@pytest.fixture
def segmented(segment, ready):
    """The segmentation of a result; section 7 is open."""
    node = segment()
    ready.ui.orbitsSection.collapsed = False
    return node


@pytest.fixture
def measure(ready, python):
    """Presses the button and lets the worker measure; what the left orbit is, may be given."""

    def press(*warnings: str, **left):
        ready.ui.measureButton.click()
        python.work.lines = [{"event": "warning", "code": "a-code", "text": text} for text in warnings]
        write_orbits(python.result, orbits_summary(**left))
        python.succeed(**orbits_summary(**left))
        ready.logic.poll()

    return press


def table_of(panel) -> dict[str, list[str]]:
    table = panel.ui.orbitsTable
    return {table.item(row, 0).text(): [table.item(row, column).text() for column in (1, 2)] for row in range(4)}


def shown(panel):
    return panel.logic.settings.references(ORBIT)


def names(panel) -> list[str]:
    return [model.GetName() for model in shown(panel)]


def settled(host, panel, said: str) -> None:
    """Wait until the panel has heard of a change, and says this beside the figures."""
    host.process_until(lambda: panel.ui.measureLabel.text == said, 5)
    current = not said
    assert panel.ui.orbitsTable.enabled == panel.ui.differenceLabel.enabled == current
    assert all(("before a change" in name) != current for name in names(panel))


def test_without_segments_there_is_nothing_to_measure(ready):
    ui = ready.ui
    assert not ui.measureButton.enabled
    assert not ui.showOrbitsBox.enabled
    assert ui.orbitsTable.isHidden()
    assert ui.measureLabel.isHidden()


@pytest.mark.usefixtures("segmented")
def test_until_it_is_measured_nothing_is_said(ready):
    assert ready.ui.measureButton.enabled
    assert not ready.ui.showOrbitsBox.enabled
    assert ready.ui.orbitsTable.isHidden()
    assert ready.ui.measureLabel.text == ""


def test_the_walls_are_measured_as_they_are_now(segmented, ready, python):
    edit(segmented)
    ready.ui.measureButton.click()
    job = python.jobs[-1]
    assert (job_from(job).task, job["contract"]) == ("orbits", CONTRACT)
    assert sitk.ReadImage(job["ct"]).GetSize() == (24, 20, 12)
    assert segment_ids(python.folder / "edited.seg.nrrd") & set(STRUCTURES) == {"bone", "inferred"}
    mask = read_segmentation(python.folder / "edited.seg.nrrd", "bone")
    assert sitk.GetArrayFromImage(mask).sum() == voxels(segmented, "bone") < mask_array().sum()


def test_an_empty_segmentation_is_refused_in_words(host, ready, python):
    ready.ui.segmentationSelector.setCurrentNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty"))
    ready.ui.measureButton.click()
    assert "Segment a scan first" in ready.ui.measureLabel.text
    assert python.jobs == []


def test_a_volume_that_is_gone_is_asked_for(segmented, ready, python, host, volume):
    jobs = len(python.jobs)
    host.scene.RemoveNode(volume)
    ready.ui.measureButton.click()
    assert "Choose the CT" in ready.ui.measureLabel.text
    assert len(python.jobs) == jobs
    assert segmented.GetScene() is not None


@pytest.mark.usefixtures("segmented")
def test_progress_is_shown_and_nothing_else_can_be_started(ready, python):
    ready.ui.measureButton.click()
    python.work.lines = [{"event": "progress", "percent": 42, "step": "locating", "seconds_left": 3.0}]
    ready.logic.poll()
    assert ready.ui.measureLabel.text == "Locating, 42 %. Cancel stands in section 4."
    assert ready.ui.progressBar.value == 42
    assert not ready.ui.measureButton.enabled
    assert not ready.ui.exportButton.enabled


@pytest.mark.usefixtures("segmented")
def test_the_figures_stand_in_a_table_that_says_what_they_mean(ready, measure):
    measure()
    assert table_of(ready) == {
        "Volume": ["24.6 ml", "26.0 ml"],
        "Wall bridged": ["17 %", "9 %"],
        "Inferred wall": ["2 %", "0 %"],
        "Beyond the bridges": ["0.0 ml", "0.2 ml"],
    }
    table = ready.ui.orbitsTable
    assert [table.horizontalHeaderItem(column).text() for column in (1, 2)] == ["Right", "Left"]
    assert "saddle" in table.item(0, 1).toolTip()
    assert "cannot be known" in table.item(3, 0).toolTip()
    assert ready.ui.differenceLabel.text == "Left is larger by 1.4 ml (5.8 %)."
    assert ready.ui.measureLabel.isHidden()
    assert "measured" in ready.ui.messageLabel.text


def test_of_one_orbit_that_was_segmented_only_that_one_is_measured(segment, ready, python):
    segment(asked="right")
    ready.ui.measureButton.click()
    assert python.jobs[-1]["region"] == "right"
    found = orbits_summary()["orbits"]["right"]
    summary = {"orbits": {"right": found}, "larger": None, "difference_ml": None}
    write_orbits(python.result, summary)
    python.succeed(**summary)
    ready.logic.poll()
    assert table_of(ready)["Volume"] == ["24.6 ml", "not segmented"]
    assert names(ready) == ["Orbit right (24.6 ml)"]
    assert ready.ui.differenceLabel.isHidden()


@pytest.mark.parametrize(("status", "said"), [("cut off", "cut off"), ("missing", "not found"), ("no rim", "no rim")])
@pytest.mark.usefixtures("segmented")
def test_an_orbit_that_is_not_whole_has_no_figures_and_no_difference(ready, measure, status, said):
    measure("The left orbit is cut off: it is not measured.", status=status)
    assert table_of(ready)["Volume"] == ["24.6 ml", said]
    assert table_of(ready)["Wall bridged"] == ["17 %", "-"]
    assert ready.ui.differenceLabel.isHidden()
    assert ready.ui.measureLabel.text == "The left orbit is cut off: it is not measured."
    assert names(ready) == ["Orbit right (24.6 ml)"]


@pytest.mark.usefixtures("segmented")
def test_warnings_stay_beside_the_figures(ready, measure):
    measure("Much of the right floor was not found.", "The left orbit touches the edge.")
    ready.panel.say("")
    ready.refresh()
    assert ready.ui.measureLabel.text == "Much of the right floor was not found.\nThe left orbit touches the edge."
    measure()
    assert ready.ui.measureLabel.text == ""


@pytest.mark.parametrize(
    ("larger", "ml", "said"),
    [
        ("right", 2.462, "Right is larger by 2.5 ml (10.0 %)."),
        (None, 0.31, "Right and left differ by 0.3 ml (1.3 %), which equal orbits do too"),
    ],
)
def test_the_difference_is_said_in_words(larger, ml, said):
    found = orbits_summary() | {"larger": larger, "difference_ml": ml}
    assert orbits.difference(found).startswith(said)


@pytest.mark.usefixtures("segmented")
def test_what_was_measured_is_shown_where_it_is_and_coloured_by_what_ends_it(ready, measure):
    measure()
    assert names(ready) == ["Orbit right (24.6 ml)", "Orbit left (26.0 ml)"]
    for model, side in zip(shown(ready), ("right", "left"), strict=True):
        middle = np.reshape(model.GetPolyData().GetBounds(), (3, 2)).mean(axis=1)  # RAS
        np.testing.assert_allclose(middle, np.multiply(ORBIT_CENTRES_MM[side], (-1, -1, 1)), atol=0.2)
        points = vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
        colours = vtk_to_numpy(model.GetPolyData().GetPointData().GetArray(models.COLOUR))
        front, back = points[:, 1].argmax(), points[:, 1].argmin()  # RAS: y to the face
        assert np.linalg.norm(points[front] - middle) == pytest.approx(ORBIT_RADIUS_MM, abs=0.3)
        assert tuple(colours[front]) == orbits.END_COLOURS[0]
        assert tuple(colours[back]) == orbits.END_COLOURS[3]
        display = model.GetDisplayNode()
        assert display.GetVisibility()
        assert display.GetVisibility2D()
        assert display.GetOpacity() < 1
        assert display.GetScalarVisibility()
        assert model.GetStorageNode() is None


@pytest.mark.usefixtures("segmented")
def test_what_was_measured_can_be_hidden_and_the_next_measurement_replaces_it(ready, host, measure):
    measure()
    before = node_names(host.scene)
    ready.ui.showOrbitsBox.click()
    assert not any(model.GetDisplayNode().GetVisibility() for model in shown(ready))
    measure()
    assert len(node_names(host.scene)) == len(before)
    assert not any(model.GetDisplayNode().GetVisibility() for model in shown(ready))
    ready.ui.showOrbitsBox.click()
    assert all(model.GetDisplayNode().GetVisibility() for model in shown(ready))
    for model in shown(ready):
        host.scene.RemoveNode(model)
    assert not ready.ui.showOrbitsBox.enabled


def test_figures_are_outdated_as_soon_as_a_segment_changes(segmented, ready, host, measure):
    measure()
    settled(host, ready, "")
    ready.ui.editorWidget.saveStateForUndo()
    edit(segmented)
    settled(host, ready, SEGMENTS_CHANGED)
    ready.ui.editorWidget.undo()  # what was measured is there again
    settled(host, ready, "")
    segmented.GetSegmentation().RemoveSegment("cortical")  # no wall is measured by it
    settled(host, ready, "")
    segmented.GetSegmentation().RemoveSegment("inferred")
    settled(host, ready, SEGMENTS_CHANGED)
    measure()
    settled(host, ready, "")


def test_figures_are_outdated_when_the_scan_changes(segmented, ready, host, volume, measure):
    measure()
    voxels_of_volume = host.slicer.util.arrayFromVolume(volume)
    voxels_of_volume[0, 0, 0] += 1
    host.slicer.util.arrayFromVolumeModified(volume)
    settled(host, ready, SCAN_CHANGED)
    voxels_of_volume[0, 0, 0] -= 1
    host.slicer.util.arrayFromVolumeModified(volume)
    settled(host, ready, "")
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    settled(host, ready, "")  # it moves nothing yet
    matrix = vtkMatrix4x4()
    matrix.SetElement(0, 3, 5.0)
    transform.SetMatrixTransformToParent(matrix)
    settled(host, ready, SCAN_CHANGED)
    assert segments.edited(segmented) == []


def test_a_change_during_the_measurement_outdates_it_at_once(segmented, ready, python, host):
    ready.ui.measureButton.click()
    edit(segmented)
    write_orbits(python.result, orbits_summary())
    python.succeed(**orbits_summary())
    ready.logic.poll()
    settled(host, ready, SEGMENTS_CHANGED)


def test_figures_do_not_pass_to_another_segmentation(segmented, ready, host, measure):
    measure()
    other = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    ready.ui.segmentationSelector.setCurrentNode(other)
    settled(host, ready, SEGMENTS_CHANGED)
    ready.ui.segmentationSelector.setCurrentNode(segmented)
    settled(host, ready, "")


@pytest.mark.usefixtures("segmented")
@pytest.mark.parametrize("how", ["cancel", "error", "unreadable"])
def test_a_measurement_that_fails_leaves_the_scene_and_the_last_figures(ready, python, host, measure, how):
    measure()
    before, table = node_names(host.scene), table_of(ready)
    ready.ui.measureButton.click()
    if how == "cancel":
        ready.ui.cancelButton.click()
        assert python.work.asked_to_stop
    elif how == "error":
        python.fail("No orbit is whole in this scan.", "no-orbit")
    else:
        python.succeed(**orbits_summary())  # but nothing was written
    ready.logic.poll()
    wanted = {"cancel": "cancelled", "error": "No orbit is whole", "unreadable": "could not be read"}[how]
    assert wanted in ready.ui.measureLabel.text
    assert wanted in ready.ui.messageLabel.text
    assert (node_names(host.scene), table_of(ready)) == (before, table)
    assert ready.ui.measureButton.enabled
    measure()
    assert ready.ui.measureLabel.text == ""


@pytest.mark.usefixtures("segmented")
def test_a_scene_that_is_closed_during_the_measurement_ends_it(ready, python, host, measure, tmp_path):
    measure()
    ready.ui.measureButton.click()
    host.scene.Clear(False)
    assert python.work.killed
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert not ready.ui.measureButton.enabled
    assert ready.ui.orbitsTable.isHidden()
    assert ready.ui.measureLabel.text == ""


@pytest.mark.parametrize("deleted", ["segmentation", "volume"])
def test_what_is_deleted_during_the_measurement_leaves_no_figures_as_if_they_held(
    segmented, ready, python, host, volume, deleted
):
    ready.ui.measureButton.click()
    host.scene.RemoveNode(segmented if deleted == "segmentation" else volume)
    write_orbits(python.result, orbits_summary())
    python.succeed(**orbits_summary())
    ready.logic.poll()
    assert len(shown(ready)) == 2
    assert all("before a change" in name for name in names(ready))
    assert ready.ui.orbitsTable.isHidden() == (deleted == "segmentation")
    assert not ready.ui.orbitsTable.enabled


@pytest.mark.usefixtures("segmented")
def test_the_figures_come_back_with_a_saved_scene(ready, host, measure, tmp_path):
    measure("Much of the right floor was not found.")
    ready.ui.showOrbitsBox.click()
    before = table_of(ready)
    assert host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    host.scene.Clear(False)
    assert host.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    ready.refresh()
    assert table_of(ready) == before
    assert names(ready) == ["Orbit right (24.6 ml)", "Orbit left (26.0 ml)"]
    assert ready.ui.measureLabel.text == "Much of the right floor was not found."
    assert ready.ui.orbitsTable.enabled
    assert not ready.ui.showOrbitsBox.checked
    middle = np.reshape(shown(ready)[0].GetPolyData().GetBounds(), (3, 2)).mean(axis=1)
    np.testing.assert_allclose(middle, np.multiply(ORBIT_CENTRES_MM["right"], (-1, -1, 1)), atol=0.2)
    edit(ready.ui.segmentationSelector.currentNode())
    settled(host, ready, SEGMENTS_CHANGED + "\nMuch of the right floor was not found.")


@pytest.mark.usefixtures("segmented")
def test_another_module_may_be_shown_and_this_one_reloaded(ready, python, measure):
    measure()
    ready.ui.measureButton.click()
    ready.exit()
    write_orbits(python.result, orbits_summary())
    python.succeed(**orbits_summary())
    ready.logic.poll()
    ready.enter()
    assert len(shown(ready)) == 2
    ready.ui.measureButton.click()
    ready.cleanup()
    assert python.work.killed
