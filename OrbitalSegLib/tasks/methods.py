"""`methods`: the table of segmentation methods."""

from dataclasses import dataclass

from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import Job


@dataclass(frozen=True, kw_only=True)
class MethodsJob(Job):
    """Nothing is asked."""

    task = "methods"


def run(_job: MethodsJob, _steps: Steps, _record: Record) -> Outcome:
    """What a panel or a command line needs to offer the methods."""
    table = [
        {
            "name": method.name,
            "title": method.title,
            "source": method.source,
            "family": method.family,
            "structures": list(method.structures),
            "infers": method.infers,
            "needs_model": method.needs_model,
            "parameters": method.describe(),
        }
        for method in METHODS.values()
    ]
    return [], {"default": DEFAULT_METHOD, "methods": table}


TASK = Work(MethodsJob, lambda _job: {}, run)
