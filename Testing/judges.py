"""Programs that others wrote, asked about an STL file."""

import re
import subprocess
from pathlib import Path

import trimesh

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

PYMESHLAB = (
    "import sys, pymeshlab; m = pymeshlab.MeshSet(); m.load_new_mesh(sys.argv[1]);"
    "m.meshing_merge_close_vertices(threshold=pymeshlab.PercentageValue(0));"
    "m.compute_selection_by_self_intersections_per_face(); print(m.current_mesh().selected_face_number())"
)


def closed_and_outward(stl_file: Path) -> trimesh.Trimesh:
    """The mesh as trimesh reads it, after trimesh has found it closed, consistently wound and facing outward."""
    mesh = trimesh.load(stl_file)
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


def pymeshlab_self_intersections(python: str, stl_file: Path) -> int:
    """Faces that pymeshlab says cross others. Its licence is the GPL: it runs in a process of its own."""
    done = subprocess.run([python, "-c", PYMESHLAB, stl_file], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])
