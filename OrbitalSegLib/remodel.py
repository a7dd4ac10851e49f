"""A result's bone made again from the probabilities that it kept, as its run left it or with other limits: no network
runs a second time."""

from collections.abc import Collection
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.methods.by_networks import ConsensusBone, Limits
from OrbitalSegLib.methods.method import Segmented, Task
from OrbitalSegLib.methods.parameters import limits_in
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.results import NO_RESULT, ResultFolder, last_step, sha256_of_file
from OrbitalSegLib.scan import sha256_of
from OrbitalSegLib.segmenting import Wish, cut_to, run_method
from OrbitalSegLib.structures import Structure, described, structures_of


def fields_of(result: ResultFolder, wish: Wish, ct: sitk.Image, names: Collection[str]) -> dict[str, BoneField] | None:
    """What the surfaces of segments are made of, as in the run that made the result, as its record says by `wish`.

    None where the run's voxels do not come out again, all of them: another CT, or another version. Raises `InputError`
    `no-result`.
    """
    written = last_step(result.entries, "writing")
    if written is None or not written["measured"].get("voxels_sha256", {}).keys() >= set(names):
        return None
    box = result.entries["region"]["box_mm"]
    region = Region(None if box == "whole" else tuple(box))
    segmented = _found_again(result, wish, Task(ct, region))
    if segmented is None:
        return None
    repaired = segmented.bone
    if wish.postprocess is not None and segmented.has_bone:
        repaired = repair(segmented, wish.postprocess)[0]
    cut = cut_to(segmented, repaired, region, ct, wish.grid)
    if {key: sha256_of(mask) for key, mask in cut.masks.items()} != written["measured"]["voxels_sha256"]:
        return None
    own = cut.own
    return {
        name: BoneField(own[name], agreeing(segmented.fraction(name, own), own[name]), segmented.fraction_source)
        for name in names
    }


def found_with_limits(result: ResultFolder, wish: Wish, task: Task) -> ConsensusBone:
    """What the method finds with its limits in the scan of a result, whose networks gave what it kept.

    The wish must be that of the result in all that comes before the limits. Raises `InputError` `no-result` where it is
    not, or where the result kept nothing, and `JobError` `invalid-job` for limits that are missing or that contradict
    each other.
    """
    entries, names = result.entries, list(_kept(result))
    step = last_step(entries, "segmenting")
    if step is None or not names:
        raise InputError("no-result", NO_RESULT)
    asked = entries["settings"]
    if _before_limits(wish.method, wish.parameters) != _before_limits(asked["method"], asked["parameters"]):
        raise InputError("no-result", "The result was made in another way than this job says: run again.")
    if wish.parameters.get("crf_weight"):
        raise InputError("no-result", "The result was made with a random field, which knows the limits: run again.")
    if not all(f"{name}_above" in wish.parameters for name in names):
        raise JobError("invalid-job", f"Give the limits of all networks of the result: {', '.join(names)}.")
    seen = {name: wish.parameters[f"{name}_above"] for name in names}
    bones = [name for name, one in _kept(result).items() if one.kind == "seen"]
    limits = Limits(seen, _inferred_above(wish, entries, step["parameters"], bones[-1]) if bones else None)
    segmented = _with_limits(result, task, limits) if sha256_of(task.scan) == entries["input"]["sha256"] else None
    if segmented is None:
        raise InputError("no-result", "The result is of another scan or of another region of it: run again.")
    earlier = {"created": entries["created"], "sha256": sha256_of_file(result.record)}
    segmented.measured = step["measured"] | {"earlier_result": earlier}
    return segmented


def _before_limits(method: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What of a job decides the probabilities; a step that is left out counts as one that is not named."""
    return method, {name: value for name, value in parameters.items() if value and not name.endswith("_above")}


def _inferred_above(wish: Wish, entries: dict[str, Any], used: dict[str, Any], last: str) -> float | None:
    """The limit of inferred wall by the rules of the methods; the package's own is in the record if it was used."""
    limit, own = wish.parameters[f"{last}_above"], wish.parameters.get("inferred_above")
    if own is not None and own > limit:
        raise JobError("invalid-job", "The limit of inferred wall must not be above that of seen bone.")
    if own is not None or used.get("inferred_above") is None:
        return own
    if "inferred_above" not in entries["settings"]["parameters"] and used["inferred_above"] < used[f"{last}_above"]:
        return min(used["inferred_above"], limit)
    return min(_inferred_above_of_package(wish, entries, last), limit)


def _inferred_above_of_package(wish: Wish, entries: dict[str, Any], network: str) -> float:
    """As the result's own package says. Raises `InputError` where that is not at hand."""
    step = last_step(entries, "segmenting")
    assert step is not None
    said = step["measured"]["model"]
    model = wish.chosen.package_of(wish.resources.model or said["name"])
    limit = model.inferred_above_of(network)
    if model.describe() != said or limit is None:
        raise InputError("no-result", "The model package of the result is not here: run again.")
    return limit


def _found_again(result: ResultFolder, wish: Wish, task: Task) -> Segmented | None:
    """What the method found: by running it, or where it runs networks, by what they gave."""
    method = wish.chosen
    if not method.needs_model:
        return run_method(task, wish, silent)
    step, names = last_step(result.entries, "segmenting"), list(_kept(result))
    if step is None or not names:
        return None
    used = step["parameters"]
    limits = Limits({name: used[f"{name}_above"] for name in names}, used.get("inferred_above"))
    return _with_limits(result, task, limits)


def _with_limits(result: ResultFolder, task: Task, limits: Limits) -> ConsensusBone | None:
    """The kept probabilities above these limits; None where they are of another grid than the task's."""
    images = {name: sitk.ReadImage(str(result.probability(name))) for name in limits.seen}
    grid = consensus_grid(task.scan, images[next(iter(images))].GetSpacing()[0], task.region.margin_box_mm)
    if any(image.GetSize() != tuple(int(n) for n in grid.size) for image in images.values()):
        return None
    probabilities = {name: grid.image(sitk.GetArrayFromImage(image)) for name, image in images.items()}
    return ConsensusBone(task.scan, task.part, grid, probabilities, limits, _kept(result))


def _kept(result: ResultFolder) -> dict[str, Structure]:
    """What the probabilities are of that a result kept, by field in the order of its run: the last bone's infers. None
    where one of them is lost."""
    step = last_step(result.entries, "segmenting")
    fields = limits_in(step["parameters"]) if step is not None and step["measured"].get("model") else {}
    known = structures_of(result.entries)
    return (
        {name: known.get(name) or described(name) for name in fields} if fields.keys() <= result.networks.keys() else {}
    )
