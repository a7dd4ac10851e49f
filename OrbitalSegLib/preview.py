"""One picture of a result: three planes through the orbits with the bone's contour, and the surface from the front."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib import NOTICE, __version__
from OrbitalSegLib.files import write_image
from OrbitalSegLib.raster import Colour, Floats, FrontView, draw_front, draw_text, wrapped

Point = tuple[float, float, float]

WIDTH, HEIGHT = 1600, 1000
MARGIN = 20
HEADER = 64
FRONT_SIZE = (790, HEIGHT - HEADER - MARGIN)
PLANE_SIZE = (375, 448)
FRONT_MM_PER_PIXEL = 0.2
PLANE_MM_PER_PIXEL = 0.34
SCALE_BAR_MM = 20

BACKGROUND: Colour = (0.055, 0.065, 0.085)
PANEL: Colour = (0.0, 0.0, 0.0)
TEXT: Colour = (0.90, 0.92, 0.95)
FAINT: Colour = (0.55, 0.60, 0.67)
WARNING: Colour = (1.0, 0.74, 0.35)
CONTOUR: Colour = (1.0, 0.42, 0.16)

WINDOW_HU = (-500.0, 1300.0)
"""Level 400, width 1800: soft tissue stays dark, and a thin wall of 200 HU stands out from it."""

COARSE_MM = 2.0
"""The grid on which the orbits are looked for."""

CORONAL_BEHIND_RIM_MM = 15.0
"""A coronal plane this far behind the rims meets floor, roof and both walls of the orbit."""


@dataclass(frozen=True)
class Orbits:
    """The middle of each orbit's opening, LPS mm; y is that of its rim."""

    right_mm: Point
    left_mm: Point


@dataclass(frozen=True)
class _Plane:
    """A plane of a picture: which way its columns and rows run (LPS), and the letters at its edges."""

    name: str
    along: Point
    down: Point
    letters: str
    """Left, right, top, bottom."""


# Radiological convention: the patient's right is on the left, and the front of a sagittal plane too.
_PLANES = (
    _Plane("Coronal", (1, 0, 0), (0, 0, -1), "RLHF"),
    _Plane("Axial", (1, 0, 0), (0, 1, 0), "RLAP"),
    _Plane("Sagittal", (0, 1, 0), (0, 0, -1), "APHF"),
)


def draw_preview(
    ct: sitk.Image,
    bone: sitk.Image,
    surface: vtkPolyData | None,
    path: Path,
    caption: Sequence[str],
    at_mm: Point | None = None,
) -> None:
    """Draw the picture as PNG. `ct` is HU, `bone` a mask on the same grid, `surface` of the bone, LPS mm.

    The planes meet in `at_mm` (LPS), or else in one of the orbits, which are looked for in the bone. No skin is drawn
    but its edge in the planes. Raises `OutputError`.
    """
    at, middle = _places(bone, at_mm)
    at = _nearest_voxel(ct, at)
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    picture[:] = BACKGROUND
    _draw_header(picture)
    top = HEADER
    _paste(picture, _front_panel(surface, middle), (MARGIN, top))
    left = WIDTH - MARGIN - 2 * PLANE_SIZE[0] - 12
    cells = [
        (left + column * (PLANE_SIZE[0] + 12), top + row * (PLANE_SIZE[1] + 20)) for row in (0, 1) for column in (0, 1)
    ]
    for plane, cell in zip(_PLANES, cells, strict=False):
        _paste(picture, _plane_panel(ct, bone, plane, at, middle), cell)
    _draw_caption(picture, caption, cells[3])
    pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    write_image(sitk.GetImageFromArray(pixels, isVector=True), path)


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
    best = (_LEAST_LIKENESS_MM, 0, 0, 0)
    for apart in range(round(_APART_MM[0] / COARSE_MM), round(_APART_MM[1] / COARSE_MM) + 1):
        both_mm = np.minimum(likeness_mm[:, :-apart], likeness_mm[:, apart:])
        if both_mm.size:
            row, column = np.unravel_index(both_mm.argmax(), both_mm.shape)
            best = max(best, (float(both_mm[row, column]), int(row), int(column), apart))
    _, row, column, apart = best
    if not apart:
        return None
    return Orbits(*(_opening(mask, front_mm, row, x) for x in (column, column + apart)))


_FAR_MM = 150.0
"""What lies this far behind the foremost bone counts as nothing."""

_PIT_MM = 30.0
"""A pit counts no deeper than this: how far one sees into an orbit depends on how much of its walls was found."""

_WIDEST_PIT_MM = 52.0
_OPENING_RADIUS_MM = 14.0
_RIM_RADII_MM = (18.0, 24.0)
"""An orbit's opening is about 40 mm wide and 35 mm high."""

_APART_MM = (44.0, 76.0)
"""From the middle of one orbit to that of the other, from child to adult."""

_LEAST_LIKENESS_MM = 10.0
"""Orbits have 22 to 26 mm in three heads and two skulls, other places of theirs up to 10 mm."""


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
    return sitk.RelabelComponent(sitk.ConnectedComponent(coarse != 0, True)) == 1


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


def _distance_mm(cells: int) -> NDArray[np.float64]:
    """The distance from the middle of a square of 2 `cells` + 1."""
    return np.hypot(*np.indices((2 * cells + 1, 2 * cells + 1)) - cells) * COARSE_MM


def _opening(mask: sitk.Image, front_mm: Floats, row: int, column: int) -> Point:
    """The middle of an orbit's opening, as deep as its rim usually lies."""
    cells = round(_RIM_RADII_MM[1] / COARSE_MM)
    around = np.pad(front_mm, cells, constant_values=np.nan)[row : row + 2 * cells + 1, column : column + 2 * cells + 1]
    rim_mm = float(np.nanmedian(around[_distance_mm(cells) >= _RIM_RADII_MM[0]]))
    return mask.TransformContinuousIndexToPhysicalPoint((float(column), rim_mm / COARSE_MM, float(row)))


def _places(bone: sitk.Image, at_mm: Point | None) -> tuple[Point, Point]:
    """Where the planes meet, and the middle of what is shown."""
    if at_mm is not None:
        return at_mm, at_mm
    orbits = find_orbits(bone)
    if orbits is None:
        low, high = _bounds_of_bone_mm(bone)
        x, y, z = (float(v) for v in low + (high - low) * (0.5, 1 / 3, 0.5))
        return (x, y, z), (x, y, z)
    right, left = orbits.right_mm, orbits.left_mm
    x, y, z = ((a + b) / 2 for a, b in zip(right, left, strict=True))
    y += CORONAL_BEHIND_RIM_MM
    return (right[0], y, z), (x, y, z)


def _bounds_of_bone_mm(bone: sitk.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(bone)
    if not statistics.HasLabel(1):
        return _bounds_mm(bone)
    box = statistics.GetBoundingBox(1)
    return _bounds_mm(sitk.RegionOfInterest(bone, box[3:], box[:3]))


def _nearest_voxel(image: sitk.Image, point: Point) -> Point:
    """The nearest voxel centre: a plane through it shows voxels, not the mean of two slices."""
    index = np.clip(image.TransformPhysicalPointToIndex(point), 0, np.array(image.GetSize()) - 1)
    return image.TransformIndexToPhysicalPoint([int(i) for i in index])


def _plane_panel(ct: sitk.Image, bone: sitk.Image, plane: _Plane, at: Point, middle: Point) -> Floats:
    columns, rows = PLANE_SIZE
    through = _centre_of(plane, at, middle)
    hu = _sliced(ct, plane, through, 1, sitk.sitkLinear, float(WINDOW_HU[0]))
    low, high = WINDOW_HU
    grey = np.clip((hu - low) / (high - low), 0, 1).astype(np.float32)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    _cross_lines(picture, plane, at, through)
    line = _contour(bone, plane, through)[..., None]
    picture += line * (np.float32(CONTOUR) - picture)
    across = int(np.flatnonzero(np.abs(np.cross(plane.along, plane.down)) > 0.5)[0])
    draw_text(picture, f"{plane.name}  {'xyz'[across]} = {at[across]:.1f} mm", (10, 8), 15, FAINT)
    for letter, place, anchor in zip(
        plane.letters,
        ((8, rows / 2), (columns - 8, rows / 2), (columns / 2, 8), (columns / 2, rows - 8)),
        ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)),
        strict=True,
    ):
        draw_text(picture, letter, place, 20, TEXT, anchor)
    _scale_bar(picture, PLANE_MM_PER_PIXEL)
    return picture


def _centre_of(plane: _Plane, at: Point, middle: Point) -> Point:
    """The middle of a panel: on the plane, and where the orbits are well in view."""
    wanted = np.array(middle) + (0, _BEHIND_MIDDLE_MM, _ABOVE_MIDDLE_MM)
    across = np.abs(np.cross(plane.along, plane.down))
    x, y, z = (float(v) for v in wanted + across * (np.array(at) - wanted))
    return x, y, z


_BEHIND_MIDDLE_MM = 15.0
_ABOVE_MIDDLE_MM = -10.0


def _sliced(
    image: sitk.Image, plane: _Plane, centre: Point, supersampling: int, interpolator: int, outside: float
) -> Floats:
    """The image in a plane (rows, columns), in patient space whatever the grid of the image."""
    columns, rows = (length * supersampling for length in PLANE_SIZE)
    mm = PLANE_MM_PER_PIXEL / supersampling
    along, down = np.array(plane.along, float), np.array(plane.down, float)
    origin = np.array(centre) - along * (columns - 1) / 2 * mm - down * (rows - 1) / 2 * mm
    direction = np.stack([along, down, np.cross(along, down)], axis=1)
    size, spacing = [columns, rows, 1], [mm, mm, 1.0]
    plane_image = sitk.Resample(
        image,
        size,
        sitk.Transform(),
        interpolator,
        origin.tolist(),
        spacing,
        direction.ravel().tolist(),
        outside,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(plane_image)[0]


def _contour(bone: sitk.Image, plane: _Plane, centre: Point) -> Floats:
    """How much of each pixel a thin line around the bone covers, without the steps of the voxels.

    Voxels are blurred by half a voxel, under which a wall one voxel thick still keeps its two sides.
    """
    fine = 2
    inside = _sliced(bone, plane, centre, fine, sitk.sitkNearestNeighbor, 0.0)
    image = sitk.GetImageFromArray(inside)
    voxel = np.abs(np.reshape(bone.GetDirection(), (3, 3))) * bone.GetSpacing()
    pixels_a_voxel = [
        float(np.abs(axis) @ voxel.max(axis=1)) / PLANE_MM_PER_PIXEL * fine for axis in (plane.along, plane.down)
    ]
    level = sitk.GetArrayFromImage(
        sitk.DiscreteGaussian(image, [(0.5 * p) ** 2 for p in pixels_a_voxel], 64, 0.005, False)
    )
    level = level - 0.5
    rise = np.hypot(*np.gradient(level))
    from_line = np.abs(level) / np.maximum(rise, 1e-4)
    cover = np.clip(fine * LINE_PIXELS / 2 + 0.5 - from_line, 0, 1) * (rise > 1e-3)
    return cover.reshape(PLANE_SIZE[1], fine, PLANE_SIZE[0], fine).mean(axis=(1, 3))


LINE_PIXELS = 1.3


def _cross_lines(picture: Floats, plane: _Plane, at: Point, centre: Point) -> None:
    """Where the other two planes are."""
    offset = np.array(at) - centre
    column = round(PLANE_SIZE[0] / 2 + float(offset @ plane.along) / PLANE_MM_PER_PIXEL)
    row = round(PLANE_SIZE[1] / 2 + float(offset @ plane.down) / PLANE_MM_PER_PIXEL)
    for line in (picture[:, column : column + 1], picture[row : row + 1]):
        line += 0.35 * (np.float32(CROSS) - line)


CROSS: Colour = (0.35, 0.62, 0.95)


def _scale_bar(picture: Floats, mm_per_pixel: float) -> None:
    rows = picture.shape[0]
    length = round(SCALE_BAR_MM / mm_per_pixel)
    picture[rows - 16 : rows - 13, 12 : 12 + length] = TEXT
    draw_text(picture, f"{SCALE_BAR_MM} mm", (12 + length / 2, rows - 20), 14, TEXT, (0.5, 1))


def _front_panel(surface: vtkPolyData | None, middle: Point) -> Floats:
    columns, rows = FRONT_SIZE
    if surface is None:
        picture = np.full((rows, columns, 3), BACKGROUND, np.float32)
        draw_text(picture, "No surface was asked for", (columns / 2, rows / 2), 18, FAINT, (0.5, 0.5))
        return picture
    left, top = middle[0] - columns / 2 * FRONT_MM_PER_PIXEL, middle[2] + (rows / 2 - 60) * FRONT_MM_PER_PIXEL
    picture = draw_front(surface, FrontView(left, top, columns, rows, FRONT_MM_PER_PIXEL), BACKGROUND)
    for letter, place, anchor in (("R", (8, rows / 2), (0, 0.5)), ("L", (columns - 8, rows / 2), (1, 0.5))):
        draw_text(picture, letter, place, 22, TEXT, anchor)
    draw_text(picture, "Surface from the front", (10, 8), 15, FAINT)
    _scale_bar(picture, FRONT_MM_PER_PIXEL)
    return picture


def _draw_header(picture: Floats) -> None:
    draw_text(picture, f"OrbitalSeg {__version__}", (MARGIN, HEADER / 2), 28, TEXT, (0, 0.5))
    draw_text(picture, NOTICE, (WIDTH - MARGIN, HEADER / 2), 17, WARNING, (1, 0.5))


def _draw_caption(picture: Floats, caption: Sequence[str], at: tuple[int, int]) -> None:
    column, row = at
    for paragraph in caption:
        for line in wrapped(paragraph, 18, PLANE_SIZE[0] - 16):
            draw_text(picture, line, (column + 8, row), 18, TEXT)
            row += 26
        row += 12
    row = at[1] + PLANE_SIZE[1] - 60
    for colour, meaning in ((CONTOUR, "edge of the bone that was found"), (CROSS, "the other two planes")):
        picture[row + 8 : row + 10, column + 8 : column + 38] = colour
        draw_text(picture, meaning, (column + 48, row), 15, FAINT)
        row += 26


def _paste(picture: Floats, panel: Floats, at: tuple[int, int]) -> None:
    column, row = at
    picture[row : row + panel.shape[0], column : column + panel.shape[1]] = panel
