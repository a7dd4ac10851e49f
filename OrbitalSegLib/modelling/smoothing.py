"""Windowed sinc smoothing that takes no vertex further than allowed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkSMPTools
from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.intersections import Floats, Integers

MANY = 1 << 16
"""Vertices from which on it pays to share them out among processors."""


@dataclass(frozen=True)
class Sinc:
    """How strongly a surface is smoothed, and how many voxels no vertex may go beyond."""

    iterations: int
    pass_band: float
    limit_voxels: float


def smoothed(points: Floats, triangles: Integers, sinc: Sinc, limit: Floats) -> Floats:
    """Points after windowed sinc, none further than `limit` (n) or (1) from where it was."""
    filter_ = vtkWindowedSincPolyDataFilter()
    filter_.SetInputData(mesh.surface_of(points, triangles))
    filter_.SetNumberOfIterations(sinc.iterations)
    filter_.SetPassBand(sinc.pass_band)
    filter_.NormalizeCoordinatesOn()
    with _all_processors(len(points) >= MANY):
        filter_.Update()
    displacement = vtk_to_numpy(filter_.GetOutput().GetPoints().GetData()) - points
    length = np.linalg.norm(displacement, axis=1)
    return points + displacement * np.minimum(1, limit / np.maximum(length, 1e-9))[:, None]


@contextmanager
def _all_processors(wanted: bool) -> Iterator[None]:
    """VTK on all processors, which its wheels leave alone unless they are told; the points are the same."""
    before = vtkSMPTools.GetBackend()
    if wanted and before == "Sequential":
        vtkSMPTools.SetBackend("STDThread")
    try:
        yield
    finally:
        vtkSMPTools.SetBackend(before)
