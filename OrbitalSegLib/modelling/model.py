"""A bone field -> a model to print: surface, simplified, thickened, checked and reported."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.collisions import damaged
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.gaps import LISTED, gaps
from OrbitalSegLib.modelling.intersections import Floats, Integers
from OrbitalSegLib.modelling.simplification import simplified
from OrbitalSegLib.modelling.slits import joined
from OrbitalSegLib.modelling.surface import UNLIMITED, Smoothing, SurfaceParameters, surface_of
from OrbitalSegLib.modelling.surface_quality import quality
from OrbitalSegLib.modelling.thickening import thickened
from OrbitalSegLib.progress import Progress, silent, span

PRINTER_MINIMUM_MM = 0.8
"""What common printers of plastic can make as a wall: two lines of a nozzle of 0.4 mm."""


@dataclass(frozen=True)
class ModelParameters:
    """How a model is made; None leaves a step out."""

    smoothing: Smoothing = "faithful"
    simplify_mm: float | None = None
    """No place of the surface is moved further by simplifying."""
    thicken_mm: float | None = None
    """Walls are thickened to this."""
    printer_minimum_mm: float = PRINTER_MINIMUM_MM
    """Walls below this are reported."""


@dataclass(frozen=True)
class Model:
    """A sound surface (LPS mm), what is known of each vertex, and what was measured."""

    points: Floats
    triangles: Integers
    of_vertices: dict[str, Floats]
    """`deviation_mm` from the unsmoothed surface, `thickness_mm` of the wall (infinite: unknown), `thickened_mm`, and
    where inferred or reconstructed wall is part of it `inferred` or `reconstructed`: 1 at vertices nearer to that than
    to bone."""
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def surface(self) -> vtkPolyData:
        return mesh.surface_of(self.points, self.triangles)

    @property
    def coloured(self) -> vtkPolyData:
        """The surface with its arrays, of which the deviation is the one that viewers colour it by."""
        surface = self.surface
        for name, values in self.of_vertices.items():
            array = numpy_to_vtk(np.where(np.isfinite(values), values, -1).astype(np.float32), deep=True)
            array.SetName(name)
            surface.GetPointData().AddArray(array)
        surface.GetPointData().SetActiveScalars("deviation_mm")
        return surface


def model_of(
    bone: BoneField,
    parameters: ModelParameters,
    allowed_bytes: int = UNLIMITED,
    progress: Progress = silent,
) -> Model:
    """The model of a bone: its surface, simplified and thickened where that is asked for, and its quality [3532-1 6].

    The result is checked as a whole once more before it is given away.

    Parameters
    ----------
    bone
        What the surface is made of.
    parameters
        How it is smoothed, simplified and thickened, in mm.
    allowed_bytes
        Of memory.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    model
        Points (n, 3) in LPS mm, triangles (m, 3), values of each vertex, and what was measured.

    Raises
    ------
    InputError
        As `surface_of`; `needs-mesh` where simplifying needs what is not installed.
    """
    own_ml, given = _volume_ml(bone), bone
    bone, slits = joined(bone)
    made = surface_of(
        bone, SurfaceParameters(parameters.smoothing), allowed_bytes, lambda fraction: progress(0.5 * fraction)
    )
    points, triangles, measured = made.points, made.triangles, made.measured
    before = made.unsmoothed, made.triangles
    if parameters.simplify_mm is not None:
        points, triangles, measured["simplified"] = simplified(points, triangles, parameters.simplify_mm)
    progress(0.6)
    thickened_mm = np.zeros(len(points))
    if parameters.thicken_mm is not None:
        points, thickened_mm, measured["thickened"] = thickened(points, triangles, parameters.thicken_mm)
    progress(0.7)
    topology = made.topology if triangles is made.triangles else None
    if parameters.simplify_mm is not None or parameters.thicken_mm is not None:
        report = mesh.check(mesh.surface_of(points, triangles))
        if not report.sound:
            raise damaged(points)
        measured |= {"triangles": report.triangles, "parts": report.parts, "tunnels": report.tunnels}
        measured["volume_ml"] = report.volume_ml
    last = span(progress, 0.7, 1)
    measures = quality(points, triangles, before, parameters.printer_minimum_mm, last, topology)
    measured["quality"] = measures.report
    area_mm2 = round(sum(slit["area_mm2"] for slit in slits), 2)
    measured["slits_joined"] = {
        "pieces": len(slits), "area_mm2": area_mm2, "volume_ml": round(_volume_ml(bone) - own_ml, 6),
        "largest": slits[:LISTED],
    }  # fmt: skip
    measured["mask_volume_ml"] = own_ml
    measured["gaps_proposed"] = gaps(bone)
    arrays = {
        "deviation_mm": measures.deviation_mm,
        "thickness_mm": measures.thickness_mm,
        "thickened_mm": thickened_mm,
    }
    if given.inferred is not None:
        marks = arrays[given.inferred_as] = _nearer_to(given.inferred, given.mask, points)
        marked = marks[triangles].all(axis=1)
        measured[f"{given.inferred_as}_area_mm2"] = round(mesh.area_mm2(points, triangles[marked]), 2)
    return Model(points, triangles, arrays, measured)


def models_of(
    fields: dict[str, BoneField],
    parameters: ModelParameters,
    allowed_bytes: int = UNLIMITED,
    progress: Progress = silent,
) -> dict[str, Model]:
    """The model of each of several bones.

    Parameters
    ----------
    fields
        By name what each surface is made of.
    parameters
        For all of them.
    allowed_bytes
        Of memory.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    models
        By the same names, in the same order.

    Raises
    ------
    InputError
        As `model_of`.
    """
    return {
        name: model_of(bone, parameters, allowed_bytes, span(progress, done / len(fields), (done + 1) / len(fields)))
        for done, (name, bone) in enumerate(fields.items())
    }


def _nearer_to(part: sitk.Image, whole: sitk.Image, points: Floats) -> Floats:
    """1 for points (n, 3) that lie nearer to a part of a mask than to the rest of it, else 0."""
    axes = np.reshape(whole.GetDirection(), (3, 3)) * np.array(whole.GetSpacing())
    index = np.rint((points - np.array(whole.GetOrigin())) @ np.linalg.inv(axes).T).astype(int)
    x, y, z = np.clip(index, 0, np.array(whole.GetSize()) - 1).T
    away = []
    for mask in (part, sitk.And(whole, 1 - part)):
        far = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
        away.append(sitk.GetArrayViewFromImage(far)[z, y, x] if volume_ml(mask) else np.full(len(points), np.inf))
    return (away[0] < away[1]).astype(np.float64)


def _volume_ml(bone: BoneField) -> float:
    """Of the voxels that are bone."""
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(bone.mask)) * np.prod(bone.mask.GetSpacing()) / 1000)
