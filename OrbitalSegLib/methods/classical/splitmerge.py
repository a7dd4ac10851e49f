"""Split and merge: blocks are cut until each is alike, and joined to those that are like them [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.methods.classical.edges import mean_parameter, windowed
from OrbitalSegLib.methods.classical.histogram import no_bone
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress, span

LEVELS = 4
"""How often the largest block (16 voxels wide) can be halved."""

MOST_ROUNDS = 12
"""What is not joined by then is a speck that bone is told from by its own mean."""


@dataclass(frozen=True)
class SplitMergeParameters:
    """Regions are bone where their mean is above `mean_hu`."""

    # Ours: twice the noise of a scan that is fit for the orbit, and what lies between soft tissue and thin bone.
    alike_hu: float = parameter(40.0, "A block is one within", "HU", 1, 1000)
    merged_hu: float = parameter(100.0, "Merged within", "HU", 1, 1000)
    mean_hu: float = mean_parameter()


def run(task: Task, parameters: SplitMergeParameters, progress: Progress) -> ByValue:
    """See `Method`. Values below 0 HU count as that, above 1000 HU as that."""
    ct = task.part
    hu = sitk.GetArrayFromImage(windowed(ct))
    blocks = split(hu, parameters.alike_hu)
    progress(0.3)
    into = blocks.ravel().astype(np.int64)
    count, total = (np.bincount(into, what).astype(np.float64) for what in (np.ones_like(hu.ravel()), hu.ravel()))
    region = merge(_neighbours(blocks), count, total, parameters.merged_hu, span(progress, 0.4, 1.0))
    means = np.bincount(region, total, len(region)) / np.maximum(np.bincount(region, count, len(region)), 1)
    bright = means[region] > parameters.mean_hu
    if not bright.any():
        raise no_bone(float(means.max()))
    bone = task.allowed(mask_on_grid(bright[blocks], ct))
    return ByValue(ct, bone, asdict(parameters), measured={"blocks": len(count), "regions": len(np.unique(region))})


def split(hu: NDArray[np.float32], alike_hu: float) -> NDArray[np.int32]:
    """Which block each voxel (z, y, x) is in, from 0: the largest whose standard deviation is at most `alike_hu`."""
    edge = 2**LEVELS
    padded = np.pad(hu, [(0, -count % edge) for count in hu.shape], mode="edge")
    sums, squares = [padded.astype(np.float64)], [padded.astype(np.float64) ** 2]
    for _ in range(LEVELS):
        sums.append(_by_eight(sums[-1]))
        squares.append(_by_eight(squares[-1]))
    labels = np.full(sums[-1].shape, -1, np.int32)
    made = 0
    for level in range(LEVELS, -1, -1):
        voxels = 8.0**level
        alike = squares[level] / voxels - (sums[level] / voxels) ** 2 <= alike_hu**2
        new = (labels < 0) & (alike | (level == 0))
        labels[new] = np.arange(made, made + np.count_nonzero(new))
        made += int(np.count_nonzero(new))
        if level:
            labels = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    inner = labels[tuple(slice(count) for count in hu.shape)]
    used = np.zeros(made, np.int32)
    used[inner] = 1
    return (np.cumsum(used, dtype=np.int32) - 1)[inner]


def merge(
    pairs: NDArray[np.int64],
    count: NDArray[np.float64],
    total: NDArray[np.float64],
    within_hu: float,
    progress: Progress,
) -> NDArray[np.int64]:
    """By block the region it belongs to.

    In every round each region joins the larger neighbour whose mean is next to its own, where that one stays and the
    means are no further apart than `within_hu`.

    `pairs` (2, n) are blocks that touch; by block `count` voxels and the `total` of their values.
    """
    region = np.arange(len(count))
    for done in range(MOST_ROUNDS):
        first, second = pairs
        apart = np.abs(total[first] / count[first] - total[second] / count[second])
        near = apart <= within_hu
        if not near.any():
            break
        order = np.flatnonzero(near)[np.argsort(apart[near], kind="stable")[::-1]]
        first, second = pairs[:, order]
        best = np.arange(len(count))
        # Of all that is put into one place the last stays: the nearest.
        best[np.stack([first, second], 1).ravel()] = np.stack([second, first], 1).ravel()
        smaller = (count[best] > count) | ((count[best] == count) & (best < np.arange(len(count))))
        joins = np.flatnonzero(smaller & ~smaller[best])
        into = np.arange(len(count))
        into[joins] = best[joins]
        count, total = _added(count, into), _added(total, into)
        count[joins] = 1  # empty from now on, and of no pair
        region = into[region]
        pairs = _unique(into[pairs])
        progress(done / MOST_ROUNDS)
    progress(1.0)
    return region


def _added(values: NDArray[np.float64], into: NDArray[np.int64]) -> NDArray[np.float64]:
    summed: NDArray[np.float64] = np.bincount(into, values, len(values)).astype(np.float64)
    return summed


def _by_eight(values: NDArray[np.float64]) -> NDArray[np.float64]:
    z, y, x = (size // 2 for size in values.shape)
    halved: NDArray[np.float64] = values.reshape(z, 2, y, 2, x, 2).sum(axis=(1, 3, 5))
    return halved


def _neighbours(blocks: NDArray[np.int32]) -> NDArray[np.int64]:
    """(2, n): blocks that touch across a face, each pair once."""
    touching = [
        np.stack([blocks[:-1].ravel(), blocks[1:].ravel()]),
        np.stack([blocks[:, :-1].ravel(), blocks[:, 1:].ravel()]),
        np.stack([blocks[..., :-1].ravel(), blocks[..., 1:].ravel()]),
    ]
    return np.concatenate([_unique(pairs.astype(np.int64)) for pairs in touching], axis=1)


def _unique(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of different ones, the smaller first, each once and in order."""
    low, high = np.minimum(*pairs), np.maximum(*pairs)
    different = low != high
    keys = np.unique(low[different] << 32 | high[different])
    return np.stack([keys >> 32, keys & 0xFFFFFFFF])


SPLITMERGE = Method(
    "splitmerge",
    "Split and merge",
    "ISO/IEC 3532-1 6.3",
    SplitMergeParameters,
    run,
    family="Neighborhood Analysis",
    begins="region",
    seconds=15.0,
)
