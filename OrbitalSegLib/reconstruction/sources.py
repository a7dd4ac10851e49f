"""Where a wall that is missing may be known from: each source is one row of a table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.reconstruction.mirror import laid_over
from OrbitalSegLib.reconstruction.star import Flags, Star
from OrbitalSegLib.symmetry import Plane

DISPLACED_MM = 0.8
"""Bone that lies so far outside each wall that is expected, while what is around it does not, is not where it was."""
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

    @cached_property
    def mirrored(self) -> tuple[Floats, Flags]:
        """How far the other side's wall is along each ray of the broken orbit, infinite where nothing is met; and where
        the other side has wall."""
        if self.other is None or self.plane is None:
            none = np.zeros(len(self.broken.wall_mm), bool)
            return np.where(none, 0.0, np.inf), none
        return self.broken.to_surface(laid_over(self.broken, self.other, self.plane), self.other.is_wall)


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
    broken = face.broken
    return Expected(broken.modelled_mm, np.zeros(len(broken.wall_mm), bool), _believed(broken, broken.modelled_mm))


def mirror(face: Face) -> Expected | None:
    """The other side's wall. Bone counts as moved only where it is far outside the bridge too: sides differ."""
    broken = face.broken
    length, is_told = face.mirrored
    if not is_told.any():
        return None
    modelled = broken.modelled_mm
    wall_mm = bound(modelled, np.where(np.isfinite(length), length, modelled), is_told)
    return Expected(wall_mm, is_told, _believed(broken, wall_mm, modelled))


def _believed(broken: Star, *walls_mm: Floats) -> Flags:
    """(n,): the bone that does not lie far outside each of these walls, once they are fitted to all of it."""
    moved = broken.is_wall
    for wall_mm in walls_mm:
        rest = np.where(broken.is_wall, broken.wall_mm - wall_mm, 0.0)
        moved = moved & (rest - _fitted(rest, broken.is_wall) >= DISPLACED_MM)
    return broken.is_wall & ~moved


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
