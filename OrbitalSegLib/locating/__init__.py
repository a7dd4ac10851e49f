"""Where the orbits are: found in a head or face CT by the shape of the bone around them.

An orbit is a pyramid of bone that opens forwards: in any pose, at any resolution and whatever fills the sinuses, a ray
from its axis to the side meets a wall 15 to 20 mm away, and a line from in front of its rim meets the rim. A pair of
such pyramids, of the phantom's formula with the proportions of real orbits, is laid over the scan on a coarse grid:
first in many places and poses, counting the bone where walls have to be and the free room where none may be; then the
best are fitted to the walls that rays meet, and the fit is judged by the share of rays that meet a wall in its place.
The one that is found is fitted once more on a finer grid, so that it hardly matters where the cells of the coarse one
lay: a head that is mirrored, turned or cropped has its orbits in the same place.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.locating.candidates import search
from OrbitalSegLib.locating.orbit_model import SIDES, Floats, Side, orbit_model, points
from OrbitalSegLib.locating.pose_fitting import Findings, fit, judge
from OrbitalSegLib.locating.poses import Poses
from OrbitalSegLib.locating.upright_scan import Field
from OrbitalSegLib.places import Point
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.region import Region

Status = Literal["found", "cut off", "missing"]

_STAGES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (120, (9, 9)),
    (40, (8, 7, 6)),
    (4, (12, 11, 10, 9, 8, 7, 6, 6, 6, 6)),
)
"""How many poses are kept, and the gates in mm of the steps that fit them."""

_FINE_MM = 1.5
_FINE_GATES_MM = (6,) * 12
"""Of the last fit, on a finer grid: in a mirrored scan a rim lay up to 2.5 mm elsewhere without it, 0.3 mm with it."""
_LOOKED_AT_MM = 24.0
"""How far around the located orbits the last fit looks: further than rays run and walls may still move."""

_LEAST_LIKENESS, _MORE_IF_LITTLE_IS_SEEN = 0.92, 0.22
"""How like orbits what is in view must be: real ones have 1.0 to 1.4, other things 0.5 to 0.85. The less of them is in
view, the likelier is chance."""
_SURE_SHARE, _LEAST_SHARE = 0.84, 0.5
"""The share of rays by which one orbit proves itself though the other is destroyed, and that any orbit has."""
_WHOLE_SEEN, _MOSTLY_SEEN, _HARDLY_SEEN = 0.9, 0.6, 0.25
"""The share of rays in view: from the first on the orbit is whole, from the second on it would be known if there were
none, and below the third nothing is said of its place."""


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The pyramid that was laid over an orbit, in patient space (LPS mm). A depth is a share of the whole, from the rim
    to the apex; an angle runs around the axis from the side (0) to the head and to the nose."""

    pose: Poses
    side: Side

    def wall_mm(self, depths: Floats, angles: Floats) -> Floats:
        """(n, 3): places on the wall."""
        return self._placed(points(depths, angles, np.ones_like(depths)))

    def axis_mm(self, depth: float) -> Floats:
        """(3,): a place on the axis."""
        return self._placed(points(np.array([depth]), np.zeros(1), np.zeros(1)))[0]

    @property
    def apex_mm(self) -> Floats:
        return self.axis_mm(1.0)

    def _placed(self, own: Floats) -> Floats:
        return np.asarray(self.pose.in_patient(own, SIDES[self.side])[0], np.float64)


@dataclass(frozen=True)
class Orbit:
    """One orbit.

    `box_mm` `(x0, x1, y0, y1, z0, z1)` (LPS) is the smallest box that holds the bony cavity: from the most forward
    point of the rim to the apex at the optic canal, and between the inner surfaces of the medial and the lateral wall
    and of floor and roof, the inner edge of the rim included. Of an orbit that is cut off it is the box of the whole,
    as far as what is in view tells, and None if that is hardly anything. `region_mm` is what table A.1 asks for
    [3532-2 A.1].
    """

    side: Side
    status: Status
    confidence: float = 0.0
    """The share of the rays, of those in the field of view, that meet a wall where an orbit's has to be, 0 to 1."""
    box_mm: tuple[float, ...] | None = None
    region_mm: tuple[float, ...] | None = None
    opening_mm: Point | None = None
    """The middle of the opening, between the rims."""
    shape: Pyramid | None = dataclasses.field(default=None, compare=False, repr=False)
    """None of an orbit of which hardly anything is seen."""


@dataclass(frozen=True)
class Orbits:
    """Both orbits; `right` is the patient's."""

    right: Orbit
    left: Orbit

    @property
    def both(self) -> tuple[Orbit, Orbit]:
        return self.right, self.left

    def region(self, side: Literal["both", "right", "left"] = "both") -> Region | None:
        """What table A.1 asks for; see `region_of`."""
        return region_of(self.both if side == "both" else (getattr(self, side),))

    def sentence(self) -> str:
        """What was found, for the log."""
        said = {"found": "found", "cut off": "cut off by the field of view", "missing": "not found"}
        if self.right.status == self.left.status:
            return f"Both orbits were {said[self.right.status]}."
        return f"The right orbit was {said[self.right.status]}, the left one {said[self.left.status]}."


def region_of(orbits: Sequence[Orbit]) -> Region | None:
    """What table A.1 asks for, of the orbits that were found or are cut off; None if there is none [3532-2 A.1].

    From 1 cm above the supraorbital foramen down to the infraorbital foramen, with the bone of the rims.

    Parameters
    ----------
    orbits
        As `locate` gives them.

    Returns
    -------
    region
        A box in LPS mm around those of them.
    """
    boxes = [orbit.region_mm for orbit in orbits if orbit.region_mm is not None]
    if not boxes:
        return None
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return Region(tuple(float(v) for pair in zip(low[::2], high[1::2], strict=True) for v in pair))


MISSING = Orbits(Orbit("right", "missing"), Orbit("left", "missing"))


def locate(ct: sitk.Image, progress: Progress = silent) -> Orbits:
    """Look for both orbits in a CT; left and right are the patient's.

    Parameters
    ----------
    ct
        HU, on any grid. The head may be turned by up to about 30 degrees from lying straight.
    progress
        Hears how much is done, from 0 to 1.

    Returns
    -------
    Orbits
        Both sides, each `found`, `cut off` or `missing`. What is no head has two that are missing.

    Raises
    ------
    Cancelled
        The user stopped.
    """
    progress(0.0)
    field = Field.of(ct)
    if field is None:
        return MISSING
    progress(0.2)
    starts = search(field)
    progress(0.6)
    if starts is None:
        return MISSING
    best, findings = starts, judge(field, starts)
    for n, (many, gates_mm) in enumerate(_STAGES, 1):
        likeliest = np.argsort(-findings.score, kind="stable")[:many]
        best, findings = best.chosen(likeliest), findings.chosen(likeliest)
        fitted = fit(field, best, gates_mm)
        refound = judge(field, fitted)
        better = refound.score > findings.score
        best, findings = fitted.where(better, best), refound.where(better, findings)
        progress(0.6 + 0.4 * n / len(_STAGES))
    return _answer(ct, best, findings, int(findings.score.argmax()))


def _answer(ct: sitk.Image, poses: Poses, findings: Findings, best: int) -> Orbits:
    share, seen = findings.share[best], findings.seen[best]
    in_view = float(seen.sum())
    enough = _LEAST_LIKENESS + _MORE_IF_LITTLE_IS_SEEN * max(0.0, 1.5 - in_view)
    proven = findings.likeness[best] >= enough or ((share >= _SURE_SHARE) & (seen >= _WHOLE_SEEN)).any()
    if not proven:
        return MISSING
    pose = _refined(ct, poses.chosen(np.array([best])))
    right, left = (_one(pose, side, float(share[i]), float(seen[i])) for i, side in enumerate(SIDES))
    return Orbits(right, left)


def _refined(ct: sitk.Image, pose: Poses) -> Poses:
    """One pose, fitted on a finer grid of the part of the scan around it."""
    walls = np.concatenate([pose.in_patient(orbit_model().surface, side)[0] for side in SIDES.values()])
    around = np.stack([walls.min(axis=0) - _LOOKED_AT_MM, walls.max(axis=0) + _LOOKED_AT_MM], axis=1)
    field = Field.of(Region(tuple(around.ravel().tolist())).inner_part(ct), _FINE_MM)
    return pose if field is None else fit(field, pose, _FINE_GATES_MM)


def _one(pose: Poses, side: Side, share: float, seen: float) -> Orbit:
    if seen < _HARDLY_SEEN or share < _LEAST_SHARE:
        return Orbit(side, "missing" if seen >= _MOSTLY_SEEN else "cut off")
    model, sign = orbit_model(), SIDES[side]
    surface, region, opening = (
        pose.in_patient(points, sign)[0] for points in (model.surface, model.region, model.ray_starts[:1])
    )
    x, y, z = (float(v) for v in opening[0])
    whole_region = _box(np.concatenate([surface, region]))
    status: Status = "found" if seen >= _WHOLE_SEEN else "cut off"
    return Orbit(side, status, round(share, 3), _box(surface), whole_region, (x, y, z), Pyramid(pose, side))


def _box(points: Floats) -> tuple[float, ...]:
    return tuple(float(v) for pair in zip(points.min(axis=0), points.max(axis=0), strict=True) for v in pair)
