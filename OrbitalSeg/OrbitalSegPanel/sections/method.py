"""3. Method: from the library's table, with widgets made from the method's own description."""

from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from OrbitalSegLib.methods import METHODS
from OrbitalSegPanel import estimates, packages, parameters
from OrbitalSegPanel.exporting import DICOM
from OrbitalSegPanel.sections.section import Panel, Section, choose, empty_layout, fill, hear_path, show_path
from OrbitalSegPanel.settings import VOLUME


class MethodSection(Section):
    """Method, parameters, model package, device, and what they need."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._fields: dict[str, Any] = {}
        self._built = ""
        fill(self.ui.methodBox, [(_(method.title), method.name) for method in METHODS.values()])
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

    def cleanup(self) -> None:
        for field in self._fields.values():
            if hasattr(field, "stop"):
                field.stop()

    def _method_chosen(self, index: int) -> None:
        self.settings["method"] = self.ui.methodBox.itemData(index)
        self.panel.refresh()

    def _device_chosen(self, index: int) -> None:
        self.settings["device"] = self.ui.deviceBox.itemData(index)

    def _path_chosen(self, name: str, path: str) -> None:
        self.settings[name] = path
        self.panel.refresh()

    def _build(self, method) -> None:
        """One field for each parameter."""
        self.cleanup()
        layout = empty_layout(self.ui.parametersBox)
        self._fields = parameters.fields_of(method, partial(self._value_chosen, method))
        titles = {item["name"]: item["title"] for item in method.describe()}
        for name, field in self._fields.items():
            label = qt.QLabel(_(titles[name]) + ":")
            label.setBuddy(field.widget)
            layout.addRow(label, field.widget)
        self._built = method.name

    def _show_values(self, method) -> None:
        chosen = self.settings["parameters"].get(method.name, {})
        defaults = {item["name"]: item["default"] for item in method.describe()}
        for name, field in self._fields.items():
            parameters.show(field, chosen.get(name, defaults[name]))

    def _value_chosen(self, method, item, value: Any) -> None:
        """Keep what differs from the method's own."""
        chosen = dict(self.settings["parameters"])
        own = dict(chosen.get(method.name, {}))
        own.pop(item["name"], None)
        if value != item["default"]:
            own[item["name"]] = value
        self.settings["parameters"] = chosen | {method.name: own}
