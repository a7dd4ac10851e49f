"""Segments of the scene -> files that were read back before anyone is told that they exist."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map
from OrbitalSegLib.export.surfaces import FORMATS
from OrbitalSegPanel import jobs, segments

EDITED = "edited.seg.nrrd"
"""The segmentation of the scene, as it is saved into a run's private folder."""

SURFACE_FORMATS = tuple(FORMATS)
MAP = "-quality.vtp"
"""The end of the name of a surface's map of quality."""

VOXEL_FORMATS = ("nrrd", "nifti")
ENDINGS = {"nrrd": ".seg.nrrd", "nifti": ".nii.gz"}
SIDES = ("both", "right", "left")


@dataclass
class Exported:
    """What came of an export."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    quality: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By segment: what the worker measured of its surface."""


@dataclass(frozen=True)
class Plan:
    """What is to be exported: as the user chose it."""

    segments: tuple[str, ...]
    form: str
    side: str
    middle_mm: float | None
    """x of the head's middle plane, LPS; where it is needed."""
    smoothing: str
    folder: Path

    def job(self, private: Path, segment: str, with_ct: bool) -> jobs.Job:
        """Makes the surface of one segment; the CT, where there is one, tells where in a voxel bone ends."""
        changes = {"segment": segment, "smoothing": self.smoothing, "formats": [self.form], "quality_map": True}
        return jobs.surface(private, EDITED, changes | ({"ct": str(private / jobs.INPUT)} if with_ct else {}))

    def save(self, target: Any, private: Path) -> None:
        """The segmentation, or the half of it, for the worker."""
        save(target, private / EDITED, self.segments, self._is_kept)

    def name(self, segment: str, ending: str) -> Path:
        """Where a segment's file goes; left and right stand in it."""
        return free_name(self.folder / f"{segment}-{self.side}{ending}")

    def take(self, made: Path, segment: str) -> list[Path]:
        """Copy a surface that the worker made, with the map of its quality, and read the copies back.

        Raises `OSError` or `ValueError`.
        """
        path = self.name(segment, f".{self.form}")
        taken = {made / f"{segment}.{self.form}": path, made / f"{segment}{MAP}": path.with_name(path.stem + MAP)}
        for source, copy in taken.items():
            _copy(source, copy)
            if copy.read_bytes() != source.read_bytes():
                copy.unlink()
                raise ValueError("A file was not written whole: check the disk, and export again.")
        return list(taken.values())

    def write_voxels(self, target: Any, private: Path) -> list[Path]:
        """The voxels themselves; every file is read back. Raises `OSError`, `ValueError` or `OrbitalSegError`."""
        self.save(target, private)
        if self.form == "nrrd":
            path = self.name("segmentation", ENDINGS["nrrd"])
            _copy(private / EDITED, path)
            written = [path]
        else:
            written = []
            for segment in self.segments:
                path = self.name(segment, ENDINGS["nifti"])
                write_label_map(read_segmentation(private / EDITED, segment), path)
                written.append(path)
        for path in written:
            for segment in self.segments:
                read_segmentation(path, segment)
        return written

    def _is_kept(self, x_mm: np.ndarray) -> np.ndarray:
        """Which places of the patient's x axis (LPS) the side holds."""
        if self.middle_mm is None:
            return np.ones_like(x_mm, bool)
        return x_mm >= self.middle_mm if self.side == "left" else x_mm < self.middle_mm


def plan(settings: Any, record: dict[str, Any] | None, target: Any) -> Plan:
    """What the user has chosen. Raises `ValueError` for a choice that makes no sense."""
    if target is None:
        raise ValueError("Segment a scan first: there is nothing to export.")
    chosen = tuple(
        identity
        for identity in segments.OURS
        if identity in settings["exportSegments"] and segments.volume_ml(target, identity) > 0
    )
    if not chosen:
        raise ValueError("Choose a segment that holds something.")
    folder = Path(settings["exportFolder"])
    if not settings["exportFolder"] or not folder.is_dir():
        raise ValueError("Choose a folder that exists.")
    side = settings["exportSide"]
    return Plan(
        chosen,
        settings["exportFormat"],
        side,
        None if side == "both" else _middle(record, target),
        settings["smoothing"],
        folder,
    )


def save(target: Any, path: Path, wanted: Any = segments.OURS, is_kept: Any = None) -> None:
    """Save segments of a segmentation, or what of them lies at kept places of the x axis, as Slicer saves them."""
    scene = slicer.mrmlScene
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "for export")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    try:
        source = target.GetSegmentation()
        copy.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
        segments.copy_geometry(source, copy.GetSegmentation())
        for identity in wanted:
            if source.GetSegment(identity):
                copy.GetSegmentation().CopySegmentFromSegmentation(source, identity)
                if is_kept is not None:
                    segments.keep_places(copy, identity, is_kept)
        storage.SetFileName(str(path))
        storage.SetUseCompression(1)
        if not storage.WriteData(copy) or not path.is_file():
            raise OSError("The segmentation could not be written: check the free space on the disk.")
    finally:
        scene.RemoveNode(storage)
        scene.RemoveNode(copy)


def free_name(path: Path) -> Path:
    """The path, or the first one with a number that does not exist."""
    stem, *endings = path.name.split(".")
    names = (path.name, *(".".join([f"{stem}-{number}", *endings]) for number in range(2, 10_000)))
    return next(found for name in names if not (found := path.with_name(name)).exists())


def _middle(record: dict[str, Any] | None, target: Any) -> float:
    """x of the plane between the orbits, LPS: the middle of the region, or of what is segmented."""
    box = record["region"]["box_mm"] if record else "whole"
    if box != "whole":
        return (box[0] + box[1]) / 2
    bounds = [0.0] * 6
    target.GetRASBounds(bounds)
    return -(bounds[0] + bounds[1]) / 2


def _copy(source: Path, path: Path) -> None:
    """Copy under a temporary name first, so that no half file ever bears the real one."""
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
