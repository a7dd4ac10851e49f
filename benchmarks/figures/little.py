"""Ekman's question: how much does a network know that was trained on few cases? One package for each number of them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from figures.common import Record, Run, draw_lines, markdown, records, spread, write_csv
from figures.synthetic import NETWORK_FIGURES, SEED, against_truth


def judge(run: Run, package: Path, seed: int) -> Record:
    """The figures of one head of the synthetic test."""
    case = run.kept_case(run.left_out, seed, run.settings())
    return against_truth(replace(run, package=package), case, case.truth)


def section(run: Run) -> str:
    """Judge every package `few-cases-N` of the folder on the heads of the synthetic test."""
    found = {} if run.little is None else {path.name.split("-")[-1]: path for path in run.little.glob("few-cases-*")}
    seeds = range(SEED, SEED + run.cases)
    rows, curves = [], {name: ([], []) for name in NETWORK_FIGURES}
    for number, package in sorted(found.items(), key=lambda one: int(one[0])):
        tasks = {f"{number}-{seed}": partial(judge, run, package, seed) for seed in seeds}
        made = records(run.out / "little-data", tasks).values()
        rows.append([number, len(made), *(spread(one[name] for one in made) for name in NETWORK_FIGURES)])
        for name, (across, up) in curves.items():
            across.append(int(number))
            up.append(sum(one[name] for one in made) / max(len(made), 1))
    titles = ["trained on", "heads", *NETWORK_FIGURES]
    write_csv(run.out / "little-data.csv", titles, rows)
    draw_lines(run.out / "little-data.png", "Training on few cases", "cases", "share", curves)
    return "\n".join(["## Little data\n", markdown(titles, rows), "![few cases](little-data.png)\n"])
