"""How large an orbit is: the room between its bony walls.

From a place inside, rays run in all directions until they meet bone, wall that was inferred, or the front
(`front.py`). Some meet nothing, in fissures and canals, where a wall is broken, and where none was found; others pass
through such a hole and meet bone beyond it. A surface is fitted to all of them in which what lies outside counts
little: rays that end beyond it went through a hole, and over holes the wall is bridged between its neighbours. A model
that grows inside the orbit until the image stops it is what [3532-1 6.3] calls deformable.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.cavity.front import Front, front_of
from OrbitalSegLib.cavity.sampling import HALF, Floats, Sampled
from OrbitalSegLib.cavity.sphere import Sphere, sphere
from OrbitalSegLib.locating import Orbit, Pyramid
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.progress import Progress, silent

Flags = NDArray[np.bool_]

BEHIND_FRONT_MM = 14.0
"""Rays start so far behind the middle of the opening, in the widest part of the orbit."""
AROUND_MM = 30.0
"""So much around the orbit is looked at."""
STEP_MM = 0.25
NEAREST_MM = 4.0
FROM_MODEL_MM = 10.0
"""A wall is looked for so far before and behind where the located orbit has it."""
RAYS_AT_ONCE = 2048

SMOOTHED = (600, 300, 150, 80, 80, 40, 40)
"""How often the fitted surface is smoothed, each time from what the last fit says counts: from 30 to 10 degrees."""
OUTSIDE_MM, INSIDE_MM = 1.0, 3.0
"""A ray that ends so far outside or inside the fit counts half."""
HOLE_MM, TOO_NEAR_MM = 1.5, 4.0
"""A ray that ends further outside the fit went through a hole; one that ends further inside met something else."""

AIR_HU = -400.0
BEYOND_MM = 20.0
SAGGED_MM = 1.5
"""Less soft tissue than this between a bridge and air is mucosa, and the blur of the scan."""
FROM_RIM_MM = 6.0
"""Nearer to the front a bridge may lead to the air before the face."""

OPENING, BONE, INFERRED, BRIDGED = range(4)
"""What ends the orbit at a vertex of its surface, in the array `end`."""
END = "end"


@dataclass(frozen=True)
class Cavity:
    """One orbit, measured."""

    surface: vtkPolyData
    """Closed, outward, LPS mm, with `end` at each vertex."""
    front: Front
    volume_ml: float
    bridged_share: float
    """Of the area of the walls, where no wall was met."""
    inferred_share: float
    """Of the area of the walls, where only inferred wall was met."""
    beyond_ml: float
    """Soft tissue beyond bridges, up to the air of a sinus, as far as rays see it: at least so much has sagged."""
    opening_cm2: float
    """Area of the front."""
    start_mm: Floats
    """(3,): where the rays start; vertex i of the surface lies on direction i of `sphere`."""
    modelled_mm: Floats
    """(n,): how far from there the wall of the located orbit is; bridges are bent as little from it as can be."""


def measure(
    ct: sitk.Image, bone: sitk.Image, inferred: sitk.Image | None, orbit: Orbit, progress: Progress = silent
) -> Cavity | None:
    """Measure the room between the walls of an orbit (docs/orbit-volume.md).

    Parameters
    ----------
    ct
        HU.
    bone, inferred
        Masks of seen bone and of inferred wall, each on a grid of its own; inferred wall is a wall too. None: there is
        none.
    orbit
        As `locate` gives it, found whole.
    progress
        Hears how much is done, from 0 to 1.

    Returns
    -------
    Cavity or None
        The closed surface, its volume in ml, and how much of its walls had to be bridged. None where too little of the
        rim is bone, so that nobody can say where the orbit ends in front.
    """
    assert orbit.shape is not None
    assert orbit.box_mm is not None
    box = np.reshape(orbit.box_mm, (3, 2)) + np.array([-AROUND_MM, AROUND_MM])
    seen = Sampled.around(bone, box, 0.0)
    front = front_of(seen, orbit.shape)
    if front is None:
        return None
    thought = None if inferred is None else Sampled.around(inferred, box, 0.0)
    progress(0.1)
    rays = _CavityRays(sphere(), orbit.shape, front)
    met_bone = rays.first(seen)
    met_inferred = np.full_like(met_bone, np.inf) if thought is None else rays.first(thought)
    progress(0.4)
    length = np.minimum(met_bone, met_inferred)
    met, fitted = _walls(length, rays.modelled_mm)
    progress(0.8)
    wall_mm = rays.modelled_mm + sphere().bridged(length - rays.modelled_mm, met, fitted)
    progress(0.9)
    ends = np.where(met, np.where(met_bone <= met_inferred, BONE, INFERRED), BRIDGED)
    found = rays.cavity(wall_mm, ends, Sampled.around(ct, box, 0.0), seen)
    progress(1.0)
    return found


class _CavityRays:
    """Rays from inside an orbit in all directions."""

    def __init__(self, directions: Sphere, shape: Pyramid, front: Front) -> None:
        inward = shape.apex_mm - front.opening_mm
        self.sphere, self.front = directions, front
        self.start = front.opening_mm + BEHIND_FRONT_MM * inward / np.linalg.norm(inward)
        self.modelled_mm = self._modelled(shape)
        """(n,): how far the wall of the located orbit is."""
        self.front_mm = self._to_front()
        """(n,): how far the front is; infinite where a ray never meets it."""

    def _modelled(self, shape: Pyramid) -> Floats:
        depths, angles = np.meshgrid(np.linspace(-0.3, 1, 40), np.arange(64) * 2 * np.pi / 64, indexing="ij")
        offset = shape.wall_mm(depths.ravel(), angles.ravel()) - self.start
        length = np.linalg.norm(offset, axis=1)
        towards = (offset / length[:, None]).T
        directions = self.sphere.directions
        nearest = [(directions[i : i + 1024] @ towards).argmax(axis=1) for i in range(0, len(directions), 1024)]
        return np.asarray(length[np.concatenate(nearest)])

    def _to_front(self) -> Floats:
        along = np.arange(0, self.modelled_mm.max() + AROUND_MM, STEP_MM)
        depth = np.stack([self.front.depth_mm(self.start + self.sphere.directions * mm) for mm in along], axis=1)
        return _crossing(-depth, along, 0.0)

    def first(self, mask: Sampled) -> Floats:
        """(n,): how far each ray runs until it enters the mask near a wall; infinite if it does not."""
        low = np.maximum(self.modelled_mm - FROM_MODEL_MM, NEAREST_MM)
        high = self.modelled_mm + FROM_MODEL_MM
        along = np.arange(0, 2 * FROM_MODEL_MM + STEP_MM, STEP_MM)
        found = []
        for i in range(0, len(low), RAYS_AT_ONCE):
            some = slice(i, i + RAYS_AT_ONCE)
            length = low[some, None] + along
            values = mask.at(self.start + self.sphere.directions[some, None] * length[..., None])
            values[length > high[some, None]] = 0
            found.append(low[some] + _crossing(values, along, HALF))
        return np.concatenate(found)

    def cavity(self, wall_mm: Floats, ends: NDArray[np.int64], hu: Sampled, bone: Sampled) -> Cavity:
        """What walls in these distances enclose."""
        directions, triangles = self.sphere.directions, self.sphere.triangles
        opening = self.front_mm <= wall_mm
        length = np.minimum(wall_mm, self.front_mm)
        ends = np.where(opening, OPENING, ends)
        points = self.start + directions * length[:, None]
        a, b, c = (points[triangles[:, corner]] for corner in range(3))
        area_mm2 = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        of_opening = opening[triangles].all(axis=1)
        of_walls = area_mm2[~of_opening].sum()

        def share(end: int) -> float:
            return float(((ends == end)[triangles].mean(axis=1) * area_mm2)[~of_opening].sum() / of_walls)

        surface = mesh.surface_of(points, triangles)
        array = numpy_to_vtk(ends.astype(np.uint8), deep=True)
        array.SetName(END)
        surface.GetPointData().AddArray(array)
        return Cavity(
            surface,
            self.front,
            mesh.volume_ml(points, triangles),
            share(BRIDGED),
            share(INFERRED),
            self._beyond_ml(length, (ends == BRIDGED) & (self.front.depth_mm(points) > FROM_RIM_MM), hu, bone),
            float(area_mm2[of_opening].sum() / 100),
            self.start,
            self.modelled_mm,
        )

    def _beyond_ml(self, wall_mm: Floats, through: Flags, hu: Sampled, bone: Sampled) -> float:
        """Soft tissue beyond bridges: from each of them to the first air, if no bone comes before it."""
        near_mm = wall_mm[through]
        far_mm = near_mm + sagged_mm(self.start, self.sphere.directions[through], near_mm, hu, bone)
        solid_angle = 4 * np.pi / len(self.sphere.directions)
        return float((far_mm**3 - near_mm**3).sum() / 3 * solid_angle / 1000)


def sagged_mm(start_mm: Floats, directions: Floats, wall_mm: Floats, hu: Sampled, bone: Sampled) -> Floats:
    """How much soft tissue lies on each ray from its wall to the first air; 0 where bone comes before it.

    Parameters
    ----------
    start_mm
        (3,), where the rays begin, LPS.
    directions
        (n, 3), unit vectors.
    wall_mm
        (n,), how far the wall is along each.
    hu
        The CT.
    bone
        The mask of bone.

    Returns
    -------
    lengths
        (n,), mm.
    """
    to_air, to_bone = beyond_mm(start_mm, directions, wall_mm, hu, bone)
    return np.where((to_air > SAGGED_MM) & (to_air < to_bone), to_air, 0.0)


def beyond_mm(
    start_mm: Floats, directions: Floats, wall_mm: Floats, hu: Sampled, bone: Sampled
) -> tuple[Floats, Floats]:
    """How far behind its wall each ray meets air, and bone; infinite where not within `BEYOND_MM`.

    Parameters
    ----------
    start_mm
        (3,), where the rays begin, LPS.
    directions
        (n, 3), unit vectors.
    wall_mm
        (n,), how far the wall is along each.
    hu
        The CT.
    bone
        The mask of bone.

    Returns
    -------
    lengths
        (n,) to air, and (n,) to bone, mm.
    """
    along = np.arange(0, BEYOND_MM, STEP_MM)
    places = start_mm + directions[:, None] * (wall_mm[:, None] + along)[..., None]
    return _crossing(-hu.at(places), along, -AIR_HU), _crossing(bone.at(places), along, HALF)


def _crossing(values: NDArray[np.floating], along_mm: Floats, level: float) -> Floats:
    """(n,): where values (n, steps) first reach a level, linearly between steps; infinite where they never do."""
    reached = values >= level
    at = reached.argmax(axis=1)
    rows = np.arange(len(values))
    after, before = values[rows, at], values[rows, np.maximum(at - 1, 0)]
    back = np.where(at > 0, (after - level) / np.maximum(after - before, 1e-6), 0.0) * STEP_MM
    return np.where(reached.any(axis=1), along_mm[at] - back, np.inf)


def _walls(length: Floats, modelled_mm: Floats) -> tuple[Flags, Floats]:
    """Which rays end at the wall, and how far the fitted surface lies beyond the located orbit's.

    The fit begins wide and becomes narrow: in the middle of a hole, all that is near lies outside.
    """
    met = np.isfinite(length)
    offset = np.where(met, length - modelled_mm, 0.0)
    fitted = np.full(len(length), np.median(offset[met]) if met.any() else 0.0)
    for times in SMOOTHED:
        rest = offset - fitted
        off = np.where(rest > 0, rest / OUTSIDE_MM, rest / INSIDE_MM)
        counts = met / (1 + off**4)
        fitted = sphere().smoothed(counts * offset, times) / sphere().smoothed(counts + 1e-6, times)
    rest = offset - fitted
    return met & (rest < HOLE_MM) & (rest > -TOO_NEAR_MM), fitted
