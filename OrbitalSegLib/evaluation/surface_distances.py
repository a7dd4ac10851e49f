"""How far the surface of a result lies from the surface of the truth.

A mask's surface consists of elements as in DeepMind's `surface-distance`: one at each corner where eight voxels meet
that are not all of one kind, with the area of the marching-cubes triangles between them. Distances run from element to
nearest element. So a wall one voxel thick has two sides, and thick slices do not count more than thin ones.
"""

from dataclasses import dataclass
from functools import cache
from math import inf, nan

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from OrbitalSegLib.evaluation.grids import on_grid_of
from OrbitalSegLib.images import bounds, mask_array, spacing_zyx
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.progress import Progress, silent

TOLERANCE_MM = 0.5
"""Of the surface Dice: half of the slice distance that table A.1 asks for [3532-2 A]."""

ROUNDING_MM = 1e-4
"""A distance that is larger than the tolerance by this is the tolerance: many are whole voxels, as tolerances are, and
the distance map rounds to 32 bits."""

CORNERS = [(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)]
"""The eight voxels around a corner; voxel i is bit i of the corner's code."""

_BITS = np.array([code.bit_count() for code in range(256)])

LEANING = 1e-3
"""A direction counts as outward or inward if the cosine to the normal is over this."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm from each element of one surface to the other, and the elements' areas in mm².

    `signed_mm` is that of `truth_to_result_mm`, positive where the result's surface lies on the outer side of the
    truth's (too much bone), negative where it lies on the inner side. Distances to a surface that does not exist are
    infinite; a figure without elements to measure from is not a number.
    """

    truth_to_result_mm: np.ndarray
    signed_mm: np.ndarray
    truth_areas_mm2: np.ndarray
    result_to_truth_mm: np.ndarray
    result_areas_mm2: np.ndarray

    def percentile_mm(self, percent: float) -> float:
        """From truth to result [Ekman]."""
        return weighted_percentile(self.truth_to_result_mm, self.truth_areas_mm2, percent)

    def signed_percentile_mm(self, percent: float) -> float:
        """From truth to result, signed [Ekman]."""
        return weighted_percentile(self.signed_mm, self.truth_areas_mm2, percent)

    @property
    def hausdorff_95_mm(self) -> float:
        """The larger of the 95th percentiles of both directions."""
        back = weighted_percentile(self.result_to_truth_mm, self.result_areas_mm2, 95)
        return float(np.fmax(self.percentile_mm(95), back))

    @property
    def average_symmetric_mm(self) -> float:
        """The mean of both directions' distances over both surfaces' area."""
        total = float(self.truth_areas_mm2.sum() + self.result_areas_mm2.sum())
        sums = _product(self.truth_to_result_mm, self.truth_areas_mm2)
        sums += _product(self.result_to_truth_mm, self.result_areas_mm2)
        return sums / total if total else nan

    def surface_dice(self, tolerance_mm: float = TOLERANCE_MM) -> float:
        """The share of both surfaces' area that lies within a tolerance of the other surface."""
        total = float(self.truth_areas_mm2.sum() + self.result_areas_mm2.sum())
        limit_mm = tolerance_mm + ROUNDING_MM
        near = float(self.truth_areas_mm2[self.truth_to_result_mm <= limit_mm].sum())
        near += float(self.result_areas_mm2[self.result_to_truth_mm <= limit_mm].sum())
        return near / total if total else nan

    def figures(self, tolerance_mm: float = TOLERANCE_MM) -> dict[str, float]:
        """Every metric by name."""
        return {
            "median_mm": self.percentile_mm(50),
            "p95_mm": self.percentile_mm(95),
            "signed_median_mm": self.signed_percentile_mm(50),
            "signed_p95_mm": self.signed_percentile_mm(95),
            "hd95_mm": self.hausdorff_95_mm,
            "assd_mm": self.average_symmetric_mm,
            "surface_dice": self.surface_dice(tolerance_mm),
        }


def surface_distances(
    truth: sitk.Image, result: sitk.Image, region: sitk.Image | None = None, progress: Progress = silent
) -> SurfaceDistances:
    """Measure between the surfaces of two masks, in mm (docs/metrics.md) [Ekman].

    Parameters
    ----------
    truth, result
        Masks, non-zero is bone, on one grid or on parts of one. What lies outside the image is no bone.
    region
        A mask. Only elements in it are measured from (at least half of the eight voxels around one must be non-zero in
        it), to the other surface wherever that is.
    progress
        Hears how much is done, from 0 to 1.

    Returns
    -------
    distances
        Means, percentiles and the largest, mm; infinite where one surface is missing.

    Raises
    ------
    InputError
        `different-grids`.

    Examples
    --------
    >>> truth, result = np.zeros((2, 9, 9, 9), np.uint8)
    >>> truth[3:6, 3:6, 3:6] = result[3:6, 3:6, 4:7] = 1
    >>> found = surface_distances(sitk.GetImageFromArray(truth), sitk.GetImageFromArray(result))
    >>> found.hausdorff_95_mm
    1.0
    """
    masks = [mask_array(truth), mask_array(on_grid_of(truth, result))]
    inside = None if region is None else mask_array(on_grid_of(truth, region))
    used = bounds(masks[0] | masks[1])
    spacing = spacing_zyx(truth)
    codes = [_codes(mask[used]) for mask in masks]
    wanted = None if inside is None else _BITS[_codes(inside[used])] >= 4
    surfaces = [(code > 0) & (code < 255) for code in codes]
    distance_maps = []
    for done, surface in enumerate(surfaces):
        progress(0.1 + 0.4 * done)
        distance_maps.append(_distance_map(surface, spacing))
    progress(0.9)
    elements = [np.nonzero(surface if wanted is None else surface & wanted) for surface in surfaces]
    true_codes, found_codes = (code[at] for code, at in zip(codes, elements, strict=True))
    to_result = distance_maps[1][elements[0]].astype(np.float64)
    return SurfaceDistances(
        truth_to_result_mm=to_result,
        signed_mm=to_result * _signs(true_codes, elements[0], distance_maps[1], spacing) + 0.0,
        truth_areas_mm2=_areas_mm2(spacing)[true_codes],
        result_to_truth_mm=distance_maps[0][elements[1]].astype(np.float64),
        result_areas_mm2=_areas_mm2(spacing)[found_codes],
    )


def largest_error(truth: sitk.Image, result: sitk.Image) -> tuple[int, int, int]:
    """The voxel that lies furthest inside what only one of two masks has.

    Where they do not differ it is the middle of the truth's box.

    Parameters
    ----------
    truth
        A mask.
    result
        A mask, on the same grid.

    Returns
    -------
    index
        z, y, x.

    Raises
    ------
    InputError
        `different-grids`.
    """
    true, found = mask_array(truth), mask_array(on_grid_of(truth, result))
    different = true ^ found
    if not different.any():
        z, y, x = ((part.start + part.stop) // 2 for part in bounds(true))
        return z, y, x
    image = sitk.GetImageFromArray(np.pad(different, 1).view(np.uint8))
    image.SetSpacing(truth.GetSpacing())
    depth = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    z, y, x = np.unravel_index(int(sitk.GetArrayFromImage(depth).argmax()), image.GetSize()[::-1])
    return int(z) - 1, int(y) - 1, int(x) - 1


def weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The smallest value up to which the weights reach the percentage of their sum; not a number without values.

    Parameters
    ----------
    values
        (n,).
    weights
        (n,), not below 0.
    percent
        From 0 to 100.

    Returns
    -------
    value
        One of the values.

    Examples
    --------
    >>> weighted_percentile(np.array([1.0, 2.0, 9.0]), np.array([1.0, 8.0, 1.0]), 50)
    2.0
    """
    if values.size == 0:
        return nan
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached / reached[-1], percent / 100)
    return float(values[order[min(int(place), values.size - 1)]])


def _product(distances: np.ndarray, areas: np.ndarray) -> float:
    return float((distances * areas).sum())


def _codes(mask: np.ndarray) -> np.ndarray:
    """The code of each corner, with one row of corners around those of the mask."""
    padded = np.pad(mask, 2).view(np.uint8)
    shape = [size - 1 for size in padded.shape]
    codes = np.zeros(shape, np.uint8)
    for bit, corner in enumerate(CORNERS):
        codes |= padded[tuple(slice(c, c + s) for c, s in zip(corner, shape, strict=True))] << np.uint8(bit)
    return codes


def _distance_map(surface: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance in mm from every corner to the nearest element."""
    if not surface.any():
        return np.full(surface.shape, inf, np.float32)
    image = sitk.GetImageFromArray(surface.view(np.uint8))
    image.SetSpacing(spacing[::-1].tolist())
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayFromImage(distance), 0)


def _signs(codes: np.ndarray, at: tuple[np.ndarray, ...], distance_map: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """+1, or -1 where the way to the other surface leads to the inner side.

    The way is the steepest descent of the distance, so that it does not depend on which of two equally near elements
    a search happens to find.
    """
    if codes.size == 0 or not np.isfinite(distance_map.flat[0]):
        return np.full(codes.size, nan)
    way = np.empty((codes.size, 3))
    for axis in range(3):
        before, after = (
            distance_map[tuple(index + (step if i == axis else 0) for i, index in enumerate(at))] for step in (-1, 1)
        )
        way[:, axis] = (before - after) / (2 * spacing[axis])
    normals = _normals(spacing)[codes]
    outward = np.einsum("ij,ij->i", way, normals)
    return np.where(outward < -LEANING * np.linalg.norm(normals, axis=1), -1.0, 1.0)


def _areas_mm2(spacing: np.ndarray) -> np.ndarray:
    """The area of the element of each code (256,)."""
    codes, vectors = _triangles()
    return np.bincount(codes, np.linalg.norm(vectors * (spacing.prod() / spacing), axis=1), 256)


def _normals(spacing: np.ndarray) -> np.ndarray:
    """Where the mask falls off (256, 3), z y x, at the corner of each code; it points away from the bone."""
    set_voxels = (np.arange(256)[:, None] >> np.arange(8)) & 1
    return set_voxels @ (0.5 - np.array(CORNERS)) / spacing


@cache
def _triangles() -> tuple[np.ndarray, np.ndarray]:
    """The marching-cubes triangles of all codes: their codes (n,) and area vectors (n, 3), z y x, in voxel faces.

    Where the table is ambiguous, the kind of voxel that is in the majority is the connected one.
    """
    vectors = [_area_vectors(min(code, 255 - code, key=int.bit_count)) for code in range(256)]
    return np.repeat(np.arange(256), [len(some) for some in vectors]), np.concatenate(vectors)


def _area_vectors(code: int) -> np.ndarray:
    image = vtkImageData()
    image.SetDimensions(2, 2, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(np.array([code >> bit & 1 for bit in range(8)], np.float32)))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.Update()
    points, triangles = arrays_of(edges.GetOutput())
    a, b, c = (points[corner].astype(np.float64) for corner in triangles.T)
    return np.cross(b - a, c - a)[:, ::-1] / 2
