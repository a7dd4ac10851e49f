"""Every figure of one result against its truth, under one name each (docs/metrics.md)."""

from math import isinf, isnan

import SimpleITK as sitk

from OrbitalSegLib.evaluation.grids import at_voxels_of, divided
from OrbitalSegLib.evaluation.overlap import Overlap, overlap, overlap_by_class
from OrbitalSegLib.evaluation.surface_distances import TOLERANCE_MM, surface_distances
from OrbitalSegLib.evaluation.topology import topology
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.evaluation.walls import wall_figures
from OrbitalSegLib.progress import Progress, silent

MORE_IS_BETTER = (
    "true_positive",
    "true_negative",
    "sensitivity",
    "specificity",
    "accuracy",
    "dice",
    "iou",
    "walls_closed",
)
"""What the names of figures hold of which more is better; of the others less is."""


def evaluate(
    truth: sitk.Image,
    result: sitk.Image,
    ct: sitk.Image | None = None,
    region: sitk.Image | None = None,
    walls: WallPoints | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    progress: Progress = silent,
) -> dict[str, float]:
    """Compare a mask with the truth (non-zero is bone in both), inside the non-zero voxels of a region.

    With the CT in HU, overlap is also given for cortical and thin bone; with points on the walls, what of them is
    closed. Where the grids differ, masks, CT and region are compared on the truth's grid with its voxels `divided`.
    Raises `InputError` `different-grids` where axes are not parallel, and `no-walls`.
    """
    own = result
    truth = divided(truth, result)
    result = at_voxels_of(truth, result)
    ct, region = (None if image is None else at_voxels_of(truth, image) for image in (ct, region))
    counts: dict[str, Overlap] = (
        {"whole": overlap(truth, result, region)} if ct is None else overlap_by_class(truth, result, ct, region)
    )
    found: dict[str, float] = {
        f"{name}_{figure}": value for name, counted in counts.items() for figure, value in counted.figures().items()
    }
    progress(0.1)
    found |= surface_distances(truth, result, region, lambda part: progress(0.1 + 0.7 * part)).figures(tolerance_mm)
    progress(0.8)
    for name, mask in (("truth", truth), ("result", result)):
        found |= {f"{name}_{figure}": value for figure, value in topology(mask, region).figures().items()}
    progress(0.9)
    if walls is not None:
        found |= wall_figures(walls, own).figures()
    progress(1.0)
    return found


def plain(value: float) -> float | str | None:
    """A figure as JSON knows it: null where there is none."""
    if isnan(value):
        return None
    return "infinite" if isinf(value) else value


def badness(figure: str, value: float) -> float:
    """A number that is the larger the worse a figure's value is. Signed distances are bad on either side."""
    if any(name in figure for name in MORE_IS_BETTER):
        return -value
    return abs(value) if figure.startswith("signed_") else value
