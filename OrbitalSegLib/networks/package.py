"""Model packages: a folder with `model.json` and weights, of which nothing is believed before it is checked.

Loading runs no code from a package: `model.json` is JSON held against `model.schema.json`, weights are safetensors
with the names and shapes that the description demands, and the graph that an engine gets is made here of these
weights. Only plain files that the description lists are opened, each no larger than it says. A package is a folder and
never an archive, so nothing is unpacked.
"""

import hashlib
import json
import math
import stat
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks import layout, onnx, schema, weights
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.structures import STRUCTURES, Structure, described

FORMAT = 2
"""The newest format that this version reads."""

LISTS_CLASSES = 2
"""The first format in which a network may have a list of classes."""

DESCRIPTION = "model.json"
DESCRIPTION_BYTES = 1 << 20
"""A description longer than this is none."""

SHIPPED = Path(__file__).parents[1] / "models"
"""Where the packages that come with the library lie."""

DEFAULT = "orbital-bone-1"


@dataclass(frozen=True)
class Calibration:
    """What makes a mean of probabilities a probability again: `slope * logit + offset`."""

    slope: float
    offset: float

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32, of uncalibrated ones of any shape."""
        certain = np.finfo(np.float32).eps
        clipped = np.clip(np.asarray(probability, np.float32), certain, 1 - certain)
        logit = np.log(clipped / (1 - clipped)).astype(np.float64)
        return (0.5 + 0.5 * np.tanh(0.5 * (self.slope * logit + self.offset))).astype(np.float32)


@dataclass(frozen=True)
class Network:
    """One network of a package. Thresholds hold for the calibrated mean probability of the planes."""

    name: str
    channels: tuple[int, ...]
    structures: tuple[Structure, ...]
    """What its channels after the first, the background's, are."""
    fields: tuple[str, ...]
    """What their probabilities are called: as the classes where the package lists them, else as the network."""
    safetensors: str
    seen_above: float
    inferred_above: float | None
    """Below `seen_above`; None where this network infers nothing."""
    calibration: Calibration
    above: dict[str, float]
    """By field its limit: `seen_above`, unless the class states its own."""

    @property
    def classes(self) -> int:
        """Channels, with that of the background."""
        return 1 + len(self.structures)

    @property
    def named(self) -> list[tuple[str, Structure]]:
        """Each of `fields` with what it is."""
        return list(zip(self.fields, self.structures, strict=True))


@dataclass(frozen=True)
class File:
    """What a file of a package must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Package:
    """A package that was checked. What the fields mean stands in `model.schema.json`."""

    folder: Path
    sha256: str
    """Of `model.json`, which holds that of every other file: it names the package's content."""
    name: str
    version: str
    licence: str
    intended_use: str
    window_hu: tuple[float, float]
    quantised: bool
    spacing_mm: float
    planes: tuple[str, ...]
    networks: dict[str, Network]
    provenance: dict[str, Any]
    performance: dict[str, Any]
    credits: tuple[str, ...]
    files: dict[str, File]

    @property
    def structures(self) -> dict[str, Structure]:
        """What its networks find, by name."""
        return {one.name: one for network in self.networks.values() for one in network.structures}

    def weights(self, network: str) -> Weights:
        """One network's weights, read and checked anew. Raises `InputError` `bad-model`."""
        item = self.networks[network]
        try:
            return weights.read(self._read(item.safetensors), layout.shapes(item.channels, item.classes))
        except weights.BadWeights as error:
            raise bad_model(f"The weights in {item.safetensors} of the model package {error}") from error

    def onnx(self, network: str) -> bytes:
        """One network as ONNX, made of its weights, read and checked anew. Raises `InputError` `bad-model`."""
        return onnx.model(self.networks[network].channels, self.weights(network))

    def inferred_above_of(self, field: str) -> float | None:
        """The limit of wall that a field infers; None where it infers none."""
        return next((one.inferred_above for one in self.networks.values() if field in one.fields), None)

    def describe(self) -> dict[str, Any]:
        """What the record says of it."""
        return {"name": self.name, "version": self.version, "licence": self.licence, "sha256": self.sha256}

    def _read(self, name: str) -> bytes:
        content = read_file(self.folder / name, name, self.files[name].bytes)
        if len(content) != self.files[name].bytes:
            raise bad_model(f"{name} of the model package has not the size that its description says")
        if hashlib.sha256(content).hexdigest() != self.files[name].sha256:
            raise bad_model(f"{name} of the model package is damaged: its SHA256 is not the one described")
        return content


def bad_model(what: str) -> InputError:
    """The refusal of a package, with what there is to do.

    Parameters
    ----------
    what
        What is wrong: the beginning of a sentence.

    Returns
    -------
    error
        `InputError` `bad-model`, to be raised.
    """
    return InputError("bad-model", f"{what}; get the package again from where it came, or choose another.")


def models() -> dict[str, Path]:
    """The packages that come with the library, by name.

    Returns
    -------
    folders
        By name; none where the installation has none.
    """
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob(f"*/{DESCRIPTION}"))}


def load_package(model: str | Path | None = None) -> Package:
    """A model package, whole and checked: format, hashes and weights [3532-2 10].

    Parameters
    ----------
    model
        A folder, or the name of a shipped package; None is the shipped one.

    Returns
    -------
    package
        Its weights are read from their files where they are asked for.

    Raises
    ------
    InputError
        `no-model` (none is shipped), `no-such-model`, `bad-model`.
    """
    return read(folder_of(model))


def network_names(model: str | Path | None = None) -> tuple[str, ...]:
    """What the networks of a package are called, by its description alone.

    Parameters
    ----------
    model
        A folder, or the name of a shipped package; None is the shipped one.

    Returns
    -------
    names
        In the package's order.

    Raises
    ------
    InputError
        `no-model` (none is shipped), `no-such-model`, `bad-model`.
    """
    return tuple(_described(folder_of(model)).networks)


def structures_of(model: str | Path | None = None) -> dict[str, Structure]:
    """What the networks of a package find, by its description alone.

    Parameters
    ----------
    model
        A folder, or the name of a shipped package; None is the shipped one.

    Returns
    -------
    structures
        By name.

    Raises
    ------
    InputError
        `no-model` (none is shipped), `no-such-model`, `bad-model`.
    """
    return _described(folder_of(model)).structures


def folder_of(model: str | Path | None = None) -> Path:
    """Where a package lies.

    Parameters
    ----------
    model
        A folder, or the name of a shipped package; None is the shipped one.

    Returns
    -------
    folder
        It is there, and is one.

    Raises
    ------
    InputError
        `no-model` or `no-such-model`.
    """
    shipped = models()
    if model is None:
        if DEFAULT not in shipped:
            raise InputError("no-model", "No model package comes with this installation: name the folder of one.")
        return shipped[DEFAULT]
    if str(model) in shipped:
        return shipped[str(model)]
    try:
        mode = Path(model).stat().st_mode
    except (OSError, ValueError) as error:
        known = ", ".join(shipped) or "none"
        raise InputError(
            "no-such-model", f"No model package is there: name the folder of one, or one that is shipped ({known})."
        ) from error
    if not stat.S_ISDIR(mode):
        raise InputError("no-such-model", "A model package is a folder: unpack an archive first, and name the folder.")
    return Path(model)


def read(folder: Path) -> Package:
    """The package in a folder, with every file of it checked.

    Parameters
    ----------
    folder
        With `model.json` in it.

    Returns
    -------
    package
        As `load_package`.

    Raises
    ------
    InputError
        `bad-model`.
    """
    package = _described(folder)
    for name in package.files:
        package._read(name)
    for name in package.networks:
        package.weights(name)
    return package


def _described(folder: Path) -> Package:
    """The package of a folder, of which only the description was checked."""
    content = read_file(folder / DESCRIPTION, DESCRIPTION, DESCRIPTION_BYTES)
    return _package(folder, hashlib.sha256(content).hexdigest(), parsed(content))


def check(description: Any) -> None:
    """Hold a description against the schema and what a schema cannot say.

    Parameters
    ----------
    description
        `model.json`, decoded.

    Raises
    ------
    InputError
        `bad-model`: the first thing that is wrong.
    """
    stated = description.get("format") if isinstance(description, dict) else None
    if isinstance(stated, int | float) and stated > FORMAT:
        raise InputError(
            "bad-model",
            f"The model package is newer than this program, which reads format {FORMAT}: update the program.",
        )
    found = schema.problem(description, _schema()) or _contradiction(description)
    if found:
        raise bad_model(f"The model package's description is not valid: {found}")


@cache
def _schema() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "model.schema.json").read_text(encoding="utf-8"))


def _contradiction(description: dict[str, Any]) -> str | None:
    """What is wrong in a description that the schema lets pass, or None."""
    low, high = description["window_hu"]
    if low >= high:
        return "window_hu must rise"
    wrong = _wrong_class(description)
    if wrong:
        return wrong
    used = [item["safetensors"] for item in description["networks"].values()]
    if len(set(used)) < len(used):
        return "two entries of networks use one file"
    for name, item in description["networks"].items():
        if not item["safetensors"].endswith(".safetensors"):
            return f"networks.{name}.safetensors is a file of another kind"
        if item["safetensors"] not in description["files"]:
            return f"networks.{name}.safetensors is not listed in files"
        if item["inferred_above"] is not None and item["inferred_above"] >= item["seen_above"]:
            return f"networks.{name}.inferred_above must be below seen_above"
    return None


def _wrong_class(description: dict[str, Any]) -> str | None:
    """What is wrong in the classes of networks, or None."""
    listed = [name for name, item in description["networks"].items() if isinstance(item["classes"], list)]
    if listed and description["format"] < LISTS_CLASSES:
        return f"networks.{listed[0]}.classes is a list, which format {LISTS_CLASSES} has"
    names = [one.name for found in _structures(description["networks"]).values() for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        return f"two classes of networks are the structure {twice}"
    for network in listed:
        for item in description["networks"][network]["classes"]:
            if item.get("touches", item["name"]) not in names or item.get("touches") == item["name"]:
                return f"networks.{network}.classes has {item['name']}, which touches no other class of the package"
            known = STRUCTURES.get(item["name"])
            if known is not None and item.get("kind", known.kind) != known.kind:
                return f"networks.{network}.classes has {known.name}, which is of the kind {known.kind}"
            if known is not None and known.kind == "inferred":
                return f"networks.{network}.classes has {known.name}, which no network sees"
    return None


def _structures(networks: dict[str, Any]) -> dict[str, tuple[Structure, ...]]:
    """What the classes of each network are: rows of the library's table, or as the package describes them."""
    found: dict[str, tuple[Structure, ...]] = {}
    number = count()
    for network, item in networks.items():
        listed = item["classes"] if isinstance(item["classes"], list) else [{"name": network}]
        found[network] = tuple(_structure(number=next(number), **one) for one in listed)
    return found


def _structure(above: float | None = None, **said: Any) -> Structure:  # noqa: ARG001 - it is no part of a structure
    return described(**said)


def read_file(path: Path, name: str, most: int) -> bytes:
    """The content of a plain file, `most` bytes and one at most.

    Parameters
    ----------
    path
        The file.
    name
        What a sentence calls it.
    most
        Bytes.

    Returns
    -------
    content
        Longer than `most` by one byte at the most.

    Raises
    ------
    InputError
        `bad-model` where it is missing, no plain file, or larger.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise bad_model(f"{name} of the model package is not a plain file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise bad_model(f"{name} of the model package is missing or cannot be read") from error
    if len(content) > most:
        raise bad_model(f"{name} of the model package is larger than it may be")
    return content


def parsed(content: bytes) -> Any:
    """The description's JSON, in which no key stands twice and every number is one.

    Parameters
    ----------
    content
        UTF-8.

    Returns
    -------
    description
        As JSON gives it.

    Raises
    ------
    InputError
        `bad-model`.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice")
        return found

    def finite(text: str) -> float:
        if not math.isfinite(float(text)):
            raise ValueError("a number is too large")
        return float(text)

    try:
        return json.loads(content.decode(), object_pairs_hook=once, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise bad_model(f"{DESCRIPTION} of the model package cannot be understood") from error


def _package(folder: Path, sha256: str, description: Any) -> Package:
    """The description as a package, checked."""
    check(description)
    fields = {key: value for key, value in description.items() if key != "format"}
    low, high = fields["window_hu"]
    fields["window_hu"] = (float(low), float(high))
    fields["planes"] = tuple(fields["planes"])
    fields["credits"] = tuple(fields["credits"])
    fields["files"] = {name: File(int(item["bytes"]), item["sha256"]) for name, item in fields["files"].items()}
    found = _structures(fields["networks"])
    fields["networks"] = {name: _network(name, item, found[name]) for name, item in fields["networks"].items()}
    return Package(folder=folder, sha256=sha256, **fields)


def _network(name: str, item: dict[str, Any], structures: tuple[Structure, ...]) -> Network:
    fields = {key: value for key, value in item.items() if key != "classes"}
    listed = isinstance(item["classes"], list)
    classes = item["classes"] if listed else [{"name": name}]
    fields["fields"] = tuple(one["name"] for one in classes)
    fields["above"] = {one["name"]: one.get("above", item["seen_above"]) for one in classes}
    fields["channels"] = tuple(int(count) for count in item["channels"])
    fields["calibration"] = Calibration(**item["calibration"])
    return Network(name=name, structures=structures, **fields)
