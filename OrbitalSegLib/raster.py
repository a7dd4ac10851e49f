"""Drawing without a graphics card, a screen or OpenGL: a surface from the front, and text, as arrays of colours.

Pictures are arrays (rows, columns, 3) of float32, red, green and blue from 0 to 1, the top row first.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkTextProperty
from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


def colour(red: float, green: float, blue: float) -> Floats:
    """A colour as pictures hold it."""
    return np.array([red, green, blue], np.float32)


_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_TRIANGLES_AT_ONCE = 1 << 18
_DPI = 72


@dataclass(frozen=True)
class FrontView:
    """A window on the plane that faces the patient: LPS mm of its top left corner, its size in pixels, mm a pixel.

    The patient's right is on the left, as when one stands before the patient.
    """

    left_mm: float
    top_mm: float
    columns: int
    rows: int
    mm_per_pixel: float


def _unit(x: float, y: float, z: float) -> Floats:
    return (np.array([x, y, z]) / np.linalg.norm([x, y, z])).astype(np.float32)


BONE = colour(1.0, 0.95, 0.85)
_SHADOW = colour(0.16, 0.17, 0.24)
_KEY_LIGHT = _unit(-0.42, -0.70, 0.58)
_FILL_LIGHT = _unit(0.80, -0.55, -0.20)
_DEEP_MM = 120.0
"""What lies this far behind the foremost bone is not drawn, so that an opening shows as one."""


def draw_front(surface: vtkPolyData, view: FrontView, background: Floats, supersampling: int = 2) -> Floats:
    """Draw a closed surface (LPS mm, outward) seen from the front, without perspective: colours (rows, columns, 3)."""
    fine = FrontView(
        view.left_mm,
        view.top_mm,
        view.columns * supersampling,
        view.rows * supersampling,
        view.mm_per_pixel / supersampling,
    )
    points, triangles = _arrays(surface)
    depth_mm, normals = _visible(points, triangles, fine)
    hit = np.isfinite(depth_mm)
    if not hit.any():
        return np.full((view.rows, view.columns, 3), background)
    behind_mm = np.where(hit, depth_mm - depth_mm.min(), 0.0)
    coverage, behind_mm, normals = (_mean_of_blocks(values, supersampling) for values in (hit, behind_mm, normals))
    behind_mm = np.where(coverage > 0, behind_mm / np.maximum(coverage, 1e-6), _DEEP_MM)
    lit = _shade(behind_mm, normals, view.mm_per_pixel)
    return background + coverage[..., None] * (lit - background)


def _arrays(surface: vtkPolyData) -> tuple[Floats, Integers]:
    """Points (n, 3) and the three points of each triangle (m, 3)."""
    if surface.GetNumberOfPolys() == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64)
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float32, copy=False)
    corners = vtk_to_numpy(surface.GetPolys().GetConnectivityArray())
    if len(corners) != 3 * surface.GetNumberOfPolys():
        raise ValueError("The surface has polygons that are not triangles.")
    return points, corners.reshape(-1, 3)


def _visible(points: Floats, triangles: Integers, view: FrontView) -> tuple[Floats, Floats]:
    """The depth (LPS y in mm, infinite where nothing is) and the outward normal (rows, columns, 3) that are seen."""
    seen = np.full(view.rows * view.columns, _NOTHING)
    columns, rows = (points[:, 0] - view.left_mm) / view.mm_per_pixel, (view.top_mm - points[:, 2]) / view.mm_per_pixel
    on_screen = np.stack([columns, rows, points[:, 1]]).astype(np.float32)
    front_mm = on_screen[2].min(initial=np.inf)
    for start in range(0, len(triangles), _TRIANGLES_AT_ONCE):
        _draw(on_screen, triangles[start : start + _TRIANGLES_AT_ONCE], start, front_mm, view, seen)
    drawn = np.flatnonzero(seen != _NOTHING)
    depth_mm = np.full(seen.shape, np.inf, np.float32)
    depth_mm[drawn] = front_mm + (seen[drawn] >> np.uint64(32)).astype(np.float32) / _STEPS_PER_MM
    normals = np.zeros((*seen.shape, 3), np.float32)
    owners = (seen[drawn] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    normals[drawn] = _normals(points, triangles, owners)
    shape = (view.rows, view.columns)
    return depth_mm.reshape(shape), normals.reshape(*shape, 3)


def _normals(points: Floats, triangles: Integers, wanted: Integers) -> Floats:
    """The outward normal of each of the wanted triangles, many of which come again and again."""
    used = np.zeros(len(triangles), bool)
    used[wanted] = True
    a, b, c = (points[corner] for corner in triangles[used].T)
    across = np.cross(b - a, c - a)
    normals = np.zeros((len(triangles), 3), np.float32)
    normals[used] = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    return normals[wanted]


_STEPS_PER_MM = 1000.0
"""Depth is compared in whole steps, together with the number of the triangle: the same picture every time."""


def _draw(
    on_screen: Floats, triangles: Integers, first: int, front_mm: float, view: FrontView, seen: NDArray[np.uint64]
) -> None:
    """Keep, for every pixel whose centre a triangle covers, the nearest triangle in `seen`.

    `on_screen` holds the points' columns, rows and depths; `first` is the number of the first triangle.
    """
    (ax, bx, cx), (ay, by, cy), (ad, bd, cd) = (values[triangles.T] for values in on_screen)
    kept = np.flatnonzero(
        ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay) < 0)
        & (_highest(ax, bx, cx) > 0)
        & (_lowest(ax, bx, cx) < view.columns)
        & (_highest(ay, by, cy) > 0)
        & (_lowest(ay, by, cy) < view.rows)
        & (_lowest(ad, bd, cd) < front_mm + _DEEP_MM)
    )
    corners = on_screen.T[triangles[kept]]
    corners = np.take_along_axis(corners, np.argsort(corners[..., 1], axis=1)[..., None], axis=1)
    top, middle, bottom = corners[:, 0], corners[:, 1], corners[:, 2]
    row_0 = np.maximum(np.ceil(top[:, 1] - 0.5), 0).astype(np.int64)
    row_1 = np.minimum(np.ceil(bottom[:, 1] - 0.5), view.rows).astype(np.int64)
    of_span, row = _expanded(row_0, row_1)
    at = row + np.float32(0.5)
    long_x = _along(top, bottom, of_span, at)
    upper = at < middle[of_span, 1]
    short_x = np.where(upper, _along(top, middle, of_span, at), _along(middle, bottom, of_span, at))
    column_0 = np.maximum(np.ceil(np.minimum(long_x, short_x) - 0.5), 0).astype(np.int64)
    column_1 = np.minimum(np.ceil(np.maximum(long_x, short_x) - 0.5), view.columns).astype(np.int64)
    of_pixel, column = _expanded(column_0, column_1)
    owner = of_span[of_pixel]
    by_x, by_y = _depth_slopes(corners)
    pixel_depth = (
        top[owner, 2]
        + by_x[owner] * (column + np.float32(0.5) - top[owner, 0])
        + by_y[owner] * (at[of_pixel] - top[owner, 1])
    )
    steps = np.maximum((pixel_depth - front_mm) * _STEPS_PER_MM, 0).astype(np.uint64)
    keys = steps << np.uint64(32) | (first + kept[owner]).astype(np.uint64)
    np.minimum.at(seen, row[of_pixel] * view.columns + column, keys)


def _highest(a: Floats, b: Floats, c: Floats) -> Floats:
    return np.maximum(np.maximum(a, b), c)


def _lowest(a: Floats, b: Floats, c: Floats) -> Floats:
    return np.minimum(np.minimum(a, b), c)


def _expanded(start: Integers, stop: Integers) -> tuple[Integers, Integers]:
    """Of ranges from `start` up to `stop`: the range that each number belongs to, and the numbers themselves."""
    lengths = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(len(start)), lengths)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, start[owner] + within


def _along(a: Floats, b: Floats, of_span: Integers, at: Floats) -> Floats:
    """Where the edges from `a` to `b` cross the rows' centres."""
    slope = (b[:, 0] - a[:, 0]) / np.maximum(b[:, 1] - a[:, 1], np.float32(1e-6))
    return a[of_span, 0] + slope[of_span] * (at - a[of_span, 1])


def _depth_slopes(corners: Floats) -> tuple[Floats, Floats]:
    """How the depth of each triangle changes a column and a row."""
    ux, uy, ud = (corners[:, 1] - corners[:, 0]).T
    vx, vy, vd = (corners[:, 2] - corners[:, 0]).T
    area = ux * vy - vx * uy
    area = np.where(np.abs(area) < 1e-9, np.float32(np.inf), area)
    return (ud * vy - vd * uy) / area, (ux * vd - vx * ud) / area


def _shade(behind_mm: Floats, normals: Floats, mm_per_pixel: float) -> Floats:
    """Light from the upper left, less where bone in front keeps it away, darker with depth."""
    normals = _smoothed(normals, behind_mm, 0.6 / mm_per_pixel)
    key = np.maximum(normals @ _KEY_LIGHT, 0)
    fill = np.maximum(normals @ _FILL_LIGHT, 0)
    light = 0.12 + 0.78 * key + 0.20 * fill
    for radius_mm, strength in ((1.5, 0.16), (7.0, 0.07)):
        hollow_mm = np.maximum(behind_mm - _blurred(behind_mm, radius_mm / mm_per_pixel), 0)
        light *= np.exp(-strength * np.minimum(hollow_mm, 12))
    light *= 1 - 0.55 * np.clip(behind_mm / _DEEP_MM, 0, 1)
    light = np.clip(light, 0, 1)[..., None]
    return _SHADOW * (1 - light) + BONE * light


def _smoothed(normals: Floats, behind_mm: Floats, sigma_pixels: float) -> Floats:
    """Normals without the terraces of voxels, but not across an edge that stands before deeper bone."""
    smooth = np.stack([_blurred(normals[..., axis], sigma_pixels) for axis in range(3)], axis=-1)
    step_mm = behind_mm - _blurred(behind_mm, sigma_pixels)
    mixed = normals + np.exp(-((step_mm / 0.8) ** 2))[..., None] * (smooth - normals)
    return mixed / np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-6)


def _blurred(values: Floats, sigma_pixels: float) -> Floats:
    image = sitk.GetImageFromArray(values.astype(np.float32))
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, sigma_pixels))


def _mean_of_blocks(picture: Floats, size: int) -> Floats:
    total = np.zeros(picture[::size, ::size].shape, np.float32)
    for row in range(size):
        for column in range(size):
            total += picture[row::size, column::size]
    return total / np.float32(size * size)


def draw_text(
    picture: Floats,
    text: str,
    at: tuple[float, float],
    size: int,
    ink_colour: Floats,
    anchor: tuple[float, float] = (0, 0),
) -> None:
    """Write one line into `picture`, with `at` (column, row) at `anchor`: (0, 0) is the text's top left, (1, 1) its
    bottom right. What does not fit into the picture is cut off."""
    ink = _ink(text, size)
    row, column = round(at[1] - anchor[1] * ink.shape[0]), round(at[0] - anchor[0] * ink.shape[1])
    top, left = max(row, 0), max(column, 0)
    part = picture[top : row + ink.shape[0], left : column + ink.shape[1]]
    ink = ink[top - row :, left - column :][: part.shape[0], : part.shape[1], None]
    part *= 1 - 0.8 * _halo(ink)
    part += ink * (ink_colour - part)


def _halo(ink: Floats) -> Floats:
    """A dark rim around letters, so that they can be read on bright bone."""
    for axis in (0, 1):
        for _ in range(2):
            grown = ink.copy()
            low, high = [slice(None)] * 3, [slice(None)] * 3
            low[axis], high[axis] = slice(None, -1), slice(1, None)
            grown[tuple(low)] = np.maximum(grown[tuple(low)], ink[tuple(high)])
            grown[tuple(high)] = np.maximum(grown[tuple(high)], ink[tuple(low)])
            ink = grown
    return ink


def wrapped(text: str, size: int, width: int) -> list[str]:
    """The text in lines that are no wider than `width` pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _ink(longer, size).shape[1] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _ink(text: str, size: int) -> Floats:
    """How much of each pixel a line of text covers, with room for a halo; the baseline is always in the same row."""
    look = vtkTextProperty()
    look.SetFontFamilyToArial()
    look.SetFontSize(size)
    tools, image, extent, box = vtkFreeTypeTools.GetInstance(), vtkImageData(), [0, 0], [0, 0, 0, 0]
    if not text.strip() or not tools.RenderString(look, text, _DPI, image, extent):
        return np.zeros((0, 0), np.float32)
    tools.GetBoundingBox(look, text, _DPI, box)
    columns, rows, _ = image.GetDimensions()
    alpha = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[: extent[1], : extent[0], 3]
    below = max(round(0.3 * size) + box[2], 0)
    above = max(round(1.2 * size) - box[3], 0)
    return np.pad(np.flipud(alpha).astype(np.float32) / 255, ((above + 2, below + 2), (2, 2)))
