"""1. Scan: which CT, and what it is fit for."""

import html

import qt
from slicer.i18n import tr as _

from OrbitalSegLib.reading.frames import CHOICES
from OrbitalSegPanel import conditions, origin, views
from OrbitalSegPanel.logic import CHECK, PHANTOM, SEGMENT
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.sections.section import Panel, Section, Selector, choose, colour, fill, quiet
from OrbitalSegPanel.settings import VOLUME
from OrbitalSegPanel.words import told

SIGNS = {"met": "✓", "not met": "✗", "not stated": "?"}
SIGN_WIDTH, CONDITION_WIDTH, FOUND_WIDTH, ROW_HEIGHT = 24, 116, 96, 22
VERDICT_COLOURS = {"feasible": "green", "borderline": "amber", "not feasible": "red"}


class ScanSection(Section):
    """The volume and which scan it is, the practice scan, what reading says, and table A.1 as lights."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._shown: tuple[str, ...] | None = None
        table = self.ui.conditionsTable
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels(["", _("Condition"), _("This scan"), _("Asked for")])
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.verticalHeader().setVisible(False)
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.setTabKeyNavigation(False)  # the Tab key leaves the table
        table.verticalHeader().setMinimumSectionSize(ROW_HEIGHT)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)  # long conditions wrap
        table.horizontalHeader().setMinimumSectionSize(SIGN_WIDTH)
        table.setMinimumHeight(11 * ROW_HEIGHT)
        self._volume = Selector(self.ui.volumeSelector, panel, VOLUME, self._volume_chosen)
        fill(self.ui.headerBox, [(_("None is chosen"), ""), *((name, name) for name in CHOICES)])
        self.ui.phantomButton.connect("clicked(bool)", self._make_phantom)
        self.ui.checkButton.connect("clicked(bool)", self._check_anew)
        self.ui.greyCheck.connect("toggled(bool)", self._grey_chosen)
        self.ui.headerBox.connect("currentIndexChanged(int)", self._header_chosen)

    def refresh(self) -> None:
        volume = self.settings.reference(VOLUME)
        self._volume.refresh()
        self._show_reading(volume)
        self.ui.phantomButton.setEnabled(self.logic.runs.busy is None)
        moved = volume is not None and volume.GetParentTransformNode() is not None
        self.ui.transformLabel.setVisible(moved)
        if moved:
            self.ui.transformLabel.setText(
                _("The volume has a parent transform: it is applied to a copy before segmenting, as the views show it.")
            )
        ground = colour("grey", self.ui.conditionsTable)  # another one, where the theme has changed
        state = () if volume is None else (volume.GetID(), str(volume.GetMTime()), str(moved), ground)
        if state != self._shown:
            self._shown = state
            self._judge(volume)

    def _volume_chosen(self, node) -> None:
        self.logic.choose_volume(node)
        if node is not None:
            views.window_for_bone(node)
            views.show_volume(node)
        self._check_anew()
        self.panel.refresh()

    def finished(self, name: str, outcome: Outcome) -> None:
        failed = name == SEGMENT and not outcome.succeeded and not outcome.cancelled
        if (failed and self.logic.checked() is None) or (name == PHANTOM and outcome.succeeded):
            self._check()

    def _check_anew(self, _clicked: bool = False) -> None:
        """What was said of the last reading holds no longer."""
        self.panel.say("")
        self._check()

    def _check(self) -> None:
        if self.settings.reference(VOLUME) is not None:
            self.try_to(self.logic.start_check)

    def _grey_chosen(self, chosen: bool) -> None:
        self.settings["greyValues"] = chosen
        self._check_anew()

    def _header_chosen(self, index: int) -> None:
        self.settings["header"] = self.ui.headerBox.itemData(index)
        self._check_anew()

    def _show_reading(self, volume) -> None:
        """Which scan this is, and what reading it says; what can be insisted on only where it was refused."""
        ui, checked = self.ui, self.logic.checked()
        usable = volume is not None and volume.GetImageData() is not None
        for widget in (ui.whichLabel, ui.readingLabel, ui.checkButton):
            widget.setVisible(usable)
        ui.checkButton.setEnabled(self.logic.runs.running is None)
        refused = checked.refusal.code if checked is not None and checked.refusal is not None else ""
        ui.greyCheck.setVisible(usable and (refused == "not-hu" or self.settings["greyValues"]))
        for widget in (ui.headerBox, ui.headerBoxLabel):
            widget.setVisible(usable and (refused == "inconsistent" or bool(self.settings["header"])))
        with quiet(ui.greyCheck):
            ui.greyCheck.setChecked(self.settings["greyValues"])
        choose(ui.headerBox, self.settings["header"])
        if usable:
            shade = colour("amber", ui.whichLabel)
            others = f'<br><b style="color:{shade}">{html.escape(origin.others())}</b>' if origin.others() else ""
            ui.whichLabel.setText(html.escape(origin.which(volume)) + others)
            ui.readingLabel.setText(self._reading(volume))

    def _reading(self, volume) -> str:
        """What reading says, in the colour of its weight."""
        checked = self.logic.checked()
        if checked is None:
            kept = [line["text"] for line in origin.kept_warnings(volume)]
            is_read = self.logic.runs.running == CHECK
            said, shade, texts = _("The scan is being read...") if is_read else _("Not checked yet."), "grey", kept
        elif checked.refusal is not None:
            said, shade, texts = _("This scan cannot be segmented."), "red", [checked.refusal.text, *checked.warnings]
        elif checked.warnings:
            said, shade, texts = _("Reading the scan warns:"), "amber", checked.warnings
        else:
            said, shade, texts = _("Reading the scan gives no warning."), "green", []
        lines = "".join(f"<br>{html.escape(told(text))}" for text in texts)
        return f'<b style="color:{colour(shade, self.ui.readingLabel)}">{html.escape(said)}</b>{lines}'

    def _make_phantom(self) -> None:
        self.try_to(self.logic.start_phantom)

    def _judge(self, volume) -> None:
        table, label = self.ui.conditionsTable, self.ui.feasibilityLabel
        usable = volume is not None and volume.GetImageData() is not None
        table.setVisible(usable)
        label.setVisible(usable)
        if not usable:
            return
        rows, feasibility = conditions.judge(volume)
        shade = colour(VERDICT_COLOURS[feasibility.thin_walls], label)
        label.setText(
            f'<b style="color:{shade}">{_("Thin walls")}: {told(feasibility.thin_walls)}.</b> '
            + html.escape(told(feasibility.reason))
        )
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            said = (told(text) for text in (row.term, row.found or "not stated", row.condition))
            texts = (SIGNS[row.verdict], *said)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(f"{texts[1]}: {told(row.verdict)}. {_('Asked for')}: {texts[3]}. {texts[2]}")
                if column == 0:
                    item.setForeground(qt.QBrush(qt.QColor(colour(_light(row), table))))
                table.setItem(number, column, item)
        table.setColumnWidth(0, SIGN_WIDTH)
        table.setColumnWidth(1, CONDITION_WIDTH)
        table.setColumnWidth(2, FOUND_WIDTH)
        table.horizontalHeader().setSectionResizeMode(3, qt.QHeaderView.Stretch)


def _light(row) -> str:
    """Red is for what decides; what is only advised is amber."""
    if row.verdict == "not met":
        return "red" if row.kind == "decisive" else "amber"
    return "green" if row.verdict == "met" else "grey"
