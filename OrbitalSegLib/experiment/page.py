"""An experiment as one self-contained page: what was done, the figures, who is better, and the worst cases."""

from collections.abc import Sequence
from html import escape
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from OrbitalSegLib.evaluation.overlap import WHOLE
from OrbitalSegLib.evaluation.table import Summary, Table
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.record.html import html_page, pictures_in, section, table
from OrbitalSegLib.structures import BONE, STRUCTURES, parts_of

REGIONS = {WHOLE: "Whole bone"} | {
    name: f"{STRUCTURES[name].title}, {STRUCTURES[name].values}" for name in parts_of(BONE)
}
OVERLAP = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
}

DISTANCES = {
    "median_mm": "Distance from truth, median, mm",
    "p95_mm": "Distance from truth, 95 %, mm",
    "hd95_mm": "Hausdorff 95 %, mm",
    "assd_mm": "Average symmetric distance, mm",
    "surface_dice": "Surface Dice within 0.5 mm",
    "walls_closed_thin": "Floor and medial wall closed",
    "walls_closed_floor": "Floor closed",
    "walls_closed_medial": "Medial wall closed",
    "holes_closed_thin": "Fracture holes closed (less is better)",
}

COMPARED = (
    "whole_dice",
    "cortical_dice",
    "thin_dice",
    "p95_mm",
    "hd95_mm",
    "walls_closed_thin",
    "holes_closed_thin",
)


def page_of(found: Table, record: dict[str, Any], folder: Path) -> str:
    """The page; the pictures (PNG) of its folder are put into it."""
    step = next(step for step in record["steps"] if step["step"] == "experiment")
    product = record["product"]
    parts = [
        f"<header><h1>Experiment</h1><span class='faint'>{escape(product['name'])} {escape(product['version'])}, "
        f"{escape(record['created'][:10])}</span></header><p class='notice'>{escape(product['notice'])}</p>",
        _said(step),
        *(_overlap(found, name, title) for name, title in REGIONS.items() if f"{name}_dice" in found.figures),
        section("Surfaces and walls", _summaries(found, {k: v for k, v in DISTANCES.items() if k in found.figures})),
        _comparisons(found),
        section("Every case, and the worst of each method", pictures_in(sorted(folder.glob("*.png")))),
    ]
    return html_page("Experiment", parts)


def _said(step: dict[str, Any]) -> str:
    rows = [[escape(name), escape(_contestant(given))] for name, given in step["parameters"]["methods"].items()]
    data = (
        "phantoms by formula: walls of 0.3, 0.5 and 0.7 mm, with no fracture or one of the floor or the medial wall, "
        "scanned at 0.6 mm in slices of 0.6 and 0.9 mm; truth is bone fraction of at least one half in a voxel of the "
        "scan, and the walls' own mid-surfaces"
        if step["parameters"]["data"] == "phantoms"
        else "the cases that were given"
    )
    told = (
        f"<p>Every method on each of {step['measured']['cases']} cases: {escape(data)}. Definitions: "
        "docs/metrics.md. Figures are mean ± standard deviation over the cases that have a value. Phantoms are not "
        "patients: they tell methods apart, and say nothing of how good one is on people.</p>"
    )
    return section("What was done", told + table(["Name", "Method and parameters"], rows))


def _contestant(given: dict[str, Any]) -> str:
    """A method with all its parameters, those too that were left out."""
    method = METHODS[given["method"]]
    values = {row["name"]: row["default"] for row in method.describe() if row["kind"] != "limits"} | given
    first = values.pop("from", None)
    del values["method"]
    said = ", ".join(f"{name} {_value(value)}" for name, value in values.items())
    own = f"{method.title} ({method.source}): {said}" if said else f"{method.title} ({method.source})"
    return own if first is None else f"{own}; from what is found by {_contestant(first)}"


def _value(value: Any) -> str:
    """A parameter's value in words."""
    if value is None:
        return "the model’s"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _overlap(found: Table, name: str, title: str) -> str:
    return section(title, _summaries(found, {f"{name}_{figure}": said for figure, said in OVERLAP.items()}))


def _summaries(found: Table, figures: dict[str, str]) -> str:
    rows = [
        [escape(title), *(_mean(found.summary(method, name)) for method in found.methods)]
        for name, title in figures.items()
    ]
    return table(["", *map(escape, found.methods)], rows)


def _comparisons(found: Table) -> str:
    rows: list[Sequence[str]] = []
    for figure in (name for name in COMPARED if name in found.figures):
        for (first, second), one in found.comparisons(figure).items():
            rows.append(
                [
                    escape(figure.replace("_", " ")),
                    escape(f"{first} - {second}"),
                    f"{one.different} of {one.pairs}",
                    _number(one.median_difference),
                    "-" if isnan(one.p_value) else f"{one.p_value:.2g}",
                    _number(one.effect),
                ]
            )
    told = (
        "<p>Wilcoxon's signed-rank test on pairs, two-sided and exact; the effect is the rank-biserial correlation: 1 "
        "where the first method has the larger value in every case, -1 where the second has. Each p is for one "
        "comparison.</p>"
    )
    titles = ["Figure", "Methods", "Cases that differ", "Median difference", "p", "Effect"]
    return section("Paired comparisons", told + table(titles, rows)) if rows else ""


def _mean(found: Summary) -> str:
    if not found.cases:
        return "-"
    spread = "" if isnan(found.sd) else f" ± {found.sd:.3f}"
    return f"{_number(found.mean)}{spread}"


def _number(value: float) -> str:
    if isnan(value):
        return "-"
    return f"{value:.3f}" if isfinite(value) else "infinite"
