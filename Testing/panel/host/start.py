"""Starts the host: the scene with its logics, Qt, the stand-ins, and the module."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

MODULE = Path(__file__).resolve().parents[3] / "OrbitalSeg" / "OrbitalSeg.py"


@dataclass
class Host:
    """What tests hold in their hands."""

    slicer: ModuleType
    qt: ModuleType
    scene: Any
    application_logic: Any
    widgets: ModuleType
    """The stand-ins."""
    kept: list[Any] = field(default_factory=list)
    """What nothing else keeps alive."""

    def panel(self, logic: Any = None) -> Any:
        """The module's widget in a window, with this logic or its own."""
        window = self.slicer.qMRMLWidget()
        window.setLayout(self.qt.QVBoxLayout())
        self.kept.append(window)
        return self._in_window(window, logic)

    def reload(self, logic: Any = None) -> Any:
        """The module's file is read anew, and its widget made anew in the same window, as Slicer reloads a module."""
        window = self.kept[-1]
        self.shown().cleanup()
        while window.layout().count():
            old = window.layout().takeAt(0).widget()
            old.hide()
            old.deleteLater()
        sys.modules.pop("OrbitalSeg", None)
        return self._in_window(window, logic)

    def shown(self) -> Any:
        """The widget that Slicer's `widgetRepresentation().self()` gives: the last one that was made."""
        return self.slicer.modules.orbitalseg.widgetRepresentation().self()

    def _in_window(self, window: Any, logic: Any) -> Any:
        import OrbitalSeg

        widget = OrbitalSeg.OrbitalSegWidget(window)
        self.slicer.modules.orbitalseg.widgetRepresentation = lambda: SimpleNamespace(self=lambda: widget)
        widget.logic = logic
        widget.setup()
        widget.enter()
        window.setMRMLScene(self.scene)
        return widget

    def process_until(self, done: Callable[[], bool], seconds: float) -> None:
        """Let Qt work until something is so. Raises `TimeoutError`."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s")
            self.qt.QApplication.processEvents(self.qt.QEventLoop.AllEvents, 20)
            time.sleep(0.005)


def start() -> Host:
    """Start it; once in a process."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import slicer

    from host import pythonqt

    qt = pythonqt.install()
    qt.qInstallMessageHandler(_unless_expected)
    application = qt.QApplication.instance() or qt.QApplication(sys.argv[:1])
    folder = Path(tempfile.mkdtemp(prefix="orbitalseg-host-"))
    scene, logic, kept = _start_core(slicer, folder)
    _add_stand_ins(slicer, qt, logic, folder)
    sys.path.insert(0, str(MODULE.parent))
    return Host(slicer, qt, scene, logic, sys.modules["host.widgets"], [application, *kept])


def _start_core(slicer: ModuleType, folder: Path) -> tuple[Any, Any, list[Any]]:
    """A scene with the logics that the desktop would have made, and `slicer.modules` with their names."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetTemporaryPath(str(folder))
    color = application.GetColorLogic()
    color.SetMRMLScene(scene)
    color.AddDefaultColorNodes()
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.GetCacheManager().SetRemoteCacheDirectory(str(folder))
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLApplicationLogic(application)
    remote.AddDataIOToScene()
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    modules = {"orbitalseg": SimpleNamespace(path=str(MODULE))}
    logics = {
        "Terminologies": slicer.vtkSlicerTerminologiesModuleLogic,
        "SubjectHierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic,
        "Volumes": slicer.vtkSlicerVolumesLogic,
        "Segmentations": slicer.vtkSlicerSegmentationsModuleLogic,
        "Models": slicer.vtkSlicerModelsLogic,
        "Markups": slicer.vtkSlicerMarkupsLogic,
        "Texts": slicer.vtkSlicerTextsLogic,
    }
    for name, kind in logics.items():
        made = kind()
        with _without_warnings(slicer):  # the desktop's files of terms are not here
            made.SetMRMLScene(scene)
        if hasattr(made, "SetMRMLApplicationLogic"):
            made.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, made)
        modules[name.lower()] = SimpleNamespace(logic=lambda made=made: made)
    slicer.modules = SimpleNamespace(**modules)
    return scene, application, [remote, data]


EXPECTED = ("set-type property", "mrmlSceneChanged", "sender name", "receiver name", "propagateSizeHints")
"""What Qt says of stand-ins and of a screen that is none."""


def _unless_expected(_kind: Any, _context: Any, text: str) -> None:
    if not any(part in text for part in EXPECTED):
        print(text, file=sys.stderr)


@contextmanager
def _without_warnings(slicer: ModuleType) -> Iterator[None]:
    slicer.vtkMRMLScene.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        slicer.vtkMRMLScene.GlobalWarningDisplayOn()


def _add_stand_ins(slicer: ModuleType, qt: ModuleType, logic: Any, folder: Path) -> None:
    from host import scripted, widgets

    ctk = ModuleType("ctk")
    for name, kind in widgets.STAND_INS.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, kind)
    sys.modules["ctk"] = ctk
    qt.QUiLoader.stand_ins = widgets.STAND_INS
    slicer.app = scripted.application(logic, folder)
    i18n, module = ModuleType("slicer.i18n"), ModuleType("slicer.ScriptedLoadableModule")
    i18n.tr, i18n.translate = scripted.tr, scripted.translate
    for name in ("", "Widget", "Logic", "Test"):
        setattr(module, f"ScriptedLoadableModule{name}", getattr(scripted, f"ScriptedLoadableModule{name}"))
    sys.modules["slicer.i18n"], sys.modules["slicer.ScriptedLoadableModule"] = i18n, module
    slicer.i18n, slicer.ScriptedLoadableModule = i18n, module
    samples = ModuleType("SampleData")
    samples.SampleDataLogic = scripted.SampleDataLogic
    sys.modules["SampleData"] = samples
