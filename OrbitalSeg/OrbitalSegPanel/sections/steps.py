"""The way through the panel: one step open at a time, what is done is marked, and what comes next is said."""

from functools import partial
from typing import Any

from slicer.i18n import tr as _

from OrbitalSegPanel import results
from OrbitalSegPanel.logic import EXPORT, RECORD, SEGMENT
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.sections.section import Panel, Section
from OrbitalSegPanel.settings import VOLUME

STEPS = (
    *("scanSection", "regionSection", "methodSection", "thresholdSection", "correctSection"),
    *("orbitsSection", "reconstructionSection", "exportSection", "reviewSection", "learnSection"),
)
"""All but section 4: *Segment*, the verdict and what comes next are always in sight."""

DONE = "✓ "


class StepsSection(Section):
    """Comes last: the others have shown their state by then."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._sections: dict[str, Any] = {name: getattr(self.ui, name) for name in (*STEPS, "segmentSection")}
        self._titles = {name: section.text for name, section in self._sections.items()}
        self._has_record = False
        for name in STEPS:
            self._sections[name].connect("contentsCollapsed(bool)", partial(self._opened, name))

    def refresh(self) -> None:
        done = self._done()
        for name, section in self._sections.items():
            title = (DONE if done.get(name) else "") + self._titles[name]
            if section.text != title:
                section.text = title
        self.ui.nextLabel.setText(self._next(done))

    def finished(self, name: str, outcome: Outcome) -> None:
        if not outcome.succeeded:
            return
        if name in (SEGMENT, RECORD):
            self._has_record = name == RECORD
        if name == SEGMENT:
            self.ui.correctSection.collapsed = False
        if name == EXPORT:
            self.ui.exportSection.collapsed = False
        self.panel.refresh()

    def _opened(self, name: str, collapsed: bool) -> None:
        if not collapsed:
            for other in STEPS:
                if other != name:
                    self._sections[other].collapsed = True

    def _done(self) -> dict[str, bool]:
        """By section, whether its work is done; steps that may be left out are not among them until they are."""
        settings = self.settings
        has_result = results.node_of(settings) is not None
        checked = self.logic.checked()
        refused = checked is not None and checked.refusal is not None
        return {
            "scanSection": settings.reference(VOLUME) is not None and not refused,
            "regionSection": has_result,
            "methodSection": has_result,
            "segmentSection": has_result,
            "thresholdSection": has_result and settings["limits"] != settings["runLimits"] and not self._is_preview(),
            "orbitsSection": bool(settings["orbits"]) and not self.logic.changed_since_measured(),
            "reconstructionSection": bool(settings["reconstruction"])
            and not self.logic.changed_since_measured("reconstruction"),
            "exportSection": bool(self.logic.exported.files),
            "reviewSection": has_result and self._has_record,
        }

    def _is_preview(self) -> bool:
        return bool(self.logic.is_preview())

    def _next(self, done: dict[str, bool]) -> str:
        if self.logic.runs.busy is not None:
            return ""
        if not done["scanSection"]:
            return _("Next: choose a CT under 1, or make a practice scan.")
        if not done["segmentSection"]:
            return _("Next: press Segment. Region (2) and method (3) may stay as they are.")
        if not done["exportSection"]:
            return _(
                "Next: look at the bone and correct it (6), then export it (8). Limits (5) and volumes (7) if needed."
            )
        if not done["reviewSection"]:
            return _("Next: review slice by slice, and write the record (9).")
        return _("All steps are done. A physician must review the model before it is used.")
