"""Where a wall that is missing may be known from: each source is one row of a table."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.reconstruction.mirror import laid_over
from OrbitalSegLib.reconstruction.star import Flags, Star
from OrbitalSegLib.symmetry import Plane

DISPLACED_MM = 0.8
"""Bone that lies so far outside the mirrored wall, while what is around it does not, has been moved."""
SMOOTHED, OUTSIDE_MM = (300, 150, 80, 40), 0.6
"""How often the difference from the mirrored wall is smoothed, each time from what the last fit says counts; what lies
so far off counts half."""


@dataclass(frozen=True, eq=False)
class Face:
    """What a source may look at."""

    broken: Star
    other: Star | None
    """The other orbit, where it was measured."""
    plane: Plane | None


@dataclass(frozen=True, eq=False)
class Expected:
    """Where a source says that the wall is; arrays have one value for each ray of the broken orbit."""

    wall_mm: Floats
    """How far along the ray. What is intact decides how far the whole is moved and bent (see `bound`)."""
    is_told: Flags
    """Where the source itself knows; elsewhere it is bridged between such places."""
    known: Flags
    """Where the broken orbit's wall is believed to be where it was."""


Source = Callable[[Face], Expected | None]
"""None where it can say nothing of this face."""


def bridge(face: Face) -> Expected:
    """The smoothest surface between the edges, by the wall of the located orbit, as the volume has it."""
    return Expected(face.broken.modelled_mm, np.zeros(len(face.broken.wall_mm), bool), face.broken.is_wall)


def mirror(face: Face) -> Expected | None:
    """The other side's wall. Bone far outside it counts as displaced."""
    if face.other is None or face.plane is None:
        return None
    broken = face.broken
    length, is_told = broken.to_surface(laid_over(broken, face.other, face.plane), face.other.is_wall)
    is_met = np.isfinite(length)
    modelled = broken.modelled_mm
    wall_mm = bound(modelled, np.where(is_met, length, modelled), is_told)
    rest = np.where(broken.is_wall, broken.wall_mm - wall_mm, 0.0)
    return Expected(wall_mm, is_told, broken.is_wall & (rest - _fitted(rest, broken.is_wall) < DISPLACED_MM))


SOURCES: dict[str, Source] = {"mirror": mirror, "bridge": bridge}
"""By name; the first is what is taken unless somebody chooses."""


def bound(expected_mm: Floats, wall_mm: Floats, known: Flags) -> Floats:
    """(n,): the wall where it is known, and elsewhere what is expected, moved so that it runs into it without a step.

    The difference between what is known and what is expected is carried on harmonically: it bends no more than the
    edges ask for.
    """
    rest = np.where(known, wall_mm - expected_mm, 0.0)
    return np.asarray(expected_mm + sphere().bridged(rest, known, _fitted(rest, known)))


def _fitted(rest: Floats, known: Flags) -> Floats:
    """A smooth surface through most of these differences."""
    fitted = np.full(len(rest), np.median(rest[known]) if known.any() else 0.0)
    for times in SMOOTHED:
        counts = known / (1 + ((rest - fitted) / OUTSIDE_MM) ** 4)
        fitted = sphere().smoothed(counts * rest, times) / sphere().smoothed(counts + 1e-6, times)
    return fitted
