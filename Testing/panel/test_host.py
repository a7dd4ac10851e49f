"""The host itself: it must be no more generous than what it stands for."""

import pytest

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
def test_only_signals_of_the_class_can_be_connected(host, signature):
    with pytest.raises(ValueError, match="signal"):
        host.qt.QPushButton().connect(signature, print)


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
