"""What the sections share: the run, records that survive a kill, cases, methods, tables and pictures."""

import csv
import fcntl
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Resources, Segmented, Task
from OrbitalSegLib.networks import package as packages
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.training.cases import Case, is_case, read_case, write_case_unless_there
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.synthesis.synthesis import synthesize
from OrbitalSegLib.training.templates.template import Template, read_template

Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line."""

    package: Path
    templates: Path
    """A folder of template folders."""
    left_out: str
    """The template that no network was trained on."""
    out: Path
    cases: int = 20
    threads: int = 1
    size_mm: tuple[float, float, float] = (70.0, 70.0, 64.0)
    """Of a synthetic volume: one orbit and what is around it."""
    data: Path | None = None
    """Real scans."""
    little: Path | None = None
    """Packages that were trained on few cases."""

    @property
    def model(self) -> Package:
        return _loaded(self.package)

    @property
    def resources(self) -> Resources:
        return Resources(model=self.package, threads=self.threads)

    @property
    def trained_on(self) -> list[str]:
        """The templates that are not left out."""
        found = sorted(path.parent.name for path in self.templates.glob("*/template.json"))
        return [name for name in found if name != self.left_out]

    def template(self, name: str) -> Template:
        return _template(self.templates / name)

    def settings(self) -> Settings:
        """Everything as it is drawn for training, but: one orbit is in view, and neither metal nor a round field of
        view, which are factors of the section on robustness."""
        return replace(
            Settings(), size_mm=self.size_mm, centre="right", offset_mm=(-4.0, 4.0), far_share=0.0, metal_share=0.0,
            teeth_metal_share=0.0, narrow_view_share=0.0,
        )  # fmt: skip

    def case(self, template: str, seed: int, settings: Settings, *, truth: bool = False) -> Case:
        return synthesize(self.template(template), seed, settings, truth=truth)

    def kept_case(self, template: str, seed: int, settings: Settings, *, truth: bool = True) -> Case:
        """A case, by default with truth, which takes longest; it is kept in the folder of the run."""
        folder = self.out / "cases" / f"{template}-{seed:05d}"
        if not is_case(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_case_unless_there(self.case(template, seed, settings, truth=truth), folder)
        return read_case(folder)


@lru_cache(maxsize=1)
def _template(folder: Path) -> Template:
    return read_template(folder)


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> Package:
    return packages.load_package(folder)


def segment(run: Run, method: str, ct: sitk.Image, region: Region | None = None, **parameters: float) -> Segmented:
    """The result of one of the product's methods, as it is before post-processing."""
    chosen = METHODS[method]
    task = Task(ct, region or Region(), run.resources)
    return chosen.run(task, chosen.make_parameters(parameters), silent)


def with_inferred(masks: Mapping[str, sitk.Image]) -> sitk.Image:
    """Seen or inferred."""
    return sitk.Or(masks["bone"], masks["inferred"])


def probabilities(found: Segmented) -> dict[str, sitk.Image]:
    """Calibrated, 0 to 1, 32-bit float, on the working grid."""
    return {name: sitk.Cast(image, sitk.sitkFloat32) / 255.0 for name, image in found.probabilities.items()}


# Records ----------------------------------------------------------------------------------------------------------


def records(folder: Path, tasks: Mapping[str, Callable[[], Record]]) -> dict[str, Record]:
    """Each task's record: read where there is one, made where not. Tasks that another process is at are left out.

    A record is one JSON file that is written whole, so that a run which was stopped goes on where it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, make) in enumerate(tasks.items()):
        path = folder / f"{name}.json"
        with _claim(path) as ours:
            if ours and not path.exists():
                print(f"{folder.name}: {name} ({number + 1} of {len(tasks)})", flush=True)
                write_json(make(), path)
    return {name: read_json(folder / f"{name}.json") for name in tasks if (folder / f"{name}.json").exists()}


@contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Whether no other process is at this record. The system frees the claim of a process that dies."""
    lock = path.with_suffix(".lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        lock.unlink(missing_ok=True)


def write_json(record: Record, path: Path) -> None:
    """Write whole; what is not a number is null."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(_plain(record), indent=1), "utf-8")
    temporary.rename(path)


def read_json(path: Path) -> Record:
    """What `write_json` wrote; null is not a number again."""
    return _numbers(json.loads(path.read_text("utf-8")))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return math.nan if value is None else value


# Tables and pictures ----------------------------------------------------------------------------------------------


def spread(values: Iterable[float]) -> str:
    """`mean ± standard deviation (lowest to highest)` of the values there are."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    deviation = statistics.stdev(known) if len(known) > 1 and all(map(math.isfinite, known)) else math.nan
    return f"{np.mean(known):.3f} ± {deviation:.3f} ({min(known):.3f} to {max(known):.3f})"


def pooled(parts: Sequence[tuple[float, float]]) -> str:
    """`share (lowest to highest of the cases)` of areas (closed, of), each a case's; empty where there is no area."""
    total = sum(of for _, of in parts)
    if not total:
        return ""
    shares = [closed / of for closed, of in parts if of]
    return f"{sum(closed for closed, _ in parts) / total:.3f} ({min(shares):.2f} to {max(shares):.2f}, n {len(shares)})"


def markdown(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def write_csv(path: Path, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """The same for a spreadsheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(titles)
        writer.writerows(rows)


def draw_lines(
    path: Path, title: str, x: str, y: str, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """A picture of curves by name."""
    from matplotlib.figure import Figure

    figure = Figure((6.4, 4.8), layout="constrained")
    axis = figure.subplots()
    for name, (across, up) in lines.items():
        axis.plot(across, up, marker=".", label=name)
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.grid(alpha=0.3)
    if lines:
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=120)
