"""Many cases: one row each, their mean and spread, the worst of them, and methods side by side.

A folder of cases holds one folder for each, and in it `truth` and one `result` or more, as .seg.nrrd, NRRD, NIfTI or
MHA; `result-NAME` is the result of the method NAME. Beside them may lie `ct` (or a folder of that name with a DICOM
series), `region` (a mask) and `walls.vtp`.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isinf, isnan, nan
from pathlib import Path

import numpy as np

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.figures import badness, evaluate
from OrbitalSegLib.evaluation.paired import Comparison, compare
from OrbitalSegLib.evaluation.wall_points import read_walls
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.files import writing
from OrbitalSegLib.progress import Progress, Warn, silent, span, unheard

ENDINGS = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha")
DECISIVE = "whole_dice"
"""The figure by which the worst case is chosen, unless another is named."""


@dataclass(frozen=True)
class Row:
    """The figures of one case and one method."""

    case: str
    method: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """One figure of one method over all cases that have it."""

    mean: float
    sd: float
    """Of the sample (n - 1); not a number below two cases."""
    median: float
    lowest: float
    highest: float
    cases: int
    """Those with a value; a case without one is left out, never counted as 0 or 1."""


@dataclass(frozen=True)
class Table:
    """Cases by methods."""

    rows: tuple[Row, ...]

    @property
    def methods(self) -> list[str]:
        """In the order in which they first come."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def figures(self) -> list[str]:
        """The names of all figures that some case has a value of."""
        named = {name: None for row in self.rows for name, value in row.figures.items() if not isnan(value)}
        return list(named)

    def values(self, method: str, figure: str) -> dict[str, float]:
        """A figure of one method by case; not a number where the case lacks it."""
        return {row.case: row.figures.get(figure, nan) for row in self.rows if row.method == method}

    def summary(self, method: str, figure: str) -> Summary:
        """Mean and spread. An infinite distance makes the mean infinite: it is no case to leave out."""
        known = np.array([value for value in self.values(method, figure).values() if not isnan(value)])
        if known.size == 0:
            return Summary(nan, nan, nan, nan, nan, 0)
        spread = known.std(ddof=1) if known.size > 1 and np.isfinite(known).all() else nan
        middle, low, high = float(np.median(known)), float(known.min()), float(known.max())
        return Summary(float(known.mean()), float(spread), middle, low, high, known.size)

    def worst(self, method: str, figure: str = DECISIVE) -> Row:
        """The case with the worst value of a figure; one without a value is no candidate unless all are.

        Raises ValueError if the method has no case.
        """
        ours = [row for row in self.rows if row.method == method]
        known = [row for row in ours if not isnan(row.figures.get(figure, nan))] or ours
        return max(known, key=lambda row: badness(figure, row.figures.get(figure, nan)))

    def comparisons(self, figure: str) -> dict[tuple[str, str], Comparison]:
        """Each pair of methods on the cases that both have."""
        found = {}
        for first, second in combinations(self.methods, 2):
            a, b = self.values(first, figure), self.values(second, figure)
            both = [case for case in a if case in b]
            found[first, second] = compare([a[case] for case in both], [b[case] for case in both])
        return found


@dataclass(frozen=True)
class CaseFiles:
    """What a case's folder holds."""

    name: str
    truth: Path
    results: dict[str, Path]
    ct: Path | None
    region: Path | None
    walls: Path | None


def find_cases(folder: Path, with_results: bool = True) -> list[CaseFiles]:
    """The cases of a folder in the order of their names. Raises `InputError` `no-such-input` if there is none."""
    found = [_case(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    cases = [case for case in found if case is not None and (case.results or not with_results)]
    if not cases:
        raise InputError(
            "no-such-input", "There is no case: a folder for each is needed, with a truth and a result as images."
        )
    return cases


def evaluate_case(case: CaseFiles, progress: Progress = silent, warn: Warn = unheard) -> list[Row]:
    """A row for each of a case's results; `warn` hears what is to be said of its files. Raises `InputError`."""
    truth = read_segmentation(case.truth, warn=warn)
    scan = None if case.ct is None else reading.read(case.ct)
    for code, text in () if scan is None else scan.warnings:
        warn(code, text)
    ct = None if scan is None else scan.image
    region = None if case.region is None else read_segmentation(case.region, warn=warn)
    walls = None if case.walls is None else read_walls(case.walls)
    rows = []
    for done, (method, path) in enumerate(case.results.items()):
        part = span(progress, done / len(case.results), (done + 1) / len(case.results))
        found = evaluate(truth, read_segmentation(path, warn=warn), ct, region, walls, progress=part)
        rows.append(Row(case.name, method, found))
    return rows


def evaluate_cases(cases: Sequence[CaseFiles], progress: Progress = silent, warn: Warn = unheard) -> Table:
    """The table of some cases. Raises `InputError`; its text and what `warn` hears say the case by its number."""
    rows: list[Row] = []
    for done, case in enumerate(cases):
        which = f"Case {done + 1} of {len(cases)}"

        def said(code: str, text: str, which: str = which) -> None:
            warn(code, f"{which}: {text}")

        try:
            rows += evaluate_case(case, span(progress, done / len(cases), (done + 1) / len(cases)), said)
        except InputError as error:
            raise InputError(error.code, f"{which}: {error.text}") from error
    return Table(tuple(rows))


def write_tables(table: Table, folder: Path) -> None:
    """Write `cases.csv`, `summary.csv` and, with two methods or more, `comparisons.csv` into an existing folder.

    Raises `OutputError`.
    """
    _write(folder / "cases.csv", ["case", "method", *table.figures], _case_rows(table))
    titles = ["method", "figure", "mean", "sd", "median", "lowest", "highest", "cases", "worst_case"]
    _write(folder / "summary.csv", titles, _summary_rows(table))
    if len(table.methods) > 1:
        titles = ["figure", "first", "second", "pairs", "different", "median_difference", "p", "effect"]
        _write(folder / "comparisons.csv", titles, _comparison_rows(table))


def _case_rows(table: Table) -> Iterable[list[object]]:
    for row in table.rows:
        yield [row.case, row.method, *(_text(row.figures.get(name, nan)) for name in table.figures)]


def _summary_rows(table: Table) -> Iterable[list[object]]:
    for method in table.methods:
        for figure in table.figures:
            s = table.summary(method, figure)
            numbers = (s.mean, s.sd, s.median, s.lowest, s.highest)
            yield [method, figure, *map(_text, numbers), s.cases, table.worst(method, figure).case]


def _comparison_rows(table: Table) -> Iterable[list[object]]:
    for figure in table.figures:
        for (first, second), c in table.comparisons(figure).items():
            numbers = map(_text, (c.median_difference, c.p_value, c.effect))
            yield [figure, first, second, c.pairs, c.different, *numbers]


def _write(path: Path, titles: list[str], rows: Iterable[list[object]]) -> None:
    with writing(path.parent), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(titles)
        writer.writerows(rows)


def _text(value: float) -> str:
    """Empty for what is not a number, so that no spreadsheet takes it for one."""
    if isnan(value):
        return ""
    return f"{value:.0f}" if isinf(value) or value == int(value) else f"{value:.6g}"


def _case(folder: Path) -> CaseFiles | None:
    files = {_stem(path): path for path in sorted(folder.iterdir())}
    results = {
        name.removeprefix("result").removeprefix("-") or "result": path
        for name, path in files.items()
        if name == "result" or name.startswith("result-")
    }
    if "truth" not in files:
        return None
    walls = files.get("walls.vtp")
    return CaseFiles(folder.name, files["truth"], results, files.get("ct"), files.get("region"), walls)


def _stem(path: Path) -> str:
    """A file's name without its ending, if it is an image's."""
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
    return path.name.removesuffix(ending)
