#!/usr/bin/env python3
"""The figures of docs/model.md, from a model package, templates and real scans.

    model.py --package FOLDER --templates FOLDER --left-out NAME --out FOLDER [--data FOLDER] [--only SECTION ...]

    synthetic    all methods on heads of the left-out template, against truth at 0.2 mm
    real         coverage and leak on real scans, and pictures
    fractures    intact wall and holes closed, by thickness, slice, wall, hole and herniation
    reliability  whether probabilities near thin walls mean what they say
    robustness   one factor at a time
    little-data  packages that were trained on 3, 5, 10, 20 cases (--little FOLDER holds them; few_cases.py makes them)

Every case's figures are one file, so that a run which was stopped goes on where it was, and several processes may
share one folder. At the end of each section its tables, pictures and SECTION.md are made of what there is.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fractures
from figures import little, real, reliability, robustness, synthetic
from figures.common import Run


def sections(given: argparse.Namespace) -> dict[str, Callable[[Run], str]]:
    """Every section by name; each makes its files and gives its Markdown."""
    return {
        "synthetic": synthetic.section,
        "real": real.section,
        "fractures": partial(fractures.section, repeats=given.repeats),
        "reliability": partial(reliability.section, validation=given.validation),
        "robustness": partial(robustness.section, heads=given.heads),
        "little-data": little.section,
    }


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a folder of template folders")
    parser.add_argument("--left-out", required=True, help="the template that no network was trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="real scans")
    parser.add_argument("--little", type=Path, help="a folder of packages few-cases-N")
    parser.add_argument("--only", nargs="+", metavar="SECTION")
    parser.add_argument("--cases", type=int, default=20, help="heads of the synthetic test and of the reliability")
    parser.add_argument("--repeats", type=int, default=8, help="heads in each cell of thickness, slice and template")
    parser.add_argument("--validation", type=int, default=6, help="heads on which the calibration is fitted")
    parser.add_argument("--heads", type=int, default=robustness.HEADS, help="heads of the section on robustness")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size-mm", type=float, nargs=3, default=Run.size_mm, help="of a synthetic volume")
    given = parser.parse_args()
    unknown = set(given.only or ()) - set(sections(given))
    if unknown:
        parser.error(f"There is no section {', '.join(sorted(unknown))}; there are {', '.join(sections(given))}.")
    return given


def main() -> None:
    """Make the sections that were asked for, by default all."""
    import torch

    given = parsed()
    torch.set_num_threads(given.threads)
    names = ("package", "templates", "left_out", "out", "data", "little", "cases", "threads")
    run = Run(**{name: getattr(given, name) for name in names}, size_mm=tuple(given.size_mm))
    run.out.mkdir(parents=True, exist_ok=True)
    for name, section in sections(given).items():
        if given.only is None or name in given.only:
            text = section(run)
            (run.out / f"{name}.md").write_text(text, "utf-8")
            print(text)


if __name__ == "__main__":
    main()
