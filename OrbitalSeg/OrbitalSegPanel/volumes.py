"""Volumes and regions of the scene -> the files and the boxes that the worker reads (LPS mm)."""

import hashlib
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

AIR_HU = -1024.0
"""What a volume is filled with where a transform moves it beyond its grid."""

RIGHT_ANGLE = 1e-4
"""Deviation from a right angle that rounding explains."""

DIGITS = 1e-9
"""Of lengths in mm and of directions: what saving and opening a scene may change."""

EDGE_SAMPLES = 9
"""Points along each edge of a volume at which a transform is looked at, to see how far it moves the volume."""

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Placed:
    """A volume where the scene shows it."""

    image: sitk.Image
    note: str
    """What was done to bring it there; empty if nothing."""


def placed(volume: Any) -> Placed:
    """The volume with its parent transform applied, as an image; the volume itself stays as it is.

    Raises `ValueError` for a volume without voxels, or with several values a voxel.
    """
    if volume.GetImageData() is None or volume.GetImageData().GetNumberOfPoints() == 0:
        raise ValueError("The volume holds no voxels: choose another one.")
    if volume.GetImageData().GetNumberOfScalarComponents() != 1:
        raise ValueError("The volume holds colours or vectors, not CT values: choose the CT.")
    parent = volume.GetParentTransformNode()
    if parent is None:
        return Placed(_image_of(volume), "")
    to_world = vtkGeneralTransform()
    parent.GetTransformToWorld(to_world)
    copy = _copy_of(volume)
    if parent.IsTransformToWorldLinear() and _keeps_right_angles(volume, parent):
        copy.ApplyTransformMatrix(_matrix_to_world(parent))
        return Placed(_image_of(copy), "The volume's transform is applied to a copy of it.")
    _make_room(copy, to_world)
    copy.ApplyNonLinearTransform(to_world)
    return Placed(_image_of(copy), "The volume's transform bends or shears it: a copy of it is resampled.")


def write(image: sitk.Image, path: Path) -> None:
    """Write an image for the worker; uncompressed, for it is read once and removed."""
    sitk.WriteImage(image, str(path))


def take_digits(image: sitk.Image, grid: dict[str, Any]) -> None:
    """Give an image the very grid of a record, if it is that one: a scene opened again has other last digits."""
    own = (image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    wanted = (grid["spacing_mm"], grid["origin_mm"], grid["direction"])
    if list(image.GetSize()) == grid["size"] and all(map(partial(np.allclose, rtol=0, atol=DIGITS), own, wanted)):
        image.SetSpacing(wanted[0])
        image.SetOrigin(wanted[1])
        image.SetDirection(wanted[2])


def box_of(roi: Any) -> list[float]:
    """A ROI's box along the patient's axes, `x0, x1, y0, y1, z0, z1` in mm, LPS; of a turned one, the box around it."""
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    right, left, back, front, low, high = bounds
    return [-left, -right, -front, -back, low, high]


def points_of(markups: Any) -> list[list[float]]:
    """The points of a list that are placed, x, y and z in mm, LPS, as the views show them."""
    found = []
    for index in range(markups.GetNumberOfControlPoints()):
        if markups.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined:
            place = [0.0] * 3
            markups.GetNthControlPointPositionWorld(index, place)
            found.append([round(float(number), 3) for number in RAS_TO_LPS @ place])
    return found


def is_turned(roi: Any) -> bool:
    """Whether the box of `box_of` is larger than the ROI."""
    axes = np.abs(array_of_matrix(roi.GetObjectToWorldMatrix())[:3, :3])
    return bool((np.sort(axes, axis=0)[:2] > 1e-3 * axes.max()).any())


def grid_of(volume: Any) -> tuple[list[int], list[float], list[float], list[float]]:
    """Size, spacing in mm, origin and direction in LPS, as SimpleITK takes them; without the parent transform."""
    axes = RAS_TO_LPS @ _ijk_to_ras(volume)[:3]
    spacing = np.linalg.norm(axes[:, :3], axis=0)
    size = [int(count) for count in volume.GetImageData().GetDimensions()]
    return size, spacing.tolist(), axes[:, 3].tolist(), (axes[:, :3] / spacing).ravel().tolist()


def put_image(volume: Any, image: sitk.Image) -> None:
    """Give a volume the voxels and the grid of an image."""
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = RAS_TO_LPS @ (np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing()))
    ijk_to_ras[:3, 3] = RAS_TO_LPS @ np.array(image.GetOrigin())
    slicer.util.updateVolumeFromArray(volume, sitk.GetArrayFromImage(image))
    volume.SetIJKToRASMatrix(matrix_of(ijk_to_ras))


def moment(volume: Any) -> tuple[Any, ...]:
    """When the voxels of a volume changed last, and where they lie: cheap, and another one in another Slicer."""
    return volume.GetImageData().GetMTime() if volume.GetImageData() else 0, _cells_in_world(volume)


def fingerprint(volume: Any) -> str:
    """The hash of a volume's voxels, and of where the scene shows them."""
    digest = hashlib.sha256(repr(_cells_in_world(volume)).encode())
    if volume.GetImageData() is not None:
        digest.update(np.ascontiguousarray(slicer.util.arrayFromVolume(volume)))
    return digest.hexdigest()


def cells(places_mm: np.ndarray) -> tuple[int, ...]:
    """Places in cells of 0.01 mm, to be compared: a scene that was saved and opened again has other last digits.

    The edges of the cells are no fractions, so that no grid's places lie on them, where the last digit would decide.
    """
    return tuple(np.floor(100 * np.asarray(places_mm) + 1 / np.pi).astype(int).ravel().tolist())


def _cells_in_world(volume: Any) -> tuple[int, ...]:
    """Where the scene shows points all over a volume; none where it holds no voxels."""
    if volume.GetImageData() is None:
        return ()
    to_world = vtkGeneralTransform()
    if volume.GetParentTransformNode() is not None:
        volume.GetParentTransformNode().GetTransformToWorld(to_world)
    return cells(_moved(volume, to_world))


def _moved(volume: Any, to_world: Any) -> np.ndarray:
    """Where a transform brings points all over a volume, RAS, one a row."""
    ijk_to_ras, size = _ijk_to_ras(volume), np.array(volume.GetImageData().GetDimensions())
    steps = np.linspace(-0.5, 0.5, EDGE_SAMPLES)
    points = (np.array(list(product(steps, steps, steps))) + 0.5) * (size - 1)
    return np.array([to_world.TransformPoint(point) for point in points @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]])


def _copy_of(volume: Any) -> Any:
    """A copy that is in no scene."""
    copy = slicer.vtkMRMLScalarVolumeNode()
    image = volume.GetImageData().NewInstance()
    image.DeepCopy(volume.GetImageData())
    copy.SetAndObserveImageData(image)
    matrix = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    copy.SetIJKToRASMatrix(matrix)
    return copy


def array_of_matrix(matrix: Any) -> np.ndarray:
    """A `vtkMatrix4x4` as an array (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_of(array: np.ndarray) -> Any:
    """A `vtkMatrix4x4` of an array (4, 4)."""
    matrix = vtkMatrix4x4()
    matrix.DeepCopy(array.ravel().tolist())
    return matrix


def _ijk_to_ras(volume: Any) -> np.ndarray:
    matrix = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return array_of_matrix(matrix)


def _matrix_to_world(transform: Any) -> Any:
    matrix = vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return matrix


def _keeps_right_angles(volume: Any, transform: Any) -> bool:
    axes = (array_of_matrix(_matrix_to_world(transform)) @ _ijk_to_ras(volume))[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < RIGHT_ANGLE)


def _make_room(volume: Any, to_world: Any) -> None:
    """Widen a volume with air along its own axes, so that nothing of it is moved beyond its grid."""
    ijk_to_ras = _ijk_to_ras(volume)
    size = np.array(volume.GetImageData().GetDimensions())
    places = (_moved(volume, to_world) - ijk_to_ras[:3, 3]) @ np.linalg.inv(ijk_to_ras[:3, :3]).T
    low = np.minimum(np.floor(places.min(axis=0)), 0).astype(int)
    high = np.maximum(np.ceil(places.max(axis=0)) + 1, size).astype(int)
    if (low < 0).any() or (high > size).any():
        voxels = slicer.util.arrayFromVolume(volume)
        wider = np.full((high - low)[::-1], min(AIR_HU, float(voxels.min())), voxels.dtype)
        where = tuple(slice(int(a), int(a + n)) for a, n in zip(-low[::-1], size[::-1], strict=True))
        wider[where] = voxels
        slicer.util.updateVolumeFromArray(volume, wider)
        ijk_to_ras[:3, 3] += ijk_to_ras[:3, :3] @ low
        volume.SetIJKToRASMatrix(matrix_of(ijk_to_ras))


def _image_of(volume: Any) -> sitk.Image:
    """A volume's voxels and grid, in LPS."""
    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(volume))
    _, spacing, origin, direction = grid_of(volume)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return image
