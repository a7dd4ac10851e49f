"""What must be written down of a result [3532-1 5, A]: one record, to which every step adds (docs/contracts.md, 8)."""

import json
import platform
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from vtkmodules.vtkCommonCore import vtkVersion

from OrbitalSegLib.errors import INTERNAL, NO_MEMORY, OrbitalSegError
from OrbitalSegLib.files import output_error, writing
from OrbitalSegLib.languages import ENGLISH
from OrbitalSegLib.product import NOTICE, PRODUCT, VERSION
from OrbitalSegLib.progress import StepTaken, Warn, step_of, unheard
from OrbitalSegLib.record import required
from OrbitalSegLib.results import LOG_FILE, PAGE_FILE, RECORD_FILE, SEAL, ResultFolder, last_step, listed, write_record
from OrbitalSegLib.scan import Scan, grid_of, sha256_of
from OrbitalSegLib.segmenting import Examined, Segmentation
from OrbitalSegLib.structures import Structure, brought, structures_of

RECORD_VERSION = 2
ENGINE_PACKAGES = ("torch", "openvino")
"""Packages that may run the networks; their versions are recorded where they are installed."""

SIDES_UNKNOWN = "Left and right may be exchanged, as no file says how the patient lies."


def sides_known(entries: dict[str, Any]) -> bool:
    """Whether what a record calls left and right is so.

    Parameters
    ----------
    entries
        Of a record, as read from `record.json`.

    Returns
    -------
    known
        False where the files did not say how the patient lay.
    """
    return all(warning["code"] != "orientation-unknown" for warning in entries["warnings"])


class Record:
    """The growing record of one result. `warned` hears of every warning at once."""

    def __init__(self, warned: Warn = unheard) -> None:
        self.warned = warned
        self._told: list[dict[str, str]] = []
        self.entries: dict[str, Any] = {
            "record": RECORD_VERSION,
            "product": {"name": PRODUCT, "version": VERSION, "notice": NOTICE},
            "created": _now(),
            "environment": _environment(),
            "steps": [],
            "warnings": [],
            "outputs": [],
        }

    @contextmanager
    def step(self, name: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Time a step; the block fills in what it measured."""
        with step_of(self.entries["steps"], name, parameters) as measured:
            yield measured

    def measured(self, name: str) -> dict[str, Any]:
        """What the last step of that name measured."""
        step = last_step(self.entries, name)
        return {} if step is None else dict(step["measured"])

    def warn(self, code: str, text: str) -> None:
        """Say something once: what stands there is not added again, nor told twice."""
        entry = {"code": code, "text": text}
        if entry not in self.entries["warnings"]:
            self.entries["warnings"].append(entry)
        if entry not in self._told:
            self._told.append(entry)
            self.warned(code, text)

    @property
    def structures(self) -> dict[str, Structure]:
        """All that the names in the result may mean."""
        return structures_of(self.entries)

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

    def add_examined(self, examined: Examined) -> None:
        """The region, and what table A.1 says of it."""
        self.add_steps(examined.steps)
        self.entries["region"] = examined.place.described
        self.entries["conditions"] = [asdict(condition) for condition in examined.conditions]
        self.entries["feasibility"] = asdict(examined.feasibility)

    def add_steps(self, steps: list[StepTaken]) -> None:
        """Steps that the library took."""
        self.entries["steps"].extend(steps)

    def add_segmentation(self, segmentation: Segmentation) -> None:
        """How bone was found in a scan."""
        self.add_examined(segmentation.examined)
        self.add_steps(segmentation.steps)
        self.entries["region"] |= {"tile_size": segmentation.segmented.tile_size}
        if segmentation.segmented.structures:
            self.entries["structures"] = brought(segmentation.segmented.structures)
        self.entries["monitoring"] = segmentation.monitoring

    def finish(self, folder: ResultFolder, language: str = ENGLISH) -> list[str]:
        """Write log, page (in a language) and record into the result folder; list and seal what is there.

        Raises `OutputError`.
        """
        with writing(folder.path):
            self._finish(folder.path, language)
        return [output["file"] for output in self.entries["outputs"]] + [RECORD_FILE]

    def _finish(self, folder: Path, language: str) -> None:
        from OrbitalSegLib.record.page import page_of

        self.write_log(folder / LOG_FILE)
        self.entries["outputs"] = listed(folder)
        if last_step(self.entries, "segmenting"):
            self.entries["missing"] = required.missing(self.entries)
            with self.extra(folder / PAGE_FILE):
                (folder / PAGE_FILE).write_text(page_of(self.entries, folder, language), encoding="utf-8")
            self.write_log(folder / LOG_FILE)
            self.entries["outputs"] = listed(folder)
        write_record(folder, self.entries)

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
