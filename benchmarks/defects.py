"""How right the openings of orbits are told (docs/defects.md).

    python benchmarks/defects.py --templates FOLDER --heads 20 [--left-out NAME]
    python benchmarks/defects.py --scan RESULT SCAN

The first measures synthetic heads whose walls and holes are known exactly: `HOLES` holes in each, of 3 to 15 mm, in
floor and medial wall of 0.4 to 1 mm. The segmentation is the training label of the head, in which no wall is lost, so
that these are the figures of what is done with a segmentation, and not of one. The second counts what is listed in a
result folder of a scan. Both go on where they were stopped, and put what they found into docs/defects.json.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from figures.common import read_template
from scipy.spatial import cKDTree

from OrbitalSegLib import cavity, defects, reading
from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.locating import SIDES, locate
from OrbitalSegLib.results import ResultFolder
from OrbitalSegLib.training.cases import Case, Flag, is_case, read_case, write_case
from OrbitalSegLib.training.synthesis import Settings, synthesize

FOLDER, FIGURES = Path("build/defects"), Path("docs/defects.json")
SEED = 910_000
"""Far from the seeds of training, and from those by which natural openings were placed."""
HOLES = 4
SETTINGS = replace(
    Settings(), centre="both", size_mm=(112.0, 80.0, 76.0), offset_mm=(-2.0, 2.0), far_share=0.0, metal_share=0.0,
    teeth_metal_share=0.0, narrow_view_share=0.0, slice_mm=(0.6, 1.0), pixel_mm=(0.35, 0.6), newborn_share=0.0,
    wall_mm=(0.4, 1.0), thicker_share=0.0, fracture_share=1.0, holes=(HOLES, HOLES), hole_mm=(3.0, 15.0),
    herniations=("flat", "fat", "muscle", "blood"),
)  # fmt: skip
NEAR_MM = 2.5
"""An opening lies at a hole if vertices of it are so near."""
LEAST_HOLE_MM2 = 7.0
"""Of 3 mm; what is left of a hole that overlaps another or runs into thick bone may be smaller."""
JOINED_MM = 1.0
"""Points of one hole are so near to each other."""


def head(templates: Path, name: str, number: int) -> Case:
    folder = FOLDER / "cases" / f"{name}-{number:03d}"
    if not is_case(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_case(synthesize(read_template(templates / name), SEED + number, SETTINGS), folder)
    return read_case(folder)


def holes_of(walls: WallPoints) -> Iterator[WallPoints]:
    """The points of each hole."""
    missing = walls.at(walls.hole == 1)
    if not len(missing.points_mm):
        return
    label = np.arange(len(missing.points_mm))
    pairs = cKDTree(missing.points_mm).query_pairs(JOINED_MM, output_type="ndarray")
    while len(pairs):
        lowest = label.copy()
        np.minimum.at(lowest, pairs[:, 0], label[pairs[:, 1]])
        np.minimum.at(lowest, pairs[:, 1], label[pairs[:, 0]])
        if np.array_equal(lowest, label):
            break
        label = lowest
    for one in np.unique(label):
        hole = missing.at(label == one)
        if hole.area_mm2.sum() >= LEAST_HOLE_MM2:
            yield hole


def measure(case: Case) -> dict[str, Any]:
    """What was told of a head, and what is true."""
    bone = sitk.Cast(sitk.And(case.label, int(Flag.BONE)) > 0, sitk.sitkUInt8)
    found: dict[str, Any] = {"orbits": 0, "holes": [], "false": []}
    for code, side in ((0, "right"), (1, "left")):
        orbit = getattr(locate(case.ct), side)
        measured = cavity.measure(case.ct, bone, None, orbit) if orbit.status == "found" else None
        if measured is None:
            continue
        openings = defects.openings_of(measured, orbit, case.ct, bone)
        number = defects.numbers_of(measured)
        points = defects.points_of(measured)
        found["orbits"] += 1
        at_hole = set()
        for hole in holes_of(case.walls.at(case.walls.side == code)):
            tree = cKDTree(hole.points_mm)
            near = {o.number for o in openings if (tree.query(points[number == o.number])[0] < NEAR_MM).mean() > 0.25}
            at_hole |= near
            unnamed = [o for o in openings if o.number in near and o.name is None]
            true_wall = Wall(int(np.bincount(hole.wall).argmax())).name.lower()
            found["holes"].append(
                {
                    "area_mm2": float(hole.area_mm2.sum()),
                    "found": bool(unnamed),
                    "as_natural": bool(near) and not unnamed,
                    "found_mm2": sum(o.area_mm2 for o in unnamed),
                    "wall": true_wall,
                    "walls": [o.wall for o in unnamed],
                }
            )
        others = [o for o in openings if o.number not in at_hole]
        found["false"] += [asdict(o) | {"side": side} for o in others if o.name is None]
        found.setdefault("natural", []).append([o.name for o in openings if o.name is not None])
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    holes = [hole for row in rows for hole in row["holes"]]
    told = [hole for hole in holes if hole["found"]]
    error = np.abs([hole["found_mm2"] / hole["area_mm2"] - 1 for hole in told])
    orbits = sum(row["orbits"] for row in rows)
    small = [hole for hole in holes if hole["area_mm2"] < np.pi * 4**2 / 4 * 4]
    return {
        "heads": len(rows),
        "orbits": orbits,
        "holes": len(holes),
        "found": len(told),
        "called_natural": sum(hole["as_natural"] for hole in holes),
        "small_holes": len(small),
        "small_found": sum(hole["found"] for hole in small),
        "area_error_median": float(np.median(error)) if told else None,
        "area_within_20_percent": float((error <= 0.2).mean()) if told else None,
        "right_wall": sum(hole["wall"] in hole["walls"] for hole in told),
        "false_an_orbit": sum(len(row["false"]) for row in rows) / max(orbits, 1),
    }


def heads(given: argparse.Namespace) -> None:
    figures = _figures()
    kept = FOLDER / "heads.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    rows = {row["head"]: row for row in map(json.loads, lines)}
    for number in range(given.heads):
        for name in given.template:
            key = f"{name}-{number:03d}"
            if key not in rows:
                rows[key] = {"head": key, "template": name} | measure(head(given.templates, name, number))
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[key]) + "\n")
                print(key, len(rows[key]["holes"]), "holes", len(rows[key]["false"]), "false", flush=True)
    for name in given.template:
        figures[name] = {
            "measured": date.today().isoformat(),
            **summary([row for row in rows.values() if row["template"] == name]),
        }
    print(json.dumps(figures, indent=1))
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def scan(result: Path, source: Path) -> None:
    """Openings of a result's scan, whose fractures nobody knows."""
    figures, folder = _figures(), ResultFolder(result)
    ct, bone = reading.read(source).image, read_segmentation(folder.segmentation)
    found = {}
    for side in SIDES:
        orbit = getattr(locate(ct), side)
        measured = cavity.measure(ct, bone, None, orbit) if orbit.status == "found" else None
        if measured is None or not defects.can_be_told(ct, measured):
            found[side] = defects.CANNOT_BE_TOLD
            continue
        openings = defects.openings_of(measured, orbit, ct, bone, defects.probabilities_in(folder))
        found[side] = [[o.name, o.wall, round(o.area_mm2, 1), o.certainty] for o in openings]
    figures.setdefault("scans", {})[source.name] = {"measured": date.today().isoformat()} | found
    print(json.dumps(found, indent=1))
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _figures() -> dict[str, Any]:
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=Path)
    parser.add_argument("--template", action="append", default=[], help="the name of one in that folder")
    parser.add_argument("--heads", type=int, default=5, help="of each template")
    parser.add_argument("--scan", nargs=2, type=Path, metavar=("RESULT", "SCAN"))
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if given.scan:
        scan(*given.scan)
    else:
        heads(given)


if __name__ == "__main__":
    main()
