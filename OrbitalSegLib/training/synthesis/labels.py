"""What a case says of each voxel, and of each point of the orbit's walls."""

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.evaluation.walls import crosses
from OrbitalSegLib.training.cases import Flag
from OrbitalSegLib.training.synthesis.deformation import AnatomyOnGrid
from OrbitalSegLib.training.synthesis.grids import Grid
from OrbitalSegLib.training.synthesis.walls import BoneOnGrid, band

RIM_MM = 0.5
"""Next to the rim of a hole no label is scored: a fraction of a voxel decides there."""

NEAR_WALL_MM = 1.5
"""`Flag.WALL` reaches so far from a mid-surface."""

METAL_FRACTION = 0.1
"""Voxels with more metal than this are not scored."""

CLEAR_OF_SOLID_MM = 0.5
"""A wall's mid-surface is a wall only this far from thick bone."""


def label_flags(anatomy: AnatomyOnGrid, bone: BoneOnGrid, metal: np.ndarray) -> np.ndarray:
    """The bits of `Flag` of each voxel, unsigned 8 bits."""
    would_be = band(bone.wall_mm, bone.intact_mm) & (bone.solid < 0.5)
    near = np.abs(bone.wall_mm) < NEAR_WALL_MM
    hole = would_be & (bone.depth_mm > 0) & (bone.fraction < 0.5) & ~bone.banded
    rim = np.abs(bone.depth_mm) < RIM_MM
    thin = (bone.solid_mm > CLEAR_OF_SOLID_MM) & (anatomy.opening_mm > 0) & (bone.kind != Wall.LATERAL)
    flags = np.zeros(anatomy.grid.shape, np.uint8)
    for flag, where in (
        (Flag.BONE, (bone.fraction >= 0.5) | bone.banded),
        (Flag.HOLE, hole),
        (Flag.WALL, near & thin),
        (Flag.IGNORE, (rim & near & (bone.solid_mm > 0)) | (metal > METAL_FRACTION)),
        (Flag.ORBIT, bone.wall_mm < 0),
        (Flag.AIRSPACE, (anatomy.sinus_mm < 0) & (bone.wall_mm >= 0)),
        (Flag.CRANIAL, anatomy.cranial_mm < 0),
    ):
        flags |= np.where(where, np.uint8(flag), np.uint8(0))
    return flags


def wall_points(anatomy: AnatomyOnGrid, bone: BoneOnGrid, *, mirrored: bool) -> WallPoints:
    """Points on the mid-surfaces of the orbits' thin walls."""
    surface = _midsurface(bone.wall_mm, anatomy.grid)
    points = (
        vtk_to_numpy(surface.GetPoints().GetData()) if surface.GetNumberOfPoints() else np.empty((0, 3), np.float32)
    )
    area = _areas(surface, len(points))
    normals = -vtk_to_numpy(surface.GetPointData().GetNormals()) if len(points) else points
    index = np.rint((points - np.array(anatomy.grid.origin_mm)) / anatomy.grid.spacing_mm).astype(int)
    at = tuple(index.T[::-1])
    kept = (bone.intact_mm[at] > 0) & (bone.solid_mm[at] > CLEAR_OF_SOLID_MM) & (area > 0)
    depth = _linear(bone.depth_mm, anatomy.grid, points)
    hole = depth > 0
    left = anatomy.left_mm[at] < 0
    return WallPoints(
        points_mm=points[kept],
        normals=normals[kept],
        wall=bone.kind[at][kept],
        side=(left ^ mirrored)[kept].astype(np.uint8),
        thickness_mm=np.where(hole, 0, _linear(bone.intact_mm, anatomy.grid, points))[kept].astype(np.float32),
        hole=hole[kept].astype(np.uint8),
        depth_mm=depth[kept].astype(np.float32),
        area_mm2=area[kept].astype(np.float32),
    )


def without_bone_behind(points: WallPoints, label: sitk.Image) -> WallPoints:
    """Less the points of holes whose line meets bone all the same: a septum behind the wall, a plate that hangs in it.

    There no line can tell whether a mask closes the hole. `label` is a case's.
    """
    return points.at((points.hole == 0) | ~crosses(points, sitk.And(label, int(Flag.BONE))))


def _midsurface(distance_mm: np.ndarray, grid: Grid) -> vtkPolyData:
    image = vtkImageData()
    image.SetDimensions(grid.size)
    image.SetOrigin(grid.origin_mm)
    image.SetSpacing((grid.spacing_mm,) * 3)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(distance_mm, np.float32).ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOn()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _areas(surface: vtkPolyData, count: int) -> np.ndarray:
    """The area that each point stands for: a third of its triangles'."""
    if not count:
        return np.zeros(0)
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(thirds, 3), count)


def _linear(field: np.ndarray, grid: Grid, points_mm: np.ndarray) -> np.ndarray:
    """A field at points inside the grid, by linear interpolation."""
    place = (points_mm - np.array(grid.origin_mm)) / grid.spacing_mm
    low = np.clip(np.floor(place).astype(int), 0, np.array(grid.size) - 2)
    share = place - low
    value = np.zeros(len(points_mm))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        x, y, z = (low + corner).T
        value += weight * field[z, y, x]
    return value
