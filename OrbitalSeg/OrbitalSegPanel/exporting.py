"""Segments of the scene -> files that were read back before anyone is told that they exist."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map
from OrbitalSegLib.export.surfaces import FORMATS, surface_path
from OrbitalSegLib.files import name_together, safe_name, workplace
from OrbitalSegLib.results import RECORD_FILE, ResultFolder
from OrbitalSegLib.structures import EITHER, Structure, parts_of_surface
from OrbitalSegPanel import jobs, segments, volumes

EDITED = "edited.seg.nrrd"
"""The segmentation of the scene, as it is saved into a run's private folder."""

SURFACE_FORMATS = tuple(FORMATS)
MAP = "-quality.vtp"
"""The end of the name of a surface's map of quality."""

RECORD = "-record.json"
"""The end of the name of a surface's record: how it was made, and what was measured of it."""

VOXEL_FORMATS = ("nrrd", "nifti")
DICOM = "dicom"

ENDINGS = {"nrrd": ".seg.nrrd", "nifti": ".nii.gz"}
SIDES = ("right", "left")
FAR_MM = 10_000.0
"""Beyond every patient."""


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
    modelling: jobs.Job
    """How surfaces are made."""
    folder: Path

    def job(self, private: Path, segment: str, said: jobs.Job | None, source: Path | None) -> jobs.Job:
        """Makes the surface of one segment.

        The CT, where there is one, of which `said` is known, tells where in a voxel bone ends. Of a segment that nobody
        edited, `source` is the result folder: its run knew more than the mask shows.
        """
        changes: jobs.Job = {"segment": segment, **self.modelling, "formats": [self.form], "quality_map": True}
        if said is not None:
            changes |= {"ct": str(private / jobs.INPUT), **said}
        if source is not None:
            changes["record"] = str(source)
        if self.middle_mm is not None:
            x_mm = [self.middle_mm, FAR_MM] if self.side == "left" else [-FAR_MM, self.middle_mm]
            changes["region"] = [*x_mm, -FAR_MM, FAR_MM, -FAR_MM, FAR_MM]
        return jobs.surface(private, EDITED, changes)

    def save(self, target: Any, private: Path) -> None:
        """The segmentation, or the half of it, for the worker."""
        wanted = dict.fromkeys(part for name in self.segments for part in parts_of_surface(name))
        save(target, private / EDITED, wanted, self._is_kept)

    def take(self, made: Path, segment: str) -> list[Path]:
        """Copy a surface that the worker made, with the map of its quality and its record.

        Raises `OSError`, `ValueError` or `OrbitalSegError`; no copy is then left.
        """
        record = {MAP: ResultFolder(made).quality_map(segment), RECORD: made / RECORD_FILE}
        return self._put(safe_name(segment), {f".{self.form}": surface_path(made, segment, self.form), **record})

    def take_dicom(self, made: Path) -> list[Path]:
        """Copy the DICOM segmentation that the worker made. Raises as `take`."""
        return self._put("segmentation", {".dcm": ResultFolder(made).dicom})

    def write_voxels(self, target: Any, private: Path) -> list[Path]:
        """The voxels themselves; every file is read back before it gets its name. Raises as `take`."""
        self.save(target, private)
        if self.form == "nrrd":
            for segment in self.segments:
                read_segmentation(private / EDITED, segment)
            return self._put("segmentation", {ENDINGS["nrrd"]: private / EDITED})
        written = []
        for segment in self.segments:
            path = private / f"{segment}{ENDINGS['nifti']}"
            write_label_map(read_segmentation(private / EDITED, segment), path)
            read_segmentation(path)
            written += self._put(segment, {ENDINGS["nifti"]: path})
        return written

    def _put(self, stem: str, sources: dict[str, Path]) -> list[Path]:
        """See `put`; left and right stand in the names."""
        return put(self.folder, f"{stem}-{self.side}", sources)

    def _is_kept(self, x_mm: np.ndarray) -> np.ndarray:
        """Which places of the patient's x axis (LPS) the side holds."""
        if self.middle_mm is None:
            return np.ones_like(x_mm, bool)
        return x_mm >= self.middle_mm if self.side == "left" else x_mm < self.middle_mm


def put(folder: Path, stem: str, sources: dict[str, Path]) -> list[Path]:
    """Copy files that belong together, by their endings, compare them byte by byte, and give them names.

    They are the first that nothing has: nobody's file is ever replaced. Raises as `Plan.take`.
    """
    with workplace(folder) as private:
        copies = [private / f"copy{ending}" for ending in sources]
        for source, copy in zip(sources.values(), copies, strict=True):
            shutil.copyfile(source, copy)
            if copy.read_bytes() != source.read_bytes():
                raise ValueError(_("A file was not written whole: check the disk, and export again."))
        return name_together(copies, _names(folder, stem, list(sources)))


def can_hold(form: str, structure: Structure) -> bool:
    """Whether a format may hold a structure: what is never printed gets no surface."""
    return structure.printed or form not in SURFACE_FORMATS


def can_join(form: str) -> bool:
    """Whether a format may hold bone and inferred wall as one: what voxels hold stays apart."""
    return form in SURFACE_FORMATS


def plan(settings: Any, record: dict[str, Any] | None, target: Any, volume: Any) -> Plan:
    """What the user has chosen. Raises `ValueError` for a choice that makes no sense."""
    if target is None:
        raise ValueError(_("Segment a scan first: there is nothing to export."))
    form = settings["exportFormat"]
    known = segments.structures(target)
    possible = [name for name, structure in known.items() if can_hold(form, structure)]
    possible += [EITHER] if can_join(form) else []
    chosen = tuple(
        name
        for name in possible
        if name in settings["exportSegments"]
        and all(segments.volume_ml(target, part) > 0 for part in parts_of_surface(name))
    )
    if not chosen:
        raise ValueError(_("Choose a segment that holds something."))
    folder = Path(settings["exportFolder"])
    if not settings["exportFolder"] or not folder.is_dir():
        raise ValueError(_("Choose a folder that exists."))
    side, middle_mm = ("both", None) if form == DICOM else _side(settings["exportSide"], record, volume)
    return Plan(chosen, form, side, middle_mm, jobs.modelling(settings), folder)


def save(target: Any, path: Path, wanted: Any = None, is_kept: Any = None) -> None:
    """Save segments of a segmentation (all that a run makes), or what of them lies at kept places of the x axis, as
    Slicer saves them."""
    scene = slicer.mrmlScene
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "for export")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    try:
        source = target.GetSegmentation()
        copy.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
        segments.copy_geometry(source, copy.GetSegmentation())
        for identity in segments.structures(target) if wanted is None else wanted:
            if source.GetSegment(identity):
                copy.GetSegmentation().CopySegmentFromSegmentation(source, identity)
                if is_kept is not None:
                    segments.keep_places(copy, identity, is_kept)
        storage.SetFileName(str(path))
        storage.SetUseCompression(1)
        if not storage.WriteData(copy) or not path.is_file():
            raise OSError(_("The segmentation could not be written: check the free space on the disk."))
    finally:
        scene.RemoveNode(storage)
        scene.RemoveNode(copy)


def free_names(folder: Path, stem: str, endings: Sequence[str]) -> list[Path]:
    """The stem, or the first one with a number, with each ending, so that none of them exists."""
    for paths in _names(folder, stem, endings):
        if not any(path.exists() for path in paths):
            return paths
    raise ValueError(_("The folder holds too many files of that name: choose another one."))


def _names(folder: Path, stem: str, endings: Sequence[str]) -> Iterator[list[Path]]:
    """The stem with each ending, then those with numbers."""
    for name in chain([stem], (f"{stem}-{number}" for number in range(2, 10_000))):
        yield [folder / f"{name}{ending}" for ending in endings]


def _side(side: str, record: dict[str, Any] | None, volume: Any) -> tuple[str, float | None]:
    """The side as files name it, and x of the plane between the orbits, LPS mm, where there is something to cut off.

    Raises `ValueError` where left and right cannot be told apart, or the result is of the other side alone.
    """
    asked = record["region"]["asked"] if record else "box"
    if asked in SIDES:
        if side not in ("both", asked):
            raise ValueError(_("The result holds the {side} orbit only.").format(side=asked))
        return asked, None
    if side == "both":
        return side, None
    if record and asked == "auto" and _both_found(record):
        box = record["region"]["box_mm"]
        return side, (box[0] + box[1]) / 2
    return side, _between_the_orbits(volume)


def _both_found(record: dict[str, Any]) -> bool:
    """Whether the region was laid around two orbits: its middle is then between them."""
    found = next((step["measured"] for step in record["steps"] if step["step"] == "locating"), {})
    return bool(found) and all(found[side]["status"] == "found" for side in ("left", "right"))


def _between_the_orbits(volume: Any) -> float:
    """x between the orbits of a scan, in which they are looked for: this takes a second or two."""
    from OrbitalSegLib.locating import locate

    orbits = locate(volumes.placed(volume).image) if volume is not None else None
    openings = [orbit.opening_mm for orbit in (orbits.left, orbits.right) if orbit.opening_mm] if orbits else []
    if len(openings) < 2:
        raise ValueError(
            _("Left and right cannot be told apart: two orbits were not found in the scan. Export both sides.")
        )
    return (openings[0][0] + openings[1][0]) / 2
