"""Does a probability mean what it says, where it matters: at the thin walls of the orbit?

The networks learn from as many patches of fractured as of whole wall, so that a probability states evidence and no
belief about how common fractures are. Whoever holds such a belief moves the odds by Bayes' rule.
"""

from dataclasses import dataclass
from math import ceil, nan

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.evaluation.walls import THIN_WALLS, of_walls

WITHIN_MM = 1.0
BINS = 10

TRAINED_SHARE = 0.5
"""The share of fractured wall among the patches near walls that the networks learn from."""

ASSUMED_SHARES = (0.02, 0.10, 0.50)
"""Shares of fractured wall for which figures are given: a screening, an injured patient, even odds."""


@dataclass(frozen=True)
class Samples:
    """Voxels near walls: what was said, what is true, and whether the nearest wall is broken there."""

    probabilities: np.ndarray
    true: np.ndarray
    """Flags."""
    in_hole: np.ndarray
    """Flags."""

    def weights(self, fractured_share: float) -> np.ndarray:
        """Weights (n,) under which holes make up a share of the samples. All 1 where there are no holes, or no wall."""
        holes = float(self.in_hole.mean()) if self.in_hole.size else nan
        if not 0 < holes < 1:
            return np.ones(self.in_hole.shape)
        return np.where(self.in_hole, fractured_share / holes, (1 - fractured_share) / (1 - holes))


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: bins of equal width from 0 to 1, each (bins,); not a number in bins without samples."""

    weight: np.ndarray
    """How much of all samples each bin holds; the sum is 1."""
    mean_probability: np.ndarray
    true_share: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """The mean difference between mean probability and true share, over the samples."""
        used = self.weight > 0
        gap = np.abs(self.mean_probability[used] - self.true_share[used])
        return float((self.weight[used] * gap).sum()) if used.any() else nan


def reliability(
    probabilities: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, bins: int = BINS
) -> Reliability:
    """The diagram of samples: probabilities, flags of what is true, and weights (all 1 by default), each (n,).

    A probability on the limit of two bins belongs to the upper one; 1 belongs to the last.
    """
    weights = np.ones(probabilities.shape) if weights is None else weights
    bin_of = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    weight, probability, share = (
        np.bincount(bin_of, values, bins) for values in (weights, weights * probabilities, weights * true)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(weight / weight.sum(), probability / weight, share / weight)


def near_walls(
    probability: sitk.Image,
    truth: sitk.Image,
    points: WallPoints,
    walls: tuple[Wall, ...] = THIN_WALLS,
    within_mm: float = WITHIN_MM,
) -> Samples:
    """The voxels of a probability image (0 to 1) whose centres lie near the mid-surface of some walls.

    A voxel is true where the truth (non-zero is bone, on any grid) is so at its centre. Only what lies in the truth's
    image counts. Raises `InputError` `no-walls` if there is no such voxel.
    """
    chosen = of_walls(points, walls)
    distance_mm, in_hole = _nearest(probability, points.points_mm[chosen], points.hole[chosen] != 0, within_mm)
    known = sitk.Resample(
        sitk.NotEqual(truth, 0), probability, sitk.Transform(), sitk.sitkNearestNeighbor, 2.0, sitk.sitkUInt8
    )
    true = sitk.GetArrayFromImage(known)
    at = (distance_mm <= within_mm) & (true < 2)
    if not at.any():
        raise InputError("no-walls", "None of the wall's points lies in the image: give the walls of the same case.")
    said = sitk.GetArrayFromImage(probability)[at].astype(np.float64)
    return Samples(said, true[at] == 1, in_hole[at])


def at_share(probabilities: np.ndarray, fractured_share: float, trained_share: float = TRAINED_SHARE) -> np.ndarray:
    """Probabilities of wall that were learnt at one share of fractured wall, as they would be at another.

    The odds are multiplied by the ratio of the prior odds of wall.
    """
    factor = (1 - fractured_share) / fractured_share * trained_share / (1 - trained_share)
    return factor * probabilities / (factor * probabilities + 1 - probabilities)


def _nearest(
    grid: sitk.Image, points_mm: np.ndarray, flags: np.ndarray, within_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each voxel the distance to the nearest point, infinite beyond a limit, and that point's flag; z y x."""
    spacing, size = np.array(grid.GetSpacing()), np.array(grid.GetSize())
    places = voxel_indices(grid, points_mm)
    first = np.floor(places).astype(np.int64)
    reach = [ceil(within_mm / mm) for mm in spacing]
    nearest, flagged = np.full(size.prod(), np.inf), np.zeros(size.prod(), bool)
    ball = np.stack(np.meshgrid(*(np.arange(-n, n + 2) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    for keep_flags in (False, True):
        for offset in ball:
            voxels = first + offset
            mm = np.linalg.norm((voxels - places) * spacing, axis=1)
            good = (mm <= within_mm) & np.all((voxels >= 0) & (voxels < size), axis=1)
            flat = voxels[good] @ np.array([1, size[0], size[0] * size[1]])
            if keep_flags:
                flagged[flat[flags[good] & (mm[good] == nearest[flat])]] = True
            else:
                np.minimum.at(nearest, flat, mm[good])
    return nearest.reshape(size[::-1]), flagged.reshape(size[::-1])
