"""More training of a package's networks on one's own data, to a new package."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import replacing
from OrbitalSegLib.networks.export import write_package
from OrbitalSegLib.networks.package import DESCRIPTION, Package
from OrbitalSegLib.training import validation
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import Entry, check_apart, collect, pack_each, split
from OrbitalSegLib.training.loop import Tell, train
from OrbitalSegLib.training.packaging import infers

TRAINING, HELD_BACK = "training", "validation"
"""The sides of a data set."""

HELD_BACK_SHARE = 0.2
"""Of the cases, where none were given to hold back."""

SIDES_FILE = "sides.json"
"""In the folder of a training: the cases of each side, which never change it."""


def sides_of(cases: Sequence[Entry], held_out: Path | None, out: Path) -> dict[str, list[Entry]]:
    """What is learnt from and what is held back: the cases in `held_out`, or a fifth of the patients of `cases`.

    Where all cases are one patient's, nothing is held back. What was held back in `out` before still is; cases that
    have come since are learnt from. Raises `InputError` `sides-share`, `no-cases`.
    """
    if held_out is not None:
        sides = {TRAINING: list(cases), HELD_BACK: collect(held_out)}
        check_apart(sides)
        return sides
    file = out / SIDES_FILE
    if file.is_file():
        held = set(json.loads(file.read_text("utf-8"))[HELD_BACK])
        sides = {TRAINING: [one for one in cases if one.name not in held]}
        sides[HELD_BACK] = [one for one in cases if one.name in held]
        check_apart(sides)
        return sides
    try:
        return split(cases, {TRAINING: 1 - HELD_BACK_SHARE, HELD_BACK: HELD_BACK_SHARE})
    except InputError as error:
        if error.code != "cannot-split":
            raise
        return {TRAINING: list(cases), HELD_BACK: []}


def finetune(
    package: Package,
    training: Training,
    sides: Mapping[str, Sequence[Entry]],
    out: Path,
    tell: Tell = lambda _line: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    workers: int = 0,
) -> Package | None:
    """Train a package's networks on one of the `sides_of` a data set; the new package lies in `out/package`.

    The networks start from the package's weights, in which normalisation is folded: it is not learnt anew. Limits and
    calibration are chosen anew on the cases that are held back where walls and holes are marked in these, as in
    synthetic ones, or else stay as they were. None where `stop` ended it; the same call goes on. Raises `InputError`
    `invalid-config`, `no-cases`, and `OutputError`.
    """
    lacking = set(package.networks) - set(training.networks)
    if lacking:
        raise InputError(
            "invalid-config", f"The configuration says nothing of the network {sorted(lacking)[0]!r}: add it."
        )
    for name, network in package.networks.items():
        found = tuple(one.name for one in network.structures)
        if training.classes(name) != found:
            raise InputError(
                "invalid-config",
                f"The network {name} of the package tells {', '.join(found)}; the configuration says "
                f"{', '.join(training.classes(name))}: name the same classes in the same order.",
            )
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / SIDES_FILE) as file:
        names = {side: [one.name for one in entries] for side, entries in sides.items()}
        file.write_text(json.dumps(names, indent=1), "utf-8")
    pack_each(sides[TRAINING], out / "packed", training.labels)
    weights = {}
    for name, network in package.networks.items():
        own = replace(training, channels=network.channels)
        start = {key: torch.from_numpy(value.copy()) for key, value in package.weights(name).items()}
        weights[name] = train(
            own, name, [], out / name, out / "packed", tell, stop, start, device=device, workers=workers
        )
        if stop():
            return None
    description = _description(package, training, [entry.name for entry in sides[TRAINING]])
    if sides[HELD_BACK]:
        engines = {
            name: validation.engine_of(path, package.networks[name].channels, device=device)
            for name, path in weights.items()
        }
        row, limits = validation.validate(engines, training, sides[HELD_BACK])
        marked = not math.isnan(row["seen_holes_closed"])
        description["performance"] = {
            HELD_BACK: {key: value for key, value in row.items() if value == value and (marked or "dice" in key)}
        }
        last = list(engines)[-1]
        for name, entry in description["networks"].items() if marked else ():
            inferring = name == last and infers(training, name) and limits.inferred < limits.seen
            entry |= {
                "seen_above": limits.seen,
                "inferred_above": limits.inferred if inferring else None,
                "calibration": asdict(limits.calibration[name]),
            }
    states = {name: torch.load(path, weights_only=True) for name, path in weights.items()}
    return write_package(out / "package", description, states)


def _description(package: Package, training: Training, cases: list[str]) -> dict[str, Any]:
    """The package's own description with what this training changes."""
    described = json.loads((package.folder / DESCRIPTION).read_text("utf-8"))
    for key in ("format", "files"):
        del described[key]
    for entry in described["networks"].values():
        del entry["safetensors"]
    described["name"] = f"{package.name}-finetuned"
    described["provenance"]["data"] = [*described["provenance"]["data"], f"{len(cases)} own cases"]
    described["provenance"]["seeds"] = [*described["provenance"]["seeds"], training.seed]
    described["provenance"]["hashes"] |= {
        "finetuned_from": package.sha256,
        "finetuned_on": hashlib.sha256("\n".join(cases).encode()).hexdigest(),
    }
    described["performance"] = {}
    return described
