"""3. Method: from the library's table, with widgets made from the method's own description."""

from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from OrbitalSegLib.methods import METHODS
from OrbitalSegPanel import estimates, packages
from OrbitalSegPanel.exporting import DICOM
from OrbitalSegPanel.sections.section import Panel, Section, choose, empty_layout, fill, hear_path, quiet, show_path
from OrbitalSegPanel.settings import VOLUME

STEPS = {"HU": 10.0, "probability": 0.01}
"""By unit, what one click moves."""


class MethodSection(Section):
    """Method, parameters, model package, device, and what they need."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._spins: dict[str, Any] = {}
        self._built = ""
        fill(self.ui.methodBox, [(method.title, method.name) for method in METHODS.values()])
        devices = [
            (_("The best there is"), "auto"),
            (_("Processor"), "cpu"),
            (_("NVIDIA graphics (CUDA)"), "cuda"),
            (_("Apple graphics (MPS)"), "mps"),
        ]
        fill(self.ui.deviceBox, devices)
        self.ui.methodBox.connect("currentIndexChanged(int)", self._method_chosen)
        self.ui.deviceBox.connect("currentIndexChanged(int)", self._device_chosen)
        self._paths = {"model": self.ui.modelEdit, "wheels": self.ui.wheelsEdit}
        for name, edit in self._paths.items():
            hear_path(edit, partial(self._path_chosen, name))

    def refresh(self) -> None:
        method, ui = self.logic.method, self.ui
        choose(ui.methodBox, method.name)
        choose(ui.deviceBox, self.settings["device"])
        for name, edit in self._paths.items():
            show_path(edit, self.settings[name])
        ui.methodLabel.setText(method.source)
        for widget in (ui.modelEdit, ui.modelEditLabel, ui.deviceBox, ui.deviceBoxLabel):
            widget.setVisible(method.needs_model)
        missing = packages.missing_for_method(method.needs_model)
        also = packages.missing_for_export(self.settings["exportFormat"] == DICOM, self.settings["simplifyMm"] > 0)
        for widget in (ui.wheelsEdit, ui.wheelsEditLabel):
            widget.setVisible(bool(missing or also))
        ui.packagesLabel.setVisible(bool(missing))
        names = ", ".join(f"{item.module} ({item.download_mb} MB)" for item in missing)
        ui.packagesLabel.setText(_("Segment will ask to install: {names}").format(names=names))
        needs = estimates.sentence(method, self.settings, self.settings.reference(VOLUME))
        ui.memoryLabel.setText(needs)
        ui.memoryLabel.setVisible(bool(needs))
        if self._built != method.name:
            self._build(method)
        self._show_values(method)

    def _method_chosen(self, index: int) -> None:
        self.settings["method"] = self.ui.methodBox.itemData(index)
        self.panel.refresh()

    def _device_chosen(self, index: int) -> None:
        self.settings["device"] = self.ui.deviceBox.itemData(index)

    def _path_chosen(self, name: str, path: str) -> None:
        self.settings[name] = path
        self.panel.refresh()

    def _build(self, method) -> None:
        """One field for each parameter; the lowest place of one that the model package sets means `the package's`."""
        layout = empty_layout(self.ui.parametersBox)
        self._spins = {}
        for item in method.describe():
            step = STEPS.get(item["unit"], 0.1)
            spin = qt.QDoubleSpinBox()
            spin.setDecimals(0 if step >= 1 else 2)
            spin.setSingleStep(step)
            spin.setRange(item["minimum"] - (step if item["default"] is None else 0), item["maximum"])
            spin.setSuffix("" if item["unit"] == "probability" else f" {item['unit']}")
            own = _own(item)
            if item["default"] is None or _is_option(item):
                spin.setSpecialValueText(own)
            spin.setToolTip(
                f"{item['title']}, {item['unit']}: {item['minimum']:g} to {item['maximum']:g}. {_('Default')}: {own}."
            )
            spin.setObjectName(f"parameter_{item['name']}")
            label = qt.QLabel(item["title"] + ":")
            label.setBuddy(spin)
            layout.addRow(label, spin)
            spin.connect("valueChanged(double)", partial(self._value_chosen, method, item))
            self._spins[item["name"]] = spin
        self._built = method.name

    def _show_values(self, method) -> None:
        chosen = self.settings["parameters"].get(method.name, {})
        for item in method.describe():
            spin = self._spins[item["name"]]
            value = chosen.get(item["name"], item["default"])
            with quiet(spin):
                spin.setValue(spin.minimum if value is None else value)

    def _value_chosen(self, method, item, value: float) -> None:
        """Keep what differs from the method's own."""
        chosen = dict(self.settings["parameters"])
        own = dict(chosen.get(method.name, {}))
        own.pop(item["name"], None)
        if value >= item["minimum"] and value != item["default"]:
            own[item["name"]] = round(value, 4)
        self.settings["parameters"] = chosen | {method.name: own}


def _is_option(item: dict[str, Any]) -> bool:
    """Whether a parameter stands for a step that is left out by default, at 0."""
    return item["default"] == item["minimum"] == 0


def _own(item: dict[str, Any]) -> str:
    """The default of a parameter in words."""
    if item["default"] is None:
        return _("the model's own")
    return _("off") if _is_option(item) else f"{item['default']:g} {item['unit']}"
