"""What a voxel holds: exact box-filter coverage of solids on any grid of slices.

A solid covers of a voxel the part of the box on its side of the surface, which over a voxel is taken as flat. The box
is projected on the surface's normal as a box of the same variance, so that the coverage summed across a wall, however
thin, is the wall's thickness; no point sampling could do that.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from OrbitalSegLib.phantom.anatomy import AIR_HU, Anatomy, Layers, Parts, Side, parts
from OrbitalSegLib.places import Bounds
from OrbitalSegLib.shapes import Shape

Block = tuple[slice, slice, slice]
SLICES_AT_ONCE = 8
"""Slices that a thread has in memory at the same time."""

GRADIENT_STEP_MM = np.float32(0.03)
TINY_MM = 1e-3


@dataclass(frozen=True)
class SliceGrid:
    """Slices of voxels: all alike, each at its own place."""

    origins: np.ndarray
    """(slices, 3): the centre of the first voxel of each slice in mm, LPS."""
    row: np.ndarray
    """Direction along a row, in which the column index grows."""
    column: np.ndarray
    """Direction along a column, in which the row index grows."""
    shape: tuple[int, int]
    """Rows and columns."""
    voxel_mm: tuple[float, float, float]
    """Along a row, along a column, and through the slice: the box over which a voxel averages."""

    @cached_property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def turned_back(self, degrees: float) -> "SliceGrid":
        """The grid as seen from a head that is turned by `degrees` about z."""
        if degrees == 0:
            return self
        turn = rotation_about_z(-degrees)
        return SliceGrid(self.origins @ turn.T, turn @ self.row, turn @ self.column, self.shape, self.voxel_mm)

    def slices(self, chosen: slice) -> "SliceGrid":
        return SliceGrid(self.origins[chosen], self.row, self.column, self.shape, self.voxel_mm)

    def block(self, box: Bounds) -> Block | None:
        """The indices of the voxels that may touch a box; None if none does."""
        corners = np.array([[x, y, z] for x in box[0] for y in box[1] for z in box[2]])
        reach = sum(self.voxel_mm)
        heights = self.origins @ self.normal
        span = corners @ self.normal
        inside = np.flatnonzero((heights > span.min() - reach) & (heights < span.max() + reach))
        if not inside.size:
            return None
        first, last = int(inside[0]), int(inside[-1]) + 1
        ranges = [slice(first, last)]
        for axis, size_mm, count in (
            (self.column, self.voxel_mm[1], self.shape[0]),
            (self.row, self.voxel_mm[0], self.shape[1]),
        ):
            starts = self.origins[first:last] @ axis
            places = corners @ axis
            low = int(np.floor((places.min() - starts.max() - reach) / size_mm))
            high = int(np.ceil((places.max() - starts.min() + reach) / size_mm)) + 1
            if high <= 0 or low >= count:
                return None
            ranges.append(slice(max(low, 0), min(high, count)))
        return (ranges[0], ranges[1], ranges[2])

    def coordinates(self, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and z of the voxels of a block in mm, as float32 arrays that broadcast to it."""
        rows = np.arange(block[1].start, block[1].stop)[None, :, None] * self.voxel_mm[1]
        columns = np.arange(block[2].start, block[2].stop)[None, None, :] * self.voxel_mm[0]
        axes = []
        for i in range(3):
            place = self.origins[block[0], i][:, None, None]
            if self.column[i] != 0:
                place = place + rows * self.column[i]
            if self.row[i] != 0:
                place = place + columns * self.row[i]
            axes.append(place.astype(np.float32))
        return (axes[0], axes[1], axes[2])


def slice_by_slice(
    sample: Callable[[Anatomy, SliceGrid], np.ndarray], anatomy: Anatomy, grid: SliceGrid
) -> Iterator[tuple[slice, np.ndarray]]:
    """What `sample` gives for a grid, a few slices at a time and in their order, computed on all cores."""
    count = len(grid.origins)
    some = [slice(start, min(start + SLICES_AT_ONCE, count)) for start in range(0, count, SLICES_AT_ONCE)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from zip(some, threads.map(lambda chosen: sample(anatomy, grid.slices(chosen)), some), strict=True)


def rotation_about_z(degrees: float) -> np.ndarray:
    """The matrix that turns about the z axis, from x to y where positive."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def coverage(shape: Shape, grid: SliceGrid, depths_mm: tuple[float, ...]) -> tuple[Block, list[np.ndarray]] | None:
    """The part of each voxel that lies in the solid, and deeper in it than each further depth; None if nowhere."""
    block = grid.block(shape.box)
    if block is None:
        return None
    x, y, z = grid.coordinates(block)
    values = shape.field(x, y, z)
    size = values.shape
    reach = 0.85 * max(grid.voxel_mm)
    if values.min() > reach:
        return None
    near = np.zeros(size, bool)
    for depth in depths_mm:
        near |= np.abs(values + np.float32(depth)) < reach
    points = np.nonzero(near)
    distance, width = _distance_and_width(shape, grid, [np.broadcast_to(a, size)[points] for a in (x, y, z)])
    covered = []
    for depth in depths_mm:
        part = (values < -depth).astype(np.float32)
        part[points] = np.clip(0.5 - (distance + depth) / width, 0, 1)
        covered.append(part)
    return block, covered


def _distance_and_width(shape: Shape, grid: SliceGrid, point: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of points to the surface, and the width of a voxel across the surface, in mm."""
    value = shape.field(*point)
    x, y, z = point
    moved = ((x + GRADIENT_STEP_MM, y, z), (x, y + GRADIENT_STEP_MM, z), (x, y, z + GRADIENT_STEP_MM))
    slope = np.stack([shape.field(*place) - value for place in moved]) / GRADIENT_STEP_MM
    steepness = np.maximum(np.sqrt((slope**2).sum(axis=0)), 1e-3)
    normal = slope / steepness
    edges = np.stack([grid.row, grid.column, grid.normal]) * np.array(grid.voxel_mm)[:, None]
    width = np.sqrt(((edges.astype(np.float32) @ normal) ** 2).sum(axis=0))
    return value / steepness, np.maximum(width, np.float32(TINY_MM))


@dataclass
class _Canvas:
    """Bone fraction, and the sum of everything else: fraction times density."""

    bone: np.ndarray
    soft: np.ndarray

    def cut(self, block: Block, part: np.ndarray, hu: float) -> None:
        """Put a tissue in place of bone first, and of whatever else is there for the rest."""
        bone, soft = self.bone[block], self.soft[block]
        from_bone = np.minimum(part, bone)
        others = 1 - bone
        soft *= 1 - np.divide(part - from_bone, others, out=np.zeros_like(part), where=others > 0)
        soft += part * np.float32(hu)
        bone -= from_bone

    def fill(self, block: Block, part: np.ndarray, hu: float) -> None:
        """Put a tissue in place of everything but bone."""
        soft, others = self.soft[block], 1 - self.bone[block]
        part = np.minimum(part, others)
        soft *= 1 - np.divide(part, others, out=np.zeros_like(part), where=others > 0)
        soft += part * np.float32(hu)


def bone_part(anatomy: Anatomy, grid: SliceGrid) -> np.ndarray:
    """The fraction of bone in each voxel, float32, [slice, row, column]."""
    head = parts(anatomy)
    grid = grid.turned_back(anatomy.turned_degrees)
    bone = _solid(head, grid)
    for layers in head.voids:
        found = coverage(layers.shape, grid, (0.0,))
        if found:
            block, (part,) = found
            bone[block] -= np.minimum(part, bone[block])
    return bone


def named_part(name: str, anatomy: Anatomy, grid: SliceGrid) -> np.ndarray:
    """The fraction of one bone of `Parts.named` in each voxel, float32, [slice, row, column]."""
    bone = bone_part(anatomy, grid)
    found = coverage(parts(anatomy).named[name], grid.turned_back(anatomy.turned_degrees), (0.0,))
    named = np.zeros_like(bone)
    if found:
        block, (part,) = found
        named[block] = np.minimum(part, bone[block])
    return named


def globe_part(side: Side, anatomy: Anatomy, grid: SliceGrid) -> np.ndarray:
    """The fraction of one eyeball in each voxel, float32, [slice, row, column]."""
    grid = grid.turned_back(anatomy.turned_degrees)
    globe = np.zeros((len(grid.origins), *grid.shape), np.float32)
    found = coverage(parts(anatomy).globes[side], grid, (0.0,))
    if found:
        block, (part,) = found
        globe[block] = part
    return globe


def density(anatomy: Anatomy, grid: SliceGrid) -> np.ndarray:
    """The mean density of each voxel in HU, float32, [slice, row, column]."""
    head = parts(anatomy)
    grid = grid.turned_back(anatomy.turned_degrees)
    shape = (len(grid.origins), *grid.shape)
    canvas = _Canvas(np.zeros(shape, np.float32), np.full(shape, AIR_HU, np.float32))
    for layers in head.soft:
        _paint(canvas, grid, layers, cuts_bone=False)
    canvas.bone = _solid(head, grid)
    canvas.soft *= 1 - canvas.bone
    for layers in head.voids:
        _paint(canvas, grid, layers, cuts_bone=True)
    for layers in head.contents:
        _paint(canvas, grid, layers, cuts_bone=False)
    return canvas.soft + canvas.bone * _bone_density(anatomy, head, grid, shape)


def _solid(head: Parts, grid: SliceGrid) -> np.ndarray:
    bone = np.zeros((len(grid.origins), *grid.shape), np.float32)
    for shape in head.bone:
        found = coverage(shape, grid, (0.0,))
        if found:
            block, (part,) = found
            np.maximum(bone[block], part, out=bone[block])
    return bone


def _paint(canvas: _Canvas, grid: SliceGrid, layers: Layers, *, cuts_bone: bool) -> None:
    found = coverage(layers.shape, grid, tuple(depth for depth, _ in layers.fill))
    if found is None:
        return
    block, covered = found
    for i, (part, (_, hu)) in enumerate(zip(covered, layers.fill, strict=True)):
        if cuts_bone and i == 0:
            canvas.cut(block, part, hu)
        else:
            canvas.fill(block, part, hu)


def _bone_density(anatomy: Anatomy, head: Parts, grid: SliceGrid, shape: tuple[int, int, int]) -> np.ndarray:
    density_hu = np.full(shape, anatomy.cortical_hu, np.float32)
    for zones, hu in ((head.trabecular, anatomy.trabecular_hu), (head.thin, anatomy.thin_hu)):
        for zone in zones:
            found = coverage(zone, grid, (0.0,))
            if found:
                block, (part,) = found
                density_hu[block] += part * (np.float32(hu) - density_hu[block])
    return density_hu
