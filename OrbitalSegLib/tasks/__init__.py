"""What OrbitalSeg can be asked to do: one file a task, each one row of a table.

A task's file has its job (a frozen dataclass whose fields are made by `keys.key`), what share of the time each step
takes, and `run`. It wraps functions of the library, which work in memory, with a folder and a record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.product import CONTRACT, PRODUCT
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.tasks.keys import Job, is_required, keys_of, read_keys

if TYPE_CHECKING:  # what records need takes a while to load
    from OrbitalSegLib.record import Record

TASKS = {
    "info": "info",
    "segment": "segment",
    "surface": "surface",
    "phantom": "phantom",
    "methods": "methods",
    "evaluate": "evaluate",
    "evaluate-cases": "evaluate_cases",
    "observers": "observers",
    "orbits": "orbits",
    "defects": "defects",
    "reconstruct": "reconstruct",
    "review": "review",
    "verify": "verify",
    "dicom": "dicom",
    "experiment": "experiment",
    "batch": "batch",
    "collect": "collect",
    "finetune": "finetune",
    "watch": "watch",
    "pacs-find": "pacs_find",
    "pacs-fetch": "pacs_fetch",
    "pacs-send": "pacs_send",
}
"""By the task's name its file, which is loaded when the task is asked for."""

Outcome = tuple[list[str], dict[str, Any]]
"""The files written, and what a person wants to see first."""


@dataclass(frozen=True)
class Work:
    """What a task is: `TASK` of its file."""

    job: type[Job]
    shares: Callable[[Any], dict[str, float]]
    """From a job to the seconds that each step takes."""
    run: Callable[[Any, Steps, "Record"], Outcome]
    """Raises `OrbitalSegError`."""


def work_of(task: str) -> Work:
    """What a task is, by its name in the table."""
    work: Work = import_module(f"{__name__}.{TASKS[task]}").TASK
    return work


def schema_of(task: str) -> dict[str, Any]:
    """The jobs of a task as JSON Schema (draft 2020-12). Raises `JobError` for a task that is not in the table.

    What takes more than one key to see (surfaces in DICOM need STL, and a structure must be one that the method gives),
    and that a box must grow, is not in it.
    """
    if task not in TASKS:
        raise JobError("invalid-job", f"There is no task {task}; there are: {', '.join(TASKS)}.")
    known = keys_of(work_of(task).job)
    properties = {name: field.metadata["kind"].schema for name, field in known.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A job `{task}` of {PRODUCT}",
        "type": "object",
        "properties": {"contract": {"const": CONTRACT}, "task": {"const": task}} | properties,
        "required": ["contract", "task", *(name for name, field in known.items() if is_required(field))],
        "additionalProperties": False,
    }


def job_from(values: object) -> Job:
    """A job from decoded JSON (docs/contracts.md, section 7). Raises `JobError`."""
    if not isinstance(values, dict):
        raise JobError("invalid-job", "A job is one JSON object.")
    given = dict(values)
    contract, task = given.pop("contract", None), given.pop("task", None)
    if type(contract) is not int or contract != CONTRACT:
        raise JobError("invalid-job", f"The job must say `contract`: {CONTRACT}; this version knows no other.")
    if not isinstance(task, str) or task not in TASKS:
        raise JobError("invalid-job", f"`task` must be one of: {', '.join(TASKS)}.")
    return read_keys(work_of(task).job, given)
