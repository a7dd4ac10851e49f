"""What the slice and 3D views show: the orbit, in a window for bone."""

from typing import Any

import numpy as np
import slicer

PARALLEL = 0.9998
"""Cosine of 1.1 degrees: over an orbit of 40 mm less than a voxel."""

BONE_WINDOW_HU, BONE_LEVEL_HU = 2000.0, 400.0
"""Wide enough for cortical bone; thin walls stay apart from air and fat."""


def window_for_bone(volume: Any) -> None:
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(BONE_WINDOW_HU, BONE_LEVEL_HU)


def show_volume(volume: Any) -> None:
    """Put a volume into the background of every slice view."""
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volume.GetID())


def jump_to(centre_ras: Any, field_mm: float | None = None) -> None:
    """Centre every slice view on a place, and show `field_mm` around it."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*[float(value) for value in centre_ras])
        if field_mm is not None:
            width, height, depth = node.GetFieldOfView()
            scale = field_mm / min(width, height) if min(width, height) > 0 else 1.0
            node.SetFieldOfView(width * scale, height * scale, depth)


def look_from_the_front(centre_ras: Any, distance_mm: float = 210.0) -> None:
    """Turn the 3D views to the face."""
    x, y, z = [float(value) for value in centre_ras]
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        camera.SetFocalPoint(x, y, z)
        camera.SetPosition(x, y + distance_mm, z)
        camera.SetViewUp(0, 0, 1)
        camera.ResetClippingRange()  # else what is nearer or farther than before is cut off


def centre() -> list[float] | None:
    """Where the slice views meet, RAS; None where there are not all three of them."""
    places = [None, None, None]
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        matrix = node.GetSliceToRAS()
        normal = [abs(matrix.GetElement(row, 2)) for row in range(3)]
        if max(normal) > PARALLEL:
            axis = normal.index(max(normal))
            places[axis] = matrix.GetElement(axis, 3)
    return None if None in places else places


def show_slice(middle_ras: Any, normal_ras: Any, rows_ras: Any) -> None:
    """Show a slice of the scan in the first slice view, turned to it if the scan is oblique; its field stays."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    red = next((node for node in nodes if node.GetLayoutName() == "Red"), nodes[0] if nodes else None)
    if red is None:
        return
    shown = [red.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
    if abs(np.dot(shown, normal_ras)) > PARALLEL:
        red.JumpSliceByOffsetting(*[float(value) for value in middle_ras])
    else:
        axial = 0
        red.SetSliceToRASByNTP(*[float(v) for vector in (normal_ras, rows_ras, middle_ras) for v in vector], axial)
