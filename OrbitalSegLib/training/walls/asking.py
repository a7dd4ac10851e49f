"""What both networks say of a scan: of voxels, and of places of a wall. They are read from a training's checkpoints."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from OrbitalSegLib.images import on_grid
from OrbitalSegLib.networks.sheet import PROFILE_ANSWERS
from OrbitalSegLib.networks.unet3d import folded
from OrbitalSegLib.networks.unrolling import MARGIN, SAMPLES, linear, unrolled
from OrbitalSegLib.training.walls.config import Walls
from OrbitalSegLib.training.walls.evidence import EvidenceLesson
from OrbitalSegLib.training.walls.training import LAST
from OrbitalSegLib.training.walls.volume import ANSWERS, VolumeLesson, windowed

Array = np.ndarray

SEARCH_MM = 1.5
"""A place is looked for this far to both sides of a point."""
STEP_MM = 0.1
SEARCH_SAMPLES = 2
"""Where evidence searches its own place, it is asked at every so many samples of a profile."""
PLACED_ABOVE = 0.5
"""There is a place where its probability is higher than this."""


def averaged(work: Path, lesson: VolumeLesson | EvidenceLesson) -> int:
    """Load a training's averaged weights into its lesson; the step they are of."""
    state = torch.load(work / lesson.name / LAST, "cpu", weights_only=True)
    lesson.model.load_state_dict(state["average"])
    lesson.model.eval()
    return int(state["step"])


class VolumeAsked:
    """The network of places."""

    def __init__(self, walls: Walls, work: Path) -> None:
        lesson = VolumeLesson(walls)
        self.step = averaged(work, lesson)
        self._model = folded(lesson.model).to(memory_format=torch.channels_last_3d)

    @torch.inference_mode()
    def of(self, working_ct: sitk.Image) -> dict[str, sitk.Image]:
        """`ANSWERS` on the working grid, 32-bit float: probabilities, and mm of distance.

        What lies beyond the scan is taken to be as at its border.
        """
        hu = sitk.GetArrayFromImage(working_ct).astype(np.float32)
        padded = np.pad(hu, [(0, -length % self._model.stride) for length in hu.shape], mode="edge")
        with torch.autocast("cpu", torch.bfloat16):
            said = self._model(windowed(torch.from_numpy(padded)[None]))[0].float()
        z, y, x = hu.shape
        found = {}
        for number, name in enumerate(ANSWERS):
            values = said[number, :z, :y, :x]
            found[name] = on_grid((values if name == "distance" else values.sigmoid()).numpy(), working_ct)
        return found


@dataclass(frozen=True)
class Placed:
    """Where a wall belongs near some points."""

    there: Array
    """Flags (n,): whether there is a place."""
    offset_mm: Array
    """Of the place along each point's normal."""
    normals: Array
    """Of the wall at the place, out of the orbit."""


def placed(said: dict[str, sitk.Image], points_mm: Array, normals: Array) -> Placed:
    """The place nearest to what the network of places says on the line through each point (n, 3) in LPS.

    It is looked for where the probability is highest; the distance said there leads to the mid-surface.
    """
    offsets = np.linspace(-SEARCH_MM, SEARCH_MM, 2 * round(SEARCH_MM / STEP_MM) + 1)
    lines = points_mm[:, None] + offsets[:, None] * normals[:, None]
    probability = linear(said["place"], lines)
    best = probability.argmax(axis=1)
    rows = np.arange(len(points_mm))
    at = lines[rows, best]
    smooth = sitk.SmoothingRecursiveGaussian(said["distance"], 0.5)
    slope = np.stack(
        [linear(smooth, at + step) - linear(smooth, at - step) for step in 0.5 * np.eye(3)], axis=1
    )  # over 1 mm
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    own = np.where(length > 0.2, slope / np.maximum(length, 1e-6), normals)
    along = np.einsum("ij,ij->i", own, normals)
    own[along < 0.5] = normals[along < 0.5]  # no wall stands so far off
    offset = offsets[best] - np.clip(linear(smooth, at), -SEARCH_MM, SEARCH_MM)
    return Placed(probability[rows, best] > PLACED_ABOVE, offset, own)


@dataclass(frozen=True)
class Answers:
    """What a scan shows of a wall at some places, each (n,)."""

    bone: Array
    """Probability that there is bone, where wall and hole are equally likely beforehand."""
    thickness_mm: Array
    deviation_mm: Array
    """How far the thickness is off, in the mean."""


class EvidenceAsked:
    """The network of profiles."""

    def __init__(self, walls: Walls, work: Path) -> None:
        lesson = EvidenceLesson(walls)
        self.step = averaged(work, lesson)
        self._model = lesson.model

    def of(self, ct: sitk.Image, points_mm: Array, normals: Array, *, search: bool = False) -> Answers:
        """Of a scan in HU on its own grid, at places (n, 3) in LPS of a wall with unit normals out of the orbit.

        With `search` the place is not known: of places up to 1.5 mm to both sides, the one with most evidence tells.
        """
        squares = torch.from_numpy(unrolled(ct, points_mm, normals).astype(np.float32))
        starts = range(0, 2 * MARGIN + 1, SEARCH_SAMPLES) if search else [MARGIN]
        said = torch.stack([self._said(squares[..., start : start + SAMPLES]) for start in starts])
        best = said[:, :, 0].argmax(0)
        chosen = said[best, torch.arange(len(squares))]
        thickness, spread = chosen[:, 1].clamp_min(0), chosen[:, 2].clamp(-4, 2).exp()
        return Answers(chosen[:, 0].sigmoid().numpy(), thickness.numpy(), spread.numpy())

    def answers(self, squares: Array) -> Array:
        """What `sheet.Asked` says, of squares of profiles in HU (n, 5, 5, 29)."""
        return self._said(torch.from_numpy(squares.astype(np.float32))).numpy()

    @torch.inference_mode()
    def _said(self, squares: torch.Tensor) -> torch.Tensor:
        parts = [self._model(windowed(part)) for part in squares.split(4096) if len(part)]
        return torch.cat(parts) if parts else torch.zeros(0, PROFILE_ANSWERS)
