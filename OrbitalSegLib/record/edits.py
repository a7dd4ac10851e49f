"""What a person changed after the automatic result: counted voxel by voxel, on the automatic result's grid."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.images import mask_array
from OrbitalSegLib.progress import Warn, unheard
from OrbitalSegLib.structures import BONE, parts_of

OTHER_GRID = "The edited segmentation lies on another grid than the result: save it with the result's own geometry."


def edited_masks(
    automatic: dict[str, sitk.Image],
    path: Path,
    header: str | None = None,
    warn: Warn = unheard,
) -> dict[str, sitk.Image]:
    """The automatic segments as a person left them; those that the file lacks stay, as far as they are still bone.

    A label map without names is `bone`. What was taken from `bone` is taken from its classes `cortical` and `thin` too,
    unless these were edited themselves.

    Parameters
    ----------
    automatic
        By structure, on one grid.
    path
        A segmentation or a label map, on the same grid.
    header
        The part of a volume file's header that is believed where parts contradict each other.
    warn
        Hears at once of each warning: its code and its sentence.

    Returns
    -------
    masks
        By structure, on that grid.

    Raises
    ------
    InputError
        `different-grids`; `not-a-segmentation`: none of the segments is in the file; and what reading it raises.
    """
    ids = segment_ids(path, header)
    given = {}
    for name, mask in automatic.items():
        if name in ids or (not ids and name == BONE):
            try:
                edited = read_segmentation(path, name, header, warn)
                given[name] = sitk.Cast(on_grid_of(mask, edited), sitk.sitkUInt8)
            except InputError as error:
                raise InputError(error.code, OTHER_GRID if error.code == "different-grids" else error.text) from error
    if not given:
        raise InputError(
            "not-a-segmentation",
            f"The edited segmentation has none of the result's segments: name them {', '.join(automatic)}.",
        )
    masks = automatic | given
    for name in set(parts_of(BONE)) & automatic.keys() - given.keys():
        masks[name] = sitk.And(masks[name], masks[BONE])
    return masks


def count(automatic: sitk.Image, edited: sitk.Image) -> dict[str, Any]:
    """Voxels and ml that were added to and removed from a mask.

    Parameters
    ----------
    automatic
        A mask.
    edited
        The same, as a person left it, on the same grid.

    Returns
    -------
    counted
        As the record has it: volumes in ml before and after, voxels and ml added and removed.
    """
    before, after = mask_array(automatic), mask_array(edited)
    voxel_ml = float(np.prod(automatic.GetSpacing())) / 1000
    added, removed = int((after & ~before).sum()), int((before & ~after).sum())
    return {
        "automatic_ml": round(int(before.sum()) * voxel_ml, 4),
        "edited_ml": round(int(after.sum()) * voxel_ml, 4),
        "added_voxels": added,
        "removed_voxels": removed,
        "added_ml": round(added * voxel_ml, 4),
        "removed_ml": round(removed * voxel_ml, 4),
    }
