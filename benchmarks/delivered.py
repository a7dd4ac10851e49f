#!/usr/bin/env python3
"""What is delivered against what the networks saw: thin wall held, fracture holes closed, and leaks, step by step.

    delivered.py --package FOLDER --templates FOLDER --template NAME --out FOLDER [--data FOLDER] [--heads 20]
                 [--before FILE] [--figures FILE]

Three stations of every scan: the networks' bare probabilities above their limits, the method's classes after
post-processing on the working grid, which are delivered where the scan is coarser, and the same brought to the scan's
grid; each *seen*, and *seen or inferred*.

Every synthetic head, fractured, is scanned with slices of 0.5 to 2.0 mm and pixels of 0.5 and 1.0 mm. Real scans
(development scans, figures/real.py) are judged by evaluation/coverage.py. Cases and probabilities are kept in `--out`,
so that the networks run once; what comes after them is done anew each time. `--before` is the
figures.json of another version of the steps after the networks, whose figures stand beside.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import SimpleITK as sitk
from figures import real
from figures.common import Run, markdown, probabilities, segment, with_inferred, write_json

from OrbitalSegLib.evaluation import coverage
from OrbitalSegLib.evaluation.walls import wall_figures
from OrbitalSegLib.files import write_image
from OrbitalSegLib.methods.by_networks import ConsensusBone, Limits
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.region import MARGIN_MM, Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.training.cases import Flag, is_case, read_case, write_case
from OrbitalSegLib.training.validation import RealScan, mask_above

SLICES_MM = (0.5, 1.0, 1.5, 2.0)
PIXELS_MM = (0.5, 1.0)
SEED = 800_000
"""Far from the seeds of training and of the other benchmarks."""

LAST = "thin"
"""The network that infers."""

Figures = dict[str, dict[str, float]]
"""By mask, such as `bare seen`: its figures by name."""


def found_in(run: Run, ct: sitk.Image, region: Region, folder: Path) -> ConsensusBone:
    """What the method found in a scan before post-processing; the networks run where the folder lacks theirs."""
    kept = folder / "limits.json"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = segment(run, "multigrey", ct, region)
        for name, image in made.probabilities.items():
            write_image(image, folder / f"probability-{name}.nrrd")
        write_json(made.parameters, kept)
    used = json.loads(kept.read_text("utf-8"))
    images = {name: sitk.ReadImage(str(folder / f"probability-{name}.nrrd")) for name in ("cortical", LAST)}
    corners = region.corners_mm(MARGIN_MM)
    box = None if corners is None else np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel().tolist()
    grid = consensus_grid(ct, images[LAST].GetSpacing()[0], box)
    own = {name: grid.image(sitk.GetArrayFromImage(image)) for name, image in images.items()}
    limits = Limits({name: used[f"{name}_above"] for name in images}, used["inferred_above"])
    return ConsensusBone(ct, region.working_part(ct), grid, own, limits)


def stations(found: ConsensusBone) -> dict[str, sitk.Image]:
    """Every mask that is judged."""
    limits = {name: found.parameters[f"{name}_above"] for name in found.probabilities}
    said = probabilities(found)
    own = found.classes(repair(found, PostprocessingParameters())[0])
    last = found.on_scan(own)
    return {
        "bare, seen": mask_above(said, limits),
        "bare, either": mask_above(said, limits | {LAST: found.parameters["inferred_above"]}),
        "working, seen": own["bone"],
        "working, either": with_inferred(own),
        "scan grid, seen": last["bone"],
        "scan grid, either": with_inferred(last),
    }


def of_head(run: Run, template: str, number: int, slice_mm: float, pixel_mm: float) -> Figures:
    """A synthetic head with fractures, on one scanner."""
    folder = run.out / "cases" / f"{template}-{number:02d}-{slice_mm:g}-{pixel_mm:g}"
    if not is_case(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        settings = replace(
            run.settings(), fracture_share=1.0, slice_mm=(slice_mm,) * 2, pixel_mm=(pixel_mm,) * 2, thin_slice_share=0.0
        )
        write_case(run.case(template, SEED + number, settings), folder)
    case = read_case(folder)
    found = found_in(run, case.ct, Region(), folder / "networks")
    figures = {}
    for name, mask in stations(found).items():
        walls = wall_figures(case.walls, mask)
        figures[name] = {
            "wall": walls.intact["thin"].closed_mm2,
            "wall_of": walls.intact["thin"].total_mm2,
            "holes": walls.holes["thin"].closed_mm2,
            "holes_of": walls.holes["thin"].total_mm2,
            "beside_ml": _beside_ml(mask, case.label),
        }
    return figures


def _beside_ml(mask: sitk.Image, label: sitk.Image) -> float:
    """What of a mask is neither bone nor the band of a wall, intact or broken, where this is scored."""
    counted = int(Flag.BONE | Flag.HOLE | Flag.IGNORE)
    flags = sitk.GetArrayFromImage(sitk.Resample(label, mask, sitk.Transform(), sitk.sitkNearestNeighbor, counted))
    beside = (sitk.GetArrayFromImage(mask) != 0) & (flags & counted == 0)
    return float(beside.sum() * np.prod(mask.GetSpacing()) / 1000)


def of_scan(run: Run, scan: RealScan) -> Figures:
    """A real scan."""
    region = Region(tuple(scan.box_mm))
    found = found_in(run, scan.scan, region, run.out / "cases" / scan.name / "networks")
    figures = {}
    for name, mask in stations(found).items():
        held = coverage.measure(scan.sites, mask)
        ml = float(sitk.GetArrayViewFromImage(mask).sum() * np.prod(mask.GetSpacing()) / 1000)
        figures[name] = {"wall": held.coverage, "fat": held.fat, "soft": held.soft_tissue, "air": held.air}
        figures[name] |= {"skin": held.skin, "ml": ml}
    return figures


def report(made: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Both tables: real scans, then synthetic heads by slice and pixel."""
    text = [markdown(["scan", "mask", "wall, before", "wall", "fat", "soft tissue", "air", "skin", "ml"], [
        [scan, name, _share(before.get("scans", {}).get(scan, {}).get(name, {}).get("wall")), _share(one["wall"]),
         *(f"{one[key]:.4f}" for key in ("fat", "soft", "air", "skin")), f"{one['ml']:.1f}"]
        for scan, masks in made["scans"].items() for name, one in masks.items()
    ])]  # fmt: skip
    rows = []
    for kind in made["heads"]:
        earlier = before.get("heads", {}).get(kind, {})
        for name, one in pooled(made["heads"][kind]).items():
            then = pooled(earlier).get(name, {}) if earlier else {}
            rows.append([kind, name, *(
                cell for key in ("wall", "holes") for cell in (_share(then.get(key)), _share(one[key]))
            ), *(_share(which.get("beside_ml")) for which in (then, one))])  # fmt: skip
    titles = ["slice, pixel, mm", "mask", "wall, before", "wall", "holes, before", "holes", "beside, ml, before"]
    return "\n".join([*text, markdown([*titles, "beside, ml"], rows)])


def pooled(heads: Mapping[str, Figures]) -> Figures:
    """Shares of all heads' area together, by mask; `beside_ml` is the mean of a head."""
    found = {}
    for name in next(iter(heads.values()), {}):
        ours = [masks[name] for masks in heads.values()]
        found[name] = {
            key: sum(one[key] for one in ours) / max(sum(one[f"{key}_of"] for one in ours), 1e-9)
            for key in ("wall", "holes")
        } | {"beside_ml": mean(one["beside_ml"] for one in ours)}
    return found


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """Make both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a folder of template folders")
    parser.add_argument("--template", required=True, help="whose heads are scanned")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="real scans")
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--before", type=Path, help="the figures of another version: its figures.json")
    parser.add_argument("--figures", type=Path, help="where the figures are put; figures.json in --out")
    given = parser.parse_args()
    run = Run(given.package, given.templates, given.template, given.out, data=given.data, threads=2)
    run.out.mkdir(parents=True, exist_ok=True)
    made: dict[str, Any] = {"scans": {scan.name: of_scan(run, scan) for scan in real.listed(run)}, "heads": {}}
    for slice_mm, pixel_mm in product(SLICES_MM, PIXELS_MM):
        made["heads"][f"{slice_mm:g}, {pixel_mm:g}"] = {}
    for number in range(given.heads):
        for slice_mm, pixel_mm in product(SLICES_MM, PIXELS_MM):
            kind = f"{slice_mm:g}, {pixel_mm:g}"
            made["heads"][kind][str(number)] = of_head(run, given.template, number, slice_mm, pixel_mm)
        print(f"head {number + 1} of {given.heads}", flush=True)
        write_json(made, given.figures or run.out / "figures.json")
    print(report(made, json.loads(given.before.read_text("utf-8")) if given.before else {}))


if __name__ == "__main__":
    main()
