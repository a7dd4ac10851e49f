"""OrbitalSeg: a head CT in, a printable model of the orbital bones out.

`read`, `locate`, `segment`, `surface`, `orbits`, `evaluate` and `write` are the front door (`OrbitalSegLib.front`).
"""

from typing import Any

__version__ = "0.1.0"

PRODUCT = "OrbitalSeg"
CONTRACT = 4
"""Version of docs/contracts.md."""

NOTICE = "OrbitalSeg is not a medical device. A physician must review every model before it is used."

FRONT_DOOR = ("read", "locate", "segment", "surface", "orbits", "evaluate", "write")


def __getattr__(name: str) -> Any:
    """The front door is loaded when it is first used: the version is asked for far more often."""
    if name not in FRONT_DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from OrbitalSegLib import front

    return getattr(front, name)
