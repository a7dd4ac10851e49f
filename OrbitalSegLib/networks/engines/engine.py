"""What runs a network: one small protocol, and the slices' way in and out that all engines share."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

BATCH = 4
"""Slices at a time on a processor: more gains nothing (measured)."""

CARD_BATCH = 16
"""Slices at a time on a graphics card."""


class Engine(Protocol):
    """A network that is ready to run. Its fields go into the record."""

    @property
    def name(self) -> str:
        """`openvino` or `torch`."""

    @property
    def precision(self) -> str:
        """`fp32` or `bf16`: in what it calculates."""

    @property
    def device(self) -> str:
        """`cpu`, `cuda` or `mps`."""

    @property
    def threads(self) -> int:
        """Threads on the processor; part of what makes the same bits."""

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        """Foreground probability, float32 (n, h, w), of slices (n, h, w) of any size.

        Of a network of several classes the probability of each, (n, classes, h, w), without that of the background.
        The slices are the window as 8 bits (uint8, 0 to 255), or not quantised (float32, 0 to 1). Inside they are
        padded to the network's stride by repeating their edge. A slice's result does not depend on its neighbours.
        """


def batches(slices: np.ndarray, stride: int, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Give which slices, and these as float32 (size, 1, H, W), 0 to 1, padded to the stride.

    Every batch has `size` slices, the last one filled with zeros: one shape, so that an engine calculates each slice
    in the same way wherever it stands.
    """
    count, height, width = slices.shape
    scale = np.float32(1 / 255 if slices.dtype == np.uint8 else 1)
    edge = ((0, 0), (0, -height % stride), (0, -width % stride))
    for start in range(0, count, size):
        which = slice(start, min(start + size, count))
        part = np.pad(slices[which], edge, mode="edge").astype(np.float32) * scale
        batch = np.zeros((size, 1, *part.shape[1:]), np.float32)
        batch[: len(part), 0] = part
        yield which, batch
