#!/usr/bin/env python3
"""The surface of every real scan, judged by others: own checker, trimesh, admesh, PrusaSlicer and pymeshlab.

    surface_scans.py FOLDER [--scan NAME ...] [--hu 300] [--pymeshlab PYTHON]

Each scan is thresholded as a whole, without post-processing, and made a model as `orbitalseg segment` makes it; every
row is a process of its own. `admesh` counts what it would repair; PrusaSlicer says whether STL and 3MF are manifold; of
pymeshlab (its licence is the GPL: a Python of its own) the faces that it suspects to cross, and the pairs of them that
do by exact arithmetic.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1] / "Testing"))

from judges import REPAIRS, admesh_repairs, prusa_slicer_info, pymeshlab_self_intersections
from memory import Peak

from OrbitalSegLib import reading
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.export.surfaces import write_surface
from OrbitalSegLib.methods.fraction import fraction_of_ct
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.modelling.model import ModelParameters, model_of

SCANS = (
    "ge-tilted-irregular",
    "toshiba-head-3mm",
    "philips-skull-phantom/tilted",
    "philips-skull-phantom/straight",
    "visible-human-female/head.nii.gz",
)


def judge(path: Path, hu: float, pymeshlab: str | None) -> list[str]:
    """The cells of one row."""
    import trimesh

    ct = reading.read(path).image
    mask = sitk.Cast(ct >= hu, sitk.sitkUInt8)
    field = BoneField(mask, agreeing(fraction_of_ct(ct, hu), mask), "CT")
    del ct
    peak, wall, cpu = Peak(), time.perf_counter(), time.process_time()
    made = model_of(field, ModelParameters())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    held = peak()
    measured = made.measured
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stl = write_surface(made.surface, folder, "bone")
        printed = [stl, write_surface(made.surface, folder, "bone", "3mf")]
        triangles = len(made.triangles)
        del made, field
        own = "sound" if mesh.check(read_stl(stl)).sound else "not sound"
        admesh = shutil.which("admesh")
        found = admesh_repairs(Path(admesh), stl) if admesh else {}
        repaired = "-" if not found else str(sum(found[kind] for kind in REPAIRS))
        loaded = trimesh.load(stl)
        closed = (
            "closed" if loaded.is_watertight and loaded.is_winding_consistent and loaded.volume > 0 else "not closed"
        )
        del loaded
        prusa = shutil.which("prusa-slicer")
        told = [prusa_slicer_info(Path(prusa), path).get("manifold", "?") for path in printed] if prusa else ["-"]
        manifold = ", ".join(told)
        crossing = str(pymeshlab_self_intersections(pymeshlab, stl)) if pymeshlab else "-"
    return [
        f"{triangles:,}",
        str(measured["parts"]),
        str(measured["tunnels"]),
        f"{measured['slits_joined']['pieces']:,}",
        own,
        closed,
        repaired,
        manifold,
        crossing,
        f"{cpu:.0f} ({wall:.0f})",
        f"{held / 1e9:.2f} ({measured['memory_estimated_gb']:.2f})",
    ]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scan", nargs="+", default=SCANS)
    parser.add_argument("--hu", type=float, default=300.0)
    parser.add_argument("--pymeshlab")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(judge(arguments.folder / arguments.one, arguments.hu, arguments.pymeshlab)))
        return
    heads = "scan | triangles | parts | tunnels | slits joined | own | trimesh | admesh repairs"
    print(f"| {heads} | manifold (STL, 3MF) | pymeshlab crossing | CPU s (wall) | peak GB (estimated) |")
    print("| --- " * 12 + "|")
    for name in arguments.scan:
        call = [sys.executable, __file__, str(arguments.folder), "--one", name, "--hu", str(arguments.hu)]
        call += ["--pymeshlab", arguments.pymeshlab] if arguments.pymeshlab else []
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        cells = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
