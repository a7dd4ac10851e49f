"""The network of profiles: what a scan shows of a wall at a place, once it is known where the wall belongs."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from OrbitalSegLib.networks.sheet import PROFILE_ANSWERS
from OrbitalSegLib.networks.unrolling import MARGIN, SAMPLES, SIDE, unrolled
from OrbitalSegLib.training.walls.config import Walls
from OrbitalSegLib.training.walls.heads import MISPLACED_MM, TILTED, Head
from OrbitalSegLib.training.walls.pieces import drawn
from OrbitalSegLib.training.walls.volume import WINDOWS_HU, changed, windowed

Array = np.ndarray

FARTHER_SHARE, FARTHER = 0.3, 4
"""Of so many profiles the place is moved by up to so many samples more."""


class Profiles(nn.Module):
    """Squares of profiles (n, windows, 5, 5, 29) to `PROFILE_ANSWERS`.

    A bank of filters along the normal, shared by all profiles; then a dense mix of them.
    """

    def __init__(self, bank: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.bank = nn.Linear(len(WINDOWS_HU) * SAMPLES, bank)
        self.normalisation = nn.BatchNorm1d(bank * SIDE * SIDE)
        sizes = (bank * SIDE * SIDE, *hidden)
        layers = [part for a, b in zip(sizes, hidden, strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
        self.mix = nn.Sequential(*layers, nn.Linear(sizes[-1], PROFILE_ANSWERS))

    def forward(self, squares: torch.Tensor) -> torch.Tensor:
        n, c = squares.shape[:2]
        lines = squares.permute(0, 2, 3, 1, 4).reshape(n, SIDE * SIDE, c * SAMPLES)
        return self.mix(torch.relu(self.normalisation(self.bank(lines).reshape(n, -1))))


class EvidenceLesson:
    """Learning the network of profiles, from heads and from drawn pieces of wall."""

    name = "evidence"

    def __init__(self, walls: Walls) -> None:
        how = self.how = walls.evidence
        self.rate = how.rate
        self.lasting = (how.bank, how.hidden, how.batch, how.steps_each, how.rate, how.thickness)
        self._seed = (walls.seed, zlib.crc32(self.name.encode()))
        torch.manual_seed(zlib.crc32(repr(self._seed).encode()))
        self.model = Profiles(self.how.bank, self.how.hidden)

    def heads_step(self, step: int) -> int:
        return step // self.how.steps_each

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """There is nothing but the weights."""

    def batch(self, step: int, heads: Sequence[Head]) -> tuple[Array, Array]:
        """HU (n, 5, 5, 29) of a step's profiles, and the thickness in mm of the wall at each."""
        rng = np.random.default_rng((*self._seed, step))
        number = round(self.how.batch * self.how.drawn_share)
        squares, thickness = [], []
        for _ in range(self.how.pieces):
            piece = drawn(int(rng.integers(2**31)), number // self.how.pieces)
            normals = piece.normals + rng.normal(0, TILTED, piece.normals.shape)
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            points = piece.points_mm + normals * rng.normal(0, MISPLACED_MM, (len(normals), 1))
            squares.append(unrolled(piece.ct, points, normals, rng.uniform(0, 2 * np.pi, len(points))))
            thickness.append(piece.thickness_mm)
        for numbers in np.array_split(np.arange(self.how.batch - number), min(len(heads), 16)):
            head = heads[int(rng.integers(len(heads)))]
            if not len(head.profiles):
                continue
            at = _half_in_holes(head.thickness_mm, len(numbers), rng)
            squares.append(head.profiles[at])
            thickness.append(head.thickness_mm[at])
        return self._moved(np.concatenate(squares), rng), np.concatenate(thickness)

    def _moved(self, squares: Array, rng: np.random.Generator) -> Array:
        """The part around each place, which at times is known less well; mirrored, and with another contrast."""
        farther = rng.random(len(squares)) < FARTHER_SHARE
        start = MARGIN + np.where(farther, rng.integers(-FARTHER, FARTHER + 1, len(squares)), 0)
        index = start[:, None, None, None] + np.arange(SAMPLES)
        found = np.take_along_axis(squares, np.broadcast_to(index, (*squares.shape[:3], SAMPLES)), axis=3)
        found = found[:, :: 1 if rng.random() < 0.5 else -1].astype(np.float32)
        return np.stack([changed(square, rng) for square in found])

    def losses(self, step: int, heads: Sequence[Head]) -> dict[str, torch.Tensor]:
        squares, true = self.batch(step, heads)
        said = self.model(windowed(torch.from_numpy(squares)))
        thickness = torch.from_numpy(true)
        bone = (thickness > 0).float()
        share = bone.mean().clamp(0.02, 0.98)
        weight = 0.5 * (bone / share + (1 - bone) / (1 - share))
        entropy = nn.functional.binary_cross_entropy_with_logits(said[:, 0], bone, weight=weight)
        spread = said[:, 2].clamp(-4, 2)
        deviation = (said[:, 1] - thickness).abs()
        likelihood = (deviation * (-spread).exp() + spread).mean()
        return {
            "loss": entropy + self.how.thickness * likelihood,
            "entropy": entropy,
            "likelihood": likelihood,
            "deviation_mm": deviation.mean(),
        }


def _half_in_holes(thickness_mm: Array, number: int, rng: np.random.Generator) -> Array:
    """So many of a head's profiles, half of them in holes where it has any."""
    holes, walls = np.flatnonzero(thickness_mm == 0), np.flatnonzero(thickness_mm > 0)
    kinds = [kind for kind in (holes, walls) if len(kind)]
    return np.concatenate([rng.choice(kind, -(-number // len(kinds))) for kind in kinds])[:number]
