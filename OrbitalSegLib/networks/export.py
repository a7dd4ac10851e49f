"""Trained networks to a model package of safetensors, proven equal to what was trained before it is written.

The weights are rounded to what bf16 holds, once, here: an engine that calculates in bf16 rounds them in any case, and
that rounding was most of what set it apart from fp32 (docs/inference.md). This way all engines run one network.
"""

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
from OrbitalSegLib.networks.unet import UNet, folded, of_classes, rounded

AGREEMENT = 1e-4
"""How far the probabilities of any two fp32 forms of one network may lie apart."""


class NotEqual(Exception):
    """A form of the network differs from what was trained: a bug, or weights beyond what fp32 can hold."""


def write_package(
    folder: Path, description: Mapping[str, Any], networks: Mapping[str, Mapping[str, torch.Tensor]], card: str = ""
) -> package.Package:
    """Write a package, whole or not at all, and return it as `package.read` finds it.

    `description` is `model.json` without `format`, `files` and, in each of its `networks`, `safetensors`, which
    are filled in; so is `classes` where it is no list of them. `networks` are the state dictionaries of
    `UNet`, normalised or folded, by the same names. `card` becomes `card.md`. The same arguments give the same bytes.
    Raises `NotEqual`, `OutputError` (`exists`, ...) and, for a description that is not valid, `InputError` `bad-model`.
    """
    described, contents = dict(description), {"card.md": card.encode()} if card else {}
    described["networks"] = {}
    for name, entry in description["networks"].items():
        classes = entry.get("classes", 2)
        trained = _network(entry["channels"], networks[name])
        shipped = rounded(_folded(trained))
        weights = {key: value.numpy() for key, value in shipped.state_dict().items()}
        _prove_equal(shipped, weights)
        contents[f"{name}.safetensors"] = save(weights)
        described["networks"][name] = {**entry, "classes": classes, "safetensors": f"{name}.safetensors"}
    lists = any(isinstance(entry["classes"], list) for entry in described["networks"].values())
    described["format"] = package.LISTS_CLASSES if lists else 1
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
    model = UNet(channels, len(state["head.bias"]), normalised=any(".normalisation." in name for name in state))
    model.load_state_dict(dict(state))
    return model.eval()


def _folded(trained: UNet) -> UNet:
    """The network with its normalisation folded, compared with what was trained. Raises `NotEqual`."""
    copy = folded(trained)
    slices = torch.from_numpy(_slices(trained.stride)).float()[:, None] / 255
    with torch.inference_mode():
        _compare("folded", of_classes(copy(slices)).numpy(), of_classes(trained(slices)).numpy())
    return copy


def _prove_equal(network: UNet, weights: Weights) -> None:
    """Compare a network, its weights and the ONNX graph that they make, all in fp32. Raises `NotEqual`."""
    slices = _slices(network.stride)
    with torch.inference_mode():
        wanted = of_classes(network(torch.from_numpy(slices).float()[:, None] / 255)).numpy()
    engines: tuple[Engine, ...] = (
        TorchEngine(from_weights(network.channels, weights), threads=1),
        OpenVinoEngine(onnx.model(network.channels, weights), network.stride, "fp32", threads=1),
    )
    for engine in engines:
        found = engine.probabilities(slices).reshape(wanted.shape)
        _compare(f"exported for {engine.name}", found, wanted)


def _slices(step: int) -> np.ndarray:
    """Noise, fine and coarse, (6, 4 * step, 2 * step)."""
    fine = np.random.default_rng(0).integers(0, 256, (3, 4 * step, 2 * step), np.uint8)
    return np.concatenate([fine, fine[:, ::step, ::step].repeat(step, axis=1).repeat(step, axis=2)])


def _compare(form: str, found: np.ndarray, wanted: np.ndarray) -> None:
    apart = float(np.abs(found - wanted).max())
    if not apart < AGREEMENT:
        raise NotEqual(f"The network, {form}, differs by {apart:g} in probability.")
