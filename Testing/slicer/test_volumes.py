"""Where a volume's landmarks are after the module has applied its transforms: on the real MRML."""

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkTransform

sys.path.insert(0, str(Path(__file__).parents[2] / "OrbitalSeg"))

SPACING_MM = (0.8, 0.7, 1.2)
SIZE_XYZ = (60, 64, 40)
LANDMARKS_IJK = np.array([[12, 14, 9], [45, 16, 10], [20, 50, 12], [40, 44, 30], [14, 30, 28], [30, 32, 20]])
AIR_HU, LANDMARK_HU = -1000, 1000
TILT_DEGREES = 18.5


@pytest.fixture
def volumes(slicer, scene, monkeypatch):
    """The module's own code, with this scene as the application's."""
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    from OrbitalSegPanel import volumes

    return volumes


@pytest.fixture(params=["straight", "oblique", "mirrored"])
def volume(request, slicer, scene, volumes):
    """A volume with small balls at the landmarks, its axes as scanners and users leave them."""
    turn = np.array(vtk_array(rotation("X", 20).GetMatrix()))[:3, :3]
    axes = {"straight": np.diag([-1.0, -1, 1]), "oblique": turn, "mirrored": np.diag([1.0, -1, 1])}[request.param]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * SPACING_MM
    matrix[:3, 3] = (13, -21, 40)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    z, y, x = np.indices(SIZE_XYZ[::-1])
    hu = np.full(SIZE_XYZ[::-1], AIR_HU, np.int16)
    for place in LANDMARKS_IJK:
        away = sum(((axis - p) * s) ** 2 for axis, p, s in zip((x, y, z), place, SPACING_MM, strict=True))
        hu[away < 9] = LANDMARK_HU
    slicer.util.updateVolumeFromArray(node, hu)
    node.SetIJKToRASMatrix(volumes.matrix_of(matrix))
    return node


def rotation(axis: str, degrees: float) -> vtkTransform:
    transform = vtkTransform()
    getattr(transform, f"Rotate{axis}")(degrees)
    transform.Translate(4, -7, 11)
    return transform


def vtk_array(matrix) -> list[list[float]]:
    return [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]


def linear(scene, matrix) -> object:
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(matrix)
    return node


def shear() -> vtkMatrix4x4:
    matrix = vtkMatrix4x4()
    matrix.SetElement(1, 2, np.tan(np.radians(TILT_DEGREES)))
    return matrix


def grid_of_tilt(slicer, scene) -> object:
    """A grid transform as Slicer's DICOM import makes it for a tilted gantry: displacements on a coarse grid, RAS."""
    size, step = np.array([5, 5, 5]), 60.0
    origin = np.array([-120.0, -120, -60])
    z, y, x = np.indices(size[::-1])
    places = np.stack([x, y, z], axis=-1) * step + origin
    moves = np.zeros_like(places)
    moves[..., 1] = np.tan(np.radians(TILT_DEGREES)) * places[..., 2]
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

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


TRANSFORMS = {
    "none": lambda _slicer, _scene: None,
    "identity": lambda _slicer, scene: linear(scene, vtkMatrix4x4()),
    "rotation by 30 degrees": lambda _slicer, scene: linear(scene, rotation("Z", 30).GetMatrix()),
    "rotation about two axes": lambda _slicer, scene: linear(scene, twice().GetMatrix()),
    "shear": lambda _slicer, scene: linear(scene, shear()),
    "gantry tilt as a grid": grid_of_tilt,
}


def twice() -> vtkTransform:
    transform = rotation("X", 30)
    transform.RotateY(-40)
    return transform


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_landmarks_lie_where_the_views_show_them(slicer, scene, volumes, volume, name):
    transform = TRANSFORMS[name](slicer, scene)
    if transform is not None:
        volume.SetAndObserveTransformNodeID(transform.GetID())
    before = [slicer.util.arrayFromVolume(volume).copy(), volumes._ijk_to_ras(volume), scene.GetNumberOfNodes()]
    placed = volumes.placed(volume)
    expected = [shown_at(volumes, volume, transform, place) for place in LANDMARKS_IJK]
    found = centres(placed.image)
    assert len(found) == len(expected)
    half_voxel_mm = max(SPACING_MM) / 2
    for place in expected:
        assert np.linalg.norm(found - place, axis=1).min() < half_voxel_mm
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), before[0])
    np.testing.assert_array_equal(volumes._ijk_to_ras(volume), before[1])
    assert scene.GetNumberOfNodes() == before[2]
    assert bool(placed.note) == (transform is not None)


def shown_at(volumes, volume, transform, place) -> np.ndarray:
    """Where Slicer shows a voxel, in LPS: its IJK to RAS matrix, then the node's own transform."""
    ras = (volumes._ijk_to_ras(volume) @ (*place, 1))[:3]
    if transform is not None:
        ras = np.array(transform.GetTransformToParent().TransformPoint(ras))
    return ras * (-1, -1, 1)


def centres(image: sitk.Image) -> np.ndarray:
    """Middles of the bright objects, LPS."""
    objects = sitk.ConnectedComponent(image > 0)
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(objects)
    return np.array([shapes.GetCentroid(label) for label in shapes.GetLabels()])


def test_the_written_file_has_right_angles(scene, volumes, volume, tmp_path):
    volume.SetAndObserveTransformNodeID(linear(scene, shear()).GetID())
    volumes.write(volumes.placed(volume).image, tmp_path / "scan.nrrd")
    axes = np.reshape(sitk.ReadImage(str(tmp_path / "scan.nrrd")).GetDirection(), (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def test_a_box_is_given_along_the_patients_axes(scene, volumes):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenterWorld(10, 20, 30)
    roi.SetSizeWorld(4, 6, 8)
    assert volumes.box_of(roi) == pytest.approx([-12, -8, -23, -17, 26, 34])
    assert not volumes.is_turned(roi)
    roi.SetAndObserveTransformNodeID(linear(scene, rotation("Z", 45).GetMatrix()).GetID())
    assert volumes.is_turned(roi)
    box = volumes.box_of(roi)
    assert box[1] - box[0] == pytest.approx((4 + 6) / np.sqrt(2), abs=1e-3)


@pytest.mark.parametrize("problem", ["empty", "colour"])
def test_what_is_no_ct_is_refused_in_words(slicer, scene, volumes, problem):
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode" if problem == "colour" else "vtkMRMLScalarVolumeNode")
    if problem == "colour":
        slicer.util.updateVolumeFromArray(node, np.zeros((4, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="choose"):
        volumes.placed(node)
