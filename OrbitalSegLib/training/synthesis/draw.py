"""Random values that each depend on the seed and their own name only."""

import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from OrbitalSegLib.training.synthesis.settings import Range

T = TypeVar("T")


class Draw:
    """The dice of one case.

    Every value has a name, and its own stream of random numbers made from the seed and that name. So a setting that is
    pinned changes no other value: the same head with another slice thickness, the same scan with another wall.
    `values` holds every number that was drawn.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.values: dict[str, float | str] = {}

    def stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def uniform(self, name: str, limits: Range) -> float:
        return self._keep(name, limits[0] + (limits[1] - limits[0]) * self._share(name))

    def log_uniform(self, name: str, limits: Range) -> float:
        return self._keep(name, limits[0] * (limits[1] / limits[0]) ** self._share(name))

    def chance(self, name: str, probability: float) -> bool:
        return bool(self._keep(name, float(self._share(name) < probability)))

    def choice(self, name: str, options: Sequence[T]) -> T:
        chosen = options[int(self._share(name) * len(options))]
        self.values[name] = chosen if isinstance(chosen, str) else float(options.index(chosen))
        return chosen

    def _share(self, name: str) -> float:
        return float(self.stream(name).random())

    def _keep(self, name: str, value: float) -> float:
        self.values[name] = round(value, 4)
        return value
