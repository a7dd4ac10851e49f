"""OrbitalSeg in 3D Slicer: the four classes that Slicer looks for. The panel is made in OrbitalSegPanel."""

from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from OrbitalSegPanel.language import translate_panel
from OrbitalSegPanel.library import make_importable

if TYPE_CHECKING:
    from OrbitalSegPanel.process import Line, Outcome

make_importable()

POLL_MS = 50
"""How often the worker's lines are taken; a progress bar needs no more."""


class OrbitalSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        translate_panel()
        parent.title = _("OrbitalSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "SegmentEditor", "Volumes", "Markups"]
        parent.contributors = ["The OrbitalSeg contributors"]
        parent.helpText = _(
            "A head CT in, a printable model of the orbital bones out, by the steps of ISO/IEC 3532: check the scan, "
            "segment, correct, measure, export, review and record. Not a medical device: a physician must review every "
            "model before it is used. See docs/tutorial.md."
        )
        parent.acknowledgementText = _("Apache License 2.0. After ISO/IEC 3532-1 and 3532-2, and Ekman et al. 2025.")
        slicer.app.connect("startupCompleted()", register_practice_scan)


def register_practice_scan():
    """Offer the practice scan in the module Sample Data too: one click, and nothing is downloaded."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="OrbitalSeg",
        sampleName="OrbitalSegPracticeScan",
        uris="",
        nodeNames=_("Practice scan of the orbits"),
        thumbnailFileName=str(Path(__file__).parent / "Resources/Icons/PracticeScan.png"),
        customDownloader=make_practice_scan,
    )


def make_practice_scan(_source=None):
    """Show the panel, which makes the practice scan in the background and can cancel it."""
    slicer.util.selectModule("OrbitalSeg")
    slicer.modules.orbitalseg.widgetRepresentation().self().ui.phantomButton.click()


class OrbitalSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it loads the form, makes the sections, and tells them what happens."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections = []
        self.wrapping = []

    def setup(self):
        from OrbitalSegPanel.desktop import OrbitalSegLogic
        from OrbitalSegPanel.sections import SECTIONS
        from OrbitalSegPanel.sections.section import Panel, name_for_readers, wrapping

        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/OrbitalSeg.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        self.logic = self.logic or OrbitalSegLogic()
        self.logic.listener = self
        panel = Panel(self.ui, self.logic, ask=slicer.util.confirmYesNoDisplay, say=self.say, refresh=self.refresh)
        self.panel = panel
        self.sections = [make(panel) for make in SECTIONS]
        name_for_readers(self.ui)
        self.wrapping = wrapping(self.ui)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic.save_state = next(s.save_state for s in self.sections if hasattr(s, "save_state"))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneRebuilt)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneRebuilt)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onSceneChanged)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.poll)
        self.rebuilt = qt.QTimer()
        self.rebuilt.setSingleShot(True)
        self.rebuilt.setInterval(0)  # when the combo boxes of nodes have heard of it too
        self.rebuilt.connect("timeout()", self.onRebuilt)
        self.say("")
        self.refresh()

    def cleanup(self):
        """The module is unloaded or reloaded, or Slicer closes: no process and no file may stay."""
        self.timer.stop()
        self.rebuilt.stop()
        for labels in self.wrapping:
            labels.stop()
        for section in self.sections:
            section.cleanup()
        self.logic.listener = None
        self.logic.drop()
        self.removeObservers()

    def enter(self):
        for section in self.sections:
            section.enter()
        self.refresh()

    def exit(self):
        for section in self.sections:
            section.exit()

    def refresh(self):
        """Let every section show the state."""
        if slicer.mrmlScene.IsBatchProcessing():
            return
        for section in self.sections:
            section.refresh()

    def poll(self):
        """Take what the worker said. A mistake of ours is shown, not only logged."""
        with slicer.util.tryWithErrorDisplay(_("The result could not be shown.")):
            self.logic.poll(in_parts=True)

    def say(self, text):
        """Show a sentence, or nothing."""
        from OrbitalSegPanel.words import told

        self.ui.messageLabel.setText(told(text))
        self.ui.messageLabel.setVisible(bool(text))

    # What the logic tells its listener

    def heard(self, line: "Line") -> None:
        for section in self.sections:
            section.heard(line)

    def changed(self) -> None:
        if self.logic.runs.running:
            self.timer.start()
        else:
            self.timer.stop()
        self.refresh()

    def finished(self, name: str, outcome: "Outcome", said: str) -> None:
        refused = name == "check"  # the scan's own section says why
        if said or not (outcome.succeeded or refused):
            self.say("\n".join([said if outcome.succeeded else outcome.text, *self.logic.warnings]))
        for section in self.sections:
            section.finished(name, outcome)

    # What the scene tells

    def onSceneStartClose(self, _caller, _event):
        self.panel.rebuilding = True
        self.logic.drop()

    def onSceneStartImport(self, _caller, _event):
        self.panel.rebuilding = True

    def onSceneRebuilt(self, _caller, _event):
        self.refresh()
        self.rebuilt.start()

    def onRebuilt(self):
        self.panel.rebuilding = False
        self.refresh()

    def onSceneChanged(self, _caller, _event):
        self.refresh()


def __getattr__(name):
    """The logic when somebody asks for it: what it needs takes a second to import, for which Slicer's start must not
    wait."""
    if name == "OrbitalSegLogic":
        from OrbitalSegPanel.desktop import OrbitalSegLogic

        return OrbitalSegLogic
    raise AttributeError(name)


class OrbitalSegTest(ScriptedLoadableModuleTest):
    """For the Slicer desktop: the practice scan, from the button to the file."""

    TIMEOUT_SECONDS = 600

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_the_practice_scan_becomes_a_file()

    def test_the_practice_scan_becomes_a_file(self):
        slicer.util.selectModule("OrbitalSeg")
        widget = slicer.modules.orbitalseg.widgetRepresentation().self()
        self.delayDisplay("Making the practice scan")
        widget.ui.phantomButton.click()
        self.wait_for(widget)
        self.assertIsNotNone(widget.ui.volumeSelector.currentNode())
        self.delayDisplay("Segmenting by threshold")
        widget.ui.methodBox.setCurrentIndex(widget.ui.methodBox.findData("threshold"))
        widget.ui.regionBox.setCurrentIndex(widget.ui.regionBox.findData("right"))  # one orbit takes half of the time
        widget.ui.segmentButton.click()
        self.wait_for(widget)
        segmentation = widget.ui.segmentationSelector.currentNode()
        self.assertIsNotNone(segmentation, widget.ui.messageLabel.text)
        self.assertTrue(segmentation.GetSegmentation().GetSegment("bone"))
        self.delayDisplay("Exporting")
        folder = Path(slicer.util.tempDirectory())
        widget.ui.exportFolderEdit.currentPath = str(folder)
        widget.ui.exportButton.click()
        self.wait_for(widget)
        self.assertTrue((folder / "bone-right.stl").is_file())
        self.delayDisplay("Test passed")

    def wait_for(self, widget):
        """Let Slicer work until the run has ended, and sleep meanwhile."""
        waiting, looking, late = qt.QEventLoop(), qt.QTimer(), qt.QTimer()
        looking.setInterval(POLL_MS)
        looking.connect("timeout()", lambda: widget.logic.runs.running or waiting.quit())
        late.setSingleShot(True)
        late.setInterval(1000 * self.TIMEOUT_SECONDS)
        late.connect("timeout()", waiting.quit)
        looking.start()
        late.start()
        waiting.exec()
        looking.stop()
        self.assertFalse(widget.logic.runs.running, "the run takes too long")
