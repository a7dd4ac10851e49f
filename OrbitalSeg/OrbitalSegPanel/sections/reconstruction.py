"""Defects and reconstruction: the wall that an orbit had, as models to print. It may be left out."""

from slicer.i18n import tr as _

from OrbitalSegPanel import reconstruction
from OrbitalSegPanel.logic import RECONSTRUCT
from OrbitalSegPanel.process import Line, Outcome
from OrbitalSegPanel.sections.orbits import CHANGES
from OrbitalSegPanel.sections.section import Panel, Section, hear_path, quiet, show_path
from OrbitalSegPanel.settings import RECONSTRUCTED, SEGMENTATION
from OrbitalSegPanel.words import told


class ReconstructionSection(Section):
    """One button; what was made of which segments, and whether it still holds."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._failed = ""
        self.ui.reconstructButton.connect("clicked(bool)", self._reconstruct)
        self.ui.showReconstructionBox.connect("toggled(bool)", self._show_chosen)
        hear_path(self.ui.modelsFolderEdit, self._folder_chosen)

    def refresh(self) -> None:
        ui, settings = self.ui, self.settings
        target, made = settings.reference(SEGMENTATION), settings["reconstruction"]
        ui.reconstructButton.setEnabled(self.logic.runs.busy is None and target is not None)
        show_path(ui.modelsFolderEdit, settings["exportFolder"])
        changed = self.logic.changed_since_measured("reconstruction")
        reconstruction.show(settings, current=not changed)
        with quiet(ui.showReconstructionBox):
            ui.showReconstructionBox.setChecked(settings["showReconstruction"])
        ui.showReconstructionBox.setEnabled(bool(settings.references(RECONSTRUCTED)))
        if self.logic.runs.busy != RECONSTRUCT:
            figures = reconstruction.sentences(made["figures"]) if made else []
            said = [self._failed, CHANGES.get(changed, ""), *figures, *made.get("warnings", ())]
            self._say("\n".join(filter(None, said)) if target is not None else "")

    def heard(self, line: Line) -> None:
        if self.logic.runs.busy == RECONSTRUCT and line["event"] == "progress":
            text = _("{step}, {percent} %. Cancel stands in section 4.")
            self._say(text.format(step=told(line["step"]).capitalize(), percent=int(line["percent"])))

    def finished(self, name: str, outcome: Outcome) -> None:
        if name == RECONSTRUCT:
            self._failed = outcome.text

    def _say(self, text: str) -> None:
        label = self.ui.reconstructionLabel
        label.setText(text)
        label.setVisible(bool(text))

    def _reconstruct(self) -> None:
        self._failed = ""
        self.panel.say("")
        if not self.try_to(self.logic.start_reconstruct):
            self._failed = self.ui.messageLabel.text
            self.refresh()

    def _folder_chosen(self, path: str) -> None:
        self.settings["exportFolder"] = path

    def _show_chosen(self, on: bool) -> None:
        self.settings["showReconstruction"] = on
        self.refresh()
