"""`collect`: results that people accepted become a data set, from which networks go on to learn [3532-2 12, 9]."""

from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import PATH, TEXT, Job, key, optional

SHARES = {"collecting": 1.0}


@dataclass(frozen=True, kw_only=True)
class CollectJob(Job):
    """Results and their scans."""

    task = "collect"

    results: Path = key(PATH, name="input")
    """A folder, however deep results lie in it."""
    scans: Path = key(PATH)
    """What they were made of: a scan, or a folder of scans."""
    output: Path = key(PATH)
    """The data set to make, a new folder."""
    series: str | None = key(optional(TEXT), None)


def run(job: CollectJob, steps: Steps, _record: Record) -> Outcome:
    """See `collect_results`."""
    from OrbitalSegLib.training.collecting import PRIVATE, QUALITY_FILE, collect_results

    found = collect_results(job.results, job.scans, job.output, steps.step("collecting"), job.series)
    return [QUALITY_FILE, f"{PRIVATE}/", *(f"{case}/" for case in found.cases)], {
        "cases": len(found.cases),
        "patients": found.patients,
        "left_out": [{"name": one.result.name, "text": one.why} for one in found.left_out],
        "notes": [{"name": one.case, "text": one.text} for one in found.findings],
    }


TASK = Work(CollectJob, lambda _job: SHARES, run)
