"""How long work says how far it is and what it did, and how it is stopped."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[float], None]
"""Called with the fraction done of one step, 0 to 1, at least every half second where the step is in Python's hands.
It raises to stop the work; a step lets that exception pass."""

Warn = Callable[[str, str], None]
"""Hears at once of a warning: its code and its sentence."""

HELD = "--held"
"""Instead of a job's file the worker takes this: the job is the first line of its standard input, and the work stops
where that ends, which it does when whoever started it is gone."""

StepTaken = dict[str, Any]
"""A step that was taken, as the record has it: `step`, `parameters`, `measured`, `seconds`."""


def silent(fraction: float) -> None:
    """Report to nobody."""


def unheard(code: str, text: str) -> None:
    """Warn nobody."""


def span(progress: Progress, low: float, high: float) -> Progress:
    """The progress of a piece of a step, which takes it from `low` to `high`."""
    return lambda fraction: progress(low + (high - low) * fraction)


@contextmanager
def step_of(taken: list[StepTaken], name: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Time a step and add it to those taken when the block succeeds; the block fills in what it measured."""
    measured: dict[str, Any] = {}
    start = time.perf_counter()
    yield measured
    seconds = round(time.perf_counter() - start, 3)
    taken.append({"step": name, "parameters": parameters or {}, "measured": measured, "seconds": seconds})


class Steps:
    """The steps of a whole job, each with its share of the work, as percent for a person who waits.

    `shares` maps step names to their measured share of the time; `tell` gets percent (which never falls), the step's
    name, and the seconds left (None until that can be known). `say` gets what a task has to say besides, as an object.
    """

    KNOWN_FROM = 0.05
    """Below this fraction, elapsed time says nothing about what is left."""

    def __init__(
        self,
        shares: dict[str, float],
        tell: Callable[[float, str, float | None], None] = lambda _percent, _step, _left: None,
        say: Callable[[dict[str, Any]], None] = lambda _line: None,
    ) -> None:
        total = sum(shares.values())
        self._shares = {name: share / total for name, share in shares.items()}
        self._tell = tell
        self.say = say
        self._start = time.monotonic()
        self._highest = 0.0

    @classmethod
    def of(cls, shares: dict[str, float], progress: Progress) -> "Steps":
        """Steps of which only the fraction done of all of them is heard."""
        return cls(shares, lambda percent, _step, _left: progress(percent / 100))

    def step(self, name: str) -> Progress:
        """The progress callback of one step."""
        names = list(self._shares)
        before = sum(self._shares[n] for n in names[: names.index(name)])

        def progress(fraction: float) -> None:
            done = before + self._shares[name] * min(max(fraction, 0.0), 1.0)
            self._highest = max(self._highest, done)
            elapsed = time.monotonic() - self._start
            left = elapsed * (1 - self._highest) / self._highest if self._highest >= self.KNOWN_FROM else None
            self._tell(100 * self._highest, name, left)

        progress(0.0)
        return progress
