#!/usr/bin/env python3
"""Seconds of each step of the main job and its peak memory, the whole process included.

    main_job.py SCAN [--runs 3]

Every run is a worker process of its own, as the Slicer module starts it: seconds count from its start to its end,
imports included. Medians over the runs, with lowest and highest.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from OrbitalSegLib.product import CONTRACT


def run(scan: Path, folder: Path) -> dict[str, float]:
    """One worker process: seconds by step, in all, and peak memory in GB."""
    job = {"contract": CONTRACT, "task": "segment", "input": str(scan.resolve()), "output": str(folder / "result")}
    start = time.perf_counter()
    worker = subprocess.Popen(
        [sys.executable, "-m", "OrbitalSegLib.worker", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(job))
    worker.stdin.close()
    with worker.stdout as said:
        last = json.loads(said.read().splitlines()[-1])
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)  # it need not be waited for again
    seconds = time.perf_counter() - start
    if last["event"] != "result" or worker.returncode:
        raise SystemExit(f"The job failed: {last.get('text')}")
    steps = last["summary"]["seconds"]
    return {**steps, "start and end": seconds - sum(steps.values()), "all": seconds, "peak, GB": peak_gb(usage)}


def peak_gb(usage: resource.struct_rusage) -> float:
    """Peak resident memory; macOS counts bytes, Linux KiB."""
    return usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6 / 1.024)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    runs = []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run(arguments.scan, Path(folder)))
    print(
        f"{'step':16}{'median':>9}{'lowest':>9}{'highest':>9}   seconds, {arguments.runs} runs, {os.cpu_count()} cores"
    )
    for name in runs[0]:
        values = [one[name] for one in runs]
        print(f"{name:16}{statistics.median(values):9.2f}{min(values):9.2f}{max(values):9.2f}")


if __name__ == "__main__":
    main()
