"""A widget for each kind of parameter that a method can have, from what the parameter says of itself."""

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods import Method
from OrbitalSegPanel import volumes
from OrbitalSegPanel.sections.section import choose, fill, offers, quiet
from OrbitalSegPanel.words import told

STEPS = {"HU": 10.0, "probability": 0.01} | dict.fromkeys(("rounds", "voxels", "thresholds", "classes"), 1.0)
"""By unit, what one click moves."""

Item = dict[str, Any]
"""What a method says of one parameter."""

Changed = Callable[[Any], None]
"""Hears of a value, in a job's words; the default where that is chosen."""


class NumberField:
    """A number; the lowest place of one that the model package sets means `the package's`."""

    def __init__(self, _method: Method, item: Item, changed: Changed) -> None:
        self._item = item
        step = STEPS.get(item["unit"], 0.1)
        self.widget = spin = qt.QDoubleSpinBox()
        spin.setDecimals(0 if step >= 1 else 2)
        spin.setSingleStep(step)
        spin.setRange(item["minimum"] - (step if item["default"] is None else 0), item["maximum"])
        spin.setSuffix("" if item["unit"] == "probability" else f" {item['unit']}")
        own = _own(item)
        if item["default"] is None or _is_option(item):
            spin.setSpecialValueText(own)
        spin.setToolTip(
            _("{title}, {unit}: {low:g} to {high:g}. Default: {own}.").format(
                title=_(item["title"]), unit=item["unit"], low=item["minimum"], high=item["maximum"], own=own
            )
        )
        spin.connect("valueChanged(double)", lambda value: changed(self._said(value)))

    def show(self, value: float | None) -> None:
        self.widget.setValue(self.widget.minimum if value is None else value)

    def _said(self, value: float) -> float | None:
        item = self._item
        return item["default"] if value < item["minimum"] or value == item["default"] else round(value, 4)


class ChoiceField:
    """One of several words."""

    def __init__(self, _method: Method, item: Item, changed: Changed) -> None:
        self.widget = box = qt.QComboBox()
        fill(box, [(_(title), word) for word, title in item["choices"].items()])
        box.setToolTip(f"{_(item['title'])}. {_('Default')}: {_(item['choices'][item['default']])}.")
        box.connect("currentIndexChanged(int)", lambda index: changed(box.itemData(index)))

    def show(self, value: str) -> None:
        choose(self.widget, value)


class FlagField:
    """Yes or no."""

    def __init__(self, _method: Method, item: Item, changed: Changed) -> None:
        self.widget = box = qt.QCheckBox()
        box.setToolTip(f"{_(item['title'])}. {_('Default')}: {_('yes') if item['default'] else _('no')}.")
        box.connect("toggled(bool)", changed)

    def show(self, value: bool) -> None:
        self.widget.setChecked(value)


class PointsField:
    """Places of the patient: picked in the views as a point list of the scene, which is followed while it is chosen, or
    typed in the words of the command line. What the method does not take is not taken, and the tooltip says why."""

    def __init__(self, method: Method, item: Item, changed: Changed) -> None:
        self._method, self._item, self._changed = method, item, changed
        self._list: Any = None
        self._heard_by: list[int] = []
        self._told = _("{title}, mm: x, y and z towards the patient's left, back and head.").format(
            title=_(item["title"])
        )
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self.edit, self.box = qt.QLineEdit(), slicer.qMRMLNodeComboBox()
        self.edit.setPlaceholderText("x:y:z/x:y:z")
        self.edit.setToolTip(self._told)
        self.edit.setAccessibleName(_(item["title"]))
        self.edit.connect("editingFinished()", self._edited)
        box = self.box
        box.nodeTypes, box.noneEnabled, box.noneDisplay = ["vtkMRMLMarkupsFiducialNode"], True, _("Typed above")
        box.addEnabled, box.removeEnabled = True, False
        box.setToolTip(_("A list of points that are placed and dragged in the views."))
        box.setAccessibleName(_("Points of the scene"))
        box.setMRMLScene(slicer.mrmlScene)
        box.setCurrentNode(None)
        box.connect("currentNodeChanged(vtkMRMLNode*)", self._list_chosen)
        for part in (self.edit, box):
            layout.addWidget(part)
        self.widget.setFocusProxy(self.edit)

    def show(self, value: Any) -> None:
        self.edit.setText("/".join(":".join(f"{number:g}" for number in point) for point in value))

    def stop(self) -> None:
        """Follow no list any more."""
        for tag in self._heard_by:
            self._list.RemoveObserver(tag)
        self._list, self._heard_by = None, []

    def _list_chosen(self, node: Any) -> None:
        if node is self._list:
            return  # it was renamed
        is_gone = self._list is not None and not offers(self.box, self._list)
        self.stop()
        if is_gone:  # its neighbour is nobody's choice
            with quiet(self.box):
                self.box.setCurrentNode(None)
        elif node is not None:
            self._list = node
            of = slicer.vtkMRMLMarkupsNode
            events = (of.PointModifiedEvent, of.PointPositionDefinedEvent, of.PointRemovedEvent)
            self._heard_by = [node.AddObserver(event, self._take_list) for event in events]
            self._take_list()

    def _take_list(self, *_event: Any) -> None:
        self._take(volumes.points_of(self._list))

    def _edited(self) -> None:
        name = self._item["name"]
        try:
            value = self._method.parse({name: self.edit.text})[name]
        except JobError as error:
            self.edit.setToolTip(told(error.text))
            return
        if self._take(value) and self._list is not None:
            self.stop()
            with quiet(self.box):
                self.box.setCurrentNode(None)

    def _take(self, value: Any) -> bool:
        try:
            self._method.make_parameters({self._item["name"]: value})
        except JobError as error:
            self.edit.setToolTip(told(error.text))
            return False
        self.edit.setToolTip(self._told)
        self.show(value)
        self._changed([list(point) for point in value])
        return True


FIELDS: dict[str, Any] = {"number": NumberField, "choice": ChoiceField, "flag": FlagField, "points": PointsField}
"""By kind. Limits of whatever a package has are moved by the sliders once its networks have run."""


def fields_of(method: Method, changed: Callable[[Item, Any], None]) -> dict[str, Any]:
    """A field for each parameter of a method, by name. `changed` hears of the parameter and its value."""

    def field(item: Item) -> Any:
        made = FIELDS[item["kind"]](method, item, lambda value: changed(item, value))
        made.widget.setObjectName(f"parameter_{item['name']}")
        return made

    return {item["name"]: field(item) for item in method.describe() if item["kind"] in FIELDS}


def show(field: Any, value: Any) -> None:
    """Show a value without a word to those who hear of changes."""
    with quiet(field.widget):
        field.show(value)


def _is_option(item: Item) -> bool:
    """Whether a parameter stands for a step that is left out by default, at 0."""
    return item["default"] == item["minimum"] == 0


def _own(item: Item) -> str:
    """The default of a parameter in words."""
    if item["default"] is None:
        return _("the model's own")
    return _("off") if _is_option(item) else f"{item['default']:g} {item['unit']}"
