#!/usr/bin/env python3
"""Walls that are thin for their voxels, meshed from their true bone fraction: ours beside plain FlyingEdges and sinc.

    surface.py [--thickness 0.3 0.5 0.8 1.0] [--spacing 0.4,0.4,0.6 0.5,0.5,1.0] [--phases 3]

Each wall is a round plate along (normal to x), across (normal to z) or at 20 degrees to the slices, at several phases
between the voxels. Of its inner part: error of the volume (that is of the mean thickness), median and 95th percentile
of the vertices' distance to the exact surface; of the whole: tunnels and parts. CPU seconds, since machines are shared.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of

Mesh = tuple[np.ndarray, np.ndarray]

NORMALS = {"across": (0.0, 0.0, 1.0), "along": (1.0, 0.0, 0.0), "leaning": (0.3420, 0.0, 0.9397)}
RADIUS_MM, INNER_MM, SIDE_MM = 8.0, 5.0, 18.0
SUPPORT = 0.12
"""Voxels with more bone than this belong to the wall."""
SAMPLES = 5


def plate(thickness_mm: float, spacing_mm: np.ndarray, normal: np.ndarray, middle: np.ndarray) -> sitk.Image:
    """The bone fraction of a round plate: exact along the axis nearest to its normal, by samples along the others."""
    main = int(np.argmax(np.abs(normal)))
    others = [axis for axis in range(3) if axis != main]
    shape = np.ceil(SIDE_MM / spacing_mm).astype(int)
    places = np.stack(np.meshgrid(*(np.arange(n) * d for n, d in zip(shape, spacing_mm, strict=True)), indexing="ij"))
    relative = places - middle[:, None, None, None]
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    fraction = np.zeros(shape)
    for one in steps:
        for two in steps:
            moved = relative.copy()
            moved[others[0]] += one * spacing_mm[others[0]]
            moved[others[1]] += two * spacing_mm[others[1]]
            rest = sum(normal[axis] * moved[axis] for axis in others)
            centre, half = -rest / normal[main], thickness_mm / 2 / abs(normal[main])
            low = np.maximum(centre - half, moved[main] - spacing_mm[main] / 2)
            high = np.minimum(centre + half, moved[main] + spacing_mm[main] / 2)
            across = (moved**2).sum(axis=0) - np.tensordot(normal, moved, 1) ** 2
            fraction += np.clip(high - low, 0, None) / spacing_mm[main] * (across < RADIUS_MM**2)
    image = sitk.GetImageFromArray((fraction / SAMPLES**2).transpose(2, 1, 0).astype(np.float32))
    image.SetSpacing(spacing_mm.tolist())
    return image


def ours(smoothing: str) -> Callable[[sitk.Image], Mesh]:
    """Our surface of a bone fraction."""

    def make(image: sitk.Image) -> Mesh:
        made = surface_of(BoneField(image >= SUPPORT, image, "fraction"), SurfaceParameters(smoothing))  # type: ignore[arg-type]
        return made.points, made.triangles

    return make


def plain(image: sitk.Image) -> Mesh:
    """FlyingEdges at one half, then windowed sinc (20 iterations, 0.1)."""
    array = sitk.GetArrayFromImage(image)
    data = vtkImageData()
    data.SetDimensions(image.GetSize())
    data.SetSpacing(image.GetSpacing())
    data.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(data)
    edges.SetValue(0, 0.5)
    sinc = vtkWindowedSincPolyDataFilter()
    sinc.SetInputConnection(edges.GetOutputPort())
    sinc.SetNumberOfIterations(20)
    sinc.SetPassBand(0.1)
    sinc.NormalizeCoordinatesOn()
    sinc.Update()
    return mesh.arrays_of(sinc.GetOutput())


def judged(found: Mesh, thickness_mm: float, normal: np.ndarray, middle: np.ndarray) -> list[float]:
    """Volume error in per cent, median and 95 % of the distance, tunnels, parts."""
    points, triangles = found
    if len(triangles) == 0:
        return [-100.0, np.nan, np.nan, np.nan, 0]
    relative = points.astype(float) - middle
    height = relative @ normal
    inner = (relative**2).sum(axis=1) - height**2 < INNER_MM**2
    chosen = triangles[inner[triangles].all(axis=1)]
    a, b, c = (relative[corner] for corner in chosen.T)
    area = np.cross(b - a, c - a) @ normal / 2
    volume_mm3 = abs((area * height[chosen].mean(axis=1)).sum())
    true_mm3 = thickness_mm * np.pi * INNER_MM**2
    distance = np.abs(np.abs(height[inner]) - thickness_mm / 2)
    # Triangles on the circle are left out of both: the plate's area is that of what is left, where it is whole.
    covered = np.abs(area).sum() / 2
    if covered > 0.8 * np.pi * INNER_MM**2:
        true_mm3 = thickness_mm * covered
    topology = Topology(triangles)
    median, p95 = np.percentile(distance, (50, 95)) if inner.any() else (np.nan, np.nan)
    return [100 * (volume_mm3 / true_mm3 - 1), float(median), float(p95), topology.tunnels, topology.parts]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thickness", type=float, nargs="+", default=[0.3, 0.5, 0.8, 1.0])
    parser.add_argument("--spacing", nargs="+", default=["0.4,0.4,0.6", "0.5,0.5,1.0"])
    parser.add_argument("--phases", type=int, default=3)
    arguments = parser.parse_args()
    ways = {"ours, none": ours("none"), "ours, faithful": ours("faithful"), "FlyingEdges + sinc": plain}
    print(
        "| spacing, mm | wall, mm | lies | voxels | way | volume, % | median, mm | 95 %, mm | tunnels | parts | CPU s |"
    )
    print("| --- " * 11 + "|")
    for spacing in arguments.spacing:
        spacing_mm = np.array([float(x) for x in spacing.split(",")])
        for thickness_mm in arguments.thickness:
            for lies, direction in NORMALS.items():
                normal = np.array(direction) / np.linalg.norm(direction)
                voxels = thickness_mm / np.sqrt(((normal * spacing_mm) ** 2).sum())
                for way, make in ways.items():
                    rows, seconds = [], 0.0
                    for phase in range(arguments.phases):
                        offset = normal * np.sqrt(((normal * spacing_mm) ** 2).sum()) * phase / arguments.phases
                        middle = np.floor(SIDE_MM / 2 / spacing_mm) * spacing_mm + offset
                        image = plate(thickness_mm, spacing_mm, normal, middle)
                        start = time.process_time()
                        found = make(image)
                        seconds += time.process_time() - start
                        rows.append(judged(found, thickness_mm, normal, middle))
                    volume, median, p95, tunnels, parts = np.array(rows).T
                    worst = volume[np.argmax(np.abs(volume))]
                    print(
                        f"| {spacing} | {thickness_mm} | {lies} | {voxels:.2f} | {way} | {worst:+.1f} |"
                        f" {np.median(median):.3f} | {p95.max():.3f} | {tunnels.max():.0f} | {parts.max():.0f} |"
                        f" {seconds:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
