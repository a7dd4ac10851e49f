"""Augmentation, row by row [3532-2 9; Ekman, table 1]. Each row is drawn anew for every patch.

Geometry is done when the patch is cut out of its volume, in one interpolation whatever rows were drawn; grey values
are changed on the 8-bit patch, whose 255 steps are the 500 HU of the window: what the window has clipped stays clipped.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.preprocessing import LEVELS, WINDOW_HU

Array = np.ndarray
Generator = np.random.Generator
Plane = tuple[int, int, int]
"""The axis that a plane cuts, its rows' and its columns' axis, in arrays (z, y, x)."""

GREY_PER_HU = LEVELS / (WINDOW_HU[1] - WINDOW_HU[0])

LEFT_RIGHT = 2
"""The axis of an array (z, y, x) that runs from right to left."""


class Augmentation:
    """The rows of a configuration: name -> `probability` and that row's own numbers (see `ROWS`).

    `forbidden` are rows that the structures to be learnt do not bear, such as a mirror where left is not right.
    Raises `InputError` `invalid-config`.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Any]], forbidden: tuple[str, ...] = ()) -> None:
        for name in (*rows, *forbidden):
            if name not in ROWS:
                raise InputError("invalid-config", f"There is no augmentation {name!r}: choose from {', '.join(ROWS)}.")
        for name, numbers in rows.items():
            if set(numbers) != {"probability", *ROWS[name]}:
                raise InputError(
                    "invalid-config", f"The augmentation {name!r} takes: {', '.join(('probability', *ROWS[name]))}."
                )
        self.rows = {name: numbers for name, numbers in rows.items() if name not in forbidden}

    def _drawn(self, name: str, rng: Generator) -> bool:
        return name in self.rows and rng.random() < self.rows[name]["probability"]

    def geometry(self, plane: Plane, rng: Generator) -> Array | None:
        """A matrix (z, y, x) by which the patch's grid is turned about its centre; None: it stays as it is."""
        across, rows, columns = plane
        turn = np.eye(3)
        if self._drawn("scaling", rng):
            turn /= rng.uniform(*self.rows["scaling"]["factor"])
        if self._drawn("rotation", rng):
            turn = _rotation(rows, columns, rng.uniform(*self.rows["rotation"]["degrees"])) @ turn
        if self._drawn("rotation_3d", rng):
            for first, second in ((rows, columns), (across, rows), (across, columns)):
                turn = _rotation(first, second, rng.uniform(*self.rows["rotation_3d"]["degrees"])) @ turn
        return None if np.array_equal(turn, np.eye(3)) else turn

    def mirrors(self, plane: Plane, image: Array, label: Array, rng: Generator) -> tuple[Array, Array]:
        """Image and label (h, w), mirrored and transposed alike. A sagittal plane has neither left nor right."""
        if self._drawn("mirror_left_right", rng) and plane[2] == LEFT_RIGHT:
            image, label = image[:, ::-1], label[:, ::-1]
        if self._drawn("mirror_horizontal", rng):
            image, label = image[:, ::-1], label[:, ::-1]
        if self._drawn("mirror_vertical", rng):
            image, label = image[::-1], label[::-1]
        if self._drawn("transpose", rng):
            image, label = image.T, label.T
        return image, label

    def grey(self, image: Array, rng: Generator) -> Array:
        """The patch (h, w) uint8 with other grey values."""
        drawn = [(name, change) for name, change in GREY.items() if self._drawn(name, rng)]
        if not drawn:
            return image
        values = image.astype(np.float32)
        for name, change in drawn:
            values = change(values, self.rows[name], rng).astype(np.float32)
        return np.rint(np.clip(values, 0, LEVELS)).astype(np.uint8)


def _rotation(first: int, second: int, degrees: float) -> Array:
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
    return turn


def _blur(values: Array, row: Mapping[str, Any], _rng: Generator) -> Array:
    """A Gaussian whose kernel is `pixels` wide: two standard deviations to each side of the middle pixel."""
    return ndimage.gaussian_filter(values, (row["pixels"] - 1) / 4, radius=int(row["pixels"]) // 2)


def _contrast(values: Array, row: Mapping[str, Any], rng: Generator) -> Array:
    middle = LEVELS / 2
    return (values - middle) * rng.uniform(*row["factor"]) + middle


def _brightness(values: Array, row: Mapping[str, Any], rng: Generator) -> Array:
    return values + rng.uniform(*row["hu"]) * GREY_PER_HU


def _white_noise(values: Array, row: Mapping[str, Any], rng: Generator) -> Array:
    """Normal noise whose standard deviation is up to a share of the intensity range."""
    return values + rng.normal(0, rng.uniform(0, row["share"]) * LEVELS, values.shape)


def _streak_noise(values: Array, row: Mapping[str, Any], rng: Generator) -> Array:
    """A few parallel streaks in a random direction, the strongest up to a share of the intensity range."""
    angle = rng.uniform(0, np.pi)
    height, width = values.shape
    across = np.cos(angle) * np.arange(height)[:, None] + np.sin(angle) * np.arange(width)[None, :]
    streaks = np.zeros_like(values)
    for _ in range(int(rng.integers(1, 6))):
        place = rng.uniform(across.min(), across.max())
        streaks += rng.uniform(-1, 1) * np.exp(-0.5 * ((across - place) / rng.uniform(0.5, 2.0)) ** 2)
    return values + streaks * rng.uniform(0, row["share"]) * LEVELS


def _erasing(values: Array, row: Mapping[str, Any], rng: Generator) -> Array:
    """A box of up to a share of each side gets one random grey value [3532-2 9]; the label stays."""
    erased = values.copy()
    box = []
    for length in values.shape:
        size = int(rng.uniform(0, row["share"]) * length) + 1
        start = int(rng.integers(0, length - size + 1))
        box.append(slice(start, start + size))
    erased[tuple(box)] = rng.uniform(0, LEVELS)
    return erased


GREY: dict[str, Callable[[Array, Mapping[str, Any], Generator], Array]] = {
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "white_noise": _white_noise,
    "streak_noise": _streak_noise,
    "erasing": _erasing,
}
"""In this order."""

ROWS: dict[str, tuple[str, ...]] = {
    "rotation_3d": ("degrees",),
    "rotation": ("degrees",),
    "scaling": ("factor",),
    "mirror_horizontal": (),
    "mirror_vertical": (),
    "transpose": (),
    "mirror_left_right": (),
    "white_noise": ("share",),
    "streak_noise": ("share",),
    "brightness": ("hu",),
    "contrast": ("factor",),
    "blur": ("pixels",),
    "erasing": ("share",),
}
"""Every row and the numbers that it takes besides its probability: a range drawn from evenly, or a largest value."""
