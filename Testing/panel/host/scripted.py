"""Stand-ins for the base classes of scripted modules, for translation, and for the application."""

import inspect
import re
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import qt
import slicer

STARTED = []
"""What waits until Slicer has started."""


SETTINGS = {}
"""Of the application."""


class ScriptedLoadableModule:
    """What Slicer knows of a module before it is opened."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        icon = Path(parent.path).parent / "Resources/Icons" / f"{self.moduleName}.png"
        if icon.is_file():
            parent.icon = qt.QIcon(str(icon))

    def resourcePath(self, filename):  # noqa: N802 - Slicer's names
        return str(Path(self.parent.path).parent / "Resources" / filename)


class ScriptedLoadableModuleWidget:
    """A panel, in a parent with a scene and a layout."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        """The developer's section is left out."""

    def resourcePath(self, filename):  # noqa: N802
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def cleanup(self):
        """Nothing to do."""


class ScriptedLoadableModuleLogic:
    """Logic with one parameter node."""

    def __init__(self, parent=None):  # noqa: ARG002 - as the real one
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):  # noqa: N802
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is not None:
            if node.GetAttribute("ModuleName") != self.moduleName:  # closing the scene takes it away
                node.SetAttribute("ModuleName", self.moduleName)
            return node
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self):  # noqa: N802
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A test case that shows what it does; it is run by its method `runTest`."""

    def delayDisplay(self, message, *_given):  # noqa: N802
        print(message)
        qt.QApplication.processEvents()


def tr(text):
    """Translation into the application's language, in the context of the file that asks for it, as Slicer does it."""
    path = Path(inspect.currentframe().f_back.f_code.co_filename)
    in_package = (path.parent / "__init__.py").is_file()
    found = translate(f"{path.parent.name}.{path.stem}" if in_package else path.stem, text)
    fields = [set(re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", said)) for said in (text, found)]
    return found if fields[0] == fields[1] else text


def translate(context, text):
    return qt.QCoreApplication.translate(context, text)


class SampleDataLogic:
    """Where modules offer data; as strict about its arguments as the real one."""

    sources: ClassVar[dict[str, list]] = {}

    @staticmethod
    def registerCustomSampleDataSource(  # noqa: N802 - its names are what callers write
        category="Custom",
        sampleName=None,  # noqa: N803 - Slicer's
        uris=None,
        fileNames=None,  # noqa: N803 - Slicer's
        nodeNames=None,  # noqa: N803 - Slicer's
        customDownloader=None,  # noqa: N803 - Slicer's
        thumbnailFileName=None,  # noqa: N803 - Slicer's
        loadFileType="VolumeFile",  # noqa: N803 - Slicer's
        loadFiles=None,  # noqa: N803 - Slicer's
        loadFileProperties=None,  # noqa: N803 - Slicer's
        checksums=None,
    ):
        """One place each, or lists of one length."""
        lists = [uris, fileNames, nodeNames, loadFiles, loadFileType, checksums]
        if isinstance(uris, str):
            lists = [[value] for value in lists]
        if len({len(values) for values in lists}) != 1:
            raise ValueError("All fields of sample data source must have the same length")
        source = SimpleNamespace(
            sampleName=sampleName,
            thumbnailFileName=thumbnailFileName,
            customDownloader=customDownloader,
            loadFileProperties=loadFileProperties,
        )
        SampleDataLogic.sources.setdefault(category, []).append(source)


def application(logic, folder: Path) -> SimpleNamespace:
    """What the panel asks of `slicer.app`."""
    return SimpleNamespace(
        applicationLogic=lambda: logic,
        testingEnabled=lambda: True,
        temporaryPath=str(folder),
        settings=lambda: SimpleNamespace(value=SETTINGS.get),
        processEvents=lambda: qt.QApplication.processEvents(),
        setOverrideCursor=lambda _cursor: None,
        restoreOverrideCursor=lambda: None,
        connect=lambda _signal, slot: STARTED.append(slot),
    )
