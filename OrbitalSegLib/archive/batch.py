"""Every scan of an archive done once, whenever and however often the work was stopped in between."""

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from OrbitalSegLib.archive.finding import FoundScan, Take, Unit, find_scans
from OrbitalSegLib.archive.index import SCANS, write_index
from OrbitalSegLib.archive.lots import Lot, Lots
from OrbitalSegLib.archive.names import named, paths_in
from OrbitalSegLib.archive.one import FAILED, OF_MEMORY, Errand, Outcome, failed, forget, keep, outcome_in
from OrbitalSegLib.archive.pools import pool, was_lost
from OrbitalSegLib.archive.room import needed_bytes
from OrbitalSegLib.errors import INTERNAL, InputError, OrbitalSegError, OutputError
from OrbitalSegLib.files import alone, replacing, writing
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.progress import Progress, Steps

FINDING, WORKING = "finding", "scans"
"""The steps of a batch."""

PRIVATE = "private"
"""The folder of a batch that says which scan each result is of: it is not to be passed on."""

BATCH_FILE = "batch.json"

OTHER_BATCH = (
    "The folder holds a batch with other jobs, or of another version of OrbitalSeg: choose another folder, or give the "
    "same jobs and the same version."
)
LOST = "The computer that took this scan was lost {times} times: run the batch again, which takes it up again."

INDEX_SECONDS = 30.0
"""How often the index is written while the work goes on."""

AHEAD = 2
"""Errands given out, for each that can be done at a time: nobody waits for the next one."""

LOOK_SECONDS = 0.5
"""How often it is looked for more where there may be more later."""

MOST_LOSSES = 20
"""So often a scan is given out again whose worker was lost."""

Hear = Callable[[Outcome, int, int], None]
"""Hears of a scan that was done: how it ended, how many are, and of how many."""


FindLots = Callable[[Path, Callable[[Lot], bool]], AbstractContextManager[Lots]]
"""From the batch's private folder, and what tells of a lot that it was done, where scans come from."""


@dataclass(frozen=True)
class Plan:
    """What is done with every scan, and where."""

    lots: FindLots
    results: Path
    jobs: tuple[dict[str, Any], ...]
    """In JSON, without what is the scan's own: it decides the results."""
    jobs_for: Callable[[FoundScan], tuple[dict[str, Any], ...]]
    """The same for one scan."""
    take: Take = "all"
    grey_values: bool = False
    retry: bool = False
    """Whether scans that failed are tried again."""
    at_once: int | None = None
    scheduler: str | None = None


def run_batch(plan: Plan, outcomes: dict[str, Outcome], steps: Steps, hear: Hear) -> None:
    """Do what has not been done yet; `outcomes` gets by its name how each scan ended. Raises `OrbitalSegError`."""
    with alone(plan.results, lambda folder: (folder / PRIVATE / BATCH_FILE).is_file()):
        private = plan.results / PRIVATE
        with writing(plan.results):
            private.mkdir(exist_ok=True, mode=0o700)
            (plan.results / SCANS).mkdir(exist_ok=True)
            _check_same(plan, private / BATCH_FILE)
        outcomes |= _earlier(plan)
        again = _forgotten(plan, outcomes) if plan.retry else set()
        try:
            with plan.lots(private.absolute(), lambda lot: lot.is_done and str(lot.source) not in again) as lots:
                _work(plan, _Tally(plan, lots, outcomes), steps, hear)
        finally:
            write_index(outcomes, plan.results)


def _check_same(plan: Plan, path: Path) -> None:
    """Hold the jobs against those with which the batch was begun. Raises OSError, and `OutputError` `exists`."""
    said = json.dumps({"version": VERSION, "jobs": plan.jobs}, indent=1, sort_keys=True) + "\n"
    if path.exists():
        if path.read_text(encoding="utf-8") != said:
            raise OutputError("exists", OTHER_BATCH)
        return
    with replacing(path) as new:
        new.write_text(said, encoding="utf-8")


def _earlier(plan: Plan) -> dict[str, Outcome]:
    """How those ended that were done before."""
    with writing(plan.results):
        folders = sorted(path for path in (plan.results / SCANS).iterdir() if path.is_dir())
    found = {folder.name: outcome_in(folder) for folder in folders}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def _forgotten(plan: Plan, outcomes: dict[str, Outcome]) -> set[str]:
    """Let scans be tried again that failed; gives the paths that they came from."""
    names = [name for name, outcome in outcomes.items() if outcome["status"] == FAILED]
    with writing(plan.results):
        for name in names:
            forget(plan.results / SCANS / name)
            del outcomes[name]
    paths = paths_in(plan.results / PRIVATE)
    return {paths[name] for name in names if name in paths}


class _Tally:
    """Lot after lot found, its errands given out, and told when all of them are done."""

    def __init__(self, plan: Plan, lots: Lots, outcomes: dict[str, Outcome]) -> None:
        self.outcomes = outcomes
        self.done = 0
        self._plan, self._lots = plan, lots
        self._known, self._share = 0, 1.0
        self._open: dict[str, tuple[Lot, set[str], set[str]]] = {}
        """By names that are not done the lot, all of its names, and those that are not done."""

    @property
    def total(self) -> int:
        """How many there are, as far as that is known."""
        return max(self._known, round(self._known / self._share))

    def errands(self, progress: Progress) -> Iterator[Errand | None]:
        """All errands; None where there is none now."""
        for lot in self._lots:
            if lot is None:
                yield None
                continue
            scans = self._scans_of(lot, progress)
            left = {name for name in scans if name not in self.outcomes}
            self._known, self._share = self._known + len(left), lot.share
            self._open |= dict.fromkeys(left, (lot, set(scans), left))
            if not left and not lot.problem:
                self._drop(lot, set(scans))
            yield from [self._errand(name, scans[name]) for name in sorted(left)]
        progress(1.0)

    def _scans_of(self, lot: Lot, progress: Progress) -> dict[str, FoundScan]:
        """The scans of a lot by their names; what is none has its outcome at once."""
        plan, private = self._plan, self._plan.results / PRIVATE
        found = self._found_in(lot, progress)
        scans = named(found, private)
        if lot.whole:
            gone = {name for name, one in self.outcomes.items() if one["status"] == FAILED and name not in scans}
            for name in gone:
                del self.outcomes[name]
        for name, scan in scans.items():
            if scan.problem:
                self.outcomes[name] = failed(name, scan.problem)
                if not (lot.whole or lot.problem):
                    keep(self.outcomes[name], plan.results / SCANS)
        return scans

    def _found_in(self, lot: Lot, progress: Progress) -> list[FoundScan]:
        """One lot of many that cannot be used is a row, and not the end."""
        if lot.problem:
            return [FoundScan(Unit(lot.source), problem=lot.problem)]
        try:
            return find_scans(lot.source, self._plan.results, self._plan.take, self._plan.grey_values, progress)
        except InputError as error:
            if lot.whole:
                raise
            return [FoundScan(Unit(lot.source), problem=error)]

    def _errand(self, name: str, scan: FoundScan) -> Errand:
        folder, private = (self._plan.results.absolute() / part for part in (SCANS, PRIVATE))
        return Errand(name, folder, private, self._plan.jobs_for(scan), needed_bytes(scan.voxels))

    def add(self, outcome: Outcome) -> None:
        """A scan is done."""
        name = outcome["name"]
        self.outcomes[name] = outcome
        self.done += 1
        lot, names, left = self._open.pop(name)
        left.discard(name)
        if not left:
            self._drop(lot, names)

    def _drop(self, lot: Lot, names: set[str]) -> None:
        """Let a lot go whose scans need not be looked at again; what may end otherwise another time is kept for it."""
        ends = [outcome_in(self._plan.results / SCANS / name) for name in names]
        if all(end is not None and end["code"] not in (*OF_MEMORY, "internal") for end in ends):
            lot.drop()


def _work(plan: Plan, tally: _Tally, steps: Steps, hear: Hear) -> None:
    """Do all errands, and add how they ended."""
    written = time.monotonic()
    progress: Progress | None = None
    for outcome in _done(plan, tally.errands(steps.step(FINDING))):
        if progress is None:
            progress = steps.step(WORKING)
        tally.add(outcome)
        progress(tally.done / tally.total)
        hear(outcome, tally.done, tally.total)
        if time.monotonic() - written > INDEX_SECONDS:
            write_index(tally.outcomes, plan.results)
            written = time.monotonic()
    steps.step(WORKING)(1.0)


def _done(plan: Plan, errands: Iterator[Errand | None]) -> Iterator[Outcome]:
    """The outcomes, as they come; no more errands are given out than keep everybody busy."""
    ended: SimpleQueue[tuple[Errand, Future[Outcome]]] = SimpleQueue()
    losses: Counter[str] = Counter()
    with pool(plan.scheduler, plan.at_once) as crew:

        def give(errand: Errand) -> None:
            crew.submit(errand).add_done_callback(lambda future: ended.put((errand, future)))

        out, more = 0, True
        while True:
            while more and out < AHEAD * crew.size():
                try:
                    errand = next(errands)
                except StopIteration:
                    more = False
                    break
                if errand is None:
                    break
                give(errand)
                out += 1
            if not (more or out):
                return
            try:
                errand, future = ended.get(timeout=LOOK_SECONDS if more else None)
            except Empty:
                continue
            losses[errand.name] += was_lost(future)
            if was_lost(future) and losses[errand.name] < MOST_LOSSES:
                give(errand)
            else:
                out -= 1
                yield _outcome_of(future, errand)


def _outcome_of(future: "Future[Outcome]", errand: Errand) -> Outcome:
    """How a scan ended; what is a bug costs this scan alone. Raises where there is no pool any more."""
    if was_lost(future):
        return failed(errand.name, OutputError("cannot-write", LOST.format(times=MOST_LOSSES)))
    try:
        return future.result()
    except (CancelledError, OrbitalSegError):
        raise
    except Exception as error:  # noqa: BLE001 - the place where a scan's bug becomes a row
        log = "".join(traceback.format_exception(error))
        (errand.logs / f"{errand.name}.txt").write_text(log, encoding="utf-8")
        return failed(errand.name, OrbitalSegError("internal", INTERNAL))
