"""How good a checkpoint is: synthetic walls and holes together, overlap, calibration, and real scans without a label.

    python -m OrbitalSegLib.training.validation CONFIG --run FOLDER --cases FOLDER --out FOLDER [--scans scans.toml]

`--run` holds one folder for each network, as `loop` makes them. Every kept step that all of them have is judged and is
one row of the table; the row with the highest score is the choice. Real scans that are looked at here are development
scans: wherever their figures stand, they must be called so.
"""

import argparse
import csv
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation import coverage
from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.reliability import TRAINED_SHARE, Samples, near_walls, reliability
from OrbitalSegLib.evaluation.walls import HOLE_EDGE_MM, REACH_MM, STEP_MM, THICKNESS_CLASSES_MM, THIN_WALLS, of_walls
from OrbitalSegLib.networks import onnx
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.networks.engines.engine import Engine
from OrbitalSegLib.networks.package import Calibration
from OrbitalSegLib.networks.unet import UNet, folded
from OrbitalSegLib.preprocessing import Box, working_grid
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.region import MARGIN_MM
from OrbitalSegLib.training import config, store
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, WallPoints, read_case
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import Entry, collect, labelled
from OrbitalSegLib.training.sampling import classes

Array = np.ndarray

SEEN_HOLES = 0.05
"""The share of hole area that *seen* may close."""

INFERRED_HOLES = 0.20
"""The share of hole area that *seen or inferred* may close."""

THICK_FROM_MM = 0.4
"""From this thickness on a wall has to be seen."""

STEEPEST = 4.0
"""Slope and offset of a calibration go no further: where wall and no wall never mix, the best fit has no end."""

LEVELS = 256
"""Probabilities are compared at this many levels when limits are chosen."""

NO_WALLS = WallPoints(np.zeros((0, 3)), np.zeros((0, 3)), *[np.zeros(0)] * 6)

LEAK_LIMITS = {"fat": 0.01, "soft_tissue": 0.002, "air": 0.02}


@dataclass(frozen=True)
class Peaks:
    """Points on floor and medial walls: the highest probability on the line through each, by network, (n,)."""

    probability: dict[str, Array]
    thickness_mm: Array
    hole: Array
    """Flags: deep enough in a hole to be judged. Points near the rim are left out altogether."""
    area_mm2: Array

    def closed(self, limits: Mapping[str, float], where: Array) -> float:
        """The share of area at the flagged points that any network closes above its limit; NaN without area."""
        total = float(self.area_mm2[where].sum())
        met = np.logical_or.reduce([self.probability[name] > limit for name, limit in limits.items()])
        return float(self.area_mm2[where & met].sum()) / total if total else math.nan


@dataclass(frozen=True)
class Judged:
    """What one case says of the networks."""

    name: str
    peaks: Peaks
    dice: dict[str, float]
    """With the network's own label, at one half."""
    near_walls: dict[str, Samples]
    """Voxels near the walls, for the calibration."""


@dataclass(frozen=True)
class Limits:
    """Above which probability bone is seen, by network, and wall is inferred, by the last."""

    seen: dict[str, float]
    inferred: float


def engine_of(weights: Path, channels: Sequence[int], threads: int = 1) -> Engine:
    """A checkpoint's weights (`weights-STEP.pt`) of two classes, ready to run: in OpenVINO, or else in torch."""
    import torch

    state = torch.load(weights, weights_only=True)
    normalised = any(".normalisation." in name for name in state)
    model = UNet(channels, len(state["head.bias"]), normalised)
    model.load_state_dict(state)
    if find_spec("openvino") is None:
        from OrbitalSegLib.networks.engines.torch import TorchEngine, has_bf16

        return TorchEngine(model.eval(), "bf16" if has_bf16("cpu") else "fp32", threads=threads)
    from OrbitalSegLib.networks.engines import openvino

    graph = onnx.model(channels, {name: value.numpy() for name, value in folded(model).state_dict().items()})
    return openvino.OpenVinoEngine(graph, model.stride, "bf16" if openvino.has_bf16() else "fp32", threads)


def judge(entry: Entry, engines: Mapping[str, Engine], training: Training, progress: Progress = silent) -> Judged:
    """Run the networks over a case, and compare them with its label and, where it has them, its walls."""
    if entry.synthetic:
        case = read_case(entry.folder)
        ct, points = case.ct, case.walls  # floor, medial wall, roof and lateral wall
        label = store.flags_of_case(sitk.GetArrayFromImage(case.label), sitk.GetArrayFromImage(case.clean))
        flags: Mapping[str, int] = store.FLAGS
    else:
        pair = labelled(entry, training.labels)
        ct, points, label, flags = pair.ct, NO_WALLS, pair.label, pair.flags
    probabilities = triplanar(ct, engines, working_grid(ct, WORKING_SPACING_MM), progress=progress).probabilities
    scored = (label & flags["ignore"]) == 0
    points = _scored(points, next(iter(probabilities.values())), scored)
    dice, samples = {}, {}
    for network, image in probabilities.items():
        values = sitk.GetArrayFromImage(image)
        target = classes(label, training.classes(network), flags) > 0
        dice[network] = _dice(values[scored] > 0.5, target[scored])
        samples[network] = _near_walls(image, target, points)
    return Judged(entry.name, find_peaks(points, probabilities), dice, samples)


def _dice(found: Array, true: Array) -> float:
    both = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / both if both else math.nan


def _scored(points: WallPoints, image: sitk.Image, scored: Array) -> WallPoints:
    """The points of floor and medial wall that lie in voxels that are scored."""
    index = np.rint(voxel_indices(image, points.points_mm)).astype(int)
    kept = np.all((index >= 0) & (index < scored.shape[::-1]), axis=1) & of_walls(points, THIN_WALLS)
    x, y, z = index[kept].T
    kept[kept] = scored[z, y, x]
    return WallPoints(**{one.name: getattr(points, one.name)[kept] for one in fields(points)})


def find_peaks(points: WallPoints, probabilities: Mapping[str, sitk.Image]) -> Peaks:
    """The highest probability within `REACH_MM` of each point that is not near the rim of a hole."""
    deep = (points.hole != 0) & (points.depth_mm > HOLE_EDGE_MM)
    kept = (points.hole == 0) | deep
    found = {
        name: _highest(image, points.points_mm[kept], points.normals[kept]) for name, image in probabilities.items()
    }
    return Peaks(found, points.thickness_mm[kept], deep[kept], points.area_mm2[kept])


def _near_walls(image: sitk.Image, target: Array, points: WallPoints) -> Samples:
    """The voxels near walls, held against the network's own label: thin walls are wider in it than they are."""
    if not len(points.points_mm):
        none = np.zeros(0)
        return Samples(none, none > 0, none > 0)
    label = sitk.GetImageFromArray(target.astype(np.uint8))
    label.CopyInformation(image)
    return near_walls(image, label, points)


def _highest(image: sitk.Image, points_mm: Array, normals: Array) -> Array:
    """The highest value on each line, sampled as `evaluation.walls.crosses` samples a mask."""
    values = sitk.GetArrayFromImage(image)
    start = voxel_indices(image, points_mm)
    along = voxel_indices(image, points_mm + normals) - start
    highest = np.zeros(len(points_mm), np.float32)
    for offset in np.linspace(-REACH_MM, REACH_MM, 2 * round(REACH_MM / STEP_MM) + 1):
        x, y, z = np.floor(start + offset * along + 0.5).astype(int).T
        at = (x >= 0) & (y >= 0) & (z >= 0) & (x < image.GetWidth()) & (y < image.GetHeight()) & (z < image.GetDepth())
        highest[at] = np.maximum(highest[at], values[z[at], y[at], x[at]])
    return highest


def together(parts: Sequence[Peaks]) -> Peaks:
    """The points of many cases."""
    return Peaks(
        {name: np.concatenate([part.probability[name] for part in parts]) for name in parts[0].probability},
        np.concatenate([part.thickness_mm for part in parts]),
        np.concatenate([part.hole for part in parts]),
        np.concatenate([part.area_mm2 for part in parts]),
    )


def choose_limits(peaks: Peaks, seen_holes: float = SEEN_HOLES, inferred_holes: float = INFERRED_HOLES) -> Limits:
    """The limits that close most intact wall while no more hole area is closed than allowed.

    One or two networks. `inferred` is the lowest limit of the last network at which *seen or inferred* keeps to its
    own share of holes. Where no case has a hole the limits are one half and a quarter.
    """
    names = list(peaks.probability)
    if not peaks.hole.any():
        return Limits(dict.fromkeys(names, 0.5), 0.25)
    levels = [np.minimum((peaks.probability[name] * LEVELS).astype(int), LEVELS - 1) for name in names]
    wall, hole = (_closed_above(levels, peaks.area_mm2 * chosen) for chosen in (~peaks.hole, peaks.hole))
    allowed = hole <= seen_holes
    *others, last = (int(i) for i in np.unravel_index(int(np.argmax(np.where(allowed, wall, -1.0))), wall.shape))
    seen = {name: (level + 1) / LEVELS for name, level in zip(names, [*others, last], strict=True)}
    either = hole[tuple(others)] <= inferred_holes
    return Limits(seen, (int(np.argmax(either)) + 1) / LEVELS if either[: last + 1].any() else seen[names[-1]])


def _closed_above(levels: Sequence[Array], area: Array) -> Array:
    """For every combination of levels, the share of area at points that lie above it in any of the networks."""
    shape = (LEVELS,) * len(levels)
    below = np.bincount(np.ravel_multi_index(tuple(levels), shape), area, math.prod(shape)).reshape(shape)
    for axis in range(len(levels)):
        below = below.cumsum(axis)
    total = below.ravel()[-1]
    return (total - below) / total if total else np.zeros(shape)


def fit_calibration(samples: Samples, hole_share: float = TRAINED_SHARE) -> Calibration:
    """Slope and offset of the logit by which probabilities near walls fit what is true there best (Platt).

    Holes and wall are weighted so that holes make up `hole_share` of all. Without any sample nothing is changed.
    """
    probability, true, weight = samples.probabilities, samples.true, samples.weights(hole_share)
    if not len(probability):
        return Calibration(1.0, 0.0)
    certain = np.finfo(np.float32).eps
    clipped = np.clip(probability.astype(np.float64), certain, 1 - certain)
    columns = np.stack([np.log(clipped / (1 - clipped)), np.ones(len(clipped))], axis=1)
    found = np.array([1.0, 0.0])
    for _ in range(50):
        said = 1 / (1 + np.exp(-columns @ found))
        slope = columns.T @ (weight * (true - said))
        curve = (columns * (weight * np.maximum(said * (1 - said), 1e-9))[:, None]).T @ columns
        step = np.linalg.solve(curve + 1e-6 * len(weight) * np.eye(2), slope)
        found += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    slope, offset = np.clip(found, (1 / STEEPEST, -STEEPEST), STEEPEST)
    return Calibration(float(slope), float(offset))


@dataclass(frozen=True)
class RealScan:
    """An unlabelled scan, with the lines and tissues on it by which a mask is judged."""

    name: str
    scan: sitk.Image
    box_mm: Box
    sites: coverage.Sites


def read_scans(path: Path) -> list[RealScan]:
    """The scans of a TOML file: a table each, with `path` and `box_fraction` (z0 z1 y0 y1 x0 x1 of the scan, LPS).

    Raises `InputError` where the file or a scan cannot be read.
    """
    from OrbitalSegLib.reading import read

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError("invalid-config", f"The list of scans cannot be read: {error}.") from error
    scans = []
    for name, entry in table.items():
        ct = sitk.DICOMOrient(read(Path(entry["path"])).image, "LPS")
        box = _box_mm(ct, entry["box_fraction"])
        scans.append(RealScan(name, ct, box, coverage.find_sites(ct, box)))
    return scans


def _box_mm(ct: sitk.Image, fraction: Sequence[float]) -> Box:
    z0, z1, y0, y1, x0, x1 = fraction
    size = np.array(ct.GetSize())
    ends = [np.rint(np.array(end) * size) for end in ((x0, y0, z0), (x1, y1, z1))]
    corners = [np.array(ct.TransformContinuousIndexToPhysicalPoint([float(i) for i in end])) for end in ends]
    return np.stack(corners, axis=1).ravel().tolist()


def cover(real: RealScan, engines: Mapping[str, Engine], progress: Progress = silent) -> dict[str, sitk.Image]:
    """The networks' probabilities on the working grid of a real scan's box and a margin."""
    low, high = np.array(real.box_mm[::2]) - MARGIN_MM, np.array(real.box_mm[1::2]) + MARGIN_MM
    grid = working_grid(real.scan, WORKING_SPACING_MM, np.stack([low, high], axis=1).ravel().tolist())
    return triplanar(real.scan, engines, grid, progress=progress).probabilities


def mask_above(probabilities: Mapping[str, sitk.Image], limits: Mapping[str, float]) -> sitk.Image:
    """1 where the probability of any network is above its limit."""
    arrays = [sitk.GetArrayFromImage(probabilities[name]) > limit for name, limit in limits.items()]
    mask = sitk.GetImageFromArray(np.logical_or.reduce(arrays).astype(np.uint8))
    mask.CopyInformation(next(iter(probabilities.values())))
    return mask


def figures(judged: Sequence[Judged], limits: Limits) -> dict[str, float]:
    """What the cases together say, at given limits. Walls are floor and medial wall."""
    peaks = together([one.peaks for one in judged])
    last = list(limits.seen)[-1]
    either = {**limits.seen, last: limits.inferred}
    found: dict[str, float] = {}
    for name, values in (("seen", limits.seen), ("seen_or_inferred", either)):
        found[f"{name}_walls_closed"] = peaks.closed(values, ~peaks.hole)
        for low, high in pairwise(THICKNESS_CLASSES_MM):
            of_class = ~peaks.hole & (peaks.thickness_mm >= low) & (peaks.thickness_mm < high)
            found[f"{name}_walls_closed_from_{low:g}_mm"] = peaks.closed(values, of_class)
        found[f"{name}_walls_closed_thick"] = peaks.closed(values, ~peaks.hole & (peaks.thickness_mm >= THICK_FROM_MM))
        found[f"{name}_holes_closed"] = peaks.closed(values, peaks.hole)
    for network in limits.seen:
        found[f"dice_{network}"] = float(np.nanmean([one.dice[network] for one in judged]))
        found[f"calibration_error_{network}"] = _calibration_error(judged, network)
    return found


def samples_of(judged: Sequence[Judged], network: str) -> Samples:
    """The voxels near walls of all cases."""
    parts = [one.near_walls[network] for one in judged]
    return Samples(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Samples)))


def _calibration_error(judged: Sequence[Judged], network: str) -> float:
    samples = samples_of(judged, network)
    if not len(samples.true):
        return math.nan
    said = fit_calibration(samples).apply(samples.probabilities)
    return reliability(said, samples.true, samples.weights(TRAINED_SHARE)).expected_calibration_error


def score(row: Mapping[str, float]) -> float:
    """What the choice goes by: intact wall that is seen while holes stay open, and the coverage of real scans; a leak
    beyond its limit costs as much as it is beyond, in limits.

    Overlap does not enter where there are walls to judge: it rises while real scans get worse.
    """
    covered = [value for key, value in row.items() if key.endswith("_seen_coverage")]
    walls = [row["seen_walls_closed_thick"], row["seen_walls_closed"]]
    parts = [value for value in (*walls, float(np.mean(covered)) if covered else math.nan) if not math.isnan(value)]
    parts = parts or [value for key, value in row.items() if key.startswith("dice_")]
    beyond = sum(
        max(value / LEAK_LIMITS[tissue] - 1, 0)
        for key, value in row.items()
        for tissue in LEAK_LIMITS
        if key.endswith(f"_seen_{tissue}")
    )
    return float(np.mean(parts)) - 0.05 * beyond


def validate(
    engines: Mapping[str, Engine],
    training: Training,
    cases: Sequence[Entry],
    scans: Sequence[RealScan] = (),
    limits: Limits | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, float], Limits, list[Judged]]:
    """One row of figures, the limits it was made at (chosen on these cases if not given), and each case's part."""
    total = len(cases) + len(scans)
    judged = []
    for number, entry in enumerate(cases):
        judged.append(judge(entry, engines, training))
        progress((number + 1) / total)
    limits = limits or choose_limits(together([one.peaks for one in judged]))
    row = figures(judged, limits)
    last = list(limits.seen)[-1]
    for number, real in enumerate(scans):
        probabilities = cover(real, engines)
        for name, values in (("seen", limits.seen), ("seen_or_inferred", {**limits.seen, last: limits.inferred})):
            measured = asdict(coverage.measure(real.sites, mask_above(probabilities, values)))
            row |= {f"{real.name}_{name}_{key}": float(value) for key, value in measured.items() if key != "lines"}
        progress((len(cases) + number + 1) / total)
    return row | {"score": score(row)}, limits, judged


def steps_of(run: Path, networks: Sequence[str]) -> list[int]:
    """The steps whose weights every network of a run has kept."""
    kept = [
        {int(found[1]) for path in (run / name).glob("weights-*.pt") if (found := re.search(r"(\d+)\.pt$", path.name))}
        for name in networks
    ]
    return sorted(set.intersection(*kept)) if kept else []


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A table with a column for every figure of the first row."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def main() -> None:
    """Judge the checkpoints of a run from the command line."""
    parser = argparse.ArgumentParser(description="Judge the checkpoints of a run, and choose one.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder with a folder for each network")
    parser.add_argument("--networks", nargs="+", default=["cortical", "thin"])
    parser.add_argument("--cases", type=Path, required=True, help="folder of validation cases")
    parser.add_argument("--scans", type=Path, help="TOML file that lists development scans")
    parser.add_argument("--steps", type=int, nargs="+", help="only these; default: all that every network has kept")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    training = config.load(given.config)
    cases = collect(given.cases)
    scans = read_scans(given.scans) if given.scans else []
    given.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for step in given.steps or steps_of(given.run, given.networks):
        engines = {
            name: engine_of(given.run / name / f"weights-{step:06d}.pt", training.channels, given.threads)
            for name in given.networks
        }
        row, limits, judged = validate(engines, training, cases, scans)
        calibration = {name: asdict(fit_calibration(samples_of(judged, name))) for name in engines}
        said = {"limits": asdict(limits), "calibration": calibration, "figures": row}
        (given.out / f"step-{step:06d}.json").write_text(json.dumps(said, indent=1), "utf-8")
        rows.append({"step": step, **row})
        write_rows(rows, given.out / "checkpoints.csv")
        print(f"step {step}: score {row['score']:.4f}", flush=True)


if __name__ == "__main__":
    main()
