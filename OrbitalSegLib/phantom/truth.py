"""What is true of a phantom, from its formula and in patient space, whatever the scanner did (docs/contracts.md, 2)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkAppendPolyData, vtkClipPolyData, vtkFlyingEdges3D, vtkTriangleFilter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from OrbitalSegLib.files import write_image
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.modelling.mesh import arrays_of, surface_of
from OrbitalSegLib.orbit_solid import OrbitSolid
from OrbitalSegLib.phantom.anatomy import SIDES, Anatomy, Side, parts
from OrbitalSegLib.phantom.sampling import (
    SliceGrid,
    bone_part,
    globe_part,
    named_part,
    rotation_about_z,
    slice_by_slice,
)
from OrbitalSegLib.places import Bounds
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.shapes import FAR_MM, Shape

TRUTH_SPACING_MM = 0.2
"""The coarsest grid on which bone is true (docs/contracts.md, section 2)."""

ORBITS_MM: Bounds = ((-54.0, 54.0), (-26.0, 36.0), (-24.0, 24.0))
"""Both orbits with their walls, before the head is turned."""

WALL_TOLERANCE = 0.05
"""Where the bone between orbit and sinus is thicker than this share over its thickness, the thin wall ends."""

REACH_MM = 1.5
"""How far from its middle the faces of a thin wall are looked for."""


_CUBE_MM = 0.3
"""What volumes are summed over."""
REACH_BEFORE_MM = 6.0
"""A front may lie so far before the formula's own."""


def bone_fraction(anatomy: Anatomy, grid: sitk.Image, progress: Progress = silent) -> sitk.Image:
    """The fraction of bone in each voxel of a grid, float, 0 to 1."""
    return _sampled(bone_part, anatomy, grid, progress)


def globe_fraction(anatomy: Anatomy, side: Side, grid: sitk.Image, progress: Progress = silent) -> sitk.Image:
    """The fraction of one eyeball in each voxel of a grid, float, 0 to 1."""
    return _sampled(partial(globe_part, side), anatomy, grid, progress)


def named_fraction(anatomy: Anatomy, name: str, grid: sitk.Image, progress: Progress = silent) -> sitk.Image:
    """The fraction of the `mandible` or the `vault` in each voxel of a grid, float, 0 to 1."""
    return _sampled(partial(named_part, name), anatomy, grid, progress)


def _sampled(
    part: Callable[[Anatomy, SliceGrid], np.ndarray], anatomy: Anatomy, grid: sitk.Image, progress: Progress
) -> sitk.Image:
    """What `part` gives for the voxels of a grid."""
    spacing, count = grid.GetSpacing(), grid.GetSize()[2]
    axes = np.array(grid.GetDirection()).reshape(3, 3)
    origins = np.array(grid.GetOrigin()) + np.arange(count)[:, None] * spacing[2] * axes[:, 2]
    slices = SliceGrid(origins, axes[:, 0], axes[:, 1], (grid.GetSize()[1], grid.GetSize()[0]), spacing)
    fraction = np.empty((count, *slices.shape), np.float32)
    for some, found in slice_by_slice(part, anatomy, slices):
        fraction[some] = found
        progress(some.stop / count)
    return on_grid(fraction, grid)


def truth_image(anatomy: Anatomy, grid: sitk.Image, progress: Progress = silent) -> sitk.Image:
    """Bone on any grid: 1 where the bone fraction is at least one half. It is the truth of the contract only on a grid
    of 0.2 mm or finer; on a coarser one, walls thinner than half a voxel are missing from it."""
    return bone_fraction(anatomy, grid, progress) >= 0.5


def orbits_grid(anatomy: Anatomy, spacing_mm: float = TRUTH_SPACING_MM) -> sitk.Image:
    """An empty isotropic grid around both orbits."""
    corners = np.array([[x, y] for x in ORBITS_MM[0] for y in ORBITS_MM[1]]) @ _turn(anatomy)[:2, :2].T
    low = np.array([*corners.min(axis=0), ORBITS_MM[2][0]])
    high = np.array([*corners.max(axis=0), ORBITS_MM[2][1]])
    grid = sitk.Image([int(n) for n in np.ceil((high - low) / spacing_mm)], sitk.sitkUInt8)
    grid.SetSpacing((spacing_mm,) * 3)
    grid.SetOrigin(low.tolist())
    return grid


def orbit_volumes_ml(anatomy: Anatomy) -> dict[Side, float]:
    """Volume of each bony orbit behind its front plane, by closed form."""
    return {side: anatomy.orbit(side).volume_ml for side in SIDES}


def cavity_ml(anatomy: Anatomy, side: Side, depth_mm: Callable[[np.ndarray], np.ndarray]) -> float:
    """Volume of an orbit behind any front, which says of places (..., 3) in LPS mm how far behind it they lie.

    Summed over cubes of 0.3 mm; behind the formula's own front plane that is within 0.001 of the closed form.
    """
    orbit = anatomy.orbit(side)
    (x0, x1), (y0, y1), (z0, z1) = orbit.box
    axes = (np.arange(x0, x1, _CUBE_MM), np.arange(y0 - REACH_BEFORE_MM, y1, _CUBE_MM), np.arange(z0, z1, _CUBE_MM))
    turn, cubes = _turn(anatomy), 0
    for height in axes[2]:  # a layer at a time
        places = np.stack(np.meshgrid(axes[0], axes[1], [height], indexing="ij"), axis=-1).reshape(-1, 3)
        inside = orbit.wall_distance(*places.T.astype(np.float32)) < 0
        cubes += int((depth_mm(places[inside] @ turn.T) > 0).sum())
    return cubes * _CUBE_MM**3 / 1000


def herniated_ml(anatomy: Anatomy) -> float:
    """Volume of the fat that sags through a fracture, beyond the wall, summed over cubes of 0.3 mm."""
    cubes = 0
    for fat in parts(anatomy).herniated:
        axes = [np.arange(low, high, _CUBE_MM, dtype=np.float32) for low, high in fat.box]
        cubes += int((fat.field(*np.meshgrid(*axes, indexing="ij")) < 0).sum())
    return cubes * _CUBE_MM**3 / 1000


def exact_bone_surface(anatomy: Anatomy, box: Bounds, spacing_mm: float = 0.3) -> vtkPolyData:
    """The surface of the bone in LPS mm, from the formula, inside a box in mm before the head is turned.

    It has both faces of every wall, however thin: the bone without the air beside the orbits, and that air, are
    contoured one by one and cut off where they meet. The pieces meet without being joined.
    """
    head = parts(anatomy)
    beyond = [shape for _, _, shape in head.walls]
    others = [layers.shape for layers in head.voids if layers.shape not in beyond]
    append = vtkAppendPolyData()
    append.AddInputData(_cut_off(_contour(head.bone, others, box, spacing_mm), beyond))
    for shape in beyond:
        inside = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(shape.grown(1).box, box, strict=True))
        if any(low >= high for low, high in inside):
            continue
        face = _cut_off(_contour((shape,), [], inside, spacing_mm), others)
        points, triangles = arrays_of(_cut_off(face, head.bone, keep_inside=True))
        append.AddInputData(surface_of(points, triangles[:, ::-1]))
    append.Update()
    points, triangles = arrays_of(append.GetOutput())
    return surface_of(points @ _turn(anatomy).T, triangles)


def wall_midsurfaces(anatomy: Anatomy, spacing_mm: float = 0.5) -> vtkPolyData:
    """The mid-surfaces of the floor and the medial wall of both orbits where bone lies between orbit and sinus.

    Points are LPS mm with the array `thickness_mm`; triangles carry the array `wall`, such as `left floor`.
    """
    append = vtkAppendPolyData()
    voids = [layers.shape for layers in parts(anatomy).voids]
    for side in SIDES:
        for name in ("floor", "medial"):
            beyond = [shape for owner, wall, shape in parts(anatomy).walls if (owner, wall) == (side, name)]
            append.AddInputData(_midsurface(anatomy, side, name, beyond, voids, spacing_mm))
    append.Update()
    return append.GetOutput()


def write_truth(anatomy: Anatomy, folder: Path, progress: Progress = silent) -> None:
    """Write bone, its surface, the walls' mid-surfaces and the volumes into an existing folder."""
    bone = truth_image(anatomy, orbits_grid(anatomy), lambda done: progress(0.8 * done))
    write_image(bone, folder / "bone.nrrd")
    _write_surface(exact_bone_surface(anatomy, ORBITS_MM), folder / "bone-surface.vtp")
    _write_surface(wall_midsurfaces(anatomy), folder / "wall-midsurfaces.vtp")
    facts = {"anatomy": asdict(anatomy), "orbit_volumes_ml": orbit_volumes_ml(anatomy)}
    (folder / "truth.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    progress(1.0)


def _turn(anatomy: Anatomy) -> np.ndarray:
    return rotation_about_z(anatomy.turned_degrees)


def _midsurface(
    anatomy: Anatomy, side: Side, name: str, beyond: list[Shape], voids: list[Shape], spacing_mm: float
) -> vtkPolyData:
    """The part of the orbit's wall, half its thickness outside the orbit, that has bone here and a sinus beyond."""
    orbit, thickness = anatomy.orbit(side), anatomy.wall_thickness_mm
    low = np.array([b[0] for b in orbit.box]) - 2.0
    axes = [np.arange(a, b[1] + 2.0, spacing_mm) for a, b in zip(low, orbit.box, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    field = np.broadcast_to(orbit.wall_distance(x, y, z), [len(a) for a in axes]).transpose(2, 1, 0)
    points, triangles = arrays_of(_isosurface(-field, low, spacing_mm, -thickness / 2))
    points = points.astype(np.float64)
    in_bone = np.min([shape.field(*points.T) for shape in voids], axis=0) > 0
    measured = _thickness_mm(orbit, beyond, points)
    true_wall = in_bone & (np.abs(measured - thickness) < WALL_TOLERANCE * thickness)
    chosen = triangles[true_wall[triangles].all(axis=1)]
    used, renumbered = np.unique(chosen, return_inverse=True)
    surface = surface_of(points[used] @ _turn(anatomy).T, renumbered.reshape(-1, 3))
    thicknesses = numpy_to_vtk(measured[used].astype(np.float32), deep=True)
    thicknesses.SetName("thickness_mm")
    surface.GetPointData().AddArray(thicknesses)
    walls = vtkStringArray()
    walls.SetName("wall")
    for _ in range(len(chosen)):
        walls.InsertNextValue(f"{side} {name}")
    surface.GetCellData().AddArray(walls)
    return surface


def _contour(solids: Sequence[Shape], cut: Sequence[Shape], box: Bounds, spacing_mm: float) -> vtkPolyData:
    """The surface of the solids without what is cut out of them."""
    axes = [np.arange(low, high + spacing_mm, spacing_mm) for low, high in box]
    field = np.maximum(_lowest(solids, axes, spacing_mm), -_lowest(cut, axes, spacing_mm))
    return _isosurface(-field.transpose(2, 1, 0), np.array([a[0] for a in axes]), spacing_mm, 0.0)


def _lowest(shapes: Sequence[Shape], axes: list[np.ndarray], spacing_mm: float) -> np.ndarray:
    """The field of the shapes joined, [x, y, z]; where no shape is near, some large value."""
    lowest = np.full([len(a) for a in axes], FAR_MM, np.float32)
    for shape in shapes:
        near = shape.grown(2 * spacing_mm).box
        spans = [np.searchsorted(a, limits) for a, limits in zip(axes, near, strict=True)]
        if any(start == stop for start, stop in spans):
            continue
        block = tuple(slice(start, stop) for start, stop in spans)
        places = (a[part].astype(np.float32) for a, part in zip(axes, block, strict=True))
        x, y, z = np.meshgrid(*places, indexing="ij", sparse=True)
        lowest[block] = np.minimum(lowest[block], shape.field(x, y, z))
    return lowest


def _cut_off(surface: vtkPolyData, shapes: Sequence[Shape], *, keep_inside: bool = False) -> vtkPolyData:
    """The part of a surface that lies outside (or inside) the shapes."""
    points, _ = arrays_of(surface)
    distance = np.min([shape.field(*points.T.astype(np.float32)) for shape in shapes], axis=0)
    scalars = numpy_to_vtk(np.ascontiguousarray(distance, np.float32), deep=True)
    scalars.SetName("distance_mm")
    surface.GetPointData().SetScalars(scalars)
    clip = vtkClipPolyData()
    clip.SetInputData(surface)
    clip.SetValue(0.0)
    clip.SetInsideOut(keep_inside)
    clip.Update()
    triangulate = vtkTriangleFilter()
    triangulate.SetInputConnection(clip.GetOutputPort())
    triangulate.Update()
    return triangulate.GetOutput()


def _thickness_mm(orbit: OrbitSolid, beyond: list[Shape], points: np.ndarray) -> np.ndarray:
    """How much bone lies on the orbit's normal through each point, between the orbit and the first void beyond it."""
    step_mm = 1e-2
    slope = np.stack(
        [
            orbit.wall_distance(*(points + step_mm * axis).T) - orbit.wall_distance(*(points - step_mm * axis).T)
            for axis in np.eye(3)
        ],
        axis=1,
    )
    normals = slope / np.linalg.norm(slope, axis=1, keepdims=True)

    def boundary_mm(inside: Callable[[np.ndarray], np.ndarray], towards: int) -> np.ndarray:
        near, far = np.zeros(len(points)), np.full(len(points), float(REACH_MM))
        for _ in range(20):
            middle = (near + far) / 2
            reached = inside((points + towards * middle[:, None] * normals).T)
            near, far = np.where(reached, near, middle), np.where(reached, middle, far)
        return far

    into_orbit = boundary_mm(lambda place: orbit.wall_distance(*place) < 0, -1)
    into_sinus = boundary_mm(lambda place: np.min([shape.field(*place) for shape in beyond], axis=0) < 0, 1)
    return into_orbit + into_sinus


def _isosurface(field: np.ndarray, origin_mm: np.ndarray, spacing_mm: float, level: float) -> vtkPolyData:
    """Where a field [z, y, x] on an axis-aligned grid has a level; it faces the lower side."""
    image = vtkImageData()
    image.SetDimensions(field.shape[::-1])
    image.SetOrigin(*map(float, origin_mm))
    image.SetSpacing(spacing_mm, spacing_mm, spacing_mm)
    scalars = numpy_to_vtk(np.ascontiguousarray(field, np.float32).ravel(), deep=True)
    image.GetPointData().SetScalars(scalars)
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _write_surface(surface: vtkPolyData, path: Path) -> None:
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(surface)
    writer.SetFileName(str(path))
    if not writer.Write():
        raise OSError(f"{path.name} could not be written")
