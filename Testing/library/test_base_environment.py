"""Thresholding, surface and STL need nothing but what 3D Slicer ships (numpy, SimpleITK, vtk, pydicom)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import CONTRACT


@pytest.fixture
def base_python() -> str:
    """A Python that has the base dependencies alone; `make test` makes one."""
    python = os.environ.get("ORBITALSEG_BASE_PYTHON")
    if python is None:
        if os.environ.get("ORBITALSEG_NO_SKIP"):
            pytest.fail("ORBITALSEG_BASE_PYTHON must name a Python with the base dependencies alone")
        pytest.skip("ORBITALSEG_BASE_PYTHON names no Python with the base dependencies alone")
    return str(Path(python).absolute())


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


def test_the_main_job_runs_with_the_base_dependencies_alone(base_python, job):
    installed = subprocess.run(
        [base_python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    names = {item["name"].lower() for item in json.loads(installed.stdout)}
    assert not names & {"scipy", "typer", "rich", "manifold3d", "lib3mf", "trimesh", "torch", "openvino", "highdicom"}
    command = [base_python, "-m", "OrbitalSegLib.worker", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
    assert (job.parent / "result" / "bone.stl").stat().st_size > 1000
