"""A mask and the bone fraction around it in; a closed surface with the mask's topology out, on a refined grid."""

from collections.abc import Iterator

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers
from OrbitalSegLib.progress import Progress, silent

OUTSIDE_AT_MOST = np.float32(0.35)
"""What a voxel outside the mask counts at most, so that it stays outside."""

HALF = np.float32(0.5)
"""Level of the isosurface of a mask alone."""

LEVEL = np.float32(0.4)
"""Level of the isosurface of a mask with a bone fraction. Between two mask voxels that share an edge interpolation
gives one half, and they are joined; between two that share a corner it gives a quarter, and they are not."""

NEAREST = np.float32(0.01)
"""No sample comes nearer to the level than this, so that no triangle is degenerate."""

SLAB_VOXELS = 1 << 23
"""Refined voxels that are in memory at once."""

Refinement = tuple[int, int, int]
"""How many times finer the working grid is along x, y and z."""


def scaffold(
    mask: Flags, fraction: Floats | None, refinement: Refinement, progress: Progress = silent
) -> tuple[Floats, Integers]:
    """Points (n, 3) in voxels, x y z, and triangles (m, 3) that face outward where x, y and z are right-handed.

    `mask` and `fraction` are (z, y, x); between their voxels interpolation is linear. Voxels that share a face or an
    edge are joined, voxels that touch at a corner are not, and the background, a layer of which lies round the image,
    is joined through faces only.
    """
    around = np.float32(0) if fraction is None else np.minimum(fraction, OUTSIDE_AT_MOST)
    outside = np.pad(np.where(mask, np.float32(0), 1 - around), 1, constant_values=1)
    level = 1 - (HALF if fraction is None else LEVEL)
    all_points, all_triangles = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.int64)]
    count, joint = 0, np.zeros(0, np.int64)
    for first, last in _slabs(outside, refinement):
        points, triangles = _isosurface(_refined(outside[first : last + 1], refinement, level), level)
        points[:, 2] += first * refinement[2]
        shared = _on_plane(points, first * refinement[2])
        if len(shared) != len(joint):
            raise AssertionError("two slabs disagree on the plane between them")
        number = np.empty(len(points), np.int64)
        own = np.ones(len(points), bool)
        own[shared] = False
        number[own] = count + np.arange(own.sum())
        number[shared] = joint
        above = _on_plane(points, last * refinement[2])
        joint = number[above]
        count += int(own.sum())
        all_points.append(points[own])
        all_triangles.append(number[triangles])
        progress(last / len(outside))
    points = np.concatenate(all_points) / np.array(refinement, np.float32) - 1
    return points, np.concatenate(all_triangles).astype(np.int32)


def _slabs(volume: Floats, refinement: Refinement) -> Iterator[tuple[int, int]]:
    """First and last plane of slabs that share their border planes."""
    plane = volume[0].size * int(np.prod(refinement))
    thickness = max(1, SLAB_VOXELS // plane)
    for first in range(0, len(volume) - 1, thickness):
        yield first, min(first + thickness, len(volume) - 1)


def _refined(volume: Floats, refinement: Refinement, level: np.float32) -> Floats:
    """A volume (z, y, x) with further samples between its voxels, none of them near the level."""
    for axis, times in enumerate(reversed(refinement)):
        volume = _refined_along(volume, axis, times)
    near = np.abs(volume - level) < NEAREST
    return np.where(near, np.where(volume < level, level - NEAREST, level + NEAREST), volume)


def _refined_along(volume: Floats, axis: int, times: int) -> Floats:
    if times == 1:
        return volume
    volume = np.moveaxis(volume, axis, 0)
    fine = np.empty(((len(volume) - 1) * times + 1, *volume.shape[1:]), np.float32)
    fine[::times] = volume
    for step in range(1, times):
        part = np.float32(step / times)
        fine[step::times] = volume[:-1] * (1 - part) + volume[1:] * part
    return np.moveaxis(fine, 0, axis)


def _isosurface(outside: Floats, level: np.float32) -> tuple[Floats, Integers]:
    """Marching cubes in voxels of what is outside; triangles face the bone, as VTK makes them, turned here.

    VTK's table separates samples that share only an edge, so it is given the background as what is set. It leaves no
    edge with more than two triangles.
    """
    image = vtkImageData()
    image.SetDimensions(outside.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(outside, np.float32).ravel()))
    filter_ = vtkFlyingEdges3D()
    filter_.SetInputData(image)
    filter_.SetValue(0, float(level))
    filter_.ComputeNormalsOff()
    filter_.ComputeScalarsOff()
    filter_.Update()
    points, triangles = mesh.arrays_of(filter_.GetOutput())
    return points.copy(), triangles[:, ::-1]


def _on_plane(points: Floats, z: int) -> Integers:
    """The numbers of the points that lie exactly on a plane of samples, ordered by place."""
    found = np.flatnonzero(points[:, 2] == z)
    return found[np.lexsort(points[found].T[:2])]
