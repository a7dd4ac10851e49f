"""A result's bone made again from the probabilities that it kept, as its run left it or with other limits: no network
runs a second time."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import CONTRACT
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.job import Job, job_from, method_of
from OrbitalSegLib.methods.consensus import ConsensusBone, Limits
from OrbitalSegLib.methods.method import Segmented, Task
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.networks import package
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.progress import Steps, silent
from OrbitalSegLib.record import NO_RESULT, RECORD_FILE, Record, last_step, read_record, sha256_of_file
from OrbitalSegLib.region import MARGIN_MM, Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.scan import sha256_of


def field_of(result: Path, ct: sitk.Image, name: str) -> BoneField | None:
    """What the surface of one segment is made of, as in the run that made the result.

    None where the run's voxels do not come out again, all of them: another CT, or another version. Raises `InputError`
    `no-result`.
    """
    entries = read_record(result)
    written = last_step(entries, "writing")
    if written is None or name not in written["measured"].get("voxels_sha256", {}):
        return None
    box = entries["region"]["box_mm"]
    region = Region(None if box == "whole" else tuple(box))
    job = _job_of(entries, result)
    found = _found_again(job, entries, result, Task(ct, region))
    if found is None:
        return None
    own = found.classes(repair(found, region, job, Steps({"postprocessing": 1.0}, lambda *_said: None), Record()))
    masks = {key: region.cut(mask, ct) for key, mask in found.on_scan(own).items()}
    if {key: sha256_of(mask) for key, mask in masks.items()} != written["measured"]["voxels_sha256"]:
        return None
    cut = {key: region.cut(mask, mask) for key, mask in own.items()}
    return BoneField(cut[name], agreeing(found.fraction(name, cut), cut[name]), found.fraction_source)


def found_with_limits(result: Path, job: Job, task: Task) -> ConsensusBone:
    """What the job's method finds with its limits in the scan of a result, whose networks gave what it kept.

    The job must be that of the result in all that comes before the limits. Raises `InputError` `no-result` where it is
    not, or where the result kept nothing, and `JobError` `invalid-job` for limits that are missing or that contradict
    each other.
    """
    entries, names = read_record(result), _networks(result)
    step = last_step(entries, "segmenting")
    if step is None or not names:
        raise InputError("no-result", NO_RESULT)
    asked = entries["settings"]
    if _before_limits(job.method, job.parameters) != _before_limits(asked["method"], asked["parameters"]):
        raise InputError("no-result", "The result was made in another way than this job says: run again.")
    if job.parameters.get("crf_weight"):
        raise InputError("no-result", "The result was made with a random field, which knows the limits: run again.")
    if not all(f"{name}_above" in job.parameters for name in names):
        raise JobError("invalid-job", f"Give the limits of all networks of the result: {', '.join(names)}.")
    seen = {name: job.parameters[f"{name}_above"] for name in names}
    limits = Limits(seen, _inferred_above(job, entries, step["parameters"], names[-1]))
    found = _with_limits(result, task, limits) if sha256_of(task.scan) == entries["input"]["sha256"] else None
    if found is None:
        raise InputError("no-result", "The result is of another scan or of another region of it: run again.")
    earlier = {"created": entries["created"], "sha256": sha256_of_file(result / RECORD_FILE)}
    found.measured = step["measured"] | {"earlier_result": earlier}
    return found


def _before_limits(method: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What of a job decides the probabilities; a step that is left out counts as one that is not named."""
    return method, {name: value for name, value in parameters.items() if value and not name.endswith("_above")}


def _inferred_above(job: Job, entries: dict[str, Any], used: dict[str, Any], last: str) -> float | None:
    """The limit of inferred wall by the rules of the methods; the package's own is in the record if it was used."""
    limit, own = job.parameters[f"{last}_above"], job.parameters.get("inferred_above")
    if own is not None and own > limit:
        raise JobError("invalid-job", "The limit of inferred wall must not be above that of seen bone.")
    if own is not None or used.get("inferred_above") is None:
        return own
    if "inferred_above" not in entries["settings"]["parameters"] and used["inferred_above"] < used[f"{last}_above"]:
        return min(used["inferred_above"], limit)
    return min(_inferred_above_of_package(job, entries, last), limit)


def _inferred_above_of_package(job: Job, entries: dict[str, Any], network: str) -> float:
    """As the result's own package says. Raises `InputError` where that is not at hand."""
    step = last_step(entries, "segmenting")
    assert step is not None
    said = step["measured"]["model"]
    model = package.load(job.model or said["name"])
    limit = model.networks[network].inferred_above
    if model.describe() != said or limit is None:
        raise InputError("no-result", "The model package of the result is not here: run again.")
    return limit


def _job_of(entries: dict[str, Any], result: Path) -> Job:
    settings = {key: entries["settings"][key] for key in ("method", "parameters", "postprocess")}
    return job_from(
        {"contract": CONTRACT, "task": "segment", "input": str(result), "output": str(result), **settings},
    )


def _found_again(job: Job, entries: dict[str, Any], result: Path, task: Task) -> Segmented | None:
    """What the method found: by running it, or where it runs networks, by what they gave."""
    method = method_of(job)
    if not method.needs_model:
        return method.run(task, method.make_parameters(job.parameters), silent)
    step, names = last_step(entries, "segmenting"), _networks(result)
    if step is None or not names:
        return None
    used = step["parameters"]
    limits = Limits({name: used[f"{name}_above"] for name in names}, used.get("inferred_above"))
    return _with_limits(result, task, limits)


def _with_limits(result: Path, task: Task, limits: Limits) -> ConsensusBone | None:
    """The kept probabilities above these limits; None where they are of another grid than the task's."""
    images = {name: sitk.ReadImage(str(result / f"probability-{name}.nrrd")) for name in limits.seen}
    corners = task.region.corners_mm(MARGIN_MM)
    box = None if corners is None else np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel().tolist()
    grid = consensus_grid(task.scan, images[next(iter(images))].GetSpacing()[0], box)
    if any(image.GetSize() != tuple(int(n) for n in grid.size) for image in images.values()):
        return None
    probabilities = {name: grid.image(sitk.GetArrayFromImage(image)) for name, image in images.items()}
    return ConsensusBone(task.scan, task.part, grid, probabilities, limits)


def _networks(result: Path) -> list[str]:
    """The networks of a result in the order of the methods: the last of them infers."""
    return [name for name in ("cortical", "thin", "single") if (result / f"probability-{name}.nrrd").is_file()]
