"""Pictures of the real MRML scene: slices and 3D, drawn by Slicer's own displayable managers, without a screen."""

from pathlib import Path
from typing import Any

import slicer
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - what draws
from vtkmodules.vtkCommonCore import vtkCollection
from vtkmodules.vtkIOImage import vtkPNGWriter
from vtkmodules.vtkRenderingCore import (
    vtkActor2D,
    vtkImageMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkRenderWindowInteractor,
    vtkWindowToImageFilter,
)

BACKGROUND = (0.17, 0.2, 0.27)

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)
VIEW_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class Views:
    """The four views of Slicer's usual layout, as nodes of the scene that the module moves."""

    def __init__(self, application_logic: Any, width: int = 700, height: int = 600) -> None:
        self._size = (width, height)
        self._application = application_logic
        if application_logic.GetSliceLogics() is None:
            application_logic.SetSliceLogics(vtkCollection())
        self._slices = {name: self._slice(name, orientation) for name, orientation in ORIENTATIONS.items()}
        self._view = slicer.vtkMRMLViewNode()
        self._view.SetLayoutName("1")
        self._view = slicer.mrmlScene.AddNode(self._view)
        self._view.SetBoxVisible(False)
        self._view.SetAxisLabelsVisible(False)
        self._view.SetBackgroundColor(*BACKGROUND)
        self._view.SetBackgroundColor2(*BACKGROUND)
        self._three_d = self._group(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, VIEW_MANAGERS, self._view)

    def draw_slice(self, name: str, path: Path) -> None:
        """`name` is Red, Yellow or Green."""
        _write(self.render(name), path)

    def render(self, name: str) -> Any:
        """Draw a slice view as it is now; returns its window."""
        logic, mapper, (window, _renderer, _group) = self._slices[name]
        logic.UpdatePipeline()
        mapper.SetInputConnection(logic.GetImageDataConnection())
        window.Render()
        return window

    def draw_3d(self, path: Path) -> None:
        window, _renderer, _group = self._three_d
        _write(window, path)

    def _slice(self, name: str, orientation: str) -> tuple[Any, Any, Any]:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application)
        logic.SetMRMLScene(slicer.mrmlScene)
        node = logic.AddSliceNode(name)
        node.SetOrientation(orientation)
        node.SetDimensions(*self._size, 1)
        self._application.GetSliceLogics().AddItem(logic)
        drawn = self._group(slicer.vtkMRMLSliceViewDisplayableManagerFactory, SLICE_MANAGERS, node)
        mapper, actor = vtkImageMapper(), vtkActor2D()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor.SetMapper(mapper)
        actor.SetLayerNumber(0)
        actor.GetProperty().SetDisplayLocationToBackground()
        drawn[1].AddViewProp(actor)
        return logic, mapper, drawn

    def _group(self, kind: type, managers: tuple[str, ...], node: Any) -> tuple[Any, Any, Any]:
        factory = kind()
        factory.SetMRMLApplicationLogic(self._application)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        window, renderer, interactor = vtkRenderWindow(), vtkRenderer(), vtkRenderWindowInteractor()
        window.SetOffScreenRendering(True)
        window.SetMultiSamples(4)
        window.SetSize(*self._size)
        window.AddRenderer(renderer)
        interactor.SetRenderWindow(window)
        renderer.SetBackground(*BACKGROUND)
        group = slicer.vtkMRMLDisplayableManagerGroup()
        group.Initialize(factory, renderer)
        group.SetMRMLDisplayableNode(node)
        self.__dict__.setdefault("_kept", []).append((factory, interactor))
        return window, renderer, group


def _write(window: Any, path: Path) -> None:
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    writer = vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
