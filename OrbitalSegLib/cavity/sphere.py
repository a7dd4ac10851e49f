"""Directions spread over a sphere, and smoothing over it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersCore import vtkCleanPolyData
from vtkmodules.vtkFiltersModeling import vtkLinearSubdivisionFilter
from vtkmodules.vtkFiltersSources import vtkPlatonicSolidSource

from OrbitalSegLib.cavity.sampling import Floats

Integers = NDArray[np.int64]

DIVISIONS = 5
"""Of an icosahedron: 10,242 directions 2 degrees apart, 0.7 mm on a wall 20 mm away."""
_MOST_NEIGHBOURS = 6


@dataclass(frozen=True, eq=False)
class Sphere:
    """A sphere of triangles, whose corners are unit vectors."""

    directions: Floats
    """(n, 3)."""
    triangles: Integers
    """(m, 3): corners, outward."""
    neighbours: Integers
    """(6, n): the directions next to each; the twelve that have only five name themselves too."""

    def smoothed(self, values: Floats, times: int) -> Floats:
        """Values (n,), each replaced by the mean of itself and its neighbours, so many times."""
        for _ in range(times):
            values = (values + _summed(values, self.neighbours)) / (1 + _MOST_NEIGHBOURS)
        return values

    def bridged(self, values: Floats, known: NDArray[np.bool_], start: Floats) -> Floats:
        """Values (n,) where they are known, and between them the smoothest surface (harmonic), found from a start."""
        found, gaps = np.where(known, values, start), np.flatnonzero(~known)
        around = self.neighbours[:, gaps]
        for _ in range(_BRIDGING_STEPS):
            found[gaps] = _summed(found, around) / _MOST_NEIGHBOURS
        return found


def _summed(values: Floats, places: Integers) -> Floats:
    """(n,): the sum of the values at places (6, n)."""
    total = values[places[0]]
    for row in places[1:]:
        total += values[row]
    return total


_BRIDGING_STEPS = 600
"""Enough for gaps of 60 degrees."""


@cache
def sphere() -> Sphere:
    """The directions of every measurement."""
    source, joined, divided = vtkPlatonicSolidSource(), vtkCleanPolyData(), vtkLinearSubdivisionFilter()
    source.SetSolidTypeToIcosahedron()
    joined.SetInputConnection(source.GetOutputPort())
    divided.SetInputConnection(joined.GetOutputPort())
    divided.SetNumberOfSubdivisions(DIVISIONS)
    divided.Update()
    made = divided.GetOutput()
    directions = vtk_to_numpy(made.GetPoints().GetData()).astype(np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    triangles = vtk_to_numpy(made.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    a, b, c = (directions[triangles[:, corner]] for corner in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    triangles[inward] = triangles[inward, ::-1]
    return Sphere(directions, triangles, _neighbours(triangles, len(directions)))


def _neighbours(triangles: Integers, count: int) -> Integers:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    first = np.searchsorted(edges[:, 0], np.arange(count))
    place = np.arange(len(edges)) - first[edges[:, 0]]
    found = np.repeat(np.arange(count)[:, None], _MOST_NEIGHBOURS, axis=1)
    found[edges[:, 0], place] = edges[:, 1]
    return np.ascontiguousarray(found.T)
