"""8. Export: which segments, in which form, and what was measured of them."""

from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from OrbitalSegLib.export import surfaces
from OrbitalSegLib.modelling.surface import SMOOTHINGS
from OrbitalSegLib.structures import EITHER, STRUCTURES, Structure
from OrbitalSegPanel import exporting, packages, quality, segments
from OrbitalSegPanel.logic import EXPORT, INSTALL
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.sections.section import (
    Panel,
    Section,
    choose,
    empty_layout,
    fill,
    hear_path,
    quiet,
    show_path,
    stand_before,
)
from OrbitalSegPanel.settings import SEGMENTATION
from OrbitalSegPanel.words import told

FORMATS = {name: one.title for name, one in surfaces.FORMATS.items()} | {
    "nrrd": "NRRD, the voxels",
    "nifti": "NIfTI, the voxels",
    "dicom": "DICOM, for the archive",
}


class ExportSection(Section):
    """Choices, the quality of what was made, and the files."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._built: dict[str, Structure] = {}
        self._checks: dict[str, Any] = {}
        fill(ui.formatBox, [(_(FORMATS[n]), n) for n in FORMATS])
        fill(ui.sideBox, [(_("Both orbits"), "both"), (_("Right"), "right"), (_("Left"), "left")])
        fill(ui.smoothingBox, [(_(name.capitalize()), name) for name in SMOOTHINGS])
        for box, setting in (
            (ui.formatBox, "exportFormat"),
            (ui.sideBox, "exportSide"),
            (ui.smoothingBox, "smoothing"),
        ):
            box.connect("currentIndexChanged(int)", partial(self._chosen, box, setting))
        self._spins = {"thickenMm": ui.thickenSpin, "simplifyMm": ui.simplifySpin}
        for setting, spin in self._spins.items():
            spin.connect("valueChanged(double)", partial(self._length_chosen, setting))
        hear_path(ui.exportFolderEdit, self._folder_chosen)
        ui.exportButton.connect("clicked(bool)", self._export)
        ui.openFolderButton.connect("clicked(bool)", self._open_folder)
        ui.qualityButton.connect("clicked(bool)", self._show_quality)
        ui.qualityTable.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        ui.qualityTable.setTabKeyNavigation(False)
        self._show_exported()

    def refresh(self) -> None:
        ui, chosen, target = self.ui, self.settings["exportSegments"], self.settings.reference(SEGMENTATION)
        structures = STRUCTURES if target is None else segments.structures(target)
        if self._built != structures:
            self._build(structures)
        for name, check in self._checks.items():
            with quiet(check):
                check.setChecked(name in chosen)
            form = self.settings["exportFormat"]
            check.setEnabled(exporting.can_join(form) if name == EITHER else exporting.can_hold(form, structures[name]))
        choose(ui.formatBox, self.settings["exportFormat"])
        choose(ui.sideBox, self.settings["exportSide"])
        choose(ui.smoothingBox, self.settings["smoothing"])
        show_path(ui.exportFolderEdit, self.settings["exportFolder"])
        surface = self.settings["exportFormat"] in exporting.SURFACE_FORMATS
        for setting, spin in self._spins.items():
            with quiet(spin):
                spin.setValue(self.settings[setting])
            spin.setEnabled(surface)
        ui.smoothingBox.setEnabled(surface)
        ui.sideBox.setEnabled(self.settings["exportFormat"] != exporting.DICOM)
        idle = self.logic.runs.busy is None
        ui.exportButton.setEnabled(idle and target is not None)
        has_surface = idle and any(file.name.endswith(exporting.MAP) for file in self.logic.exported.files)
        ui.qualityButton.setEnabled(has_surface)

    def _build(self, structures: dict[str, Structure]) -> None:
        """One box to tick for each structure that there may be."""
        layout, self._checks = empty_layout(self.ui.exportSegmentsBox), {}
        titles = {name: _(structure.told) for name, structure in structures.items()}
        titles[EITHER] = _("Bone and inferred wall as one surface")
        for name, title in titles.items():
            self._checks[name] = check = qt.QCheckBox(title)
            check.setObjectName(f"export_{name}")
            is_guess = name == EITHER or structures[name].kind == "inferred"
            check.setToolTip(
                _("Inferred wall is a guess from anatomy: it is left out unless you choose it.")
                if is_guess
                else _("One file for each segment and side.")
            )
            check.connect("toggled(bool)", partial(self._segment_chosen, name))
            layout.addWidget(check)
        stand_before(self.ui.formatBox, list(self._checks.values()))
        self._built = dict(structures)

    def finished(self, name: str, outcome: Outcome) -> None:
        if name == EXPORT:
            self._show_exported()
        if name in (EXPORT, INSTALL) and not outcome.succeeded:
            self.ui.exportLabel.setText(told(outcome.text))

    def _segment_chosen(self, name: str, on: bool) -> None:
        chosen = self.settings["exportSegments"]
        self.settings["exportSegments"] = [
            item for item in self._checks if (item in chosen or item == name) and (on or item != name)
        ]

    def _chosen(self, box: Any, setting: str, index: int) -> None:
        self.settings[setting] = box.itemData(index)
        self.panel.refresh()

    def _length_chosen(self, setting: str, value: float) -> None:
        self.settings[setting] = round(value, 3)
        self.panel.refresh()

    def _folder_chosen(self, path: str) -> None:
        self.settings["exportFolder"] = path

    def _export(self) -> None:
        form, simplify_mm = self.settings["exportFormat"], self.settings["simplifyMm"]
        surface = form in exporting.SURFACE_FORMATS
        missing = packages.missing_for_export(form == exporting.DICOM, surface and simplify_mm > 0)
        self.with_packages(missing, self._start)

    def _start(self) -> None:
        self.panel.say("")
        if not self.try_to(self.logic.start_export):
            self.ui.exportLabel.setText(self.ui.messageLabel.text)

    def _show_exported(self) -> None:
        ui, exported = self.ui, self.logic.exported
        ui.exportLabel.setText(self.ui.messageLabel.text if exported.files else "")
        ui.filesList.clear()
        for file in exported.files:
            ui.filesList.addItem(file.name)
        for widget in (ui.filesList, ui.openFolderButton):
            widget.setVisible(bool(exported.files))
        rows = quality.rows(exported.quality)
        ui.qualityTable.setVisible(bool(rows))
        ui.qualityButton.setVisible(bool(rows))
        quality.fill_table(ui.qualityTable, rows, list(exported.quality))

    def _open_folder(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.logic.exported.folder)))

    def _show_quality(self) -> None:
        self.try_to(lambda: quality.show_surface(self.logic.exported))
