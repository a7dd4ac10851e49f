"""Sliders on the kept probabilities: other limits, other bone, without a second run of the networks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.methods.kept import KeptProbabilities
from OrbitalSegLib.region import Region
from OrbitalSegPanel import segments, volumes


class Thresholds:
    """The probabilities of one result, and the segmentation that shows them."""

    def __init__(
        self,
        nodes: list[Any],
        target: Any,
        volume: Any,
        box_mm: tuple[float, ...] | None,
        save_state: Callable[[Any], None],
    ) -> None:
        self._nodes, self._target = list(nodes), target
        fields = {node.GetAttribute("OrbitalSeg.network"): volumes.placed(node).image for node in nodes}
        self._kept = KeptProbabilities(volumes.placed(volume).image, fields, Region(box_mm))
        self._save_state = save_state
        self._own: dict[str, int] = {}

    def are_of(self, nodes: list[Any], target: Any) -> bool:
        """Whether these are the probabilities of that result."""
        return self._nodes == list(nodes) and self._target is target

    @property
    def voxels(self) -> int:
        """Of the scan grid in the region."""
        return int(self._kept.grid.GetNumberOfPixels())

    def move(self, limits: dict[str, float]) -> None:
        """Show the bone of these limits. Edits made since the last move are saved for undo first."""
        target = self._target
        if {name: _moment(target, name) for name in self._own} != self._own or not self._own:
            self._save_state(target)
        masks = self._kept.masks(limits)
        matrix = _ijk_to_ras(self._kept.grid)
        with segments.modifying(target):
            for name, mask in masks.items():
                if target.GetSegmentation().GetSegment(name):
                    segments.set_voxels(target, name, sitk.GetArrayFromImage(mask), matrix)
        self._own = {name: _moment(target, name) for name in masks}


def _moment(target: Any, name: str) -> int:
    """When a segment's voxels changed last."""
    segment = target.GetSegmentation().GetSegment(name)
    labels = segment.GetRepresentation(segments.BINARY) if segment else None
    return labels.GetMTime() if labels else 0


def _ijk_to_ras(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = volumes.RAS_TO_LPS @ (np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing()))
    matrix[:3, 3] = volumes.RAS_TO_LPS @ np.array(image.GetOrigin())
    return matrix
