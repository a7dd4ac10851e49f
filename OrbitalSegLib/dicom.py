"""A folder of DICOM, as it comes off a CD or out of a PACS -> the CT series fit for the orbit, as one `Scan`."""

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.scan import AIR_HU, Acquisition, Scan
from OrbitalSegLib.stack import Planes, find_gaps, to_image, without_duplicates

MINIMUM_SLICES = 4
"""Fewer planes are no volume: a scout or a key image."""

THIN_SLICES_MM = 1.25
"""Reconstructed slice thickness that table A.1 asks for [3532-2 A]."""

LARGEST_MATRIX = 4096
"""Rows or columns; a larger number stands in a damaged file."""

UNIT_TOLERANCE = 1e-2
"""Deviation of direction cosines from a right angle or from length 1 that rounding in a header explains."""

MODALITY_NAMES = {
    "MR": "an MR",
    "PT": "a PET",
    "NM": "a nuclear medicine",
    "US": "an ultrasound",
    "CR": "an X-ray",
    "DX": "an X-ray",
}

HEAD_WORDS = ("HEAD", "SKULL", "ORBIT", "FACE", "FACIAL", "SINUS", "BRAIN", "EAR", "JAW", "NECK")
"""Body Part Examined values that can show an orbit."""


@dataclass(frozen=True)
class Slice:
    """One plane of a series: a file, or one frame of a multi-frame file."""

    path: Path
    frame: int | None
    header: Dataset
    """The file's header, without pixels."""
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    """Distance between columns and between rows: along the row direction, along the column direction."""
    matrix: tuple[int, int]
    slope: float
    intercept: float
    instance: int
    moment: str
    """What tells images of one place apart in a time series."""

    @property
    def name(self) -> str:
        """How a sentence names the slice: by its number, never by its file."""
        return f"slice {self.instance}"


@dataclass(frozen=True)
class Series:
    """The slices of one series that share orientation, matrix and pixel size, or why there are none."""

    uid: str
    number: str
    description: str
    """Typed by a technician: for the screen, never for a file."""
    modality: str
    image_type: tuple[str, ...]
    kernel: str
    body_part: str
    slices: tuple[Slice, ...]
    images: int
    unfit: InputError | None
    """Why the series cannot be segmented, or None."""

    @property
    def slice_distance_mm(self) -> float:
        """Median distance of neighbouring slices; 0 where there is no stack."""
        places = sorted({round(_depth_mm(item), 2) for item in self.slices})
        return float(np.median(np.diff(places))) if len(places) > 1 else 0.0

    @property
    def preference(self) -> tuple[object, ...]:
        """Sorts fit series, the best for the orbit first."""
        body = self.body_part.upper()
        distance = self.slice_distance_mm
        return (
            bool(body) and not any(word in body for word in HEAD_WORDS),
            distance > THIN_SLICES_MM,
            "ORIGINAL" not in self.image_type,
            round(distance, 2),
            -len(self.slices),
            self.number,
            self.uid,
        )


# ---------------------------------------------------------------------------------------------------------------------
# Listing


def list_series(folder: Path, progress: Progress = silent) -> list[Series]:
    """Every DICOM series under a folder (or the one in a file), the best for the orbit first, unfit ones last.

    Raises `InputError` `unreadable` or `no-dicom`.
    """
    files = sorted(_files(folder))
    groups: dict[tuple[str, ...], list[Dataset | Slice]] = defaultdict(list)
    damaged = 0
    for done, path in enumerate(files):
        progress(done / len(files))
        header = _header(path)
        if header is None:
            damaged += _claims_to_be_dicom(path)
            continue
        for item in _slices(path, header):
            groups[_key(header, item)].append(item or header)
    if not groups:
        if damaged:
            raise InputError(
                "truncated", "The DICOM files are damaged or cut off: copy them again from the CD or the PACS."
            )
        raise InputError("no-dicom", "There is no DICOM image here: choose the folder that holds the CT series.")
    series = [_series(items) for items in groups.values()]
    return sorted(series, key=lambda item: (item.unfit is not None, item.preference))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return

    def refuse(error: OSError) -> None:
        raise InputError(
            "unreadable", "A folder of the scan cannot be opened: check its permissions, or copy it to your disk."
        ) from error

    for parent, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(parent) / name for name in names)


def _header(path: Path) -> Dataset | None:
    """The header of an image file without its pixels; None for what is not DICOM, or is damaged."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" not in header or not header.get("SOPClassUID"):
            return None
        for _ in header.iterall():  # values are parsed when asked for: ask now, where damage can be caught
            pass
    except PermissionError as error:
        raise InputError(
            "unreadable", "A file of the scan cannot be opened: check its permissions, or copy it to your disk."
        ) from error
    except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke, from KeyError to struct.error
        return None
    return header


def _claims_to_be_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(128)
        return file.read(4) == b"DICM" and path.name != "DICOMDIR"


def _slices(path: Path, header: Dataset) -> list["Slice | None"]:
    """The planes of a file; [None] for an image that has no place in the patient."""
    try:
        frames = int(header.get("NumberOfFrames") or 1)
        if "PerFrameFunctionalGroupsSequence" in header:
            shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
            groups = header.PerFrameFunctionalGroupsSequence
            return [_slice(path, header, [groups[i], shared[0]], i) for i in range(min(frames, len(groups)))]
        return [_slice(path, header, [], None)]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError):
        return [None]


def _slice(path: Path, header: Dataset, groups: list[Dataset], frame: int | None) -> Slice:
    """Raises AttributeError or ValueError where place, orientation or size is missing or makes no sense."""

    def attribute(macro: str, keyword: str) -> object:
        for group in groups:
            if macro in group:
                return getattr(group[macro].value[0], keyword)
        return getattr(header, keyword)

    def number(macro: str, keyword: str, default: float) -> float:
        try:
            value = attribute(macro, keyword)
        except AttributeError:
            return default
        return default if value is None else _finite(value)

    position = tuple(_finite(v) for v in attribute("PlanePositionSequence", "ImagePositionPatient"))  # type: ignore[attr-defined]
    orientation = tuple(_finite(v) for v in attribute("PlaneOrientationSequence", "ImageOrientationPatient"))  # type: ignore[attr-defined]
    rows_mm, columns_mm = (_finite(v) for v in attribute("PixelMeasuresSequence", "PixelSpacing"))  # type: ignore[attr-defined]
    matrix = (int(header.Rows), int(header.Columns))
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    if len(position) != 3 or len(orientation) != 6 or max(abs(v) for v in position) > 1e5:
        raise ValueError("a place that makes no sense")
    if abs(np.linalg.norm(row) - 1) > UNIT_TOLERANCE or abs(np.linalg.norm(column) - 1) > UNIT_TOLERANCE:
        raise ValueError("direction cosines that are no unit vectors")
    if abs(row @ column) > UNIT_TOLERANCE or not 0.01 < min(rows_mm, columns_mm) <= max(rows_mm, columns_mm) < 20:
        raise ValueError("axes or pixel size that make no sense")
    if not 2 <= min(matrix) <= max(matrix) <= LARGEST_MATRIX:
        raise ValueError("a matrix that makes no sense")
    moment = [str(header.get(k, "")) for k in ("TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime")]
    if frame is not None and "FrameContentSequence" in groups[0]:
        content = groups[0].FrameContentSequence[0]
        moment.append(str(content.get("TemporalPositionIndex", "")))
    return Slice(
        path=path,
        frame=frame,
        header=header,
        position_mm=position,
        orientation=orientation,
        pixel_mm=(columns_mm, rows_mm),
        matrix=matrix,
        slope=number("PixelValueTransformationSequence", "RescaleSlope", 1.0),
        intercept=number("PixelValueTransformationSequence", "RescaleIntercept", 0.0),
        instance=int(header.get("InstanceNumber") or 0) if frame is None else frame + 1,
        moment="/".join(moment),
    )


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _key(header: Dataset, item: Slice | None) -> tuple[str, ...]:
    """What the images of one stack share."""
    uid = str(header.get("SeriesInstanceUID", ""))
    if item is None:
        return (uid, "no place")
    axes = [f"{v:.3f}" for v in (*item.orientation, *item.pixel_mm)]
    localizer = "LOCALIZER" in _image_type(header)
    return (uid, str(localizer), *map(str, item.matrix), *(axis.replace("-0.000", "0.000") for axis in axes))


def _image_type(header: Dataset) -> tuple[str, ...]:
    value = header.get("ImageType") or ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _depth_mm(item: Slice) -> float:
    row, column = np.array(item.orientation[:3]), np.array(item.orientation[3:])
    return float(np.cross(row, column) @ np.array(item.position_mm))


def _series(items: list[Dataset | Slice]) -> Series:
    slices = tuple(
        sorted((i for i in items if isinstance(i, Slice)), key=lambda i: (_depth_mm(i), i.instance, str(i.path)))
    )
    header = next(i.header if isinstance(i, Slice) else i for i in items)
    return Series(
        uid=str(header.get("SeriesInstanceUID", "")),
        number=str(header.get("SeriesNumber") or ""),
        description=str(header.get("SeriesDescription", "")),
        modality=str(header.get("Modality", "")),
        image_type=_image_type(header),
        kernel=_kernel(slices[0]) or "" if slices else "",
        body_part=str(header.get("BodyPartExamined", "")),
        slices=slices,
        images=len(items),
        unfit=_why_unfit(header, slices),
    )


def _why_unfit(header: Dataset, slices: tuple[Slice, ...]) -> InputError | None:
    modality = str(header.get("Modality", ""))
    if modality in MODALITY_NAMES:
        kind = MODALITY_NAMES[modality]
        return InputError("wrong-modality", f"This is {kind} series; OrbitalSeg needs a CT: choose the CT series.")
    if str(header.get("PhotometricInterpretation", "")) not in ("MONOCHROME1", "MONOCHROME2"):
        return InputError(
            "colour", "This series holds colour pictures, not CT values: choose the original CT series."
        )
    if modality != "CT" or not slices:
        return InputError(
            "no-ct", "This series holds screen captures or other objects, no CT slices: choose the CT series."
        )
    if "LOCALIZER" in _image_type(header):
        return InputError(
            "scout-only", "This is a scout (localizer), not a CT volume: choose the axial series, or ask for it."
        )
    rescale_type = str(header.get("RescaleType") or "HU")
    if rescale_type not in ("HU", "US"):
        return InputError(
            "not-hu", "The values of this series are not Hounsfield units: choose the original CT reconstruction."
        )
    places = without_duplicates(np.array([_depth_mm(item) for item in slices]))
    if len(places) < MINIMUM_SLICES:
        count = "1 slice" if len(places) == 1 else f"{len(places)} slices"
        return InputError(
            "too-few-slices", f"This series has only {count}: choose the folder that holds the whole CT series."
        )
    moments = [len({slices[i].moment for i in place}) for place in places]
    if sum(count > 1 for count in moments) > len(places) / 2:
        return InputError(
            "time-series",
            "This series holds several images of every place (a perfusion or 4D scan): choose a series of one moment.",
        )
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Choosing


def choose(series: list[Series], wanted: str | None = None) -> tuple[Series, str]:
    """The wanted series (number or UID), or the one fit for the orbit, and why it was taken.

    Raises `InputError`: `unknown-series`, or the reason why the (best) series is unfit.
    """
    if wanted is not None:
        matching = [item for item in series if wanted in (item.number, item.uid)]
        if not matching:
            numbers = ", ".join(sorted({item.number for item in series if item.number}))
            raise InputError("unknown-series", f"There is no series {wanted} here; there are: {numbers}.")
        if matching[0].unfit:
            raise matching[0].unfit
        return matching[0], "asked for"
    fit = [item for item in series if item.unfit is None]
    if not fit:
        raise _main_reason(series)
    best = fit[0]
    if len(fit) == 1:
        return best, "the only CT series with a stack of slices"
    thin = "slices thin enough for the orbit" if best.slice_distance_mm <= THIN_SLICES_MM else "the thinnest slices"
    return best, f"of {len(fit)} CT series, the one with {thin} ({best.slice_distance_mm:.2f} mm apart)"


def _main_reason(series: list[Series]) -> InputError:
    """The sentence for a folder in which nothing is fit: that of what comes closest to a CT."""
    order = ("not-hu", "time-series", "too-few-slices", "scout-only", "wrong-modality", "colour", "no-ct")
    reasons = [item.unfit for item in series if item.unfit]
    return min(reasons, key=lambda reason: order.index(reason.code))


# ---------------------------------------------------------------------------------------------------------------------
# Loading


def load(series: Series, progress: Progress = silent) -> Scan:
    """The series as one image in HU on the scan grid.

    Raises `InputError` `truncated`, `inconsistent` or `too-large`.
    """
    slices, warnings = _one_per_place(series)
    planes = _planes(slices)
    voxels = _voxels(slices, lambda fraction: progress(0.7 * fraction))
    gaps = find_gaps(planes, [item.name for item in slices])
    image, measured = to_image(voxels, planes, lambda fraction: progress(0.7 + 0.3 * fraction))
    if measured["resampled"]:
        warnings.append(
            (
                "resampled",
                "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions.",
            )
        )
    distance = float(np.diff(planes.depths_mm).max())
    return Scan(
        image=image,
        acquisition=_acquisition(slices, distance, planes.tilt_degrees),
        kind="dicom",
        measured={**measured, "duplicates_left_out": len(series.slices) - len(slices)},
        gaps=gaps,
        warnings=tuple(warnings),
    )


def _one_per_place(series: Series) -> tuple[list[Slice], list[tuple[str, str]]]:
    """One slice for each place, in order; of several the one with the lowest number."""
    places = without_duplicates(np.array([_depth_mm(item) for item in series.slices]))
    slices = [min((series.slices[i] for i in place), key=lambda item: (item.instance, item.name)) for place in places]
    extra = len(series.slices) - len(slices)
    text = f"{extra} slices lie where another one lies and were left out: check that the series was exported once."
    return slices, [("duplicates", text)] if extra else []


def _planes(slices: list[Slice]) -> Planes:
    """Where the slices lie, with axes of length one at right angles."""
    orientation = np.array(slices[len(slices) // 2].orientation)
    row = orientation[:3] / np.linalg.norm(orientation[:3])
    column = orientation[3:] - (orientation[3:] @ row) * row
    return Planes(
        positions_mm=np.array([item.position_mm for item in slices]),
        row_direction=row,
        column_direction=column / np.linalg.norm(column),
        pixel_mm=slices[0].pixel_mm,
    )


def _voxels(slices: list[Slice], progress: Progress) -> np.ndarray:
    """(n, rows, columns) in HU: signed 16 bits where every slope and intercept is whole, else float."""
    whole = all(float(v).is_integer() for item in slices for v in (item.slope, item.intercept))
    voxels = np.empty((len(slices), *slices[0].matrix), np.int16 if whole else np.float32)
    with tempfile.TemporaryDirectory(prefix="orbitalseg-") as private:
        for index, item in enumerate(slices):
            stored = _stored_values(item, Path(private))
            hu = stored.astype(np.int32 if whole else np.float32) * item.slope + item.intercept
            hu[_is_padding(stored, item)] = AIR_HU
            voxels[index] = np.clip(hu, AIR_HU, np.iinfo(np.int16).max)
            progress((index + 1) / len(slices))
    return voxels


def _is_padding(stored: np.ndarray, item: Slice) -> np.ndarray:
    """Pixels outside the reconstructed field. A padding value that is a tissue's HU is not believed."""
    value = item.header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, bool)
    limit = item.header.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    if high * item.slope + item.intercept > -900 and low * item.slope + item.intercept < 3072:
        return np.zeros(stored.shape, bool)
    return (stored >= low) & (stored <= high)


def _stored_values(item: Slice, private: Path) -> np.ndarray:
    """(rows, columns) as stored, before rescaling. Raises `InputError` `truncated`."""
    try:
        if item.header.file_meta.TransferSyntaxUID.is_compressed:
            stored = _decompress(item, private)
        else:
            stored = pixel_array(item.path, index=item.frame or 0)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever damaged bytes provoke
        raise _truncated(item) from error
    if stored.shape != item.matrix or stored.dtype.kind not in "iu":
        raise _truncated(item)
    return _without_overlay_bits(stored, item.header)


def _truncated(item: Slice) -> InputError:
    return InputError(
        "truncated", f"The file of {item.name} is damaged or cut off: copy the series again from the CD or the PACS."
    )


def _without_overlay_bits(stored: np.ndarray, header: Dataset) -> np.ndarray:
    """Old scanners keep drawings in the bits above the stored ones."""
    unused = 8 * stored.dtype.itemsize - int(header.get("BitsStored") or 8 * stored.dtype.itemsize)
    return (stored << unused) >> unused if 0 < unused < 8 * stored.dtype.itemsize else stored


def _decompress(item: Slice, private: Path) -> np.ndarray:
    """Decode one frame with the GDCM inside SimpleITK, which every Slicer has, unlike pydicom's own decoders.

    The frame goes into a file of its own without rescale attributes, so that stored values come back.
    """
    full = pydicom.dcmread(item.path)
    frames = int(full.get("NumberOfFrames") or 1)
    single = Dataset()
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(single, keyword, full[keyword].value)
    single.SamplesPerPixel = 1
    single.PhotometricInterpretation = full.PhotometricInterpretation
    single.SOPClassUID = SecondaryCaptureImageStorage
    single.SOPInstanceUID = generate_uid()
    single.Modality = "OT"
    syntax = full.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        single.PixelData = encapsulate([get_frame(full.PixelData, item.frame or 0, number_of_frames=frames)])
        single["PixelData"].VR = "OB"
    else:  # deflated: pydicom has inflated the data set
        size = len(full.PixelData) // frames
        single.PixelData = full.PixelData[size * (item.frame or 0) : size * ((item.frame or 0) + 1)]
        single["PixelData"].VR = "OW"
        syntax = ExplicitVRLittleEndian
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = syntax
    path = private / "frame.dcm"
    single.save_as(path, enforce_file_format=True)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return sitk.GetArrayFromImage(reader.Execute())[0]


# ---------------------------------------------------------------------------------------------------------------------
# What the scanner said


def _said(item: Slice, keyword: str) -> object | None:
    """An attribute of a classic header, or from wherever an enhanced one keeps it."""
    header = item.header
    if keyword in header:
        return header[keyword].value
    groups = [g[0] for g in (header.get("SharedFunctionalGroupsSequence"),) if g]
    if item.frame is not None:
        groups.append(header.PerFrameFunctionalGroupsSequence[item.frame])
    for group in groups:
        for macro in group:
            if macro.VR == "SQ" and macro.value and keyword in macro.value[0]:
                return macro.value[0][keyword].value
    return None


def _said_number(item: Slice, keyword: str) -> float | None:
    try:
        return _finite(_said(item, keyword))
    except (TypeError, ValueError):
        return None


def _said_text(item: Slice, keyword: str) -> str | None:
    value = _said(item, keyword)
    if value is None or value == "":
        return None
    return str(value) if isinstance(value, str) else "/".join(map(str, value))  # type: ignore[call-overload]


def _kernel(item: Slice) -> str | None:
    return _said_text(item, "ConvolutionKernel")


def _acquisition(slices: list[Slice], distance_mm: float, tilt_degrees: float) -> Acquisition:
    item = slices[len(slices) // 2]
    thicknesses = [value for s in slices if (value := _said_number(s, "SliceThickness")) is not None]
    return Acquisition(
        file_format="DICOM",
        matrix=item.matrix,
        pixel_mm=max(item.pixel_mm),
        slice_distance_mm=round(distance_mm, 4),
        slice_thickness_mm=max(thicknesses, default=None),
        collimation_mm=_said_number(item, "SingleCollimationWidth"),
        tube_voltage_kv=_said_number(item, "KVP"),
        tube_current_ma=_said_number(item, "XRayTubeCurrent") or _said_number(item, "XRayTubeCurrentInmA"),
        rotation_time_s=_said_number(item, "RevolutionTime"),
        field_of_view_mm=_said_number(item, "ReconstructionDiameter"),
        kernel=_kernel(item),
        filter_type=_said_text(item, "FilterType"),
        manufacturer=_said_text(item, "Manufacturer"),
        model=_said_text(item, "ManufacturerModelName"),
        patient_position=_said_text(item, "PatientPosition"),
        # An absent or empty attribute does not say that no agent was given.
        contrast_agent=True if _said_text(item, "ContrastBolusAgent") else None,
        tilt_degrees=round(tilt_degrees, 2),
        age_days=_age_days(item),
    )


def _age_days(item: Slice) -> int | None:
    """Days since the scan; None where no date stands in the header or it lies in the future."""
    for keyword in ("AcquisitionDate", "SeriesDate", "StudyDate"):
        text = str(_said(item, keyword) or "")
        try:
            scanned = datetime.strptime(text, "%Y%m%d").date()
        except ValueError:
            continue
        days = (date.today() - scanned).days
        return days if days >= 0 else None
    return None
