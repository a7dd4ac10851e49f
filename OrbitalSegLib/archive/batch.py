"""Every scan of an archive done once, whenever and however often the work was stopped in between."""

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from OrbitalSegLib.archive.finding import FoundScan, Take, find_scans
from OrbitalSegLib.archive.index import SCANS, write_index
from OrbitalSegLib.archive.names import named
from OrbitalSegLib.archive.one import FAILED, Errand, Outcome, failed, forget, outcome_in
from OrbitalSegLib.archive.pools import pool, was_lost
from OrbitalSegLib.archive.room import needed_bytes
from OrbitalSegLib.errors import INTERNAL, OrbitalSegError, OutputError
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

MOST_LOSSES = 20
"""So often a scan is given out again whose worker was lost."""

Hear = Callable[[Outcome, int, int], None]
"""Hears of a scan that was done: how it ended, how many are, and of how many."""


@dataclass(frozen=True)
class Plan:
    """What is done with every scan, and where."""

    source: Path
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


def run_batch(plan: Plan, steps: Steps, hear: Hear) -> dict[str, Outcome]:
    """Do what has not been done yet; gives how each scan ended, by its name. Raises `OrbitalSegError`."""
    with alone(plan.results, lambda folder: (folder / PRIVATE / BATCH_FILE).is_file()):
        private = plan.results / PRIVATE
        with writing(plan.results):
            private.mkdir(exist_ok=True, mode=0o700)
            (plan.results / SCANS).mkdir(exist_ok=True)
            _check_same(plan, private / BATCH_FILE)
        found = find_scans(plan.source, plan.results, plan.take, plan.grey_values, steps.step(FINDING))
        scans = named(found, private)
        outcomes = _known(plan, scans)
        errands = [_errand(plan, name, scan) for name, scan in scans.items() if name not in outcomes]
        try:
            _work(plan, errands, outcomes, steps.step(WORKING), hear)
        finally:
            write_index(outcomes, plan.results)
    return outcomes


def _check_same(plan: Plan, path: Path) -> None:
    """Hold the jobs against those with which the batch was begun. Raises OSError, and `OutputError` `exists`."""
    said = json.dumps({"version": VERSION, "jobs": plan.jobs}, indent=1, sort_keys=True) + "\n"
    if path.exists():
        if path.read_text(encoding="utf-8") != said:
            raise OutputError("exists", OTHER_BATCH)
        return
    with replacing(path) as new:
        new.write_text(said, encoding="utf-8")


def _known(plan: Plan, scans: Mapping[str, FoundScan]) -> dict[str, Outcome]:
    """How those ended that need not be done: earlier ones, those that are no scans, and results whose scan is gone."""
    outcomes = {name: failed(name, scan.problem) for name, scan in scans.items() if scan.problem}
    with writing(plan.results):
        folders = sorted(path for path in (plan.results / SCANS).iterdir() if path.is_dir())
        for folder in folders:
            outcome = outcome_in(folder)
            if outcome is None or (outcome["status"] == FAILED and folder.name not in scans):
                continue
            if outcome["status"] == FAILED and plan.retry:
                forget(folder)
            else:
                outcomes[folder.name] = outcome
    return outcomes


def _errand(plan: Plan, name: str, scan: FoundScan) -> Errand:
    folder, private = (plan.results.absolute() / part for part in (SCANS, PRIVATE))
    return Errand(name, folder, private, plan.jobs_for(scan), needed_bytes(scan.voxels))


def _work(plan: Plan, errands: Sequence[Errand], outcomes: dict[str, Outcome], progress: Progress, hear: Hear) -> None:
    """Do all errands, and add how they ended."""
    written = time.monotonic()
    for done, outcome in enumerate(_done(plan, errands), 1):
        outcomes[outcome["name"]] = outcome
        progress(done / len(errands))
        hear(outcome, done, len(errands))
        if time.monotonic() - written > INDEX_SECONDS:
            write_index(outcomes, plan.results)
            written = time.monotonic()
    progress(1.0)


def _done(plan: Plan, errands: Sequence[Errand]) -> Iterator[Outcome]:
    """The outcomes, as they come."""
    ended: SimpleQueue[tuple[Errand, Future[Outcome]]] = SimpleQueue()
    losses: Counter[str] = Counter()
    with pool(plan.scheduler, plan.at_once) as submit:

        def give(errand: Errand) -> None:
            submit(errand).add_done_callback(lambda future: ended.put((errand, future)))

        for errand in errands:
            give(errand)
        left = len(errands)
        while left:
            errand, future = ended.get()
            losses[errand.name] += was_lost(future)
            if was_lost(future) and losses[errand.name] < MOST_LOSSES:
                give(errand)
            else:
                left -= 1
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
