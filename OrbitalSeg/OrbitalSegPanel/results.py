"""A result folder of the worker -> nodes of the scene, all of them or none."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from OrbitalSegLib.methods import parameters
from OrbitalSegLib.results import ResultFolder, last_step
from OrbitalSegLib.structures import BONE, INFERRED, Structure
from OrbitalSegPanel import exporting, segments, volumes
from OrbitalSegPanel.settings import PROBABILITY, RESULT, SEGMENTATION, VOLUME, Settings

PRINTS, LIMITS = "OrbitalSeg.prints", "OrbitalSeg.limits"
"""Of the record's node: the fingerprint of each segment of the result, and its limits of probability. Its text is many
megabytes long: what is asked for often stands here."""

NAME = "OrbitalSeg.name"
"""Of a segmentation: the name that a run gave it."""

SURFACES = (BONE, INFERRED)
"""Surfaces that the worker makes with a segmentation."""


@dataclass(frozen=True)
class Run:
    """What a run made."""

    labels: dict[str, Any]
    """By segment its voxels, `vtkOrientedImageData`."""
    surfaces: dict[str, Any]
    """By segment, RAS; those that are shown in 3D."""
    limits: dict[str, float]
    """Of probability, by network; empty for thresholds."""
    box_mm: tuple[float, ...] | None
    """The region, LPS; None for the whole scan."""
    grid: str
    """What grid was asked for, as a job has it."""
    structures: dict[str, Structure]
    """What it may have made, by segment."""


class Made:
    """What a result folder holds: each part is read when it is first asked for, and once. Raises then `OSError`,
    `ValueError` or `RuntimeError`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.result = folder, ResultFolder(folder)

    @cached_property
    def record(self) -> dict[str, Any]:
        """As the worker has just written it: its schema was held there."""
        return _record_in(self._folder)

    @cached_property
    def surfaces(self) -> dict[str, Any]:
        """By segment, RAS; those that are shown in 3D."""
        return _read_surfaces(self.result)

    @cached_property
    def packed(self) -> str:
        """See `pack`."""
        return pack(self._folder)

    def read_ahead(self) -> Iterator[None]:
        """Read what takes long, a part at each step, so that the window need not wait for all of it at once."""
        for part in ("packed", "surfaces"):
            getattr(self, part)
            yield


def read_run(made: Made) -> Run:
    """What a run made. Raises `OSError`, `ValueError` or `RuntimeError`."""
    surfaces = made.surfaces
    node = segments.load(made.result.segmentation, "result", brought=made.record.get("structures"))
    try:
        return _run_of(node, surfaces, made.record)
    finally:
        segments.remove(node)


def _run_of(node: Any, surfaces: dict[str, Any], record: dict[str, Any]) -> Run:
    """What a run made, from the segmentation that holds it; nothing that happens to that changes it."""
    structures = segments.structures(node)
    labels = {name: segments.label_map(node, name) for name in structures}
    held = {name: found for name, found in labels.items() if found is not None}
    limits = parameters.limits_in(_step(record, "segmenting")["parameters"])
    return Run(held, surfaces, limits, region_of(record), record["settings"]["grid"], structures)


def _record_in(folder: Path) -> dict[str, Any]:
    return dict(json.loads(ResultFolder(folder).record.read_text(encoding="utf-8")))


def _read_surfaces(result: ResultFolder) -> dict[str, Any]:
    surfaces = {name: read_surface(result.surface(name)) for name in SURFACES}
    return {name: surface for name, surface in surfaces.items() if surface is not None}


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


def load(
    folder: Path,
    name: str,
    volume: Any,
    target: Any,
    save_state: Callable[[], None],
    settings: Settings,
    made: Made | None = None,
) -> Run:
    """Put the result of a volume into the scene, into `target`, or a new segmentation where that is None; `made` is
    what of it was read ahead.

    Raises `OSError`, `ValueError` or `RuntimeError` for a result that cannot be read; the scene is then as before.
    """
    made = made or Made(folder)
    with all_or_nothing():
        result, record = made.result, made.record
        # beside others it gets a number
        found = segments.load(result.segmentation, name, side_of(record), record.get("structures"))
        segments.set_grid(found, _step(record, "writing")["measured"]["grid"])
        run = _run_of(found, made.surfaces, record)
        probabilities = [_probability(network, path, name) for network, path in result.networks.items()]
        kept = _record_node(made.packed, name)
    if target is not None:
        segments.put(found, target, save_state)
        found = target
        if found.GetName() == found.GetAttribute(NAME):  # the user gave it no other one
            segments.rename(found, name)
    found.SetAttribute(NAME, found.GetName())
    for surface, mesh in run.surfaces.items():
        if found.GetSegmentation().GetSegment(surface):
            segments.set_surface(found, surface, mesh)
    segments.show(found)
    for old in (*settings.references(PROBABILITY), settings.reference(RESULT)):
        if old is not None:
            slicer.mrmlScene.RemoveNode(old)
    settings.refer(SEGMENTATION, found)
    settings.refer(RESULT, kept)
    kept.SetNodeReferenceID(SEGMENTATION, found.GetID())
    _describe(kept, found, run.limits)
    if volume is not None and volume.GetScene() is not None:
        kept.SetNodeReferenceID(VOLUME, volume.GetID())
        segments.set_reference_volume(found, volume)
    settings.refer_all(PROBABILITY, probabilities)
    settings["limits"] = settings["runLimits"] = run.limits
    settings["review"] = {}
    return run


def exchange(packed: str, limits: dict[str, float], settings: Settings) -> None:
    """Let another result of the same probabilities, whose segments are in the scene already, stand for the last one."""
    node = node_of(settings)
    node.SetText(packed)
    _describe(node, settings.reference(SEGMENTATION), limits)


def _describe(node: Any, segmentation: Any, limits: dict[str, float]) -> None:
    node.SetAttribute(PRINTS, json.dumps(segments.remembered(segmentation)))
    node.SetAttribute(LIMITS, json.dumps(limits))


def is_own(settings: Settings, identity: str) -> bool:
    """Whether a segment of the scene holds what the result in the scene gave it."""
    node = node_of(settings)
    prints = json.loads(node.GetAttribute(PRINTS)) if node else {}
    return prints.get(identity) == segments.fingerprint(settings.reference(SEGMENTATION), identity)


def _step(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The last step of that name. Raises `ValueError` where there is none: every record of a segmentation has it."""
    step = last_step(record, name)
    if step is None:
        raise ValueError(f"The record lacks the step {name}.")
    return step


def node_of(settings: Settings) -> Any:
    """What the last run left in the scene, if the chosen segmentation is what it made; else None."""
    node, chosen = settings.reference(RESULT), settings.reference(SEGMENTATION)
    if node is None or chosen is None or not node.GetAttribute(PRINTS):
        return None
    return node if node.GetNodeReference(SEGMENTATION) is chosen else None


def side_of(record: dict[str, Any] | None) -> str:
    """`right` or `left` where the result is of that orbit alone."""
    asked = record["region"]["asked"] if record else ""
    return asked if asked in exporting.SIDES else ""


def record_of(settings: Settings) -> dict[str, Any] | None:
    """The record of the result in the scene."""
    node = node_of(settings)
    return json.loads(node.GetText().partition("\n")[0]) if node else None


def limits_in(settings: Settings) -> dict[str, float]:
    """The limits of probability of the result in the scene; empty for thresholds, or where there is none."""
    node = node_of(settings)
    return json.loads(node.GetAttribute(LIMITS)) if node else {}


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
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(node.GetText().partition("\n")[2]))) as files:
        for name in files.namelist():
            (folder / Path(name).name).write_bytes(files.read(name))  # a name, never a path: a scene may be anyone's
    return True


def pack(folder: Path) -> str:
    """The record, a line, and the whole result as the program made it, so that a saved scene can be reviewed later.

    Not compressed: that takes a second, in which the window would wait, and most files are already.
    """
    record = _record_in(folder)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as files:
        for path in sorted(folder.iterdir()):
            files.write(path, path.name)
    return json.dumps(record) + "\n" + base64.b64encode(packed.getvalue()).decode("ascii")


def _record_node(packed: str, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", f"{name}, record")
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)  # too long for the scene's own file
    node.SetText(packed)
    node.SetHideFromEditors(True)
    return node


def _probability(network: str, path: Path, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name}, probability of {network}")
    volumes.put_image(node, sitk.ReadImage(str(path)))
    node.SetAttribute("OrbitalSeg.network", network)
    node.SetHideFromEditors(True)
    return node


def read_surface(path: Path) -> Any:
    """An STL or VTP of the worker (LPS) as the scene wants it (RAS); None where there is none."""
    if not path.is_file():
        return None
    from vtkmodules.vtkCommonTransforms import vtkTransform
    from vtkmodules.vtkFiltersCore import vtkPolyDataNormals
    from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
    from vtkmodules.vtkIOGeometry import vtkSTLReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    reader = vtkXMLPolyDataReader() if path.suffix == ".vtp" else vtkSTLReader()
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
