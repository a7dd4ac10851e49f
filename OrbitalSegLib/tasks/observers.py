"""`observers`: how several persons' segmentations agree, and where a method's stands among them; nothing is written."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from OrbitalSegLib.evaluation import observers as judges
from OrbitalSegLib.evaluation.figures import plain
from OrbitalSegLib.evaluation.grids import at_voxels_of, divided, on_grid_of
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.evaluate import joined
from OrbitalSegLib.tasks.keys import PATH, TEXT, key, listed
from OrbitalSegLib.tasks.parts import BOX, VolumeFiles

SHARES = {"reading": 1.0, "evaluating": 9.0}

NEEDED = "A job `observers` needs two `observers` or more."


@dataclass(frozen=True, kw_only=True)
class ObserversJob(VolumeFiles):
    """The method's segmentation, and those of two persons or more."""

    task = "observers"

    result: Path = key(PATH, name="input")
    """A segmentation, or a result folder."""
    observers: tuple[Path, ...] = key(listed(PATH, "paths", least=2, otherwise=NEEDED))
    segment: str = key(TEXT, BONE)
    """Of the result; several as `bone+inferred`."""
    region: Region = key(BOX, Region())


def run(job: ObserversJob, steps: Steps, record: Record) -> Outcome:
    """See `judges.consensus`, `judges.pairwise` and `judges.placed`."""
    with record.step("reading", {"segment": job.segment}):
        method = joined(job.result, job.segment, job.header, record)
        persons = {
            f"observer {n}": read_segmentation(path, header=job.header, warn=record.warn)
            for n, path in enumerate(job.observers, 1)
        }
        steps.step("reading")(1.0)
    first = persons["observer 1"]
    shared = divided(first, method)
    persons = {name: at_voxels_of(shared, on_grid_of(first, one)) for name, one in persons.items()}
    method = at_voxels_of(shared, method)
    within = None if job.region.box_mm is None else job.region.within(shared)
    with record.step("evaluating"):
        progress = steps.step("evaluating")
        raters = judges.consensus(persons, within).raters
        progress(0.1)
        pairs = judges.pairwise(persons, within)
        progress(0.4)
        places = judges.placed(persons, method, within)
        progress(1.0)
    return [], {
        "pairs": [{"between": list(pair), **_plain_fields(found)} for pair, found in pairs.items()],
        "raters": {name: _plain_fields(rater) for name, rater in raters.items()},
        "places": {
            name: {
                "with_others": _plain_fields(place.with_others),
                "with_consensus": _plain_fields(place.with_consensus),
            }
            for name, place in places.items()
        },
        "no_worse": judges.no_worse(places),
    }


def _plain_fields(found: Any) -> dict[str, float | str | None]:
    return {name: plain(value) for name, value in asdict(found).items()}


TASK = Work(ObserversJob, lambda _job: SHARES, run)
