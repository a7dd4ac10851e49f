"""Region growing: bone is what lies between two limits and hangs together with where it begins [3532-1 6.3]."""

from dataclasses import asdict, dataclass

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.classical.seeds import CERTAIN_HU, objects_with, seeds_of
from OrbitalSegLib.methods.method import ByValue, Method, Task
from OrbitalSegLib.methods.parameters import Points, choice, parameter, points
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

NEIGHBOURS = {"faces": "Across faces", "corners": "Across corners too"}


@dataclass(frozen=True)
class ConnectedParameters:
    """Above `lower_hu` and up to `upper_hu`; where no seeds are given, it begins wherever `certain_hu` is passed."""

    seeds: Points = points("Begins at")
    certain_hu: float = parameter(CERTAIN_HU, "Without places, above", "HU", AIR_HU, HIGHEST_HU)
    lower_hu: float = parameter(200.0, "Grown down to", "HU", AIR_HU, HIGHEST_HU)  # cortical bone ends [3532-2 D.3]
    upper_hu: float = parameter(HIGHEST_HU, "Upper limit", "HU", AIR_HU, HIGHEST_HU)  # no limit: metal is kept
    neighbours: str = choice("faces", "Neighbours", NEIGHBOURS)

    def __post_init__(self) -> None:
        if not self.lower_hu <= self.certain_hu < self.upper_hu:
            raise JobError(
                "invalid-job",
                "The limit where growing begins must not be below the lower limit, and must be below the upper one.",
            )


def run(task: Task, parameters: ConnectedParameters, progress: Progress) -> ByValue:
    """See `Method`."""
    ct, lower_hu, upper_hu = task.part, parameters.lower_hu, parameters.upper_hu
    seeds = seeds_of(task, parameters.seeds, parameters.certain_hu, lower_hu, upper_hu)
    progress(0.3)
    bone = objects_with((ct > lower_hu) & (ct <= upper_hu), seeds, across_corners=parameters.neighbours == "corners")
    progress(1.0)
    return ByValue(ct, bone, asdict(parameters), lower_hu, upper_hu)


CONNECTED = Method(
    "connected",
    "Region growing between limits",
    "ISO/IEC 3532-1 6.3",
    ConnectedParameters,
    run,
    family="Neighborhood Analysis",
    begins="seed",
)
