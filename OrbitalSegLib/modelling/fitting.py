"""Where the bone's surface passes: from each vertex inwards, bone fraction is packed into solid bone.

Along a line across a wall the bone fraction rises from 0 and falls again. A wall that is thinner than a voxel never
reaches one half, so no isosurface can hold it; but its fraction summed along the line is its thickness in mm, whatever
the voxels are. So the wall's two sides are put half of that sum on either side of the sum's median. Thick bone reaches
1, and its surface is put where the fraction between outside and there, packed, begins: for an even edge that is where
the fraction is one half.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers, at_any_corner, normals_of
from OrbitalSegLib.modelling.mesh import Neighbours
from OrbitalSegLib.progress import Progress, silent

OUTWARD_WIDTHS, INWARD_WIDTHS = 1.25, 3.0
"""How far a line reaches from the scaffold, in widths of a voxel along it: a wall's blurred half outside, and a wall
of 1.5 widths with what blurs it inside."""

STEPS_PER_WIDTH = 4

SOLID = 0.95
"""A fraction from which on bone is solid."""

FAINT = 0.2
"""Where a sheet holds no more than this, its rim is not seen."""

TURN = 0.2
"""A rise or fall by less than this part of the peak is noise."""

FURTHEST_WIDTHS = 1.5
"""A line that would take a vertex further does not tell where it belongs."""

LEAST_WIDTH = 1e-3
"""Of the smallest spacing. On a crumb of a voxel or two the mean of the neighbours' normals may vanish: such a vertex
has no line to be moved along."""

THINNEST_MM = 0.05
"""A wall is made no thinner than this, however little fraction is left of it."""

NORMAL_ROUNDS = 6
"""How often normals are averaged with their neighbours'."""

RIM_RINGS = 3
"""So near a sheet, what is neither sheet nor solid is its rim."""

AT_ONCE = 1 << 14
"""Vertices whose lines are sampled at once: what fits the processor's cache."""


@dataclass(frozen=True)
class Fit:
    """Where vertices belong: `points` (n, 3); `thickness_mm` (n) of sheets and of what their rims bound, infinite where
    bone is thick."""

    points: Floats
    thickness_mm: Floats


def fit(
    points: Floats,
    triangles: Integers,
    fraction: Floats,
    spacing_mm: Floats,
    progress: Progress = silent,
    neighbours: Neighbours | None = None,
) -> Fit:
    """Move the vertices of a scaffold, each along its normal, to where they hold the bone fraction.

    `points` (n, 3) are x, y, z in mm from the centre of the first voxel of `fraction` (z, y, x). `neighbours` of the
    triangles are worked out if they are not given.
    """
    normals = smooth_normals(points, triangles, neighbours)
    sampler = _Sampler(fraction, spacing_mm)
    chunks = [slice(at, at + AT_ONCE) for at in range(0, len(points), AT_ONCE)]
    shift, edge_shift, thickness = (np.empty(len(points)) for _ in range(3))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda chunk: _shifts(points[chunk].T, -normals[chunk].T, sampler), chunks)
        for done, (chunk, (some, edge, thin)) in enumerate(zip(chunks, found, strict=True), start=1):
            shift[chunk], edge_shift[chunk], thickness[chunk] = some, edge, thin
            progress(done / len(chunks))
    rim = _beside(np.isfinite(thickness), triangles) & np.isfinite(edge_shift)
    shift = mesh.filled(np.where(rim, edge_shift, shift), triangles)
    at_rim = mesh.filled(np.where(np.isfinite(thickness), thickness, np.nan), triangles[at_any_corner(rim, triangles)])
    return Fit(points - normals * shift[:, None], np.where(rim & (at_rim > 0), at_rim, thickness))


def _beside(flags: Flags, triangles: Integers) -> Flags:
    """Vertices that are flagged, or `RIM_RINGS` triangles or fewer from one that is."""
    for _ in range(RIM_RINGS):
        wider = flags.copy()
        wider[triangles[at_any_corner(flags, triangles)]] = True
        flags = wider
    return flags


def smooth_normals(points: Floats, triangles: Integers, neighbours: Neighbours | None = None) -> Floats:
    """Outward unit normals of vertices (n, 3) of a closed mesh, each averaged with its neighbours'.

    `neighbours` of the triangles are worked out if they are not given. Every triangle at a vertex counts by the normals
    of its three corners, so that each neighbour, which two of them share, counts twice.
    """
    neighbours = neighbours or Neighbours(triangles, len(points))
    facing = normals_of(points, triangles)
    corners = triangles.T
    normals = _unit(np.stack([sum(np.bincount(corner, axis, len(points)) for corner in corners) for axis in facing]))
    for _ in range(NORMAL_ROUNDS):
        normals = _unit(neighbours.count * normals + 2 * neighbours.sum(normals))
    return normals.T


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.sqrt((vectors**2).sum(axis=0)), 1e-12)


class _Sampler:
    """Linear interpolation in a volume (z, y, x), 0 outside."""

    def __init__(self, volume: Floats, spacing_mm: Floats) -> None:
        padded = np.pad(volume, 1).astype(np.float32, copy=False)
        self.spacing_mm = np.asarray(spacing_mm, np.float64)
        self._flat = padded.ravel()
        self._last = np.array(padded.shape[::-1], np.float32) - 2
        self._strides = (1, padded.shape[2], padded.shape[1] * padded.shape[2])

    def __call__(self, places_mm: Floats) -> Floats:
        """The values at places (3, ...) in mm."""
        base: Integers = np.zeros(places_mm.shape[1:], np.int64)
        parts: list[Floats] = []
        for axis, place in enumerate(places_mm):
            index = np.clip((place / self.spacing_mm[axis] + 1).astype(np.float32), 0, self._last[axis] + 0.999)
            lower = np.floor(index)
            parts.append(index - lower)
            base += lower.astype(np.int64) * self._strides[axis]
        x, y, z = parts
        along_x, along_y, along_z = self._strides
        rows = []
        for offset in (0, along_y, along_z, along_y + along_z):
            low = self._flat.take(base + offset)
            rows.append(low + x * (self._flat.take(base + (offset + along_x)) - low))
        near, far = rows[0] + y * (rows[1] - rows[0]), rows[2] + y * (rows[3] - rows[2])
        return near + z * (far - near)


def _shifts(points: Floats, inward: Floats, sampler: _Sampler) -> tuple[Floats, Floats, Floats]:
    """How far each vertex (3, n) has to go inward in mm, not a number where its line does not tell; the same where it
    lies on the rim of a sheet; and thickness."""
    width = np.sqrt(((inward * sampler.spacing_mm[:, None]) ** 2).sum(axis=0))
    directed = width > LEAST_WIDTH * sampler.spacing_mm.min()
    width = np.where(directed, width, 1.0)
    steps = np.arange(-OUTWARD_WIDTHS, INWARD_WIDTHS + 1e-9, 1 / STEPS_PER_WIDTH)
    lines = np.stack([sampler(points + inward * (step * width)) for step in steps])
    step_mm = width / STEPS_PER_WIDTH
    place, edge, thickness = _of_lines(lines, round(OUTWARD_WIDTHS * STEPS_PER_WIDTH), THINNEST_MM / step_mm)
    shifts = [at * step_mm - OUTWARD_WIDTHS * width for at in (place, edge)]
    shift, edge_shift = (np.where(directed & (np.abs(x) <= FURTHEST_WIDTHS * width), x, np.nan) for x in shifts)
    return shift, edge_shift, np.where(directed, thickness * step_mm, np.inf)


def _of_lines(lines: Floats, start: int, thinnest: Floats) -> tuple[Floats, Floats, Floats]:
    """The surface's place, its place on a sheet's rim, and the sheet's thickness, in steps, on lines (steps, n) inward.

    A vertex lies at the step `start`. The bone that it bounds is what lies between the lowest fraction outside and,
    for a sheet, the lowest beyond its peak.
    """
    peak_at, peak = _peak(lines[start:])
    peak_at += start
    outer = start - _valley(lines[start::-1], np.zeros_like(peak_at), peak)[0]
    inner, left = _valley(lines, peak_at, peak)
    packed = np.zeros_like(lines)
    packed[1:] = _running(np.add, (lines[1:] + lines[:-1]) / 2)
    packed -= _at(packed, outer)
    total = _at(packed, inner)
    thickness = np.maximum(total, thinnest)
    sheet = (left < peak / 2) & (peak > 0)
    beyond = np.arange(len(lines))[:, None] >= outer
    solid_at = np.argmax(beyond & (lines >= SOLID), axis=0)
    place = np.where(peak >= SOLID, solid_at - _at(packed, solid_at), _first_reaching(lines, beyond, 0.5))
    place = np.where(sheet, _first_reaching(packed, beyond, total / 2) - thickness / 2, place)
    rim = _first_reaching(lines, beyond, peak / 2)
    return place, np.where(sheet | (peak < FAINT) | (peak >= SOLID), np.nan, rim), np.where(sheet, thickness, np.inf)


def _at(lines: Floats, index: Integers) -> Floats:
    return np.take_along_axis(lines, index[None], axis=0)[0]


def _peak(lines: Floats) -> tuple[Integers, Floats]:
    """Where lines (steps, n) are highest before they fall for the first time, and how high."""
    highest = _running(np.maximum, lines)
    lines = np.where(_before_first(lines < (1 - TURN) * highest), lines, -1)
    index = np.argmax(lines, axis=0)
    return index, _at(lines, index)


def _valley(lines: Floats, start: Integers, peak: Floats) -> tuple[Integers, Floats]:
    """Where lines are lowest from the step `start` on, before they rise again, and how low."""
    lines = np.where(np.arange(len(lines))[:, None] >= start, lines, np.inf)
    lowest = _running(np.minimum, lines)
    lines = np.where(_before_first((lines > lowest + TURN * peak) & np.isfinite(lines)), lines, np.inf)
    index = np.argmin(lines, axis=0)
    return index, _at(lines, index)


def _running(of: np.ufunc, lines: Floats) -> Floats:
    """What `of.accumulate` gives along lines (steps, n); by whole rows it takes a tenth of the time."""
    found = lines.copy()
    for before, here in itertools.pairwise(found):
        of(before, here, out=here)
    return found


def _before_first(flags: Flags) -> Flags:
    return ~_running(np.logical_or, flags)


def _first_reaching(lines: Floats, allowed: Flags, level: Floats | float) -> Floats:
    """Where lines first reach a level, between two steps; not a number where they do not."""
    reached = allowed & (lines >= level)
    index = np.argmax(reached, axis=0)
    high, low = _at(lines, index), _at(lines, np.maximum(index - 1, 0))
    rise = high - low
    back = np.where(rise > 0, (high - level) / np.where(rise > 0, rise, 1), 0)
    return np.where(reached.any(axis=0), index - np.clip(back, 0, 1), np.nan)
