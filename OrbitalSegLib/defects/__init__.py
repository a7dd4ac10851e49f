"""The openings of an orbit's bony wall: where they lie, how large they are, and which of them everybody has.

They are what the measurement of the orbit had to bridge (`cavity`). Natural openings are told by their place in the
located orbit; what lies elsewhere may be a fracture, an operation, or a wall that was only not found.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from OrbitalSegLib.cavity import AROUND_MM, BRIDGED, END, FROM_RIM_MM, Cavity, beyond_mm, sagged_mm
from OrbitalSegLib.cavity.orbits import MUCH_BRIDGED
from OrbitalSegLib.cavity.sampling import HALF, Floats, Sampled
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.defects.places import NATURAL, place_on, wall_at
from OrbitalSegLib.locating import Orbit
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.results import ResultFolder

LEAST_MM2 = 5.0
"""Smaller openings are not listed: two degrees are 0.7 mm, and a hole of 3 mm has 7 mm²."""
MOSTLY = 0.5
"""An opening of which this share of the area lies where a natural one does is that one."""
BESIDE_MM2, BESIDE_MM = 7.0, 2.5
"""Beside a natural opening, what is at least so large and so wide is an opening of its own."""
THICKEST_SLICE_MM = 2.0
"""In thicker slices a wall that is there is not seen, and a list of its holes would be one of the scan's."""
NEAREST_MM, RECESS_MM = 3.0, 8.0
"""Where bone lies so near before the bridge, or so near behind it with no air between, the wall only bends more than
the bridge: the fossae of the tear sac and gland, and behind the rim."""
EDGE_MM, EDGE = 1.5, 2
"""Of what is bridged beside an opening, so many rays around belong to it if no bone lies so near before or behind
the bridge: at its edge rays meet the bone beside it."""
NEAR_MM, STEP_MM = 1.5, 0.25
"""So far along a ray, before and behind the bridge, the probability of bone is looked at."""
SURELY_OPEN = 0.2
"""Where the networks' probability of bone is nowhere higher, they saw that there is none."""
SURE_SHARE = 0.8
"""Of an opening's area, where they must have."""

CANNOT_BE_TOLD = "cannot be told"

OPENING = "opening"
"""The array of a map: at each vertex the number of its opening, 0 for none."""


@dataclass(frozen=True)
class Opening:
    """One opening of a wall."""

    number: int
    name: str | None
    """A natural opening; None: something else."""
    wall: str
    area_mm2: float
    longest_mm: float
    shortest_mm: float
    """Across the longest diameter."""
    from_rim_mm: float
    """From the front to the nearest place of the opening, along the orbit's axis."""
    from_apex_mm: float
    """From the apex of the located orbit, where the optic canal begins, to the nearest place of the opening."""
    passed_mm: float
    """How far soft tissue goes on behind the bridge until air, at its deepest."""
    passed_ml: float
    """Its volume, as far as rays see it through the opening."""
    open_share: float | None
    """Of the area, where the networks saw that there is no bone; None: the segmentation has no probability."""
    middle_mm: tuple[float, float, float]

    @property
    def certainty(self) -> str:
        """`open`: bone was seen to be missing. `not seen`: no bone is in the segmentation; there may be some."""
        return "open" if self.open_share is not None and self.open_share >= SURE_SHARE else "not seen"


def can_be_told(ct: sitk.Image, cavity: Cavity) -> bool:
    """Whether openings of a measured orbit mean anything: slices thin enough, most of the walls found."""
    return max(ct.GetSpacing()) <= THICKEST_SLICE_MM and cavity.bridged_share <= MUCH_BRIDGED


def openings_of(
    cavity: Cavity,
    orbit: Orbit,
    ct: sitk.Image,
    bone: sitk.Image,
    probabilities: Mapping[str, sitk.Image] | None = None,
) -> list[Opening]:
    """List the openings of a measured orbit, the largest first, and number them on its surface (array `opening`).

    Parameters
    ----------
    cavity
        As `cavity.measure` gives it of this orbit.
    orbit
        As `locate` gives it, found whole.
    ct, bone
        HU, and the mask of seen bone, each on a grid of its own.
    probabilities
        Of bone, from 0 to 1, by network; none: nobody can say whether bone is missing or only not seen.
    """
    found = _Bridges(cavity, orbit, ct, bone, probabilities)
    groups = sorted(found.groups(), key=lambda group: -found.area_mm2[group].sum())
    number = np.zeros(len(found.points), np.uint8)
    openings: list[Opening] = []
    for group in groups:
        if found.area_mm2[group[found.sure[group]]].sum() >= LEAST_MM2 and len(openings) < np.iinfo(np.uint8).max:
            openings.append(found.opening(len(openings) + 1, group))
            number[group] = openings[-1].number
    array = numpy_to_vtk(number, deep=True)
    array.SetName(OPENING)
    cavity.surface.GetPointData().AddArray(array)
    return openings


class _Bridges:
    """What was bridged of an orbit, vertex by vertex."""

    def __init__(
        self,
        cavity: Cavity,
        orbit: Orbit,
        ct: sitk.Image,
        bone: sitk.Image,
        probabilities: Mapping[str, sitk.Image] | None,
    ) -> None:
        assert orbit.shape is not None
        self.points, triangles = mesh.arrays_of(cavity.surface)
        offset = self.points - cavity.start_mm
        self.wall_mm = np.linalg.norm(offset, axis=1)
        self.depth_mm = cavity.front.depth_mm(self.points)
        end = vtk_to_numpy(cavity.surface.GetPointData().GetArray(END))
        self.area_mm2 = _areas(self.points, triangles)
        self.from_apex_mm = np.linalg.norm(self.points - orbit.shape.apex_mm, axis=1)
        self.depths, self.angles = place_on(orbit.shape, offset, cavity.start_mm)
        box = np.stack([self.points.min(axis=0) - AROUND_MM, self.points.max(axis=0) + AROUND_MM], axis=1)
        directions = sphere().directions
        seen = Sampled.around(bone, box, 0.0)
        bridged = np.flatnonzero((end == BRIDGED) & (self.depth_mm > FROM_RIM_MM))
        along = self.wall_mm[bridged, None] + np.arange(-NEAREST_MM, 0.0, STEP_MM)
        places = cavity.start_mm + directions[bridged, None] * along[..., None]
        some = bridged[seen.at(places).max(axis=1) < HALF]
        grids = Sampled.around(ct, box, -1024.0), seen
        to_air, to_bone = beyond_mm(cavity.start_mm, directions[some], self.wall_mm[some], *grids)
        sure = some[(to_bone > RECESS_MM) | (to_air < to_bone)]
        along = self.wall_mm[bridged, None] + np.arange(-EDGE_MM, EDGE_MM, STEP_MM)
        places = cavity.start_mm + directions[bridged, None] * along[..., None]
        edge = bridged[seen.at(places).max(axis=1) < HALF]
        self.sure = _flags(sure, len(self.points))
        self.bridged = grown(self.sure, _flags(edge, len(self.points)), EDGE)
        some = np.flatnonzero(self.bridged)
        self.passed_mm = np.zeros(len(self.points))
        self.passed_mm[some] = sagged_mm(cavity.start_mm, directions[some], self.wall_mm[some], *grids)
        self.open: NDArray[np.bool_] | None = None
        if probabilities:
            along = self.wall_mm[some, None] + np.arange(-NEAR_MM, NEAR_MM + STEP_MM, STEP_MM)
            places = cavity.start_mm + directions[some, None] * along[..., None]
            highest = np.max([Sampled.around(p, box, 0.0).at(places).max(axis=1) for p in probabilities.values()], 0)
            self.open = np.zeros(len(self.points), bool)
            self.open[some] = highest <= SURELY_OPEN

    def groups(self) -> list[NDArray[np.intp]]:
        """The vertices of each opening. What goes on far beyond a natural one is an opening of its own."""
        natural = self.natural
        found = []
        for group in _connected(self.bridged):
            named = natural[group] >= 0
            own, beyond = group[named], group[~named]
            parts = [part for part in _connected(_flags(beyond, len(self.points))) if self._is_own(part)]
            if not len(own) or not parts:
                found.append(group)
                continue
            left = np.setdiff1d(group, np.concatenate(parts))
            found += [*parts, left]
        return found

    @property
    def natural(self) -> NDArray[np.int64]:
        """(n,): which natural opening is where a vertex lies, -1 for none."""
        which = np.full(len(self.points), -1)
        for number, place in enumerate(NATURAL):
            which[(which < 0) & place.holds(self.depths, self.angles)] = number
        return which

    def _is_own(self, part: NDArray[np.intp]) -> bool:
        """Whether what lies beside a natural opening is more than the edge of it."""
        part = part[self.sure[part]]
        return bool(len(part) and self.area_mm2[part].sum() >= BESIDE_MM2 and self._diameters(part)[1] >= BESIDE_MM)

    def opening(self, number: int, group: NDArray[np.intp]) -> Opening:
        area = self.area_mm2[group]
        total = float(area.sum())
        natural = self.natural[group]
        shares = [float(area[natural == which].sum()) / total for which in range(len(NATURAL))]
        place = NATURAL[int(np.argmax(shares))]
        name = place.name if sum(shares) >= MOSTLY and total <= place.most_mm2 else None
        walls = wall_at(self.angles[group])
        names, of = np.unique(walls, return_inverse=True)
        longest, shortest = self._diameters(group)
        near, far = self.wall_mm[group], self.wall_mm[group] + self.passed_mm[group]
        solid_angle = 4 * np.pi / len(self.points)
        x, y, z = (float(v) for v in np.average(self.points[group], axis=0, weights=area))
        return Opening(
            number,
            name,
            str(names[np.bincount(of, area).argmax()]),
            total,
            longest,
            shortest,
            float(self.depth_mm[group].min()),
            float(self.from_apex_mm[group].min()),
            float(self.passed_mm[group].max()),
            float((far**3 - near**3).sum() / 3 * solid_angle / 1000),
            None if self.open is None else float(area[self.open[group]].sum() / total),
            (x, y, z),
        )

    def _diameters(self, group: NDArray[np.intp]) -> tuple[float, float]:
        """Along and across the longest direction; the edge lies half a step beyond the outermost vertices."""
        points = self.points[group].astype(np.float64)
        step = float(np.sqrt(self.area_mm2[group].mean()))
        axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
        along = (points - points.mean(axis=0)) @ axes[:2].T if len(axes) > 1 else np.zeros((len(points), 2))
        longest, shortest = (float(v) + step for v in np.ptp(along, axis=0))
        return max(longest, shortest), min(longest, shortest)


def grown(flags: NDArray[np.bool_], where: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Flags carried on to rays next to them, so many times, where they may go."""
    for _ in range(times):
        flags = flags | (where & flags[sphere().neighbours].any(axis=0))
    return flags


def _flags(which: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    flags = np.zeros(count, bool)
    flags[which] = True
    return flags


def _connected(where: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The vertices of each patch of the sphere."""
    label = np.where(where, np.arange(len(where)), len(where))
    around = sphere().neighbours
    while True:
        lowest = np.where(where, np.minimum(label, label[around].min(axis=0)), len(where))
        lowest = np.where(where, np.append(lowest, len(where))[lowest], len(where))
        if np.array_equal(lowest, label):
            break
        label = lowest
    some = np.flatnonzero(where)
    order = some[np.argsort(label[some], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(order) else []


def _areas(points: Floats, triangles: NDArray[np.integer]) -> Floats:
    """(n,): the area that each vertex stands for: a third of its triangles'."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.asarray(np.bincount(triangles.ravel(), np.repeat(thirds, 3), len(points)), np.float64)


def numbers_of(cavity: Cavity) -> NDArray[np.uint8]:
    """(n,): the opening of each vertex, as `openings_of` numbered them."""
    return np.asarray(vtk_to_numpy(cavity.surface.GetPointData().GetArray(OPENING)))


def points_of(cavity: Cavity) -> Floats:
    """(n, 3): the vertices of its surface."""
    return np.asarray(mesh.arrays_of(cavity.surface)[0], np.float64)


def probabilities_in(folder: ResultFolder) -> dict[str, sitk.Image]:
    """The probabilities of bone that a result kept, from 0 to 1, by network; empty where it has none."""
    return {
        name: sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32) / 255 for name, path in folder.networks.items()
    }
