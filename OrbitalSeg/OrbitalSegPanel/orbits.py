"""The worker's measurement of the orbits: its figures in words, and models of the rooms that were measured."""

from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from vtkmodules.util.numpy_support import vtk_to_numpy

from OrbitalSegLib.structures import BONE, INFERRED
from OrbitalSegPanel import models, results, segments, volumes
from OrbitalSegPanel.exporting import SIDES
from OrbitalSegPanel.settings import ORBIT, Settings

Look = dict[str, Any]
"""A fingerprint of the walls (`segments`) and one of the scan (`scan`): where both are the same, so is the volume."""

WALLS = (BONE, INFERRED)
"""Segments between which an orbit is measured."""

END = "end"
"""Of each point of a measured orbit's surface: what ends the orbit there, an index into `END_COLOURS`."""

END_COLOURS = (
    (60, 150, 255),
    (240, 228, 200),
    tuple(round(255 * part) for part in segments.WARNING_COLOUR),
    (225, 40, 160),
)
"""Of the opening, bone, inferred wall, and where no wall was found and it was bridged."""

SIDE = "OrbitalSeg.side"
"""Of a model: the orbit that it shows."""

OPACITY_3D = 0.6
OUTLINE_PIXELS = 2

NOT_WHOLE = {
    "cut off": _("cut off"),
    "missing": _("not found"),
    "no rim": _("no rim"),
    "too little wall": _("too little wall"),
    "not asked": _("not segmented"),
}

NOT_ASKED = {"status": "not asked"}
"""Of the orbit beside one that was segmented alone."""

MEANINGS = {
    "volume_ml": (
        _("Volume"),
        _("The room between the bony walls, closed in front by a saddle through the crest of the rim, ml."),
    ),
    "bridged_share": (
        _("Wall bridged"),
        _(
            "The share of the wall where none was met, because of fissures, canals, fractures or walls that the scan "
            "does not show: the volume ends there at a smooth bridge between the walls beside it."
        ),
    ),
    "inferred_share": (_("Inferred wall"), _("The share of the wall that is inferred: the scan does not show it.")),
    "beyond_ml": (
        _("Beyond the bridges"),
        _(
            "Soft tissue beyond the bridges, up to the air of a sinus, as far as it is seen from inside, ml: what has "
            "sagged through holes, and thick mucosa. 0 where the sinus is opaque: it cannot be known there. It is not "
            "part of the volume."
        ),
    ),
}
"""By figure its title, and what it means."""


def moment(target: Any, volume: Any) -> Any:
    """Changes whenever a look may: cheap enough to be asked for often."""
    walls = () if target is None else (target.GetID(), segments.moments(target))
    return walls, () if volume is None else (volume.GetID(), volumes.moment(volume))


def look(target: Any, volume: Any) -> Look:
    """See `Look`; either may be None."""
    walls = {} if target is None else {name: segments.fingerprint(target, name) for name in WALLS}
    return {"segments": walls, "scan": "" if volume is None else volumes.fingerprint(volume)}


def load(folder: Path, figures: dict[str, Any], settings: Settings) -> None:
    """Put models of the measured orbits into the scene, for those of an earlier measurement.

    Raises `OSError`, `ValueError` or `RuntimeError` where one cannot be read; the scene is then as before.
    """
    with results.all_or_nothing():
        found = [_model(folder / f"orbit-{side}.vtp", side) for side in _measured(figures)]
    for old in settings.references(ORBIT):
        segments.remove(old)
    settings.refer_all(ORBIT, found)


def show(settings: Settings, current: bool) -> None:
    """Show or hide the models as the user wants it, and name them by figures that say whether they still hold."""
    name = _("Orbit {side} ({ml:.1f} ml)") if current else _("Orbit {side} ({ml:.1f} ml, before a change)")
    for model in settings.references(ORBIT):
        side, display = model.GetAttribute(SIDE), model.GetDisplayNode()
        model.SetName(name.format(side=_(side), ml=settings["orbits"]["figures"]["orbits"][side]["volume_ml"]))
        if bool(display.GetVisibility()) != settings["showOrbits"]:
            display.SetVisibility(settings["showOrbits"])


def rows(figures: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """One row for each figure, with its values of the right and of the left orbit."""
    orbits = [figures["orbits"].get(side, NOT_ASKED) for side in SIDES]
    return [(title, [_text(orbit, figure) for orbit in orbits]) for figure, (title, _meaning) in MEANINGS.items()]


def difference(figures: dict[str, Any]) -> str:
    """Whether one orbit is larger, and by how much; empty where only one of them could be measured."""
    ml = figures["difference_ml"]
    if ml is None:
        return ""
    percent = 100 * ml / min(figures["orbits"][side]["volume_ml"] for side in SIDES)
    if figures["larger"] is None:
        text = _("Right and left differ by {ml:.1f} ml ({percent:.1f} %), which equal orbits do too when measured.")
        return text.format(ml=ml, percent=percent)
    side = {"right": _("Right"), "left": _("Left")}[figures["larger"]]
    return _("{side} is larger by {ml:.1f} ml ({percent:.1f} %).").format(side=side, ml=ml, percent=percent)


def _measured(figures: dict[str, Any]) -> list[str]:
    return [side for side, orbit in figures["orbits"].items() if "volume_ml" in orbit]


def _text(orbit: dict[str, Any], figure: str) -> str:
    if figure not in orbit:
        return NOT_WHOLE[orbit["status"]] if figure == "volume_ml" else "-"
    value = orbit[figure]
    return f"{value:.1f} ml" if figure.endswith("_ml") else f"{100 * value:.0f} %"


def _model(path: Path, side: str) -> Any:
    """The surface of an orbit, translucent in 3D and an outline in the slices, coloured by what ends it."""
    surface = results.read_surface(path)
    ends = surface.GetPointData().GetArray(END) if surface is not None else None
    if ends is None:
        raise ValueError(_("the surface of the {side} orbit is missing").format(side=_(side)))
    return shown_model(surface, side, np.array(END_COLOURS)[vtk_to_numpy(ends).astype(int)])


def shown_model(surface: Any, side: str, colours: np.ndarray) -> Any:
    """A model of an orbit, translucent in 3D and an outline in the slices.

    Colours are given and not numbers: those between the numbers of two points mean something else, and a slice would
    show inferred wall between bone and bridge.
    """
    node = models.add(surface, f"Orbit {side}", colours)
    node.SetAttribute(SIDE, side)
    display = node.GetDisplayNode()
    display.SetOpacity(OPACITY_3D)
    display.SetVisibility2D(True)
    display.SetSliceIntersectionThickness(OUTLINE_PIXELS)
    return node
