"""Sliders on the kept probabilities: a preview of other limits at once, without a second run of the networks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.methods.kept import KeptProbabilities
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import BONE, INFERRED
from OrbitalSegPanel import results, segments, volumes


class Thresholds:
    """The probabilities of one run, and the segmentation that shows them.

    With the limits of the result at hand the segments are its own, voxel by voxel. With others they are a preview, what
    the probabilities say: post-processing is not repeated, and of the result's inferred wall that part is left which is
    not seen bone. What a run with those limits makes is made by the worker, and then `take`n.
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
        self._kept = KeptProbabilities(
            volumes.placed(volume).image, fields, Region(run.box_mm), run.structures, run.grid
        )
        self._save_state = save_state
        self._moved: dict[str, int] = {}
        self.take(run)

    def take(self, run: results.Run) -> None:
        """Another result of the same probabilities: `move` with its limits shows it."""
        self._run = run
        wall = run.labels.get(INFERRED)
        grid = self._kept.grid
        self._wall = None if wall is None else segments.array_on(wall, _ijk_to_ras(grid), grid.GetSize()[::-1])

    def are_of(self, nodes: list[Any], target: Any) -> bool:
        """Whether these are the probabilities of that result."""
        return self._nodes == list(nodes) and self._target is target

    @property
    def voxels(self) -> int:
        """Of the result grid in the region."""
        return int(self._kept.grid.GetNumberOfPixels())

    def move(self, limits: dict[str, float]) -> None:
        """Show the bone of these limits. Edits made since the last move are saved for undo first.

        A preview has no surfaces in 3D, for making them takes seconds.
        """
        target = self._target
        segmentation = target.GetSegmentation()
        if dict(segments.moments(target)) != self._moved:
            self._save_state(target)
        segmentation.RemoveRepresentation(segments.SURFACE)  # Slicer would make it anew for each segment
        with segments.modifying(target):
            if limits == self._run.limits:
                self._show_run()
            else:
                self._show_preview(limits)
        self._moved = dict(segments.moments(target))

    def _show_run(self) -> None:
        segmentation = self._target.GetSegmentation()
        for name, labels in self._run.labels.items():
            if segmentation.GetSegment(name):
                segments.set_labels(self._target, name, labels)
        for name, surface in self._run.surfaces.items():
            if segmentation.GetSegment(name):
                segments.set_surface(self._target, name, surface)

    def _show_preview(self, limits: dict[str, float]) -> None:
        masks = {name: sitk.GetArrayFromImage(mask) for name, mask in self._kept.masks(limits).items()}
        if self._wall is not None:
            masks[INFERRED] = (self._wall & (masks[BONE] == 0)).view(np.uint8)
        matrix = _ijk_to_ras(self._kept.grid)
        for name, mask in masks.items():
            if self._target.GetSegmentation().GetSegment(name):
                segments.set_voxels(self._target, name, mask, matrix)


def _ijk_to_ras(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = volumes.RAS_TO_LPS @ (np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing()))
    matrix[:3, 3] = volumes.RAS_TO_LPS @ np.array(image.GetOrigin())
    return matrix
