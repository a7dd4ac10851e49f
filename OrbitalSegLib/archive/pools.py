"""Where scans are worked on: threads of this process, or the workers of a Dask cluster. Each starts processes."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache

from OrbitalSegLib.archive.one import Errand, Outcome, Processes, do
from OrbitalSegLib.archive.room import Room
from OrbitalSegLib.errors import InputError


@dataclass(frozen=True)
class Crew:
    """Who does errands."""

    submit: Callable[[Errand], "Future[Outcome]"]
    size: Callable[[], int]
    """How many it can do at a time now."""


NEEDS_DASK = "A scheduler needs Dask: pip install 'orbitalseg[cluster]', or leave the scheduler out."
NO_SCHEDULER = "The scheduler cannot be reached: check its address, and that it and this computer have the same Dask."

CONNECT_SECONDS = 30.0


def pool(scheduler: str | None, at_once: int | None) -> AbstractContextManager[Crew]:
    """Takes errands: here, `at_once` at most, or one for each core; or on the workers of a Dask scheduler.

    Raises `InputError` `needs-dask` or `no-scheduler`. Where the block ends by an exception, work is stopped.
    """
    return _here(at_once) if scheduler is None else _cluster(scheduler)


@contextmanager
def _here(at_once: int | None) -> Iterator[Crew]:
    room, processes = Room(), Processes()
    size = at_once or os.cpu_count() or 1
    executor = ThreadPoolExecutor(size)
    try:
        yield Crew(lambda errand: executor.submit(do, errand, room, processes), lambda: size)
    except BaseException:
        processes.stop()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def was_lost(future: "Future[Outcome]") -> bool:
    """Whether the worker of a cluster that had the work is gone, and Dask gave up looking for another."""
    distributed = sys.modules.get("distributed")
    gone = () if distributed is None else distributed.KilledWorker
    return not future.cancelled() and isinstance(future.exception(), gone)


@cache
def _of_this_worker() -> tuple[Room, Processes]:
    return Room(), Processes()


def do_there(errand: Errand) -> Outcome:
    """The same on a worker of a cluster, which may have several threads."""
    return do(errand, *_of_this_worker())


@contextmanager
def _cluster(address: str) -> Iterator[Crew]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise InputError("needs-dask", NEEDS_DASK) from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError("no-scheduler", NO_SCHEDULER) from error
    with client:
        executor: Executor = client.get_executor(pure=False)
        try:
            yield Crew(lambda errand: executor.submit(do_there, errand), lambda: sum(client.nthreads().values()) or 1)
        finally:
            with suppress(Exception):
                executor.shutdown(wait=False)
