"""`info`: the series of an input, and the chosen one held against table A.1; nothing is written."""

from dataclasses import dataclass
from typing import Any

from OrbitalSegLib import segmenting
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.locating.place import AskedOrbit
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.reading.dicom import Series, day_of
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import READ_SHARE, read_scan
from OrbitalSegLib.tasks.keys import key
from OrbitalSegLib.tasks.parts import REGION, ScanInput


@dataclass(frozen=True, kw_only=True)
class InfoJob(ScanInput):
    """A scan."""

    task = "info"

    region: Region | AskedOrbit = key(REGION, "auto")


def run(job: InfoJob, steps: Steps, record: Record) -> Outcome:
    """Say which series there are, before one is chosen, and hold the chosen one against table A.1."""

    def found(series: list[Series]) -> None:
        steps.say({"event": "series", "series": [_line_of(item) for item in series]})

    scan = read_scan(job, steps, record, found)
    examined = segmenting.examine(scan, job.region, steps, record.warn)
    record.add_examined(examined)
    try:
        examined.place.region.check_gaps(scan)
    except InputError as gap:
        record.warn("slice-gap", gap.text)
    return [], {name: record.entries[name] for name in ("acquisition", "conditions", "feasibility", "steps")}


def _line_of(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "study_date": day_of(series.study),
        "number": series.number,
        "modality": series.modality,
        "description": series.description,
        "images": series.images,
        "slices": len(series.slices),
        "slice_distance_mm": round(series.slice_distance_mm, 3),
        "problem": series.unfit.text if series.unfit else None,
    }


TASK = Work(InfoJob, lambda _job: READ_SHARE | segmenting.EXAMINE_SHARES, run)
