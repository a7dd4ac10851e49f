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
    """Compare a mask with the truth, by every metric of docs/metrics.md [3532-2 11].

    Where the grids differ, masks, CT and region are compared on the truth's grid with its voxels `divided`.

    Parameters
    ----------
    truth
        A mask: what is not 0 is bone.
    result
        A mask, on any grid whose axes are parallel to the truth's.
    ct
        In HU: overlap is then given for cortical and thin bone too; None leaves that out.
    region
        A mask of what counts; None is all of the truth.
    walls
        Points on the true walls: what of these is closed is then given too.
    tolerance_mm
        Distances up to this count as none in the surface Dice.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    figures
        By name; not a number where there is no value, infinite where a surface is missing.

    Raises
    ------
    InputError
        `different-grids`: axes are not parallel; `no-walls`: none of the points lies in the image.

    Examples
    --------
    >>> truth = sitk.Image(8, 8, 8, sitk.sitkUInt8)
    >>> truth[2:6, 2:6, 2:6] = 1
    >>> figures = evaluate(truth, truth)
    >>> figures["whole_dice"], figures["surface_dice"]
    (1.0, 1.0)
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
    """A figure as JSON knows it: null where there is none.

    Parameters
    ----------
    value
        A figure.

    Returns
    -------
    value
        A number; None for what is none, `infinite` for what has no end.

    Examples
    --------
    >>> plain(0.5), plain(float("nan")), plain(float("inf"))
    (0.5, None, 'infinite')
    """
    if isnan(value):
        return None
    return "infinite" if isinf(value) else value


def badness(figure: str, value: float) -> float:
    """A number that is the larger the worse a figure's value is. Signed distances are bad on either side.

    Parameters
    ----------
    figure
        Its name.
    value
        Its value.

    Returns
    -------
    badness
        To sort by.
    """
    if any(name in figure for name in MORE_IS_BETTER):
        return -value
    return abs(value) if figure.startswith("signed_") else value
