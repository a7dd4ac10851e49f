"""The benchmark of the panel, on a region as small as it can be, in a process of its own, as it starts the host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = "import panel; panel.REGIONS_MM = {'one orbit': (10.0, 10.0, 10.0)}; panel.MOVES = 3; panel.main()"


@pytest.mark.slow
def test_the_panels_speed_is_measured():
    path = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent)])
    done = subprocess.run(
        [sys.executable, "-c", SMALL],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    start, panel, slider = done.stdout.splitlines()[-3:]
    assert start.startswith("the module's import at the start of Slicer:")
    assert panel.startswith("panel, from import to shown:")
    assert slider.startswith("slider, one orbit, 0.0 million voxels: median ")
