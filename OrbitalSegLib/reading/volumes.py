"""A volume file - NRRD, NIfTI, MetaImage - -> one `Scan`."""

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.reading import meta, nifti, nrrd
from OrbitalSegLib.reading.frames import Stated
from OrbitalSegLib.reading.stack import GRID_LIMIT
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU, MINIMUM_SLICES, Acquisition, Planes, Scan

VOLUME_KINDS = {".nrrd": "nrrd", ".nhdr": "nrrd", ".nii": "nifti", ".nii.gz": "nifti", ".mha": "meta", ".mhd": "meta"}

UNREADABLE = "The volume file cannot be read, as it is damaged, cut off, or of another kind: copy or save it again."

LARGEST_VALUE = 1e6
"""Beyond this a number fills voxels that have no value."""

MISSING_DATA = "The file is a header only, and the file with the voxels that it names is not there: copy both together."

Warnings = tuple[tuple[str, str], ...]
"""Code and sentence of each."""

HEADERS: dict[str, Callable[[Path, str | None], Stated]] = {
    "nrrd": nrrd.stated,
    "nifti": nifti.stated,
    "meta": meta.stated,
}
"""By the kind of a volume file what its header says of where its voxels lie."""

NO_HEADER = (OSError, EOFError, zlib.error, struct.error, ValueError, LookupError, TypeError)
"""What a header raises that is damaged."""


def volume_kind(path: Path) -> str | None:
    """`nrrd`, `nifti` or `meta` by the file name's ending; None for DICOM and zip."""
    name = path.name.lower()
    return next((kind for ending, kind in VOLUME_KINDS.items() if name.endswith(ending)), None)


def open_volume(
    path: Path,
    header: str | None = None,
    check: Callable[[sitk.ImageFileReader], None] = lambda _reader: None,
) -> tuple[sitk.Image, Warnings]:
    """The image in a volume file, where its header says that it lies, and what is to be said of that.

    `header` is the part of the header that is believed where parts contradict each other (docs/reading.md); `check` may
    refuse the file by its reader. A fourth dimension of one is none. Raises `InputError` `unreadable`, `inconsistent`.
    """
    kind = volume_kind(path)
    if kind is None:
        raise InputError("unreadable", UNREADABLE)
    said = _stated(path, kind, header)
    repaired = said.repaired if isinstance(said, Stated) else {}
    with _for_reader(path, repaired) as source, _quietly():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(source))
        try:
            reader.ReadImageInformation()
            check(reader)
            if isinstance(said, InputError):
                raise said
            one_number = reader.GetNumberOfComponents() == 1
            image = _nifti_image(path) if kind == "nifti" and one_number else reader.Execute()
        except RuntimeError as error:
            raise (said if isinstance(said, InputError) else InputError("unreadable", UNREADABLE)) from error
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = sitk.Extract(image, [*image.GetSize()[:-1], 0])
    if image.GetDimension() == 3:
        said.frame.place(image)
    return image, said.warnings


def _stated(path: Path, kind: str, header: str | None) -> Stated | InputError:
    """What the header says, or why it cannot be used: the reader may know a better reason."""
    try:
        said = HEADERS[kind](path, header)
    except InputError as error:
        return error
    except NO_HEADER:
        return InputError("unreadable", UNREADABLE)
    if said.data_file is not None and not (path.parent / said.data_file).is_file():
        return InputError("unreadable", MISSING_DATA)
    if not said.frame.is_valid or not said.frame.is_square:
        return InputError(
            "inconsistent", "The volume's axes are not at right angles: export the original CT series as DICOM."
        )
    return said


@contextmanager
def _for_reader(path: Path, repaired: Mapping[str, str | None]) -> Iterator[Path]:
    """The file, or inside the block a copy of it whose header its reader takes."""
    if not repaired:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="orbitalseg-") as private:
        try:
            copy = nrrd.rewritten(path, repaired, Path(private))
        except OSError as error:
            raise InputError(
                "unreadable",
                "The volume file has to be copied to be read, and the temporary folder is full: free space there.",
            ) from error
        yield copy


@contextmanager
def _quietly() -> Iterator[None]:
    """Without ITK's own words on standard error, which name the file's path."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def read_volume(path: Path, kind: str, header: str | None = None) -> Scan:
    """A volume file that exists, of the kind that its name says; see `open_volume`. Raises `InputError`."""
    image, warnings = open_volume(path, header, _check_layout)
    spacing = image.GetSpacing()
    in_hu, of_values = _in_hu(image)
    return Scan(
        image=in_hu,
        acquisition=Acquisition(
            file_format=kind.upper(),
            matrix=(image.GetSize()[1], image.GetSize()[0]),
            pixel_mm=max(spacing[:2]),
            slice_distance_mm=spacing[2],
        ),
        planes=Planes.of(image),
        kind=kind,
        measured={"slices": image.GetSize()[2], "resampled": False},
        warnings=(*warnings, *of_values),
    )


def _nifti_image(path: Path) -> sitk.Image:
    try:
        return sitk.GetImageFromArray(nifti.voxels(path))
    except NO_HEADER as error:
        raise InputError("unreadable", UNREADABLE) from error


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


def _in_hu(image: sitk.Image) -> tuple[sitk.Image, Warnings]:
    """Signed 16 bits where the values are whole, else float; everything below air is air. And what is said of it."""
    voxels = sitk.GetArrayFromImage(image)
    voxels, warnings = _numbers(voxels) if voxels.itemsize > 2 else (voxels, ())
    whole = voxels.dtype.kind != "f" or (
        bool(np.all(voxels == np.rint(voxels))) and float(np.abs(voxels).max(initial=0)) <= HIGHEST_HU
    )
    in_hu = on_grid(np.clip(voxels, AIR_HU, HIGHEST_HU).astype(np.int16 if whole else np.float32, copy=False), image)
    return in_hu, warnings


def _numbers(voxels: np.ndarray) -> tuple[np.ndarray, Warnings]:
    """The voxels with numbers in all of them, and what is said of those that held none."""
    wrong = ~((voxels >= -LARGEST_VALUE) & (voxels <= LARGEST_VALUE))
    count = int(wrong.sum())
    if not count:
        return voxels, ()
    hold = "1 voxel holds" if count == 1 else f"{count} voxels hold"
    text = (
        f"{hold} what is no CT value (NaN, infinity, beyond a million): it was taken as air, or as metal where it is "
        "above 0, so check the bone there."
    )
    return np.where(wrong, np.where(voxels > 0, HIGHEST_HU, AIR_HU), voxels).astype(voxels.dtype), (
        ("not-a-number", text),
    )
