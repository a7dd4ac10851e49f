"""An archive: what it holds that is meant, fetched into a folder, and results sent into it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.headers import ANY_UID, unchecked
from OrbitalSegLib.pacs.address import Address
from OrbitalSegLib.pacs.classes import RESULTS
from OrbitalSegLib.pacs.store import Store, uids_of
from OrbitalSegLib.product import PRODUCT
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.reading import must_exist

NEEDS_PACS = "An archive needs two packages more: pip install 'orbitalseg[pacs]'."
UNREACHABLE = (
    "The archive cannot be reached, or closed the connection: check its address, the network and, for DIMSE, that it "
    "knows the title by which it is asked; then run again, which goes on where it stopped."
)
REFUSED = (
    "The archive does not let you in: check user and password for DICOMweb; for DIMSE the titles of both sides, and "
    "that the archive knows this computer."
)
NOT_TRUSTED = (
    "The archive's certificate cannot be verified: give the name that stands in it, or the file of its authority in "
    "ORBITALSEG_PACS_CERTIFICATES."
)
NO_ANSWER = "The archive answers otherwise than DICOM asks: check the address, and that it serves what is asked for."
MISSING = "The archive did not give every image of a series: run again, which asks for what is missing."

NOT_STORED = (
    "The archive did not store what it was sent: ask whoever runs it whether it takes segmentations and encapsulated "
    "STL."
)

OTHER_PATIENT = (
    "The archive holds that study under another patient ID than the results do, as after a correction: nothing was "
    "sent. Fetch the scan again, and make the results anew."
)
NOTHING_TO_SEND = (
    "There is no DICOM to send: make results with `--dicom segmentation`, and give their folder, or files in DICOM."
)
NOTHING_THERE = "The archive holds no CT of what is asked for: look with `orbitalseg pacs find`."

SERIES_FIELDS = ("Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "NumberOfSeriesRelatedInstances")
"""What is asked of a series besides its UID."""


TOLD = ("SOPClassUID", "Manufacturer", "StudyInstanceUID", "PatientID")
"""What is read of a file before it is sent."""


@dataclass(frozen=True)
class ArchivedStudy:
    """A study in an archive."""

    uid: str
    date: str | None


@dataclass(frozen=True)
class ArchivedSeries:
    """A series in an archive; it says nothing of the patient."""

    study: str
    uid: str
    study_date: str | None
    number: str | None
    description: str
    body_part: str
    images: int | None
    """None where the archive does not say."""


class Archive(Protocol):
    """What both ways can do. All raise `InputError` `no-archive`, `not-let-in`, `not-trusted` and `bad-answer`."""

    def studies(self) -> list[ArchivedStudy]:
        """Those that are meant, oldest first."""

    def series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        """Those of a study that are meant: CT alone."""

    def images(self, series: ArchivedSeries) -> list[str]:
        """The UIDs of its images."""

    def patients(self, study: str) -> list[str]:
        """The IDs of the patients under which it holds a study; none where it does not, or cannot be asked."""

    def fetch(self, series: ArchivedSeries, images: Sequence[str], keep: Callable[[bytes], Any]) -> None:
        """Give some images of a series, each as the bytes of a file. What `keep` raises ends it."""

    def send(self, file: Path) -> None:
        """Store a file."""


def opened(address: Address, calling: str) -> AbstractContextManager[Archive]:
    """The archive at an address, for the length of a block. Raises `InputError` `needs-pacs`, and as `Archive` does."""
    connected: AbstractContextManager[Archive] = _loaded(address.way).connected(address, calling)
    return connected


def receiver_of() -> Callable[..., AbstractContextManager[None]]:
    """`receiver.receiving`. Raises `InputError` `needs-pacs`."""
    receiving: Callable[..., AbstractContextManager[None]] = _loaded("receiver").receiving
    return receiving


def _loaded(module: str) -> Any:
    try:
        return import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        raise InputError("needs-pacs", NEEDS_PACS) from error


def all_series(archive: Archive, progress: Progress) -> list[ArchivedSeries]:
    """Every series that is meant, by study, in the order of their dates and numbers."""
    found: list[ArchivedSeries] = []
    studies = archive.studies()
    for done, study in enumerate(studies):
        progress(done / len(studies))
        found += archive.series(study)
    progress(1.0)
    return found


def fetch_series(archive: Archive, series: ArchivedSeries, store: Store) -> tuple[int, int]:
    """Fetch what a store lacks of a series; gives how many images it has then, and how many of them are new.

    Raises as `Archive` does, `bad-answer` too where images are missing then or others came, and `OutputError`.
    """

    def keep(content: bytes) -> None:
        study, uid, image = uids_of(content)
        if (study, uid) != (series.study, series.uid) or image not in lacking:
            raise InputError("bad-answer", NO_ANSWER)
        store.keep(content)

    wanted = archive.images(series)
    lacking = [uid for uid in wanted if not store.has(series.study, series.uid, uid)]
    if lacking:
        archive.fetch(series, lacking, keep)
    if not all(store.has(series.study, series.uid, uid) for uid in lacking):
        raise InputError("bad-answer", MISSING)
    return len(wanted), len(lacking)


def said(answer: Dataset) -> dict[str, str]:
    """What an archive answered, by the names of attributes, without what is empty.

    Raises `InputError` `bad-answer`.
    """
    try:
        with unchecked():
            found = {element.keyword: str(element.value or "").strip("\0 ") for element in answer if element.VR != "SQ"}
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError("bad-answer", NO_ANSWER) from error
    return {keyword: value for keyword, value in found.items() if value}


def fits(asked: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether what an archive answered is what it was asked for: some know no such key, and answer with everything."""
    plain = {key: value for key, value in asked.items() if key.endswith("UID") or key == "Modality"}
    return all(found.get(key) in value.split("\\") for key, value in plain.items())


def uid_in(answer: Mapping[str, str], keyword: str) -> str:
    """The UID that an archive had to answer with; it stands in the next questions. Raises `InputError` `bad-answer`."""
    uid = answer.get(keyword, "")
    if not ANY_UID.fullmatch(uid):
        raise InputError("bad-answer", NO_ANSWER)
    return uid


def in_order(studies: Iterable[ArchivedStudy]) -> list[ArchivedStudy]:
    """Each once, oldest first, whatever the archive's own order."""
    return sorted(set(studies), key=lambda study: (study.date or "", study.uid))


def series_of(
    study: ArchivedStudy, answers: Iterable[Mapping[str, str]], asked: Mapping[str, str]
) -> list[ArchivedSeries]:
    """The series that an archive answered with, by their numbers; `answers` hold attributes by their names.

    Raises `InputError` `bad-answer`.
    """
    found = {
        (uid := uid_in(answer, "SeriesInstanceUID")): ArchivedSeries(
            study.uid,
            uid,
            study.date,
            answer.get("SeriesNumber"),
            answer.get("SeriesDescription", ""),
            answer.get("BodyPartExamined", ""),
            _count(answer.get("NumberOfSeriesRelatedInstances", "")),
        )
        for answer in answers
        if fits(asked, answer)
    }
    return sorted(found.values(), key=lambda series: (len(series.number or ""), series.number or "", series.uid))


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def to_send(paths: Iterable[Path]) -> list[Path]:
    """Files in DICOM that are named; of a folder, however deep, those that OrbitalSeg made.

    Raises `InputError` `no-dicom` where there are none, or what is named is none, and `no-such-input`.
    """
    found: list[Path] = []
    for path in paths:
        must_exist(path)
        if path.is_dir():
            found += [file for file in sorted(path.rglob("*.dcm")) if file.is_file() and _is_ours(file)]
        else:
            found.append(path)
            read_header(path)
    if not found:
        raise InputError("no-dicom", NOTHING_TO_SEND)
    return found


def check_patients(archive: Archive, paths: Iterable[Path]) -> None:
    """Hold files against the studies that they would come to lie in, before any is sent.

    Raises as `Archive` does, and `InputError` `other-patient`.
    """
    headers = [said(read_header(path)) for path in paths]
    for study in sorted({header.get("StudyInstanceUID", "") for header in headers}):
        held = archive.patients(study) if study else []
        ours = {header.get("PatientID", "") for header in headers if header.get("StudyInstanceUID") == study}
        if held and not ours <= set(held):
            raise InputError("other-patient", OTHER_PATIENT)


def read_header(path: Path) -> Dataset:
    """What a file in DICOM says before its content. Raises `InputError` `no-dicom`."""
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(TOLD))
    except (InvalidDicomError, OSError, ValueError) as error:
        raise InputError("no-dicom", NOTHING_TO_SEND) from error


def _is_ours(file: Path) -> bool:
    header = read_header(file)
    return header.get("SOPClassUID") in RESULTS and header.get("Manufacturer") == PRODUCT
