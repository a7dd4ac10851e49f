"""`review`: a result, and what a person made of it; a result with edits counted and reviews added [3532-1 5, 6]."""

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.modelling.field import fields_of
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.record.edits import count, edited_masks
from OrbitalSegLib.results import MAP, PROBABILITY, ResultFolder, new_result
from OrbitalSegLib.scan import sha256_of
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import (
    check_can_model,
    figures_of,
    halved,
    headers_for,
    make_surfaces,
    read_ct,
    write_dicom,
    write_surfaces,
)
from OrbitalSegLib.tasks.keys import PATH, invalid, key, optional
from OrbitalSegLib.tasks.parts import ResultFiles

SHARES = {"review": 2.0, "modelling": 6.0, "writing": 2.0, "preview": 2.0}

EDITED = "Edited by hand after the automatic result."


@dataclass(frozen=True, kw_only=True)
class ReviewJob(ResultFiles):
    """A result, what a person changed in it, and what people say of it."""

    task = "review"

    result: Path = key(PATH, name="input")
    """The result folder that was reviewed."""
    edited: Path | None = key(optional(PATH), None)
    """The segmentation as a person left it; None: nobody changed it."""
    ct: Path | None = key(optional(PATH), None)
    """The scan, for a new picture and for DICOM."""

    @property
    def brings(self) -> bool:
        """See `ResultFiles`."""
        return True


def run(job: ReviewJob, steps: Steps, record: Record) -> Outcome:
    """Count what was edited against the automatic result, and write the result as the person left it."""
    result = ResultFolder(job.result)
    entries = result.segmented
    check_can_model(job.modelling)
    record.go_on(entries)
    headers = headers_for(job, job.ct, record)
    with new_result(job.output, job.overwrite, job.result) as folder:
        record.add_people(job.purpose, job.operator, list(job.reviews))
        with record.step("review") as measured:
            automatic, masks = result.automatic_masks(), result.masks()
            before = {name: sha256_of(mask) for name, mask in masks.items()}
            if job.edited is not None:
                masks = edited_masks(automatic, job.edited, job.header, record.warn)
            steps.step("review")(0.5)
            counted = {name: count(automatic[name], masks[name]) for name in automatic}
            record.entries["edits"] = {"automatic": result.described, "segments": counted}
            measured["changed"] = any(sha256_of(masks[name]) != before[name] for name in before)
            steps.step("review")(1.0)
        if measured["changed"]:
            _write_edited(result, masks, job, steps, record, folder)
        else:
            result.copy_to(folder)
        write_dicom(masks, folder.surfaces, job.dicom, headers, record, folder)
        files = record.finish(folder, job.language)
    return files, {
        "edits": record.entries["edits"],
        "missing": record.entries["missing"],
        "volumes_ml": {name: one["edited_ml"] for name, one in counted.items()},
    }


def _write_edited(
    result: ResultFolder,
    masks: dict[str, sitk.Image],
    job: ReviewJob,
    steps: Steps,
    record: Record,
    folder: ResultFolder,
) -> None:
    """Write what the edited masks make, and keep what the method gave before anyone touched it."""
    lacking = next((name for name in job.surfaces if not set(name.split("+")) <= masks.keys()), None)
    if lacking:
        raise invalid(f"The result has no {lacking}: leave that surface out.")
    fields = fields_of(masks, [*((BONE,) if BONE in masks else ()), *job.surfaces], warn=record.warn)
    surfaces = make_surfaces(
        lambda: halved(fields, record) if job.sides else fields, job.modelling, job.memory_gb, steps, record
    )
    with record.step("writing") as measured:
        measured |= figures_of(masks)
        folder.keep_automatic(result)
        for kept in (PROBABILITY, MAP):
            result.copy_to(folder, f"{kept}*.nrrd")
        folder.write_masks(masks, record.structures)
        write_surfaces(surfaces, job.formats, job.quality_map, record, folder)
        steps.step("writing")(1.0)
    if job.ct is not None:
        with record.step("preview"), record.extra(folder.preview):
            ct = read_ct(job.ct, job, record).image
            draw_preview(ct, masks, surfaces.get(BONE), folder.preview, [EDITED], structures=record.structures)
            steps.step("preview")(1.0)


TASK = Work(ReviewJob, lambda _job: SHARES, run)
