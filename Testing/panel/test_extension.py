"""The extension is configured, built and installed by CMake against stand-ins of Slicer's macros (Testing/cmake)."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SAID = "cmake.txt"
"""What CMake warned of."""

MODULES = "lib/Slicer-5.12/qt-scripted-modules"


@pytest.fixture(scope="module")
def installed(tmp_path_factory, request) -> Path:
    """The folder of the installed modules; `SAID` lies in the folder that they were installed into."""
    require_tool = request.getfixturevalue("require_tool_once")
    cmake = str(require_tool("cmake"))
    require_tool("c++", "g++")  # `project()` asks for one, although nothing is compiled
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("install with a space")
    (said := prefix / SAID).touch()
    for command in (
        [cmake, "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={ROOT / 'Testing/cmake'}", "-DBUILD_TESTING=ON"],
        [cmake, "--build", str(build)],
        [cmake, "--install", str(build), "--prefix", str(prefix)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        said.write_text(said.read_text() + done.stderr)
    return prefix / MODULES


@pytest.fixture(scope="module")
def require_tool_once():
    """As `require_tool`, for a fixture of the whole module."""
    import os
    import shutil

    def require(name: str, package: str | None = None) -> Path:
        found = shutil.which(name)
        if not found and os.environ.get("ORBITALSEG_NO_SKIP"):
            pytest.fail(f"tool {name} is missing: apt-get install {package or name}")
        return Path(found) if found else pytest.skip(f"tool {name} is missing: apt-get install {package or name}")

    return require


def files_of(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_every_file_of_module_and_library_is_installed(installed):
    wanted = files_of(ROOT / "OrbitalSeg") - {"CMakeLists.txt"}
    wanted |= {f"OrbitalSegLib/{name}" for name in files_of(ROOT / "OrbitalSegLib")}
    assert files_of(installed) == wanted


def test_every_import_of_the_product_is_installed(installed):
    known = {name for name in files_of(installed) if name.endswith(".py")}
    missing = []
    for name in known:
        for node in ast.walk(ast.parse((installed / name).read_text(encoding="utf-8"))):
            for module in imported(node):
                path = module.replace(".", "/")
                if module.startswith("OrbitalSeg") and not {f"{path}.py", f"{path}/__init__.py"} & known:
                    missing.append((name, module))
    assert not missing


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_every_resource_that_the_module_names_is_installed(installed):
    named = set()
    for path in installed.glob("OrbitalSeg*/**/*.py"):
        named |= set(re.findall(r'resourcePath\("([^"]+)"\)', path.read_text(encoding="utf-8")))
    named |= set(re.findall(r'resourcePath\("([^"]+)"\)', (installed / "OrbitalSeg.py").read_text(encoding="utf-8")))
    assert named == {"UI/OrbitalSeg.ui"}
    for name in (*named, "Icons/OrbitalSeg.png"):
        assert (installed / "Resources" / name).is_file()


def test_the_installed_module_finds_and_runs_the_installed_library(installed, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from OrbitalSegPanel import library; "
        "print(library.library_parent())"
    )
    found = subprocess.run([sys.executable, "-c", program, str(installed)], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == installed
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"contract": CONTRACT, "task": "methods"}))
    done = subprocess.run(
        [sys.executable, "-m", "OrbitalSegLib.worker", str(job)],
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result", done.stderr


def test_in_a_checkout_the_library_is_one_folder_up():
    sys.path.insert(0, str(ROOT / "OrbitalSeg"))
    from OrbitalSegPanel import library

    assert library.library_parent() == ROOT


def test_the_index_entry_and_the_extension_name_the_same_place():
    entry = json.loads((ROOT / "Resources/OrbitalSeg.json").read_text())
    text = (ROOT / "CMakeLists.txt").read_text()
    address = said_of("HOMEPAGE")
    assert entry["scm_url"] == f"{address}.git"
    assert entry["category"] in text
    for name in re.findall(r"raw/main/(\S+?\.png)", text):
        assert (ROOT / name).is_file(), name


def said_of(name: str) -> str:
    """What the extension's file says, read without CMake, as Slicer's index reads it."""
    return re.search(rf'set\(EXTENSION_{name} "([^"]*)"\)', (ROOT / "CMakeLists.txt").read_text())[1]


def test_the_index_finds_icon_and_screenshots_without_running_cmake():
    home = said_of("HOMEPAGE")
    assert home.rsplit("/", 1)[-1].startswith("Slicer")
    addresses = [said_of("ICONURL"), *said_of("SCREENSHOTURLS").split()]
    assert len(addresses) == 3
    for address in addresses:
        assert "$" not in address
        assert address.startswith(f"{home}/raw/main/")


def test_an_address_that_is_none_cannot_go_unnoticed(installed):
    has_none = ".invalid/" in said_of("HOMEPAGE")
    said = (installed.parents[2] / SAID).read_text()
    assert ("no public address" in " ".join(said.split())) == has_none
    assert ("no public address" in (ROOT / "docs/testing.md").read_text(encoding="utf-8")) == has_none


def test_the_icon_has_the_size_that_the_index_asks_for():
    from PySide6.QtGui import QImage

    image = QImage(str(ROOT / "Resources/OrbitalSeg.png"))
    assert (image.width(), image.height()) == (128, 128)
