"""`orbitalseg`: the worker's jobs, for people. Needs the extra `cli`."""

import io
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from OrbitalSegLib import NOTICE, __version__, worker

VERDICT_STYLES = {
    "met": "green",
    "not met": "red",
    "not stated": "yellow",
    "feasible": "green",
    "borderline": "yellow",
    "not feasible": "red",
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help=f"OrbitalSeg: a head CT in, a printable model of the orbital bones out. {NOTICE}",
)
console = Console()
errors = Console(stderr=True)


class ProgressStyle(StrEnum):
    """How a command says how far it is."""

    bar = "bar"
    json = "json"
    none = "none"


class Postprocess(StrEnum):
    """What is done to the mask after segmentation."""

    standard = "standard"
    none = "none"


class Smoothing(StrEnum):
    """What is done to the surface."""

    none = "none"
    faithful = "faithful"


Input = Annotated[Path, typer.Argument(help="A folder of DICOM, a zip of it, or an NRRD, NIfTI or MHA file.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing result.")]
SeriesOption = Annotated[str | None, typer.Option("--series", help="Series number or UID; default: the fittest.")]
RegionOption = Annotated[str, typer.Option("--region", help="whole, or a box x0,x1,y0,y1,z0,z1 in mm (LPS).")]
Style = Annotated[ProgressStyle, typer.Option("--progress", help="A bar, JSON lines, or nothing.")]


@app.command()
def info(
    source: Input, series: SeriesOption = None, region: RegionOption = "whole", progress: Style = ProgressStyle.bar
) -> None:
    """List the series of a scan and hold the one fit for the orbit against table A.1 of ISO/IEC 3532-2."""
    summary = _run(
        {"task": "info", "input": str(source), "series": series, "region": _region(region)}, progress, _show_series
    )
    if progress is not ProgressStyle.json:
        _show_conditions(summary)


@app.command()
def segment(
    source: Input,
    output: Output,
    method: Annotated[str, typer.Option(help="A method; `orbitalseg methods` lists them.")] = "threshold",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="A parameter of the method, as lower_hu=150.")
    ] = None,
    series: SeriesOption = None,
    region: RegionOption = "whole",
    minimum_object_ml: Annotated[
        float | None, typer.Option(help="Drop objects smaller than this; 0 keeps all.", show_default="0.1")
    ] = None,
    keep_largest: Annotated[int | None, typer.Option(help="Keep only so many of the largest objects.")] = None,
    thin_touches_cortical: Annotated[
        bool, typer.Option("--thin-touches-cortical", help="Keep thin bone only where it touches cortical bone.")
    ] = False,
    postprocess: Annotated[
        Postprocess, typer.Option(help="Fill objects and drop small ones, or nothing.")
    ] = Postprocess.standard,
    smoothing: Annotated[Smoothing, typer.Option(help="Of the surface.")] = Smoothing.faithful,
    surface: Annotated[
        list[str] | None, typer.Option("--surface", help="A further surface to export: cortical, thin.")
    ] = None,
    force: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Segment the bone of a CT and write segmentation, surface, picture and record into a folder."""
    job: dict[str, Any] = {
        "task": "segment",
        "input": str(source),
        "output": str(output),
        "overwrite": force,
        "series": series,
        "region": _region(region),
        "method": method,
        "parameters": _parameters(parameter or []),
        "smoothing": smoothing.value,
        "surfaces": surface or [],
    }
    repair = {"minimum_object_ml": minimum_object_ml, "keep_largest": keep_largest}
    job["postprocess"] = (
        "none"
        if postprocess is Postprocess.none
        else {name: value for name, value in repair.items() if value is not None}
        | {"thin_touches_cortical": thin_touches_cortical}
    )
    summary = _run(job, progress)
    if progress is not ProgressStyle.json:
        volumes = ", ".join(f"{name} {ml:.1f} ml" for name, ml in summary["volumes_ml"].items())
        console.print(f"[bold]{escape(str(output))}[/]: {volumes}")
        _show_feasibility(summary["feasibility"])
        console.print(NOTICE, style="dim")


@app.command()
def surface(
    segmentation: Annotated[Path, typer.Argument(help="A .seg.nrrd, or a label map as NRRD, NIfTI or MHA.")],
    output: Output,
    segment: Annotated[str, typer.Option(help="The segment's name.")] = "bone",
    smoothing: Annotated[Smoothing, typer.Option(help="Of the surface.")] = Smoothing.faithful,
    force: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Make the surface of a segmentation, as one that was edited by hand."""
    job = {
        "task": "surface",
        "input": str(segmentation),
        "output": str(output),
        "overwrite": force,
        "segment": segment,
        "smoothing": smoothing.value,
    }
    summary = _run(job, progress)
    if progress is not ProgressStyle.json:
        console.print(f"[bold]{escape(str(output))}[/]: {summary['volume_ml']:.1f} ml. {NOTICE}")


@app.command()
def phantom(
    output: Annotated[Path, typer.Argument(help="The folder to make.")],
    variant: Annotated[str, typer.Option(help="Which head; a wrong name lists them.")] = "plain",
    force: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Make the CT of a head by formula, as a DICOM series, with its exact truth."""
    job = {"task": "phantom", "output": str(output), "variant": variant, "overwrite": force}
    summary = _run(job, progress)
    if progress is not ProgressStyle.json:
        console.print(f"[bold]{escape(str(output))}[/]: {summary['description']}")


@app.command()
def methods(progress: Style = ProgressStyle.bar) -> None:
    """List the segmentation methods and their parameters."""
    summary = _run({"task": "methods"}, progress)
    if progress is ProgressStyle.json:
        return
    table = Table("Method", "What it is", "Parameters (default)", "Source")
    for method in summary["methods"]:
        parameters = ", ".join(f"{p['name']} ({p['default']:g})" for p in method["parameters"])
        table.add_row(method["name"], method["title"], parameters, method["source"])
    console.print(table)


def version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        console.print(f"OrbitalSeg {__version__}. {NOTICE}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What every command shares."""


def _region(text: str) -> str | list[float]:
    if text == "whole":
        return text
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter("give whole, or six numbers x0,x1,y0,y1,z0,z1 in mm") from error


def _parameters(pairs: list[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in (pair.split("=") for pair in pairs)}
    except ValueError as error:
        raise typer.BadParameter("give a parameter as name=number, for example lower_hu=150") from error


def _run(job: dict[str, Any], style: ProgressStyle, show_series: Any = lambda _line: None) -> dict[str, Any]:
    """Do a job through the worker and show its lines; exits with the worker's code if that is not 0."""
    worker.interrupt_once()
    outcome: dict[str, Any] = {}
    bar = Progress(
        TextColumn("{task.description:>16}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        console=errors,
        transient=True,
        disable=style is not ProgressStyle.bar,
    )
    task = bar.add_task("", total=100, left="")

    def emit(line: dict[str, Any]) -> None:
        if style is ProgressStyle.json:
            worker.writer(sys.stdout)(line)
        elif line["event"] == "progress":
            left = "" if line["seconds_left"] is None else f"{line['seconds_left']:.0f} s left"
            bar.update(task, completed=line["percent"], description=line["step"], left=left)
        elif line["event"] == "series":
            show_series(line)
        elif line["event"] == "warning":
            errors.print(f"[yellow]Warning:[/] {escape(line['text'])}", soft_wrap=True)
        elif line["event"] == "error":
            errors.print(f"[red]Error:[/] {escape(line['text'])}", soft_wrap=True)
        else:
            outcome.update(line["summary"])

    with bar:
        code = worker.run({"contract": 1, **job}, emit)
    if code:
        raise typer.Exit(code)
    return outcome


def _show_series(line: dict[str, Any]) -> None:
    table = Table("Series", "Modality", "Description", "Images", "Slices", "Distance, mm", "Use")
    for item in line["series"]:
        table.add_row(
            escape(item["number"]),
            escape(item["modality"]),
            escape(item["description"]),
            str(item["images"]),
            str(item["slices"]),
            f"{item['slice_distance_mm']:.2f}",
            escape(item["problem"] or "can be segmented"),
        )
    console.print(table)


def _show_conditions(summary: dict[str, Any]) -> None:
    chosen = summary["steps"][0]["measured"].get("series_chosen")
    if chosen:
        console.print(f"Taken: {chosen}.")
    table = Table("Table A.1", "Condition", "Found", "Verdict", "Kind")
    for row in summary["conditions"]:
        style = VERDICT_STYLES[row["verdict"]]
        table.add_row(
            row["term"], row["condition"], escape(row["found"] or "-"), f"[{style}]{row['verdict']}[/]", row["kind"]
        )
    console.print(table)
    _show_feasibility(summary["feasibility"])


def _show_feasibility(feasibility: dict[str, Any]) -> None:
    verdict = feasibility["thin_walls"]
    console.print(f"Thin walls: [{VERDICT_STYLES[verdict]}]{verdict}[/]. {escape(feasibility['reason'])}")


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    app()
