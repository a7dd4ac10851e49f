"""A template of two boxes: an orbit on top of a sinus, a flat wall between them, in a block of soft tissue."""

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.training.templates.template import Compartment, Template

SPACING_MM = 0.5
HALF_MM = 30.0
"""The grid reaches so far to every side of its middle."""

ORBIT_MM = ((-12.0, 12.0), (-12.0, 12.0), (0.0, 20.0))
SINUS_MM = ((-12.0, 12.0), (-12.0, 12.0), (-14.0, 0.0))
"""x, y and z of both boxes: the wall between them lies at z = 0."""

FAR_MM = 20.0


RIM_MM = ((-12.0, 12.0), (-16.0, -12.0), (-4.0, 4.0))
"""Thick bone before the wall."""

SKIN_Y_MM = -6.0
"""With a face, the head ends at this plane."""


def two_boxes(*, face: bool = False) -> Template:
    """The template: right side of the head, floor only, closed all around. With a face, it has a rim and a skin."""
    orbit, sinus = _box_mm(ORBIT_MM), _box_mm(SINUS_MM)
    exterior = -_box_mm((*ORBIT_MM[:2], (SINUS_MM[2][0], ORBIT_MM[2][1])))
    far = np.full_like(orbit, FAR_MM)
    compartment = np.full(orbit.shape, Compartment.EXTERIOR, np.uint8)
    compartment[orbit < 0] = Compartment.RIGHT_ORBIT
    compartment[sinus <= 0] = Compartment.RIGHT_MAXILLARY
    return Template(
        name="two-boxes",
        source="by formula",
        licence="Apache-2.0",
        landmarks_mm={
            "globe_right": (0.0, -12.0, 10.5),
            "globe_left": (60.0, -12.0, 10.5),
            "apex_right": (2.0, 11.0, 10.0),
            "apex_left": (58.0, 11.0, 10.0),
            "nostril": (30.0, -20.0, -30.0),
        },
        compartment=_image(compartment),
        orbit_mm=_image(orbit),
        sinus_mm=_image(sinus),
        cranial_mm=_image(far),
        exterior_mm=_image(exterior),
        solid_mm=_image(_box_mm(RIM_MM) if face else far),
        septum_mm=_image(far),
        opening_mm=_image(far),
        skin_mm=_image(far * 0 + SKIN_Y_MM - _axis_mm()[None, :, None].astype(np.float32) if face else -far),
    )


def _axis_mm() -> np.ndarray:
    return np.arange(-HALF_MM, HALF_MM + SPACING_MM / 2, SPACING_MM)


def _box_mm(box: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Signed distance to a box, negative inside, [z, y, x]."""
    axis = _axis_mm()
    x, y, z = (np.maximum(low - axis, axis - high) for low, high in box)
    apart = [x[None, None, :], y[None, :, None], z[:, None, None]]
    outside = np.sqrt(sum(np.maximum(a, 0) ** 2 for a in apart))
    inside = np.minimum(np.maximum(np.maximum(*apart[:2]), apart[2]), 0)
    return np.minimum(outside + inside, FAR_MM).astype(np.float32)


def _image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((SPACING_MM,) * 3)
    image.SetOrigin((-HALF_MM,) * 3)
    return image
