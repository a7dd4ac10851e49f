"""What the panel would have done wrong on the desktop: each test is named after what a surgeon would have seen."""

import signal
import sys
import time

import numpy as np
import pytest

from fakes import image_of, write_result
from hands import choose, edit
from host import LAUNCHER
from OrbitalSegPanel import process, segments, views, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python
from OrbitalSegPanel.settings import ROI, SEGMENTATION, VOLUME

PATIENCE_SECONDS = 60


def another_volume(host, name: str = "another CT"):
    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volumes.put_image(node, image_of(np.zeros((4, 4, 4), np.int16)))
    return node


# 1. Path fields

PATHS = {
    "modelEdit": "model",
    "wheelsEdit": "wheels",
    "exportFolderEdit": "exportFolder",
    "recordFolderEdit": "recordFolder",
}


@pytest.mark.parametrize(
    ("name", "setting"),
    list(PATHS.items()),
)
def test_a_path_that_was_chosen_can_be_taken_away_again(ready, tmp_path, name, setting):
    edit_line = getattr(ready.ui, name).comboBox()
    edit_line.setEditText(str(tmp_path))
    assert ready.logic.settings[setting] == str(tmp_path)
    edit_line.setEditText("")
    assert ready.logic.settings[setting] == ""
    ready.refresh()
    assert getattr(ready.ui, name).currentPath == ""


def test_who_types_in_the_middle_of_a_path_stays_there(ready):
    line = ready.ui.modelEdit.comboBox().lineEdit()
    line.setText("/models/one")
    line.setCursorPosition(3)
    line.insert("x")
    ready.refresh()
    assert line.cursorPosition == 4


# 2 to 4. The combo boxes of nodes


@pytest.mark.parametrize("role", [VOLUME, ROI, SEGMENTATION])
@pytest.mark.parametrize("place", ["first", "last"])
def test_deleting_what_was_chosen_chooses_no_neighbour(ready, host, role, place):
    kinds = {VOLUME: "ScalarVolume", ROI: "MarkupsROI", SEGMENTATION: "Segmentation"}
    nodes = [host.scene.AddNewNodeByClass(f"vtkMRML{kinds[role]}Node", f"number {number}") for number in range(3)]
    selector = getattr(ready.ui, {VOLUME: "volumeSelector", ROI: "roiSelector"}.get(role, "segmentationSelector"))
    chosen = nodes[0 if place == "first" else -1]
    selector.setCurrentNode(chosen)
    assert ready.logic.settings.reference(role) is chosen
    host.scene.RemoveNode(chosen)
    assert ready.logic.settings.reference(role) is None
    assert selector.currentNode() is None
    selector.setCurrentNode(nodes[1])  # a choice counts all the same
    assert ready.logic.settings.reference(role) is nodes[1]


def test_after_a_result_was_deleted_the_next_run_goes_into_nobody_elses_segmentation(segment, ready, python, host):
    theirs = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "somebody else's")
    result = segment()
    host.scene.RemoveNode(result)
    ready.ui.segmentButton.click()
    write_result(python.result)
    python.succeed()
    ready.logic.poll()
    assert theirs.GetSegmentation().GetNumberOfSegments() == 0
    assert ready.ui.segmentationSelector.currentNode() is not theirs


def test_deleting_another_volume_changes_nothing(ready, host, volume):
    other = another_volume(host)
    before = [ready.logic.settings.reference(VOLUME), ready.ui.volumeSelector.currentNode()]
    host.scene.RemoveNode(other)
    assert [ready.logic.settings.reference(VOLUME), ready.ui.volumeSelector.currentNode()] == before == [volume, volume]


def test_importing_another_scene_keeps_what_was_chosen(segment, ready, host, volume, tmp_path):
    import slicer

    node = segment()
    ready.ui.roiButton.click()
    roi = ready.ui.roiSelector.currentNode()
    other = slicer.vtkMRMLScene()
    other.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "of another scene")
    other.SetURL(str(tmp_path / "other.mrml"))
    assert other.Commit()
    host.scene.SetURL(str(tmp_path / "other.mrml"))
    assert host.scene.Import()
    for _ in range(3):
        host.qt.QApplication.processEvents()
    wanted = {VOLUME: volume, ROI: roi, SEGMENTATION: node}
    assert {role: ready.logic.settings.reference(role) for role in wanted} == wanted
    shown = (ready.ui.volumeSelector, ready.ui.roiSelector, ready.ui.segmentationSelector)
    assert [selector.currentNode() for selector in shown] == list(wanted.values())
    assert host.slicer.util.getNode("of another scene") is not None


def test_none_that_a_combo_box_tells_when_its_rows_are_back_is_nobodys_choice(ready, host, volume):
    """After an import, and before the window has heard of all that it did."""
    host.scene.StartState(host.scene.ImportState)
    host.scene.EndState(host.scene.ImportState)
    ready.ui.volumeSelector.setCurrentNode(volume)
    ready.ui.volumeSelector.currentNodeChanged.emit(None)
    assert ready.logic.settings.reference(VOLUME) is volume
    host.qt.QApplication.processEvents()
    ready.ui.volumeSelector.setCurrentNode(None)  # a choice counts again
    assert ready.logic.settings.reference(VOLUME) is None


def test_renaming_a_volume_keeps_its_window_and_the_background(ready, host, volume):
    composite = host.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(another_volume(host).GetID())
    volume.GetDisplayNode().SetWindowLevel(80, 40)
    shown = composite.GetBackgroundVolumeID()
    volume.SetName("CT of the second day")
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (80, 40)
    assert composite.GetBackgroundVolumeID() == shown
    assert ready.ui.volumeSelector.currentNode() is volume


# 5. Cancel, and memory, behind the launcher


def waited(work):
    lines, end = [], time.monotonic() + PATIENCE_SECONDS
    while work.outcome is None:
        assert time.monotonic() < end, work.log()
        lines += work.poll()
        time.sleep(0.01)
    return lines


def started(tmp_path, job: dict):
    folder = tmp_path / "run"
    folder.mkdir()
    from OrbitalSegLib.product import CONTRACT

    work = Python(LAUNCHER, library_parent()).start({"contract": CONTRACT, **job}, folder)
    end = time.monotonic() + PATIENCE_SECONDS
    while not any(line["event"] == "progress" for line in work.poll()):
        assert time.monotonic() < end, work.log()
        time.sleep(0.01)
    return work


def test_cancel_lets_the_worker_tidy_up_though_the_launcher_passes_nothing_on(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 60.0)  # computers that run tests are busy
    users = tmp_path / "the user's"
    users.mkdir()
    work = started(tmp_path, {"task": "phantom", "output": str(users / "scan")})
    assert len(list(users.iterdir())) == 1  # the worker has begun to write
    work.cancel()
    waited(work)
    assert work.outcome.cancelled
    assert '"cancelled"' in work.log()  # it said so itself: nobody killed it
    assert list(users.iterdir()) == []


def test_a_worker_that_does_not_stop_leaves_no_half_record_in_the_users_folder(segment, ready, python, tmp_path):
    """Killed in the middle of writing: what it left is where the panel takes it away."""
    segment()
    ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    before = set(tmp_path.iterdir())
    ready.ui.recordButton.click()
    (python.result.parent / ".orbitalseg-half").mkdir()
    (python.result.parent / ".orbitalseg-half" / "record.json").write_text("{")
    python.work.cancel()
    ready.logic.poll()
    assert "nothing was left behind" in ready.ui.messageLabel.text
    assert set(tmp_path.iterdir()) == before


def test_closing_the_scene_leaves_no_half_record_either(segment, ready, python, host, tmp_path):
    segment()
    ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    before = set(tmp_path.iterdir())
    ready.ui.recordButton.click()
    (python.result.parent / "half").mkdir()
    host.scene.Clear(False)
    assert set(tmp_path.iterdir()) == before


def test_a_record_is_put_into_its_place_whole(segment, ready, python, tmp_path):
    segment()
    ready.ui.recordFolderEdit.currentPath = str(tmp_path)
    before = set(tmp_path.iterdir())
    ready.ui.recordButton.click()
    python.result.mkdir()
    (python.result / "record.json").write_text("{}")
    assert not ready.logic.record_folder.exists()
    python.succeed(missing=[])
    ready.logic.poll()
    assert set(tmp_path.iterdir()) - before == {ready.logic.record_folder}
    assert (ready.logic.record_folder / "record.json").read_text() == "{}"


PROGRESS = "print(json.dumps({'event': 'progress', 'percent': 1}), flush=True)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("words", ["", PROGRESS, PROGRESS + "print('a warning', file=sys.stderr, flush=True)\n"])
def test_a_worker_that_ran_out_of_memory_is_said_to_have_behind_the_launcher_too(tmp_path, words):
    assert "memory" in ended(tmp_path, words + "os.kill(os.getpid(), signal.SIGKILL)\n").text


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("end", ["raise RuntimeError('no')\n", "os.kill(os.getpid(), signal.SIGSEGV)\n"])
def test_a_worker_that_crashed_is_not_said_to_have_run_out_of_memory(tmp_path, end):
    outcome = ended(tmp_path, PROGRESS + end)
    assert outcome.code == process.CRASHED
    assert "memory" not in outcome.text


def ended(tmp_path, program: str):
    script, folder = tmp_path / "fake.py", tmp_path / "run"
    folder.mkdir()
    script.write_text("import json, os, signal, sys\n" + program, encoding="utf-8")
    work = Python([*LAUNCHER, str(script)], tmp_path).start({"task": "test"}, folder)
    waited(work)
    return work.outcome


def test_what_a_worker_makes_for_the_moment_goes_with_its_folder(tmp_path):
    program = "import tempfile; tempfile.mkdtemp(); os.kill(os.getpid(), signal.SIGKILL)\n"
    ended(tmp_path, program)
    assert len([path for path in (tmp_path / "run").iterdir() if path.is_dir()]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_end_of_the_launcher_is_not_taken_for_the_end_of_the_worker(tmp_path, monkeypatch):
    """Somebody ends the launcher: its worker still has a second to say how it ended."""
    import os

    monkeypatch.setattr(process, "LAST_WORDS_SECONDS", 20.0)
    result = "print(json.dumps({'event': 'error', 'code': 'no-ct', 'text': 'Told late.'}), flush=True)\n"
    script, folder = tmp_path / "fake.py", tmp_path / "run"
    folder.mkdir()
    script.write_text("import json, time\n" + PROGRESS + "time.sleep(1)\n" + result, encoding="utf-8")
    work = Python([*LAUNCHER, str(script)], tmp_path).start({"task": "test"}, folder)
    while not work.poll():
        time.sleep(0.01)
    os.kill(work.pid, signal.SIGTERM)
    waited(work)
    assert work.outcome.text == "Told late."


# 6. The Segment Editor


def pressed(host, key: str) -> bool:
    """A key of the whole window; whether anybody listens to it."""
    window = host.kept[-1]
    shortcuts = [item for item in window.findChildren(host.qt.QShortcut.mro()[1]) if item.key.toString() == key]
    for shortcut in shortcuts:
        shortcut.activated.emit()
    return bool(shortcuts)


@pytest.fixture
def effect(ready):
    """The editor's tool."""
    return lambda: ready.ui.editorWidget.mrmlSegmentEditorNode().GetActiveEffectName() or ""


def test_keys_pick_a_tool_only_where_the_editor_is_open(segment, ready, host, effect):
    segment()
    ready.ui.correctSection.collapsed = True
    pressed(host, "1")
    assert effect() == ""
    ready.ui.correctSection.collapsed = False
    assert pressed(host, "1")
    assert effect() == "Paint"
    ready.ui.correctSection.collapsed = True
    assert effect() == ""  # the mouse would paint in the views
    ready.ui.correctSection.collapsed = False
    ready.exit()
    assert not pressed(host, "1")
    ready.enter()
    assert pressed(host, "1")


def test_keys_change_nothing_while_a_run_is_on(segment, ready, python, host, effect):
    node = segment()
    ready.ui.correctSection.collapsed = False
    ready.ui.editorWidget.saveStateForUndo()
    edit(node)
    ready.panel.ask = lambda _question: True
    held = segments.fingerprint(node, "bone")
    ready.ui.segmentButton.click()
    for key in ("1", "Z"):
        pressed(host, key)
    assert effect() == ""
    assert segments.fingerprint(node, "bone") == held
    python.fail()
    ready.logic.poll()
    assert pressed(host, "Z")
    assert segments.fingerprint(node, "bone") != held


def test_the_editor_shows_no_second_pair_of_selectors(ready):
    editor = ready.ui.editorWidget
    assert not editor.segmentationNodeSelectorVisible
    assert not editor.sourceVolumeNodeSelectorVisible


def test_slicers_own_editor_knows_the_volume_of_a_result(segment, ready, host, volume):
    node = segment()
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    other = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    ready.ui.segmentationSelector.setCurrentNode(other)
    assert ready.ui.editorWidget.sourceVolumeNode() is volume
    own = host.slicer.qMRMLSegmentEditorWidget()
    own.setMRMLScene(host.scene)
    own.setMRMLSegmentEditorNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    own.setSegmentationNode(node)
    assert own.sourceVolumeNode() is volume


# 7. Views, names, start


def test_the_3d_view_shows_the_bone_and_cuts_nothing_off(host, panel):  # noqa: ARG001 - it clears the scene
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    import render

    drawn = render.Views(host.application_logic, 200, 150)
    ball = vtkSphereSource()
    ball.SetCenter(0, 0, 1000)
    ball.SetRadius(60)
    ball.Update()
    node = host.scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
    node.SetAndObservePolyData(ball.GetOutput())
    node.CreateDefaultDisplayNodes()
    drawn.draw_3d(host.slicer.app.temporaryPath + "/before.png")
    (camera,) = host.slicer.util.getNodesByClass("vtkMRMLCameraNode")
    heard = []
    camera.AddObserver(camera.ResetCameraClippingEvent, lambda *_given: heard.append(1))
    views.look_from_the_front((0, 0, 1000))
    assert heard
    window, renderer, _group = drawn._three_d
    window.Render()
    near, far = renderer.GetActiveCamera().GetClippingRange()
    assert near <= 210 - 60
    assert far >= 210 + 60


def test_two_results_can_be_told_apart_by_their_names(segment, ready):
    first = segment()
    edit(first)
    second = segment(answer=False)
    assert second is not first
    assert len({first.GetName(), second.GetName()}) == 2
    ready.ui.segmentationSelector.setCurrentNode(first)
    assert ready.logic.settings.reference(SEGMENTATION) is first
    choose(ready.ui.regionBox, "right")
    third = segment(answer=False)
    assert third.GetName() == "CT, bone of the right orbit"
    edit(third)
    assert segment(answer=False).GetName() not in (first.GetName(), second.GetName(), third.GetName())


LATE = ("SimpleITK", "pydicom", "OrbitalSegLib", "OrbitalSegPanel.logic")


def test_the_start_of_slicer_waits_for_no_package_that_only_the_panel_needs():
    import subprocess
    from pathlib import Path

    here = Path(__file__).parent
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import host; started = host.start(); before = set(sys.modules); "
        "import OrbitalSeg; print([name for name in set(sys.modules) - before]); OrbitalSeg.OrbitalSegLogic"
    )
    paths = [str(here), str(here.parents[1] / "OrbitalSeg")]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1]
    assert "OrbitalSeg" in loaded
    assert not [name for name in LATE if f"'{name}" in loaded]


# The panel as a way to walk

STEPS = (
    *("scanSection", "regionSection", "methodSection", "thresholdSection", "correctSection"),
    *("orbitsSection", "reconstructionSection", "exportSection", "reviewSection"),
)
WIDTH, HEIGHT = 430, 900


def open_sections(ui) -> list[str]:
    return [name for name in STEPS if not getattr(ui, name).collapsed]


def test_one_step_is_open_at_a_time(panel):
    assert open_sections(panel.ui) == ["scanSection"]
    for name in STEPS:
        getattr(panel.ui, name).collapsed = False
        assert open_sections(panel.ui) == [name]
    assert not panel.ui.segmentSection.collapsed


def test_what_is_done_is_marked_and_what_comes_next_is_said(panel, python, volume, tmp_path):
    ui = panel.ui
    assert "choose a CT" in ui.nextLabel.text
    assert not ui.scanSection.text.startswith("✓")
    ui.volumeSelector.setCurrentNode(volume)
    choose(ui.methodBox, "threshold")
    assert ui.scanSection.text == "✓ 1. Scan"
    assert "press Segment" in ui.nextLabel.text
    ui.segmentButton.click()
    assert ui.nextLabel.text == ""
    write_result(python.result)
    python.succeed()
    panel.logic.poll()
    assert ui.segmentSection.text == "✓ 4. Segment"
    assert open_sections(ui) == ["correctSection"]
    assert "export it" in ui.nextLabel.text
    ui.exportFolderEdit.currentPath = ui.recordFolderEdit.currentPath = str(tmp_path)
    choose(ui.formatBox, "nrrd")
    ui.exportButton.click()
    assert ui.exportSection.text == "✓ 8. Export"
    ui.recordButton.click()
    python.result.mkdir()
    python.succeed(missing=[])
    panel.logic.poll()
    assert ui.reviewSection.text == "✓ 9. Review and record"
    assert "All steps are done" in ui.nextLabel.text
    ui.scanSection.collapsed = False  # what is done can be opened again
    assert open_sections(ui) == ["scanSection"]


def test_a_scan_that_was_refused_is_not_marked_as_done(ready, python):
    ready.ui.checkButton.click()
    python.fail("The values of this series are not Hounsfield units.", "not-hu")
    ready.logic.poll()
    assert ready.ui.scanSection.text == "1. Scan"
    assert "choose a CT" in ready.ui.nextLabel.text


def test_segment_and_verdict_are_in_sight_at_every_step(segment, ready, python, host):
    segment()
    ready.ui.segmentButton.click()
    write_result(python.result)
    python.succeed(monitoring={"verdict": "check", "reasons": ["Slices are thick.", "Walls are bridged."]})
    ready.panel.ask = lambda _question: True
    ready.logic.poll()
    window = host.kept[-1]
    window.show()
    for name in STEPS:
        getattr(ready.ui, name).collapsed = False
        for _ in range(4):
            window.resize(WIDTH, max(200, window.layout().totalHeightForWidth(WIDTH)))
            host.qt.QApplication.processEvents()
        for widget in (ready.ui.segmentButton, ready.ui.verdictLabel):
            assert widget.isVisible()
            bottom = widget.mapTo(window, host.qt.QPoint(0, widget.height)).y()
            assert bottom <= HEIGHT, (name, widget.name, bottom)


def test_a_text_that_comes_later_is_not_cut_off_and_leaves_no_gap(ready, host):
    window, label = host.kept[-1], ready.ui.messageLabel
    window.resize(WIDTH, HEIGHT)
    window.show()
    heights = []
    for text in ("One line.", "A sentence that is longer than a line. " * 8, "One line."):
        ready.say(text)
        for _ in range(3):
            host.qt.QApplication.processEvents()
        assert label.height >= label.heightForWidth(label.width)
        heights.append(label.height)
    assert heights[0] == heights[2] < 2 * label.fontMetrics().height()
    assert heights[1] >= 3 * heights[0]


def test_advanced_parameters_are_folded_away(panel):
    assert panel.ui.methodAdvancedSection.collapsed
    assert panel.ui.exportAdvancedSection.collapsed


def test_every_field_has_a_name_for_programs_that_read_aloud(panel):
    from PySide6 import QtWidgets

    kinds = (QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QAbstractSpinBox, QtWidgets.QAbstractItemView)
    fields = [
        child
        for child in vars(panel.ui).values()
        if isinstance(child, kinds) and child.name.endswith(("Box", "Edit", "Spin", "Table", "List"))
    ]
    assert len(fields) > 10
    for child in fields:
        assert child.accessibleName, child.name


def lightness(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize(("ground", "which"), [("#ffffff", 0), ("#efefef", 0), ("#2b2b2b", 1), ("#353535", 1)])
def test_colours_can_be_read_on_light_and_on_dark_grounds(ground, which):
    from OrbitalSegPanel.sections.section import COLOURS

    for name, shades in COLOURS.items():
        low, high = sorted((lightness(ground), lightness(shades[which])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name
