"""What a run will need, before it starts."""

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from slicer.i18n import tr as _

from OrbitalSegLib.methods import Method
from OrbitalSegLib.networks import package
from OrbitalSegPanel import volumes
from OrbitalSegPanel.settings import ROI

BOTH_ORBITS_MM = (130.0, 90.0, 70.0)
"""About what table A.1 asks for of an adult, with the margin: taken where the orbits have yet to be found."""


def sentence(method: Method, settings: Any, volume: Any) -> str:
    """The memory that a run will take, in GB, and what it may take."""
    if volume is None or volume.GetImageData() is None:
        return ""
    if not method.needs_model:
        return _("A method without networks needs little memory.")
    from OrbitalSegLib.networks.consensus import needed_bytes
    from OrbitalSegLib.networks.resources import limit_bytes

    try:
        spacing_mm, channels = _described(settings["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return _("There is no model package in this folder: choose another one.")
    wanted = method.networks
    used = [own for name, own in channels.items() if wanted == "all" or name in wanted] or list(channels.values())
    grid = _grid(volume, spacing_mm, settings)
    needed, allowed = needed_bytes(grid, used, volume.GetImageData().GetNumberOfPoints()), limit_bytes(None)
    text = _("Memory: about {needed:.1f} GB; {allowed:.1f} GB may be used.").format(
        needed=needed / 1e9, allowed=allowed / 1e9
    )
    return text if needed <= allowed else text + " " + _("Choose a smaller region.")


@cache
def _described(folder: str) -> tuple[float, dict[str, list[int]]]:
    """Spacing in mm, and each network's channels, as a package says of itself; the worker checks it, for a second."""
    path = Path(folder) if folder else package.SHIPPED / package.DEFAULT
    said = json.loads((path / package.DESCRIPTION).read_text(encoding="utf-8"))
    return float(said["spacing_mm"]), {name: list(item["channels"]) for name, item in said["networks"].items()}


def _grid(volume: Any, spacing_mm: float, settings: Any) -> Any:
    """The working grid, by the volume's geometry alone."""
    roi = settings.reference(ROI)
    box = tuple(volumes.box_of(roi)) if settings["region"] == "roi" and roi is not None else None
    return _grid_of(tuple(map(tuple, volumes.grid_of(volume))), spacing_mm, settings["region"] == "whole", box)


@lru_cache(1)
def _grid_of(
    of: tuple[tuple[float, ...], ...], spacing_mm: float, whole: bool, box_mm: tuple[float, ...] | None
) -> Any:
    """The working grid of a scan of that geometry, or of that box in it; of both orbits where there is none.

    The panel asks whenever it shows anything, and SimpleITK makes no geometry without all the voxels.
    """
    from OrbitalSegLib.preprocessing import working_grid

    size, spacing, origin, direction = of
    geometry = sitk.Image(size, sitk.sitkUInt8)
    geometry.SetSpacing(spacing)
    geometry.SetOrigin(origin)
    geometry.SetDirection(direction)
    if whole or box_mm is not None:
        return working_grid(geometry, spacing_mm, box_mm)
    middle = geometry.TransformContinuousIndexToPhysicalPoint([(count - 1) / 2 for count in size])
    half = np.array(BOTH_ORBITS_MM) / 2
    box = np.stack([np.array(middle) - half, np.array(middle) + half], axis=1).ravel().tolist()
    return working_grid(geometry, spacing_mm, box)
