"""`evaluate`: a result held against its truth, by docs/metrics.md; nothing is written."""

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.evaluation import figures
from OrbitalSegLib.evaluation.figures import plain
from OrbitalSegLib.evaluation.grids import divided
from OrbitalSegLib.evaluation.wall_points import read_walls
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.locating.place import AskedOrbit, place_of
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import segmentation_in
from OrbitalSegLib.scan import grid_of
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import read_ct
from OrbitalSegLib.tasks.keys import PATH, TEXT, invalid, key, optional
from OrbitalSegLib.tasks.parts import REGION, Files

SHARES = {"reading": 1.0, "locating": 1.5, "evaluating": 4.0}


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(Files):
    """A result and its truth."""

    task = "evaluate"

    result: Path = key(PATH, name="input")
    """A segmentation, or a result folder."""
    truth: Path = key(PATH)
    ct: Path | None = key(optional(PATH), None)
    """Tells cortical from thin bone. Without it the region `auto` is the whole truth."""
    walls: Path | None = key(optional(PATH), None)
    """The `walls.vtp` of a synthetic case."""
    segment: str = key(TEXT, BONE)
    """Of the result; several as `bone+inferred`."""
    region: Region | AskedOrbit = key(REGION, "auto")


def run(job: EvaluateJob, steps: Steps, record: Record) -> Outcome:
    """See `figures.evaluate`."""
    with record.step("reading", {"segment": job.segment}):
        truth = read_segmentation(job.truth, header=job.header, warn=record.warn)
        result = joined(job.result, job.segment, job.header, record)
        walls = None if job.walls is None else read_walls(job.walls)
        steps.step("reading")(0.5)
    ct, region = _judged(job, steps, record)
    within = None if region.box_mm is None else region.within(truth)
    truth = divided(truth, result)
    with record.step("evaluating"):
        found = figures.evaluate(truth, result, ct, within, walls, progress=steps.step("evaluating"))
    return [], {"figures": {name: plain(value) for name, value in found.items()}, "grid": grid_of(truth)}


def joined(result: Path, segments: str, header: str | None, record: Record) -> sitk.Image:
    """The segments of a segmentation or a result folder, joined where they are several, as `bone+inferred`."""
    path = segmentation_in(result)
    parts = [read_segmentation(path, name, header, record.warn) for name in segments.split("+")]
    return sitk.Cast(sitk.NaryAdd(parts) > 0, sitk.sitkUInt8)


def _judged(job: EvaluateJob, steps: Steps, record: Record) -> tuple[sitk.Image | None, Region]:
    """The CT, if there is one, and the region in which the result is judged."""
    ct = None if job.ct is None else read_ct(job.ct, job, record, steps.step("reading")).image
    if isinstance(job.region, Region):
        return ct, job.region
    if ct is not None:
        return ct, place_of(ct, job.region, steps.step("locating"), record.warn).region
    if job.region == "auto":
        return None, Region()
    raise invalid("An orbit is looked for in the CT: give `ct`, or the region as a box in mm.")


TASK = Work(EvaluateJob, lambda _job: SHARES, run)
