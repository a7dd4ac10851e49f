"""What the trainings of `walls` are: the numbers of one TOML file."""

import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training.config import Loss, build


@dataclass(frozen=True)
class Heads:
    """Which heads are made, and how long each is used."""

    templates: tuple[str, ...]  # taken in turn
    first_seed: int = 2_000_000
    steps_each: int = 8  # a new head comes into use every so many steps of the volume's training
    in_use: int = 48  # so many heads are in use at a time
    ahead: int = 32  # heads that are made before they are needed
    settings: dict[str, typing.Any] = field(default_factory=dict)  # in place of those of `synthesis.settings`


@dataclass(frozen=True)
class Rate:
    """The learning rate: linear warm-up, hold, then falling with the root of the step. It needs no last step."""

    learning_rate: float = 1e-3
    warm_up_steps: int = 100
    hold_steps: int = 10_000

    def at(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        falling = (self.hold_steps / max(step, self.hold_steps)) ** 0.5
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up_steps) * falling


@dataclass(frozen=True)
class Volume:
    """The network of places: cortical bone, thin bone, where a wall belongs, and the distance from it."""

    channels: tuple[int, ...] = (32, 64, 96, 128)
    patch: int = 64  # voxels
    batch: int = 4
    offset: int = 20  # voxels that a patch's centre may be away from its place, each way
    places: dict[str, float] = field(default_factory=lambda: {"place": 1.0})
    rate: Rate = Rate()
    loss: Loss = field(default_factory=Loss)
    place: float = 1.0  # what the place counts in the loss, and the distance from it
    distance: float = 1.0


@dataclass(frozen=True)
class Evidence:
    """The network of profiles: is there bone at this place of the wall, and how thick is it?"""

    bank: int = 64  # filters along the normal, shared by all profiles of a square
    hidden: tuple[int, ...] = (256, 64)
    batch: int = 512
    pieces: int = 6  # drawn pieces of wall in a batch
    drawn_share: float = 0.5  # of a batch, from drawn pieces of wall; the rest from heads
    steps_each: int = 2  # steps for each step of the volume's training
    rate: Rate = Rate()
    thickness: float = 0.5  # what the thickness counts in the loss


@dataclass(frozen=True)
class Walls:
    """Both trainings, on the same heads."""

    seed: int
    heads: Heads
    volume: Volume = Volume()
    evidence: Evidence = Evidence()
    average: float = 0.998  # decay of the moving average of the weights
    gradient_limit: float = 5.0
    checkpoint_steps: int = 50


def load(path: Path) -> Walls:
    """Read a TOML file. Raises `InputError` `invalid-config` for what is missing, unknown or of the wrong type."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("invalid-config", f"The training's configuration cannot be read: {error}.") from error
    return build(Walls, table, "")
