"""What only images tell: phases whose slices lie between each other's, and parts that overlap and do not agree.

Where bone moved between phases, a slice swings away from its neighbours and back, and does so again one phase later.
Anatomy does not: in one scan, what a slice has more than the mean of its neighbours has little to do with the slices
after the next one. Nor do noise, streaks of metal, or slices that were interpolated or repeated. Windmills of a helical
scan do, in soft tissue, which is not looked at.
"""

import numpy as np

BONE_HU = (150, 1000)
"""Only what stands between these is looked at: noise, soft tissue, contrast and metal say nothing."""

LONGEST_SIDE = 128
"""Slices are looked at in blocks, so many along their longer side."""

MOST_WOVEN = 4

LEAST_SLICES = 5
"""Of each phase: fewer may swing by chance."""

OPPOSITE, ALIKE = -0.4, 0.25
"""Neighbours swing against each other, and slices of one phase alike, at least so much, from -1 to 1. In real scans,
phantoms, artefacts and noise of one phase slices swing alike by 0.17 at most, in interpolated ones by up to 0.24, where
neighbours do not swing against each other; with every second slice moved by a millimetre (thin slices) or four
(slices of 3 mm) they do by 0.37 and more."""

ELSEWHERE = 2.0
"""Slices of two scans of one place differ less than this many times as much as neighbours do, if nobody moved."""

EVEN = 0.1
"""So evenly do the steps from slice to slice have to differ: where a slice is a copy of its neighbour they do not."""


def woven(voxels: np.ndarray) -> int:
    """How many phases lie woven into slices (n, rows, columns) in HU, in the order of places; 1 for a plain stack.

    What is too little to swing by more than a thin wall is not found.
    """
    blocks = _bone(voxels)
    swing = blocks[1:-1] - (blocks[:-2] + blocks[2:]) / 2
    if not swing.size or not swing.any() or _alike(swing, 1) > OPPOSITE:
        return 1
    steps = np.square(np.diff(blocks, axis=0)).mean(axis=(1, 2))
    found = {1: 0.0}
    for phases in range(2, MOST_WOVEN + 1):
        if len(voxels) < phases * LEAST_SLICES:
            break
        of_pairs = [float(steps[first::phases].mean()) for first in range(phases)]
        alike = _alike(swing, phases)
        if alike >= ALIKE and min(of_pairs) >= EVEN * max(of_pairs):
            found[phases] = alike
    return max(found, key=lambda phases: found[phases])


def disagree(voxels: np.ndarray, depths_mm: np.ndarray, again: np.ndarray, again_mm: np.ndarray) -> bool:
    """Whether slices show bone elsewhere than those that lie where they do, by more than from slice to slice.

    `voxels` and `again` are (n, rows, columns) in HU, `depths_mm` and `again_mm` where they lie; the former ascend.
    """
    known, seen = _bone(voxels), _bone(again)
    apart = steps = 0.0
    for block, depth in zip(seen, again_mm, strict=True):
        upper = int(np.clip(np.searchsorted(depths_mm, depth), 1, len(depths_mm) - 1))
        below, above = known[upper - 1], known[upper]
        share = float(np.clip((depth - depths_mm[upper - 1]) / (depths_mm[upper] - depths_mm[upper - 1]), 0, 1))
        apart += float(np.square(block - (1 - share) * below - share * above).mean())
        steps += float(np.square(above - below).mean())
    return apart > ELSEWHERE * steps


def _bone(voxels: np.ndarray) -> np.ndarray:
    """Means of blocks of each slice, of what is bone."""
    side = -(-max(voxels.shape[1:]) // LONGEST_SIDE)
    rows, columns = (count // side for count in voxels.shape[1:])
    blocks = np.empty((len(voxels), rows, columns), np.float32)
    for block, plane in zip(blocks, voxels, strict=True):
        bone = np.clip(plane[: rows * side, : columns * side], *BONE_HU).astype(np.float32)
        block[:] = bone.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return blocks


def _alike(swing: np.ndarray, apart: int) -> float:
    """How alike slices that lie so far apart swing, from -1 to 1."""
    if len(swing) <= apart:
        return 0.0
    share = len(swing) / (len(swing) - apart)
    return float((swing[apart:] * swing[:-apart]).sum() / np.square(swing).sum() * share)
