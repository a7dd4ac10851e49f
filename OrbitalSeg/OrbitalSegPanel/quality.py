"""What was measured of exported surfaces, as a table and as colours."""

from typing import Any

import numpy as np
import qt
from slicer.i18n import tr as _
from vtkmodules.util.numpy_support import vtk_to_numpy

from OrbitalSegPanel import models, results
from OrbitalSegPanel.exporting import MAP
from OrbitalSegPanel.words import told

ROW_HEIGHT = 22

THICKNESS = "thickness_mm"
"""What a map is coloured by."""

STOPS_MM = (0.0, 0.8, 2.0)
"""What a common printer cannot make is red to yellow; from the last one on every wall has the same colour."""

STOP_COLOURS = ((200, 30, 30), (250, 220, 60), (60, 150, 90))
NOT_MEASURED = (150, 150, 150)

NO_QUALITY = ("seconds", "memory_estimated_gb")
"""What the worker measures of itself."""

UNITS = {"mm": "mm", "mm2": "mm²", "ml": "ml"}

HEADLINES = {
    "open edges": _("Open edges (0: closed)"),
    "parts": _("Parts"),
    "tunnels": _("Tunnels"),
    "volume, ml": _("Volume, ml"),
    "quality deviation mm p95": _("Smoothing moved 95 % by less than, mm"),
    "quality deviation mm maximum": _("Smoothing moved at most, mm"),
    "quality walls p05, mm": _("95 % of the walls are thicker than, mm"),
    "quality walls area under printer minimum, mm²": _("Walls too thin for a common printer, mm²"),
    "triangles": _("Triangles"),
}
"""What a person wants to see first, by the figure's own name."""


def rows(measured: dict[str, dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """One row for each figure, in Slicer's language, with a value for each segment; those of most weight come first."""
    flat = {segment: dict(_flat(values)) for segment, values in measured.items()}
    found = dict.fromkeys(name for values in flat.values() for name in values)
    names = [name for name in HEADLINES if name in found] + [name for name in found if name not in HEADLINES]
    return [
        (HEADLINES.get(name) or told(name), [flat[segment].get(name, "") for segment in measured]) for name in names
    ]


def fill_table(table: Any, figures: list[tuple[str, list[str]]], segments: list[str]) -> None:
    table.setColumnCount(1 + len(segments))
    table.setHorizontalHeaderLabels([_("Figure"), *map(told, segments)])
    table.verticalHeader().setVisible(False)
    table.setRowCount(len(figures))
    for row, (name, values) in enumerate(figures):
        for column, text in enumerate((name, *values)):
            table.setItem(row, column, qt.QTableWidgetItem(text))
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.horizontalHeader().setStretchLastSection(False)
    table.resizeColumnsToContents()
    table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
    table.setMinimumHeight(ROW_HEIGHT * (min(len(figures), len(HEADLINES)) + 2))


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names in words, as the record's page has them, and values in text; figures of figures get both names."""
    found = []
    for key, value in values.items():
        if key in NO_QUALITY:
            continue
        if isinstance(value, dict):
            found += _flat(value, f"{before}{key}_")
        elif not isinstance(value, list):
            found.append((_words(before + key), _text(value)))
    return found


def _words(key: str) -> str:
    """A key in words, its unit after a comma."""
    words = key.split("_")
    last = words[-1]
    return " ".join(words[:-1]) + f", {UNITS[last]}" if len(words) > 1 and last in UNITS else " ".join(words)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None:
        return _("none")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_surface(exported: Any) -> Any:
    """Show the map of the first surface that was exported, coloured by the thickness of the wall at each place."""
    path = next(file for file in exported.files if file.name.endswith(MAP))
    surface = results.read_surface(path)
    measured = surface.GetPointData().GetArray(THICKNESS) if surface is not None else None
    if measured is None:
        raise ValueError(_("The surface cannot be read any more: export it again."))
    thickness_mm = vtk_to_numpy(measured)
    colours = np.stack([np.interp(thickness_mm, STOPS_MM, channel) for channel in zip(*STOP_COLOURS, strict=True)], 1)
    colours[thickness_mm < 0] = NOT_MEASURED
    return models.add(surface, path.name.removesuffix(MAP), colours)
