"""`pacs-send`: results as DICOM into an archive, where they lie in the study of their scan."""

from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.pacs.archives import check_patients, opened, to_send
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import PATH, key, listed
from OrbitalSegLib.tasks.parts import AskedArchive

SENDING = "sending"


@dataclass(frozen=True, kw_only=True)
class SendJob(AskedArchive):
    """An archive, and what is to be stored there."""

    task = "pacs-send"

    files: tuple[Path, ...] = key(listed(PATH, "paths", least=1, otherwise="`files` must name one path at least."))
    """Files in DICOM; of a folder, however deep, those that OrbitalSeg made."""


def run(job: SendJob, steps: Steps, _record: Record) -> Outcome:
    """One after the other. To send a file again does no harm: it is the same object."""
    progress = steps.step(SENDING)
    paths = to_send(job.files)
    with opened(job.archive, job.calling) as archive:
        check_patients(archive, paths)
        for done, path in enumerate(paths):
            progress(done / len(paths))
            archive.send(path)
    progress(1.0)
    return [], {"sent": len(paths)}


TASK = Work(SendJob, lambda _job: {SENDING: 1.0}, run)
