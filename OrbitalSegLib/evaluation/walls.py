"""Are the thin walls of the orbit there, and are the holes in them still open? Both are always given together:
coverage alone rewards drawing an edge wherever air meets tissue.

A wall is known by points on its mid-surface. A mask closes it at a point if the line along the wall's normal, 1.0 mm to
either side, meets the mask, sampled on the mask's own grid.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, nan

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals
from vtkmodules.vtkFiltersPoints import vtkConnectedPointsFilter

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.progress import Progress, silent

REACH_MM = 1.0
"""How far the line reaches to either side of the mid-surface."""

STEP_MM = 0.1

HOLE_EDGE_MM = 0.5
"""A hole is judged deeper than this inside its edge: at the edge, bone that is there reaches into it."""

OPEN_PATCH_MM2 = 1.0
"""Connected open points of intact wall count as a tunnel if their area is larger than this."""

THICKNESS_CLASSES_MM = (0.0, 0.2, 0.3, 0.4, 0.6, inf)
"""Limits of the classes; a wall on a limit belongs to the thicker class."""


ALL_WALLS = tuple(Wall)
THIN_WALLS = (Wall.FLOOR, Wall.MEDIAL)


@dataclass(frozen=True)
class Area:
    """The part of a wall that a mask closes."""

    closed_mm2: float
    total_mm2: float

    @property
    def share(self) -> float:
        """0 to 1; not a number where there is no such wall."""
        return self.closed_mm2 / self.total_mm2 if self.total_mm2 else nan


@dataclass(frozen=True)
class WallFigures:
    """What a mask does with the walls. Keys are `all`, `thin` (floor and medial wall), and the names of the walls in
    small letters."""

    intact: dict[str, Area] = field(default_factory=dict)
    holes: dict[str, Area] = field(default_factory=dict)
    intact_by_thickness: dict[tuple[str, float], Area] = field(default_factory=dict)
    """By wall and lower limit of the thickness class in mm."""
    open_patches: dict[str, int] = field(default_factory=dict)
    """Tunnels through intact wall: connected open patches larger than `OPEN_PATCH_MM2`."""

    def figures(self) -> dict[str, float]:
        """Every metric by name, such as `walls_closed_floor` and `walls_closed_thin_from_0.3_mm`."""
        return {
            **{f"walls_closed_{name}": area.share for name, area in self.intact.items()},
            **{f"holes_closed_{name}": area.share for name, area in self.holes.items()},
            **{
                f"walls_closed_{name}_from_{low:g}_mm": area.share
                for (name, low), area in self.intact_by_thickness.items()
            },
            **{f"open_patches_{name}": count for name, count in self.open_patches.items()},
        }


GROUPS: dict[str, tuple[Wall, ...]] = {
    "all": ALL_WALLS,
    "thin": THIN_WALLS,
    **{wall.name.lower(): (wall,) for wall in Wall},
}


def wall_figures(points: WallPoints, mask: sitk.Image, progress: Progress = silent) -> WallFigures:
    """How much of the true walls a mask closes: give it what is *seen*, and again what is *seen or inferred*.

    Parameters
    ----------
    points
        On the middle of the true walls, LPS mm.
    mask
        What is not 0 is bone; its grid need not be that of anything else.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    figures
        The area of intact wall and of holes that is closed, by wall and thickness, and how many patches are open.

    Raises
    ------
    InputError
        `no-walls`: none of the points lies in the image.
    """
    inside = _in_image(points.points_mm, mask)
    if not inside.any():
        raise InputError("no-walls", "None of the wall's points lies in the image: these do not belong together.")
    closed = crosses(points, mask, progress)
    found = WallFigures()
    for name, walls in GROUPS.items():
        ours = of_walls(points, walls) & inside
        intact = ours & (points.hole == 0)
        deep = ours & (points.hole != 0) & (points.depth_mm > HOLE_EDGE_MM)
        found.intact[name] = _area(points, closed, intact)
        found.holes[name] = _area(points, closed, deep)
        for low, high in pairwise(THICKNESS_CLASSES_MM):
            of_class = (points.thickness_mm >= low) & (points.thickness_mm < high)
            found.intact_by_thickness[name, low] = _area(points, closed, intact & of_class)
        found.open_patches[name] = sum(
            int((patches_mm2(points, intact & ~closed & of_walls(points, (wall,))) > OPEN_PATCH_MM2).sum())
            for wall in walls
        )
    return found


def of_walls(points: WallPoints, walls: tuple[Wall, ...]) -> np.ndarray:
    """Flags (n,) of the points of some walls.

    Parameters
    ----------
    points
        n of them.
    walls
        Names of walls.

    Returns
    -------
    flags
        (n,).
    """
    return np.isin(points.wall, [int(wall) for wall in walls])


def crosses(points: WallPoints, mask: sitk.Image, progress: Progress = silent) -> np.ndarray:
    """Whether the line through each point meets the mask: flags (n,).

    Parameters
    ----------
    points
        n of them, each with the line through its wall.
    mask
        On any grid.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    flags
        (n,).
    """
    return highest(points, sitk.NotEqual(mask, 0), progress) > 0


def highest(points: WallPoints, image: sitk.Image, progress: Progress = silent) -> np.ndarray:
    """The highest value of an image on the line through each point, (n,); at least 0, as beyond the image.

    Parameters
    ----------
    points
        n of them, each with the line through its wall.
    image
        On any grid.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    values
        (n,), in the image's unit.
    """
    values = sitk.GetArrayFromImage(image)
    start = voxel_indices(image, points.points_mm)
    along = voxel_indices(image, points.points_mm + points.normals) - start
    found = np.zeros(len(points.points_mm), values.dtype)
    offsets = np.linspace(-REACH_MM, REACH_MM, 2 * round(REACH_MM / STEP_MM) + 1)
    for done, offset in enumerate(offsets):
        index = np.floor(start + offset * along + 0.5).astype(np.int64)
        inside = np.all((index >= 0) & (index < image.GetSize()), axis=1)
        x, y, z = index[inside].T
        found[inside] = np.maximum(found[inside], values[z, y, x])
        progress((done + 1) / len(offsets))
    return found


def patches_mm2(points: WallPoints, where: np.ndarray) -> np.ndarray:
    """The areas of the connected patches of the flagged points.

    Points are connected if they lie no further apart than twice the side of the mean point's piece of wall.

    Parameters
    ----------
    points
        n of them, each with its piece of the wall.
    where
        Flags (n,).

    Returns
    -------
    areas
        One for each patch, mm².
    """
    if not where.any():
        return np.zeros(0)
    areas = points.area_mm2[where]
    cloud = vtkPolyData()
    places = vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points.points_mm[where], np.float64), deep=True))
    cloud.SetPoints(places)
    connect = vtkConnectedPointsFilter()
    connect.SetInputData(cloud)
    connect.SetRadius(2 * float(np.sqrt(points.area_mm2.mean())))
    connect.SetExtractionModeToAllRegions()
    connect.Update()
    labels = vtk_to_numpy(connect.GetOutput().GetPointData().GetArray("RegionLabels"))
    return np.bincount(labels, weights=areas)


def walls_of_phantom(midsurfaces: vtkPolyData) -> WallPoints:
    """The points of a phantom's mid-surfaces (`phantom.wall_midsurfaces`), which have no holes.

    A point stands for a third of each triangle at it.

    Parameters
    ----------
    midsurfaces
        As `phantom.wall_midsurfaces` gives them, LPS mm.

    Returns
    -------
    points
        With their area, direction and thickness.
    """
    vertices, triangles = arrays_of(midsurfaces)
    vertices = vertices.astype(np.float64)
    names = midsurfaces.GetCellData().GetAbstractArray("wall")
    of_triangle = np.array([names.GetValue(i).split() for i in range(len(triangles))], str).reshape(-1, 2)
    sides, walls = np.zeros(len(vertices), np.int64), np.zeros(len(vertices), np.int64)
    for corner in triangles.T:
        sides[corner] = of_triangle[:, 0] == "left"
        walls[corner] = [Wall[name.upper()] for name in of_triangle[:, 1]]
    a, b, c = (vertices[corner] for corner in triangles.T)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    n = len(vertices)
    return WallPoints(
        points_mm=vertices,
        normals=_point_normals(midsurfaces),
        wall=walls,
        side=sides,
        thickness_mm=vtk_to_numpy(midsurfaces.GetPointData().GetArray("thickness_mm")).astype(np.float64),
        hole=np.zeros(n, np.uint8),
        depth_mm=np.full(n, inf),
        area_mm2=np.bincount(triangles.ravel(), np.repeat(areas / 3, 3), minlength=n),
    )


def _area(points: WallPoints, closed: np.ndarray, where: np.ndarray) -> Area:
    return Area(float(points.area_mm2[where & closed].sum()), float(points.area_mm2[where].sum()))


def _in_image(points_mm: np.ndarray, image: sitk.Image) -> np.ndarray:
    index = voxel_indices(image, points_mm)
    return np.all((index >= -0.5) & (index < np.array(image.GetSize()) - 0.5), axis=1)


def _point_normals(surface: vtkPolyData) -> np.ndarray:
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.ComputePointNormalsOn()
    normals.Update()
    return _unit(vtk_to_numpy(normals.GetOutput().GetPointData().GetNormals()).astype(np.float64))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
