"""What a DICOM series says of its sizes and places beside the Image Plane module, which decides [PS3.3 C.7.6.2].

The patient's position on the table and Slice Location contradict nothing: images are turned after they are made, and
Slice Location is counted from wherever the scanner likes.
"""

from collections.abc import Sequence

import numpy as np

from OrbitalSegLib.reading.frames import SAME_SIZE
from OrbitalSegLib.reading.headers import Slice, values_of
from OrbitalSegLib.reading.stack import POSITION_TOLERANCE_MM


def claims(slices: Sequence[Slice], distance_mm: float) -> list[tuple[str, str]]:
    """Code and sentence of each claim that the Image Plane module overrules; `distance_mm` is that of its positions."""
    return [*_pixels(slices[0]), *_distance(slices, distance_mm), *_references(slices)]


def _pixels(item: Slice) -> list[tuple[str, str]]:
    try:
        rows_mm, columns_mm = map(float, values_of(item.header.get("ImagerPixelSpacing")))
    except ValueError:
        return []
    if np.abs(np.divide((columns_mm, rows_mm), item.pixel_mm) - 1).max() <= SAME_SIZE:
        return []
    return [
        (
            "header-decided",
            f"The slices have pixels of {item.pixel_mm[1]:g} mm by Pixel Spacing, of {rows_mm:g} mm by Imager Pixel "
            "Spacing; the first was taken, which is that in the patient.",
        )
    ]


def _distance(slices: Sequence[Slice], distance_mm: float) -> list[tuple[str, str]]:
    said_mm = slices[0].said_number("SpacingBetweenSlices")
    # Where the gantry was tilted, some scanners give the way of the table instead of the distance along the normal.
    steps_mm = np.linalg.norm(np.diff([item.position_mm for item in slices], axis=0), axis=1)
    tolerance_mm = max(POSITION_TOLERANCE_MM, SAME_SIZE * distance_mm)
    if said_mm is None or min(abs(abs(said_mm) - true) for true in (distance_mm, np.median(steps_mm))) <= tolerance_mm:
        return []
    return [
        (
            "header-decided",
            f"The slices lie {distance_mm:.4g} mm apart by their positions, {abs(said_mm):.4g} mm by Spacing "
            "Between Slices; their positions were taken.",
        )
    ]


def _references(slices: Sequence[Slice]) -> list[tuple[str, str]]:
    uids = {uid for item in slices if (uid := item.header.text("FrameOfReferenceUID"))}
    if len(uids) < 2:
        return []
    return [
        (
            "header-decided",
            f"The slices name {len(uids)} frames of reference, so they may not fit together; their positions were "
            "taken as those of one: look for steps between slices.",
        )
    ]
