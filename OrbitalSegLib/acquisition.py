"""The scan held against the minimum conditions for the orbit: table A.1 of [3532-2 A]."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.region import MARGIN_MM, Region
from OrbitalSegLib.scan import Acquisition, Scan

MET, NOT_MET, NOT_STATED = "met", "not met", "not stated"
DECISIVE, ADVICE, NOTE = "decisive", "advice", "note"
"""Decides whether thin walls can be judged; a condition of the table that does not; more than the table asks."""

BORDERLINE_SLICE_MM = 1.25
"""Up to here the judgement is borderline: the table's own limit for reconstructed slices [3532-2 A], and the scans of
its worked example were up to 1.00 mm [3532-2 D]."""

BORDERLINE_PIXEL_MM = 1.0
"""Pixels above this are coarser than any slice the table allows."""

TABLE_MATRIX = 512

ORBIT_HEIGHT_MM = 50.0
"""From 1 cm above the supraorbital foramen to the infraorbital foramen in an adult: 10 mm + the orbit's height of about
35 mm + 5 to 10 mm below the rim. A lower scan cannot hold the table's region."""

OLD_SCAN_MONTHS = 3
"""The time between scan and modelling should be short [3532-1]; three months is our reading of short."""

SMALLEST_PRINTED_MM = 0.3
"""Features below this do not print on some printers [3532-1]."""

KERNELS = (
    (r"STANDARD|STD\+?|STND|SOFT", True),  # GE
    (r"BONE(PLUS)?|DETAIL|EDGE|LUNG|ULTRA", False),
    (r"[BHJTUQ][a-z]?[1-4]\d[a-z]*(/\d)?", True),  # Siemens: the number grows with sharpness
    (r"[BHJTUQ][a-z]?[5-9]\d[a-z]*(/\d)?", False),
    (r"U?[AB]|E[AB]", True),  # Philips
    (r"[CDEL]|E[CD]|Y[A-E]", False),
    (r"FC[0-2]\d", True),  # Canon and Toshiba
    (r"FC[358]\d", False),
)
"""Patterns of the makers' kernel names, and whether each is a standard (soft-tissue) kernel. A name that fits none is
`not stated`: we do not know it."""


@dataclass(frozen=True)
class Subject:
    """What a check may look at."""

    scan: Scan
    region: Region

    @property
    def acquisition(self) -> Acquisition:
        return self.scan.acquisition

    @property
    def slice_distance_mm(self) -> float:
        """The largest distance of neighbouring slices in the region and its margin."""
        return self.scan.planes.largest_distance_mm(self.region.corners_mm(MARGIN_MM))


@dataclass(frozen=True)
class Check:
    """One row of the table. `judge` gives the value found (None: not stated) and whether it meets the condition
    (None: it cannot be told)."""

    id: str
    term: str
    condition: str
    kind: str
    judge: Callable[[Subject], tuple[str | None, bool | None]]


@dataclass(frozen=True)
class Condition:
    """A check's outcome."""

    id: str
    term: str
    condition: str
    found: str | None
    verdict: str
    kind: str


@dataclass(frozen=True)
class Feasibility:
    """Whether thin walls can be judged on this scan: `feasible`, `borderline` or `not feasible`, and why."""

    thin_walls: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"Thin walls: {self.thin_walls}. {self.reason}"


def _number(value: float | None, unit: str, accept: Callable[[float], bool]) -> tuple[str | None, bool | None]:
    if value is None:
        return None, None
    return f"{value:g} {unit}", accept(value)


def _coverage(subject: Subject) -> tuple[str | None, bool | None]:
    corners = subject.region.corners_mm()
    if corners is not None:
        if not subject.scan.planes.hold(corners):
            return "the scan cuts the region off", False
        height = float(np.ptp(corners[:, 2]))
        return f"{height:.0f} mm of height, all scanned; whether both orbits lie inside has to be looked at", None
    height = _height_mm(subject.scan.image)
    if height < ORBIT_HEIGHT_MM:
        return f"{height:.0f} mm of height", False
    return f"{height:.0f} mm of height; whether both orbits lie inside has to be looked at", None


def _height_mm(image: sitk.Image) -> float:
    """Extent of the scan along the patient's long axis, by the image axis closest to it."""
    direction = np.abs(np.array(image.GetDirection()).reshape(3, 3)[2])
    axis = int(direction.argmax())
    return float(image.GetSize()[axis] * image.GetSpacing()[axis] * direction[axis])


def _position(subject: Subject) -> tuple[str | None, bool | None]:
    position = subject.acquisition.patient_position
    return position, None if position is None else position.upper() in ("HFS", "FFS")


def _matrix(subject: Subject) -> tuple[str | None, bool | None]:
    rows, columns = subject.acquisition.matrix
    return f"{rows} x {columns}", min(rows, columns) >= TABLE_MATRIX


def _kernel(subject: Subject) -> tuple[str | None, bool | None]:
    kernel = subject.acquisition.kernel
    if kernel is None:
        return None, None
    for pattern, standard in KERNELS:
        if re.fullmatch(pattern, kernel.split("/")[0], re.IGNORECASE if kernel.isupper() else 0):
            return kernel, standard
    return f"{kernel} (a name that is not known here)", None


def _format(subject: Subject) -> tuple[str | None, bool | None]:
    return subject.acquisition.file_format, subject.acquisition.file_format == "DICOM"


def _contrast(subject: Subject) -> tuple[str | None, bool | None]:
    if subject.acquisition.contrast_agent:
        return "given: vessels and mucosa may be called bone", False
    return None, None


def _smallest_feature(subject: Subject) -> tuple[str | None, bool | None]:
    spacing = subject.scan.image.GetSpacing()
    voxel = " x ".join(f"{v:.2f}" for v in spacing)
    return f"voxels of {voxel} mm", max(spacing) <= SMALLEST_PRINTED_MM


def _tilt(subject: Subject) -> tuple[str | None, bool | None]:
    tilt = subject.acquisition.tilt_degrees
    return f"{tilt:g}°", tilt < 0.1


CHECKS = (
    Check("region", "Region", "1 cm above the supraorbital foramen to the infraorbital foramen", DECISIVE, _coverage),
    Check("position", "Position", "supine", ADVICE, _position),
    Check("matrix", "Matrix", "at least 512 x 512", DECISIVE, _matrix),
    Check(
        "tube-voltage",
        "Tube voltage",
        "80 to 120 kV (100 advised)",
        ADVICE,
        lambda s: _number(s.acquisition.tube_voltage_kv, "kV", lambda v: 80 <= v <= 120),
    ),
    Check(
        "tube-current",
        "Tube current",
        "250 to 400 mA",
        ADVICE,
        lambda s: _number(s.acquisition.tube_current_ma, "mA", lambda v: 250 <= v <= 400),
    ),
    Check(
        "scan-slice-thickness",
        "Scan slice thickness",
        "below 1.0 mm",
        DECISIVE,
        lambda s: _number(s.acquisition.collimation_mm, "mm", lambda v: v < 1.0),
    ),
    Check(
        "rotation-time",
        "Rotation time",
        "0.5 to 1.5 s",
        ADVICE,
        lambda s: _number(s.acquisition.rotation_time_s, "s", lambda v: 0.5 <= v <= 1.5),
    ),
    Check(
        "field-of-view",
        "Field of view",
        "100 to 150 mm",
        ADVICE,
        lambda s: _number(s.acquisition.field_of_view_mm, "mm", lambda v: 100 <= v <= 150),
    ),
    Check(
        "slice-thickness",
        "Reconstructed slice thickness",
        "below 1.25 mm",
        DECISIVE,
        lambda s: _number(s.acquisition.slice_thickness_mm, "mm", lambda v: v < 1.25),
    ),
    Check(
        "slice-spacing",
        "Slice spacing",
        "below 1.0 mm",
        DECISIVE,
        lambda s: _number(s.slice_distance_mm, "mm", lambda v: v < 1.0),
    ),
    Check("kernel", "Kernel", "standard", ADVICE, _kernel),
    Check("format", "Format", "DICOM", ADVICE, _format),
    Check(
        "age",
        "Age of the scan",
        f"up to {OLD_SCAN_MONTHS} months",
        NOTE,
        lambda s: _number(s.acquisition.age_months, "months", lambda v: v <= OLD_SCAN_MONTHS),
    ),
    Check("contrast", "Contrast agent", "none", NOTE, _contrast),
    Check("smallest-feature", "Features under 0.3 mm", "voxels no larger than 0.3 mm", NOTE, _smallest_feature),
    Check("tilt", "Gantry tilt", "none", NOTE, _tilt),
)


def check(scan: Scan, region: Region) -> tuple[list[Condition], Feasibility]:
    """Every row of table A.1 and more, and the judgement for thin walls [3532-2 7, A]."""
    subject = Subject(scan, region)
    conditions = []
    for row in CHECKS:
        found, accepted = row.judge(subject)
        verdict = NOT_STATED if accepted is None else MET if accepted else NOT_MET
        conditions.append(Condition(row.id, row.term, row.condition, found, verdict, row.kind))
    return conditions, _judge(conditions, subject)


def _judge(conditions: list[Condition], subject: Subject) -> Feasibility:
    acquisition = subject.acquisition
    thickness_mm = acquisition.slice_thickness_mm or 0.0
    if thickness_mm > BORDERLINE_SLICE_MM:
        text = f"Slices {thickness_mm:.2f} mm thick blur thin walls beyond judging; they need {BORDERLINE_SLICE_MM} mm."
        return Feasibility("not feasible", text)
    if subject.slice_distance_mm > BORDERLINE_SLICE_MM:
        text = f"Slices lie up to {subject.slice_distance_mm:.2f} mm apart; thin walls need {BORDERLINE_SLICE_MM} mm."
        return Feasibility("not feasible", text)
    if acquisition.pixel_mm > BORDERLINE_PIXEL_MM:
        return Feasibility("not feasible", f"Pixels of {acquisition.pixel_mm:.2f} mm are too coarse for thin walls.")
    decisive = {row.id: row for row in conditions if row.kind == DECISIVE}
    if decisive["region"].verdict == NOT_MET:
        return Feasibility("not feasible", f"The scan does not hold the region: {decisive['region'].found}.")
    unmet = [f"{row.term.lower()} {row.found}" for row in decisive.values() if row.verdict == NOT_MET]
    if unmet:
        return Feasibility("borderline", f"Table A.1 is not met in what decides: {', '.join(unmet)}.")
    if decisive["slice-thickness"].verdict == NOT_STATED:
        return Feasibility("borderline", "The slice thickness is not stated: the voxels may hide thicker slices.")
    unknown = [row.term.lower() for row in decisive.values() if row.verdict == NOT_STATED]
    if unknown:
        return Feasibility("feasible", f"Nothing speaks against it, but this is not stated: {', '.join(unknown)}.")
    return Feasibility("feasible", "Every condition that decides is met.")
