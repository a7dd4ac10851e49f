"""The panel by keyboard and by ear: the Tab key goes from top to bottom, every control is reached and has a name."""

from itertools import pairwise

import pytest

from OrbitalSegPanel.sections.steps import STEPS

WIDTH, HEIGHT = 430, 2400
ROW = 12
"""Pixels by which controls in one row may stand higher or lower than each other."""

CONTROLS = ("QAbstractButton", "QComboBox", "QLineEdit", "QAbstractSpinBox", "QAbstractItemView", "QAbstractSlider")


@pytest.fixture
def window(host, ready):
    """The panel's window, shown."""
    ready.refresh()
    found = host.kept[-1]
    found.show()
    host.qt.QApplication.processEvents()
    yield found
    found.hide()


def stops(qt, window) -> list:
    """Where the Tab key stops, in its order."""
    found, widget = [], window.nextInFocusChain()
    while widget is not window and len(found) < 1000:
        tabbed = bool(widget.focusPolicy.value & qt.Qt.TabFocus.value)
        if tabbed and widget.isVisible() and widget.focusProxy() is None:
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


def is_control(widget) -> bool:
    return hasattr(widget, "inherits") and any(map(widget.inherits, CONTROLS))


def place(qt, window, widget) -> tuple[int, int]:
    corner = widget.mapTo(window, qt.QPoint(0, 0))
    return corner.y(), corner.x()


def outer(widget, named: set) -> object:
    """The widget of the form that one is, or is a part of."""
    while widget is not None and widget not in named:
        widget = widget.parentWidget()
    return widget


@pytest.mark.parametrize("section", STEPS)
def test_the_tab_key_goes_from_top_to_bottom(host, ready, window, section):
    getattr(ready.ui, section).collapsed = False
    for _ in range(3):
        window.resize(WIDTH, HEIGHT)
        host.qt.QApplication.processEvents()
    places = [(place(host.qt, window, widget), widget.objectName) for widget in stops(host.qt, window)]
    assert len(places) > 8
    for ((y, x), name), ((next_y, next_x), next_name) in pairwise(places):
        in_row = abs(next_y - y) <= ROW
        assert next_y > y or (in_row and next_x >= x), f"{name} before {next_name}"


def test_every_control_is_reached(host, ready, window):
    qt, named = host.qt, set(vars(ready.ui).values())
    controls = {name: widget for name, widget in vars(ready.ui).items() if is_control(widget)}
    reached, shown = set(), set()
    for section in STEPS:
        getattr(ready.ui, section).collapsed = False
        qt.QApplication.processEvents()
        reached |= {outer(widget, named) for widget in stops(qt, window)}
        shown |= {name for name, widget in controls.items() if widget.isVisible()}
    assert len(shown) > 25
    assert {name for name in shown if controls[name] not in reached} == set()


def test_every_control_has_a_name_for_those_who_hear_it(ready):
    unnamed = [
        name
        for name, widget in vars(ready.ui).items()
        if is_control(widget) and not (widget.accessibleName or getattr(widget, "text", ""))
    ]
    assert unnamed == []


def test_labels_that_wrap_are_as_high_as_their_text(host, ready, window):
    """Neither cut off in a narrow panel nor blank in a wide one, and what stands below is whole."""
    ui, heights = ready.ui, {}
    ui.scanSection.collapsed = False
    ui.readingLabel.setText("Of the same series were left out: 2 localizers, and 40 slices at another angle. " * 3)
    for width in (WIDTH, 2 * WIDTH, WIDTH):
        for _ in range(3):
            window.resize(width, HEIGHT)
            host.qt.QApplication.processEvents()
        heights.setdefault(width, []).append(ui.subjectLabel.size.height() + ui.nextLabel.size.height())
        table, section = ui.conditionsTable.geometry, ui.scanSection.size
        assert table.bottom() <= section.height()
        for label in (ui.subjectLabel, ui.nextLabel, ui.feasibilityLabel, ui.whichLabel):
            needed = label.heightForWidth(label.size.width())
            assert needed <= label.size.height() <= needed + 2 * label.fontMetrics().height(), label.objectName
    assert heights[WIDTH][0] == heights[WIDTH][1]
