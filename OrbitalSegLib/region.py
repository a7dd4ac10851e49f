"""The part of the scan on which results are defined: a box in patient space, or the whole scan."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.scan import Scan

MARGIN_MM = 10.0
"""Every step works on the region and this much around it (docs/contracts.md, section 5)."""


@dataclass(frozen=True)
class Region:
    """A box in patient space, or the whole scan.

    Parameters
    ----------
    box_mm
        `(x0, x1, y0, y1, z0, z1)` in mm: x to the patient's left, y to the back, z to the head (LPS). None is the whole
        scan.

    Raises
    ------
    JobError
        `invalid-job`: not six numbers, or a pair that does not grow.

    Examples
    --------
    >>> orbit = Region((10.0, 60.0, -90.0, -40.0, -20.0, 30.0))
    >>> orbit.holds(np.array([30.0, -60.0, 0.0]))
    True
    >>> orbit.common(Region((0.0, 40.0, -90.0, -40.0, 0.0, 50.0))).box_mm
    (10.0, 40.0, -90.0, -40.0, 0.0, 30.0)
    """

    box_mm: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        box = self.box_mm
        if box is None:
            return
        if len(box) != 6 or not all(np.isfinite(box)) or any(box[i] >= box[i + 1] for i in (0, 2, 4)):
            raise JobError(
                "invalid-job",
                "A region is `whole` or six numbers x0,x1,y0,y1,z0,z1 in mm, each pair growing.",
            )

    @property
    def in_job(self) -> str | list[float]:
        """As a job in JSON holds it."""
        return "whole" if self.box_mm is None else list(self.box_mm)

    def holds(self, *places_mm: np.ndarray) -> bool:
        """Whether all places (3,) lie in the region."""
        if self.box_mm is None:
            return True
        low, high = np.reshape(self.box_mm, (3, 2)).T
        return bool(all((low <= place).all() and (place <= high).all() for place in places_mm))

    def common(self, other: "Region") -> "Region":
        """What lies in both of two regions that meet."""
        if self.box_mm is None or other.box_mm is None:
            return other if self.box_mm is None else self
        own, others = np.reshape(self.box_mm, (3, 2)), np.reshape(other.box_mm, (3, 2))
        box = np.stack([np.maximum(own[:, 0], others[:, 0]), np.minimum(own[:, 1], others[:, 1])], axis=1)
        return Region(tuple(box.ravel().tolist()))

    def working_part(self, image: sitk.Image) -> sitk.Image:
        """The image cut to region and margin, whole voxels. Raises `InputError` `region-outside`."""
        return self._part(image, MARGIN_MM)

    def inner_part(self, image: sitk.Image) -> sitk.Image:
        """The image cut to the region without its margin, whole voxels. Raises `InputError` `region-outside`."""
        return self._part(image, 0.0)

    def _part(self, image: sitk.Image, margin_mm: float) -> sitk.Image:
        if self.box_mm is None:
            return image
        low, high = self._index_bounds(image, margin_mm)
        part = image[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        self.within(part)  # whether there is anything
        return part

    def cut(self, mask: sitk.Image, scan_grid: sitk.Image) -> sitk.Image:
        """A mask of the working part on the scan grid, empty outside the region."""
        if self.box_mm is None:
            return mask
        inside = sitk.Multiply(mask, self.within(mask))
        return sitk.Resample(inside, scan_grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)

    def within(self, image: sitk.Image) -> sitk.Image:
        """Label map on the image's grid: 1 where a voxel's centre lies in the box.

        Raises `InputError` `region-outside` where there is no such voxel.
        """
        inside = np.ones(image.GetSize()[::-1], bool)
        if self.box_mm is not None:
            axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
            for axis in range(3):
                place = np.full((1, 1, 1), image.GetOrigin()[axis])
                for i, count in enumerate(image.GetSize()):
                    if not axes[axis, i]:
                        continue  # a straight grid: no array of the whole scan
                    shape = [1, 1, 1]
                    shape[2 - i] = count
                    place = place + (axes[axis, i] * np.arange(count)).reshape(shape)
                inside &= (place >= self.box_mm[2 * axis]) & (place <= self.box_mm[2 * axis + 1])
            if not inside.any():
                raise InputError(
                    "region-outside", "The region lies outside the scan: give the box in mm in patient space (LPS)."
                )
        return mask_on_grid(inside, image)

    def corners_mm(self, margin_mm: float = 0.0) -> np.ndarray | None:
        """(8, 3): the corners of the box, LPS mm; None for the whole scan."""
        if self.box_mm is None:
            return None
        box = np.array(self.box_mm).reshape(3, 2) + np.array([-margin_mm, margin_mm])
        return np.array(list(product(*box)))

    @property
    def margin_box_mm(self) -> list[float] | None:
        """The box of region and margin as it is given; None for the whole scan."""
        corners = self.corners_mm(MARGIN_MM)
        return (
            None if corners is None else np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel().tolist()
        )

    def check_gaps(self, scan: Scan) -> None:
        """Raises `InputError` `slice-gap` where slices are missing inside the region."""
        corners = self.corners_mm()
        for gap in scan.gaps:
            if corners is not None:
                depths = corners @ scan.planes.normal
                if depths.max() <= gap.start_mm or depths.min() >= gap.end_mm:
                    continue
            raise InputError(
                "slice-gap",
                f"Between {gap.before} and {gap.after} there are {gap.end_mm - gap.start_mm:.1f} mm without a slice "
                f"(slices here lie {gap.local_distance_mm:.1f} mm apart): "
                "get the complete series, or choose a region without this gap.",
            )

    def _index_bounds(self, image: sitk.Image, margin_mm: float) -> tuple[np.ndarray, np.ndarray]:
        corners = self.corners_mm(margin_mm)
        assert corners is not None
        corners = np.array([image.TransformPhysicalPointToContinuousIndex(point.tolist()) for point in corners])
        size = np.array(image.GetSize())
        low = np.clip(np.floor(corners.min(axis=0)), 0, size - 1).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, low + 1, size).astype(int)
        return low, high
