"""9. Review and record: the operator's pass, the physician's word, and the record."""

from functools import partial

from slicer.i18n import tr as _

from OrbitalSegPanel import results, views
from OrbitalSegPanel.logic import RECORD
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.review import Review
from OrbitalSegPanel.sections.section import Panel, Section, choose, fill, hear_path, quiet, show_path
from OrbitalSegPanel.settings import SEGMENTATION
from OrbitalSegPanel.words import told


class ReviewSection(Section):
    """Slice by slice; what was not seen stays unseen."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        ui = self.ui
        outcomes = [
            (_("Not reviewed yet"), ""),
            (_("Accepted"), "accepted"),
            (_("Accepted with edits"), "accepted with edits"),
            (_("Rejected"), "rejected"),
        ]
        fill(ui.outcomeBox, outcomes)
        ui.nextSliceButton.connect("clicked(bool)", self._next)
        ui.markSliceButton.connect("clicked(bool)", self._mark)
        ui.restartReviewButton.connect("clicked(bool)", self._restart)
        ui.outcomeBox.connect("currentIndexChanged(int)", self._outcome_chosen)
        ui.recordButton.connect("clicked(bool)", self._write)
        hear_path(ui.recordFolderEdit, partial(self._typed, "recordFolder"))
        self._edits = {"purpose": ui.purposeEdit, "operator": ui.operatorEdit, "physician": ui.physicianEdit}
        for setting, edit in self._edits.items():
            edit.connect("textEdited(QString)", partial(self._typed, setting))

    def refresh(self) -> None:
        ui, settings = self.ui, self.settings
        has_result = settings.reference(SEGMENTATION) is not None
        review = self.logic.review() if has_result else None
        idle = self.logic.runs.busy is None
        ui.nextSliceButton.setEnabled(review is not None and bool(review.left))
        ui.markSliceButton.setEnabled(review is not None and review.current is not None)
        ui.restartReviewButton.setEnabled(review is not None and bool(review.seen))
        with quiet(ui.markSliceButton):
            ui.markSliceButton.setChecked(review is not None and review.current in review.marked)
        ui.reviewBar.setRange(0, review.count if review else 1)
        ui.reviewBar.setValue(len(review.seen) if review else 0)
        ui.reviewLabel.setText(_sentence(review))
        for setting, edit in self._edits.items():
            with quiet(edit):
                if edit.text != settings[setting]:
                    edit.setText(settings[setting])
        choose(ui.outcomeBox, settings["physicianOutcome"])
        show_path(ui.recordFolderEdit, settings["recordFolder"])
        ui.recordButton.setEnabled(idle and results.node_of(settings) is not None)
        self._show_missing()

    def finished(self, name: str, outcome: Outcome) -> None:
        if name == RECORD:
            self.ui.recordLabel.setText(self._written(outcome) if outcome.succeeded else told(outcome.text))

    def _written(self, outcome: Outcome) -> str:
        """Where the record is, and what it says that it lacks: the scan may lack something too."""
        said = _("Written: {name}").format(name=self.logic.record_folder.name)
        lacks = [
            f"{told(entry['term'])} ({told(entry['why'])})" for entry in outcome.result["summary"].get("missing", ())
        ]
        return said + (". " + _("Missing in it: {names}.").format(names=", ".join(lacks)) if lacks else "")

    def _next(self) -> None:
        review = self.logic.review()
        if review is not None and review.next() is not None:
            self._show(review)

    def _mark(self) -> None:
        review = self.logic.review()
        if review is not None:
            review.mark()
            self.logic.set_review(review)
            self.panel.refresh()

    def _restart(self) -> None:
        self.logic.set_review(None)
        self.panel.refresh()

    def _show(self, review: Review) -> None:
        self.logic.set_review(review)
        views.show_slice(*self.logic.slice_plane(review.current))
        self.panel.refresh()

    def _outcome_chosen(self, index: int) -> None:
        self.logic.judge(self.ui.outcomeBox.itemData(index))
        self._show_missing()

    def _typed(self, setting: str, text: str) -> None:
        self.settings[setting] = text
        self._show_missing()

    def _show_missing(self) -> None:
        missing = self.logic.missing()
        self.ui.missingLabel.setText(
            _("Still missing in the record: {names}.").format(names=", ".join(missing))
            if missing
            else _("All that can be filled in here is there.")
        )

    def _write(self) -> None:
        self.panel.say("")
        if not self.try_to(self.logic.start_record):
            self.ui.recordLabel.setText(self.ui.messageLabel.text)


def _sentence(review: Review | None) -> str:
    if review is None:
        return _("There is nothing to review yet.")
    parts = [_("{seen} of {count} slices seen").format(seen=len(review.seen), count=review.count)]
    if review.current is not None:
        parts.append(_("slice {number} is shown").format(number=review.current))
    if review.changed:
        parts.append(_("{count} changed since they were seen").format(count=len(review.changed)))
    if review.marked:
        parts.append(_("{count} marked for correction").format(count=len(review.marked)))
    return ", ".join(parts) + "."
