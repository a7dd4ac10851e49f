"""The Visible Human Female as an anatomy, labelled half by hand.

Bone is what lies above 150 HU and hangs together with bone above 300 HU (hysteresis), pieces below 1 ml left out. Air
below -400 HU inside the skin is labelled by its place: within hand-set regions it belongs to the maxillary sinuses or
to the nasal compartment. Orbits, cranial cavity, the soft parts of the nose, throat, cheeks and temporal fossae have
hand-set seeds. Walls that the scan does not show come by construction: they lie where the watershed from the orbit
meets the air of the sinuses. Left and right are not recorded in the source and are assumed.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.templates.build import build, template_grid
from OrbitalSegLib.training.templates.distance import capsules_mm, signed_mm
from OrbitalSegLib.training.templates.seeds import Capsule, Seeds, ball
from OrbitalSegLib.training.templates.template import SPACING_MM, Compartment, Template

SCAN = Path("visible-human-female") / "head.nii.gz"

BONE_HU, SURE_BONE_HU, AIR_HU = 150, 300, -400
SMALLEST_BONE_ML = 1.0
AIRWAY_MM = 2.0
"""Air that a ball of this radius reaches from outside lies outside the skin."""

AIR_REGIONS = {
    Compartment.RIGHT_MAXILLARY: (
        Capsule((-31.0, -74.0, 80.0), (-31.0, -70.0, 104.0), 17.5),
        Capsule((-27.5, -61.0, 84.0), (-27.5, -61.0, 104.0), 13.0),
    ),
    Compartment.LEFT_MAXILLARY: (
        Capsule((25.0, -74.0, 80.0), (25.0, -70.0, 104.0), 17.5),
        Capsule((22.0, -61.0, 84.0), (22.0, -61.0, 104.0), 13.0),
    ),
    Compartment.NASAL: (
        Capsule((-4.0, -90.0, 95.0), (-4.0, -45.0, 120.0), 25.0),
        Capsule((-4.0, -82.0, 120.0), (-4.0, -45.0, 120.0), 25.0),
        ball(-4.0, -96.0, 147.0, 25),
    ),
}
"""What air belongs to; the first that holds a voxel gets it."""

VISIBLE_HUMAN = Seeds(
    name="visible-human",
    source="Visible Human Project, female, CT of the head: courtesy of the U.S. National Library of Medicine",
    licence="Courtesy of the U.S. National Library of Medicine",
    box_mm=((-78.0, 70.0), (-125.0, -10.0), (72.0, 178.0)),
    seeds={
        Compartment.RIGHT_ORBIT: (ball(-41.0, -84.0, 125.0, 10), Capsule((-38, -78, 126), (-22.5, -59.6, 126), 4)),
        Compartment.LEFT_ORBIT: (ball(34.2, -84.0, 126.5, 10), Capsule((31, -78, 127), (15.6, -59.6, 127), 4)),
        Compartment.RIGHT_MAXILLARY: (Capsule((-33.2, -71.3, 98.0), (-27.3, -64.5, 106.0), 4),),
        Compartment.LEFT_MAXILLARY: (Capsule((25.4, -71.3, 98.0), (20.5, -64.5, 106.0), 4),),
        Compartment.NASAL: (
            Capsule((-11.0, -93.8, 93.0), (-12.7, -59.6, 95.0), 4),
            Capsule((3.0, -93.8, 93.0), (5.9, -59.6, 95.0), 4),
            Capsule((-4.9, -100.0, 108.0), (-4.9, -59.6, 112.0), 4),
            Capsule((-3.9, -90.0, 121.0), (-3.9, -50.0, 122.0), 6),
            Capsule((-11.5, -86.0, 122.0), (-11.5, -54.0, 122.0), 4.5),
            Capsule((5.0, -86.0, 122.0), (5.0, -54.0, 122.0), 4.5),
        ),
        Compartment.CRANIAL: (
            Capsule((-3.9, -40.0, 155.0), (-3.9, -74.2, 150.0), 12),
            ball(-49.8, -35.0, 120.0, 6),
            ball(43.0, -35.0, 120.0, 6),
            ball(-3.9, -25.0, 133.0, 6),
        ),
        Compartment.EXTERIOR: (
            ball(-56.6, -72.3, 100.0, 4),
            ball(50.8, -72.3, 100.0, 4),
            Capsule((-43.0, -49.8, 96.0), (-43.0, -49.8, 86.0), 4),
            Capsule((35.2, -49.8, 96.0), (35.2, -49.8, 86.0), 4),
            ball(-59.6, -64.5, 125.0, 3),
            ball(52.7, -64.5, 127.0, 3),
            Capsule((-5.9, -38.0, 84.0), (-5.9, -38.0, 92.0), 6),
            ball(-5.9, -79.1, 74.0, 4),
        ),
    },
    openings={
        "right superior orbital fissure": (Capsule((-18.0, -49.0, 120.0), (-30.0, -57.0, 127.0), 4),),
        "right optic canal": (Capsule((-19.0, -55.0, 127.5), (-10.0, -46.0, 129.0), 2.5),),
        "left superior orbital fissure": (Capsule((10.0, -47.0, 120.0), (21.0, -52.0, 129.0), 4),),
        "left optic canal": (Capsule((13.0, -54.0, 128.0), (5.0, -45.0, 129.0), 2.5),),
    },
    landmarks_mm={
        "globe_right": (-41.0, -84.0, 124.0),
        "globe_left": (34.2, -84.0, 126.0),
        "apex_right": (-19.5, -53.7, 126.0),
        "apex_left": (12.7, -53.7, 127.0),
        "nostril": (-3.9, -116.2, 92.0),
    },
    remarks=(
        "The scan's voxels are 0.98 x 0.98 x 1 mm: edges are rounded by as much.",
        "The nose is full of swollen mucosa, its turbinates lie in it.",
        "Left and right are assumed.",
    ),
)


def visible_human_template(data: Path, spacing_mm: float = SPACING_MM, progress: Progress = silent) -> Template:
    """The head of `SCAN` in a folder of data."""
    scan = sitk.ReadImage(str(data / SCAN))
    grid = template_grid(scan, VISIBLE_HUMAN, spacing_mm)
    ct = sitk.Resample(scan, grid, sitk.Transform(), sitk.sitkLinear, -1024.0, sitk.sitkFloat32)
    head = _head(ct, grid)
    air = head & (sitk.GetArrayFromImage(ct) < AIR_HU)
    return build(
        _bone(ct), VISIBLE_HUMAN, _air_markers(air, grid), on_grid(head.astype(np.uint8), grid), spacing_mm, progress
    )


def _bone(ct: sitk.Image) -> sitk.Image:
    bone = sitk.DoubleThreshold(ct, BONE_HU, SURE_BONE_HU, 1e5, 1e5)
    smallest = int(SMALLEST_BONE_ML * 1000 / np.prod(ct.GetSpacing()))
    return sitk.RelabelComponent(sitk.ConnectedComponent(bone), minimumObjectSize=smallest) > 0


def _head(ct: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """Everything inside the skin, airways included."""
    air = sitk.GetArrayFromImage(ct) < AIR_HU
    wide = sitk.ConnectedComponent(on_grid((signed_mm(air, grid) < -AIRWAY_MM).astype(np.uint8), grid))
    outer = sitk.GetArrayFromImage(sitk.RelabelComponent(wide)) == 1
    return ~(air & (signed_mm(outer, grid) < AIRWAY_MM + grid.GetSpacing()[0]))


def _air_markers(air: np.ndarray, grid: sitk.Image) -> sitk.Image:
    """Compartment + 1 of the air inside the head, 0 where its place is in no region."""
    marked = np.zeros(air.shape, np.uint8)
    for compartment, region in AIR_REGIONS.items():
        marked[air & (marked == 0) & (capsules_mm(region, grid) < 0)] = compartment + 1
    return on_grid(marked, grid)
