"""The shape of a section, and what all of them use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import qt

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegPanel import packages
from OrbitalSegPanel.logic import PanelLogic
from OrbitalSegPanel.packages import Package
from OrbitalSegPanel.process import Line, Outcome

COLOURS = {
    "green": ("#1e6f42", "#5fd38d"),
    "amber": ("#8a5300", "#f5b041"),
    "red": ("#b03a2e", "#ff8a80"),
    "grey": ("#5f6a6a", "#b2babb"),
}
"""By name, on a light ground and on a dark one: each is read at 4.5 to 1 and better."""

DARK_BELOW = 128
"""Lightness of a dark ground, 0 to 255."""

NO_LIMIT = (1 << 24) - 1
"""Pixels that Qt lets a widget have."""

SECTION_MARGIN = 12
"""Pixels beside the widgets of a section, or more."""


@dataclass
class Panel:
    """What a section may use."""

    ui: Any
    """The widgets of OrbitalSeg.ui by name."""
    logic: PanelLogic
    ask: Callable[[str], bool]
    """A question that is answered by yes or no."""
    say: Callable[[str], None]
    """Shows a sentence below the progress bar."""
    refresh: Callable[[], None]
    """Lets every section look at the state again."""
    after_install: Callable[[], None] | None = None
    """What waits for packages."""
    rebuilding: bool = False
    """Whether a scene is being closed or imported into: what the combo boxes of nodes say then is nobody's choice."""

    @property
    def settings(self) -> Any:
        return self.logic.settings


class Section:
    """Connects its widgets when it is made; `refresh` makes them show the state, and never changes it."""

    def __init__(self, panel: Panel) -> None:
        self.panel, self.ui, self.logic = panel, panel.ui, panel.logic

    @property
    def settings(self) -> Any:
        return self.panel.settings

    def refresh(self) -> None:
        """Show the state: values, and what can be done."""

    def heard(self, line: Line) -> None:
        """A line of the worker."""

    def finished(self, name: str, outcome: Outcome) -> None:
        """Work has ended."""

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown."""

    def cleanup(self) -> None:
        """The module is unloaded: nothing may happen any more."""

    def with_packages(self, missing: list[Package], act: Callable[[], None]) -> None:
        """Act; where packages are missing, only after the user has agreed and they are installed."""
        if not missing:
            act()
        elif self.panel.ask(packages.question(missing, bool(self.settings["wheels"]))):
            self.panel.after_install = act
            self.try_to(lambda: self.logic.start_install(missing))

    def try_to(self, act: Callable[[], Any]) -> bool:
        """Act, and say in words why it cannot be done; returns whether it could."""
        try:
            act()
        except (ValueError, OSError, OrbitalSegError) as error:
            self.panel.say(str(error))
            return False
        self.panel.refresh()
        return True


class Selector:
    """A combo box that shows the node of a role, and changes the role only when somebody chooses.

    Its signal tells more than choices: a node that is renamed comes once more, the neighbour of one that is deleted
    comes in its place, and None comes while a scene is imported. So only another node counts, and only while the one
    that is shown is still on offer.
    """

    def __init__(self, box: Any, panel: Panel, role: str, chosen: Callable[[Any], None]) -> None:
        self._box, self._panel, self._role, self._chosen = box, panel, role, chosen
        self._shown: Any = None
        box.connect("currentNodeChanged(vtkMRMLNode*)", self._heard)

    def refresh(self) -> None:
        self._shown = self._panel.settings.reference(self._role)
        with quiet(self._box):
            self._box.setCurrentNode(self._shown)

    def _heard(self, node: Any) -> None:
        if node is self._shown or self._panel.rebuilding or not self._still_offered():
            return
        self._shown = node
        self._panel.settings.refer(self._role, node)
        self._chosen(node)

    def _still_offered(self) -> bool:
        return self._shown is None or offers(self._box, self._shown)


def offers(box: Any, node: Any) -> bool:
    """Whether a combo box of nodes has this one."""
    return any(box.nodeFromIndex(index) is node for index in range(box.nodeCount()))


def hear_path(edit: Any, hear: Callable[[str], None]) -> None:
    """Let `hear` have every path of a field, an empty one too, of which the field says only that it is not valid."""

    def judged(valid: bool) -> None:
        if not valid:
            hear("")

    edit.connect("currentPathChanged(QString)", hear)
    edit.connect("validInputChanged(bool)", judged)


def show_path(edit: Any, path: str) -> None:
    """Show a path; one that stands there already is left alone, with the place where somebody types."""
    if edit.currentPath != path:
        with quiet(edit):
            edit.currentPath = path


@contextmanager
def quiet(*widgets: Any) -> Iterator[None]:
    """Change widgets without their signals."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, was in zip(widgets, before, strict=True):
            widget.blockSignals(was)


def colour(name: str, widget: Any) -> str:
    """A colour that can be read on the ground of a widget, in a light theme or a dark one."""
    light, dark = COLOURS[name]
    return dark if widget.palette.color(qt.QPalette.Base).lightness() < DARK_BELOW else light


def name_for_readers(ui: Any) -> None:
    """Give every field the name of its label, for programs that read the screen aloud."""
    for label in vars(ui).values():
        buddy = label.buddy() if isinstance(label, qt.QLabel) else None
        if buddy is not None and not buddy.accessibleName:
            buddy.setAccessibleName(label.text.replace("&", "").rstrip(":"))


class Wrapping(qt.QObject):
    """Gives the labels of a section that wrap the height that their text needs, which a form would cut off.

    It does so whenever the section gets another width and whenever a label gets another text: Qt tells the section
    of both. A section is as wide as the panel, though it may be collapsed.
    """

    def __init__(self, section: Any, labels: list[Any]) -> None:
        qt.QObject.__init__(self)
        self._section, self._labels = section, labels
        self._fitted: dict[int, tuple[Any, ...]] = {}
        section.installEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() in (qt.QEvent.Resize, qt.QEvent.LayoutRequest):
            self.fit()
        return False

    def fit(self) -> None:
        width = self._section.width - 2 * SECTION_MARGIN
        for number, label in enumerate(self._labels):
            wanted = (label.text, width, label.fontMetrics().height())
            if self._fitted.get(number) != wanted:  # a height that is set is told again
                self._fitted[number] = wanted
                label.setMinimumHeight(0)  # else the height is never less than it was
                label.setMaximumHeight(NO_LIMIT)
                label.setFixedHeight(max(0, label.heightForWidth(width) if label.text else 0))
                self._section.layout().invalidate()  # a form keeps the places of rows below a label that has grown

    def stop(self) -> None:
        self._section.removeEventFilter(self)


def wrapping(ui: Any) -> list[Wrapping]:
    """One for each section, with the labels that wrap in it."""
    labels = [label for label in vars(ui).values() if isinstance(label, qt.QLabel) and label.wordWrap]
    sections = [section for name, section in vars(ui).items() if name.endswith("Section")]
    return [Wrapping(section, [label for label in labels if label.parent() is section]) for section in sections]


def empty_layout(box: Any) -> Any:
    """The layout of a box, with all that was in it taken out."""
    layout = box.layout()
    while layout.count():
        widget = layout.takeAt(0).widget()
        widget.setParent(None)
        widget.deleteLater()
    return layout


def stand_before(widget: Any, others: list[Any]) -> None:
    """Let the Tab key come to what was made later before it comes to this one."""
    before = widget.previousInFocusChain()
    while before.focusPolicy == qt.Qt.NoFocus:
        before = before.previousInFocusChain()
    for other in others:
        qt.QWidget.setTabOrder(before, other)
        before = other


def fill(box: Any, items: list[tuple[str, str]]) -> None:
    """Fill a combo box with texts, each with the value that it stands for."""
    with quiet(box):
        box.clear()
        for text, value in items:
            box.addItem(text, value)


def choose(box: Any, value: str) -> None:
    """Show the item of a value."""
    with quiet(box):
        box.setCurrentIndex(max(0, box.findData(value)))
