"""Pictures of a table of cases. They need matplotlib, of the extra `learn`: ask `can_draw` first."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.evaluation.grids import at_voxels_of, divided
from OrbitalSegLib.evaluation.surface_distances import largest_error
from OrbitalSegLib.evaluation.table import DECISIVE, CaseFiles, Table
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.files import safe_name, writing
from OrbitalSegLib.images import mask_array, spacing_zyx

BOXES = ("whole_dice", "cortical_dice", "thin_dice", "hd95_mm", "p95_mm", "walls_closed_thin", "holes_closed_thin")
WINDOW_HU = (-200.0, 300.0)
TRUTH_COLOUR, RESULT_COLOUR = "#2ca02c", "#ff6a28"
PLANES = ("axial", "coronal", "sagittal")


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_all(table: Table, cases: Sequence[CaseFiles], folder: Path) -> None:
    """Draw `boxes.png`, and `worst-METHOD.png` of the worst case of each method, into an existing folder.

    Raises `InputError` and `OutputError`.
    """
    draw_boxes(table, folder / "boxes.png")
    for method in table.methods:
        worst = table.worst(method)
        case = next(case for case in cases if case.name == worst.case)
        ct = None if case.ct is None else reading.read(case.ct).image
        title = f"{method}, worst of {len(cases)} cases: {worst.case}, {DECISIVE} {worst.figures[DECISIVE]:.3f}"
        truth, result = read_segmentation(case.truth), read_segmentation(case.results[method])
        draw_error(truth, result, folder / f"worst-{safe_name(method)}.png", title, ct)


def draw_boxes(table: Table, path: Path, figures: Sequence[str] = BOXES) -> None:
    """Box plots of some figures by method, with every case as a point. Raises `OutputError`.

    The box holds the middle half, the line is the median, whiskers reach to the lowest and highest case.
    """
    shown = [name for name in figures if name in table.figures] or [DECISIVE]
    figure, axes = _figure(len(shown), 1 + 2.6 * len(shown), 4)
    for name, axis in zip(shown, axes, strict=True):
        values = [[v for v in table.values(method, name).values() if np.isfinite(v)] for method in table.methods]
        axis.boxplot(values, tick_labels=table.methods, whis=(0, 100), medianprops={"color": RESULT_COLOUR})
        for place, some in enumerate(values):
            axis.plot(np.full(len(some), place + 1.0), some, ".", color="0.4", markersize=4)
        missing = sum(len(table.values(m, name)) for m in table.methods) - sum(map(len, values))
        axis.set_title(name.replace("_", " ") + (f"\n({missing} not finite)" if missing else ""), fontsize=9)
        axis.tick_params(axis="x", labelrotation=30)
    _save(figure, path)


def draw_error(truth: sitk.Image, result: sitk.Image, path: Path, title: str, ct: sitk.Image | None = None) -> None:
    """Three planes through the place where the result is furthest from the truth, with both outlines.

    Without a CT the truth is what is grey. Raises `InputError` `different-grids`, and `OutputError`.
    """
    truth = divided(truth, result)
    shown = truth if ct is None else at_voxels_of(truth, ct)
    images = (sitk.DICOMOrient(image, "LPS") for image in (truth, at_voxels_of(truth, result), shown))
    truth, result, shown = images
    at = largest_error(truth, result)
    grey = sitk.GetArrayFromImage(shown).astype(np.float32)
    low, high = (0.0, 2.0) if ct is None else WINDOW_HU
    masks = [mask_array(image) for image in (truth, result)]
    spacing = spacing_zyx(truth)
    figure, axes = _figure(3, 15, 5.4)
    for across, (panel, name) in enumerate(zip(axes, PLANES, strict=True)):
        rows, columns = (axis for axis in range(3) if axis != across)
        plane = np.take(grey, at[across], axis=across)
        panel.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=spacing[rows] / spacing[columns])
        for mask, colour in zip(masks, (TRUTH_COLOUR, RESULT_COLOUR), strict=True):
            outline = np.take(mask, at[across], axis=across)
            if outline.any() and not outline.all():
                panel.contour(outline, levels=[0.5], colors=[colour], linewidths=0.8)
        if rows == 0:
            panel.invert_yaxis()  # the head is up
        panel.set_title(name, fontsize=9)
        panel.set_axis_off()
    figure.suptitle(f"{title}   (green: truth, orange: result)", fontsize=10)
    _save(figure, path)


def _figure(columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure in inches, and its panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _save(figure: Any, path: Path) -> None:
    with writing(path.parent):
        figure.savefig(path, dpi=110, bbox_inches="tight")
