"""The 3D network of places in OpenVINO, on the processor: built from its weights, with no file between."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.networks.engines.openvino import TYPES
from OrbitalSegLib.networks.engines.quiet import openvino, ops
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.networks.walls import (
    ANSWERS,
    BLOCK,
    WINDOWS_HU,
    VolumeLayer,
    decoder,
    encoder,
    head,
    volume_stride,
    windowed,
)


class VolumeEngine:
    """The network of places, compiled for volumes of any size."""

    name = "openvino"
    device = "cpu"

    def __init__(self, channels: Sequence[int], weights: Weights, precision: str, threads: int) -> None:
        self.precision, self.threads = precision, threads
        self._stride = volume_stride(channels)
        options = {
            "INFERENCE_PRECISION_HINT": TYPES[precision],
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = openvino.Core().compile_model(_graph(channels, weights), "CPU", options)

    def answers(self, hu: NDArray) -> NDArray[np.float32]:
        """`ANSWERS` (4, d, h, w) of HU (d, h, w): three logits and mm. Beyond the volume is what lies at its border."""
        padded = np.pad(hu, [(0, -length % self._stride) for length in hu.shape], mode="edge")
        found = _from_blocks(self._compiled({0: _to_blocks(padded)})[0][0])
        d, h, w = hu.shape
        return found[:, :d, :h, :w]


def _to_blocks(hu: NDArray) -> NDArray[np.float32]:
    """HU (d, h, w) to what the network sees (1, 8 windows, d / 2, h / 2, w / 2), with no copy of it all between."""
    size = [length // BLOCK for length in hu.shape]
    found = np.empty((len(WINDOWS_HU), *[BLOCK] * 3, *size), np.float32)
    for z, y, x in product(range(BLOCK), repeat=3):
        found[:, z, y, x] = windowed(hu[None, z::BLOCK, y::BLOCK, x::BLOCK])[0]
    return found.reshape(1, -1, *size)


def _from_blocks(blocks: NDArray) -> NDArray[np.float32]:
    """(8 c, d, h, w) to (c, 2 d, 2 h, 2 w)."""
    _, d, h, w = blocks.shape
    parts = blocks.reshape(len(ANSWERS), BLOCK, BLOCK, BLOCK, d, h, w).transpose(0, 4, 1, 5, 2, 6, 3)
    return np.ascontiguousarray(parts).reshape(len(ANSWERS), BLOCK * d, BLOCK * h, BLOCK * w)


def _graph(channels: Sequence[int], weights: Weights) -> openvino.Model:
    def convolved(features: openvino.Node, layer: VolumeLayer, *, rectified: bool = True) -> openvino.Node:
        side = [layer.side // 2] * 3
        kernel = ops.constant(weights[f"{layer.name}.weight"])
        found = ops.convolution(features, kernel, [layer.stride] * 3, side, side, [1] * 3)
        found = ops.add(found, ops.constant(weights[f"{layer.name}.bias"].reshape(1, -1, 1, 1, 1)))
        return ops.relu(found) if rectified else found

    levels = list(encoder(channels))
    blocks = ops.parameter([1, levels[0][0].inputs, -1, -1, -1], np.float32)
    features, skips = blocks, []
    for layers in levels:
        for layer in layers:
            features = convolved(features, layer)
        skips.append(features)
    for (reduce, *layers), skip in reversed(list(zip(decoder(channels), skips[:-1], strict=True))):
        features = ops.interpolate(
            convolved(features, reduce, rectified=False),
            ops.constant(np.array([2, 2, 2], np.float32)),
            "nearest",
            "scales",
            axes=ops.constant(np.array([2, 3, 4])),
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        features = ops.concat([features, skip], 1)
        for layer in layers:
            features = convolved(features, layer)
    return openvino.Model([convolved(features, head(channels), rectified=False)], [blocks], "places")


def has_bf16() -> bool:
    """Whether the processor calculates in bf16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
