#!/usr/bin/env python3
"""Do engines, precisions and margins agree? A package on the orbits of scans.

    agreement.py SCAN [SCAN ...] [--model FOLDER] [--threads N]

Everything is held against the networks of method C on torch in fp32, with the contract's margin of 10 mm: the largest
difference of probability of any network; the share of the region's voxels (working grid) that change side; Dice of seen
bone. With 10 mm more of margin also how many of the changed voxels do not lie at the edge of the bone.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.locating import locate
from OrbitalSegLib.networks import engines, package
from OrbitalSegLib.networks.consensus import consensus_grid, triplanar
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.region import MARGIN_MM, Region

NETWORKS = ("cortical", "thin")
TRIED = {  # engine, precision, margin in mm
    "openvino fp32": ("openvino", "fp32", MARGIN_MM),
    "openvino bf16": ("openvino", "bf16", MARGIN_MM),
    "torch bf16": ("torch", "bf16", MARGIN_MM),
    "10 mm more margin": ("torch", "fp32", MARGIN_MM + 10),
}


@dataclass(frozen=True)
class Said:
    """On the working grid inside the region: probabilities by network, and seen bone."""

    probabilities: dict[str, np.ndarray]
    bone: np.ndarray


def say(model: Package, scan: sitk.Image, region: Region, how: tuple[str, str, float], threads: int) -> Said:
    """What the networks say of a region, by engine, precision and margin in mm."""
    engine, precision, margin = how
    running = {name: engines.choose(model, name, engine, precision, "cpu", threads) for name in NETWORKS}
    corners = region.corners_mm(margin)
    if corners is None:
        raise SystemExit("No orbit was found.")
    box = np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel()
    found = triplanar(scan, running, consensus_grid(scan, model.spacing_mm, box), model.planes).probabilities
    own = {name: _cut(image, region) for name, image in found.items()}
    seen = [model.networks[n].calibration.apply(array) > model.networks[n].seen_above for n, array in own.items()]
    return Said(own, np.logical_or.reduce(seen))


def _cut(image: sitk.Image, region: Region) -> np.ndarray:
    """The voxels of the region, whose working grids all have the same places."""
    inside = sitk.GetArrayFromImage(region.within(image)) != 0
    planes = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return sitk.GetArrayFromImage(image)[tuple(slice(p[0], p[-1] + 1) for p in planes)]


def compare(one: Said, other: Said) -> str:
    """A row of the table."""
    furthest = max(float(np.abs(one.probabilities[n] - other.probabilities[n]).max()) for n in NETWORKS)
    different = one.bone != other.bone
    dice = 2 * np.count_nonzero(one.bone & other.bone) / (one.bone.sum() + other.bone.sum())
    image = sitk.GetImageFromArray(one.bone.view(np.uint8))
    edge = sitk.BinaryDilate(image, [1, 1, 1], sitk.sitkBox) - sitk.BinaryErode(image, [1, 1, 1], sitk.sitkBox)
    away = np.count_nonzero(different & (sitk.GetArrayFromImage(edge) == 0))
    return f"{furthest:.1e} | {100 * different.mean():.4f} | {1 - dice:.5f} | {away} of {np.count_nonzero(different)}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path, nargs="+", metavar="SCAN")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    model = package.load_package(given.model)
    print("| scan | held against torch fp32 | probability | voxels, % | 1 - Dice | away from the edge |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in given.scans:
        scan = reading.read(path).image
        region = locate(scan).region() or Region()
        own = say(model, scan, region, ("torch", "fp32", MARGIN_MM), given.threads)
        for name, how in TRIED.items():
            other = say(model, scan, region, how, given.threads)
            print(f"| {path.stem} | {name} | {compare(own, other)} |", flush=True)


if __name__ == "__main__":
    main()
