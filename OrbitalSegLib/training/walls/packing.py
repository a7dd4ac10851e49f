"""A training of walls to a package, proven equal to what was trained before it is written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from OrbitalSegLib.files import whole, writing
from OrbitalSegLib.networks import walls as package
from OrbitalSegLib.networks.engines.volumes import VolumeEngine
from OrbitalSegLib.networks.export import NotEqual
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.networks.sheet import Mixture
from OrbitalSegLib.networks.unet3d import folded
from OrbitalSegLib.networks.weights import rounded_to_bf16, write_bf16
from OrbitalSegLib.training.walls.asking import averaged
from OrbitalSegLib.training.walls.config import Walls
from OrbitalSegLib.training.walls.evidence import EvidenceLesson, Profiles
from OrbitalSegLib.training.walls.volume import VolumeLesson, windowed

AGREEMENT = 0.15
"""How far logits (or mm) of the package and of what was trained may lie apart at most: bf16 holds 3 digits."""


def write_package(
    folder: Path, walls: Walls, work: Path, mixture: Mixture, limits: Mapping[str, float], stated: Mapping[str, Any]
) -> package.WallPackage:
    """Write a package of a training's averaged weights, whole or not at all, and return it as `load` finds it.

    `stated` are `name`, `version`, `licence`, `intended_use`, `provenance` and `credits`. The same arguments give the
    same bytes. Raises `NotEqual`, `OutputError`, `InputError` `bad-model`.
    """
    volume, evidence = VolumeLesson(walls), EvidenceLesson(walls)
    steps = {"volume": averaged(work, volume), "evidence": averaged(work, evidence)}
    weights = {f"volume.{name}": one.numpy() for name, one in folded(volume.model).state_dict().items()}
    weights |= {f"profiles.{name}": one for name, one in folded_profiles(evidence.model).items()}
    data = write_bf16({name: rounded_to_bf16(one) for name, one in weights.items()})
    described = {
        "format": 1,
        **stated,
        "provenance": {**stated.get("provenance", {}), "steps": steps},
        "spacing_mm": 0.5,
        "windows_hu": [list(window) for window in package.WINDOWS_HU],
        "volume": {"channels": list(walls.volume.channels)},
        "profiles": {"bank": walls.evidence.bank, "hidden": list(walls.evidence.hidden)},
        "mixture": vars(mixture),
        "limits": dict(limits),
        "weights": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    with whole(folder) as temporary:
        with writing(temporary):
            temporary.mkdir()
            (temporary / package.WEIGHTS).write_bytes(data)
            text = json.dumps(described, indent=2, sort_keys=True, allow_nan=False)
            (temporary / package.DESCRIPTION).write_text(text + "\n", "utf-8")
        prove_equal(package.load(temporary), volume, evidence)
    return package.load(folder)


def folded_profiles(model: Profiles) -> Weights:
    """The weights of the network of profiles with its normalisation folded, as `networks.walls` names them."""
    bank, normal = model.bank, model.normalisation
    scale = normal.weight / torch.sqrt(normal.running_var + normal.eps)
    bias = bank.bias.repeat(len(scale) // len(bank.bias))
    found = {"bank.weight": bank.weight, "scale": scale, "shift": normal.bias + scale * (bias - normal.running_mean)}
    linear = [layer for layer in model.mix if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(linear):
        found |= {f"mix.{number}.weight": layer.weight, f"mix.{number}.bias": layer.bias}
    return {name: one.detach().numpy() for name, one in found.items()}


def prove_equal(found: package.WallPackage, volume: VolumeLesson, evidence: EvidenceLesson) -> None:
    """Compare a package in fp32 with what was trained, on noise, fine and coarse. Raises `NotEqual`."""
    rng = np.random.default_rng(0)
    side = 4 * package.volume_stride(found.channels)
    coarse = rng.normal(0, 400, [side // 8] * 3).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    hu = (coarse + rng.normal(0, 50, coarse.shape)).astype(np.float32)
    squares = (rng.normal(0, 300, (64, 5, 5, 1)) + rng.normal(0, 100, (64, 5, 5, 29))).astype(np.float32)
    with torch.inference_mode():
        wanted = volume.model(windowed(torch.from_numpy(hu[None])))[0].numpy()
        profiles = evidence.model(windowed(torch.from_numpy(squares))).numpy()
    answers = VolumeEngine(found.channels, found.of("volume"), "fp32", threads=1).answers(hu)
    for name, apart in (
        ("places", np.abs(answers - wanted)),
        ("profiles", np.abs(package.ProfileNetwork(found.of("profiles"))(squares) - profiles)),
    ):
        if not np.quantile(apart, 0.99) < AGREEMENT:
            raise NotEqual(f"The network of {name} in the package differs by {np.quantile(apart, 0.99):g}.")
