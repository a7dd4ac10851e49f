"""What tasks have in common besides their work: scans read and surfaces made with a record, and files that may fail."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from pydicom.dataset import Dataset
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib import reading
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.export import dicom, headers
from OrbitalSegLib.export.surfaces import MAIN_FORMAT, surface_path, write_map, write_surface
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.modelling import simplification
from OrbitalSegLib.modelling.field import BoneField, with_halves
from OrbitalSegLib.modelling.model import ModelParameters, models_of
from OrbitalSegLib.networks.resources import limit_bytes
from OrbitalSegLib.progress import Progress, Steps, silent
from OrbitalSegLib.reading.dicom import Series
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import ResultFolder
from OrbitalSegLib.scan import Scan, grid_of, sha256_of
from OrbitalSegLib.structures import of_surface
from OrbitalSegLib.tasks.parts import Files, ResultFiles, ScanInput

READ_SHARE = {"reading": 2.0}
"""Seconds on a head of 512 x 512 x 140 voxels, by benchmarks/main_job.py."""

# ---------------------------------------------------------------------------------------------------------------------
# Reading


def read_scan(
    job: ScanInput, steps: Steps, record: Record, listed: Callable[[list[Series]], None] = lambda _series: None
) -> Scan:
    """The job's scan. `listed` hears of all series before one is chosen."""
    with record.step("reading", {"series": "asked for" if job.series else "chosen"}) as measured:
        progress = steps.step("reading")
        scan = reading.read(job.input, job.series, progress, listed, job.header, job.grey_values, job.origin)
        measured.update(scan.measured)
    record.add_scan(scan)
    return scan


def read_ct(ct: Path, job: Files, record: Record, progress: Progress = silent) -> Scan:
    """The CT that a job names beside what it is about, with its warnings in the record."""
    scan = reading.read(ct, job.series, progress, header=job.header, grey_values=job.grey_values, origin=job.origin)
    for code, text in scan.warnings:
        record.warn(code, text)
    return scan


def source_headers(scan: Path, job: Files, record: Record, *, deidentify: bool, segmentation: bool) -> list[Dataset]:
    """The headers that results in DICOM need, checked. Raises `InputError`."""
    if segmentation:
        dicom.check_can_write()
    whole = reading.read_headers(scan, job.series, job.grey_values)
    if deidentify:
        headers.check(whole)
        return headers.prepared(headers.without_identity(whole))[0]
    found, said = headers.prepared(whole)
    for sentence in said:
        record.warn("dicom-header", sentence)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Surfaces


def check_can_model(parameters: ModelParameters) -> None:
    """Whether what the surfaces need is installed, before anything is done. Raises `InputError` `needs-mesh`."""
    if parameters.simplify_mm is not None:
        simplification.check_installed()


def make_surfaces(
    fields: Callable[[], dict[str, BoneField]],
    parameters: ModelParameters,
    memory_gb: float | None,
    steps: Steps,
    record: Record,
) -> dict[str, vtkPolyData]:
    """The surfaces of these fields, with what is known of their vertices."""
    progress = steps.step("modelling")
    with record.step("modelling", asdict(parameters)) as measured:
        made = models_of(fields(), parameters, limit_bytes(memory_gb), progress)
        measured |= {name: model.measured for name, model in made.items()}
    return {name: model.coloured for name, model in made.items()}


def halved(fields: dict[str, BoneField], record: Record, middle_mm: float | None = None) -> dict[str, BoneField]:
    """The fields, and their halves where these can be called left and right; where not, it is said."""
    if record.sides_known:
        return with_halves(fields, middle_mm)
    record.warn(
        "incomplete",
        "The left and right half were left out, as the file does not say which is which: segment the DICOM series.",
    )
    return fields


def figures_of(masks: dict[str, sitk.Image]) -> dict[str, Any]:
    """What the record says of the masks that are written: their grid, and of each its volume and the hash."""
    return {
        "grid": grid_of(next(iter(masks.values()))),
        "volumes_ml": {name: volume_ml(mask) for name, mask in masks.items()},
        "voxels_sha256": {name: sha256_of(mask) for name, mask in masks.items()},
    }


def write_surfaces(
    surfaces: dict[str, vtkPolyData], formats: Sequence[str], quality_map: bool, record: Record, folder: ResultFolder
) -> None:
    """In every format, and where it is asked for as a map of what was measured at each vertex.

    What comes besides STL never costs the run.
    """
    for name, mesh in surfaces.items():
        for format_name in formats:
            path = surface_path(folder.path, name, format_name)
            with nullcontext() if format_name == MAIN_FORMAT else record.extra(path):
                write_surface(mesh, folder.path, name, format_name, record.structures)
        if quality_map:
            with record.extra(folder.quality_map(name)):
                write_map(mesh, folder.quality_map(name))


# ---------------------------------------------------------------------------------------------------------------------
# DICOM


def headers_for(job: ResultFiles, scan: Path | None, record: Record) -> list[Dataset]:
    """What is written as DICOM takes its headers from the scan; none where nothing is. Raises `OrbitalSegError`."""
    if not job.dicom:
        return []
    if scan is None:
        raise JobError("invalid-job", "Results in DICOM need the scan: give `ct`.")
    return source_headers(scan, job, record, deidentify=job.deidentify, segmentation="segmentation" in job.dicom)


def write_dicom(
    masks: dict[str, sitk.Image],
    surfaces: list[str],
    wanted: Sequence[str],
    sources: list[Dataset],
    record: Record,
    folder: ResultFolder,
) -> None:
    """Write as DICOM what is wanted, which never costs the run; surfaces are those whose STL is there."""
    if "segmentation" in wanted:
        with record.extra(folder.dicom):
            write_dicom_segmentation(masks, sources, record, folder)
    if "surface" in wanted:
        for name in surfaces:
            stl, (structure, side) = folder.surface(name), of_surface(name, record.structures)
            path = stl.with_name(f"{stl.name}.dcm")
            with record.extra(path):
                dicom.write_dicom_surface(
                    stl, sources, path, f"{structure.title if structure else name} {side}".strip()
                )


def write_dicom_segmentation(
    masks: dict[str, sitk.Image], sources: list[Dataset], record: Record, folder: ResultFolder
) -> None:
    """The masks as DICOM, with what the record says of how they were made. Raises as the writer does."""
    dicom.write_dicom_segmentation(masks, sources, folder.dicom, dicom.algorithm_of(record.entries), record.structures)
