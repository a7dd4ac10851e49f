"""The front door: a CT in, its bone, surfaces and figures out, in memory; what `import OrbitalSegLib` offers.

The tasks of the command line and the panel wrap the same functions with a job, a record and a folder. `progress` hears
the share that is done, from 0 to 1, and stops the work by raising `Cancelled`; `warn` hears a code and a sentence
(docs/contracts.md, section 7).
"""

from pathlib import Path
from typing import Any

import SimpleITK as sitk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib import reading, segmenting
from OrbitalSegLib.cavity.orbits import OrbitVolumes, measure_orbits
from OrbitalSegLib.evaluation.figures import evaluate
from OrbitalSegLib.export.surfaces import MAIN_FORMAT, write_surface
from OrbitalSegLib.locating import locate
from OrbitalSegLib.locating.place import AskedOrbit
from OrbitalSegLib.methods import DEFAULT_METHOD
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.model import ModelParameters, model_of
from OrbitalSegLib.networks.resources import limit_bytes
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.progress import Progress, Steps, Warn, silent, unheard
from OrbitalSegLib.region import Region
from OrbitalSegLib.result_grid import GridChoice
from OrbitalSegLib.scan import Scan
from OrbitalSegLib.segmenting import First, Segmentation, Wish
from OrbitalSegLib.structures import BONE, INFERRED

__all__ = ["evaluate", "locate", "orbits", "read", "segment", "surface", "write"]


def read(path: Path | str, series: str | None = None, progress: Progress = silent) -> Scan:
    """Read a CT in HU, at the patient's true places (docs/reading.md).

    Parameters
    ----------
    path
        A folder of DICOM files, a zip of it, or an NRRD, NIfTI or MetaImage file.
    series
        A DICOM series by name (`A3`), number or UID; None takes the one fit for the orbit.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    scan
        The image in HU (signed 16 bits or float, LPS, mm), what the scanner said of it, and warnings.

    Raises
    ------
    InputError
        Its codes are listed in docs/contracts.md, section 7.

    Examples
    --------
    >>> import tempfile
    >>> from OrbitalSegLib.phantom import VARIANTS, Scanner, scan, write_series
    >>> coarse = scan(VARIANTS["small"].anatomy, Scanner(matrix=48, pixel_mm=2.5, spacing_mm=4.0))
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_series(coarse, Path(folder.name))
    >>> found = read(folder.name)
    >>> found.kind, found.image.GetSpacing()
    ('dicom', (2.5, 2.5, 4.0))
    >>> folder.cleanup()
    """
    return reading.read(Path(path), series, progress)


def segment(
    scan: Scan,
    method: str = DEFAULT_METHOD,
    parameters: dict[str, Any] | None = None,
    region: Region | AskedOrbit = "auto",
    postprocess: PostprocessingParameters | None = PostprocessingParameters(),  # noqa: B008 - it is frozen
    model: Path | None = None,
    grid: GridChoice = "auto",
    progress: Progress = silent,
    warn: Warn = unheard,
    *,
    first: First | None = None,
) -> Segmentation:
    """Find the bone of a scan.

    Parameters
    ----------
    scan
        As `read` gives it.
    method
        A name in the table of methods (`orbitalseg methods`).
    parameters
        Of the method; what is left out is the method's own default.
    region
        `auto` (both orbits, with the margins of table A.1), `left`, `right`, or a `Region`.
    postprocess
        What is repaired; None leaves the bone alone.
    model
        The folder of a model package, for methods with networks; None is the shipped one.
    grid
        `auto`: the result lies on the networks' grid where the scan's voxels are longer; `scan`: on the scan's; a
        number: on an isotropic grid of that spacing in mm.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.
    warn
        Hears at once of each warning: its code and its sentence.
    first
        The method that runs first: `method` begins at its bone, or looks in it alone.

    Returns
    -------
    Segmentation
        `masks` by structure on the result grid (unsigned 8 bits, 0 or 1), and the verdict of `monitoring`.

    Raises
    ------
    OrbitalSegError
        `InputError` where nothing can be found, `JobError` where method or parameters mean nothing.
    """
    wish = Wish(method, parameters or {}, region, postprocess, Resources(model=model), grid, first)
    steps = Steps(segmenting.shares(wish), lambda percent, _step, _left: progress(percent / 100))
    return segmenting.segment(scan, wish, steps, warn)


def surface(
    bone: Segmentation | sitk.Image,
    name: str = BONE,
    parameters: ModelParameters = ModelParameters(),  # noqa: B008 - it is frozen
    progress: Progress = silent,
) -> vtkPolyData:
    """The closed surface of one structure, LPS, mm.

    Parameters
    ----------
    bone
        What `segment` gave: the surface is made of what the method knew of each voxel. Or a mask, of which nothing more
        is known.
    name
        The structure; of a mask it is not used.
    parameters
        How far it may be smoothed, simplified and thickened.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    vtkPolyData
        Triangles, with what was measured at each vertex.

    Raises
    ------
    InputError
        `empty-result`, `damaged-surface`, `too-large`, `needs-mesh`.
    """
    field = BoneField(bone) if isinstance(bone, sitk.Image) else bone.field(name)
    return model_of(field, parameters, limit_bytes(None), progress).coloured


def orbits(scan: Scan, bone: Segmentation, progress: Progress = silent, warn: Warn = unheard) -> OrbitVolumes:
    """How large each whole orbit is, and its closed surface (docs/orbit-volume.md).

    Parameters
    ----------
    scan
        As `read` gives it.
    bone
        As `segment` gives it for this scan; inferred wall counts as wall too.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.
    warn
        Hears why an orbit has no volume: a code and a sentence.

    Returns
    -------
    volumes
        By side: ml, the share of its wall that was bridged, and the surface in LPS, mm.

    Raises
    ------
    InputError
        `no-orbit`: no orbit lies whole in the scan, so that nothing can be measured.
    """
    found = locate(scan.image)
    return measure_orbits(scan.image, bone.masks[BONE], bone.masks.get(INFERRED), found.both, progress, warn)


def write(surface: vtkPolyData, path: Path | str) -> Path:
    """Write a surface in the format that the ending says, read it back, and compare.

    Parameters
    ----------
    surface
        Triangles, LPS, mm, as `surface` gives them.
    path
        Its ending is `.stl`, `.3mf`, `.obj` or `.ply`; its stem is the structure's name.

    Returns
    -------
    path
        Where it was written: in the file's name, letters that not every system takes become `_`.

    Raises
    ------
    OutputError
        `cannot-write` or `disk-full`; nothing that was there before is lost.
    """
    path = Path(path)
    return write_surface(surface, path.parent, path.stem, path.suffix.lstrip(".").lower() or MAIN_FORMAT)
