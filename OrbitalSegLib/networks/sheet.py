"""The sheet of a wall: where it belongs by the network of places, and what the scan shows there by that of profiles.

Neither knows of torch: a training and a method ask the same questions here.
"""

from collections.abc import Callable
from dataclasses import dataclass

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

Asked = Callable[[Array], Array]
"""Logits of bone (n,) of squares of profiles in HU (n, 5, 5, 29)."""


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


def evidence_of(ct: sitk.Image, sheet: Sheet, asked: Asked, progress: Progress = silent) -> Array:
    """Logits of bone (n,) at the places of a sheet, from the scan on its own grid: the highest of `SEARCH`."""
    margin, count = max(SEARCH), len(sheet.points_mm)
    found = np.zeros(count, np.float32)
    for start in range(0, count, PLACES_AT_ONCE):
        part = slice(start, start + PLACES_AT_ONCE)
        squares = unrolled(ct, sheet.points_mm[part], sheet.normals[part], margin=margin)
        found[part] = np.max([asked(squares[..., margin + s : margin + s + SAMPLES]) for s in SEARCH], axis=0)
        progress(min(part.stop / count, 1.0))
    return found


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
    shift = effaced(cortical, sheet, np.minimum(after - before, 0))
    fields = {
        name: probability(logit(sitk.GetArrayViewFromImage(image)) + shift)
        for name, image in (("cortical", cortical), ("thin", thin))
    }
    at = tuple(sheet.voxels.T)
    fields["thin"][at] = np.maximum(fields["thin"][at], probability(after))
    return Mixed(on_grid(fields["cortical"], thin), on_grid(fields["thin"], thin), after)


def effaced(grid: sitk.Image, sheet: Sheet, shift: Array) -> Array:
    """What the logits of each voxel (z, y, x) change by: the mean of the places whose lines pass there."""
    size = np.array(grid.GetSize())
    total, lines = np.zeros(int(size.prod())), np.zeros(int(size.prod()))
    to_index = np.linalg.inv(np.reshape(grid.GetDirection(), (3, 3)) * np.array(grid.GetSpacing()))
    for offset in np.linspace(-EFFACED_MM, EFFACED_MM, 2 * round(EFFACED_MM / STEP_MM) + 1):
        index = (sheet.points_mm + offset * sheet.normals - np.array(grid.GetOrigin())) @ to_index.T
        x, y, z = np.clip(np.rint(index).astype(np.int64), 0, size - 1).T
        at = (z * size[1] + y) * size[0] + x
        total += np.bincount(at, shift, len(total))
        lines += np.bincount(at, minlength=len(lines))
    return (total / np.maximum(lines, 1)).reshape(size[::-1])
