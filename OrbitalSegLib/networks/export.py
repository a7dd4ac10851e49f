"""Trained networks to a model package: safetensors and ONNX, proven equal to what was trained before it is written."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from OrbitalSegLib.files import whole, writing
from OrbitalSegLib.networks import onnx, package
from OrbitalSegLib.networks.engines import Engine
from OrbitalSegLib.networks.engines.openvino import OpenVinoEngine
from OrbitalSegLib.networks.engines.torch import TorchEngine, from_weights
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.networks.unet import UNet, folded, foreground

AGREEMENT = 1e-4
"""How far the probabilities of any two fp32 forms of one network may lie apart."""


class NotEqual(Exception):
    """A form of the network differs from what was trained: a bug, or weights beyond what fp32 can hold."""


def write_package(
    folder: Path, description: Mapping[str, Any], networks: Mapping[str, Mapping[str, torch.Tensor]], card: str = ""
) -> package.Package:
    """Write a package, whole or not at all, and return it as `package.read` finds it.

    `description` is `model.json` without `format`, `files` and, in each of its `networks`, `classes`, `safetensors`
    and `onnx`, which are filled in. `networks` are the state dictionaries of `UNet`, normalised or folded, by the same
    names. `card` becomes `card.md`. The same arguments give the same bytes. Raises `NotEqual`, `OutputError`
    (`exists`, ...) and, for a description that is not valid, `InputError` `bad-model`.
    """
    described, contents = dict(description), {"card.md": card.encode()} if card else {}
    described["networks"] = {}
    for name, entry in description["networks"].items():
        trained = _network(entry["channels"], networks[name])
        weights = {key: value.numpy() for key, value in folded(trained).state_dict().items()}
        graph = onnx.model(trained.channels, weights)
        _prove_equal(trained, weights, graph)
        contents |= {f"{name}.safetensors": save(weights), f"{name}.onnx": graph}
        files = {"classes": 2, "safetensors": f"{name}.safetensors", "onnx": f"{name}.onnx"}
        described["networks"][name] = {**entry, **files}
    described["format"] = package.FORMAT
    described["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(contents.items())
    }
    package.check(described)
    contents[package.DESCRIPTION] = json.dumps(described, indent=2, sort_keys=True, allow_nan=False).encode()
    with whole(folder) as temporary:
        with writing(temporary):
            temporary.mkdir()
            for name, content in contents.items():
                (temporary / name).write_bytes(content)
        package.read(temporary)
    return package.read(folder)


def _network(channels: Sequence[int], state: Mapping[str, torch.Tensor]) -> UNet:
    """The network of a state dictionary, ready for use."""
    model = UNet(channels, normalised=any(".normalisation." in name for name in state))
    model.load_state_dict(dict(state))
    return model.eval()


def _prove_equal(trained: UNet, weights: Weights, graph: bytes) -> None:
    """Compare what was trained, its folded weights and its ONNX graph, all in fp32. Raises `NotEqual`."""
    step = trained.stride
    fine = np.random.default_rng(0).integers(0, 256, (3, 4 * step, 2 * step), np.uint8)
    coarse = fine[:, ::step, ::step].repeat(step, axis=1).repeat(step, axis=2)
    slices = np.concatenate([fine, coarse])
    with torch.inference_mode():
        wanted = foreground(trained(torch.from_numpy(slices).float()[:, None] / 255)).numpy()
    engines: tuple[Engine, ...] = (
        TorchEngine(from_weights(trained.channels, weights), threads=1),
        OpenVinoEngine(graph, trained.stride, "fp32", threads=1),
    )
    for engine in engines:
        apart = float(np.abs(engine.probabilities(slices) - wanted).max())
        if not apart < AGREEMENT:
            raise NotEqual(f"Exported for {engine.name}, the network differs by {apart:g} in probability.")
