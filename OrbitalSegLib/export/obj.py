"""Wavefront OBJ: text that every program reads, points in LPS mm."""

from pathlib import Path

import numpy as np

from OrbitalSegLib.modelling.intersections import Floats, Integers

AT_ONCE = 1 << 16
"""Lines that are made at once."""


def write(points: Floats, triangles: Integers, path: Path, name: str, _colour: tuple[float, float, float]) -> None:
    """See `export.surfaces.Format`. Nine digits tell every 32-bit number from the next."""
    title = " ".join(name.split()) or "surface"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"# OrbitalSeg SPACE=LPS UNIT=mm not a medical device\no {title}\n")
        for start in range(0, len(points), AT_ONCE):
            some = points[start : start + AT_ONCE]
            file.write("v %.9g %.9g %.9g\n" * len(some) % tuple(some.ravel().tolist()))
        for start in range(0, len(triangles), AT_ONCE):
            corners = triangles[start : start + AT_ONCE] + 1
            file.write("f %d %d %d\n" * len(corners) % tuple(corners.ravel().tolist()))


def read(path: Path) -> tuple[Floats, Integers]:
    """Points and triangles of a file that `write` made. Raises ValueError for any other."""
    points: list[str] = []
    triangles: list[str] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("v "):
                points += line.split()[1:]
            elif line.startswith("f "):
                triangles += line.split()[1:]
    return (
        np.array(points, np.float64).reshape(-1, 3).astype(np.float32),
        np.array(triangles, np.int64).reshape(-1, 3).astype(np.int32) - 1,
    )
