"""A case: a scan with its label, made by synthesis or imported, as a folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.evaluation.wall_points import WallPoints, read_walls, write_walls
from OrbitalSegLib.files import whole, write_image, writing

CASE_VERSION = 1
WORKING_SPACING_MM = 0.5
"""The working grid on which the networks see a scan."""

LABEL_HALF_WIDTH_MM = 0.38
"""The training label of a thin wall reaches this far from its mid-surface: no gaps on the working grid."""


class Flag(IntFlag):
    """The bits of a case's label."""

    BONE = 1
    """Training label: at least half bone, or within `LABEL_HALF_WIDTH_MM` of the mid-surface of a wall."""
    HOLE = 2
    """Where a fracture removed a wall: the band that the wall's label would have."""
    WALL = 4
    """Near the mid-surface of floor, medial wall or roof: where balanced patches are drawn."""
    IGNORE = 8
    """Not scored: the rim of a hole, metal, and what the field of view cuts off."""
    ORBIT = 16
    AIRSPACE = 32
    """Sinuses and nose, whatever fills them."""
    CRANIAL = 64


@dataclass(frozen=True)
class Case:
    """A scan and what is known of it."""

    ct: sitk.Image
    """HU on the scanner's grid, signed 16 bits."""
    working_ct: sitk.Image
    """The same as the networks see it: on the working grid."""
    clean: sitk.Image
    """`working_ct` without noise and streaks; from it labels are divided into cortical and thin."""
    label: sitk.Image
    """Bits of `Flag` on the working grid, unsigned 8 bits."""
    walls: WallPoints
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Template, seed, every drawn parameter, scanner; plain JSON."""
    truth: sitk.Image | None = None
    """1 where the bone fraction is at least one half, on a grid of 0.2 mm or finer."""


IMAGES = {"ct": "ct", "working_ct": "working-ct", "clean": "clean", "label": "label"}
"""Image of a case -> its file without ending."""


def write_case_unless_there(case: Case, folder: Path) -> None:
    """Write a case; another process may have made the same before. Raises as `write_case`, but for `exists`."""
    try:
        write_case(case, folder)
    except OutputError as error:
        if error.code != "exists" or not is_case(folder):
            raise


def write_case(case: Case, folder: Path) -> None:
    """Write the folder whole or not at all; of two who make the same case one does.

    Raises `OutputError` `exists`, `cannot-write` or `disk-full`.
    """
    with whole(folder, keep=False) as new, writing(folder.parent):
        new.mkdir()
        for name, file in IMAGES.items():
            write_image(getattr(case, name), new / f"{file}.nrrd")
        if case.truth is not None:
            write_image(case.truth, new / "truth.nrrd")
        write_walls(case.walls, new / "walls.vtp")
        facts = {"case": CASE_VERSION, **case.facts}
        (new / "case.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def is_case(folder: Path) -> bool:
    """Whether a folder holds a case that was written whole."""
    return (folder / "case.json").is_file()


def read_case(folder: Path) -> Case:
    """Read a folder written by `write_case`. Raises `InputError` `no-such-input` or `unreadable`."""
    if not is_case(folder):
        raise InputError("no-such-input", "There is no case in this folder: case.json is missing.")
    try:
        facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        images = {name: sitk.ReadImage(str(folder / f"{file}.nrrd")) for name, file in IMAGES.items()}
        truth = folder / "truth.nrrd"
        return Case(
            **images,
            walls=read_walls(folder / "walls.vtp"),
            facts=facts,
            truth=sitk.ReadImage(str(truth)) if truth.is_file() else None,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError("unreadable", "A file of the case is missing or damaged: make the case anew.") from error
