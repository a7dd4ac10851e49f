"""A result's bone as its run left it, made again from what the result kept: no network runs a second time."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import CONTRACT
from OrbitalSegLib.job import Job, job_from, method_of
from OrbitalSegLib.methods.consensus import ConsensusBone, Limits
from OrbitalSegLib.methods.method import Segmented, Task
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.pipeline import repair
from OrbitalSegLib.progress import Steps, silent
from OrbitalSegLib.record import Record, last_step, read_record
from OrbitalSegLib.region import MARGIN_MM, Region
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
    step = last_step(entries, "segmenting")
    files = {path.stem.removeprefix("probability-"): path for path in sorted(result.glob("probability-*.nrrd"))}
    if step is None or not files:
        return None
    used = step["parameters"]
    limits = Limits(
        {name: used[f"{name}_above"] for name in (*_in_order(files),)},
        used.get("inferred_above"),
    )
    images = {name: sitk.ReadImage(str(files[name])) for name in limits.seen}
    corners = task.region.corners_mm(MARGIN_MM)
    box = None if corners is None else np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel().tolist()
    grid = consensus_grid(task.scan, images[next(iter(images))].GetSpacing()[0], box)
    if any(image.GetSize() != tuple(int(n) for n in grid.size) for image in images.values()):
        return None
    probabilities = {name: grid.image(sitk.GetArrayFromImage(image)) for name, image in images.items()}
    return ConsensusBone(task.scan, task.part, grid, probabilities, limits)


def _in_order(names: Any) -> list[str]:
    """Networks in the order of the methods: the last of them infers."""
    return [name for name in ("cortical", "thin", "single") if name in names]
