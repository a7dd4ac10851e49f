"""What all tests share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


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
        if os.environ.get("ORBITALSEG_NO_SKIP"):
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
