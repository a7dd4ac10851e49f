"""Region growing by neighbourhoods: it passes only where all voxels around are bone too [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_array
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, objects_with, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU


@dataclass(frozen=True)
class NeighbourhoodParameters:
    """As `ConnectedParameters`; a bridge thinner than `2 radius_voxels + 1` is not crossed."""

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    lower_hu: float = parameter(200.0, "Grown down to", "HU", AIR_HU, HIGHEST_HU)  # cortical bone ends [3532-2 D.3]
    radius_voxels: int = parameter(1, "Neighbourhood", "voxels", 1, 5, whole=True)

    def __post_init__(self) -> None:
        if self.lower_hu > self.certain_hu:
            raise JobError("invalid-job", "The limit where growing begins must not be below the lower limit.")


def run(task: Task, parameters: NeighbourhoodParameters, progress: Progress) -> ByValue:
    """See `Method`. What was passed through gets its rim back: bone as far from it as the neighbourhood reaches."""
    ct, radius = task.part, [parameters.radius_voxels] * 3
    seeds = seeds_of(task, parameters.seeds, parameters.certain_hu, parameters.lower_hu)
    above = ct > parameters.lower_hu
    inner = sitk.BinaryErode(above, radius, sitk.sitkBox, 0, 1)
    progress(0.4)
    core = objects_with(inner, seeds, across_corners=False)
    if not mask_array(core).any():
        raise InputError(
            "empty-result",
            "Nowhere that growing may begin is bone on all sides: begin inside thicker bone, lower the limit, or make "
            "the neighbourhood smaller.",
        )
    progress(0.7)
    bone = sitk.BinaryDilate(core, radius, sitk.sitkBox) & above
    progress(1.0)
    return ByValue(ct, bone, asdict(parameters), parameters.lower_hu)


NEIGHBOURHOOD = Method(
    "neighbourhood",
    "Region growing by neighbourhoods",
    "ISO/IEC 3532-1 6.3",
    NeighbourhoodParameters,
    run,
    family="Neighborhood Analysis",
    begins="seed",
    seconds=1.0,
)
