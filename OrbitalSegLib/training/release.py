"""The recipe of a shipped package: templates, cases, training, choice, limits, package.

Every stage keeps what it made in the work folder, so that a run that was stopped goes on where it was, and nothing is
made twice: templates/, cases/, validation/, run/NETWORK/, choice/GROUP-STEP.json. The same recipe, data and machine
give the same losses; where a file `RECIPE.arrivals.csv` stands beside the recipe, cases are taken in at the steps it
says.
"""

import csv
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training import packaging, presets
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.loop import Arrivals, Tell, train
from OrbitalSegLib.training.packaging import Chosen, Provenance, Trial

RECIPES = Path(__file__).parent / "recipes"
"""Those of the shipped packages, each with its card."""

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
    """Build every template that the recipe names and that is not there yet. Raises `InputError` `no-such-input`."""
    from OrbitalSegLib.training.templates.sources import templates
    from OrbitalSegLib.training.templates.template import write_template

    wanted = {name for side in (recipe.training, recipe.validation) for name in side}
    wanted -= {path.parent.name for path in (work / "templates").glob("*/template.json")}
    if not wanted:
        return
    (work / "templates").mkdir(parents=True, exist_ok=True)
    for template in templates(data):
        if template.name in wanted:
            write_template(template, work / "templates" / template.name, overwrite=True)
            wanted.remove(template.name)
            tell(f"template {template.name}")
    if wanted:
        raise InputError(
            "no-such-input",
            f"The recipe needs the template {sorted(wanted)[0]}, which is made from data that are not there: name "
            "their folder with --data.",
        )


def make_cases(recipe: Recipe, work: Path, tell: Tell, stop: Callable[[], bool] = lambda: False) -> None:
    """Synthesise every case of the recipe that is not there yet."""
    from OrbitalSegLib.training.synthesis.generate import generate
    from OrbitalSegLib.training.synthesis.settings import Settings

    usual = Settings()
    harder = replace(usual, **recipe.validation_settings)
    for folder, side, settings in (("cases", recipe.training, usual), ("validation", recipe.validation, harder)):
        for name, (first, end) in side.items():
            made = generate([work / "templates" / name], work / folder, range(first, end), settings, stop=stop)
            tell(f"{len(made)} cases of {name} for {folder}")
            if stop():
                return


def train_networks(
    recipe: Recipe,
    networks: Sequence[str],
    work: Path,
    tell: Tell,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    workers: int = 0,
) -> None:
    """Train networks of the recipe, one after the other, or go on with them."""
    training = recipe.configured()
    for name in networks:
        if stop():
            return
        run = work / "run" / name
        train(
            training, name, [work / "cases"], run, work / "cases-packed", tell, stop,
            like=recipe.arrivals.get(name), device=device, workers=workers,
        )  # fmt: skip


def choose(recipe: Recipe, trial: Trial, last: int, tell: Tell) -> list[Chosen]:
    """Of every group of the recipe the best of its last checkpoints."""
    return [
        packaging.best([trial.judge(group, step, tell) for step in trial.steps(group)[-last:]])
        for group in recipe.groups
    ]


def describe(recipe: Recipe, chosen: Sequence[Chosen], work: Path, stated: Provenance) -> dict[str, Any]:
    """`model.json`, less what `write_package` fills in."""
    training = recipe.configured()
    data = [
        f"{end - first} synthetic heads of the template {name}, seeds {first} to {end - 1}, for {side}"
        for side in SIDES
        for name, (first, end) in getattr(recipe, side).items()
    ]
    return packaging.description_of(
        training,
        chosen,
        work / "run",
        stated,
        name=recipe.name,
        version=recipe.version,
        licence="Apache-2.0",
        intended_use="Bone of the orbits in unenhanced CT of the head, for models that a physician reviews. Not a "
        "medical device.",
        data=data,
        hashes={
            f"template-{name}": packaging.digest(work / "templates" / name).hex() for name in sorted(recipe.training)
        },
        performance="validation, templates of the training",
        credits=CREDITS,
    )


CREDITS = [
    "Skull template: data set human_skull of the R package Arothron (Profico et al.), GPL-2; not distributed here.",
    "Phantom template: OrbitalSeg's own, by formula.",
    "Development scans, on which walls were calibrated and checkpoints chosen, unlabelled: Visible Human Female, "
    "courtesy of the U.S. National Library of Medicine; a scan of CPTAC-LSCC (doi 10.7937/K9/TCIA.2018.6EMUB5L2), "
    "CC BY 3.0.",
]


def release(recipe: Recipe, chosen: Sequence[Chosen], work: Path, out: Path, stated: Provenance, tell: Tell) -> None:
    """Write the package of the chosen checkpoints. Raises `OutputError`."""
    packaging.write(describe(recipe, chosen, work, stated), chosen, work / "run", out, stated, tell)
