"""Every network of a model package: what it brings is what comes out, bone or not."""

from collections.abc import Mapping
from dataclasses import dataclass

from OrbitalSegLib.methods.by_networks import ConsensusBone, crf_parameter, denoise_parameter, segment
from OrbitalSegLib.methods.method import NETWORKS, Method, Task
from OrbitalSegLib.methods.parameters import limits, parameter
from OrbitalSegLib.progress import Progress


@dataclass(frozen=True)
class PackagedParameters:
    """Limits of probability (None, or none, is the package's own), and optional steps (0 leaves them out)."""

    above: Mapping[str, float] = limits("A class or network of the package above")
    inferred_above: float | None = parameter(None, "Inferred wall above", "probability", 0, 1)
    denoise_hu: float = denoise_parameter()
    crf_weight: float = crf_parameter()


def run(task: Task, parameters: PackagedParameters, progress: Progress) -> ConsensusBone:
    """See `Method`."""
    return segment(
        task,
        "all",
        parameters.above,
        parameters.inferred_above,
        progress,
        denoise_hu=parameters.denoise_hu,
        crf_weight=parameters.crf_weight,
    )


PACKAGED = Method(
    "packaged",
    "All networks of a model package, three planes",
    "ISO/IEC 3532-2 D.3; Ekman",
    PackagedParameters,
    run,
    family=NETWORKS,
    structures=(),
    networks="all",
    seconds=8.0,
)
