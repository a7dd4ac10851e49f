#!/usr/bin/env python3
"""Packages that were trained on few cases, for the section `little-data` of model.py.

    few_cases.py --work FOLDER [--cases N ...] [--steps 1500] [--device cuda] [--workers N]

FOLDER is the work folder of a recipe (`orbitalseg train RECIPE`): its cases are what these are few
of, the first ones of each template in the same proportion, and on the first of its validation cases the limits are
chosen. Trainings go to FOLDER/little/N/run, packages to FOLDER/little/packages/few-cases-N. What is there is
not made again.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from OrbitalSegLib.training import release, validation
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import collect
from OrbitalSegLib.training.loop import train
from OrbitalSegLib.training.packaging import Chosen, Provenance
from OrbitalSegLib.training.release import Recipe

GROUP = ("cortical", "thin")
BATCH = 64
VALIDATION = {"skull": 4, "phantom": 2}
"""Heads on which limits are chosen."""


def parts(recipe: Recipe, number: int) -> dict[str, tuple[int, int]]:
    """Of each template the first seeds, as many as are its share of `number`; the first template is rounded up."""
    have = {name: end - first for name, (first, end) in recipe.training.items()}
    main, other = have
    of_main = min(-(-number * have[main] // sum(have.values())), have[main])
    first = {name: begin for name, (begin, _) in recipe.training.items()}
    return {main: (first[main], first[main] + of_main), other: (first[other], first[other] + number - of_main)}


def make(recipe: Recipe, number: int, work: Path, training: Training, device: str, workers: int) -> None:
    """Train on `number` cases, choose limits, write the package."""
    folder = work / "little" / str(number)
    few = replace(
        recipe, name=f"few-cases-{number}", training=parts(recipe, number), groups=(GROUP,), steps=training.steps
    )
    packed = folder / "packed"
    packed.mkdir(parents=True, exist_ok=True)
    for name, (first, end) in few.training.items():
        for seed in range(first, end):
            link = packed / f"{name}-{seed:05d}"
            if not link.exists():
                link.symlink_to((work / "cases-packed" / link.name).resolve())
    weights = {name: folder / "run" / name / f"weights-{training.steps:06d}.pt" for name in GROUP}
    for name, path in weights.items():
        if not path.exists():
            train(training, name, [], folder / "run" / name, packed, print, device=device, workers=workers)
    engines = {name: validation.engine_of(path, training.channels) for name, path in weights.items()}
    entries = [
        entry
        for template, many in VALIDATION.items()
        for entry in [one for one in collect(work / "validation") if one.name.startswith(template)][:many]
    ]
    figures, limits = validation.validate(engines, training, entries)
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to((work / "templates").resolve())
    chosen = [Chosen(GROUP, training.steps, limits, figures)]
    release.release(few, chosen, folder, work / "little" / "packages" / few.name, Provenance(), print)


def main(words: Sequence[str] | None = None) -> None:
    """Make every package that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cases", type=int, nargs="+", default=[3, 5, 10, 20, 176])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    given = parser.parse_args(words)
    recipe = release.load(release.RECIPES / "orbital-bone-1.toml")
    training = replace(recipe.configured(), steps=given.steps, batch=BATCH, compile=False)
    (given.work / "little" / "packages").mkdir(parents=True, exist_ok=True)
    for number in given.cases:
        if not (given.work / "little" / "packages" / f"few-cases-{number}").is_dir():
            make(recipe, number, given.work, training, given.device, given.workers)


if __name__ == "__main__":
    main()
