"""`surface`: a segmentation in, edited by hand or not; a folder with its surface out."""

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib import remodel
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.files import safe_name
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.modelling.field import BoneField, field_of_edited, part_of
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import ResultFolder, new_result
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import check_can_model, make_surfaces, read_ct, write_surfaces
from OrbitalSegLib.tasks.keys import PATH, TEXT, key, optional
from OrbitalSegLib.tasks.parts import BOX, Files, NewFolder, Surfaces
from OrbitalSegLib.tasks.segment import wish_of

SHARES = {"reading": 1.0, "modelling": 6.0, "writing": 1.0}


@dataclass(frozen=True, kw_only=True)
class SurfaceJob(Files, Surfaces, NewFolder):
    """A segmentation, and how its surface is made."""

    task = "surface"

    segmentation: Path = key(PATH, name="input")
    segment: str = key(TEXT, BONE)
    region: Region = key(BOX, Region())
    """What lies outside is left out."""
    ct: Path | None = key(optional(PATH), None)
    """What the mask was made from: it tells where in a voxel bone ends."""
    result: Path | None = key(optional(PATH), None, name="record")
    """The result folder whose segment, unedited, this is: the surface is then made of what the run knew."""


def run(job: SurfaceJob, steps: Steps, record: Record) -> Outcome:
    """See `model_of`."""
    name = safe_name(job.segment)
    check_can_model(job.modelling)
    with new_result(job.output, job.overwrite, job.segmentation) as folder:
        with record.step("reading", {"segment": name}) as measured:
            mask = read_segmentation(job.segmentation, job.segment, job.header, record.warn)
            measured["volume_ml"] = volume_ml(mask)
            steps.step("reading")(1.0)
        record.add_input("segmentation", mask)
        ct = None if job.ct is None else read_ct(job.ct, job, record).image
        surfaces = make_surfaces(lambda: {name: _field_of(job, mask, ct)}, job.modelling, job.memory_gb, steps, record)
        with record.step("writing"):
            write_surfaces(surfaces, job.formats, job.quality_map, record, folder)
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {"volume_ml": volume_ml(mask), "surface": record.measured("modelling")[name]}


def _field_of(job: SurfaceJob, mask: sitk.Image, ct: sitk.Image | None) -> BoneField:
    """What the run knew where the job names its result, else the mask and its CT."""
    field = None
    if ct is not None and job.result is not None:
        result = ResultFolder(job.result)
        field = remodel.field_of(result, wish_of(result.entries), ct, safe_name(job.segment))
    field = field or field_of_edited(mask, ct)
    return part_of(field, job.region) if job.region.box_mm else field


TASK = Work(SurfaceJob, lambda _job: SHARES, run)
