"""1. Scan: which CT, and what it is fit for."""

import html

import qt
from slicer.i18n import tr as _

from OrbitalSegPanel import conditions, views
from OrbitalSegPanel.sections.section import Panel, Section, Selector, colour
from OrbitalSegPanel.settings import VOLUME

SIGNS = {"met": "✓", "not met": "✗", "not stated": "?"}
SIGN_WIDTH, CONDITION_WIDTH, FOUND_WIDTH, ROW_HEIGHT = 24, 112, 116, 22
VERDICT_COLOURS = {"feasible": "green", "borderline": "amber", "not feasible": "red"}


class ScanSection(Section):
    """The volume, the practice scan, and table A.1 as lights."""

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
        self.ui.phantomButton.connect("clicked(bool)", self._make_phantom)

    def refresh(self) -> None:
        volume = self.settings.reference(VOLUME)
        self._volume.refresh()
        self.ui.phantomButton.setEnabled(self.logic.runs.running is None)
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
        if node is not None:
            views.window_for_bone(node)
            views.show_volume(node)
        self.panel.refresh()

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
            f'<b style="color:{shade}">{_("Thin walls")}: {feasibility.thin_walls}.</b> '
            + html.escape(feasibility.reason)
        )
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            texts = (SIGNS[row.verdict], row.term, row.found or _("not stated"), row.condition)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(f"{row.term}: {row.verdict}. {_('Asked for')}: {row.condition}. {texts[2]}")
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
