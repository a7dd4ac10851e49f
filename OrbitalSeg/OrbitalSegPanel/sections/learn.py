"""10. Learn from corrections: accepted records become cases, and the networks learn on from them."""

from functools import partial

from slicer.i18n import tr as _

from OrbitalSegPanel import packages
from OrbitalSegPanel.logic import COLLECT, FINETUNE
from OrbitalSegPanel.process import Line, Outcome
from OrbitalSegPanel.sections.section import Panel, Section, hear_path, show_path
from OrbitalSegPanel.words import told


class LearnSection(Section):
    """Three folders and two buttons; what came of them is said below."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._paths = {
            "reviewedFolder": ui.reviewedFolderEdit,
            "scansFolder": ui.scansFolderEdit,
            "casesFolder": ui.casesFolderEdit,
        }
        for name, edit in self._paths.items():
            hear_path(edit, partial(self._typed, name))
        ui.collectButton.connect("clicked(bool)", self._collect)
        ui.finetuneButton.connect("clicked(bool)", self._finetune)

    def refresh(self) -> None:
        for name, edit in self._paths.items():
            show_path(edit, self.settings[name])
        idle = self.logic.runs.busy is None
        chosen = {name: bool(self.settings[name]) for name in self._paths}
        self.ui.collectButton.setEnabled(idle and all(chosen.values()))
        self.ui.finetuneButton.setEnabled(idle and chosen["casesFolder"])
        self.ui.learnLabel.setVisible(bool(self.ui.learnLabel.text))

    def heard(self, line: Line) -> None:
        if self.logic.runs.busy in (COLLECT, FINETUNE) and line["event"] == "progress":
            text = _("{step}, {percent} %. Cancel stands in section 4.")
            self._say(text.format(step=told(line["step"]).capitalize(), percent=int(line["percent"])))

    def finished(self, name: str, outcome: Outcome) -> None:
        if name == COLLECT:
            self._say(_collected(outcome.result["summary"]) if outcome.succeeded else outcome.text)
        elif name == FINETUNE:
            self._say(_compared(outcome.result["summary"]) if outcome.succeeded else outcome.text)

    def _typed(self, name: str, path: str) -> None:
        self.settings[name] = path
        self.panel.refresh()

    def _say(self, text: str) -> None:
        self.ui.learnLabel.setText(text)
        self.ui.learnLabel.setVisible(bool(text))

    def _collect(self) -> None:
        self._say("")
        self.try_to(self.logic.start_collect)

    def _finetune(self) -> None:
        self._say("")
        self.with_packages(packages.missing_for_learning(), lambda: self.try_to(self.logic.start_finetune))


def _collected(summary: dict) -> str:
    """How many cases there are, and why other records are none."""
    lines = [_("{cases} cases of {patients} patients.").format(**summary)]
    lines += [f"{one['name']}: {told(one['text'])}" for one in summary["left_out"]]
    return "\n".join(lines)


VERDICTS = {
    "better": _("The new package is better on {cases} held-back cases."),
    "worse": _("The new package is worse in a figure on {cases} held-back cases: keep the old one, or collect more."),
    "alike": _("The new package is neither better nor worse on {cases} held-back cases."),
}

NOT_COMPARED = _(
    "All cases are of one patient, and none was held back: whether the new package is better is not known."
)


def _compared(summary: dict) -> str:
    """Whether the new package is better, and the figures."""
    lines = [VERDICTS.get(summary["verdict"], NOT_COMPARED).format(cases=summary["cases"])]
    lines += [f"{name}: {before:.3f} → {summary['after'][name]:.3f}" for name, before in summary["before"].items()]
    return "\n".join(lines)
