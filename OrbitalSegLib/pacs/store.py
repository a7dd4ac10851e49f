"""Images that come from elsewhere, in a folder: each once, whole or not at all, under names that nobody else chose."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.headers import ANY_UID
from OrbitalSegLib.files import workplace, writing

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

NO_IMAGE = "What came from the archive is no DICOM image: ask whoever runs it."

DIGITS = 16
"""Of a name: two images of one archive share one by a chance of less than one in a million millions."""


def place_of(*uids: str) -> Path:
    """Where something lies in a store, by the UIDs of its study, series and image."""
    return Path(*(hashlib.sha256(uid.encode()).hexdigest()[:DIGITS] for uid in uids))


@dataclass(frozen=True)
class Store:
    """A folder of images: `STUDY/SERIES/IMAGE.dcm`, in names that say nothing."""

    folder: Path
    private: Path
    """Where a file is until it is whole."""

    def path_of(self, study: str, series: str, image: str) -> Path:
        return self.folder / place_of(study, series, image).with_suffix(".dcm")

    def has(self, study: str, series: str, image: str) -> bool:
        return self.path_of(study, series, image).is_file()

    def keep(self, content: bytes) -> bool:
        """Keep an image, the bytes of a file; gives whether it is new.

        Raises `InputError` `bad-answer`, and `OutputError`.
        """
        path = self.path_of(*uids_of(content))
        if path.is_file():
            return False
        new = self.private / "-".join(path.relative_to(self.folder).parts)
        with writing(self.folder):
            try:
                new.write_bytes(content)
                path.parent.mkdir(parents=True, exist_ok=True)
                new.replace(path)
            except OSError:
                with suppress(OSError):
                    new.unlink()
                raise
        return True


@contextmanager
def store_in(folder: Path) -> Iterator[Store]:
    """A store for the length of a block. Raises `OutputError`."""
    with workplace(folder) as private:
        yield Store(folder, private)


def uids_of(content: bytes) -> tuple[str, str, str]:
    """Study, series and image, of the bytes of a file. Raises `InputError` `bad-answer`."""
    try:
        header = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(UIDS))
        study, series, image = (_raw(header, keyword) for keyword in UIDS)
    except (InvalidDicomError, OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError("bad-answer", NO_IMAGE) from error
    if not all(ANY_UID.fullmatch(uid) for uid in (study, series, image)):
        raise InputError("bad-answer", NO_IMAGE)
    return study, series, image


def _raw(header: Dataset, keyword: str) -> str:
    """A UID as it stands: pydicom would warn of one that is none, and say it."""
    item = header.get_item(keyword)
    value = b"" if item is None else item.value
    return (value.decode("ascii") if isinstance(value, bytes) else str(value)).strip("\0 ")
