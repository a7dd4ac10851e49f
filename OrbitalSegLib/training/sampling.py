"""Patches of packed cases: where they are centred, how they lie, and how voxels are weighted.

A batch depends on the seed, the step and the cases alone: a training that was killed goes on with the same batches.
"""

import math
import multiprocessing
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from OrbitalSegLib.training import store
from OrbitalSegLib.training.augmentation import Augmentation
from OrbitalSegLib.training.config import Sampling, Training
from OrbitalSegLib.training.store import Packed

Array = np.ndarray
Generator = np.random.Generator

PLANES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Of each plane: the axis that it cuts, its rows' and its columns' axis, in arrays (z, y, x)."""


@dataclass(frozen=True)
class Batch:
    """`image` (n, h, w) uint8 and `label` (n, h, w) flags."""

    image: Array
    label: Array


class Batches:
    """The batches of a training, step by step.

    With `workers`, that many processes draw them ahead, which an accelerator needs that learns faster than one
    processor draws. They are the same batches, whatever the number.
    """

    def __init__(self, training: Training, augmentation: Augmentation, seed: Sequence[int], workers: int = 0) -> None:
        self._end = training.steps
        self._draw = partial(_batch, training.sampling, augmentation, training.patch, training.batch, tuple(seed))
        self._ahead: deque[tuple[int, tuple[Path, ...], Future[Batch]]] = deque()
        self._workers = workers
        context = multiprocessing.get_context("spawn")  # a fork of a process that holds an accelerator is undefined
        self._pool = ProcessPoolExecutor(workers, context) if workers else None

    def of_step(self, step: int, cases: Sequence[Packed]) -> Batch:
        """The batch of one step, counted from 0."""
        folders = tuple(case.folder for case in cases)
        if self._pool is None:
            return self._draw(step, folders)
        if self._ahead and self._ahead[0][:2] != (step, folders):  # other cases have come in
            self._ahead.clear()
        first = self._ahead[-1][0] + 1 if self._ahead else step
        for later in range(first, min(step + 2 * self._workers, self._end)):
            self._ahead.append((later, folders, self._pool.submit(self._draw, later, folders)))
        return self._ahead.popleft()[2].result()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_open_case = lru_cache(maxsize=None)(store.open_case)


def _batch(
    how: Sampling,
    augmentation: Augmentation,
    patch: int,
    number: int,
    seed: tuple[int, ...],
    step: int,
    folders: Sequence[Path],
) -> Batch:
    cases = [_open_case(folder) for folder in folders]
    return draw(cases, how, augmentation, patch, number, np.random.default_rng((*seed, step)))


def draw(
    cases: Sequence[Packed], how: Sampling, augmentation: Augmentation, patch: int, number: int, rng: Generator
) -> Batch:
    """Draw `number` patches of `patch` pixels each way, the three planes in turn."""
    images, labels = [], []
    first = int(rng.integers(len(PLANES)))
    for k in range(number):
        case, place = _place(cases, how, rng)
        plane = list(PLANES.values())[(first + k) % len(PLANES)]
        image, label = _patch(case, place, plane, how.offset, patch, augmentation, rng)
        image, label = augmentation.mirrors(plane, image, label, rng)
        images.append(augmentation.grey(image, rng))
        labels.append(label)
    return Batch(np.stack(images), np.stack(labels))


def _place(cases: Sequence[Packed], how: Sampling, rng: Generator) -> tuple[Packed, Array]:
    """A case and a voxel of it. The kind of place is drawn first, then a case that has such a place."""
    kinds = list(how.places)
    shares = np.array([how.places[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    having = [case for case in cases if len(case.places.get(kind, ()))]
    if not having:
        case = cases[int(rng.integers(len(cases)))]
        return case, np.array([rng.integers(n) for n in case.image.shape])
    case = having[int(rng.integers(len(having)))]
    places = case.places[kind]
    return case, places[int(rng.integers(len(places)))].astype(int)


def _patch(
    case: Packed,
    place: Array,
    plane: tuple[int, int, int],
    offset: int,
    patch: int,
    augmentation: Augmentation,
    rng: Generator,
) -> tuple[Array, Array]:
    across, rows, columns = plane
    centre = place.astype(float)
    for axis in (rows, columns):
        half, length = patch // 2, case.image.shape[axis]
        moved = place[axis] + int(rng.integers(-offset, offset + 1))
        centre[axis] = min(max(moved, half), max(length - half, half)) if length >= patch else length // 2
    turn = augmentation.geometry(plane, rng)
    if turn is None:
        box: list[int | slice] = [0, 0, 0]
        box[across] = int(centre[across])
        fits = True
        for axis in (rows, columns):
            start = int(centre[axis]) - patch // 2
            fits &= start >= 0 and start + patch <= case.image.shape[axis]
            box[axis] = slice(start, start + patch)
        if fits:
            return np.array(case.image[tuple(box)]), np.array(case.label[tuple(box)])
        turn = np.eye(3)
    steps = np.arange(patch) - patch // 2
    grid = np.zeros((3, patch, patch))
    grid[rows] = steps[:, None]
    grid[columns] = steps[None, :]
    points = centre[:, None, None] + np.tensordot(turn, grid, axes=1)
    image = ndimage.map_coordinates(case.image, points, order=1, mode="constant", cval=0)
    unknown = case.flags.get("ignore", 0)
    label = ndimage.map_coordinates(case.label, points, order=0, mode="constant", cval=unknown)
    return image, label


def classes(label: Array, names: Sequence[str], flags: Mapping[str, int]) -> Array:
    """Flags to class numbers, background 0; where flags overlap the later class stands."""
    target = np.zeros(label.shape, np.int64)
    for number, name in enumerate(names, start=1):
        target[(label & flags[name]) > 0] = number
    return target


@dataclass
class Balance:
    """How many voxels of intact wall and of hole the training has seen of late, each step's share fading."""

    steps: int
    wall: float = 0.0
    hole: float = 0.0

    def see(self, wall: int, hole: int) -> None:
        """Count one batch."""
        keep = math.exp(-1 / self.steps)
        self.wall = keep * self.wall + wall
        self.hole = keep * self.hole + hole

    def weight(self, share: float, limit: float) -> float:
        """What a hole's voxel weighs, of a wall's voxel's weight, so that holes are `share` of both together."""
        if not self.hole or not self.wall:
            return 1.0
        return min(max(share / (1 - share) * self.wall / self.hole, 1 / limit), limit)
