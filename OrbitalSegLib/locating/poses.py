"""Poses of the pair of orbits in patient space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.locating.orbit_model import PYRAMID, Flags, Floats


@dataclass(frozen=True)
class Poses:
    """Poses of the pair: `rotation` (n, 3, 3) and `place` (n, 3) of the head, and how its orbits differ from the model:
    `log_scale` (n, 3) of width, depth and height, and `apart` (n,) mm that each lies further from the midline."""

    rotation: Floats
    place: Floats
    log_scale: Floats
    apart: Floats

    def chosen(self, which: NDArray[np.intp]) -> "Poses":
        return Poses(self.rotation[which], self.place[which], self.log_scale[which], self.apart[which])

    def where(self, these: Flags, others: "Poses") -> "Poses":
        """These poses where they are wanted, and the others elsewhere."""
        return Poses(
            np.where(these[:, None, None], self.rotation, others.rotation),
            np.where(these[:, None], self.place, others.place),
            np.where(these[:, None], self.log_scale, others.log_scale),
            np.where(these, self.apart, others.apart),
        )

    def in_head(self, points: Floats, side: int) -> Floats:
        """(n, points, 3): points of the left orbit as the head's own ones of a side."""
        middle = np.array([PYRAMID.medial_x_mm, 0, 0])
        own = (points - middle) * np.exp(self.log_scale)[:, None] + middle
        own[..., 0] += self.apart[:, None]
        return own * (side, 1, 1)

    def in_patient(self, points: Floats, side: int) -> Floats:
        """(n, points, 3): points of the left orbit in patient space, for a side."""
        return (self.in_head(points, side) @ self.rotation.transpose(0, 2, 1) + self.place[:, None]).astype(np.float32)


def rotation(vectors: Floats) -> Floats:
    """(n, 3, 3): rotations about vectors (n, 3) by their length in radians (Rodrigues)."""
    angle = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None, None]
    x, y, z = (vectors / angle[:, :, 0]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def angles_between(rotations: Floats, other: Floats) -> Floats:
    """(n,): the angles in radians between rotations (n, 3, 3) and another one."""
    trace = np.einsum("nij,ij->n", rotations, other)
    return np.arccos(np.clip((trace - 1) / 2, -1, 1))
