"""The examples in docstrings do what they say, and what users of Python call is described in full."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import OrbitalSegLib

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "OrbitalSegLib"
WITH_EXAMPLES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in LIBRARY.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)

ROOMS = ("front.py", "reading", "locating", "methods", "networks", "modelling", "cavity", "evaluation", "record")
"""Where users of Python are: every public function is described in full, but for the files below."""

INNER = {
    *(f"reading/{name}.py" for name in ("claims", "frames", "headers", "meta", "nifti", "nrrd", "origin", "pixels")),
    *(f"reading/{name}.py" for name in ("stack", "stacking", "units", "values", "volumes", "weave")),
    *(f"locating/{name}.py" for name in ("candidates", "orbit_model", "pose_fitting", "poses", "upright_scan")),
    *(
        f"methods/{name}.py"
        for name in ("by_networks", "kept", "method", "multigrey", "packaged", "singlegrey", "walls")
    ),
    *(f"networks/{name}.py" for name in ("covered", "export", "layout", "onnx", "resources", "schema", "sheet")),
    *(f"networks/{name}.py" for name in ("unet", "unet3d", "unrolling", "walls", "weights")),
    *(f"networks/engines/{name}.py" for name in ("engine", "openvino", "quiet", "torch", "volumes")),
    *(f"modelling/{name}.py" for name in ("collisions", "distances", "fitting", "gaps", "intersections", "isosurface")),
    *(f"modelling/{name}.py" for name in ("refinement", "simplification", "slits", "smoothing", "surface_quality")),
    *(f"modelling/{name}.py" for name in ("thickening", "thickness")),
    *(f"cavity/{name}.py" for name in ("front", "sampling", "sphere")),
    *(f"evaluation/{name}.py" for name in ("grids", "observers", "paired", "pictures", "reliability", "table")),
    *("evaluation/wall_points.py", "record/html.py"),
}
"""Steps inside a room, which the room's doors call. A new file is none of them: it is described, or put here."""

INNER_FOLDERS = {"methods/classical"}
"""Each file is a method, and its `run` is described by the table."""

SECTIONS = re.compile(r"^(Parameters|Returns|Yields|Raises|Examples)\n-+\n", re.MULTILINE)


def files_of_rooms() -> list[Path]:
    found = [
        path for room in ROOMS for path in ([LIBRARY / room] if room[-3:] == ".py" else (LIBRARY / room).rglob("*.py"))
    ]
    return sorted(found)


def name_of(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix()


def public_functions() -> dict[str, ast.FunctionDef]:
    """Every public function of the rooms' doors, and whatever the front door hands on."""
    found = {}
    for path in files_of_rooms():
        name = name_of(path)
        if name in INNER or Path(name).parent.as_posix() in INNER_FOLDERS:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[f"{name}:{node.name}"] = node
    return found


FUNCTIONS = public_functions()


def sections_of(docstring: str) -> tuple[str, dict[str, str]]:
    first, *rest = SECTIONS.split(docstring)
    return first.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def entries_of(section: str) -> dict[str, str]:
    """What a section says of each name; one entry may be for several names, `truth, result`."""
    blocks = re.split(r"^(?=\S)", section, flags=re.MULTILINE)
    told = (block.partition("\n") for block in blocks if block.strip())
    return {name: text.strip() for names, _, text in told for name in names.strip().split(", ")}


def raises(node: ast.FunctionDef) -> bool:
    """Whether it raises something itself."""
    inner = {
        one
        for part in ast.walk(node)
        if part is not node and isinstance(part, ast.FunctionDef)
        for one in ast.walk(part)
    }
    return any(isinstance(one, ast.Raise) and one.exc is not None and one not in inner for one in ast.walk(node))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of_a_module(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert not failed
    assert tried


def test_there_are_examples():
    assert {"OrbitalSegLib.region", "OrbitalSegLib.evaluation.overlap", "OrbitalSegLib.front"} <= set(WITH_EXAMPLES)
    assert len(FUNCTIONS) > 90


def test_what_the_front_door_offers_is_among_what_is_described():
    for name in OrbitalSegLib.FRONT_DOOR:
        one = getattr(OrbitalSegLib, name)
        place = one.__module__.removeprefix("OrbitalSegLib.").replace(".", "/")
        assert {f"{place}.py:{name}", f"{place}/__init__.py:{name}"} & FUNCTIONS.keys(), name


def test_files_that_are_left_out_exist():
    assert not INNER - {name_of(path) for path in files_of_rooms()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_users_of_python_call_is_described_in_full(name):
    node = FUNCTIONS[name]
    prose, sections = sections_of(ast.get_docstring(node) or "")
    assert prose.endswith((".", ":")), "a sentence says what it is for"
    assert not re.search(r"\bRaises\b", prose), "what is raised has a section of its own"
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    told = entries_of(sections.get("Parameters", ""))
    assert list(told) == [one.arg for one in arguments], "each parameter, in order"
    gives = ast.unparse(node.returns)
    expected = "Yields" if gives.startswith("Iterator") else "Returns"
    assert (expected in sections) is (gives != "None")
    if raises(node):
        assert "Raises" in sections
    for title in ("Parameters", "Returns", "Yields", "Raises"):
        for what, text in entries_of(sections.get(title, "")).items():
            assert text.endswith("."), (title, what)
            words = set(re.findall(r"[a-z]+", text.lower())) - {"the", "a", "an", "of", "as"}
            assert words - set(re.findall(r"[a-z]+", what.lower())), f"{what}: an empty phrase"
