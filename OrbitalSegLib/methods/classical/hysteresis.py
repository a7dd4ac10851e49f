"""Hysteresis threshold: cortical seeds, grown into the bone connected to them [3532-2 B, after Nystrom]."""

from dataclasses import asdict, dataclass

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.classical.seeds import objects_with
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU


@dataclass(frozen=True)
class HysteresisParameters:
    """Bone is what lies above `lower_hu` and hangs together with something above `seed_hu`."""

    seed_hu: float = parameter(300.0, "Seeds above", "HU", AIR_HU, HIGHEST_HU)  # certainly cortical [3532-2 8.2]
    # Ours: halfway between soft tissue (up to 100 HU) and the limit of cortical bone (200 HU) [3532-2 B, D.3].
    lower_hu: float = parameter(150.0, "Grown down to", "HU", AIR_HU, HIGHEST_HU)

    def __post_init__(self) -> None:
        if self.lower_hu > self.seed_hu:
            raise JobError("invalid-job", "The seeds' limit must not be below the limit they are grown down to.")


def run(task: Task, parameters: HysteresisParameters, progress: Progress) -> ByValue:
    """See `Method`. Bone is the 26-connected objects that hold a seed."""
    ct = task.part
    bone = task.allowed(objects_with(ct > parameters.lower_hu, ct > parameters.seed_hu))
    progress(1.0)
    return ByValue(ct, bone, asdict(parameters), parameters.lower_hu)


HYSTERESIS = Method(
    "hysteresis", "Hysteresis threshold", "ISO/IEC 3532-2 annex B", HysteresisParameters, run, begins="region"
)
