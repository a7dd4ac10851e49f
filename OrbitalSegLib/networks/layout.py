"""How the U-Net is built and what its weights are called, for engines that have no torch.

The layers are those of `unet.folded`; a test holds the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Weights = dict[str, np.ndarray]
"""The weights of a folded network by name, float32."""


@dataclass(frozen=True)
class Layer:
    """One 3 x 3 convolution: `name` as in the weights, and how many features go in and come out."""

    name: str
    inputs: int
    outputs: int


def encoder(channels: Sequence[int]) -> Iterator[tuple[Layer, Layer]]:
    """The two convolutions of each level on the way down, from full resolution."""
    for level, (before, own) in enumerate(zip((1, *channels[:-1]), channels, strict=True)):
        yield _level(f"encoder.{level}", before, own)


def decoder(channels: Sequence[int]) -> Iterator[tuple[Layer, Layer]]:
    """The two convolutions of each level on the way up, from full resolution too, the coarsest level left out."""
    for level, (own, below) in enumerate(pairwise(channels)):
        yield _level(f"decoder.{level}", below + own, own)


def _level(name: str, inputs: int, outputs: int) -> tuple[Layer, Layer]:
    return (
        Layer(f"{name}.0.convolution", inputs, outputs),
        Layer(f"{name}.1.convolution", outputs, outputs),
    )


def shapes(channels: Sequence[int], classes: int) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of a folded network."""
    found: dict[str, tuple[int, ...]] = {}
    for level in (*encoder(channels), *decoder(channels)):
        for layer in level:
            found[f"{layer.name}.weight"] = (layer.outputs, layer.inputs, 3, 3)
            found[f"{layer.name}.bias"] = (layer.outputs,)
    found["head.weight"] = (classes, channels[0], 1, 1)
    found["head.bias"] = (classes,)
    return found


def stride(channels: Sequence[int]) -> int:
    """What height and width must be multiples of: the size of one pixel of the coarsest level."""
    return 2 ** (len(channels) - 1)
