#!/usr/bin/env python3
"""What is delivered against what the networks saw: thin wall held, fracture holes closed, and leaks, step by step.

    delivered.py --package FOLDER --templates FOLDER --template NAME --out FOLDER [--data FOLDER] [--heads 20]

Every scan is judged as the bare probabilities above their limits, and as each set of `RULES` makes it: on the working
grid after post-processing, and brought to the scan's grid; *seen*, and *seen or inferred*. What was delivered before is
`before` on the scan's grid; what is delivered now is `now` on the grid on which a result lies.

Every synthetic head, fractured, is scanned with slices of 0.5 to 2.0 mm and pixels of 0.5 and 1.0 mm. Real scans
(development scans, figures/real.py) are judged by evaluation/coverage.py. Cases, probabilities and figures are kept in
`--out`, a file a scan, so that a run that was stopped goes on; delete `figures` there when the steps after the networks
have changed. `--at-most` scans are looked at, and the tables are of all that were.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice, product
from pathlib import Path
from statistics import mean

import numpy as np
import SimpleITK as sitk
from figures import real
from figures.common import Record, Run, markdown, probabilities, records, segment, with_inferred, write_json
from numpy.typing import NDArray

from OrbitalSegLib.evaluation import coverage
from OrbitalSegLib.evaluation.walls import wall_figures
from OrbitalSegLib.files import write_image
from OrbitalSegLib.images import mask_array
from OrbitalSegLib.methods.by_networks import INFERRED_MINIMUM_ML, ConsensusBone, Limits, beyond_edges, sheets
from OrbitalSegLib.methods.method import Masks
from OrbitalSegLib.networks.consensus import consensus_grid
from OrbitalSegLib.postprocessing import PostprocessingParameters, keep_touching, postprocess
from OrbitalSegLib.region import Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.result_grid import is_finer
from OrbitalSegLib.training.cases import Flag, is_case, read_case, write_case
from OrbitalSegLib.training.validation import RealScan, mask_above

SLICES_MM = (0.5, 1.0, 1.5, 2.0)
PIXELS_MM = (0.5, 1.0)
SEED = 800_000
"""Far from the seeds of training and of the other benchmarks."""

LAST = "thin"
"""The network that infers."""

Figures = Mapping[str, Mapping[str, float]]
"""By mask, such as `bare, seen`: its figures by name."""


@dataclass(frozen=True)
class Rules:
    """What of the candidates (above the limit of inferred wall, and not seen) is wall."""

    reaches: bool = True
    """What reaches beyond the voxels next to seen bone."""
    sheets: bool = True
    """What is a sheet."""
    closes: bool = False
    """What closing by one voxel adds to seen bone, whatever its size."""
    minimum_ml: float = INFERRED_MINIMUM_ML
    together: bool = True
    """Whether pieces of seen bone that wall joins are judged together."""


RULES = {
    "before": Rules(sheets=False, closes=True, together=False),
    "pieces together": Rules(sheets=False, closes=True),
    "no closing": Rules(sheets=False),
    "sheets alone": Rules(reaches=False),
    "any size": Rules(minimum_ml=0),
    "now": Rules(),
}
WHOLE = ("before", "now")
"""These are brought to the scan's grid, too."""


class RuledBone(ConsensusBone):
    """What a method finds by some rules."""

    rules = Rules()

    @cached_property
    def joint(self) -> sitk.Image | None:
        """See `Segmented`."""
        return sitk.Or(*self._wall_and_gaps(self.bone)) if self.rules.together else None

    def _inferred(self, bone: sitk.Image) -> sitk.Image:
        wall, gaps = self._wall_and_gaps(bone)
        return sitk.Or(keep_touching(wall, bone)[0], gaps)

    def _wall_and_gaps(self, bone: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
        seen = mask_array(bone)
        above = sitk.GetArrayFromImage(self.probabilities[LAST]) > self.parameters["inferred_above"] * 255
        candidates = above & ~seen
        wall = np.zeros_like(seen)
        if self.rules.reaches:
            wall |= beyond_edges(candidates, seen)
        if self.rules.sheets:
            wall |= sheets(candidates, ~(candidates | seen))
        image, gaps = self._image(wall), 0 * bone
        if self.rules.closes:
            closed = sitk.BinaryMorphologicalClosing(bone, [1, 1, 1], sitk.sitkBall, 1)
            gaps = self._image(candidates & mask_array(closed))
        large = PostprocessingParameters(fill_objects=False, minimum_object_ml=self.rules.minimum_ml)
        return postprocess(image, image, large)[0], gaps

    def _image(self, array: NDArray[np.bool_]) -> sitk.Image:
        return self._grid.image(array.astype(np.uint8))


def found_in(run: Run, ct: sitk.Image, region: Region, folder: Path) -> RuledBone:
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
    grid = consensus_grid(ct, images[LAST].GetSpacing()[0], region.margin_box_mm)
    own = {name: grid.image(sitk.GetArrayFromImage(image)) for name, image in images.items()}
    limits = Limits({name: used[f"{name}_above"] for name in images}, used["inferred_above"])
    return RuledBone(ct, region.working_part(ct), grid, own, limits)


def stations(found: RuledBone) -> Masks:
    """Every mask that is judged, on the working grid but for those that say `scan grid`."""
    limits = {name: found.parameters[f"{name}_above"] for name in found.probabilities}
    said = probabilities(found)
    masks = {
        "bare, seen": mask_above(said, limits),
        "bare, either": mask_above(said, limits | {LAST: found.parameters["inferred_above"]}),
    }
    for name, found.rules in RULES.items():
        vars(found).pop("joint", None)
        own = found.classes(repair(found, PostprocessingParameters())[0])
        masks |= {f"{name}, seen": own["bone"], f"{name}, either": with_inferred(own)}
        if name in WHOLE:
            last = found.on_scan(own)
            masks |= {f"{name}, scan grid, seen": last["bone"], f"{name}, scan grid, either": with_inferred(last)}
    return masks


def described(found: RuledBone, masks: Masks, figures: Record) -> Record:
    """The record of a scan."""
    return {"masks": figures, "delivered_on_working_grid": is_finer(found.bone, masks["now, scan grid, seen"])}


def of_head(run: Run, template: str, number: int, slice_mm: float, pixel_mm: float) -> Record:
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
    masks, figures = stations(found), {}
    for name, mask in masks.items():
        walls = wall_figures(case.walls, mask)
        figures[name] = {
            "wall": walls.intact["thin"].closed_mm2,
            "wall_of": walls.intact["thin"].total_mm2,
            "holes": walls.holes["thin"].closed_mm2,
            "holes_of": walls.holes["thin"].total_mm2,
            "beside_ml": _beside_ml(mask, case.label),
        }
    return described(found, masks, figures)


def _beside_ml(mask: sitk.Image, label: sitk.Image) -> float:
    """What of a mask is neither bone nor the band of a wall, intact or broken, where this is scored."""
    counted = int(Flag.BONE | Flag.HOLE | Flag.IGNORE)
    flags = sitk.GetArrayFromImage(sitk.Resample(label, mask, sitk.Transform(), sitk.sitkNearestNeighbor, counted))
    beside = (sitk.GetArrayFromImage(mask) != 0) & (flags & counted == 0)
    return float(beside.sum() * np.prod(mask.GetSpacing()) / 1000)


def of_scan(run: Run, scan: RealScan) -> Record:
    """A real scan."""
    found = found_in(run, scan.scan, Region(tuple(scan.box_mm)), run.out / "cases" / scan.name / "networks")
    masks, figures = stations(found), {}
    for name, mask in masks.items():
        held = coverage.measure(scan.sites, mask)
        ml = float(sitk.GetArrayViewFromImage(mask).sum() * np.prod(mask.GetSpacing()) / 1000)
        figures[name] = {"wall": held.coverage, "fat": held.fat, "soft": held.soft_tissue, "air": held.air}
        figures[name] |= {"skin": held.skin, "ml": ml}
    return described(found, masks, figures)


def delivered(record: Record, sight: str) -> dict[str, Mapping[str, float]]:
    """The bare probabilities of a scan, and what is delivered of it before and now."""
    now = "now" if record["delivered_on_working_grid"] else "now, scan grid"
    names = {"bare": "bare", "before": "before, scan grid", "now": now}
    return {name: record["masks"][f"{station}, {sight}"] for name, station in names.items()}


def pooled(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Shares of all heads' area together; `beside_ml` is the mean of a head."""
    ours = list(figures)
    shares = {
        key: sum(one[key] for one in ours) / max(sum(one[f"{key}_of"] for one in ours), 1e-9)
        for key in ("wall", "holes")
    }
    return shares | {"beside_ml": mean(one["beside_ml"] for one in ours)}


def report(scans: Mapping[str, Record], heads: Mapping[str, Mapping[str, Record]]) -> str:
    """What is delivered of real scans, and of synthetic heads by slice and pixel; rule by rule on the working grid."""
    text = []
    there = {kind: made for kind, made in heads.items() if made}
    for sight in ("seen", "either"):
        text += [f"Delivered, {sight}:\n", markdown(["scan", "", "wall", "fat", "soft tissue", "air", "skin", "ml"], [
            [scan, name, f"{one['wall']:.3f}", *(f"{one[key]:.4f}" for key in ("fat", "soft", "air", "skin")),
             f"{one['ml']:.1f}"]
            for scan, record in scans.items() for name, one in delivered(record, sight).items()
        ])]  # fmt: skip
        rows = []
        for kind, made in there.items():
            columns = [delivered(record, sight) for record in made.values()]
            shown = [pooled(one[name] for one in columns) for name in ("bare", "before", "now")]
            rows.append([kind, len(made), *(f"{one[key]:.3f}" for key in shown[0] for one in shown)])
        titles = [f"{key}: {name}" for key in ("wall", "holes", "beside, ml") for name in ("bare", "before", "now")]
        text.append(markdown(["slice, pixel, mm", "heads", *titles], rows))
    every = [record["masks"] for made in there.values() for record in made.values()]
    text.append(f"Rule by rule, working grid, either, {len(every)} scans of synthetic heads together:\n")
    rows = [
        [
            name,
            *(f"{value:.3f}" for value in (pooled(one[f"{name}, either"] for one in every) if every else {}).values()),
            *(f"{r['masks'][f'{name}, either'][key]:.3f}" for r in scans.values() for key in ("wall", "ml")),
        ]
        for name in ("bare", *RULES)
    ]
    titles = ["wall", "holes", "beside, ml"] if every else []
    return "\n".join([*text, markdown(["rules", *titles, *(f"{n}: {k}" for n in scans for k in ("wall", "ml"))], rows)])


def main() -> None:
    """Look at what was not looked at, and make the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a folder of template folders")
    parser.add_argument("--template", required=True, help="whose heads are scanned")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="real scans")
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--at-most", type=int, help="scans to look at in this run")
    given = parser.parse_args()
    run = Run(given.package, given.templates, given.template, given.out, data=given.data, threads=2)
    run.out.mkdir(parents=True, exist_ok=True)
    scans = {scan.name: partial(of_scan, run, scan) for scan in real.listed(run)}
    heads, kinds = {}, {}
    for number, slice_mm, pixel_mm in product(range(given.heads), SLICES_MM, PIXELS_MM):
        name = f"{given.template}-{number:02d}-{slice_mm:g}-{pixel_mm:g}"
        heads[name] = partial(of_head, run, given.template, number, slice_mm, pixel_mm)
        kinds[name] = f"{slice_mm:g}, {pixel_mm:g}"
    folder = run.out / "figures"
    there = {name: (folder / f"{name}.json").exists() for name in (*scans, *heads)}
    chosen = {*islice((name for name in there if not there[name]), given.at_most)}
    tasks = {name: make for name, make in (scans | heads).items() if there[name] or name in chosen}
    found = records(folder, tasks)
    made: dict[str, dict[str, Record]] = {kind: {} for kind in kinds.values()}
    for name in found.keys() & heads.keys():
        made[kinds[name]][name] = found[name]
    print(report({name: found[name] for name in scans if name in found}, made))


if __name__ == "__main__":
    main()
