"""What was measured of exported surfaces, as a table and as colours."""

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

from OrbitalSegPanel.exporting import MAP

THICKNESS = "thickness_mm"
"""What a map is coloured by."""

THICK_MM = 2.0
"""From here on every wall has the same colour; a printer's limit lies well below."""


def rows(measured: dict[str, dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """One row for each figure, with a value for each segment."""
    flat = {segment: dict(_flat(values)) for segment, values in measured.items()}
    names = list(dict.fromkeys(name for values in flat.values() for name in values))
    return [(name, [flat[segment].get(name, "") for segment in measured]) for name in names]


def fill_table(table: Any, figures: list[tuple[str, list[str]]], segments: list[str]) -> None:
    table.setColumnCount(1 + len(segments))
    table.setHorizontalHeaderLabels([_("Figure"), *segments])
    table.verticalHeader().setVisible(False)
    table.setRowCount(len(figures))
    for row, (name, values) in enumerate(figures):
        for column, text in enumerate((name, *values)):
            table.setItem(row, column, qt.QTableWidgetItem(text))
    table.resizeColumnsToContents()
    table.horizontalHeader().setStretchLastSection(True)
    table.setMinimumHeight(min(260, 30 * (len(figures) + 1)))


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names in words and values in text; figures of figures get both names."""
    found = []
    for key, value in values.items():
        name = f"{before} {key.replace('_', ' ')}".strip()
        if isinstance(value, dict):
            found += _flat(value, name)
        elif not isinstance(value, list):
            found.append((name, _text(value)))
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None:
        return _("none")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_surface(exported: Any) -> Any:
    """Load the map of the first surface that was exported, coloured by the thickness of the wall at each place."""
    path = next(file for file in exported.files if file.name.endswith(MAP))
    node = slicer.modules.models.logic().AddModel(str(path), slicer.vtkMRMLStorageNode.CoordinateSystemLPS)
    if node is None:
        raise ValueError(_("Slicer cannot read the surface."))
    node.SetName(path.name.removesuffix(MAP))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetActiveScalar(THICKNESS, vtkAssignAttribute.POINT_DATA)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(0.0, THICK_MM)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    display.SetScalarVisibility(True)
    return node
