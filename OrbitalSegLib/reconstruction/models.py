"""Models to print of a reconstructed orbit: the bone with its wall fused in, and the wall alone as a plate."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.modelling.distances import signed_distances_mm
from OrbitalSegLib.modelling.field import BoneField, agreeing, field_of_edited, with_inferred
from OrbitalSegLib.reconstruction import Reconstruction
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import RECONSTRUCTED

BOND_MM = 1.0
"""So far over the edge of the bone around it the wall reaches, so that both are one piece."""
GRID_MM = 0.3
"""Of a plate."""
COARSEST_MM = 0.6
"""A bone's grid is made finer where it is coarser, so that a wall of 1 mm lies in two voxels."""
SLACK_MM = 1.5
"""Voxels and vertices lie so far apart at most."""


@dataclass(frozen=True)
class PlateParameters:
    """How the wall is made solid."""

    thickness_mm: float = 1.0
    """Of the plate, from the reconstructed wall into the orbit; of the wall in the bone, from there outwards."""
    margin_mm: float = 3.0
    """So far the plate reaches over the rim of what is missing, on the intact wall."""


def fused(
    bone: sitk.Image, ct: sitk.Image, box_mm: tuple[float, ...], made: Reconstruction, wall_mm: float
) -> BoneField:
    """The bone around an orbit with the reconstructed wall in it, which is marked.

    Parameters
    ----------
    bone, ct
        The mask of seen bone, as it may have been edited, and the scan.
    box_mm
        Of the orbit; 10 mm around it are taken too.
    made
        The orbit as it was.
    wall_mm
        How thick the wall is made; its inner side is the orbit's.

    Raises
    ------
    InputError
        `region-outside`.
    """
    part = _finer(Region(box_mm).working_part(bone))
    own = field_of_edited(part, ct)
    return with_inferred(own, wall_in(part, made, wall_mm), RECONSTRUCTED)


def wall_in(grid: sitk.Image, made: Reconstruction, wall_mm: float) -> BoneField:
    """The reconstructed wall on a grid, from the orbit's surface outwards, a little over the edge of the bone."""
    return _sheet(grid, made, 0.0, wall_mm, BOND_MM)


def plate(made: Reconstruction, parameters: PlateParameters) -> BoneField:
    """The reconstructed wall alone, as a plate that lies on the intact wall around it, inside the orbit."""
    points = made.star.points_mm[made.is_new]
    around_mm = parameters.margin_mm + parameters.thickness_mm + 2 * SLACK_MM
    low = points.min(axis=0) - around_mm
    size = np.ceil((points.max(axis=0) + around_mm - low) / GRID_MM).astype(int)
    grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    grid.SetSpacing((GRID_MM,) * 3)
    grid.SetOrigin(low.tolist())
    return _sheet(grid, made, -parameters.thickness_mm, 0.0, parameters.margin_mm)


def _finer(mask: sitk.Image) -> sitk.Image:
    """The mask on a grid of `COARSEST_MM` or less; no voxel changes sides."""
    times = [int(np.ceil(s / COARSEST_MM - 1e-6)) for s in mask.GetSpacing()]
    return mask if max(times) == 1 else sitk.Expand(mask, times, sitk.sitkNearestNeighbor)


def _sheet(grid: sitk.Image, made: Reconstruction, from_mm: float, to_mm: float, beyond_mm: float) -> BoneField:
    """What lies between two distances from the orbit's surface, outwards, and near to what was reconstructed of it.

    It ends where a natural opening, or the front, is nearer than wall.
    """
    points, new, closed = made.star.points_mm, made.is_new, made.is_natural | made.star.is_front
    apart_mm = _away_mm(grid, _places(points, new))
    near = apart_mm <= beyond_mm + max(abs(from_mm), abs(to_mm)) + SLACK_MM
    index = np.argwhere(near)
    axes = np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing())
    places = np.array(grid.GetOrigin()) + index[:, ::-1] @ axes.T
    out_mm = signed_distances_mm(places, points, sphere().triangles)
    # Along the surface, by Pythagoras: how far the foot of a place is from what was reconstructed.
    beside_mm = np.sqrt(np.maximum(apart_mm[near] ** 2 - out_mm**2, 0.0))
    inside = np.minimum.reduce([out_mm - from_mm, to_mm - out_mm, beyond_mm - beside_mm])
    if closed.any():
        inside = np.minimum(
            inside, _away_mm(grid, points[closed])[near] - _away_mm(grid, _places(points, ~closed))[near]
        )
    fraction = np.zeros(near.shape, np.float32)
    fraction[near] = np.clip(0.5 + inside / float(np.mean(grid.GetSpacing())), 0.0, 1.0)
    mask = on_grid((fraction >= 0.5).astype(np.uint8), grid)
    return BoneField(mask, agreeing(on_grid(fraction, grid), mask), "fraction")


def _places(points: Floats, some: np.ndarray) -> Floats:
    """Vertices, and the middles of the triangles between them."""
    triangles = sphere().triangles[some[sphere().triangles].all(axis=1)]
    return np.concatenate([points[some], points[triangles].mean(axis=1)])


def _away_mm(grid: sitk.Image, places: Floats) -> Floats:
    """How far each voxel of a grid is from the nearest of places, to a voxel."""
    axes = np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing())
    index = np.rint((places - np.array(grid.GetOrigin())) @ np.linalg.inv(axes).T).astype(int)
    index = index[((index >= 0) & (index < grid.GetSize())).all(axis=1)]
    flags = np.zeros(grid.GetSize()[::-1], np.uint8)
    flags[tuple(index.T[::-1])] = 1
    if not len(index):
        return np.full(flags.shape, np.inf)
    away = sitk.SignedMaurerDistanceMap(on_grid(flags, grid), squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayFromImage(away), 0.0)
