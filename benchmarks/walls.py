"""Where walls belong and what of them is seen: a package of wall networks beside the shipped ones, on new heads.

    python benchmarks/walls.py --package PACKAGE --templates TEMPLATES --left-out visible-human --out OUT --heads 60

With `--work CHECKPOINTS` the package is made first, of both trainings, with what they count together. Heads of the
left-out template, every one fractured, slices below 1.25 mm, half of them with walls of one thickness. They are kept in
OUT, as is what was said of each point of the walls; a run that was stopped goes on. `figures.md` has the tables, with
90 % of 500 draws of the heads as the spread.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import torch
from figures.common import Run, markdown, spread
from figures.real import SHOWN, listed
from scipy.spatial import cKDTree

from OrbitalSegLib.evaluation.coverage import measure
from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.overlap import overlap
from OrbitalSegLib.evaluation.surface_distances import surface_distances
from OrbitalSegLib.evaluation.walls import THICKNESS_CLASSES_MM, highest
from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.methods.by_networks import FULL
from OrbitalSegLib.methods.method import Resources, Task
from OrbitalSegLib.methods.walls import Looked, engine_of, looked_at
from OrbitalSegLib.networks import engines, package, walls
from OrbitalSegLib.networks.consensus import consensus_grid, triplanar
from OrbitalSegLib.networks.sheet import probability
from OrbitalSegLib.networks.unrolling import unrolled
from OrbitalSegLib.preprocessing import working_grid
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import CORTICAL, GAP, THIN
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, Case, Flag
from OrbitalSegLib.training.validation import RealScan
from OrbitalSegLib.training.walls import config
from OrbitalSegLib.training.walls.asking import EvidenceAsked, VolumeAsked
from OrbitalSegLib.training.walls.heads import judged, misplaced, settings_of
from OrbitalSegLib.training.walls.mixing import NEAR_MM, Points, fitted, joined, points_of
from OrbitalSegLib.training.walls.mixing import limits_of as package_limits
from OrbitalSegLib.training.walls.packing import write_package

if TYPE_CHECKING:
    from OrbitalSegLib.networks.engines.volumes import VolumeEngine

FIRST_SEED = 840_000
MIXTURE_SEED, MIXTURE_HEADS = 910_000, 18
"""Of heads on which it is fitted what evidence and bone count together."""
WALLS_MM = (None, 0.2, None, 0.3, None, 0.5)
"""Of each head in turn; None: drawn as for training."""

HOLES = (0.02, 0.05, 0.10, 0.20)
DRAWS = 500
DISTANCES_EACH = 3
"""Of one head in so many surface distances are measured."""

ANSWERS = ("seen", "inferred", "gap", "none of them")
MARGIN_MM = 20.0

STATED = {
    "name": walls.DEFAULT,
    "version": "1",
    "licence": "Apache-2.0",
    "intended_use": "Thin walls of the orbits in unenhanced CT of the head, for models that a physician reviews. "
    "Not a medical device.",
    "provenance": {"data": "Synthetic heads alone, made while training went on (docs/model/walls.md)."},
    "credits": [
        "Skull template: data set human_skull of the R package Arothron (Profico et al.), GPL-2; not distributed here.",
        "Phantom template: OrbitalSeg's own, by formula.",
    ],
}
"""What a package says of itself."""

Said = dict[str, np.ndarray]


def cases(run: Run, first_seed: int, count: int) -> Iterator[tuple[str, Case]]:
    for number in range(count):
        settings = replace(run.settings(), fracture_share=1.0, thin_slice_share=1.0)
        wall_mm = WALLS_MM[number % len(WALLS_MM)]
        settings = settings.with_wall(wall_mm) if wall_mm else settings
        yield f"{first_seed + number}", run.kept_case(run.left_out, first_seed + number, settings, truth=False)


def shipped(ct: sitk.Image, model: package.Package, running: Mapping[str, engines.Engine]) -> dict[str, sitk.Image]:
    """Calibrated probabilities of methods C and B, as the highest of a method's networks."""
    grid = working_grid(ct, WORKING_SPACING_MM)
    means = triplanar(ct, running, grid).probabilities
    said = {
        name: model.networks[name].calibration.apply(sitk.GetArrayFromImage(image)) for name, image in means.items()
    }
    return {
        "multigrey": grid.image(np.maximum(said["cortical"], said["thin"])),
        "singlegrey": grid.image(said["single"]),
    }


def fitting_points(run: Run, chosen: config.Walls, volume: VolumeAsked, evidence: EvidenceAsked, own: Path) -> Points:
    """From new heads of the templates of the training, none of the left-out one."""
    parts = []
    for number in range(MIXTURE_HEADS):
        template = chosen.heads.templates[number % len(chosen.heads.templates)]
        settings = replace(settings_of(chosen.heads), fracture_share=1.0, thin_slice_share=1.0)
        wall_mm = WALLS_MM[number % len(WALLS_MM)]
        settings = settings.with_wall(wall_mm) if wall_mm else settings
        case = run.kept_case(template, MIXTURE_SEED + number, settings, truth=False)
        parts.append(
            Points(**kept(own / f"mixture-{number:03d}.npz", lambda case=case: vars(points_of(case, volume, evidence))))
        )
    return joined(parts)


class Both:
    """The package of wall networks, as the method runs it."""

    def __init__(self, folder: Path) -> None:
        self.model = walls.load(folder)
        self.evidence = walls.ProfileNetwork(self.model.of("profiles"))
        self._resources = Resources(model=folder, threads=1)
        self._engine: VolumeEngine | None = None

    def of(self, ct: sitk.Image) -> Looked:
        if self._engine is None:
            self._engine = engine_of(self.model, Task(ct, Region(), self._resources))
        return looked_at(ct, self.model, self._engine, consensus_grid(ct, WORKING_SPACING_MM), silent)


def fields_of(looked: Looked) -> dict[str, sitk.Image]:
    """Probabilities, 0 to 1."""
    fields = {name: sitk.Cast(image, sitk.sitkFloat32) / FULL for name, image in looked.fields().items()}
    return {"both": sitk.Maximum(fields[CORTICAL], fields[THIN]), "gap": fields[GAP]}


def said_of(case: Case, both: Both, number: int) -> Said:
    """What the wall networks say of each judged point of a head."""
    points = judged(case.walls, case)
    looked = both.of(case.ct)
    fields = fields_of(looked)
    misled, normals = misplaced(points, np.random.default_rng(number))
    known = both.evidence(unrolled(case.ct, misled, normals, margin=0))
    away, nearest = cKDTree(looked.sheet.points_mm).query(points.points_mm, distance_upper_bound=NEAR_MM)
    there = np.isfinite(away)
    found = partial(_of_nearest, nearest, there)
    off = np.einsum("ij,ij->i", found(looked.sheet.points_mm) - points.points_mm, points.normals)
    return {
        "volume": highest(points, sitk.Maximum(looked.said[CORTICAL], looked.said[THIN])),
        "both": highest(points, fields["both"]),
        "gap": highest(points, fields["gap"]),
        "place known": probability(known[:, 0]),
        "there": there,
        "offset_mm": off,
        "thickness known": np.maximum(known[:, 1], 0),
        "thickness found": found(looked.shown.thickness_mm),
        "deviation found": found(looked.shown.deviation_mm),
        "hole": points.hole != 0,
        "thickness_mm": points.thickness_mm,
        "area_mm2": points.area_mm2,
        **whole_of(case, {"both": fields["both"] > both.model.seen_above}, distances=number % DISTANCES_EACH == 0),
    }


def _of_nearest(nearest: np.ndarray, there: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What was found at the place that is nearest to each judged point; nought where none is near."""
    found = np.zeros((len(there), *values.shape[1:]), values.dtype)
    found[there] = values[nearest[there]]
    return found


def whole_of(case: Case, masks: Mapping[str, sitk.Image], *, distances: bool) -> Said:
    """Dice, HD95 in mm (where asked: it takes as long as the networks) and the ratio of volumes, of all bone that is
    scored."""
    label = sitk.GetArrayFromImage(case.label)
    scored = (label & Flag.IGNORE) == 0
    truth = mask_on_grid(((label & Flag.BONE) > 0) & scored, case.label)
    found = {}
    for name, mask in masks.items():
        here = sitk.GetArrayFromImage(sitk.Resample(mask, case.label, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
        own = mask_on_grid((here > 0) & scored, case.label)
        volumes = [np.count_nonzero(sitk.GetArrayViewFromImage(one)) for one in (own, truth)]
        found[f"whole {name}"] = np.array([
            overlap(truth, own).dice,
            surface_distances(truth, own).hausdorff_95_mm if distances else np.nan,
            volumes[0] / volumes[1],
        ])  # fmt: skip
    return found


def shipped_of(case: Case, model: package.Package, running: Mapping[str, engines.Engine], number: int) -> Said:
    points = judged(case.walls, case)
    said = shipped(case.ct, model, running)
    limits = {"multigrey": model.networks["thin"].seen_above, "singlegrey": model.networks["single"].seen_above}
    return {name: highest(points, image) for name, image in said.items()} | whole_of(
        case,
        {name: image > limits[name] for name, image in said.items()},
        distances=number % DISTANCES_EACH == 0,
    )


NETWORKS = ("multigrey", "singlegrey", "volume", "both", "place known")


def limit_at(peak: np.ndarray, weight: np.ndarray, share: float) -> float:
    """The lowest limit above which at most `share` of the weight lies."""
    order = np.argsort(-peak, kind="stable")
    gone = np.cumsum(weight[order]) / max(weight.sum(), 1e-9)
    first = np.searchsorted(gone, share, side="right")
    return float(peak[order][min(first, len(peak) - 1)])


def closed_at(said: Said, name: str, weight: np.ndarray, share: float, where: np.ndarray) -> float:
    """Share of the flagged wall that is closed where `share` of hole area is."""
    limit = limit_at(said[name][said["hole"]], weight[said["hole"]], share)
    return float((weight * (where & (said[name] > limit))).sum() / max((weight * where).sum(), 1e-9))


def spread_of(said: Said, name: str, share: float, where: np.ndarray) -> str:
    """With 90 % of draws of the heads."""
    heads = int(said["head"].max()) + 1
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(DRAWS):
        count = np.bincount(rng.integers(heads, size=heads), minlength=heads)
        drawn.append(closed_at(said, name, said["area_mm2"] * count[said["head"]], share, where))
    low, high = np.percentile(drawn, [5, 95])
    return f"{closed_at(said, name, said['area_mm2'], share, where):.3f} ({low:.2f} to {high:.2f})"


def curve_table(said: Said) -> str:
    intact = ~said["hole"]
    rows = []
    for name in NETWORKS:
        for share in HOLES:
            classes = [
                intact & (said["thickness_mm"] >= low) & (said["thickness_mm"] < high)
                for low, high in pairwise(THICKNESS_CLASSES_MM)
            ]
            by_class = [f"{closed_at(said, name, said['area_mm2'], share, of):.3f}" for of in classes]
            rows.append([name, f"{share:.0%}", spread_of(said, name, share, intact), *by_class])
    titles = ["network", "holes closed", "walls closed", *(f"from {low:g} mm" for low in THICKNESS_CLASSES_MM[:-1])]
    return markdown(titles, rows)


def answers(bone: np.ndarray, gap: np.ndarray, above: tuple[float, float, float]) -> np.ndarray:
    """Which of `ANSWERS` each point gets of its probabilities, with the limits of seen, inferred and gap."""
    seen, inferred, open_ = above
    return np.select([bone > seen, bone > inferred, gap > open_], ANSWERS[:3], ANSWERS[3])


def answers_table(said: Said, model: walls.WallPackage) -> str:
    """At the package's own limits."""
    told = answers(said["both"], said["gap"], (model.seen_above, model.inferred_above, model.gap_above))
    rows = []
    for name, of in (("intact wall", ~said["hole"]), ("holes", said["hole"])):
        area = said["area_mm2"][of]
        rows.append([name, *(f"{area[told[of] == kind].sum() / area.sum():.3f}" for kind in ANSWERS)])
    return markdown(["", *ANSWERS], rows)


def whole_table(parts: Sequence[Said]) -> str:
    rows = []
    for name in ("multigrey", "singlegrey", "both"):
        of = np.array([part[f"whole {name}"] for part in parts])
        rows.append([name, *(spread(column) for column in of.T)])
    return markdown(["all bone, at its own limit", "Dice", "HD95, mm", "volume / true volume"], rows)


def part_of(real: RealScan) -> sitk.Image:
    """The scan around the lines, with a margin."""
    ends = np.concatenate([real.sites.start_mm, real.sites.end_mm])
    corners = voxel_indices(real.scan, np.array([ends.min(axis=0) - MARGIN_MM, ends.max(axis=0) + MARGIN_MM]))
    low = np.maximum(np.floor(corners[0]).astype(int), 0)
    high = np.minimum(np.ceil(corners[1]).astype(int) + 1, real.scan.GetSize())
    return real.scan[low[0] : high[0], low[1] : high[1], low[2] : high[2]]


def leaks_of(
    real: RealScan,
    both: Both,
    model: package.Package,
    running: Mapping[str, engines.Engine],
    limits: Mapping[str, dict],
) -> list[list[str]]:
    """Coverage and leak of a real scan, each network at the limit at which it closes so many holes of the heads."""
    part = part_of(real)
    fields = {"both": fields_of(both.of(part))["both"], **shipped(part, model, running)}
    rows = []
    for name, field in fields.items():
        for share, limit in limits[name].items():
            found = asdict(measure(real.sites, field > limit))
            rows.append([name, f"{share:.0%}", f"{limit:.3f}", *(f"{found[key]:.4f}" for key in SHOWN)])
    return rows


def calibration_error(said: Said, name: str) -> float:
    """Of bone itself where wall and hole are equally likely, in ten bins."""
    bone, area, value = ~said["hole"], said["area_mm2"], said[name]
    weight = np.where(bone, 0.5 * area / area[bone].sum(), 0.5 * area / area[~bone].sum())
    bins = np.minimum((value * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        of = bins == number
        error += abs((weight[of] * value[of]).sum() - (weight[of] * bone[of]).sum())
    return error


def measures_table(said: Said) -> str:
    hole, there = said["hole"], said["there"]
    rows = []
    for name, of in (("intact wall", ~hole), ("holes", hole)):
        share = said["area_mm2"][of & there].sum() / said["area_mm2"][of].sum()
        rows.append([f"{name}: a place is nearer than {NEAR_MM:g} mm", f"{share:.3f}"])
        rows.append([f"{name}: it is off by, median mm", _median(np.abs(said["offset_mm"][of & there]))])
    for name in ("both", "place known"):
        rows.append([f"calibration error, {name}", f"{calibration_error(said, name):.3f}"])
    for low, high in pairwise((0.3, 0.4, 0.6, np.inf)):
        thick = ~hole & there & (said["thickness_mm"] >= low) & (said["thickness_mm"] < high)
        for name in ("known", "found"):
            off = said[f"thickness {name}"][thick] - said["thickness_mm"][thick]
            titled = f"thickness, place {name}, walls from {low:g} mm: off by, median mm (in the mean by)"
            rows.append([titled, f"{_median(np.abs(off))} ({_mean(off, '+.2f')})"])
    thick = ~hole & there & (said["thickness_mm"] >= 0.3)
    off = np.abs(said["thickness found"] - said["thickness_mm"])[thick]
    rows.append(["thickness, place found, from 0.3 mm on: off by, median mm", _median(off)])
    rows.append(
        [
            "the deviation that is said of it, mean mm (and the true one)",
            f"{_mean(said['deviation found'][thick])} ({_mean(off)})",
        ]
    )
    return markdown(["", ""], rows)


def _median(values: np.ndarray) -> str:
    return f"{np.median(values):.2f}" if len(values) else ""


def _mean(values: np.ndarray, form: str = ".2f") -> str:
    return format(values.mean(), form) if len(values) else ""


def kept(path: Path, make: Callable[[], Said]) -> Said:
    """What was said, read where it was kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        said = make()
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, **said)
        part.replace(path)
    with np.load(path) as said:
        return dict(said)


def make_package(run: Run, given: argparse.Namespace) -> None:
    """Of a training, with what both networks count together and the limits, by heads of the training's templates."""
    chosen = config.load(given.config)
    volume, evidence = VolumeAsked(chosen, given.work), EvidenceAsked(chosen, given.work)
    own = given.out / f"volume-{volume.step}-evidence-{evidence.step}"
    points = fitting_points(run, chosen, volume, evidence, own)
    mixture = fitted(points)
    write_package(given.package, chosen, given.work, mixture, package_limits(points, mixture), STATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("package", "templates", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="checkpoints of both trainings, of which the package is made")
    parser.add_argument("--config", type=Path, default=Path(config.__file__).with_name("walls.toml"))
    parser.add_argument("--data", type=Path, help="a folder of real scans")
    parser.add_argument("--left-out", default="visible-human")
    parser.add_argument("--heads", type=int, default=60)
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first head")
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(Path(), given.templates, given.left_out, given.out, data=given.data)
    if given.work:
        make_package(run, given)
    both, model = Both(given.package), package.load_package()
    running = {name: engines.choose(model, name, threads=1) for name in model.networks}
    own = given.out / both.model.sha256[:12]
    parts = []
    for number, (name, case) in enumerate(cases(run, given.seed, given.heads)):
        said = kept(own / f"{name}.npz", lambda case=case, number=number: said_of(case, both, number))
        said |= kept(
            given.out / "shipped" / f"{name}.npz",
            lambda case=case, number=number: shipped_of(case, model, running, number),
        )
        parts.append(said | {"head": np.full(len(said["hole"]), number)})
        print(name, flush=True)
    names = [name for name in parts[0] if not name.startswith("whole")]
    said = {name: np.concatenate([part[name] for part in parts]) for name in names}
    hole, area = said["hole"], said["area_mm2"]
    limits = {
        name: {share: limit_at(said[name][hole], area[hole], share) for share in HOLES[1:]}
        for name in ("both", "multigrey", "singlegrey")
    }
    leaks = [[real.name, *row] for real in listed(run) for row in leaks_of(real, both, model, running, limits)]
    text = "\n".join((
        f"{both.model.describe()}; {given.heads} heads of {given.left_out} from seed {given.seed} on; "
        f"walls {area[~hole].sum():.0f} mm², holes {area[hole].sum():.0f} mm².\n",
        curve_table(said), answers_table(said, both.model), whole_table(parts), measures_table(said),
        markdown(["scan", "network", "holes", "limit", *SHOWN], leaks),
    ))  # fmt: skip
    (given.out / "figures.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
