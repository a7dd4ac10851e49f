"""A volume file that another program made of a scan, held against the files that it was made of."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.reading import dicom
from OrbitalSegLib.reading.frames import SAME_SHARE
from OrbitalSegLib.reading.volumes import read_volume, volume_kind
from OrbitalSegLib.scan import HIGHEST_HU, Acquisition, Scan

MOST_POINTS = 40_000
"""At so many voxels values are compared."""

NOT_AIR_HU = -500
"""Values are compared above it: air is the same everywhere, and what a transform moves in from outside is air."""

ROUNDING_HU = 2.0
"""What rounding to whole numbers changes, once in each program."""

OTHERS = 0.01
"""Share of values that differ of which nothing is said: an edge between two voxels, seen a little otherwise."""


@dataclass(frozen=True)
class Origin:
    """What is known of the scan that a volume file was made of."""

    acquisition: Acquisition | None = None
    """What the scanner said, where the files themselves are not there."""
    warnings: tuple[tuple[str, str], ...] = ()
    """What reading the files warned of, where they are not there."""
    files: tuple[Path, ...] = ()
    """A volume file, or the files of a DICOM series that are in the volume."""
    beside: tuple[Path, ...] = ()
    """The other files of that series."""


UNKNOWN = Origin()


def with_origin(
    scan: Scan,
    origin: Origin,
    header: str | None = None,
    grey_values: bool = False,
    progress: Progress = silent,
) -> tuple[Scan, InputError | None]:
    """A volume with what its origin says of it, and why the origin's values are no HU, if they are none.

    Where the files are there, they are read as any scan is, with all that reading refuses and warns of; then the volume
    is held against what they hold. Raises `InputError`.
    """
    if not origin.files:
        known = scan if origin.acquisition is None else replace(scan, acquisition=origin.acquisition)
        return replace(known, warnings=(*origin.warnings, *scan.warnings)), None
    kind = volume_kind(origin.files[0])
    problem = None
    if kind:
        original = read_volume(origin.files[0], kind, header)
        original = original if origin.acquisition is None else replace(original, acquisition=origin.acquisition)
    else:
        series = dicom.series_in(list(origin.files), list(origin.beside), grey_values)
        original, problem = dicom.load_series(series, progress), series.not_hu
    found = replace(
        scan,
        acquisition=original.acquisition,
        warnings=tuple(dict.fromkeys((*original.warnings, *scan.warnings))),
        measured=scan.measured | {"source": original.measured},
    )
    said = differences(scan.image, original)
    if not said or original.gaps:  # it lies where its slices lay; or a hole in them is worse than a wrong place
        found = replace(found, planes=original.planes, gaps=original.gaps)
    if not said:
        return found, problem
    what = "; ".join(said)
    text = f"The volume is not what its files hold: {what}. Load the scan again, unless it was changed on purpose."
    return replace(found, warnings=(*found.warnings, ("other-than-files", text))), problem


def differences(image: sitk.Image, original: Scan) -> list[str]:
    """What is otherwise in an image than in the scan that it was made of, in words; empty where nothing is.

    Voxels that another program put on a grid of its own are only held against the scan's values, where the scan's own
    slices had to be put on a grid too.
    """
    said = [] if original.measured["resampled"] else _grids(image, original.image)
    held, other = _values(image, original.image)
    if held < 1 - 1 / MOST_POINTS:
        said.append(f"it lacks {_percent(1 - held)} of what is not air")
    if other > OTHERS:
        said.append(f"{_percent(other)} of its values are others")
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _grids(image: sitk.Image, original: sitk.Image) -> list[str]:
    """How the grids differ, whatever the order of their axes."""
    voxels, wanted = (int(np.prod(one.GetSize())) for one in (image, original))
    apart = np.linalg.norm(_corners(image)[:, None] - _corners(original), axis=2).min(axis=0).max()
    if apart <= SAME_SHARE * min(original.GetSpacing()) and voxels == wanted:
        return []
    if sorted(image.GetSize()) == sorted(original.GetSize()) and np.allclose(
        sorted(image.GetSpacing()), sorted(original.GetSpacing()), rtol=1e-3
    ):
        return [f"it lies up to {apart:.1f} mm elsewhere"]
    return [f"it has {_grid(image)}, they have {_grid(original)}"]


def _grid(image: sitk.Image) -> str:
    size = " x ".join(str(count) for count in image.GetSize())
    return f"{size} voxels of {' x '.join(f'{length:.2f}' for length in image.GetSpacing())} mm"


def _corners(image: sitk.Image) -> np.ndarray:
    """The middles of the eight voxels in the corners, LPS mm, one a row."""
    last = [count - 1 for count in image.GetSize()]
    ends = [tuple(end * at for end, at in zip(last, corner, strict=True)) for corner in product((0, 1), repeat=3)]
    return np.array([image.TransformIndexToPhysicalPoint(end) for end in ends])


def _values(image: sitk.Image, original: sitk.Image) -> tuple[float, float]:
    """Of the original's voxels that are not air: the share that the image reaches, and of these the share where its
    nearest value is none of those around the voxel."""
    array = sitk.GetArrayViewFromImage(original)
    stride = max(1, round((array.size / MOST_POINTS) ** (1 / 3)))
    lattice = np.meshgrid(*(np.arange(0, count, stride) for count in array.shape), indexing="ij")
    places = np.stack([axis.ravel() for axis in lattice], axis=1)
    tissue = array[tuple(places.T)] > NOT_AIR_HU
    places = places[tissue] if tissue.any() else places
    around = [
        array[tuple(np.clip(places + step, 0, np.array(array.shape) - 1).T)] for step in product((-1, 0, 1), repeat=3)
    ]
    points = np.array(original.GetOrigin()) + (places[:, ::-1] * original.GetSpacing()) @ _axes(original).T
    inverse = np.linalg.inv(_axes(image)).T
    indices = np.rint(((points - image.GetOrigin()) @ inverse) / image.GetSpacing()).astype(int)[:, ::-1]
    values = sitk.GetArrayViewFromImage(image)
    held = ((indices >= 0) & (indices < values.shape)).all(axis=1)
    if not held.any():
        return 0.0, 0.0
    found = np.minimum(values[tuple(indices[held].T)], HIGHEST_HU)
    low, high = np.min(around, axis=0)[held], np.max(around, axis=0)[held]
    return float(held.mean()), float(((found < low - ROUNDING_HU) | (found > high + ROUNDING_HU)).mean())


def _axes(image: sitk.Image) -> np.ndarray:
    return np.reshape(image.GetDirection(), (3, 3))
