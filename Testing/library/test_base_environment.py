"""Thresholding, surface and STL need nothing but what 3D Slicer ships (numpy, SimpleITK, vtk, pydicom)."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.skipif(
    not os.environ.get("ORBITALSEG_BASE"), reason="for an environment with the base dependencies alone: make base"
)


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


def test_the_main_job_runs_with_the_base_dependencies_alone(job):
    others = ("scipy", "typer", "rich", "manifold3d", "lib3mf", "trimesh", "torch", "openvino", "highdicom")
    assert not [name for name in others if find_spec(name)]
    command = [sys.executable, "-m", "OrbitalSegLib.worker", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
    assert (job.parent / "result" / "bone.stl").stat().st_size > 1000
