"""Trained networks to a model package: checkpoints are judged, the best is taken, and its figures go with it."""

import csv
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.export import write_package
from OrbitalSegLib.networks.package import Calibration
from OrbitalSegLib.preprocessing import WINDOW_HU
from OrbitalSegLib.structures import BONE, of_network, parts_of
from OrbitalSegLib.training import validation
from OrbitalSegLib.training.cases import WORKING_SPACING_MM
from OrbitalSegLib.training.config import Named, Training
from OrbitalSegLib.training.dataset import Entry
from OrbitalSegLib.training.loop import TABLE, Tell

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Chosen:
    """Of one group of networks a checkpoint, its limits, and its figures on the validation cases."""

    networks: tuple[str, ...]
    step: int
    limits: validation.ChosenLimits
    figures: dict[str, float]


@dataclass(frozen=True)
class Provenance:
    """What no run folder knows."""

    commit: str = "0000000"
    machine: str = "not stated"
    card: str = ""


def groups_of(networks: Sequence[str]) -> list[tuple[str, ...]]:
    """Networks that give one result together: those of the parts of bone. Every other one gives its own."""
    parts = tuple(name for name in networks if name in parts_of(BONE))
    return ([parts] if parts else []) + [(name,) for name in networks if name not in parts]


@dataclass(frozen=True)
class Trial:
    """How the checkpoints of a run are judged, and on what."""

    training: Training
    run: Path
    """A folder for each network, as `loop.train` makes them."""
    kept: Path
    """What was found stands there, in `GROUP-STEP.json`, and is not found again for the same weights and cases."""
    cases: Sequence[Entry]
    scans: Sequence[validation.RealScan] = ()
    device: str = "cpu"
    threads: int = 1

    def steps(self, group: Sequence[str]) -> list[int]:
        """The steps whose weights all networks of a group have kept. Raises `InputError` `no-weights` without any."""
        steps = validation.steps_of(self.run, group)
        if not steps:
            raise InputError(
                "no-weights",
                f"There are no weights of {' and '.join(group)} in this run, or none of the same step: train them "
                "first, or name the folder that the training wrote.",
            )
        return steps

    def judge(self, group: Sequence[str], step: int, tell: Tell) -> Chosen:
        """Judge one checkpoint of a group of networks."""
        file = self.kept / f"{'-'.join(group)}-{step:06d}.json"
        weights = {network: weights_of(self.run, network, step) for network in group}
        mark = hashlib.sha256(b"".join(digest(path) for path in weights.values()) + self._judged_on).hexdigest()
        said = json.loads(file.read_text("utf-8")) if file.exists() else {}
        if said.get("mark") != mark:
            figures, limits = self._validated(weights)
            said = {"mark": mark, "figures": figures, "limits": asdict(limits)}
            file.write_text(json.dumps(said, indent=1), "utf-8")
        calibration = {network: Calibration(**fit) for network, fit in said["limits"].pop("calibration").items()}
        limits = validation.ChosenLimits(**said["limits"], calibration=calibration)
        tell(f"{', '.join(group)} step {step}: score {said['figures']['score']:.4f}")
        return Chosen(tuple(group), step, limits, said["figures"])

    def _validated(self, weights: Mapping[str, Path]) -> tuple[dict[str, float], validation.ChosenLimits]:
        channels = self.training.channels
        engines = {
            network: validation.engine_of(path, channels, self.threads, self.device)
            for network, path in weights.items()
        }
        return validation.validate(engines, self.training, self.cases, self.scans)

    @cached_property
    def _judged_on(self) -> bytes:
        """Of all that figures depend on besides the weights."""
        words = [repr(self.training.labels), repr(self.training.networks), *(one.name for one in self.scans)]
        return "\n".join(words).encode() + b"".join(digest(entry.folder) for entry in self.cases)


def digest(path: Path) -> bytes:
    """SHA256 of a file, or of all files of a folder by name and content."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).digest()
    found = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        found.update(file.relative_to(path).as_posix().encode() + digest(file))
    return found.digest()


def best(candidates: Sequence[Chosen]) -> Chosen:
    """The one with the highest score."""
    return max(candidates, key=lambda one: one.figures["score"])


def weights_of(run: Path, network: str, step: int) -> Path:
    return run / network / f"weights-{step:06d}.pt"


def description_of(
    training: Training,
    chosen: Sequence[Chosen],
    run: Path,
    stated: Provenance,
    *,
    name: str,
    version: str,
    licence: str,
    intended_use: str,
    data: Sequence[str],
    hashes: Mapping[str, str],
    performance: str,
    credits: Sequence[str] = (),  # noqa: A002 - what model.json calls them
) -> dict[str, Any]:
    """`model.json`, less what `write_package` fills in. `performance` says what the figures were measured on."""
    return {
        "name": name,
        "version": version,
        "licence": licence,
        "intended_use": intended_use,
        "window_hu": list(WINDOW_HU),
        "quantised": True,
        "spacing_mm": WORKING_SPACING_MM,
        "planes": list(PLANES),
        "networks": _networks(training, chosen),
        "provenance": {
            "data": list(data),
            "seeds": [training.seed],
            "commit": stated.commit,
            "hashes": dict(hashes),
            "hours": round(sum(_seconds(run / name) for group in chosen for name in group.networks) / 3600, 2),
            "machine": stated.machine,
            "steps": {name: group.step for group in chosen for name in group.networks},
        },
        "performance": {
            performance: {
                ", ".join(group.networks): {k: round(v, 4) for k, v in group.figures.items() if not math.isnan(v)}
                for group in chosen
            }
        },
        "credits": list(credits),
    }


def _networks(training: Training, chosen: Sequence[Chosen]) -> dict[str, Any]:
    networks = {}
    for group in chosen:
        for name in group.networks:
            inferring = infers(training, name) and name == group.networks[-1]
            inferring &= group.limits.inferred < group.limits.seen
            networks[name] = {
                "channels": list(training.channels),
                "classes": _classes(training, name),
                "seen_above": group.limits.seen,
                "inferred_above": group.limits.inferred if inferring else None,
                "calibration": asdict(group.limits.calibration[name]),
            }
    return networks


def infers(training: Training, network: str) -> bool:
    """Whether wall is inferred of a network: of the library's own bone alone, whose labels know walls."""
    return any(name in (BONE, *parts_of(BONE)) for name in training.classes(network))


def _classes(training: Training, network: str) -> int | list[dict[str, Any]]:
    """The classes as a package lists them: it need not where the library knows the network's one class."""
    classes = training.classes(network)
    known = of_network(network)
    if known is not None and classes == (known.name,) and known.name not in training.structures:
        return 2
    return [{"name": name, **training.structures.get(name, Named()).said} for name in classes]


def _seconds(run: Path) -> float:
    """What a training took, all its sessions together."""
    with (run / TABLE).open(newline="") as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])


def write(
    description: Mapping[str, Any], chosen: Sequence[Chosen], run: Path, out: Path, stated: Provenance, tell: Tell
) -> None:
    """Write the package `out` of the chosen checkpoints. Raises `InputError` `bad-model`, `OutputError`."""
    states = {
        name: torch.load(weights_of(run, name, group.step), weights_only=True)
        for group in chosen
        for name in group.networks
    }
    try:
        made = write_package(out, description, states, stated.card)
    except InputError as error:
        reason = error.text.partition(";")[0]
        raise InputError(error.code, f"{reason}: change the configuration, or what was said of the package.") from error
    tell(f"package {made.name} {made.version}: {json.dumps({g.networks[-1]: g.figures['score'] for g in chosen})}")
