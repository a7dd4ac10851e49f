"""Data sets for training [3532-2 9]: collect, label, sample, split, and with `quality` keep an eye on them.

A data set is a folder of case folders. A case was made by synthesis (`cases.py`), or is a scan with its label::

    CASE/image.nii.gz   or .nii, .nrrd, .mha; or a folder `image` of DICOM files
    CASE/label.nii.gz   or the same endings; or `label.seg.nrrd` of 3D Slicer, whose segments are called as the classes;
                        or `label.dcm`, a DICOM segmentation of such segments (needs highdicom)
    CASE/about.json     optional: `patient`, `template`, `seed`; without it the folder's name is the patient

Bone that is labelled as one class is divided into cortical and thin by the image's own values [3532-2 D.3]. Of a
`label.seg.nrrd`, the segment `ignore` is not scored, and `edited` is where patches may be drawn (`sampling.places`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import Warn, read_segmentation, segment_ids, unheard
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.preprocessing import WorkingGrid, to_working, window_8bit, working_grid
from OrbitalSegLib.reading import read
from OrbitalSegLib.reading.volumes import open_volume
from OrbitalSegLib.structures import BONE, STRUCTURES, parts_of
from OrbitalSegLib.training import store
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, is_case
from OrbitalSegLib.training.store import EDITED, FLAGS, IGNORED

Array = np.ndarray

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
SEGMENTS = ".seg.nrrd"

APART = ("template", "patient", "seed")
"""What training, validation and test may not share."""

BONE_LABELS = {BONE: 1}
"""Class -> its value in a label file; other values are background [3532-2 9]."""


@dataclass(frozen=True)
class Entry:
    """One case of a data set, by its folder, and where it is from."""

    folder: Path
    about: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def synthetic(self) -> bool:
        return is_case(self.folder)


def collect(folder: Path) -> list[Entry]:
    """The cases of a data set in the order of their names. Raises `InputError` `no-cases`, `unreadable`."""
    entries = _entries(folder)
    if not entries:
        raise InputError("no-cases", "There is no case here: each is a folder with image and label.")
    return entries


def _entries(folder: Path) -> list[Entry]:
    """The cases there are; one that is being made is none yet."""
    found = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    return [Entry(path, _about(path)) for path in found if is_case(path) or _file(path, "label")]


def _about(folder: Path) -> dict[str, str]:
    file = folder / ("case.json" if is_case(folder) else "about.json")
    try:
        said = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise InputError(
            "unreadable", f"What is said about the case {folder.name} cannot be read: mend its {file.name}."
        ) from error
    about = {key: str(said[key]) for key in APART if key in said}
    return about or {"patient": folder.name}


def _file(folder: Path, kind: str) -> Path | None:
    """The image or the label of a case folder: a file, a folder of DICOM files, or a DICOM segmentation."""
    candidates = [folder / f"{kind}{ending}" for ending in (*ENDINGS, SEGMENTS, ".dcm", "")]
    return next((path for path in candidates if path.exists()), None)


def read_pair(
    entry: Entry, labels: Mapping[str, int] = BONE_LABELS, warn: Warn = unheard
) -> tuple[sitk.Image, sitk.Image]:
    """Image in HU and label of a case that was not made by synthesis, each as it is in its file.

    `warn` hears of what is to be said of their headers. Raises `InputError` `unreadable` where one is missing or cannot
    be read, `inconsistent` where the parts of its header contradict each other.
    """
    image, label = (_file(entry.folder, kind) for kind in ("image", "label"))
    if image is None or label is None:
        raise InputError("unreadable", f"The case {entry.name} needs an image and a label: add what is missing.")
    scan = read(image)
    for code, text in scan.warnings:
        warn(code, text)
    if label.suffix == ".dcm":
        return scan.image, _from_dicom(label, scan.image, labels)
    try:
        return scan.image, _from_segments(label, scan.image, labels, warn)
    except InputError as error:
        raise InputError(error.code, f"The label of the case {entry.name}: {error.text}") from error


def _from_segments(path: Path, ct: sitk.Image, labels: Mapping[str, int], warn: Warn) -> sitk.Image:
    """A label map as it is, or a segmentation of 3D Slicer on the grid of its CT: segments by the names of the
    classes."""
    there = segment_ids(path)
    if not there:
        label, warnings = open_volume(path)
        for code, text in warnings:
            warn(code, text)
        return label
    found = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    found.CopyInformation(ct)
    for name, value in labels.items():
        if name.casefold() in there:
            segment = read_segmentation(path, name, warn=warn)
            placed = sitk.Resample(segment, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
            found = sitk.Maximum(sitk.Mask(found, placed, 0, 1), placed * value)
    return found


def _marks(entry: Entry, ct: sitk.Image) -> dict[str, sitk.Image]:
    """What a segmentation of 3D Slicer marks besides the classes, on the grid of its CT."""
    path = _file(entry.folder, "label")
    there = segment_ids(path) if path is not None and path.name.endswith(SEGMENTS) else set()
    return {
        name: sitk.Resample(read_segmentation(path, name), ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        for name in (IGNORED, EDITED)
        if path is not None and name in there
    }


def _from_dicom(path: Path, ct: sitk.Image, labels: Mapping[str, int]) -> sitk.Image:
    """A DICOM segmentation on the grid of its CT: segments by the names of the classes."""
    try:
        import highdicom
    except ImportError as error:
        raise InputError(
            "needs-highdicom", "Labels in DICOM SEG need highdicom: pip install 'orbitalseg[dicom]'."
        ) from error
    segmentation = highdicom.seg.segread(path)
    found = np.zeros(ct.GetSize()[::-1], np.uint8)
    for name, value in labels.items():
        numbers = [
            int(number)
            for number in segmentation.segment_numbers
            if segmentation.get_segment_description(number).segment_label.lower() == name.lower()
        ]
        if numbers:
            volume = segmentation.get_volume(segment_numbers=numbers, combine_segments=False)
            found[_on_grid(volume, ct)] = value
    return on_grid(found, ct)


def _on_grid(volume: Any, ct: sitk.Image) -> Array:
    """A highdicom volume (slices, rows, columns, 1) as flags on the CT's grid, by nearest neighbour."""
    affine = np.asarray(volume.affine)
    image = sitk.GetImageFromArray(np.asarray(volume.array)[..., 0].astype(np.uint8).transpose(2, 1, 0))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    placed = sitk.Resample(image, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(placed) > 0


def flags_of(labels: Mapping[str, int]) -> dict[str, int]:
    """The flag of each class in a packed case, then `ignore` and `edited`; bone has `cortical` and `thin` besides.

    Those of bone alone are a synthetic case's, so that both kinds can be learnt from together. Raises `InputError`
    `invalid-config` for more classes than the flags of 32 bits hold.
    """
    if set(labels) == {BONE}:
        return FLAGS
    names = [*labels, IGNORED, EDITED, *(parts_of(BONE) if BONE in labels else ())]
    if len(names) > 32:
        raise InputError("invalid-config", "A data set holds 28 classes at most: train the others on their own.")
    return {name: 1 << number for number, name in enumerate(names)}


@dataclass(frozen=True)
class Labelled:
    """A scan with its label on the working grid."""

    ct: sitk.Image
    """HU, on the scan's own grid."""
    working: sitk.Image
    """HU, on the working grid."""
    label: Array
    """Flags of a packed case, (z, y, x)."""
    flags: Mapping[str, int]


def labelled(entry: Entry, labels: Mapping[str, int] = BONE_LABELS) -> Labelled:
    """Read a case that was not made by synthesis. Raises `InputError` where it is not fit for that."""
    ct, label = read_pair(entry, labels)
    grid = working_grid(ct, WORKING_SPACING_MM)
    working = to_working(ct, grid)
    hu = sitk.GetArrayFromImage(working)
    flags = flags_of(labels)
    kind = np.uint8 if len(flags) <= 8 else np.uint16 if len(flags) <= 16 else np.uint32
    array = np.zeros(hu.shape, kind)
    where = {name: _indicator(label, value, grid) for name, value in labels.items()}
    where |= {name: _indicator(mark, 1, grid) for name, mark in _marks(entry, ct).items()}
    for name, inside in where.items():
        array |= np.where(inside, kind(flags[name]), kind(0))
    if BONE in labels:
        bone = (array & flags[BONE]) > 0
        for name in parts_of(BONE):
            array |= np.where(bone & STRUCTURES[name].holds(hu), kind(flags[name]), kind(0))
    return Labelled(ct, working, array, flags)


def pack(entry: Entry, packed: Path, labels: Mapping[str, int] = BONE_LABELS) -> None:
    """Put a case on the working grid and pack it. Raises `InputError` where it is not fit for that."""
    if entry.synthetic:
        store.pack_case(entry.folder, packed)
        return
    case = labelled(entry, labels)
    image = sitk.GetArrayFromImage(window_8bit(case.working))
    store.write(packed, entry.name, image, case.label, case.flags, entry.about)


def _indicator(label: sitk.Image, value: int, grid: WorkingGrid) -> Array:
    """Where a class fills at least half of a voxel of the working grid, by linear interpolation."""
    chosen = sitk.Cast(label == value, sitk.sitkInt16) * 1000
    return sitk.GetArrayFromImage(to_working(chosen, grid)) >= 500


def pack_new(folders: Iterable[Path], packed: Path, labels: Mapping[str, int] = BONE_LABELS) -> list[str]:
    """Pack what is new in the folders of some data sets; the names of all packed cases in order."""
    for folder in folders:
        pack_each(_entries(folder), packed, labels)
    return store.names(packed)


def pack_each(entries: Iterable[Entry], packed: Path, labels: Mapping[str, int] = BONE_LABELS) -> None:
    """Pack those of some cases that are not packed yet."""
    for entry in entries:
        if not (packed / entry.name).exists():
            pack(entry, packed, labels)


def split(
    entries: Sequence[Entry], shares: Mapping[str, float], seed: int = 1, apart: Sequence[str] = APART
) -> dict[str, list[Entry]]:
    """Divide cases into sides by `shares` (side -> share); what shares a template, a patient or a seed stays together.

    The groups are drawn in a random order, and each goes to the side that lacks most. Raises `InputError`
    `cannot-split` where there are fewer groups than sides.
    """
    groups = _groups(entries, apart)
    if len(groups) < len(shares):
        raise InputError(
            "cannot-split",
            f"The cases fall into {len(groups)} groups that share a {', a '.join(apart)}: too few for "
            f"{len(shares)} sides. Add cases of other origin.",
        )
    rng = np.random.default_rng(seed)
    order = sorted((groups[i] for i in rng.permutation(len(groups))), key=len, reverse=True)
    sides: dict[str, list[Entry]] = {side: [] for side in shares}
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        empty = [side for side, held in sides.items() if not held]
        open_sides = empty if left <= len(empty) else list(sides)
        lacking = {side: shares[side] * len(entries) - len(sides[side]) for side in open_sides}
        sides[max(lacking, key=lambda side: lacking[side])] += group
    check_apart(sides, apart)
    return {side: sorted(held, key=lambda entry: entry.name) for side, held in sides.items()}


def _groups(entries: Sequence[Entry], apart: Sequence[str]) -> list[list[Entry]]:
    """Cases that are joined by anything they share, directly or through others."""
    groups: list[tuple[set[tuple[str, str]], list[Entry]]] = []
    for entry in entries:
        marks = {(key, entry.about[key]) for key in apart if key in entry.about} or {("case", entry.name)}
        held = [entry]
        rest = []
        for other_marks, others in groups:
            if marks & other_marks:
                marks |= other_marks
                held = others + held
            else:
                rest.append((other_marks, others))
        groups = [*rest, (marks, held)]
    return [held for _, held in groups]


def check_apart(sides: Mapping[str, Iterable[Entry]], apart: Sequence[str] = APART) -> None:
    """Raise `InputError` `sides-share` if two sides share a template, a patient or a seed."""
    seen: dict[tuple[str, str], str] = {}
    for side, entries in sides.items():
        for entry in entries:
            for key in apart:
                if key not in entry.about:
                    continue
                other = seen.setdefault((key, entry.about[key]), side)
                if other != side:
                    raise InputError(
                        "sides-share",
                        f"The {other} and the {side} set share a {key}: divide the data so that they do not.",
                    )
