"""How much of the thin orbital wall a mask holds on a scan that nobody has labelled.

Where a sinus is aerated, the orbital floor and the medial wall must stand between orbital fat and sinus air. From each
air voxel at a sinus surface whose nearest fat voxel lies within 4 mm, the straight line to that fat has to cross bone.
A wall that is lost to the partial volume effect counts against the mask. So does a wall that is broken: and a mask that
is drawn wherever air meets fat scores well and is worthless. Coverage never stands alone (see `walls.py`).
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData, vtkStaticPointLocator

from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.images import mask_array, mask_on_grid
from OrbitalSegLib.places import Box

MAX_WALL_MM = 4.0
"""Fat that is farther from the air lies behind more than a thin wall."""

STEP_MM = 0.1
"""Lines are sampled this densely, on the mask's own grid."""

AIR_HU = -500.0
FAT_HU = (-170.0, -40.0)
SOFT_HU = (0.0, 100.0)
"""Muscle, globe, brain."""
SKIN_ABOVE_HU = -300.0

AIR_DEPTH_MM = 6.0
"""Air that lies deeper than this below the skin is in a sinus, nose or cell."""

SKIN_MM = 2.5

SOFT_BULK_VOXELS = 2
"""Soft tissue is judged this far from its border, where it is soft tissue beyond doubt."""


@dataclass(frozen=True)
class Sites:
    """Where a mask is judged on one scan."""

    start_mm: np.ndarray
    """Sinus air, (n, 3) in LPS."""
    end_mm: np.ndarray
    """Orbital fat."""
    fat: np.ndarray
    """Voxels of the scan's part `box`, as are the next ones, in which bone is a leak."""
    soft: np.ndarray
    air: np.ndarray
    skin: np.ndarray
    part: sitk.Image
    """The part of the scan, HU."""


@dataclass(frozen=True)
class Coverage:
    """What a mask holds of the wall, and where it leaks: shares, 0 to 1."""

    lines: int
    coverage: float
    """Of the lines, those that meet the mask; not a number where there are none."""
    fat: float
    soft_tissue: float
    air: float
    skin: float


def find_sites(ct: sitk.Image, box_mm: Box | None = None) -> Sites:
    """Lines from sinus air to fat, which cross a thin wall whether or not one sees it, and the tissues around them.

    Parameters
    ----------
    ct
        In HU.
    box_mm
        x0, x1, y0, y1, z0, z1 (LPS): where to look; None is the whole scan.

    Returns
    -------
    sites
        Both ends of each line (n, 3) in mm, and flags of what is fat, soft tissue, air and skin in the box.
    """
    ct = sitk.DICOMOrient(ct, "LPS")
    low, high = _corners(ct, box_mm)
    slices = ct[:, :, low[2] : high[2]]
    depth = _depth_mm(slices)[:, low[1] : high[1], low[0] : high[0]]
    part = slices[low[0] : high[0], low[1] : high[1], :]
    hu = sitk.GetArrayFromImage(part)
    air = (hu < AIR_HU) & (depth > AIR_DEPTH_MM)
    inner_fat = _eroded((hu > FAT_HU[0]) & (hu < FAT_HU[1]), part, 1)
    fat = mask_array(sitk.BinaryDilate(mask_on_grid(inner_fat, part), [1] * 3, sitk.sitkCross))
    start, end = _lines(_points_mm(part, air & ~_eroded(air, part, 1)), _points_mm(part, fat))
    return Sites(
        start_mm=start,
        end_mm=end,
        fat=_eroded(fat, part, 1),
        soft=_eroded((hu > SOFT_HU[0]) & (hu < SOFT_HU[1]), part, SOFT_BULK_VOXELS),
        air=air,
        skin=(depth > 0) & (depth < SKIN_MM) & (hu > SKIN_ABOVE_HU),
        part=part,
    )


def measure(sites: Sites, mask: sitk.Image) -> Coverage:
    """Judge a mask by the walls that a scan must have.

    Parameters
    ----------
    sites
        As `find_sites` gives them.
    mask
        What is not 0 is bone, on any grid, which may be finer than the scan.

    Returns
    -------
    coverage
        The share of the lines that meet bone, and the shares of each soft tissue and of air that were taken for bone.
    """
    crossed = lines_crossing(mask, sites.start_mm, sites.end_mm)
    bone = mask_array(sitk.Resample(mask, sites.part, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    leaks = [
        float(bone[where].mean()) if where.any() else 0.0 for where in (sites.fat, sites.soft, sites.air, sites.skin)
    ]
    return Coverage(len(crossed), float(crossed.mean()) if len(crossed) else float("nan"), *leaks)


def lines_crossing(mask: sitk.Image, start_mm: np.ndarray, end_mm: np.ndarray) -> np.ndarray:
    """Whether each line (n, 3 in mm) meets the mask.

    Parameters
    ----------
    mask
        On any grid.
    start_mm
        (n, 3), LPS.
    end_mm
        (n, 3), LPS.

    Returns
    -------
    flags
        (n,).
    """
    array = mask_array(mask)
    start, end = voxel_indices(mask, start_mm), voxel_indices(mask, end_mm)
    crossed = np.zeros(len(start), bool)
    for share in np.linspace(0, 1, int(np.ceil(MAX_WALL_MM / STEP_MM)) + 1):
        x, y, z = np.rint(start + (end - start) * share).astype(int).T
        inside = (x >= 0) & (x < array.shape[2]) & (y >= 0) & (y < array.shape[1]) & (z >= 0) & (z < array.shape[0])
        crossed[inside] |= array[z[inside], y[inside], x[inside]]
    return crossed


def _corners(ct: sitk.Image, box_mm: Box | None) -> tuple[list[int], list[int]]:
    """First and past-the-last voxel of a box along x, y and z."""
    if box_mm is None:
        return [0, 0, 0], list(ct.GetSize())
    ends = voxel_indices(ct, np.array([[box_mm[0], box_mm[2], box_mm[4]], [box_mm[1], box_mm[3], box_mm[5]]]))
    low = np.clip(np.rint(ends.min(axis=0)).astype(int), 0, np.array(ct.GetSize()) - 1)
    high = np.clip(np.rint(ends.max(axis=0)).astype(int), low + 1, ct.GetSize())
    return low.tolist(), high.tolist()


def _depth_mm(slices: sitk.Image) -> np.ndarray:
    """How far each voxel lies inside the head's outline in its slice; 0 or less outside."""
    objects = sitk.ConnectedComponent(slices > AIR_HU)
    head = sitk.RelabelComponent(objects, sortByObjectSize=True) == 1
    depth = []
    for index in range(head.GetSize()[2]):
        outside = sitk.BinaryFillhole(head[:, :, index], False) == 0
        distance = sitk.SignedMaurerDistanceMap(outside, squaredDistance=False, useImageSpacing=True)
        depth.append(sitk.GetArrayFromImage(distance))
    return np.stack(depth)


def _lines(air_mm: np.ndarray, fat_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of each line that is no longer than a wall may be thick."""
    if not len(air_mm) or not len(fat_mm):
        return np.empty((0, 3)), np.empty((0, 3))
    end = fat_mm[_nearest(air_mm, fat_mm)]
    near = np.linalg.norm(end - air_mm, axis=1) <= MAX_WALL_MM
    return air_mm[near], end[near]


def _nearest(places_mm: np.ndarray, candidates_mm: np.ndarray) -> np.ndarray:
    """The number of the candidate that is nearest to each place; there is at least one."""
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(candidates_mm), deep=True))
    cloud = vtkPolyData()
    cloud.SetPoints(points)
    locator = vtkStaticPointLocator()
    locator.SetDataSet(cloud)
    locator.BuildLocator()
    return np.array([locator.FindClosestPoint(place) for place in places_mm], int)


def _points_mm(image: sitk.Image, where: np.ndarray) -> np.ndarray:
    """The set voxels as points (n, 3)."""
    axes = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    return np.argwhere(where)[:, ::-1] @ axes.T + np.array(image.GetOrigin())


def _eroded(where: np.ndarray, part: sitk.Image, voxels: int) -> np.ndarray:
    """Without the voxels that have a face towards others, so many times over; beyond the part lie others too."""
    image = mask_on_grid(where, part)
    for _ in range(voxels):
        image = sitk.BinaryErode(image, [1] * 3, sitk.sitkCross, 0.0, 1.0, False)
    return mask_array(image)
