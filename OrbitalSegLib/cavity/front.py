"""The front of an orbit: a saddle through the crest of its rim.

The rim is no plane curve: at the temple and at the nose it lies further back than above and below. Along 72 meridians
around the opening the most forward bone at the edge is looked for; a plane and a saddle, five numbers in all, are
fitted to these places, and those that lie far off count little.

Where they are looked for follows from where the rim is. So the search begins at the rim of the located orbit, goes on
at the rim that was found, across the plane that was found, and is done again until the rim is found where it was looked
for: what was located first no longer matters, and the same orbit has the same front in any pose.
"""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.cavity.sampling import HALF, Floats, Sampled
from OrbitalSegLib.locating import Pyramid

MERIDIANS = 72
_ANGLES = np.arange(MERIDIANS) * 2 * np.pi / MERIDIANS
LEAST_MERIDIANS = 40
"""With fewer that meet bone the rim is not known."""
INNERMOST_MM, OUTERMOST_MM = -4.0, 8.0
"""Where the edge is looked for, from the rim as it was located outwards."""
FOREMOST_MM, DEEPEST_MM = -10.0, 14.0
"""How far before and behind it."""
CREST_MM = 4.0
"""From the edge outwards, where the crest is the most forward bone."""
STEP_MM, FORWARD_STEP_MM = 0.5, 0.25
FAR_OFF_MM = 1.5
"""A crest so far from the fit counts half."""
FITTING_STEPS = 30
SEARCHES = 8
"""With one, the same orbit differed by up to 1.2 ml when the head was turned by 10 degrees; the eighth moves the front
by 0.1 mm in the mean."""


@dataclass(frozen=True, eq=False)
class Front:
    """A height in mm over a plane, in which the unit of length is the radius of the rim."""

    middle_mm: Floats
    inward: Floats
    """Unit vector across the plane, into the orbit."""
    across: Floats
    """(2, 3): axes in the plane, divided by the radius of the rim."""
    heights_mm: Floats
    """(5,): of the plane's middle and its two slopes, and of the two saddles."""
    spread_mm: float
    """Median distance of the crests from the front, along `inward`."""

    def depth_mm(self, places_mm: Floats) -> Floats:
        """How far places (..., 3) lie behind the front; negative before it."""
        offset = places_mm - self.middle_mm
        return np.asarray(offset @ self.inward - _terms(offset @ self.across.T) @ self.heights_mm)

    @property
    def opening_mm(self) -> Floats:
        """The middle of the opening."""
        return np.asarray(self.middle_mm + self.heights_mm[0] * self.inward)


@dataclass(frozen=True, eq=False)
class _Rim:
    """Where the edge is looked for: places (meridians, 3) on a closed curve, and the unit vector into the orbit."""

    places_mm: Floats
    inward: Floats

    @property
    def middle_mm(self) -> Floats:
        return np.asarray(self.places_mm.mean(axis=0))

    @property
    def outward_mm(self) -> Floats:
        """(meridians, 3): from the middle to the places, across `inward`."""
        offset = self.places_mm - self.middle_mm
        return np.asarray(offset - np.outer(offset @ self.inward, self.inward))


def front_of(bone: Sampled, shape: Pyramid) -> Front | None:
    """The front of a located orbit in its bone; None where too little of the rim is bone."""
    places = np.asarray(shape.wall_mm(np.zeros(MERIDIANS), _ANGLES), np.float64)
    inward = np.linalg.svd(places - places.mean(axis=0))[2][2]
    inward *= np.sign(inward @ (shape.axis_mm(0.35) - shape.axis_mm(0.0)))
    rim, front = _Rim(places, inward), None
    for _ in range(SEARCHES):
        found = _search(bone, rim)
        if found is None:
            return None
        front, rim = found
    return front


def _search(bone: Sampled, rim: _Rim) -> tuple[Front, _Rim] | None:
    """The front by the crests near a rim, and the rim by these crests."""
    outward = rim.outward_mm
    radius_mm = np.linalg.norm(outward, axis=1, keepdims=True)
    crests = _crests(bone, rim.places_mm, outward / radius_mm, rim.inward)
    found = ~np.isnan(crests).any(axis=1)
    if found.sum() < LEAST_MERIDIANS:
        return None
    lateral, radius = outward[0] / radius_mm[0], float(radius_mm.mean())
    axes = np.stack([lateral, np.cross(rim.inward, lateral)])
    offset = crests[found] - rim.middle_mm
    heights_mm, rest = _robust(_terms(offset @ axes.T / radius), offset @ rim.inward)
    front = Front(rim.middle_mm, rim.inward, axes / radius, heights_mm, float(np.median(np.abs(rest))))
    across = offset @ axes.T
    waves, _ = _robust(_waves(np.arctan2(across[:, 1], across[:, 0])), np.linalg.norm(across, axis=1))
    place = (_waves(_ANGLES) @ waves)[:, None] * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    height_mm = _terms(place / radius) @ heights_mm
    places = rim.middle_mm + place @ axes + height_mm[:, None] * rim.inward
    inward = rim.inward - heights_mm[1:3] @ axes / radius
    return front, _Rim(places, inward / np.linalg.norm(inward))


def _waves(angles: Floats) -> Floats:
    """(..., 5): of a rim's radius around its middle; an oval has no more."""
    return np.stack([f(n * angles) for n, f in ((0, np.cos), (1, np.cos), (1, np.sin), (2, np.cos), (2, np.sin))], -1)


def _crests(bone: Sampled, rim: Floats, outward: Floats, inward: Floats) -> Floats:
    """(meridians, 3): the most forward bone at the edge of the opening; nan where there is none."""
    outwards = np.arange(INNERMOST_MM, OUTERMOST_MM, STEP_MM)
    inwards = np.arange(FOREMOST_MM, DEEPEST_MM, FORWARD_STEP_MM)
    places = rim[:, None] + outward[:, None] * outwards[None, :, None]
    columns = places[:, :, None] + inward * inwards[None, None, :, None]
    is_bone = bone.at(columns) >= HALF
    foremost = np.where(is_bone.any(axis=2), inwards[is_bone.argmax(axis=2)], np.inf)
    met = np.isfinite(foremost)
    edge = met.argmax(axis=1)
    steps = np.arange(len(outwards))
    near = (steps >= edge[:, None]) & (steps <= edge[:, None] + CREST_MM / STEP_MM)
    at = np.where(near, foremost, np.inf).argmin(axis=1)
    meridians = np.arange(len(rim))
    crests = places[meridians, at] + inward * np.where(met.any(axis=1), foremost[meridians, at], np.nan)[:, None]
    return np.asarray(crests)


def _terms(place: Floats) -> Floats:
    """(..., 5): the plane and the saddles at places (..., 2); the saddles bend no way on the whole, as a soap film."""
    x, y = place[..., 0], place[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x - y * y, 2 * x * y], axis=-1)


def _robust(terms: Floats, heights_mm: Floats) -> tuple[Floats, Floats]:
    """The fit in which what lies far off counts little, and what it leaves."""
    weights = np.ones(len(heights_mm))
    for _ in range(FITTING_STEPS):
        found = np.linalg.lstsq(terms * weights[:, None], heights_mm * weights, rcond=None)[0]
        rest = heights_mm - terms @ found
        weights = 1 / (1 + (rest / FAR_OFF_MM) ** 2)
    return np.asarray(found, np.float64), rest
