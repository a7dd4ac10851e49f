"""Region growing by confidence: what is like that from which it grew, by mean and standard deviation [3532-1 6.3]."""

from dataclasses import asdict, dataclass

import SimpleITK as sitk

from OrbitalSegLib.images import mask_array
from OrbitalSegLib.methods.classical.histogram import SOFT_HU
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, objects_with, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU


@dataclass(frozen=True)
class ConfidenceParameters:
    """Bone is within `deviations` of the mean of what was found the round before, and hangs together with the seeds.

    Soft tissue, up to 100 HU, is none however wide that is.
    """

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    # Ours: bone is so wide a class that with 2.5 the lower limit comes to lie in soft tissue.
    deviations: float = parameter(2.0, "Standard deviations", "SD", 0.1, 10)
    rounds: int = parameter(4, "Rounds", "rounds", 1, 20, whole=True)
    radius_voxels: int = parameter(1, "Around a place", "voxels", 0, 10, whole=True)


def run(task: Task, parameters: ConfidenceParameters, progress: Progress) -> ByValue:
    """See `Method`. The first mean is that of the seeds, and of what lies around places that were given."""
    ct = task.part
    seeds = seeds_of(task, parameters.seeds, parameters.certain_hu, SOFT_HU)
    hu = sitk.GetArrayViewFromImage(ct)
    grown = sitk.BinaryDilate(seeds, [parameters.radius_voxels] * 3, sitk.sitkBox) if parameters.seeds else seeds
    lower_hu, upper_hu = SOFT_HU, float(HIGHEST_HU)
    for done in range(parameters.rounds):
        values = hu[mask_array(grown)]
        if not values.size:
            break
        mean, reach = float(values.mean(dtype=float)), parameters.deviations * float(values.std(dtype=float))
        lower_hu, upper_hu = max(mean - reach, SOFT_HU), mean + reach
        grown = objects_with((ct >= lower_hu) & (ct <= upper_hu), seeds, across_corners=False)
        progress((done + 1) / parameters.rounds)
    measured = {"lower_hu": round(lower_hu, 1), "upper_hu": round(upper_hu, 1)}
    return ByValue(ct, grown, asdict(parameters), lower_hu, upper_hu, measured=measured)


CONFIDENCE = Method(
    "confidence",
    "Region growing by confidence",
    "ISO/IEC 3532-1 6.3",
    ConfidenceParameters,
    run,
    family="Neighborhood Analysis",
    begins="seed",
    seconds=2.0,
)
