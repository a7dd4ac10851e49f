"""Two packages on the same held-back cases: which is better, and which walls and holes changed [3532-2 12].

Each segments as the product does, with its own limits. A label that people accepted is the truth of its case; of a
synthetic case it is the walls that it was made with, for its training label is wider than its walls.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib import segmenting
from OrbitalSegLib.defects.places import place_on, wall_at
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.figures import badness, plain
from OrbitalSegLib.evaluation.overlap import overlap, overlap_by_class
from OrbitalSegLib.evaluation.wall_points import Wall
from OrbitalSegLib.evaluation.walls import HOLE_EDGE_MM, crosses, wall_figures
from OrbitalSegLib.files import writing
from OrbitalSegLib.images import mask_array, mask_on_grid
from OrbitalSegLib.locating import Orbit
from OrbitalSegLib.methods import default_for
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.postprocessing import dilated
from OrbitalSegLib.progress import Progress, Steps, silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, Planes, Scan
from OrbitalSegLib.segmenting import Wish
from OrbitalSegLib.structures import BONE, THIN
from OrbitalSegLib.training.cases import read_case
from OrbitalSegLib.training.dataset import Entry, read_pair

Kind = Literal["found", "lost", "opened", "closed"]
"""Of a place: what belongs there was missing and is there now, or the reverse; what does not belong there was there and
is gone, or the reverse."""

A_POINT = 0.01
"""What a figure differs by at least where one package is called better or worse by it."""

LEAST_MM3 = 4.0
"""Smaller pieces are crumbs."""

LEAST_MM2 = 1.0

OF_WALLS = ("walls_closed_thin", "holes_closed_thin")
"""What is said of a synthetic case."""

NEAR_WALL_MM = 6.0
"""So near to a wall of a located orbit, a place is called by it."""

START_DEPTH = 0.3
"""From so deep on its axis, places on an orbit's wall are told by their direction."""

FIGURES_FILE, CHANGES_FILE = "comparison.json", "changes.csv"

Figures = dict[str, float]


@dataclass(frozen=True)
class Change:
    """One place where the new package finds something else than the old one, and the truth says who is right."""

    case: str
    structure: str
    kind: Kind
    where: str
    """As `right floor`; empty where no orbit was located near it."""
    size: float
    unit: str
    """mm³ of a piece; of a synthetic case mm² of a wall."""
    x_mm: float
    y_mm: float
    z_mm: float
    """Its middle, LPS."""


@dataclass(frozen=True)
class Compared:
    """Means over the held-back cases, and what changed."""

    cases: int
    before: Figures
    after: Figures
    changes: tuple[Change, ...]

    @property
    def gains(self) -> Figures:
        """How much better each figure is; negative where it is worse."""
        return {name: badness(name, self.before[name]) - badness(name, self.after[name]) for name in self.before}

    @property
    def verdict(self) -> str:
        """`better`: some figure is by a point or more, and none worse by as much; `worse`: one is; `alike`."""
        if any(gain < -A_POINT for gain in self.gains.values()):
            return "worse"
        return "better" if any(gain > A_POINT for gain in self.gains.values()) else "alike"

    @property
    def said(self) -> Iterator[str]:
        """The same in sentences."""
        for name, before in self.before.items():
            yield f"{name}: {before:.3f} before, {self.after[name]:.3f} now"
        for kind, words in {"found": "found anew", "lost": "lost", "opened": "opened", "closed": "closed"}.items():
            sizes = [one for one in self.changes if one.kind == kind]
            if sizes:
                places = ", ".join(dict.fromkeys(one.where for one in sizes if one.where)) or "no orbit near"
                yield f"{words}: {len(sizes)} places ({places})"
        yield f"On {self.cases} held-back cases the new package is {SENTENCES[self.verdict]}."

    def write(self, folder: Path) -> None:
        """`comparison.json` and `changes.csv`. Raises `OutputError`."""
        said = {
            "verdict": self.verdict,
            "cases": self.cases,
            "before": {name: plain(value) for name, value in self.before.items()},
            "after": {name: plain(value) for name, value in self.after.items()},
        }
        with writing(folder):
            (folder / FIGURES_FILE).write_text(json.dumps(said, indent=1) + "\n", "utf-8")
            with (folder / CHANGES_FILE).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([[one.name for one in fields(Change)], *map(astuple, self.changes)])


SENTENCES = {
    "better": "better: no figure is worse by a point or more",
    "worse": "worse in a figure by a point or more: keep the old one, or collect more cases",
    "alike": "neither better nor worse by a point",
}


def compare(
    before: Package, after: Package, cases: Sequence[Entry], labels: Mapping[str, int], progress: Progress = silent
) -> Compared:
    """Hold two packages against the same cases, none of which either has learnt from.

    Figures are Dice of each class; of bone also `sensitivity_thin` (the share of accepted thin bone that is found) and
    `excess` (what is called bone beyond the label, as a share of the label); of synthetic cases the shares of floor and
    medial wall, and of holes in them, that are closed. Raises `InputError` as reading and segmenting.
    """
    judged = []
    for done, entry in enumerate(cases):
        progress(done / len(cases))
        judged.append((_of_synthetic if entry.synthetic else _of_label)(entry, before, after, labels))
    progress(1.0)
    old, new = (_means([both[side] for both, _ in judged]) for side in (0, 1))
    return Compared(len(cases), old, new, tuple(change for _, changes in judged for change in changes))


def _means(found: Sequence[Figures]) -> Figures:
    """Of the cases that have a figure."""
    names = dict.fromkeys(name for one in found for name in one)
    values = {name: [one[name] for one in found if not math.isnan(one.get(name, math.nan))] for name in names}
    return {name: float(np.mean(known)) for name, known in values.items() if known}


# ---------------------------------------------------------------------------------------------------------------------
# One case


Judged = tuple[tuple[Figures, Figures], list[Change]]
"""The figures before and after, and what changed."""


def _of_label(entry: Entry, before: Package, after: Package, labels: Mapping[str, int]) -> Judged:
    """By a label that people accepted, on the image's own grid."""
    ct, label = read_pair(entry, labels)
    scan = _as_scan(ct)
    orbits: list[Orbit] = []
    old, new = (_segmented(scan, package, [*labels], orbits) for package in (before, after))
    was: Figures = {}
    now: Figures = {}
    changes: list[Change] = []
    for name, value in labels.items():
        if name in old and name in new:
            truth = sitk.Cast(label == value, sitk.sitkUInt8)
            was |= _figures(name, truth, old[name], ct)
            now |= _figures(name, truth, new[name], ct)
            changes += _changes(entry.name, name, (truth, old[name], new[name]), orbits)
    return (was, now), changes


def _figures(name: str, truth: sitk.Image, found: sitk.Image, ct: sitk.Image) -> Figures:
    counted = overlap(truth, found)
    said = {f"dice_{name}": counted.dice}
    if name == BONE:
        said["sensitivity_thin"] = overlap_by_class(truth, found, ct)[THIN].sensitivity
        true = counted.true_positive + counted.false_negative
        said["excess"] = counted.false_positive / true if true else math.nan
    return said


def _of_synthetic(entry: Entry, before: Package, after: Package, _labels: Mapping[str, int]) -> Judged:
    """By the walls that a synthetic case was made with."""
    case = read_case(entry.folder)
    scan = _as_scan(case.ct)
    masks = [_segmented(scan, package, [BONE], [])[BONE] for package in (before, after)]
    was, now = (
        {name: value for name, value in wall_figures(case.walls, mask).figures().items() if name in OF_WALLS}
        for mask in masks
    )
    old, new = (crosses(case.walls, mask) for mask in masks)
    intact = case.walls.hole == 0
    deep = ~intact & (case.walls.depth_mm > HOLE_EDGE_MM)
    kinds: dict[Kind, NDArray[np.bool_]] = {
        "found": intact & ~old & new,
        "lost": intact & old & ~new,
        "opened": deep & old & ~new,
        "closed": deep & ~old & new,
    }
    changes = []
    for kind, where in kinds.items():
        for side, wall in product((0, 1), Wall):
            points = case.walls.at(where & (case.walls.side == side) & (case.walls.wall == wall))
            if points.area_mm2.sum() >= LEAST_MM2:
                name = f"{('right', 'left')[side]} {wall.name.lower()}"
                middle = np.average(points.points_mm, axis=0, weights=points.area_mm2)
                changes.append(_change(entry.name, BONE, kind, name, float(points.area_mm2.sum()), "mm²", middle))
    return (was, now), sorted(changes, key=astuple)


def _change(
    case: str, structure: str, kind: Kind, where: str, size: float, unit: str, middle_mm: NDArray[np.float64]
) -> Change:
    x, y, z = (round(float(place), 1) for place in middle_mm)
    return Change(case, structure, kind, where, round(size, 1), unit, x, y, z)


def _as_scan(ct: sitk.Image) -> Scan:
    columns, rows, _ = ct.GetSize()
    spacing = ct.GetSpacing()
    return Scan(ct, Acquisition("nrrd", (rows, columns), spacing[0], spacing[2]), Planes.of(ct), "nrrd")


def _segmented(scan: Scan, package: Package, names: Sequence[str], orbits: list[Orbit]) -> dict[str, sitk.Image]:
    """What a package finds on the scan grid, empty where it finds nothing; `orbits` gets those that were located."""
    wish = Wish(default_for(package.folder), region=Region(), resources=Resources(model=package.folder), grid="scan")
    try:
        found = segmenting.segment(scan, wish, Steps(segmenting.shares(wish)))
    except InputError as error:
        if error.code != "empty-result":
            raise
        return {name: mask_on_grid(np.zeros(scan.image.GetSize()[::-1], bool), scan.image) for name in names}
    orbits[:] = found.place.orbits
    return {name: mask for name, mask in found.masks.items() if name in names}


# ---------------------------------------------------------------------------------------------------------------------
# Places that changed


def _changes(
    case: str, structure: str, masks: tuple[sitk.Image, sitk.Image, sitk.Image], orbits: Sequence[Orbit]
) -> list[Change]:
    """Of truth, old and new result: pieces that one result has and the other lacks; not the rims of what both have,
    which differ by a voxel."""
    true, was, now = (mask_array(mask) for mask in masks)
    near_true, near_was, near_now = (dilated(flags) for flags in (true, was, now))
    kinds: dict[Kind, NDArray[np.bool_]] = {
        "found": true & now & ~near_was,
        "lost": true & was & ~near_now,
        "opened": was & ~now & ~near_true,
        "closed": now & ~was & ~near_true,
    }
    return [
        _change(case, structure, kind, _called(middle, orbits), size, "mm³", middle)
        for kind, where in kinds.items()
        for size, middle in _pieces(where, masks[0])
    ]


def _pieces(where: NDArray[np.bool_], grid: sitk.Image) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """The volume in mm³ and the middle (LPS) of each piece that is no crumb, the largest first."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(sitk.ConnectedComponent(mask_on_grid(where, grid), True))
    found = [(shapes.GetPhysicalSize(one), np.array(shapes.GetCentroid(one))) for one in shapes.GetLabels()]
    yield from sorted((one for one in found if one[0] >= LEAST_MM3), key=lambda one: -one[0])


def _called(middle_mm: NDArray[np.float64], orbits: Sequence[Orbit]) -> str:
    """The wall of a located orbit that a place lies at; empty where it lies at none."""
    for orbit in orbits:
        if orbit.shape is None:
            continue
        start = orbit.shape.axis_mm(START_DEPTH).astype(np.float64)
        depths, angles = place_on(orbit.shape, np.asarray(middle_mm - start, np.float64)[None], start)
        wall = orbit.shape.wall_mm(depths, np.radians(angles))[0]
        if np.linalg.norm(wall - middle_mm) <= NEAR_WALL_MM:
            return f"{orbit.side} {wall_at(angles)[0]}"
    return ""
