"""Work in a process of its own: start it, hear it, end it. No Qt and no MRML.

Nothing here waits: `poll` is called by a timer and takes what is there.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

GRACE_SECONDS = 5.0
"""How long a cancelled process may take to tidy up before it is ended by force."""

LOG_LINES = 500
"""How many lines of a run are kept for its log, from the last one back."""

CANCELLED = "cancelled"
CRASHED = "crashed"
BROKEN = "broken-contract"

INCOMPLETE = 6
"""The worker's exit code where the result is there and its warnings say what is missing besides."""

Line = dict[str, Any]
"""One of the worker's lines, decoded."""


@dataclass(frozen=True)
class Outcome:
    """How work ended: with a result, or with a code and a sentence."""

    result: Line | None
    code: str = ""
    text: str = ""

    @property
    def succeeded(self) -> bool:
        return self.result is not None

    @property
    def cancelled(self) -> bool:
        return self.code == CANCELLED


class Work(Protocol):
    """What the panel needs of a process; tests give another one."""

    outcome: Outcome | None
    """None while it runs."""

    def poll(self) -> list[Line]:
        """The lines since the last call; sets `outcome` when the process has ended."""

    def cancel(self) -> None:
        """Ask the process to stop, and see to it that it does."""

    def kill(self) -> None:
        """End it now, with all that it started."""

    def log(self) -> str:
        """What it said, for a person to pass on: no path, no patient."""


@dataclass(frozen=True)
class Python:
    """The interpreter that runs workers and pip, and how."""

    command: Sequence[str]
    library_parent: Path
    environment: Mapping[str, str] | None = None

    def start(self, job: Line, folder: Path) -> "Worker":
        """Start the worker of docs/contracts.md, section 7, on a job; `folder` is private and the run's own."""
        job_file = folder / "job.json"
        job_file.write_text(json.dumps(job), encoding="utf-8")
        return Worker(self, ["-m", "OrbitalSegLib.worker", str(job_file)], folder, _paths_of(job))

    def install(self, packages: Sequence[str], wheels: Path | None, folder: Path) -> "Installation":
        """Start pip on packages, from a folder of wheels alone if one is given."""
        source = ["--no-index", "--find-links", str(wheels)] if wheels else []
        arguments = ["-m", "pip", "install", "--disable-pip-version-check", *source, *packages]
        return Installation(self, arguments, folder, {str(wheels): "<packages>"} if wheels else {})


class _Stream:
    """A pipe that is read without waiting, and cut into lines."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._rest = b""
        os.set_blocking(pipe.fileno(), False)

    def take(self) -> list[str]:
        """The whole lines that have come since."""
        while block := self._block():
            self._rest += block
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def close(self) -> list[str]:
        """The last lines, the unfinished one among them."""
        lines = [*self.take(), self._rest.decode("utf-8", "replace")]
        self._pipe.close()
        return [line for line in lines if line]

    def _block(self) -> bytes:
        try:
            return os.read(self._pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return b""


class _Process:
    """A process that leads a group of its own, so that all it starts ends with it."""

    def __init__(self, python: Python, arguments: Sequence[str], folder: Path, hidden: Mapping[str, str]) -> None:
        self.outcome: Outcome | None = None
        general = {str(folder): "<run>", str(python.library_parent): "<module>", str(Path.home()): "<home>"}
        self._hidden = general | dict(hidden)
        self._log: list[str] = []
        self._stop_at: float | None = None
        self._process = subprocess.Popen(
            [*python.command, *arguments],
            cwd=python.library_parent,  # which is where `-m` looks first
            env=None if python.environment is None else dict(python.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **_own_group(),
        )
        self._said, self._errors = _Stream(self._process.stdout), _Stream(self._process.stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> list[Line]:
        """See `Work`."""
        if self.outcome is not None:
            return []
        if self._stop_at is not None and time.monotonic() > self._stop_at:
            _end_group(self._process, force=True)
        code = self._process.poll()  # before reading: what it wrote until then is there
        if code is not None:
            _end_group(self._process, force=True)  # children that outlive it
        errors, said = (stream.take() if code is None else stream.close() for stream in (self._errors, self._said))
        self._keep(errors)
        lines = [line for text in said if (line := self._heard(text)) is not None]
        if code is not None:
            self._keep([f"(exit code {code})"])
            stopped = Outcome(None, CANCELLED, "The work was cancelled; nothing was left behind.")
            self.outcome = self._judged(code) if self._stop_at is None else stopped
        return lines

    def cancel(self) -> None:
        """See `Work`."""
        if self.outcome is None and self._stop_at is None:
            self._stop_at = time.monotonic() + GRACE_SECONDS
            _end_group(self._process, force=False)

    def kill(self) -> None:
        """See `Work`. Waits for the process, which takes no time."""
        if self.outcome is None:
            self._stop_at = time.monotonic()
            _end_group(self._process, force=True)
            self._process.wait()
            self.poll()

    def log(self) -> str:
        """See `Work`."""
        text = "\n".join(self._log)
        for path in sorted(self._hidden, key=len, reverse=True):
            for form in (path, json.dumps(path)[1:-1], repr(path)[1:-1]):
                text = text.replace(form, self._hidden[path])
        return text + "\n"

    def _keep(self, lines: list[str]) -> None:
        self._log = [*self._log, *lines][-LOG_LINES:]

    def _heard(self, text: str) -> Line | None:
        raise NotImplementedError

    def _judged(self, code: int) -> Outcome:
        raise NotImplementedError


class Worker(_Process):
    """One job of the library."""

    def __init__(self, python: Python, arguments: Sequence[str], folder: Path, hidden: Mapping[str, str]) -> None:
        self._last: Line = {}
        super().__init__(python, arguments, folder, hidden)

    def _heard(self, text: str) -> Line | None:
        self._keep([text])
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or "event" not in line:
            self._keep(["(this line is none of the contract's)"])
            return None
        self._last = line
        return line

    def _judged(self, code: int) -> Outcome:
        """What exit code and last line say together; a success needs both."""
        event = self._last.get("event")
        if code in (0, INCOMPLETE) and event == "result":
            return Outcome(self._last)
        if event == "error":
            return Outcome(None, str(self._last.get("code")), str(self._last.get("text")))
        if code == 0 or event == "result":
            return Outcome(None, BROKEN, f"The worker ended with exit code {code} but without a valid result.")
        return Outcome(None, CRASHED, _crash_sentence(code))


class Installation(_Process):
    """Packages that come in; each line of pip is a step."""

    def _heard(self, text: str) -> Line | None:
        self._keep([text])
        return {"event": "progress", "percent": 0, "step": text[:60], "seconds_left": None}

    def _judged(self, code: int) -> Outcome:
        if code == 0:
            return Outcome({"event": "result", "files": [], "summary": {}})
        return Outcome(
            None,
            "not-installed",
            "The packages could not be installed: check the network, or choose a folder of packages; the log says why.",
        )


def _paths_of(job: Line) -> dict[str, str]:
    """What of a job a log must not show: folders bear names of patients."""
    paths = {key: value for key, value in job.items() if isinstance(value, str) and Path(value).is_absolute()}
    return {value: f"<{key}>" for key, value in paths.items()}


def _crash_sentence(code: int) -> str:
    """What a person can do about a process that ended without a word."""
    if code in (-9, 137):
        return (
            "The worker was ended by the system, most likely because the memory ran out: "
            "choose a smaller region or close other programs, and run again."
        )
    return (
        f"The worker ended unexpectedly (exit code {code}). The scene is as it was: "
        "run again, or save the log and pass it on."
    )


def _own_group() -> dict[str, Any]:
    if os.name == "posix":
        return {"process_group": 0}
    return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}


def _end_group(process: subprocess.Popen, force: bool) -> None:
    """End a process and all that it started. Windows knows no polite way for a process without a window."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)
    elif process.poll() is None:
        subprocess.run(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            creationflags=subprocess.CREATE_NO_WINDOW,
            capture_output=True,
            check=False,
        )
