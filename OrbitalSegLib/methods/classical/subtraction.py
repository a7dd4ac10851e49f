"""The orbital cavity by subtraction: what is left of an orbit without its bone and without air [3532-2 B]."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_array, mask_on_grid, volume_ml
from OrbitalSegLib.locating import Orbit, Pyramid, locate
from OrbitalSegLib.methods.method import ByValue, Masks, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.progress import Progress, span
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU
from OrbitalSegLib.structures import Code, described

Floats = NDArray[np.float64]

CAVITY = "orbital-cavity"

CODE: Code = ("363654007", "SCT", "Orbital structure")

DEPTHS, ANGLES = 9, 24
"""Into how many shares the axis and the round of a located orbit are cut."""


@dataclass(frozen=True)
class SubtractionParameters:
    """Bone is above `bone_hu`, air below `air_hu`; the rest of each orbit is its cavity."""

    bone_hu: float = parameter(400.0, "Bone above", "HU", AIR_HU, HIGHEST_HU)  # [3532-2 B]
    air_hu: float = parameter(-600.0, "Air below", "HU", AIR_HU, HIGHEST_HU)  # [3532-2 B]
    # Ours: the walls lie so near to where a located orbit has them, and leaks into a sinus end there.
    around_mm: float = parameter(4.0, "Looked for around an orbit", "mm", 0, 15)
    # Ours: fissures, and gaps that a threshold leaves in thin walls, are closed to twice this.
    bridged_mm: float = parameter(1.5, "Bridged over", "mm", 0, 5)

    def __post_init__(self) -> None:
        if self.air_hu >= self.bone_hu:
            raise JobError("invalid-job", "The limit of air must be below that of bone.")


@dataclass(kw_only=True)
class Cavities(ByValue):
    """No bone, and one structure of its own."""

    room: sitk.Image
    """A mask, on the scan grid: region and margin."""

    def classes(self, _bone: sitk.Image) -> Masks:
        return {CAVITY: self.room}


def run(task: Task, parameters: SubtractionParameters, progress: Progress) -> Cavities:
    """See `Method`. Only orbits that are seen whole, and whose middle lies in the region, have a cavity.

    They are looked for in the whole scan: in one half of a head an orbit is found less well."""
    ct = task.part
    located = locate(task.scan, span(progress, 0.0, 0.6)).both
    orbits = [one for one in located if one.status == "found" and task.region.holds(_middle_mm(one))]
    if not orbits:
        raise InputError(
            "no-orbit", "No whole orbit was found in the region: choose `auto`, `left` or `right`, or a wider region."
        )
    room, measured = sitk.Image(ct.GetSize(), sitk.sitkUInt8), dict[str, Any]()
    room.CopyInformation(ct)
    for done, orbit in enumerate(orbits):
        assert orbit.shape is not None
        found = _cavity(ct, orbit.shape, parameters)
        measured[f"{orbit.side}_ml"] = volume_ml(found)
        room |= found
        progress(0.6 + 0.4 * (done + 1) / len(orbits))
    return Cavities(
        ct=ct,
        bone=0 * room,
        parameters=asdict(parameters),
        measured=measured,
        has_bone=False,
        structures={CAVITY: described(CAVITY, kind="cavity", code=CODE)},
        room=room,
    )


def _middle_mm(orbit: Orbit) -> Floats:
    """The middle of an orbit: of a region that is about the one the other reaches in."""
    low, high = np.reshape(np.array(orbit.box_mm, np.float64), (3, 2)).T
    middle: Floats = (low + high) / 2
    return middle


def _cavity(ct: sitk.Image, shape: Pyramid, parameters: SubtractionParameters) -> sitk.Image:
    """The largest piece of what is neither bone nor air behind the rim of an orbit, gaps in its walls closed."""
    depths, angles = np.linspace(0, 1, DEPTHS), np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    walls: Floats = np.stack([shape.wall_mm(np.full(ANGLES, depth), angles) for depth in depths]).astype(np.float64)
    low, high = walls.min(axis=(0, 1)) - parameters.around_mm, walls.max(axis=(0, 1)) + parameters.around_mm
    part = Region(tuple(np.stack([low, high], axis=1).ravel().tolist())).inner_part(ct)
    rest = mask_array((part <= parameters.bone_hu) & (part >= parameters.air_hu))
    room = mask_on_grid(rest & _inside(part, walls, parameters.around_mm), part)
    radius = [round(parameters.bridged_mm / mm) for mm in ct.GetSpacing()]
    core = _largest(sitk.BinaryErode(room, radius, sitk.sitkBall))
    found = _largest(sitk.BinaryDilate(core, radius, sitk.sitkBall) & room)
    return sitk.Resample(found, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def _largest(mask: sitk.Image) -> sitk.Image:
    return sitk.Cast(sitk.RelabelComponent(sitk.ConnectedComponent(mask)) == 1, sitk.sitkUInt8)


def _inside(part: sitk.Image, walls: Floats, around_mm: float) -> NDArray[np.bool_]:
    """Voxels (z, y, x) behind the rim of a located orbit, and inside its walls or no further outside than that.

    `walls` (depths, angles, 3) are places on them, the rim first. A pyramid is where all planes of its walls have it.
    """
    places = _places(part)
    middles = walls.mean(axis=1)
    inward = np.linalg.svd(walls[0] - middles[0])[2][2]
    inward *= np.sign(inward @ (middles[-1] - middles[0]))
    inside: NDArray[np.bool_] = (places - middles[0].astype(np.float32)) @ inward.astype(np.float32) >= 0
    along = np.diff(walls, axis=0)
    around = np.roll(walls, -1, axis=1) - walls
    outward = np.cross(along, around[:-1])
    centres = (walls[:-1] + walls[1:]) / 2
    outward *= np.sign(((centres - centres.mean(axis=1, keepdims=True)) * outward).sum(axis=2, keepdims=True))
    outward /= np.maximum(np.linalg.norm(outward, axis=2, keepdims=True), 1e-9)
    for place, normal in zip(centres.reshape(-1, 3), outward.reshape(-1, 3), strict=True):
        if normal.any():
            inside &= places @ normal.astype(np.float32) <= np.float32(place @ normal + around_mm)
    return inside


def _places(part: sitk.Image) -> NDArray[np.float32]:
    """(z, y, x, 3): where the middles of the voxels lie, LPS mm."""
    axes = np.array(part.GetDirection()).reshape(3, 3) * part.GetSpacing()
    steps = np.stack(np.meshgrid(*(np.arange(count) for count in part.GetSize()[::-1]), indexing="ij")[::-1], axis=-1)
    return (steps @ axes.T + part.GetOrigin()).astype(np.float32)


SUBTRACTION = Method(
    "subtraction",
    "Orbital cavity by subtraction",
    "ISO/IEC 3532-2 annex B",
    SubtractionParameters,
    run,
    structures=(CAVITY,),
    seconds=3.0,
)
