"""What a training is: the numbers of one TOML file, each with a name, a unit and a default."""

import dataclasses
import re
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.structures import BONE, KINDS


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the steps: linear warm-up, hold, cosine; or a factor every few epochs [Ekman]."""

    learning_rate: float = 1e-3
    warm_up_steps: int = 200
    hold_share: float = 0.3  # of all steps at the full rate before the cosine begins
    final_share: float = 0.01  # of the rate, reached at the last step
    decay_factor: float = 1.0  # multiplied on every `decay_epochs`; 1: never
    decay_epochs: int = 5
    cosine: bool = True


@dataclass(frozen=True)
class Optimiser:
    """Adam [3532-2 D.3; Ekman, table 2]."""

    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # L2
    gradient_limit: float = 0.0  # of the gradient's L2 norm; 0: none


@dataclass(frozen=True)
class Loss:
    """Cross-entropy and overlap, each voxel with a weight.

    `missed` and `extra` are Tversky's weights of false negatives and false positives: a half each is Dice. Near the
    walls the holes weigh so much that intact wall and hole count as `hole_share` says; `wall` is what both weigh
    together, for each voxel, as a multiple of any other voxel.
    """

    cross_entropy: float = 1.0
    overlap: float = 1.0
    missed: float = 0.5
    extra: float = 0.5
    wall: float = 1.0
    hole_share: float = 0.0  # 0: holes weigh as any other voxel
    hole_limit: float = 8.0  # what a hole's voxel weighs at most, as a multiple of a wall's
    balance_steps: int = 200  # over how many steps wall and hole voxels are counted


@dataclass(frozen=True)
class Sampling:
    """Where patches are centred: shares by place (a flag of the label, or `anywhere`)."""

    places: dict[str, float] = field(default_factory=lambda: {"anywhere": 1.0})
    offset: int = 40  # pixels that the centre may be away from the place, each way


@dataclass(frozen=True)
class Named:
    """What a package says of a class; what is empty is made of the class's name (`structures.described`)."""

    title: str = ""  # for people
    colour: tuple[float, ...] = ()  # red, green, blue, from 0 to 1
    code: tuple[str, ...] = ()  # SNOMED CT as DICOM has it: value, scheme, meaning
    kind: str = ""  # seen (bone), cavity, gap, soft tissue
    like: str = ""  # a row of `STRUCTURES_OF_EKMAN`, of which all that is left out here is taken
    above: float = 0.0  # the limit of its probability; 0: as the cases ask for
    keep_largest: int = 0  # objects; 0: all of them
    touches: str = ""  # another class that each of its objects must touch

    @property
    def said(self) -> dict[str, typing.Any]:
        """What a package says of it: all that is not empty."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if value and name != "like"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


MIRRORS = ("mirror_left_right", "mirror_horizontal", "mirror_vertical", "transpose")
"""Augmentations that exchange left and right, up and down, or two axes."""


@dataclass(frozen=True)
class Preset:
    """What Ekman et al. found best for a structure."""

    named: Named
    forbidden: tuple[str, ...] = ()
    """Augmentations that it does not bear."""


STRUCTURES_OF_EKMAN = {
    "orbit": Preset(Named(kind="seen", above=0.125, keep_largest=1)),
    "eyes": Preset(Named(kind="soft tissue", code=("81745001", "SCT", "Eye"), above=0.125, keep_largest=2)),
    "mandible": Preset(
        Named(kind="seen", code=("91609006", "SCT", "Mandible"), above=0.5, keep_largest=1), forbidden=MIRRORS
    ),
    "cranium": Preset(Named(kind="seen", above=0.5, keep_largest=1)),
    "skeleton": Preset(Named(kind="seen", above=0.5)),
}
"""Of each structure its limit of probability, its number of objects, and what it does not bear [Ekman, tables 1, 4]."""


@dataclass(frozen=True)
class Training:
    """One training: the networks that a data set gives, and how each is trained."""

    name: str
    networks: dict[str, tuple[str, ...]]  # of each network its classes without background, as flags of the label
    labels: dict[str, int] = field(default_factory=lambda: {BONE: 1})  # class -> its value in imported label files
    structures: dict[str, Named] = field(default_factory=dict)  # class -> what a package says of it
    seed: int = 1
    channels: tuple[int, ...] = (16, 32, 64, 96, 112, 112)
    patch: int = 128  # pixels
    batch: int = 20  # patches [3532-2 D.3]
    steps: int = 20000
    epoch_patches: int = 1776  # patches that count as one epoch: the images of [3532-2 D.2]
    precision: str = "bf16"  # or fp32
    compile: bool = False  # torch.compile; needs a C++ compiler
    average: float = 0.0  # decay of the moving average of the weights; 0: none
    checkpoint_steps: int = 250
    keep_steps: int = 1000  # weights are kept every so many steps, for the choice
    rescan_steps: int = 250  # new cases are looked for every so many steps; 0: never
    schedule: Schedule = Schedule()
    optimiser: Optimiser = Optimiser()
    loss: Loss = Loss()
    sampling: Sampling = Sampling()
    augmentation: dict[str, dict[str, typing.Any]] = field(default_factory=dict)
    forbidden: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of a class the augmentations it does not bear

    def classes(self, network: str) -> tuple[str, ...]:
        """The classes of one network, without background. Raises `InputError`."""
        if network not in self.networks:
            raise InputError(
                "invalid-config",
                f"There is no network {network!r} in this training; it has {', '.join(self.networks)}.",
            )
        return self.networks[network]

    def fields(self, network: str) -> tuple[str, ...]:
        """What the probabilities of a network are called: as the network where there is one, else as its classes."""
        classes = self.classes(network)
        return (network,) if len(classes) == 1 else classes


def load(path: Path) -> Training:
    """Read a TOML file. Raises `InputError` `invalid-config` for what is missing, unknown or of the wrong type."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            "invalid-config", f"The training's configuration cannot be read ({error}): mend its file."
        ) from error
    return parse(table)


def parse(table: dict[str, typing.Any]) -> Training:
    """A training from the tables of its TOML file. Raises `InputError` `invalid-config`."""
    training = _with_presets(build(Training, table, ""))
    for name in (*training.networks, *(one for classes in training.networks.values() for one in classes)):
        if not re.fullmatch(NAME, name):
            raise InputError(
                "invalid-config",
                f"{name!r} cannot name a network or a class: take small letters, digits and hyphens, as in left-eye.",
            )
    known = {one for classes in training.networks.values() for one in classes}
    for name, said in training.structures.items():
        if said.kind not in ("", *KINDS):
            raise InputError("invalid-config", f"structures.{name}.kind must be one of: {', '.join(KINDS)}.")
        if not 0 <= said.above < 1 or said.keep_largest < 0:
            raise InputError("invalid-config", f"structures.{name} needs a limit from 0 to 1, and 0 objects or more.")
        if said.touches and said.touches not in known - {name}:
            raise InputError("invalid-config", f"structures.{name}.touches must name another class.")
    for name, classes in training.networks.items():
        if not classes or len(set(classes)) < len(classes):
            raise InputError("invalid-config", f"The network {name} needs classes, each of them once.")
    return training


def _with_presets(training: Training) -> Training:
    """With what is taken from Ekman's structures filled in. Raises `InputError` `invalid-config`."""
    structures, forbidden = dict(training.structures), dict(training.forbidden)
    for name, said in training.structures.items():
        if said.like:
            if said.like not in STRUCTURES_OF_EKMAN:
                known = ", ".join(STRUCTURES_OF_EKMAN)
                raise InputError("invalid-config", f"structures.{name}.like must be one of: {known}.")
            preset = STRUCTURES_OF_EKMAN[said.like]
            structures[name] = dataclasses.replace(
                preset.named, **{key: value for key, value in dataclasses.asdict(said).items() if value}
            )
            forbidden[name] = (*forbidden.get(name, ()), *preset.forbidden)
    return dataclasses.replace(training, structures=structures, forbidden=forbidden)


NAME = "[a-z][a-z0-9-]{0,39}"
"""What may name a network or a class: files, segments and parameters are called so."""

T = typing.TypeVar("T")


def build(kind: type[T], table: dict[str, typing.Any], where: str) -> T:
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise InputError("invalid-config", f"The training's configuration has an unknown key: {where}{unknown[0]}.")
    missing = [
        f.name
        for f in dataclasses.fields(typing.cast(typing.Any, kind))
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in table
    ]
    if missing:
        raise InputError("invalid-config", f"The training's configuration lacks the key {where}{missing[0]}.")
    return kind(**{key: _value(hints[key], value, f"{where}{key}") for key, value in table.items()})


def _value(hint: typing.Any, value: typing.Any, where: str) -> typing.Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(typing.cast(type, hint), value, f"{where}.")
    if origin is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {key: _value(typing.get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is typing.Any or (isinstance(hint, type) and type(value) is hint):
        return value
    raise InputError("invalid-config", f"The training's configuration has the wrong type of value at {where}.")
