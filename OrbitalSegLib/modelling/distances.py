"""How far points lie from a closed surface, and on which side."""

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Floats, Integers
from OrbitalSegLib.progress import Progress, silent

AT_ONCE = 1 << 14
"""Points between two reports of progress."""


def signed_distances_mm(points: Floats, onto: Floats, triangles: Integers, progress: Progress = silent) -> Floats:
    """Distance of points (n, 3) to the nearest place on a surface that faces outward; negative inside it.

    The side is told by the normal of the nearest triangle, edge or vertex.
    """
    measure = vtkImplicitPolyDataDistance()
    # Welding would drop the triangles that a step of another tolerance calls flat.
    measure.SetInput(mesh.surface_of(onto.astype(np.float64), triangles))
    found = np.empty(len(points))
    for start in range(0, len(points), AT_ONCE):
        some = numpy_to_vtk(np.ascontiguousarray(points[start : start + AT_ONCE], np.float64), deep=True)
        values = vtkDoubleArray()
        measure.FunctionValue(some, values)
        found[start : start + AT_ONCE] = vtk_to_numpy(values)
        progress(min(start + AT_ONCE, len(points)) / len(points))
    return found
