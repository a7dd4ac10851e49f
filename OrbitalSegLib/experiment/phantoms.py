"""The default data of an experiment: phantoms with walls, fractures and scanners of different kinds."""

from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.evaluation.table import CaseFiles
from OrbitalSegLib.evaluation.wall_points import write_walls
from OrbitalSegLib.evaluation.walls import walls_of_phantom
from OrbitalSegLib.files import write_image, writing
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, truth_image, wall_midsurfaces
from OrbitalSegLib.progress import Progress, silent

COARSE: dict[str, Any] = {"matrix": 208, "pixel_mm": 0.6, "height_mm": 54.0, "centre_mm": (0.0, 15.0, 0.0)}
"""A field of view of 125 mm at 0.6 mm: seconds for each phantom, and within table A.1 but for the matrix."""

WALLS_MM = (0.3, 0.5, 0.7)
FRACTURES: tuple[Literal["none", "floor", "medial"], ...] = ("none", "floor", "medial")
SPACINGS_MM = (0.6, 0.9)
"""Cases go through all combinations in an order in which neighbours differ in everything."""

WALL_SPACING_MM = 0.7


def phantom(number: int) -> tuple[Anatomy, Scanner]:
    """The case of that number: the same every time."""
    random = np.random.default_rng(number)
    combinations = list(product(WALLS_MM, FRACTURES, SPACINGS_MM))
    wall_mm, fracture, spacing_mm = combinations[(7 * number) % len(combinations)]
    anatomy = Anatomy(
        wall_thickness_mm=wall_mm,
        fracture=fracture,
        fracture_area_mm2=float(random.uniform(60, 160)),
        mucosa_mm=float(random.uniform(0, 2)),
        cortical_hu=float(random.uniform(1000, 1400)),
        thin_hu=float(random.uniform(600, 1000)),
        turned_degrees=float(random.uniform(-8, 8)),
    )
    noise_hu, blur_mm = float(random.uniform(6, 20)), float(random.uniform(0.25, 0.45))
    slices: dict[str, Any] = {"slice_thickness_mm": spacing_mm, "spacing_mm": spacing_mm}
    return anatomy, Scanner(**COARSE, **slices, noise_hu=noise_hu, point_spread_mm=blur_mm, seed=number + 1)


def phantom_case(number: int, folder: Path, progress: Progress = silent) -> CaseFiles:
    """Write CT, truth and walls of a phantom into a folder of its own.

    The truth is bone fraction of at least one half on the scan's own voxels: walls that are thinner than half a voxel
    are not in it, so that overlap says little of them; the walls' own figures do (docs/metrics.md). Raises
    `OutputError`.
    """
    anatomy, scanner = phantom(number)
    place = folder / f"phantom-{number:02d}"
    with writing(folder):
        place.mkdir()
    taken = scan(anatomy, scanner, lambda done: progress(0.6 * done))
    ct = sitk.GetImageFromArray(taken.voxels)
    ct.SetSpacing((scanner.pixel_mm, scanner.pixel_mm, scanner.spacing_mm))
    ct.SetOrigin(taken.grid.origins[0].tolist())
    write_image(ct, place / "ct.nrrd")
    write_image(truth_image(anatomy, ct, lambda done: progress(0.6 + 0.3 * done)), place / "truth.nrrd")
    with writing(place):
        write_walls(walls_of_phantom(wall_midsurfaces(anatomy, WALL_SPACING_MM)), place / "walls.vtp")
    progress(1.0)
    return CaseFiles(place.name, place / "truth.nrrd", {}, place / "ct.nrrd", None, place / "walls.vtp")
