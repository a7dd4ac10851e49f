"""The limits of *seen* and *inferred*, from what they close on validation cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import fractures
import numpy as np

from figures.common import Record, Run, markdown, write_csv

SEEN_HOLES, INFERRED_HOLES = 0.05, 0.20
"""The share of hole area that may be closed."""

FROM_MM = 0.4
"""The rule looks at holes in walls from here on; thinner ones cannot be told apart."""

THICKNESSES_MM = (0.2, 0.4, 0.6, 0.8)
SEED_SHIFT = 5000
"""Heads of the choice are not those of the test."""


@dataclass(frozen=True)
class Sweep:
    """Area closed, 0 to 1, [seen above i / n, inferred above j / n]."""

    intact: np.ndarray
    hole: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        return np.linspace(0, 1, len(self.hole))


def sweep_of(measured: Sequence[tuple[fractures.Head, Record]], least_mm: float = FROM_MM) -> Sweep:
    """The heads with walls from a thickness on, together."""
    parts = [one["levels"] for head, record in measured if head.thickness_mm >= least_mm for one in record.values()]
    return Sweep(*(fractures.closed_shares([part[kind] for part in parts]) for kind in ("intact", "hole")))


def choose_thresholds(sweep: Sweep) -> tuple[float, float]:
    """Seen: the lowest limit at which holes closed are at most 0.05. Inferred: the lowest at which holes closed, seen
    or inferred, are at most 0.20, but not above seen. Raises ValueError where there is no hole to judge.
    """
    if np.isnan(sweep.hole).any():
        raise ValueError("There is no hole in these heads: take more of them.")
    seen = int(np.argmax(sweep.hole[:, -1] <= SEEN_HOLES))
    inferred = int(np.argmax(sweep.hole[seen] <= INFERRED_HOLES))
    return float(sweep.levels[seen]), float(sweep.levels[min(seen, inferred)])


def section(run: Run, repeats: int = 8) -> str:
    """Sweep over heads of the templates that were trained on, choose, and report."""
    heads = list(fractures.design(run.trained_on, repeats, THICKNESSES_MM, shift=SEED_SHIFT))
    measured = fractures.measure(run, heads, run.out / "thresholds")
    sweep = sweep_of(measured)
    if np.isnan(sweep.hole).any():
        return f"## Limits\n\nNo limits: no hole among {len(measured)} heads.\n"
    seen, inferred = choose_thresholds(sweep)
    place = round(seen * fractures.LEVELS)
    titles = ["limit", "intact, seen", "holes, seen", f"intact, seen above {seen:g} or inferred", "holes, either"]
    rows = [
        [
            f"{level:.2f}",
            *(f"{part[at]:.3f}" for at in ((number, -1), (place, number)) for part in (sweep.intact, sweep.hole)),
        ]
        for number, level in enumerate(sweep.levels)
    ]
    write_csv(run.out / "thresholds.csv", titles, rows)
    return "\n".join(
        [
            "## Limits\n",
            f"{len(measured)} validation heads of {', '.join(run.trained_on)}, walls from {FROM_MM} mm on, one limit "
            f"for all networks. Lowest limit with at most {SEEN_HOLES:g} of hole area seen: **{seen:.2f}**; lowest "
            f"with at most {INFERRED_HOLES:g} seen or inferred: **{inferred:.2f}**.\n",
            markdown(titles, rows[::2]),
        ]
    )
