"""Where walls belong and what of them is seen: the trainings of `walls` beside the shipped networks, on new heads.

    python benchmarks/walls.py --work CHECKPOINTS --templates TEMPLATES --left-out visible-human --out OUT --heads 24

Heads of the left-out template, every one fractured, slices below 1.25 mm, half of them with walls of one thickness.
They are kept in OUT, as is what each network says of each point of the walls; a run that was stopped goes on.
`figures.md` has the tables, with 90 % of 500 draws of the heads as the spread.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from figures.common import Run, markdown
from figures.real import SHOWN, listed

from OrbitalSegLib.evaluation.coverage import Sites, measure
from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.walls import THICKNESS_CLASSES_MM, highest
from OrbitalSegLib.networks import engines, package
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.networks.sheet import Mixed, Mixture, evidence_of, mixed, sheet_of
from OrbitalSegLib.networks.walls import DEFAULT
from OrbitalSegLib.preprocessing import to_isotropic, working_grid
from OrbitalSegLib.training.calibration import sites_of_case
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, Case
from OrbitalSegLib.training.validation import RealScan
from OrbitalSegLib.training.walls import config
from OrbitalSegLib.training.walls.asking import PLACED_ABOVE, EvidenceAsked, VolumeAsked, placed
from OrbitalSegLib.training.walls.heads import distance_mm, judged, misplaced, settings_of
from OrbitalSegLib.training.walls.mixing import Points, fitted, joined, points_of
from OrbitalSegLib.training.walls.mixing import limits_of as package_limits
from OrbitalSegLib.training.walls.packing import write_package

FIRST_SEED = 820_000
MIXTURE_SEED, MIXTURE_HEADS = 910_000, 18
"""Of heads on which it is fitted what evidence and bone count together."""
WALLS_MM = (None, 0.2, None, 0.3, None, 0.5)
"""Of each head in turn; None: drawn as for training."""

HOLES = (0.02, 0.05, 0.10, 0.20)
DRAWS = 500
SEEN_HOLES, GAP_WALLS = 0.03, 0.01
"""Three answers: of hole area so much is called seen, of intact wall so much a gap."""

ANSWERS = ("seen", "inferred", "gap", "not placed")
FAR_MM = 1.5
LIMITS = (0.1, 0.2, 0.3, 0.5, 0.7)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
MARGIN_MM = 20.0

STATED = {
    "name": DEFAULT,
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


def cases(run: Run, count: int) -> list[tuple[str, Case]]:
    found = []
    for number in range(count):
        settings = replace(run.settings(), fracture_share=1.0, thin_slice_share=1.0)
        wall_mm = WALLS_MM[number % len(WALLS_MM)]
        settings = settings.with_wall(wall_mm) if wall_mm else settings
        found.append((f"{number:03d}", run.kept_case(run.left_out, FIRST_SEED + number, settings, truth=False)))
    return found


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


def fitting_points(run: Run, walls: config.Walls, volume: VolumeAsked, evidence: EvidenceAsked, own: Path) -> Points:
    """From new heads of the templates of the training, none of the left-out one."""
    parts = []
    for number in range(MIXTURE_HEADS):
        template = walls.heads.templates[number % len(walls.heads.templates)]
        settings = replace(settings_of(walls.heads), fracture_share=1.0, thin_slice_share=1.0)
        wall_mm = WALLS_MM[number % len(WALLS_MM)]
        settings = settings.with_wall(wall_mm) if wall_mm else settings
        case = run.kept_case(template, MIXTURE_SEED + number, settings, truth=False)
        parts.append(
            Points(**kept(own / f"mixture-{number:03d}.npz", lambda case=case: vars(points_of(case, volume, evidence))))
        )
    return joined(parts)


def together(case_ct: sitk.Image, said: dict[str, sitk.Image], evidence: EvidenceAsked, mixture: Mixture) -> Mixed:
    """What the method says of a scan."""
    sheet = sheet_of(said["place"], said["distance"])
    return mixed(said["cortical"], said["thin"], sheet, evidence_of(case_ct, sheet, evidence.answers).bone, mixture)


def said_of(case: Case, volume: VolumeAsked, evidence: EvidenceAsked, mixture: Mixture, seed: int) -> Said:
    """What the new networks say of each judged point of a head."""
    points = judged(case.walls, case)
    said = volume.of(case.working_ct)
    both = together(case.ct, said, evidence, mixture)
    bone = sitk.Maximum(said["cortical"], said["thin"])
    rng = np.random.default_rng(seed)
    known = evidence.of(case.ct, *misplaced(points, rng))
    where = placed(said, points.points_mm, points.normals)
    belongs = sitk.GetArrayFromImage(said["place"]) > PLACED_ABOVE
    far = np.abs(distance_mm(case.walls, case.working_ct)) > FAR_MM
    found = evidence.of(case.ct, points.points_mm + where.offset_mm[:, None] * points.normals, where.normals)
    return {
        "volume": highest(points, bone),
        "both": highest(points, sitk.Maximum(both.cortical, both.thin)),
        "place known": known.bone,
        "place searched": evidence.of(case.ct, points.points_mm, points.normals, search=True).bone,
        "place found": np.where(where.there, found.bone, 0),
        "there": where.there,
        "offset_mm": where.offset_mm,
        "voxels": np.array([belongs.sum()]),
        "voxels far": np.array([(belongs & far).sum()]),
        "thickness known": known.thickness_mm,
        "thickness found": found.thickness_mm,
        "hole": points.hole != 0,
        "thickness_mm": points.thickness_mm,
        "area_mm2": points.area_mm2,
    }


def shipped_of(case: Case, model: package.Package, running: Mapping[str, engines.Engine]) -> Said:
    points = judged(case.walls, case)
    return {name: highest(points, image) for name, image in shipped(case.ct, model, running).items()}


NETWORKS = ("multigrey", "singlegrey", "volume", "both", "place known", "place searched", "place found")


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


def limits_of(said: Said, of: np.ndarray) -> tuple[float, float]:
    """Above the first it is seen, below the second a gap: chosen on the flagged points."""
    value, area, hole = said["place found"], said["area_mm2"], said["hole"]
    holes, walls = of & hole, of & ~hole & said["there"]
    return limit_at(value[holes], area[holes], SEEN_HOLES), -limit_at(-value[walls], area[walls], GAP_WALLS)


def answers(bone: np.ndarray, there: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """One of `ANSWERS` for each place."""
    told = np.where(bone > limits[0], "seen", np.where(bone < limits[1], "gap", "inferred"))
    return np.where(there, told, "not placed")


def answers_table(said: Said) -> str:
    """The limits are chosen on every other head and tell of the rest."""
    hole, area, even = said["hole"], said["area_mm2"], said["head"] % 2 == 0
    told = np.where(
        even,
        answers(said["place found"], said["there"], limits_of(said, ~even)),
        answers(said["place found"], said["there"], limits_of(said, even)),
    )
    rows = []
    for name, of in (("intact wall", ~hole), ("holes", hole)):
        shares = [area[of & (told == kind)].sum() / area[of].sum() for kind in ANSWERS]
        rows.append([name, *(f"{share:.3f}" for share in shares)])
    return markdown(["", *ANSWERS], rows)


def lines_of(ct: sitk.Image, sites: Sites, volume: VolumeAsked, evidence: EvidenceAsked) -> Said:
    """What is said where a line from sinus air to orbital fat has to cross a wall."""
    outwards = sites.start_mm - sites.end_mm
    normals = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    middle = (sites.start_mm + sites.end_mm) / 2
    where = placed(volume.of(to_isotropic(ct, WORKING_SPACING_MM)), middle, normals)
    found = evidence.of(ct, middle + where.offset_mm[:, None] * normals, where.normals)
    return {"bone": found.bone, "thickness_mm": found.thickness_mm, "there": where.there}


def lines_table(lines: Mapping[str, Said], limits: tuple[float, float]) -> str:
    """Unbroken walls of scans beside those of heads: is the evidence alike?"""
    rows = []
    for name, said in lines.items():
        told, there = answers(said["bone"], said["there"], limits), said["there"]
        shares = [f"{(told == kind).mean():.3f}" for kind in ANSWERS]
        bone = [f"{value:.2f}" for value in np.quantile(said["bone"][there], QUANTILES)] if there.any() else [""] * 5
        rows.append([name, len(there), *shares, *bone, _median(said["thickness_mm"][there])])
    titles = ["lines of", "number", *ANSWERS, *(f"P(bone), {share:.0%}" for share in QUANTILES), "thickness, median mm"]
    return markdown(titles, rows)


def part_of(real: RealScan) -> sitk.Image:
    """The scan around the lines, with a margin."""
    ends = np.concatenate([real.sites.start_mm, real.sites.end_mm])
    corners = voxel_indices(real.scan, np.array([ends.min(axis=0) - MARGIN_MM, ends.max(axis=0) + MARGIN_MM]))
    low = np.maximum(np.floor(corners[0]).astype(int), 0)
    high = np.minimum(np.ceil(corners[1]).astype(int) + 1, real.scan.GetSize())
    return real.scan[low[0] : high[0], low[1] : high[1], low[2] : high[2]]


def leaks_of(
    real: RealScan,
    volume: VolumeAsked,
    evidence: EvidenceAsked,
    mixture: Mixture,
    model: package.Package,
    running: Mapping[str, engines.Engine],
) -> list[list[str]]:
    """Coverage and leak of a real scan by limits."""
    part = part_of(real)
    said = volume.of(to_isotropic(part, WORKING_SPACING_MM))
    both = together(part, said, evidence, mixture)
    fields = {
        "volume": sitk.Maximum(said["cortical"], said["thin"]),
        "both": sitk.Maximum(both.cortical, both.thin),
        **shipped(part, model, running),
    }
    rows = []
    for name, field in fields.items():
        for limit in LIMITS:
            found = asdict(measure(real.sites, field > limit))
            rows.append([name, f"{limit:g}", *(f"{found[key]:.4f}" for key in SHOWN)])
    return rows


def calibration_error(said: Said, name: str) -> float:
    """Of bone itself where wall and hole are equally likely, in ten bins; `place found` where there is a place."""
    there = said["there"] if name == "place found" else np.ones(len(said["hole"]), bool)
    bone, area, value = ~said["hole"][there], said["area_mm2"][there], said[name][there]
    weight = np.where(bone, 0.5 * area / area[bone].sum(), 0.5 * area / area[~bone].sum())
    bins = np.minimum((value * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        of = bins == number
        if weight[of].sum():
            error += abs((weight[of] * value[of]).sum() - (weight[of] * bone[of]).sum())
    return error


def measures_table(said: Said) -> str:
    hole, there = said["hole"], said["there"]
    rows = []
    for name, of in (("intact wall", ~hole), ("holes", hole)):
        off = np.abs(said["offset_mm"][of & there])
        rows.append([f"{name}: place off by, median mm", _median(off)])
    far = said["voxels far"].sum() / max(said["voxels"].sum(), 1)
    rows.append([f"of the voxels of place so many lie farther than {FAR_MM:g} mm from a wall", f"{far:.3f}"])
    for name in ("known", "found"):
        rows.append([f"calibration error, place {name}", f"{calibration_error(said, f'place {name}'):.3f}"])
        thick = ~hole & there & (said["thickness_mm"] >= 0.3)
        off = np.abs(said[f"thickness {name}"] - said["thickness_mm"])[thick]
        rows.append([f"thickness off by, place {name}, from 0.3 mm on, median mm", _median(off)])
    return markdown(["", ""], rows)


def _median(values: np.ndarray) -> str:
    return f"{np.median(values):.2f}" if len(values) else ""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("work", "templates", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(config.__file__).with_name("walls.toml"))
    parser.add_argument("--data", type=Path, help="a folder of real scans")
    parser.add_argument("--package", type=Path, help="a folder that gets a package of both networks")
    parser.add_argument("--left-out", default="visible-human")
    parser.add_argument("--heads", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(Path(), given.templates, given.left_out, given.out, data=given.data)
    walls = config.load(given.config)
    volume, evidence = VolumeAsked(walls, given.work), EvidenceAsked(walls, given.work)
    model = package.load_package()
    running = {name: engines.choose(model, name, threads=1) for name in model.networks}
    own = given.out / f"volume-{volume.step}-evidence-{evidence.step}"
    points = fitting_points(run, walls, volume, evidence, own)
    mixture = fitted(points)
    limits = package_limits(points, mixture)
    if given.package:
        write_package(given.package, walls, given.work, mixture, limits, STATED)
    parts, lines = [], {}
    for number, (name, case) in enumerate(cases(run, given.heads)):
        said = kept(
            own / f"{name}.npz", lambda case=case, number=number: said_of(case, volume, evidence, mixture, number)
        )
        said |= kept(given.out / "shipped" / f"{name}.npz", lambda case=case: shipped_of(case, model, running))
        parts.append(said | {"head": np.full(len(said["hole"]), number)})
        sites = sites_of_case(case)
        lines[name] = kept(
            own / f"{name}-lines.npz", lambda case=case, sites=sites: lines_of(case.ct, sites, volume, evidence)
        )
        print(name, flush=True)
    lines = {given.left_out: {key: np.concatenate([line[key] for line in lines.values()]) for key in lines["000"]}}
    leaks = []
    for real in listed(run):
        lines[f"{real.name}, real"] = lines_of(part_of(real), real.sites, volume, evidence)
        leaks += [[real.name, *row] for row in leaks_of(real, volume, evidence, mixture, model, running)]
    said = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    hole, area = said["hole"], said["area_mm2"]
    text = "\n".join((
        f"Volume step {volume.step}, evidence step {evidence.step}; {given.heads} heads of {given.left_out}; "
        f"walls {area[~hole].sum():.0f} mm², holes {area[hole].sum():.0f} mm².\n",
        curve_table(said), answers_table(said), measures_table(said),
        lines_table(lines, limits_of(said, said["hole"] | True)),
        markdown(["scan", "network", "limit", *SHOWN], leaks), f"{mixture}, {limits}\n",
    ))  # fmt: skip
    (given.out / "figures.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
