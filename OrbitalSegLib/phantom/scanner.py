"""A CT scanner: slices of a head at true positions, blurred and noisy as the machine makes them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.phantom.anatomy import METAL_HU, Anatomy
from OrbitalSegLib.phantom.sampling import SliceGrid, density, slice_by_slice
from OrbitalSegLib.progress import Progress, silent

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""12 bits [3532-2 7]."""

AXES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "HFS": ((1, 0, 0), (0, 1, 0)),
    "FFS": ((-1, 0, 0), (0, 1, 0)),
    "HFP": ((-1, 0, 0), (0, -1, 0)),
    "FFP": ((1, 0, 0), (0, -1, 0)),
}
"""Patient position -> direction of rows and of columns in patient space: the image axes are fixed to the gantry."""

SHARP_GAIN = 1.2
"""How much of what the point spread takes away the sharp kernel gives back, and more."""

UNEVEN = 0.4
"""Uneven slice distances lie within this share of the nominal distance: 0.6 to 1.4 mm at 1 mm."""

STREAK_ANGLES = 24
STREAK_HU = 350.0
STREAK_WIDTH_MM = 0.8
STREAK_REACH_MM = 35.0
"""Streaks through metal: how many, how strong beside it, how wide, and after how many mm they have faded."""


@dataclass(frozen=True)
class Scanner:
    """How the head is scanned. Raises `JobError` `invalid-job` where a value makes no scan."""

    matrix: int = 512
    pixel_mm: float = 150 / 512  # field of view of 150 mm, the largest that table A.1 allows [3532-2 A]
    slice_thickness_mm: float = 0.6
    """Width of the slice profile, a box."""
    spacing_mm: float = 0.6
    """How far the table moves from slice to slice."""
    height_mm: float = 84.0
    """How far the table moves in all."""
    centre_mm: tuple[float, float, float] = (0.0, 25.0, 0.0)
    """The middle of the scan in patient space."""
    point_spread_mm: float = 0.3
    """Standard deviation in the slice."""
    kernel: Literal["standard", "sharp"] = "standard"
    noise_hu: float = 12.0
    """Standard deviation; neighbouring pixels of a slice are correlated."""
    tilt_degrees: float = 0.0
    """Of the gantry: the slices turn about the x axis while the table still moves along z."""
    uneven: bool = False
    """Slice distances between 0.6 and 1.4 times `spacing_mm`."""
    missing: tuple[int, ...] = ()
    """Slices that were lost, counted from the first."""
    patient_position: Literal["HFS", "FFS", "HFP", "FFP"] = "HFS"
    seed: int = 1

    def __post_init__(self) -> None:
        sizes = (self.pixel_mm, self.slice_thickness_mm, self.spacing_mm, self.height_mm)
        if min(sizes) <= 0 or self.matrix < 16 or self.noise_hu < 0 or self.point_spread_mm < 0:
            raise JobError("invalid-job", "The phantom's scanner needs sizes above 0 and a matrix of 16 or more.")
        if not -30 <= self.tilt_degrees <= 30:
            raise JobError("invalid-job", "The phantom's tilt_degrees must lie between -30 and 30.")

    @property
    def field_of_view_mm(self) -> float:
        return self.matrix * self.pixel_mm

    def grid(self) -> SliceGrid:
        """Where the slices lie, in the order in which they were taken."""
        count = round(self.height_mm / self.spacing_mm) + 1
        steps = np.full(count - 1, self.spacing_mm)
        if self.uneven:
            jitter = np.random.default_rng(self.seed).uniform(-UNEVEN, UNEVEN, count - 1)
            steps *= 1 + jitter - jitter.mean()
        table_mm = np.concatenate([[0.0], np.cumsum(steps)]) - steps.sum() / 2
        table_mm = np.delete(table_mm, self.missing)
        row, column = (np.array(axis, float) for axis in AXES[self.patient_position])
        normal = np.cross(row, column)
        tilt = np.radians(self.tilt_degrees)
        column = np.cos(tilt) * column - np.sin(tilt) * normal
        half = self.pixel_mm * (self.matrix - 1) / 2
        centres = np.array(self.centre_mm) + table_mm[:, None] * normal
        return SliceGrid(
            origins=centres - half * (row + column),
            row=row,
            column=column,
            shape=(self.matrix, self.matrix),
            voxel_mm=(self.pixel_mm, self.pixel_mm, self.slice_thickness_mm),
        )


@dataclass(frozen=True)
class Scanned:
    """What the scanner gives: HU (slices, rows, columns), signed 16 bits, and where each slice lies."""

    anatomy: Anatomy
    scanner: Scanner
    grid: SliceGrid
    voxels: np.ndarray


def scan(anatomy: Anatomy, scanner: Scanner, progress: Progress = silent) -> Scanned:
    """Scan a head made by formula. The same head, scanner and seed give the same voxels.

    Examples
    --------
    >>> from OrbitalSegLib.phantom.anatomy import Anatomy
    >>> coarse = Scanner(matrix=24, pixel_mm=6.0, slice_thickness_mm=6.0, spacing_mm=6.0)
    >>> scan(Anatomy(), coarse).voxels.shape
    (15, 24, 24)
    """
    grid = scanner.grid()
    count = len(grid.origins)
    voxels = np.empty((count, *grid.shape), np.int16)
    random = np.random.default_rng(scanner.seed)
    for some, planes in slice_by_slice(density, anatomy, grid):
        for index, plane in enumerate(planes, some.start):
            hu = _taken(plane, scanner, random)
            voxels[index] = np.rint(np.clip(hu, LOWEST_HU, HIGHEST_HU))
        progress(some.stop / count)
    return Scanned(anatomy, scanner, grid, voxels)


def _taken(plane: np.ndarray, scanner: Scanner, random: np.random.Generator) -> np.ndarray:
    """One slice as it is reconstructed: point spread, kernel, streaks, noise."""
    blurred = _blurred(plane, scanner.point_spread_mm / scanner.pixel_mm)
    if scanner.kernel == "sharp":
        blurred += SHARP_GAIN * (blurred - _blurred(blurred, 1.5 * scanner.point_spread_mm / scanner.pixel_mm))
    metal = plane > METAL_HU / 2
    if metal.any():
        blurred += _streaks(metal, scanner.pixel_mm)
    if scanner.noise_hu:
        white = random.standard_normal(plane.shape, np.float32)
        noise = _blurred(white, 0.7)
        blurred += noise * (scanner.noise_hu / noise.std())
    return blurred


def _blurred(plane: np.ndarray, sigma_pixels: float) -> np.ndarray:
    if sigma_pixels <= 0:
        return plane.copy()
    image = sitk.GetImageFromArray(plane)
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, sigma_pixels**2, 32, 0.001, False))


def _streaks(metal: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Bright and dark lines through the middle of the metal, in turn."""
    middles = [indices.mean() for indices in np.nonzero(metal)]
    y, x = ((np.arange(n, dtype=np.float32) - m) * pixel_mm for n, m in zip(metal.shape, middles, strict=True))
    fade = np.exp(-np.hypot(y[:, None], x[None, :]) / STREAK_REACH_MM)
    streaks = np.zeros(metal.shape, np.float32)
    for index in range(STREAK_ANGLES):
        angle = np.pi * index / STREAK_ANGLES
        across = np.abs(y[:, None] * np.cos(angle) - x[None, :] * np.sin(angle))
        streaks += (1 if index % 2 else -1) * np.exp(-((across / STREAK_WIDTH_MM) ** 2))
    return STREAK_HU * streaks * fade
