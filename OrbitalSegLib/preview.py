"""One picture of a result: three planes through the orbits with the bone's contour, and the surface from the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.files import write_image
from OrbitalSegLib.places import Point
from OrbitalSegLib.product import NOTICE, VERSION
from OrbitalSegLib.raster import Floats, FrontView, colour, draw_front, draw_text, wrapped
from OrbitalSegLib.structures import BONE, INFERRED, STRUCTURES, Structure

WIDTH, HEIGHT = 1600, 1000
MARGIN, GAP, HEADER = 20, 14, 64

FRONT_SIZE = (790, HEIGHT - HEADER - MARGIN)
"""Columns and rows."""

FRONT_AT = (MARGIN, HEADER)
"""Column and row of the top left corner."""

PLANE_SIZE = (375, (FRONT_SIZE[1] - GAP) // 2)
CELLS = [
    (WIDTH - MARGIN - PLANE_SIZE[0] * (2 - column) - GAP * (1 - column), HEADER + (PLANE_SIZE[1] + GAP) * row)
    for row in (0, 1)
    for column in (0, 1)
]
"""Where the coronal, the axial and the sagittal plane and the caption are."""

FRONT_MM_PER_PIXEL = 0.18
PLANE_MM_PER_PIXEL = 0.31
SCALE_BAR_MM = 20
LINE_PIXELS = 1.3

FRONT_MARGIN_MM = 6.0
BEHIND_MIDDLE_MM = 15.0
"""The planes show more of what is behind the middle of the orbits than of what is before the face ..."""

BELOW_MIDDLE_MM = 10.0
"""... and more of the sinuses than of the brain."""

BACKGROUND = colour(0.055, 0.065, 0.085)
TEXT = colour(0.90, 0.92, 0.95)
FAINT = colour(0.68, 0.72, 0.78)
WARNING = colour(1.0, 0.74, 0.35)
CONTOURS = {INFERRED: colour(*STRUCTURES[INFERRED].colour), BONE: colour(1.0, 0.25, 0.16)}
MEANINGS = {BONE: "edge of the bone that was found", INFERRED: "wall that is inferred, not seen"}
CROSS = colour(0.35, 0.62, 0.95)

WINDOW_HU = (-500.0, 1300.0)
"""Level 400, width 1800: soft tissue stays dark, and a thin wall of 200 HU stands out from it."""

CORONAL_BEHIND_RIM_MM = 15.0
"""A coronal plane this far behind the rims meets floor, roof and both walls of the orbit."""


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
    masks: dict[str, sitk.Image],
    surface: vtkPolyData | None,
    path: Path,
    caption: Sequence[str],
    openings_mm: Sequence[Point] = (),
    structures: Mapping[str, Structure] = STRUCTURES,
) -> None:
    """Draw the picture as PNG. `ct` is HU, `surface` is the bone's, LPS mm.

    Of `masks` those of `bone`, `inferred` and what is no part of bone are drawn; `structures` says what they are.
    The planes meet in one of the orbits, whose openings are `openings_mm`, or else are looked for in the CT. No skin
    is drawn but its edge in the planes. Raises `OutputError`.
    """
    whole = masks[BONE] if BONE in masks else sitk.Cast(sitk.NaryAdd(list(masks.values())) > 0, sitk.sitkUInt8)
    at, middle = _places(ct, whole, openings_mm)
    inks = {name: ink for name, ink in CONTOURS.items() if name in masks}
    others = [structures[name] for name in masks if name not in CONTOURS and structures[name].part_of is None]
    inks |= {one.name: colour(*one.colour) for one in others}
    meanings = MEANINGS | {one.name: f"edge of: {one.title}" for one in others}
    at = _nearest_voxel(ct, at)
    picture = np.full((HEIGHT, WIDTH, 3), BACKGROUND)
    _draw_header(picture)
    _paste(picture, _front_panel(surface, middle), FRONT_AT)
    for plane, cell in zip(_PLANES, CELLS, strict=False):
        _paste(picture, _plane_panel(ct, masks, inks, plane, at, middle), cell)
    legend = [(inks[name], meaning) for name, meaning in meanings.items() if name in inks]
    _draw_caption(picture, caption, CELLS[-1], [*legend, (CROSS, "the other two planes")])
    pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    write_image(sitk.GetImageFromArray(pixels, isVector=True), path)


def _places(ct: sitk.Image, bone: sitk.Image, openings_mm: Sequence[Point]) -> tuple[Point, Point]:
    """Where the planes meet, and the middle of what is shown."""
    low, high = _bounds_of_bone_mm(bone)
    if not openings_mm:
        from OrbitalSegLib.locating import locate

        orbits = locate(ct)
        looked_for = [orbit.opening_mm for orbit in (orbits.right, orbits.left) if orbit.opening_mm is not None]
        openings_mm = [point for point in looked_for if np.all((low <= point) & (point <= high))]
    if not openings_mm:
        x, y, z = (float(v) for v in low + (high - low) * (0.5, 1 / 3, 0.5))
        return (x, y, z), (x, y, z)
    x, y, z = (float(v) for v in np.mean(openings_mm, axis=0))
    y += CORONAL_BEHIND_RIM_MM
    return (float(openings_mm[0][0]), y, z), (x, y, z)


def _bounds_of_bone_mm(bone: sitk.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest coordinates (LPS) of the box around a mask, or of its grid if it is empty."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(bone)
    box = statistics.GetBoundingBox(1) if statistics.HasLabel(1) else (0, 0, 0, *bone.GetSize())
    corners = [
        bone.TransformIndexToPhysicalPoint([int(box[i] + end[i] * (box[3 + i] - 1)) for i in range(3)])
        for end in np.ndindex(2, 2, 2)
    ]
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _nearest_voxel(image: sitk.Image, point: Point) -> Point:
    """The nearest voxel centre: a plane through it shows voxels, not the mean of two slices."""
    index = np.clip(image.TransformPhysicalPointToIndex(point), 0, np.array(image.GetSize()) - 1)
    return image.TransformIndexToPhysicalPoint([int(i) for i in index])


def _plane_panel(
    ct: sitk.Image, masks: dict[str, sitk.Image], inks: dict[str, Floats], plane: _Plane, at: Point, middle: Point
) -> Floats:
    columns, rows = PLANE_SIZE
    through = _centre_of(plane, at, middle)
    hu = _sliced(ct, plane, through, 1, sitk.sitkLinear, float(WINDOW_HU[0]))
    low, high = WINDOW_HU
    grey = np.clip((hu - low) / (high - low), 0, 1).astype(np.float32)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    _cross_lines(picture, plane, at, through)
    for name, ink in inks.items():
        line = _contour(masks[name], plane, through)[..., None]
        picture += line * (ink - picture)
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
    wanted = np.add(middle, (0, BEHIND_MIDDLE_MM, -BELOW_MIDDLE_MM))
    across = np.abs(np.cross(plane.along, plane.down))
    x, y, z = (float(v) for v in wanted + across * (np.array(at) - wanted))
    return x, y, z


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
    voxel_mm = (np.abs(np.reshape(bone.GetDirection(), (3, 3))) * bone.GetSpacing()).max(axis=1)
    half_voxels = [
        0.5 * float(np.abs(axis) @ voxel_mm) / PLANE_MM_PER_PIXEL * fine for axis in (plane.along, plane.down)
    ]
    level = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(inside), half_voxels))
    level = level - 0.5
    rise = np.hypot(*np.gradient(level))
    from_line = np.abs(level) / np.maximum(rise, 1e-4)
    cover = np.clip(fine * LINE_PIXELS / 2 + 0.5 - from_line, 0, 1) * (rise > 1e-3)
    return cover.reshape(PLANE_SIZE[1], fine, PLANE_SIZE[0], fine).mean(axis=(1, 3))


def _cross_lines(picture: Floats, plane: _Plane, at: Point, centre: Point) -> None:
    """Where the other two planes are."""
    offset = np.array(at) - centre
    column = round(PLANE_SIZE[0] / 2 + float(offset @ plane.along) / PLANE_MM_PER_PIXEL)
    row = round(PLANE_SIZE[1] / 2 + float(offset @ plane.down) / PLANE_MM_PER_PIXEL)
    for line in (picture[:, column : column + 1], picture[row : row + 1]):
        line += 0.35 * (CROSS - line)


def _scale_bar(picture: Floats, mm_per_pixel: float) -> None:
    rows = picture.shape[0]
    length = round(SCALE_BAR_MM / mm_per_pixel)
    picture[rows - 16 : rows - 13, 12 : 12 + length] = TEXT
    draw_text(picture, f"{SCALE_BAR_MM} mm", (12 + length / 2, rows - 20), 14, TEXT, (0.5, 1))


def _front_panel(surface: vtkPolyData | None, middle: Point) -> Floats:
    columns, rows = FRONT_SIZE
    if surface is None or surface.GetNumberOfPolys() == 0:
        picture = np.full((rows, columns, 3), BACKGROUND)
        draw_text(picture, "No surface was made", (columns / 2, rows / 2), 18, FAINT, (0.5, 0.5))
        return picture
    half_width, height = columns / 2 * FRONT_MM_PER_PIXEL, rows * FRONT_MM_PER_PIXEL
    lowest, highest = surface.GetBounds()[4:]
    top = max(middle[2] + height * 0.45, min(lowest - FRONT_MARGIN_MM + height, highest + FRONT_MARGIN_MM))
    view = FrontView(middle[0] - half_width, top, columns, rows, FRONT_MM_PER_PIXEL)
    picture = draw_front(surface, view, BACKGROUND)
    for letter, place, anchor in (("R", (8, rows / 2), (0, 0.5)), ("L", (columns - 8, rows / 2), (1, 0.5))):
        draw_text(picture, letter, place, 22, TEXT, anchor)
    draw_text(picture, "Surface from the front", (10, 8), 15, FAINT)
    _scale_bar(picture, FRONT_MM_PER_PIXEL)
    return picture


def _draw_header(picture: Floats) -> None:
    draw_text(picture, f"OrbitalSeg {VERSION}", (MARGIN, HEADER / 2), 28, TEXT, (0, 0.5))
    draw_text(picture, NOTICE, (WIDTH - MARGIN, HEADER / 2), 17, WARNING, (1, 0.5))


def _draw_caption(
    picture: Floats, caption: Sequence[str], at: tuple[int, int], legend: Sequence[tuple[Floats, str]]
) -> None:
    column, row = at
    for paragraph in caption:
        for line in wrapped(paragraph, 18, PLANE_SIZE[0] - 16):
            draw_text(picture, line, (column + 8, row), 18, TEXT)
            row += 26
        row += 12
    row = at[1] + PLANE_SIZE[1] - 8 - 26 * len(legend)
    for ink, meaning in legend:
        picture[row + 8 : row + 10, column + 8 : column + 38] = ink
        draw_text(picture, meaning, (column + 48, row), 15, FAINT)
        row += 26


def _paste(picture: Floats, panel: Floats, at: tuple[int, int]) -> None:
    column, row = at
    picture[row : row + panel.shape[0], column : column + panel.shape[1]] = panel
