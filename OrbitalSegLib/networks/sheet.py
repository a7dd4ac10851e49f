"""The sheet of a wall: where it belongs by the network of places, and what the scan shows there by that of profiles.

Neither knows of torch: a training and a method ask the same questions here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.networks.unrolling import SAMPLES, linear, unrolled
from OrbitalSegLib.progress import Progress, silent

Array = NDArray

PLACE_ABOVE = 0.1
"""A voxel is of a sheet where a place is more probable than this ..."""
WITHIN_MM = 0.3
"""... and the mid-surface is said to be this near: one voxel of 0.5 mm thick, at some places two."""

SMOOTH_MM = 0.5
"""The distance is smoothed by this before its slope is taken for the normal."""
SLOPE = 0.2
"""A distance that changes by less in each mm says nothing of a normal."""

SEARCH = (-2, 0, 2)
"""Evidence is looked for at the place and 0.5 mm to both sides of it: samples of a profile."""

REACH_MM = 0.8
"""Bone of the network of places counts for a place of the sheet this far to both sides of it ..."""
EFFACED_MM = 1.0
"""... and is less probable this far, where the evidence is against it."""
STEP_MM = 0.2

PLACES_AT_ONCE = 4000

CERTAIN = 7.0
"""No logit counts more than this."""

CELL = 2
"""Evidence is asked at one place of each cell of so many voxels' side ..."""
NEARBY_MM = 0.4
"""... and every place takes the mean of those around it, weighted by a Gaussian of this standard deviation ..."""
ALIKE = 0.7
"""... whose normals differ by no more: this is the cosine."""

PROFILE_ANSWERS = 3
"""Of a place: a logit of bone; the wall's thickness in mm; the logarithm of that thickness's mean deviation in mm."""

Asked = Callable[[Array], Array]
"""`PROFILE_ANSWERS` (n, 3) of squares of profiles in HU (n, 5, 5, 29)."""


@dataclass(frozen=True)
class Sheet:
    """Places of the walls of the orbit, one for each voxel next to a mid-surface."""

    voxels: Array
    """z, y, x (n, 3)."""
    points_mm: Array
    """The nearest points of the mid-surface, LPS (n, 3)."""
    normals: Array
    """Out of the orbit, (n, 3)."""
    place: Array
    """Probability that a wall belongs there, (n,)."""


@dataclass(frozen=True)
class Mixture:
    """What evidence and bone of a place of the sheet count together: its logit is
    `evidence * logit + bone * logit + offset`."""

    evidence: float
    bone: float
    offset: float

    def of(self, evidence: Array, bone: Array) -> Array:
        return self.evidence * clipped(evidence) + self.bone * clipped(bone) + self.offset


def clipped(logits: Array) -> Array:
    """Logits that are not more certain than anyone can be."""
    return np.clip(logits, -CERTAIN, CERTAIN)


def logit(probability: Array) -> Array:
    """Of a probability, at most `CERTAIN` to both sides."""
    least = 1 / (1 + np.exp(CERTAIN))
    inside = np.clip(probability, least, 1 - least)
    return np.log(inside / (1 - inside))


def probability(logits: Array) -> Array:
    """Of logits, 32-bit float."""
    return (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)


def sheet_of(place: sitk.Image, distance: sitk.Image) -> Sheet:
    """The sheet of the answers of the network of places, on an isotropic grid: a probability, and mm from the
    mid-surface, negative in the orbit."""
    belongs, away = sitk.GetArrayViewFromImage(place), sitk.GetArrayViewFromImage(distance)
    voxels = np.argwhere((belongs > PLACE_ABOVE) & (np.abs(away) < WITHIN_MM))
    smooth = sitk.SmoothingRecursiveGaussian(distance, SMOOTH_MM)
    axes = np.reshape(place.GetDirection(), (3, 3))
    centres = voxels[:, ::-1] * place.GetSpacing()[0] @ axes.T + np.array(place.GetOrigin())
    half = SMOOTH_MM * np.eye(3)
    slope = np.stack([linear(smooth, centres + step) - linear(smooth, centres - step) for step in half], axis=1)
    slope /= 2 * SMOOTH_MM
    length = np.linalg.norm(slope, axis=1)
    told = length > SLOPE
    voxels, centres = voxels[told], centres[told]
    normals = slope[told] / length[told, None]
    off = np.clip(linear(smooth, centres), -2 * WITHIN_MM, 2 * WITHIN_MM)
    return Sheet(voxels, centres - off[:, None] * normals, normals, belongs[tuple(voxels.T)])


@dataclass(frozen=True)
class Shown:
    """What the scan shows at each place of a sheet, each (n,)."""

    bone: Array
    """Logits."""
    thickness_mm: Array
    """Of the wall, if there is one."""
    deviation_mm: Array
    """How far that is off, in the mean."""


def evidence_of(ct: sitk.Image, sheet: Sheet, asked: Asked, progress: Progress = silent) -> Shown:
    """What the scan on its own grid shows at the places of a sheet: of `SEARCH` where there is most evidence of bone.

    Neighbours see nearly the same squares: so some are asked, and the rest are between them.
    """
    chosen = _chosen(sheet)
    margin, count = max(SEARCH), len(chosen)
    found = np.zeros((count, PROFILE_ANSWERS), np.float32)
    for start in range(0, count, PLACES_AT_ONCE):
        part = chosen[start : start + PLACES_AT_ONCE]
        squares = unrolled(ct, sheet.points_mm[part], sheet.normals[part], margin=margin)
        said = np.stack([asked(squares[..., margin + s : margin + s + SAMPLES]) for s in SEARCH])
        best = said[..., 0].argmax(axis=0)
        found[start : start + len(part)] = said[best, np.arange(len(part))]
        progress((start + len(part)) / count)
    bone, thickness, spread = _between(sheet, chosen, found).T
    return Shown(bone, np.maximum(thickness, 0), np.exp(np.clip(spread, -4, 2)))


def _cells(sheet: Sheet) -> tuple[Array, Array]:
    """A number for the cell of each place, and the steps of that number along z, y and x."""
    cells = sheet.voxels // CELL + 1  # so that no neighbour is below 0
    size = cells.max(axis=0, initial=0) + 2
    steps = np.array([size[1] * size[2], size[2], 1], np.int64)
    return cells @ steps, steps


def _chosen(sheet: Sheet) -> Array:
    """Of each cell the place that is nearest to the middle of its places, in the order of the cells."""
    cells, _ = _cells(sheet)
    _, own, count = np.unique(cells, return_inverse=True, return_counts=True)
    middle = np.stack([np.bincount(own, axis) / count for axis in sheet.points_mm.T], axis=1)
    away = ((sheet.points_mm - middle[own]) ** 2).sum(axis=1)
    order = np.lexsort((away, own))
    return order[np.searchsorted(own[order], np.arange(len(count)))]


def _between(sheet: Sheet, chosen: Array, values: Array) -> Array:
    """Values (n, k) at every place, of those at the chosen ones."""
    cells, steps = _cells(sheet)
    known = cells[chosen]
    total, weight = np.zeros((len(cells), values.shape[1])), np.zeros(len(cells))
    for neighbour in product((-1, 0, 1), repeat=3) if len(known) else ():
        wanted = cells + np.array(neighbour) @ steps
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        here = np.flatnonzero(known[at] == wanted)
        own = chosen[at[here]]
        squared = ((sheet.points_mm[here] - sheet.points_mm[own]) ** 2).sum(axis=1)
        counts = np.exp(-squared / (2 * NEARBY_MM**2))
        if any(neighbour):  # the place that was asked in its own cell always counts
            counts *= (sheet.normals[here] * sheet.normals[own]).sum(axis=1) > ALIKE
        total[here] += counts[:, None] * values[at[here]]
        weight[here] += counts
    return (total / weight[:, None]).astype(np.float32)


def bone_of(bone: sitk.Image, sheet: Sheet) -> Array:
    """Logits (n,) of the most probable bone on the line through each place of a sheet."""
    offsets = np.linspace(-REACH_MM, REACH_MM, 2 * round(REACH_MM / STEP_MM) + 1)
    return logit(np.max([linear(bone, sheet.points_mm + step * sheet.normals) for step in offsets], axis=0))


@dataclass(frozen=True)
class Mixed:
    """What both networks say together."""

    cortical: sitk.Image
    thin: sitk.Image
    """Probabilities on the working grid, 32-bit float."""
    logits: Array
    """Of bone at each place of the sheet."""


def mixed(cortical: sitk.Image, thin: sitk.Image, sheet: Sheet, evidence: Array, mixture: Mixture) -> Mixed:
    """The probability of bone by both networks.

    At the voxels of the sheet thin bone is as probable as both say together. Where that is less than the network of
    places says alone, its bone on the line through the place is less probable by as much.
    """
    before = bone_of(sitk.Maximum(cortical, thin), sheet)
    after = mixture.of(evidence, before)
    at, shift = effaced(cortical, sheet, np.minimum(after - before, 0))
    fields = {name: sitk.GetArrayFromImage(image) for name, image in (("cortical", cortical), ("thin", thin))}
    for field in fields.values():
        field[at] = probability(logit(field[at]) + shift)
    own = tuple(sheet.voxels.T)
    fields["thin"][own] = np.maximum(fields["thin"][own], probability(after))
    return Mixed(on_grid(fields["cortical"], thin), on_grid(fields["thin"], thin), after)


def effaced(grid: sitk.Image, sheet: Sheet, shift: Array) -> tuple[tuple[Array, ...], Array]:
    """The voxels (z, y, x) where lines through places pass, and what their logits change by: the mean of those."""
    size = np.array(grid.GetSize())
    to_index = np.linalg.inv(np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing()))
    offsets = np.linspace(-EFFACED_MM, EFFACED_MM, 2 * round(EFFACED_MM / STEP_MM) + 1)
    lines = sheet.points_mm[:, None] + offsets[:, None] * sheet.normals[:, None]
    index = (lines.reshape(-1, 3) - np.array(grid.GetOrigin())) @ to_index.T
    x, y, z = np.clip(np.rint(index).astype(np.int64), 0, size - 1).T
    voxels, own, count = np.unique((z * size[1] + y) * size[0] + x, return_inverse=True, return_counts=True)
    total = np.bincount(own, shift.repeat(len(offsets)), len(voxels))
    return np.unravel_index(voxels, size[::-1]), total / count
