"""Coverage and leak on real scans without a label, and pictures of them to be looked at.

The definition is that of evaluation/coverage.py: lines from sinus air to orbital fat. Masks are judged on the working
grid. These are development scans: walls of the synthetic heads were calibrated on them.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from figures.common import Record, Run, draw_lines, markdown, probabilities, records, segment, with_inferred, write_csv
from OrbitalSegLib.evaluation import coverage
from OrbitalSegLib.modelling.surface import surface_of_mask
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.region import Region
from OrbitalSegLib.training.validation import RealScan, mask_above, read_scans

SCANS = {
    "visible-human": ("visible-human-female/head.nii.gz", (0.435, 0.60, 0.28, 0.46, 0.30, 0.70)),
    "toshiba": ("toshiba-head-3mm", (0.36, 0.60, 0.12, 0.42, 0.18, 0.82)),
}
"""Where each lies in the folder of real scans, and where its orbits are: z0 z1 y0 y1 x0 x1, fractions of the scan."""

THRESHOLDS_HU = (300.0, 150.0, 50.0)
LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SHOWN = ("lines", "coverage", "fat", "soft_tissue", "air", "skin")

PICTURE_MM = 4.0
"""Distance of the coronal planes of the picture."""


def listed(run: Run) -> list[RealScan]:
    """The scans that are there."""
    if run.data is None:
        return []
    found = {name: (run.data / path, box) for name, (path, box) in SCANS.items() if (run.data / path).exists()}
    text = "".join(
        f'["{n}"]\npath = "{path.resolve()}"\nbox_fraction = {list(box)}\n' for n, (path, box) in found.items()
    )
    run.out.mkdir(parents=True, exist_ok=True)
    list_of_scans = run.out / "scans.toml"
    list_of_scans.write_text(text, "utf-8")
    return read_scans(list_of_scans)


def judge(run: Run, real: RealScan) -> Record:
    """Coverage and leak of every method and limit; draws the pictures."""
    found = segment(run, "multigrey", real.scan, Region(tuple(real.box_mm)))
    masks = found.classes(found.bone)
    either = with_inferred(masks)
    rows = {f"A {hu:g} HU": _measured(real, real.scan > hu) for hu in THRESHOLDS_HU}
    rows |= {"C seen": _measured(real, masks["bone"]), "C seen or inferred": _measured(real, either)}
    said = probabilities(found)
    for limit in LIMITS:
        rows[f"C any network above {limit:g}"] = _measured(real, mask_above(said, dict.fromkeys(said, limit)))
    draw(run, real, masks)
    return rows


def _measured(real: RealScan, mask: sitk.Image) -> Record:
    return asdict(coverage.measure(real.sites, mask))


def draw(run: Run, real: RealScan, masks: Mapping[str, sitk.Image]) -> None:
    """Three planes and the bone from the front, and coronal planes through the orbits."""
    surface, _ = surface_of_mask(masks["bone"])
    shown = {name: masks[name] for name in ("bone", "inferred")}
    draw_preview(real.scan, shown, surface, run.out / f"real-{real.name}.png", [real.name, "Seen and inferred bone."])
    draw_planes(real, shown, run.out / f"real-{real.name}-coronal.png")


def draw_planes(real: RealScan, masks: Mapping[str, sitk.Image], path: Path) -> None:
    """Coronal planes, front to back, with the outlines of what is seen (orange) and inferred (blue)."""
    from matplotlib.figure import Figure

    grid = masks["bone"]
    hu = sitk.GetArrayFromImage(sitk.Resample(real.scan, grid, sitk.Transform(), sitk.sitkLinear, -1024.0))
    arrays = {name: sitk.GetArrayFromImage(mask) for name, mask in masks.items()}
    step = max(round(PICTURE_MM / grid.GetSpacing()[1]), 1)
    places = range(step, hu.shape[1], step)
    figure = Figure((16, 4 * -(-len(places) // 3)), layout="constrained")
    for panel, place in zip(figure.subplots(-(-len(places) // 3), 3, squeeze=False).flat, places, strict=False):
        panel.imshow(hu[:, place], cmap="gray", vmin=-200, vmax=300, origin="lower")
        for (_, array), colour in zip(arrays.items(), ("#ff6a28", "#28a0ff"), strict=True):
            if array[:, place].any():
                panel.contour(array[:, place], [0.5], colors=colour, linewidths=0.6)
        panel.set_title(f"y = {grid.TransformIndexToPhysicalPoint((0, place, 0))[1]:.0f} mm", fontsize=8)
    for panel in figure.axes:
        panel.set_axis_off()
    figure.savefig(path, dpi=90)


def section(run: Run) -> str:
    """Measure and report."""
    scans = listed(run)
    made = records(run.out / "real", {real.name: partial(judge, run, real) for real in scans})
    text = [
        "## Real scans\n",
        "Development scans. Share of lines that meet the mask, and of tissue that is called bone.\n",
    ]
    curves = {}
    for name, record in made.items():
        rows = [[mask, *(_text(figures[key]) for key in SHOWN)] for mask, figures in record.items()]
        write_csv(run.out / f"real-{name}.csv", ["mask", *SHOWN], rows)
        text += [f"`{name}`:\n", markdown(["mask", *SHOWN], rows)]
        text += [f"![{name}](real-{name}.png)\n", f"![{name}, coronal](real-{name}-coronal.png)\n"]
        swept = [figures for mask, figures in record.items() if mask.startswith("C any")]
        curves[name] = [one["soft_tissue"] for one in swept], [one["coverage"] for one in swept]
    draw_lines(
        run.out / "real.png", "Coverage and leak, limit from 0.9 to 0.1", "soft tissue called bone", "coverage", curves
    )
    return "\n".join([*text, "![sweep](real.png)\n"])


def _text(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and value > 1 else f"{value:.4f}"
