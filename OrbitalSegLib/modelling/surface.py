"""A bone field in; a closed surface out that faces outward, crosses itself nowhere, and is as thin as the bone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.collisions import damaged, settled
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.fitting import fit
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers
from OrbitalSegLib.modelling.isosurface import scaffold
from OrbitalSegLib.modelling.mesh import Neighbours, Topology
from OrbitalSegLib.modelling.refinement import refinement_for
from OrbitalSegLib.modelling.smoothing import Sinc, smoothed
from OrbitalSegLib.progress import Progress, silent, span

Smoothing = Literal["none", "faithful", "smooth"]

EMPTY = "There is no bone to make a surface of: lower the threshold, or choose another region or segment."

UNLIMITED = 1 << 62
"""Bytes."""

AROUND = 3
"""Voxels around the bone that are looked at: what blurs its surface outside."""

FINEST_MM = 0.4
"""Spacing of the vertices of a surface with a bone fraction. Across a wall it is worked out four times as finely as
the scan is (`fitting`); vertices twice as dense gave no better walls, and four times the triangles."""

# 20 iterations at a pass band of 0.1 move the surface of a rough skull by 0.28 voxels (95 %) and keep 99.94 % of its
# volume; 30 at 0.001 move it by up to 1.4 voxels and make it cross itself (measured on a cube of 400 voxels). A mask
# says where the surface is to half a voxel: what lies within that is as true as the stair steps.
FAITHFUL = Sinc(iterations=20, pass_band=0.1, limit_voxels=0.5)
SMOOTH = Sinc(iterations=40, pass_band=0.02, limit_voxels=1.0)
SMOOTHINGS: dict[Smoothing, Sinc | None] = {"none": None, "faithful": FAITHFUL, "smooth": SMOOTH}

# Stairs of slices 1 mm apart in a wall that leans by 20 degrees are 3 mm long: the lines across a wall are as square to
# it as the scaffold is even. Weaker smoothing lost a quarter of such a wall (docs/surface.md).
EVEN = Sinc(iterations=50, pass_band=0.004, limit_voxels=0.75)
FITS = 2
"""The second fit begins where the first ended, on nearly even walls."""

THIN_PART = 0.3
"""Smoothing moves no side of a wall further than this part of its thickness."""


@dataclass(frozen=True)
class SurfaceParameters:
    """How a surface is made.

    `smoothing` is "none", "faithful" (no vertex further than half a voxel or three tenths of its wall from where it
    was) or "smooth" (a voxel).
    """

    smoothing: Smoothing = "faithful"
    working_mm: float = FINEST_MM

    def __post_init__(self) -> None:
        if self.smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing is one of {', '.join(SMOOTHINGS)}, not {self.smoothing!r}")


@dataclass
class Surface:
    """A sound surface in LPS mm: points 32-bit (n, 3), `triangles` (m, 3) facing outward.

    `unsmoothed` are the same vertices before smoothing.
    """

    points: Floats
    triangles: Integers
    unsmoothed: Floats
    topology: Topology
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def mesh(self) -> vtkPolyData:
        return mesh.surface_of(self.points, self.triangles)


def surface_of_mask(
    mask: sitk.Image, parameters: SurfaceParameters | None = None, progress: Progress = silent
) -> tuple[vtkPolyData, dict[str, Any]]:
    """The closed surface of a mask's non-zero voxels, and what was measured: `surface_of` without a bone fraction.

    Parameters
    ----------
    mask
        Any grid; what is not 0 is bone.
    parameters
        How it is smoothed; None is faithful to the mask.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    surface
        Triangles, LPS, mm.
    measured
        As the record has it (docs/contracts.md, section 8).

    Raises
    ------
    InputError
        `empty-result`: no voxel is set.

    Examples
    --------
    >>> ball = sitk.GaussianSource(size=[24, 24, 24], sigma=[6.0] * 3, mean=[12.0] * 3, scale=1.0) > 0.5
    >>> surface, measured = surface_of_mask(ball)
    >>> measured["parts"], measured["tunnels"], measured["open_edges"]
    (1, 0, 0)
    """
    made = surface_of(BoneField(mask), parameters or SurfaceParameters(), progress=progress)
    return made.mesh, made.measured


def surface_of(
    bone: BoneField,
    parameters: SurfaceParameters | None = None,
    allowed_bytes: int = UNLIMITED,
    progress: Progress = silent,
) -> Surface:
    """The surface of a bone field, and what was measured.

    Voxels that share a face or an edge are joined, voxels that touch at a corner are not, and the background is joined
    through faces only, so that an oblique wall one voxel thick has no holes. Where there is a bone fraction, the
    surface holds it (`fitting`): a wall is as thick as the bone in it, however thick its voxels are. Bone that the
    border of the image cuts is closed there by a flat face. The surface is closed, has two triangles at every edge,
    faces outward, crosses itself nowhere, and stays so when a file format stores its points as 32-bit numbers and welds
    them by position [3532-1 6].

    Parameters
    ----------
    bone
        A mask, and how much of each voxel is bone where that is known.
    parameters
        How it is smoothed; None is faithful.
    allowed_bytes
        Of memory.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    surface
        Points (n, 3) in LPS mm, triangles (m, 3), and what was measured, for the record.

    Raises
    ------
    InputError
        `empty-result`: no voxel is set; `too-large`: memory does not suffice; `damaged-surface`: the promise cannot be
        kept.
    """
    parameters = parameters or SurfaceParameters()
    seconds: dict[str, float] = {}
    grid = _Grid.around(bone)
    working_mm = np.inf if grid.fraction is None else parameters.working_mm
    refinement, needed = refinement_for(grid.mask, grid.spacing_mm, working_mm, allowed_bytes)
    with _timed(seconds, "isosurface"):
        stairs, triangles = scaffold(grid.mask, grid.fraction, refinement, span(progress, 0, 0.1))
        topology = Topology(triangles)
    with _timed(seconds, "fitting"):
        best, thickness_mm = _fitted(stairs, triangles, grid, span(progress, 0.1, 0.4))
    with _timed(seconds, "smoothing"):
        smooth = _smoothed(best, triangles, thickness_mm, SMOOTHINGS[parameters.smoothing], grid)
    places = [grid.to_lps(points) for points in (stairs, (stairs + best) / 2, best, smooth)]
    triangles = grid.outward(triangles)
    mask_volume_ml, spacing_mm = grid.mask_volume_ml, grid.spacing_mm
    del grid, stairs, best, smooth, thickness_mm  # the search takes most memory
    with _timed(seconds, "repair"):
        result = settled(places, triangles, topology, span(progress, 0.4, 0.9))
    volume_ml = mesh.volume_ml(result.points, triangles)
    if not topology.sound or volume_ml <= 0:
        raise damaged(result.points[topology.wrong_vertices] if len(topology.wrong_vertices) else result.points)
    moved_mm = np.linalg.norm(result.points - places[2], axis=1)
    median_mm, p95_mm, max_mm = np.percentile(moved_mm, (50, 95, 100))
    progress(1)
    measured = {
        "source": bone.source,
        "working_spacing_mm": [float(s / k) for s, k in zip(spacing_mm, refinement, strict=True)],
        "memory_estimated_gb": round(needed / 1e9, 2),
        "triangles": len(triangles),
        "parts": topology.parts,
        "tunnels": topology.tunnels,
        "volume_ml": volume_ml,
        "mask_volume_ml": mask_volume_ml,
        "moved_median_mm": float(median_mm),
        "moved_95_mm": float(p95_mm),
        "moved_max_mm": float(max_mm),
        "vertices_put_back": result.put_back,
        "open_edges": topology.open_edges,
        "non_manifold_edges": topology.non_manifold_edges,
        "self_intersections": 0,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
    return Surface(result.points, triangles, places[2], topology, measured)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


@dataclass(frozen=True)
class _Grid:
    """The part of a bone field that holds bone: arrays (z, y, x), and where their first voxel lies."""

    mask: Flags
    fraction: Floats | None
    spacing_mm: Floats
    origin_mm: Floats
    axes: Floats

    @classmethod
    def around(cls, bone: BoneField) -> "_Grid":
        mask = sitk.GetArrayViewFromImage(bone.mask) != 0
        used = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        if used[0].size == 0:
            raise InputError("empty-result", EMPTY)
        part = tuple(
            slice(max(u[0] - AROUND, 0), min(u[-1] + 1 + AROUND, n)) for u, n in zip(used, mask.shape, strict=True)
        )
        fraction = None if bone.fraction is None else sitk.GetArrayViewFromImage(bone.fraction)[part].copy()
        axes = np.reshape(bone.mask.GetDirection(), (3, 3))
        spacing_mm = np.array(bone.mask.GetSpacing())
        first = np.array([p.start for p in reversed(part)])
        return cls(mask[part], fraction, spacing_mm, bone.mask.GetOrigin() + axes @ (first * spacing_mm), axes)

    @property
    def mask_volume_ml(self) -> float:
        return float(self.mask.sum() * np.prod(self.spacing_mm) / 1000)

    def outward(self, triangles: Integers) -> Integers:
        """Triangles that face outward in voxels, so that they do in patient space."""
        return np.ascontiguousarray(triangles[:, ::-1]) if np.linalg.det(self.axes) < 0 else triangles

    def to_lps(self, points: Floats) -> Floats:
        """Points in voxels as they will stand in the file: LPS, mm, 32-bit."""
        matrix = self.axes @ np.diag(self.spacing_mm)
        return (points.astype(np.float64) @ matrix.T + self.origin_mm).astype(np.float32)


def _fitted(stairs: Floats, triangles: Integers, grid: _Grid, progress: Progress) -> tuple[Floats, Floats]:
    """Points in voxels that hold the bone fraction, and the thickness of sheets in mm."""
    if grid.fraction is None:
        return stairs, np.full(len(stairs), np.inf)
    points, neighbours = stairs, Neighbours(triangles, len(stairs))
    for round_ in range(FITS):
        points = smoothed(points, triangles, EVEN, np.array([EVEN.limit_voxels]))
        part = span(progress, round_ / FITS, (round_ + 1) / FITS)
        found = fit(points * grid.spacing_mm, triangles, grid.fraction, grid.spacing_mm, part, neighbours)
        points = found.points / grid.spacing_mm
    return points, found.thickness_mm


def _smoothed(points: Floats, triangles: Integers, thickness_mm: Floats, sinc: Sinc | None, grid: _Grid) -> Floats:
    """Points in voxels after smoothing.

    Length is counted in voxels: slices that lie far apart have high stairs, and say as little about what is between.
    """
    if sinc is None:
        return points
    limit = np.minimum(sinc.limit_voxels, THIN_PART * thickness_mm / grid.spacing_mm.max())
    return smoothed(points, triangles, sinc, limit)
