"""`segment`: a CT in, a result folder out (docs/contracts.md, section 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib import remodel, segmenting
from OrbitalSegLib.locating.place import AskedOrbit
from OrbitalSegLib.methods import DEFAULT_METHOD, given_by
from OrbitalSegLib.methods.method import Method, Segmented, Task
from OrbitalSegLib.modelling.field import BoneField, fields_of
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import SIDES_UNKNOWN, Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.result_grid import GridChoice
from OrbitalSegLib.results import MAP, ResultFolder, new_result
from OrbitalSegLib.segmenting import First, Segmentation, Wish
from OrbitalSegLib.structures import BONE, EITHER, INFERRED
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import (
    READ_SHARE,
    check_can_model,
    figures_of,
    halved,
    headers_for,
    make_surfaces,
    read_scan,
    write_dicom,
    write_surfaces,
)
from OrbitalSegLib.tasks.keys import OBJECT, PATH, TEXT, invalid, key, optional, read_keys, settings_of
from OrbitalSegLib.tasks.parts import FIRST, GRID, POSTPROCESS, REGION, Networks, ResultFiles, ScanInput

FILES_SHARES = {"modelling": 6.0, "writing": 2.0, "preview": 2.0}
"""Seconds of each step on a head of 512 x 512 x 140 voxels, by benchmarks/main_job.py."""


@dataclass(frozen=True, kw_only=True)
class SegmentJob(ScanInput, Networks, ResultFiles):
    """A scan, how its bone is found, and what is written of it."""

    task = "segment"

    region: Region | AskedOrbit = key(REGION, "auto", setting=True)
    grid: GridChoice = key(GRID, "auto", setting=True)
    """Of the result."""
    method: str = key(TEXT, DEFAULT_METHOD, setting=True)
    parameters: dict[str, Any] = key(OBJECT, {}, setting=True)
    first: First | None = key(optional(FIRST), None, name="from", setting=True)
    """The method whose bone this one begins at, or alone looks in."""
    postprocess: PostprocessingParameters | None = key(POSTPROCESS, PostprocessingParameters(), setting=True)
    """None leaves the bone alone."""
    kept: Path | None = key(optional(PATH), None, name="record")
    """A result folder of the same scan: its probabilities stand for the networks, which do not run again."""

    @property
    def brings(self) -> bool:
        """See `ResultFiles`."""
        return self.model is not None

    @property
    def wish(self) -> Wish:
        """What decides the bone."""
        return Wish(self.method, self.parameters, self.region, self.postprocess, self.resources, self.grid, self.first)


def shares(job: SegmentJob) -> dict[str, float]:
    """The seconds of each step with the method that the job names."""
    return READ_SHARE | segmenting.shares(job.wish, kept=job.kept is not None) | FILES_SHARES


def run(job: SegmentJob, steps: Steps, record: Record) -> Outcome:
    """See `segmenting.segment`; and write what it found."""
    job.wish.understood()  # what is wrong with it is said before anything is read
    _check_surfaces(job.surfaces, job.wish.chosen, job.model)
    check_can_model(job.modelling)
    sources = headers_for(job, job.input, record)
    with new_result(job.output, job.overwrite, job.input) as folder:
        record.add_settings(settings_of(job))
        record.add_people(job.purpose, job.operator, list(job.reviews))
        segmentation = find(job, steps, record)
        surfaces = make_surfaces(
            lambda: _fields(segmentation, job.surfaces, job.sides, record), job.modelling, job.memory_gb, steps, record
        )
        with record.step("writing") as measured:
            measured |= figures_of(segmentation.masks)
            folder.write_masks(segmentation.masks, record.structures)
            folder.write_probabilities(segmentation.segmented.probabilities)
            folder.write_maps(segmentation.segmented.maps)
            if job.kept is not None:
                ResultFolder(job.kept).copy_to(folder, f"{MAP}*.nrrd")
            write_surfaces(surfaces, job.formats, job.quality_map, record, folder)
            named = [name for name in surfaces if name in record.structures]
            write_dicom(segmentation.masks, named, job.dicom, sources, record, folder)
            steps.step("writing")(1.0)
        _preview(segmentation, surfaces, folder, steps, record)
        files = record.finish(folder, job.language)
    return files, {
        "method": job.method,
        "volumes_ml": measured["volumes_ml"],
        "sides_known": record.sides_known,
        "feasibility": record.entries["feasibility"],
        "monitoring": {name: segmentation.monitoring[name] for name in ("verdict", "reasons")},
        "seconds": {entry["step"]: entry["seconds"] for entry in record.entries["steps"]},
    }


def _check_surfaces(surfaces: Sequence[str], method: Method, model: Path | None) -> None:
    """Whether the method gives what surfaces are asked of. Raises `JobError`."""
    given = given_by(method, model) if surfaces else ()
    for name in surfaces:
        if (INFERRED if name == EITHER else name) not in given:
            what = "inferred wall" if name in (INFERRED, EITHER) else name
            raise invalid(f"{method.title} gives no {what}: leave that surface out.")


def find(job: SegmentJob, steps: Steps, record: Record) -> Segmentation:
    """The bone of the job's scan, with the record of how it was found. Raises `OrbitalSegError`."""
    scan, wish = read_scan(job, steps, record), job.wish
    segmentation = segmenting.segment(scan, wish, steps, record.warn, _kept(job.kept, wish))
    record.add_segmentation(segmentation)
    return segmentation


def _kept(result: Path | None, wish: Wish) -> Callable[[Task], Segmented] | None:
    return None if result is None else partial(remodel.found_with_limits, ResultFolder(result), wish)


def _fields(segmentation: Segmentation, surfaces: Sequence[str], sides: bool, record: Record) -> dict[str, BoneField]:
    wanted = [name for name in (BONE, *surfaces) if name != BONE or segmentation.segmented.has_bone]
    fields = fields_of(segmentation.own, wanted, segmentation.field, record.warn)
    return halved(fields, record, segmentation.place.middle_mm) if sides else fields


def _preview(
    segmentation: Segmentation, surfaces: dict[str, vtkPolyData], folder: ResultFolder, steps: Steps, record: Record
) -> None:
    """The picture, which never costs the run."""
    with record.step("preview"), record.extra(folder.preview):
        said = f"{segmentation.method.title}: {_sentence(segmentation.segmented.parameters)}"
        caption = [said, segmentation.examined.feasibility.sentence]
        caption += [] if record.sides_known else [SIDES_UNKNOWN]
        ct, bone, places_mm = segmentation.scan.image, surfaces.get(BONE), segmentation.place.openings_mm
        draw_preview(
            ct, segmentation.own, bone, folder.preview, caption, openings_mm=places_mm, structures=record.structures
        )
        steps.step("preview")(1.0)


def _sentence(parameters: dict[str, Any]) -> str:
    return ", ".join(_said(name, value) for name, value in parameters.items())


def _said(name: str, value: Any) -> str:
    words = name.removesuffix("_hu").replace("_", " ")
    match value:
        case bool():
            return f"{words} {'yes' if value else 'no'}"
        case int() | float():
            return f"{words} {value:g}{' HU' if name.endswith('_hu') else ''}"
        case list() | tuple():
            return f"{words} {len(value)}"
        case _:
            return f"{words} {value}"


def wish_of(entries: dict[str, Any]) -> Wish:
    """What decided the bone of a result, by its record. Raises `JobError`."""
    wanted = ("method", "parameters", "from", "postprocess", "grid")
    settings = {name: value for name, value in entries["settings"].items() if name in wanted}
    return read_keys(SegmentJob, {"input": "-", "output": "-", **settings}).wish


TASK = Work(SegmentJob, shares, run)
