"""`verify`: the proof that a result can be made again from the scan, as its record says; nothing is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import NO_RESULT, ResultFolder, changed_entries
from OrbitalSegLib.scan import sha256_of
from OrbitalSegLib.tasks import Outcome, Work, segment
from OrbitalSegLib.tasks.keys import PATH, TEXT, Job, in_json, key, optional, read_keys
from OrbitalSegLib.tasks.segment import SegmentJob

NO_EFFECT = frozenset(("environment",))
"""Differences by which alone a result is still the same."""


@dataclass(frozen=True, kw_only=True)
class VerifyJob(Job):
    """A result and its scan."""

    task = "verify"

    result: Path = key(PATH, name="record")
    """A result folder, or its `record.json`."""
    input: Path = key(PATH)
    """The scan."""
    series: str | None = key(optional(TEXT), None)
    model: Path | None = key(optional(PATH), None)
    """Where the model package is not a shipped one."""


@dataclass(frozen=True)
class Difference:
    """What is not as the record says."""

    what: str
    """`record`, `files`, `input`, `package`, `parameters`, `masks` or `environment`."""
    text: str


def shares(job: VerifyJob) -> dict[str, float]:
    """The seconds of each step of running a record's job again. Raises as `run`."""
    found = segment.shares(_job_again(job, ResultFolder(job.result).segmented))
    return {name: share for name, share in found.items() if name not in segment.FILES_SHARES}


def run(job: VerifyJob, steps: Steps, _record: Record) -> Outcome:
    """Compare every voxel. Where the scan or the model package is another one, that is said and nothing is run."""
    result = ResultFolder(job.result)
    entries = result.segmented
    again = _job_again(job, entries)
    found = [*_changed(result), *_environment(entries), *_ingredients(again, entries)]
    ran = not {one.what for one in found} & {"input", "package"}
    if ran:
        other = Record()
        bone = segment.find(again, steps, other)
        found += _compared(entries, other.entries)
        found += _other_voxels(entries, bone.masks)
    return [], {
        "reproduced": ran and {one.what for one in found} <= NO_EFFECT,
        "run": ran,
        "differences": [{"what": one.what, "text": one.text} for one in found],
        "masks": sorted(_written(entries)["voxels_sha256"]),
    }


def _job_again(job: VerifyJob, entries: dict[str, Any]) -> SegmentJob:
    """The job that made a result, with the engine, precision, device and threads that it got."""
    settings = dict(entries.get("settings", {}))
    measured = _automatic(entries, "segmenting")["measured"]
    for engine in measured.get("engines", {}).values():
        settings |= {
            "engine": engine["name"],
            "precision": engine["precision"],
            "device": engine["device"],
            "threads": engine["threads"],
        }
    shipped = measured.get("model", {}).get("name")
    settings |= {
        "input": str(job.input),
        "series": job.series,
        "model": shipped if job.model is None else str(job.model),
    }
    return read_keys(SegmentJob, {"output": "-", **settings})


def _changed(result: ResultFolder) -> Iterator[Difference]:
    """Entries of the record, and files beside it, that are not as they were written."""
    names = changed_entries(result.entries)
    if names:
        yield Difference("record", f"The record was changed after it was written: {', '.join(names)}.")
    for name in result.changed_files():
        yield Difference("files", f"The file {name} is not the one that was written.")


def _environment(entries: dict[str, Any]) -> Iterator[Difference]:
    then, now = entries["environment"], Record().entries["environment"]
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            said = f"{name} was {then.get(name, 'absent')} and is {now.get(name, 'absent')}"
            yield Difference("environment", f"{said}: this alone may change the last bits.")


def _ingredients(again: SegmentJob, entries: dict[str, Any]) -> Iterator[Difference]:
    """Whether scan and model package are those of the record."""
    scan = reading.read(again.input, again.series, header=again.header, grey_values=again.grey_values)
    if sha256_of(scan.image) != entries["input"]["sha256"]:
        yield Difference("input", "The scan's voxels or their grid are not those that were segmented.")
    model = _automatic(entries, "segmenting")["measured"].get("model")
    if model and again.wish.chosen.package_of(again.model).describe()["sha256"] != model["sha256"]:
        yield Difference("package", f"The model package is not the one that was used, {model['name']}.")


def _compared(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    """What the two runs did."""
    if then["region"] != now["region"]:
        yield Difference("parameters", "The region is another one.")
    for name in ("segmenting", "postprocessing"):
        before, after = (_parameters(entries, name) for entries in (then, now))
        for item in sorted(before.keys() | after.keys()):
            if before.get(item) != after.get(item):
                said = f"{name}: {item} was {before.get(item)} and is {after.get(item)}"
                yield Difference("parameters", f"{said}.")


def _other_voxels(then: dict[str, Any], masks: dict[str, sitk.Image]) -> Iterator[Difference]:
    before, after = _written(then)["voxels_sha256"], {name: sha256_of(mask) for name, mask in masks.items()}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference("masks", f"The voxels of {name} are not those of the record.")


def _parameters(entries: dict[str, Any], name: str) -> dict[str, Any]:
    """As a record holds them in JSON: what was a tuple is a list there."""
    found: dict[str, Any] = next((s["parameters"] for s in _automatic_steps(entries) if s["step"] == name), {})
    return {item: in_json(value) for item, value in found.items()}


def _written(entries: dict[str, Any]) -> dict[str, Any]:
    return dict(_automatic(entries, "writing")["measured"])


def _automatic(entries: dict[str, Any], name: str) -> dict[str, Any]:
    """A step of the automatic run. Raises `InputError` `no-result` where the record lacks it."""
    for step in _automatic_steps(entries):
        if step["step"] == name:
            return step
    raise InputError("no-result", NO_RESULT)


def _automatic_steps(entries: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps before anyone reviewed the result."""
    for step in entries["steps"]:
        if step["step"] == "review":
            return
        yield step


TASK = Work(VerifyJob, shares, run)
