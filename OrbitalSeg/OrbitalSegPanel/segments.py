"""The worker's segmentation -> segments of the scene, and what a person made of them since."""

import hashlib
import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from vtkmodules.vtkCommonCore import reference
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from OrbitalSegLib.structures import INFERRED, STRUCTURES, Structure, structures_of
from OrbitalSegPanel.volumes import RAS_TO_LPS, array_of_matrix, cells, matrix_of
from OrbitalSegPanel.words import told

BROUGHT = "OrbitalSeg.structures"
"""Of a segmentation: the structures that its run's model package brought, as the record has them."""

WARNING_COLOUR = STRUCTURES[INFERRED].colour

HASH_TAG = "OrbitalSeg.sha256"
"""Of a segment's voxels, as a run wrote them: where it differs, somebody edited them."""

BINARY, SURFACE = "Binary labelmap", "Closed surface"


def structures(node: Any) -> dict[str, Structure]:
    """What a run makes, by the IDs of its segments: all others are the user's."""
    return structures_of({"structures": json.loads(node.GetAttribute(BROUGHT) or "{}")})


def brought(node: Any) -> dict[str, Structure]:
    """Of these what the table does not have: the run's model package brought it."""
    return {name: one for name, one in structures(node).items() if name not in STRUCTURES}


def load(path: Path, name: str, side: str = "", brought: dict[str, Any] | None = None) -> Any:
    """A new segmentation node from a result's file, of one side or of both; `brought` are the structures that the
    result's record describes. Raises `RuntimeError` if Slicer cannot read it."""
    logic = slicer.modules.segmentations.logic()
    node = logic.LoadSegmentationFromFile(str(path), True)
    if node is None:
        raise RuntimeError("Slicer cannot read the segmentation that was made.")
    storage = node.GetStorageNode()
    node.SetAndObserveStorageNodeID(None)  # the file goes away with the run: saving asks for another one
    slicer.mrmlScene.RemoveNode(storage)
    rename(node, name)
    node.SetAttribute(BROUGHT, json.dumps(brought or {}))
    _dress(node, side)
    return node


def rename(node: Any, name: str) -> None:
    """Give a node this name, with a number where another one bears it: nobody can tell two of the same name apart, nor
    can the combo boxes of nodes."""
    others = slicer.mrmlScene.GetNodesByName(name)
    is_taken = any(others.GetItemAsObject(index) is not node for index in range(others.GetNumberOfItems()))
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name) if is_taken else name)


def set_reference_volume(node: Any, volume: Any) -> None:
    """Tell a segmentation the volume that it was made of; Slicer's Segment Editor asks for one otherwise."""
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())


def put(found: Any, target: Any, save_state: Callable[[], None]) -> None:
    """Replace our segments in `target` by those of `found`, after its state was saved, and remove `found`."""
    save_state()
    segmentation, new = target.GetSegmentation(), found.GetSegmentation()
    with modifying(target):
        for identity in structures(target):
            segmentation.RemoveSegment(identity)
        target.SetAttribute(BROUGHT, found.GetAttribute(BROUGHT))
        for identity in structures(found):
            if new.GetSegment(identity):
                segmentation.CopySegmentFromSegmentation(new, identity)
        copy_geometry(new, segmentation)
    remove(found)


def remove(node: Any) -> None:
    """Take a segmentation or a model out of the scene, with its display, which Slicer would leave behind."""
    display = node.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(display)


def edited(node: Any) -> list[str]:
    """IDs of our segments that hold other voxels than a run gave them, or that are gone."""
    segmentation = node.GetSegmentation()
    changed = []
    for identity in structures(node):
        segment = segmentation.GetSegment(identity)
        if segment is not None and tag(segment, HASH_TAG) != fingerprint(node, identity):
            changed.append(identity)
    return changed


def fingerprint(node: Any, identity: str) -> str:
    """The hash of a segment's voxels and their places, whatever box Slicer keeps them in."""
    array, first = _cropped(node, identity)
    digest = hashlib.sha256(repr((array.shape, cells(first))).encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def remember(node: Any) -> None:
    """Note what our segments hold now as what the program made."""
    for identity in structures(node):
        segment = node.GetSegmentation().GetSegment(identity)
        if segment is not None:
            segment.SetTag(HASH_TAG, fingerprint(node, identity))


def remembered(node: Any) -> dict[str, str]:
    """By segment: the fingerprint of what the program made."""
    found = {identity: node.GetSegmentation().GetSegment(identity) for identity in structures(node)}
    return {identity: tag(segment, HASH_TAG) for identity, segment in found.items() if segment is not None}


def tag(segment: Any, name: str) -> str:
    value = reference("")
    return str(value) if segment.GetTag(name, value) else ""


def label_map(node: Any, identity: str) -> Any:
    """A copy of a segment's voxels, `vtkOrientedImageData`; None where there is no such segment."""
    labels = slicer.vtkOrientedImageData()
    if node.GetSegmentation().GetSegment(identity) is None or not node.GetBinaryLabelmapRepresentation(
        identity, labels
    ):
        return None
    return labels


def set_voxels(node: Any, identity: str, array: np.ndarray, ijk_to_world: np.ndarray) -> None:
    """Replace a segment's voxels (z, y, x) on a grid given by its matrix to RAS; the node has no transform."""
    from vtkmodules.util.numpy_support import numpy_to_vtk

    labels = slicer.vtkOrientedImageData()
    labels.SetDimensions(*array.shape[::-1])
    values = numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    labels.GetPointData().SetScalars(values)
    labels.SetGeometryFromImageToWorldMatrix(matrix_of(ijk_to_world))
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labels, node, identity)


def set_labels(node: Any, identity: str, labels: Any) -> None:
    """Replace a segment's voxels by a copy of these."""
    copy = slicer.vtkOrientedImageData()
    copy.DeepCopy(labels)
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(copy, node, identity)


def array_on(labels: Any, ijk_to_ras: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The voxels (z, y, x) of a label map on a grid of the same axes, given by its matrix to RAS and its shape."""
    found = np.zeros(shape, bool)
    array, extent = array_of(labels), labels.GetExtent()
    if array.size:
        place = np.linalg.inv(ijk_to_ras) @ image_to_ras(labels) @ (*extent[::2], 1)
        first = np.rint(place[2::-1]).astype(int)
        low = np.maximum(first, 0)
        high = np.minimum(first + array.shape, shape)
        here, there = (tuple(map(slice, low - origin, high - origin)) for origin in (0, first))
        found[here] = array[there]
    return found


def keep_places(node: Any, identity: str, is_kept: Callable[[np.ndarray], np.ndarray]) -> None:
    """Empty a segment where `is_kept` says no to the place along the patient's x axis (LPS mm)."""
    labels = label_map(node, identity)
    array = array_of(labels)
    if not array.size:
        return
    matrix = image_to_ras(labels)
    extent = labels.GetExtent()
    indices = [np.arange(extent[2 * axis], extent[2 * axis + 1] + 1) for axis in range(3)]
    x_ras = (
        matrix[0, 3]
        + matrix[0, 0] * indices[0]
        + (matrix[0, 1] * indices[1])[:, None]
        + (matrix[0, 2] * indices[2])[:, None, None]
    )
    matrix[:3, 3] += matrix[:3, :3] @ [axis[0] for axis in indices]
    set_voxels(node, identity, (array & is_kept(-x_ras)).astype(np.uint8), matrix)


def set_surface(node: Any, identity: str, surface: Any) -> None:
    """Show this surface (RAS) as a segment's own in 3D until its voxels change."""
    segment = node.GetSegmentation().GetSegment(identity)
    segment.AddRepresentation(SURFACE, surface)


def show(node: Any) -> None:
    """Colours, and what is filled or only outlined, in slices and in 3D."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility(True)
    display.SetVisibility2DFill(True)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    segmentation = node.GetSegmentation()
    for identity, structure in structures(node).items():
        if segmentation.GetSegment(identity) is None:
            continue
        display.SetSegmentVisibility(identity, structure.shown)
        display.SetSegmentVisibility3D(identity, structure.part_of is None)
        # An outline without filling: bone that is seen is filled, wall that is not seen is not.
        display.SetSegmentOpacity2DFill(identity, 0.0 if identity == INFERRED else 0.35)
        display.SetSegmentOpacity3D(identity, 0.6 if identity == INFERRED else 1.0)
    if segmentation.ContainsRepresentation(SURFACE):
        display.SetPreferredDisplayRepresentationName3D(SURFACE)


def slice_prints(node: Any) -> dict[int, str]:
    """By slice, along the result grid's third axis, on which our segments hold something: a hash of what they hold.

    It is the same whatever box Slicer keeps the voxels in.
    """
    to_index = np.linalg.inv(grid_of(node)[0])
    held: dict[int, Any] = {}
    for identity in structures(node):
        array, first = _cropped(node, identity)
        if array.size:
            x, y, low = np.rint(to_index @ (*first, 1))[:3].astype(int).tolist()
            for number in np.flatnonzero(array.any(axis=(1, 2))).tolist():
                rows, columns = (np.flatnonzero(array[number].any(axis=axis)) for axis in (1, 0))
                part = array[number, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                digest = held.setdefault(low + number, hashlib.sha256())
                digest.update(repr((identity, x + columns[0].item(), y + rows[0].item(), part.shape)).encode())
                digest.update(np.packbits(part).tobytes())
    return {number: held[number].hexdigest()[:16] for number in sorted(held)}


def moments(node: Any) -> tuple[tuple[str, int], ...]:
    """When the voxels of each segment of ours changed last."""
    found = {identity: node.GetSegmentation().GetSegment(identity) for identity in structures(node)}
    maps = {identity: segment.GetRepresentation(BINARY) for identity, segment in found.items() if segment}
    return tuple((identity, labels.GetMTime()) for identity, labels in maps.items() if labels)


def slice_plane(node: Any, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice of the result grid: its middle, its normal and its rows' direction, RAS."""
    to_ras, size = grid_of(node)
    middle = to_ras @ ((size[0] - 1) / 2, (size[1] - 1) / 2, number, 1)
    axes = to_ras[:3, :3] / np.linalg.norm(to_ras[:3, :3], axis=0)
    return middle[:3], axes[:, 2], axes[:, 0]


def set_grid(node: Any, grid: dict[str, Any]) -> None:
    """Tell a segmentation its result grid, as the record has it: a file of it may hold less.

    On it the Segment Editor edits, whatever the voxels of the volume are.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = RAS_TO_LPS @ (np.reshape(grid["direction"], (3, 3)) * np.array(grid["spacing_mm"]))
    matrix[:3, 3] = RAS_TO_LPS @ np.array(grid["origin_mm"])
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*grid["size"])
    image.SetGeometryFromImageToWorldMatrix(matrix_of(matrix))
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    node.GetSegmentation().SetConversionParameter(name, text)


def grid_of(node: Any) -> tuple[np.ndarray, list[int]]:
    """The result grid of a segmentation: its matrix to RAS, and its size."""
    segmentation = node.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    grid = slicer.vtkOrientedImageData()
    text = segmentation.GetConversionParameter(name)
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, grid, False):
        grid.DeepCopy(label_map(node, segmentation.GetNthSegmentID(0)))
    array = image_to_ras(grid)
    extent = grid.GetExtent()
    array[:3, 3] += array[:3, :3] @ (extent[0], extent[2], extent[4])
    return array, [int(extent[2 * axis + 1] - extent[2 * axis] + 1) for axis in range(3)]


def spacing_mm(node: Any) -> tuple[float, ...]:
    """Of the result grid of a segmentation."""
    return tuple(np.linalg.norm(grid_of(node)[0][:3, :3], axis=0).tolist())


def volume_ml(node: Any, identity: str) -> float:
    labels = label_map(node, identity)
    if labels is None:
        return 0.0
    voxels = int(np.count_nonzero(array_of(labels)))
    return voxels * float(np.prod(labels.GetSpacing())) / 1000


@contextmanager
def modifying(node: Any) -> Any:
    """Let observers hear of many changes once."""
    was = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was)


def _dress(node: Any, side: str) -> None:
    segmentation = node.GetSegmentation()
    for identity, structure in structures(node).items():
        segment = segmentation.GetSegment(identity)
        if segment is not None:
            segment.SetName(", ".join(told(part) for part in (structure.told, side) if part))
            if identity == INFERRED:
                segment.SetColor(*WARNING_COLOUR)
    remember(node)
    show(node)


def copy_geometry(source: Any, target: Any) -> None:
    """Let one segmentation know the grid, and the way to make surfaces, of another."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    target.SetConversionParameter(name, source.GetConversionParameter(name))
    target.SetConversionParameter("Smoothing factor", source.GetConversionParameter("Smoothing factor"))


def array_of(labels: Any) -> np.ndarray:
    """The voxels (z, y, x) of a label map, as they lie in its extent."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    scalars = labels.GetPointData().GetScalars()
    if scalars is None or labels.GetNumberOfPoints() == 0:
        return np.zeros((0, 0, 0), bool)
    return vtk_to_numpy(scalars).reshape(labels.GetDimensions()[::-1]) != 0


def image_to_ras(labels: Any) -> np.ndarray:
    """The matrix of an oriented image to RAS, 4 x 4."""
    matrix = vtkMatrix4x4()
    labels.GetImageToWorldMatrix(matrix)
    return array_of_matrix(matrix)


def _cropped(node: Any, identity: str) -> tuple[np.ndarray, np.ndarray]:
    """The smallest box that holds the segment, and the place of its first voxel in the node's space."""
    labels = label_map(node, identity)
    array = array_of(labels) if labels is not None else np.zeros((0, 0, 0), bool)
    if not array.any():
        return np.zeros((0, 0, 0), bool), np.zeros(0)
    box = []
    for axis in range(3):
        used = np.flatnonzero(array.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    extent = labels.GetExtent()
    first = [extent[2 * axis] + box[2 - axis].start for axis in range(3)]
    return array[tuple(box)], (image_to_ras(labels) @ (*first, 1))[:3]
