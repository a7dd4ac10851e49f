"""How right a reconstructed wall is (docs/reconstruction.md).

    python benchmarks/reconstruction.py --templates FOLDER [--template NAME ...] --heads 20 --minutes 4

Synthetic heads whose wall before the fracture is known: one or two holes of 5 to 25 mm in floor and medial wall, every
kind of herniation, and asymmetry as synthesis draws it. The segmentation is the training label, in which no wall is
lost; the truth is the same label with the holes filled. In the same run the baselines: the mirrored side laid rigidly
over the bone, and then moved by coherent point drift where `pycpd` is installed; and the bridge. It goes on where it
was stopped, and puts what it found into docs/reconstruction.json. Heads whose orbits are not located, and holes that
are not listed, are counted.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from figures.common import read_template

from OrbitalSegLib import cavity, defects
from OrbitalSegLib.cavity.sampling import Floats, Sampled
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.locating import SIDES, locate
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.reconstruction import SOURCES, Reconstruction, reconstruct
from OrbitalSegLib.reconstruction.mirror import laid_over
from OrbitalSegLib.reconstruction.star import Flags, Star
from OrbitalSegLib.symmetry import Plane, plane_of
from OrbitalSegLib.training.cases import Case, Flag, is_case, read_case, write_case
from OrbitalSegLib.training.synthesis import Settings, synthesize

FOLDER, FIGURES = Path("build/reconstruction"), Path("docs/reconstruction.json")
SEED = 2_020_000
"""Far from the seeds of training and of every other benchmark."""
SETTINGS = replace(
    Settings(), centre="both", size_mm=(112.0, 80.0, 76.0), offset_mm=(-2.0, 2.0), far_share=0.0, metal_share=0.0,
    teeth_metal_share=0.0, narrow_view_share=0.0, slice_mm=(0.6, 1.0), pixel_mm=(0.35, 0.6), newborn_share=0.0,
    wall_mm=(0.4, 1.0), thicker_share=0.0, fracture_share=1.0, holes=(1, 2), hole_mm=(5.0, 25.0),
)  # fmt: skip
LEAST_RAYS = 15
"""Fewer rays through a hole say nothing of it."""
INTO_MM = 0.3
"""So far behind its inner surface the wall that was is looked for."""
CPD_POINTS, CPD_STEPS = 700, 40

Figures = dict[str, Any]


def head(templates: Path, name: str, number: int) -> Case:
    folder = FOLDER / "cases" / f"{name}-{number:03d}"
    if not is_case(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_case(synthesize(read_template(templates / name), SEED + number, SETTINGS), folder)
    return read_case(folder)


def measure(case: Case) -> Figures:
    """What was reconstructed of a head, and what is true."""
    bone, missing = (sitk.Cast(sitk.And(case.label, int(flag)) > 0, sitk.sitkUInt8) for flag in (Flag.BONE, Flag.HOLE))
    located = locate(case.ct)
    found: Figures = {"deformation_mm": case.facts["drawn"]["deformation_mm"], "orbits": [], "false": 0}
    broken = {
        one.side: measured
        for one in located.both
        if one.status == "found" and (measured := cavity.measure(case.ct, bone, None, one)) is not None
    }
    openings = {
        side: defects.openings_of(measured, getattr(located, side), case.ct, bone) for side, measured in broken.items()
    }
    plane = plane_of(bone, located)
    found["measured"] = len(broken)
    for side, measured in broken.items():
        whole = cavity.measure(case.ct, sitk.Or(bone, missing), None, getattr(located, side))
        if whole is None:
            continue
        truth = Star.of(whole)
        hole = _hole(truth, missing)
        near = hole | hole[sphere().neighbours].any(axis=0)
        number = defects.numbers_of(measured)
        unnamed = [one for one in openings[side] if one.name is None]
        found["false"] += sum(not near[number == one.number].any() for one in unnamed)
        if hole.sum() < LEAST_RAYS:
            continue
        other = broken.get(SIDES_OTHER[side])
        listed = bool(np.isin(number[hole], [one.number for one in unnamed]).any())
        row: Figures = {"side": side, "rays": int(hole.sum()), "listed": listed, "area_mm2": _area_mm2(truth, hole)}
        if listed:
            row |= _methods(measured, openings[side], other, plane, truth, hole)
        found["orbits"].append(row)
    return found


SIDES_OTHER = dict(zip(SIDES, reversed(list(SIDES)), strict=True))


def _methods(
    measured: cavity.Cavity,
    openings: list[defects.Opening],
    other: cavity.Cavity | None,
    plane: Plane | None,
    truth: Star,
    hole: Flags,
) -> Figures:
    """Each source, and each baseline."""
    row: Figures = {}
    for name in SOURCES:
        made = reconstruct(measured, openings, other, plane, name)
        assert made is not None
        row[name] = _figures(made.star.wall_mm, made.star, truth, hole) | _trust(made, truth, hole)
    before = Star.of(measured)
    if other is not None and plane is not None:
        healthy = Star.of(other)
        rigid = laid_over(before, healthy, plane)
        row["rigid"] = _figures(_to(before, rigid, healthy), before, truth, hole)
        drifted = _drifted(rigid, before, healthy)
        if drifted is not None:
            row["drift"] = _figures(_to(before, drifted, healthy), before, truth, hole)
    return row


def _hole(truth: Star, missing: sitk.Image) -> Flags:
    """Rays that end at the wall that a fracture took away."""
    points = truth.points_mm
    box = np.stack([points.min(axis=0) - 5, points.max(axis=0) + 5], axis=1)
    return truth.is_wall & (Sampled.around(missing, box, 0.0).at(truth.at(truth.wall_mm + INTO_MM)) >= 0.5)


def _area_mm2(truth: Star, hole: Flags) -> float:
    triangles = sphere().triangles
    return round(mesh.area_mm2(truth.points_mm, triangles[hole[triangles].all(axis=1)]), 1)


def _to(broken: Star, points: Floats, healthy: Star) -> Floats:
    length, _ = broken.to_surface(points, healthy.is_wall)
    return np.where(np.isfinite(length), length, broken.wall_mm)


def _figures(wall_mm: Floats, made: Star, truth: Star, hole: Flags) -> Figures:
    """Distance across the wall in the hole; at its rim, how much more two rays beside each other differ than they did;
    and by how much the room behind the hole is larger."""
    cosine = np.abs((truth.normals * sphere().directions).sum(axis=1))
    off_mm = np.abs(wall_mm - truth.wall_mm)[hole] * cosine[hole]
    steps = []
    for row in sphere().neighbours:
        rim = np.flatnonzero(hole & ~hole[row] & made.is_wall[row])
        of_made, of_truth = wall_mm[rim] - made.wall_mm[row[rim]], truth.wall_mm[rim] - truth.wall_mm[row[rim]]
        steps.append(np.abs(of_made - of_truth) * cosine[rim])
    step_mm = np.concatenate(steps)
    other = replace(truth, wall_mm=np.where(hole, wall_mm, truth.wall_mm))
    ml = mesh.volume_ml(other.points_mm, sphere().triangles) - mesh.volume_ml(truth.points_mm, sphere().triangles)
    return {
        "median_mm": float(np.median(off_mm)), "p95_mm": float(np.percentile(off_mm, 95)),
        "step_mm": float(np.median(step_mm)) if len(step_mm) else None, "ml": ml,
    }  # fmt: skip


def _trust(made: Reconstruction, truth: Star, hole: Flags) -> Figures:
    """How often what is said to be uncertain holds, and how much of the hole is taken for one."""
    new = hole & made.is_new
    cosine = np.abs((truth.normals * sphere().directions).sum(axis=1))
    off_mm = np.abs(made.star.wall_mm - truth.wall_mm) * cosine
    return {
        "from": made.source, "new_share": float(new.sum() / hole.sum()),
        "within": float((off_mm <= made.uncertain_mm)[new].mean()) if new.any() else None,
        "uncertain_mm": float(np.median(made.uncertain_mm[new])) if new.any() else None,
        "mirrored_share": float((made.origin[new] == 1).mean()) if new.any() else None,
    }  # fmt: skip


def _drifted(rigid: Floats, broken: Star, healthy: Star) -> Floats | None:
    """The mirrored wall after coherent point drift; None where `pycpd` is not installed."""
    try:
        from pycpd import DeformableRegistration
    except ImportError:
        return None
    random = np.random.default_rng(0)

    def some(where: Flags) -> np.ndarray:
        indices = np.flatnonzero(where)
        return np.asarray(random.choice(indices, min(CPD_POINTS, len(indices)), replace=False))

    target, source = broken.points_mm[some(broken.is_wall)], rigid[some(healthy.is_wall)]
    drift = DeformableRegistration(X=target, Y=source, max_iterations=CPD_STEPS, alpha=2, beta=10)
    drift.register()
    apart = ((rigid[:, None] - source[None]) ** 2).sum(axis=2)
    return np.asarray(rigid + np.exp(-apart / (2 * drift.beta**2)) @ drift.W, np.float64)


def summary(rows: list[Figures]) -> Figures:
    """Median over orbits of each method's figures, and the worst twentieth of volumes."""
    orbits = [one for row in rows for one in row["orbits"]]
    told = [one for one in orbits if one["listed"]]
    found: Figures = {
        "heads": len(rows),
        "orbits_not_measured": sum(2 - row["measured"] for row in rows),
        "false_an_orbit": sum(row["false"] for row in rows) / max(sum(row["measured"] for row in rows), 1),
        "broken_orbits": len(orbits), "listed": len(told),
    }  # fmt: skip
    for name in (*SOURCES, "rigid", "drift"):
        own = [one[name] for one in told if name in one]
        if not own:
            continue
        middle: Callable[[str], float] = lambda key, own=own: round(  # noqa: E731
            float(np.median([one[key] for one in own if one[key] is not None])), 3
        )
        found[name] = {
            "orbits": len(own), "median_mm": middle("median_mm"), "p95_mm": middle("p95_mm"),
            "step_mm": middle("step_mm"), "ml_median": round(float(np.median(np.abs([one["ml"] for one in own]))), 3),
            "ml_worst": round(float(np.abs([one["ml"] for one in own]).max()), 3),
        }  # fmt: skip
        if "within" in own[0]:
            found[name] |= {key: middle(key) for key in ("within", "uncertain_mm", "new_share", "mirrored_share")}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--template", action="append", default=[], help="the name of one in that folder")
    parser.add_argument("--first", type=int, default=2, help="number of the first head; 0 and 1 were developed with")
    parser.add_argument("--heads", type=int, default=20, help="of each template")
    parser.add_argument("--minutes", type=float, default=1e6, help="no head is begun after so many")
    given = parser.parse_args()
    kept = FOLDER / "heads.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    rows = {row["head"]: row for row in map(json.loads, lines)}
    end = time.monotonic() + 60 * given.minutes
    for number, name in ((n, name) for n in range(given.first, given.first + given.heads) for name in given.template):
        key = f"{name}-{number:03d}"
        if key in rows or time.monotonic() > end:
            continue
        rows[key] = {"head": key, "template": name} | measure(head(given.templates, name, number))
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[key]) + "\n")
        print(key, len(rows[key]["orbits"]), "broken orbits", flush=True)
    numbers = {f"{n:03d}" for n in range(given.first, given.first + given.heads)}
    rows = {key: row for key, row in rows.items() if key.rpartition("-")[2] in numbers}
    of = {name: [row for row in rows.values() if row["template"] == name] for name in given.template}
    figures = {"measured": date.today().isoformat()} | {name: summary(own) for name, own in of.items()}
    figures["all"] = summary(list(rows.values()))
    print(json.dumps(figures, indent=1))
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
