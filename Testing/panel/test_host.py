"""The host itself: it must be no more generous than what it stands for."""

import os
import signal
import subprocess
import time
from functools import partial
from types import SimpleNamespace

import pytest

from host import LAUNCHER
from interfaces import INTERFACES


def test_properties_are_attributes_and_setters_stay(host):
    label = host.qt.QLabel()
    label.text = "a"
    assert label.text == "a"
    label.setText("b")
    assert label.text == "b"


def test_nobody_can_add_an_attribute_to_an_object_of_qt(host):
    with pytest.raises(AttributeError, match="no attribute"):
        host.qt.QLabel().txet = "a slip of the pen"


def test_a_property_that_can_only_be_read_is_not_set(host):
    with pytest.raises(AttributeError, match="cannot be"):
        host.qt.QWidget().width = 3


@pytest.mark.parametrize("signature", ["clicked", "clicked(int)", "pressed(bool)", "nothing()"])
def test_a_connection_that_fails_is_told_by_what_connect_returns(host, signature):
    from host import pythonqt

    assert host.qt.QPushButton().connect(signature, print) is False
    assert "signal" in pythonqt.FAILED.pop()


def test_a_partial_gets_every_argument_of_the_signal(host):
    button, heard = host.qt.QPushButton(), []
    button.connect("clicked(bool)", partial(heard.append))
    button.connect("clicked(bool)", lambda: heard.append("a function of none"))
    button.click()
    assert heard == [False, "a function of none"]


def test_a_slot_may_take_fewer_arguments_and_be_disconnected(host):
    button, calls = host.qt.QPushButton(), []

    def slot():
        calls.append(1)

    button.connect("clicked(bool)", slot)
    button.click()
    assert button.disconnect("clicked(bool)", slot)
    assert not button.disconnect("clicked(bool)", slot)
    button.click()
    assert calls == [1]


def test_every_widget_of_the_form_has_a_class(panel):
    for name in ("volumeSelector", "editorWidget", "scanSection", "exportFolderEdit", "progressBar"):
        assert getattr(panel.ui, name).name == name


def test_the_scene_reaches_the_selectors(host, panel, volume):
    panel.ui.volumeSelector.setCurrentNode(volume)
    assert panel.ui.volumeSelector.currentNode() is volume
    host.scene.RemoveNode(volume)
    assert panel.ui.volumeSelector.currentNode() is None


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", list(INTERFACES))
def test_a_stand_in_offers_nothing_that_the_real_class_lacks(name):
    from PySide6 import QtWidgets

    from host import widgets

    kind = widgets.STAND_INS[name]
    bases = set(dir(QtWidgets.QWidget)) | {"name", "className", "delete", "connect", "disconnect"}
    own = {item for item in dir(kind) if not item.startswith("_")} - bases
    own -= {"property_changed", "mrml_signals", "EFFECTS", "HEIGHT", "UNLIMITED", "STEPS", "showEvent", "resizeEvent"}
    assert own <= INTERFACES[name]


def test_collapsing_leaves_room_for_the_heading_alone(host):
    from host.widgets import ctkCollapsibleButton

    button = ctkCollapsibleButton()
    layout = host.qt.QVBoxLayout(button)
    layout.addWidget(host.qt.QLabel("below"))
    high = button.sizeHint.height()
    button.collapsed = True
    assert button.maximumHeight < high
    button.collapsed = False
    assert button.maximumHeight > high


def test_a_collapsed_button_hides_its_children_and_remembers_what_they_were(host):
    from host.widgets import ctkCollapsibleButton

    button = ctkCollapsibleButton()
    layout = host.qt.QVBoxLayout(button)
    labels = [host.qt.QLabel(text) for text in ("always", "hidden", "hidden, then wanted")]
    for label in labels:
        layout.addWidget(label)
    button.show()
    labels[1].hide()
    labels[2].hide()
    button.collapsed = True
    labels[2].show()
    assert [label.isVisible() for label in labels] == [False, False, False]
    button.collapsed = False
    assert [label.isVisible() for label in labels] == [True, False, True]


def test_an_empty_path_is_no_valid_input_and_is_not_told(host):
    edit, told, judged = host.widgets.ctkPathLineEdit(), [], []
    edit.connect("currentPathChanged(QString)", told.append)
    edit.connect("validInputChanged(bool)", judged.append)
    edit.comboBox().setEditText("a")
    edit.comboBox().setEditText("ab")
    edit.comboBox().setEditText("")
    assert (told, judged) == (["a", "ab"], [True, False])


@pytest.fixture
def selector(host):
    """A combo box of volumes with three of them, and what it tells."""
    host.scene.Clear(False)
    box = host.widgets.qMRMLNodeComboBox()
    box.nodeTypes, box.noneEnabled = ["vtkMRMLScalarVolumeNode"], True
    assert not box._box.enabled
    box.setMRMLScene(host.scene)
    assert box._box.enabled
    nodes = [host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"volume {number}") for number in range(3)]
    box.setCurrentNode(nodes[1])
    told = []
    box.connect("currentNodeChanged(vtkMRMLNode*)", told.append)
    yield SimpleNamespace(box=box, nodes=nodes, told=told)
    box.setMRMLScene(None)


def test_a_combo_box_that_was_deleted_hears_of_no_node(host):
    from shiboken6 import delete

    box = host.widgets.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.setMRMLScene(host.scene)
    delete(box)
    host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")  # what a slot raises would fail this test
    host.scene.Clear(False)


def test_a_node_that_is_renamed_is_told_once_more(selector):
    selector.nodes[1].SetName("another name")
    assert selector.told == [selector.nodes[1]]
    selector.nodes[0].SetName("not the current one")
    assert len(selector.told) == 1


def test_the_neighbour_of_a_removed_node_becomes_current_and_is_told(host, selector):
    host.scene.RemoveNode(selector.nodes[1])
    assert selector.told == [selector.nodes[2]]
    assert selector.box.currentNode() is selector.nodes[2]
    host.scene.RemoveNode(selector.nodes[2])
    assert selector.box.currentNode() is selector.nodes[0]


def test_after_an_import_none_is_told(host, selector):
    host.scene.StartState(host.scene.ImportState)
    host.scene.EndState(host.scene.ImportState)
    assert None in selector.told
    assert selector.box.currentNode() is None
    assert selector.box.nodeCount() == 3


def test_nodes_of_one_name_are_not_told_apart(selector):
    """The signal follows the text of the row, which stays the same."""
    for node in selector.nodes[:2]:
        node.SetName("twins")
    selector.box.setCurrentNode(selector.nodes[1])
    selector.told.clear()
    selector.box.setCurrentNode(selector.nodes[0])
    assert selector.told == []
    assert selector.box.currentNode() is selector.nodes[0]


def test_a_widget_passes_its_scene_on_once(host):
    widget, told = host.slicer.qMRMLWidget(), []
    widget.connect("mrmlSceneChanged(vtkMRMLScene*)", told.append)
    widget.setMRMLScene(host.scene)
    widget.setMRMLScene(host.scene)
    assert told == [host.scene]


def test_slider_and_number_show_one_value(host):
    slider, told = host.widgets.ctkSliderWidget(), []
    slider.decimals, slider.minimum, slider.maximum = 2, 0.0, 2.0
    slider.connect("valueChanged(double)", told.append)
    slider.value = 0.5
    assert slider._slider.value == slider.STEPS // 4
    slider._slider.sliderMoved.emit(slider.STEPS)
    assert slider.value == 2.0
    assert told == [0.5, 2.0]


def test_a_translation_that_fills_in_something_else_is_refused(monkeypatch):
    from host import scripted

    monkeypatch.setattr(scripted, "translate", lambda _context, text: text.replace("{count}", "{number}"))
    assert scripted.tr("Files: {count}.") == "Files: {count}."
    monkeypatch.setattr(scripted, "translate", lambda _context, text: text.replace("Files", "Dateien"))
    assert scripted.tr("Files: {count}.") == "Dateien: {count}."


def test_what_a_slot_raises_is_heard_of(host, monkeypatch):
    import sys

    heard = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_rest: heard.append(kind))
    button = host.qt.QPushButton()
    button.connect("clicked(bool)", lambda: 1 / 0)
    button.click()
    assert heard == [ZeroDivisionError]


def test_the_panel_overrides_nothing_of_qt_but_event_filters():
    """PythonQt calls a function of Python in the place of a virtual one where the class has a shell: QObject has, and
    its `eventFilter` is in it. Of others the panel makes no use, so that no page needs to know which they are."""
    import ast

    from translations import sources

    overridden = {
        function.name
        for path in sources()
        for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(kind, ast.ClassDef) and any(ast.unparse(base).startswith("qt.") for base in kind.bases)
        for function in kind.body
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_")
    }
    assert {name for name in overridden if name != name.lower()} == {"eventFilter"}


QT5 = """
import sys
from PyQt5.QtWidgets import QApplication, QComboBox
application = QApplication(sys.argv)
box, told = QComboBox(), []
box.addItems(["none", "0", "1", "2"])
box.setCurrentIndex(2)
box.currentTextChanged.connect(told.append)
box.setItemText(2, "renamed")
box.removeItem(2)
box.clear()
print(told)
"""


def test_qt_5_itself_tells_the_same_of_rows(host):
    """The desktop's Qt is version 5. PyQt5 is a judge where somebody has it, in a process of its own: no dependency."""
    judge = os.environ.get("ORBITALSEG_QT5_PYTHON")
    if not judge:
        pytest.skip("name a Python that has PyQt5 in ORBITALSEG_QT5_PYTHON")
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([judge, "-c", QT5], capture_output=True, text=True, check=True, env=environment)
    box, told = host.qt.QComboBox(), []
    box.addItems(["none", "0", "1", "2"])
    box.setCurrentIndex(2)
    box.connect("currentTextChanged(QString)", told.append)
    box.setItemText(2, "renamed")
    box.removeItem(2)
    box.clear()
    assert done.stdout.strip() == repr(told) == repr(["renamed", "2", ""])


def test_a_segmentation_without_reference_volume_takes_the_editors_volume_away(host):
    host.scene.Clear(False)
    editor = host.widgets.qMRMLSegmentEditorWidget()
    assert editor.segmentationNodeSelectorVisible
    assert editor.sourceVolumeNodeSelectorVisible
    editor.setMRMLScene(host.scene)
    editor.setMRMLSegmentEditorNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    editor.setSourceVolumeNode(volume)
    editor.setSegmentationNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert editor.sourceVolumeNode() is None
    editor.setMRMLScene(None)


def test_the_editors_keys_are_the_windows_and_only_read_only_stops_them(host):
    host.scene.Clear(False)
    window = host.slicer.qMRMLWidget()
    editor = host.widgets.qMRMLSegmentEditorWidget(window)
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.setMRMLSegmentEditorNode(node)
    editor.installKeyboardShortcuts()
    (key,) = [item for item in editor._shortcuts if item.key.toString() == "1"]
    assert key.parent() is window
    editor.setEnabled(False)
    key.activated.emit()
    assert node.GetActiveEffectName() == "Paint"
    editor.readOnly = True
    assert not node.GetActiveEffectName()
    key.activated.emit()
    assert not node.GetActiveEffectName()


@pytest.mark.usefixtures("panel")
def test_the_planes_of_a_camera_stay_until_they_are_reset(host):
    camera = host.scene.AddNewNodeByClass("vtkMRMLCameraNode")
    before, heard = camera.GetCamera().GetClippingRange(), []
    camera.AddObserver(camera.ResetCameraClippingEvent, lambda *_given: heard.append(1))
    camera.SetPosition(0, 9000, 0)
    assert camera.GetCamera().GetClippingRange() == before
    assert heard == []
    camera.ResetClippingRange()
    assert heard == [1]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_launcher_ends_before_its_child_and_hides_how_that_was_killed():
    program = "import sys, time; print('begun', flush=True); time.sleep(1); print('still here', flush=True)"
    both = subprocess.Popen([*LAUNCHER, "-c", program], stdout=subprocess.PIPE, text=True, process_group=0)
    assert both.stdout.readline() == "begun\n"
    os.kill(both.pid, signal.SIGTERM)
    began = time.monotonic()
    assert both.wait(30) == -signal.SIGTERM
    assert time.monotonic() - began < 30
    assert both.stdout.read() == "still here\n"
    both.stdout.close()
    killed = [*LAUNCHER, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    assert subprocess.run(killed, check=False).returncode == 1
    assert subprocess.run([*LAUNCHER, "-c", "raise SystemExit(130)"], check=False).returncode == 130
    heard = subprocess.run(
        [*LAUNCHER, "-c", "print(input())"], input="a channel", capture_output=True, text=True, check=True
    )
    assert heard.stdout == "a channel\n"


def test_a_module_needs_the_path_of_its_parent(host):  # noqa: ARG001 - it makes the module importable
    import OrbitalSeg

    with pytest.raises(AttributeError, match="path"):
        OrbitalSeg.OrbitalSeg(SimpleNamespace())


def test_a_reloaded_module_has_another_self(host, panel, python, tmp_path):
    assert host.shown() is panel
    again = host.reload(type(panel.logic)(python, tmp_path))
    assert host.shown() is again is not panel
    again.cleanup()
