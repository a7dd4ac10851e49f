"""Voxels that truth and result share, and voxels that only one of them has [3532-2 11]."""

from dataclasses import asdict, dataclass
from math import nan

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.images import mask_array
from OrbitalSegLib.structures import BONE, STRUCTURES, parts_of

WHOLE = "whole"


@dataclass(frozen=True)
class Overlap:
    """Counts of voxels, and what follows from them. A share of nothing is not a number."""

    true_positive: int
    true_negative: int
    false_positive: int
    false_negative: int

    @property
    def sensitivity(self) -> float:
        """The share of the truth that was found; not a number for an empty truth."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """The share of what is not bone that was left alone; it grows with the air in the region."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def accuracy(self) -> float:
        """The share of voxels that are right; it grows with the air in the region."""
        right = self.true_positive + self.true_negative
        return _share(right, right + self.false_positive + self.false_negative)

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN); not a number where both masks are empty."""
        return _share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), the Jaccard index; not a number where both masks are empty."""
        return _share(self.true_positive, self.true_positive + self.false_positive + self.false_negative)

    def figures(self) -> dict[str, float]:
        """Counts and metrics by name."""
        names = ("sensitivity", "specificity", "accuracy", "dice", "iou")
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


def overlap(truth: sitk.Image, result: sitk.Image, region: sitk.Image | None = None) -> Overlap:
    """Compare two masks voxel by voxel [3532-2 11]; docs/metrics.md has the definitions.

    Parameters
    ----------
    truth, result
        Masks, non-zero is bone, on one grid or on parts of one. What a smaller image lacks is no bone.
    region
        A mask of the voxels that count; None is all of the truth's grid.

    Returns
    -------
    overlap
        Counts of voxels, and the figures that are made of them.

    Raises
    ------
    InputError
        `different-grids`: nothing is ever resampled here.

    Examples
    --------
    >>> truth = sitk.GetImageFromArray(np.array([[[1, 1, 1, 0]]], np.uint8))
    >>> result = sitk.GetImageFromArray(np.array([[[0, 1, 1, 1]]], np.uint8))
    >>> compared = overlap(truth, result)
    >>> compared.true_positive, compared.false_positive, round(compared.dice, 3)
    (2, 1, 0.667)
    """
    inside = None if region is None else mask_array(on_grid_of(truth, region))
    return _count(mask_array(truth), mask_array(on_grid_of(truth, result)), inside)


def overlap_by_class(
    truth: sitk.Image, result: sitk.Image, ct: sitk.Image, region: sitk.Image | None = None
) -> dict[str, Overlap]:
    """The same for all bone, and for cortical and thin bone, into which the CT's values divide both masks.

    These overlap on purpose [3532-2 D.3].

    Parameters
    ----------
    truth
        A mask.
    result
        A mask, on the same grid.
    ct
        In HU, on the same grid.
    region
        A mask of the voxels that count; None is all.

    Returns
    -------
    overlaps
        By `whole`, `cortical` and `thin`.

    Raises
    ------
    InputError
        `different-grids`.
    """
    inside = None if region is None else mask_array(on_grid_of(truth, region))
    true, found = mask_array(truth), mask_array(on_grid_of(truth, result))
    hu = sitk.GetArrayFromImage(on_grid_of(truth, ct))
    parts = {name: STRUCTURES[name].holds(hu) for name in parts_of(BONE)}
    return {WHOLE: _count(true, found, inside)} | {
        name: _count(true & part, found & part, inside) for name, part in parts.items()
    }


def _count(truth: np.ndarray, result: np.ndarray, inside: np.ndarray | None) -> Overlap:
    if inside is not None:
        truth, result = truth[inside], result[inside]
    both, true, found = (int(np.count_nonzero(flags)) for flags in (truth & result, truth, result))
    return Overlap(both, truth.size - true - found + both, found - both, true - both)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else nan
