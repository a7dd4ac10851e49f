"""`surface`: a segmentation in, edited by hand or not; a folder with its surface out."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib import remodel
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.files import safe_name
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.modelling.field import BoneField, field_of_edited, field_of_painted, part_of, with_inferred
from OrbitalSegLib.progress import Steps, unheard
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import ResultFolder, new_result
from OrbitalSegLib.structures import BONE, EITHER, parts_of_surface
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
    """`bone+inferred` is both as one surface."""
    region: Region = key(BOX, Region())
    """What lies outside is left out."""
    ct: Path | None = key(optional(PATH), None)
    """What the mask was made from: it tells where in a voxel bone ends."""
    result: Path | None = key(optional(PATH), None, name="record")
    """The result folder whose segment, unedited, this is: the surface is then made of what the run knew."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The segments that are taken."""
        return parts_of_surface(self.segment)


def run(job: SurfaceJob, steps: Steps, record: Record) -> Outcome:
    """See `model_of`."""
    name = EITHER if job.segment == EITHER else safe_name(job.segment)
    check_can_model(job.modelling)
    with new_result(job.output, job.overwrite, job.segmentation) as folder:
        with record.step("reading", {"segment": name}) as measured:
            masks = _masks_of(job, record)
            labels = reduce(lambda one, other: one + 2 * other, masks)  # what is in both has a value of its own
            measured["volume_ml"] = volume_ml(labels)
            steps.step("reading")(1.0)
        record.add_input("segmentation", labels)
        ct = None if job.ct is None else read_ct(job.ct, job, record).image
        surfaces = make_surfaces(lambda: {name: _field_of(job, masks, ct)}, job.modelling, job.memory_gb, steps, record)
        with record.step("writing"):
            write_surfaces(surfaces, job.formats, job.quality_map, record, folder)
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {"volume_ml": volume_ml(labels), "surface": record.measured("modelling")[name]}


def _masks_of(job: SurfaceJob, record: Record) -> list[sitk.Image]:
    """The masks of the job's segments, with what their file's header is to be warned of said once."""
    if len(job.parts) > 1 and not segment_ids(job.segmentation, job.header):
        raise InputError("not-a-segmentation", f"A label map has no segments: {job.segment} needs a .seg.nrrd.")
    return [
        read_segmentation(job.segmentation, part, job.header, record.warn if number == 0 else unheard)
        for number, part in enumerate(job.parts)
    ]


def _field_of(job: SurfaceJob, masks: list[sitk.Image], ct: sitk.Image | None) -> BoneField:
    """What the run knew where the job names its result, else the masks and their CT."""
    known = None
    if ct is not None and job.result is not None:
        result = ResultFolder(job.result)
        names = [safe_name(part) for part in job.parts]
        known = remodel.fields_of(result, wish_of(result.entries), ct, names)
    bone, *walls = known.values() if known else _edited(masks, ct)
    field = reduce(with_inferred, [wall for wall in walls if volume_ml(wall.mask) > 0], bone)
    return part_of(field, job.region) if job.region.box_mm else field


def _edited(masks: list[sitk.Image], ct: sitk.Image | None) -> list[BoneField]:
    bone = field_of_edited(masks[0], ct)
    return [bone, *(field_of_painted(wall, bone) for wall in masks[1:])]


TASK = Work(SurfaceJob, lambda _job: SHARES, run)
