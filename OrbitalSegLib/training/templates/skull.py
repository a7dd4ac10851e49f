"""The dry human skull of the R package Arothron as an anatomy."""

from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.templates.build import build
from OrbitalSegLib.training.templates.seeds import Capsule, Seeds, ball
from OrbitalSegLib.training.templates.template import SPACING_MM, Compartment, Template

MASK = Path("skull-template") / "mask-0.4mm.nii.gz"

SKULL = Seeds(
    name="skull",
    source="A dry human skull: data set human_skull of the R package Arothron, as a mask at 0.4 mm",
    licence="GPL-2",
    box_mm=((-323.0, -171.0), (-112.0, 0.0), (75.0, 183.0)),
    seeds={
        Compartment.RIGHT_ORBIT: (
            ball(-274.2, -56.2, 134.9, 11),
            ball(-267.4, -44.2, 132.1, 5),
            # The right medial wall is all but missing: these and two seeds beyond say where it was.
            Capsule((-264.7, -66.0, 128.0), (-264.7, -48.0, 128.0), 4),
            Capsule((-264.7, -66.0, 135.0), (-264.7, -48.0, 135.0), 4),
        ),
        Compartment.LEFT_ORBIT: (ball(-222.2, -56.2, 134.9, 11), ball(-227.4, -44.2, 132.1, 5)),
        Compartment.RIGHT_MAXILLARY: (ball(-279.0, -56.2, 106.9, 6),),
        Compartment.LEFT_MAXILLARY: (ball(-215.4, -56.2, 106.9, 6),),
        Compartment.NASAL: (
            ball(-248.2, -64.2, 104.9, 12),
            ball(-248.2, -64.2, 120.9, 9),
            ball(-248.2, -60.2, 132.9, 6),
            ball(-248.2, -52.2, 116.9, 10),
            ball(-248.2, -44.2, 126.9, 10),
            ball(-248.2, -42.2, 131.5, 4),
            ball(-248.2, -30.2, 122.9, 9),
            ball(-248.2, -44.2, 110.9, 9),
            ball(-248.2, -62.5, 158.9, 3),
            Capsule((-253.5, -66.0, 128.0), (-253.5, -46.0, 128.0), 3.8),
            Capsule((-253.5, -66.0, 135.0), (-253.5, -48.0, 135.0), 3.8),
            ball(-248.2, -52.2, 100.9, 7),
            ball(-248.2, -32.2, 104.9, 6),
        ),
        Compartment.CRANIAL: (
            ball(-244.2, -8.2, 164.9, 25),
            ball(-244.2, -28.2, 148.9, 8),
            ball(-282.0, -12.0, 128.0, 7),
            ball(-212.0, -12.0, 128.0, 7),
        ),
        Compartment.EXTERIOR: (ball(-296.2, -40.2, 104.9, 5), ball(-198.2, -40.2, 104.9, 5)),
    },
    openings={
        "right superior orbital fissure": (Capsule((-263.0, -26.0, 124.0), (-269.0, -34.0, 144.0), 5),),
        "right optic canal": (ball(-259.8, -26.3, 129.5, 2.5),),
        "left superior orbital fissure": (Capsule((-232.0, -28.0, 124.0), (-222.0, -33.0, 140.0), 5),),
    },
    landmarks_mm={
        "globe_right": (-275.4, -58.2, 134.9),
        "globe_left": (-220.2, -58.2, 134.9),
        "apex_right": (-264.2, -34.2, 132.1),
        "apex_left": (-231.4, -34.2, 132.1),
        "nostril": (-248.2, -78.2, 100.9),
    },
    solid_thickness_mm=3.8,
    remarks=(
        "Walls are 1.6 mm thick and more, thicker than in life; only their middles are used.",
        "Medial walls, floors, ethmoid roof and one maxillary sinus have holes, which are closed.",
        "The right medial wall is all but missing: its middle is drawn between seeds and is less even than in life.",
        "A skull without teeth in parts, without soft tissue: the skin is a hull.",
    ),
    nose=(Capsule((-248.2, -80.0, 125.0), (-248.2, -88.0, 106.0), 9.0),),
)


def skull_template(data: Path, spacing_mm: float = SPACING_MM, progress: Progress = silent) -> Template:
    """The skull of `MASK` in a folder of data."""
    return build(sitk.ReadImage(str(data / MASK)), SKULL, spacing_mm=spacing_mm, progress=progress)
