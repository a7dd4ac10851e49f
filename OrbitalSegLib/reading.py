"""Whatever the user has - a folder, a zip, a volume file - -> one `Scan`."""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import dicom
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.scan import AIR_HU, Acquisition, Scan

VOLUME_KINDS = {".nrrd": "nrrd", ".nhdr": "nrrd", ".nii": "nifti", ".nii.gz": "nifti", ".mha": "meta", ".mhd": "meta"}

ZIP_LIMIT_BYTES = 8 << 30
"""Unpacked size that a zip may have: a whole body at 0.5 mm takes 1 GiB."""

ZIP_LIMIT_MEMBERS = 50_000

AIR_SEEN_HU = -300
"""A CT of a head holds air, outside it or in its sinuses: a volume whose lowest value is above this is no HU volume."""

BONE_SEEN_HU = 150
"""A CT of a head holds bone, a newborn's too: a volume whose highest value is below this is no HU volume."""

HIGHEST_HU = 32_767
"""Extended scales reach 31,743 HU (16 bits, metal)."""


def read(
    path: Path,
    series: str | None = None,
    progress: Progress = silent,
    listed: Callable[[list[dicom.Series]], None] = lambda _series: None,
) -> Scan:
    """Read a CT in HU. `series` names a DICOM series by number or UID; None takes the one fit for the orbit.

    `listed` hears of all series before one is chosen.

    Raises `InputError`; its codes are listed in docs/contracts.md, section 7.
    """
    kind = volume_kind(path)
    if kind:
        scan = _read_volume(path, kind)
    else:
        with listing(path, lambda fraction: progress(0.3 * fraction)) as found:
            listed(found)
            chosen, reason = dicom.choose(found, series)
            scan = dicom.load(chosen, lambda fraction: progress(0.3 + 0.7 * fraction))
        scan.measured["series_found"] = len(found)
        scan.measured["series_chosen"] = reason
    _check_hu(scan.image)
    progress(1.0)
    return scan


@contextmanager
def listing(path: Path, progress: Progress = silent) -> Iterator[list[dicom.Series]]:
    """The DICOM series under a folder, in a file or in a zip; a zip's files exist inside the block only."""
    if not path.exists():
        raise InputError("no-such-input", "The input does not exist: check its name and that its disk is connected.")
    if path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="orbitalseg-") as private:
            _unpack(path, Path(private))
            yield dicom.list_series(Path(private), progress)
    else:
        yield dicom.list_series(path, progress)


def volume_kind(path: Path) -> str | None:
    """`nrrd`, `nifti` or `meta` by the file name's ending; None for DICOM and zip."""
    name = path.name.lower()
    return next((kind for ending, kind in VOLUME_KINDS.items() if name.endswith(ending)), None)


def _unpack(path: Path, folder: Path) -> None:
    """Write a zip's files into `folder` under numbers, so that no name in it can point elsewhere."""
    unsafe = "unsafe-zip"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > ZIP_LIMIT_MEMBERS or sum(m.file_size for m in members) > ZIP_LIMIT_BYTES:
                raise InputError(unsafe, "The zip is larger than any CT: unpack it yourself and choose the folder.")
            if any(member.flag_bits & 0x1 for member in members):
                raise InputError(unsafe, "The zip is locked by a password: unpack it yourself and choose the folder.")
            for index, member in enumerate(members):
                _unpack_member(archive, member, folder / f"{index:06d}")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise InputError("truncated", "The zip is damaged or cut off: copy it again.") from error
    except OSError as error:
        raise InputError("unreadable", "The zip cannot be unpacked: check the free space on the disk.") from error


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write no more than the size that the zip's directory states: a zip bomb states less than it holds."""
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as sink:
        while left > 0 and (block := source.read(min(left, 1 << 20))):
            sink.write(block)
            left -= len(block)


def _read_volume(path: Path, kind: str) -> Scan:
    if not path.exists():
        raise InputError("no-such-input", "The input does not exist: check its name and that its disk is connected.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            "unreadable", f"The {kind.upper()} file cannot be read: it is damaged, cut off, or of another kind."
        ) from error
    image = _three_dimensions(image)
    if min(image.GetSize()) < dicom.MINIMUM_SLICES:
        raise InputError("too-few-slices", "The volume has too few slices: export the whole CT series.")
    spacing = image.GetSpacing()
    return Scan(
        image=_in_hu(image),
        acquisition=Acquisition(
            file_format=kind.upper(),
            matrix=(image.GetSize()[1], image.GetSize()[0]),
            pixel_mm=max(spacing[:2]),
            slice_distance_mm=spacing[2],
        ),
        kind=kind,
        measured={"slices": image.GetSize()[2], "resampled": False},
    )


def _three_dimensions(image: sitk.Image) -> sitk.Image:
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise InputError("colour", "The file holds colour or vector values, not CT values: export the original CT.")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        return image[:, :, :, 0]
    if image.GetDimension() == 4:
        raise InputError(
            "time-series", "The file holds several volumes (a perfusion or 4D scan): export one moment of it."
        )
    if image.GetDimension() != 3:
        raise InputError("too-few-slices", "The file holds one picture, not a volume: export the whole CT series.")
    return image


def _in_hu(image: sitk.Image) -> sitk.Image:
    """Signed 16 bits where the values are whole, else float; everything below air is air."""
    voxels = sitk.GetArrayFromImage(image)
    if voxels.dtype.kind == "f":
        voxels = np.nan_to_num(voxels, nan=AIR_HU, posinf=AIR_HU, neginf=AIR_HU)
        whole = bool(np.all(voxels == np.rint(voxels))) and float(np.abs(voxels).max(initial=0)) <= HIGHEST_HU
    else:
        whole = True
    in_hu = sitk.GetImageFromArray(np.clip(voxels, AIR_HU, HIGHEST_HU).astype(np.int16 if whole else np.float32))
    in_hu.CopyInformation(image)
    return in_hu


def _check_hu(image: sitk.Image) -> None:
    """Raises `InputError` `not-hu` for values that no CT of a head in HU has."""
    limits = sitk.MinimumMaximumImageFilter()
    limits.Execute(image)
    lowest, highest = limits.GetMinimum(), limits.GetMaximum()
    if lowest > AIR_SEEN_HU or highest < BONE_SEEN_HU:
        raise InputError(
            "not-hu",
            f"The values run from {lowest:g} to {highest:g}, which is no CT of a head in Hounsfield units "
            "(an 8-bit or windowed export?): export the original CT series as DICOM.",
        )
