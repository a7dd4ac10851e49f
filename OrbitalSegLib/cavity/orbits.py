"""How large the orbits of a scan are, which can be told and which cannot, and which of the two is larger."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.cavity import Cavity, measure
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.locating import Orbit
from OrbitalSegLib.progress import Progress, Warn, silent, span, unheard

MUCH_BRIDGED = 0.25
"""Fissures and canals alone are 0.05 to 0.08 of a phantom's walls."""

MOST_BRIDGED = 0.5
"""Beyond this most of what is measured would be made up."""

LEAST_DIFFERENCE_ML = 1.0
"""So much the measured volumes of equal orbits can differ, rounded up (docs/orbit-volume.md)."""

WARNINGS = {
    "missing": ("orbit-not-found", "The {side} orbit was not found in the scan, so it was not measured."),
    "cut off": ("orbit-cut-off", "The {side} orbit reaches beyond the scan, so it was not measured."),
    "no rim": (
        "no-rim",
        "Too little of the {side} orbit's rim is bone in this segmentation to close it in front, so it was not "
        "measured: segment a region that holds the whole rim.",
    ),
    "too little wall": (
        "too-little-wall",
        "No wall was found in {bridged:.0%} of the {side} orbit, so its volume cannot be told: correct the walls "
        "first, or segment with networks.",
    ),
}
"""By status its code and sentence."""
BRIDGED = (
    "walls-bridged",
    "No wall was found in {bridged:.0%} of the {side} orbit, which was bridged: look at what was measured before you "
    "use its volume.",
)

FIGURES = ("volume_ml", "bridged_share", "inferred_share", "beyond_ml", "opening_cm2")

DIGITS = 4


@dataclass(frozen=True)
class OrbitVolumes:
    """What was measured of the orbits."""

    cavities: dict[str, Cavity]
    """By side; of the orbits that have a volume."""
    described: dict[str, dict[str, Any]]
    """By side its `status` and figures, as section 7 of docs/contracts.md has them."""

    @property
    def difference_ml(self) -> float | None:
        """By how much one is larger; None where only one was measured."""
        if len(self.cavities) < 2:
            return None
        return round(abs(self.cavities["left"].volume_ml - self.cavities["right"].volume_ml), DIGITS)

    @property
    def larger(self) -> str | None:
        """The side of the larger orbit; None where equal ones may differ as much, or only one was measured."""
        if len(self.cavities) < 2:
            return None
        right_ml, left_ml = self.cavities["right"].volume_ml, self.cavities["left"].volume_ml
        if abs(left_ml - right_ml) <= LEAST_DIFFERENCE_ML:
            return None
        return "left" if left_ml > right_ml else "right"


def measure_orbits(
    ct: sitk.Image,
    bone: sitk.Image,
    inferred: sitk.Image | None,
    orbits: Sequence[Orbit],
    progress: Progress = silent,
    warn: Warn = unheard,
) -> OrbitVolumes:
    """Measure how large the orbits are that were found whole (docs/orbit-volume.md).

    Parameters
    ----------
    ct
        In HU.
    bone
        The mask of seen bone, on any grid.
    inferred
        The mask of inferred wall, which counts as wall too; None: there is none.
    orbits
        As `locate` gives them.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.
    warn
        Hears why an orbit has no volume: a code and a sentence.

    Returns
    -------
    volumes
        By side the cavity with its volume in ml and its closed surface in LPS mm, and which orbit is larger.

    Raises
    ------
    InputError
        `no-orbit`: nothing can be measured.
    """
    cavities: dict[str, Cavity] = {}
    described: dict[str, dict[str, Any]] = {}
    for done, orbit in enumerate(orbits):
        part = span(progress, done / len(orbits), (done + 1) / len(orbits))
        cavity = measure(ct, bone, inferred, orbit, part) if orbit.status == "found" else None
        status = _status(orbit, cavity)
        if cavity is not None and status == "found":
            cavities[orbit.side] = cavity
        described[orbit.side] = _said(status, cavity)
        _warn_of(orbit.side, status, cavity, warn)
    if not cavities:
        raise InputError(
            "no-orbit",
            "No orbit can be measured: it has to lie whole in the scan, its rim and most of its walls in the "
            "segmentation.",
        )
    return OrbitVolumes(cavities, described)


def _status(orbit: Orbit, cavity: Cavity | None) -> str:
    """Whether an orbit has a volume (`found`), or why not."""
    if orbit.status != "found":
        return orbit.status
    if cavity is None:
        return "no rim"
    return "found" if cavity.bridged_share <= MOST_BRIDGED else "too little wall"


def _said(status: str, cavity: Cavity | None) -> dict[str, Any]:
    """What is said of one orbit."""
    if cavity is None or status != "found":
        return {"status": status}
    numbers = {name: getattr(cavity, name) for name in FIGURES} | {"rim_spread_mm": cavity.front.spread_mm}
    return {"status": status} | {name: round(value, DIGITS) for name, value in numbers.items()}


def _warn_of(side: str, status: str, cavity: Cavity | None, warn: Warn) -> None:
    """Say why an orbit has no volume, or that much of its walls is bridged."""
    bridged_share = 0.0 if cavity is None else cavity.bridged_share
    warning = WARNINGS.get(status) or (BRIDGED if bridged_share > MUCH_BRIDGED else None)
    if warning is not None:
        code, text = warning
        warn(code, text.format(side=side, bridged=bridged_share))
