"""The job that measures how large the orbits are, in a scan and a segmentation of it."""

from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import pipeline
from OrbitalSegLib.cavity import Cavity, measure
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.export.surfaces import write_map, write_surface
from OrbitalSegLib.job import Job
from OrbitalSegLib.locate import Orbit, locate
from OrbitalSegLib.pipeline import SEGMENTATION_FILE, Outcome
from OrbitalSegLib.progress import Steps, span
from OrbitalSegLib.record import Record
from OrbitalSegLib.structures import INFERRED

SHARES = {"reading": 2.0, "locating": 1.5, "measuring": 3.5, "writing": 0.2}
"""Seconds of each step on a head of 512 x 512 x 141 voxels."""

MUCH_BRIDGED = 0.25
"""Fissures and canals alone are 0.05 to 0.08 of a phantom's walls."""

MOST_BRIDGED = 0.5
"""Beyond this most of what is measured would be made up."""

LEAST_DIFFERENCE_ML = 1.1
"""So much the measured volumes of equal orbits can differ, rounded up (docs/orbit-volume.md)."""

WARNINGS = {
    "missing": ("orbit-not-found", "The {side} orbit was not found in the scan, so it was not measured."),
    "cut off": ("orbit-cut-off", "The {side} orbit reaches beyond the scan, so it was not measured."),
    "no rim": (
        "no-rim",
        "Too little of the {side} orbit's rim is bone in this segmentation to close it in front, so it was not "
        "measured: segment a region that holds the whole rim.",
    ),
    "too little wall": (
        "too-little-wall",
        "No wall was found in {bridged:.0%} of the {side} orbit, so its volume cannot be told: correct the walls "
        "first, or segment with networks.",
    ),
}
"""By status its code and sentence."""
BRIDGED = (
    "walls-bridged",
    "No wall was found in {bridged:.0%} of the {side} orbit, which was bridged: look at what was measured before you "
    "use its volume.",
)

FIGURES = ("volume_ml", "bridged_share", "inferred_share", "beyond_ml", "opening_cm2")

DIGITS = 4


def orbits(job: Job, steps: Steps, record: Record) -> Outcome:
    """A scan and its segmentation in; the volume of each whole orbit, and its closed surface, out.

    Raises `InputError` `no-orbit` where nothing can be measured.
    """
    with pipeline.result_folder(job) as folder:
        ct, bone, inferred = _read(job, steps, record)
        with record.step("locating", {"region": job.region}) as said:
            located = locate(ct, steps.step("locating"))
            wanted = [orbit for orbit in located.both if job.region in ("auto", orbit.side)]
            said |= {orbit.side: {"status": orbit.status, "confidence": orbit.confidence} for orbit in wanted}
        with record.step("measuring") as measured:
            cavities: dict[str, Cavity] = {}
            for done, orbit in enumerate(wanted):
                progress = span(steps.step("measuring"), done / len(wanted), (done + 1) / len(wanted))
                cavity = measure(ct, bone, inferred, orbit, progress) if orbit.status == "found" else None
                status = _status(orbit, cavity)
                if cavity is not None and status == "found":
                    cavities[orbit.side] = cavity
                measured[orbit.side] = _said(status, cavity)
                _warn(orbit.side, status, cavity, record)
            if not cavities:
                raise InputError(
                    "no-orbit",
                    "No orbit can be measured: it has to lie whole in the scan, its rim and most of its walls in the "
                    "segmentation.",
                )
        with record.step("writing"):
            for side, cavity in cavities.items():
                write_surface(cavity.surface, folder, f"orbit-{side}")
                write_map(cavity.surface, folder / f"orbit-{side}.vtp")
            steps.step("writing")(1.0)
        files = pipeline.finish(record, folder)
    return files, {"orbits": measured, "sides_known": record.sides_known, **_compared(cavities)}


def _read(job: Job, steps: Steps, record: Record) -> tuple[sitk.Image, sitk.Image, sitk.Image | None]:
    """The scan, and the masks of seen bone and of inferred wall, if there is any."""
    assert job.input is not None
    if job.region not in ("auto", "left", "right"):
        raise JobError("invalid-job", "Orbits are looked for in the scan: `region` is `auto`, `left` or `right`.")
    if job.ct is None:
        raise JobError("invalid-job", "Orbits are looked for in the scan: give `ct`.")
    with record.step("reading"):
        ours = job.input / SEGMENTATION_FILE
        source = ours if ours.is_file() else job.input
        bone = read_segmentation(source, header=job.header, warn=record.warn)
        has_inferred = INFERRED in segment_ids(source, job.header)
        inferred = read_segmentation(source, INFERRED, job.header) if has_inferred else None
        record.add_input("segmentation", bone)
        ct = pipeline.read_ct(job, record, steps.step("reading")).image
    return ct, bone, inferred


def _status(orbit: Orbit, cavity: Cavity | None) -> str:
    """Whether an orbit has a volume (`found`), or why not."""
    if orbit.status != "found":
        return orbit.status
    if cavity is None:
        return "no rim"
    return "found" if cavity.bridged_share <= MOST_BRIDGED else "too little wall"


def _said(status: str, cavity: Cavity | None) -> dict[str, Any]:
    """What is said of one orbit."""
    if cavity is None or status != "found":
        return {"status": status}
    numbers = {name: getattr(cavity, name) for name in FIGURES} | {"rim_spread_mm": cavity.front.spread_mm}
    return {"status": status} | {name: round(value, DIGITS) for name, value in numbers.items()}


def _warn(side: str, status: str, cavity: Cavity | None, record: Record) -> None:
    """Say why an orbit has no volume, or that much of its walls is bridged."""
    bridged_share = 0.0 if cavity is None else cavity.bridged_share
    warning = WARNINGS.get(status) or (BRIDGED if bridged_share > MUCH_BRIDGED else None)
    if warning is not None:
        code, text = warning
        record.warn(code, text.format(side=side, bridged=bridged_share))


def _compared(cavities: dict[str, Cavity]) -> dict[str, Any]:
    """Which orbit is larger, which is null where equal ones may differ as much, and by how much; null of only one."""
    if len(cavities) < 2:
        return {"larger": None, "difference_ml": None}
    right_ml, left_ml = cavities["right"].volume_ml, cavities["left"].volume_ml
    difference_ml = abs(left_ml - right_ml)
    larger = "left" if left_ml > right_ml else "right"
    return {
        "larger": larger if difference_ml > LEAST_DIFFERENCE_ML else None,
        "difference_ml": round(difference_ml, DIGITS),
    }
