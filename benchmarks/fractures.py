#!/usr/bin/env python3
"""Intact wall closed and hole area closed, by wall thickness, slice, wall, hole and herniation.

    fractures.py --package FOLDER --templates FOLDER --left-out NAME --out FOLDER [--repeats 8] [--on NAME ...]

The design: every wall thickness with every slice thickness, `--repeats` heads each, from each template. Every head has
two holes of one diameter and one herniation in one orbit's floor or medial wall, wherever they fall: diameters take
turns, so that every cell of thickness and slice has all of them equally often; herniations take turns over all cells.
The table says how many holes of each kind there were. All else is drawn as for training, less metal and a cut field.

Walls of one head have one thickness; where it tapers into an opening, intact wall below 90 % of it is left out.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from figures.common import (
    Record,
    Run,
    draw_lines,
    markdown,
    pooled,
    probabilities,
    records,
    segment,
    with_inferred,
    write_csv,
)

from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.evaluation.walls import patches_mm2, wall_figures
from OrbitalSegLib.methods.method import Segmented
from OrbitalSegLib.training.cases import Case
from OrbitalSegLib.training.synthesis.settings import HERNIATIONS, Herniation, Settings
from OrbitalSegLib.training.validation import find_peaks

THICKNESSES_MM = (0.1, 0.2, 0.3, 0.5, 0.8)
SLICES_MM = (0.6, 1.0)
HOLES_MM = (3.0, 5.0, 8.0, 15.0)
WALLS = (Wall.FLOOR, Wall.MEDIAL)
SEED = 700_000
"""Far from the seeds of training."""

FULL_WALL = 0.9
"""Wall that is thinner than this share of its head's tapers off."""

SMALLEST_HOLE_MM2 = 1.0
"""Smaller patches of a hole are the rim of one that lies in the next wall."""

LEVELS = 50
"""Levels of probability of the curves."""


@dataclass(frozen=True)
class Head:
    """One head of the design."""

    template: str
    thickness_mm: float
    slice_mm: float
    hole_mm: float
    herniation: Herniation
    repeat: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.template}-wall{self.thickness_mm:g}-slice{self.slice_mm:g}-{self.repeat:02d}"

    def settings(self, base: Settings) -> Settings:
        pinned = base.with_wall(self.thickness_mm).with_hole(self.hole_mm, self.herniation)
        return replace(pinned, holes=(2, 2), slice_mm=(self.slice_mm, self.slice_mm))


def design(templates: Sequence[str], repeats: int) -> Iterator[Head]:
    """Every cell of thickness and slice with `repeats` heads of each template."""
    for template, repeat in product(templates, range(repeats)):
        for cell, (thickness_mm, slice_mm) in enumerate(product(THICKNESSES_MM, SLICES_MM)):
            hole_mm = HOLES_MM[repeat % len(HOLES_MM)]
            herniation = HERNIATIONS[(repeat + repeat // len(HOLES_MM) + cell) % len(HERNIATIONS)]
            yield Head(template, thickness_mm, slice_mm, hole_mm, herniation, repeat, SEED + repeat)


def judge(case: Case, found: Segmented, thickness_mm: float) -> Record:
    """By wall: area of intact wall and of holes, closed and in all, at the package's limits; number of holes; and area
    by level of the highest probability near each point."""
    points = case.walls.at((case.walls.hole != 0) | (case.walls.thickness_mm >= FULL_WALL * thickness_mm))
    masks = found.classes(found.bone)
    seen, either = (wall_figures(points, mask) for mask in (masks["bone"], with_inferred(masks)))
    record: Record = {}
    for wall in WALLS:
        name = wall.name.lower()
        ours = points.at(points.wall == wall)
        intact, hole = (seen.intact[name], either.intact[name]), (seen.holes[name], either.holes[name])
        record[name] = {
            "holes": int((patches_mm2(ours, ours.hole != 0) > SMALLEST_HOLE_MM2).sum()),
            "levels": levels(ours, found),
        }
        for kind, areas in (("intact", intact), ("hole", hole)):
            record[name][kind] = {
                "of": areas[0].total_mm2, "seen": areas[0].closed_mm2, "either": areas[1].closed_mm2,
            }  # fmt: skip
    return record


def levels(points: WallPoints, found: Segmented) -> Record:
    """Area of intact wall and of holes by level of the highest probability of any network (rows), and of the last."""
    peaks = find_peaks(points, probabilities(found))
    each = list(peaks.probability.values())
    edges = np.linspace(0, 1, LEVELS + 1)
    result = {}
    for kind, where in (("intact", ~peaks.hole), ("hole", peaks.hole)):
        both = [np.max(each, axis=0)[where], each[-1][where]]
        area, _, _ = np.histogram2d(*both, [edges, edges], weights=peaks.area_mm2[where])
        result[kind] = area.round(2)
    return result


def closed_shares(tables: Iterable[Sequence[Sequence[float]]]) -> np.ndarray:
    """Share of area that is closed where seen above level i / `LEVELS`, or inferred above level j / `LEVELS`."""
    area = sum((np.array(table, float) for table in tables), np.zeros((LEVELS, LEVELS)))
    below = np.pad(area.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    total = below[-1, -1]
    return 1 - below / total if total else np.full_like(below, np.nan)


def measure(run: Run, heads: Sequence[Head], folder: Path) -> list[tuple[Head, Record]]:
    """Every head's record."""

    def one(head: Head) -> Record:
        case = run.case(head.template, head.seed, head.settings(run.settings()))
        return judge(case, segment(run, "multigrey", case.ct), head.thickness_mm)

    by_name = {head.name: head for head in heads}
    made = records(folder, {name: (lambda head=head: one(head)) for name, head in by_name.items()})
    return [(by_name[name], record) for name, record in made.items()]


GROUPINGS: dict[str, tuple[str, ...]] = {
    "thickness and slice": ("thickness_mm", "slice_mm"),
    "hole": ("hole_mm",),
    "herniation": ("herniation",),
    "template": ("template",),
}

TITLES = (
    "wall",
    "heads",
    "holes",
    "intact wall, seen",
    "intact wall, seen or inferred",
    "holes, seen",
    "holes, seen or inferred",
)


def table(measured: Sequence[tuple[Head, Record]], by: Sequence[str], least_mm: float = 0.0) -> list[list[object]]:
    """A row for each value of some factors and each wall: area closed, with lowest and highest head."""
    kept = [(head, record) for head, record in measured if head.thickness_mm >= least_mm]
    keys = list(dict.fromkeys(tuple(getattr(head, name) for name in by) for head, _ in kept))
    rows: list[list[object]] = []
    for key in sorted(keys):
        some = [record for head, record in kept if tuple(getattr(head, name) for name in by) == key]
        for wall in WALLS:
            ours = [record[wall.name.lower()] for record in some]
            cells = [
                pooled([(one[kind][which], one[kind]["of"]) for one in ours])
                for kind, which in product(("intact", "hole"), ("seen", "either"))
            ]
            rows.append([*key, wall.name.lower(), len(ours), sum(one["holes"] for one in ours), *cells])
    return rows


def report(measured: Sequence[tuple[Head, Record]], out: Path) -> str:
    """Write tables and the curve, and return the Markdown."""
    text = ["## Fractures\n", f"{len(measured)} heads. Area closed, with the lowest and highest head that has any.\n"]
    for title, by in GROUPINGS.items():
        for least_mm in (0.0,) if "thickness_mm" in by else (0.4,):
            rows = table(measured, by, least_mm)
            text.append(f"By {title}{', walls from 0.4 mm on' if least_mm else ''}:\n")
            text.append(markdown([*by, *TITLES], rows))
            write_csv(out / f"fractures-by-{title.replace(' ', '-')}.csv", [*by, *TITLES], rows)
    text.append(_counts(measured))
    for which, title in (("seen", "seen above t"), ("either", "inferred above t")):
        draw_lines(
            out / f"fractures-{which}.png",
            f"Intact wall and holes, {title}, t from 0 to 1, by wall thickness",
            "hole area closed",
            "intact wall closed",
            curves(measured, which),
        )
        text.append(f"![{title}](fractures-{which}.png)\n")
    return "\n".join(text)


def curves(measured: Sequence[tuple[Head, Record]], which: str) -> dict[str, tuple[list[float], list[float]]]:
    """Holes closed and intact wall closed over the limit, by thickness."""
    found = {}
    for thickness_mm in sorted({head.thickness_mm for head, _ in measured}):
        pair = []
        for kind in ("hole", "intact"):
            tables = [
                record[wall.name.lower()]["levels"][kind]
                for head, record in measured
                if head.thickness_mm == thickness_mm
                for wall in WALLS
            ]
            shares = closed_shares(tables)
            # Seen alone is what no inferred wall adds to; inferred alone is the last network's.
            pair.append((shares[:, -1] if which == "seen" else shares[-1]).tolist())
        found[f"{thickness_mm:g} mm"] = (pair[0], pair[1])
    return found


def _counts(measured: Sequence[tuple[Head, Record]]) -> str:
    """How many holes there were of each diameter and herniation."""
    rows = []
    for hole_mm in HOLES_MM:
        row: list[object] = [f"{hole_mm:g} mm"]
        for herniation in HERNIATIONS:
            some = [record for head, record in measured if (head.hole_mm, head.herniation) == (hole_mm, herniation)]
            row.append("/".join(str(sum(one[wall.name.lower()]["holes"] for one in some)) for wall in WALLS))
        rows.append(row)
    return "Number of holes, floor/medial wall:\n\n" + markdown(["hole", *HERNIATIONS], rows)


def section(run: Run, repeats: int = 8, on: Sequence[str] = ()) -> str:
    """Measure the design and report it. By default on the phantom and the left-out template."""
    known = [name for name in ("phantom", run.left_out) if (run.templates / name).is_dir()]
    heads = list(design(on or list(dict.fromkeys(known)), repeats))
    return report(measure(run, heads, run.out / "fractures"), run.out)


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--left-out", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--on", nargs="+", default=[], help="templates; default: phantom and the left-out one")
    given = parser.parse_args()
    run = Run(given.package, given.templates, given.left_out, given.out)
    text = section(run, given.repeats, given.on)
    (given.out / "fractures.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
