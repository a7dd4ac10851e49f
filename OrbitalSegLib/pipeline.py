"""The main job, walked in one direction: reading, preparing, segmenting, repairing, modelling, writing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib import acquisition, monitoring, reading, remodel
from OrbitalSegLib.errors import InputError, JobError, OutputError
from OrbitalSegLib.export import dicom, headers
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.export.surfaces import MAIN_FORMAT, surface_path, write_map, write_surface
from OrbitalSegLib.files import safe_name, whole, write_image, writing
from OrbitalSegLib.job import Job, Orbit, method_of
from OrbitalSegLib.locate import Orbit as FoundOrbit
from OrbitalSegLib.locate import Orbits, locate, region_of
from OrbitalSegLib.methods.method import Masks, Method, Segmented, Task
from OrbitalSegLib.modelling import simplification
from OrbitalSegLib.modelling.field import BoneField, agreeing, field_of_edited
from OrbitalSegLib.modelling.model import model_of
from OrbitalSegLib.monitoring import measures
from OrbitalSegLib.networks.resources import limit_bytes
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.progress import Progress, Steps, silent, span
from OrbitalSegLib.reading.dicom import Series
from OrbitalSegLib.record import RECORD_FILE, SIDES_UNKNOWN, Record, check_replaceable
from OrbitalSegLib.region import MARGIN_MM, Point, Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.scan import Scan, sha256_of
from OrbitalSegLib.structures import BONE, INFERRED, STRUCTURES

if TYPE_CHECKING:  # evaluation is loaded where it is asked for
    from OrbitalSegLib.evaluation.table import CaseFiles, Table

SEGMENTATION_FILE = "segmentation.seg.nrrd"
LABEL_MAP_FILE = f"{BONE}.nii.gz"

Outcome = tuple[list[str], dict[str, Any]]
"""The files written, and what a person wants to see first."""

INFO_SHARES = {"reading": 2.0, "locating": 1.5, "acquisition": 0.5}
PHANTOM_SHARES = {"phantom": 1.0}
EVALUATE_SHARES = {"reading": 1.0, "locating": 1.5, "acquisition": 0.5, "evaluating": 4.0}
OBSERVERS_SHARES = {"reading": 1.0, "evaluating": 9.0}
EVALUATE_CASES_SHARES = {"evaluating": 20.0, "writing": 0.5, "preview": 2.0}
SURFACE_SHARES = {"reading": 1.0, "modelling": 6.0, "writing": 1.0}
SEGMENT_SHARES = {
    **INFO_SHARES,
    "segmenting": 0.3,
    "postprocessing": 2.5,
    "monitoring": 1.5,
    "modelling": 6.0,
    "writing": 2.0,
    "preview": 2.0,
}
"""Seconds of each step on a head of 512 x 512 x 140 voxels, by benchmarks/main_job.py."""


KEPT_SECONDS = 0.3
"""To read the probabilities that a result kept, and to threshold them."""


def segment_shares(job: Job) -> dict[str, float]:
    """The seconds of each step with the method that the job names; none for networks that do not run again."""
    return SEGMENT_SHARES | {"segmenting": method_of(job).seconds if job.record is None else KEPT_SECONDS}


CUT_MM = 2.0
"""A box that leaves out this much of an orbit still holds it: located walls are no more exact."""


@dataclass(frozen=True)
class Place:
    """The region, and the orbits that it asks for."""

    region: Region
    orbits: tuple[FoundOrbit, ...] = ()
    """Of a region that is `auto`, an orbit or the whole scan those it is named for, found or not; of a box those whose
    middle it holds."""

    @property
    def openings_mm(self) -> list[Point]:
        """The middle of the opening of each orbit that was found."""
        return [orbit.opening_mm for orbit in self.orbits if orbit.opening_mm is not None]

    @property
    def monitored(self) -> Region:
        """Where a result is held against limits: what table A.1 asks for of these orbits, as far as the region goes, or
        else all of it. Limits were measured there, and teeth, neck and vault have other figures."""
        around = region_of(self.orbits)
        return self.region if around is None else around.common(self.region)


def info(job: Job, steps: Steps, record: Record, found: Callable[[list[Series]], None]) -> Outcome:
    """Read a scan and hold it against table A.1. `found` hears of the series before one is chosen."""
    scan, found_in = _read(job, steps, record, found)
    try:
        found_in.region.check_gaps(scan)
    except InputError as gap:
        record.warn("slice-gap", gap.text)
    return [], {key: record.entries[key] for key in ("acquisition", "conditions", "feasibility", "steps")}


def segment(job: Job, steps: Steps, record: Record) -> Outcome:
    """A CT in, a result folder out (docs/contracts.md, section 6). Raises `OrbitalSegError`."""
    if INFERRED in job.surfaces and not method_of(job).infers:
        raise JobError("invalid-job", f"{method_of(job).title} gives no inferred wall: leave that surface out.")
    check_can_simplify(job)
    sources = source_headers(job, job.input, record)
    with result_folder(job) as folder:
        bone = find_bone(job, steps, record)
        surfaces = model(bone.own, job, steps, record, bone.field, bone.middle_mm)
        with record.step("writing") as measured:
            volumes_ml = {name: volume_ml(mask) for name, mask in bone.masks.items()}
            measured["volumes_ml"] = volumes_ml
            measured["voxels_sha256"] = {name: sha256_of(mask) for name, mask in bone.masks.items()}
            write_segmentation(bone.masks, folder / SEGMENTATION_FILE)
            write_label_map(bone.masks[BONE], folder / LABEL_MAP_FILE)
            for name, probability in bone.found.probabilities.items():
                write_image(probability, folder / f"probability-{name}.nrrd")
            write_surfaces(surfaces, folder, job, record)
            write_dicom(bone.masks, [name for name in surfaces if name in STRUCTURES], sources, job, record, folder)
            steps.step("writing")(1.0)
        picture = folder / "preview.png"
        with record.step("preview"), record.extra(picture):
            said = f"{method_of(job).title}: {_sentence(bone.found.parameters)}"
            caption = [said, _verdict(record.entries["feasibility"])]
            caption += [] if record.sides_known else [SIDES_UNKNOWN]
            places_mm = bone.place.openings_mm
            draw_preview(bone.scan.image, bone.own, surfaces.get(BONE), picture, caption, openings_mm=places_mm)
            steps.step("preview")(1.0)
        files = finish(record, folder)
    return files, {
        "method": job.method,
        "volumes_ml": volumes_ml,
        "sides_known": record.sides_known,
        "feasibility": record.entries["feasibility"],
        "monitoring": {key: record.entries["monitoring"][key] for key in ("verdict", "reasons")},
        "seconds": {entry["step"]: entry["seconds"] for entry in record.entries["steps"]},
    }


@dataclass(frozen=True)
class Bone:
    """What was found in a scan: `masks` on the scan grid and `own` on the method's, both cut to the region."""

    scan: Scan
    place: Place
    found: Segmented
    own: Masks
    masks: Masks

    def field(self, name: str) -> BoneField:
        """What the surface of one class is made of."""
        fraction = agreeing(self.found.fraction(name, self.own), self.own[name])
        return BoneField(self.own[name], fraction, self.found.fraction_source)

    @property
    def middle_mm(self) -> float | None:
        """x between the orbits, where both were found."""
        places = self.place.openings_mm
        return float(np.mean([place[0] for place in places])) if len(places) == 2 else None


def find_bone(job: Job, steps: Steps, record: Record) -> Bone:
    """Reading, segmenting, repairing and monitoring: a segmentation without its files. Raises `OrbitalSegError`."""
    method = method_of(job)
    parameters = method.make_parameters(job.parameters)
    record.add_settings(job.settings)
    record.add_people(job.purpose, job.operator, list(job.reviews))
    scan, place = _read(job, steps, record)
    region = place.region
    region.check_gaps(scan)
    asked = {"method": method.name, **asdict(parameters)}
    with record.step("segmenting", asked) as measured:
        found = _found(job, Task(scan.image, region, job.resources), parameters, steps.step("segmenting"))
        asked |= found.parameters
        measured |= {**found.measured, "bone_with_margin_ml": volume_ml(found.bone)}
    record.entries["region"] |= {"tile_size": found.tile_size}
    own = found.classes(repair(found, region, job, steps, record))
    masks = {name: region.cut(mask, scan.image) for name, mask in found.on_scan(own).items()}
    if volume_ml(masks[BONE]) == 0:
        raise InputError(
            "empty-result",
            "No bone was found: widen the region or lower the limit, and check that the scan shows a head.",
        )
    bone = Bone(scan, place, found, {name: region.cut(mask, mask) for name, mask in own.items()}, masks)
    _monitor(method, bone, record)
    steps.step("monitoring")(1.0)
    return bone


def _found(job: Job, task: Task, parameters: Any, progress: Progress) -> Segmented:
    """What the method finds; of a result that the job names the networks do not run again."""
    if job.record is None:
        return method_of(job).run(task, parameters, progress)
    return remodel.found_with_limits(job.record, job, task)


def surface(job: Job, steps: Steps, record: Record) -> Outcome:
    """A segmentation in, edited by hand or not; a folder with its surface out."""
    assert job.input is not None
    name = safe_name(job.segment)
    check_can_simplify(job)
    with result_folder(job) as folder:
        with record.step("reading", {"segment": name}) as measured:
            mask = read_segmentation(job.input, job.segment, job.header, record.warn)
            measured["volume_ml"] = volume_ml(mask)
            steps.step("reading")(1.0)
        record.add_input("segmentation", mask)
        ct = None if job.ct is None else read_ct(job, record).image
        with record.step("modelling", asdict(job.modelling)) as measured:
            field, allowed = _field_of(job, mask, ct), limit_bytes(job.memory_gb)
            made = model_of(field, job.modelling, allowed, steps.step("modelling"))
            found = measured[name] = made.measured
        with record.step("writing"):
            write_surfaces({name: made.coloured}, folder, job, record)
            steps.step("writing")(1.0)
        files = finish(record, folder)
    return files, {"volume_ml": volume_ml(mask), "surface": found}


def _field_of(job: Job, mask: sitk.Image, ct: sitk.Image | None) -> BoneField:
    """What a surface is made of: what the run knew where the job names its result, else the mask and its CT."""
    field = None
    if ct is not None and job.record is not None:
        field = remodel.field_of(job.record, ct, safe_name(job.segment))
    field = field or field_of_edited(mask, ct)
    return _part(field, job.region) if isinstance(job.region, Region) and job.region.box_mm else field


def _part(bone: BoneField, region: Region) -> BoneField:
    """What of a field lies in a region. Raises `InputError` `region-outside`."""
    mask = sitk.Multiply(bone.mask, region.within(bone.mask))
    fraction = None if bone.fraction is None else agreeing(bone.fraction, mask)
    return replace(bone, mask=mask, fraction=fraction)


def phantom(job: Job, steps: Steps, record: Record) -> Outcome:
    """A head CT by formula, as a DICOM series with its truth."""
    from OrbitalSegLib.phantom import VARIANTS, write_phantom

    if job.variant not in VARIANTS:
        raise JobError("invalid-job", f"There is no phantom {job.variant}; there are: {', '.join(VARIANTS)}.")
    variant = VARIANTS[job.variant]
    with result_folder(job) as folder:
        with record.step("phantom", {"variant": job.variant}), writing(folder):
            write_phantom(variant, folder, steps.step("phantom"))
        files = finish(record, folder)
    return files, {"variant": job.variant, "description": variant.description}


def evaluate(job: Job, steps: Steps, record: Record) -> Outcome:
    """A result held against its truth, by docs/metrics.md; nothing is written."""
    from OrbitalSegLib.evaluation import figures
    from OrbitalSegLib.evaluation.wall_points import read_walls

    assert job.input is not None
    assert job.truth is not None
    with record.step("reading", {"segment": job.segment}):
        truth = read_segmentation(job.truth, header=job.header, warn=record.warn)
        result = _read_result(job, record)
        walls = None if job.walls is None else read_walls(job.walls)
        steps.step("reading")(0.5)
    ct, region = _judged(job, steps, record)
    within = None if region.box_mm is None else region.within(truth)
    with record.step("evaluating"):
        found = figures.evaluate(truth, result, ct, within, walls, progress=steps.step("evaluating"))
    return [], {"figures": {name: plain(value) for name, value in found.items()}}


def write_evaluation(found: "Table", cases: "Sequence[CaseFiles]", folder: Path, steps: Steps, record: Record) -> None:
    """The tables of an evaluation, and its pictures where they can be drawn."""
    from OrbitalSegLib.evaluation import pictures, table

    with record.step("writing"):
        table.write_tables(found, folder)
        steps.step("writing")(1.0)
    if pictures.can_draw():
        with record.step("preview"), record.extra(folder / "boxes.png"):
            pictures.draw_all(found, cases, folder)
    else:
        record.warn("no-pictures", "Pictures need matplotlib, so none were drawn: pip install 'orbitalseg[learn]'.")


def evaluate_cases(job: Job, steps: Steps, record: Record) -> Outcome:
    """A folder of cases in; a folder with tables and pictures of them out (docs/metrics.md)."""
    from OrbitalSegLib.evaluation import table

    assert job.input is not None
    with result_folder(job) as folder:
        cases = table.find_cases(job.input)
        with record.step("evaluating") as measured:
            found = table.evaluate_cases(cases, steps.step("evaluating"), record.warn)
            measured |= {"cases": len(cases), "methods": found.methods}
        write_evaluation(found, cases, folder, steps, record)
        files = finish(record, folder)
    shown = {name: found.summary(name, table.DECISIVE) for name in found.methods}
    return files, {
        "cases": len(cases),
        "methods": {
            name: {
                "worst_case": found.worst(name).case,
                f"{table.DECISIVE}_mean": plain(s.mean),
                f"{table.DECISIVE}_sd": plain(s.sd),
            }
            for name, s in shown.items()
        },
    }


def observers(job: Job, steps: Steps, record: Record) -> Outcome:
    """How several persons' segmentations agree, and where a method's stands among them; nothing is written."""
    from OrbitalSegLib.evaluation import observers as judges

    assert job.input is not None
    with record.step("reading", {"segment": job.segment}):
        method = _read_result(job, record)
        persons = {
            f"observer {n}": read_segmentation(path, header=job.header, warn=record.warn)
            for n, path in enumerate(job.observers, 1)
        }
        steps.step("reading")(1.0)
    reference = persons["observer 1"]
    if not isinstance(job.region, Region) and job.region != "auto":
        raise JobError("invalid-job", "Observers are compared in the whole of their masks, or in a box in mm.")
    box = job.region if isinstance(job.region, Region) else Region()
    within = None if box.box_mm is None else box.within(reference)
    with record.step("evaluating"):
        progress = steps.step("evaluating")
        raters = judges.consensus(persons, within).raters
        progress(0.1)
        pairs = judges.pairwise(persons, within)
        progress(0.4)
        places = judges.placed(persons, method, within)
        progress(1.0)
    return [], {
        "pairs": [{"between": list(pair), **_plain_fields(found)} for pair, found in pairs.items()],
        "raters": {name: _plain_fields(rater) for name, rater in raters.items()},
        "places": {
            name: {
                "with_others": _plain_fields(place.with_others),
                "with_consensus": _plain_fields(place.with_consensus),
            }
            for name, place in places.items()
        },
        "no_worse": judges.no_worse(places),
    }


def _read_result(job: Job, record: Record) -> sitk.Image:
    """The segments of a segmentation or a result folder, joined where they are several, as `bone+inferred`."""
    assert job.input is not None
    ours = job.input / SEGMENTATION_FILE
    path = ours if ours.is_file() else job.input
    parts = [read_segmentation(path, name, job.header, record.warn) for name in job.segment.split("+")]
    return sitk.Cast(sitk.NaryAdd(parts) > 0, sitk.sitkUInt8)


def _plain_fields(found: Any) -> dict[str, float | str | None]:
    return {name: plain(value) for name, value in asdict(found).items()}


def read_ct(job: Job, record: Record, progress: Progress = silent) -> Scan:
    """The CT that a job names beside its input, with its warnings in the record."""
    assert job.ct is not None
    scan = reading.read(job.ct, job.series, progress, header=job.header, grey_values=job.grey_values, origin=job.origin)
    for code, text in scan.warnings:
        record.warn(code, text)
    return scan


def _judged(job: Job, steps: Steps, record: Record) -> tuple[sitk.Image | None, Region]:
    """The CT, if there is one, and the region in which a result is judged."""
    scan = None if job.ct is None else read_ct(job, record, steps.step("reading"))
    if isinstance(job.region, Region):
        return scan and scan.image, job.region
    if scan is not None:
        return scan.image, _place(job, scan, steps, record).region
    if job.region == "auto":
        return None, Region()
    raise JobError("invalid-job", "An orbit is looked for in the CT: give `ct`, or the region as a box in mm.")


def plain(value: float) -> float | str | None:
    """A number that JSON knows."""
    if np.isnan(value):
        return None
    return "infinite" if np.isinf(value) else value


@contextmanager
def result_folder(job: Job) -> Iterator[Path]:
    """An empty folder that becomes the job's output when the block succeeds."""
    assert job.output is not None
    if job.input is not None and _resolved(job.output) in (_resolved(job.input), *_resolved(job.input).parents):
        raise OutputError("exists", "The output would replace the input: choose another name for it.")
    with whole(job.output, check_replaceable if job.overwrite else None) as folder:
        with writing(folder):
            folder.mkdir()
        yield folder


def _resolved(path: Path) -> Path:
    """Where a path leads; a name that no system takes leads nowhere else."""
    try:
        return path.resolve()
    except OSError:
        return path.absolute()


def _read(
    job: Job, steps: Steps, record: Record, found: Callable[[list[Series]], None] = lambda _series: None
) -> tuple[Scan, Place]:
    """Reading, finding the region, and holding the scan against table A.1."""
    assert job.input is not None
    with record.step("reading", {"series": "asked for" if job.series else "chosen"}) as measured:
        scan = reading.read(
            job.input, job.series, steps.step("reading"), found, job.header, job.grey_values, job.origin
        )
        measured.update(scan.measured)
    record.add_scan(scan)
    place = _place(job, scan, steps, record)
    with record.step("acquisition"):
        conditions, feasibility = acquisition.check(scan, place.monitored)
        record.add_conditions(conditions, feasibility)
        if feasibility.thin_walls != "feasible":
            record.warn("thin-walls", _verdict(record.entries["feasibility"]))
        steps.step("acquisition")(1.0)
    return scan, place


def _place(job: Job, scan: Scan, steps: Steps, record: Record) -> Place:
    """The region, and the orbits in it, which are looked for whatever it is. Raises `InputError` `no-orbit`."""
    asked = job.region if isinstance(job.region, str) else "box" if job.region.box_mm else "whole"
    with record.step("locating", {"region": asked}) as measured:
        orbits = locate(scan.image, steps.step("locating"))
        for orbit in orbits.both:
            measured[orbit.side] = {"status": orbit.status, "confidence": round(orbit.confidence, 3)}
    if isinstance(job.region, Region):
        place = Place(job.region, _held(orbits, job.region))
        if region_of(orbits.both) is None:
            record.warn(
                "orbits-not-found", "No orbit was found in this scan, so neither walls nor symmetry are checked."
            )
        else:
            _warn_of(place, record)
    else:
        place = _place_of(orbits, job.region, record)
    record.entries["region"] = {
        "asked": asked,
        "box_mm": place.region.box_mm or "whole",
        "margin_mm": MARGIN_MM,
    }
    return place


def _held(orbits: Orbits, region: Region) -> tuple[FoundOrbit, ...]:
    """The orbits whose middle a region holds; one is cut off if its walls reach beyond."""
    if region.box_mm is None:
        return orbits.both
    held = []
    for orbit in orbits.both:
        if orbit.box_mm is not None and region.holds(np.reshape(orbit.box_mm, (3, 2)).mean(axis=1)):
            first, last = np.reshape(orbit.box_mm, (3, 2)).T
            whole = region.holds(first + CUT_MM, last - CUT_MM)
            held.append(orbit if whole or orbit.status != "found" else replace(orbit, status="cut off"))
    return tuple(held)


def _place_of(orbits: Orbits, wanted: Orbit, record: Record) -> Place:
    looked_for = orbits.both if wanted == "auto" else (getattr(orbits, wanted),)
    region = region_of(looked_for)
    if region is None and wanted != "auto":
        raise InputError(
            "no-orbit", f"The {wanted} orbit was not found: give a region as a box in mm, or segment the whole scan."
        )
    place = Place(region or Region(), looked_for)
    if region is None:
        record.warn("orbits-not-found", "No orbit was found in this scan, so the whole of it was taken.")
    else:
        _warn_of(place, record)
    return place


def _warn_of(place: Place, record: Record) -> None:
    """Say of the orbits that a region asks for, where there are any, which are not whole."""
    for orbit in place.orbits:
        if orbit.status == "missing":
            record.warn("orbit-not-found", f"The {orbit.side} orbit was not found: the region holds the other one.")
        elif orbit.status == "cut off":
            record.warn(
                "orbit-cut-off",
                f"The {orbit.side} orbit reaches beyond the scan or the region: what lies outside is not modelled.",
            )


def model(
    masks: Masks,
    job: Job,
    steps: Steps,
    record: Record,
    field_of: Callable[[str], BoneField] | None = None,
    middle_mm: float | None = None,
) -> dict[str, vtkPolyData]:
    """The surface of `bone`, and those asked for of the classes that hold something, with what is known of vertices.

    `field_of` gives what a class is made of; without it, its mask. `middle_mm` is x between the orbits.
    """
    surfaces = {}
    progress = steps.step("modelling")
    with record.step("modelling", asdict(job.modelling)) as measured:
        fields = {}
        for name in (BONE, *job.surfaces):
            if volume_ml(masks[name]) == 0:
                record.warn("empty-surface", f"There is no {name} bone within these limits, so no surface of it.")
                continue
            fields[name] = field_of(name) if field_of else BoneField(masks[name])
            fields |= _sides(name, fields[name], middle_mm) if job.sides else {}
        for done, (name, bone) in enumerate(fields.items()):
            made = model_of(
                bone,
                job.modelling,
                limit_bytes(job.memory_gb),
                span(progress, done / len(fields), (done + 1) / len(fields)),
            )
            surfaces[name], measured[name] = made.coloured, made.measured
    return surfaces


def _sides(name: str, bone: BoneField, middle_mm: float | None) -> dict[str, BoneField]:
    """The patient's left and right half of a bone, cut between the orbits, or else in the middle of the bone."""
    if middle_mm is None:
        x = np.flatnonzero(sitk.GetArrayFromImage(bone.mask).any(axis=(0, 1)))
        middle_mm = bone.mask.TransformContinuousIndexToPhysicalPoint([(x[0] + x[-1]) / 2, 0.0, 0.0])[0]
    far = 10_000.0
    halves = {"left": (middle_mm, far), "right": (-far, middle_mm)}
    found = {}
    for side, (low, high) in halves.items():
        try:
            half = _part(bone, Region((low, high, -far, far, -far, far)))
        except InputError:  # the region holds nothing of this side
            continue
        if volume_ml(half.mask) > 0:
            found[f"{name}-{side}"] = half
    return found


def _monitor(method: Method, bone: Bone, record: Record) -> None:
    """Hold input and output against what this method was measured on [3532-2 12]."""
    scan, orbits, within = bone.scan, bone.place.orbits, bone.place.monitored
    with record.step("monitoring") as measured:
        found, own = bone.masks[BONE], bone.own[BONE]
        if within != bone.place.region:
            found, own = within.cut(found, scan.image), within.cut(own, own)
        figures = measures.of_input(scan.image, within, found)
        figures |= measures.of_output(found, own, bone.found.probabilities, measures.whole(orbits))
        measured |= figures
        conditions, feasibility = acquisition.check(scan, within)
        run = monitoring.Run(
            method=method.name,
            needs_model=method.needs_model,
            model=bone.found.measured.get("model"),
            conditions=conditions,
            feasibility=feasibility,
            orbits={orbit.side: orbit.status for orbit in orbits},
            measures=figures,
            warnings=scan.warnings,
        )
        record.entries["monitoring"] = monitoring.judge(run)


def write_surfaces(surfaces: dict[str, vtkPolyData], folder: Path, job: Job, record: Record) -> None:
    """In every format that the job asks for, and as a map of what was measured at each vertex where it does.

    What comes besides STL never costs the run.
    """
    for name, mesh in surfaces.items():
        for format_name in job.formats:
            with nullcontext() if format_name == MAIN_FORMAT else record.extra(surface_path(folder, name, format_name)):
                write_surface(mesh, folder, name, format_name)
        if job.quality_map:
            path = folder / f"{safe_name(name)}-quality.vtp"
            with record.extra(path):
                write_map(mesh, path)


def check_can_simplify(job: Job) -> None:
    """Whether what the surfaces need is installed, before anything is done. Raises `InputError` `needs-mesh`."""
    if job.simplify_mm is not None:
        simplification.check_installed()


def source_headers(job: Job, scan: Path | None, record: Record) -> list[Dataset]:
    """The headers that results in DICOM need, checked; none where none are asked for. Raises `InputError`."""
    if not job.dicom:
        return []
    if scan is None:
        raise JobError("invalid-job", "Results in DICOM need the scan: give `ct`.")
    if "segmentation" in job.dicom:
        dicom.check_can_write()
    whole = reading.read_headers(scan, job.series, job.grey_values)
    if job.deidentify:
        headers.check(whole)
        return headers.prepared(headers.without_identity(whole))[0]
    found, said = headers.prepared(whole)
    for sentence in said:
        record.warn("dicom-header", sentence)
    return found


def write_dicom(
    masks: Masks, surfaces: list[str], sources: list[Dataset], job: Job, record: Record, folder: Path
) -> None:
    """Write as DICOM what the job asks for, which never costs the run; surfaces are those whose STL is there."""
    if "segmentation" in job.dicom:
        with record.extra(folder / dicom.SEGMENTATION_FILE):
            write_dicom_segmentation(masks, sources, record, folder)
    if "surface" in job.dicom:
        for name in surfaces:
            stl, (segment, _, side) = folder / f"{safe_name(name)}.stl", name.partition("-")
            path = folder / f"{stl.name}.dcm"
            with record.extra(path):
                dicom.write_dicom_surface(stl, sources, path, f"{STRUCTURES[segment].title} {side}".strip())


def write_dicom_segmentation(masks: Masks, sources: list[Dataset], record: Record, folder: Path) -> None:
    """The masks as DICOM, with what the record says of how they were made. Raises as the writer does."""
    algorithm = dicom.algorithm_of(record.entries)
    dicom.write_dicom_segmentation(masks, sources, folder / dicom.SEGMENTATION_FILE, algorithm)


def finish(record: Record, folder: Path) -> list[str]:
    """Write log, page and record, and list every file."""
    with writing(folder):
        record.finish(folder)
    return [output["file"] for output in record.entries["outputs"]] + [RECORD_FILE]


def volume_ml(mask: sitk.Image) -> float:
    voxels = int(np.count_nonzero(sitk.GetArrayFromImage(mask)))
    return round(voxels * float(np.prod(mask.GetSpacing())) / 1000, 4)


def _verdict(feasibility: dict[str, Any]) -> str:
    return f"Thin walls: {feasibility['thin_walls']}. {feasibility['reason']}"


def _sentence(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.removesuffix('_hu')} {value:g} HU" if name.endswith("_hu") else f"{name.replace('_', ' ')} {value:g}"
        for name, value in parameters.items()
    )
