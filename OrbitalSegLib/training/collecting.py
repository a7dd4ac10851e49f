"""Results that people accepted become a data set, without anything of the patient [3532-2 12, 9].

A result folder does not hold its scan. It is looked for by its voxels, so that a label never comes to another image.
"""

import csv
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.archive.finding import FoundScan, scans_of, units_of
from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.files import whole, write_image, writing
from OrbitalSegLib.images import mask_array, mask_on_grid, on_grid
from OrbitalSegLib.preprocessing import to_working, working_grid_of
from OrbitalSegLib.progress import Progress, silent, span
from OrbitalSegLib.reading.dicom import Series
from OrbitalSegLib.results import RECORD_FILE, SEGMENTATION_FILE, ResultFolder, changed_entries, last_step
from OrbitalSegLib.scan import Scan, grid_of, sha256_of
from OrbitalSegLib.structures import INFERRED, STRUCTURES, Structure, structures_of
from OrbitalSegLib.training import quality
from OrbitalSegLib.training.dataset import Entry
from OrbitalSegLib.training.store import EDITED, IGNORED

ACCEPTED = ("accepted", "accepted with edits")
"""Outcomes of a review after which a result may teach."""

PRIVATE = "private"
KEY_FILE, LEFT_OUT_FILE, QUALITY_FILE = "key.csv", "left-out.csv", "quality.csv"
KEY_COLUMNS = ("case", "patient", "result", "scan", "series")

NOBODY = "Nobody has reviewed it: review it in the panel, or with `orbitalseg review`."
OTHER_FILES = "It was changed since it was written: make it, and its review, again."
NO_SCAN = "Its scan is not among the scans that were given, by its voxels: give the folder that it was read from."
GREY = "The values of its scan are no HU: a network would learn them wrongly."
EARLIER = "A later review of the same scan is taken."


@dataclass(frozen=True)
class LeftOut:
    """A result that is not taken, and why."""

    result: Path
    why: str


@dataclass(frozen=True)
class Accepted:
    """A result that people accepted."""

    folder: ResultFolder

    @property
    def entries(self) -> dict[str, Any]:
        return self.folder.entries

    @property
    def scan(self) -> str:
        """The hash of its scan's voxels and grid."""
        return str(self.entries["input"]["sha256"])

    @property
    def when(self) -> datetime:
        return datetime.fromisoformat(self.entries.get("revised", self.entries["created"]))


@dataclass(frozen=True)
class Collected:
    """What became a case, and what did not."""

    cases: tuple[str, ...]
    patients: int
    left_out: tuple[LeftOut, ...]
    findings: tuple[quality.Finding, ...]
    """Of the cases, what is to be said."""


def collect_results(
    results: Path, scans: Path, out: Path, progress: Progress = silent, series: str | None = None
) -> Collected:
    """Make a data set of all accepted results under `results`, a new folder `out`, whole or not at all.

    Parameters
    ----------
    results
        A folder, however deep results lie in it.
    scans
        What the results were made of: a scan, or a folder of scans, as `orbitalseg batch` takes it.
    out
        Gets a folder for each case (image and label on the grid of the result, cut to its region), `quality.csv`, and
        `private/`, which alone says which case is whose and is not to be passed on.
    progress
        Hears how much is done, from 0 to 1.
    series
        Of DICOM, where only one is meant.

    Raises
    ------
    InputError
        `no-result` where there is none to be taken; `no-dicom`, `no-such-input` or `unreadable` of the scans.
    OutputError
        Where `out` exists or cannot be written.
    """
    accepted, left_out = _accepted(results)
    if not accepted and not left_out:
        raise InputError("no-result", "There is no result in this folder: choose one that holds result folders.")
    if not accepted:
        raise InputError("no-result", f"None of {len(left_out)} results can be taken. {_reasons(left_out)}")
    with whole(out) as folder, writing(out.parent):
        folder.mkdir()
        made = _Making(folder)
        for one, scan, found in _with_scans(accepted, scans, series, span(progress, 0.05, 0.9)):
            made.add(one, scan, found)
        left_out += [LeftOut(one.folder.path, NO_SCAN) for one in accepted if one.scan not in made.scans]
        findings = made.inspected(left_out, span(progress, 0.9, 1.0))
        if not made.rows:
            raise InputError("no-result", f"None of {len(left_out)} results can be taken. {_reasons(left_out)}")
        made.write(left_out, findings)
    progress(1.0)
    patients = len({row["patient"] for row in made.rows})
    return Collected(tuple(row["case"] for row in made.rows), patients, tuple(left_out), tuple(findings))


def _reasons(left_out: Sequence[LeftOut]) -> str:
    """Each reason once, with how often it is one."""
    counts = {one.why: [other.why for other in left_out].count(one.why) for one in left_out}
    return " ".join(f"{count} of them: {why}" for why, count in counts.items())


# ---------------------------------------------------------------------------------------------------------------------
# Results


def _accepted(results: Path) -> tuple[list[Accepted], list[LeftOut]]:
    """The accepted results, of several of one scan the one that was reviewed last."""
    taken: dict[str, Accepted] = {}
    left_out = []
    for path in _results_under(results):
        why = _why_not(path)
        if why:
            left_out.append(LeftOut(path, why))
            continue
        one = Accepted(ResultFolder(path))
        other = taken.get(one.scan)
        if other is not None:
            earlier, one = sorted((other, one), key=lambda result: result.when)
            left_out.append(LeftOut(earlier.folder.path, EARLIER))
        taken[one.scan] = one
    return list(taken.values()), left_out


def _results_under(folder: Path) -> list[Path]:
    reading.must_exist(folder)
    found = (path.parent for path in folder.rglob(SEGMENTATION_FILE))
    return sorted(path for path in found if (path / RECORD_FILE).is_file())


def _why_not(path: Path) -> str | None:
    """Why a result cannot be taken, by its folder alone."""
    folder = ResultFolder(path)
    try:
        entries = folder.segmented
    except InputError as error:
        return error.text
    if changed_entries(entries) or folder.changed_files():
        return OTHER_FILES
    if any(warning["code"] == "grey-values" for warning in entries["warnings"]):
        return GREY
    last = {review["kind"]: review["outcome"] for review in entries.get("reviews", ())}
    against = next((f"{kind} is {outcome}" for kind, outcome in last.items() if outcome not in ACCEPTED), None)
    if against:
        return f"The review {against}: correct it, and review it again."
    return None if last else NOBODY


# ---------------------------------------------------------------------------------------------------------------------
# Scans


@dataclass(frozen=True)
class _Found:
    """Where a scan was found, and whose it is."""

    path: Path
    series: str
    patient: str
    """Tells patients apart; a volume file's is its own."""


def _with_scans(
    accepted: Sequence[Accepted], scans: Path, series: str | None, progress: Progress
) -> Iterator[tuple[Accepted, Scan, _Found]]:
    """Each result whose scan is there, with it. Scans of as many voxels as one that is wanted come first."""
    wanted = {one.scan: one for one in accepted}
    sizes = {int(np.prod(one.entries["input"]["grid"]["size"])) for one in accepted}
    headers = dict.fromkeys(one.entries["settings"].get("header") for one in accepted)
    reading.must_exist(scans)
    units = [replace(unit, series=unit.series or series) for unit in units_of(scans, scans / PRIVATE, silent)]
    found = [scan for unit in units for scan in scans_of(unit, "all", grey_values=False) if scan.problem is None]
    for done, one in enumerate(sorted(found, key=lambda scan: scan.voxels not in sizes)):
        progress(done / len(found))
        for scan, where in _read(one, headers):
            result = wanted.pop(sha256_of(scan.image), None)
            if result is not None:
                yield result, scan, where
        if not wanted:
            return


def _read(found: FoundScan, headers: Iterable[str | None]) -> Iterator[tuple[Scan, _Found]]:
    """A scan, in each of the ways in which the results' own were read; what cannot be read is none that is wanted."""
    for header in headers:
        listed: list[Series] = []
        try:
            scan = reading.read(found.unit.path, found.series, listed=listed.extend, header=header)
        except OrbitalSegError:
            continue
        name = scan.measured.get("series_name", "")
        patient = next((one.study.patient for one in listed if one.name == name), "")
        yield scan, _Found(found.unit.path, str(name), patient or sha256_of(scan.image))


# ---------------------------------------------------------------------------------------------------------------------
# Cases


class _Making:
    """The data set while it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, str]] = []
        self.scans: set[str] = set()
        self.results: dict[str, Path] = {}
        self.labels: dict[str, int] = {}
        self._set = secrets.token_hex(4)
        """Of this data set alone: numbers of patients in another one are not these."""
        self._patients: dict[str, str] = {}

    def add(self, one: Accepted, scan: Scan, found: _Found) -> None:
        """One more case."""
        masks = one.folder.masks()
        structures = structures_of(one.entries)
        label = _label(one, masks, structures)
        patient = self._patients.setdefault(found.patient, f"{self._set}-{len(self._patients) + 1}")
        name = f"case-{sha256((one.scan + ''.join(map(sha256_of, label.values()))).encode()).hexdigest()[:10]}"
        (self.folder / name).mkdir()
        write_image(_on_result_grid(scan.image, next(iter(masks.values()))), self.folder / name / "image.nrrd")
        write_segmentation(label, self.folder / name / "label.seg.nrrd", {**structures, **MARKS})
        about = {"patient": patient, **_origin(one)}
        (self.folder / name / "about.json").write_text(dumps(about, indent=1) + "\n", encoding="utf-8")
        row = (name, patient, str(one.folder.path.absolute()), str(found.path.absolute()), found.series)
        self.rows.append(dict(zip(KEY_COLUMNS, row, strict=True)))
        self.scans.add(one.scan)
        self.results[name] = one.folder.path
        for structure in label.keys() - MARKS.keys():
            self.labels.setdefault(structure, len(self.labels) + 1)

    def inspected(self, left_out: list[LeftOut], progress: Progress) -> list[quality.Finding]:
        """The findings of all cases; one that no training would take is taken out again."""
        entries = [Entry(self.folder / row["case"], {}) for row in self.rows]
        findings = quality.inspect(entries, self.labels, progress)
        for bad in (found for found in findings if found.severity == "error"):
            if bad.case in self.results:
                left_out.append(LeftOut(self.results.pop(bad.case), bad.text))
                self.rows = [row for row in self.rows if row["case"] != bad.case]
                for file in (self.folder / bad.case).iterdir():
                    file.unlink()
                (self.folder / bad.case).rmdir()
        return [found for found in findings if found.case in self.results]

    def write(self, left_out: Sequence[LeftOut], findings: Sequence[quality.Finding]) -> None:
        """The report, and the private folder."""
        entries = [Entry(self.folder / row["case"], {}) for row in self.rows]
        quality.write_report(entries, findings, self.folder / QUALITY_FILE)
        private = self.folder / PRIVATE
        private.mkdir()
        _write_table(private / KEY_FILE, KEY_COLUMNS, ([*row.values()] for row in self.rows))
        _write_table(
            private / LEFT_OUT_FILE, ("result", "why"), ([str(one.result.absolute()), one.why] for one in left_out)
        )


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


MARKS: Mapping[str, Structure] = {
    name: replace(STRUCTURES[INFERRED], name=name, title=name) for name in (EDITED, IGNORED)
}
"""Segments of a label that are no class."""


def _label(
    one: Accepted, masks: Mapping[str, sitk.Image], structures: Mapping[str, Structure]
) -> dict[str, sitk.Image]:
    """What was accepted, by class; what people changed; and what nobody vouches for: wall that is only inferred."""
    classes = {
        name: mask
        for name, mask in masks.items()
        if structures[name].kind not in ("inferred", "gap") and not structures[name].values
    }
    automatic = one.folder.automatic_masks()
    edited = np.logical_or.reduce([mask_array(automatic[name]) != mask_array(mask) for name, mask in classes.items()])
    known = np.logical_or.reduce([mask_array(mask) for mask in classes.values()]) | edited
    inferred = mask_array(masks[INFERRED]) & ~known if INFERRED in masks else np.zeros_like(known)
    marks = {EDITED: edited, IGNORED: inferred}
    grid = next(iter(classes.values()))
    return classes | {name: mask_on_grid(flags, grid) for name, flags in marks.items()}


def _on_result_grid(scan: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """The scan's HU where a result's voxels lie, without what its file said besides: cut where the result lies on the
    scan grid, else as networks see it on the result's own."""
    same = np.allclose(np.sort(scan.GetSpacing()), np.sort(mask.GetSpacing()), rtol=1e-4)
    if same:
        hu = on_grid_of(mask, scan)
    else:
        grid = working_grid_of(scan, mask)
        hu = to_working(scan, grid)
    return on_grid(np.rint(sitk.GetArrayFromImage(hu)).astype(np.int16), mask)


def _origin(one: Accepted) -> dict[str, Any]:
    """How the label came to be; nobody's name, no date and no path."""
    step = last_step(one.entries, "segmenting") or {}
    model = step.get("measured", {}).get("model", {})
    counted = one.entries.get("edits", {}).get("segments", {})
    return {
        "method": step.get("parameters", {}).get("method"),
        "model": {name: model[name] for name in ("name", "version", "sha256") if name in model} or None,
        "reviews": [{"kind": review["kind"], "outcome": review["outcome"]} for review in one.entries["reviews"]],
        "added_ml": {name: found["added_ml"] for name, found in counted.items()},
        "removed_ml": {name: found["removed_ml"] for name, found in counted.items()},
        "grid": grid_of(next(iter(one.folder.masks().values()))),
    }
