"""Stand-ins for the CTK and qMRML widgets that the panel uses; those with a scene work on the real one."""

from typing import Any

import qt
import slicer
from PySide6.QtCore import Property, Signal


def stored(kind: Any, name: str, default: Any) -> Property:
    """A Qt property that is kept in Python; `property_changed` hears of it."""
    key = "_stored_" + name

    def read(self):
        return self.__dict__.get(key, default)

    def write(self, value):
        self.__dict__[key] = value
        self.property_changed(name)

    return Property(kind, read, write)


class ctkCollapsibleButton(qt.QWidget):  # noqa: N801 - CTK's names
    """A heading that hides what is below it: here by leaving it no room."""

    contentsCollapsed = Signal(bool)  # noqa: N815

    HEIGHT = 26
    UNLIMITED = (1 << 24) - 1

    def __init__(self, parent=None):
        super().__init__(parent)
        self._button = qt.QToolButton(self)
        self._button.setCheckable(True)
        self._button.setToolButtonStyle(qt.Qt.ToolButtonTextBesideIcon)
        self._button.setStyleSheet("QToolButton {border: none; background: palette(midlight); font-weight: bold}")
        self._button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self._button.connect("clicked(bool)", lambda: setattr(self, "collapsed", not self.collapsed))
        self.setContentsMargins(0, self.HEIGHT + 2, 0, 4)
        self.property_changed("collapsed")

    def property_changed(self, name):
        if name == "text":
            self._button.setText(self.text.replace("&", "&&"))
        if name == "collapsed":
            self._button.setChecked(not self.collapsed)
            self._button.setArrowType(qt.Qt.RightArrow if self.collapsed else qt.Qt.DownArrow)
            self.setMaximumHeight(self.HEIGHT + 2 if self.collapsed else self.UNLIMITED)
            self.contentsCollapsed.emit(self.collapsed)

    def resizeEvent(self, event):  # noqa: N802
        super().resizeEvent(event)
        self._button.setGeometry(0, 0, event.size().width(), self.HEIGHT)

    text = stored(str, "text", "")
    collapsed = stored(bool, "collapsed", False)


class ctkPathLineEdit(qt.QWidget):  # noqa: N801
    """A path that is typed or browsed for."""

    currentPathChanged = Signal(str)  # noqa: N815

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = qt.QLineEdit()
        self._button = qt.QToolButton()
        self._button.setText("...")
        layout.addWidget(self._edit)
        layout.addWidget(self._button)
        self._edit.connect("textChanged(QString)", self.currentPathChanged.emit)
        self.setFocusProxy(self._edit)

    currentPath = Property(str, lambda self: self._edit.text, lambda self, path: self._edit.setText(path))  # noqa: N815


class ctkSliderWidget(qt.QWidget):  # noqa: N801
    """A slider with a number beside it."""

    valueChanged = Signal(float)  # noqa: N815

    STEPS = 1000

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = qt.QSlider(qt.Qt.Horizontal)
        self._slider.setRange(0, self.STEPS)
        self._number = qt.QDoubleSpinBox()
        layout.addWidget(self._slider)
        layout.addWidget(self._number)
        self._number.connect("valueChanged(double)", self._number_changed)
        self._slider.connect("sliderMoved(int)", self._slider_moved)
        self.setFocusProxy(self._number)

    def _number_changed(self, value):
        span = self._number.maximum - self._number.minimum
        self._slider.setValue(round(self.STEPS * (value - self._number.minimum) / span) if span else 0)
        self.valueChanged.emit(value)

    def _slider_moved(self, place):
        span = self._number.maximum - self._number.minimum
        self._number.setValue(self._number.minimum + span * place / self.STEPS)

    def _number_property(name):  # noqa: N805 - runs in the class body
        def write(self, value):
            getattr(self._number, f"set{name[0].upper()}{name[1:]}")(value)

        return Property(int if name == "decimals" else float, lambda self: getattr(self._number, name), write)

    value = _number_property("value")
    minimum = _number_property("minimum")
    maximum = _number_property("maximum")
    singleStep = _number_property("singleStep")  # noqa: N815
    decimals = _number_property("decimals")


class qMRMLWidget(qt.QWidget):  # noqa: N801
    """A widget that knows a scene."""

    mrmlSceneChanged = Signal(object)  # noqa: N815
    mrml_signals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):  # noqa: N802
        return self._scene

    def setMRMLScene(self, scene):  # noqa: N802
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def property_changed(self, name):
        """Most properties only have to be kept."""


class qMRMLNodeComboBox(qMRMLWidget):  # noqa: N801
    """The nodes of some classes, one of them current."""

    currentNodeChanged = Signal(object)  # noqa: N815
    mrml_signals = (*qMRMLWidget.mrml_signals, "currentNodeChanged(vtkMRMLNode*)")

    nodeTypes = stored("QStringList", "nodeTypes", [])  # noqa: N815
    noneEnabled = stored(bool, "noneEnabled", False)  # noqa: N815
    noneDisplay = stored(str, "noneDisplay", "None")  # noqa: N815
    addEnabled = stored(bool, "addEnabled", True)  # noqa: N815
    removeEnabled = stored(bool, "removeEnabled", True)  # noqa: N815
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True)  # noqa: N815

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box, self._current, self._observed = qt.QComboBox(), None, []
        self._box.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        self._box.connect("activated(int)", lambda index: self.setCurrentNodeID(self._box.itemData(index)))

    def setMRMLScene(self, scene):  # noqa: N802
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        super().setMRMLScene(scene)
        if scene is not None:
            for event in (
                scene.NodeAddedEvent,
                scene.NodeRemovedEvent,
                scene.EndBatchProcessEvent,
                scene.EndCloseEvent,
            ):
                self._observed.append((scene, scene.AddObserver(event, lambda *_given: self._refresh())))
        self._refresh()

    def currentNode(self):  # noqa: N802
        return self._current

    def setCurrentNode(self, node):  # noqa: N802
        changed = node is not self._current
        self._current = node
        self._box.setCurrentIndex(max(0, self._box.findData(node.GetID() if node else "")))
        if changed:
            self.currentNodeChanged.emit(node)

    def setCurrentNodeID(self, identity):  # noqa: N802
        self.setCurrentNode(self._scene.GetNodeByID(identity) if identity and self._scene else None)

    def _nodes(self):
        return [
            node
            for kind in self.nodeTypes
            for node in slicer.util.getNodesByClass(kind, self._scene)
            if (self.showChildNodeTypes or node.GetClassName() == kind) and not node.GetHideFromEditors()
        ]

    def _refresh(self):
        """As the real one: a node that is gone is left for none, or for the first."""
        nodes = self._nodes() if self._scene is not None else []
        current = self._current if any(node is self._current for node in nodes) else None
        if current is None and nodes and not self.noneEnabled:
            current = nodes[0]
        blocked = self._box.blockSignals(True)
        self._box.clear()
        if self.noneEnabled or not nodes:
            self._box.addItem(self.noneDisplay, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        self._box.blockSignals(blocked)
        self.setCurrentNode(current)


class qMRMLSegmentEditorWidget(qMRMLWidget):  # noqa: N801
    """The editor without its effects, which are code of Qt; history, segments and masks are those of the real logic."""

    EFFECTS = ("Paint", "Erase", "Scissors", "Islands", "Smoothing")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node, self._list, self._shortcuts, self._observing = None, qt.QListWidget(), False, False
        layout = qt.QVBoxLayout(self)
        row = qt.QHBoxLayout()
        layout.addLayout(row)
        for name in self.EFFECTS:
            button = qt.QToolButton()
            button.setText(name)
            button.connect("clicked(bool)", lambda name=name: self.setActiveEffectByName(name))
            row.addWidget(button)
        self._list.setMaximumHeight(110)
        layout.addWidget(self._list)

    def setMRMLScene(self, scene):  # noqa: N802
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)

    def mrmlSegmentEditorNode(self):  # noqa: N802
        return self._node

    def setMRMLSegmentEditorNode(self, node):  # noqa: N802
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        self.updateWidgetFromMRML()

    def segmentationNode(self):  # noqa: N802
        return self._node.GetSegmentationNode() if self._node else None

    def setSegmentationNode(self, node):  # noqa: N802
        self._node.SetAndObserveSegmentationNode(node)
        self._logic.SetSegmentationNode(node)
        self.updateWidgetFromMRML()

    def sourceVolumeNode(self):  # noqa: N802
        return self._node.GetSourceVolumeNode() if self._node else None

    def setSourceVolumeNode(self, node):  # noqa: N802
        self._node.SetAndObserveSourceVolumeNode(node)

    def setActiveEffectByName(self, name):  # noqa: N802
        self._node.SetActiveEffectName(name)

    def activeEffect(self):  # noqa: N802
        """There is none here, as in a Slicer without that effect."""

    def saveStateForUndo(self):  # noqa: N802
        self._logic.SaveStateForUndo()

    def undo(self):
        self._logic.Undo()

    def setMaximumNumberOfUndoStates(self, count):  # noqa: N802
        self._logic.SetMaximumNumberOfUndoStates(count)

    def installKeyboardShortcuts(self):  # noqa: N802
        self._shortcuts = True

    def uninstallKeyboardShortcuts(self):  # noqa: N802
        self._shortcuts = False

    def setupViewObservations(self):  # noqa: N802
        self._observing = True

    def removeViewObservations(self):  # noqa: N802
        self._observing = False

    def updateWidgetFromMRML(self):  # noqa: N802
        self._list.clear()
        node = self.segmentationNode()
        if node is not None:
            segmentation = node.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                self._list.addItem(segmentation.GetNthSegment(index).GetName())


STAND_INS = {
    kind.__name__: kind
    for kind in (
        ctkCollapsibleButton,
        ctkPathLineEdit,
        ctkSliderWidget,
        qMRMLWidget,
        qMRMLNodeComboBox,
        qMRMLSegmentEditorWidget,
    )
}
