"""How right the volume of an orbit is, on phantoms whose volume is known by formula (docs/orbit-volume.md).

    python benchmarks/orbit_volume.py --method exact --method threshold --method multigrey --heads 20

`exact` is bone by formula on the scan's grid: what the measurement itself adds. Each head is one of those that
benchmarks/monitoring.py holds out; a row for each method, as a table and in docs/orbit-volume.json.
"""

import argparse
import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from monitoring import HELD_OUT, good

from OrbitalSegLib import CONTRACT, cavity, pipeline
from OrbitalSegLib.job import job_from
from OrbitalSegLib.locate import SIDES, locate
from OrbitalSegLib.phantom import Anatomy, bone_fraction, cavity_ml, herniated_ml
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record

FOLDER, FIGURES = Path("build/orbit-volume"), Path("docs/orbit-volume.json")
EXACT = "exact"


def masks_of(method: str, anatomy: Anatomy, ct: sitk.Image, path: Path) -> tuple[sitk.Image, sitk.Image | None]:
    """Bone, and inferred wall where the method gives one."""
    if method == EXACT:
        return sitk.Cast(bone_fraction(anatomy, ct) >= 0.5, sitk.sitkUInt8), None
    values = {"contract": CONTRACT, "task": "segment", "input": str(path), "output": "-", "method": method}
    job = job_from(values)
    masks = pipeline.find_bone(job, Steps(pipeline.segment_shares(job), lambda *_: None), Record()).masks
    return masks["bone"], masks.get("inferred")


def measure(method: str, number: int) -> list[dict[str, Any]]:
    """One row for each orbit of a head."""
    case = good(HELD_OUT, number)
    path = FOLDER / f"{case.name}.nrrd"
    if not path.exists():
        sitk.WriteImage(case.image(), str(path), useCompression=True)
    ct = sitk.ReadImage(str(path))
    bone, inferred = masks_of(method, case.anatomy, ct, path)
    found, rows = locate(ct), []
    for side in SIDES:
        orbit = getattr(found, side)
        measured = cavity.measure(ct, bone, inferred, orbit) if orbit.status == "found" else None
        if measured is None:
            print(case.name, side, "not measured", flush=True)
            continue
        broken = case.anatomy.fracture != "none" and case.anatomy.fracture_side == side
        rows.append(
            {
                "case": case.name,
                "side": side,
                "volume_ml": measured.volume_ml,
                "true_ml": cavity_ml(case.anatomy, side, measured.front.depth_mm),
                "bridged_share": measured.bridged_share,
                "beyond_ml": measured.beyond_ml,
                "herniated_ml": herniated_ml(case.anatomy) if broken else 0.0,
            }
        )
    print(case.name, method, *(f"{row['volume_ml']:.2f} {row['true_ml']:.2f}" for row in rows), flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What docs/orbit-volume.md says of a method."""
    percent = np.array([100 * (row["volume_ml"] / row["true_ml"] - 1) for row in rows])
    heads = defaultdict(dict)
    for row in rows:
        heads[row["case"]][row["side"]] = row
    both = [head for head in heads.values() if len(head) == 2]
    apart = np.array([head["left"]["volume_ml"] - head["right"]["volume_ml"] for head in both])
    broken = [row for row in rows if row["herniated_ml"] > 0]
    whole = [row for row in rows if row["herniated_ml"] == 0]
    return {
        "orbits": len(rows),
        "heads": len(both),
        "error_percent_mean": float(percent.mean()),
        "error_percent_sd": float(percent.std(ddof=1)),
        "error_percent_worst": float(percent[np.abs(percent).argmax()]),
        "difference_ml_median": float(np.median(np.abs(apart))),
        "difference_ml_worst": float(np.abs(apart).max()),
        "bridged_share_median": float(np.median([row["bridged_share"] for row in whole])),
        "bridged_share_worst": float(max(row["bridged_share"] for row in whole)),
        "broken": len(broken),
        "beyond_of_herniated_median": float(np.median([row["beyond_ml"] / row["herniated_ml"] for row in broken])),
        "beyond_of_herniated_range": [
            float(f(row["beyond_ml"] / row["herniated_ml"] for row in broken)) for f in (min, max)
        ],
        "beyond_ml_unbroken_worst": float(max(row["beyond_ml"] for row in whole)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", action="append", required=True, help=f"{EXACT}, or a method of the product")
    parser.add_argument("--heads", type=int, default=20)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for method in given.method:
        rows = [row for number in range(given.heads) for row in measure(method, number)]
        figures[method] = {"measured": date.today().isoformat(), **summary(rows)}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        for name, value in figures[method].items():
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
