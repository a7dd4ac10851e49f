"""What reading returns: one CT image in HU, and what the scanner said of it."""

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np
import SimpleITK as sitk

AIR_HU = -1024
"""The lowest value of a 12-bit CT [3532-2 7]; padding becomes this."""

MOST_CHARACTERS, LARGEST_VALUE = 200, 1e9
"""What an acquisition that comes as JSON may hold."""

MINIMUM_SLICES = 4
"""Fewer planes are no volume: a scout or a key image."""

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
    age_months: int | None = None
    """Months from the scan to the day of reading: whole ones, since days would give the date of the scan away."""


def acquisition_from(values: dict[str, object]) -> Acquisition:
    """What `dataclasses.asdict` made of an acquisition, and JSON of that. Raises `TypeError` for anything else."""
    names = {item.name: item for item in fields(Acquisition)}
    wrong = [name for name, value in values.items() if name not in names or not _fits(name, value)]
    if wrong or not {"file_format", "matrix", "pixel_mm", "slice_distance_mm"} <= values.keys():
        raise TypeError(f"no acquisition: {', '.join(wrong) or 'incomplete'}")
    given: dict[str, Any] = {**values, "matrix": tuple(cast(list[int], values["matrix"]))}
    return Acquisition(**given)


_TEXTS = ("file_format", "kernel", "filter_type", "manufacturer", "model", "patient_position")


def _fits(name: str, value: object) -> bool:
    """Whether an attribute of an acquisition can have this value."""
    if name == "matrix":
        return isinstance(value, list | tuple) and len(value) == 2 and all(type(count) is int for count in value)
    if value is None:
        return name not in ("file_format", "pixel_mm", "slice_distance_mm", "tilt_degrees")
    if name == "contrast_agent":
        return isinstance(value, bool)
    if name in _TEXTS:
        return isinstance(value, str) and len(value) < MOST_CHARACTERS
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < LARGEST_VALUE


@dataclass(frozen=True)
class Planes:
    """Where the slices of a stack lie, sorted along their normal."""

    positions_mm: np.ndarray
    """(n, 3): centre of the first voxel of each slice, LPS."""
    row_direction: np.ndarray
    column_direction: np.ndarray
    """Unit vectors along which the column index and the row index grow."""
    pixel_mm: tuple[float, float]
    """Distance along the row direction and along the column direction."""
    matrix: tuple[int, int]
    """Rows, columns."""

    @classmethod
    def of(cls, image: sitk.Image) -> "Planes":
        """The slices of an image."""
        axes = np.array(image.GetDirection()).reshape(3, 3)
        depths = np.arange(image.GetSize()[2])[:, None] * image.GetSpacing()[2]
        columns, rows, _ = image.GetSize()
        return cls(
            np.array(image.GetOrigin()) + depths * axes[:, 2],
            axes[:, 0],
            axes[:, 1],
            image.GetSpacing()[:2],
            (rows, columns),
        )

    @property
    def normal(self) -> np.ndarray:
        across = np.cross(self.row_direction, self.column_direction)
        return (
            across
            if len(self.positions_mm) < 2 or across @ (self.positions_mm[-1] - self.positions_mm[0]) > 0
            else -across
        )

    @property
    def depths_mm(self) -> np.ndarray:
        """(n,): distance of each slice along the normal from the first."""
        return (self.positions_mm - self.positions_mm[0]) @ self.normal

    @property
    def shifts_mm(self) -> np.ndarray:
        """(n, 2): in-plane offset of each slice from the first, along rows and columns."""
        axes = np.stack([self.row_direction, self.column_direction], axis=1)
        return (self.positions_mm - self.positions_mm[0]) @ axes

    @property
    def tilt_degrees(self) -> float:
        """Angle between the stacking direction and the slice normal; 0 for an untilted gantry."""
        step = self.positions_mm[-1] - self.positions_mm[0]
        across = float(np.linalg.norm(step - (step @ self.normal) * self.normal))
        return float(np.degrees(np.arctan2(across, step @ self.normal)))

    def hold(self, points_mm: np.ndarray) -> bool:
        """Whether points (n, 3) all lie between scanned voxels, not in what resampling filled with air."""
        relative = points_mm - self.positions_mm[0]
        depths, half = self.depths_mm, float(np.median(np.diff(self.depths_mm))) / 2
        depth = relative @ self.normal
        inside = (depth >= depths[0] - half) & (depth <= depths[-1] + half)
        axes = (self.row_direction, self.column_direction)
        for axis, (direction, pixel, count) in enumerate(zip(axes, self.pixel_mm, self.matrix[::-1], strict=True)):
            place = (relative @ direction - np.interp(depth, depths, self.shifts_mm[:, axis])) / pixel
            inside &= (place >= -0.5) & (place <= count - 0.5)
        return bool(inside.all())

    def largest_distance_mm(self, points_mm: np.ndarray | None = None) -> float:
        """The largest distance of neighbouring slices, between the depths of points (n, 3) if given."""
        depths = self.depths_mm
        distances = np.diff(depths)
        if points_mm is not None:
            places = (points_mm - self.positions_mm[0]) @ self.normal
            touched = (depths[1:] > places.min()) & (depths[:-1] < places.max())
            distances = distances[touched] if touched.any() else distances
        return round(float(distances.max()), 4)


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
    planes: Planes
    """Where its slices lay before they were put on the scan grid."""
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
