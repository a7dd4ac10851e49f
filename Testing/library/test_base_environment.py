"""Thresholding, surface and STL need nothing but what 3D Slicer ships (numpy, SimpleITK, vtk, pydicom).

Here stands which files ask for more. So `make base`, where nothing more is installed, runs only the tests that are
marked `base`: those of the whole job, of what an extra changes, and of compressed pixels, which extras read otherwise.
"""

import ast
import json
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import OrbitalSegLib
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.base

alone = pytest.mark.skipif(
    not os.environ.get("ORBITALSEG_BASE"), reason="for an environment with the base dependencies alone: make base"
)

LIBRARY = Path(OrbitalSegLib.__file__).parent
BASE = {"OrbitalSegLib", "SimpleITK", "numpy", "pydicom", "vtk", "vtkmodules"} | sys.stdlib_module_names
ONLY_WITH_AN_EXTRA = (
    "cli",
    "networks.engines.openvino",
    "networks.engines.quiet",
    "networks.engines.torch",
    "networks.engines.volumes",
    "networks.export",
    "networks.unet",
    "networks.unet3d",
    "pacs.dicomweb",
    "pacs.dimse",
    "pacs.front",
    "pacs.receiver",
    "training",
)
"""Modules and packages that cannot be imported without one: nothing that the base promises may need them."""
WITHIN = {
    "archive/pools": {"distributed"},
    "evaluation/pictures": {"matplotlib"},
    "export/dicom": {"highdicom"},
    "modelling/simplification": {"manifold3d"},
}
"""Where else an extra is imported, inside a function, which has a sentence or another way for who lacks it."""


def imported_by(path: Path) -> tuple[set[str], set[str]]:
    """The packages beyond the base that a file imports at its head, and inside its functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for part in ast.walk(node)}
    head: set[str] = set()
    within: set[str] = set()
    for node in ast.walk(tree):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        (within if id(node) in inside else head).update({str(name).partition(".")[0] for name in names} - BASE)
    return head, within


def test_extras_are_imported_where_it_is_known_and_nowhere_else():
    found = {path.relative_to(LIBRARY).with_suffix("").as_posix(): imported_by(path) for path in LIBRARY.rglob("*.py")}
    promised = {name: extras for name, extras in found.items() if not needs_an_extra(name)}
    assert not [name for name, (head, _) in promised.items() if head]
    assert {name: within for name, (_, within) in promised.items() if within} == WITHIN


def test_the_site_of_the_pages_does_without_them():
    """`make docs` takes them for stand-ins, but for those that come with its own tools."""
    conf = (LIBRARY.parent / "docs/conf.py").read_text(encoding="utf-8")
    stand_ins = set(re.findall(r'"(\w+)"', conf.partition("autodoc_mock_imports = [")[2].partition("]")[0]))
    heads = set().union(*(imported_by(path)[0] for path in LIBRARY.rglob("*.py")))
    assert heads - stand_ins == {"requests", "rich", "typer"}


def needs_an_extra(name: str) -> bool:
    return any(f"{name}/".startswith(f"{one}/".replace(".", "/")) for one in ONLY_WITH_AN_EXTRA)


@alone
def test_all_else_is_imported_without_an_extra():
    """Also where a module gets an extra through another one."""
    names = [module.name for module in pkgutil.walk_packages([str(LIBRARY)], "OrbitalSegLib.")]
    assert len(names) > 100
    for name in names:
        inner = name.partition(".")[2].replace(".", "/")
        if not needs_an_extra(inner) and inner != "__main__":
            import_module(name)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job on a small volume: a bony box in air."""
    voxels = np.full((20, 40, 40), -1000, np.int16)
    voxels[4:16, 8:32, 8:32] = 1000
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "ct.nrrd"))
    values = {
        "contract": CONTRACT,
        "task": "segment",
        "input": str(tmp_path / "ct.nrrd"),
        "output": str(tmp_path / "result"),
        "method": "threshold",
    }
    (tmp_path / "job.json").write_text(json.dumps(values))
    return tmp_path / "job.json"


@alone
def test_the_main_job_runs_with_the_base_dependencies_alone(job):
    others = ("scipy", "typer", "rich", "manifold3d", "lib3mf", "trimesh", "torch", "openvino", "highdicom")
    assert not [name for name in others if find_spec(name)]
    command = [sys.executable, "-m", "OrbitalSegLib.worker", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
    assert (job.parent / "result" / "bone.stl").stat().st_size > 1000
