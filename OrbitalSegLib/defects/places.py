"""Places on the wall of a located orbit, and where the openings lie that everybody has.

A place has a depth, from the rim (0) to the apex (1), and an angle around the axis, from the side (0) to the head (90),
the nose (180) and the feet (270 degrees), as the pyramid of the located orbit has them.
"""

from dataclasses import dataclass

import numpy as np

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.locating import Pyramid

_DEPTHS, _ANGLES = np.meshgrid(np.linspace(0, 1, 51), np.arange(72) * 5.0, indexing="ij")
AT_ONCE = 1024

WALLS = ("lateral", "roof", "medial", "floor")


@dataclass(frozen=True)
class Natural:
    """Where a natural opening lies: depths, and degrees from one angle on to another."""

    name: str
    depths: tuple[float, float]
    degrees: tuple[float, float]
    most_mm2: float
    """A larger opening there is none of these alone."""

    def holds(self, depths: Floats, angles: Floats) -> np.ndarray:
        first, last = self.degrees
        turned = (angles - first) % 360 <= last - first
        return np.asarray((depths >= self.depths[0]) & (depths <= self.depths[1]) & turned)


NATURAL = (
    Natural("superior orbital fissure and optic canal", (0.72, 1.0), (-15.0, 240.0), 400.0),
    Natural("inferior orbital fissure", (0.56, 0.83), (292.0, 345.0), 400.0),
    Natural("superior orbital fissure and optic canal", (0.8, 1.0), (240.0, 345.0), 400.0),
    Natural("inferior orbital fissure", (0.27, 0.56), (305.0, 325.0), 40.0),
    Natural("infraorbital canal", (0.44, 0.63), (262.0, 292.0), 20.0),
    Natural("nasolacrimal canal", (0.04, 0.25), (185.0, 235.0), 30.0),
)
"""Where what was bridged lay in unbroken heads made of two templates, the phantom and the Visible Human, and in the
phantom by formula. At the apex angles say little, and the fissure and the canal are told as one; the nasolacrimal canal
is in no formula, and its place is that of the gap which synthetic heads have beside the lower inner rim."""


def place_on(shape: Pyramid, offset_mm: Floats, start_mm: Floats) -> tuple[Floats, Floats]:
    """Depth and angle (n,), in degrees, of places by their direction from where the orbit's rays start."""
    depths, angles = _DEPTHS.ravel(), _ANGLES.ravel()
    wall = shape.wall_mm(depths, np.radians(angles)) - start_mm
    towards = (wall / np.linalg.norm(wall, axis=1, keepdims=True)).T
    nearest = np.concatenate(
        [(offset_mm[i : i + AT_ONCE] @ towards).argmax(axis=1) for i in range(0, len(offset_mm), AT_ONCE)]
    )
    return depths[nearest], angles[nearest]


def wall_at(angles: Floats) -> np.ndarray:
    """(n,): the name of the wall at angles in degrees."""
    return np.array(WALLS)[((angles + 45) // 90).astype(int) % 4]
