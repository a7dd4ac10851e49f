"""One job in JSON in, lines of JSON out (docs/contracts.md, section 7).

`python -m OrbitalSegLib.worker JOB.json`
"""

import _thread
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from OrbitalSegLib import tasks
from OrbitalSegLib.errors import INTERNAL, NO_MEMORY, Cancelled, InputError, JobError, OrbitalSegError
from OrbitalSegLib.heap import keep_freed_memory
from OrbitalSegLib.progress import HELD, Steps

Emit = Callable[[dict[str, Any]], None]

INCOMPLETE = 6
"""The exit code where all was done but outputs are missing that can fail without costing the result."""


def run(values: object, emit: Emit) -> int:
    """Do one job. `emit` gets every line as an object, the last one `result` or `error`. Returns the exit code."""
    warned = set()

    def hear(line: dict[str, Any]) -> None:
        if line["event"] == "warning":
            warned.add(line["code"])
        emit(line)

    try:
        job = tasks.job_from(values)
        work = tasks.work_of(job.task)
        files, summary = work.run(job, _steps(work.shares(job), hear), _record(hear))
    except KeyboardInterrupt:
        return _fail(Cancelled(), emit)
    except OrbitalSegError as error:
        return _fail(error, emit)
    except MemoryError:
        return _fail(InputError("too-large", NO_MEMORY), emit)
    except Exception:  # noqa: BLE001 - the one place where a bug becomes a line; its cause goes to standard error
        traceback.print_exc()
        return _fail(OrbitalSegError("internal", INTERNAL), emit)
    emit({"event": "result", "files": files, "summary": summary})
    return INCOMPLETE if "incomplete" in warned else 0


def _fail(error: OrbitalSegError, emit: Emit) -> int:
    emit({"event": "error", "code": error.code, "text": error.text})
    return error.exit_code


def _steps(shares: dict[str, float], emit: Emit) -> Steps:
    last = (-1, "")

    def tell(percent: float, step: str, seconds_left: float | None) -> None:
        nonlocal last
        if (int(percent), step) != last:  # a line for every whole percent
            last = (int(percent), step)
            left = None if seconds_left is None else round(seconds_left, 1)
            emit({"event": "progress", "percent": int(percent), "step": step, "seconds_left": left})

    return Steps(shares, tell, emit)


def _record(emit: Emit) -> Any:
    from OrbitalSegLib.record import Record  # it takes a while to load: what is wrong with a job is said before

    return Record(lambda code, text: emit({"event": "warning", "code": code, "text": text}))


def interrupt_once() -> None:
    """Let the first SIGINT or SIGTERM stop the work, and later ones not disturb the tidying up."""

    def stop(_number: int, _frame: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


CANCEL = ".cancel"
"""Added to the name of a job's file: the file that asks for the work to be stopped."""

LOOK_SECONDS = 0.1
"""How often it is looked for."""


@contextmanager
def stopped_if_asked(request: Path) -> Iterator[None]:
    """Stop the work of the block as SIGINT would when a file is there.

    A launcher passes no signal on, and Windows has none for a process without a window.
    """
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            if request.exists():
                _thread.interrupt_main(signal.SIGINT)
                return

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        done.set()


TIDYING_SECONDS = 30.0
"""What work that is to stop may take to tidy up, where nobody is left to wait for it."""


@contextmanager
def _held() -> Iterator[None]:
    """Stop the work of the block where standard input ends: whoever started it is gone, however that ended."""

    def look() -> None:
        while os.read(sys.stdin.fileno(), 1 << 10):
            pass
        _thread.interrupt_main(signal.SIGINT)
        time.sleep(TIDYING_SECONDS)
        os._exit(Cancelled.exit_code)

    threading.Thread(target=look, daemon=True).start()
    yield


def writer(stream: TextIO) -> Emit:
    """Writes lines of JSON to a stream, flushed; ASCII alone, so that no stream's encoding can refuse them."""

    def emit(line: dict[str, Any]) -> None:
        stream.write(json.dumps(line) + "\n")
        stream.flush()

    return emit


def main(arguments: list[str]) -> int:
    """Read the job named on the command line, do it, return the exit code."""
    interrupt_once()
    keep_freed_memory()
    emit = writer(sys.stdout)
    try:
        values = _read_job(arguments)
    except OrbitalSegError as error:
        return _fail(error, emit)
    with _stopped_by(arguments[0]):
        return run(values, emit)


def _stopped_by(argument: str) -> AbstractContextManager[None]:
    """What may stop the work besides signals."""
    if argument == HELD:
        return _held()
    return nullcontext() if argument == "-" else stopped_if_asked(Path(argument + CANCEL))


def _read_job(arguments: list[str]) -> object:
    if len(arguments) != 1:
        raise JobError("invalid-job", "Give one job: a JSON file, or - for standard input.")
    try:
        return json.loads(_text_of(arguments[0]))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError("invalid-job", "The job cannot be read: give a JSON file in UTF-8.") from error


def _text_of(argument: str) -> str:
    if argument == HELD:
        return sys.stdin.readline()
    return sys.stdin.read() if argument == "-" else Path(argument).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
