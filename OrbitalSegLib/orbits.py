"""Where the orbits are, by the shape of the bone alone, so that a picture or a panel can show them."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Point = tuple[float, float, float]

COARSE_MM = 2.0
"""The grid on which the orbits are looked for."""

_FAR_MM = 150.0
"""What lies this far behind the foremost bone counts as nothing."""

_PIT_MM = 30.0
"""A pit counts no deeper than this: how far one sees into an orbit depends on how much of its walls was found."""

_WIDEST_PIT_MM = 52.0
_OPENING_RADIUS_MM = 14.0
_RIM_RADII_MM = (18.0, 24.0)
"""An orbit's opening is about 40 mm wide and 35 mm high."""

_APART_MM = np.arange(44.0, 77.0, COARSE_MM)
"""From the middle of one orbit to that of the other, from child to adult."""

_LEAST_LIKENESS_MM = 16.0
"""Orbits had 22 to 26 mm in two heads and two skulls, the likest pair of other places 3 to 15 mm."""


@dataclass(frozen=True)
class Orbits:
    """The middle of each orbit's opening, LPS mm; y is that of its rim."""

    right_mm: Point
    left_mm: Point


def find_orbits(bone: sitk.Image) -> Orbits | None:
    """Look for the two orbits in a mask of bone: seen from the front each is a pit in a ring of bone, side by side.

    Returns None if nothing looks like that, as in a region with one orbit.
    """
    mask = _largest_object(bone)
    columns_of_bone = sitk.GetArrayFromImage(mask) != 0
    if not columns_of_bone.any():
        return None
    front_mm = np.where(columns_of_bone.any(axis=1), columns_of_bone.argmax(axis=1) * COARSE_MM, np.inf)
    front_mm = np.minimum(front_mm, front_mm.min() + _FAR_MM).astype(np.float32)
    likeness_mm = _likeness_to_an_orbit(front_mm)
    pairs = [_likest_pair(likeness_mm, round(apart_mm / COARSE_MM)) for apart_mm in _APART_MM]
    likest_mm, row, columns = max(pairs)
    if likest_mm < _LEAST_LIKENESS_MM:
        return None
    return Orbits(*(_opening(mask, front_mm, row, column) for column in columns))


def _largest_object(bone: sitk.Image) -> sitk.Image:
    """The largest object (26-connected) of the mask on a coarse grid along the patient's axes."""
    low, high = _bounds_mm(bone)
    size = [int(cells) for cells in np.ceil((high - low) / COARSE_MM) + 1]
    coarse = sitk.Resample(
        bone,
        size,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        low.tolist(),
        [COARSE_MM] * 3,
        np.eye(3).ravel().tolist(),
    )
    largest = sitk.RelabelComponent(sitk.ConnectedComponent(coarse != 0, True)) == 1
    box = _box_of(largest)
    return sitk.RegionOfInterest(largest, box[3:], box[:3]) if box else largest


def _box_of(mask: sitk.Image) -> tuple[int, ...] | None:
    """The first voxel and the size of the box that holds the mask, or None if it is empty."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    return statistics.GetBoundingBox(1) if statistics.HasLabel(1) else None


def _bounds_mm(image: sitk.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest coordinates (LPS) of the voxel centres."""
    last = np.array(image.GetSize()) - 1
    corners = [
        image.TransformIndexToPhysicalPoint([int(i) for i in corner * last])
        for corner in np.array(list(np.ndindex(2, 2, 2)))
    ]
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _likeness_to_an_orbit(front_mm: Floats) -> Floats:
    """How much deeper the opening around each place is than the rim around that, in mm."""
    border = round(_WIDEST_PIT_MM / COARSE_MM)
    padded = sitk.GetImageFromArray(np.pad(front_mm, border, constant_values=front_mm.max()))
    radius = round(_WIDEST_PIT_MM / 2 / COARSE_MM)
    pits_mm = sitk.Minimum(sitk.WhiteTopHat(padded, [radius, radius], sitk.sitkBall), _PIT_MM)
    distance_mm = _distance_mm(round(_RIM_RADII_MM[1] / COARSE_MM))
    opening = distance_mm <= _OPENING_RADIUS_MM
    rim = (distance_mm >= _RIM_RADII_MM[0]) & (distance_mm <= _RIM_RADII_MM[1])
    kernel = sitk.GetImageFromArray((opening / opening.sum() - rim / rim.sum()).astype(np.float32))
    return sitk.GetArrayFromImage(sitk.Convolution(pits_mm, kernel))[border:-border, border:-border]


def _likest_pair(likeness_mm: Floats, apart: int) -> tuple[float, int, tuple[int, int]]:
    """How like orbits the likest two places are that lie `apart` cells side by side, and their row and columns."""
    both_mm = np.minimum(likeness_mm[:, :-apart], likeness_mm[:, apart:])
    if both_mm.size == 0:
        return 0.0, 0, (0, 0)
    row, column = (int(i) for i in np.unravel_index(both_mm.argmax(), both_mm.shape))
    return float(both_mm[row, column]), row, (column, column + apart)


def _distance_mm(cells: int) -> NDArray[np.float64]:
    """The distance from the middle of a square of 2 `cells` + 1."""
    return np.hypot(*np.indices((2 * cells + 1, 2 * cells + 1)) - cells) * COARSE_MM


def _opening(mask: sitk.Image, front_mm: Floats, row: int, column: int) -> Point:
    """The middle of an orbit's opening, as deep as its rim usually lies."""
    cells = round(_RIM_RADII_MM[1] / COARSE_MM)
    around = np.pad(front_mm, cells, constant_values=np.nan)[row : row + 2 * cells + 1, column : column + 2 * cells + 1]
    rim_mm = float(np.nanmedian(around[_distance_mm(cells) >= _RIM_RADII_MM[0]]))
    return mask.TransformContinuousIndexToPhysicalPoint((float(column), rim_mm / COARSE_MM, float(row)))


def bounds_of_bone_mm(bone: sitk.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest coordinates (LPS) of the box around a mask, or of its grid if it is empty."""
    box = _box_of(bone)
    return _bounds_mm(sitk.RegionOfInterest(bone, box[3:], box[:3]) if box else bone)
