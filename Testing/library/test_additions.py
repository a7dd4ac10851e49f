"""What README promises: a method, a format and a structure are one file or one row each, and are known everywhere."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("typer")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

METHOD = '''"""A test's method, with a parameter of each kind."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, choice, flag, parameter, points
from OrbitalSegLib.progress import Progress


@dataclass(frozen=True)
class GrowingParameters:
    """Where it begins, and how far it goes."""

    lower_hu: float = parameter(300.0, "Grown down to", "HU", -1024.0, 3071.0)
    neighbours: str = choice("faces", "Neighbours", {"faces": "Across faces", "corners": "Across corners too"})
    smooth: bool = flag(False, "Smoothed first")
    seeds: Points = points("Begins at", 1, 9)


def run(task: Task, parameters: GrowingParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct = task.part
    seeds = [ct.TransformPhysicalPointToIndex(point) for point in parameters.seeds]
    bone = sitk.ConnectedThreshold(ct, seeds, parameters.lower_hu, 3071.0)
    progress(1.0)
    return ByValue(ct, bone, asdict(parameters), parameters.lower_hu)


GROWING = Method("growing", "Region growing", "a test", GrowingParameters, run, family="Neighborhood Analysis")
'''

FORMAT = '''"""A test's format: points and triangles as numpy keeps them."""

import numpy as np


def write(points, triangles, path, name, colour):
    with path.open("wb") as file:
        np.savez(file, points=points, triangles=triangles, name=name, colour=colour)


def read(path):
    with np.load(path) as held:
        return held["points"], held["triangles"]
'''

ROWS = {
    "methods/__init__.py": ("METHODS", "growing.GROWING", "from OrbitalSegLib.methods import growing"),
    "export/surfaces.py": (
        "FORMATS",
        '"npz": Format("npz", npz.write, npz.read, "NPZ, for numpy")',
        "from OrbitalSegLib.export import npz",
    ),
    "structures.py": (
        "_TABLE",
        'Structure("hard", "Hard bone", (0.1, 0.2, 0.3), "seen", part_of=BONE, above_hu=700.0, heading="of it hard")',
        "",
    ),
}
"""By file of the library its table, the row that is added at its end, and the import that the row needs."""


def with_row(source: str, table: str, row: str, needs: str) -> str:
    """A module's source with one row more in a table, however the table is written."""
    tree = ast.parse(source)
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert table in values, f"there is no table {table}"
    literals = (one for one in ast.walk(values[table]) if isinstance(one, ast.Tuple | ast.List | ast.Dict))
    listed = next(one for one in literals if isinstance(getattr(one, "ctx", ast.Load()), ast.Load))
    last = (listed.values if isinstance(listed, ast.Dict) else listed.elts)[-1]
    lines = source.encode().splitlines(keepends=True)
    line, column = last.end_lineno - 1, last.end_col_offset
    lines[line] = lines[line][:column] + f", {row}".encode() + lines[line][column:]
    first = next(node.lineno - 1 for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    return b"".join([*lines[:first], f"{needs}\n".encode(), *lines[first:]]).decode()


@pytest.mark.parametrize(
    "written",
    [
        "import a\nT = (\n    a.A,\n    a.B,\n)\n",
        "import a\nT = (a.A, a.B)\n",
        "import a\nT: tuple = [a.A, *(a.B, )]\nU = 1\n",
        "import a\nT = {n: m for n, m in enumerate((a.A, 'ü', a.B), 1)}\n",
    ],
)
def test_a_row_is_added_however_the_table_is_written(written):
    found = with_row(written, "T", "b.C", "import b")
    names = {"a": SimpleNamespace(A=1, B=2), "b": SimpleNamespace(C=3)}
    exec(re.sub(r"import \w\n", "", found), names)
    assert found.startswith("import b\nimport a\n")
    assert list(names["T"].values() if isinstance(names["T"], dict) else names["T"])[-2:] == [2, 3]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Where Python finds a copy of the library to which a method, a format and a structure were added."""
    folder = tmp_path_factory.mktemp("package")
    library = folder / "OrbitalSegLib"
    shutil.copytree(ROOT / "OrbitalSegLib", library, ignore=shutil.ignore_patterns("models", "__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    (library / "methods" / "growing.py").write_text(METHOD, encoding="utf-8")
    (library / "export" / "npz.py").write_text(FORMAT, encoding="utf-8")
    for name, added in ROWS.items():
        source = (library / name).read_text(encoding="utf-8")
        (library / name).write_text(with_row(source, *added), encoding="utf-8")
    return os.environ | {"PYTHONPATH": str(folder)}


def orbitalseg(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", "from OrbitalSegLib.cli import main; main()", *words]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """Two blocks of bone in soft tissue: one hard inside, the other not."""
    voxels = np.full((20, 24, 40), 40, np.int16)
    voxels[:, :3] = -1000
    voxels[4:16, 4:20, 4:18] = 500
    voxels[7:13, 7:17, 7:15] = 900
    voxels[4:16, 4:20, 22:36] = 500
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin((-20.0, -12.0, 100.0))
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def result(environment, ct, tmp_path_factory) -> Path:
    """What the added method makes of it on the command line: the block in which its point lies."""
    folder = tmp_path_factory.mktemp("out") / "result"
    told = ("lower_hu=350", "neighbours=corners", "smooth=no", "seeds=-9:0:110/-8:0:110")
    words = [word for one in told for word in ("-p", one)]
    surfaces = ("--surface", "hard", "--format", "stl", "--format", "npz")
    scan = ("segment", str(ct), "-o", str(folder), "--method", "growing", "--region", "whole")
    done = orbitalseg(environment, *scan, *words, *surfaces, "--progress", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_command_line_lists_the_method_with_every_kind_of_parameter(environment):
    done = orbitalseg(environment, "methods", "--progress", "json")
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    growing = next(one for one in summary["methods"] if one["name"] == "growing")
    assert (growing["title"], growing["family"]) == ("Region growing", "Neighborhood Analysis")
    assert "hard" in growing["structures"]
    number, choice, flag, points = growing["parameters"]
    assert number == {
        **{"name": "lower_hu", "kind": "number", "title": "Grown down to", "default": 300.0, "unit": "HU"},
        **{"minimum": -1024.0, "maximum": 3071.0},
    }
    assert (choice["kind"], list(choice["choices"]), choice["default"]) == ("choice", ["faces", "corners"], "faces")
    assert (flag["kind"], flag["default"]) == ("flag", False)
    assert (points["kind"], points["unit"], points["least"], points["most"]) == ("points", "mm", 1, 9)
    table = orbitalseg(environment | {"COLUMNS": "300"}, "methods").stdout
    assert "growing" in table
    assert "one of faces, corners" in table


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("lower_hu=high", "lower_hu must be a number from -1024 to 3071"),
        ("neighbours=none", "neighbours must be one of: faces, corners"),
        ("smooth=perhaps", "smooth must be true or false"),
        ("seeds=1:2", "seeds must be 1 to 9 points in mm, each as x:y:z"),
    ],
)
def test_what_no_parameter_may_be_is_refused_in_words(environment, ct, tmp_path, told, sentence):
    scan = ("segment", str(ct), "-o", str(tmp_path / "out"), "--method", "growing")
    done = orbitalseg(environment | {"COLUMNS": "300"}, *scan, "-p", told, "--progress", "none")
    assert done.returncode == 2
    assert sentence in " ".join((done.stdout + done.stderr).split())


def test_the_record_and_its_page_know_the_method_and_the_structure(result):
    record = json.loads((result / "record.json").read_text(encoding="utf-8"))
    steps = {step["step"]: step for step in record["steps"]}
    assert steps["segmenting"]["parameters"] == {
        **{"method": "growing", "lower_hu": 350.0, "neighbours": "corners", "smooth": False},
        "seeds": [[-9.0, 0.0, 110.0], [-8.0, 0.0, 110.0]],
    }
    volumes_ml = steps["writing"]["measured"]["volumes_ml"]
    assert volumes_ml["bone"] == pytest.approx(12 * 16 * 14 / 1000)
    assert volumes_ml["hard"] == pytest.approx(6 * 10 * 8 / 1000)
    assert steps["modelling"]["measured"]["hard"]["quality"]
    page = re.sub(r"<[^>]+>", "", (result / "record.html").read_text(encoding="utf-8"))
    assert "of it hard" in page
    assert "seeds -9, 0, 110, -8, 0, 110" in page


def test_the_segmentation_holds_the_structure_with_its_title_and_colour(result):
    image = sitk.ReadImage(str(result / "segmentation.seg.nrrd"))
    names = {image.GetMetaData(f"Segment{n}_ID"): n for n in range(image.GetNumberOfComponentsPerPixel())}
    number = names["hard"]
    assert image.GetMetaData(f"Segment{number}_Name") == "Hard bone"
    assert image.GetMetaData(f"Segment{number}_Color") == "0.1 0.2 0.3"


def test_the_surfaces_are_there_in_the_format(result):
    with np.load(result / "hard.npz") as held:
        assert held["name"] == "Hard bone"
        assert held["colour"].tolist() == [0.1, 0.2, 0.3]
        low, high = held["points"].min(axis=0), held["points"].max(axis=0)
    assert (high - low == pytest.approx([8, 10, 6], abs=1.0)) is True
    assert (result / "bone.npz").is_file()


def test_dicom_knows_the_family(environment, result):
    said = (
        "from OrbitalSegLib.export.dicom import algorithm_of as of; import json, sys; print(of(json.load(sys.stdin)))"
    )
    record = (result / "record.json").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-c", said], env=environment, input=record, text=True, capture_output=True, check=False
    )
    assert "family='Neighborhood Analysis'" in done.stdout, done.stderr
