"""Fuzzy C-means: each value belongs to every class, to one more than to another [3532-1 6.3]."""

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
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress

MOST_ROUNDS = 500
SETTLED_HU = 0.01
"""It ends when no middle moves further."""


@dataclass(frozen=True)
class FuzzyParameters:
    """Bone is what belongs to classes whose middle is above `bone_hu` by at least `share`."""

    classes: int = classes_parameter()
    fuzziness: float = parameter(2.0, "Fuzziness", "exponent", 1.1, 5)  # Bezdek's own
    share: float = parameter(0.5, "Belongs to bone by", "share", 0.05, 0.95)
    bone_hu: float = middle_parameter()
    tissue_hu: float = tissue_parameter()
    metal_hu: float = metal_parameter()

    def __post_init__(self) -> None:
        check_counted(self.tissue_hu, self.metal_hu)


def run(task: Task, parameters: FuzzyParameters, progress: Progress) -> ByValue:
    """See `Method`. Between the last middle that is not bone's and the first that is, one limit parts them; above that
    all is bone, and so is all that is counted where no class is not."""
    values, often = counted(task, parameters.tissue_hu, parameters.metal_hu)
    progress(0.3)
    middles = start_classes(values, parameters.classes)
    for done in range(MOST_ROUNDS):
        weight = _belonging(values, middles, parameters.fuzziness) ** parameters.fuzziness * often
        moved = weight @ values / weight.sum(axis=1)
        settled = np.abs(moved - middles).max() < SETTLED_HU
        middles = moved
        progress(0.3 + 0.7 * done / MOST_ROUNDS)
        if settled:
            break
    middles = np.sort(middles)
    first = first_of_bone(middles, parameters.bone_hu)
    limit = _limit(middles, first, parameters) if first else parameters.tissue_hu
    progress(1.0)
    return bone_above(task, limit, asdict(parameters), {"middles_hu": [round(float(middle), 1) for middle in middles]})


def _limit(middles: NDArray[np.float64], first: int, parameters: FuzzyParameters) -> float:
    """Where, between the last middle that is not bone's and the `first` that is, values belong to bone enough."""
    between = np.linspace(middles[first - 1], middles[first], 2001)
    to_bone = _belonging(between, middles, parameters.fuzziness)[first:].sum(axis=0)
    return float(between[np.argmax(to_bone >= parameters.share)])


def _belonging(values: NDArray[np.float64], middles: NDArray[np.float64], fuzziness: float) -> NDArray[np.float64]:
    """(classes, values): how much each value belongs to each class; all of one value make 1."""
    apart = np.maximum((values - middles[:, None]) ** 2, 1e-9)
    near: NDArray[np.float64] = (apart / apart.min(axis=0)) ** (-1 / (fuzziness - 1))
    return near / near.sum(axis=0)


FUZZYCMEANS = Method(
    "fuzzycmeans",
    "Fuzzy C-means",
    "ISO/IEC 3532-1 6.3",
    FuzzyParameters,
    run,
    family="Cluster Analysis",
    begins="region",
)
