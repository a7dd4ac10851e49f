"""The other orbit, mirrored in the plane of symmetry and laid over the bone that is intact."""

import numpy as np

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.reconstruction.star import Star
from OrbitalSegLib.symmetry import Plane

STEPS = 40
EVERY = 3
"""Of the mirrored wall, every so many places are laid over the bone."""
FAR_MM, NEAR_MM, NEARER = 6.0, 1.0, 0.85
"""What lies further from the bone than this does not count: first, at last, and how it shrinks from step to step."""
ENOUGH = 1e-4
"""A move of less, in radians and mm, is the last."""


def laid_over(broken: Star, other: Star, plane: Plane) -> Floats:
    """(n, 3): the other orbit's surface, mirrored, then moved rigidly until its bone lies on the broken one's.

    Each place is compared with the wall that its ray meets, across that wall; rim and walls count alike.
    """
    points = plane.mirrored(other.points_mm)
    some = np.flatnonzero(other.is_wall)[::EVERY]
    onto, across = broken.points_mm, broken.normals
    far_mm = FAR_MM
    for _ in range(STEPS):
        ray = broken.nearest(points[some])
        rest = ((onto[ray] - points[some]) * across[ray]).sum(axis=1)
        counts = broken.is_wall[ray] & (np.abs(rest) < far_mm)
        middle = points[some].mean(axis=0)
        slopes = np.hstack([np.cross(points[some] - middle, across[ray]), across[ray]])
        move = np.linalg.lstsq(slopes[counts], rest[counts], rcond=None)[0]
        points = _moved(points, middle, move)
        far_mm = max(NEAR_MM, NEARER * far_mm)
        if np.abs(move).max() < ENOUGH:
            break
    return points


def _moved(points: Floats, middle: Floats, by: Floats) -> Floats:
    """Points turned about a place by a vector in radians, and moved by another in mm."""
    angle, offset = float(np.linalg.norm(by[:3])), points - middle
    if angle > 0:
        axis = by[:3] / angle
        along = np.outer(offset @ axis, axis)
        offset = along + np.cos(angle) * (offset - along) + np.sin(angle) * np.cross(axis, offset)
    return np.asarray(middle + offset + by[3:])
