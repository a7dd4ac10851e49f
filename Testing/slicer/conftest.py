"""The real Slicer core (`slicer-core` from PyPI) without the desktop: a scene, and the logic of segmentations.

What this cannot show: the desktop's windows and the effects of its Segment Editor, which are Qt code. slicer-core
brings its own build of vtk, so these tests run in an environment of their own.
"""

import importlib
import os
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def slicer() -> ModuleType:
    """The package; where no skip is allowed (ORBITALSEG_NO_SKIP) its absence is a failure."""
    if os.environ.get("ORBITALSEG_NO_SKIP"):
        return importlib.import_module("slicer")
    return pytest.importorskip("slicer", reason="slicer-core is not installed in this environment")


@pytest.fixture
def scene(slicer):
    """A MRML scene that starts empty; `scene.segmentations` opens and changes segmentations in it."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    scene.segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    scene.segmentations.SetMRMLScene(scene)
    yield scene
    scene.Clear(0)
