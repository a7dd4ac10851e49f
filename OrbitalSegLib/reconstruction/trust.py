"""How far a reconstructed wall may be off: as far as where the wall is known, is hidden, and reconstructed likewise."""

import numpy as np

from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.reconstruction.sources import Expected, bound
from OrbitalSegLib.reconstruction.star import Star

PATCHES, LEAST_PATCHES = 12, 4
"""So many places are hidden, one after the other, and so few say too little."""
LEAST_KNOWN = 0.9
"""Of a patch, the share that must be known."""
BEHIND_FRONT_MM = 4.0
"""Patches begin so far behind the front."""
SMALLER, LEAST_RADIUS_MM = 0.75, 2.0
"""Where too few patches of a hole's size are known, smaller ones are taken."""
OF_100 = 95.0
BINS = 5


def uncertain_mm(star: Star, expected: Expected, from_rim_mm: Floats) -> Floats:
    """(n,): within how many mm, across the wall, 95 of 100 places lay that far from the bone around them.

    They are places of this orbit's own wall that is known. It was hidden in patches as wide as what is missing, and
    reconstructed from the same source; so this is the least that a missing wall is uncertain by: where it is more
    unlike the source than those that are not, it held far fewer. Not a number where too little wall is known to tell.

    Parameters
    ----------
    star, expected
        The broken orbit, and where the source says that its wall is.
    from_rim_mm
        (n,): how far each place that was reconstructed lies from the nearest that is known.
    """
    radius_mm = max(float(from_rim_mm.max(initial=0.0)), LEAST_RADIUS_MM)
    points, centres = star.points_mm, np.zeros(0, int)
    while len(centres) < LEAST_PATCHES and radius_mm >= LEAST_RADIUS_MM:
        centres = _centres(star, expected, radius_mm)
        radius_mm *= SMALLER if len(centres) < LEAST_PATCHES else 1
    if len(centres) < LEAST_PATCHES:
        return np.full(len(from_rim_mm), np.nan)
    cosine = np.abs((star.normals * sphere().directions).sum(axis=1))
    rest = bound(expected.wall_mm, star.wall_mm, expected.known) - expected.wall_mm
    inside, off = [], []
    for centre in centres:
        away_mm = np.linalg.norm(points - points[centre], axis=1)
        hidden = expected.known & (away_mm < radius_mm)
        found = sphere().bridged(rest, ~hidden, np.full(len(rest), rest[expected.known & ~hidden].mean()))
        inside.append(radius_mm - away_mm[hidden])
        off.append((np.abs(found - rest) * cosine)[hidden])
    return _at(from_rim_mm, np.concatenate(inside), np.concatenate(off), radius_mm)


def _centres(star: Star, expected: Expected, radius_mm: float) -> np.ndarray:
    """Rays around which nearly all wall is known, spread as far from each other as can be."""
    points = star.points_mm
    some = np.flatnonzero(expected.known & (star.depth_mm > BEHIND_FRONT_MM + radius_mm))[::5]
    away_mm = np.linalg.norm(points[some, None] - points[None], axis=2) < radius_mm
    some = some[(away_mm & expected.known).sum(axis=1) >= LEAST_KNOWN * away_mm.sum(axis=1)]
    if not len(some):
        return some
    chosen = [int(some[0])]
    nearest_mm = np.linalg.norm(points[some] - points[chosen[0]], axis=1)
    while len(chosen) < min(PATCHES, len(some)):
        chosen.append(int(some[nearest_mm.argmax()]))
        nearest_mm = np.minimum(nearest_mm, np.linalg.norm(points[some] - points[chosen[-1]], axis=1))
    return np.array(chosen)


def _at(from_rim_mm: Floats, inside_mm: Floats, off_mm: Floats, radius_mm: float) -> Floats:
    """How far places are off at other distances from the rim: it never shrinks inwards, and beyond goes on growing."""
    edges = np.linspace(0, radius_mm, BINS + 1)
    bins = np.clip(np.digitize(inside_mm, edges) - 1, 0, BINS - 1)
    middles = (edges[1:] + edges[:-1]) / 2
    held = np.array([np.percentile(off_mm[bins == n], OF_100) if (bins == n).any() else 0.0 for n in range(BINS)])
    held = np.maximum.accumulate(held)
    return np.interp(from_rim_mm, middles, held) * np.maximum(1.0, from_rim_mm / radius_mm)
