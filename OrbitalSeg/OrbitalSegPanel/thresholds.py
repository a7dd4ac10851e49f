"""Sliders on the kept probabilities: other limits, other bone, without a second run of the networks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.methods.kept import KeptProbabilities
from OrbitalSegLib.region import Region
from OrbitalSegPanel import results, segments, volumes


class Thresholds:
    """The probabilities of one result, and the segmentation that shows them.

    With the limits of the run the result is the run's own, voxel by voxel. With others it is what the probabilities
    say: post-processing is not repeated, and of the run's inferred wall that part is left which is not seen bone.
    """

    def __init__(
        self,
        nodes: list[Any],
        target: Any,
        volume: Any,
        run: results.Run,
        save_state: Callable[[Any], None],
    ) -> None:
        self._nodes, self._target = list(nodes), target
        fields = {node.GetAttribute("OrbitalSeg.network"): volumes.placed(node).image for node in nodes}
        self._kept = KeptProbabilities(volumes.placed(volume).image, fields, Region(run.box_mm))
        self._run = run
        self._own = {name: on_grid_of(self._kept.grid, mask) for name, mask in run.masks.items()}
        self._save_state = save_state
        self._moved: dict[str, int] = {}

    def are_of(self, nodes: list[Any], target: Any) -> bool:
        """Whether these are the probabilities of that result."""
        return self._nodes == list(nodes) and self._target is target

    @property
    def voxels(self) -> int:
        """Of the scan grid in the region."""
        return int(self._kept.grid.GetNumberOfPixels())

    def move(self, limits: dict[str, float]) -> None:
        """Show the bone of these limits. Edits made since the last move are saved for undo first.

        The surfaces in 3D go away, for making them takes seconds: see `make_surfaces`.
        """
        target = self._target
        segmentation = target.GetSegmentation()
        if {name: _moment(target, name) for name in self._moved} != self._moved or not self._moved:
            self._save_state(target)
        is_run = limits == self._run.limits
        masks = self._own if is_run else self._masks(limits)
        matrix = _ijk_to_ras(self._kept.grid)
        segmentation.RemoveRepresentation(segments.SURFACE)  # Slicer would make it anew for each segment
        with segments.modifying(target):
            for name, mask in masks.items():
                if segmentation.GetSegment(name):
                    segments.set_voxels(target, name, sitk.GetArrayFromImage(mask), matrix)
            for name, surface in self._run.surfaces.items() if is_run else ():
                if segmentation.GetSegment(name):
                    segments.set_surface(target, name, surface)
        self._moved = {name: _moment(target, name) for name in masks}

    def make_surfaces(self) -> None:
        """Show in 3D what the last move made; takes seconds on a large region."""
        if self._target.GetScene() is None:
            return
        segmentation = self._target.GetSegmentation()
        for name in self._run.surfaces:
            segment = segmentation.GetSegment(name)
            if segment and not segment.GetRepresentation(segments.SURFACE) and segments.volume_ml(self._target, name):
                segments.make_surface(self._target, name)

    def _masks(self, limits: dict[str, float]) -> dict[str, sitk.Image]:
        masks = self._kept.masks(limits)
        wall = self._own.get(segments.INFERRED)
        return masks if wall is None else masks | {segments.INFERRED: sitk.And(wall, 1 - masks["bone"])}


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
