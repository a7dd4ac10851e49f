"""Multi-grey: a network for cortical bone, one for thin bone, and their union [3532-2 D.3, method C; Ekman]."""

from dataclasses import dataclass

from OrbitalSegLib.methods.by_networks import ConsensusBone, crf_parameter, denoise_parameter, segment
from OrbitalSegLib.methods.method import NETWORKS, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.structures import BONE, CORTICAL, INFERRED, THIN, parts_of

RUNS = (CORTICAL, THIN)


@dataclass(frozen=True)
class MultigreyParameters:
    """Limits of probability (None is the model package's own), and optional steps (0 leaves them out)."""

    cortical_above: float | None = parameter(None, "Cortical bone above", "probability", 0, 1)
    thin_above: float | None = parameter(None, "Thin bone above", "probability", 0, 1)
    inferred_above: float | None = parameter(None, "Inferred wall above", "probability", 0, 1)
    denoise_hu: float = denoise_parameter()
    crf_weight: float = crf_parameter()


def run(task: Task, parameters: MultigreyParameters, progress: Progress) -> ConsensusBone:
    """See `Method`. Only thin bone is inferred: what is cortical is seen."""
    return segment(
        task,
        RUNS,
        {CORTICAL: parameters.cortical_above, THIN: parameters.thin_above},
        parameters.inferred_above,
        progress,
        denoise_hu=parameters.denoise_hu,
        crf_weight=parameters.crf_weight,
    )


MULTIGREY = Method(
    "multigrey",
    "Two networks, three planes",
    "ISO/IEC 3532-2 D.3, method C; Ekman",
    MultigreyParameters,
    run,
    family=NETWORKS,
    structures=(BONE, *parts_of(BONE), INFERRED),
    networks=RUNS,
    seconds=8.0,
)
