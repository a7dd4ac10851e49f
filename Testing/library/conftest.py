"""Fixtures that every test of the library may use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dicom_series import ct_slices, save
from hypothesis import settings

# The same examples in every run: a change is judged by what it changed. `--hypothesis-profile=search` looks for more.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile("same")


@pytest.fixture
def write_ct(tmp_path: Path) -> Callable[..., Path]:
    """Writes a series under the test's folder and returns its folder: `write_ct("thin", SeriesNumber=3)`.

    The changes are those of `dicom_series.ct_slices`; `name` gives the file's name for a number from 1.
    """

    def write(folder: str = "scan", name: Callable[[int], str] = "I{}0".format, **changes: Any) -> Path:
        return save(ct_slices(**changes), tmp_path / folder, name)

    return write
