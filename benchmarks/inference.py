#!/usr/bin/env python3
"""Seconds and peak memory of the networks on a cube, ours beside other ways to run them.

    inference.py [--size 256] [--runs 3] [--threads N] [--model FOLDER] [--scan SCAN] [--out FOLDER] [WAY ...]

Two networks and three planes, unless a way says otherwise, on a cube of noise without any air; without a package, the
networks are of the shipped size and were never trained, which costs the same. Every run is a process of its own, the
ways take turns, and the table gives medians with lowest and highest. Peak memory is that of the whole process.
With --out every run is a file there: what was measured is not measured again, ways can be run one at a time, and the
table shows all that there are of this size and number of threads.

    ours            the engine that `auto` takes
    ours-torch      torch on the processor in fp32, whole slices
    patches         the same networks as [Ekman] runs them: patches of 128 x 128, half overlapping, torch fp32; timed on
                    one network and plane and multiplied: the planes of a cube and the networks cost the same
    monai           the same patches by MONAI's SlidingWindowInferer, timed in the same way
    nnunet          a 3D nnU-Net at full resolution (PlainConvUNet of six stages, 31 million weights), patches of 128
                    voxels, half overlapping, torch fp32. One network; timed on some of its patches after a first one,
                    which all cost the same, and multiplied

`monai` and `nnunet` need `pip install monai dynamic_network_architectures`; they are left out where these are missing.
With --scan, from a CT in memory, on the engine that `auto` takes, in the same way:

    orbits          finding the orbits, and the probabilities of their region
    whole           the probabilities of the whole scan
    whole-with-air  the same, with nothing skipped or left away
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

if TYPE_CHECKING:
    import torch

SPACING_MM = 0.5
PATCH = 128
PATCHES_AT_ONCE = 16
NNUNET_FEATURES = [32, 64, 128, 256, 320, 320]
NNUNET_PATCHES = 2
NEEDS = {"monai": "monai", "nnunet": "dynamic_network_architectures"}
CUBE_WAYS = ("ours", "ours-torch", "patches", "monai", "nnunet")
SCAN_WAYS = ("orbits", "whole", "whole-with-air")


def write_untrained(folder: Path) -> None:
    """A package with networks of the shipped size and first weights."""
    import torch

    from OrbitalSegLib.networks.export import write_package
    from OrbitalSegLib.networks.unet import CHANNELS, UNet

    names = ("cortical", "thin")
    states = {}
    for seed, name in enumerate(names):
        torch.manual_seed(seed)
        states[name] = UNet(CHANNELS).state_dict()
    network = {
        "channels": list(CHANNELS),
        "seen_above": 0.5,
        "inferred_above": None,
        "calibration": {"slope": 1.0, "offset": 0.0},
    }
    description = {
        "name": "untrained-1",
        "version": "1.0.0",
        "licence": "Apache-2.0",
        "intended_use": "Benchmarks.",
        "window_hu": [-200, 300],
        "quantised": True,
        "spacing_mm": SPACING_MM,
        "planes": ["axial", "coronal", "sagittal"],
        "networks": {name: dict(network) for name in names},
        "provenance": {"data": [], "seeds": [0, 1], "commit": "0000000", "hashes": {}, "hours": 0, "machine": "any"},
        "performance": {},
        "credits": [],
    }
    write_package(folder, description, states, "First weights, never trained.")


def cube(size: int) -> sitk.Image:
    """HU without any air, at the working spacing."""
    noise = np.random.default_rng(0).integers(-150, 300, (size,) * 3, np.int16)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing([SPACING_MM] * 3)
    return image


def engines_of(model: Path, threads: int, **which: str) -> dict:
    """The engines of the two networks."""
    from OrbitalSegLib.networks import engines, package

    loaded = package.load_package(model)
    return {name: engines.choose(loaded, name, threads=threads, **which) for name in ("cortical", "thin")}


def ours(model: Path, size: int, threads: int, **which: str) -> float:
    """Whole slices of the cube, nothing skipped."""
    from OrbitalSegLib.networks.consensus import triplanar
    from OrbitalSegLib.preprocessing import working_grid

    image = cube(size)
    running = engines_of(model, threads, **which)
    start = time.perf_counter()
    triplanar(image, running, working_grid(image, SPACING_MM), skip_air=False)
    return time.perf_counter() - start


def in_patches(model: Path, size: int, threads: int, infer: Callable) -> float:
    """Torch fp32 over the axial slices of the cube, multiplied; `infer` takes a module and slices (n, 1, h, w)."""
    import torch

    from OrbitalSegLib.networks import package
    from OrbitalSegLib.networks.engines.torch import from_weights
    from OrbitalSegLib.preprocessing import window_8bit

    torch.set_num_threads(threads)
    loaded = package.load_package(model)
    network = from_weights(loaded.networks["thin"].channels, loaded.weights("thin")).eval()
    window = sitk.GetArrayFromImage(window_8bit(cube(size)))
    total = np.zeros(window.shape, np.float32)
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, size, PATCHES_AT_ONCE):
            part = torch.from_numpy(window[first : first + PATCHES_AT_ONCE] / np.float32(255))[:, None]
            total[first : first + PATCHES_AT_ONCE] += infer(network, part).numpy()
    return (time.perf_counter() - start) * len(loaded.networks) * len(loaded.planes)


def overlapping(network: Callable, slices: "torch.Tensor") -> "torch.Tensor":
    """The mean of patches that overlap by half."""
    import torch

    height, width = slices.shape[2:]
    places = list(product(range(0, height - PATCH + 1, PATCH // 2), range(0, width - PATCH + 1, PATCH // 2)))
    total, count = torch.zeros(len(slices), height, width), torch.zeros(height, width)
    for y, x in places:
        found = network(slices[:, :, y : y + PATCH, x : x + PATCH]).softmax(1)[:, 1]
        total[:, y : y + PATCH, x : x + PATCH] += found
        count[y : y + PATCH, x : x + PATCH] += 1
    return total / count


def by_monai(network: Callable, slices: "torch.Tensor") -> "torch.Tensor":
    """The same by MONAI."""
    from monai.inferers import SlidingWindowInferer

    inferer = SlidingWindowInferer((PATCH, PATCH), sw_batch_size=PATCHES_AT_ONCE, overlap=0.5)
    return inferer(slices, lambda part: network(part).softmax(1)[:, 1:])[:, 0]


def nnunet(size: int, threads: int) -> float:
    """Seconds for all patches of the cube, from some of them."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    stages = len(NNUNET_FEATURES)
    network = PlainConvUNet(
        input_channels=1,
        n_stages=stages,
        features_per_stage=NNUNET_FEATURES,
        conv_op=torch.nn.Conv3d,
        kernel_sizes=3,
        strides=[1] + [2] * (stages - 1),
        n_conv_per_stage=2,
        num_classes=3,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()
    patches = len(range(0, size - PATCH + 1, PATCH // 2)) ** 3
    volume = torch.rand(1, 1, PATCH, PATCH, PATCH)
    timed = min(NNUNET_PATCHES, patches)
    with torch.inference_mode():
        network(volume)
        start = time.perf_counter()
        for _ in range(timed):
            network(volume).softmax(1)
    return (time.perf_counter() - start) / timed * patches


def on_scan(model: Path, path: Path, threads: int, way: str) -> float:
    """From a CT in memory to the probabilities of its orbits, or of the whole of it."""
    from OrbitalSegLib import reading
    from OrbitalSegLib.locating import locate
    from OrbitalSegLib.networks import package
    from OrbitalSegLib.networks.consensus import consensus_grid, triplanar
    from OrbitalSegLib.preprocessing import working_grid
    from OrbitalSegLib.region import MARGIN_MM, Region

    image = reading.read(path).image
    running = engines_of(model, threads)
    spacing_mm = package.load_package(model).spacing_mm
    start = time.perf_counter()
    if way == "whole-with-air":
        triplanar(image, running, working_grid(image, spacing_mm), skip_air=False)
        return time.perf_counter() - start
    region = locate(image).region() or Region() if way == "orbits" else Region()
    corners = region.corners_mm(MARGIN_MM)
    box = None if corners is None else np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel()
    triplanar(image, running, consensus_grid(image, spacing_mm, box))
    return time.perf_counter() - start


def measure(way: str, arguments: argparse.Namespace) -> float:
    """Seconds of one way, in this process."""
    model, size, threads = arguments.model, arguments.size, arguments.threads
    if way in SCAN_WAYS:
        return on_scan(model, arguments.scan, threads, way)
    if way == "nnunet":
        return nnunet(size, threads)
    if way == "ours":
        return ours(model, size, threads)
    if way == "ours-torch":
        return ours(model, size, threads, engine="torch", precision="fp32", device="cpu")
    return in_patches(model, size, threads, by_monai if way == "monai" else overlapping)


def in_turn(ways: list[str], arguments: argparse.Namespace) -> None:
    """Every way once in each run, each time in a process of its own; what is there is left as it is."""
    own = [str(Path(__file__).resolve()), "--model", str(arguments.model), "--threads", str(arguments.threads)]
    own += ["--size", str(arguments.size)] + (["--scan", str(arguments.scan)] if arguments.scan else [])
    for run, way in product(range(arguments.runs), ways):
        record = record_of(way, run, arguments)
        if record.exists():
            continue
        done = subprocess.run([sys.executable, *own, "--only", way], stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{way}: {found['seconds']:.2f} s, {found['peak_gb']:.2f} GB", file=sys.stderr, flush=True)
        record.write_text(json.dumps(found) + "\n", "utf-8")


def record_of(way: str, run: int, arguments: argparse.Namespace) -> Path:
    """Where a run's figures are kept."""
    what = arguments.scan.name if way in SCAN_WAYS else str(arguments.size)
    return arguments.out / f"{way}-{what}-threads{arguments.threads}-{run}.json"


def peak_gb() -> float:
    """Peak resident memory of this process."""
    if sys.platform == "linux":  # where getrusage counts the process that started this one
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def table(ways: Sequence[str], arguments: argparse.Namespace) -> None:
    """Print medians with lowest and highest, and ratios to ours."""
    found = {}
    for way in ways:
        records = [record_of(way, run, arguments) for run in range(arguments.runs)]
        if any(record.exists() for record in records):
            found[way] = [json.loads(record.read_text("utf-8")) for record in records if record.exists()]
    seconds = {way: [run["seconds"] for run in runs] for way, runs in found.items()}
    ours_s = statistics.median(seconds["ours"]) if "ours" in seconds else None
    print(f"{arguments.size}-cube, {arguments.threads} threads of {os.cpu_count()} cores")
    print(f"{'way':16}{'runs':>6}{'median, s':>11}{'lowest':>9}{'highest':>9}{'ratio':>8}{'peak, GB':>10}")
    for way, taken in seconds.items():
        median = statistics.median(taken)
        ratio = f"{median / ours_s:8.2f}" if ours_s and way in CUBE_WAYS else f"{'':8}"
        peak = max(run["peak_gb"] for run in found[way])
        print(f"{way:16}{len(taken):6}{median:11.2f}{min(taken):9.2f}{max(taken):9.2f}{ratio}{peak:10.2f}")


def main() -> None:
    """Run the ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(CUBE_WAYS + SCAN_WAYS))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", type=Path)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--out", type=Path, help="keep each run here, and go on from there")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        seconds = measure(arguments.only, arguments)
        print(json.dumps({"seconds": seconds, "peak_gb": peak_gb()}))
        return
    known = [*CUBE_WAYS, *(SCAN_WAYS if arguments.scan else ())]
    ways = arguments.ways or list(known)
    if not set(ways) <= set(known):
        parser.error(f"the ways are {', '.join(known)}")
    for way, needed in NEEDS.items():
        if way in ways and not find_spec(needed):
            print(f"{way} is left out: pip install {needed}")
            ways.remove(way)
    with tempfile.TemporaryDirectory() if arguments.out is None else nullcontext(arguments.out) as folder:
        arguments.out = Path(folder)
        arguments.out.mkdir(parents=True, exist_ok=True)
        if arguments.model is None:
            arguments.model = arguments.out / "untrained-1"
            if not arguments.model.exists():
                write_untrained(arguments.model)
        in_turn(ways, arguments)
        table(known, arguments)


if __name__ == "__main__":
    main()
