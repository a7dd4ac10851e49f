"""`dicom`: some segments of a result, as a person left them, as one DICOM segmentation in the scan's study."""

from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.record.edits import count, edited_masks
from OrbitalSegLib.results import ResultFolder, new_result
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import source_headers, write_dicom_segmentation
from OrbitalSegLib.tasks.keys import FLAG, PATH, TEXT, key
from OrbitalSegLib.tasks.parts import Files, NewFolder

SHARES = {"reading": 3.0, "writing": 3.0}


@dataclass(frozen=True, kw_only=True)
class DicomJob(Files, NewFolder):
    """A segmentation, the result that it comes from, and the scan."""

    task = "dicom"

    edited: Path = key(PATH, name="input")
    """The segmentation as a person left it."""
    result: Path = key(PATH, name="record")
    """The result folder."""
    ct: Path = key(PATH)
    """The scan, a DICOM series."""
    segment: str = key(TEXT, BONE)
    """Several as `bone+inferred`."""
    deidentify: bool = key(FLAG, False)


def run(job: DicomJob, steps: Steps, record: Record) -> Outcome:
    """Where a voxel differs from the automatic segmentation, DICOM calls the segments semi-automatic."""
    result = ResultFolder(job.result)
    record.go_on(result.segmented)
    headers = source_headers(job.ct, job, record, deidentify=job.deidentify, segmentation=True)
    with new_result(job.output, job.overwrite, job.edited) as folder:
        with record.step("reading", {"segment": job.segment}):
            automatic = result.automatic_masks()
            left = edited_masks(automatic, job.edited, job.header, record.warn)
            masks = {name: mask for name, mask in left.items() if name in job.segment.split("+")}
            if not any(volume_ml(mask) for mask in masks.values()):
                raise InputError(
                    "not-a-segmentation", f"The result holds nothing called {job.segment}: choose one of its segments."
                )
            counted = {name: count(automatic[name], left[name]) for name in automatic}
            record.entries["edits"] = {"automatic": result.described, "segments": counted}
            steps.step("reading")(1.0)
        with record.step("writing") as measured:
            measured["volumes_ml"] = {name: volume_ml(mask) for name, mask in masks.items()}
            write_dicom_segmentation(masks, headers, record, folder)
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {"volumes_ml": measured["volumes_ml"], "edits": record.entries["edits"]}


TASK = Work(DicomJob, lambda _job: SHARES, run)
