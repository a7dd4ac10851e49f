#!/usr/bin/env python3
"""What the standard's optional steps do to method C: denoising before the networks, a random field after them.

    optional_steps.py --package FOLDER --templates FOLDER --out FOLDER [--on phantom] [--cases 8]

Heads of one template, each with holes, against truth at 0.2 mm: whole Dice, intact wall and hole area closed of floor
and medial wall. Every head is its own control: differences are to the same head without the step. Each head and step is
one file, so that a run which was stopped goes on where it was.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from figures.common import Record, Run, markdown, records, spread
from figures.synthetic import against_truth

SEED = 800_000
"""Far from the seeds of training and of other figures."""

PLAIN = "neither"
STEPS: dict[str, dict[str, float]] = {
    PLAIN: {},
    **{f"denoise_hu-{hu}": {"denoise_hu": hu} for hu in (30, 60, 120)},
    **{f"crf_weight-{weight:g}": {"crf_weight": weight} for weight in (0.5, 1, 2, 4)},
    **{f"limits-{limit:g}": {"cortical_above": limit, "thin_above": limit} for limit in (0.6, 0.7, 0.8)},
}
"""What method C is told. Other limits are no step: they show what is closed for as few holes without any."""

SHOWN = ("dice_seen", "walls_seen", "holes_seen", "walls_either", "holes_either")


def judge(run: Run, template: str, seed: int, parameters: dict[str, float]) -> Record:
    """The figures of one head with one step."""
    case = run.kept_case(template, seed, run.settings())
    return against_truth(run, case, case.truth, **parameters)


def table(made: dict[str, dict[str, Record]]) -> str:
    """A row for each step: the mean, and the difference with lowest and highest head."""
    rows = []
    for step, heads in made.items():
        cells = []
        for name in SHOWN:
            mean = np.nanmean([head[name] for head in heads.values()])
            change = [head[name] - made[PLAIN][seed][name] for seed, head in heads.items() if seed in made[PLAIN]]
            cells.append(f"{mean:.3f}" if step == PLAIN else f"{mean:.3f}; {spread(change)}")
        rows.append([step, len(heads), *cells])
    return markdown(["step", "heads", *SHOWN], rows)


def main() -> None:
    """Measure every step on every head, and print the table."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a folder of template folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--on", default="phantom", help="the template of the heads")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    run = Run(given.package, given.templates, given.on, given.out, given.cases, given.threads)
    tasks = {
        f"{step}-{seed}": partial(judge, run, given.on, seed, parameters)
        for seed in range(SEED, SEED + given.cases)
        for step, parameters in STEPS.items()
    }
    found = records(given.out / "optional-steps", tasks)
    made = {
        step: {name.rsplit("-", 1)[1]: one for name, one in found.items() if name.rsplit("-", 1)[0] == step}
        for step in STEPS
    }
    text = f"Heads of `{given.on}`; after the semicolon the difference to {PLAIN}.\n\n" + table(made)
    (given.out / "optional-steps.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
