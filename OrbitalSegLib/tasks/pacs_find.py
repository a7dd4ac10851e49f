"""`pacs-find`: what an archive holds of what is meant."""

from dataclasses import asdict, dataclass

from OrbitalSegLib.pacs.archives import all_series, opened
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.parts import AskedArchive

FINDING = "finding"


@dataclass(frozen=True, kw_only=True)
class FindJob(AskedArchive):
    """An archive, and what of it is meant."""

    task = "pacs-find"


def run(job: FindJob, steps: Steps, _record: Record) -> Outcome:
    """Every series of CT that is meant; nothing of the patient."""
    with opened(job.archive, job.calling) as archive:
        found = all_series(archive, steps.step(FINDING))
    return [], {"series": [asdict(series) for series in found]}


TASK = Work(FindJob, lambda _job: {FINDING: 1.0}, run)
