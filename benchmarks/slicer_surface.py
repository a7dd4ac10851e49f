#!/usr/bin/env python3
"""3D Slicer's own way from a mask to an STL file, for surface.py and surface_plates.py, which start this with a Python
that has `slicer-core`.

Reads lines of JSON, `mask` (an image file), `smoothing` (its closed surface's smoothing factor) and `folder`; answers
each with a line: `stl`, seconds (CPU, wall) of the surface and of the export, and `peak_bytes`, by how much the surface
raised what this process held at most.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from memory import Peak
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonMath import vtkMatrix4x4

TO_RAS = np.diag([-1.0, -1.0, 1.0])


def labelmap(mask: sitk.Image) -> Any:
    """A mask as Slicer holds it: patient space is RAS."""
    array = sitk.GetArrayFromImage(mask)
    matrix = vtkMatrix4x4()
    axes = TO_RAS @ np.reshape(mask.GetDirection(), (3, 3)) @ np.diag(mask.GetSpacing())
    origin = TO_RAS @ np.array(mask.GetOrigin())
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, axes[row, column])
        matrix.SetElement(row, 3, origin[row])
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(array.shape[::-1])
    image.SetImageToWorldMatrix(matrix)
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    return image


def export(scene: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Closed surface, then STL, as `Export to files` does."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    segmentation.SetConversionParameter("Smoothing factor", str(job["smoothing"]))
    node.AddSegmentFromBinaryLabelmapRepresentation(labelmap(sitk.ReadImage(job["mask"])), "bone", [1.0, 1.0, 1.0])
    ids = vtkStringArray()
    segmentation.GetSegmentIDs(ids)
    peak, times = Peak(), [clock()]
    node.CreateClosedSurfaceRepresentation()
    times.append(clock())
    held = peak()
    slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsClosedSurfaceRepresentationToFiles(
        job["folder"], node, ids, "STL", True
    )
    times.append(clock())
    scene.RemoveNode(node)
    surface_s, export_s = np.diff(times, axis=0).tolist()
    found = sorted(Path(job["folder"]).glob("*.stl"))
    return {
        "stl": str(found[0]) if found else None,
        "surface_s": surface_s,
        "export_s": export_s,
        "peak_bytes": held,
    }


def clock() -> tuple[float, float]:
    """CPU and wall seconds."""
    return time.process_time(), time.perf_counter()


def main() -> None:
    """Answer until there are no more jobs."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    for line in sys.stdin:
        print(json.dumps(export(scene, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
