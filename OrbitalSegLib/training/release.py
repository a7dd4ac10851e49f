"""A shipped package from its recipe: templates, cases, training, choice, limits, package.

    python -m OrbitalSegLib.training.release RECIPE --work FOLDER --data FOLDER --out FOLDER --commit HASH

Every stage keeps what it made in the work folder, so that a run that was stopped goes on where it was, and nothing is
made twice: templates/, cases/, validation/, run/NETWORK/, choice/GROUP-STEP.json. The same recipe, data and machine
give the same losses; where a file `RECIPE.arrivals.csv` stands beside the recipe, cases are taken in at the steps it
says.
"""

import argparse
import csv
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.package import Calibration
from OrbitalSegLib.preprocessing import WINDOW_HU
from OrbitalSegLib.training import presets, validation
from OrbitalSegLib.training.cases import WORKING_SPACING_MM
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import collect
from OrbitalSegLib.training.loop import TABLE, Arrivals, Tell, train

RECIPES = Path(__file__).parent / "recipes"
"""Those of the shipped packages, each with its card."""

PLANES = ("axial", "coronal", "sagittal")

Seeds = Mapping[str, tuple[int, int]]
"""Of a template the first seed, and the one after the last."""


@dataclass(frozen=True)
class Recipe:
    """What a package is made of: a TOML file."""

    name: str
    version: str
    configuration: str  # a preset or a file
    steps: int
    groups: tuple[tuple[str, ...], ...]  # networks that give one result together; the last of a group infers
    training: Seeds
    validation: Seeds
    validation_settings: Mapping[str, Any]  # of the synthesis, where they are not those of training
    arrivals: Mapping[str, Arrivals]  # network -> when each case was taken in; none: all that there are at once

    @property
    def networks(self) -> list[str]:
        return [name for group in self.groups for name in group]

    def configured(self) -> Training:
        """The numbers of the training. Raises `InputError` `invalid-config`."""
        return replace(presets.load(self.configuration), steps=self.steps)


def load(path: Path) -> Recipe:
    """Read a recipe and its arrivals. Raises `InputError` `invalid-config`."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        sides: dict[str, Any] = {
            side: {n: (first, end) for n, (first, end) in table.pop(side).items()} for side in SIDES
        }
        groups = tuple(tuple(group) for group in table.pop("groups"))
        return Recipe(**table, **sides, groups=groups, arrivals=_arrivals(path.with_suffix(".arrivals.csv")))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError("invalid-config", f"The recipe cannot be understood ({error}): mend its file.") from error


SIDES = ("training", "validation")


def _arrivals(path: Path) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["network"], []).append((int(row["step"]), row["case"]))
    return found


def make_templates(recipe: Recipe, data: Path | None, work: Path, tell: Tell) -> None:
    """Build every template that the recipe names and that is not there yet."""
    from OrbitalSegLib.training.templates.sources import templates
    from OrbitalSegLib.training.templates.template import write_template

    wanted = {name for side in (recipe.training, recipe.validation) for name in side}
    if wanted <= {path.parent.name for path in (work / "templates").glob("*/template.json")}:
        return
    (work / "templates").mkdir(parents=True, exist_ok=True)
    for template in templates(data):
        if template.name in wanted:
            write_template(template, work / "templates" / template.name, overwrite=True)
            tell(f"template {template.name}")


def make_cases(recipe: Recipe, work: Path, tell: Tell) -> None:
    """Synthesise every case of the recipe that is not there yet."""
    from OrbitalSegLib.training.synthesis.generate import generate
    from OrbitalSegLib.training.synthesis.settings import Settings

    usual = Settings()
    harder = replace(usual, **recipe.validation_settings)
    for folder, side, settings in (("cases", recipe.training, usual), ("validation", recipe.validation, harder)):
        for name, (first, end) in side.items():
            made = generate([work / "templates" / name], work / folder, range(first, end), settings)
            tell(f"{len(made)} cases of {name} for {folder}")


def train_networks(
    recipe: Recipe, networks: Sequence[str], work: Path, tell: Tell, device: str = "cpu", workers: int = 0
) -> None:
    """Train networks of the recipe, one after the other, or go on with them."""
    training = recipe.configured()
    for name in networks:
        run = work / "run" / name
        train(
            training, name, [work / "cases"], run, work / "cases-packed", tell,
            like=recipe.arrivals.get(name), device=device, workers=workers,
        )  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """Of one group of networks the checkpoint, its limits, and its figures on the validation cases."""

    networks: tuple[str, ...]
    step: int
    limits: validation.Limits
    figures: dict[str, float]


def choose(recipe: Recipe, group: Sequence[str], work: Path, scans: Path | None, last: int, tell: Tell) -> Chosen:
    """Judge the last checkpoints of a group that were not judged yet, and take the best of them."""
    training = recipe.configured()
    name, made = "-".join(group), []
    (work / "choice").mkdir(exist_ok=True)
    for step in validation.steps_of(work / "run", group)[-last:]:
        judged = work / "choice" / f"{name}-{step:06d}.json"
        if not judged.exists():
            weights = {network: work / "run" / network / f"weights-{step:06d}.pt" for network in group}
            engines = {network: validation.engine_of(path, training.channels) for network, path in weights.items()}
            real = validation.read_scans(scans) if scans else []
            figures, limits = validation.validate(engines, training, collect(work / "validation"), real)
            judged.write_text(json.dumps({"figures": figures, "limits": asdict(limits)}, indent=1), "utf-8")
        said = json.loads(judged.read_text("utf-8"))
        calibration = {network: Calibration(**fit) for network, fit in said["limits"].pop("calibration").items()}
        limits = validation.Limits(**said["limits"], calibration=calibration)
        made.append(Chosen(tuple(group), step, limits, said["figures"]))
        tell(f"{', '.join(group)} step {step}: score {said['figures']['score']:.4f}")
    return max(made, key=lambda one: one.figures["score"])


@dataclass(frozen=True)
class Stated:
    """What no work folder knows."""

    commit: str
    machine: str
    card: str


def describe(recipe: Recipe, chosen: Sequence[Chosen], work: Path, stated: Stated) -> dict[str, Any]:
    """`model.json`, less what `write_package` fills in."""
    training = recipe.configured()
    networks = {}
    for group in chosen:
        for name in group.networks:
            infers = name == group.networks[-1] and group.limits.inferred < group.limits.seen
            networks[name] = {
                "channels": list(training.channels),
                "seen_above": group.limits.seen,
                "inferred_above": group.limits.inferred if infers else None,
                "calibration": asdict(group.limits.calibration[name]),
            }
    return {
        "name": recipe.name,
        "version": recipe.version,
        "licence": "Apache-2.0",
        "intended_use": "Bone of the orbits in unenhanced CT of the head, for models that a physician reviews. Not a "
        "medical device.",
        "window_hu": list(WINDOW_HU),
        "quantised": True,
        "spacing_mm": WORKING_SPACING_MM,
        "planes": list(PLANES),
        "networks": networks,
        "provenance": {
            "data": [
                f"{end - first} synthetic heads of the template {name}, seeds {first} to {end - 1}, for {side}"
                for side in SIDES
                for name, (first, end) in getattr(recipe, side).items()
            ],
            "seeds": [training.seed],
            "commit": stated.commit,
            "hashes": {f"template-{name}": _hash(work / "templates" / name) for name in sorted(recipe.training)},
            "hours": round(sum(_seconds(work / "run" / name) for name in recipe.networks) / 3600, 2),
            "machine": stated.machine,
            "steps": {name: group.step for group in chosen for name in group.networks},
        },
        "performance": {
            "validation, templates of the training": {
                ", ".join(group.networks): {k: round(v, 4) for k, v in group.figures.items() if not math.isnan(v)}
                for group in chosen
            }
        },
        "credits": CREDITS,
    }


CREDITS = [
    "Skull template: data set human_skull of the R package Arothron (Profico et al.), GPL-2; not distributed here.",
    "Phantom template: OrbitalSeg's own, by formula.",
    "Development scans, on which walls were calibrated and checkpoints chosen, unlabelled: Visible Human Female, "
    "courtesy of the U.S. National Library of Medicine; a scan of CPTAC-LSCC (doi 10.7937/K9/TCIA.2018.6EMUB5L2), "
    "CC BY 3.0.",
]


def _hash(folder: Path) -> str:
    """Of all files of a folder, by name and content."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _seconds(run: Path) -> float:
    """What a training took, all its sessions together."""
    with (run / TABLE).open(newline="") as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])


def release(recipe: Recipe, chosen: Sequence[Chosen], work: Path, out: Path, stated: Stated, tell: Tell) -> None:
    """Write the package `out/NAME` of the chosen checkpoints. Raises `OutputError`."""
    import torch

    from OrbitalSegLib.networks.export import write_package

    states = {
        name: torch.load(work / "run" / name / f"weights-{group.step:06d}.pt", weights_only=True)
        for group in chosen
        for name in group.networks
    }
    made = write_package(out / recipe.name, describe(recipe, chosen, work, stated), states, stated.card)
    tell(f"package {made.name} {made.version}: {json.dumps({g.networks[-1]: g.figures['score'] for g in chosen})}")


def main(words: Sequence[str] | None = None) -> None:
    """Make a package from the command line."""
    import time

    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="where everything on the way is kept")
    parser.add_argument("--data", type=Path, help="a folder with skull-template/ for the templates")
    parser.add_argument("--networks", nargs="+", help="train only these, and stop there")
    parser.add_argument("--scans", type=Path, help="TOML file that lists development scans for the choice")
    parser.add_argument("--last", type=int, default=2, help="how many of the last checkpoints the choice is among")
    parser.add_argument("--out", type=Path, help="where the package is put; without it there is none")
    parser.add_argument("--card", type=Path, help="the model card")
    parser.add_argument("--commit", default="0000000", help="of this repository, for the provenance")
    parser.add_argument("--machine", default="not stated", help="for the provenance")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of the training: torch's name of one, such as cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw batches ahead")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    recipe = load(given.recipe)

    def tell(line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, flush=True)

    make_templates(recipe, given.data, given.work, tell)
    make_cases(recipe, given.work, tell)
    train_networks(recipe, given.networks or recipe.networks, given.work, tell, given.device, given.workers)
    if given.out and not given.networks:
        given.out.mkdir(parents=True, exist_ok=True)
        card = given.card.read_text("utf-8") if given.card else ""
        chosen = [choose(recipe, group, given.work, given.scans, given.last, tell) for group in recipe.groups]
        release(recipe, chosen, given.work, given.out, Stated(given.commit, given.machine, card), tell)


if __name__ == "__main__":
    main()
