"""`pacs-fetch`: scans out of an archive into a folder; run again it goes on where it was stopped."""

from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import MARK, alone
from OrbitalSegLib.pacs.archives import NOTHING_THERE, all_series, fetch_series, opened
from OrbitalSegLib.pacs.store import store_in
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import PATH, key
from OrbitalSegLib.tasks.parts import AskedArchive

FINDING, FETCHING = "finding", "fetching"


@dataclass(frozen=True, kw_only=True)
class FetchJob(AskedArchive):
    """An archive, what of it is meant, and where it goes."""

    task = "pacs-fetch"

    output: Path = key(PATH)
    """Empty, or where the same was begun."""


def run(job: FetchJob, steps: Steps, _record: Record) -> Outcome:
    """Every image that is not there yet, as `STUDY/SERIES/IMAGE.dcm` in names that say nothing."""
    images = new = 0
    with (
        alone(job.output, lambda folder: (folder / MARK).is_file()),
        opened(job.archive, job.calling) as archive,
        store_in(job.output) as store,
    ):
        wanted = all_series(archive, steps.step(FINDING))
        if not wanted:
            raise InputError("no-ct", NOTHING_THERE)
        progress = steps.step(FETCHING)
        for done, series in enumerate(wanted):
            progress(done / len(wanted))
            there, fetched = fetch_series(archive, series, store)
            images, new = images + there, new + fetched
        progress(1.0)
    return [], {"series": len(wanted), "images": images, "new": new}


TASK = Work(FetchJob, lambda _job: {FINDING: 1.0, FETCHING: 20.0}, run)
