"""One scan of a batch: its jobs, each in a process of its own, and how they ended, in a folder that comes whole.

What kills a process, as a system that is out of memory, costs this scan alone.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from OrbitalSegLib.archive.room import Room
from OrbitalSegLib.errors import Cancelled, OrbitalSegError, OutputError
from OrbitalSegLib.files import whole, writing
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.progress import HELD

Outcome = dict[str, Any]
"""How a scan ended: `name`, `status`, `code`, `text`, `warnings`, and by task `summaries` and `files`."""

DONE, INCOMPLETE, FAILED = "done", "incomplete", "failed"
"""All results are there; a result is there, but not all that was asked for; there is none."""

OUTCOME_FILE = "outcome.json"

CRASHED = "crashed"
OF_MEMORY = (CRASHED, "too-large")
"""What may end otherwise where nothing else runs beside it."""

DIED = (
    "Its process died (code {code}) and said no more, as where memory runs out: run it alone, with more memory, or "
    "with a smaller region; what it said last is kept in private/."
)

PASSING = ("exists", "cannot-write", "disk-full")
"""Not of the scan: the next run tries again."""

NO_FOLDER = (
    "The computer that took this scan does not see the folder of the results: every computer needs the same shared "
    "folders under the same paths."
)
OTHER_VERSION = "The computer that took this scan has another version of OrbitalSeg: install the same one everywhere."


@dataclass(frozen=True)
class Errand:
    """A scan and what is to be done with it: all that a process on another computer needs to know."""

    name: str
    folder: Path
    """Of all scans' results."""
    logs: Path
    """Where what a process said when it died is kept."""
    jobs: tuple[dict[str, Any], ...]
    """As the worker takes them, but for the output; `RESULT` in one is the first one's result folder."""
    needs_bytes: int
    version: str = VERSION


RESULT = "\0result"
"""Stands in a job for the folder of the first job's result; no path holds it."""


def failed(name: str, error: OrbitalSegError) -> Outcome:
    """The outcome of a scan of which there is no result."""
    return _outcome(name, FAILED, error.code, error.text)


def _outcome(name: str, status: str, code: str | None = None, text: str | None = None) -> Outcome:
    return {
        "name": name,
        "status": status,
        "code": code,
        "text": text,
        "warnings": [],
        "summaries": {},
        "files": {},
    }


def outcome_in(folder: Path) -> Outcome | None:
    """How the scan ended whose folder this is; None where it has not been done."""
    try:
        found: Outcome = json.loads((folder / OUTCOME_FILE).read_text(encoding="utf-8"))
        return found if found["name"] == folder.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(outcome: Outcome, scans: Path) -> None:
    """Remember of a scan that cannot be looked at again why there is no result. Raises `OutputError`."""
    target = scans / outcome["name"]
    if outcome_in(target) is None:
        with suppress(OSError):
            target.rmdir()
        with whole(target, keep=False) as new, writing(scans):
            new.mkdir()
            _write(outcome, new)


def _write(outcome: Outcome, folder: Path) -> None:
    (folder / OUTCOME_FILE).write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


def forget(folder: Path) -> None:
    """Let a scan be tried again that failed; where anything but how it ended is in its folder, nothing is removed."""
    if [path.name for path in folder.iterdir()] == [OUTCOME_FILE]:
        shutil.rmtree(folder)


def do(errand: Errand, room: Room, processes: "Processes") -> Outcome:
    """Do a scan whose folder is not there yet; what is there stays as it is.

    Whoever else does the same at the same time, one folder remains, and it is whole. Raises `Cancelled`.
    """
    target = errand.folder / errand.name
    if not errand.folder.is_dir():
        return failed(errand.name, OutputError("cannot-write", NO_FOLDER))
    if errand.version != VERSION:
        return failed(errand.name, OutputError("cannot-write", OTHER_VERSION))
    with suppress(OSError):
        target.rmdir()  # the claim of a run that was killed then; a folder with a result is not empty
    try:
        with whole(target, keep=False) as new:
            return _made(errand, new, room, processes)
    except Cancelled:
        raise
    except OrbitalSegError as error:
        return outcome_in(target) or failed(errand.name, error)


def _made(errand: Errand, new: Path, room: Room, processes: "Processes") -> Outcome:
    """Raises what says nothing of the scan itself: the next run tries it again."""
    with room.take(errand.needs_bytes):
        shared = room.is_shared
        outcome = _worked(errand, new, processes)
        shared = shared or room.is_shared
    if shared and outcome["code"] in OF_MEMORY:
        shutil.rmtree(new)
        with room.take(room.bytes):  # once more, with all memory to itself
            outcome = _worked(errand, new, processes)
    if outcome["code"] == Cancelled().code:
        raise Cancelled
    if outcome["code"] in PASSING:
        raise OrbitalSegError(outcome["code"], outcome["text"])
    with writing(new):
        _write(outcome, new)
    return outcome


def _worked(errand: Errand, new: Path, processes: "Processes") -> Outcome:
    """All jobs, one after the other. Without the first one's result there is nothing for the others to do."""
    with writing(new):
        new.mkdir()
    outcome = _outcome(errand.name, DONE)
    first = errand.jobs[0]["task"]
    for job in errand.jobs:
        task = job["task"]
        given = {key: str(new / first) if value == RESULT else value for key, value in job.items()}
        if "output" in given:
            given["output"] = str(new / task)
        code = _run(given, outcome, errand.logs / f"{errand.name}-{task}.txt", processes)
        if code:
            outcome["status"] = INCOMPLETE if outcome["summaries"] else FAILED
        if not outcome["summaries"] or outcome["code"] in PASSING:
            break
    return outcome


def _run(job: dict[str, Any], outcome: Outcome, log: Path, processes: "Processes") -> int:
    """A job in a process of its own; how it ended is added to the outcome."""
    last: dict[str, Any] = {}
    with log.open("w", encoding="utf-8") as errors, processes.started(errors) as (asked, lines, wait):
        with suppress(OSError):  # it died at once
            asked.write(json.dumps(job) + "\n")
            asked.flush()
        for line in lines:
            last = json.loads(line)
            if last["event"] == "warning":
                outcome["warnings"].append({"code": last["code"], "text": last["text"]})
        code = wait()
    if last.get("event") == "result":
        outcome["summaries"][job["task"]] = last["summary"]
        outcome["files"][job["task"]] = last["files"]
    else:
        died = {"code": CRASHED, "text": DIED.format(code=code)}
        outcome |= {key: (last if last.get("event") == "error" else died)[key] for key in ("code", "text")}
    if outcome["code"] not in (CRASHED, "internal"):
        log.unlink(missing_ok=True)  # it is worth keeping where something died
    return code


class Processes:
    """The workers that run, which end when this process does, however it ends."""

    def __init__(self) -> None:
        self._asked: set[IO[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextmanager
    def started(self, errors: IO[str]) -> Iterator[tuple[IO[str], IO[str], Callable[[], int]]]:
        """A worker: where it takes its job and lives as long as that is open, its lines, and its exit code.

        Raises `Cancelled` once all were stopped.
        """
        command = [sys.executable, "-m", "OrbitalSegLib.worker", HELD]
        with self._lock:
            if self._stopped:
                raise Cancelled
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
            )
            assert process.stdin is not None
            assert process.stdout is not None
            self._asked.add(process.stdin)
        try:
            yield process.stdin, process.stdout, process.wait
        finally:
            with self._lock:
                self._asked.discard(process.stdin)
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream.close()
            process.wait()

    def stop(self) -> None:
        """Ask all to stop, and start no more."""
        with self._lock:
            self._stopped = True
            for asked in self._asked:
                with suppress(OSError):
                    asked.close()
