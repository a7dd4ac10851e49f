"""The scan on a grid along the patient's axes, as far as it holds bone."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.locating.orbit_model import Flags, Floats

Values = TypeVar("Values", Floats, Flags)

COARSE_MM = 3.0
"""Cells of the grid on which the orbits are looked for."""

BONE_FROM_HU, BONE_AT_HU = 120.0, 320.0
"""On the coarse grid, where thin bone is diluted: no bone up to the first, bone from the second."""

PADDING_HU = -1024
"""What reading puts where the scanner gave no value."""

_OUTSIDE_HU = -30_000
_AIR_BELOW_HU = -900
CELLS_AROUND = 36
"""The grid is widened by this, so that a pair of orbits that begins in the scan stays on the grid."""

BEYOND_BONE_MM = 24.0


@dataclass(frozen=True)
class Field:
    """What is on a grid whose axes are the patient's: arrays (z, y, x), `origin` (x, y, z) and the cells in mm."""

    cell_mm: float
    origin: Floats
    hu: Floats
    bone: Floats
    unknown: Flags
    walls: Floats
    """The most bone within a cell, and the odds of it where nothing is known."""
    solid: Floats
    """Bone, and the odds of it where nothing is known."""

    @classmethod
    def of(cls, ct: sitk.Image, cell_mm: float = COARSE_MM) -> "Field | None":
        """None if there is no bone."""
        hu, origin = _on_grid(ct, cell_mm)
        unknown = _unknown(hu)
        bone = np.clip((hu - BONE_FROM_HU) / (BONE_AT_HU - BONE_FROM_HU), 0, 1).astype(np.float32)
        places = np.argwhere(bone > 0.5)
        if not len(places):
            return None
        beyond = round(BEYOND_BONE_MM / cell_mm)
        low, high = np.maximum(places.min(axis=0) - beyond, 0), places.max(axis=0) + beyond + 1
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        hu = np.pad(hu[part], CELLS_AROUND, constant_values=_OUTSIDE_HU)
        bone, unknown = np.pad(bone[part], CELLS_AROUND), np.pad(unknown[part], CELLS_AROUND, constant_values=True)
        most = most_around(bone)
        return cls(
            cell_mm,
            origin + (low[::-1] - CELLS_AROUND) * cell_mm,
            hu,
            bone,
            unknown,
            np.where(unknown & (most < 0.3), np.float32(0.45), most),
            np.where(unknown, np.float32(0.15), bone),
        )

    @property
    def strides(self) -> NDArray[np.int32]:
        _, rows, columns = self.bone.shape
        return np.array([1, columns, rows * columns], np.int32)

    def nearest(self, points: Floats) -> NDArray[np.int32]:
        """The flat indices of the nearest cells."""
        cells = np.rint((points - self.origin) / self.cell_mm).astype(np.int32)
        return np.clip(cells, 0, np.array(self.bone.shape, np.int32)[::-1] - 1) @ self.strides

    def between(self, values: Floats, points: Floats) -> Floats:
        """The values between cells, linearly."""
        places = np.clip((points - self.origin) / self.cell_mm, 0, np.array(self.bone.shape)[::-1] - 1.001)
        cells = places.astype(np.int32)
        share = (places - cells).astype(np.float32)
        first, flat = cells @ self.strides, values.ravel()
        x, y, z = share[..., 0], share[..., 1], share[..., 2]
        _, row, layer = self.strides
        rows = [flat[first + step] * (1 - x) + flat[first + step + 1] * x for step in (0, row, layer, layer + row)]
        return (rows[0] * (1 - y) + rows[1] * y) * (1 - z) + (rows[2] * (1 - y) + rows[3] * y) * z


def _unknown(hu: Floats) -> Flags:
    """Cells outside the scan or padded: neither thin streaks of that value, nor all air if that has it too."""
    padded, air = hu == PADDING_HU, (hu > PADDING_HU) & (hu < _AIR_BELOW_HU)
    outside = hu < _OUTSIDE_HU / 2
    if air.sum() <= 0.2 * padded.sum():
        return outside
    return outside | most_around(~most_around(~(padded | outside)))


def _on_grid(ct: sitk.Image, cell_mm: float) -> tuple[Floats, Floats]:
    """The mean HU on a grid along the patient's axes, and the centre of its first cell."""
    factors = [min(max(1, int(0.9 * cell_mm // mm)), n) for mm, n in zip(ct.GetSpacing(), ct.GetSize(), strict=True)]
    shrunk = sitk.Cast(sitk.BinShrink(ct, factors), sitk.sitkFloat32)
    last = np.array(shrunk.GetSize()) - 1
    corners = np.array(
        [shrunk.TransformIndexToPhysicalPoint((last * corner).tolist()) for corner in np.ndindex(2, 2, 2)]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = [int(n) for n in np.ceil((high - low) / cell_mm) + 1]
    grid = (size, sitk.Transform(), sitk.sitkLinear, low.tolist(), [cell_mm] * 3, np.eye(3).ravel().tolist())
    return sitk.GetArrayFromImage(sitk.Resample(shrunk, *grid, _OUTSIDE_HU)), low


def most_around(values: Values) -> Values:
    """The highest value of each cell and its neighbours."""
    for axis in range(3):
        line = np.moveaxis(values, axis, 0)
        most = line.copy()
        np.maximum(most[1:], line[:-1], out=most[1:])
        np.maximum(most[:-1], line[1:], out=most[:-1])
        values = np.moveaxis(most, 0, axis)
    return np.ascontiguousarray(values)
