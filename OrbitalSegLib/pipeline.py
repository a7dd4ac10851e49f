"""The main job, walked in one direction: reading, preparing, segmenting, repairing, modelling, writing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import acquisition, reading
from OrbitalSegLib.errors import InputError, JobError, OutputError
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.export.stl import write_stl
from OrbitalSegLib.files import safe_name, whole, writing
from OrbitalSegLib.job import Job, method_of
from OrbitalSegLib.methods.method import split_by_value
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of_mask
from OrbitalSegLib.postprocessing import keep_touching, postprocess
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.reading.dicom import Series
from OrbitalSegLib.record import RECORD_FILE, Record, check_replaceable
from OrbitalSegLib.region import MARGIN_MM, Region
from OrbitalSegLib.scan import Scan

Masks = dict[str, sitk.Image]
Outcome = tuple[list[str], dict[str, Any]]
"""The files written, and what a person wants to see first."""

INFO_SHARES = {"reading": 2.0, "acquisition": 0.5}
PHANTOM_SHARES = {"phantom": 1.0}
SURFACE_SHARES = {"reading": 1.0, "modelling": 6.0, "writing": 1.0}
SEGMENT_SHARES = {
    **INFO_SHARES,
    "segmenting": 0.3,
    "postprocessing": 2.5,
    "modelling": 6.0,
    "writing": 2.0,
    "preview": 2.0,
}
"""Seconds of each step on a head of 512 x 512 x 140 voxels, by benchmarks/main_job.py."""


def info(job: Job, steps: Steps, record: Record, found: Callable[[list[Series]], None]) -> Outcome:
    """Read a scan and hold it against table A.1. `found` hears of the series before one is chosen."""
    scan = _read(job, steps, record, found)
    try:
        job.region.check_gaps(scan)
    except InputError as gap:
        record.warn("slice-gap", gap.text)
    return [], {key: record.entries[key] for key in ("acquisition", "conditions", "feasibility", "steps")}


def segment(job: Job, steps: Steps, record: Record) -> Outcome:
    """A CT in, a result folder out (docs/contracts.md, section 6). Raises `OrbitalSegError`."""
    method = method_of(job)
    parameters = method.make_parameters(job.parameters)
    if "inferred" in job.surfaces and not method.infers:
        raise JobError("invalid-job", f"{method.title} gives no inferred wall: leave that surface out.")
    with _result_folder(job) as folder:
        scan = _read(job, steps, record)
        job.region.check_gaps(scan)
        part = job.region.working_part(scan.image)
        with record.step("segmenting", {"method": method.name, **asdict(parameters)}) as measured:
            masks = method.run(part, parameters, steps.step("segmenting"))
            measured["bone_with_margin_ml"] = _volume_ml(masks["bone"])
        record.entries["region"] = _region_entry(job.region)
        masks["bone"] = _repair(masks["bone"], part, job, steps, record)
        masks = {name: job.region.cut(mask, scan.image) for name, mask in masks.items()}
        masks |= split_by_value(scan.image, masks["bone"])
        volumes_ml = {name: _volume_ml(mask) for name, mask in masks.items()}
        if volumes_ml["bone"] == 0:
            raise InputError(
                "empty-result",
                "No bone was found: widen the region or lower the HU limit, and check that the scan shows a head.",
            )
        surfaces = _model(masks, job, steps, record)
        with record.step("writing") as measured:
            measured["volumes_ml"] = volumes_ml
            write_segmentation(masks, folder / "segmentation.seg.nrrd")
            write_label_map(masks["bone"], folder / "bone.nii.gz")
            _write_surfaces(surfaces, folder)
            steps.step("writing")(1.0)
        with record.step("preview"):
            caption = [f"{method.title}: {_sentence(asdict(parameters))}", _verdict(record.entries["feasibility"])]
            draw_preview(scan.image, masks["bone"], surfaces["bone"], folder / "preview.png", caption)
            steps.step("preview")(1.0)
        files = _finish(record, folder)
    return files, {
        "method": method.name,
        "volumes_ml": volumes_ml,
        "feasibility": record.entries["feasibility"],
        "seconds": {entry["step"]: entry["seconds"] for entry in record.entries["steps"]},
    }


def surface(job: Job, steps: Steps, record: Record) -> Outcome:
    """A segmentation in, edited by hand or not; a folder with its surface out."""
    assert job.input is not None
    name = safe_name(job.segment)
    with _result_folder(job) as folder:
        with record.step("reading", {"segment": name}) as measured:
            mask = read_segmentation(job.input, job.segment)
            measured["volume_ml"] = _volume_ml(mask)
            steps.step("reading")(1.0)
        record.add_input("segmentation", mask)
        with record.step("modelling", {"smoothing": job.smoothing}) as measured:
            mesh, found = surface_of_mask(mask, SurfaceParameters(smoothing=job.smoothing), steps.step("modelling"))
            measured[name] = found
        with record.step("writing"):
            _write_surfaces({name: mesh}, folder)
            steps.step("writing")(1.0)
        files = _finish(record, folder)
    return files, {"volume_ml": _volume_ml(mask), "surface": found}


def phantom(job: Job, steps: Steps, record: Record) -> Outcome:
    """A head CT by formula, as a DICOM series with its truth."""
    from OrbitalSegLib.phantom import VARIANTS, write_phantom

    if job.variant not in VARIANTS:
        raise JobError("invalid-job", f"There is no phantom {job.variant}; there are: {', '.join(VARIANTS)}.")
    variant = VARIANTS[job.variant]
    with _result_folder(job) as folder:
        with record.step("phantom", {"variant": job.variant}), writing(folder):
            write_phantom(variant, folder, steps.step("phantom"))
        files = _finish(record, folder)
    return files, {"variant": job.variant, "description": variant.description}


@contextmanager
def _result_folder(job: Job) -> Iterator[Path]:
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


def _read(job: Job, steps: Steps, record: Record, found: Callable[[list[Series]], None] = lambda _series: None) -> Scan:
    """Reading, and holding the scan against table A.1."""
    assert job.input is not None
    with record.step("reading", {"series": "asked for" if job.series else "chosen"}) as measured:
        scan = reading.read(job.input, job.series, steps.step("reading"), found)
        measured.update(scan.measured)
    with record.step("acquisition"):
        record.add_scan(scan)
        conditions, feasibility = acquisition.check(scan, job.region)
        record.add_conditions(conditions, feasibility)
        if feasibility.thin_walls != "feasible":
            record.warn("thin-walls", _verdict(record.entries["feasibility"]))
        steps.step("acquisition")(1.0)
    return scan


def _region_entry(region: Region) -> dict[str, Any]:
    return {"box_mm": region.box_mm or "whole", "margin_mm": MARGIN_MM, "tile_size": None}


def _repair(bone: sitk.Image, part: sitk.Image, job: Job, steps: Steps, record: Record) -> sitk.Image:
    if job.postprocess is None:
        return bone
    with record.step("postprocessing", asdict(job.postprocess)) as measured:
        repaired, done = postprocess(bone, part, job.postprocess, steps.step("postprocessing"))
        if job.postprocess.thin_touches_cortical:
            classes = split_by_value(part, repaired)
            thin, step = keep_touching(classes["thin"], classes["cortical"])
            repaired = sitk.Or(classes["cortical"], thin)
            done.append(step)
        measured["steps"] = done
        measured["counted_in"] = "scan" if job.region.box_mm is None else "region and margin"
    for entry in done:
        if "warning" in entry:
            record.warn("wall-flakes", entry["warning"])
    return repaired


def _model(masks: Masks, job: Job, steps: Steps, record: Record) -> dict[str, Any]:
    """The surface of `bone`, and those asked for of the classes that hold something."""
    surfaces = {}
    progress = steps.step("modelling")
    with record.step("modelling", {"smoothing": job.smoothing}) as measured:
        names = ("bone", *job.surfaces)
        for done, name in enumerate(names):
            if _volume_ml(masks[name]) == 0:
                record.warn("empty-surface", f"There is no {name} bone within these limits, so no surface of it.")
                continue
            surfaces[name], measured[name] = surface_of_mask(
                masks[name],
                SurfaceParameters(smoothing=job.smoothing),
                lambda fraction, done=done: progress((done + fraction) / len(names)),  # type: ignore[misc]
            )
    return surfaces


def _write_surfaces(surfaces: dict[str, Any], folder: Path) -> None:
    for name, mesh in surfaces.items():
        write_stl(mesh, folder / f"{name}.stl", title=name)


def _finish(record: Record, folder: Path) -> list[str]:
    """Write log and record, and list every file."""
    with writing(folder):
        record.write_log(folder / "log.txt")
        record.add_outputs(folder)
        record.write(folder)
    return [output["file"] for output in record.entries["outputs"]] + [RECORD_FILE]


def _volume_ml(mask: sitk.Image) -> float:
    voxels = int(np.count_nonzero(sitk.GetArrayFromImage(mask)))
    return round(voxels * float(np.prod(mask.GetSpacing())) / 1000, 4)


def _verdict(feasibility: dict[str, Any]) -> str:
    return f"Thin walls: {feasibility['thin_walls']}. {feasibility['reason']}"


def _sentence(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_hu', '')} {value:g} HU" for name, value in parameters.items())
