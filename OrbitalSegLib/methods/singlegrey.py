"""Single-grey: one network for all bone [3532-2 D.3, method B]."""

from dataclasses import dataclass

from OrbitalSegLib.methods.by_networks import ConsensusBone, crf_parameter, denoise_parameter, segment
from OrbitalSegLib.methods.method import NETWORKS, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.structures import BONE, INFERRED, parts_of

SINGLE = "single"
"""The network for all bone."""

RUNS = (SINGLE,)


@dataclass(frozen=True)
class SinglegreyParameters:
    """Limits of probability (None is the model package's own), and optional steps (0 leaves them out)."""

    single_above: float | None = parameter(None, "Bone above", "probability", 0, 1)
    inferred_above: float | None = parameter(None, "Inferred wall above", "probability", 0, 1)
    denoise_hu: float = denoise_parameter()
    crf_weight: float = crf_parameter()


def run(task: Task, parameters: SinglegreyParameters, progress: Progress) -> ConsensusBone:
    """See `Method`."""
    return segment(
        task,
        RUNS,
        {SINGLE: parameters.single_above},
        parameters.inferred_above,
        progress,
        denoise_hu=parameters.denoise_hu,
        crf_weight=parameters.crf_weight,
    )


SINGLEGREY = Method(
    "singlegrey",
    "One network, three planes",
    "ISO/IEC 3532-2 D.3, method B",
    SinglegreyParameters,
    run,
    family=NETWORKS,
    structures=(BONE, *parts_of(BONE), INFERRED),
    networks=RUNS,
    seconds=4.0,
)
