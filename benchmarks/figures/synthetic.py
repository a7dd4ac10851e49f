"""Methods side by side on heads of the left-out template, against truth at 0.2 mm.

Everything is brought to the truth's grid as docs/contracts.md says of the scan's: HU and probabilities are interpolated
and thresholded there, never masks. The region is the box of the truth, 4 mm around the orbit.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import SimpleITK as sitk

from figures.common import Record, Run, markdown, records, segment, spread, with_inferred
from OrbitalSegLib.evaluation.figures import evaluate
from OrbitalSegLib.evaluation.overlap import overlap
from OrbitalSegLib.evaluation.pictures import can_draw, draw_boxes
from OrbitalSegLib.evaluation.table import Row, Table, write_tables
from OrbitalSegLib.evaluation.walls import wall_figures
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.by_networks import ConsensusBone, Limits
from OrbitalSegLib.methods.classical.hysteresis import HysteresisParameters
from OrbitalSegLib.methods.method import Task
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import AIR_HU
from OrbitalSegLib.training.cases import Case

SEED = 600_000
"""Far from the seeds of training."""

THRESHOLDS_HU = range(-100, 801, 10)
"""Of method A at its best."""

NETWORK_FIGURES = ("dice_seen", "dice_either", "walls_seen", "walls_either", "holes_seen", "holes_either")
SHOWN = ("sensitivity", "specificity", "accuracy", "dice", "iou")
DISTANCES = ("hd95_mm", "median_mm", "p95_mm", "signed_median_mm", "assd_mm")
WALLS = (
    "walls_closed_thin", "walls_closed_floor", "walls_closed_medial", "holes_closed_thin", "open_patches_floor",
    "open_patches_medial", "walls_closed_thin_from_0_mm", "walls_closed_thin_from_0.2_mm",
    "walls_closed_thin_from_0.3_mm", "walls_closed_thin_from_0.4_mm", "walls_closed_thin_from_0.6_mm",
)  # fmt: skip
COMPARED = ("whole_dice", "cortical_dice", "thin_dice", "hd95_mm", "walls_closed_thin", "holes_closed_thin")


def on_grid(ct: sitk.Image, truth: sitk.Image) -> sitk.Image:
    """A CT on the truth's grid, linear; air outside."""
    return sitk.Resample(ct, truth, sitk.Transform(), sitk.sitkLinear, AIR_HU, sitk.sitkFloat32)


def of_networks(
    run: Run, method: str, ct: sitk.Image, fine_ct: sitk.Image, **parameters: float
) -> dict[str, sitk.Image]:
    """`seen` and `either` of a method with networks on the grid of a finer image of the same scan."""
    found = segment(run, method, ct, **parameters)
    limits = Limits(
        {name: found.parameters[f"{name}_above"] for name in found.probabilities}, found.parameters["inferred_above"]
    )
    grid = consensus_grid(ct, run.model.spacing_mm)
    fine = ConsensusBone(ct, fine_ct, grid, found.probabilities, limits)
    masks = fine.on_scan(fine.classes(fine.bone))
    return {"seen": masks["bone"], "either": with_inferred(masks)}


def best_threshold(hu: np.ndarray, truth: np.ndarray) -> float:
    """The threshold with the highest Dice on this very case."""
    edges = [*THRESHOLDS_HU, np.inf]
    bone, other = (np.histogram(hu[flags], edges)[0][::-1].cumsum()[::-1] for flags in (truth, ~truth))
    dice = 2 * bone / (bone + other + np.count_nonzero(truth))
    return float(THRESHOLDS_HU[int(np.argmax(dice))])


def hysteresis(hu: sitk.Image) -> sitk.Image:
    """The product's method as it would be on this grid."""
    return METHODS["hysteresis"].run(Task(hu, Region()), HysteresisParameters(), silent).bone


def results(run: Run, case: Case) -> tuple[dict[str, sitk.Image], Record]:
    """Every method's mask on the truth's grid, and what was chosen for this case."""
    fine = on_grid(case.ct, case.truth)
    best_hu = best_threshold(sitk.GetArrayFromImage(fine), sitk.GetArrayFromImage(case.truth) > 0)
    masks = {"A 300 HU": fine > 300, "A best": fine > best_hu, "hysteresis": hysteresis(fine)}
    for method, letter in (("singlegrey", "B"), ("multigrey", "C")):
        both = of_networks(run, method, case.ct, fine)
        masks |= {f"{letter} seen": both["seen"], f"{letter} seen or inferred": both["either"]}
    return masks, {"best_hu": best_hu}


def judge(run: Run, seed: int) -> Record:
    """All figures of one head."""
    case = run.kept_case(run.left_out, seed, run.settings())
    masks, facts = results(run, case)
    fine = on_grid(case.ct, case.truth)
    region = case.truth >= 0
    return facts | {
        "methods": {name: evaluate(case.truth, mask, fine, region, case.walls) for name, mask in masks.items()}
    }


def against_truth(run: Run, case: Case, truth: sitk.Image, **parameters: float) -> Record:
    """`NETWORK_FIGURES` of method C: whole Dice, and what is closed of floor and medial wall."""
    record: Record = {}
    for which, mask in of_networks(run, "multigrey", case.ct, on_grid(case.ct, truth), **parameters).items():
        walls = wall_figures(case.walls, mask)
        record[f"dice_{which}"] = overlap(truth, mask).dice
        record[f"walls_{which}"] = walls.intact["thin"].share
        record[f"holes_{which}"] = walls.holes["thin"].share
    return record


def section(run: Run) -> str:
    """Measure, write `cases.csv`, `summary.csv`, `comparisons.csv` and the box plots, and report."""
    names = {f"{run.left_out}-{SEED + number}": SEED + number for number in range(run.cases)}
    made = records(run.out / "synthetic", {name: partial(judge, run, seed) for name, seed in names.items()})
    table = Table(tuple(Row(case, m, f) for case, record in made.items() for m, f in record["methods"].items()))
    write_tables(table, run.out)
    if can_draw():
        draw_boxes(table, run.out / "boxes.png")
    best = [record["best_hu"] for record in made.values()]
    text = [
        "## Synthetic test\n",
        f"{len(made)} of {run.cases} heads of `{run.left_out}`. Mean ± standard deviation (lowest to highest). "
        f"The best threshold of a case was {spread(best)} HU.\n",
    ]
    for group in ("whole", "cortical", "thin"):
        text += [f"Overlap, {group} bone:\n", _rows(table, {name: f"{group}_{name}" for name in SHOWN})]
    text += ["Distances:\n", _rows(table, {name: name for name in DISTANCES})]
    text += ["Walls, holes and tunnels:\n", _rows(table, {name: name for name in WALLS}), _comparisons(table)]
    return "\n".join(text)


def _rows(table: Table, figures: Mapping[str, str]) -> str:
    rows = [
        [method, *(spread(table.values(method, figure).values()) for figure in figures.values())]
        for method in table.methods
    ]
    return markdown(["method", *figures], rows)


def _comparisons(table: Table) -> str:
    rows = []
    for figure in COMPARED:
        for (first, second), c in table.comparisons(figure).items():
            if (second == "C seen" and first != "B seen or inferred") or (first, second) == (
                "B seen or inferred",
                "C seen or inferred",
            ):
                numbers = f"{c.median_difference:.4f}", f"{c.p_value:.2g}", f"{c.effect:.2f}"
                rows.append([figure, first, second, c.pairs, *numbers])
    titles = ["figure", "first", "second", "pairs", "median difference", "p (Wilcoxon, exact)", "effect"]
    return "Paired comparison with C:\n\n" + markdown(titles, rows)
