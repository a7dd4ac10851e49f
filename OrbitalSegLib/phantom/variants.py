"""The table of phantoms: heads and scans with a name."""

from dataclasses import dataclass, field
from typing import Literal

from OrbitalSegLib.phantom.anatomy import Anatomy
from OrbitalSegLib.phantom.scanner import Scanner

SMALL = {
    "matrix": 208,
    "pixel_mm": 0.6,
    "slice_thickness_mm": 0.9,
    "spacing_mm": 0.9,
    "height_mm": 54.0,
    "centre_mm": (0.0, 15.0, 0.0),
}
"""A scan that takes seconds."""


@dataclass(frozen=True)
class Variant:
    """One phantom. `export` says how its values are written: as HU, as MR, or as 8 bits of a window."""

    description: str
    anatomy: Anatomy = field(default_factory=Anatomy)
    scanner: Scanner = field(default_factory=Scanner)
    export: Literal["hu", "mr", "8-bit"] = "hu"


def _small(**changes: object) -> Scanner:
    return Scanner(**{**SMALL, **changes})  # type: ignore[arg-type]


VARIANTS: dict[str, Variant] = {
    "plain": Variant("A healthy head, scanned as table A.1 of ISO/IEC 3532-2 asks."),
    "small": Variant("A healthy head on a coarse grid, for a quick try.", scanner=_small()),
    "blow-out": Variant(
        "A blow-out fracture of the left floor, with fat in the sinus.", Anatomy(fracture="floor"), _small()
    ),
    "blow-out-medial": Variant(
        "A blow-out fracture of the right medial wall.", Anatomy(fracture="medial", fracture_side="right"), _small()
    ),
    "thin-walls": Variant("Floor and medial wall of 0.2 mm.", Anatomy(wall_thickness_mm=0.2), _small()),
    "opacified-sinus": Variant("The left maxillary sinus full of fluid.", Anatomy(opacified="left"), _small()),
    "mucosa": Variant("Swollen mucosa of 2 mm in every sinus.", Anatomy(mucosa_mm=2.0), _small()),
    "metal": Variant("A titanium plate on the left rim, with streaks.", Anatomy(metal=True), _small()),
    "newborn": Variant(
        "Bone of low density.", Anatomy(cortical_hu=450.0, thin_hu=250.0, trabecular_hu=180.0), _small()
    ),
    "tilt-plus-20": Variant("Gantry tilted by 20 degrees.", scanner=_small(tilt_degrees=20.0, height_mm=99.0)),
    "tilt-minus-20": Variant("Gantry tilted by -20 degrees.", scanner=_small(tilt_degrees=-20.0, height_mm=99.0)),
    "oblique-15": Variant("The head turned by 15 degrees.", Anatomy(turned_degrees=15.0), _small()),
    "missing-slice": Variant("One slice was lost.", scanner=_small(missing=(30,))),
    "uneven-spacing": Variant(
        "Slice distances between 0.6 and 1.4 times the nominal one.", scanner=_small(uneven=True)
    ),
    "feet-first": Variant("The patient lies feet first.", scanner=_small(patient_position="FFS")),
    "prone": Variant("The patient lies on the face.", scanner=_small(patient_position="HFP")),
    "feet-first-prone": Variant("Feet first and on the face.", scanner=_small(patient_position="FFP")),
    "sharp-kernel": Variant("A sharp kernel, more noise.", scanner=_small(kernel="sharp", noise_hu=35.0)),
    "cropped-orbit": Variant(
        "The field of view cuts the right orbit off.", scanner=_small(matrix=128, centre_mm=(34.0, 5.0, 0.0))
    ),
    "mr": Variant("Not a CT: values of an MR.", scanner=_small(), export="mr"),
    "8-bit": Variant("Not HU: 8 bits of the window from -200 to 300 HU.", scanner=_small(), export="8-bit"),
}
