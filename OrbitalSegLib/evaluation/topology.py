"""Pieces, tunnels and cavities of a mask."""

from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.images import mask_array


@dataclass(frozen=True)
class MaskTopology:
    """The Betti numbers of a mask: voxels that share a face, an edge or a corner are joined (26 neighbours), the
    background through faces only (6).

    `tunnels` count the ways through, over all parts; a handle's and a ring's hole alike.
    """

    parts: int
    tunnels: int
    cavities: int

    @property
    def euler(self) -> int:
        """The Euler number."""
        return self.parts - self.tunnels + self.cavities

    def figures(self) -> dict[str, float]:
        """Every number by name."""
        return asdict(self)


def topology(mask: sitk.Image, region: sitk.Image | None = None) -> MaskTopology:
    """Count in a mask (non-zero is bone), or in what of it lies in the non-zero voxels of a region.

    What lies outside is no bone, so that a wall which the border cuts ends there.

    Parameters
    ----------
    mask
        What is not 0 is bone.
    region
        A mask of what counts, on the same grid; None is all.

    Returns
    -------
    counts
        Parts (joined across corners), tunnels through them, and closed cavities in them.

    Raises
    ------
    InputError
        `different-grids`: the region lies on another grid.

    Examples
    --------
    >>> ring = np.ones((1, 3, 3), np.uint8)
    >>> ring[0, 1, 1] = 0
    >>> topology(sitk.GetImageFromArray(ring))
    MaskTopology(parts=1, tunnels=1, cavities=0)
    """
    bone = mask_array(mask)
    if region is not None:
        bone &= mask_array(on_grid_of(mask, region))
    bone = np.pad(bone, 1)
    parts = _components(bone, joined_at_corners=True)
    cavities = _components(~bone, joined_at_corners=False) - 1
    return MaskTopology(parts=parts, tunnels=parts + cavities - euler_number(bone), cavities=cavities)


def euler_number(bone: np.ndarray) -> int:
    """Corners - edges + faces - voxels of the closed voxels joined; a border of unset voxels is needed.

    Parameters
    ----------
    bone
        Flags (z, y, x), unset all around.

    Returns
    -------
    number
        Parts - tunnels + cavities.
    """
    total = -np.count_nonzero(bone)
    for axes, sign in (((0,), 1), ((1,), 1), ((2,), 1), ((0, 1), -1), ((0, 2), -1), ((1, 2), -1), ((0, 1, 2), 1)):
        cells = bone
        for axis in axes:
            before, after = ([slice(None)] * 3 for _ in range(2))
            before[axis], after[axis] = slice(None, -1), slice(1, None)
            cells = cells[tuple(before)] | cells[tuple(after)]
        total += sign * np.count_nonzero(cells)
    return int(total)


def _components(flags: np.ndarray, *, joined_at_corners: bool) -> int:
    found = sitk.ConnectedComponentImageFilter()
    found.SetFullyConnected(joined_at_corners)
    found.Execute(sitk.GetImageFromArray(flags.view(np.uint8)))
    return int(found.GetObjectCount())
