"""What a run will need, before it starts."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from slicer.i18n import tr as _

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.methods import Method
from OrbitalSegPanel import volumes
from OrbitalSegPanel.settings import ROI

BOTH_ORBITS_MM = (130.0, 90.0, 70.0)
"""About what table A.1 asks for of an adult, with the margin: taken where the orbits have yet to be found."""


def sentence(method: Method, settings: Any, volume: Any) -> str:
    """The memory that a run will take, in GB, and what it may take."""
    if volume is None or volume.GetImageData() is None:
        return ""
    if not method.needs_model:
        return _("A threshold needs little memory.")
    from OrbitalSegLib.networks.consensus import needed_bytes
    from OrbitalSegLib.networks.resources import limit_bytes

    try:
        model = _model(settings["model"])
    except OrbitalSegError as error:
        return error.text
    grid = _grid(volume, model.spacing_mm, settings)
    channels = [network.channels for network in model.networks.values()]
    needed, allowed = needed_bytes(grid, channels, volume.GetImageData().GetNumberOfPoints()), limit_bytes(None)
    text = _("Memory: about {needed:.1f} GB; {allowed:.1f} GB may be used.").format(
        needed=needed / 1e9, allowed=allowed / 1e9
    )
    return text if needed <= allowed else text + " " + _("Choose a smaller region.")


@cache
def _model(folder: str) -> Any:
    """A package that is whole, read once: it takes a moment."""
    from OrbitalSegLib.networks import package

    return package.load(Path(folder) if folder else None)


def _grid(volume: Any, spacing_mm: float, settings: Any) -> Any:
    """The working grid, by the volume's geometry alone."""
    from OrbitalSegLib.preprocessing import working_grid

    size, spacing, origin, direction = volumes.grid_of(volume)
    geometry = sitk.Image(size, sitk.sitkUInt8)
    geometry.SetSpacing(spacing)
    geometry.SetOrigin(origin)
    geometry.SetDirection(direction)
    region, roi = settings["region"], settings.reference(ROI)
    if region == "whole":
        return working_grid(geometry, spacing_mm)
    if region == "roi" and roi is not None:
        return working_grid(geometry, spacing_mm, volumes.box_of(roi))
    middle = geometry.TransformContinuousIndexToPhysicalPoint([(count - 1) / 2 for count in size])
    half = np.array(BOTH_ORBITS_MM) / 2
    box = np.stack([np.array(middle) - half, np.array(middle) + half], axis=1).ravel().tolist()
    return working_grid(geometry, spacing_mm, box)
