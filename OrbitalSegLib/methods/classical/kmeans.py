"""K-means: classes of values, each about its mean; the bright ones are bone [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.methods.classical.histogram import (
    bone_above,
    check_counted,
    classes_parameter,
    counted,
    first_of_bone,
    metal_parameter,
    middle_parameter,
    start_classes,
    tissue_parameter,
)
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.progress import Progress

MOST_ROUNDS = 500
"""It ends long before, when no class moves."""


@dataclass(frozen=True)
class KmeansParameters:
    """Bone is every class whose middle is above `bone_hu`."""

    classes: int = classes_parameter()
    bone_hu: float = middle_parameter()
    tissue_hu: float = tissue_parameter()
    metal_hu: float = metal_parameter()

    def __post_init__(self) -> None:
        check_counted(self.tissue_hu, self.metal_hu)


def run(task: Task, parameters: KmeansParameters, progress: Progress) -> ByValue:
    """See `Method`. Values alone tell, so that what is found is a limit: halfway between two middles,
    or the lowest that is counted where all of them are bone's."""
    values, often = counted(task, parameters.tissue_hu, parameters.metal_hu)
    progress(0.5)
    middles = means(values, often, parameters.classes)
    first = first_of_bone(middles, parameters.bone_hu)
    progress(1.0)
    limit = float(middles[first - 1] + middles[first]) / 2 if first else parameters.tissue_hu
    return bone_above(task, limit, asdict(parameters), {"middles_hu": [round(float(middle), 1) for middle in middles]})


def means(values: NDArray[np.float64], often: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """The middles of the classes, growing; fewer where a class stayed empty."""
    middles = start_classes(values, count)
    for _ in range(MOST_ROUNDS):
        of_value = np.searchsorted((middles[1:] + middles[:-1]) / 2, values)
        total = np.bincount(of_value, often, len(middles))
        sums = np.bincount(of_value, often * values, len(middles))
        moved = sums[total > 0] / total[total > 0]
        if len(moved) == len(middles) and np.array_equal(moved, middles):
            break
        middles = moved
    return middles


KMEANS = Method(
    "kmeans",
    "K-means",
    "ISO/IEC 3532-1 6.3",
    KmeansParameters,
    run,
    family="Cluster Analysis",
    begins="region",
)
