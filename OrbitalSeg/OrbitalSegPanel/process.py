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

LAST_WORDS_SECONDS = 1.0
"""How long the channels of a process that has ended are listened to: a launcher may end before its worker."""

CANCEL = ".cancel"
"""Added to the name of a job's file: the file that asks its worker to stop (docs/contracts.md, section 7)."""

LOG_LINES = 500
"""How many lines of a run are kept for its log, from the last one back."""

CANCELLED = "cancelled"
CRASHED = "crashed"
BROKEN = "broken-contract"

INCOMPLETE = 6
"""The worker's exit code where the result is there and its warnings say what is missing besides."""

KILLED = (-9, 137)
KILLED_BEHIND_A_LAUNCHER = 1
"""Exit codes of what the kernel killed."""

LAST_WORDS = ("Traceback (most recent call last)", "Fatal Python error")
"""How Python begins to say why it ended."""

OUT_OF_MEMORY = (
    "The worker was ended by the system, most likely because the memory ran out: "
    "choose a smaller region or close other programs, and run again."
)

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
        return Worker(self, job_file, _paths_of(job))

    def install(
        self, packages: Sequence[str], wheels: Path | None, folder: Path, megabytes: float = 0
    ) -> "Installation":
        """Start pip on packages of about that size, from a folder of wheels alone if one is given."""
        source = ["--no-index", "--find-links", str(wheels)] if wheels else []
        quiet = ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"]
        arguments = ["-m", "pip", "install", *quiet, *source, *packages]
        return Installation(self, arguments, folder, {str(wheels): "<packages>"} if wheels else {}, megabytes)


class _Stream:
    """A pipe that is read without waiting, and cut into lines."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._rest = b""
        self.has_ended = False
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
            block = os.read(self._pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return b""
        self.has_ended = not block
        return block


class _Process:
    """A process that leads a group of its own, so that all it starts ends with it."""

    def __init__(self, python: Python, arguments: Sequence[str], folder: Path, hidden: Mapping[str, str]) -> None:
        self.outcome: Outcome | None = None
        general = {str(folder): "<run>", str(python.library_parent): "<module>", str(Path.home()): "<home>"}
        self._hidden = general | dict(hidden)
        self._log: list[str] = []
        self._stop_at: float | None = None
        self._ended_at: float | None = None
        self._process = subprocess.Popen(
            [*python.command, *arguments],
            cwd=python.library_parent,  # which is where `-m` looks first
            env=_environment(python.environment, folder),
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
        lines = self._take(_Stream.take)
        if code is None or not self._is_over():
            return lines
        _end_group(self._process, force=True)  # children that outlive it
        lines += self._take(_Stream.close)
        self.outcome = self._judged(code)
        self._keep([f"(exit code {code})"])
        if self._stop_at is not None and not self.outcome.succeeded:
            self.outcome = Outcome(None, CANCELLED, "The work was cancelled; nothing was left behind.")
        return lines

    def _take(self, take: Any) -> list[Line]:
        self._keep(take(self._errors))
        return [line for text in take(self._said) if (line := self._heard(text)) is not None]

    def _is_over(self) -> bool:
        """Whether nobody is left who might say something: a launcher may end before what it launched."""
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        until = self._ended_at + LAST_WORDS_SECONDS if self._stop_at is None else self._stop_at
        return self._has_said_all() or self._said.has_ended or time.monotonic() > until

    def _has_said_all(self) -> bool:
        """Whether its last line was heard, after which nothing comes."""
        return False

    def cancel(self) -> None:
        """See `Work`."""
        if self.outcome is None and self._stop_at is None:
            self._stop_at = time.monotonic() + GRACE_SECONDS
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """See `Work`. Waits for the process, which takes no time."""
        if self.outcome is None:
            self._stop_at = time.monotonic()
            _end_group(self._process, force=True)
            self._process.wait()
            while self.outcome is None:
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

    def __init__(self, python: Python, job_file: Path, hidden: Mapping[str, str]) -> None:
        self._last: Line = {}
        self._job_file = job_file
        super().__init__(python, ["-m", "OrbitalSegLib.worker", str(job_file)], job_file.parent, hidden)

    def _ask_to_stop(self) -> None:
        """By a file, not by a signal: that would end a launcher alone, and Windows has none."""
        self._job_file.with_name(self._job_file.name + CANCEL).touch()

    def _has_said_all(self) -> bool:
        return self._last.get("event") in ("result", "error")

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
        was_killed = code in KILLED or (code == KILLED_BEHIND_A_LAUNCHER and not self._said_why())
        return Outcome(None, CRASHED, OUT_OF_MEMORY if was_killed else _crash_sentence(code))

    def _said_why(self) -> bool:
        """Whether Python itself said why it ended: one that the system killed has no time for it."""
        return any(line.startswith(LAST_WORDS) for line in self._log) or bool(self._log and not self._last)


class Installation(_Process):
    """Packages that come in: until they are unpacked they are in the run's folder, by whose size one sees them come."""

    def __init__(
        self, python: Python, arguments: Sequence[str], folder: Path, hidden: Mapping[str, str], megabytes: float
    ) -> None:
        self._folder, self._bytes = folder, 1e6 * megabytes
        self._is_unpacking, self._told = False, -1
        super().__init__(python, arguments, folder, hidden)

    def poll(self) -> list[Line]:
        """See `Work`."""
        lines = super().poll()
        percent = min(95, int(100 * _size(self._folder) / self._bytes)) if self._bytes else 0
        if self.outcome is None and percent > self._told:
            self._told = percent
            step = "unpacking packages" if self._is_unpacking else "fetching packages"
            lines.append({"event": "progress", "percent": percent, "step": step, "seconds_left": None})
        return lines

    def cancel(self) -> None:
        """See `Work`. What is being unpacked is waited for: that takes seconds, and a half of it would be left."""
        if not self._is_unpacking:
            super().cancel()

    def _ask_to_stop(self) -> None:
        _end_group(self._process, force=False)

    def _heard(self, text: str) -> Line | None:
        self._keep([text])
        if text.startswith("Installing collected packages"):
            self._is_unpacking = True
        return None

    def _judged(self, code: int) -> Outcome:
        if code == 0:
            return Outcome({"event": "result", "files": [], "summary": {}})
        said = "\n".join(self._log)
        why = next((text for text, signs in NOT_INSTALLED.items() if any(sign in said for sign in signs)), NOT_FOUND)
        return Outcome(None, "not-installed", f"{why} {FOLDER_INSTEAD}")


NOT_INSTALLED = {
    "The packages could not be installed: the network's proxy refused, or wants a name and a password.": (
        "ProxyError",
        "407 ",
        "Tunnel connection failed",
    ),
    "The packages could not be installed: the network's certificate is not one that Python trusts.": (
        "CERTIFICATE_VERIFY_FAILED",
        "SSLError",
    ),
    "The packages could not be installed: there is no network, or it does not reach pypi.org.": (
        "NewConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionResetError",
        "NameResolutionError",
        "Temporary failure in name resolution",
    ),
    "The packages could not be installed: the disk is full.": ("No space left on device",),
    "The packages could not be installed: you may not write into this Slicer's folder.": ("Permission denied",),
}
"""By the sentence, what pip says then."""

NOT_FOUND = "The packages could not be installed: there are none for this Slicer where they were looked for."
FOLDER_INSTEAD = (
    "Fetch them on another computer and choose their folder under Packages from in section 3; the log says why."
)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder, while others write there."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _paths_of(job: Line) -> dict[str, str]:
    """What of a job a log must not show: folders bear names of patients."""
    paths = {key: value for key, value in job.items() if isinstance(value, str) and Path(value).is_absolute()}
    return {value: f"<{key}>" for key, value in paths.items()}


def _crash_sentence(code: int) -> str:
    """What a person can do about a process that ended without a word."""
    return (
        f"The worker ended unexpectedly (exit code {code}). The scene is as it was: "
        "run again, or save the log and pass it on."
    )


def _environment(given: Mapping[str, str] | None, folder: Path) -> dict[str, str]:
    """What it makes for the moment lies in the run's folder, and goes with it, however it ends; a crash says where."""
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return dict(os.environ if given is None else given) | temporary | {"PYTHONFAULTHANDLER": "1"}


def _own_group() -> dict[str, Any]:
    if os.name == "posix":
        return {"process_group": 0}
    return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}


def _end_group(process: subprocess.Popen, force: bool) -> None:
    """End a process and all that it started. Windows knows no polite way for a process without a window."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL if force else signal.SIGINT)
    elif process.poll() is None:
        subprocess.run(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            creationflags=subprocess.CREATE_NO_WINDOW,
            capture_output=True,
            check=False,
        )
