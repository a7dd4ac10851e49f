"""6. Correct: the Segment Editor, with presets for thin walls."""

import math
from typing import Any

import slicer

from OrbitalSegPanel import segments
from OrbitalSegPanel.sections.section import Panel, Section, quiet
from OrbitalSegPanel.settings import SEGMENTATION, VOLUME

UNDO_STATES = 10
THIN_WALL_HU = (-100.0, 300.0)
"""From fat to what is certainly cortical [ISO/IEC 3532-2 8.2]: where thin walls lie."""

SPECK_ML = 0.1
"""Objects below are outliers [Ekman]."""

EDITOR_TAG = "OrbitalSeg"


class CorrectSection(Section):
    """The embedded editor, on the result's segmentation and the chosen volume."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        editor = self.ui.editorWidget
        editor.segmentationNodeSelectorVisible = editor.sourceVolumeNodeSelectorVisible = False  # the panel's count
        editor.setMaximumNumberOfUndoStates(UNDO_STATES)
        editor.setMRMLSegmentEditorNode(self._node())
        self._is_shown = self._has_shortcuts = False
        self.ui.correctSection.connect("contentsCollapsed(bool)", self._opened)
        self.ui.maskButton.connect("toggled(bool)", self._mask)
        self.ui.thinBrushButton.connect("clicked(bool)", self._thin_brush)
        self.ui.islandsButton.connect("clicked(bool)", self._islands)
        self.ui.smoothingButton.connect("clicked(bool)", self._smooth)

    def refresh(self) -> None:
        node = self._node()
        editor = self.ui.editorWidget
        if editor.mrmlSegmentEditorNode() is not node:
            editor.setMRMLSegmentEditorNode(node)
        target, volume = self.settings.reference(SEGMENTATION), self.settings.reference(VOLUME)
        if editor.segmentationNode() is not target:
            editor.setSegmentationNode(target)
        if target is not None and volume is not None and editor.sourceVolumeNode() is not volume:
            editor.setSourceVolumeNode(volume)
        ready = self._is_ready()
        for widget in (self.ui.maskButton, self.ui.thinBrushButton, self.ui.islandsButton, self.ui.smoothingButton):
            widget.setEnabled(ready)
        editor.setEnabled(ready)
        self._let_edit()
        with quiet(self.ui.maskButton):
            self.ui.maskButton.setChecked(bool(node.GetSourceVolumeIntensityMask()))

    def save_state(self, segmentation: Any) -> None:
        """Let one undo bring back what is in a segmentation now."""
        editor = self.ui.editorWidget
        if editor.segmentationNode() is not segmentation:
            editor.setSegmentationNode(segmentation)
        editor.saveStateForUndo()

    def enter(self) -> None:
        self._is_shown = True
        self.ui.editorWidget.setupViewObservations()
        self._let_edit()

    def exit(self) -> None:
        """A tool that stayed active would paint while another module is shown."""
        self._is_shown = False
        self.ui.editorWidget.setActiveEffectByName("")
        self.ui.editorWidget.removeViewObservations()
        self._let_edit()

    def _opened(self, _collapsed: bool) -> None:
        self._let_edit()

    def _is_ready(self) -> bool:
        has_nodes = all(self.settings.reference(role) is not None for role in (SEGMENTATION, VOLUME))
        return has_nodes and self.logic.runs.busy is None

    def _let_edit(self) -> None:
        """Tools and keys work only where this section is open and nothing runs: the keys are the whole window's, and a
        widget that is disabled or hidden does not stop them."""
        editor = self.ui.editorWidget
        may = self._is_shown and not self.ui.correctSection.collapsed and self._is_ready()
        if editor.readOnly is may:
            editor.readOnly = not may
        if may != self._has_shortcuts:
            self._has_shortcuts = may
            if may:
                editor.installKeyboardShortcuts()
            else:
                editor.uninstallKeyboardShortcuts()

    def _node(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(EDITOR_TAG)
            node = slicer.mrmlScene.AddNode(node)
            node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)  # our segments overlap on purpose
        return node

    def _mask(self, on: bool) -> None:
        node = self._node()
        node.SetSourceVolumeIntensityMaskRange(*THIN_WALL_HU)
        node.SetSourceVolumeIntensityMask(on)

    def _thin_brush(self) -> None:
        effect = self._effect("Paint")
        if effect is not None:
            effect.setCommonParameter("BrushDiameterIsRelative", 0)
            effect.setCommonParameter("BrushAbsoluteDiameter", min(self._spacing_mm()))
            effect.setCommonParameter("BrushSphere", 0)

    def _islands(self) -> None:
        voxel_ml = math.prod(self._spacing_mm()) / 1000
        effect = self._effect("Islands")
        if effect is not None:
            effect.setParameter("Operation", "REMOVE_SMALL_ISLANDS")
            effect.setParameter("MinimumSize", max(1, round(SPECK_ML / voxel_ml)))

    def _smooth(self) -> None:
        effect = self._effect("Smoothing")
        if effect is not None:
            effect.setParameter("SmoothingMethod", "MEDIAN")
            effect.setParameter("KernelSizeMm", 3 * min(self._spacing_mm()))

    def _effect(self, name: str) -> Any:
        self.ui.correctSection.collapsed = False
        self.ui.editorWidget.setActiveEffectByName(name)
        return self.ui.editorWidget.activeEffect()

    def _spacing_mm(self) -> tuple[float, ...]:
        """Of the voxels that are edited: those of the segmentation, where it holds any segment yet."""
        target = self.settings.reference(SEGMENTATION)
        if target.GetSegmentation().GetNumberOfSegments() == 0:
            return tuple(self.settings.reference(VOLUME).GetSpacing())
        return segments.spacing_mm(target)
