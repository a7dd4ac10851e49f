"""A stack of parallel slices at any positions -> one image on a regular, orthogonal grid."""

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.scan import AIR_HU, Gap, Planes

POSITION_TOLERANCE_MM = 0.05
"""How far a slice may lie from the regular grid before the stack is resampled: a tenth of a fine voxel, and the
rounding that scanners put into Image Position (Patient)."""

GAP_FACTOR = 2.0
GAP_MM = 3.0
"""A gap wider than twice the local slice distance and over 3 mm hides anatomy that interpolation would invent."""

NEIGHBOURS = 3
"""Distances on either side of a gap from which the local slice distance is taken."""

MISSING_TOLERANCE = 0.2
"""How far a distance may be from a whole number of local ones where slices are missing."""

MOST_PLACES = 8
"""A sentence names no more places of missing slices than these."""

FINEST_SHARE = 0.25
"""Resampled slices are at most four times as many as the median distance asks for."""

GRID_LIMIT = 1 << 31
"""Voxels of the largest scan grid: 4 GiB of HU, four times a whole body at 512 x 512."""


def is_regular(planes: Planes) -> bool:
    """Whether the slices lie on a regular, orthogonal grid within `POSITION_TOLERANCE_MM`."""
    depths = planes.depths_mm
    even = np.linspace(0.0, depths[-1], len(depths))
    return is_upright(planes) and bool(np.abs(depths - even).max() <= POSITION_TOLERANCE_MM)


def is_upright(planes: Planes) -> bool:
    """Whether the slices lie straight above each other, at whatever distances: the gantry was not tilted."""
    return bool(np.abs(planes.shifts_mm).max() <= POSITION_TOLERANCE_MM)


def find_gaps(planes: Planes, names: list[str]) -> tuple[Gap, ...]:
    """Places where slices are missing (docs/contracts.md, section 4). `names` are those of the slices, in order."""
    depths = planes.depths_mm
    distances = np.diff(depths)
    gaps = []
    for index, distance in enumerate(distances):
        local = _local_distance(distances, index)
        if distance > GAP_FACTOR * local + POSITION_TOLERANCE_MM and distance > GAP_MM:
            start = float(planes.positions_mm[index] @ planes.normal)
            gaps.append(Gap(names[index], names[index + 1], start, start + float(distance), local))
    return tuple(gaps)


def _local_distance(distances: np.ndarray, index: int) -> float:
    """The distance of neighbours around one pair of them, by the side on which slices lie further apart."""
    sides = [distances[max(0, index - NEIGHBOURS) : index], distances[index + 1 : index + 1 + NEIGHBOURS]]
    return max((float(np.median(side)) for side in sides if len(side)), default=float(distances[index]))


def missing_slices(planes: Planes, numbers: list[int]) -> str:
    """Which slices are missing from a stack, in words: by their numbers where these go on evenly; empty if none is.

    A slice is missing where two neighbours are a whole number of local distances apart.
    """
    distances = np.diff(planes.depths_mm)
    known, places = set(numbers), []
    for index, distance in enumerate(distances):
        share = float(distance) / _local_distance(distances, index)
        count = round(share) - 1
        if count < 1 or abs(share - count - 1) > MISSING_TOLERANCE:
            continue
        before, after = numbers[index], numbers[index + 1]
        lost = range(min(before, after) + 1, max(before, after))
        if len(lost) == count and known.isdisjoint(lost):
            places.append(f"number {lost[0]}" if count == 1 else f"numbers {lost[0]} to {lost[-1]}")
        else:
            places.append(f"{count} between slice {before} and slice {after}")
    return ", ".join(places[:MOST_PLACES]) + (
        f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    )


def to_image(voxels: np.ndarray, planes: Planes, progress: Progress = silent) -> tuple[sitk.Image, dict[str, object]]:
    """Put slices (n, rows, columns) in HU on the scan grid.

    Returns the image and what was done, for the record. Slices on a regular grid keep their voxels; others are
    resampled linearly, first in their own plane and then between neighbours. Raises `InputError` `too-large`.
    """
    distances = np.diff(planes.depths_mm)
    measured: dict[str, object] = {
        "slices": len(voxels),
        "slice_distance_mm": [float(np.round(f(distances), 4)) for f in (np.min, np.median, np.max)],
        "tilt_degrees": round(planes.tilt_degrees, 2),
        "resampled": not is_regular(planes),
    }
    if not measured["resampled"]:
        distance = planes.depths_mm[-1] / (len(voxels) - 1)
        progress(1.0)
        return _image(voxels, planes, planes.positions_mm[0], distance), measured
    regular, origin, distance = _resample(voxels, planes, progress)
    return _image(regular, planes, origin, distance), measured


def _image(voxels: np.ndarray, planes: Planes, origin_mm: np.ndarray, distance_mm: float) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((*map(float, planes.pixel_mm), float(distance_mm)))
    image.SetOrigin(tuple(map(float, origin_mm)))
    axes = np.stack([planes.row_direction, planes.column_direction, planes.normal], axis=1)
    image.SetDirection(axes.ravel().tolist())
    return image


def _grid_distance_mm(depths: np.ndarray) -> float:
    """The slice distance of the grid for slices at these depths (docs/contracts.md, section 4)."""
    distances = np.diff(depths)
    median = float(np.median(distances))
    # Where slices are missing from an even stack, the grid is that of the stack, free of its positions' rounding.
    even = depths[-1] / max(round(depths[-1] / median), 1)
    if np.abs(depths - even * np.rint(depths / even)).max() <= POSITION_TOLERANCE_MM:
        return float(even)
    return max(float(distances.min()), FINEST_SHARE * median)


def _resample(voxels: np.ndarray, planes: Planes, progress: Progress) -> tuple[np.ndarray, np.ndarray, float]:
    """The stack on a regular grid that holds every slice: voxels, origin and slice distance."""
    depths, pixel = planes.depths_mm, np.array(planes.pixel_mm)
    distances = np.diff(depths)
    distance = _grid_distance_mm(depths)
    targets = np.arange(0.0, depths[-1] + POSITION_TOLERANCE_MM, distance)
    # The in-plane grid is that of the first slice, widened by whole pixels until every shifted slice fits.
    first = np.floor(planes.shifts_mm.min(axis=0) / pixel)
    last = np.ceil(planes.shifts_mm.max(axis=0) / pixel)
    width, height = (np.array(voxels.shape[:0:-1]) + last - first).astype(int)
    if len(targets) * width * height > GRID_LIMIT:
        raise InputError(
            "too-large",
            "The slices lie so far apart from each other that no grid of sensible size holds them: "
            "export the series again from the scanner or the PACS.",
        )
    grid = sitk.Image(int(width), int(height), sitk.GetImageFromArray(voxels[0]).GetPixelID())
    grid.SetSpacing(tuple(pixel.tolist()))
    grid.SetOrigin(tuple((first * pixel).tolist()))

    def shifted(index: int) -> np.ndarray:
        plane = sitk.GetImageFromArray(voxels[index])
        plane.SetSpacing(grid.GetSpacing())
        plane.SetOrigin(tuple(planes.shifts_mm[index].tolist()))
        return sitk.GetArrayFromImage(sitk.Resample(plane, grid, sitk.Transform(), sitk.sitkLinear, AIR_HU))

    regular = np.empty((len(targets), height, width), voxels.dtype)
    pair: tuple[int, np.ndarray, np.ndarray] | None = None
    for out, depth in enumerate(targets):
        below = int(np.clip(np.searchsorted(depths, depth, side="right") - 1, 0, len(depths) - 2))
        if pair is None or pair[0] != below:
            lower = pair[2] if pair and pair[0] == below - 1 else shifted(below)
            pair = (below, lower, shifted(below + 1))
        share = float(np.clip((depth - depths[below]) / distances[below], 0.0, 1.0))
        blended = (1 - share) * pair[1] + share * pair[2]
        regular[out] = np.rint(blended) if regular.dtype.kind == "i" else blended
        progress((out + 1) / len(targets))
    offset = first * pixel
    origin = planes.positions_mm[0] + offset[0] * planes.row_direction + offset[1] * planes.column_direction
    return regular, origin, distance


def without_duplicates(depths_mm: np.ndarray) -> list[list[int]]:
    """Indices of slices grouped by the place where they lie; depths are sorted."""
    groups: list[list[int]] = []
    for index, depth in enumerate(depths_mm):
        if groups and depth - depths_mm[groups[-1][0]] <= POSITION_TOLERANCE_MM:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
