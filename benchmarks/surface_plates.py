#!/usr/bin/env python3
"""Walls that are thin for their voxels, meshed from their true bone fraction: ours beside what others make of them.

    surface_plates.py [--thickness 0.3 0.5 0.8 1.0] [--spacing 0.4,0.4,0.6 0.5,0.5,1.0] [--phases 3]
                      [--slicer .venvs/slicer/bin/python] [--table plates.md]

Each wall is a round plate along (normal to x), across (normal to z) or at 20 degrees to the slices, at several phases
between the voxels. Of its inner part, by lines across it 0.25 mm apart: error of the volume, median error of the
thickness where there is a wall, and the share of the lines that meet none; median and 95th percentile of the vertices'
distance to the exact surface. Of the whole: tunnels, parts, and how far the rim lies from where it is (median; the
error of the radius). CPU seconds, since machines are shared.

With `--slicer`, a Python that has slicer-core, the same plates go Slicer's own way: closed surface at smoothing 0 and
0.5, exported as STL, of the voxels that are half bone or more, and of those that ours is given (`support`). Lines go to
`--table`; what is printed sums them up by the wall's thickness in voxels.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.mesh import Topology
from OrbitalSegLib.modelling.surface import Smoothing, SurfaceParameters, surface_of

Mesh = tuple[np.ndarray, np.ndarray]
Way = Callable[[sitk.Image], tuple[Mesh, float]]
"""A surface of a bone fraction, and the CPU seconds that it took."""

NORMALS = {"across": (0.0, 0.0, 1.0), "along": (1.0, 0.0, 0.0), "leaning": (0.3420, 0.0, 0.9397)}
RADIUS_MM, INNER_MM, SIDE_MM = 8.0, 5.0, 18.0
SUPPORT = 0.12
"""Voxels with more bone than this belong to the wall."""
SAMPLES = 5
LINES_MM = 0.25
GROUPS = {"1.5 and more": 1.5, "0.75 to 1.5": 0.75, "less than 0.75": 0.0}
"""Of the wall's thickness in voxels along its normal: the least of each."""


@dataclass(frozen=True)
class Judged:
    """What a plate became."""

    volume_error_percent: float
    thickness_error_mm: float
    """Median, where there is a wall."""
    gone_percent: float
    """Of the lines across the wall."""
    median_mm: float
    p95_mm: float
    tunnels: float
    parts: float
    rim_mm: float
    """Median error of the radius."""


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


def ours(smoothing: Smoothing) -> Way:
    """Our surface of a bone fraction."""

    def make(image: sitk.Image) -> tuple[Mesh, float]:
        start = time.process_time()
        made = surface_of(BoneField(image >= SUPPORT, image, "fraction"), SurfaceParameters(smoothing))
        return (made.points, made.triangles), time.process_time() - start

    return make


def plain(image: sitk.Image) -> tuple[Mesh, float]:
    """FlyingEdges at one half, then windowed sinc (20 iterations, 0.1)."""
    start = time.process_time()
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
    return mesh.arrays_of(sinc.GetOutput()), time.process_time() - start


@contextmanager
def slicer(python: Path) -> Iterator[Callable[[float, float], Way]]:
    """Slicer's own way, in a process of its own: of the voxels with `least` bone or more, at a smoothing factor."""
    script = Path(__file__).with_name("slicer_surface.py")
    process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout

    def way(least: float, smoothing: float) -> Way:
        def make(image: sitk.Image) -> tuple[Mesh, float]:
            with tempfile.TemporaryDirectory() as folder:
                mask = Path(folder) / "mask.nrrd"
                sitk.WriteImage(image >= least, mask)
                print(json.dumps({"mask": str(mask), "smoothing": smoothing, "folder": folder}), file=process.stdin)
                process.stdin.flush()
                told = json.loads(process.stdout.readline())
                nothing = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
                return mesh.arrays_of(read_stl(Path(told["stl"]))) if told["stl"] else nothing, told["surface_s"][0]

        return make

    yield way
    process.stdin.close()
    process.wait()


def judged(found: Mesh, thickness_mm: float, normal: np.ndarray, middle: np.ndarray) -> Judged:
    """Hold a surface against the plate that it was made of."""
    points, triangles = found
    if len(triangles) == 0:
        return Judged(-100.0, np.nan, 100.0, np.nan, np.nan, np.nan, 0, np.nan)
    relative = points.astype(float) - middle
    height = relative @ normal
    inner = (relative**2).sum(axis=1) - height**2 < INNER_MM**2
    lengths_mm = across(relative, triangles, normal)
    there = lengths_mm > 0
    distance = np.abs(np.abs(height[inner]) - thickness_mm / 2)
    median, p95 = np.percentile(distance, (50, 95)) if inner.any() else (np.nan, np.nan)
    topology = Topology(triangles)
    return Judged(
        100 * (float(lengths_mm.mean()) / thickness_mm - 1),
        float(np.median(lengths_mm[there])) - thickness_mm if there.any() else np.nan,
        100 * float(1 - there.mean()),
        float(median),
        float(p95),
        topology.tunnels,
        topology.parts,
        rim_error_mm(relative, normal) if there.all() else np.nan,
    )


def rim_error_mm(relative: np.ndarray, normal: np.ndarray) -> float:
    """The radius, as the median over sectors of 5 degrees of the outermost vertex's, less the true one."""
    one = np.cross(normal, (0.0, 1.0, 0.0))
    u, v = relative @ one / np.linalg.norm(one), relative @ np.cross(normal, one) / np.linalg.norm(one)
    sector = ((np.arctan2(v, u) + np.pi) / (2 * np.pi) * 72).astype(int) % 72
    furthest = np.zeros(72)
    np.maximum.at(furthest, sector, np.hypot(u, v))
    return float(np.median(furthest)) - RADIUS_MM


def across(relative: np.ndarray, triangles: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Length in the bone of lines along a normal, on a grid in the inner part.

    For each line and triangle in which it lies, seen along the normal, its height there, with the triangle's side as
    sign: the sum over all triangles is the length.
    """
    one = np.cross(normal, (0.0, 1.0, 0.0))
    one /= np.linalg.norm(one)
    turned = relative @ np.stack([one, np.cross(normal, one), normal], axis=1)
    steps = np.arange(-INNER_MM, INNER_MM, LINES_MM) + 0.0137  # off the voxels' lattice
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    grid = grid[(grid**2).sum(axis=1) < INNER_MM**2]
    a, b, c = (turned[corner] for corner in triangles.T)
    lengths = np.zeros(len(grid))
    low = np.minimum(np.minimum(a, b), c)[:, :2]
    high = np.maximum(np.maximum(a, b), c)[:, :2]
    for number, place in enumerate(grid):
        near = np.flatnonzero((low <= place).all(axis=1) & (high >= place).all(axis=1))
        p, q, r = a[near], b[near], c[near]
        double = _turn(q - p, r - p)
        w0, w1, w2 = (_turn(v[:, :2] - place, w[:, :2] - place) for v, w in ((q, r), (r, p), (p, q)))
        side = np.sign(double)
        inside = (side != 0) & (w0 * side >= 0) & (w1 * side >= 0) & (w2 * side >= 0)
        heights = (w0 * p[:, 2] + w1 * q[:, 2] + w2 * r[:, 2])[inside] / double[inside]
        lengths[number] = (side[inside] * heights).sum()
    return np.abs(lengths)


def _turn(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]


def plates(spacings: list[str], thicknesses: list[float], ways: dict[str, Way], phases: int) -> Iterator[tuple]:
    """For each plate and way: spacing, thickness, how it lies, voxels, way, the worst of all phases, CPU seconds."""
    for spacing in spacings:
        spacing_mm = np.array([float(x) for x in spacing.split(",")])
        for thickness_mm in thicknesses:
            for lies, direction in NORMALS.items():
                normal = np.array(direction) / np.linalg.norm(direction)
                width_mm = np.sqrt(((normal * spacing_mm) ** 2).sum())
                images = []
                for phase in range(phases):
                    middle = np.floor(SIDE_MM / 2 / spacing_mm) * spacing_mm + normal * width_mm * phase / phases
                    images.append((plate(thickness_mm, spacing_mm, normal, middle), middle))
                for way, make in ways.items():
                    made = [make(image) for image, _ in images]
                    found = [
                        judged(surface, thickness_mm, normal, middle)
                        for (surface, _), (_, middle) in zip(made, images, strict=True)
                    ]
                    seconds = sum(cpu for _, cpu in made)
                    yield spacing, thickness_mm, lies, thickness_mm / width_mm, way, worst(found), seconds


def worst(found: list[Judged]) -> Judged:
    """Of each figure that which is furthest from 0, of the parts that which is furthest from 1."""

    def furthest(values: np.ndarray, good: float) -> float:
        known = values[np.isfinite(values)]
        return float(known[np.argmax(np.abs(known - good))]) if known.size else np.nan

    columns = zip(fields(Judged), np.array([astuple(one) for one in found]).T, strict=True)
    return Judged(*(furthest(values, 1.0 if field.name == "parts" else 0.0) for field, values in columns))


HEAD = """# Plates of known thickness: every line

Written by `benchmarks/surface_plates.py --slicer .venvs/slicer/bin/python --table docs/surface-plates.md`; what the
columns mean stands in [surface.md](surface.md). Of three phases each figure is the worst.

"""
HEADS = ("volume, %", "thickness, mm", "gone, %", "median, mm", "95 %, mm", "tunnels", "parts", "rim, mm")
FORMATS = ("{:+.1f}", "{:+.3f}", "{:.1f}", "{:.3f}", "{:.3f}", "{:.0f}", "{:.0f}", "{:+.2f}")


def cells(found: Judged) -> str:
    """The figures as cells of a table; a dash where there is none."""
    return " | ".join(
        text.format(value) if np.isfinite(value) else "-" for text, value in zip(FORMATS, astuple(found), strict=True)
    )


def main() -> None:
    """Print how each way does, by the wall's thickness in voxels; write the whole table where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thickness", type=float, nargs="+", default=[0.3, 0.5, 0.8, 1.0])
    parser.add_argument("--spacing", nargs="+", default=["0.4,0.4,0.6", "0.5,0.5,1.0"])
    parser.add_argument("--phases", type=int, default=3)
    parser.add_argument("--slicer", type=Path)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    ways: dict[str, Way] = {"ours, none": ours("none"), "ours, faithful": ours("faithful")}
    ways["FlyingEdges + sinc"] = plain
    by_group = defaultdict(list)
    rows = ["| spacing, mm | wall, mm | lies | voxels | way | " + " | ".join(HEADS) + " | CPU s |", "| --- " * 14 + "|"]
    with ExitStack() as stack:
        if arguments.slicer:
            own = stack.enter_context(slicer(arguments.slicer))
            for name, least in (("half", 0.5), ("support", SUPPORT)):
                ways |= {f"Slicer, {factor:g}, {name}": own(least, factor) for factor in (0.0, 0.5)}
        for spacing, thickness_mm, lies, voxels, way, found, seconds in plates(
            arguments.spacing, arguments.thickness, ways, arguments.phases
        ):
            group = next(name for name, least in GROUPS.items() if voxels >= least - 1e-9)
            by_group[group, way].append(found)
            rows.append(
                f"| {spacing} | {thickness_mm} | {lies} | {voxels:.2f} | {way} | {cells(found)} | {seconds:.2f} |"
            )
    if arguments.table:
        arguments.table.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    print("| voxels | plates | way | " + " | ".join(HEADS) + " |")
    print("| --- " * 11 + "|")
    for (group, way), some in sorted(by_group.items(), key=lambda item: list(GROUPS).index(item[0][0])):
        print(f"| {group} | {len(some)} | {way} | {cells(worst(some))} |")


if __name__ == "__main__":
    main()
