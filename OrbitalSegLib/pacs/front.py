"""The words of the commands that ask an archive. What they do stands in the tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from OrbitalSegLib.pacs.address import OWN_TITLE

console = Console()

Archive = Annotated[
    str,
    typer.Argument(
        help="dicomweb://HOST:PORT/PATH or dimse://HOST:PORT/TITLE (dicomwebs, dimses under TLS), and what of it is "
        "meant, as ?StudyDate=20260101-20260131&PatientID=7."
    ),
]
Calling = Annotated[str, typer.Option(help="The title under which DIMSE asks.")]

Do = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Does a task with what a command was given."""


def mount(app: typer.Typer, do: Do, style: Any, default: Any) -> None:
    """Add the commands. `style` is the option that says how progress is shown, `default` what it is."""
    pacs = typer.Typer(no_args_is_help=True, help="Find and fetch scans in a PACS, send results (docs/archive.md).")

    @pacs.command()
    def find(archive: Archive, calling: Calling = OWN_TITLE, progress: style = default) -> None:
        """List the series of CT in an archive, without anything of the patient."""
        summary = do("pacs-find", locals())
        if progress != "json":
            _show(summary["series"])

    @pacs.command()
    def fetch(
        archive: Archive,
        output: Annotated[Path, typer.Option("--output", "-o", help="The folder to fill; one begun goes on.")],
        calling: Calling = OWN_TITLE,
        progress: style = default,
    ) -> None:
        """Fetch the series of CT that are meant into a folder."""
        summary = do("pacs-fetch", locals())
        if progress != "json":
            counts = f"{summary['series']} series, {summary['images']} images, {summary['new']} of them new"
            console.print(f"[bold]{escape(str(output))}[/]: {counts}")

    @pacs.command()
    def send(
        files: Annotated[list[Path], typer.Argument(help="Folders of results, or files in DICOM.")],
        archive: Annotated[str, typer.Option("--to", help="The archive, as for find.")],
        calling: Calling = OWN_TITLE,
        progress: style = default,
    ) -> None:
        """Store results, made with `--dicom`, in the studies of their scans."""
        summary = do("pacs-send", locals())
        if progress != "json":
            console.print(f"{summary['sent']} stored")

    app.add_typer(pacs, name="pacs")


def _show(found: list[dict[str, Any]]) -> None:
    table = Table("Study", "Series", "Description", "Body part", "Images", "UID of the series")
    for series in found:
        cells = [series[key] for key in ("study_date", "number", "description", "body_part", "images", "uid")]
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in cells))
    console.print(table)
