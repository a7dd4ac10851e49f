"""Global threshold: bone is what lies between two HU limits [3532-2 D.4, method A; 3532-1 6.3]."""

from dataclasses import asdict, dataclass

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU


@dataclass(frozen=True)
class ThresholdParameters:
    """Bone is above `lower_hu` and up to `upper_hu`."""

    lower_hu: float = parameter(300.0, "Lower limit", "HU", AIR_HU, HIGHEST_HU)  # [3532-2 D.4]
    upper_hu: float = parameter(HIGHEST_HU, "Upper limit", "HU", AIR_HU, HIGHEST_HU)  # no limit: metal is kept

    def __post_init__(self) -> None:
        if self.lower_hu >= self.upper_hu:
            raise JobError("invalid-job", "The lower limit must be below the upper limit.")


def run(task: Task, parameters: ThresholdParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct = task.part
    bone = task.allowed((ct > parameters.lower_hu) & (ct <= parameters.upper_hu))
    progress(1.0)
    return ByValue(ct, bone, asdict(parameters), parameters.lower_hu, parameters.upper_hu)


THRESHOLD = Method(
    "threshold", "Global threshold", "ISO/IEC 3532-2 D.4, method A", ThresholdParameters, run, begins="region"
)
