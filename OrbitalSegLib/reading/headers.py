"""A DICOM file -> the planes in it: where they lie, how their values are rescaled, and what the scanner said."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from OrbitalSegLib.errors import InputError

CT_CLASSES = (uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)

LARGEST_MATRIX = 4096
"""Rows or columns; a larger number stands in a damaged file."""

LARGEST_PLACE_MM = 1e5
LARGEST_SLOPE, LARGEST_INTERCEPT_HU = 1e3, 1e6
"""Larger numbers stand in a damaged file."""

UNIT_TOLERANCE = 1e-2
"""Deviation of direction cosines from a right angle or from length 1 that rounding in a header explains."""

AXIS_TOLERANCE = 1e-3
"""Direction cosines, and pixel sizes in mm, that differ by less are the same but for rounding."""

STARTS_WITHOUT_PREAMBLE = (b"\x02\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0")
"""Some archives leave out the preamble: the file begins with an element of group 2 or 8, little endian."""

KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType"),
    *("SeriesNumber", "AcquisitionNumber", "InstanceNumber", "SeriesDescription", "BodyPartExamined"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "AcquisitionDateTime"),
    *("Manufacturer", "ManufacturerModelName", "PatientPosition", "ContrastBolusAgent", "ContrastBolusAgentSequence"),
    *("SliceThickness", "SingleCollimationWidth", "KVP", "XRayTubeCurrent", "RevolutionTime"),
    *("ReconstructionDiameter", "ConvolutionKernel", "FilterType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames"),
    *("ImagerPixelSpacing", "SpacingBetweenSlices", "FrameOfReferenceUID"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope", "RescaleType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
"""What is read of a header, and nothing else: it is quick, and no patient's name comes into the program."""


class DamagedFile(Exception):
    """A DICOM image whose header is cut off or makes no sense."""

    def __init__(self, series_uid: str = "") -> None:
        super().__init__(series_uid)
        self.series_uid = series_uid


@dataclass(frozen=True)
class Slice:
    """One plane of a series: a file, or one frame of a multi-frame file."""

    path: Path
    frame: int | None
    header: Dataset
    """The file's header: `KEYWORDS` only, and of these what can be parsed."""
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    """Distance between columns and between rows: along the row direction, along the column direction."""
    matrix: tuple[int, int]
    slope: float
    intercept: float
    instance: int

    @property
    def name(self) -> str:
        """How a sentence names the slice: by its number, never by its file."""
        return f"slice {self.instance}"

    @property
    def identity(self) -> tuple[str, int, int]:
        """The same for copies of one image, and for nothing else."""
        return text_of(self.header.get("SOPInstanceUID")), self.instance, self.frame or 0

    @cached_property
    def depth_mm(self) -> float:
        """Place along the slice normal."""
        return float(np.cross(self.orientation[:3], self.orientation[3:]) @ np.array(self.position_mm))

    def shares_axes(self, other: "Slice") -> bool:
        """Whether the two can lie in one stack: parallel, and with pixels of one size."""
        mine, others = (*self.orientation, *self.pixel_mm), (*other.orientation, *other.pixel_mm)
        return all(abs(a - b) <= AXIS_TOLERANCE for a, b in zip(mine, others, strict=True))

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


def header_of(path: Path) -> Dataset | None:
    """The header of an image; None for what is not a DICOM image.

    Raises `DamagedFile`, and `InputError` `unreadable` where the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
            if start[128:] != b"DICM" and start[:4] not in STARTS_WITHOUT_PREAMBLE:
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


def _parse(file: BinaryIO) -> Dataset:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*KEYWORDS], force=True)
    except OSError:
        raise
    except Exception as error:
        raise DamagedFile from error
    _keep_what_can_be_parsed(header.file_meta)
    _keep_what_can_be_parsed(header)
    return header


def _keep_what_can_be_parsed(header: Dataset) -> None:
    """Values are parsed when they are asked for: ask now, and drop those that cannot be."""
    for tag in list(header.keys()):
        try:
            element = header[tag]
        except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke
            del header[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                _keep_what_can_be_parsed(item)


def slices_of(path: Path, header: Dataset) -> list[Slice]:
    """The planes of a file; none of an image that has no place in the patient. Raises `DamagedFile`."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        item = _slice(path, header, [], None)
        return [item] if item else []
    shared = [*(header.get("SharedFunctionalGroupsSequence") or ())]
    groups = header.PerFrameFunctionalGroupsSequence
    slices = [_slice(path, header, [group, *shared], frame) for frame, group in enumerate(groups)]
    planes = [item for item in slices if item]
    if text_of(header.get("NumberOfFrames")) != str(len(groups)) or 0 < len(planes) < len(slices):
        raise DamagedFile(text_of(header.get("SeriesInstanceUID")))
    return planes


def _slice(path: Path, header: Dataset, groups: Sequence[Dataset], frame: int | None) -> Slice | None:
    """None where place, orientation or size is missing or makes no sense."""

    def attribute(macro: str, keyword: str, default: Any = None) -> Any:
        for group in groups:
            if group.get(macro):
                return group[macro].value[0].get(keyword, default)
        return header.get(keyword, default)

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
            slope=_finite(attribute("PixelValueTransformationSequence", "RescaleSlope", 1.0)),
            intercept=_finite(attribute("PixelValueTransformationSequence", "RescaleIntercept", 0.0)),
            instance=int(header.get("InstanceNumber") or 0) if frame is None else frame + 1,
        )
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        return None
    return item if _makes_sense(item) else None


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
        and 0 < item.slope <= LARGEST_SLOPE
        and abs(item.intercept) <= LARGEST_INTERCEPT_HU
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError("not a finite number")
    return number
