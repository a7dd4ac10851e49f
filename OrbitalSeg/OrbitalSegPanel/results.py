"""A result folder of the worker -> nodes of the scene, all of them or none."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegPanel import segments, volumes
from OrbitalSegPanel.settings import PROBABILITY, RESULT, SEGMENTATION, VOLUME, Settings

SEGMENTATION_FILE, RECORD_FILE = "segmentation.seg.nrrd", "record.json"
SURFACES = ("bone", "inferred")
"""Surfaces that the worker makes with a segmentation."""


@dataclass(frozen=True)
class Run:
    """What a run made, as its result folder holds it."""

    masks: dict[str, sitk.Image]
    """By segment, on the scan grid or a part of it."""
    surfaces: dict[str, Any]
    """By segment, RAS; those that are shown in 3D."""
    limits: dict[str, float]
    """Of probability, by network; empty for thresholds."""
    box_mm: tuple[float, ...] | None
    """The region, LPS; None for the whole scan."""


def read_run(folder: Path) -> Run:
    """What a result folder holds. Raises `OSError`, `ValueError` or `InputError`."""
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    path = folder / SEGMENTATION_FILE
    names = [name for name in segments.OURS if name in segment_ids(path)]
    surfaces = {name: read_surface(folder / f"{name}.stl") for name in SURFACES}
    return Run(
        {name: read_segmentation(path, name) for name in names},
        {name: surface for name, surface in surfaces.items() if surface is not None},
        limits_of(record),
        region_of(record),
    )


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Take out of the scene again what the block put in, if it fails."""
    scene = slicer.mrmlScene
    before = {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
    try:
        yield
    except BaseException:
        for index in reversed(range(scene.GetNumberOfNodes())):
            node = scene.GetNthNode(index)
            if node.GetID() not in before:
                scene.RemoveNode(node)
        raise


def load(folder: Path, name: str, volume: Any, target: Any, save_state: Callable[[], None], settings: Settings) -> Any:
    """Put the result of a volume into the scene; returns its segmentation: `target`, or a new one where that is None.

    Raises `OSError`, `ValueError` or `RuntimeError` for a result that cannot be read; the scene is then as before.
    """
    with all_or_nothing():
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        found = segments.load(folder / SEGMENTATION_FILE, name)
        segments.set_scan_grid(found, record["input"]["grid"])
        surfaces = {surface: read_surface(folder / f"{surface}.stl") for surface in SURFACES}
        fields = {path.stem.removeprefix("probability-"): path for path in sorted(folder.glob("probability-*.nrrd"))}
        probabilities = [_probability(network, path, name) for network, path in fields.items()]
        kept = _record_node(record, folder, name)
    if target is not None:
        segments.put(found, target, save_state)
        found = target
    for surface, mesh in surfaces.items():
        if mesh is not None and found.GetSegmentation().GetSegment(surface):
            segments.set_surface(found, surface, mesh)
    segments.show(found)
    for old in (*settings.references(PROBABILITY), settings.reference(RESULT)):
        if old is not None:
            slicer.mrmlScene.RemoveNode(old)
    settings.refer(SEGMENTATION, found)
    settings.refer(RESULT, kept)
    kept.SetNodeReferenceID(SEGMENTATION, found.GetID())
    if volume is not None and volume.GetScene() is not None:
        kept.SetNodeReferenceID(VOLUME, volume.GetID())
    settings.refer_all(PROBABILITY, probabilities)
    settings["limits"] = limits_of(record)
    settings["review"] = {}
    return found


def limits_of(record: dict[str, Any]) -> dict[str, float]:
    """The limits of probability that a result was made with, by network; empty for thresholds."""
    used = next((step["parameters"] for step in record["steps"] if step["step"] == "segmenting"), {})
    return {
        name.removesuffix("_above"): value
        for name, value in used.items()
        if name.endswith("_above") and name != "inferred_above" and value is not None
    }


def node_of(settings: Settings) -> Any:
    """What the last run left in the scene, if the chosen segmentation is what it made; else None."""
    node, chosen = settings.reference(RESULT), settings.reference(SEGMENTATION)
    if node is None or chosen is None or not node.GetText():
        return None
    return node if node.GetNodeReference(SEGMENTATION) is chosen else None


def record_of(settings: Settings) -> dict[str, Any] | None:
    """The record of the result in the scene."""
    node = node_of(settings)
    return json.loads(node.GetText())["record"] if node else None


def region_of(record: dict[str, Any]) -> tuple[float, ...] | None:
    """The region's box, LPS mm; None for the whole scan."""
    box = record["region"]["box_mm"]
    return None if box == "whole" else tuple(box)


def restore(settings: Settings, folder: Path) -> bool:
    """Write the result that a saved scene kept as a result folder again; False if there is none."""
    node = node_of(settings)
    if node is None:
        return False
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(json.loads(node.GetText())["files"]))) as files:
        for name in files.namelist():
            (folder / Path(name).name).write_bytes(files.read(name))  # a name, never a path: a scene may be anyone's
    return True


def image_of(node: Any) -> sitk.Image:
    """A kept probability as an image."""
    return volumes.placed(node).image


def _record_node(record: dict[str, Any], folder: Path, name: str) -> Any:
    """The record, and the whole result as the program made it, so that a saved scene can be reviewed later."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", f"{name}, record")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as files:
        for path in sorted(folder.iterdir()):
            files.write(path, path.name)
    whole = base64.b64encode(packed.getvalue()).decode("ascii")
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)  # too long for the scene's own file
    node.SetText(json.dumps({"record": record, "files": whole}))
    node.SetHideFromEditors(True)
    return node


def _probability(network: str, path: Path, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name}, probability of {network}")
    volumes.put_image(node, sitk.ReadImage(str(path)))
    node.SetAttribute("OrbitalSeg.network", network)
    node.SetHideFromEditors(True)
    return node


def read_surface(path: Path) -> Any:
    """An STL of the worker (LPS) as the scene wants it (RAS); None where there is none."""
    if not path.is_file():
        return None
    from vtkmodules.vtkCommonTransforms import vtkTransform
    from vtkmodules.vtkFiltersCore import vtkPolyDataNormals
    from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
    from vtkmodules.vtkIOGeometry import vtkSTLReader

    reader = vtkSTLReader()
    reader.SetFileName(str(path))
    to_ras = vtkTransform()
    to_ras.Scale(-1, -1, 1)  # a half turn about z: the triangles keep their outside
    turn = vtkTransformPolyDataFilter()
    turn.SetTransform(to_ras)
    turn.SetInputConnection(reader.GetOutputPort())
    normals = vtkPolyDataNormals()
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.SetInputConnection(turn.GetOutputPort())
    normals.Update()
    return normals.GetOutput() if normals.GetOutput().GetNumberOfPoints() else None


def centre_of(node: Any) -> np.ndarray | None:
    """The middle of what the segments hold, RAS; None if they hold nothing."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    if bounds[1] < bounds[0]:
        return None
    return (np.array(bounds[::2]) + np.array(bounds[1::2])) / 2
