"""Whatever the user has - a folder, a zip, a volume file - -> one `Scan`."""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import temporary_files, temporary_folder
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.reading import dicom, units
from OrbitalSegLib.reading.dicom import acquisition_of, day_of, identity_of, series_in, study_of
from OrbitalSegLib.reading.origin import UNKNOWN, Origin, with_origin
from OrbitalSegLib.reading.volumes import read_volume, volume_kind
from OrbitalSegLib.scan import Scan

__all__ = [
    "WARNINGS",
    "Origin",
    "acquisition_of",
    "day_of",
    "identity_of",
    "is_zip",
    "listing",
    "must_exist",
    "read",
    "read_headers",
    "series_in",
    "study_of",
]

WARNINGS = (
    *("resampled", "duplicates", "damaged-files", "orientation-unknown", "several-patients", "patient-unclear"),
    *(
        "several-studies",
        "left-out",
        "missing-slices",
        "overlapping-parts",
        "rounded-positions",
        "rounded-axes",
        "header-decided",
        "header-chosen",
    ),
    *("unit-converted", "unit-unknown", "template-space", "padding-unstated", "unused-bits", "rescale-missing"),
    *("decimal-commas", "not-a-number", "grey-values", "other-than-files"),
)
"""The codes of all warnings that reading gives."""

ZIP_LIMIT_BYTES = 8 << 30
"""Unpacked size that a zip may have: a whole body at 0.5 mm takes 1 GiB."""

ZIP_LIMIT_MEMBERS = 50_000

CUT_ZIP = "The zip is damaged or cut off: copy it again."


def read(
    path: Path,
    series: str | None = None,
    progress: Progress = silent,
    listed: Callable[[list[dicom.Series]], None] = lambda _series: None,
    header: str | None = None,
    grey_values: bool = False,
    origin: Origin = UNKNOWN,
) -> Scan:
    """Read a CT in HU, at the patient's true places (docs/reading.md).

    Parameters
    ----------
    path
        A folder of DICOM files, a zip of it, or an NRRD, NIfTI or MetaImage file.
    series
        A DICOM series by name (`A3`), number or UID; None takes the one fit for the orbit.
    progress
        Hears how much is done, from 0 to 1.
    listed
        Hears of all series before one is chosen.
    header
        The part of a volume file's header that is believed where parts contradict each other.
    grey_values
        Whether a scan whose values are no HU is taken as well, with a warning.
    origin
        What is known of the scan that a volume file was made of.

    Returns
    -------
    scan
        The image in HU (signed 16 bits or float, LPS, mm), what the scanner said of it, and warnings.

    Raises
    ------
    InputError
        Its codes are listed in docs/contracts.md, section 7.
    """
    must_exist(path)
    kind = volume_kind(path)
    if kind and not path.is_dir():
        if series is not None:
            raise InputError("unknown-series", "A volume file holds no series: leave the series out.")
        own = read_volume(path, kind, None if origin.files else header)
        scan, problem = with_origin(own, origin, header, grey_values, progress)
        said_by = scan.acquisition
        problem = problem or units.cone_beam(units.cone_beam_device(said_by.manufacturer, said_by.model))
    else:
        with listing(path, lambda fraction: progress(0.3 * fraction)) as found:
            listed(found)
            chosen, reason = dicom.choose(found, series, grey_values)
            problem = chosen.not_hu
            scan = dicom.load_series(chosen, lambda fraction: progress(0.3 + 0.7 * fraction))
        scan = replace(scan, warnings=(*dicom.several(found, chosen), *scan.warnings))
        scan.measured["series_found"] = len(found)
        scan.measured["series_name"] = chosen.name
        scan.measured["series_chosen"] = reason
    problem = problem or units.why_not_hu(scan.image, "rescale-missing" in dict(scan.warnings))
    if problem and not grey_values:
        raise problem
    if problem:
        scan = replace(scan, warnings=(*scan.warnings, units.taken_as_they_are(problem)))
    progress(1.0)
    return scan


def read_headers(path: Path, series: str | None = None, grey_values: bool = False) -> list[Dataset]:
    """The whole DICOM headers of the series that `read` takes, the patient's identity included.

    Parameters
    ----------
    path
        A folder of DICOM files, or a zip of it.
    series
        By name, number or UID, as for `read`.
    grey_values
        Whether a series whose values are no HU is taken as well.

    Returns
    -------
    headers
        One for each file, in the order of the slices.

    Raises
    ------
    InputError
        `no-dicom` where the scan is no DICOM, and what `read` raises where no series fits.
    """
    must_exist(path)
    if volume_kind(path) and not path.is_dir():
        raise InputError(
            "no-dicom", "A result can be written as DICOM only for a scan that is DICOM: leave that output out."
        )
    with listing(path) as found:
        return dicom.full_headers(dicom.choose(found, series, grey_values)[0])


@contextmanager
def listing(path: Path, progress: Progress = silent) -> Iterator[list[dicom.Series]]:
    """The DICOM series under a folder, in a file or in a zip; a zip's files exist inside the block only.

    Parameters
    ----------
    path
        The folder, the file or the zip.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Yields
    ------
    series
        All there are, the fittest for the orbit first, unfit ones last, each with the reason.

    Raises
    ------
    InputError
        `no-dicom` where there is none; `unreadable`, `unsafe-zip` or `truncated` where it cannot be opened.
    """
    if is_zip(path):
        with temporary_folder() as private:
            _unpack(path, private)
            yield dicom.list_series(private, progress)
    else:
        yield dicom.list_series(path, progress)


def must_exist(path: Path) -> None:
    """Whether an input is there and can be opened.

    Parameters
    ----------
    path
        A file or a folder.

    Raises
    ------
    InputError
        `no-such-input` where there is none; `unreadable` where it cannot be opened or is neither.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            "no-such-input", "The input does not exist: check its name and that its disk is connected."
        ) from error
    except OSError as error:
        raise _cannot_open() from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise _cannot_open()


def _cannot_open() -> InputError:
    return InputError("unreadable", "The input cannot be opened: check its permissions, or copy it to your disk.")


def is_zip(path: Path) -> bool:
    """Whether a file is a zip: by its first bytes, as a zip that is cut off has lost what stands at its end.

    Parameters
    ----------
    path
        What may be a file.

    Returns
    -------
    is_one
        False for a folder too.

    Raises
    ------
    InputError
        `unreadable` where it cannot be opened.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError as error:
        raise _cannot_open() from error


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
    except NotImplementedError as error:
        raise InputError(unsafe, "The zip is packed in an unusual way: unpack it and choose the folder.") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError) as error:
        raise InputError("truncated", CUT_ZIP) from error
    except OSError as error:
        if error.errno is None:  # a decompressor's word for damage
            raise InputError("truncated", CUT_ZIP) from error
        raise _cannot_open() from error


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write no more than the size that the zip's directory states: a zip bomb states less than it holds."""
    left = member.file_size
    with temporary_files():
        sink = target.open("wb", buffering=0)
    with sink, archive.open(member) as source:
        while left > 0 and (block := source.read(min(left, 1 << 20))):
            with temporary_files():
                sink.write(block)
            left -= len(block)
