"""The shape of a section, and what all of them use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from OrbitalSegPanel.logic import PanelLogic
from OrbitalSegPanel.process import Line, Outcome


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

    def try_to(self, act: Callable[[], Any]) -> bool:
        """Act, and say in words why it cannot be done; returns whether it could."""
        try:
            act()
        except (ValueError, OSError) as error:
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
