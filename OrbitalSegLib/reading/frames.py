"""What the header of a volume file says of where its voxels lie, and whether it says one thing only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError

CHOICES = (
    *("qform", "sform", "pixdim", "mm"),
    *("directions", "spacings"),
    *("TransformMatrix", "Orientation", "Rotation", "Offset", "Origin", "Position"),
    *("ElementSpacing", "AnatomicalOrientation"),
)
"""Parts of a header that a person can choose to believe where parts contradict each other."""

SMALLEST_MM, LARGEST_MM = 0.01, 20.0
"""No voxel of a CT is smaller or larger: such a size stands in a header that names a wrong unit."""

RIGHT_ANGLE = 1e-3
"""Deviation of a volume's axes from right angles that rounding in its header explains."""

SAME_SHARE = 0.25
"""Voxels whose centres lie no further apart than this part of their shortest side lie in one place."""

SINGLE_PRECISION = 4e-4
"""So much the directions can differ that single-precision numbers in a header give, above all a quaternion's."""

SAME_SIZE = 2e-3
"""Voxels whose sides differ by no more than this part are of one size."""

MOST_TURNED_DEGREES = 45.0
"""Beyond this, two directions do not agree on what is left, front and top any more."""

UNKNOWN = (
    "orientation-unknown",
    "The file does not say how the patient lies: left and right may be exchanged, so check them.",
)

MM_OF_UNIT = {
    "nm": 1e-6,
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("\N{MICRO SIGN}m", "\N{GREEK SMALL LETTER MU}m"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("in", "inch", "inches"), 25.4),
}
"""What one of a unit is in mm, by the names that headers use, in small letters."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where voxels lie: `axes_mm` (3, 3), whose columns are the steps along the three indices, and the first voxel.

    LPS, mm.
    """

    axes_mm: np.ndarray
    origin_mm: np.ndarray

    @classmethod
    def of(cls, image: sitk.Image) -> "Frame":
        """Where the voxels of an image of three dimensions lie."""
        axes = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
        return cls(axes, np.array(image.GetOrigin()))

    @property
    def spacing_mm(self) -> np.ndarray:
        """(3,): the sides of a voxel."""
        return np.asarray(np.linalg.norm(self.axes_mm, axis=0))

    @property
    def is_valid(self) -> bool:
        """Whether it gives every voxel a place of its own."""
        finite = bool(np.isfinite(self.axes_mm).all() and np.isfinite(self.origin_mm).all())
        return finite and bool(np.abs(self.spacing_mm).min() > 0) and abs(np.linalg.det(self.directions)) > RIGHT_ANGLE

    @property
    def directions(self) -> np.ndarray:
        """(3, 3): unit vectors along the three indices, as columns."""
        return np.asarray(self.axes_mm / self.spacing_mm)

    @property
    def is_square(self) -> bool:
        """Whether its axes are at right angles."""
        axes = self.directions
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= RIGHT_ANGLE)

    @property
    def described(self) -> str:
        """The nearest directions of the patient along the three axes, and the size of a voxel, for a sentence."""
        names = (("left", "right"), ("back", "front"), ("head", "feet"))
        towards = []
        for direction in self.directions.T:
            axis = int(np.abs(direction).argmax())
            towards.append(names[axis][int(direction[axis] < 0)])
        size = " x ".join(f"{side:.4g}" for side in self.spacing_mm)
        return f"the axes run to the patient's {', '.join(towards)}, with voxels of {size} mm"

    def scaled(self, mm: float) -> "Frame":
        """With every length times `mm`."""
        return Frame(self.axes_mm * mm, self.origin_mm * mm)

    def place(self, image: sitk.Image) -> None:
        """Put the voxels of an image there. Where they lie there already but for rounding, nothing is changed."""
        if relation(Frame.of(image), self, image.GetSize()[:3], share=1e-4, rounding=1e-7) != "same":
            image.SetSpacing(self.spacing_mm.tolist())
            image.SetDirection(self.directions.ravel().tolist())
            image.SetOrigin(self.origin_mm.tolist())


@dataclass(frozen=True)
class Stated:
    """What a header says, once it is decided."""

    frame: Frame
    warnings: tuple[tuple[str, str], ...] = ()
    repaired: Mapping[str, str | None] = field(default_factory=dict)
    """Lines of the header that its reader must find otherwise (None: not at all), by their names."""
    data_file: str | None = None
    """The one other file that holds the voxels, by its name from the header's folder; None: this file, or several."""


def relation(
    one: Frame,
    other: Frame,
    size: tuple[int, ...],
    share: float = SAME_SHARE,
    rounding: float = SINGLE_PRECISION,
) -> Literal["same", "moved", "other"]:
    """Whether two frames put a volume of this size in one place, or turn or shift it only, or contradict each other.

    What is `moved` has the same left, front and top, voxels of one size, and right angles.
    """
    corners = np.array(list(product(*((0, count - 1) for count in size))), float)
    places = [corners @ frame.axes_mm.T + frame.origin_mm for frame in (one, other)]
    apart = float(np.linalg.norm(places[0] - places[1], axis=1).max())
    longest = float(np.linalg.norm(one.axes_mm @ np.array(size, float)))
    if apart <= max(share * float(one.spacing_mm.min()), rounding * longest):
        return "same"
    sizes = np.abs(other.spacing_mm / one.spacing_mm - 1).max()
    if sizes > SAME_SIZE or not (one.is_square and other.is_square):
        return "other"
    turn = other.directions @ one.directions.T
    turned = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    return "moved" if np.linalg.det(turn) > 0 and turned < MOST_TURNED_DEGREES else "other"


def contradiction(kind: str, readings: Mapping[str, str], choices: tuple[str, ...] = ()) -> InputError:
    """The refusal of a header whose parts say different things: what each part says, by its name."""
    said = "; by its ".join(f"{name} {text}" for name, text in readings.items())
    choose = f"say with `header` which is right ({' or '.join(choices)}), or " if choices else ""
    return InputError(
        "inconsistent", f"The {kind} header contradicts itself: by its {said}: {choose}export the original CT as DICOM."
    )


def chosen(name: str, kind: str) -> tuple[str, str]:
    """The warning that a person decided."""
    return ("header-chosen", f"The {kind} header contradicts itself; {name} was believed, as asked for.")


def decided(kind: str, what: str) -> tuple[str, str]:
    """The warning that the standard of the format decided."""
    return ("header-decided", f"The {kind} header contradicts itself or its format: {what}.")


def without_size(kind: str) -> InputError:
    """The refusal of a header that does not say how large a voxel is."""
    return InputError(
        "inconsistent",
        f"The {kind} header does not say how large a voxel is, so nothing can be measured: export the original CT as "
        "DICOM.",
    )


def in_mm(frame: Frame, unit: str | None, kind: str, wanted: str | None) -> tuple[Frame, tuple[tuple[str, str], ...]]:
    """A frame whose lengths have a unit (None: nothing is said, mm by custom) in mm, and what is said of that.

    Raises `InputError` `inconsistent` where the unit is unknown, or gives a voxel that no CT has.
    """
    mm = 1.0 if unit is None else MM_OF_UNIT.get(unit.casefold())
    by_unit = None if mm is None else frame.scaled(mm)
    if by_unit is not None and _plausible(by_unit):
        if mm == 1.0:
            return by_unit, ()
        if wanted != "mm":
            size = " x ".join(f"{side:.4g}" for side in by_unit.spacing_mm)
            text = f"The {kind} header gives its lengths in {unit}; they were converted: voxels of {size} mm."
            return by_unit, (("unit-converted", text),)
    if not _plausible(frame):
        size = " x ".join(f"{side:.4g}" for side in (by_unit or frame).spacing_mm)
        raise InputError(
            "inconsistent",
            f"The {kind} header gives voxels of {size} mm, which no CT of a head has: export the original CT as DICOM.",
        )
    if wanted == "mm":
        return frame, (chosen("mm", kind),)
    stated = "which is no known unit" if by_unit is None else by_unit.described
    raise contradiction(kind, {f"unit {unit}": stated, "numbers taken as mm": frame.described}, ("mm",))


def _plausible(frame: Frame) -> bool:
    return bool(frame.spacing_mm.min() >= SMALLEST_MM and frame.spacing_mm.max() <= LARGEST_MM)
