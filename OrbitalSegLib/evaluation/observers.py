"""How far people agree with each other, and where a method stands among them [3532-2 11]."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.evaluation.overlap import overlap
from OrbitalSegLib.evaluation.surface_distances import surface_distances
from OrbitalSegLib.images import bounds, mask_array, on_grid

CONSENSUS = 0.5
"""A voxel is bone in the consensus if STAPLE gives it at least this probability."""


@dataclass(frozen=True)
class Agreement:
    """Of one mask with another, or the mean of several such."""

    dice: float
    iou: float
    average_symmetric_mm: float
    hausdorff_95_mm: float


@dataclass(frozen=True)
class Rater:
    """What STAPLE holds one observer's work to be worth: rates against the consensus."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class StapleConsensus:
    """What STAPLE makes of several masks."""

    probability: sitk.Image
    mask: sitk.Image
    raters: dict[str, Rater]


@dataclass(frozen=True)
class Standing:
    """Where one rater, a person or the method, stands among the persons."""

    with_others: Agreement
    """The mean over the other persons, one by one."""
    with_consensus: Agreement
    """With the STAPLE consensus of the other persons; of the one other person, where there is only one."""


def agreement(first: sitk.Image, second: sitk.Image, region: sitk.Image | None = None) -> Agreement:
    """Compare two masks of which neither is the truth: every figure is symmetric. Raises `InputError`."""
    counts, distances = overlap(first, second, region), surface_distances(first, second, region)
    return Agreement(counts.dice, counts.iou, distances.average_symmetric_mm, distances.hausdorff_95_mm)


def pairwise(masks: Mapping[str, sitk.Image], region: sitk.Image | None = None) -> dict[tuple[str, str], Agreement]:
    """The agreement of each pair of masks, by their names. Raises `InputError` `different-grids`."""
    return {(a, b): agreement(masks[a], masks[b], region) for a, b in combinations(masks, 2)}


def consensus(masks: Mapping[str, sitk.Image], region: sitk.Image | None = None) -> StapleConsensus:
    """The STAPLE consensus (Warfield 2004, SimpleITK's) of two masks or more.

    STAPLE weighs an observer by all voxels it is given: those of the region, or else of the box around all bone.
    Raises `InputError` `different-grids`, and `empty-result` where no mask has a voxel there.
    """
    reference = next(iter(masks.values()))
    arrays = [mask_array(on_grid_of(reference, mask)) for mask in masks.values()]
    used = _box_of(arrays) if region is None else mask_array(on_grid_of(reference, region))
    if not any(array[used].any() for array in arrays):
        raise InputError(
            "empty-result",
            "None of the observers' masks has bone there, so nothing can be agreed on: "
            "check that they and the region belong together.",
        )
    staple = sitk.STAPLEImageFilter()
    rows = [sitk.GetImageFromArray(array[used].astype(np.uint8).reshape(1, 1, -1)) for array in arrays]
    values = np.zeros(used.shape, np.float32)
    values[used] = sitk.GetArrayFromImage(staple.Execute(rows)).ravel()
    probability = on_grid(values, reference)
    raters = {
        name: Rater(sensitivity, specificity)
        for name, sensitivity, specificity in zip(masks, staple.GetSensitivity(), staple.GetSpecificity(), strict=True)
    }
    return StapleConsensus(probability, probability >= CONSENSUS, raters)


def placed(
    observers: Mapping[str, sitk.Image], method: sitk.Image, region: sitk.Image | None = None, name: str = "method"
) -> dict[str, Standing]:
    """Each observer and the method, judged by the (other) observers alike. There must be at least two observers.

    Raises `InputError` `different-grids` and `empty-result`.
    """
    if len(observers) < 2:
        raise ValueError("a method is placed among two observers or more")
    pairs = pairwise(observers, region)
    places = {}
    for observer, mask in observers.items():
        others = {other: others_mask for other, others_mask in observers.items() if other != observer}
        each = [found for pair, found in pairs.items() if observer in pair]
        places[observer] = Standing(_mean(each), agreement(_one_of(others, region), mask, region))
    each = [agreement(mask, method, region) for mask in observers.values()]
    return {**places, name: Standing(_mean(each), agreement(_one_of(observers, region), method, region))}


def no_worse(places: Mapping[str, Standing], name: str = "method") -> bool:
    """Whether the method agrees with the persons at least as well as that person does who agrees least, by Dice and by
    average distance."""
    persons = [place.with_others for other, place in places.items() if other != name]
    ours = places[name].with_others
    return ours.dice >= min(person.dice for person in persons) and ours.average_symmetric_mm <= max(
        person.average_symmetric_mm for person in persons
    )


def _one_of(masks: Mapping[str, sitk.Image], region: sitk.Image | None) -> sitk.Image:
    return next(iter(masks.values())) if len(masks) == 1 else consensus(masks, region).mask


def _mean(agreements: list[Agreement]) -> Agreement:
    rows = [(a.dice, a.iou, a.average_symmetric_mm, a.hausdorff_95_mm) for a in agreements]
    dice, iou, average, hausdorff = (float(value) for value in np.mean(rows, axis=0))
    return Agreement(dice, iou, average, hausdorff)


def _box_of(arrays: list[np.ndarray]) -> np.ndarray:
    """Flags of the box around the set voxels of all arrays."""
    together = np.logical_or.reduce(arrays)
    box = np.zeros(together.shape, bool)
    box[bounds(together)] = True
    return box
