"""Memory that a process keeps for what it asks for next."""

import subprocess
import sys

import pytest

AGAIN = """
import resource, sys
import numpy as np
from OrbitalSegLib.heap import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 23)  # 64 MB, more than glibc keeps by itself
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are left as they are")
def test_what_was_freed_is_used_again_without_the_kernel():
    given_back, kept = (
        int(subprocess.run([sys.executable, "-c", AGAIN, how], capture_output=True, text=True, check=True).stdout)
        for how in ("give back", "keep")
    )
    assert kept < 20 < given_back
