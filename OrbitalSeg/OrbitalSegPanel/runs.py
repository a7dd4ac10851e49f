"""One piece of work at a time, with a private folder of its own; who polls it keeps the window alive. Work that yields
makes room for other work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.files import tidy
from OrbitalSegPanel.private import PrivateFolder
from OrbitalSegPanel.process import Line, Outcome, Work

Prepare = Callable[[PrivateFolder], Work]
"""Writes what the work needs into the private folder and starts it."""

Read = Callable[[Outcome, PrivateFolder], Iterator[None]]
"""Reads what the work left, a part at each step, before its end is told."""

Done = Callable[[Outcome, PrivateFolder], bool]
"""Hears how it ended, and may read the folder; True keeps the folder, which the hearer then has to remove."""


END = object()
"""After the last part."""


@dataclass
class _Run:
    name: str
    folder: PrivateFolder
    work: Work
    done: Done
    yields: bool
    read: Read
    parts: Iterator[None] | None = None


def nothing(_outcome: Outcome, _folder: PrivateFolder) -> Iterator[None]:
    """There is nothing to read."""
    return iter(())


class Runs:
    """`heard` gets the lines of the work as they come; `changed` is called when work starts or has ended."""

    def __init__(self, parent: Path, heard: Callable[[Line], None], changed: Callable[[], None]) -> None:
        self._parent = parent
        self._heard = heard
        self._changed = changed
        self._run: _Run | None = None
        self.last_log = ""
        tidy(parent)

    @property
    def running(self) -> str | None:
        """The name of the work that runs, or None."""
        return self._run.name if self._run else None

    @property
    def busy(self) -> str | None:
        """The name of the work that other work has to wait for, or None."""
        return self._run.name if self._run and not self._run.yields else None

    @property
    def work(self) -> Work | None:
        """What runs, or None."""
        return self._run.work if self._run else None

    def start(self, name: str, prepare: Prepare, done: Done, yields: bool = False, read: Read = nothing) -> None:
        """Start work; nothing may run yet but what yields. What `prepare` raises passes through and leaves nothing
        behind."""
        assert self.busy is None, f"{self.busy} runs"
        self.drop()
        folder = PrivateFolder(self._parent)
        try:
            work = prepare(folder)
        except BaseException:
            folder.remove()
            raise
        self._run = _Run(name, folder, work, done, yields, read)
        self._changed()

    def poll(self, in_parts: bool = False) -> None:
        """Pass on what has come, and finish what has ended: at once, or `in_parts`, by which the window lives while it
        is read."""
        run = self._run
        if run is None:
            return
        for line in run.work.poll():
            self._heard(line)
        if run is self._run and run.work.outcome is not None:
            run.parts = run.parts or run.read(run.work.outcome, run.folder)
            if not in_parts or next(run.parts, END) is END:
                self._finish(run, run.work.outcome)

    def cancel(self) -> None:
        """Ask the work to stop; `poll` then hears how it ended."""
        if self._run:
            self._run.work.cancel()

    def drop(self) -> None:
        """End the work at once and forget it: nobody hears of it any more."""
        run, self._run = self._run, None
        if run:
            run.work.kill()
            run.folder.remove()
            self._changed()

    def _finish(self, run: _Run, outcome: Outcome) -> None:
        self.last_log = run.work.log()
        self._run = None
        keep = False
        try:
            keep = run.done(outcome, run.folder)
        finally:
            if not keep:
                run.folder.remove()
            self._changed()
