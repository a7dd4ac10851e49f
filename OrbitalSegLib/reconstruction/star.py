"""An orbit as its rays know it: how far the wall is in each direction, and where that is bone."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkIdList, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

from OrbitalSegLib.cavity import BONE, END, INFERRED, OPENING, Cavity
from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.modelling import mesh

Flags = NDArray[np.bool_]

AT_ONCE = 1024
FARTHEST_MM = 90.0
"""No ray inside an orbit is so long."""


@dataclass(frozen=True, eq=False)
class Star:
    """One orbit; arrays have one value for each direction of `sphere`."""

    start_mm: Floats
    """(3,): where the rays start."""
    wall_mm: Floats
    """How far they run to the wall, or to the front."""
    modelled_mm: Floats
    """How far the wall of the located orbit is."""
    is_wall: Flags
    """Where a ray ends at bone, or at inferred wall."""
    is_front: Flags
    depth_mm: Floats
    """How far behind the front a ray ends."""

    @classmethod
    def of(cls, cavity: Cavity) -> "Star":
        """A measured orbit."""
        points = mesh.arrays_of(cavity.surface)[0].astype(np.float64)
        end = vtk_to_numpy(cavity.surface.GetPointData().GetArray(END))
        wall_mm = np.linalg.norm(points - cavity.start_mm, axis=1)
        is_wall = (end == BONE) | (end == INFERRED)
        return cls(cavity.start_mm, wall_mm, cavity.modelled_mm, is_wall, end == OPENING, cavity.front.depth_mm(points))

    @cached_property
    def points_mm(self) -> Floats:
        """(n, 3): where the rays end."""
        return self.at(self.wall_mm)

    def at(self, length_mm: Floats) -> Floats:
        """(n, 3): places so far along the rays."""
        return np.asarray(self.start_mm + sphere().directions * length_mm[:, None])

    @cached_property
    def normals(self) -> Floats:
        """(n, 3): unit vectors out of the orbit."""
        points, triangles = self.points_mm, sphere().triangles
        a, b, c = (points[triangles[:, corner]] for corner in range(3))
        across = np.cross(b - a, c - a)
        total = np.zeros_like(points)
        for corner in range(3):
            np.add.at(total, triangles[:, corner], across)
        return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True))

    def nearest(self, places_mm: Floats) -> NDArray[np.intp]:
        """(n,): the ray that passes nearest to each place (n, 3), as seen from the start."""
        offset, towards = places_mm - self.start_mm, sphere().directions.T
        found = [(offset[i : i + AT_ONCE] @ towards).argmax(axis=1) for i in range(0, len(offset), AT_ONCE)]
        return np.concatenate(found)

    def to_surface(self, points_mm: Floats, of: Flags) -> tuple[Floats, Flags]:
        """How far each ray is from a surface with the triangles of `sphere`; whether it meets it where `of` is true.

        Infinite where a ray never meets it.
        """
        locator = vtkStaticCellLocator()
        locator.SetDataSet(mesh.surface_of(points_mm, sphere().triangles))
        locator.BuildLocator()
        ends = self.at(np.full(len(self.wall_mm), FARTHEST_MM))
        length, met = np.full(len(ends), np.inf), np.zeros(len(ends), bool)
        known = np.asarray(of[sphere().triangles].all(axis=1))
        places, triangles, start = vtkPoints(), vtkIdList(), self.start_mm.tolist()
        for ray in np.flatnonzero(~self.is_front):
            if locator.IntersectWithLine(start, ends[ray].tolist(), 0.0, places, triangles):
                length[ray] = np.linalg.norm(np.array(places.GetPoint(0)) - self.start_mm)
                met[ray] = known[triangles.GetId(0)]
        return length, met
