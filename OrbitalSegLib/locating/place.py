"""Which part of a scan a result is defined on, and the orbits that it holds (docs/contracts.md, section 5)."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.locating import Orbit, Orbits, locate, region_of
from OrbitalSegLib.places import Point
from OrbitalSegLib.progress import Progress, Warn, silent, unheard
from OrbitalSegLib.region import MARGIN_MM, Region

AskedOrbit = Literal["auto", "left", "right"]
"""Regions that are looked for in the scan; `auto` holds both orbits."""

CUT_MM = 2.0
"""A box that leaves out this much of an orbit still holds it: located walls are no more exact."""


@dataclass(frozen=True)
class Place:
    """The region, and the orbits that it asks for."""

    asked: str
    """`auto`, `left`, `right`, `whole` or `box`."""
    region: Region
    orbits: tuple[Orbit, ...]
    """Of a region that is `auto`, an orbit or the whole scan those it is named for, found or not; of a box those whose
    middle it holds."""
    located: Orbits
    """Both orbits of the scan."""

    @property
    def openings_mm(self) -> list[Point]:
        """The middle of the opening of each orbit that was found."""
        return [orbit.opening_mm for orbit in self.orbits if orbit.opening_mm is not None]

    @property
    def middle_mm(self) -> float | None:
        """x between the orbits, where both were found."""
        places = self.openings_mm
        return float(np.mean([place[0] for place in places])) if len(places) == 2 else None

    @property
    def monitored(self) -> Region:
        """Where a result is held against limits: what table A.1 asks for of these orbits, as far as the region goes, or
        else all of it. Limits were measured there, and teeth, neck and vault have other figures."""
        around = region_of(self.orbits)
        return self.region if around is None else around.common(self.region)

    @property
    def measured(self) -> dict[str, Any]:
        """What was located, for the record."""
        return {
            orbit.side: {"status": orbit.status, "confidence": round(orbit.confidence, 3)}
            for orbit in self.located.both
        }

    @property
    def described(self) -> dict[str, Any]:
        """The region, for the record, as JSON gives it back."""
        box_mm = self.region.box_mm
        return {"asked": self.asked, "box_mm": list(box_mm) if box_mm else "whole", "margin_mm": MARGIN_MM}


def name_of(wanted: Region | AskedOrbit) -> str:
    """A region in one word: `auto`, `left`, `right`, `whole` or `box`.

    Parameters
    ----------
    wanted
        A region, or what is looked for.

    Returns
    -------
    name
        As the record has it.

    Examples
    --------
    >>> name_of("left"), name_of(Region()), name_of(Region((0.0, 1.0, 0.0, 1.0, 0.0, 1.0)))
    ('left', 'whole', 'box')
    """
    if isinstance(wanted, Region):
        return "box" if wanted.box_mm else "whole"
    return wanted


def check_side(wanted: Region | AskedOrbit, *, sides_known: bool) -> None:
    """Whether one side can be asked for at all.

    Parameters
    ----------
    wanted
        A region, or what is looked for.
    sides_known
        Whether the files say how the patient lies, and so which side is which.

    Raises
    ------
    InputError
        `no-orbit`: one side is asked for and nobody knows which it is.
    """
    if wanted in ("left", "right") and not sides_known:
        raise InputError(
            "no-orbit",
            "No file says how the patient lies, so that left and right may be exchanged: take both orbits (`auto`), or "
            "give the region as a box in mm.",
        )


def place_of(
    ct: sitk.Image, wanted: Region | AskedOrbit = "auto", progress: Progress = silent, warn: Warn = unheard
) -> Place:
    """The region of a scan, and the orbits in it, which are looked for whatever it is.

    Parameters
    ----------
    ct
        The CT in HU, LPS, on any grid.
    wanted
        `auto` (both orbits), `left`, `right`, or a box or the whole scan.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.
    warn
        Hears at once of each warning: its code and its sentence.

    Returns
    -------
    place
        The region, the orbits in it, and what was measured, for the record.

    Raises
    ------
    InputError
        `no-orbit`: the orbit that is asked for is not found.
    """
    located = locate(ct, progress)
    if isinstance(wanted, Region):
        place = Place(name_of(wanted), wanted, _held(located, wanted), located)
        if region_of(located.both) is None:
            warn("orbits-not-found", "No orbit was found in this scan, so neither walls nor symmetry are checked.")
            return place
    else:
        looked_for = located.both if wanted == "auto" else (getattr(located, wanted),)
        region = region_of(looked_for)
        if region is None and wanted != "auto":
            raise InputError(
                "no-orbit",
                f"The {wanted} orbit was not found: give a region as a box in mm, or segment the whole scan.",
            )
        place = Place(wanted, region or Region(), looked_for, located)
        if region is None:
            warn("orbits-not-found", "No orbit was found in this scan, so the whole of it was taken.")
            return place
    _warn_of(place, warn)
    return place


def _held(orbits: Orbits, region: Region) -> tuple[Orbit, ...]:
    """The orbits whose middle a region holds; one is cut off if its walls reach beyond."""
    if region.box_mm is None:
        return orbits.both
    held = []
    for orbit in orbits.both:
        if orbit.box_mm is not None and region.holds(np.reshape(orbit.box_mm, (3, 2)).mean(axis=1)):
            first, last = np.reshape(orbit.box_mm, (3, 2)).T
            whole = region.holds(first + CUT_MM, last - CUT_MM)
            held.append(orbit if whole or orbit.status != "found" else replace(orbit, status="cut off"))
    return tuple(held)


def _warn_of(place: Place, warn: Warn) -> None:
    """Say of the orbits that a region asks for, where there are any, which are not whole."""
    for orbit in place.orbits:
        if orbit.status == "missing":
            warn("orbit-not-found", f"The {orbit.side} orbit was not found: the region holds the other one.")
        elif orbit.status == "cut off":
            warn(
                "orbit-cut-off",
                f"The {orbit.side} orbit reaches beyond the scan or the region: what lies outside is not modelled.",
            )
