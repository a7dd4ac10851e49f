"""How long work says how far it is, and how it is stopped."""

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the fraction done of one step, 0 to 1. Raises `Cancelled` when the user has stopped the work, so every
step that takes longer than half a second must call it at least that often."""


def silent(fraction: float) -> None:
    """Report to nobody."""
