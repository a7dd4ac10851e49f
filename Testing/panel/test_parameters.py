"""A method's parameters of every kind: what a person sets is what the job says."""

import pytest
from PySide6 import QtWidgets

from hands import choose
from OrbitalSegLib.methods import METHODS
from OrbitalSegPanel.parameters import FIELDS

WITH_POINTS = next(
    method.name for method in METHODS.values() if any(item["kind"] == "points" for item in method.describe())
)


def item_of(kind: str):
    """A method with a parameter of a kind, and the parameter."""
    return next((method, item) for method in METHODS.values() for item in method.describe() if item["kind"] == kind)


def made(kind: str):
    """A field alone, and what it says."""
    method, item = item_of(kind)
    said = []
    return FIELDS[kind](method, item, said.append), item, said


@pytest.fixture
def seeds(ready):
    """The field of the points where a method begins."""
    choose(ready.ui.methodBox, WITH_POINTS)
    name = next(item["name"] for item in METHODS[WITH_POINTS].describe() if item["kind"] == "points")
    section = next(section for section in ready.sections if hasattr(section, "_fields"))
    return section._fields[name], lambda: ready.logic.settings["parameters"].get(WITH_POINTS, {}).get(name, [])


def point_list(host, name: str, *places_ras):
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for place in places_ras:
        node.AddControlPointWorld(*place)
    return node


@pytest.mark.usefixtures("host")
def test_a_choice_says_its_word():
    field, item, said = made("choice")
    words = list(item["choices"])
    other = next(word for word in words if word != item["default"])
    field.show(item["default"])
    choose(field.widget, other)
    assert said[-1] == other


@pytest.mark.usefixtures("host")
def test_a_tick_says_yes_and_no():
    from OrbitalSegPanel.parameters import FlagField

    said = []
    field = FlagField(None, {"title": "A step", "default": False}, said.append)
    field.show(False)
    field.widget.click()
    field.widget.click()
    assert said == [True, False]


def test_points_that_are_placed_in_the_views_are_taken_as_the_patients(seeds, host):
    field, chosen = seeds
    field.box.setCurrentNode(point_list(host, "seeds", (10, -20, 30)))
    assert chosen() == [[-10.0, 20.0, 30.0]]
    assert field.edit.text == "-10:20:30"


def test_a_point_that_is_dragged_added_or_removed_is_followed(seeds, host):
    field, chosen = seeds
    node = point_list(host, "seeds", (10, -20, 30))
    field.box.setCurrentNode(node)
    node.SetNthControlPointPositionWorld(0, 1, 2, 3)
    assert chosen() == [[-1.0, -2.0, 3.0]]
    node.AddControlPointWorld(4, 5, 6)
    assert len(chosen()) == 2
    node.RemoveNthControlPoint(0)
    assert chosen() == [[-4.0, -5.0, 6.0]]


def test_points_can_be_typed_and_then_no_list_is_followed(seeds, host):
    field, chosen = seeds
    node = point_list(host, "seeds", (10, -20, 30))
    field.box.setCurrentNode(node)
    field.edit.setText("1:2:3")
    field.edit.editingFinished.emit()
    assert chosen() == [[1.0, 2.0, 3.0]]
    assert field.box.currentNode() is None
    node.SetNthControlPointPositionWorld(0, 7, 7, 7)
    assert chosen() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("words", ["here", "1:2", "1:2:3:4", "nan:1:2", "1e9:0:0"])
def test_what_is_no_point_is_not_taken_and_it_is_said_why(seeds, words):
    field, chosen = seeds
    field.edit.setText(words)
    field.edit.editingFinished.emit()
    assert chosen() == []
    assert "points in mm" in field.edit.toolTip


def test_deleting_a_list_takes_no_other_list(seeds, host):
    field, chosen = seeds
    node = point_list(host, "seeds", (10, -20, 30))
    point_list(host, "somebody else's", (99, 99, 99))
    field.box.setCurrentNode(node)
    host.scene.RemoveNode(node)
    assert field.box.currentNode() is None
    assert chosen() == [[-10.0, 20.0, 30.0]]


def test_after_another_method_was_chosen_no_list_is_followed(seeds, host, ready):
    field, chosen = seeds
    node = point_list(host, "seeds", (10, -20, 30))
    field.box.setCurrentNode(node)
    choose(ready.ui.methodBox, "threshold")
    node.SetNthControlPointPositionWorld(0, 1, 1, 1)
    assert chosen() == [[-10.0, 20.0, 30.0]]


def test_every_kind_has_a_widget_of_its_own():
    assert set(FIELDS) == {"number", "choice", "flag", "points"}
    assert issubclass(type(made("points")[0].widget), QtWidgets.QWidget)
