"""How right the volume of an orbit is, and how well it is measured again (docs/orbit-volume.md).

    python benchmarks/orbit_volume.py --method exact --method threshold --method multigrey --heads 20
    python benchmarks/orbit_volume.py --method threshold --method multigrey --heads 0 --scan FOLDER
    python benchmarks/orbit_volume.py --repeated --method threshold --heads 4 --variant oblique-15 --scan FOLDER

The first measures phantoms whose volume is known by formula; `exact` is bone by formula on the scan's grid: what the
measurement itself adds. Each head is one of those that benchmarks/monitoring.py holds out.
The second measures the orbits of scans, whose volume nobody knows.
The third measures the same orbits again in a scan that is mirrored, turned, cropped or has other pixels, from reading
to volume as the product does, on such heads, on variants of the phantom and on scans; it goes on where it was stopped.
All print a row for each method and put it into docs/orbit-volume.json.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK as sitk
from monitoring import HELD_OUT, Case, good

from OrbitalSegLib import cavity, reading, segmenting
from OrbitalSegLib.cavity import Cavity
from OrbitalSegLib.cavity.orbits import MOST_BRIDGED
from OrbitalSegLib.locating import SIDES, locate
from OrbitalSegLib.phantom import VARIANTS, Anatomy, bone_fraction, cavity_ml, herniated_ml, write_phantom
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.segmenting import Segmentation, Wish

FOLDER, FIGURES = Path("build/orbit-volume"), Path("docs/orbit-volume.json")
EXACT = "exact"


def masks_of(method: str, anatomy: Anatomy, ct: sitk.Image, path: Path) -> tuple[sitk.Image, sitk.Image | None]:
    """Bone, and inferred wall where the method gives one."""
    if method == EXACT:
        return sitk.Cast(bone_fraction(anatomy, ct) >= 0.5, sitk.sitkUInt8), None
    masks = found_by(method, path).masks
    return masks["bone"], masks.get("inferred")


def found_by(method: str, path: Path) -> Segmentation:
    """What a method of the product finds in a scan."""
    wish = Wish(method)
    return segmenting.segment(reading.read(path), wish, Steps(segmenting.shares(wish)))


def head(number: int) -> tuple[Case, Path]:
    """A head that monitoring holds out, and its scan."""
    case = good(HELD_OUT, number)
    path = FOLDER / f"{case.name}.nrrd"
    if not path.exists():
        sitk.WriteImage(case.image(), str(path), useCompression=True)
    return case, path


def measure(method: str, number: int) -> list[dict[str, Any]]:
    """One row for each orbit of a head."""
    case, path = head(number)
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


TURN_DEGREES, COARSER = 10.0, 1.3
KEPT_MM = np.array([[-61.0, 64.0], [-52.0, 47.0], [-44.0, 48.0]])
"""Of a cropped scan, around the middle of both orbits: what table A.1 asks for, and some mm."""
BEHIND_OPENINGS_MM = np.array([0.0, 20.0, 0.0])

OTHER = {"right": "left", "left": "right"}
Change = Callable[[sitk.Image, np.ndarray], sitk.Image]
"""A scan and the middle of its orbits in; the scan in which they are measured again out."""


def mirrored(ct: sitk.Image, _middle_mm: np.ndarray) -> sitk.Image:
    """The right side of the head where its left one was."""
    axis = int(np.abs(np.reshape(ct.GetDirection(), (3, 3)))[0].argmax())
    flipped = sitk.GetImageFromArray(np.flip(sitk.GetArrayViewFromImage(ct), 2 - axis).copy())
    flipped.CopyInformation(ct)
    return flipped


def turned(axis: int) -> Change:
    def change(ct: sitk.Image, middle_mm: np.ndarray) -> sitk.Image:
        turn = sitk.VersorTransform(np.eye(3)[axis].tolist(), float(np.radians(TURN_DEGREES)), middle_mm.tolist())
        return sitk.Resample(ct, ct, turn, sitk.sitkLinear, -1024)

    return change


def cropped(ct: sitk.Image, middle_mm: np.ndarray) -> sitk.Image:
    """No more than what the region needs."""
    at, size = np.array(ct.TransformPhysicalPointToIndex(middle_mm.tolist())), np.array(ct.GetSize())
    low, high = (np.clip(at + np.rint(mm / ct.GetSpacing()).astype(int), 0, size) for mm in KEPT_MM.T)
    return ct[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]


def with_coarser_pixels(ct: sitk.Image, _middle_mm: np.ndarray) -> sitk.Image:
    x_mm, y_mm, z_mm = ct.GetSpacing()
    columns, rows, slices = ct.GetSize()
    size, spacing_mm = (int(columns / COARSER), int(rows / COARSER), slices), (x_mm * COARSER, y_mm * COARSER, z_mm)
    grid = (size, sitk.Transform(), sitk.sitkLinear, ct.GetOrigin(), spacing_mm, ct.GetDirection())
    return sitk.Resample(ct, *grid, -1024)


CHANGES: dict[str, Change] = {
    "as it is": lambda ct, _: ct,
    "mirrored": mirrored,
    "nodding": turned(0),
    "leaning": turned(1),
    "turning": turned(2),
    "cropped": cropped,
    "coarser pixels": with_coarser_pixels,
}


def cavities(method: str, path: Path) -> dict[str, Cavity | None]:
    """Each orbit of a scan, by the patient's side; None where it cannot be measured."""
    bone = found_by(method, path)
    found: dict[str, Cavity | None] = dict.fromkeys(SIDES)
    for orbit in bone.place.orbits:
        if orbit.status == "found":
            found[orbit.side] = cavity.measure(bone.scan.image, bone.masks["bone"], bone.masks.get("inferred"), orbit)
    return found


def told_ml(measured: Cavity | None) -> float | None:
    """The volume of an orbit; None where the product does not tell it."""
    return None if measured is None or measured.bridged_share > MOST_BRIDGED else measured.volume_ml


def measure_scan(method: str, path: Path) -> dict[str, Any]:
    """By side: the volume, and the share of the walls that was bridged."""
    found = {
        side: measured and {"volume_ml": told_ml(measured), "bridged_share": measured.bridged_share}
        for side, measured in cavities(method, path).items()
    }
    print(path, method, found, flush=True)
    return found


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def repeat(method: str, path: Path) -> list[dict[str, Any]]:
    """A row for each orbit and change of one scan; those that were measured before are taken from their file."""
    source = name_of(path)
    known = FOLDER / f"repeated-{method}.jsonl"
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    rows = [row for row in map(json.loads, lines) if row["scan"] == source]
    wanted = [name for name in CHANGES if name not in {row["change"] for row in rows}]
    if not wanted:
        return rows
    ct = reading.read(path).image
    middle_mm = np.mean([orbit.opening_mm for orbit in locate(ct).both], axis=0) + BEHIND_OPENINGS_MM
    for name in wanted:
        with TemporaryDirectory() as folder:
            changed = Path(folder) / "scan.nrrd"
            sitk.WriteImage(CHANGES[name](ct, middle_mm), str(changed))
            found = {side: told_ml(measured) for side, measured in cavities(method, changed).items()}
        sides = {side: OTHER[side] if name == "mirrored" else side for side in SIDES}
        new = [{"scan": source, "change": name, "side": side, "volume_ml": found[at]} for side, at in sides.items()]
        with known.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in new)
        rows += new
        print(source, method, name, *(row["volume_ml"] for row in new), flush=True)
    return rows


def repeatability(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far measurements in changed scans lie from those in the scan as it is."""
    first = {(row["scan"], row["side"]): row["volume_ml"] for row in rows if row["change"] == "as it is"}
    found: dict[str, Any] = {"orbits": sum(volume_ml is not None for volume_ml in first.values()), "lost": 0}
    apart: dict[str, list[float]] = {}
    for row in rows:
        volume_ml = first[row["scan"], row["side"]]
        if row["change"] == "as it is" or volume_ml is None:
            continue
        if row["volume_ml"] is None:
            found["lost"] += 1
            continue
        for of in (row["change"], "all"):
            apart.setdefault(of, []).append(row["volume_ml"] - volume_ml)
    for name, values in apart.items():
        differences = np.array(values)
        found[name] = {
            "measured_again": len(values),
            "mean_ml": float(differences.mean()),
            "sd_ml": float(differences.std(ddof=1)),
            "worst_ml": float(differences[np.abs(differences).argmax()]),
        }
    return found


def scans(given: argparse.Namespace) -> dict[str, list[Path]]:
    """What is measured again, by kind."""
    for name in given.variant:
        if not (FOLDER / name).exists():
            (FOLDER / name).mkdir()
            write_phantom(VARIANTS[name], FOLDER / name)
    variants = [FOLDER / name / "series" for name in given.variant]
    return {"heads": [head(n)[1] for n in range(given.heads)], "variants": variants, "scans": given.scan}


def measure_again(given: argparse.Namespace, figures: dict[str, Any]) -> None:
    for method in given.method:
        rows = {kind: [row for path in paths for row in repeat(method, path)] for kind, paths in scans(given).items()}
        found = {kind: repeatability(rows) for kind, rows in rows.items() if rows}
        figures.setdefault("repeated", {})[method] = {"measured": date.today().isoformat(), **found}
        print(json.dumps(found, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", action="append", required=True, help=f"{EXACT}, or a method of the product")
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--repeated", action="store_true", help="measure the same orbits in changed scans")
    parser.add_argument("--variant", action="append", default=[], help="repeated: a variant of the phantom")
    parser.add_argument("--scan", action="append", default=[], type=Path, help="a scan")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if given.repeated:
        measure_again(given, figures)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        return
    for method in given.method:
        for path in given.scan:
            found = {"measured": date.today().isoformat(), **measure_scan(method, path)}
            figures.setdefault("scans", {}).setdefault(method, {})[name_of(path)] = found
        rows = [row for number in range(given.heads) for row in measure(method, number)]
        if rows:
            figures[method] = {"measured": date.today().isoformat(), **summary(rows)}
            for name, value in figures[method].items():
                print(f"{name:28} {value}")
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
