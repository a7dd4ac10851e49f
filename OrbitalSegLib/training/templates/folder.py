"""Other people's anatomy: a folder with `seeds.json` and a skull's mask or a labelled scan."""

from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.templates.build import build
from OrbitalSegLib.training.templates.seeds import read_seeds
from OrbitalSegLib.training.templates.template import SPACING_MM, Compartment, Template

BONE_LABEL = len(Compartment) + 1
"""Bone in `compartments.nrrd`; there 0 is unknown and the compartments are their number + 1."""


def folder_template(folder: Path, spacing_mm: float = SPACING_MM, progress: Progress = silent) -> Template:
    """Build a template from a folder.

    It holds `seeds.json` (see `read_seeds`) and at least one of `skull.nrrd`, a mask of the bone, and
    `compartments.nrrd`, a labelled scan: `Compartment` + 1, bone 8, and 0 where it is left to the seeds. `head.nrrd`, a
    mask of all inside the skin, may be there too. Raises `InputError` `no-such-input`, `unreadable` or `inconsistent`.
    """
    seeds = read_seeds(folder / "seeds.json")
    bone, labels, head = (_image(folder / f"{name}.nrrd") for name in ("skull", "compartments", "head"))
    if bone is None and labels is None:
        raise InputError("no-such-input", "There is neither skull.nrrd nor compartments.nrrd in this folder: add one.")
    if bone is None:
        bone = labels == BONE_LABEL
    markers = None if labels is None else sitk.Mask(labels, labels < BONE_LABEL)
    return build(bone, seeds, markers, head, spacing_mm, progress)


def _image(path: Path) -> sitk.Image | None:
    if not path.exists():
        return None
    try:
        return sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkUInt8)
    except RuntimeError as error:
        raise InputError("unreadable", f"{path.name} is damaged or no image: replace it.") from error
