"""What the real classes offer, as far as the stand-ins use it, by the headers of CTK and Slicer 5.12.

ctkCollapsibleButton.h, ctkPathLineEdit.h, ctkSliderWidget.h; qMRMLWidget.h, qMRMLNodeComboBox.h,
qMRMLSegmentEditorWidget.h.
"""

_WIDGET = {"mrmlScene", "setMRMLScene", "mrmlSceneChanged"}

INTERFACES = {
    "ctkCollapsibleButton": {"text", "collapsed", "contentsCollapsed"},
    "ctkPathLineEdit": {"currentPath", "currentPathChanged", "validInputChanged", "comboBox"},
    "ctkSliderWidget": {"value", "minimum", "maximum", "singleStep", "decimals", "valueChanged"},
    "qMRMLWidget": _WIDGET,
    "qMRMLNodeComboBox": _WIDGET
    | {"nodeTypes", "noneEnabled", "noneDisplay", "addEnabled", "removeEnabled", "showChildNodeTypes"}
    | {"currentNode", "setCurrentNode", "setCurrentNodeID", "currentNodeChanged", "nodeCount", "nodeFromIndex"},
    "qMRMLSegmentEditorWidget": _WIDGET
    | {"mrmlSegmentEditorNode", "setMRMLSegmentEditorNode", "segmentationNode", "setSegmentationNode"}
    | {"sourceVolumeNode", "setSourceVolumeNode", "setActiveEffectByName", "activeEffect"}
    | {"segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible", "readOnly"}
    | {"saveStateForUndo", "undo", "redo", "setMaximumNumberOfUndoStates", "updateWidgetFromMRML"}
    | {"installKeyboardShortcuts", "uninstallKeyboardShortcuts", "setupViewObservations", "removeViewObservations"},
}
