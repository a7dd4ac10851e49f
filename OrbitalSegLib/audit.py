"""What comes after a result: a person's review of it, and the proof that it can be made again [3532-1 5, 6]."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import CONTRACT, pipeline, reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.files import writing
from OrbitalSegLib.job import Job, job_from
from OrbitalSegLib.networks import package
from OrbitalSegLib.pipeline import SEGMENTATION_FILE, Outcome
from OrbitalSegLib.preview import draw_preview
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import (
    NO_RESULT,
    OWN_FILES,
    Record,
    changed_entries,
    last_step,
    read_record,
    sha256_of_file,
)
from OrbitalSegLib.record.edits import count, edited_masks
from OrbitalSegLib.scan import sha256_of
from OrbitalSegLib.structures import BONE

AUTOMATIC_FILE = "automatic.seg.nrrd"
PREVIEW_FILE = "preview.png"

REVIEW_SHARES = {"review": 2.0, "modelling": 6.0, "writing": 2.0, "preview": 2.0}
DICOM_SHARES = {"reading": 3.0, "writing": 3.0}

NO_EFFECT = frozenset(("environment",))
"""Differences by which alone a result is still the same."""

# ---------------------------------------------------------------------------------------------------------------------
# Review


def review(job: Job, steps: Steps, record: Record) -> Outcome:
    """A result folder, and what a person made of it; a result folder with edits counted and reviews added out."""
    assert job.input is not None
    result = _Result(job.input, _entries(job.input))
    pipeline.check_can_simplify(job)
    record.go_on(result.entries)
    headers = pipeline.source_headers(job, job.ct, record)
    with pipeline.result_folder(job) as folder:
        record.add_people(job.purpose, job.operator, list(job.reviews))
        with record.step("review") as measured:
            automatic = result.automatic()
            masks = result.masks()
            if job.edited is not None:
                masks = edited_masks(automatic, job.edited, job.header, record.warn)
            steps.step("review")(0.5)
            counted = {name: count(automatic[name], masks[name]) for name in automatic}
            record.entries["edits"] = {"automatic": result.described, "segments": counted}
            measured["changed"] = job.edited is not None and _differ(result.masks(), masks)
            steps.step("review")(1.0)
        if not measured["changed"]:
            result.copy(folder)
        else:
            _write_edited(result, masks, job, steps, record, folder)
        surfaces = [path.stem for path in sorted(folder.glob("*.stl"))]
        pipeline.write_dicom(masks, surfaces, headers, job, record, folder)
        files = pipeline.finish(record, folder)
    return files, {
        "edits": record.entries["edits"],
        "missing": record.entries["missing"],
        "volumes_ml": {name: one["edited_ml"] for name, one in counted.items()},
    }


def as_dicom(job: Job, steps: Steps, record: Record) -> Outcome:
    """Some segments of a result, as a person left them, as one DICOM segmentation in the scan's study."""
    assert job.input is not None
    assert job.record is not None
    result = _Result(job.record, _entries(job.record))
    record.go_on(result.entries)
    headers = pipeline.source_headers(replace(job, dicom=("segmentation",)), job.ct, record)
    with pipeline.result_folder(job) as folder:
        with record.step("reading", {"segment": job.segment}):
            automatic = result.automatic()
            left = edited_masks(automatic, job.input, job.header, record.warn)
            masks = {name: mask for name, mask in left.items() if name in job.segment.split("+")}
            if not any(pipeline.volume_ml(mask) for mask in masks.values()):
                raise InputError(
                    "not-a-segmentation", f"The result holds nothing called {job.segment}: choose one of its segments."
                )
            counted = {name: count(automatic[name], left[name]) for name in automatic}
            record.entries["edits"] = {"automatic": result.described, "segments": counted}
            steps.step("reading")(1.0)
        with record.step("writing") as measured:
            measured["volumes_ml"] = {name: pipeline.volume_ml(mask) for name, mask in masks.items()}
            pipeline.write_dicom_segmentation(masks, headers, record, folder)
            steps.step("writing")(1.0)
        files = pipeline.finish(record, folder)
    return files, {"volumes_ml": measured["volumes_ml"], "edits": record.entries["edits"]}


def _write_edited(
    result: "_Result", masks: dict[str, sitk.Image], job: Job, steps: Steps, record: Record, folder: Path
) -> None:
    """Write what the edited masks make, and keep what the method gave before anyone touched it."""
    surfaces = pipeline.model(masks, job, steps, record)
    with record.step("writing") as measured, writing(folder):
        measured["volumes_ml"] = {name: pipeline.volume_ml(mask) for name, mask in masks.items()}
        measured["voxels_sha256"] = {name: sha256_of(mask) for name, mask in masks.items()}
        shutil.copyfile(result.automatic_path, folder / AUTOMATIC_FILE)
        result.copy(folder, "probability-*.nrrd")
        write_segmentation(masks, folder / SEGMENTATION_FILE)
        write_label_map(masks[BONE], folder / pipeline.LABEL_MAP_FILE)
        pipeline.write_surfaces(surfaces, folder, job, record)
        steps.step("writing")(1.0)
    if job.ct is not None:
        with record.step("preview"), record.extra(folder / PREVIEW_FILE):
            caption = ["Edited by hand after the automatic result."]
            ct = pipeline.read_ct(job, record).image
            draw_preview(ct, masks, surfaces.get(BONE), folder / PREVIEW_FILE, caption)
            steps.step("preview")(1.0)


def _differ(masks: dict[str, sitk.Image], others: dict[str, sitk.Image]) -> bool:
    """Whether any voxel of any mask is another."""
    return any(sha256_of(masks[name]) != sha256_of(others[name]) for name in masks)


def _entries(path: Path) -> dict[str, Any]:
    """The record of a segmentation. Raises `InputError` `no-result`."""
    entries = read_record(path)
    if last_step(entries, "segmenting") is None:
        raise InputError("no-result", NO_RESULT)
    return entries


@dataclass(frozen=True)
class _Result:
    """A result folder and what its record says."""

    folder: Path
    entries: dict[str, Any]

    @property
    def automatic_path(self) -> Path:
        """The segmentation as the method left it."""
        kept = self.folder / AUTOMATIC_FILE
        return kept if kept.exists() else self.folder / SEGMENTATION_FILE

    @property
    def described(self) -> dict[str, str]:
        """The automatic result, for the record of a review."""
        earlier: dict[str, str] | None = self.entries.get("edits", {}).get("automatic")
        sha256 = next((o["sha256"] for o in self.entries["outputs"] if o["file"] == SEGMENTATION_FILE), "")
        return earlier or {"sha256": sha256, "created": self.entries["created"]}

    def automatic(self) -> dict[str, sitk.Image]:
        """The automatic masks. Raises `InputError` `no-result` where they are not those of the record any more."""
        if sha256_of_file(self.automatic_path) != self.described["sha256"]:
            raise InputError(
                "no-result",
                "The segmentation in the result folder was changed since it was written, so that edits cannot be "
                "counted: segment again, and give the edited segmentation in a file of its own.",
            )
        return self._read(self.automatic_path)

    def masks(self) -> dict[str, sitk.Image]:
        """The masks as they stand: automatic, or as an earlier review left them."""
        return self._read(self.folder / SEGMENTATION_FILE)

    def _read(self, path: Path) -> dict[str, sitk.Image]:
        step = last_step(self.entries, "writing")
        assert step is not None
        return {name: read_segmentation(path, name) for name in step["measured"]["volumes_ml"]}

    def copy(self, folder: Path, pattern: str = "*") -> None:
        """Copy the files that the record lists, but those that every record writes anew, into another folder.

        Raises `InputError` `no-result` where one is not as it was written, and `OutputError`.
        """
        for output in self.entries["outputs"]:
            name = output["file"]
            if name in OWN_FILES or not Path(name).match(pattern):
                continue
            if sha256_of_file(self.folder / name) != output["sha256"]:
                raise InputError("no-result", f"The result's file {name} was changed or lost: segment again.")
            with writing(folder):
                shutil.copyfile(self.folder / name, folder / name)


# ---------------------------------------------------------------------------------------------------------------------
# Verification


@dataclass(frozen=True)
class Difference:
    """What is not as the record says."""

    what: str
    """`record`, `files`, `input`, `package`, `parameters`, `masks` or `environment`."""
    text: str


def verify_shares(job: Job) -> dict[str, float]:
    """The seconds of each step of running a record's job again. Raises as `verify`."""
    assert job.record is not None
    shares = pipeline.segment_shares(_job_again(job, _entries(job.record)))
    return {name: share for name, share in shares.items() if name not in ("modelling", "writing", "preview")}


def verify(job: Job, steps: Steps, _record: Record) -> Outcome:
    """Make a result again from the scan, as its record says, and compare every voxel; nothing is kept.

    Where the scan or the model package is another one, that is said and nothing is run. Raises `OrbitalSegError`.
    """
    assert job.record is not None
    entries = _entries(job.record)
    again = _job_again(job, entries)
    found = [*_changed(job.record, entries), *_environment(entries), *_ingredients(again, entries)]
    run = not {one.what for one in found} & {"input", "package"}
    if run:
        other = Record()
        bone = pipeline.find_bone(again, steps, other)
        found += _compared(entries, other.entries)
        found += _other_voxels(entries, bone.masks)
    return [], {
        "reproduced": run and {one.what for one in found} <= NO_EFFECT,
        "run": run,
        "differences": [{"what": one.what, "text": one.text} for one in found],
        "masks": sorted(_written(entries)["voxels_sha256"]),
    }


def _job_again(job: Job, entries: dict[str, Any]) -> Job:
    """The job that made a result, with the engine, precision, device and threads that it got."""
    settings = dict(entries.get("settings", {}))
    measured = _automatic(entries, "segmenting")["measured"]
    for engine in measured.get("engines", {}).values():
        settings |= {
            "engine": engine["name"],
            "precision": engine["precision"],
            "device": engine["device"],
            "threads": engine["threads"],
        }
    shipped = measured.get("model", {}).get("name")
    settings |= {
        "input": str(job.input),
        "series": job.series,
        "model": shipped if job.model is None else str(job.model),
    }
    return job_from({"contract": CONTRACT, "task": "segment", "output": "-", **settings})


def _changed(path: Path, entries: dict[str, Any]) -> Iterator[Difference]:
    """Entries of the record, and files beside it, that are not as they were written."""
    names = changed_entries(entries)
    if names:
        yield Difference("record", f"The record was changed after it was written: {', '.join(names)}.")
    if path.is_dir():
        for output in entries["outputs"]:
            if sha256_of_file(path / output["file"]) != output["sha256"]:
                yield Difference("files", f"The file {output['file']} is not the one that was written.")


def _environment(entries: dict[str, Any]) -> Iterator[Difference]:
    then, now = entries["environment"], Record().entries["environment"]
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            said = f"{name} was {then.get(name, 'absent')} and is {now.get(name, 'absent')}"
            yield Difference("environment", f"{said}: this alone may change the last bits.")


def _ingredients(again: Job, entries: dict[str, Any]) -> Iterator[Difference]:
    """Whether scan and model package are those of the record."""
    assert again.input is not None
    scan = reading.read(again.input, again.series, header=again.header, grey_values=again.grey_values)
    if sha256_of(scan.image) != entries["input"]["sha256"]:
        yield Difference("input", "The scan's voxels or their grid are not those that were segmented.")
    model = _automatic(entries, "segmenting")["measured"].get("model")
    if model and package.load(again.model).describe()["sha256"] != model["sha256"]:
        yield Difference("package", f"The model package is not the one that was used, {model['name']}.")


def _compared(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    """What the two runs did."""
    if then["region"] != now["region"]:
        yield Difference("parameters", "The region is another one.")
    for name in ("segmenting", "postprocessing"):
        before, after = (_parameters(entries, name) for entries in (then, now))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                said = f"{name}: {key} was {before.get(key)} and is {after.get(key)}"
                yield Difference("parameters", f"{said}.")


def _other_voxels(then: dict[str, Any], masks: dict[str, sitk.Image]) -> Iterator[Difference]:
    before, after = _written(then)["voxels_sha256"], {name: sha256_of(mask) for name, mask in masks.items()}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference("masks", f"The voxels of {name} are not those of the record.")


def _parameters(entries: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(next((s["parameters"] for s in _automatic_steps(entries) if s["step"] == name), {}))


def _written(entries: dict[str, Any]) -> dict[str, Any]:
    return dict(_automatic(entries, "writing")["measured"])


def _automatic(entries: dict[str, Any], name: str) -> dict[str, Any]:
    """A step of the automatic run. Raises `InputError` `no-result` where the record lacks it."""
    for step in _automatic_steps(entries):
        if step["step"] == name:
            return step
    raise InputError("no-result", NO_RESULT)


def _automatic_steps(entries: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps before anyone reviewed the result."""
    for step in entries["steps"]:
        if step["step"] == "review":
            return
        yield step
