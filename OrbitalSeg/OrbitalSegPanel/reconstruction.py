"""The worker's reconstruction of orbits: its figures in words, its files, and models of the orbits as they were."""

from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from vtkmodules.util.numpy_support import vtk_to_numpy

from OrbitalSegLib.files import safe_name
from OrbitalSegLib.results import RECORD_FILE
from OrbitalSegLib.structures import REBUILT, RECONSTRUCTED
from OrbitalSegPanel import exporting, orbits, results, segments, settings
from OrbitalSegPanel.exporting import SIDES
from OrbitalSegPanel.settings import Settings

ORIGIN = "origin"
"""Of each point of a reconstructed orbit: where its wall is from, an index into `ORIGIN_COLOURS`."""
ORIGIN_COLOURS = ((240, 228, 200), (150, 90, 215), (225, 40, 160))
"""As it is, mirrored, bridged."""
ENDINGS = (".stl", ".3mf")
WALLS = {"floor": _("floor"), "medial": _("medial wall"), "roof": _("roof"), "lateral": _("lateral wall")}
OF_SIDES = {"right": _("Right"), "left": _("Left")}


def take(made: Path, folder: Path) -> list[Path]:
    """Copy the models that the worker made, each with the record, under names that nothing has.

    Raises `OSError`, `ValueError` or `OrbitalSegError`.
    """
    taken = []
    for side in SIDES:
        for name in (safe_name(f"{REBUILT}-{side}"), safe_name(f"{RECONSTRUCTED}-{side}")):
            files = {ending: made / f"{name}{ending}" for ending in ENDINGS if (made / f"{name}{ending}").is_file()}
            if files:
                taken += exporting.put(folder, name, files | {exporting.RECORD: made / RECORD_FILE})
    if not taken:
        raise ValueError(_("there is no model in it"))
    return taken


def load(folder: Path, figures: dict[str, Any], of: Settings) -> None:
    """Put models of the orbits as they were into the scene, for those of an earlier reconstruction. Raises as `take`;
    the scene is then as before."""
    with results.all_or_nothing():
        found = [_model(folder / f"orbit-{side}.vtp", side) for side in _reconstructed(figures)]
    for old in of.references(settings.RECONSTRUCTED):
        segments.remove(old)
    of.refer_all(settings.RECONSTRUCTED, found)


def show(of: Settings, current: bool) -> None:
    """Show or hide the models as the user wants it, under names that say whether they still hold."""
    name = _("Orbit {side} as it was") if current else _("Orbit {side} as it was (before a change)")
    for model in of.references(settings.RECONSTRUCTED):
        model.SetName(name.format(side=_(model.GetAttribute(orbits.SIDE))))
        display = model.GetDisplayNode()
        if bool(display.GetVisibility()) != of["showReconstruction"]:
            display.SetVisibility(of["showReconstruction"])


def sentences(figures: dict[str, Any]) -> list[str]:
    """A line for each opening that was reconstructed, and for each side where none was."""
    said = []
    for side, orbit in figures["orbits"].items():
        if orbit["status"] == "no defect":
            said.append(_("{side}: nothing to reconstruct.").format(side=OF_SIDES[side]))
        elif orbit["status"] != "reconstructed":
            said.append(_("{side}: cannot be told.").format(side=OF_SIDES[side]))
        for one in orbit.get("openings", ()):
            if one["uncertain_mm"] is None:
                least = _("how far it is off cannot be told")
            else:
                least = _("uncertain by {mm:.1f} mm at least").format(mm=one["uncertain_mm"])
            line = _("{side}, {wall}: {area:.0f} mm², {share:.0f} % mirrored, {least}.")
            values = {"side": OF_SIDES[side], "wall": WALLS[one["wall"]], "area": one["area_mm2"]}
            said.append(line.format(**values, share=100 * one["mirrored_share"], least=least))
    return said


def _reconstructed(figures: dict[str, Any]) -> list[str]:
    return [side for side, orbit in figures["orbits"].items() if orbit["status"] == "reconstructed"]


def _model(path: Path, side: str) -> Any:
    surface = results.read_surface(path)
    origins = surface.GetPointData().GetArray(ORIGIN) if surface is not None else None
    if origins is None:
        raise ValueError(_("the surface of the {side} orbit is missing").format(side=_(side)))
    return orbits.shown_model(surface, side, np.array(ORIGIN_COLOURS)[vtk_to_numpy(origins).astype(int)])
