"""What a run shows of its own input and output, without any truth."""

from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import bounds, mask_array
from OrbitalSegLib.locating import Orbit
from OrbitalSegLib.monitoring import Measures
from OrbitalSegLib.postprocessing import dilated
from OrbitalSegLib.region import Region

METAL_HU = 2800.0
"""Above any bone or tooth in the region of the orbit; the scanner clips metal at 3071 HU [3532-2 7]."""

FAT_HU, SOFT_HU = (-200.0, -20.0), (-20.0, 140.0)
"""Where the peaks of fat and of soft tissue are looked for."""
BIN_HU, PEAK_BINS = 4.0, 5
"""Of the histogram; a peak is the highest of so many bins."""

SMOOTHED_MM = 1.5
FLAT_HU = 12.0
"""Noise is measured where the smoothed image changes by less than this from voxel to voxel."""
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution in units of its median absolute deviation."""

BONE_PERCENTILE = 90

EYE_DEPTH_MM = 16.0
"""Rays start this far behind the middle of the opening, in the widest part of the cavity."""
FORWARD_COSINE = 0.1
"""Rays that look further forward than this (about 84 degrees) may leave through the opening."""
RAYS, STEP_MM, SLACK_MM = 1500, 0.25, 2.5
"""How many, how densely sampled, and how far beyond the box around the cavity a wall still counts."""

NEAR_MM = 28.0
"""Bone of an orbit is counted this far from the middle of its cavity: the same ball on both sides."""

FULL = 255


def of_input(ct: sitk.Image, region: Region, bone: sitk.Image | None) -> Measures:
    """Figures of the scan in region and margin. `bone` is the mask on the scan grid, if there is one."""
    part = region.working_part(ct)
    hu = sitk.GetArrayFromImage(part).astype(np.float32)
    smoothed = sitk.SmoothingRecursiveGaussian(sitk.Cast(part, sitk.sitkFloat32), SMOOTHED_MM)
    calm = sitk.GetArrayFromImage(smoothed)
    x_mm, y_mm, z_mm = ct.GetSpacing()
    dense = np.zeros(0) if bone is None else sitk.GetArrayViewFromImage(ct)[mask_array(bone)]
    return {
        "pixel_mm": max(x_mm, y_mm),
        "slice_mm": z_mm,
        "noise_hu": _noise(hu, calm),
        "fat_hu": _peak(calm, FAT_HU),
        "soft_hu": _peak(calm, SOFT_HU),
        "bone_hu": float(np.percentile(dense, BONE_PERCENTILE)) if dense.size else None,
        "metal_ml": float((hu > METAL_HU).sum() * x_mm * y_mm * z_mm / 1000),
        "step_hu": _step(sitk.GetArrayViewFromImage(ct)),
    }


def _noise(hu: NDArray[np.float32], calm: NDArray[np.float32]) -> float | None:
    """Standard deviation about the smoothed image, in soft tissue away from borders."""
    steepest = np.max([np.abs(np.gradient(calm, axis=axis)) for axis in range(3)], axis=0)
    flat = (calm > SOFT_HU[0]) & (calm < SOFT_HU[1]) & (steepest < FLAT_HU)
    if not flat.any():
        return None
    rest = hu[flat] - calm[flat]
    return float(NORMAL_MAD * np.median(np.abs(rest - np.median(rest))))


def _peak(calm: NDArray[np.float32], between: tuple[float, float]) -> float | None:
    """The most frequent value between two limits that is a peak there and not the flank of one beyond."""
    low, high = between
    counts, edges = np.histogram(calm, bins=round((high - low) / BIN_HU), range=between)
    smooth = np.convolve(counts, np.ones(PEAK_BINS), mode="valid")
    reach = PEAK_BINS // 2
    around = np.lib.stride_tricks.sliding_window_view(smooth, PEAK_BINS)
    peaks = np.flatnonzero((around.max(axis=1) == smooth[reach:-reach]) & (smooth[reach:-reach] > 0)) + 2 * reach
    if not peaks.size:
        return None
    at = int(peaks[counts[peaks].argmax()])
    return float((edges[at] + edges[at + 1]) / 2)


def _step(hu: NDArray[np.generic]) -> float:
    """The greatest step of which all values are multiples apart: 1 HU as scanners store them."""
    values = np.unique(hu)
    differences = np.diff(values[values > values[0]].astype(np.float64))
    return float(np.gcd.reduce(np.rint(differences).astype(np.int64))) if differences.size else 0.0


def of_output(
    bone: sitk.Image, own: sitk.Image, probabilities: dict[str, sitk.Image], orbits: Sequence[Orbit]
) -> Measures:
    """Figures of the result. `bone` is the mask on the scan grid, `own` on the method's own, where probabilities are.

    `orbits` are those that were found whole.
    """
    found: Measures = {"parts": float(_parts(bone))}
    volumes = [_volume_ml(own, _eye(orbit)[0]) for orbit in orbits]
    if volumes:
        found["wall_completeness"] = min(wall_completeness(own, orbit) for orbit in orbits)
    if len(volumes) == 2:
        found["symmetry"] = min(volumes) / max(volumes) if max(volumes) else 0.0
    if probabilities:
        found["boundary_step"] = _boundary_step(own, list(probabilities.values()))
    return found


def _parts(bone: sitk.Image) -> int:
    components = sitk.ConnectedComponentImageFilter()
    components.FullyConnectedOn()
    z, y, x = bounds(mask_array(bone))
    components.Execute(bone[x, y, z])
    return int(components.GetObjectCount())


def _volume_ml(bone: sitk.Image, eye: NDArray[np.float64]) -> float:
    """Bone within `NEAR_MM` of a place, by samples a millimetre apart."""
    steps = np.arange(-NEAR_MM, NEAR_MM + 1)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= NEAR_MM]
    return float(_sampled(bone, eye + offsets).sum() / 1000)


def wall_completeness(bone: sitk.Image, orbit: Orbit) -> float:
    """Of rays from inside an orbit to its walls, the share that meets bone before it leaves the box of the cavity.

    Fissures and canals are open in everyone; a fracture, and a wall that was not found, are open as well.
    """
    start, inward = _eye(orbit)
    box = np.reshape(orbit.box_mm or (), (3, 2))
    directions = _directions()
    directions = directions[directions @ inward > -FORWARD_COSINE]
    length = _to_border(start, directions, box)
    places = start + directions[:, None] * np.arange(0, length.max() + STEP_MM, STEP_MM)[None, :, None]
    met = _sampled(bone, places) & (np.arange(places.shape[1]) * STEP_MM <= length[:, None])
    return float(met.any(axis=1).mean())


def _eye(orbit: Orbit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A place in the widest part of an orbit that was found whole, and the direction from its opening to its depth."""
    opening, box = np.array(orbit.opening_mm), np.reshape(orbit.box_mm or (), (3, 2))
    inward = np.array([box[0].mean(), box[1, 1], box[2].mean()]) - opening
    inward /= np.linalg.norm(inward)
    return opening + EYE_DEPTH_MM * inward, inward


@cache
def _directions() -> NDArray[np.float64]:
    """Unit vectors spread evenly over a sphere (a Fibonacci lattice)."""
    number = np.arange(RAYS) + 0.5
    up = 1 - 2 * number / RAYS
    turn = np.pi * (1 + 5**0.5) * number
    across = np.sqrt(1 - up**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), up], axis=1)


def _to_border(start: NDArray[np.float64], directions: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray:
    """How far each ray runs until it leaves the box, and the slack."""
    with np.errstate(divide="ignore"):
        ways = np.maximum((box[:, 0] - start) / directions, (box[:, 1] - start) / directions)
    return np.asarray(ways.min(axis=1) + SLACK_MM)


def _sampled(bone: sitk.Image, places_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether places (..., 3) lie in a voxel of the mask."""
    axes = np.reshape(bone.GetDirection(), (3, 3)) * np.array(bone.GetSpacing())
    index = np.rint((places_mm - np.array(bone.GetOrigin())) @ np.linalg.inv(axes).T).astype(int)
    size = np.array(bone.GetSize())
    inside = ((index >= 0) & (index < size)).all(axis=-1)
    x, y, z = np.moveaxis(np.clip(index, 0, size - 1), -1, 0)
    return np.asarray((sitk.GetArrayViewFromImage(bone)[z, y, x] != 0) & inside)


def _boundary_step(own: sitk.Image, probabilities: list[sitk.Image]) -> float | None:
    """How much higher the highest probability is just inside the bone's border than just outside."""
    highest = np.max([sitk.GetArrayFromImage(field) for field in probabilities], axis=0)
    bone = mask_array(own)
    inner, outer = bone & _widened(~bone), _widened(bone) & ~bone
    if not inner.any() or not outer.any():
        return None
    return float(highest[inner].mean() - highest[outer].mean()) / FULL


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with all voxels that share a face or an edge with one of its own."""
    widened: NDArray[np.bool_] = np.logical_or.reduce([dilated(mask, axes) for axes in combinations(range(3), 2)])
    return widened


def whole(orbits: Sequence[Orbit]) -> list[Orbit]:
    """The orbits that were found whole."""
    return [orbit for orbit in orbits if orbit.status == "found"]
