"""4. Segment: start, progress, cancel, and what came of it."""

import html
from pathlib import Path

import qt
from slicer.i18n import tr as _

from OrbitalSegPanel import origin, packages, results, views
from OrbitalSegPanel.logic import INSTALL, PHANTOM, SEGMENT
from OrbitalSegPanel.process import Line, Outcome
from OrbitalSegPanel.sections.section import Panel, Section, Selector, colour
from OrbitalSegPanel.settings import SEGMENTATION, VOLUME
from OrbitalSegPanel.words import told

VERDICT_COLOURS = {"trust": "green", "check": "amber", "do not use": "red"}

ORBIT_FIELD_MM = 140.0
"""What the slice views show around the orbits after a run."""


class SegmentSection(Section):
    """The run itself."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.ui.segmentButton.connect("clicked(bool)", self._segment)
        self.ui.cancelButton.connect("clicked(bool)", self._cancel)
        self.ui.saveLogButton.connect("clicked(bool)", self._save_log)
        self._target = Selector(self.ui.segmentationSelector, panel, SEGMENTATION, self._target_chosen)
        self.ui.progressBar.setRange(0, 100)

    def refresh(self) -> None:
        running = self.logic.runs.busy
        ready = self.settings.reference(VOLUME) is not None and running is None
        self._target.refresh()
        self._show_scan()
        self.ui.segmentButton.setEnabled(ready)
        self.ui.segmentationSelector.setEnabled(running is None)
        self.ui.cancelButton.setEnabled(running is not None)
        self.ui.progressBar.setVisible(running is not None)
        self.ui.stepLabel.setVisible(running is not None)
        self.ui.saveLogButton.setEnabled(bool(self.logic.runs.last_log) and running is None)
        self._show_verdict()

    def _show_scan(self) -> None:
        """Which scan is segmented, and that reading it said something: section 1 may be closed."""
        volume, checked = self.settings.reference(VOLUME), self.logic.checked()
        label = self.ui.subjectLabel
        usable = volume is not None and volume.GetImageData() is not None
        label.setVisible(usable)
        if not usable:
            return
        said, shade = [origin.others()], "amber"
        if checked is not None and checked.refusal is not None:
            said, shade = [told(checked.refusal.text)], "red"
        elif checked is not None and checked.warnings:
            said.append(_("Warnings of reading: {count}, see section 1.").format(count=len(checked.warnings)))
        sentence = html.escape(" ".join(filter(None, said)))
        parts = [html.escape(origin.which(volume))]
        if sentence:
            parts.append(f'<span style="color:{colour(shade, label)}">{sentence}</span>')
        label.setText("<br>".join(parts))

    def _show_verdict(self) -> None:
        """For as long as the result is there: it is the last thing to be overlooked."""
        judged = self.settings["summary"].get("monitoring") if results.node_of(self.settings) else None
        label = self.ui.verdictLabel
        label.setVisible(judged is not None)
        if judged is not None:
            shade = colour(VERDICT_COLOURS.get(judged["verdict"], "grey"), label)
            title = html.escape(_("Verdict: {verdict}.").format(verdict=told(judged["verdict"])))
            reasons = "".join(f"<br>{html.escape(told(reason))}" for reason in judged["reasons"])
            label.setText(f'<b style="color:{shade}">{title}</b>{reasons}')

    def heard(self, line: Line) -> None:
        if line["event"] == "progress":
            self.ui.progressBar.setValue(int(line["percent"]))
            self.ui.stepLabel.setText(_sentence(line))

    def finished(self, name: str, outcome: Outcome) -> None:
        self.ui.progressBar.setValue(0)
        self.ui.stepLabel.setText("")
        waiting, self.panel.after_install = self.panel.after_install, None
        if not outcome.succeeded:
            return
        if name == INSTALL and waiting:
            waiting()
        if name == SEGMENT:
            self._show_orbit()
        if name == PHANTOM:
            volume = self.settings.reference(VOLUME)
            views.window_for_bone(volume)
            views.show_volume(volume)

    def _segment(self) -> None:
        self.with_packages(packages.missing_for_method(self.logic.method.needs_model), self._start)

    def _start(self) -> None:
        edited = self.logic.edited()
        replace = bool(edited) and self.panel.ask(
            _(
                "You edited: {names}.\n\nReplace them by the new result? One undo in the Segment Editor brings them "
                "back. With No, the result goes into a new segmentation and yours stays as it is."
            ).format(names=", ".join(edited))
        )
        self.panel.say("")
        self.try_to(lambda: self.logic.start_segment(replace_edited=replace))

    def _cancel(self) -> None:
        self.ui.stepLabel.setText(_("Stopping..."))
        self.logic.cancel()

    def _target_chosen(self, _node) -> None:
        self.panel.refresh()

    def _show_orbit(self) -> None:
        volume, found = self.settings.reference(VOLUME), self.settings.reference(SEGMENTATION)
        centre = results.centre_of(found)
        if volume is not None:
            views.window_for_bone(volume)
            views.show_volume(volume)
        if centre is not None:
            views.jump_to(centre, ORBIT_FIELD_MM)
            views.look_from_the_front(centre)

    def _save_log(self) -> None:
        path = qt.QFileDialog.getSaveFileName(None, _("Save the log"), "orbitalseg-log.txt", _("Text (*.txt)"))
        path = path[0] if isinstance(path, tuple) else path
        if path:
            self.try_to(lambda: self.write_log(Path(path)))

    def write_log(self, path: Path) -> None:
        path.write_text(self.logic.runs.last_log, encoding="utf-8")


def _sentence(line: Line) -> str:
    left = line["seconds_left"]
    if left is None:
        return f"{told(line['step'])}..."
    seconds = round(left)
    time = f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"
    return _("{step}, {time} left").format(step=told(line["step"]), time=time)
