"""Regular grids in the scanned head, smooth random fields on them, and how much of a voxel lies behind a surface."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

SPLINE_SPREAD = (151 / 315) ** 1.5
"""Standard deviation of a cubic B-spline in three dimensions whose coefficients have standard deviation 1."""


@dataclass(frozen=True)
class Grid:
    """An isotropic grid along the axes of patient space (LPS, mm). Arrays on it are [z, y, x]."""

    origin_mm: tuple[float, float, float]
    size: tuple[int, int, int]
    spacing_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size[::-1]

    def axis_mm(self, axis: int) -> np.ndarray:
        """Where the voxels lie along x (0), y (1) or z (2)."""
        return (self.origin_mm[axis] + self.spacing_mm * np.arange(self.size[axis])).astype(np.float32)

    def open_axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and z, shaped so that together they broadcast to the grid."""
        x, y, z = (self.axis_mm(axis) for axis in range(3))
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def image(self, array: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((self.spacing_mm,) * 3)
        image.SetOrigin(self.origin_mm)
        return image

    def block(self, low_mm: np.ndarray, high_mm: np.ndarray) -> tuple[slice, slice, slice]:
        """The voxels inside a box, as slices of an array on the grid."""
        low = np.ceil((np.asarray(low_mm) - self.origin_mm) / self.spacing_mm).astype(int)
        high = np.floor((np.asarray(high_mm) - self.origin_mm) / self.spacing_mm).astype(int) + 1
        spans = [slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(low, high, self.size, strict=True)]
        return (spans[2], spans[1], spans[0])

    def part(self, block: tuple[slice, slice, slice]) -> "Grid":
        """The grid of a block's voxels."""
        starts = [block[2 - axis].start for axis in range(3)]
        sizes = tuple(block[2 - axis].stop - block[2 - axis].start for axis in range(3))
        origin = tuple(float(o + s * self.spacing_mm) for o, s in zip(self.origin_mm, starts, strict=True))
        return Grid((origin[0], origin[1], origin[2]), (sizes[0], sizes[1], sizes[2]), self.spacing_mm)


class SmoothField:
    """A random field without a preferred direction, twice smooth, of mean 0 and standard deviation 1.

    It is a cubic B-spline over a lattice of `cell_mm`, so that it has the same value at a place on whatever grid.
    """

    def __init__(self, random: np.random.Generator, reach_mm: float, cell_mm: float) -> None:
        """The field is defined for coordinates up to `reach_mm` on either side of 0."""
        self._cell_mm = cell_mm
        self._low_mm = -reach_mm - 2 * cell_mm
        count = int(np.ceil(2 * reach_mm / cell_mm)) + 5
        self._lattice = random.standard_normal((count,) * 3).astype(np.float32) / np.float32(SPLINE_SPREAD)

    def on(self, grid: Grid) -> np.ndarray:
        x, y, z = (self._weights(grid.axis_mm(axis)) for axis in range(3))
        field = y @ (self._lattice @ x.T)
        return np.tensordot(z, field, 1)

    def _weights(self, places_mm: np.ndarray) -> np.ndarray:
        """What each lattice point contributes at each place: (places, lattice)."""
        distance = np.abs((places_mm[:, None] - self._low_mm) / self._cell_mm - np.arange(len(self._lattice)))
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = np.clip(2 - distance, 0, None) ** 3 / 6
        return np.where(distance < 1, near, far).astype(np.float32)


def behind(distance_mm: np.ndarray, spacing_mm: float) -> np.ndarray:
    """The part of each voxel that lies behind a surface, given the signed distance of its centre, negative behind.

    A voxel is projected on the surface's normal as a box of its own width, which has the variance of the true
    projection whatever the direction: the sum over voxels is exact, and so is a thin wall's mass.
    """
    return np.clip(0.5 - distance_mm / np.float32(spacing_mm), 0, 1)


def sheet(distance_mm: np.ndarray, thickness_mm: np.ndarray | float, spacing_mm: float) -> np.ndarray:
    """The part of each voxel that a sheet fills, given the distance of the voxel's centre from its middle."""
    half = thickness_mm / 2
    return behind(distance_mm - half, spacing_mm) - behind(distance_mm + half, spacing_mm)
