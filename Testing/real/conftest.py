"""Real scans, which are not part of the project: looked for, and skipped with a reason where they are not."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """The folder with real scans: `ORBITALSEG_TEST_DATA`, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("ORBITALSEG_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real scans here: name their folder in ORBITALSEG_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def wall_coverage(real_scans: Path) -> ModuleType:
    """The tool that scores a segmentation of a real scan without labels; it lies beside the scans."""
    path = real_scans.parent / "tools" / "wall_coverage.py"
    if not path.is_file():
        pytest.skip("wall_coverage.py does not lie beside the real scans")
    spec = importlib.util.spec_from_file_location("wall_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
