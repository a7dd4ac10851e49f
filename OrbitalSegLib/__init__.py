"""OrbitalSeg: a head CT in, a printable model of the orbital bones out.

`read`, `locate`, `segment`, `surface`, `orbits`, `evaluate` and `write` are the front door (`OrbitalSegLib.front`).
"""

from typing import Any

from OrbitalSegLib.product import VERSION

__version__ = VERSION

FRONT_DOOR = ("read", "locate", "segment", "surface", "orbits", "evaluate", "write")


def __getattr__(name: str) -> Any:
    """The front door is loaded when it is first used: the version is asked for far more often."""
    if name not in FRONT_DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from OrbitalSegLib import front

    return getattr(front, name)
