"""`batch`: a tree of scans, or a list; the same jobs for every one, a result folder each, and an index."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from OrbitalSegLib import tasks
from OrbitalSegLib.archive.batch import FINDING, WORKING, FindLots, Hear, Plan, run_batch
from OrbitalSegLib.archive.finding import FoundScan, Take, Unit
from OrbitalSegLib.archive.index import PAGE, TABLE_FILE
from OrbitalSegLib.archive.lots import lots_of
from OrbitalSegLib.archive.one import DONE, FAILED, INCOMPLETE, RESULT, Outcome
from OrbitalSegLib.pacs.address import OWN_TITLE, Address
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Work
from OrbitalSegLib.tasks.keys import (
    FLAG,
    OBJECT,
    PATH,
    TEXT,
    Job,
    counted,
    invalid,
    key,
    keys_of,
    listed,
    one_of,
    optional,
)
from OrbitalSegLib.tasks.parts import SOURCE, TITLE, ScanInput

SHARES = {FINDING: 1.0, WORKING: 50.0}

MOST_AT_ONCE = 1024

OWN_KEYS = ("input", "output", "overwrite", "ct", "record", "series", "contract")
"""Of the jobs: the batch gives them, scan by scan."""

DEFAULT_JOBS = ({"task": "segment"},)


@dataclass(frozen=True, kw_only=True)
class ManyScans(Job):
    """What is done with each of many scans, and where."""

    output: Path = key(PATH)
    """Empty, or where the same batch was begun."""
    jobs: tuple[dict[str, Any], ...] = key(
        listed(OBJECT, "jobs", least=1, otherwise="`jobs` must name one job at least."), DEFAULT_JOBS
    )
    """As for a single scan, but for what is the scan's own."""
    take: Take = key(one_of(get_args(Take)), "all")
    retry: bool = key(FLAG, False)
    at_once: int | None = key(
        optional(counted(1, MOST_AT_ONCE, f"must be a whole number from 1 to {MOST_AT_ONCE}, or null.")), None
    )
    scheduler: str | None = key(optional(TEXT), None)


@dataclass(frozen=True, kw_only=True)
class BatchJob(ManyScans):
    """Scans that are there."""

    task = "batch"

    source: Path | Address = key(SOURCE, name="input")
    """A folder, however deep the scans lie in it; a CSV file with their paths; or the address of a PACS."""
    calling: str = key(TITLE, OWN_TITLE)


def run(job: BatchJob, steps: Steps, record: Record) -> tasks.Outcome:
    """See `run_batch`."""
    outcomes: dict[str, Outcome] = {}
    run_batch(plan_of(job, partial(lots_of, job.source, job.calling)), outcomes, steps, hearing(steps))
    return summed_up(outcomes, record)


def plan_of(job: ManyScans, lots: FindLots) -> Plan:
    """The plan of a job. Raises `JobError` where a batch cannot do its jobs."""
    _check(job.jobs)
    return Plan(
        lots,
        job.output,
        job.jobs,
        lambda scan: _jobs_for(job.jobs, scan),
        job.take,
        any(one.get("grey_values", False) for one in job.jobs),
        job.retry,
        job.at_once,
        job.scheduler,
    )


def hearing(steps: Steps) -> Hear:
    """Says of each scan how it ended."""

    def hear(outcome: Outcome, done: int, total: int) -> None:
        said = {name: outcome[name] for name in ("name", "status", "code", "text")}
        steps.say({"event": "scan", **said, "done": done, "total": total})

    return hear


def summed_up(outcomes: dict[str, Outcome], record: Record) -> tasks.Outcome:
    """The files of a batch, and how many scans ended how."""
    ends = [outcome["status"] for outcome in outcomes.values()]
    counts = {status: ends.count(status) for status in (DONE, INCOMPLETE, FAILED)}
    if counts[DONE] < len(ends):
        said = f"{len(ends) - counts[DONE]} of {len(ends)} scans have no result, or not all of it"
        record.warn("incomplete", f"{said}: {TABLE_FILE} says why.")
    return [TABLE_FILE, PAGE], {"scans": len(ends), **counts}


# ---------------------------------------------------------------------------------------------------------------------
# The jobs of one scan


def _jobs_for(jobs: tuple[dict[str, Any], ...], scan: FoundScan) -> tuple[dict[str, Any], ...]:
    """The jobs that a single run would be given, but for the folder to make; the later ones are about the first's."""
    path = str(scan.unit.path.absolute())
    whole = []
    for number, job in enumerate(jobs):
        kind = tasks.work_of(job["task"]).job
        known = keys_of(kind)
        given: dict[str, Any] = {"input": path if issubclass(kind, ScanInput) else RESULT}
        given |= {"ct": path} if "ct" in known else {}
        given |= {"record": RESULT} if number and "record" in known else {}
        given |= {"output": ""} if "output" in known else {}
        given |= {"series": scan.series} if "series" in known else {}
        whole.append({"contract": CONTRACT, **job, **given})
    return tuple(whole)


def _check(jobs: tuple[dict[str, Any], ...]) -> None:
    """Whether a batch can do these, before anything is looked for. Raises `JobError`."""
    names = []
    for job in jobs:
        names.append(_task_of(job))
        for name in OWN_KEYS:
            if name in job:
                raise invalid(f"`{name}` is given by the batch for each scan: leave it out of its jobs.")
    if len(set(names)) < len(names):
        raise invalid("A task can be in a batch once: make a second batch of the other one.")
    first = tasks.work_of(names[0]).job
    if not issubclass(first, ScanInput) or (len(jobs) > 1 and "output" not in keys_of(first)):
        raise invalid(f"A batch begins with what makes a result of a scan, as `segment`; `{names[0]}` does not.")
    for job in _jobs_for(jobs, FoundScan(Unit(Path("-")))):
        tasks.job_from({name: "-" if value in ("", RESULT) else value for name, value in job.items()})


def _of_one_scan(kind: type[Job]) -> bool:
    """Whether such a job is about a scan, or about a scan and a result of it."""
    return issubclass(kind, ScanInput) or {"input", "ct", "output"} <= keys_of(kind).keys()


def _task_of(job: dict[str, Any]) -> str:
    """The task of one of the jobs, which must be about one scan."""
    fit = [name for name in tasks.TASKS if _of_one_scan(tasks.work_of(name).job)]
    task = job.get("task")
    if task not in fit:
        raise invalid(f"Each of `jobs` needs a `task`, which must be one of: {', '.join(fit)}.")
    return str(task)


TASK = Work(BatchJob, lambda _job: SHARES, run)
