"""Surfaces -> models of the scene, every place of them in a colour of its own."""

from typing import Any

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

COLOUR = "colour"
"""Of each point: the colour in which it is shown."""


def add(surface: Any, name: str, colours: np.ndarray) -> Any:
    """A new model of a surface (RAS); `colours` are red, green and blue, 0 to 255, one row for each point."""
    array = numpy_to_vtk(np.ascontiguousarray(colours, np.uint8), deep=True)
    array.SetName(COLOUR)
    surface.GetPointData().AddArray(array)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(surface)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetActiveScalar(COLOUR, vtkAssignAttribute.POINT_DATA)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseDirectMapping)
    display.SetScalarRange(0, 255)
    display.SetScalarVisibility(True)
    return node
