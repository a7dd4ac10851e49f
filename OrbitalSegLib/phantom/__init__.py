"""A head CT by formula, with exact truth and no data files: the tests' ruler, and something to try the product on."""

from pathlib import Path

from OrbitalSegLib.phantom.anatomy import Anatomy
from OrbitalSegLib.phantom.scanner import Scanned, Scanner, scan
from OrbitalSegLib.phantom.series import write_series
from OrbitalSegLib.phantom.truth import (
    bone_fraction,
    cavity_ml,
    exact_bone_surface,
    globe_fraction,
    herniated_ml,
    named_fraction,
    orbit_volumes_ml,
    orbits_grid,
    truth_image,
    wall_midsurfaces,
    write_truth,
)
from OrbitalSegLib.phantom.variants import VARIANTS, Variant
from OrbitalSegLib.progress import Progress, silent

__all__ = [
    "VARIANTS",
    "Anatomy",
    "Scanned",
    "Scanner",
    "Variant",
    "bone_fraction",
    "cavity_ml",
    "exact_bone_surface",
    "globe_fraction",
    "herniated_ml",
    "named_fraction",
    "orbit_volumes_ml",
    "orbits_grid",
    "scan",
    "truth_image",
    "wall_midsurfaces",
    "write_phantom",
    "write_series",
    "write_truth",
]


def write_phantom(variant: Variant, folder: Path, progress: Progress = silent) -> None:
    """Write `series/` (DICOM) and `truth/` into an existing folder (docs/contracts.md, section 6)."""
    for name in ("series", "truth"):
        (folder / name).mkdir()
    scanned = scan(variant.anatomy, variant.scanner, lambda done: progress(0.5 * done))
    write_series(scanned, folder / "series", export=variant.export, progress=lambda done: progress(0.5 + 0.1 * done))
    write_truth(variant.anatomy, folder / "truth", lambda done: progress(0.6 + 0.4 * done))
