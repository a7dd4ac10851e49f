"""How good a checkpoint is: synthetic walls and holes together, overlap, calibration, and real scans without a label.

Probabilities are calibrated near the cases' walls, and limits are chosen by one rule (`choose_limits`). Real scans that
are looked at here are development scans: wherever their figures stand, they must be called so.
"""

import bisect
import csv
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import reduce
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
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.evaluation.walls import HOLE_EDGE_MM, THICKNESS_CLASSES_MM, THIN_WALLS, highest, of_walls
from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.networks import onnx
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.networks.engines.engine import Engine
from OrbitalSegLib.networks.package import Calibration
from OrbitalSegLib.networks.unet import UNet, folded, rounded
from OrbitalSegLib.places import Box
from OrbitalSegLib.preprocessing import working_grid
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.region import MARGIN_MM
from OrbitalSegLib.training import store
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, read_case
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import Entry, labelled
from OrbitalSegLib.training.sampling import classes

Array = np.ndarray

SEEN_HOLES = 0.05
"""The share of hole area that *seen* may close, as the mean of the cases that have holes."""

INFERRED_HOLES = 0.20
"""The share of hole area that *seen or inferred* may close."""

LEAK_LIMITS = {"fat": 0.01, "soft_tissue": 0.002, "air": 0.02}
"""The share of each tissue of a real scan that *seen* may call bone."""

SKIN_OF_HU = 300.0
"""*Seen or inferred* calls no more of a real scan's skin bone than this threshold does."""

LIMITS = np.arange(1, 100) / 100
"""The limits of probability of which one is chosen."""

THICK_FROM_MM = 0.4
"""From this thickness on a wall has to be seen."""

STEEPEST = 4.0
"""Slope and offset of a calibration go no further: where wall and no wall never mix, the best fit has no end."""

NO_WALLS = WallPoints(np.zeros((0, 3)), np.zeros((0, 3)), *[np.zeros(0)] * 6)


@dataclass(frozen=True)
class Peaks:
    """Points on floor and medial walls: the highest probability on the line through each, by network, (n,)."""

    probability: dict[str, Array]
    thickness_mm: Array
    hole: Array
    """Flags: deep enough in a hole to be judged. Points near the rim are left out altogether."""
    area_mm2: Array

    def calibrated(self, calibration: Mapping[str, Calibration]) -> "Peaks":
        """The same of calibrated probabilities."""
        return replace(self, probability={n: calibration[n].apply(said) for n, said in self.probability.items()})

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
    """With the own label of each network, or of each of its classes where it tells several, at one half."""
    near_walls: dict[str, Samples]
    """Voxels near the walls, for the calibration."""


@dataclass(frozen=True)
class ChosenLimits:
    """Above which calibrated probability bone is seen, by any network, and wall is inferred, by the last."""

    seen: float
    inferred: float
    calibration: dict[str, Calibration]

    @property
    def of_seen(self) -> dict[str, float]:
        """The limit of each network."""
        return dict.fromkeys(self.calibration, self.seen)

    @property
    def of_either(self) -> dict[str, float]:
        """The limits of *seen or inferred*."""
        return {**self.of_seen, list(self.calibration)[-1]: self.inferred}


@dataclass(frozen=True)
class RealScan:
    """An unlabelled scan, with the lines and tissues on it by which a mask is judged."""

    name: str
    scan: sitk.Image
    box_mm: Box
    sites: coverage.Sites


@dataclass(frozen=True)
class Covered:
    """What the networks say of a real scan: calibrated probabilities on the working grid of its box."""

    real: RealScan
    probabilities: dict[str, sitk.Image]

    def measured(self, limits: Mapping[str, float]) -> coverage.Coverage:
        return coverage.measure(self.real.sites, mask_above(self.probabilities, limits))


def engine_of(weights: Path, channels: Sequence[int], threads: int = 1, device: str = "cpu") -> Engine:
    """A checkpoint's weights (`weights-STEP.pt`), ready to run: in OpenVINO on a processor, or else in torch."""
    import torch

    state = torch.load(weights, weights_only=True)
    normalised = any(".normalisation." in name for name in state)
    model = UNet(channels, len(state["head.bias"]), normalised)
    model.load_state_dict(state)
    shipped = rounded(folded(model.eval()))
    if device != "cpu" or find_spec("openvino") is None:
        from OrbitalSegLib.networks.engines.torch import TorchEngine, has_bf16

        return TorchEngine(shipped, "bf16" if has_bf16(device) else "fp32", device, threads)
    from OrbitalSegLib.networks.engines import openvino

    graph = onnx.model(channels, {name: value.numpy() for name, value in shipped.state_dict().items()})
    return openvino.OpenVinoEngine(graph, shipped.stride, "bf16" if openvino.has_bf16() else "fp32", threads)


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
    called = {network: training.fields(network) for network in engines}
    grid = working_grid(ct, WORKING_SPACING_MM)
    found = triplanar(ct, engines, grid, fields=called, progress=progress).probabilities
    probabilities = _highest_of_each(found, called)
    scored = (label & flags["ignore"]) == 0
    points = _scored(points, next(iter(probabilities.values())), scored)
    dice, samples = {}, {}
    for network, image in probabilities.items():
        target = classes(label, training.classes(network), flags)
        for number, field in enumerate(called[network], start=1):
            true = target == number
            dice[field] = _dice(sitk.GetArrayFromImage(found[field])[scored] > 0.5, true[scored])
        samples[network] = _near_walls(image, target > 0, points)
    return Judged(entry.name, find_peaks(points, probabilities), dice, samples)


def _highest_of_each(found: Mapping[str, sitk.Image], called: Mapping[str, Sequence[str]]) -> dict[str, sitk.Image]:
    """The highest probability of any class, by network: a limit holds for each of them."""
    return {network: reduce(sitk.Maximum, [found[name] for name in names]) for network, names in called.items()}


def _dice(found: Array, true: Array) -> float:
    both = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / both if both else math.nan


def _scored(points: WallPoints, image: sitk.Image, scored: Array) -> WallPoints:
    """The points of floor and medial wall that lie in voxels that are scored."""
    index = np.rint(voxel_indices(image, points.points_mm)).astype(int)
    kept = np.all((index >= 0) & (index < scored.shape[::-1]), axis=1) & of_walls(points, THIN_WALLS)
    x, y, z = index[kept].T
    kept[kept] = scored[z, y, x]
    return points.at(kept)


def find_peaks(points: WallPoints, probabilities: Mapping[str, sitk.Image]) -> Peaks:
    """The highest probability on the line through each point that is not near the rim of a hole."""
    points = points.at((points.hole == 0) | (points.depth_mm > HOLE_EDGE_MM))
    found = {name: highest(points, image) for name, image in probabilities.items()}
    return Peaks(found, points.thickness_mm, points.hole != 0, points.area_mm2)


def _near_walls(image: sitk.Image, target: Array, points: WallPoints) -> Samples:
    """The voxels near walls, held against the network's own label: thin walls are wider in it than they are."""
    if not len(points.points_mm):
        none = np.zeros(0)
        return Samples(none, none > 0, none > 0)
    label = mask_on_grid(target, image)
    return near_walls(image, label, points)


def together(parts: Sequence[Peaks]) -> Peaks:
    """The points of many cases."""
    return Peaks(
        {name: np.concatenate([part.probability[name] for part in parts]) for name in parts[0].probability},
        np.concatenate([part.thickness_mm for part in parts]),
        np.concatenate([part.hole for part in parts]),
        np.concatenate([part.area_mm2 for part in parts]),
    )


def choose_limits(
    cases: Sequence[Peaks], covered: Sequence[Covered], calibration: dict[str, Calibration]
) -> ChosenLimits:
    """The one rule for limits, on calibrated probabilities; one limit for all networks.

    *Seen* is the lowest limit at which the cases' holes stay as open as `SEEN_HOLES` demands and no real scan leaks
    more than `LEAK_LIMITS`; *inferred* the lowest, but not above *seen*, at which *seen or inferred* keeps to
    `INFERRED_HOLES` and to the skin of `SKIN_OF_HU`. Where no case has a hole the limits are one half and a quarter.
    """
    if not any(peaks.hole.any() for peaks in cases):
        return ChosenLimits(0.5, 0.25, calibration)
    skin = [coverage.measure(one.real.sites, one.real.scan > SKIN_OF_HU).skin for one in covered]

    def seen_allowed(limit: float) -> bool:
        values = dict.fromkeys(calibration, limit)
        if _holes_closed(cases, values) > SEEN_HOLES:
            return False
        leaks = [asdict(one.measured(values)) for one in covered]
        return all(leak[tissue] <= most for leak in leaks for tissue, most in LEAK_LIMITS.items())

    def inferred_allowed(limit: float) -> bool:
        values = ChosenLimits(seen, limit, calibration).of_either
        if _holes_closed(cases, values) > INFERRED_HOLES:
            return False
        return all(one.measured(values).skin <= most for one, most in zip(covered, skin, strict=True))

    seen = _lowest(seen_allowed)
    return ChosenLimits(seen, min(_lowest(inferred_allowed), seen), calibration)


def _holes_closed(cases: Sequence[Peaks], limits: Mapping[str, float]) -> float:
    """The share of hole area that is closed, as the mean of the cases that have holes."""
    return float(np.mean([peaks.closed(limits, peaks.hole) for peaks in cases if peaks.hole.any()]))


def _lowest(allowed: Callable[[float], bool]) -> float:
    """The lowest of `LIMITS` that is allowed, or the highest: what is allowed at one limit is so at all above it."""
    return float(LIMITS[min(bisect.bisect_left(LIMITS, True, key=allowed), len(LIMITS) - 1)])


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


def read_scans(path: Path) -> list[RealScan]:
    """The scans of a TOML file: a table each, with `path` and `box_fraction` (z0 z1 y0 y1 x0 x1 of the scan, LPS).

    Raises `InputError` where the file or a scan cannot be read.
    """
    from OrbitalSegLib.reading import read

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError("invalid-config", f"The list of scans cannot be read ({error}): mend its file.") from error
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


def cover(
    real: RealScan, engines: Mapping[str, Engine], calibration: Mapping[str, Calibration], training: Training
) -> Covered:
    """Run the networks over a real scan's box and a margin."""
    low, high = np.array(real.box_mm[::2]) - MARGIN_MM, np.array(real.box_mm[1::2]) + MARGIN_MM
    grid = working_grid(real.scan, WORKING_SPACING_MM, np.stack([low, high], axis=1).ravel().tolist())
    called = {network: training.fields(network) for network in engines}
    means = _highest_of_each(triplanar(real.scan, engines, grid, fields=called).probabilities, called)
    said = {name: grid.image(calibration[name].apply(sitk.GetArrayFromImage(mean))) for name, mean in means.items()}
    return Covered(real, said)


def mask_above(probabilities: Mapping[str, sitk.Image], limits: Mapping[str, float]) -> sitk.Image:
    """1 where the probability of any network is above its limit."""
    arrays = [sitk.GetArrayFromImage(probabilities[name]) > limit for name, limit in limits.items()]
    return mask_on_grid(np.logical_or.reduce(arrays), next(iter(probabilities.values())))


def figures(judged: Sequence[Judged], limits: ChosenLimits) -> dict[str, float]:
    """What the cases together say, at given limits. Walls are floor and medial wall."""
    cases = [one.peaks.calibrated(limits.calibration) for one in judged]
    peaks = together(cases)
    found: dict[str, float] = {}
    for name, values in (("seen", limits.of_seen), ("seen_or_inferred", limits.of_either)):
        found[f"{name}_walls_closed"] = peaks.closed(values, ~peaks.hole)
        for low, high in pairwise(THICKNESS_CLASSES_MM):
            of_class = ~peaks.hole & (peaks.thickness_mm >= low) & (peaks.thickness_mm < high)
            found[f"{name}_walls_closed_from_{low:g}_mm"] = peaks.closed(values, of_class)
        found[f"{name}_walls_closed_thick"] = peaks.closed(values, ~peaks.hole & (peaks.thickness_mm >= THICK_FROM_MM))
        found[f"{name}_holes_closed"] = _holes_closed(cases, values) if peaks.hole.any() else math.nan
    for field in judged[0].dice:
        said = [one.dice[field] for one in judged if not math.isnan(one.dice[field])]
        found[f"dice_{field}"] = float(np.mean(said)) if said else math.nan
    for network, calibration in limits.calibration.items():
        found[f"calibration_error_{network}"] = _calibration_error(samples_of(judged, network), calibration)
    return found


def samples_of(judged: Sequence[Judged], network: str) -> Samples:
    """The voxels near walls of all cases."""
    parts = [one.near_walls[network] for one in judged]
    return Samples(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Samples)))


def _calibration_error(samples: Samples, calibration: Calibration) -> float:
    if not len(samples.true):
        return math.nan
    said = calibration.apply(samples.probabilities)
    return reliability(said, samples.true, samples.weights(TRAINED_SHARE)).expected_calibration_error


def score(row: Mapping[str, float]) -> float:
    """What the choice goes by: intact wall that is seen while holes stay open, and the coverage of real scans; a leak
    beyond its limit costs as much as it is beyond, in limits.

    Overlap does not enter where there are walls to judge: it rises while real scans get worse.
    """
    covered = [value for key, value in row.items() if key.endswith("_seen_coverage")]
    walls = [row["seen_walls_closed_thick"], row["seen_walls_closed"]]
    parts = [value for value in (*walls, float(np.mean(covered)) if covered else math.nan) if not math.isnan(value)]
    parts = parts or [value for key, value in row.items() if key.startswith("dice_") and not math.isnan(value)]
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
    limits: ChosenLimits | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, float], ChosenLimits]:
    """One row of figures, and the limits it was made at: chosen on these cases and scans if not given."""
    total = len(cases) + len(scans)
    judged, covered = [], []
    for entry in cases:
        judged.append(judge(entry, engines, training))
        progress(len(judged) / total)
    calibration = limits.calibration if limits else {n: fit_calibration(samples_of(judged, n)) for n in engines}
    for real in scans:
        covered.append(cover(real, engines, calibration, training))
        progress((len(judged) + len(covered)) / total)
    if limits is None:
        limits = choose_limits([one.peaks.calibrated(calibration) for one in judged], covered, calibration)
    row = figures(judged, limits)
    for one in covered:
        for name, values in (("seen", limits.of_seen), ("seen_or_inferred", limits.of_either)):
            measured = asdict(one.measured(values))
            row |= {f"{one.real.name}_{name}_{key}": float(value) for key, value in measured.items() if key != "lines"}
    return row | {"score": score(row)}, limits


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
