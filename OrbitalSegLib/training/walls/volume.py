"""The network of places: of each voxel whether it is cortical or thin bone, whether a wall of the orbit belongs there,
intact or broken alike, and how far the wall's mid-surface is."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from OrbitalSegLib.networks.unet3d import UNet3D
from OrbitalSegLib.networks.walls import ANSWERS, WINDOWS_HU
from OrbitalSegLib.structures import BONE, CORTICAL, THIN
from OrbitalSegLib.training import loop, sampling
from OrbitalSegLib.training.walls.config import Rate, Walls
from OrbitalSegLib.training.walls.heads import FLAGS, REACH_MM, STORED_MM, Head

Array = np.ndarray

DISTANCE_WITHIN_MM = 2.0
"""The distance is learnt this near to the wall."""

TISSUE_FROM_HU, TISSUE_ABOVE_HU = -900.0, -200.0
"""Contrast and brightness change nothing below the first value, and all above the second: air stays where it is."""


def windowed(hu: torch.Tensor) -> torch.Tensor:
    """HU (n, d, h, w), float, to input channels (n, 2, d, h, w)."""
    return torch.stack([((hu - low) / (high - low)).clamp(0, 1) for low, high in WINDOWS_HU], dim=1)


def changed(hu: Array, rng: np.random.Generator) -> Array:
    """Another brightness, contrast and more noise; air, which a scanner is calibrated on, keeps its values."""
    shift = rng.uniform(-15, 15) if rng.random() < 0.3 else 0.0
    factor = rng.uniform(0.92, 1.08) if rng.random() < 0.3 else 1.0
    noise = rng.uniform(0, 15) if rng.random() < 0.3 else 0.0
    if shift or factor != 1:
        tissue = np.clip((hu - TISSUE_FROM_HU) / (TISSUE_ABOVE_HU - TISSUE_FROM_HU), 0, 1)
        hu = hu + tissue * ((hu - 50) * np.float32(factor - 1) + np.float32(shift))
    if noise:
        hu = hu + np.float32(noise) * rng.standard_normal(hu.shape, np.float32)
    return hu


class VolumeLesson:
    """Learning the network of places."""

    name = "volume"

    def __init__(self, walls: Walls) -> None:
        how = self.how = walls.volume
        self.rate: Rate = how.rate
        self.lasting = (how.channels, how.patch, how.batch, how.rate, how.loss, how.place, how.distance)
        self._seed = (walls.seed, zlib.crc32(self.name.encode()))
        torch.manual_seed(zlib.crc32(repr(self._seed).encode()))
        model = UNet3D(self.how.channels, len(WINDOWS_HU), len(ANSWERS))
        self.model = model.to(memory_format=torch.channels_last_3d)
        self._balance = sampling.Balance(self.how.loss.balance_steps)

    def heads_step(self, step: int) -> int:
        return step

    def state(self) -> dict[str, Any]:
        return {"wall": self._balance.wall, "hole": self._balance.hole}

    def restore(self, state: dict[str, Any]) -> None:
        self._balance.wall, self._balance.hole = state["wall"], state["hole"]

    def batch(self, step: int, heads: Sequence[Head]) -> tuple[Array, Array, Array]:
        """HU, label and distance in mm (n, d, h, w) of a step's patches."""
        rng = np.random.default_rng((*self._seed, step))
        patches = [self._patch(heads, rng) for _ in range(self.how.batch)]
        hu, label, distance = (np.stack([patch[part] for patch in patches]) for part in range(3))
        return hu, label, distance

    def _patch(self, heads: Sequence[Head], rng: np.random.Generator) -> tuple[Array, Array, Array]:
        kinds, shares = list(self.how.places), np.array(list(self.how.places.values()))
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        having = [head for head in heads if len(head.places.get(kind, ()))] or heads
        head = having[int(rng.integers(len(having)))]
        places = head.places.get(kind, ())
        at = places[int(rng.integers(len(places)))] if len(places) else rng.integers(head.hu.shape)
        box = []
        for length, middle in zip(head.hu.shape, at, strict=True):
            start = int(middle) + int(rng.integers(-self.how.offset, self.how.offset + 1)) - self.how.patch // 2
            start = min(max(start, 0), length - self.how.patch)
            box.append(slice(start, start + self.how.patch))
        mirror = (..., slice(None, None, -1 if rng.random() < 0.5 else 1))
        hu, label, distance = (array[tuple(box)][mirror] for array in (head.hu, head.label, head.distance))
        return changed(hu.astype(np.float32), rng), label, distance * np.float32(STORED_MM)

    def losses(self, step: int, heads: Sequence[Head]) -> dict[str, torch.Tensor]:
        hu, label, distance = self.batch(step, heads)
        bone = (label & FLAGS[BONE]) > 0
        weight, _ = loop.weights(label, bone, FLAGS, self.how.loss, self._balance)
        place = (label & FLAGS["place"]) > 0
        placed = np.where((label & FLAGS["ignore"]) > 0, 0, np.where(place, 2, 1)).astype(np.float32)
        with torch.autocast("cpu", torch.bfloat16):
            said = self.model(windowed(torch.from_numpy(hu))).float()
        parts = {}
        for number, (name, target, counts) in enumerate((
            (CORTICAL, (label & FLAGS[CORTICAL]) > 0, weight),
            (THIN, (label & FLAGS[THIN]) > 0, weight),
            ("place", place, placed),
        )):  # fmt: skip
            parts[name] = self._binary(said[:, number], torch.from_numpy(target).float(), torch.from_numpy(counts))
        parts["distance"] = _distance_loss(said[:, 3], torch.from_numpy(distance))
        own = (1.0, 1.0, self.how.place, self.how.distance)
        total = sum(share * loss for share, loss in zip(own, parts.values(), strict=True))
        return {"loss": total, **parts}

    def _binary(self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Weighted cross-entropy, and 1 - Dice over the batch."""
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        found = logits.sigmoid()
        hit = (found * target * weight).sum()
        both = (found * weight).sum() + (target * weight).sum()
        overlap = 1 - (hit + 1) / (both / 2 + 1)
        how = self.how.loss
        return how.cross_entropy * (entropy * weight).sum() / weight.sum().clamp_min(1) + how.overlap * overlap


def _distance_loss(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean deviation in mm, squared below 0.5 mm, where the wall is near."""
    near = true.abs() < min(DISTANCE_WITHIN_MM, REACH_MM)
    if not near.any():
        return (said * 0).sum()
    return nn.functional.smooth_l1_loss(said[near], true[near], beta=0.5)
