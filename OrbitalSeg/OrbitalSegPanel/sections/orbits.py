"""7. Orbit volume: the room between the walls of each orbit, and whether the figures still hold."""

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from vtkmodules.vtkCommonCore import vtkCommand

from OrbitalSegPanel import orbits, quality
from OrbitalSegPanel.logic import MEASURE
from OrbitalSegPanel.process import Line, Outcome
from OrbitalSegPanel.sections.section import Panel, Section, quiet
from OrbitalSegPanel.settings import ORBIT, SEGMENTATION
from OrbitalSegPanel.words import told

CHANGES = {
    "segments": _("The segments have changed since: measure again."),
    "scan": _("The scan has changed since: measure again."),
}


class OrbitsSection(Section, VTKObservationMixin):
    """The figures, which are shown as outdated as soon as segments or scan change."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        VTKObservationMixin.__init__(self)
        self._watched: tuple[Any, Any] = (None, None)
        self._failed = ""
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)  # all changes that wait become one
        self._timer.connect("timeout()", self._look_again)
        self.ui.measureButton.connect("clicked(bool)", self._measure)
        self.ui.showOrbitsBox.connect("toggled(bool)", self._show_chosen)
        self.ui.orbitsTable.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.ui.orbitsTable.setTabKeyNavigation(False)

    def refresh(self) -> None:
        ui, settings = self.ui, self.settings
        target = settings.reference(SEGMENTATION)
        self._watch(target, self.logic.scan())
        ui.measureButton.setEnabled(self.logic.runs.busy is None and target is not None)
        measured = settings["orbits"]
        changed = self.logic.changed_since_measured()
        orbits.show(settings, current=not changed)
        with quiet(ui.showOrbitsBox):
            ui.showOrbitsBox.setChecked(settings["showOrbits"])
        ui.showOrbitsBox.setEnabled(bool(settings.references(ORBIT)))
        self._fill(measured.get("figures") if target is not None else None)
        for widget in (ui.orbitsTable, ui.differenceLabel):
            widget.setEnabled(not changed)
        if self.logic.runs.busy != MEASURE:
            said = [self._failed, CHANGES.get(changed, ""), *measured.get("warnings", ())]
            self._say("\n".join(filter(None, said)) if target is not None else "")

    def heard(self, line: Line) -> None:
        if self.logic.runs.busy == MEASURE and line["event"] == "progress":
            text = _("{step}, {percent} %. Cancel stands in section 4.")
            self._say(text.format(step=told(line["step"]).capitalize(), percent=int(line["percent"])))

    def finished(self, name: str, outcome: Outcome) -> None:
        if name == MEASURE:
            self._failed = outcome.text

    def cleanup(self) -> None:
        self._timer.stop()
        self.removeObservers()

    def _fill(self, figures: dict[str, Any] | None) -> None:
        table, label = self.ui.orbitsTable, self.ui.differenceLabel
        label.setText(orbits.difference(figures) if figures else "")
        label.setVisible(bool(label.text))
        table.setVisible(figures is not None)
        if figures:
            quality.fill_table(table, orbits.rows(figures), [_("Right"), _("Left")])
            table.setMaximumHeight(table.minimumHeight)  # all rows are there, and no room for others
            for row, (_title, meaning) in enumerate(orbits.MEANINGS.values()):
                for column in range(table.columnCount):
                    table.item(row, column).setToolTip(meaning)

    def _say(self, text: str) -> None:
        label = self.ui.measureLabel
        label.setText(told(text))
        label.setVisible(bool(text))

    def _watch(self, target: Any, volume: Any) -> None:
        """Hear of every change of the walls and of the scan: old figures must not stand there as if they held."""
        if self._watched == (target, volume):
            return
        self.removeObservers()
        self._watched = (target, volume)
        of = slicer.vtkSegmentation  # an undo modifies segments
        painted = (of.SourceRepresentationModified, of.SegmentModified, of.SegmentAdded, of.SegmentRemoved)
        moved = (vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
        for node, events in ((target, painted), (volume, moved)):
            for event in events if node is not None else ():
                self.addObserver(node, event, self._changed)

    def _changed(self, _caller, _event) -> None:
        if self.settings["orbits"] or self.settings["reconstruction"]:
            self._timer.start()

    def _look_again(self) -> None:
        if self.settings["reconstruction"]:
            self.panel.refresh()  # that section shows whether it still holds, too
        else:
            self.refresh()

    def _measure(self) -> None:
        self._failed = ""
        self.panel.say("")
        if not self.try_to(self.logic.start_measure):
            self._failed = self.ui.messageLabel.text
            self.refresh()

    def _show_chosen(self, on: bool) -> None:
        self.settings["showOrbits"] = on
        self.refresh()
