"""Fixtures that every test of the library may use."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from dicom_series import ct_slices, save
from hypothesis import settings

from OrbitalSegLib.networks.package import Package

# The same examples in every run: a change is judged by what it changed. `--hypothesis-profile=search` looks for more.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile("same")

# Torch's threads wait for each other longer than small networks take, above all where others share the processor.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a package needs torch to make it, and seconds where its networks are trained."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if {"tiny_package", "sound_package"} & asked:
            item.add_marker("learn")
        if "tiny_package" in asked:
            item.add_marker("slow")


@pytest.fixture
def write_ct(tmp_path: Path) -> Callable[..., Path]:
    """Writes a series under the test's folder and returns its folder: `write_ct("thin", SeriesNumber=3)`.

    The changes are those of `dicom_series.ct_slices`; `name` gives the file's name for a number from 1.
    """

    def write(folder: str = "scan", name: Callable[[int], str] = "I{}0".format, **changes: Any) -> Path:
        return save(ct_slices(**changes), tmp_path / folder, name)

    return write


@pytest.fixture(scope="session")
def head() -> Any:
    """A phantom whose left floor is broken."""
    from broken_head import BrokenHead

    return BrokenHead()


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A model package with small trained networks `cortical`, `thin` and `single` at 1 mm, in a folder of its own."""
    pytest.importorskip("torch")
    import tiny_network  # torch, which most tests need not wait for

    return tiny_network.write(tmp_path_factory.mktemp("models") / "tiny-1")


@pytest.fixture(scope="session")
def sound_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A small sound package with the untrained networks `a` and `b`."""
    pytest.importorskip("torch")
    import tiny_network

    from OrbitalSegLib.networks.export import write_package

    states = {"a": tiny_network.small_state(1), "b": tiny_network.small_state(2)}
    folder = tmp_path_factory.mktemp("models") / "small"
    return write_package(folder, tiny_network.small_description(*states), states, "A card.")


@pytest.fixture
def package_folder(sound_package: Package, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(sound_package.folder, tmp_path / "package"))


@pytest.fixture
def wide_terminal(monkeypatch):
    """Tables are not folded, and the signal handlers that a command sets are put back."""
    pytest.importorskip("typer")
    from OrbitalSegLib import cli

    for console in (cli.console, cli.errors):  # a variable would come too late for them
        monkeypatch.setattr(console, "width", 250)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def deepmind() -> ModuleType:
    """DeepMind's surface-distance, with the names of NumPy and SciPy that it was written for."""
    pytest.importorskip("surface_distance")
    import numpy as np
    from scipy import ndimage
    from surface_distance import metrics

    class OldNumpy:
        Inf = np.inf

        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

    metrics.np = OldNumpy()
    metrics.ndimage = SimpleNamespace(filters=ndimage, morphology=ndimage)
    return metrics
