"""The shape of a section, and what all of them use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegPanel import packages
from OrbitalSegPanel.logic import PanelLogic
from OrbitalSegPanel.packages import Package
from OrbitalSegPanel.process import Line, Outcome

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
            self.try_to(lambda: self.logic.start_install([item.requirement for item in missing]))

    def try_to(self, act: Callable[[], Any]) -> bool:
        """Act, and say in words why it cannot be done; returns whether it could."""
        try:
            act()
        except (ValueError, OSError, OrbitalSegError) as error:
            self.panel.say(str(error))
            return False
        self.panel.refresh()
        return True


@contextmanager
def quiet(*widgets: Any) -> Iterator[None]:
    """Change widgets without their signals."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, was in zip(widgets, before, strict=True):
            widget.blockSignals(was)


def fit(label: Any, section: Any) -> None:
    """Give a label that wraps the height that its text needs, which a form would cut off.

    Its section is as wide as the panel, though it may be collapsed.
    """
    height = label.heightForWidth(section.width - 2 * SECTION_MARGIN) if label.text else 0
    label.setMinimumHeight(max(0, height))


def empty_layout(box: Any) -> Any:
    """The layout of a box, with all that was in it taken out."""
    layout = box.layout()
    while layout.count():
        widget = layout.takeAt(0).widget()
        widget.setParent(None)
        widget.deleteLater()
    return layout


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
