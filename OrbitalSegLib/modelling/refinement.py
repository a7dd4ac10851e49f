"""How finely a surface is worked out, and what memory that takes: known before anything is made."""

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.modelling.intersections import Flags, Floats
from OrbitalSegLib.modelling.isosurface import SLAB_VOXELS, Refinement

TRIANGLES_PER_FACE = 2.2
"""Triangles for each face between a voxel of the mask and another, at the mask's own resolution. Every such face gives
one vertex, and a closed surface has two triangles for each vertex, four more for each tunnel and four fewer for each
part: 2.0 on skulls, 1.3 to 2.5 on noise (measured)."""

BYTES_PER_TRIANGLE = 450
"""Of points, triangles, their copies in VTK, and what the search for self-intersections holds, at the worst moment of a
whole model, its report included: 300 to 440 (measured; docs/surface.md)."""

BYTES_PER_VOXEL = 12
"""Of the region's own grid, with a bone fraction: mask, fraction, both padded, and what lies between (measured)."""

BYTES_PER_SLAB_VOXEL = 16
"""Of the refined grid, of which one slab is in memory."""


def refinement_for(mask: Flags, spacing_mm: Floats, working_mm: float, allowed_bytes: int) -> tuple[Refinement, int]:
    """How many times finer than the mask (z, y, x) the surface is worked out along x, y and z, and the bytes needed.

    Spacing along each axis comes as near to `working_mm` as whole numbers allow, and is coarser where memory does not
    allow it. Raises `InputError` `too-large` where even the mask's own resolution is too much.
    """
    wanted = [max(1, round(spacing / working_mm)) for spacing in spacing_mm]
    faces = _faces(mask)
    while True:
        refinement: Refinement = (wanted[0], wanted[1], wanted[2])
        needed = needed_bytes(mask.size, faces, refinement)
        if needed <= allowed_bytes:
            return refinement, needed
        if max(wanted) == 1:
            raise InputError(
                "too-large",
                f"The surface needs about {needed / 1e9:.1f} GB of memory and may use {allowed_bytes / 1e9:.1f}: "
                "choose a smaller region, close other programs, or allow more.",
            )
        finest = int(np.argmin(np.asarray(spacing_mm) / wanted + 1e6 * (np.array(wanted) == 1)))
        wanted[finest] -= 1


def needed_bytes(voxels: int, faces: tuple[int, int, int], refinement: Refinement) -> int:
    """Memory for a surface: of the grid, of one slab of the refined grid, and of the triangles."""
    x, y, z = refinement
    triangles = TRIANGLES_PER_FACE * (faces[0] * y * z + faces[1] * x * z + faces[2] * x * y)
    return int(voxels * BYTES_PER_VOXEL + SLAB_VOXELS * BYTES_PER_SLAB_VOXEL + triangles * BYTES_PER_TRIANGLE)


def _faces(mask: Flags) -> tuple[int, int, int]:
    """The number of faces between mask and background across x, y and z, a layer of background around."""
    counts = []
    for axis in (2, 1, 0):
        along = np.moveaxis(mask, axis, 0)
        inner = sum(int(np.count_nonzero(a != b)) for a, b in zip(along[1:], along[:-1], strict=True))
        counts.append(inner + int(np.count_nonzero(along[0])) + int(np.count_nonzero(along[-1])))
    return counts[0], counts[1], counts[2]
