"""What one factor at a time does: Dice, walls closed and holes closed on heads of the left-out template.

The standard head has walls of 0.4 mm with two holes of 8 mm, the standard scan 0.4 mm pixels, slices of 0.8 mm, 15 HU
of noise, and a soft kernel. Each level of a factor changes that and nothing else: the same heads again.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import SimpleITK as sitk

from figures.common import Record, Run, markdown, records, spread, write_csv
from figures.synthetic import NETWORK_FIGURES, against_truth
from OrbitalSegLib.training.synthesis.settings import Range, Settings

SEED = 800_000
HEADS = 4


@dataclass(frozen=True)
class Level:
    """One level of one factor, as what it changes in the settings."""

    factor: str
    value: str
    changes: dict

    @property
    def name(self) -> str:
        return f"{self.factor}-{self.value}".replace(" ", "-")


def standard(base: Settings) -> Settings:
    """The head and the scan that all levels start from."""
    return replace(
        base.with_wall(0.4).with_hole(8.0, "fat"), holes=(2, 2), rotation_degrees=(0.0, 0.0), nod_degrees=(0.0, 0.0),
        lined_share=0.0, fluid_share=0.0, full_share=0.0, pixel_mm=(0.4, 0.4), slice_mm=(0.8, 0.8), overlap=(1.0, 1.0),
        bone_kernel_share=0.0, noise_hu=(15.0, 15.0), streak_share=0.0, beam_hardening_hu=(0.0, 0.0),
        shift_hu=(0.0, 0.0), far_shift_share=0.0, quantised_share=0.0,
    )  # fmt: skip


def levels() -> list[Level]:
    """The standard, and every level of every factor."""
    found = [Level("standard", "", {})]
    ranges = {
        "noise HU": ("noise_hu", (5, 10, 20, 40, 60)),
        "slice mm": ("slice_mm", (0.5, 1.0, 1.5, 2.0, 3.0)),
        "pixel mm": ("pixel_mm", (0.35, 0.5, 0.7, 1.0)),
        "shift HU": ("shift_hu", (-50, -25, 25, 50)),
        "rotation degrees": ("rotation_degrees", (10, 20)),
        "tilt degrees": ("nod_degrees", (10, 20)),
    }
    for factor, (name, values) in ranges.items():
        found += [Level(factor, f"{value:g}", {name: (float(value), float(value))}) for value in values]
    shares = {
        ("kernel", "bone"): "bone_kernel_share",
        ("sinus", "lined"): "lined_share",
        ("sinus", "fluid"): "fluid_share",
        ("sinus", "full"): "full_share",
        ("field", "cropped"): "narrow_view_share",
        ("bone", "newborn"): "newborn_share",
        ("metal", "on the bone"): "metal_share",
        ("metal", "in the teeth"): "teeth_metal_share",
    }
    return found + [Level(factor, value, {name: 1.0}) for (factor, value), name in shares.items()]


def judge(run: Run, level: Level, seed: int) -> Record:
    """The figures of one head."""
    settings = replace(standard(run.settings()), **level.changes)
    case = run.case(run.left_out, seed, settings)
    truth = _truth(run, seed, settings.rotation_degrees, settings.nod_degrees)
    return against_truth(run, case, truth)


@lru_cache(maxsize=1)
def _truth(run: Run, seed: int, rotation_degrees: Range, nod_degrees: Range) -> sitk.Image:
    """The bone of a head in one pose, which no other factor changes: it takes longer than all the rest."""
    settings = replace(standard(run.settings()), rotation_degrees=rotation_degrees, nod_degrees=nod_degrees)
    return run.case(run.left_out, seed, settings, truth=True).truth


def section(run: Run, heads: int = HEADS) -> str:
    """Measure every level on the same heads, and report."""
    tasks = {
        f"{seed}-{level.name}": partial(judge, run, level, seed)
        for seed in range(SEED, SEED + heads)
        for level in levels()
    }
    made = records(run.out / "robustness", tasks)
    rows = []
    for level in levels():
        ours = [record for name, record in made.items() if name.split("-", 1)[1] == level.name]
        rows.append(
            [level.factor, level.value, len(ours), *(spread(one[name] for one in ours) for name in NETWORK_FIGURES)]
        )
    titles = ["factor", "level", "heads", *NETWORK_FIGURES]
    write_csv(run.out / "robustness.csv", titles, rows)
    text = f"Mean ± standard deviation (lowest to highest) of {heads} heads of `{run.left_out}`.\n"
    return "\n".join(["## Robustness\n", text, markdown(titles, rows)])
