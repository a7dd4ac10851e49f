"""`phantom`: a head CT by formula, as a DICOM series with its truth."""

from dataclasses import dataclass

from OrbitalSegLib.files import writing
from OrbitalSegLib.phantom import VARIANTS, write_phantom
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import new_result
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import TEXT, invalid, key
from OrbitalSegLib.tasks.parts import NewFolder


@dataclass(frozen=True, kw_only=True)
class PhantomJob(NewFolder):
    """Which head is made."""

    task = "phantom"

    variant: str = key(TEXT, "plain")
    """A name in the phantom's table of variants."""


def run(job: PhantomJob, steps: Steps, record: Record) -> Outcome:
    """See `write_phantom`."""
    if job.variant not in VARIANTS:
        raise invalid(f"There is no phantom {job.variant}; there are: {', '.join(VARIANTS)}.")
    variant = VARIANTS[job.variant]
    with new_result(job.output, job.overwrite) as folder:
        with record.step("phantom", {"variant": job.variant}), writing(folder.path):
            write_phantom(variant, folder.path, steps.step("phantom"))
        files = record.finish(folder)
    return files, {"variant": job.variant, "description": variant.description}


TASK = Work(PhantomJob, lambda _job: {"phantom": 1.0}, run)
