"""Packed cases: one byte a voxel of image, one of label, read by every training process through the page cache."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.preprocessing import window_8bit
from OrbitalSegLib.structures import BONE, CORTICAL, STRUCTURES, THIN, parts_of
from OrbitalSegLib.training.cases import Flag

Array = np.ndarray

KEPT = (BONE, "hole", "wall", "ignore", "orbit")
"""The flags of a case's label that a packed one keeps."""

EDITED, IGNORED = "edited", "ignore"
"""Where people changed what a network had found, so that patches are drawn there; and what is not scored."""

FLAGS = {name: int(Flag[name.upper()]) for name in KEPT} | {CORTICAL: 32, THIN: 64, EDITED: 128}
"""The flags of a packed case of the orbital bone. `cortical` and `thin` are cut from noise-free HU."""

MAXIMUM_PLACES = 20_000
"""So many places a case keeps of each flag; patches are centred on them."""


@dataclass(frozen=True)
class Packed:
    """One packed case: arrays (z, y, x), mapped from disk, and places (n, 3) to centre patches on."""

    folder: Path
    image: Array
    label: Array
    flags: Mapping[str, int]
    places: Mapping[str, Array]
    about: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.folder.name


def flags_of_case(label: Array, clean_hu: Array) -> Array:
    """The packed flags from a case's label flags and its noise-free HU."""
    bone = (label & Flag.BONE) > 0
    packed = label & np.uint8(sum(FLAGS[name] for name in KEPT))
    for name in parts_of(BONE):
        packed |= np.where(bone & STRUCTURES[name].holds(clean_hu), np.uint8(FLAGS[name]), np.uint8(0))
    return packed


def pack_case(case: Path, store: Path) -> None:
    """Pack a case folder (`working-ct.nrrd`, `clean.nrrd`, `label.nrrd`, `case.json`) under its name into `store`.

    Raises `InputError` `bad-case` where a part is missing or the grids differ.
    """
    try:
        ct, clean, label = (sitk.ReadImage(str(case / f"{n}.nrrd")) for n in ("working-ct", "clean", "label"))
        about = json.loads((case / "case.json").read_text("utf-8"))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError("bad-case", "A case lacks one of its files, or it cannot be read: make it again.") from error
    if not ct.GetSize() == clean.GetSize() == label.GetSize():
        raise InputError("bad-case", "A case's image and label are on different grids: make it again.")
    flags = flags_of_case(sitk.GetArrayFromImage(label), sitk.GetArrayFromImage(clean))
    write(store, case.name, sitk.GetArrayFromImage(window_8bit(ct)), flags, FLAGS, about)


def write(
    store: Path, name: str, image: Array, label: Array, flags: Mapping[str, int], about: Mapping[str, object]
) -> None:
    """Write one packed case, whole or not at all; one that is there already stays.

    `image` is the window in 8 bits; `about` says where it is from: `template`, `seed`, `patient`.
    """
    target = store / name
    store.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=".packing-", dir=store))
    try:
        np.save(private / "image.npy", np.ascontiguousarray(image))
        np.save(private / "label.npy", np.ascontiguousarray(label))
        for kind, places in _places(label, flags).items():
            np.save(private / f"places-{kind}.npy", places)
        kept = {key: str(about[key]) for key in ("template", "seed", "patient") if key in about}
        (private / "packed.json").write_text(json.dumps({"flags": dict(flags), "about": kept}), "utf-8")
        if not target.exists():
            private.chmod(0o755)
            private.rename(target)
    except OSError:
        if not target.exists():  # else another process packed the same case meanwhile
            raise
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _places(label: Array, flags: Mapping[str, int]) -> dict[str, Array]:
    places = {}
    for name, flag in flags.items():
        chosen = (label & flag) > 0
        if name == "wall" and "hole" in flags:
            chosen &= (label & flags["hole"]) == 0
        at = np.flatnonzero(chosen)
        if len(at) > MAXIMUM_PLACES:
            at = np.random.default_rng(len(at)).choice(at, MAXIMUM_PLACES, replace=False)
        places[name] = np.stack(np.unravel_index(at, label.shape), axis=1).astype(np.int16)
    return places


def open_case(folder: Path) -> Packed:
    """Open one packed case."""
    said = json.loads((folder / "packed.json").read_text("utf-8"))
    return Packed(
        folder,
        np.load(folder / "image.npy", mmap_mode="r"),
        np.load(folder / "label.npy", mmap_mode="r"),
        said["flags"],
        {name: np.load(folder / f"places-{name}.npy") for name in said["flags"]},
        said["about"],
    )


def names(store: Path) -> list[str]:
    """The packed cases in order."""
    return sorted(p.parent.name for p in store.glob("[!.]*/packed.json"))
