"""What must be written down of a result [3532-1 5]: one record, to which every step adds (docs/contracts.md, 8)."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from vtkmodules.vtkCommonCore import vtkVersion

from OrbitalSegLib import NOTICE, PRODUCT, __version__
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.scan import Scan, grid_of, sha256_of

RECORD_VERSION = 1
RECORD_FILE = "record.json"


def check_replaceable(folder: Path) -> None:
    """Let a result pass that holds what its record says and nothing else; what a person made is never replaced.

    Raises `OutputError` `exists`.
    """
    try:
        entries = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        ours = entries["product"]["name"] == PRODUCT and entries["outputs"] == _listed(folder)
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise OutputError(
            "exists",
            "What exists under that name is no result of OrbitalSeg, or was changed since: choose another name.",
        )


def _listed(folder: Path) -> list[dict[str, Any]]:
    """Every file under a result folder but the record, with its size and hash."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    listed = []
    for path in files:
        name = path.relative_to(folder).as_posix()
        if name != RECORD_FILE:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            listed.append({"file": name, "bytes": len(content), "sha256": digest})
    return listed


class Record:
    """The growing record of one result. `warned` hears of every warning at once."""

    def __init__(self, warned: Callable[[str, str], None] = lambda _code, _text: None) -> None:
        self.warned = warned
        self.entries: dict[str, Any] = {
            "record": RECORD_VERSION,
            "product": {"name": PRODUCT, "version": __version__, "notice": NOTICE},
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "environment": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "SimpleITK": sitk.Version.VersionString(),
                "vtk": vtkVersion.GetVTKVersion(),
                "pydicom": pydicom.__version__,
                "platform": f"{platform.system()} {platform.machine()}",
            },
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
        self.entries["warnings"].append({"code": code, "text": text})
        self.warned(code, text)

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

    def add_outputs(self, folder: Path) -> None:
        """List every file that is in the result folder now."""
        self.entries["outputs"] = _listed(folder)

    def write(self, folder: Path) -> None:
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
