"""Many machines: scans on the workers of a real Dask cluster, whose processes die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from test_batch import SEGMENT, batch, files_in, rows_of, volume

from OrbitalSegLib import worker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed as systems of POSIX do"),
]


class Cluster:
    """A scheduler and workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._processes = [self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-show")]
        self.workers: list[subprocess.Popen] = []

    def _start(self, part: str, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", "--scheduler-file", str(self._file), *words]
        quiet = subprocess.DEVNULL
        return subprocess.Popen([*command, "--no-dashboard"], stdout=quiet, stderr=quiet, cwd=self._file.parent)

    @property
    def address(self) -> str:
        import json

        while not self._file.exists():
            time.sleep(0.05)
        return json.loads(self._file.read_text())["address"]

    def add_worker(self) -> None:
        self.workers.append(self._start("worker", "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1"))
        self._processes.append(self.workers[-1])

    def kill_worker(self) -> None:
        os.kill(self.workers.pop(0).pid, signal.SIGKILL)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    (tmp_path / "cluster").mkdir()
    made = Cluster(tmp_path / "cluster")
    yield made
    made.close()


def scans(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        volume(folder / f"{number}.nrrd")
    (folder / "broken.nrrd").write_text("x")
    return folder


def test_workers_that_die_lose_nothing_and_do_nothing_twice(cluster, tmp_path):
    source = scans(tmp_path / "scans", 2)
    address = cluster.address
    for _ in range(2):
        cluster.add_worker()
    assert batch(source, tmp_path / "here")[0] == worker.INCOMPLETE
    killed: list[int] = []

    def hear(line: dict) -> None:
        """One of two workers dies when the first scan is done, and another comes."""
        if line["event"] == "scan" and not killed:
            killed.append(cluster.workers[0].pid)
            cluster.kill_worker()
            cluster.add_worker()
        lines.append(line)

    lines: list[dict] = []
    job = {"contract": 4, "task": "batch", "input": str(source), "output": str(tmp_path / "there"), "jobs": [SEGMENT]}
    assert worker.run({**job, "scheduler": address}, hear) == worker.INCOMPLETE, lines[-1]
    assert killed
    assert lines[-1]["summary"] == {"scans": 3, "done": 2, "incomplete": 0, "failed": 1}
    assert sum(line["event"] == "scan" for line in lines) == 3
    assert files_in(tmp_path / "there")["index.csv"] == files_in(tmp_path / "here")["index.csv"]
    folders = sorted(path.name for path in (tmp_path / "there/scans").iterdir() if not path.name.startswith("."))
    assert folders == sorted(rows_of(tmp_path / "here"))


def test_a_scheduler_that_is_not_there_is_said(tmp_path, monkeypatch):
    from OrbitalSegLib.archive import pools

    monkeypatch.setattr(pools, "CONNECT_SECONDS", 0.5)
    code, lines = batch(scans(tmp_path / "scans", 1), tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    assert (code, lines[-1]["code"]) == (3, "no-scheduler")


def test_without_dask_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, lines = batch(scans(tmp_path / "scans", 1), tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    assert (code, lines[-1]["code"]) == (3, "needs-dask")
