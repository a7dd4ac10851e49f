"""The result folder: what its files are called, how it is read, written, sealed and replaced (docs/contracts.md, 6)."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.files import safe_name, whole, write_image, writing
from OrbitalSegLib.networks import schema
from OrbitalSegLib.product import PRODUCT
from OrbitalSegLib.structures import BONE, STRUCTURES, Structure

SEGMENTATION_FILE = "segmentation.seg.nrrd"
AUTOMATIC_FILE = "automatic.seg.nrrd"
"""After a review with edits: what the method gave."""
LABEL_MAP_FILE = f"{BONE}.nii.gz"
DICOM_FILE = "segmentation.dcm"
PREVIEW_FILE = "preview.png"
RECORD_FILE, PAGE_FILE, LOG_FILE = "record.json", "record.html", "log.txt"

OWN_FILES = (RECORD_FILE, PAGE_FILE, LOG_FILE)
"""What every record writes anew: times stand in it."""

PROBABILITY = "probability-"
"""Before a network's name."""
MAP = "map-"
"""Before the name of what a method measures beside bone."""

SEAL = "seal"

NO_RESULT = "This is no result of OrbitalSeg, or its record is damaged: give a result folder or its record.json."


@dataclass(frozen=True)
class ResultFolder:
    """A result folder, or its record alone (`record`), whatever name the folder has."""

    path: Path

    # -- Names

    @property
    def segmentation(self) -> Path:
        return self.path / SEGMENTATION_FILE

    @property
    def automatic(self) -> Path:
        """The segmentation as the method left it."""
        kept = self.path / AUTOMATIC_FILE
        return kept if kept.exists() else self.segmentation

    @property
    def preview(self) -> Path:
        return self.path / PREVIEW_FILE

    @property
    def dicom(self) -> Path:
        return self.path / DICOM_FILE

    @property
    def record(self) -> Path:
        return self.path / RECORD_FILE if self.path.is_dir() else self.path

    def probability(self, network: str) -> Path:
        return self.path / f"{PROBABILITY}{network}.nrrd"

    def surface(self, name: str) -> Path:
        """Its STL."""
        return self.path / f"{safe_name(name)}.stl"

    def quality_map(self, name: str) -> Path:
        return self.path / f"{safe_name(name)}-quality.vtp"

    @property
    def surfaces(self) -> list[str]:
        """The names of the surfaces that are there as STL."""
        return [path.stem for path in sorted(self.path.glob("*.stl"))]

    @property
    def networks(self) -> dict[str, Path]:
        """The files of probabilities by network."""
        found = sorted(self.path.glob(f"{PROBABILITY}*.nrrd"))
        return {path.stem.removeprefix(PROBABILITY): path for path in found}

    # -- Reading

    @cached_property
    def entries(self) -> dict[str, Any]:
        """The record. Raises `InputError` `no-result`."""
        return read_record(self.path)

    @property
    def segmented(self) -> dict[str, Any]:
        """The record, which is that of a segmentation. Raises `InputError` `no-result`."""
        if last_step(self.entries, "segmenting") is None:
            raise InputError("no-result", NO_RESULT)
        return self.entries

    def masks(self) -> dict[str, sitk.Image]:
        """The masks as they stand, on the result grid: automatic, or as an earlier review left them."""
        return self._masks_of(self.segmentation)

    def automatic_masks(self) -> dict[str, sitk.Image]:
        """The masks as the method left them. Raises `InputError` `no-result` where they are not those of the record."""
        if sha256_of_file(self.automatic) != self.described["sha256"]:
            raise InputError(
                "no-result",
                "The segmentation in the result folder was changed since it was written, so that edits cannot be "
                "counted: segment again, and give the edited segmentation in a file of its own.",
            )
        return self._masks_of(self.automatic)

    def _masks_of(self, path: Path) -> dict[str, sitk.Image]:
        step = last_step(self.entries, "writing")
        if step is None:
            raise InputError("no-result", NO_RESULT)
        return {name: read_segmentation(path, name) for name in step["measured"]["volumes_ml"]}

    @property
    def described(self) -> dict[str, str]:
        """The automatic result, for the record of a review."""
        earlier: dict[str, str] | None = self.entries.get("edits", {}).get("automatic")
        sha256 = next((o["sha256"] for o in self.entries["outputs"] if o["file"] == SEGMENTATION_FILE), "")
        return earlier or {"sha256": sha256, "created": self.entries["created"]}

    def changed_files(self) -> list[str]:
        """The files that are not as the record says; none where the record came alone."""
        outputs = self.entries["outputs"] if self.path.is_dir() else []
        return [item["file"] for item in outputs if sha256_of_file(self.path / item["file"]) != item["sha256"]]

    # -- Writing

    def write_masks(self, masks: dict[str, sitk.Image], structures: Mapping[str, Structure] = STRUCTURES) -> None:
        """The segmentation, and its bone, if it has any, as a label map. Raises `OutputError`."""
        write_segmentation(masks, self.segmentation, structures)
        if BONE in masks:
            write_label_map(masks[BONE], self.path / LABEL_MAP_FILE)

    def write_probabilities(self, probabilities: dict[str, sitk.Image]) -> None:
        """By network, 8 bits. Raises `OutputError`."""
        for name, probability in probabilities.items():
            write_image(probability, self.probability(name))

    def write_maps(self, maps: Mapping[str, sitk.Image]) -> None:
        """By name, 32-bit float. Raises `OutputError`."""
        for name, values in maps.items():
            write_image(values, self.path / f"{MAP}{name}.nrrd")

    def keep_automatic(self, other: "ResultFolder") -> None:
        """What the method gave for another result, beside what a person made of it. Raises `OutputError`."""
        with writing(self.path):
            shutil.copyfile(other.automatic, self.path / AUTOMATIC_FILE)

    def copy_to(self, other: "ResultFolder", pattern: str = "*") -> None:
        """Copy the files that the record lists, but those that every record writes anew, into another folder.

        Raises `InputError` `no-result` where one is not as it was written, and `OutputError`.
        """
        for output in self.entries["outputs"]:
            name = output["file"]
            if name in OWN_FILES or not Path(name).match(pattern):
                continue
            if sha256_of_file(self.path / name) != output["sha256"]:
                raise InputError("no-result", f"The result's file {name} was changed or lost: segment again.")
            with writing(other.path):
                shutil.copyfile(self.path / name, other.path / name)


@contextmanager
def new_result(output: Path, overwrite: bool = False, source: Path | None = None) -> Iterator[ResultFolder]:
    """An empty folder that becomes `output` when the block succeeds (see `files.whole`).

    Raises `OutputError` `exists` where that would replace `source`, what the result is made of, or what is no result.
    """
    if source is not None and _resolved(output) in (_resolved(source), *_resolved(source).parents):
        raise OutputError("exists", "The output would replace the input: choose another name for it.")
    with whole(output, check_replaceable if overwrite else None) as folder:
        with writing(folder):
            folder.mkdir()
        yield ResultFolder(folder)


def _resolved(path: Path) -> Path:
    """Where a path leads; a name that no system takes leads nowhere else."""
    try:
        return path.resolve()
    except OSError:
        return path.absolute()


def segmentation_in(path: Path) -> Path:
    """The segmentation of a result folder, or the file itself."""
    ours = ResultFolder(path).segmentation
    return ours if ours.is_file() else path


# ---------------------------------------------------------------------------------------------------------------------
# The record in it


@cache
def record_schema() -> dict[str, Any]:
    """The published JSON Schema of a record."""
    found: dict[str, Any] = json.loads(
        (files("OrbitalSegLib.record") / "record.schema.json").read_text(encoding="utf-8")
    )
    return found


def read_record(path: Path) -> dict[str, Any]:
    """The entries of a record, which is named by its file or its folder and is as the schema asks.

    Raises `InputError` `no-result`.
    """
    try:
        entries = json.loads(ResultFolder(path).record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("no-result", NO_RESULT) from error
    found = schema.problem(entries, record_schema())
    if found:
        raise InputError("no-result", f"{NO_RESULT} It does not follow its schema: {found}.")
    return dict(entries)


def write_record(folder: Path, entries: dict[str, Any]) -> None:
    """Seal the entries of a record and write them. Raises `OSError`."""
    entries[SEAL] = seal_of(entries)
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    (folder / RECORD_FILE).write_text(text, encoding="utf-8")


def last_step(entries: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The last step of that name, or None."""
    found: dict[str, Any] | None = next((step for step in reversed(entries["steps"]) if step["step"] == name), None)
    return found


def listed(folder: Path) -> list[dict[str, Any]]:
    """Every file under a result folder but the record, with its size and hash."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    found = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name != RECORD_FILE:
            found.append({"file": name, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)})
    return found


def sha256_of_file(path: Path) -> str:
    """The hash of a file's bytes; empty where it cannot be read, which is no file's hash."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def seal_of(entries: dict[str, Any]) -> dict[str, str]:
    """A hash of each of a record's entries, by which a later change shows. Anyone can make it anew: no signature."""
    return {
        name: hashlib.sha256(
            json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()
        for name, value in entries.items()
        if name != SEAL
    }


def changed_entries(entries: dict[str, Any]) -> list[str]:
    """The entries of a record that were changed, added or removed after it was written."""
    sealed, now = entries[SEAL], seal_of(entries)
    return sorted(name for name in sealed.keys() | now.keys() if sealed.get(name) != now.get(name))


def check_replaceable(folder: Path) -> None:
    """Let a result pass that holds what its record says and nothing else; what a person made is never replaced.

    Raises `OutputError` `exists`.
    """
    try:
        entries = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        ours = entries["product"]["name"] == PRODUCT and entries["outputs"] == listed(folder)
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise OutputError(
            "exists",
            "What exists under that name is no result of OrbitalSeg, or was changed since: choose another name.",
        )
