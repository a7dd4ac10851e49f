"""Benchmarks start: on a job as small as it can be, or, where the smallest takes minutes, as far as their words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk

pytestmark = [pytest.mark.learn, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def start(name: str, *words: object) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Path:
    """A bony ball in soft tissue in air."""
    z, y, x = np.indices((24, 32, 32)) - np.array([12, 16, 16]).reshape(3, 1, 1, 1)
    far = np.sqrt(x**2 + y**2 + z**2)
    image = sitk.GetImageFromArray(np.where(far < 8, 1000, np.where(far < 11, 40, -1000)).astype(np.int16))
    path = tmp_path_factory.mktemp("ball") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def test_the_main_job(ball):
    said = start("main_job", ball, "--runs", 1)
    assert {"reading", "segmenting", "modelling", "all"} <= {line.split()[0] for line in said.splitlines() if line}


def test_inference():
    assert start("inference", "ours", "--size", 32, "--runs", 1)


def test_surface(ball, tmp_path):
    mask = sitk.Cast(sitk.ReadImage(str(ball)) > 500, sitk.sitkUInt8)
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    assert start("surface", "--mask", tmp_path / "mask.nrrd")


def test_surface_plates():
    assert start("surface_plates", "--thickness", 1.0, "--spacing", "0.5,0.5,1.0", "--phases", 1)


@pytest.mark.parametrize(
    "name",
    [
        "agreement",
        "delivered",
        "few_cases",
        "fractures",
        "model",
        "monitoring",
        "optional_steps",
        "orbit_volume",
        "surface_scans",
    ],
)
def test_those_that_take_long_say_what_they_need(name):
    assert "usage:" in start(name, "--help")
