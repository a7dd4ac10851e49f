"""The plane of symmetry of a face: from the pose of its orbits, refined by laying its bone over its own mirror image.

The pair of orbits that is laid over a scan is symmetric, so its pose has a plane. Bone of both orbits and the midface
is mirrored in it, and the plane is moved until most of the bone lies on bone; what does not, as a broken side, does not
count.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.cavity.sampling import Floats, Sampled
from OrbitalSegLib.locating import Orbits

GRID_MM = 0.8
BOX_MM = ((-55.0, 55.0), (-28.0, 30.0), (-30.0, 30.0))
"""What is looked at, in the head's own frame: both orbits and the midface between them."""
BLURS_MM = (3.0, 1.5, 1.0)
"""Standard deviations by which bone is blurred, one after the other: the first reaches far, the last is exact."""
EDGE, EVERY = (0.1, 0.6), 7
"""Of the blurred bone, which values are its edge, and every how many places of it are looked at."""
KEPT = 0.7
"""Of these places, the share at which bone differs least from its mirror image; the rest does not count."""
ALIKE = 0.15
LEAST_PLACES = 500
STEPS, MOST, ENOUGH = 30, 3.0, 2e-3
DIFFERENCES = np.array([0.01, 0.01, 0.4])
"""By which slopes are taken: radians, and mm. A step is at most `MOST` of them; one below `ENOUGH` is the last."""
PARTS = 8
"""Without each of so many parts the plane is found once more: their spread is its uncertainty."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Where left and right mirror each other."""

    middle_mm: Floats
    """(3,): the place on it between the orbits, LPS."""
    normal: Floats
    """(3,): unit vector towards the patient's left."""
    uncertain_degrees: float
    uncertain_mm: float
    """Standard error, by a jackknife over parts of the face: of the direction, and of the place of the middle."""
    alike: float
    """Of the bone's edge, the share that lies at the edge of the mirrored bone; 1 of a face that is symmetric."""

    def mirrored(self, places_mm: Floats) -> Floats:
        """Places (..., 3) on the other side."""
        return mirrored(places_mm, self.middle_mm, self.normal)


def mirrored(places_mm: Floats, middle_mm: Floats, normal: Floats) -> Floats:
    """Places (..., 3), mirrored in a plane through a place, with a unit normal."""
    height = (places_mm - middle_mm) @ normal
    return np.asarray(places_mm - 2 * height[..., None] * normal)


def plane_of(bone: sitk.Image, orbits: Orbits) -> Plane | None:
    """The plane of symmetry of the face; None where neither orbit was located, or there is no bone.

    Parameters
    ----------
    bone
        Mask of seen bone.
    orbits
        As `locate` gives them.
    """
    shape = next((orbit.shape for orbit in orbits.both if orbit.shape is not None), None)
    if shape is None:
        return None
    frame, middle = shape.pose.rotation[0].astype(np.float64), shape.pose.place[0].astype(np.float64)
    part = sitk.Resample(
        sitk.Cast(bone, sitk.sitkFloat32), _grid(frame, middle), sitk.Transform(), sitk.sitkLinear, 0.0
    )
    best = np.zeros(3)
    for blur_mm in BLURS_MM:
        places, values = _edge(sitk.SmoothingRecursiveGaussian(part, blur_mm))
        if len(places) < LEAST_PLACES:
            return None
        best, rest = _fitted(places, values, frame, middle, best)
    parts = np.arange(len(places)) * PARTS // len(places)
    others = [_fitted(places[parts != one], values, frame, middle, best)[0] for one in range(PARTS)]
    error = np.sqrt((PARTS - 1) * np.var(others, axis=0))
    normal = _normal(frame, best)
    return Plane(
        middle + best[2] * normal,
        normal,
        float(np.degrees(np.hypot(*error[:2]))),
        float(error[2]),
        float((rest < ALIKE).mean()),
    )


def _normal(frame: Floats, by: Floats) -> Floats:
    """The head's x axis, turned by two small angles in radians."""
    normal = frame[:, 0] + by[0] * frame[:, 1] + by[1] * frame[:, 2]
    return np.asarray(normal / np.linalg.norm(normal))


def _grid(frame: Floats, middle: Floats) -> sitk.Image:
    """An empty grid of the box, along the head's own axes."""
    grid = sitk.Image([int((high - low) / GRID_MM) + 1 for low, high in BOX_MM], sitk.sitkFloat32)
    grid.SetSpacing((GRID_MM,) * 3)
    grid.SetDirection(frame.ravel().tolist())
    grid.SetOrigin((middle + frame @ [low for low, _ in BOX_MM]).tolist())
    return grid


def _edge(blurred: sitk.Image) -> tuple[Floats, Sampled]:
    """Places at the blurred bone's edge, from below to above, and its values everywhere."""
    values = sitk.GetArrayViewFromImage(blurred)
    index = np.argwhere((values > EDGE[0]) & (values < EDGE[1]))[:, ::-1]
    axes = np.reshape(blurred.GetDirection(), (3, 3)) * GRID_MM
    places = np.array(blurred.GetOrigin()) + index @ axes.T
    ends = np.array([blurred.TransformIndexToPhysicalPoint([int(n) for n in corner]) for corner in _corners(blurred)])
    return places[::EVERY], Sampled.around(blurred, np.stack([ends.min(axis=0), ends.max(axis=0)], axis=1), 0.0)


def _corners(image: sitk.Image) -> Floats:
    return np.array(list(np.ndindex(2, 2, 2))) * (np.array(image.GetSize()) - 1)


def _fitted(places: Floats, values: Sampled, frame: Floats, middle: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Two angles and a shift in mm by which bone lies on mirrored bone, and by how much each place differs.

    Gauss-Newton on the difference, of which the largest are left out anew at each step.
    """
    by, own = start.copy(), values.at(places).astype(np.float64)

    def rest(by: Floats) -> Floats:
        normal = _normal(frame, by)
        return np.asarray(values.at(mirrored(places, middle + by[2] * normal, normal)) - own)

    for _ in range(STEPS):
        now = rest(by)
        kept = np.abs(now) <= np.quantile(np.abs(now), KEPT)
        slopes = np.stack([(rest(by + d)[kept] - rest(by - d)[kept]) / 2 for d in np.diag(DIFFERENCES)], axis=1)
        move = np.linalg.lstsq(slopes, -now[kept], rcond=None)[0]
        by = by + DIFFERENCES * np.clip(move, -MOST, MOST)
        if np.abs(move).max() < ENOUGH:
            break
    return by, np.abs(rest(by))
