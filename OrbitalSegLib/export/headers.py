"""What a scan's DICOM headers give to results in its study: checked, valid, and as text in UTF-8."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from itertools import product
from typing import Any

from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_description, dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import generate_uid
from pydicom.valuerep import DA, TEXT_VR_DELIMS, TM, PersonName, validate_value

from OrbitalSegLib.errors import InputError

PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize"),
    *("PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
)
"""What a result shares with the study that it belongs to."""

REQUIRED_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""Type 2 of the patient's and the study's modules: present, and empty where nothing is known."""

TECHNICAL = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "NumberOfFrames", "BitsAllocated"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")

REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns")
"""Without these nothing can be said to belong to the scan."""

UTF_8 = "ISO_IR 192"
ESCAPE = b"\x1b"
SELF_DESCRIBING = ["", *(f"ISO 2022 IR {number}" for number in (87, 159, 149, 58, 100, 101, 109, 110, 144, 126))]
"""Character sets that escapes tell apart."""
TEXT = ("PN", "LO", "SH")
CHOICES = {"PatientSex": ("M", "F", "O"), "PatientIdentityRemoved": ("YES", "NO")}
ANY_UID = re.compile(r"[0-9.]{1,64}")
"""Some scanners write a 0 before a number, which no UID may have; what refers to one must write it as it stands."""

ANONYMOUS = "ANONYMOUS"

METHOD = "Nothing but the geometry of the source was kept"

BASIC_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
"""As PS3.15 E.1 asks for it to be named, with what became of dates."""

NO_DATE, NO_TIME = "19000101", "000000"
"""Stand where a result must have a date and a time, which say when a patient was treated."""

INVALID = "is not as DICOM asks: it was left out of the results in DICOM"


def prepared(headers: Sequence[Dataset]) -> tuple[list[Dataset], list[str]]:
    """Headers with what a result takes of them and nothing else, and a sentence for each value that was not as it must.

    Patient and study are those of the first header. An optional value that DICOM does not allow is left out. Raises
    `InputError` `inconsistent`, naming the attribute, where one is missing that every result needs.
    """
    check(headers)
    shared, said = _patient_and_study(headers[0])
    found = []
    for header in headers:
        clean = Dataset()
        for keyword in (*TECHNICAL, *UIDS):
            if keyword in header:
                clean[keyword] = header[keyword]
        clean.update(shared)
        if not _is_there(clean, "FrameOfReferenceUID"):  # the same for all slices of a series, for ever
            clean.FrameOfReferenceUID = generate_uid(entropy_srcs=[str(clean.SeriesInstanceUID), "frame of reference"])
        found.append(clean)
    return found, said


def check(headers: Sequence[Dataset]) -> None:
    """Raises `InputError` `inconsistent` for an attribute that is missing without which no result can be written."""
    with unchecked():
        for header, keyword in product(headers, REQUIRED):
            if not _is_there(header, keyword):
                raise InputError(
                    "inconsistent",
                    f"The scan's DICOM headers lack {named(keyword)}, without which nothing can be stored as DICOM in "
                    "its study: leave the results in DICOM out, or export the scan anew.",
                )


def named(keyword: str) -> str:
    """An attribute by its name and tag in DICOM."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _is_there(header: Dataset, keyword: str) -> bool:
    """Whether an attribute has a value; of a UID, one that can be written."""
    try:
        value = header.get(keyword)
    except (ValueError, TypeError, NotImplementedError):
        return False
    return bool(ANY_UID.fullmatch(str(value))) if keyword.endswith("UID") else bool(value)


def _patient_and_study(header: Dataset) -> tuple[Dataset, list[str]]:
    shared, said = Dataset(), []
    shared.SpecificCharacterSet = UTF_8
    for keyword in PATIENT_AND_STUDY:
        if keyword in header:
            with unchecked():
                value, problem = _value(header, keyword)
                if value is not None:
                    setattr(shared, keyword, value)
            if problem:
                said.append(f"{named(keyword)} in the scan's DICOM headers {problem}.")
    for keyword in REQUIRED_EMPTY:
        if keyword not in shared:
            setattr(shared, keyword, "")
    return shared, said


def _value(header: Dataset, keyword: str) -> tuple[Any, str]:
    """A value that DICOM allows, or None; and what was wrong with it."""
    if dictionary_VR(keyword) == "UI":
        return str(header[keyword].value), ""
    try:
        value, problem = _text(header, keyword) if dictionary_VR(keyword) in TEXT else (header[keyword].value, "")
    except (ValueError, TypeError, NotImplementedError):
        return None, INVALID
    if value is None:
        return None, problem
    return (value, problem) if _is_valid(keyword, value) else (None, INVALID)


def _is_valid(keyword: str, value: Any) -> bool:
    kind = dictionary_VR(keyword)
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    if len(values) > 1 and dictionary_VM(keyword) == "1":
        return False
    try:
        for one in values:
            if one in (None, ""):
                continue
            validate_value(kind, str(one) if kind in (*TEXT, "DS") else one, config.RAISE)
            if kind in ("DA", "TM"):
                {"DA": DA, "TM": TM}[kind](one)
            if one not in CHOICES.get(keyword, (one,)):
                return False
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _text(header: Dataset, keyword: str) -> tuple[Any, str]:
    """Text by the header's character set; where it is not written in it, by the one that fits, which is said."""
    item = header.get_item(keyword)
    raw = item.value if isinstance(item, RawDataElement) else _as_bytes(header[keyword].value)
    if not isinstance(raw, bytes):
        return (raw or ""), ""
    sets = header.get("SpecificCharacterSet")
    text, problem = _by_character_set(raw, sets), ""
    if text is None:
        text, name = _guessed(raw)
        problem = f"is not written in the character set that they name; it was read as {name}"
        if text is None:
            return None, "cannot be read in the character set that they name: it was left out of the results in DICOM"
    text = text.rstrip("\0 ")
    if dictionary_VR(keyword) == "PN":
        return PersonName(text), problem
    parts = [part.strip() for part in text.split("\\")]
    return (parts[0] if len(parts) == 1 else parts), problem


def _as_bytes(value: Any) -> Any:
    """The bytes of a name that was decoded already, where it still knows them."""
    return (value.original_string or str(value)) if isinstance(value, PersonName) else value


def _by_character_set(raw: bytes, sets: Any) -> str | None:
    """The text, or None where the bytes are not of these character sets, or nobody knows them."""
    if not sets:
        return raw.decode("ascii") if raw.isascii() and ESCAPE not in raw else None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        encodings = convert_encodings(sets)
    if any("Unknown encoding" in str(one.message) for one in heard):
        return _by_character_set(raw, None)
    with warnings.catch_warnings(action="error"), suppress(UserWarning, UnicodeError, LookupError):
        return decode_bytes(raw, encodings, set(TEXT_VR_DELIMS))
    return None


def _guessed(raw: bytes) -> tuple[str | None, str]:
    """Escapes say what follows; bytes that are UTF-8 are hardly anything else; Latin-1 has no control characters."""
    if ESCAPE in raw:
        return _by_character_set(raw, SELF_DESCRIBING), "ISO 2022"
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8"), "UTF-8"
    if any(0x80 <= byte < 0xA0 for byte in raw):
        return None, ""
    return raw.decode("latin-1"), "Latin-1"


@contextmanager
def unchecked() -> Iterator[None]:
    """Let values pass pydicom that were checked here, or must be written as they stand."""
    before = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = before


def without_identity(headers: Sequence[Dataset]) -> list[Dataset]:
    """Headers that say where the voxels are and nothing of the patient; every identifier is a new one.

    The same identifier gets the same new one within a call, and another one in the next.
    """
    secret = str(generate_uid())
    found = []
    for header in headers:
        clean = Dataset()
        for keyword in TECHNICAL:
            if keyword in header:
                clean[keyword] = deepcopy(header[keyword])
        for keyword in REQUIRED_EMPTY:
            setattr(clean, keyword, "")
        for keyword in UIDS:
            if keyword in header:
                setattr(clean, keyword, generate_uid(entropy_srcs=[secret, str(header[keyword].value)]))
        _drop_identifiers(clean)
        clean.PatientName, clean.PatientID = f"{ANONYMOUS}^", ANONYMOUS
        clean.PatientIdentityRemoved = "YES"
        clean.DeidentificationMethod = METHOD
        found.append(clean)
    return found


def is_without_identity(header: Dataset) -> bool:
    """Whether a header is one of `without_identity`."""
    return bool(header.get("DeidentificationMethod") == METHOD)


def conceal(result: Dataset) -> None:
    """Take from a result of such headers what it says of its own making, and name the profile [PS3.15 E.1]."""
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence"):
        if keyword in result:
            delattr(result, keyword)
    result.ContentDate, result.ContentTime = NO_DATE, NO_TIME
    result.LongitudinalTemporalInformationModified = "REMOVED"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = BASIC_PROFILE
    result.DeidentificationMethodCodeSequence = [code]


def _drop_identifiers(header: Dataset) -> None:
    """Of an enhanced header's frames keep what says where they are."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in header.get(keyword) or ():
            for element in list(group):
                if element.keyword not in (
                    "PixelMeasuresSequence",
                    "PlanePositionSequence",
                    "PlaneOrientationSequence",
                ):
                    del group[element.tag]
