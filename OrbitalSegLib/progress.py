"""How long work says how far it is, and how it is stopped."""

import time
from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the fraction done of one step, 0 to 1, at least every half second where the step is in Python's hands.
It raises to stop the work; a step lets that exception pass."""


def silent(fraction: float) -> None:
    """Report to nobody."""


def span(progress: Progress, low: float, high: float) -> Progress:
    """The progress of a piece of a step, which takes it from `low` to `high`."""
    return lambda fraction: progress(low + (high - low) * fraction)


class Steps:
    """The steps of a whole job, each with its share of the work, as percent for a person who waits.

    `shares` maps step names to their measured share of the time; `tell` gets percent (which never falls), the step's
    name, and the seconds left (None until that can be known).
    """

    KNOWN_FROM = 0.05
    """Below this fraction, elapsed time says nothing about what is left."""

    def __init__(self, shares: dict[str, float], tell: Callable[[float, str, float | None], None]) -> None:
        total = sum(shares.values())
        self._shares = {name: share / total for name, share in shares.items()}
        self._tell = tell
        self._start = time.monotonic()
        self._highest = 0.0

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
