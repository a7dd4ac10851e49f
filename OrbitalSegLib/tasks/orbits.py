"""`orbits`: a scan and its segmentation in; how large each whole orbit is, and its closed surface, out."""

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.cavity.orbits import measure_orbits
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.export.surfaces import write_map, write_surface
from OrbitalSegLib.locating import locate
from OrbitalSegLib.locating.place import AskedOrbit, check_side
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import new_result, segmentation_in
from OrbitalSegLib.structures import INFERRED
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import read_ct
from OrbitalSegLib.tasks.keys import PATH, key, one_of
from OrbitalSegLib.tasks.parts import ORBITS, Files, NewFolder

SHARES = {"reading": 2.0, "locating": 1.5, "measuring": 3.5, "writing": 0.2}
"""Seconds of each step on a head of 512 x 512 x 141 voxels."""


@dataclass(frozen=True, kw_only=True)
class OrbitsJob(Files, NewFolder):
    """A segmentation and its scan."""

    task = "orbits"

    segmentation: Path = key(PATH, name="input")
    """Or a result folder; its segment `inferred`, if there is one, counts as wall too."""
    ct: Path = key(PATH)
    region: AskedOrbit = key(one_of(ORBITS), "auto")


def run(job: OrbitsJob, steps: Steps, record: Record) -> Outcome:
    """See `measure_orbits`."""
    with new_result(job.output, job.overwrite, job.segmentation) as folder:
        ct, bone, inferred = read_orbits(job, steps, record)
        check_side(job.region, sides_known=record.sides_known)
        with record.step("locating", {"region": job.region}) as said:
            located = locate(ct, steps.step("locating"))
            wanted = [orbit for orbit in located.both if job.region in ("auto", orbit.side)]
            said |= {orbit.side: {"status": orbit.status, "confidence": orbit.confidence} for orbit in wanted}
        with record.step("measuring") as measured:
            found = measure_orbits(ct, bone, inferred, wanted, steps.step("measuring"), record.warn)
            measured |= found.described
        with record.step("writing"):
            for side, cavity in found.cavities.items():
                write_surface(cavity.surface, folder.path, f"orbit-{side}")
                write_map(cavity.surface, folder.path / f"orbit-{side}.vtp")
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {
        "orbits": measured,
        "sides_known": record.sides_known,
        "larger": found.larger,
        "difference_ml": found.difference_ml,
    }


def read_orbits(job: OrbitsJob, steps: Steps, record: Record) -> tuple[sitk.Image, sitk.Image, sitk.Image | None]:
    """The scan, and the masks of seen bone and of inferred wall, if there is any."""
    with record.step("reading"):
        source = segmentation_in(job.segmentation)
        bone = read_segmentation(source, header=job.header, warn=record.warn)
        has_inferred = INFERRED in segment_ids(source, job.header)
        inferred = read_segmentation(source, INFERRED, job.header) if has_inferred else None
        record.add_input("segmentation", bone)
        ct = read_ct(job.ct, job, record, steps.step("reading")).image
    return ct, bone, inferred


TASK = Work(OrbitsJob, lambda _job: SHARES, run)
