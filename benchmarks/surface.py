#!/usr/bin/env python3
"""What a surface costs: seconds and peak memory of each step, beside Slicer's own way on the same mask.

    surface.py [--slicer .venvs/slicer/bin/python] [--mask FILE ...]

Without `--mask`: the phantom's bone on a cube of 400 voxels of 0.45 mm (`skull`), and its left orbit with 10 mm around
at 0.25 mm (`orbit`). Ours is timed on the mask alone and with a bone fraction (the mask, blurred by half a voxel, where
that does not contradict it), from the mask to an STL that was read back; the report of quality, which Slicer has no
equal to, has its own column. Slicer: closed surface at smoothing 0 and 0.5, and its STL. Every row is a process of its
own; memory is the most that it held for the surface, and with the
report, less what it held with the mask read. Seconds are CPU seconds, with those of the
wall clock in brackets, since machines are shared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from memory import Peak

from OrbitalSegLib.export.surfaces import write_surface
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.modelling.surface import Smoothing, SurfaceParameters, surface_of
from OrbitalSegLib.modelling.surface_quality import quality
from OrbitalSegLib.phantom import VARIANTS
from OrbitalSegLib.phantom.truth import truth_image

SKULL_VOXELS, SKULL_MM = 400, 0.45
ORBIT_MM, AROUND_MM = 0.25, 10.0


def masks(folder: Path) -> dict[str, Path]:
    """The phantom's bone as masks in a folder."""
    anatomy = VARIANTS["plain"].anatomy
    box = np.array(anatomy.orbit("left").box)
    low, high = box[:, 0] - AROUND_MM, box[:, 1] + AROUND_MM
    grids = {
        "skull": (np.full(3, SKULL_VOXELS), SKULL_MM, np.full(3, -SKULL_VOXELS * SKULL_MM / 2)),
        "orbit": (np.ceil((high - low) / ORBIT_MM), ORBIT_MM, low),
    }
    for name, (size, spacing_mm, origin_mm) in grids.items():
        grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
        grid.SetSpacing((spacing_mm,) * 3)
        grid.SetOrigin(origin_mm.tolist())
        sitk.WriteImage(truth_image(anatomy, grid), folder / f"{name}.nrrd")
    return {name: folder / f"{name}.nrrd" for name in grids}


class Clock:
    """CPU and wall seconds since the last look."""

    def __init__(self) -> None:
        self._last = time.process_time(), time.perf_counter()

    def __call__(self) -> tuple[float, float]:
        """CPU, wall."""
        now = time.process_time(), time.perf_counter()
        found = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return found


def ours(path: Path, smoothing: Smoothing, blurred: bool) -> dict[str, Any]:
    """What our way costs on one mask."""
    mask = sitk.ReadImage(path)
    field = BoneField(mask)
    if blurred:
        soft = sitk.DiscreteGaussian(sitk.Cast(mask, sitk.sitkFloat32), 0.25, useImageSpacing=False)
        field = BoneField(mask, agreeing(soft, mask), "fraction")
    peak, clock = Peak(), Clock()
    made = surface_of(field, SurfaceParameters(smoothing))
    surface_s, surface_bytes = clock(), peak()
    with tempfile.TemporaryDirectory() as folder:
        write_surface(made.mesh, Path(folder), "bone")
    export_s = clock()
    quality(made.points, made.triangles, (made.unsmoothed, made.triangles), 0.8, topology=made.topology)
    quality_s = clock()
    return {
        "triangles": len(made.triangles),
        "estimated_bytes": made.measured["memory_estimated_gb"] * 1e9,
        "peak_bytes": surface_bytes,
        "surface_s": surface_s,
        "export_s": export_s,
        "quality_s": quality_s,
        "report_bytes": peak(),
        "steps": made.measured["seconds"],
    }


def slicers(python: Path, path: Path, smoothing: float) -> dict[str, Any]:
    """What Slicer's way costs on one mask."""
    script = Path(__file__).with_name("slicer_surface.py")
    with tempfile.TemporaryDirectory() as folder:
        job = json.dumps({"mask": str(path), "smoothing": smoothing, "folder": folder})
        done = subprocess.run([python, script], input=job + "\n", capture_output=True, text=True, check=True)
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        size = Path(told["stl"]).stat().st_size
    return {"triangles": (size - 84) // 50, "steps": {}, **told}


def shown(name: str, way: str, found: dict[str, Any]) -> str:
    """One row of the table."""

    def seconds(key: str) -> str:
        return "{:.1f} ({:.1f})".format(*found[key]) if key in found else "-"

    steps = ", ".join(f"{step} {value:.1f}" for step, value in found["steps"].items())
    memory = ", ".join(f"{found[key] / 1e9:.2f}" for key in ("peak_bytes", "report_bytes") if key in found)
    estimated = f"{found['estimated_bytes'] / 1e9:.2f}" if "estimated_bytes" in found else "-"
    return (
        f"| {name} | {way} | {found['triangles']:,} | {seconds('surface_s')} | {seconds('export_s')} |"
        f" {seconds('quality_s')} | {memory} | {estimated} | {steps} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slicer", type=Path)
    parser.add_argument("--mask", type=Path, nargs="+")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        path, smoothing, blurred = arguments.one
        print(json.dumps(ours(Path(path), smoothing, blurred == "fraction")))
        return
    print("| mask | way | triangles | surface, s | STL, s | report, s | peak, GB | estimated, GB | steps, wall s |")
    print("| --- " * 9 + "|")
    with tempfile.TemporaryDirectory() as folder:
        given = {path.stem: path for path in arguments.mask or []} or masks(Path(folder))
        for name, path in given.items():
            for smoothing, source in (("none", "mask"), ("faithful", "mask"), ("faithful", "fraction")):
                call = [sys.executable, __file__, "--one", path, smoothing, source]
                done = subprocess.run(call, capture_output=True, text=True, check=True)
                print(shown(name, f"ours, {smoothing}, {source}", json.loads(done.stdout)), flush=True)
            for factor in (0.0, 0.5) if arguments.slicer else ():
                print(shown(name, f"Slicer, {factor:g}", slicers(arguments.slicer, path, factor)), flush=True)


if __name__ == "__main__":
    main()
