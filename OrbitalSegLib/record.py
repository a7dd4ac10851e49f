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

from OrbitalSegLib import NOTICE, __version__
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.scan import Scan, grid_of, sha256_of

RECORD_VERSION = 1


class Record:
    """The growing record of one result. `warned` hears of every warning at once."""

    def __init__(self, warned: Callable[[str, str], None] = lambda _code, _text: None) -> None:
        self.warned = warned
        self.entries: dict[str, Any] = {
            "record": RECORD_VERSION,
            "product": {"name": "OrbitalSeg", "version": __version__, "notice": NOTICE},
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
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self.entries["outputs"].append({"file": path.name, "bytes": len(content), "sha256": digest})

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_log(self, path: Path) -> None:
        """The steps and warnings as lines for people."""
        product = self.entries["product"]
        lines = [f"{product['name']} {product['version']}. {product['notice']}", self.entries["created"]]
        for entry in self.entries["steps"]:
            lines.append(f"{entry['step']}: {entry['seconds']:.2f} s, {json.dumps(entry['measured'])}")
        lines += [f"warning {entry['code']}: {entry['text']}" for entry in self.entries["warnings"]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
