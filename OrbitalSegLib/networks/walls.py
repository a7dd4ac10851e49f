"""The package of wall networks: a folder with `walls.json` and `walls.safetensors`, checked as other packages are.

It holds two networks, one 3D network of places and one of profiles, what they count together, and limits. Weights are
in bf16.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks import schema, weights
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.networks.package import DESCRIPTION_BYTES, SHIPPED, bad_model, parsed, read_file
from OrbitalSegLib.networks.sheet import PROFILE_ANSWERS, Mixture
from OrbitalSegLib.networks.unrolling import SAMPLES, SIDE
from OrbitalSegLib.structures import CORTICAL, THIN

DESCRIPTION, WEIGHTS = "walls.json", "walls.safetensors"
DEFAULT = "orbital-bone-2"

PLACE, DISTANCE = "place", "distance"
ANSWERS = (CORTICAL, THIN, PLACE, DISTANCE)
"""What the network of places says of a voxel: three logits, and mm from the wall's mid-surface, negative in the
orbit."""

WINDOWS_HU = ((-200.0, 300.0), (-1024.0, 600.0))
"""The input channels, each scaled from 0 to 1 and clipped: the evidence of thin walls, and air against everything."""

BLOCK = 2
CORNERS = BLOCK**3
"""Voxels of a block, which become channels at half the resolution."""


@dataclass(frozen=True)
class VolumeLayer:
    """One convolution of the network of places: `name` as in the weights."""

    name: str
    inputs: int
    outputs: int
    side: int = 3
    stride: int = 1


def encoder(channels: Sequence[int]) -> Iterator[tuple[VolumeLayer, VolumeLayer]]:
    """The two convolutions of each level on the way down, from blocks."""
    before = (CORNERS * len(WINDOWS_HU), *channels[:-1])
    for level, (a, b) in enumerate(zip(before, channels, strict=True)):
        name = f"encoder.{level}"
        first = VolumeLayer(f"{name}.0.convolution", a, b, stride=1 if level == 0 else 2)
        yield first, VolumeLayer(f"{name}.1.convolution", b, b)


def decoder(channels: Sequence[int]) -> Iterator[tuple[VolumeLayer, VolumeLayer, VolumeLayer]]:
    """What reduces the level below, and the two convolutions after that is joined, from blocks too."""
    for level, (own, below) in enumerate(pairwise(channels)):
        name = f"decoder.{level}"
        yield (
            VolumeLayer(f"reduce.{level}", below, own, side=1),
            VolumeLayer(f"{name}.0.convolution", 2 * own, own),
            VolumeLayer(f"{name}.1.convolution", own, own),
        )


def head(channels: Sequence[int]) -> VolumeLayer:
    """The last convolution, to the answers of each voxel of a block."""
    return VolumeLayer("head", channels[0], CORNERS * len(ANSWERS))


def volume_stride(channels: Sequence[int]) -> int:
    """What the lengths of a volume must be multiples of, in voxels."""
    return int(BLOCK * 2 ** (len(channels) - 1))


def shapes(channels: Sequence[int], bank: int, hidden: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of a package: of the folded network of places, and of that of profiles."""
    found: dict[str, tuple[int, ...]] = {}
    layers = [layer for level in (*encoder(channels), *decoder(channels)) for layer in level]
    for layer in (*layers, head(channels)):
        found[f"volume.{layer.name}.weight"] = (layer.outputs, layer.inputs, *[layer.side] * 3)
        found[f"volume.{layer.name}.bias"] = (layer.outputs,)
    found["profiles.bank.weight"] = (bank, len(WINDOWS_HU) * SAMPLES)
    found["profiles.scale"] = found["profiles.shift"] = (SIDE * SIDE * bank,)
    for number, (a, b) in enumerate(pairwise((SIDE * SIDE * bank, *hidden, PROFILE_ANSWERS))):
        found[f"profiles.mix.{number}.weight"], found[f"profiles.mix.{number}.bias"] = (b, a), (b,)
    return found


@dataclass(frozen=True)
class WallPackage:
    """A package that was checked. What the fields mean stands in `walls.schema.json`."""

    sha256: str
    name: str
    version: str
    licence: str
    channels: tuple[int, ...]
    mixture: Mixture
    seen_above: float
    inferred_above: float
    gap_above: float
    weights: Weights

    def of(self, network: str) -> Weights:
        """The weights of one of the networks, `volume` or `profiles`."""
        start = f"{network}."
        return {name.removeprefix(start): one for name, one in self.weights.items() if name.startswith(start)}

    def inferred_above_of(self, field: str) -> float | None:
        """The limit of wall that a field infers; None where it infers none."""
        return self.inferred_above if field == THIN else None

    def describe(self) -> dict[str, Any]:
        """What the record says of it."""
        return {"name": self.name, "version": self.version, "licence": self.licence, "sha256": self.sha256}


def folder_of(model: str | Path | None = None) -> Path:
    """Where the package of that name or folder lies; None: the shipped one. Raises `no-model`, `no-such-model`."""
    shipped = {path.parent.name: path.parent for path in SHIPPED.glob(f"*/{DESCRIPTION}")}
    if model is None:
        if DEFAULT not in shipped:
            raise InputError(
                "no-model", "No package of wall networks comes with this installation: name the folder of one."
            )
        return shipped[DEFAULT]
    folder = shipped.get(str(model), Path(model))
    if not (folder / DESCRIPTION).is_file():
        raise InputError(
            "no-such-model",
            f"No package of wall networks is there, which has a file {DESCRIPTION}: name the folder of one, or choose "
            "another method.",
        )
    return folder


def is_one(model: str | Path) -> bool:
    """Whether a package of that name or folder is one of wall networks."""
    return (SHIPPED / str(model) / DESCRIPTION).is_file() or (Path(model) / DESCRIPTION).is_file()


def load(model: str | Path | None = None) -> WallPackage:
    """The package of that name or folder, whole and checked. Raises as `folder_of`, and `InputError` `bad-model`."""
    folder = folder_of(model)
    content = read_file(folder / DESCRIPTION, DESCRIPTION, DESCRIPTION_BYTES)
    said = parsed(content)
    found = schema.problem(said, _schema())
    if not found and not said["limits"]["inferred_above"] < said["limits"]["seen_above"]:
        found = "limits.inferred_above must be below seen_above"
    if found:
        raise bad_model(f"The model package's description is not valid: {found}")
    data = read_file(folder / WEIGHTS, WEIGHTS, said["weights"]["bytes"])
    if hashlib.sha256(data).hexdigest() != said["weights"]["sha256"]:
        raise bad_model(f"{WEIGHTS} of the model package is damaged: its SHA256 is not the one described")
    channels = tuple(int(count) for count in said["volume"]["channels"])
    hidden = [int(count) for count in said["profiles"]["hidden"]]
    try:
        values = weights.read(data, shapes(channels, int(said["profiles"]["bank"]), hidden), "BF16")
    except weights.BadWeights as error:
        raise bad_model(f"The weights in {WEIGHTS} of the model package {error}") from error
    named = {key: said[key] for key in ("name", "version", "licence")}
    sha256 = hashlib.sha256(content).hexdigest()
    return WallPackage(
        sha256, **named, channels=channels, mixture=Mixture(**said["mixture"]), **said["limits"], weights=values
    )


@cache
def _schema() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "walls.schema.json").read_text(encoding="utf-8"))


def windowed(hu: NDArray) -> NDArray[np.float32]:
    """HU of any shape as `WINDOWS_HU` says, on a new second axis."""
    values = hu.astype(np.float32)
    return np.stack([np.clip((values - low) / (high - low), 0, 1) for low, high in WINDOWS_HU], axis=1)


class ProfileNetwork:
    """The network of profiles, in numpy."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __call__(self, squares: NDArray) -> NDArray[np.float32]:
        """What `sheet.Asked` says, of squares in HU (n, 5, 5, 29)."""
        n = len(squares)
        lines = windowed(squares).transpose(0, 2, 3, 1, 4).reshape(n * SIDE * SIDE, -1)
        filtered = (lines @ self._weights["bank.weight"].T).reshape(n, -1)
        features = np.maximum(filtered * self._weights["scale"] + self._weights["shift"], 0)
        layers = sum(name.endswith(".bias") for name in self._weights)
        for number in range(layers):
            features = features @ self._weights[f"mix.{number}.weight"].T + self._weights[f"mix.{number}.bias"]
            features = np.maximum(features, 0) if number < layers - 1 else features
        return features
