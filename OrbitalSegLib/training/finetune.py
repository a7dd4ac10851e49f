"""More training of a package's networks on one's own data, to a new package."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.export import write_package
from OrbitalSegLib.networks.package import DESCRIPTION, Package
from OrbitalSegLib.training import validation
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import check_apart, collect
from OrbitalSegLib.training.loop import Tell, train
from OrbitalSegLib.training.packaging import finds_bone


def finetune(
    package: Package,
    training: Training,
    cases: Path,
    out: Path,
    held_out: Path | None = None,
    tell: Tell = lambda _line: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    workers: int = 0,
) -> Package | None:
    """Train a package's networks on the cases in a folder; the new package lies in `out/package`.

    The networks start from the package's weights, in which normalisation is folded: it is not learnt anew. Limits and
    calibration are chosen anew on the cases in `held_out`, which share no template, patient or seed with the others,
    or else stay as they were. None where `stop` ended it; the same call goes on. Raises `InputError`
    `invalid-config`, `no-cases`, `sides-share`, and `OutputError`.
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
    sides = {"training": collect(cases)} | ({"validation": collect(held_out)} if held_out else {})
    check_apart(sides)
    weights = {}
    for name, network in package.networks.items():
        own = replace(training, channels=network.channels)
        start = {key: torch.from_numpy(value.copy()) for key, value in package.weights(name).items()}
        weights[name] = train(
            own, name, [cases], out / name, out / "packed", tell, stop, start, device=device, workers=workers
        )
        if stop():
            return None
    description = _description(package, training, [entry.name for entry in sides["training"]])
    if held_out:
        engines = {
            name: validation.engine_of(path, package.networks[name].channels, device=device)
            for name, path in weights.items()
        }
        row, limits = validation.validate(engines, training, sides["validation"])
        description["performance"] = {"validation": {key: value for key, value in row.items() if value == value}}
        last = list(engines)[-1]
        for name, entry in description["networks"].items():
            infers = name == last and finds_bone(training, name) and limits.inferred < limits.seen
            entry |= {
                "seen_above": limits.seen,
                "inferred_above": limits.inferred if infers else None,
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
