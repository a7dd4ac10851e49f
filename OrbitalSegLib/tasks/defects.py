"""`defects`: a scan and its segmentation in; every opening of the orbits' walls, as a table and on the surface, out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import defects
from OrbitalSegLib.cavity import Cavity, measure
from OrbitalSegLib.cavity.orbits import WARNINGS
from OrbitalSegLib.defects import Opening
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.surfaces import write_map
from OrbitalSegLib.files import writing
from OrbitalSegLib.locating import Orbit, locate
from OrbitalSegLib.locating.place import check_side
from OrbitalSegLib.progress import Steps, span
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import ResultFolder, new_result
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.orbits import OrbitsJob, read_orbits

SHARES = {"reading": 2.0, "locating": 1.5, "measuring": 6.0, "writing": 0.2}
TABLE_FILE = "defects.csv"
DIGITS = 2


@dataclass(frozen=True, kw_only=True)
class DefectsJob(OrbitsJob):
    """A segmentation, best a result folder, whose probabilities tell what was seen to be open; and its scan."""

    task = "defects"


def run(job: DefectsJob, steps: Steps, record: Record) -> Outcome:
    """See `defects.openings_of`."""
    with new_result(job.output, job.overwrite, job.segmentation) as folder:
        ct, bone, inferred = read_orbits(job, steps, record)
        check_side(job.region, sides_known=record.sides_known)
        probabilities = defects.probabilities_in(ResultFolder(job.segmentation))
        with record.step("locating", {"region": job.region}) as said:
            located = locate(ct, steps.step("locating"))
            wanted = [orbit for orbit in located.both if job.region in ("auto", orbit.side)]
            said |= {orbit.side: {"status": orbit.status, "confidence": orbit.confidence} for orbit in wanted}
        with record.step("measuring") as measured:
            for done, orbit in enumerate(wanted):
                seen = look_at(orbit, ct, bone, inferred, probabilities, record)
                measured[orbit.side] = seen.described
                if seen.openings is not None and seen.cavity is not None:
                    write_map(seen.cavity.surface, folder.path / f"orbit-{orbit.side}.vtp")
                span(steps.step("measuring"), 0.0, (done + 1) / len(wanted))(1.0)
        if all(told["status"] in WARNINGS for told in measured.values()):
            raise InputError(
                "no-orbit",
                "No orbit can be looked at: it has to lie whole in the scan, and its rim in the segmentation.",
            )
        with record.step("writing"):
            _write_table(folder.path, measured)
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {"orbits": measured, "sides_known": record.sides_known}


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one orbit."""

    status: str
    cavity: Cavity | None = None
    openings: list[Opening] | None = None
    """None where they cannot be told."""

    @property
    def described(self) -> dict[str, Any]:
        """As the record has it."""
        listed = None if self.openings is None else [_described(opening) for opening in self.openings]
        return {"status": self.status, "openings": listed}


def look_at(
    orbit: Orbit,
    ct: sitk.Image,
    bone: sitk.Image,
    inferred: sitk.Image | None,
    probabilities: Mapping[str, sitk.Image],
    record: Record,
) -> Seen:
    """Measure one orbit and list its openings; the record hears why it cannot be."""
    found = measure(ct, bone, inferred, orbit) if orbit.status == "found" else None
    if found is None:
        status = orbit.status if orbit.status != "found" else "no rim"
        code, text = WARNINGS[status]
        record.warn(code, text.format(side=orbit.side, bridged=0.0))
        return Seen(status)
    if not defects.can_be_told(ct, found):
        record.warn(
            "defects-untold",
            f"What is missing of the walls of the {orbit.side} orbit cannot be told: slices are too thick, or too much "
            "wall is not in the segmentation.",
        )
        return Seen(defects.CANNOT_BE_TOLD, found)
    return Seen("found", found, defects.openings_of(found, orbit, ct, bone, probabilities))


def _described(opening: Opening) -> dict[str, Any]:
    """An opening as the record has it."""
    values = asdict(opening) | {"certainty": opening.certainty}
    values["middle_mm"] = [round(v, DIGITS) for v in opening.middle_mm]
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}


def _write_table(folder: Path, told: Mapping[str, Mapping[str, Any]]) -> None:
    """A row for each opening, by side. Raises `OutputError`."""
    rows: Sequence[dict[str, Any]] = [
        {"side": side, "status": one["status"], **opening}
        for side, one in told.items()
        for opening in one["openings"] or [{}]
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with writing(folder), (folder / TABLE_FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)


TASK = Work(DefectsJob, lambda _job: SHARES, run)
