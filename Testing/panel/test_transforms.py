"""The phantom under every transform of the table, through the panel and the real worker: its bone lies where it is."""

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.vtkCommonTransforms import vtkTransform

from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegPanel import segments, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 300
VOXEL_MM = 1.0
BONE_HU = 300.0
TILT_DEGREES = 18.5


@pytest.fixture(scope="module")
def phantom() -> sitk.Image:
    """A part of the phantom between its orbits: surfaces of more take minutes."""
    taken = scan(Anatomy(), Scanner(32, VOXEL_MM, VOXEL_MM, VOXEL_MM, 20.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    image.SetSpacing([VOXEL_MM] * 3)
    return image


@pytest.fixture
def python():
    """The real worker, by this Python."""
    return Python([sys.executable], library_parent())


def linear(scene, *matrix_of_turns):
    turn = vtkTransform()
    for axis, degrees in matrix_of_turns:
        getattr(turn, f"Rotate{axis}")(degrees)
    turn.Translate(4, -7, 11)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(turn.GetMatrix())
    return node


def tilt(scene, slicer):
    """A gantry tilt as Slicer's DICOM import makes it: displacements on a coarse grid, RAS."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

    size, step, origin = np.array([5, 5, 5]), 60.0, np.array([-120.0, -120, -120])
    z, y, x = np.indices(size[::-1])
    places = np.stack([x, y, z], axis=-1) * step + origin
    moves = np.zeros_like(places)
    moves[..., 1] = np.tan(np.radians(TILT_DEGREES)) * places[..., 2]
    image = vtkImageData()
    image.SetDimensions(*size.tolist())
    image.SetSpacing(step, step, step)
    image.SetOrigin(*origin.tolist())
    image.GetPointData().SetScalars(numpy_to_vtk(moves.reshape(-1, 3), deep=True))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToLinear()
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformToParent(transform)
    return node


CASES = {
    "identity": ((1, 1, 1), lambda scene, _slicer: linear(scene)),
    "rotation by 30 degrees": ((1, 1, 1), lambda scene, _slicer: linear(scene, ("Z", 30))),
    "gantry tilt as a grid": ((1, 1, 1), tilt),
    "mirrored axes": ((-1, 1, -1), lambda _scene, _slicer: None),
    "mirrored axes and gantry tilt": ((1, -1, -1), tilt),
}
"""By name: which axes are mirrored, and the parent transform."""


@pytest.mark.parametrize("name", list(CASES))
def test_the_phantoms_bone_lies_where_the_views_show_the_phantom(host, panel, phantom, name):
    mirrored, make_transform = CASES[name]
    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volumes.put_image(node, phantom[tuple(slice(None, None, step) for step in mirrored)])
    transform = make_transform(host.scene, host.slicer)
    if transform is not None:
        node.SetAndObserveTransformNodeID(transform.GetID())
    ui = panel.ui
    ui.volumeSelector.setCurrentNode(node)
    for box, value in ((ui.methodBox, "threshold"), (ui.regionBox, "whole")):
        box.setCurrentIndex(box.findData(value))
    ui.segmentButton.click()
    host.process_until(lambda: panel.logic.runs.running is None, PATIENCE_SECONDS)
    found = ui.segmentationSelector.currentNode()
    assert found is not None, ui.messageLabel.text

    shown = places_of(found)
    ras = shown
    if transform is not None:
        back = transform.GetTransformFromParent()
        ras = np.array([back.TransformPoint(place) for place in shown])
    wanted = np.argwhere(sitk.GetArrayViewFromImage(phantom) > BONE_HU)[:, ::-1] * VOXEL_MM + phantom.GetOrigin()
    middle = phantom.TransformContinuousIndexToPhysicalPoint([count // 2 - 0.3 for count in phantom.GetSize()])
    moved_mm = np.linalg.norm(landmarks(ras * (-1, -1, 1), middle) - landmarks(wanted, middle), axis=1)
    print(f"{name}: landmarks moved by {moved_mm.max():.3f} mm at most")
    assert moved_mm.max() < VOXEL_MM / 2

    surface = found.GetSegmentation().GetSegment("bone").GetRepresentation(segments.SURFACE)
    ends = np.stack([shown.min(axis=0), shown.max(axis=0)], axis=1).ravel()
    np.testing.assert_allclose(surface.GetBounds(), ends, atol=VOXEL_MM)


def places_of(node) -> np.ndarray:
    """Where the voxels of the bone are, RAS."""
    labels = segments.label_map(node, "bone")
    extent = labels.GetExtent()
    indices = np.argwhere(segments.array_of(labels))[:, ::-1] + (extent[0], extent[2], extent[4])
    matrix = segments.image_to_ras(labels)
    return indices @ matrix[:3, :3].T + matrix[:3, 3]


def landmarks(places: np.ndarray, middle) -> np.ndarray:
    """The middle of the bone in each eighth of space around a point, mm (8, 3)."""
    eighth = (places > middle) @ (1, 2, 4)
    return np.array([places[eighth == number].mean(axis=0) for number in range(8)])
