"""Where orbits may be, and in which pose: the start of the fit."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.locating.orbit_model import SIDES, Floats, orbit_model, points
from OrbitalSegLib.locating.poses import Poses, angles_between, rotation
from OrbitalSegLib.locating.upright_scan import CELLS_AROUND, COARSE_MM, Field, most_around

_MOST_TURNED_DEGREES, _TURN_STEP_DEGREES = 38.0, 13.0
_SCALES = (0.8, 1.0)
_MIDDLE_DEPTH = 0.36
"""How deep in an orbit the place is that bone surrounds most."""
_CANDIDATES, _POSES_FOR_PAIRS, _STARTS = 400, 8000, 120


def search(field: Field) -> Poses | None:
    """The likeliest poses: each place that bone surrounds is tried as each orbit, in many rotations and two sizes."""
    cells = _surrounded(field)
    if not len(cells):
        return None
    rotations = _rotations()
    tried = [(side, scale, rotation) for side, scale in product((1, -1), _SCALES) for rotation in range(len(rotations))]
    centre = points(np.array([_MIDDLE_DEPTH]), np.zeros(1), np.zeros(1))
    first = (cells @ field.strides).astype(np.int32)

    def likeness(
        which: NDArray[np.int32], evidence: "_Evidence", side: int, other: int, scale: float, turn: Floats
    ) -> Floats:
        """How well the orbit on side `other` fits if the cells are the middles of the one on `side`."""
        moves = (evidence.points * (other, 1, 1) - centre * (side, 1, 1)) * (scale / COARSE_MM) @ turn.T
        there = which[:, None] + np.rint(moves).astype(np.int32) @ field.strides
        walls = evidence.walls
        return (
            field.walls.ravel()[there[:, :walls]] @ evidence.weights[:walls]
            + field.solid.ravel()[there[:, walls:]] @ evidence.weights[walls:]
        )

    own = np.stack([likeness(first, _evidence(3), side, side, scale, rotations[r]) for side, scale, r in tried])
    likeliest = np.argpartition(-own, min(_POSES_FOR_PAIRS, own.size - 1), axis=None)[:_POSES_FOR_PAIRS]
    of_pose, of_cell = np.unravel_index(likeliest, own.shape)
    both = np.zeros(len(likeliest), np.float32)
    for pose in np.unique(of_pose):
        (side, scale, r), these = tried[pose], of_pose == pose
        for other in SIDES.values():
            both[these] += likeness(first[of_cell[these]], _evidence(1), side, other, scale, rotations[r])
    order = np.argsort(-both, kind="stable")
    sides, scales, turns = (np.array(values)[of_pose[order]] for values in zip(*tried, strict=True))
    middles = field.origin + cells[of_cell[order]] * COARSE_MM
    offsets = centre * scales[:, None] * np.stack([sides, np.ones_like(sides), np.ones_like(sides)], axis=1)
    places = middles - np.einsum("nij,nj->ni", rotations[turns], offsets)
    kept = _unlike(places, rotations[turns], scales)
    sizes = np.repeat(np.log(scales[kept])[:, None], 3, axis=1)
    return Poses(rotations[turns[kept]], places[kept], sizes, np.zeros(len(kept)))


@dataclass(frozen=True)
class _Evidence:
    """Points that speak for an orbit, by weight: the first `walls` of them where bone is, the others against it."""

    points: Floats
    weights: NDArray[np.float32]
    walls: int


@cache
def _evidence(every: int) -> _Evidence:
    """With every n-th point only; what lies around the orbits counts where all are taken."""
    model = orbit_model()
    parts = [(model.walls, model.wall_weights), (model.free, -model.free_weights)]
    if every == 1:
        around, beside = model.bone_around, model.free_around
        parts.insert(1, (around, np.full(len(around), 0.4 / len(around))))
        parts.append((beside, np.full(len(beside), -0.4 / len(beside))))
    points = np.concatenate([points[::every] for points, _ in parts])
    weights = np.concatenate([w[::every] * w.sum() / w[::every].sum() for _, w in parts])
    return _Evidence(points, weights.astype(np.float32), int((weights > 0).sum()))


def _surrounded(field: Field) -> NDArray[np.int64]:
    """(n, 3): the cells, x y z, that are free of bone with bone around them at an orbit's distance."""
    inner = CELLS_AROUND - 10
    part = (slice(inner, -inner),) * 3
    bone = np.where(field.unknown[part], np.float32(0.3), field.bone[part])
    reach = 9
    distance_mm = np.sqrt(((np.indices((2 * reach + 1,) * 3) - reach) ** 2).sum(axis=0)) * COARSE_MM
    ball, shell = distance_mm <= 9.5, (distance_mm >= 13) & (distance_mm <= 23)
    kernel = np.zeros(bone.shape, np.float32)
    kernel[: 2 * reach + 1, : 2 * reach + 1, : 2 * reach + 1] = shell / shell.sum() - 1.5 * ball / ball.sum()
    kernel = np.roll(kernel, (-reach,) * 3, (0, 1, 2))
    around = np.fft.irfftn(np.fft.rfftn(bone) * np.fft.rfftn(kernel), bone.shape, axes=(0, 1, 2)).astype(np.float32)
    around[field.unknown[part]] = -1
    peaks = np.argwhere((around >= most_around(around)) & (around > 0.02))
    likeliest = np.argsort(-around[tuple(peaks.T)], kind="stable")[:_CANDIDATES]
    return peaks[likeliest][:, ::-1] + inner


@cache
def _rotations() -> Floats:
    """(n, 3, 3): rotations of the head up to the largest."""
    steps = np.arange(-2, 3) * _TURN_STEP_DEGREES
    vectors = np.array(list(product(steps, steps, steps)))
    return rotation(np.radians(vectors[np.linalg.norm(vectors, axis=1) <= _MOST_TURNED_DEGREES]))


def _unlike(places: Floats, rotations: Floats, scales: Floats) -> NDArray[np.intp]:
    """The first poses that differ from all before them in place, rotation or size."""
    kept: list[int] = []
    for i in range(len(places)):
        near = np.linalg.norm(places[kept] - places[i], axis=1) < 7
        alike = angles_between(rotations[kept], rotations[i]) < 0.3
        if not (near & alike & (scales[kept] == scales[i])).any():
            kept.append(i)
        if len(kept) == _STARTS:
            break
    return np.array(kept)
