"""A folder of DICOM, as it comes off a CD or out of a PACS -> the CT series fit for the orbit, as one `Scan`."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import temporary_folder
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.reading import units, values
from OrbitalSegLib.reading.claims import claims
from OrbitalSegLib.reading.headers import (
    CT_CLASSES,
    DamagedFile,
    Slice,
    dataset_of,
    header_of,
    no_positions,
    slices_of,
    text_of,
    values_of,
    with_points,
)
from OrbitalSegLib.reading.pixels import DamagedPixels, Frame, stored_frames
from OrbitalSegLib.reading.stack import find_gaps, to_image, without_duplicates
from OrbitalSegLib.scan import MINIMUM_SLICES, Acquisition, Planes, Scan

THIN_SLICES_MM = 1.25
"""Reconstructed slice thickness that table A.1 asks for [3532-2 A]."""

ORBIT_MM = 35.0
"""Height and width of an adult's orbit: a thinner stack cannot hold one."""

MODALITY_NAMES = {
    "MR": "an MR",
    "PT": "a PET",
    "NM": "a nuclear medicine",
    "US": "an ultrasound",
    "CR": "an X-ray",
    "DX": "an X-ray",
    "XA": "an X-ray",
}

DAYS_PER_MONTH = 30

HEAD_WORDS = ("HEAD", "SKULL", "ORBIT", "FACE", "FACIAL", "SINUS", "BRAIN", "EAR", "JAW", "NECK")
"""Body Part Examined values that can show an orbit."""

PROJECTIONS = ("MIP", "MINIP", "PROJECTION IMAGE", "VRT", "SSD")
"""Image Type values of pictures whose values are not those of the tissue at their place."""


@dataclass(frozen=True)
class Series:
    """The slices of one series that share orientation, matrix, pixel size and kernel, or why there are none."""

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
    not_hu: InputError | None = None
    """Why its values are no HU, as far as headers say; such a series can be taken where the user insists."""
    strays: int = 0
    """Damaged files in the same input that do not say to which series they belong."""

    @cached_property
    def slice_distance_mm(self) -> float:
        """Median distance of neighbouring slices; 0 where there is no stack."""
        depths = [self.slices[place[0]].depth_mm for place in _places(self.slices)]
        return float(np.median(np.diff(depths))) if len(depths) > 1 else 0.0

    @property
    def extent_mm(self) -> float:
        """From the first slice's face to the last one's; 0 where there is no stack."""
        return self.slices[-1].depth_mm - self.slices[0].depth_mm + self.slice_distance_mm if self.slices else 0.0

    @property
    def preference(self) -> tuple[object, ...]:
        """Sorts fit series, the best for the orbit first."""
        body = self.body_part.upper()
        return (
            bool(body) and not any(word in body for word in HEAD_WORDS),
            any(word in self.image_type for word in PROJECTIONS),
            self.extent_mm < ORBIT_MM,
            self.slice_distance_mm > THIN_SLICES_MM,
            "ORIGINAL" not in self.image_type,
            round(self.slice_distance_mm, 2),
            -len(self.slices),
            int(self.number) if self.number.isdecimal() else 0,
            self.uid,
        )

    @property
    def rank(self) -> int:
        """0: fit, or fit but for a damaged file; 1: damaged files of no known series; 2: unfit."""
        if self.unfit is None:
            return 0
        if self.unfit.code not in ("truncated", "inconsistent"):
            return 2
        return 0 if self.slices else 1


# ---------------------------------------------------------------------------------------------------------------------
# Listing


def list_series(folder: Path, progress: Progress = silent) -> list[Series]:
    """Every DICOM series under a folder (or the one in a file), the best for the orbit first, unfit ones last.

    Raises `InputError` `unreadable` or `no-dicom`.
    """
    return _series_of(sorted(_files(folder)), progress)


def _series_of(files: list[Path], progress: Progress = silent) -> list[Series]:
    """See `list_series`."""
    stacks: list[list[Slice]] = []
    alike: dict[tuple[str, ...], list[list[Slice]]] = defaultdict(list)
    placeless: list[Dataset] = []
    damaged: list[str] = []
    with warnings.catch_warnings(action="ignore"):  # pydicom warns of values that break a rule and can be read
        for done, path in enumerate(files):
            progress(done / len(files))
            try:
                header = header_of(path)
                slices = slices_of(path, header) if header else []
            except DamagedFile as error:
                damaged.append(error.series_uid)
                continue
            if header and not slices:
                placeless.append(header)
            for item in slices:
                _put(item, alike[_key(item)], stacks)
    series = _with_damaged(_all_series(stacks, placeless, damaged), damaged)
    if not series:
        raise InputError("no-dicom", "There is no DICOM image here: choose the folder that holds the CT series.")
    return sorted(series, key=lambda item: (item.rank, item.preference))


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            "unreadable", "A folder of the scan cannot be opened: check its permissions, or copy it to your disk."
        ) from error

    if not folder.is_dir():
        yield folder
        return
    for parent, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if (path := Path(parent) / name).is_file())


def _key(item: Slice) -> tuple[str, ...]:
    """What the images of one stack share to the letter."""
    localizer = "LOCALIZER" in values_of(item.header.get("ImageType"))
    uid = text_of(item.header.get("SeriesInstanceUID"))
    return (uid, *map(str, item.matrix), str(localizer), item.said_text("ConvolutionKernel") or "")


def _put(item: Slice, alike: list[list[Slice]], stacks: list[list[Slice]]) -> None:
    """Put a slice into its stack among those of the same key, or start one."""
    for stack in alike:
        if item.shares_axes(stack[0]):
            stack.append(item)
            return
    alike.append([item])
    stacks.append(alike[-1])


def _all_series(stacks: list[list[Slice]], placeless: list[Dataset], damaged: list[str]) -> list[Series]:
    """The stacks, and the series of images that have no place in the patient.

    An image without a place that is in all else like a stack's is a damaged slice: added to `damaged`.
    """
    series = [_series(stack[0].header, stack, len(stack)) for stack in stacks]
    shapes = {(item.uid, *map(str, item.slices[0].matrix)) for item in series}
    others: dict[str, list[Dataset]] = defaultdict(list)
    for header in placeless:
        uid = text_of(header.get("SeriesInstanceUID"))
        if (uid, text_of(header.get("Rows")), text_of(header.get("Columns"))) in shapes:
            damaged.append(uid)
        else:
            others[uid].append(header)
    return series + [_series(headers[0], [], len(headers)) for headers in others.values()]


def _series(header: Dataset, stack: list[Slice], images: int) -> Series:
    slices = tuple(sorted(stack, key=lambda item: (item.depth_mm, item.identity)))
    unfit = _why_unfit(header, slices)
    not_hu = None if unfit else units.why_not_hu_by_headers(slices)
    return Series(
        uid=text_of(header.get("SeriesInstanceUID")),
        number=text_of(header.get("SeriesNumber")),
        description=text_of(header.get("SeriesDescription")),
        modality=_modality(header),
        image_type=values_of(header.get("ImageType")),
        kernel=(slices[0].said_text("ConvolutionKernel") or "") if slices else "",
        body_part=text_of(header.get("BodyPartExamined")),
        slices=slices,
        images=images,
        unfit=unfit or not_hu,
        not_hu=not_hu,
    )


def _with_damaged(series: list[Series], damaged: list[str]) -> list[Series]:
    """The series, unfit where files of theirs are damaged; damaged files of none of them are a series of their own."""
    known = {item.uid for item in series if item.uid}
    strays = sum(uid not in known for uid in damaged)
    marked = [replace(item, strays=strays) for item in series]
    for index, item in enumerate(marked):
        count = damaged.count(item.uid) if item.uid else 0
        if count and item.slices and (item.unfit is None or item.unfit.code == "too-few-slices"):
            marked[index] = replace(
                item, unfit=_damaged(f"{count} of the series' files {'is' if count == 1 else 'are'}")
            )
    if strays:
        unfit = _damaged(f"{strays} DICOM files are" if strays > 1 else "A DICOM file is")
        marked.append(Series("", "", "", "", (), "", "", (), strays, unfit))
    return marked


def _damaged(what_is: str) -> InputError:
    return InputError("truncated", f"{what_is} damaged or cut off: copy the series again from the CD or the PACS.")


def _places(slices: tuple[Slice, ...]) -> list[list[int]]:
    """Indices of the slices, grouped by the place where they lie."""
    return without_duplicates(np.array([item.depth_mm for item in slices]))


def _modality(header: Dataset) -> str:
    return text_of(header.get("Modality")) or ("CT" if header.get("SOPClassUID") in CT_CLASSES else "")


def _why_unfit(header: Dataset, slices: tuple[Slice, ...]) -> InputError | None:
    modality = _modality(header)
    if modality in MODALITY_NAMES:
        kind = MODALITY_NAMES[modality]
        return InputError("wrong-modality", f"This is {kind} series; OrbitalSeg needs a CT: choose the CT series.")
    if text_of(header.get("SamplesPerPixel") or 1) != "1" or "MONOCHROME" not in text_of(
        header.get("PhotometricInterpretation") or "MONOCHROME2"
    ):
        return InputError("colour", "This series holds colour pictures, not CT values: choose the original CT series.")
    if modality == "CT" and not slices and header.get("SOPClassUID") in CT_CLASSES:
        return no_positions()
    if modality != "CT" or not slices:
        return InputError(
            "no-ct", "This series holds screen captures or other objects, no CT slices: choose the CT series."
        )
    if "LOCALIZER" in values_of(header.get("ImageType")):
        return InputError("scout-only", "This is a scout (localizer), not a CT volume: choose the axial series.")
    places = _places(slices)
    if len(places) < MINIMUM_SLICES:
        count = "1 slice" if len(places) == 1 else f"{len(places)} slices"
        return InputError(
            "too-few-slices", f"This series has only {count}: choose the folder that holds the whole CT series."
        )
    several = sum(len({slices[index].identity for index in place}) > 1 for place in places)
    if several > len(places) / 2:
        return InputError(
            "time-series",
            "This series holds several images of every place (a perfusion or 4D scan, or several phases): "
            "choose a series with one image of each place.",
        )
    return values.wrong_rescale(slices)


# ---------------------------------------------------------------------------------------------------------------------
# Choosing


def choose(series: list[Series], wanted: str | None = None, grey_values: bool = False) -> tuple[Series, str]:
    """The wanted series (number or UID), or the one fit for the orbit, and why it was taken.

    `grey_values` lets a series that is unfit only for its values, which are no HU, pass for a fit one.

    `series` is what `list_series` gave. Raises `InputError`: `unknown-series`, or the reason why the (best) series is
    unfit.
    """
    if grey_values:
        series = [replace(item, unfit=None) if item.not_hu else item for item in series]
        series.sort(key=lambda item: (item.rank, item.preference))
    if wanted is not None:
        best = next((item for item in series if wanted and wanted in (item.number, item.uid)), None)
        if best is None:
            raise _unknown(series)
        reason = "asked for"
    else:
        usable = [item for item in series if item.rank < 2]
        best = usable[0] if usable else _closest(series)
        reason = _why_best(best, usable)
    if best.unfit:
        raise best.unfit
    return best, reason


def _unknown(series: list[Series]) -> InputError:
    numbers = sorted({item.number for item in series if item.number}, key=lambda number: (len(number), number))
    known = f"it has {', '.join(numbers)}" if numbers else "its series have no numbers"
    return InputError("unknown-series", f"The input has no such series; {known}: choose by number or UID.")


def _why_best(best: Series, usable: list[Series]) -> str:
    if len(usable) < 2:
        return "the only CT series with a stack of slices"
    distance = best.slice_distance_mm
    if distance <= THIN_SLICES_MM:
        virtue = "slices thin enough for the orbit"
    elif distance <= min(item.slice_distance_mm for item in usable if item.slices):
        virtue = "the thinnest slices"
    else:
        virtue = "the kind and extent that suit an orbit best"
    return f"of {len(usable)} CT series, the one with {virtue} ({distance:.2f} mm apart)"


def _closest(series: list[Series]) -> Series:
    """Where nothing is fit: what comes closest to a CT, for its sentence."""
    order = (
        "not-hu",
        "no-positions",
        "time-series",
        "too-few-slices",
        "scout-only",
        "wrong-modality",
        "colour",
        "no-ct",
    )
    return min((item for item in series if item.unfit), key=lambda item: order.index(item.unfit.code))  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------------------------------
# Loading


def full_headers(series: Series) -> list[Dataset]:
    """Everything that stands in the headers of a series' files, patient's identity included, in the slices' order.

    For results that are written into the scan's own study, and for nothing else.
    """
    paths = dict.fromkeys(item.path for item in _one_per_place(series)[0])
    with warnings.catch_warnings(action="ignore"):  # as in `list_series`
        return [_full_header(path) for path in paths]


def _full_header(path: Path) -> Dataset:
    with path.open("rb") as file:
        header = dataset_of(file)
    with_points(header)
    return header


def load(series: Series, progress: Progress = silent) -> Scan:
    """The series as one image in HU on the scan grid.

    Raises `InputError` `truncated`, `unreadable` or `too-large`.
    """
    slices, notes = _one_per_place(series)
    planes = _planes(slices)
    with warnings.catch_warnings(action="ignore"):  # as in `list_series`
        voxels, said = _voxels(slices, lambda fraction: progress(0.7 * fraction))
    wrong = values.contradiction(voxels, slices)
    if wrong:
        raise wrong
    notes += claims(slices, series.slice_distance_mm)
    notes += values.notes_of(slices, said)
    gaps = find_gaps(planes, [item.name for item in slices])
    image, measured = to_image(voxels, planes, lambda fraction: progress(0.7 + 0.3 * fraction))
    if measured["resampled"]:
        text = "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions."
        notes.append(("resampled", text))
    return Scan(
        image=image,
        acquisition=_acquisition(slices, planes),
        planes=planes,
        kind="dicom",
        measured={**measured, "duplicates_left_out": len(series.slices) - len(slices)},
        gaps=gaps,
        warnings=tuple(notes),
    )


def _one_per_place(series: Series) -> tuple[list[Slice], list[tuple[str, str]]]:
    """One slice for each place, in order, of several the one with the lowest number; and what has to be said of it."""
    places = _places(series.slices)
    slices = [
        min((series.slices[i] for i in place), key=lambda item: (item.instance, item.identity)) for place in places
    ]
    extra = len(series.slices) - len(slices)
    notes = []
    if extra:
        lie = "slice lies where another one lies and was" if extra == 1 else "slices lie where others lie and were"
        text = f"{extra} {lie} left out: check that the series was exported once."
        notes.append(("duplicates", text))
    if series.strays:
        files = "damaged file was" if series.strays == 1 else "damaged files were"
        text = f"{series.strays} {files} left out: if slices are missing, copy the series again."
        notes.append(("damaged-files", text))
    return slices, notes


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
        matrix=slices[0].matrix,
    )


def _voxels(slices: list[Slice], progress: Progress) -> tuple[np.ndarray, Counter[str]]:
    """(n, rows, columns) in HU: signed 16 bits where every slope and intercept is whole, else float.

    And the number of slices for each code of what has to be said of their values.
    """
    whole = all(float(v).is_integer() for item in slices for v in (item.slope, item.intercept))
    voxels = np.empty((len(slices), *slices[0].matrix), np.int16 if whole else np.float32)
    by_file = sorted(range(len(slices)), key=lambda index: slices[index].path)
    done = 0
    said: Counter[str] = Counter()
    with temporary_folder() as private:
        for path, group in groupby(by_file, key=lambda index: slices[index].path):
            indices = list(group)
            frames = stored_frames(path, [slices[index].frame or 0 for index in indices], private)
            for index in indices:
                voxels[index], note = values.in_hu(_next(frames, slices[index]), slices[index], whole)
                said.update([note] if note else [])
                done += 1
                progress(done / len(slices))
    return voxels, said


def _next(frames: Iterator[Frame], item: Slice) -> Frame:
    try:
        frame = next(frames)
    except DamagedPixels as error:
        raise _damaged(f"The file of {item.name} is") from error
    if frame.values.shape != item.matrix:
        raise _damaged(f"The file of {item.name} is")
    return frame


# ---------------------------------------------------------------------------------------------------------------------
# What the scanner said


def acquisition_of(files: list[Path]) -> Acquisition:
    """What the scanner said of the series in these files, and what its slices show, without reading a voxel.

    Raises `InputError` if there is no CT series in them.
    """
    slices, _ = _one_per_place(choose(_series_of(files), grey_values=True)[0])
    return _acquisition(slices, _planes(slices))


def _acquisition(slices: list[Slice], planes: Planes) -> Acquisition:
    item = slices[len(slices) // 2]
    thicknesses = [value for s in slices if (value := s.said_number("SliceThickness")) is not None]
    return Acquisition(
        file_format="DICOM",
        matrix=item.matrix,
        pixel_mm=max(item.pixel_mm),
        slice_distance_mm=planes.largest_distance_mm(),
        slice_thickness_mm=max(thicknesses, default=None),
        collimation_mm=item.said_number("SingleCollimationWidth"),
        tube_voltage_kv=item.said_number("KVP"),
        tube_current_ma=item.said_number("XRayTubeCurrent") or item.said_number("XRayTubeCurrentInmA"),
        rotation_time_s=item.said_number("RevolutionTime"),
        field_of_view_mm=item.said_number("ReconstructionDiameter"),
        kernel=item.said_text("ConvolutionKernel"),
        filter_type=item.said_text("FilterType"),
        manufacturer=item.said_text("Manufacturer"),
        model=item.said_text("ManufacturerModelName"),
        patient_position=item.said_text("PatientPosition"),
        contrast_agent=_contrast_agent(item),
        tilt_degrees=round(planes.tilt_degrees, 2),
        age_months=_age_months(item),
    )


def _contrast_agent(item: Slice) -> bool | None:
    """True, False, or None: an absent or empty attribute does not say that no agent was given."""
    agent = item.said_text("ContrastBolusAgent")
    if agent is None:
        return True if item.header.get("ContrastBolusAgentSequence") else None
    return agent.strip().upper() not in ("NONE", "NO", "N")


def _age_months(item: Slice) -> int | None:
    """Whole months since the scan; None where no date stands in the header or it lies in the future."""
    for keyword in ("AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "StudyDate"):
        try:
            scanned = datetime.strptime((item.said_text(keyword) or "")[:8], "%Y%m%d").date()
        except ValueError:
            continue
        days = (date.today() - scanned).days
        return days // DAYS_PER_MONTH if days >= 0 else None
    return None
