"""Values of an image between its voxels."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALF = 0.5
"""Of a mask between voxels: its surface."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A part of an image from which values are taken, linearly between voxels; outside it all are the same."""

    values: NDArray[np.float32]
    to_index: Floats
    """(3, 3): from mm to voxels along the axes of the part."""
    origin_mm: Floats
    outside: float

    @classmethod
    def around(cls, image: sitk.Image, box_mm: Floats, outside: float) -> "Sampled":
        """The part of an image that holds a box `[[x0, x1], [y0, y1], [z0, z1]]` in mm, LPS."""
        corners = [tuple(box_mm[axis, end[axis]] for axis in range(3)) for end in np.ndindex(2, 2, 2)]
        indices = np.array([image.TransformPhysicalPointToContinuousIndex(corner) for corner in corners])
        low = np.clip(np.floor(indices.min(axis=0)).astype(int) - 1, 0, np.array(image.GetSize()) - 1)
        high = np.clip(np.ceil(indices.max(axis=0)).astype(int) + 2, low + 1, image.GetSize())
        part = image[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        axes = np.reshape(part.GetDirection(), (3, 3)) * np.array(part.GetSpacing())
        values = np.pad(sitk.GetArrayFromImage(part).astype(np.float32), 1, constant_values=outside)
        origin = np.array(part.GetOrigin()) - axes.sum(axis=1)
        return cls(values, np.linalg.inv(axes), origin, outside)

    def at(self, places_mm: Floats) -> NDArray[np.float32]:
        """Values at places (..., 3)."""
        place = np.moveaxis((places_mm - self.origin_mm) @ self.to_index.T, -1, 0)
        last = np.array(self.values.shape[::-1]).reshape(3, *[1] * (place.ndim - 1)) - 1.001
        place = np.clip(place, 0, last)
        cell = place.astype(np.int64)
        x, y, z = (place - cell).astype(np.float32)
        _, rows, columns = self.values.shape
        first, flat = (cell[2] * rows + cell[1]) * columns + cell[0], self.values.ravel()
        corners = (first + step for step in (0, columns, rows * columns, (rows + 1) * columns))
        near, below, behind, both = (flat[at] * (1 - x) + flat[at + 1] * x for at in corners)
        return np.asarray((near * (1 - y) + below * y) * (1 - z) + (behind * (1 - y) + both * y) * z, np.float32)
