"""What all tests share."""

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

NO_SKIP = bool(os.environ.get("ORBITALSEG_NO_SKIP"))
FOLDERS = {"panel", "slicer", "real"}
"""Those whose name is the marker of their tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in such a folder has its marker."""
    for item in items:
        if item.path.parent.name in FOLDERS:
            item.add_marker(item.path.parent.name)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that `pytest.importorskip` leaves out is a failure where no skip is allowed."""
    return without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The same for a single test."""
    return without_skip((yield))


def without_skip(report: Any) -> Any:
    """The report; where ORBITALSEG_NO_SKIP is set, a package that could not be imported is a failure."""
    if NO_SKIP and report.skipped and "could not import" in str(report.longrepr):
        report.outcome = "failed"
    return report


@pytest.fixture
def require_tool() -> Callable[[str], Path]:
    """Gives the path of a program, by its name and the Debian package it comes in if that has another name.

    Where it is missing the test is skipped, or fails if the environment variable ORBITALSEG_NO_SKIP is set.
    """

    def require(name: str, package: str | None = None) -> Path:
        found = shutil.which(name)
        if found:
            return Path(found)
        reason = f"tool {name} is missing: apt-get install {package or name}"
        if NO_SKIP:
            pytest.fail(reason)
        pytest.skip(reason)

    return require


@pytest.fixture
def pymeshlab_python() -> str:
    """A Python that has pymeshlab, an optional judge under the GPL that is never a dependency."""
    python = os.environ.get("ORBITALSEG_PYMESHLAB_PYTHON")
    if not python:
        pytest.skip("optional judge: name a Python that has pymeshlab in ORBITALSEG_PYMESHLAB_PYTHON")
    return python


@pytest.fixture
def prusa_slicer() -> Path:
    """PrusaSlicer's program, an optional judge of what can be printed: too large to be asked of everybody who tests."""
    found = shutil.which("prusa-slicer")
    if not found:
        pytest.skip("optional judge: apt-get install prusa-slicer")
    return Path(found)
