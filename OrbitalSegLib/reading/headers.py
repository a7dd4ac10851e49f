"""A DICOM file -> the planes in it: where they lie, how their values are rescaled, and what the scanner said."""

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import VR

from OrbitalSegLib.errors import InputError

CT_CLASSES = (uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)

LARGEST_MATRIX = 4096
"""Rows or columns; a larger number stands in a damaged file."""

LARGEST_PLACE_MM = 1e5
LARGEST_SLOPE, LARGEST_INTERCEPT_HU = 1e3, 1e6
"""Larger numbers stand in a damaged file."""

UNIT_TOLERANCE = 1e-2
"""Deviation of direction cosines from a right angle or from length 1 that rounding in a header explains."""

MOST_DIGITS = 12
"""A whole number in a header has no more characters (PS3.5, IS); Python refuses to read some thousand."""

FIRST_GROUPS = (2, 8)
"""Some archives leave out the preamble: the file begins with an element of one of these groups, whatever its number."""

LONGEST_FIRST_BYTES = 1 << 16
"""The first element of a file without preamble is no longer."""

KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "ImageType"),
    *("SeriesNumber", "AcquisitionNumber", "InstanceNumber", "SeriesDescription", "BodyPartExamined"),
    *("StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime"),
    *("AcquisitionDateTime", "TemporalPositionIdentifier", "TriggerTime", "NominalPercentageOfCardiacPhase"),
    *("SliceLocation", "PatientID", "PatientName", "PatientBirthDate"),
    *("Manufacturer", "ManufacturerModelName", "PatientPosition", "ContrastBolusAgent", "ContrastBolusAgentSequence"),
    *("SliceThickness", "SingleCollimationWidth", "KVP", "XRayTubeCurrent", "RevolutionTime"),
    *("ReconstructionDiameter", "ConvolutionKernel", "FilterType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames"),
    *("ImagerPixelSpacing", "SpacingBetweenSlices", "FrameOfReferenceUID"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope", "RescaleType"),
    *("ModalityLUTSequence", "RealWorldValueMappingSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
"""What is read of a header, and nothing else: it is quick. Who the patient is becomes a hash at once (`_hide`)."""

PERSON = ("PatientID", "PatientName", "PatientBirthDate")
"""By these patients are told apart."""


RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")

HU_CODES = ("[hnsf'u]", "hnsf'u")
"""The Hounsfield unit in UCUM, as real world value mappings name it."""

PROJECTIONS = ("MIP", "MINIP", "PROJECTION IMAGE", "VRT", "SSD")
"""Image Type values of pictures whose values are not those of the tissue at their place."""

PIXEL_DATA = 0x7FE00010

READ_TAGS = frozenset(tag for keyword in KEYWORDS if (tag := tag_for_keyword(keyword)))


class DamagedFile(Exception):
    """A DICOM image whose header is cut off or makes no sense."""

    def __init__(self, series_uid: str = "") -> None:
        super().__init__(series_uid)
        self.series_uid = series_uid


@dataclass(frozen=True)
class Study:
    """Whose images these are, and when they were taken."""

    patient: str = field(repr=False)
    """A hash that tells patients apart."""
    uid: str = field(repr=False)
    """Date and time where there is none."""
    date: str = field(compare=False)
    """YYYYMMDD, or empty."""
    time: str = field(compare=False)
    patient_unclear: bool = field(default=False, compare=False)
    """Whether its images name several patients, or some name none."""


NO_STUDY = Study("", "", "", "")


class Header(Dataset):
    """What was read of a file: `KEYWORDS` only, and of these what can be parsed."""

    decimal_commas = False
    """Whether numbers are written with a comma, and were read as if it were a point."""
    patient_unclear = False
    """Whether images of its study name other patients, or none, and were taken as this one's."""

    def text(self, keyword: str) -> str:
        """An attribute as text, whatever it holds; empty where it is not stated."""
        return text_of(self.get(keyword))

    @property
    def study(self) -> Study:
        patient, uid, day, time = map(self.text, ("PatientID", "StudyInstanceUID", "StudyDate", "StudyTime"))
        return Study(patient, uid or f"{day} {time}", day, time, self.patient_unclear)

    @property
    def kind(self) -> tuple[object, ...]:
        """What tells a slice from a localizer, a picture or a page that bears its series' UID."""
        image_type = self.image_type
        told = tuple(word in image_type for word in ("LOCALIZER", "SECONDARY", *PROJECTIONS))
        return (self.text("SeriesInstanceUID"), self.study, self.text("SOPClassUID"), self.samples, told)

    @property
    def image_type(self) -> tuple[str, ...]:
        return values_of(self.get("ImageType"))

    @property
    def modality(self) -> str:
        return self.text("Modality") or ("CT" if self.get("SOPClassUID") in CT_CLASSES else "")

    @property
    def samples(self) -> str:
        """How many values a pixel has."""
        return text_of(self.get("SamplesPerPixel") or 1)

    @property
    def is_grey(self) -> bool:
        """Whether a pixel has one value, and that is a shade."""
        return self.samples == "1" and "MONOCHROME" in text_of(self.get("PhotometricInterpretation") or "MONOCHROME2")

    @property
    def frames(self) -> int:
        """How many frames the file says that it holds; 1 where it says nothing of them."""
        said = self.text("NumberOfFrames")
        return int(said) if said.isdecimal() and len(said) <= MOST_DIGITS else 1


@dataclass(frozen=True)
class Rescale:
    """How a slice's stored values become its quantity."""

    slope: float
    intercept: float
    unit: str
    """`HU`, another one, or nothing where it is not stated, which for a CT means HU."""
    stated: bool
    agrees: bool = True
    """Whether there is no other statement that contradicts this one."""


@dataclass(frozen=True)
class Slice:
    """One plane of a series: a file, or one frame of a multi-frame file."""

    path: Path
    frame: int | None
    header: Header
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    """Distance between columns and between rows: along the row direction, along the column direction."""
    matrix: tuple[int, int]
    rescale: Rescale
    instance: int

    @property
    def slope(self) -> float:
        return self.rescale.slope

    @property
    def intercept(self) -> float:
        return self.rescale.intercept

    @property
    def name(self) -> str:
        """How a sentence names the slice: by its number, never by its file."""
        return f"slice {self.instance}"

    @property
    def identity(self) -> tuple[str, int, int]:
        """The same for copies of one image, and for nothing else."""
        return self.header.text("SOPInstanceUID"), self.instance, self.frame or 0

    @property
    def key(self) -> tuple[object, ...]:
        """What the images of one stack share to the letter."""
        return (*self.header.kind, self.matrix, self.said_text("ConvolutionKernel") or "")

    @cached_property
    def depth_mm(self) -> float:
        """Place along the slice normal."""
        return float(np.cross(self.orientation[:3], self.orientation[3:]) @ np.array(self.position_mm))

    def said(self, keyword: str) -> Any:
        """An attribute of a classic header, or from wherever an enhanced one keeps it; None where it is not stated."""
        if self.header.get(keyword) not in (None, ""):
            return self.header[keyword].value
        groups = [*(self.header.get("SharedFunctionalGroupsSequence") or ())]
        if self.frame is not None:
            groups.insert(0, self.header.PerFrameFunctionalGroupsSequence[self.frame])
        macros = (macro.value[0] for group in groups for macro in group if macro.VR == "SQ" and macro.value)
        return next((macro[keyword].value for macro in macros if keyword in macro), None)

    def said_number(self, keyword: str) -> float | None:
        try:
            return _finite(self.said(keyword))
        except (TypeError, ValueError):
            return None

    def said_text(self, keyword: str) -> str | None:
        return text_of(self.said(keyword)) or None


def values_of(value: Any) -> tuple[str, ...]:
    """The values of an attribute as text, whatever it holds."""
    if value is None or value == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple | MultiValue) else (str(value),)


def text_of(value: Any) -> str:
    """An attribute as text, whatever it holds; several values with `/` between them."""
    return "/".join(values_of(value))


def header_of(path: Path) -> Header | None:
    """The header of an image; None for what is not a DICOM image.

    Raises `DamagedFile`, and `InputError` `unreadable` where the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
            if start[128:] != b"DICM" and not _starts_with_element(start):
                return None
            file.seek(0)
            header = _parse(file)
    except OSError as error:
        raise InputError(
            "unreadable",
            "A file of the scan cannot be opened: check its permissions and its disk, or copy the scan to your disk.",
        ) from error
    kind = text_of(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID"))
    if "Rows" in header and "BitsAllocated" in header:
        return header
    if any(ct_class.startswith(kind) for ct_class in CT_CLASSES):  # or what the cut has left of it
        raise DamagedFile(text_of(header.get("SeriesInstanceUID")))
    return None


def _starts_with_element(start: bytes) -> bool:
    """Whether the bytes begin with a DICOM element of one of `FIRST_GROUPS`, in either byte order."""
    if len(start) < 8:
        return False
    for order in "<>":
        (group,) = struct.unpack_from(f"{order}H", start)
        explicit = start[4:6].decode("latin-1") in {*VR}
        (length,) = struct.unpack_from(f"{order}L", start, 4)
        if group in FIRST_GROUPS and (explicit or length < LONGEST_FIRST_BYTES):
            return True
    return False


def dataset_of(file: BinaryIO, keywords: Sequence[str] | None = None, pixels: bool = False) -> Dataset:
    """What stands in a DICOM file, with preamble or without, in either byte order; all of it, or `keywords` only."""
    tags: list[Any] | None = None if keywords is None else [*keywords]
    start = file.read(132)
    file.seek(0)
    group, length = struct.unpack_from(">H2xL", start) if len(start) >= 8 else (0, 0)
    if start[128:] == b"DICM" or group not in FIRST_GROUPS or length >= LONGEST_FIRST_BYTES:
        return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=tags, force=True)
    # Without names of the values' kinds and the high byte first: older than DICOM, and pydicom does not guess it.
    stop = None if pixels else lambda tag, _kind, _length: tag == PIXEL_DATA
    whole = read_dataset(file, True, False, stop_when=stop, specific_tags=tags and [Tag(tag) for tag in tags])
    whole.file_meta = FileMetaDataset()
    whole.set_original_encoding(True, False, "iso8859")
    return whole


def _parse(file: BinaryIO) -> Header:
    try:
        read = dataset_of(file, KEYWORDS)
    except OSError:
        raise
    except Exception as error:
        raise DamagedFile from error
    header = Header(read)
    header.file_meta = read.file_meta
    _keep_what_can_be_parsed(header.file_meta)
    header.decimal_commas = _keep_what_can_be_parsed(header)
    _hide_person(header)
    return header


def _hide_person(header: Dataset) -> None:
    """Leave of the patient's identity a hash as `PatientID`, the same for one person; nothing where none is stated."""
    said = [text_of(header.get(keyword)).strip(" ^").upper() for keyword in PERSON]
    for keyword in PERSON:
        if keyword in header:
            del header[keyword]
    if any(said):
        header.PatientID = hashlib.sha256("\n".join(said).encode("utf-8", "replace")).hexdigest()[:16]


def unite_patients(headers: Sequence[Header]) -> None:
    """Give all images of one study and series one patient, which part of them may have lost or got a new name.

    Series whose images name nobody belong to the one patient that the rest of their study names.
    """
    uids = ("StudyInstanceUID", "SeriesInstanceUID")
    studies: dict[str, dict[str, list[Header]]] = {}
    for header in headers:
        study, series = map(header.text, uids)
        if study and series:
            studies.setdefault(study, {}).setdefault(series, []).append(header)
    for by_series in studies.values():
        patients = {series: _patient_of(images) for series, images in by_series.items()}
        named = {patient for patient in patients.values() if patient}
        only = named.pop() if len(named) == 1 else ""
        changed = [_become(header, patients[s] or only) for s, images in by_series.items() for header in images]
        if any(changed):
            for header in chain.from_iterable(by_series.values()):
                header.patient_unclear = True


def _patient_of(headers: Sequence[Header]) -> str:
    """Whom most of the images of a series name, of those that name anybody."""
    named = Counter(patient for header in headers if (patient := header.text("PatientID")))
    return max(named, key=lambda patient: (named[patient], patient), default="")


def _become(header: Header, patient: str) -> bool:
    """Whether the header named another patient, or none, before."""
    if header.text("PatientID") == patient:
        return False
    header.PatientID = patient
    return True


def _keep_what_can_be_parsed(header: Dataset) -> bool:
    """Values are parsed when they are asked for: ask now, and drop those that cannot be.

    Returns whether there were numbers with a decimal comma, which become those with a point.
    """
    commas = with_points(header)
    for tag in list(header.keys()):
        try:
            element = header[tag]
        except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke
            del header[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                commas |= _keep_what_can_be_parsed(item)
    return commas


def with_points(header: Dataset) -> bool:
    """Write the decimal strings among `KEYWORDS` with points instead of commas; whether there were any.

    Sequences are left alone.
    """
    commas = False
    for tag in list(header.keys()):
        try:
            raw = header.get_item(tag)
        except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke
            continue
        if isinstance(raw, RawDataElement) and raw.value and b"," in raw.value and _is_decimal(raw):
            header[tag] = raw._replace(value=raw.value.replace(b",", b"."))
            commas = True
    return commas


def _is_decimal(raw: RawDataElement) -> bool:
    return raw.tag in READ_TAGS and (raw.VR or dictionary_VR(raw.tag)) == "DS"


def slices_of(path: Path, header: Header) -> list[Slice]:
    """The planes of a file; none of an image that has no place in the patient. Raises `DamagedFile`."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        if header.frames > 1:
            return []
        item = _slice(path, header, [], None)
        return [item] if item else []
    groups = header.PerFrameFunctionalGroupsSequence
    slices = [_slice(path, header, _groups(header, frame), frame) for frame in range(len(groups))]
    planes = [item for item in slices if item]
    if header.text("NumberOfFrames") != str(len(groups)) or 0 < len(planes) < len(slices):
        raise DamagedFile(header.text("SeriesInstanceUID"))
    return planes


def why_no_plane(header: Header) -> InputError:
    """For a series of CT images none of which is a plane in the patient: why, by the header of one of them."""
    try:
        sound = _scales(_rescale_of(header, _groups(header, 0)))
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        return InputError(
            "not-hu",
            "The images of this series do not say how their values become Hounsfield units, or it makes no sense "
            "(Rescale Slope, Rescale Intercept): export the original series again from the scanner or the PACS.",
        )
    return InputError(
        "no-positions",
        "The images of this series do not say where they lie, or it cannot be read (Image Position, Image "
        "Orientation, Pixel Spacing): export the original series again from the scanner or the PACS.",
    )


def _groups(header: Header, frame: int) -> list[Dataset]:
    """What an enhanced header says of a frame, its own word first; nothing of a classic one."""
    each, shared = (header.get(f"{kind}FunctionalGroupsSequence") or () for kind in ("PerFrame", "Shared"))
    return [*each[frame : frame + 1], *shared]


def _attribute(header: Header, groups: Sequence[Dataset], macro: str, keyword: str) -> Any:
    """An attribute from the macro of an enhanced header, or from the header itself."""
    for group in groups:
        if group.get(macro):
            return group[macro].value[0].get(keyword)
    return header.get(keyword)


def _slice(path: Path, header: Header, groups: Sequence[Dataset], frame: int | None) -> Slice | None:
    """None where place, orientation or size is missing or makes no sense."""
    attribute = partial(_attribute, header, groups)
    try:
        rows_mm, columns_mm = map(_finite, attribute("PixelMeasuresSequence", "PixelSpacing"))
        item = Slice(
            path=path,
            frame=frame,
            header=header,
            position_mm=tuple(map(_finite, attribute("PlanePositionSequence", "ImagePositionPatient"))),
            orientation=tuple(map(_finite, attribute("PlaneOrientationSequence", "ImageOrientationPatient"))),
            pixel_mm=(columns_mm, rows_mm),
            matrix=(int(header["Rows"].value), int(header["Columns"].value)),
            rescale=_rescale_of(header, groups),
            instance=int(header.get("InstanceNumber") or 0) if frame is None else frame + 1,
        )
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        return None
    return item if _makes_sense(item) else None


def _rescale_of(header: Header, groups: Sequence[Dataset]) -> Rescale:
    """By the attributes `RESCALE`, or where neither is stated by a real world value mapping, if possible one in HU."""
    mappings = [item for part in (*groups, header) for item in part.get("RealWorldValueMappingSequence") or ()]
    slope, intercept, unit = (
        _attribute(header, groups, "PixelValueTransformationSequence", keyword) for keyword in RESCALE
    )
    stated = [value not in (None, "") for value in (slope, intercept)]
    maps = [_mapping(item) for item in mappings if "RealWorldValueSlope" in item]
    in_hu = [item for item in maps if item.unit == "HU"]
    if maps and not any(stated):
        return (in_hu or maps)[0]
    found = Rescale(
        slope=_finite(slope) if stated[0] else 1.0,
        intercept=_finite(intercept) if stated[1] else 0.0,
        unit=text_of(unit).strip().upper(),
        stated=all(stated),
    )
    alike = any(abs(m.slope - found.slope) <= 1e-3 and abs(m.intercept - found.intercept) <= 0.5 for m in in_hu)
    return replace(found, agrees=alike or not in_hu)


def _mapping(item: Dataset) -> Rescale:
    codes = [text_of(code.get("CodeValue")) for code in item.get("MeasurementUnitsCodeSequence") or ()]
    unit = "HU" if codes and codes[0].lower() in HU_CODES else "/".join(codes) or "unknown"
    return Rescale(_finite(item.RealWorldValueSlope), _finite(item.get("RealWorldValueIntercept", 0)), unit, True)


def _makes_sense(item: Slice) -> bool:
    """Whether the numbers are such as do not stand in damaged files only."""
    if len(item.position_mm) != 3 or len(item.orientation) != 6:
        return False
    row, column = np.array(item.orientation[:3]), np.array(item.orientation[3:])
    skew = max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
    return bool(
        max(map(abs, item.position_mm)) <= LARGEST_PLACE_MM
        and skew <= UNIT_TOLERANCE
        and 0.01 < min(item.pixel_mm) <= max(item.pixel_mm) < 20
        and 2 <= min(item.matrix) <= max(item.matrix) <= LARGEST_MATRIX
        and _scales(item.rescale)
    )


def _scales(rescale: Rescale) -> bool:
    """Whether stored values can become HU by it."""
    return 0 < rescale.slope <= LARGEST_SLOPE and abs(rescale.intercept) <= LARGEST_INTERCEPT_HU


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError("not a finite number")
    return number
