"""How segments are called and coloured, wherever they are shown: in files, pictures and the panel."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a segment is called and coloured (red, green, blue from 0 to 1)."""

    name: str
    colour: tuple[float, float, float]


LOOKS = {
    # Slicer's own bone colour, 241 214 145; the others are chosen to tell apart where they overlap.
    "bone": Look("Orbital bone", (0.945098, 0.839216, 0.568627)),
    "cortical": Look("Cortical bone", (0.890196, 0.407843, 0.333333)),
    "thin": Look("Thin bone", (0.207843, 0.654902, 0.741176)),
    "inferred": Look("Inferred wall", (1.0, 0.75, 0.0)),  # amber: it is nothing that the scan shows
}
