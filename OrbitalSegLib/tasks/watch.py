"""`watch`: a batch of scans that come by themselves, until it is stopped."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib import tasks
from OrbitalSegLib.archive.batch import FINDING, WORKING, run_batch
from OrbitalSegLib.archive.lots import Lot, Lots
from OrbitalSegLib.archive.one import Outcome
from OrbitalSegLib.archive.watching import fallen_into, sent_to
from OrbitalSegLib.errors import Cancelled
from OrbitalSegLib.pacs.address import DIMSE, Address
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Work
from OrbitalSegLib.tasks.batch import ManyScans, hearing, plan_of, summed_up
from OrbitalSegLib.tasks.keys import above, invalid, key, listed
from OrbitalSegLib.tasks.parts import SOURCE, TITLE

QUIET_SECONDS = 30.0
LARGEST_MB = 2000.0
"""Of an object: an enhanced CT of 4000 slices of 512 x 512."""

WHO = "`allowed` must name the titles that may send: nobody else is let in."
HOW = "`input` must be a folder, or dimse://HOST:PORT/TITLE, with this computer's own address and nothing more."


@dataclass(frozen=True, kw_only=True)
class WatchJob(ManyScans):
    """Where scans come, and what is done with them."""

    task = "watch"

    source: Path | Address = key(SOURCE, name="input")
    """A folder, or the address at which is received."""
    allowed: tuple[str, ...] = key(listed(TITLE, "titles"), ())
    """The titles of application entities that may send."""
    quiet_s: float = key(above(0, 86_400, "must be above 0, and a day at most."), QUIET_SECONDS)
    """A study is complete when nothing came of it for so long."""
    largest_mb: float = key(above(0, 1e6, "must be above 0."), LARGEST_MB)
    """No object may be larger."""

    def __post_init__(self) -> None:
        if isinstance(self.source, Address):
            if self.source.way != DIMSE or self.source.secure or self.source.asked:
                raise invalid(HOW)
            if not self.allowed:
                raise invalid(WHO)

    def lots(self, private: Path, _is_done: Callable[[Lot], bool]) -> AbstractContextManager[Lots]:
        if isinstance(self.source, Path):
            return fallen_into(self.source, self.quiet_s)
        return sent_to(self.source, self.allowed, int(self.largest_mb * 1e6), self.quiet_s, private)


def run(job: WatchJob, steps: Steps, record: Record) -> tasks.Outcome:
    """To be stopped is its end, and no error: what was not done yet is done by the next run."""
    outcomes: dict[str, Outcome] = {}
    with suppress(KeyboardInterrupt, Cancelled):
        run_batch(plan_of(job, job.lots), outcomes, steps, hearing(steps))
    return summed_up(outcomes, record)


TASK = Work(WatchJob, lambda _job: {FINDING: 1.0, WORKING: 50.0}, run)
