"""The benchmark that makes 3D Slicer's own surface, on a job as small as it can be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

SCRIPT = Path(__file__).parents[2] / "benchmarks/slicer_surface.py"
RADIUS = 6


@pytest.mark.usefixtures("slicer")
def test_slicers_surface_of_a_ball(tmp_path):
    far = np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0)
    sitk.WriteImage(sitk.GetImageFromArray((far < RADIUS).astype(np.uint8)), str(tmp_path / "mask.nrrd"))
    job = {"mask": str(tmp_path / "mask.nrrd"), "smoothing": 0.5, "folder": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, SCRIPT], input=json.dumps(job) + "\n", capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    triangles = (Path(said["stl"]).stat().st_size - 84) // 50
    assert 500 < triangles < 3000
    assert min(*said["surface_s"], *said["export_s"]) >= 0
