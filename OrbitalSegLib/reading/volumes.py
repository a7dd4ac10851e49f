"""A volume file - NRRD, NIfTI, MetaImage - -> one `Scan`."""

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.stack import GRID_LIMIT
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU, MINIMUM_SLICES, Acquisition, Planes, Scan

VOLUME_KINDS = {".nrrd": "nrrd", ".nhdr": "nrrd", ".nii": "nifti", ".nii.gz": "nifti", ".mha": "meta", ".mhd": "meta"}

UNREADABLE = "The volume file cannot be read, as it is damaged, cut off, or of another kind: copy or save it again."

GZIP_START = b"\x1f\x8b"

RIGHT_ANGLE = 1e-3
"""Deviation of a volume's axes from right angles that rounding in its header explains."""


def volume_kind(path: Path) -> str | None:
    """`nrrd`, `nifti` or `meta` by the file name's ending; None for DICOM and zip."""
    name = path.name.lower()
    return next((kind for ending, kind in VOLUME_KINDS.items() if name.endswith(ending)), None)


def open_volume(
    path: Path, check: Callable[[sitk.ImageFileReader], None] = lambda _reader: None
) -> tuple[sitk.Image, sitk.ImageFileReader]:
    """The image in a volume file, and the reader that knows its header; `check` may refuse it by the header.

    Raises `InputError` `unreadable`.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        check(reader)
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError("unreadable", UNREADABLE) from error
    if volume_kind(path) == "nifti" and _is_cut(path, reader):
        raise InputError("unreadable", UNREADABLE)
    return image, reader


def read_volume(path: Path, kind: str) -> Scan:
    """A volume file that exists, of the kind that its name says. Raises `InputError`."""
    image, reader = open_volume(path, _check_layout)
    while image.GetDimension() > 3:
        image = sitk.Extract(image, [*image.GetSize()[:-1], 0])
    axes = np.array(image.GetDirection()).reshape(3, 3)
    if np.abs(axes.T @ axes - np.eye(3)).max() > RIGHT_ANGLE:
        raise InputError(
            "inconsistent", "The volume's axes are not at right angles: export the original CT series as DICOM."
        )
    spacing = image.GetSpacing()
    return Scan(
        image=_in_hu(image),
        acquisition=Acquisition(
            file_format=kind.upper(),
            matrix=(image.GetSize()[1], image.GetSize()[0]),
            pixel_mm=max(spacing[:2]),
            slice_distance_mm=spacing[2],
        ),
        planes=Planes.of(image),
        kind=kind,
        measured={"slices": image.GetSize()[2], "resampled": False},
        warnings=_orientation_warning(reader, kind),
    )


def _is_cut(path: Path, reader: sitk.ImageFileReader) -> bool:
    """Whether a NIfTI holds fewer bytes than its voxels take: its reader fills the rest with what it finds."""
    needed = int(np.prod(reader.GetSize())) * int(reader.GetMetaData("bitpix")) // 8
    needed += int(float(reader.GetMetaData("vox_offset")))
    with path.open("rb") as file:
        if file.read(2) != GZIP_START:
            return path.stat().st_size < needed
        file.seek(-4, os.SEEK_END)
        if struct.unpack("<L", file.read(4))[0] == needed % (1 << 32):  # what gzip writes last: the size
            return False
    return _unpacked_bytes(path) < needed


def _unpacked_bytes(path: Path) -> int:
    """The length of what a gzip file holds, as far as it can be unpacked."""
    count = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 22):
                count += len(block)
    except (EOFError, OSError, zlib.error):
        pass
    return count


def _check_layout(reader: sitk.ImageFileReader) -> None:
    """Refuse by the header, before any voxel takes memory, what is not one volume of numbers."""
    size = reader.GetSize()
    if reader.GetNumberOfComponents() > 1 or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise InputError("colour", "The file holds colour or vector values, not CT values: export the original CT.")
    if any(count > 1 for count in size[3:]):
        raise InputError(
            "time-series", "The file holds several volumes (a perfusion or 4D scan): export one moment of it."
        )
    if len(size) < 3 or min(size[:3]) < MINIMUM_SLICES:
        raise InputError("too-few-slices", "The file holds too few slices for a volume: export the whole CT series.")
    if np.prod(size, dtype=float) > GRID_LIMIT:
        raise InputError("too-large", "The volume is larger than any CT: export the head only.")


def _orientation_warning(reader: sitk.ImageFileReader, kind: str) -> tuple[tuple[str, str], ...]:
    """A volume file need not say how the patient lies; readers then assume something."""
    said = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    silent_nifti = kind == "nifti" and {said.get("qform_code", "0"), said.get("sform_code", "0")} == {"0"}
    if not silent_nifti and not (kind == "nrrd" and "NRRD_space" not in said):
        return ()
    text = "The file does not say how the patient lies: left and right may be exchanged, so check them."
    return (("orientation-unknown", text),)


def _in_hu(image: sitk.Image) -> sitk.Image:
    """Signed 16 bits where the values are whole, else float; everything below air is air."""
    voxels = sitk.GetArrayFromImage(image)
    if voxels.dtype.kind == "f":
        voxels = np.nan_to_num(voxels, nan=AIR_HU, posinf=HIGHEST_HU, neginf=AIR_HU)
        whole = bool(np.all(voxels == np.rint(voxels))) and float(np.abs(voxels).max(initial=0)) <= HIGHEST_HU
    else:
        whole = True
    in_hu = sitk.GetImageFromArray(np.clip(voxels, AIR_HU, HIGHEST_HU).astype(np.int16 if whole else np.float32))
    in_hu.CopyInformation(image)
    return in_hu
