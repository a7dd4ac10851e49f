"""Single-grey: one network for all bone [3532-2 D.3, method B]."""

from dataclasses import dataclass

from OrbitalSegLib.methods.consensus import ConsensusBone, segment
from OrbitalSegLib.methods.method import Method, Task, parameter
from OrbitalSegLib.progress import Progress


@dataclass(frozen=True)
class SinglegreyParameters:
    """Limits of probability; None is the model package's own."""

    single_above: float | None = parameter(None, "Bone above", "probability", 0, 1)
    inferred_above: float | None = parameter(None, "Inferred wall above", "probability", 0, 1)


def run(task: Task, parameters: SinglegreyParameters, progress: Progress) -> ConsensusBone:
    """See `Method`."""
    return segment(task, {"single": parameters.single_above}, parameters.inferred_above, progress)


SINGLEGREY = Method(
    "singlegrey",
    "One network, three planes",
    "ISO/IEC 3532-2 D.3, method B",
    SinglegreyParameters,
    run,
    infers=True,
    needs_model=True,
    seconds=4.0,
)
