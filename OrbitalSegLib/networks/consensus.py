"""Tri-planar consensus: a network on axial, coronal and sagittal slices, and the mean of the three [Ekman].

What makes the result the same whatever the machine has: a slice larger than a tile is cut into tiles of one size; the
probabilities of a voxel are added as whole numbers, in which no order matters; and a slice of nothing but air is given
the answer that the engine itself gives for such a slice, asked for once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.networks.engines.engine import BATCH, CARD_BATCH, Engine
from OrbitalSegLib.places import Box
from OrbitalSegLib.preprocessing import WINDOW_HU, WorkingGrid, to_windowed, working_grid
from OrbitalSegLib.progress import Progress, silent

PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""The axis of an array (z, y, x) across which each plane lies."""

TILE = 512
"""Voxels along the side of the largest tile: 256 mm at 0.5 mm, so that most heads are one tile."""

HALO = 64
"""Voxels at a tile's sides that only show the network where it is: their result is that of the tile beside it."""

LATTICE = 32
"""What slices show begins and ends at multiples of this, counted from the scan's first voxel: the stride of a network
of six levels, so that the region does not change how slices are divided into coarse pixels."""

AIR_MM = 16.0
"""So much air around tissue is looked at; what lies further out is left away."""

BYTES_OF_ENGINE = 250_000_000
"""What an engine takes before it looks at anything, torch more than others (measured)."""

BYTES_OF_FEATURE = 80
"""What it holds for each pixel of a batch and each channel of the first level, in 32 bits (measured)."""

BYTES_OF_TILE = 4
"""What a voxel takes while its tile is looked at: the window and the total (measured)."""

BYTES_AFTERWARDS = 26
"""What a voxel takes in the steps after this one, on the working grid and on the scan's (measured)."""

LEVELS = 65535
"""The whole numbers of the mean probability: 16 bits hold it to a ten-thousandth of what 8 bits show."""

IDENTITY = (np.arange(LEVELS + 1) / LEVELS).astype(np.float32)
"""The table that leaves the mean as it is."""


@dataclass(frozen=True)
class Consensus:
    """What came of it."""

    probabilities: dict[str, sitk.Image]
    """By field, on the working grid: the entry of its table for the mean probability of each voxel."""
    slices: int
    """Of all planes and tiles."""
    skipped: int
    """Those of them that hold nothing but air."""


def consensus_grid(scan: sitk.Image, spacing_mm: float, box_mm: Box | None = None) -> WorkingGrid:
    """The working grid of a region, less what lies further than `AIR_MM` from the box around all that is not air.

    Parameters
    ----------
    scan
        In HU, on the scan grid.
    spacing_mm
        Of the working grid, which is isotropic.
    box_mm
        The region with its margin; None is the whole scan.

    Returns
    -------
    grid
        Along the axes of the scan, and beginning where the scan begins.
    """
    tissue_mm = _tissue_box_mm(scan)
    if tissue_mm is not None:
        box_mm = tissue_mm if box_mm is None else _common(tissue_mm, box_mm)
    return working_grid(scan, spacing_mm, box_mm)


def triplanar(
    scan: sitk.Image,
    engines: Mapping[str, Engine],
    grid: WorkingGrid,
    planes: Sequence[str] = tuple(PLANES),
    *,
    fields: Mapping[str, Sequence[str]] | None = None,
    tables: Mapping[str, NDArray] | None = None,
    quantised: bool = True,
    skip_air: bool = True,
    progress: Progress = silent,
) -> Consensus:
    """Run each network over all slices of the grid, and take the mean of the planes [Ekman].

    Slices show what lies around the grid up to the next multiple of `LATTICE`.

    Parameters
    ----------
    scan
        In HU, on the scan grid.
    engines
        By network.
    grid
        A working grid of the scan.
    planes
        Names in `PLANES`, which say along which axes of the scan slices are cut.
    fields
        What the probabilities of each network's classes are called; without it each has one, called as the network.
    tables
        By field, 65,536 entries: what is stored for the mean `i / 65535`, as a calibrated probability in 8 bits.
        Without tables the mean itself is, in 32-bit floats.
    quantised
        Whether the networks see the window in 8 bits.
    skip_air
        Whether slices of air alone are passed over.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    consensus
        The probabilities by field on the grid, and how many slices were seen.
    """
    fields = {name: (name,) for name in engines} if fields is None else fields
    called = [field for names in fields.values() for field in names]
    tables = dict.fromkeys(called, IDENTITY) if tables is None else tables
    stored = {field: np.empty(grid.size[::-1], tables[field].dtype) for field in called}
    slices = skipped = 0
    for before, tile in _tiles(grid, shown_grid(scan, grid)):
        windowed = sitk.GetArrayFromImage(to_windowed(scan, tile.grid, quantised, _standing(progress, before)))
        sweeps = [_Sweep.of(windowed, tile, PLANES[plane], skip_air) for plane in planes]
        slices += sum(len(sweep.tissue) + len(sweep.air) for sweep in sweeps)
        skipped += sum(len(sweep.air) for sweep in sweeps)
        pixels = max(len(engines) * sum(sweep.pixels for sweep in sweeps), 1)
        done = 0
        for name, engine in engines.items():
            total = np.zeros((len(fields[name]), *tile.shape), np.uint16)
            for sweep in sweeps:
                for looked_at in sweep.run(engine, total, LEVELS // len(planes)):
                    done += looked_at
                    progress(before + done / pixels * total[0].size / grid.voxels)
            for field, found in zip(fields[name], total, strict=True):
                for place, means in zip(stored[field][tile.place], found, strict=True):
                    place[:] = tables[field][means]
    progress(1.0)
    return Consensus({field: grid.image(stored.pop(field)) for field in called}, slices, skipped)


def _standing(progress: Progress, at: float) -> Progress:
    """A progress that stands, and can still be stopped."""
    return lambda _fraction: progress(at)


def needed_bytes(
    grid: WorkingGrid, channels: Sequence[Sequence[int]], scan_voxels: int = 0, further_classes: int = 0
) -> int:
    """The memory that `triplanar` takes at most, or the steps after it if that is more.

    Parameters
    ----------
    grid
        The working grid.
    channels
        Of each network, level by level.
    scan_voxels
        Of the scan's grid, to which the result will be brought.
    further_classes
        Beyond the first of each network.

    Returns
    -------
    bytes
        An upper bound.
    """
    tile = sorted(min(size + 2 * LATTICE, TILE) for size in grid.size)
    slices = BATCH * tile[1] * tile[2] * max(own[0] for own in channels) * BYTES_OF_FEATURE
    stored = grid.voxels * (len(channels) + further_classes)
    afterwards = max(grid.voxels, scan_voxels) * BYTES_AFTERWARDS
    return (
        BYTES_OF_ENGINE + stored + max(slices + int(np.prod(tile)) * (BYTES_OF_TILE + 2 * further_classes), afterwards)
    )


def shown_grid(scan: sitk.Image, grid: WorkingGrid, lattice: int = LATTICE) -> WorkingGrid:
    """What slices show: the grid, grown to the lattice or to the scan's end.

    Parameters
    ----------
    scan
        In HU, on the scan grid.
    grid
        A working grid of it.
    lattice
        Voxels along each side of which the size is made a multiple.

    Returns
    -------
    grid
        Holds the other.
    """
    ends = [own + size for own, size in zip(grid.low, grid.size, strict=True)]
    last = working_grid(scan, grid.spacing_mm).size
    low = [own // lattice * lattice for own in grid.low]
    high = [min(-(-end // lattice) * lattice, most) for end, most in zip(ends, last, strict=True)]
    return replace(grid, low=tuple(low), size=tuple(b - a for a, b in zip(low, high, strict=True)))


@dataclass(frozen=True)
class _Tile:
    """What slices show at once; all slices here are (z, y, x)."""

    grid: WorkingGrid
    core: tuple[slice, ...]
    """The part of the tile whose result is taken."""
    place: tuple[slice, ...]
    """Where that lies in the grid of the result."""

    @property
    def shape(self) -> list[int]:
        return [part.stop - part.start for part in self.core]


def _tiles(grid: WorkingGrid, shown: WorkingGrid) -> Iterator[tuple[float, _Tile]]:
    """Each tile, after the fraction of the grid's voxels that lie in those before it."""
    done = 0
    axes = zip(grid.low[::-1], grid.size[::-1], shown.low[::-1], shown.size[::-1], strict=True)
    for spans in product(*(_spans(low - first, low - first + size, most) for low, size, first, most in axes)):
        ends, core, place = zip(*spans, strict=True)
        low = tuple(first + start for first, (start, _end) in zip(shown.low, reversed(ends), strict=True))
        size = tuple(end - start for start, end in reversed(ends))
        tile = _Tile(replace(shown, low=low, size=size), core, place)
        yield done / grid.voxels, tile
        done += int(np.prod(tile.shape))


def _spans(low: int, high: int, size: int) -> list[tuple[tuple[int, int], slice, slice]]:
    """Tiles along an axis of `size` voxels, where results are wanted from `low` to `high`.

    Gives where each starts and ends, where its core lies in it, and where in the result.
    """
    if size <= TILE:
        return [((0, size), slice(low, high), slice(0, high - low))]
    spans = []
    for first in range(0, size, TILE - 2 * HALO):
        begin, stop = max(first, low), min(first + TILE - 2 * HALO, high)
        start, end = max(first - HALO, 0), min(first + TILE - HALO, size)
        if begin < stop:
            spans.append(((start, end), slice(begin - start, stop - start), slice(begin - low, stop - low)))
    return spans


@dataclass(frozen=True)
class _Sweep:
    """The slices of a tile across one axis."""

    axis: int
    slices: NDArray
    """(n, h, w): those of the core, with the halo around each."""
    core: tuple[slice, ...]
    """Rows and columns of the core."""
    tissue: NDArray[np.int64]
    """Which of the slices go through the network."""
    air: NDArray[np.int64]
    """Which of them hold nothing but air."""

    @classmethod
    def of(cls, windowed: NDArray, tile: _Tile, axis: int, skip_air: bool) -> "_Sweep":
        slices = np.moveaxis(windowed, axis, 0)[tile.core[axis]]
        within = tuple(part for other, part in enumerate(tile.core) if other != axis)
        holds = slices.any(axis=(1, 2)) if skip_air else np.ones(len(slices), bool)
        return cls(axis, slices, within, np.flatnonzero(holds), np.flatnonzero(~holds))

    @property
    def pixels(self) -> int:
        return len(self.tissue) * self.slices.shape[1] * self.slices.shape[2]

    def run(self, engine: Engine, total: NDArray[np.uint16], one: int) -> Iterator[int]:
        """Add each slice's probabilities times `one` to the tile's totals (classes, z, y, x), and give how many pixels
        that was."""
        target = np.moveaxis(total, 1 + self.axis, 0)
        rows, columns = self.core

        def whole(slices: NDArray) -> NDArray[np.uint16]:
            found = engine.probabilities(slices)
            by_class = found.reshape(len(slices), len(total), *slices.shape[1:])
            return _whole(by_class[..., rows, columns], one)

        if len(self.air):
            blank = np.zeros((1, *self.slices.shape[1:]), self.slices.dtype)
            target[self.air] += whole(blank)
        # Twice what the engine works on at a time: it waits less often for the last of them.
        at_once = 2 * BATCH if engine.device == "cpu" else CARD_BATCH
        for start in range(0, len(self.tissue), at_once):
            which = self.tissue[start : start + at_once]
            target[which] += whole(self.slices[which])
            yield len(which) * self.slices.shape[1] * self.slices.shape[2]


def _whole(probability: NDArray[np.float32], one: int) -> NDArray[np.uint16]:
    return np.rint(probability * np.float32(one)).astype(np.uint16)


def _tissue_box_mm(scan: sitk.Image) -> Box | None:
    """The box (LPS) around every voxel above the window's lower end, with `AIR_MM` around it; None if there is none."""
    ends = []
    for used in _used(sitk.GetArrayViewFromImage(scan)):
        places = np.flatnonzero(used)
        if not len(places):
            return None
        ends.append((places[0] - 1, places[-1] + 1))  # a voxel further out: interpolation reaches so far
    corners = [
        scan.TransformContinuousIndexToPhysicalPoint([float(place) for place in corner]) for corner in product(*ends)
    ]
    return np.stack([np.min(corners, axis=0) - AIR_MM, np.max(corners, axis=0) + AIR_MM], axis=1).ravel().tolist()


def _used(hu: NDArray) -> tuple[NDArray[np.bool_], ...]:
    """Where along x, y and z an array (z, y, x) holds anything above the window's lower end."""
    x, y, z = (np.zeros(count, bool) for count in reversed(hu.shape))
    for number, plane in enumerate(hu):
        tissue = plane > WINDOW_HU[0]
        x |= tissue.any(axis=0)
        y |= tissue.any(axis=1)
        z[number] = tissue.any()
    return x, y, z


def _common(box_mm: Box, other_mm: Box) -> Box:
    """What two boxes share, or the second where they share nothing."""
    low = np.maximum(box_mm[::2], other_mm[::2])
    high = np.minimum(box_mm[1::2], other_mm[1::2])
    return np.stack([low, high], axis=1).ravel().tolist() if (low < high).all() else other_mm
