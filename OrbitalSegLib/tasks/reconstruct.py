"""`reconstruct`: a scan and its segmentation in; the wall that an orbit had where it is broken, as models, out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.defects import CANNOT_BE_TOLD, probabilities_in
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.export.surfaces import FORMATS, write_map
from OrbitalSegLib.locating import Orbit, locate
from OrbitalSegLib.locating.orbit_model import Side
from OrbitalSegLib.locating.place import check_side
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.reconstruction import Reconstruction, reconstruct
from OrbitalSegLib.reconstruction.models import PlateParameters, fused, plate, wall_in
from OrbitalSegLib.reconstruction.sources import SOURCES
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import ResultFolder, new_result
from OrbitalSegLib.structures import REBUILT, RECONSTRUCTED
from OrbitalSegLib.symmetry import Plane, plane_of
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.bookkeeping import check_can_model, make_surfaces, write_surfaces
from OrbitalSegLib.tasks.defects import Seen, look_at
from OrbitalSegLib.tasks.keys import AMOUNT, key, one_of, several
from OrbitalSegLib.tasks.orbits import OrbitsJob, read_orbits
from OrbitalSegLib.tasks.parts import THICKNESS_MM, Surfaces

SHARES = {"reading": 2.0, "locating": 2.5, "measuring": 6.0, "reconstructing": 6.0, "modelling": 12.0, "writing": 1.0}
DIGITS = 2
LEAST_MM2 = 20.0
"""Smaller openings need no plate; among them are most that are listed and are none."""
AT_LEAST = (
    "How far the new wall may be off is said as the least: on heads whose sides differ, fewer than 95 of 100 places "
    "lay within it. Look at the wall beside the scan, and compare it with that of the other source, mirror or bridge."
)
MOSTLY_MIRRORED = 0.5
"""Of an opening, what is less is worth a warning."""
OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True)
class ReconstructJob(OrbitsJob, Surfaces):
    """A segmentation and its scan, from where the wall is known, and how solid it is made."""

    task = "reconstruct"

    wall_from: str = key(one_of(tuple(SOURCES)), "mirror", setting=True)
    thickness_mm: float = key(THICKNESS_MM, PlateParameters.thickness_mm, setting=True)
    margin_mm: float = key(THICKNESS_MM, PlateParameters.margin_mm, setting=True)
    least_mm2: float = key(AMOUNT, LEAST_MM2, setting=True)
    formats: tuple[str, ...] = key(several(tuple(FORMATS), least=1), ("stl", "3mf"), setting=True)

    @property
    def plate(self) -> PlateParameters:
        return PlateParameters(self.thickness_mm, self.margin_mm)


def run(job: ReconstructJob, steps: Steps, record: Record) -> Outcome:
    """See `reconstruction.reconstruct` and `reconstruction.models`."""
    check_can_model(job.modelling)
    with new_result(job.output, job.overwrite, job.segmentation) as folder:
        ct, bone, inferred = read_orbits(job, steps, record)
        check_side(job.region, sides_known=record.sides_known)
        with record.step("locating", {"region": job.region}) as said:
            located = locate(ct, steps.step("locating"))
            said |= {orbit.side: {"status": orbit.status, "confidence": orbit.confidence} for orbit in located.both}
            plane = plane_of(bone, located)
        with record.step("measuring") as measured:
            probabilities = probabilities_in(ResultFolder(job.segmentation))
            seen = {one.side: look_at(one, ct, bone, inferred, probabilities, record) for one in located.both}
            measured |= {side: one.described for side, one in seen.items()}
            steps.step("measuring")(1.0)
        wanted = [orbit for orbit in located.both if job.region in ("auto", orbit.side)]
        with record.step("reconstructing", asdict(job.plate) | {"wall_from": job.wall_from}) as told:
            made = {orbit.side: _made(orbit, seen, plane, job, record) for orbit in wanted}
            told |= {side: _described(one, seen[side]) for side, one in made.items()}
            steps.step("reconstructing")(1.0)
        whole = {orbit: one for orbit in wanted if (one := made[orbit.side]) is not None}
        if not whole:
            raise _nothing([seen[orbit.side] for orbit in wanted])
        record.warn("uncertain-at-least", AT_LEAST)
        surfaces = make_surfaces(lambda: _fields(whole, bone, ct, job), job.modelling, job.memory_gb, steps, record)
        with record.step("writing"):
            write_surfaces(surfaces, job.formats, job.quality_map, record, folder)
            for orbit, one in whole.items():
                write_map(one.surface, folder.path / f"orbit-{orbit.side}.vtp")
            write_segmentation({RECONSTRUCTED: _mask(whole, bone, job)}, folder.segmentation)
            steps.step("writing")(1.0)
        files = record.finish(folder)
    return files, {"orbits": told, "sides_known": record.sides_known}


def _made(
    orbit: Orbit, seen: dict[Side, Seen], plane: Plane | None, job: ReconstructJob, record: Record
) -> Reconstruction | None:
    """The orbit as it was; None where nothing is to be done. The record hears what the source does not know."""
    own, other = seen[orbit.side], seen[OTHER[orbit.side]]
    if own.cavity is None or own.openings is None:
        return None
    healthy = other.cavity if other.openings is not None else None
    made = reconstruct(own.cavity, own.openings, healthy, plane, job.wall_from, job.least_mm2)
    if made is None or job.wall_from != "mirror":
        return made
    if made.source != job.wall_from:
        record.warn(
            "no-mirror",
            f"The {OTHER[orbit.side]} orbit cannot be mirrored, as it is not whole in the scan or too little of its "
            f"walls was found: the wall of the {orbit.side} one is bridged smoothly instead.",
        )
        return made
    for opening in made.openings:
        if made.at(opening).mirrored_share < MOSTLY_MIRRORED:
            record.warn(
                "both-broken",
                f"Where the {opening.wall} of the {orbit.side} orbit is open, the other side has no wall to mirror "
                "either: most of it is bridged smoothly.",
            )
    return made


def _described(made: Reconstruction | None, seen: Seen) -> dict[str, Any]:
    """What was reconstructed of one orbit, as the record has it."""
    if made is None:
        return {"status": "no defect" if seen.openings is not None else seen.status}
    openings = [
        {"number": one.number, "wall": one.wall, "area_mm2": round(one.area_mm2, DIGITS)}
        | {name: _rounded(value) for name, value in asdict(made.at(one)).items()}
        for one in made.openings
    ]
    return {
        "status": "reconstructed", "wall_from": made.source, "openings": openings,
        "volume_ml": _rounded(made.volume_ml), "bridged_volume_ml": _rounded(made.volume_ml - made.added_ml),
    }  # fmt: skip


def _rounded(value: float) -> float | None:
    return round(value, DIGITS) if np.isfinite(value) else None


def _nothing(seen: list[Seen]) -> InputError:
    """Why nothing can be reconstructed."""
    if any(one.openings is not None for one in seen):
        return InputError(
            "no-defect",
            "No opening of the walls is large enough that no natural one explains, so there is nothing to reconstruct: "
            "see what `defects` lists, and open in the segmentation what is broken and was closed.",
        )
    if any(one.status == CANNOT_BE_TOLD for one in seen):
        return InputError(
            "no-defect",
            "Nobody can say what is broken: the slices are too thick, or too much wall is not in the segmentation. "
            "Take a scan with slices of 1 mm or less, or correct the walls first.",
        )
    return InputError(
        "no-orbit",
        "No orbit can be reconstructed: it has to lie whole in the scan, and its rim in the segmentation.",
    )


def _fields(
    whole: dict[Orbit, Reconstruction], bone: sitk.Image, ct: sitk.Image, job: ReconstructJob
) -> dict[str, BoneField]:
    """What is printed: of each orbit the bone with its wall, and the plate."""
    fields = {}
    for orbit, made in whole.items():
        assert orbit.box_mm is not None
        fields[f"{REBUILT}-{orbit.side}"] = fused(bone, ct, orbit.box_mm, made, job.thickness_mm)
        fields[f"{RECONSTRUCTED}-{orbit.side}"] = plate(made, job.plate)
    return fields


def _mask(whole: dict[Orbit, Reconstruction], bone: sitk.Image, job: ReconstructJob) -> sitk.Image:
    """The reconstructed walls on the grid of the bone, and never in it."""
    found = bone * 0
    for orbit, made in whole.items():
        assert orbit.box_mm is not None
        wall = wall_in(Region(orbit.box_mm).working_part(bone), made, job.thickness_mm).mask
        found = sitk.Or(found, sitk.Resample(wall, bone, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    return sitk.And(found, sitk.Cast(bone == 0, sitk.sitkUInt8))


TASK = Work(ReconstructJob, lambda _job: SHARES, run)
