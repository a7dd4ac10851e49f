"""The wall that an orbit had before something was missing of it, as far as it can be told from what is intact.

Openings that no natural one explains (`defects`) are closed by the wall that a source expects there, the mirrored other
side or a bridge, moved and bent until it runs into the bone around. Every place says where it comes from, and how far
it may be off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from OrbitalSegLib.cavity import Cavity
from OrbitalSegLib.cavity.sampling import Floats
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.defects import Opening, numbers_of
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.reconstruction.sources import SOURCES, Face, bound, bridge
from OrbitalSegLib.reconstruction.star import Flags, Star
from OrbitalSegLib.reconstruction.trust import uncertain_mm
from OrbitalSegLib.symmetry import Plane

REACH = 12
"""So many rays around an opening, at most, what was bridged beside it is reconstructed too."""
EDGE = 3
"""So many rays around that, at most, bone that lies where no source expects it is not believed."""
RIM = 1
"""So many rays of bone around that are not believed: they meet the edge of the hole, and not the wall."""
CLOSED_SHARE = 0.9
"""Where the other side has wall in so much of a natural opening beside a defect, it is part of the defect."""

SEEN, MIRRORED, BRIDGED = range(3)
"""Where the wall at a vertex comes from, in the array `origin`: the scan (or what the volume made of it), the mirrored
side, or a bridge."""
ORIGIN, UNCERTAIN = "origin", "uncertain_mm"


@dataclass(frozen=True)
class At:
    """What is known of the wall that was reconstructed at one opening."""

    mirrored_share: float
    """The rest is bridged."""
    uncertain_mm: float
    """At least: the median of `Reconstruction.uncertain_mm`; not a number where it could not be told."""
    uncertain_most_mm: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One orbit as it was; arrays have one value for each vertex of its surface."""

    star: Star
    """The orbit with its wall where it was."""
    before: Star
    """The orbit as it is."""
    source: str
    """A name of `SOURCES`: what was taken. It bridges what it does not know."""
    openings: tuple[Opening, ...]
    """What was reconstructed."""
    number: NDArray[np.uint8]
    """The opening at each vertex, 0 for none; what was reconstructed beside an opening has its number."""
    is_natural: Flags
    """What stays open, though the volume bridges it."""
    origin: NDArray[np.uint8]
    uncertain_mm: Floats
    """Within so many mm, across the wall, 95 of 100 hidden places of the same orbit lay (`trust.uncertain_mm`): the
    least that the new ones are uncertain by. 0 where nothing was reconstructed, not a number where it is not known."""

    @property
    def is_new(self) -> Flags:
        """Where the wall was reconstructed."""
        return self.origin != SEEN

    @property
    def added_ml(self) -> float:
        """How much larger the room is with the wall reconstructed than bridged as the volume has it."""
        return self._volume_ml(self.star) - self._volume_ml(self.before)

    @property
    def volume_ml(self) -> float:
        """The room between the walls as they were."""
        return self._volume_ml(self.star)

    @staticmethod
    def _volume_ml(star: Star) -> float:
        return mesh.volume_ml(star.points_mm, sphere().triangles)

    @cached_property
    def surface(self) -> vtkPolyData:
        """Closed, outward, LPS mm, with `origin`, `uncertain_mm` (-1: cannot be told) and `opening` at each vertex."""
        surface = mesh.surface_of(self.star.points_mm, sphere().triangles)
        told = np.where(np.isfinite(self.uncertain_mm), self.uncertain_mm, -1.0).astype(np.float32)
        for name, values in ((ORIGIN, self.origin), (UNCERTAIN, told), ("opening", self.number)):
            array = numpy_to_vtk(values, deep=True)
            array.SetName(name)
            surface.GetPointData().AddArray(array)
        return surface

    def at(self, opening: Opening) -> "At":
        """What is known of the wall at one opening."""
        here = self.number == opening.number
        off_mm = self.uncertain_mm[here]
        return At(float((self.origin[here] == MIRRORED).mean()), float(np.median(off_mm)), float(off_mm.max()))


def reconstruct(
    cavity: Cavity,
    openings: Sequence[Opening],
    other: Cavity | None = None,
    plane: Plane | None = None,
    source: str = "mirror",
    least_mm2: float = 0.0,
) -> Reconstruction | None:
    """The wall that an orbit had where its openings are no natural ones.

    Parameters
    ----------
    cavity, openings
        The orbit as `cavity.measure` gives it, and its openings as `defects.openings_of` lists and numbers them.
    other, plane
        The other orbit, and the plane of symmetry. Where one is missing, everything is bridged.
    source
        A name of `SOURCES`.
    least_mm2
        Smaller openings stay.

    Returns
    -------
    Reconstruction or None
        None where no opening is to be closed.
    """
    wanted = tuple(one for one in openings if one.name is None and one.area_mm2 >= least_mm2)
    if not wanted:
        return None
    star, number = Star.of(cavity), numbers_of(cavity)
    face = Face(star, None if other is None else Star.of(other), plane)
    found = SOURCES[source](face)
    expected = bridge(face) if found is None else found
    is_natural = _stays_open(number, openings, wanted, face)
    number = np.where(np.isin(number, [one.number for one in wanted]), number, 0)
    may_go = ~star.is_front & ~is_natural
    for where, times in ((~star.is_wall, REACH), (~expected.known, EDGE), (True, RIM)):
        number = _grown(number, may_go & where, times)
    is_new = number > 0
    known = star.is_wall & ~is_new
    wall_mm = np.where(is_new, bound(expected.wall_mm, star.wall_mm, known), star.wall_mm)
    whole = replace(star, wall_mm=wall_mm)
    off = np.zeros(len(wall_mm))
    from_rim_mm = _nearest_mm(whole.points_mm[is_new], star.points_mm[known])
    off[is_new] = uncertain_mm(star, replace(expected, known=known), from_rim_mm)
    origin = np.where(is_new, np.where(expected.is_told, MIRRORED, BRIDGED), SEEN).astype(np.uint8)
    taken = "bridge" if found is None else source
    return Reconstruction(whole, star, taken, wanted, number, is_natural, origin, off)


def _stays_open(number: NDArray[np.uint8], openings: Sequence[Opening], wanted: Sequence[Opening], face: Face) -> Flags:
    """(n,): natural openings, but those beside a defect where the other side has wall."""
    beside = np.unique(number[sphere().neighbours[:, np.isin(number, [one.number for one in wanted])]])
    closed = face.mirrored[1]
    stay = [
        one.number
        for one in openings
        if one.name is not None and not (one.number in beside and closed[number == one.number].mean() >= CLOSED_SHARE)
    ]
    return np.isin(number, stay)


def _grown(number: NDArray[np.uint8], where: Flags, times: int) -> NDArray[np.uint8]:
    """Numbers carried on to rays next to them, so many times, where they may go."""
    around = sphere().neighbours
    for _ in range(times):
        number = np.where((number == 0) & where, number[around].max(axis=0), number)
    return number.astype(np.uint8)


def _nearest_mm(places: Floats, others: Floats) -> Floats:
    """(n,): how far each place is from the nearest of others."""
    return np.array([np.sqrt(((others - place) ** 2).sum(axis=1).min()) for place in places])
