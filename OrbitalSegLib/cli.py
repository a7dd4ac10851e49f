"""`orbitalseg`: the worker's jobs, for people. Needs the extra `cli`."""

import io
import json
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from OrbitalSegLib import languages, structures, worker
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.heap import keep_freed_memory
from OrbitalSegLib.pacs import front as pacs_front
from OrbitalSegLib.pacs.address import OWN_TITLE
from OrbitalSegLib.product import CONTRACT, NOTICE, VERSION
from OrbitalSegLib.tasks import TASKS, work_of
from OrbitalSegLib.tasks.keys import keys_of
from OrbitalSegLib.training import front

VERDICT_STYLES = {
    "met": "green",
    "not met": "red",
    "not stated": "yellow",
    "feasible": "green",
    "borderline": "yellow",
    "not feasible": "red",
    "trust": "green",
    "check": "yellow",
    "do not use": "red",
}


def _end(_value: object, **_options: object) -> None:
    """After a command: the code of a run whose result is there, but not all that was asked for besides."""
    code = ended_with.get()
    ended_with.set(0)
    if code:
        raise typer.Exit(code)


class _OnlyAsked(Exception):
    """A command was asked for its job, and has done nothing."""


_instead: ContextVar[Callable[[dict[str, Any]], None] | None] = ContextVar("_instead", default=None)
"""Takes a command's job instead of the worker, for a batch."""

PLACEHOLDER = "-"
"""For what a batch gives, scan by scan."""

ended_with: ContextVar[int] = ContextVar("ended_with", default=0)
"""The code with which a command ends once it has shown what was done."""

spoken: ContextVar[str] = ContextVar("spoken", default=languages.ENGLISH)
"""The language of what a job says, and of the pages that it writes."""

app = typer.Typer(
    result_callback=_end,
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
    smooth = "smooth"


class Outcome(StrEnum):
    """What a review came to."""

    accepted = "accepted"
    accepted_with_edits = "accepted with edits"
    rejected = "rejected"
    incomplete = "incomplete"


NOT_REPRODUCED = 5

Purpose = Annotated[str | None, typer.Option(help="The clinical purpose, for the record.")]
Operator = Annotated[str | None, typer.Option(help="Who makes the model, for the record: a name or a role.")]
Dicom = Annotated[list[str] | None, typer.Option(help="Write it as DICOM too: segmentation, surface.")]
GreyValues = Annotated[
    bool, typer.Option("--grey-values", help="Take a scan without Hounsfield units too, for no use on a patient.")
]
Deidentify = Annotated[bool, typer.Option("--deidentify", help="DICOM files without the patient's identity.")]
Input = Annotated[
    Path, typer.Argument(metavar="source", help="A folder of DICOM, a zip of it, or an NRRD, NIfTI or MHA file.")
]
FOLDER_TO_MAKE = "The folder to make."
Output = Annotated[Path, typer.Option("--output", "-o", help=FOLDER_TO_MAKE)]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing result.")]
SeriesOption = Annotated[
    str | None, typer.Option("--series", help="Name (as A3), number or UID; default: the fittest.")
]
HeaderOption = Annotated[
    str | None, typer.Option("--header", help="The part of a volume file's header to believe where parts disagree.")
]
RegionOption = Annotated[
    str, typer.Option("--region", help="auto (both orbits), left, right, whole, or a box x0,x1,y0,y1,z0,z1 in mm.")
]
Formats = Annotated[
    list[str] | None, typer.Option("--format", help="Of surfaces: stl, 3mf, obj, ply; several may be given.")
]
Simplify = Annotated[float | None, typer.Option(help="Fewer triangles: no surface moves further than this. mm.")]
Thicken = Annotated[float | None, typer.Option(help="Thicken walls that are thinner than this. mm.")]
PrinterMinimum = Annotated[float | None, typer.Option(help="Thinner walls are reported. mm.", show_default="0.8")]
QualityMap = Annotated[bool, typer.Option("--quality-map", help="Write what was measured at every vertex (.vtp).")]
Model = Annotated[
    str | None, typer.Option(help="A model package's folder, or the name of a shipped one.", show_default="shipped")
]
SmoothingOption = Annotated[Smoothing, typer.Option(help="Of the surface.")]
Segmented = Annotated[Path, typer.Argument(help="A result folder, a .seg.nrrd, or a label map.")]
SCAN_OF_IT = "The scan that was segmented."
ScanOfIt = Annotated[Path, typer.Option(help=SCAN_OF_IT)]
Orbits = Annotated[str, typer.Option("--region", help="auto (both orbits), left or right.")]
SeveralSegments = Annotated[str, typer.Option("--segment", help="Of the result; `bone+inferred` takes both.")]
Results = Annotated[Path, typer.Option("--output", "-o", help="The folder of all results; one begun goes on.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try scans again that failed.")]
Take = Annotated[str, typer.Option(help="Of a study: all series fit for the orbit, or the best.")]
AtOnce = Annotated[
    int | None, typer.Option(help="Most scans at a time, as far as memory goes.", show_default="one for each core")
]
Scheduler = Annotated[str | None, typer.Option(help="A Dask scheduler's address, to work on many machines.")]
Style = Annotated[ProgressStyle, typer.Option("--progress", help="A bar, JSON lines, or nothing.")]


@app.command()
def info(
    scan: Input,
    series: SeriesOption = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    region: RegionOption = "auto",
    progress: Style = ProgressStyle.bar,
) -> None:
    """List the series of a scan and hold the one fit for the orbit against table A.1 of ISO/IEC 3532-2."""
    summary = _do("info", locals(), input=scan, show_series=_show_series)
    _show_conditions(summary)


@app.command()
def segment(
    scan: Input,
    output: Output,
    method: Annotated[
        str | None, typer.Option(help="A method; `orbitalseg methods` lists them and names the default.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="A parameter of the method, as thin_above=0.4.")
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", help="Run this method first, and begin at its bone: NAME or NAME,parameter=value."),
    ] = None,
    series: SeriesOption = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    region: RegionOption = "auto",
    grid: Annotated[
        str,
        typer.Option(
            help="Of the result: auto (finer than a coarse scan's own), scan, the scan's own, or a spacing in mm."
        ),
    ] = "auto",
    model: Model = None,
    engine: Annotated[str, typer.Option(help="What runs the networks: openvino, torch, or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Of the processor; -1 leaves one core free.", show_default="all cores")
    ] = None,
    memory_gb: Annotated[
        float | None, typer.Option(help="What the networks may use.", show_default="half of what is free")
    ] = None,
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
    smoothing: SmoothingOption = Smoothing.faithful,
    formats: Formats = None,
    simplify_mm: Simplify = None,
    thicken_mm: Thicken = None,
    printer_minimum_mm: PrinterMinimum = None,
    quality_map: QualityMap = False,
    surface: Annotated[
        list[str] | None,
        typer.Option("--surface", help="A further surface to export: cortical, thin, inferred, bone+inferred."),
    ] = None,
    sides: Annotated[bool, typer.Option("--sides", help="Left and right half as surfaces of their own too.")] = False,
    purpose: Purpose = None,
    operator: Operator = None,
    dicom: Dicom = None,
    deidentify: Deidentify = False,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Segment the bone of a CT and write segmentation, surface, picture and record into a folder."""
    from OrbitalSegLib.methods import default_for

    chosen = method or default_for(model)
    repair = {"minimum_object_ml": minimum_object_ml, "keep_largest": keep_largest}
    repair = {name: value for name, value in repair.items() if value is not None}
    summary = _do(
        "segment",
        locals(),
        input=scan,
        method=chosen,
        parameters=_parameters(chosen, parameter or []),
        first=None if first is None else _first(first),
        postprocess="none"
        if postprocess is Postprocess.none
        else {**repair, "thin_touches_cortical": thin_touches_cortical},
        surfaces=surface or [],
        dicom=dicom or [],
    )
    volumes = ", ".join(f"{name} {ml:.1f} ml" for name, ml in summary["volumes_ml"].items())
    console.print(f"[bold]{escape(str(output))}[/]: {volumes}")
    _show_feasibility(summary["feasibility"])
    _show_monitoring(summary["monitoring"])
    console.print(_told(NOTICE), style="dim")


@app.command()
def review(
    result: Annotated[Path, typer.Argument(help="The result folder that was reviewed.")],
    output: Output,
    edited: Annotated[Path | None, typer.Option(help="The segmentation as a person left it, if it was edited.")] = None,
    ct: Annotated[Path | None, typer.Option(help="The scan, for a new picture and for DICOM.")] = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    purpose: Purpose = None,
    operator: Operator = None,
    checked: Annotated[
        Outcome | None, typer.Option("--slice-by-slice", help="The operator's check of the boundaries.")
    ] = None,
    physician: Annotated[Outcome | None, typer.Option(help="A physician's review before manufacture.")] = None,
    by: Annotated[str | None, typer.Option(help="Who reviewed it.")] = None,
    comment: Annotated[str | None, typer.Option(help="What the reviewer says of it.")] = None,
    dicom: Dicom = None,
    deidentify: Deidentify = False,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Write a result's record again with who reviewed it, and with edits by hand counted."""
    today = date.today().isoformat()
    outcomes = {"slice-by-slice": checked, "physician": physician}
    summary = _do(
        "review",
        locals(),
        reviews=[
            {"kind": kind, "outcome": outcome.value, "by": by, "date": today, "comment": comment}
            for kind, outcome in outcomes.items()
            if outcome is not None
        ],
        dicom=dicom or [],
    )
    for name, found in summary["edits"]["segments"].items():
        console.print(f"{name}: {found['added_ml']:.3f} ml added, {found['removed_ml']:.3f} ml removed by hand")
    gaps = ", ".join(_told(entry["term"]) for entry in summary["missing"])
    lacking = f"{_told('still missing:')} {gaps}" if gaps else _told("nothing is missing")
    console.print(f"[bold]{escape(str(output))}[/]: {lacking}")


@app.command()
def verify(
    record: Annotated[Path, typer.Argument(help="A result folder, or its record.json.")],
    scan: Annotated[Path, typer.Option("--input", help=SCAN_OF_IT)],
    series: SeriesOption = None,
    model: Annotated[
        str | None, typer.Option(help="The model package's folder, where it is not a shipped one.")
    ] = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Run a record's segmentation again and compare every voxel. Ends with code 5 where it is not the same."""
    summary = _do("verify", locals(), input=scan)
    for difference in summary["differences"]:
        console.print(f"{difference['what']}: {escape(difference['text'])}")
    masks = ", ".join(summary["masks"])
    same = f"[green]Reproduced[/], bit for bit: {masks}." if summary["reproduced"] else "[red]Not reproduced.[/]"
    console.print(same)
    if not summary["reproduced"]:
        raise typer.Exit(NOT_REPRODUCED)


@app.command()
def surface(
    segmentation: Annotated[Path, typer.Argument(help="A .seg.nrrd, or a label map as NRRD, NIfTI or MHA.")],
    output: Output,
    segment: Annotated[
        str, typer.Option(help="The segment's name; `bone+inferred`: both as one surface.")
    ] = structures.BONE,
    ct: Annotated[
        Path | None, typer.Option(help="The scan it was made from: it tells where in a voxel bone ends.")
    ] = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    smoothing: SmoothingOption = Smoothing.faithful,
    formats: Formats = None,
    simplify_mm: Simplify = None,
    thicken_mm: Thicken = None,
    printer_minimum_mm: PrinterMinimum = None,
    quality_map: QualityMap = False,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Make the surface of a segmentation, as one that was edited by hand."""
    summary = _do("surface", locals())
    console.print(f"[bold]{escape(str(output))}[/]: {summary['volume_ml']:.1f} ml. {NOTICE}")


@app.command()
def orbits(
    segmentation: Segmented,
    output: Output,
    ct: ScanOfIt,
    series: SeriesOption = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    region: Orbits = "auto",
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Measure how large the orbits are, in a scan and its segmentation (docs/orbit-volume.md)."""
    summary = _do("orbits", locals())
    table = _table("Orbit", "Volume, ml", "Wall bridged", "Inferred wall", "Beyond bridges, ml")
    for side, found in summary["orbits"].items():
        if "volume_ml" in found:
            shares = (f"{found['bridged_share']:.0%}", f"{found['inferred_share']:.0%}")
            table.add_row(_told(side), f"{found['volume_ml']:.1f}", *shares, f"{found['beyond_ml']:.1f}")
        else:
            table.add_row(_told(side), _told(found["status"]))
    console.print(table)
    if summary["difference_ml"] is not None:
        smaller_ml = min(found["volume_ml"] for found in summary["orbits"].values())
        by = f"{summary['difference_ml']:.1f} ml ({summary['difference_ml'] / smaller_ml:.1%})"
        larger = summary["larger"]
        equal = f"The orbits differ by {by}, which equal orbits do too when they are measured."
        console.print(_told(f"The {larger} orbit is larger by {by}." if larger else equal))
    console.print(_told(NOTICE), style="dim")


@app.command()
def defects(
    segmentation: Segmented,
    output: Output,
    ct: ScanOfIt,
    series: SeriesOption = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    region: Orbits = "auto",
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """List the openings of the orbits' walls: fissures, canals, and what may be a fracture (docs/defects.md)."""
    summary = _do("defects", locals())
    table = _table("Orbit", "Wall", "Opening", "Area, mm²", "Diameters, mm", "From rim, mm", "Passed, mm", "Bone")
    for side, found in summary["orbits"].items():
        if found["openings"] is None:
            table.add_row(_told(side), "", _told(found["status"]))
        for one in found["openings"] or ():
            diameters = f"{one['longest_mm']:.0f} x {one['shortest_mm']:.0f}"
            figures = (f"{one['area_mm2']:.0f}", diameters, f"{one['from_rim_mm']:.0f}", f"{one['passed_mm']:.0f}")
            seen = "missing" if one["certainty"] == "open" else "not seen"
            name = _told(one["name"]) if one["name"] else f"[bold]{_told('no natural one')}[/]"
            table.add_row(_told(side), _told(one["wall"]), name, *figures, _told(seen))
    console.print(table)
    console.print(_told(NOTICE), style="dim")


@app.command()
def reconstruct(
    segmentation: Segmented,
    output: Output,
    ct: ScanOfIt,
    series: SeriesOption = None,
    header: HeaderOption = None,
    grey_values: GreyValues = False,
    region: Annotated[str, typer.Option(help="auto (each orbit with a defect), left or right.")] = "auto",
    wall_from: Annotated[str, typer.Option(help="Where the wall is known from: mirror, or bridge.")] = "mirror",
    thickness_mm: Annotated[float, typer.Option(help="Of the wall and the plate.")] = 1.0,
    margin_mm: Annotated[float, typer.Option(help="So far the plate reaches over the rim of the defect.")] = 3.0,
    least_mm2: Annotated[float, typer.Option(help="Smaller openings stay as they are.")] = 20.0,
    formats: Formats = None,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Make the wall that an orbit had where it is broken, as models to print (docs/reconstruction.md)."""
    summary = _do("reconstruct", locals())
    table = _table("Orbit", "Wall", "Area, mm²", "Mirrored", "Uncertain at least, mm", "Volume as it was, ml")
    for side, found in summary["orbits"].items():
        if found["status"] != "reconstructed":
            table.add_row(side, found["status"])
            continue
        for one in found["openings"]:
            least = "not known" if one["uncertain_mm"] is None else f"{one['uncertain_mm']:.1f}"
            figures = (f"{one['area_mm2']:.0f}", f"{one['mirrored_share']:.0%}", least)
            table.add_row(side, one["wall"], *figures, f"{found['volume_ml']:.1f}")
    console.print(table)
    console.print(NOTICE, style="dim")


@app.command()
def phantom(
    output: Annotated[Path, typer.Argument(help=FOLDER_TO_MAKE)],
    variant: Annotated[str, typer.Option(help="Which head; a wrong name lists them.")] = "plain",
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Make the CT of a head by formula, as a DICOM series, with its exact truth."""
    summary = _do("phantom", locals())
    console.print(f"[bold]{escape(str(output))}[/]: {summary['description']}")


@app.command()
def schema(task: Annotated[str, typer.Argument(help="A task of the worker, such as segment.")]) -> None:
    """Print the JSON Schema of a task's jobs, for programs that start the worker."""
    from OrbitalSegLib.tasks import schema_of

    try:
        typer.echo(json.dumps(schema_of(task), indent=2))  # as it is, for a program reads it
    except JobError as error:
        errors.print(f"[red]Error:[/] {escape(error.text)}", soft_wrap=True)
        raise typer.Exit(error.exit_code) from None


@app.command()
def methods(progress: Style = ProgressStyle.bar) -> None:
    """List the segmentation methods and their parameters."""
    summary = _do("methods", locals())
    table = Table("Method", "What it is", "Parameters (default)", "Source")
    for method in summary["methods"]:
        parameters = ", ".join(f"{p['name']} ({_default(p)})" for p in method["parameters"])
        table.add_row(method["name"], method["title"], parameters, method["source"])
    console.print(table)
    console.print(f"Default: {summary['default']}.")


def _default(parameter: dict[str, Any]) -> str:
    """The default of a parameter, with what it may be where that is a choice."""
    default = parameter["default"]
    match parameter["kind"]:
        case "choice":
            return f"{default}; one of {', '.join(parameter['choices'])}"
        case "flag":
            return "true" if default else "false"
        case "points":
            return "none; x:y:z/x:y:z in mm"
        case _:
            return "the model's" if default is None else f"{default:g}"


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Argument(help="The true segmentation: .seg.nrrd, NRRD, NIfTI or MHA.")],
    result: Annotated[Path, typer.Argument(help="The one to judge, or a result folder.")],
    ct: Annotated[Path | None, typer.Option(help="The CT, to tell cortical from thin bone.")] = None,
    grey_values: GreyValues = False,
    walls: Annotated[Path | None, typer.Option(help="The walls.vtp of a synthetic case.")] = None,
    segment: SeveralSegments = structures.BONE,
    region: RegionOption = "whole",
    header: HeaderOption = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Hold a segmentation against the truth, by every metric of docs/metrics.md."""
    summary = _do("evaluate", locals())
    table = Table("Metric", "Value")
    for name, value in summary["figures"].items():
        table.add_row(name, _figure(value))
    console.print(table)


@app.command()
def observers(
    result: Annotated[Path, typer.Argument(help="The method's segmentation, or a result folder.")],
    people: Annotated[list[Path], typer.Argument(help="Segmentations by two persons or more.")],
    segment: SeveralSegments = structures.BONE,
    region: Annotated[str, typer.Option(help="whole, or a box x0,x1,y0,y1,z0,z1 in mm.")] = "whole",
    header: HeaderOption = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Place a method among the people who segmented the same scan: agreement, and their STAPLE consensus."""
    summary = _do("observers", locals(), observers=people)
    table = Table("", "Dice, others", "Distance, mm", "Dice, consensus of others", "Sensitivity", "Specificity")
    for name, place in summary["places"].items():
        rater = summary["raters"].get(name, {})
        numbers = [place["with_others"]["dice"], place["with_others"]["average_symmetric_mm"]]
        numbers += [place["with_consensus"]["dice"], rater.get("sensitivity"), rater.get("specificity")]
        table.add_row(name, *(_figure(number) for number in numbers))
    console.print(table)
    verdict = "no worse than" if summary["no_worse"] else "worse than"
    console.print(f"The method agrees with these people {verdict} they agree with each other.")


def _figure(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.6g}"


@app.command()
def evaluate_cases(
    folder: Annotated[Path, typer.Argument(help="A folder for each case, with truth and result (docs/metrics.md).")],
    output: Output,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Evaluate many cases: tables with mean and SD, methods compared, box plots, and the worst case."""
    summary = _do("evaluate-cases", locals(), data=folder)
    table = Table("Method", "Mean Dice", "SD", "Worst case", title=f"{summary['cases']} cases")
    for name, found in summary["methods"].items():
        numbers = [found[f"whole_dice_{key}"] for key in ("mean", "sd")]
        table.add_row(name, *map(_figure, numbers), escape(found["worst_case"]))
    console.print(table)


@app.command()
def experiment(
    output: Output,
    data: Annotated[
        Path | None, typer.Argument(help="A folder for each case, with truth and ct.", show_default="phantoms")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method, as NAME, or TITLE=NAME,parameter=number; with ,from=NAME another runs first.",
            show_default="thresholds, hysteresis",
        ),
    ] = None,
    cases: Annotated[int, typer.Option(help="How many phantoms, where no data is given.")] = 20,
    model: Model = None,
    overwrite: Force = False,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Run every method on every case: figures by region, paired comparisons, one page."""
    contestants = [_contestant(text) for text in method or []]
    summary = _do("experiment", locals(), methods=contestants)
    table = Table("Method", "Mean Dice", title=f"{summary['cases']} cases")
    for name, dice in summary["methods"].items():
        table.add_row(escape(name), _figure(dice))
    console.print(table)


@app.command(rich_help_panel=front.PANEL)
def collect(
    results: Annotated[Path, typer.Argument(help="A folder with reviewed results, however deep in it.")],
    scans: Annotated[Path, typer.Option(help="What they were made of: a scan, or a folder of scans.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The data set to make, a new folder.")],
    series: SeriesOption = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Gather results that people accepted into a data set without the patients' identity, for `finetune`."""
    summary = _do("collect", locals())
    for one in summary["left_out"]:
        console.print(f"[yellow]Left out:[/] {escape(one['name'])}: {escape(one['text'])}", soft_wrap=True)
    for one in summary["notes"]:
        console.print(f"{escape(one['name'])}: {escape(one['text'])}", soft_wrap=True)
    counts = f"{summary['cases']} cases of {summary['patients']} patients"
    console.print(f"[bold]{escape(str(output))}[/]: {counts}. Do not pass on what is in its folder `private`.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def batch(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A folder with scans however deep in it, a CSV of their paths, or a PACS's address.")
    ],
    output: Results,
    take: Take = "all",
    retry: Retry = False,
    at_once: AtOnce = None,
    calling: Annotated[str, typer.Option(help="The title under which a PACS is asked by DIMSE.")] = OWN_TITLE,
    scheduler: Scheduler = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Do every scan of an archive once: one result each, and an index (docs/archive.md).

    Options of `segment` may follow; then more tasks with their options, as `orbits --region left`.
    """
    _show_batch(_do("batch", locals(), jobs=_jobs_of(context.args)), output)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def watch(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A folder, or dimse://127.0.0.1:PORT/TITLE to receive there.")],
    output: Results,
    allowed: Annotated[
        list[str] | None,
        typer.Option("--allow", help="The title of an application entity that may send; several may be given."),
    ] = None,
    quiet_s: Annotated[
        float | None, typer.Option(help="A study is complete when nothing came for so long. s.", show_default="30")
    ] = None,
    largest_mb: Annotated[float | None, typer.Option(help="No object may be larger. MB.", show_default="2000")] = None,
    take: Take = "all",
    retry: Retry = False,
    at_once: AtOnce = None,
    scheduler: Scheduler = None,
    progress: Style = ProgressStyle.bar,
) -> None:
    """Do every scan that a PACS sends, or that falls into a folder, until stopped (docs/archive.md).

    Options of `segment` and more tasks may follow, as for `batch`.
    """
    _show_batch(_do("watch", locals(), jobs=_jobs_of(context.args)), output)


def _show_batch(summary: dict[str, Any], output: Path) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in summary.items() if count)
    console.print(f"[bold]{escape(str(output / 'index.html'))}[/]: {counts or 'nothing yet'}. {NOTICE}")


def _jobs_of(words: list[str]) -> list[dict[str, Any]]:
    """The jobs of a batch from the options of `segment`, and names of tasks with theirs, as their commands put them."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    asked: list[tuple[str, list[str]]] = []
    for word in words:
        if word in TASKS and word in commands:
            asked.append((word, []))
        elif not asked:
            asked.append(("segment", [word]))
        else:
            asked[-1][1].append(word)
    return [_job_of(commands[name], given) for name, given in asked or [("segment", [])]]


def _job_of(command: Any, given: list[str]) -> dict[str, Any]:
    """What a command would do, but for the scan and the folder to make."""
    needed = [word for parameter in command.params if parameter.required for word in _placeholder(parameter)]
    heard: list[dict[str, Any]] = []
    before = _instead.set(heard.append)
    try:
        command.main([*needed, *given], prog_name=command.name, standalone_mode=False)
    except _OnlyAsked:
        pass
    finally:
        _instead.reset(before)
    job = {name: value for name, value in heard[0].items() if value not in (PLACEHOLDER, None)}
    if not job.get("overwrite"):
        job.pop("overwrite", None)  # what is asked for is refused; what every command says is not
    return job


def _placeholder(parameter: Any) -> list[str]:
    """An argument, or an option with its name, that a command must be given."""
    return [*([parameter.opts[0]] if parameter.param_type_name == "option" else []), PLACEHOLDER]


def _contestant(text: str) -> dict[str, Any]:
    """A method of an experiment from `NAME` or `TITLE=NAME,parameter=number`, and `,from=NAME` with its parameters."""
    text, after, first = text.partition(",from=")
    title, _, _ = text.split(",")[0].rpartition("=")
    given = _first(text.removeprefix(f"{title}=") if title else text)
    return {"name": title or given["method"], **given} | ({"from": _first(first)} if after else {})


def _first(text: str) -> dict[str, Any]:
    """A method from `NAME` or `NAME,parameter=number`."""
    name, *rest = text.split(",")
    return {"method": name, "parameters": _parameters(name, rest)}


front.mount(app)


def version(value: bool) -> None:
    """Print the version and stop."""
    console.quiet = False  # until a command is asked for lines as JSON: this runs before every one
    if value:
        console.print(f"OrbitalSeg {VERSION}. {NOTICE}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
    language: Annotated[
        str,
        typer.Option(envvar="ORBITALSEG_LANGUAGE", help=f"Of messages and records: {', '.join(languages.LANGUAGES)}."),
    ] = languages.ENGLISH,
) -> None:
    """What every command shares."""
    if language not in languages.LANGUAGES:
        raise typer.BadParameter(f"--language is one of: {', '.join(languages.LANGUAGES)}")
    spoken.set(language)


def _table(*titles: str) -> Table:
    """A table with these titles, in the language that was asked for."""
    return Table(*map(_told, titles))


def _told(text: str) -> str:
    """A text of the library in the language that was asked for, safe to print."""
    return escape(languages.told(text, spoken.get()))


def _region(text: str) -> str | list[float]:
    if text in ("auto", "left", "right", "whole"):
        return text
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter("give auto, left, right, whole, or six numbers x0,x1,y0,y1,z0,z1 in mm") from error


def _grid(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


READERS = {"region": _region, "grid": _grid}
"""By key of a job, what reads the words of its option."""


def _parameters(method: str, pairs: list[str]) -> dict[str, Any]:
    """The parameters of a job, as the method understands the words; of a method that there is not, the words."""
    from OrbitalSegLib.methods import METHODS

    try:
        words = dict(pair.split("=", 1) for pair in pairs)
    except ValueError as error:
        raise typer.BadParameter("give a parameter as name=value, for example thin_above=0.4") from error
    try:
        return METHODS[method].parse(words) if method in METHODS else dict(words)
    except JobError as error:
        raise typer.BadParameter(error.text) from error


def _do(
    task: str, given: dict[str, Any], show_series: Callable[[dict[str, Any]], None] = lambda _line: None, **made: Any
) -> dict[str, Any]:
    """Do a task with what a command was given, and show the worker's lines; exits with its code if that is not 0.

    Each key of the job takes what was given under its name, or under the name that its field has in Python; `made` is
    what was made of that. What is None is left out. Where lines are told as JSON, nothing else is printed.
    """
    job: dict[str, Any] = {"task": task}
    words = {"language": spoken.get(), **given, **made}
    for name, field in keys_of(work_of(task).job).items():
        value = words.get(field.name, words.get(name))
        if value is not None:
            job[name] = _in_json(name, value)
    if instead := _instead.get():
        instead(job)
        raise _OnlyAsked
    return _run(job, given["progress"], show_series)


def _in_json(name: str, value: Any) -> Any:
    """A value of a command as the job in JSON has it under a key's name."""
    if isinstance(value, list):
        return [_in_json("", item) for item in value]
    if isinstance(value, Path | StrEnum):
        return str(value)
    return READERS[name](value) if name in READERS else value


def _run(
    job: dict[str, Any], style: ProgressStyle, show_series: Callable[[dict[str, Any]], None] = lambda _line: None
) -> dict[str, Any]:
    """Do a job through the worker and show its lines; exits with the worker's code if that is not 0."""
    console.quiet = style is ProgressStyle.json
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
        if line["event"] == "result":
            outcome.update(line["summary"])
        if style is ProgressStyle.json:
            worker.writer(sys.stdout)(line)
        elif line["event"] == "progress":
            left = "" if line["seconds_left"] is None else f"{line['seconds_left']:.0f} s left"
            bar.update(task, completed=line["percent"], description=_told(line["step"]), left=left)
        elif line["event"] == "series":
            show_series(line)
        elif line["event"] == "scan":
            if line["text"]:
                errors.print(f"[red]{escape(line['name'])}:[/] {_told(line['text'])}", soft_wrap=True)
        elif line["event"] == "warning":
            errors.print(f"[yellow]{_told('Warning:')}[/] {_told(line['text'])}", soft_wrap=True)
        elif line["event"] == "error":
            errors.print(f"[red]{_told('Error:')}[/] {_told(line['text'])}", soft_wrap=True)

    with bar:
        code = worker.run({"contract": CONTRACT, **job}, emit)
    if code == worker.INCOMPLETE:
        ended_with.set(code)
    elif code:
        raise typer.Exit(code)
    return outcome


def _show_series(line: dict[str, Any]) -> None:
    # What --series takes and the date that tells studies apart are never folded; the number is a part of the name.
    table = _table("Name", "Study", "Kind", "Description", "Images", "Slices", "mm apart", "Use")
    for column in table.columns[:2]:
        column.no_wrap = True
    for item in line["series"]:
        table.add_row(
            escape(item["name"]),
            item["study_date"] or "",
            escape(item["modality"]),
            escape(item["description"]),
            str(item["images"]),
            str(item["slices"]),
            f"{item['slice_distance_mm']:.2f}",
            _told(item["problem"] or "can be segmented"),
        )
    console.print(table)


def _show_conditions(summary: dict[str, Any]) -> None:
    measured = summary["steps"][0]["measured"]
    if "series_chosen" in measured:
        console.print(_told(f"Taken: {measured['series_name']}, {measured['series_chosen']}."))
    table = _table("Table A.1", "Condition", "Found", "Verdict", "Kind")
    for row in summary["conditions"]:
        style = VERDICT_STYLES[row["verdict"]]
        verdict = f"[{style}]{_told(row['verdict'])}[/]"
        table.add_row(
            *(_told(row[name] or "-") for name in ("term", "condition", "found")), verdict, _told(row["kind"])
        )
    console.print(table)
    _show_feasibility(summary["feasibility"])


def _show_feasibility(feasibility: dict[str, Any]) -> None:
    verdict = feasibility["thin_walls"]
    shown = f"[{VERDICT_STYLES[verdict]}]{_told(verdict)}[/]"
    console.print(f"{_told('Thin walls')}: {shown}. {_told(feasibility['reason'])}")


def _show_monitoring(monitoring: dict[str, Any]) -> None:
    verdict = monitoring["verdict"]
    shown = f"[{VERDICT_STYLES[verdict]}]{_told(verdict)}[/]"
    console.print(f"{_told('Monitoring')}: {shown}. {' '.join(map(_told, monitoring['reasons']))}")


pacs_front.mount(app, _do, Style, ProgressStyle.bar)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    keep_freed_memory()
    app()
