"""What a person does to the panel and to its segments, and what is then there."""

import re

import numpy as np
import qt

from OrbitalSegPanel import segments


def choose(box, value):
    box.setCurrentIndex(box.findData(value))


def export_check(panel, name: str):
    """The box to tick for the export of a structure."""
    return panel.ui.exportSegmentsBox.findChild(qt.QCheckBox, f"export_{name}")


def voxels(node, identity: str) -> int:
    return int(segments.array_of(segments.label_map(node, identity)).sum())


def node_names(scene) -> list[str]:
    return sorted(scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes()))


def edit(node) -> None:
    """Empty one slice of the bone, through the editor's own logic."""
    labels = segments.label_map(node, "bone")
    array = segments.array_of(labels).astype(np.uint8)
    array[0] = 0
    segments.set_voxels(node, "bone", array, shifted(labels))


def shifted(labels):
    matrix, extent = segments.image_to_ras(labels), labels.GetExtent()
    matrix[:3, 3] += matrix[:3, :3] @ (extent[0], extent[2], extent[4])
    return matrix


class Hand:
    """What a person can do to the panel where it stands in Slicer: see, click, type, drag, and wait.

    What is not in sight is scrolled to. A click goes to whatever lies at that place of the screen, so that a control
    that is hidden, covered or disabled cannot be used.
    """

    WIDTH, HEIGHT = 430, 900

    def __init__(self, host, panel, patience_seconds):
        from PySide6.QtTest import QTest

        self._host, self._panel, self._patience, self._test = host, panel, patience_seconds, QTest
        self._window = host.kept[-1]
        self._area = qt.QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setWidget(self._window)
        self._area.resize(self.WIDTH, self.HEIGHT)
        self._area.show()
        self._look()

    def put_down(self):
        """The window stands alone again, as it did."""
        self._area.hide()
        self._area.takeWidget().hide()

    def reads(self, widget) -> str:
        """A text that stands there."""
        self._show(widget)
        return widget.currentText if hasattr(widget, "currentText") else re.sub("<[^>]+>", "", widget.text)

    def click(self, widget):
        target, place = self._at(widget)
        assert target.isEnabled(), f"{widget.objectName} cannot be used now"
        self._test.mouseClick(target, qt.Qt.LeftButton, qt.Qt.NoModifier, place)
        self._look()

    def opens(self, section):
        """Click on the heading of a section."""
        assert section.collapsed
        target, place = self._at(section, heading=True)
        self._test.mouseClick(target, qt.Qt.LeftButton, qt.Qt.NoModifier, place)
        self._look()
        assert not section.collapsed

    def choose(self, box, text: str):
        """Open a box and go down or up to an item."""
        inner = box if hasattr(box, "findText") else box.findChild(qt.QComboBox)
        row = inner.findText(text)
        assert row >= 0, [inner.itemText(index) for index in range(inner.count)]
        self.click(inner)
        steps = row - inner.currentIndex
        for _ in range(abs(steps)):
            self._test.keyClick(inner.view(), qt.Qt.Key_Down if steps > 0 else qt.Qt.Key_Up)
        self._test.keyClick(inner.view(), qt.Qt.Key_Return)
        self._look()
        assert inner.currentText == text

    def types(self, edit, text: str):
        """Replace what stands in a field."""
        inner = edit.comboBox().lineEdit() if hasattr(edit, "comboBox") else edit
        self.click(inner)
        self._test.keyClick(inner, qt.Qt.Key_A, qt.Qt.ControlModifier)
        self._test.keyClicks(inner, text)
        self._test.keyClick(inner, qt.Qt.Key_Tab)
        self._look()

    def drags(self, slider, share: float):
        """Take the handle of a slider and move it by a share of its way, in small moves."""
        track = slider.findChild(qt.QSlider)
        self._show(track)
        option = qt.QStyleOptionSlider()
        track.initStyleOption(option)
        handle = track.style().subControlRect(qt.QStyle.CC_Slider, option, qt.QStyle.SC_SliderHandle, track).center()
        self._test.mousePress(track, qt.Qt.LeftButton, qt.Qt.NoModifier, handle)
        way = round(share * track.size.width())
        for step in range(1, 5):
            self._test.mouseMove(track, handle + qt.QPoint(way * step // 4, 0))
            self._look()
        self._test.mouseRelease(track, qt.Qt.LeftButton, qt.Qt.NoModifier, handle + qt.QPoint(way, 0))
        self._look()

    def inside(self, box, name: str):
        """A control that the panel made later."""
        return box.findChild(qt.QWidget, name)

    def waits(self, until_begun: bool = False, cancelling: bool = False):
        """Until the work is done, and before it where asked for until it has begun; then it may be cancelled."""
        running = self._panel.logic.runs
        if until_begun:
            self._host.process_until(lambda: running.running is not None, self._patience)
        if cancelling:
            self.click(self._panel.ui.cancelButton)
        self._host.process_until(lambda: running.running is None, self._patience)
        self._look()

    def _look(self):
        for _ in range(3):
            qt.QApplication.processEvents()

    def _show(self, widget):
        assert widget.isVisible(), f"{widget.objectName} is not there"
        self._area.ensureWidgetVisible(widget, 0, 0)
        self._look()

    def _at(self, widget, heading: bool = False):
        """What lies in the middle of a widget, or in its upper edge, and where in that."""
        self._show(widget)
        middle = widget.rect.center()
        inside = qt.QPoint(middle.x(), 12) if heading else middle
        place = widget.mapTo(self._area, inside)
        assert self._area.rect.contains(place), f"{widget.objectName} is out of sight"
        target = self._area.childAt(place)
        assert target is widget or widget.isAncestorOf(target), f"{target} lies over {widget.objectName}"
        return target, target.mapFrom(self._area, place)
