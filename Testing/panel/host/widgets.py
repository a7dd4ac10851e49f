"""Stand-ins for the CTK and qMRML widgets that the panel uses; those with a scene work on the real one."""

from functools import partial
from typing import Any

import qt
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT


def stored(kind: Any, name: str, default: Any) -> Property:
    """A Qt property that is kept in Python; `property_changed` hears of it."""
    key = "_stored_" + name

    def read(self):
        return self.__dict__.get(key, default)

    def write(self, value):
        self.__dict__[key] = value
        self.property_changed(name)

    return Property(kind, read, write)


VISIBILITY = "visibilityToParent"
"""Of a child of a collapsible button: whether its own code wants it to be seen."""


class _Watcher(QtCore.QObject):
    """Hears what becomes of the children of a collapsible button."""

    def __init__(self, button):
        super().__init__()
        self.button, self.forcing = button, False
        button.installEventFilter(self)

    def eventFilter(self, item, event):  # noqa: N802
        """What a child's own code wants is kept for later; while the button is collapsed, none is seen."""
        if item is self.button:
            if event.type() == QtCore.QEvent.ChildAdded and isinstance(event.child(), QtWidgets.QWidget):
                event.child().installEventFilter(self)
            return False
        shown = event.type() == QtCore.QEvent.ShowToParent
        if (shown or event.type() == QtCore.QEvent.HideToParent) and not self.forcing:
            item.setProperty(VISIBILITY, shown)
            if shown:
                self.set_visibility(item)
        return False

    def set_visibility(self, child):
        wanted = QtCore.QObject.property(child, VISIBILITY)
        self.forcing = True
        child.setVisible(not self.button.collapsed and wanted is not False)
        self.forcing = False
        if wanted is not False:
            child.setAttribute(QtCore.Qt.WA_WState_ExplicitShowHide, False)


class ctkCollapsibleButton(qt.QWidget):  # noqa: N801 - CTK's names
    """A heading that hides its children, and remembers which of them were hidden before."""

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
        self.setFocusProxy(self._button)
        self.setContentsMargins(0, self.HEIGHT + 2, 0, 4)
        self._watcher = _Watcher(self)
        self.property_changed("collapsed")

    def property_changed(self, name):
        if name == "text":
            self._button.setText(self.text.replace("&", "&&"))
        if name == "collapsed":
            self._button.setChecked(not self.collapsed)
            self._button.setArrowType(qt.Qt.RightArrow if self.collapsed else qt.Qt.DownArrow)
            self.setMaximumHeight(self.HEIGHT + 2 if self.collapsed else self.UNLIMITED)
            for child in self._contents():
                self._watcher.set_visibility(child)
            self.contentsCollapsed.emit(self.collapsed)

    def _contents(self):
        return [
            child for child in self.children() if isinstance(child, QtWidgets.QWidget) and child is not self._button
        ]

    def resizeEvent(self, event):  # noqa: N802
        super().resizeEvent(event)
        self._button.setGeometry(0, 0, event.size().width(), self.HEIGHT)

    text = stored(str, "text", "")
    collapsed = stored(bool, "collapsed", False)


class ctkPathLineEdit(qt.QWidget):  # noqa: N801
    """A path that is typed or browsed for. An empty one is no valid input: no path is told then."""

    currentPathChanged = Signal(str)  # noqa: N815
    validInputChanged = Signal(bool)  # noqa: N815

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._valid = False
        self._box = qt.QComboBox()
        self._box.setEditable(True)
        self._box.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self._button = qt.QToolButton()
        self._button.setText("...")
        layout.addWidget(self._box)
        layout.addWidget(self._button)
        self._box.connect("editTextChanged(QString)", self._edited)
        self.setFocusProxy(self._box)

    def comboBox(self):  # noqa: N802
        return self._box

    def _edited(self, text):
        """Without name filters the validator's pattern is `.+`."""
        valid = bool(text)
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)
        if valid:
            self.currentPathChanged.emit(text)

    currentPath = Property(str, lambda self: self._box.currentText, lambda self, path: self._box.setEditText(path))  # noqa: N815


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
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def property_changed(self, name):
        """Most properties only have to be kept."""


def stop_observing(observed):
    """Take back observers, pairs of what is observed and a tag, from this very list."""
    for heard, tag in observed:
        heard.RemoveObserver(tag)
    observed.clear()


class qMRMLNodeComboBox(qMRMLWidget):  # noqa: N801
    """The nodes of some classes, one row each, in Qt's own combo box: what that does with rows is what is told.

    So `currentNodeChanged` comes with the neighbour when the current node is removed, once more with the same node when
    it is renamed, and with None when the scene was imported into, for all rows are then made anew.
    """

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
        self._box, self._nodes, self._observed = qt.QComboBox(), [], []
        self._box.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        self._box.setEnabled(False)  # until there is a scene
        self._box.connect("currentTextChanged(QString)", lambda: self.currentNodeChanged.emit(self.currentNode()))
        observed = self._observed
        self.destroyed.connect(lambda: stop_observing(observed))  # the real one is not heard of after its end either

    def setMRMLScene(self, scene):  # noqa: N802
        if scene is self._scene:
            return
        super().setMRMLScene(scene)
        self._box.setEnabled(scene is not None)
        stop_observing(self._observed)
        if scene is not None:
            heard = {
                scene.NodeAddedEvent: self._added,
                scene.NodeAboutToBeRemovedEvent: self._about_to_be_removed,
                scene.EndImportEvent: self._rebuild,
                scene.EndCloseEvent: self._rebuild,
            }
            self._observed += [(scene, scene.AddObserver(event, hear)) for event, hear in heard.items()]
        self._rebuild()

    def currentNode(self):  # noqa: N802
        return self.nodeFromIndex(self._box.currentIndex - self._first)

    def setCurrentNode(self, node):  # noqa: N802
        row = next((row for row, found in enumerate(self._nodes) if found is node), -1)
        self._box.setCurrentIndex(row + self._first)

    def setCurrentNodeID(self, identity):  # noqa: N802
        self.setCurrentNode(self._scene.GetNodeByID(identity) if identity and self._scene else None)

    def nodeCount(self):  # noqa: N802
        return len(self._nodes)

    def nodeFromIndex(self, index):  # noqa: N802
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    @property
    def _first(self):
        return 1 if self.noneEnabled else 0

    def _is_listed(self, node):
        kinds = [kind for kind in self.nodeTypes if node.IsA(kind)]
        is_kind = bool(kinds) and (self.showChildNodeTypes or node.GetClassName() in kinds)
        return is_kind and not node.GetHideFromEditors()

    def _rebuild(self, *_event):
        """All rows are taken away and made anew: what was current is not any more."""
        self._nodes = []
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay)
        for node in self._in_scene():
            self._observe(node)
            self._show(node)

    def _in_scene(self):
        scene = self._scene
        return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())] if scene is not None else []

    @calldata_type(VTK_OBJECT)
    def _added(self, _scene, _event, node):
        if not self._scene.IsImporting():
            self._observe(node)
            self._show(node)

    @calldata_type(VTK_OBJECT)
    def _about_to_be_removed(self, _scene, _event, node):
        self._hide(node)

    def _observe(self, node):
        if any(node.IsA(kind) for kind in self.nodeTypes) and not any(node is found for found, _tag in self._observed):
            self._observed.append((node, node.AddObserver("ModifiedEvent", self._modified)))

    def _modified(self, node, _event):
        if node.GetScene() is not self._scene or self._scene.IsImporting():
            return
        if any(found is node for found in self._nodes):
            if self._is_listed(node):
                self._box.setItemText(self._row(node) + self._first, node.GetName())
            else:
                self._hide(node)
        else:
            self._show(node)

    def _row(self, node):
        return next(row for row, found in enumerate(self._nodes) if found is node)

    def _show(self, node):
        if self._is_listed(node):
            self._nodes.append(node)
            self._box.addItem(node.GetName())

    def _hide(self, node):
        if any(found is node for found in self._nodes):
            row = self._row(node)
            del self._nodes[row]
            self._box.removeItem(row + self._first)


class qMRMLSegmentEditorWidget(qMRMLWidget):  # noqa: N801
    """The editor without its effects, which are code of Qt; history, segments and masks are those of the real logic."""

    EFFECTS = ("Paint", "Erase", "Scissors", "Islands", "Smoothing")

    segmentationNodeSelectorVisible = stored(bool, "segmentationNodeSelectorVisible", True)  # noqa: N815
    sourceVolumeNodeSelectorVisible = stored(bool, "sourceVolumeNodeSelectorVisible", True)  # noqa: N815
    readOnly = stored(bool, "readOnly", False)  # noqa: N815

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node, self._list, self._shortcuts, self._observing = None, qt.QListWidget(), [], False
        layout = qt.QVBoxLayout(self)
        self._selectors = {}
        kinds = {"segmentation": "vtkMRMLSegmentationNode", "sourceVolume": "vtkMRMLScalarVolumeNode"}
        for name, kind in kinds.items():
            selector = self._selectors[name] = qMRMLNodeComboBox()
            selector.nodeTypes, selector.noneEnabled = [kind], True
            layout.addWidget(selector)
        self._selectors["segmentation"].connect("currentNodeChanged(vtkMRMLNode*)", self.setSegmentationNode)
        self._selectors["sourceVolume"].connect("currentNodeChanged(vtkMRMLNode*)", self.setSourceVolumeNode)
        row = qt.QHBoxLayout()
        layout.addLayout(row)
        for name in self.EFFECTS:
            button = qt.QToolButton()
            button.setText(name)
            button.connect("clicked(bool)", lambda name=name: self.setActiveEffectByName(name))
            row.addWidget(button)
        self._list.setMaximumHeight(110)
        layout.addWidget(self._list)

    def property_changed(self, name):
        for kind, selector in self._selectors.items():
            selector.setVisible(getattr(self, f"{kind}NodeSelectorVisible"))
        if name == "readOnly" and self.readOnly and self._node is not None:
            self.setActiveEffectByName("")

    def setMRMLScene(self, scene):  # noqa: N802
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)
        for selector in self._selectors.values():
            selector.setMRMLScene(scene)

    def mrmlSegmentEditorNode(self):  # noqa: N802
        return self._node

    def setMRMLSegmentEditorNode(self, node):  # noqa: N802
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        self.updateWidgetFromMRML()

    def segmentationNode(self):  # noqa: N802
        return self._node.GetSegmentationNode() if self._node else None

    def setSegmentationNode(self, node):  # noqa: N802
        """Another segmentation brings its reference volume with it, or none."""
        if self._node is None or node is self.segmentationNode():
            return
        self._node.SetAndObserveSegmentationNode(node)
        self._logic.SetSegmentationNode(node)
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        self._node.SetAndObserveSourceVolumeNode(node.GetNodeReference(role) if node else None)
        self.updateWidgetFromMRML()

    def sourceVolumeNode(self):  # noqa: N802
        return self._node.GetSourceVolumeNode() if self._node else None

    def setSourceVolumeNode(self, node):  # noqa: N802
        if self._node is not None:
            self._node.SetAndObserveSourceVolumeNode(node)
            self.updateWidgetFromMRML()

    def setActiveEffectByName(self, name):  # noqa: N802
        self._node.SetActiveEffectName(name)

    def activeEffect(self):  # noqa: N802
        """There is none here, as in a Slicer without that effect."""

    def saveStateForUndo(self):  # noqa: N802
        self._logic.SaveStateForUndo()

    def undo(self):
        self._logic.Undo()

    def redo(self):
        self._logic.Redo()

    def setMaximumNumberOfUndoStates(self, count):  # noqa: N802
        self._logic.SetMaximumNumberOfUndoStates(count)

    def installKeyboardShortcuts(self, parent=None):  # noqa: N802
        """On the whole window: `readOnly` alone stops what they do, not a widget that is disabled or hidden."""
        self.uninstallKeyboardShortcuts()
        acts = {str((number + 1) % 10): partial(self._toggle, name) for number, name in enumerate(self.EFFECTS)}
        acts |= {"Escape": partial(self.setActiveEffectByName, ""), "Z": self.undo, "Y": self.redo}
        for key, act in acts.items():
            shortcut = QtGui.QShortcut(QtGui.QKeySequence(key), parent or self.window())
            shortcut.activated.connect(partial(self._unless_locked, act))
            self._shortcuts.append(shortcut)

    def uninstallKeyboardShortcuts(self):  # noqa: N802
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []

    def _toggle(self, name):
        self.setActiveEffectByName("" if self._node.GetActiveEffectName() == name else name)

    def _unless_locked(self, act):
        if not self.readOnly:
            act()

    def setupViewObservations(self):  # noqa: N802
        self._observing = True

    def removeViewObservations(self):  # noqa: N802
        self._observing = False

    def updateWidgetFromMRML(self):  # noqa: N802
        for selector, node in zip(
            self._selectors.values(), (self.segmentationNode(), self.sourceVolumeNode()), strict=True
        ):
            was = selector.blockSignals(True)
            selector.setCurrentNode(node)
            selector.blockSignals(was)
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
