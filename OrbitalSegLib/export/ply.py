"""Binary PLY: points in LPS mm, triangles, and one colour for all."""

from pathlib import Path

import numpy as np

from OrbitalSegLib.modelling.intersections import Floats, Integers

VERTEX = np.dtype([("point", "<f4", 3), ("colour", "u1", 3)])
FACE = np.dtype([("count", "u1"), ("vertices", "<i4", 3)])

END = b"end_header\n"


def write(points: Floats, triangles: Integers, path: Path, name: str, colour: tuple[float, float, float]) -> None:
    """See `export.surfaces.Format`."""
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment OrbitalSeg {_ascii(name)} SPACE=LPS UNIT=mm not a medical device",
        f"element vertex {len(points)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {part}" for part in ("red", "green", "blue")),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
    ]
    vertices = np.empty(len(points), VERTEX)
    vertices["point"] = points
    vertices["colour"] = np.round(np.array(colour) * 255)
    faces = np.empty(len(triangles), FACE)
    faces["count"] = 3
    faces["vertices"] = triangles
    with path.open("wb") as file:
        file.write("\n".join(header).encode() + b"\n" + END)
        file.write(vertices.data)
        file.write(faces.data)


def read(path: Path) -> tuple[Floats, Integers]:
    """Points and triangles of a file that `write` made. Raises ValueError for any other."""
    content = path.read_bytes()
    start = content.index(END) + len(END)
    lines = content[:start].decode("ascii").splitlines()
    points, faces = (int(line.split()[2]) for line in lines if line.startswith("element"))
    vertices = np.frombuffer(content, VERTEX, points, start)
    triangles = np.frombuffer(content, FACE, faces, start + vertices.nbytes)
    if start + vertices.nbytes + triangles.nbytes != len(content):
        raise ValueError("the file is longer than its header says")
    return vertices["point"].copy(), triangles["vertices"].astype(np.int32)


def _ascii(name: str) -> str:
    """A name on one line of ASCII."""
    return " ".join(name.encode("ascii", "replace").decode().split())
