"""Programs that others wrote, asked about an STL file."""

import re
import subprocess
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact import exact_pair_intersects

REPAIRS = (
    "Total disconnected facets",
    "Degenerate facets",
    "Edges fixed",
    "Facets removed",
    "Facets added",
    "Facets reversed",
    "Backwards edges",
    "Normals fixed",
)

PYMESHLAB = """
import sys, numpy, pymeshlab
meshes = pymeshlab.MeshSet()
meshes.load_new_mesh(sys.argv[1])
meshes.meshing_merge_close_vertices(threshold=pymeshlab.PercentageValue(0))
meshes.compute_selection_by_self_intersections_per_face()
mesh = meshes.current_mesh()
numpy.savez(sys.argv[2], points=mesh.vertex_matrix(), triangles=mesh.face_matrix()[mesh.face_selection_array()])
"""


def closed_and_outward(stl_file: Path) -> Any:
    """The mesh as trimesh reads it, after trimesh has found it closed, consistently wound and facing outward."""
    mesh = pytest.importorskip("trimesh").load(stl_file)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    return mesh


def admesh_repairs(admesh: Path, stl_file: Path) -> dict[str, int]:
    """What admesh repaired, by kind, and `Number of facets`."""
    done = subprocess.run([admesh, stl_file], capture_output=True, text=True, check=True)
    found = {
        name.strip(): int(count) for name, count in re.findall(r"^([A-Z][a-z0-9 ]+?) *: *(\d+)\b", done.stdout, re.M)
    }
    return {name: found[name] for name in ("Number of facets", *REPAIRS)}


def prusa_slicer_info(prusa_slicer: Path, file: Path) -> dict[str, str]:
    """What PrusaSlicer tells of a model: `manifold` is `yes` where it had nothing to repair."""
    done = subprocess.run([prusa_slicer, "--info", file], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^(\w+) = +(\S+)$", done.stdout, re.M))


def pymeshlab_self_intersections(python: str, stl_file: Path) -> int:
    """Pairs of the faces that pymeshlab suspects which do cross by exact arithmetic.

    pymeshlab also suspects triangles that lie in one plane side by side, as on every flat face. Its licence is the GPL:
    it runs in a process of its own.
    """
    found = stl_file.with_suffix(".npz")
    subprocess.run([python, "-c", PYMESHLAB, stl_file, found], capture_output=True, check=True)
    with np.load(found) as suspects:
        points = {v: [Fraction(x) for x in suspects["points"][v].tolist()] for v in set(suspects["triangles"].flat)}
        triangles = suspects["triangles"].tolist()
        corners_of = suspects["points"][suspects["triangles"]]
    boxes = [(corners.min(axis=0), corners.max(axis=0)) for corners in corners_of]
    near = (
        (triangles[i], triangles[j])
        for (i, (low, high)), (j, (other_low, other_high)) in combinations(enumerate(boxes), 2)
        if np.all(low <= other_high) and np.all(other_low <= high)
    )
    return sum(exact_pair_intersects(points, *pair) for pair in near)
