"""Where the limits of monitoring come from, and how often they are wrong (docs/monitoring.md).

    python benchmarks/monitoring.py scans                      phantoms, good and damaged, once: some 15 s of CPU each
    python benchmarks/monitoring.py run --method multigrey     the method on each of them
    python benchmarks/monitoring.py limits                     limits.json from the phantoms that limits are set on
    python benchmarks/monitoring.py count                      verdicts on the others, as a table and as JSON
    python benchmarks/monitoring.py regions --method threshold --scan FOLDER
                                                               the whole scan against `auto`, on all variants and scans

Each stage goes on where it was stopped. Phantoms are drawn from ranges cut into five stripes: limits are set on the
first, third and fifth stripe of every parameter and counted on the second and fourth, which are held out.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import acquisition, monitoring
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.files import whole
from OrbitalSegLib.phantom import VARIANTS, Anatomy, Scanner, scan, write_series
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import segment
from OrbitalSegLib.tasks.keys import read_keys

FOLDER = Path("build/monitoring")
LIMITS = Path("OrbitalSegLib/monitoring/limits.json")
FIGURES = Path("docs/monitoring.json")

SET, HELD_OUT = "set", "held-out"
STRIPES = {SET: (0, 2, 4), HELD_OUT: (1, 3)}
SPARE = 0.25
"""Of the range that was measured, so much is added on either side: the stripes held out lie inside the hull."""

FIELD_OF_VIEW_MM = 140.0
HEIGHT_MM = 84.0
"""Of the scan: in 54 mm the region that table A.1 asks for was cut off in half of the phantoms, in 70 mm in one of 28.
"""

RANGES = {
    "wall_thickness_mm": (0.3, 0.8),
    "mucosa_mm": (0.0, 2.5),
    "cortical_hu": (950.0, 1400.0),
    "thin_hu": (600.0, 1000.0),
    "trabecular_hu": (300.0, 500.0),
    "turned_degrees": (-8.0, 8.0),
    "fracture_area_mm2": (40.0, 160.0),
    "noise_hu": (6.0, 20.0),
    "point_spread_mm": (0.25, 0.45),
    "spacing_mm": (0.6, 0.95),
    "pixel_mm": (0.28, 0.65),
}
"""Good settings: what table A.1 asks for, but for the matrix (see `Case.acquisition`)."""


OFFSET_HU = 15.0
"""The phantom's tissues have one density each; people's differ, and so do scanners' scales: all values are moved by
up to so much."""


@dataclass(frozen=True)
class Case:
    """One phantom and what is expected of its verdict."""

    name: str
    kind: str
    anatomy: Anatomy
    scanner: Scanner
    step_hu: int = 1
    offset_hu: int = 0

    def image(self) -> sitk.Image:
        taken = scan(self.anatomy, self.scanner)
        hu = taken.voxels.astype(np.int16) + np.int16(self.offset_hu)
        image = sitk.GetImageFromArray(hu // self.step_hu * self.step_hu)
        image.SetSpacing([self.scanner.pixel_mm] * 2 + [self.scanner.spacing_mm])
        image.SetOrigin(taken.grid.origins[0].tolist())
        return image

    @property
    def acquisition(self) -> dict[str, Any]:
        """What the scanner would say. The matrix is said to be 512; a coarser one is scanned, to save time."""
        scanner = self.scanner
        return {
            "file_format": "DICOM",
            "matrix": [512, 512],
            "pixel_mm": scanner.pixel_mm,
            "slice_distance_mm": scanner.spacing_mm,
            "slice_thickness_mm": scanner.slice_thickness_mm,
            "collimation_mm": 0.6,
            "tube_voltage_kv": 100.0,
            "tube_current_ma": 300.0,
            "rotation_time_s": 1.0,
            "field_of_view_mm": 125.0,
            "kernel": "STANDARD" if scanner.kernel == "standard" else "BONE",
            "patient_position": "HFS",
        }


def good(kind: str, number: int) -> Case:
    """A phantom from the stripes of its kind."""
    random = np.random.default_rng([number, list(STRIPES).index(kind)])
    drawn = {}
    for name, (low, high) in RANGES.items():
        stripe = random.choice(STRIPES[kind])
        drawn[name] = float(low + (high - low) * (stripe + random.random()) / 5)
    anatomy = Anatomy(
        **{name: drawn[name] for name in ("wall_thickness_mm", "mucosa_mm", "cortical_hu", "thin_hu", "trabecular_hu")},
        turned_degrees=drawn["turned_degrees"],
        fracture=str(random.choice(["none", "none", "floor", "medial"])),  # type: ignore[arg-type]
        fracture_side=str(random.choice(["left", "right"])),  # type: ignore[arg-type]
        fracture_area_mm2=drawn["fracture_area_mm2"],
    )
    scanner = Scanner(
        matrix=round(FIELD_OF_VIEW_MM / drawn["pixel_mm"]),
        pixel_mm=drawn["pixel_mm"],
        slice_thickness_mm=drawn["spacing_mm"],
        spacing_mm=drawn["spacing_mm"],
        height_mm=HEIGHT_MM,
        centre_mm=(0.0, 15.0, 0.0),
        point_spread_mm=drawn["point_spread_mm"],
        noise_hu=drawn["noise_hu"],
        seed=number + 1,
    )
    stripe = random.choice(STRIPES[kind])
    offset_hu = round(OFFSET_HU * (2 * (stripe + random.random()) / 5 - 1))
    return Case(f"{kind}-{number:03d}", kind, anatomy, scanner, offset_hu=offset_hu)


def damaged(kind: str, number: int) -> Case:
    """A held-out phantom with one thing wrong, from mild to gross."""
    base = good(HELD_OUT, 1000 + number)
    share = (number % 5) / 4
    scanner, anatomy = base.scanner, base.anatomy
    case = replace(base, name=f"{kind}-{number:03d}", kind=kind)
    if kind == "noise":
        return replace(case, scanner=replace(scanner, noise_hu=50 + 50 * share))
    if kind == "thick-slices":
        thick = 1.5 + 2.5 * share
        return replace(case, scanner=replace(scanner, slice_thickness_mm=thick, spacing_mm=thick))
    if kind == "cropped":
        narrow = round(76 / scanner.pixel_mm)
        return replace(case, scanner=replace(scanner, matrix=narrow, centre_mm=(34.0 - 4 * share, 5.0, 0.0)))
    if kind == "metal":
        return replace(case, anatomy=replace(anatomy, metal=True))
    if kind == "newborn":
        soft = replace(anatomy, cortical_hu=400 + 150 * share, thin_hu=220 + 60 * share, trabecular_hu=160.0)
        return replace(case, anatomy=soft)
    if kind == "sharp-kernel":
        return replace(case, scanner=replace(scanner, kernel="sharp", noise_hu=25 + 15 * share))
    if kind == "wrong-scale":
        return replace(case, offset_hu=round(60 + 100 * share))
    if kind == "8-bit":
        return replace(case, step_hu=8 + 2 * (number % 5))
    raise ValueError(kind)


DAMAGES = ("noise", "thick-slices", "cropped", "metal", "newborn", "sharp-kernel", "wrong-scale", "8-bit")
WRONG_PACKAGE = "wrong-package"

REASONS = {
    "noise": {"noise_hu"},
    "thick-slices": {"table-a1", "slice_mm"},
    "cropped": {"orbits"},
    "metal": {"metal_ml"},
    "newborn": {"bone_hu"},
    "sharp-kernel": {"kernel", "noise_hu"},
    "wrong-scale": {"fat_hu", "soft_hu"},
    "8-bit": {"step_hu"},
    WRONG_PACKAGE: {"method"},
}
"""The checks of which one has to speak, so that the reason is the right one (docs/monitoring.md)."""


def cases(set_cases: int, good_cases: int, damaged_cases: int) -> Iterator[Case]:
    """Those that limits are set on; then good and damaged ones in turn: any beginning is a fair sample."""
    for number in range(set_cases):
        yield good(SET, number)
    for number in range(max(good_cases, damaged_cases * len(DAMAGES))):
        if number < good_cases:
            yield good(HELD_OUT, number)
        if number < damaged_cases * len(DAMAGES):
            yield damaged(DAMAGES[number % len(DAMAGES)], number // len(DAMAGES))


def make_scans(wanted: list[Case]) -> None:
    folder = FOLDER / "scans"
    folder.mkdir(parents=True, exist_ok=True)
    for case in wanted:
        path = folder / f"{case.name}.nrrd"
        if not path.exists():
            start = time.process_time()
            part = path.with_name(f".{path.name}")
            sitk.WriteImage(case.image(), str(part), useCompression=True)
            part.rename(path)
            print(case.name, f"{time.process_time() - start:.1f} s", flush=True)


def run_method(wanted: list[Case], method: str, model: str | None) -> None:
    """One line of JSON for each case, with what monitoring looks at."""
    path = _samples_path(method)
    done = {sample["case"] for sample in _samples(method)}
    for case in wanted:
        source = FOLDER / "scans" / f"{case.name}.nrrd"
        if case.name in done or not source.exists():
            continue
        sample = {"case": case.name, "kind": case.kind, "method": method, **_run(case, source, method, model)}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(sample) + "\n")
        print(case.name, sample.get("error") or f"{sample['seconds']:.1f} s", flush=True)


def _run(case: Case, source: Path, method: str, model: str | None) -> dict[str, Any]:
    job = read_keys(
        segment.SegmentJob,
        {
            "input": str(source),
            "output": "-",
            "method": method,
            "model": model,
            "acquisition": case.acquisition,
            "threads": 1,
        },
    )
    record, start = Record(), time.process_time()
    try:
        bone = segment.find(job, Steps(segment.shares(job)), record)
    except OrbitalSegError as error:
        return {"error": error.code}
    step = next(step for step in record.entries["steps"] if step["step"] == "monitoring")
    conditions, feasibility = acquisition.check(bone.scan, bone.place.monitored)
    return {
        "measures": step["measured"],
        "model": bone.segmented.measured.get("model"),
        "orbits": {orbit.side: orbit.status for orbit in bone.place.orbits},
        "kernel": next(vars(row) for row in conditions if row.id == "kernel"),
        "feasibility": vars(feasibility),
        "seconds": time.process_time() - start,
    }


def compare_regions(method: str, sources: dict[str, Path]) -> None:
    """What monitoring says of each scan where the region is `auto`, and where it is the whole scan."""
    path = FOLDER / f"regions-{method}.jsonl"
    known = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    rows = {row["scan"]: row for row in known}
    for name, source in sources.items():
        if name not in rows:
            rows[name] = {"scan": name, **{region: _judged(source, method, region) for region in ("auto", "whole")}}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[name]) + "\n")
        auto, all_of_it = rows[name]["auto"], rows[name]["whole"]
        apart = [key for key in auto | all_of_it if auto.get(key) != all_of_it.get(key)]
        print(name, auto.get("verdict") or auto["error"], "alike" if not apart else f"other: {apart}", flush=True)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures.setdefault("regions", {})[method] = {
        "measured": date.today().isoformat(),
        "scans": [rows[name] for name in sources],
    }
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _judged(source: Path, method: str, region: str) -> dict[str, Any]:
    """The verdict, the checks that spoke, the orbits, and every figure; or the error that stopped the run."""
    values = {"input": str(source), "output": "-", "method": method, "region": region}
    job, record = read_keys(segment.SegmentJob, values), Record()
    try:
        bone = segment.find(job, Steps(segment.shares(job)), record)
    except OrbitalSegError as error:
        return {"error": error.code}
    said = record.entries["monitoring"]
    return {
        "verdict": said["verdict"],
        "spoke": [row["id"] for row in said["checks"] if row["verdict"] != monitoring.TRUST],
        "orbits": {orbit.side: orbit.status for orbit in bone.place.orbits},
        "figures": {row["id"]: row["found"] for row in said["checks"]},
    }


def variants() -> dict[str, Path]:
    """A series of each variant of the phantom."""
    folder = FOLDER / "variants"
    folder.mkdir(parents=True, exist_ok=True)
    for name, variant in VARIANTS.items():
        if not (folder / name).exists():
            with whole(folder / name) as part:
                part.mkdir()
                write_series(scan(variant.anatomy, variant.scanner), part, export=variant.export)
    return {name: folder / name for name in VARIANTS}


def _samples_path(method: str) -> Path:
    return FOLDER / f"samples-{method}.jsonl"


def _samples(method: str) -> list[dict[str, Any]]:
    path = _samples_path(method)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def write_limits(methods: list[str]) -> None:
    """Limits of the input from all methods' good cases of the set range; of the output by method."""
    good_ones = {m: [s for s in _samples(m) if s["kind"] == SET and "measures" in s] for m in methods}
    measures = [s["measures"] for samples in good_ones.values() for s in samples]
    number = max(map(len, good_ones.values()))
    found = {
        "source": (
            f"benchmarks/monitoring.py, {date.today().isoformat()}: the range of {number} phantoms at good settings, "
            f"with {SPARE:.0%} of it to spare on either side"
        ),
        "input": monitoring.limits_from(measures, lambda check: not check.of_output, SPARE),
        "methods": {
            method: {
                "model": samples[0]["model"]
                and {key: samples[0]["model"][key] for key in ("name", "version", "sha256")},
                "output": monitoring.limits_from([s["measures"] for s in samples], lambda c: c.of_output, SPARE),
            }
            for method, samples in good_ones.items()
            if samples
        },
    }
    LIMITS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{LIMITS}: {number} phantoms, {', '.join(found['methods'])}")


def verdict_of(sample: dict[str, Any], needs_model: bool, wrong: bool = False) -> tuple[str, set[str]]:
    """The verdict on a sample, and the checks that spoke. What stops with an error is not to be used."""
    if "error" in sample:
        return monitoring.DO_NOT_USE, {sample["error"]}
    model = sample["model"] and dict(sample["model"])
    if wrong and model:
        model["sha256"] = "0" * 64
    run = monitoring.Run(
        method=sample["method"],
        needs_model=needs_model,
        model=model,
        conditions=[Condition(**sample["kernel"])],
        feasibility=Feasibility(**sample["feasibility"]),
        orbits=sample["orbits"],
        measures=sample["measures"],
    )
    found = monitoring.judge(run)
    spoke = {row["id"] for row in found["checks"] if row["verdict"] != monitoring.TRUST}
    if not needs_model:  # every threshold is to be checked: what is counted is whether anything else speaks
        spoke.discard("method")
        return found["verdict"] if spoke else monitoring.TRUST, spoke
    return found["verdict"], spoke


def count(method: str) -> None:
    """Verdicts by kind, false alarms and misses."""
    from OrbitalSegLib.methods import METHODS

    needs_model = METHODS[method].needs_model
    rows: dict[str, Counter[str]] = {}
    spoken: dict[str, Counter[str]] = {}
    right: Counter[str] = Counter()
    samples = [(sample["kind"], sample, False) for sample in _samples(method)]
    if needs_model:
        samples += [(WRONG_PACKAGE, sample, True) for kind, sample, _ in samples if kind == HELD_OUT]
    for kind, sample, wrong in samples:
        verdict, spoke = verdict_of(sample, needs_model, wrong)
        rows.setdefault(kind, Counter())[verdict] += 1
        spoken.setdefault(kind, Counter()).update(spoke)
        right[kind] += bool(spoke & REASONS.get(kind, set())) or "error" in sample
    total = {kind: sum(row.values()) for kind, row in rows.items()}
    for kind, row in rows.items():
        said = ", ".join(f"{verdict} {number}" for verdict, number in row.items())
        print(f"{kind:14} {total[kind]:4}  {said:40} right reason {right[kind]}  {dict(spoken[kind])}")
    bad = [kind for kind in rows if kind not in (SET, HELD_OUT)]
    alarms = total.get(HELD_OUT, 0) - rows.get(HELD_OUT, Counter())[monitoring.TRUST]
    misses = sum(rows[kind][monitoring.TRUST] for kind in bad)
    print(f"false alarms {alarms} of {total.get(HELD_OUT, 0)}, misses {misses} of {sum(total[kind] for kind in bad)}")
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures[method] = {
        "limits": monitoring.shipped_limits()["source"],
        "verdicts": rows,
        "right_reason": right,
        "false_alarms": [alarms, total.get(HELD_OUT, 0)],
        "misses": [misses, sum(total[kind] for kind in bad)],
    }
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("scans", "run", "limits", "count", "regions"))
    parser.add_argument("--method", action="append", help="default: multigrey")
    parser.add_argument("--model", help="a model package; default: the shipped one")
    parser.add_argument("--set", type=int, default=40, help="phantoms at good settings that limits are set on")
    parser.add_argument("--good", type=int, default=100, help="phantoms at good settings, held out")
    parser.add_argument("--damaged", type=int, default=13, help="phantoms of each kind of damage, held out")
    parser.add_argument("--scan", action="append", default=[], type=Path, help="regions: a scan")
    given = parser.parse_args()
    methods = given.method or ["multigrey"]
    wanted = list(cases(given.set, given.good, given.damaged))
    if given.stage == "scans":
        make_scans(wanted)
    elif given.stage == "run":
        for method in methods:
            run_method(wanted, method, given.model)
    elif given.stage == "limits":
        write_limits(methods)
    elif given.stage == "regions":
        for method in methods:
            compare_regions(method, variants() | {f"{path.parent.name}/{path.name}": path for path in given.scan})
    else:
        for method in methods:
            count(method)


if __name__ == "__main__":
    main()
