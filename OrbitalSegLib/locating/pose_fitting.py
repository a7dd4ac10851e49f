"""Fitting the pair of orbits to the walls that rays meet, and judging how well it fits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.locating.orbit_model import PYRAMID, SIDES, Flags, Floats, orbit_model
from OrbitalSegLib.locating.poses import Poses, angles_between, rotation
from OrbitalSegLib.locating.upright_scan import Field

_AIR_HU = -400
_USUALLY_TURNED_DEGREES, _ODD_PER_DEGREE = 25.0, 0.01
_UNSEEN_SCORE = 0.2
"""What an orbit outside the field of view counts."""
_ALONG = np.linspace(0.3, 1.6, 17, dtype=np.float32)
"""Where a ray is looked at, in shares of its length to where the model has the wall."""


@dataclass(frozen=True)
class _Rays:
    """What the rays of many poses (n, rays) meet: `miss_mm` beyond where the wall should be, nan for none; whether the
    field of view holds the answer."""

    starts: Floats
    ends: Floats
    miss_mm: Floats
    known: Flags


def _cast(field: Field, poses: Poses, side: int) -> _Rays:
    model = orbit_model()
    starts, ends = poses.in_patient(model.ray_starts, side), poses.in_patient(model.ray_ends, side)
    points = starts[..., None, :] + (ends - starts)[..., None, :] * _ALONG[:, None]
    nearest = field.nearest(points)
    bone, hu, unknown = field.between(field.bone, points), field.hu.ravel()[nearest], field.unknown.ravel()[nearest]
    from_tissue = (np.abs(hu[..., :1]) < 300) & model.thin[:, None]
    stops = (bone >= 0.5) | ((hu < _AIR_HU) & ~unknown & from_tissue)
    steps = len(_ALONG)
    first = np.where(stops.any(axis=-1), stops.argmax(axis=-1), steps)
    lost = np.where(unknown.any(axis=-1), unknown.argmax(axis=-1), steps)
    met = (first < steps) & (first <= lost)
    at = np.minimum(first, steps - 1)[..., None]
    here = np.take_along_axis(bone, at, axis=-1)[..., 0]
    before = np.take_along_axis(bone, np.maximum(at - 1, 0), axis=-1)[..., 0]
    rise = np.where((here >= 0.5) & (here > before), (0.5 - before) / np.maximum(here - before, 1e-3), 0.5)
    share = _ALONG[at[..., 0]] - (_ALONG[1] - _ALONG[0]) * (1 - np.clip(rise, 0, 1))
    length = np.linalg.norm(ends - starts, axis=-1)
    return _Rays(starts, ends, np.where(met, (share - 1) * length, np.nan), met | (lost == steps))


_PRIOR = np.array([0.0] * 6 + [1 / 0.13**2] * 3 + [1 / 2.0**2])
"""Orbits differ from the model by about 13 % in size and 2 mm in distance."""
_DAMPING = np.array([0.02] * 3 + [30.0] * 6 + [0.05])
_NOISE_MM = 2.0


def fit(field: Field, poses: Poses, gates_mm: tuple[float, ...]) -> Poses:
    """Gauss-Newton steps that bring the model's walls to where rays meet bone, no further than the gate of each."""
    for gate_mm in gates_mm:
        curvature = np.zeros((len(poses.apart), 10, 10)) + np.diag(_PRIOR + _DAMPING)
        current = np.concatenate([np.zeros((len(poses.apart), 6)), poses.log_scale, poses.apart[:, None]], axis=1)
        pull = -_PRIOR * current
        for side in SIDES.values():
            rays = _cast(field, poses, side)
            used = np.abs(np.nan_to_num(rays.miss_mm, nan=np.inf)) < gate_mm
            miss = np.where(used, rays.miss_mm, 0)
            seen = rays.known.mean(axis=1, keepdims=True)  # what little is seen of an orbit says little of its pose
            weights = orbit_model().ray_weights * used * seen**2 / (1 + (miss / 3) ** 2) / _NOISE_MM**2
            by = _derivatives(poses, rays, side)
            curvature += np.einsum("nra,nr,nrb->nab", by, weights, by)
            pull += np.einsum("nra,nr,nr->na", by, weights, miss)
        step = np.clip(np.linalg.solve(curvature, pull[..., None])[..., 0], -8, 8)
        poses = Poses(
            rotation(np.clip(step[:, 3:6], -0.3, 0.3)) @ poses.rotation,
            poses.place + step[:, :3],
            np.clip(poses.log_scale + step[:, 6:9], -0.45, 0.25),
            np.clip(poses.apart + step[:, 9], -5, 6),
        )
    return poses


def _derivatives(poses: Poses, rays: _Rays, side: int) -> Floats:
    """(n, rays, 10): how far the model's wall moves along each ray by place, rotation, scales and distance apart."""
    along = rays.ends - rays.starts
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    in_head = along @ poses.rotation
    own = poses.in_head(orbit_model().ray_ends, side)
    own[..., 0] -= side * (PYRAMID.medial_x_mm + poses.apart[:, None])
    return np.concatenate(
        [along, np.cross(rays.ends - poses.place[:, None], along), in_head * own, side * in_head[..., :1]], axis=-1
    )


@dataclass(frozen=True)
class Findings:
    """What speaks for each pose.

    Of each of its orbits (n, 2), right and left: `share` of the rays that meet a wall in its place, of those that the
    field of view holds, and `seen`, the share that it holds. Of the pair (n,): how like orbits what is in view is, and
    a score to choose by, which sets one very likely orbit above two that are not.
    """

    share: Floats
    seen: Floats
    likeness: Floats
    score: Floats

    def chosen(self, which: NDArray[np.intp]) -> "Findings":
        return Findings(self.share[which], self.seen[which], self.likeness[which], self.score[which])

    def where(self, these: Flags, others: "Findings") -> "Findings":
        """These findings where they are wanted, and the others elsewhere."""
        return Findings(
            np.where(these[:, None], self.share, others.share),
            np.where(these[:, None], self.seen, others.seen),
            np.where(these, self.likeness, others.likeness),
            np.where(these, self.score, others.score),
        )


def judge(field: Field, poses: Poses) -> Findings:
    model, tolerance_mm = orbit_model(), 4.0
    weights = model.ray_weights / model.ray_weights.sum()
    shares, seens, likenesses = [], [], []
    for side in SIDES.values():
        rays = _cast(field, poses, side)
        seen = rays.known @ weights
        miss = np.nan_to_num(rays.miss_mm, nan=np.inf)
        length = np.linalg.norm(rays.ends - rays.starts, axis=-1)
        met = (rays.known & (np.abs(miss) < tolerance_mm)) @ weights / np.maximum(seen, 1e-6)
        blocked = (rays.known & ~model.of_rim & (miss < -0.35 * length)) @ weights / np.maximum(seen, 1e-6)
        free = field.bone.ravel()[field.nearest(poses.in_patient(model.free, side))] @ model.free_weights
        bone = field.walls.ravel()[field.nearest(poses.in_patient(model.bone_around, side))].mean(axis=1)
        beside = field.bone.ravel()[field.nearest(poses.in_patient(model.free_around, side))].mean(axis=1)
        share = met - 0.5 * blocked - 0.8 * free
        shares.append(np.clip(share, 0, 1))
        seens.append(seen)
        likenesses.append(share + 0.4 * (bone - beside))
    share, seen, likeness = (np.stack(values, axis=1) for values in (shares, seens, likenesses))
    beyond = np.degrees(angles_between(poses.rotation, np.eye(3))) - _USUALLY_TURNED_DEGREES
    oddness = np.maximum(beyond, 0) * _ODD_PER_DEGREE
    score = (np.maximum(likeness, 0) ** 2 * seen + _UNSEEN_SCORE * (1 - seen)).sum(axis=1) - 2 * oddness
    in_view = (likeness * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1e-6) - oddness
    return Findings(share, seen, in_view, score)
