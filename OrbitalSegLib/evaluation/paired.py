"""Is one method better than another on the same cases?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Wilcoxon's signed-rank test of pairs, two-sided and exact, and how large the difference is.

    `effect` is the rank-biserial correlation of matched pairs: (W+ - W-) / (W+ + W-), 1 where the first is the larger
    in every pair, -1 where the second is, 0 for no preference.
    """

    pairs: int
    """Pairs in which both have a value."""
    different: int
    """Those that differ; pairs without a difference say nothing and are left out [Wilcoxon 1945]."""
    median_difference: float
    """Of all pairs, first minus second."""
    p_value: float
    """1 where no pair differs."""
    effect: float


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Wilcoxon's signed-rank test of the same cases in the same order, exact and two-sided (docs/metrics.md).

    A pair with a value that is no number is left out, and so is one without a difference.

    Examples
    --------
    >>> compared = compare([0.9, 0.8, 0.7, 0.9, 0.8, 0.9], [0.5, 0.6, 0.6, 0.4, 0.5, 0.3])
    >>> compared.p_value, compared.effect
    (0.03125, 1.0)
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    known = ~(np.isnan(a) | np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(a[known] == b[known], 0.0, a[known] - b[known])
    used = difference[difference != 0]
    median = float(np.median(difference)) if difference.size else nan
    if used.size == 0:
        return Comparison(int(known.sum()), 0, median, 1.0, nan)
    doubled = _doubled_ranks(np.abs(used))
    positive = int(doubled[used > 0].sum())
    total = int(doubled.sum())
    return Comparison(int(known.sum()), int(used.size), median, _p_value(doubled, positive), 2 * positive / total - 1)


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Twice the ranks from 1, which are whole numbers even where equal values share their mean rank."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (2 * last - count + 1)[group]


def _p_value(doubled: np.ndarray, positive: int) -> float:
    """Of all ways to give signs to the ranks, the share whose sum is as extreme; the smaller tail, twice."""
    chance = np.zeros(int(doubled.sum()) + 1)
    chance[0] = 1.0
    for rank in doubled:
        with_it = np.zeros_like(chance)
        with_it[rank:] = chance[: len(chance) - rank]
        chance = (chance + with_it) / 2
    return float(min(1.0, 2 * min(chance[: positive + 1].sum(), chance[positive:].sum())))
