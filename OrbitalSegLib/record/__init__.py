"""What must be written down of a result [3532-1 5, A]: one record, to which every step adds (docs/contracts.md, 8)."""

import hashlib
import json
import platform
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from vtkmodules.vtkCommonCore import vtkVersion

from OrbitalSegLib import NOTICE, PRODUCT, __version__
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.errors import INTERNAL, NO_MEMORY, InputError, OrbitalSegError, OutputError
from OrbitalSegLib.files import output_error
from OrbitalSegLib.networks import schema
from OrbitalSegLib.record import required
from OrbitalSegLib.scan import Scan, grid_of, sha256_of

RECORD_VERSION = 2
RECORD_FILE = "record.json"
PAGE_FILE = "record.html"
LOG_FILE = "log.txt"

OWN_FILES = (RECORD_FILE, PAGE_FILE, LOG_FILE)
"""What every record writes anew: times stand in it."""

SEAL = "seal"
ENGINE_PACKAGES = ("torch", "openvino")
"""Packages that may run the networks; their versions are recorded where they are installed."""

NO_RESULT = "This is no result of OrbitalSeg, or its record is damaged: give a result folder or its record.json."

SIDES_UNKNOWN = "Left and right may be exchanged, as no file says how the patient lies."


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


def sha256_of_file(path: Path) -> str:
    """The hash of a file's bytes; empty where it cannot be read, which is no file's hash."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def listed(folder: Path) -> list[dict[str, Any]]:
    """Every file under a result folder but the record, with its size and hash."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    found = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name != RECORD_FILE:
            found.append({"file": name, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)})
    return found


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
        text = (path / RECORD_FILE if path.is_dir() else path).read_text(encoding="utf-8")
        entries = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("no-result", NO_RESULT) from error
    found = schema.problem(entries, record_schema())
    if found:
        raise InputError("no-result", f"{NO_RESULT} It does not follow its schema: {found}.")
    return dict(entries)


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


def last_step(entries: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The last step of that name, or None."""
    found: dict[str, Any] | None = next((step for step in reversed(entries["steps"]) if step["step"] == name), None)
    return found


def sides_known(entries: dict[str, Any]) -> bool:
    """Whether what a record calls left and right is so."""
    return all(warning["code"] != "orientation-unknown" for warning in entries["warnings"])


class Record:
    """The growing record of one result. `warned` hears of every warning at once."""

    def __init__(self, warned: Callable[[str, str], None] = lambda _code, _text: None) -> None:
        self.warned = warned
        self._told: list[dict[str, str]] = []
        self.entries: dict[str, Any] = {
            "record": RECORD_VERSION,
            "product": {"name": PRODUCT, "version": __version__, "notice": NOTICE},
            "created": _now(),
            "environment": _environment(),
            "steps": [],
            "warnings": [],
            "outputs": [],
        }

    @contextmanager
    def step(self, name: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Time a step; the block fills in what it measured."""
        measured: dict[str, Any] = {}
        start = time.perf_counter()
        yield measured
        seconds = round(time.perf_counter() - start, 3)
        entry = {"step": name, "parameters": parameters or {}, "measured": measured, "seconds": seconds}
        self.entries["steps"].append(entry)

    def warn(self, code: str, text: str) -> None:
        """Say something once: what stands there is not added again, nor told twice."""
        entry = {"code": code, "text": text}
        if entry not in self.entries["warnings"]:
            self.entries["warnings"].append(entry)
        if entry not in self._told:
            self._told.append(entry)
            self.warned(code, text)

    @property
    def sides_known(self) -> bool:
        """Whether what is called left and right is so: every file that was read says how the patient lies."""
        return sides_known(self.entries)

    @contextmanager
    def extra(self, path: Path) -> Iterator[None]:
        """For a file that never costs the run: what stops the block becomes a warning, and no half file stays."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the result is worth more than this file
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self.warn("incomplete", f"{path.name} could not be written; all else was. {_reason(error, path.parent)}")

    def add_settings(self, settings: dict[str, Any]) -> None:
        """What the job asked for, so that it can be done again."""
        self.entries["settings"] = settings

    def add_people(self, purpose: str | None, operator: str | None, reviews: list[dict[str, Any]]) -> None:
        """What only people know: given values replace what stands there, reviews are added to what stands there."""
        for name, value in (("purpose", purpose), ("operator", operator)):
            self.entries[name] = value if value is not None else self.entries.get(name)
        self.entries["reviews"] = [*self.entries.get("reviews", []), *reviews]

    def go_on(self, earlier: dict[str, Any]) -> None:
        """Take over the entries of an earlier record of the same result; files and seal are this one's own."""
        taken = {name: value for name, value in earlier.items() if name not in ("outputs", SEAL, "missing")}
        self.entries = taken | {"outputs": [], "revised": _now()}

    def add_input(self, kind: str, image: sitk.Image) -> None:
        self.entries["input"] = {"kind": kind, "sha256": sha256_of(image), "grid": grid_of(image)}

    def add_scan(self, scan: Scan) -> None:
        self.add_input(scan.kind, scan.image)
        self.entries["acquisition"] = asdict(scan.acquisition)
        for code, text in scan.warnings:
            self.warn(code, text)

    def add_conditions(self, conditions: list[Condition], feasibility: Feasibility) -> None:
        self.entries["conditions"] = [asdict(condition) for condition in conditions]
        self.entries["feasibility"] = asdict(feasibility)

    def finish(self, folder: Path) -> None:
        """Write log, page and record into the result folder, and list and seal what is there."""
        from OrbitalSegLib.record.page import page_of

        self.write_log(folder / LOG_FILE)
        self.entries["outputs"] = listed(folder)
        if last_step(self.entries, "segmenting"):
            self.entries["missing"] = required.missing(self.entries)
            with self.extra(folder / PAGE_FILE):
                (folder / PAGE_FILE).write_text(page_of(self.entries, folder), encoding="utf-8")
            self.write_log(folder / LOG_FILE)
            self.entries["outputs"] = listed(folder)
        self.entries[SEAL] = seal_of(self.entries)
        text = json.dumps(self.entries, indent=1, ensure_ascii=False) + "\n"
        (folder / RECORD_FILE).write_text(text, encoding="utf-8")

    def write_log(self, path: Path) -> None:
        """The steps and warnings as lines for people."""
        product = self.entries["product"]
        lines = [f"{product['name']} {product['version']}. {product['notice']}", self.entries["created"]]
        for entry in self.entries["steps"]:
            lines.append(f"{entry['step']}: {entry['seconds']:.2f} s, {json.dumps(entry['measured'])}")
        lines += [f"warning {entry['code']}: {entry['text']}" for entry in self.entries["warnings"]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _reason(error: Exception, folder: Path) -> str:
    if isinstance(error, OrbitalSegError):
        return error.text
    if isinstance(error, OSError):
        return output_error(error, folder).text
    if not isinstance(error, MemoryError):
        traceback.print_exception(error)  # a bug: its cause goes to standard error
    return NO_MEMORY if isinstance(error, MemoryError) else INTERNAL


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _environment() -> dict[str, str]:
    """Versions of what calculates."""
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "SimpleITK": sitk.Version.VersionString(),
        "vtk": vtkVersion.GetVTKVersion(),
        "pydicom": pydicom.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for name in ENGINE_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
