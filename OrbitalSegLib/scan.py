"""What reading returns: one CT image in HU, and what the scanner said of it."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

AIR_HU = -1024
"""The lowest value of a 12-bit CT [3532-2 7]; padding becomes this."""

HIGHEST_HU = 32_767
"""The highest value that is kept; extended scales reach 31,743 HU (metal)."""


@dataclass(frozen=True)
class Acquisition:
    """What the scanner said of a scan, and what its slices show. No patient identity. None is `not stated`."""

    file_format: str
    matrix: tuple[int, int]
    """Rows, columns."""
    pixel_mm: float
    slice_distance_mm: float
    """Largest distance of neighbouring slices that occurs, along their normal."""
    slice_thickness_mm: float | None = None
    """As reconstructed; the thickest where they differ."""
    collimation_mm: float | None = None
    """As scanned: width of one detector row."""
    tube_voltage_kv: float | None = None
    tube_current_ma: float | None = None
    rotation_time_s: float | None = None
    field_of_view_mm: float | None = None
    kernel: str | None = None
    filter_type: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    patient_position: str | None = None
    contrast_agent: bool | None = None
    tilt_degrees: float = 0.0
    """Gantry tilt as the slices' positions show it: angle of the stacking direction to the slice normal."""
    age_days: int | None = None
    """Days from the scan to the day of reading."""


@dataclass(frozen=True)
class Gap:
    """Slices that are missing between two neighbours, as distances along the slice normal."""

    before: str
    after: str
    start_mm: float
    end_mm: float
    local_distance_mm: float


@dataclass(frozen=True)
class Scan:
    """One CT on the scan grid (docs/contracts.md, section 3)."""

    image: sitk.Image
    """HU, signed 16 bits or float, three dimensions, LPS mm."""
    acquisition: Acquisition
    kind: str
    """`dicom`, `nrrd`, `nifti` or `meta`."""
    measured: dict[str, object] = field(default_factory=dict)
    """What reading found and did, for the record."""
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    """Code and sentence."""


def sha256_of(image: sitk.Image) -> str:
    """The hash of an image's voxels and grid, the same for the same series in whatever files and order."""
    array = sitk.GetArrayFromImage(image)
    grid = (array.dtype.str, image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    digest = hashlib.sha256(repr(grid).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def grid_of(image: sitk.Image) -> dict[str, object]:
    """The grid of an image, as the record writes it."""
    return {
        "size": list(image.GetSize()),
        "spacing_mm": list(image.GetSpacing()),
        "origin_mm": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
    }
