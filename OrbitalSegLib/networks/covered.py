"""Bone lies under skin: what touches the air around the head, and hangs together with no other bone, is a skin marker,
a tube or a frame."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.scan import AIR_HU

OBJECTS_ABOVE = 0.1
"""Objects are made of voxels where bone is more probable than this."""

AROUND_HU = AIR_HU / 2
"""Half of a voxel is air."""

NEAR_MM = 1.0
SHARE = 0.1
"""An object of which at least this share lies so near to the air around the head is not covered."""


def uncovered(bone: sitk.Image, scan: sitk.Image) -> NDArray[np.bool_]:
    """The voxels (z, y, x) of objects of bone (a probability, on any grid) that no skin covers.

    `scan` is in HU, best whole. The largest object always stays, and so does everything where that is not covered
    itself: a dry skull, or a plastic one.
    """
    objects = sitk.RelabelComponent(sitk.ConnectedComponent(bone > OBJECTS_ABOVE, True))
    label = sitk.GetArrayFromImage(objects)
    air = sitk.Resample(_air_around(scan, bone), bone, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    reach = [max(round(NEAR_MM / step), 1) for step in bone.GetSpacing()]
    near = sitk.GetArrayFromImage(sitk.BinaryDilate(air, reach, sitk.sitkBall)) > 0
    size, touching = np.bincount(label.ravel()), np.bincount(label[near], minlength=int(label.max()) + 1)
    bare = touching >= SHARE * size
    bare[0] = False
    if len(bare) < 2 or bare[1]:
        return np.zeros(label.shape, bool)
    return bare[label]


def _air_around(scan: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """Where air hangs together, within its axial slice, with the slice's border: 1 in the slices of a grid, else 0."""
    scan = sitk.DICOMOrient(scan, "LPS")
    ends = [grid.TransformIndexToPhysicalPoint((0, 0, at)) for at in (0, grid.GetSize()[2] - 1)]
    places = [scan.TransformPhysicalPointToContinuousIndex(end)[2] for end in ends]
    first, last = max(int(min(places)) - 1, 0), min(int(max(places)) + 2, scan.GetSize()[2])
    hu = sitk.GetArrayViewFromImage(scan)
    found = np.zeros(hu.shape, np.uint8)
    for number in range(first, last):
        label = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(_air(hu[number]))))
        outside = np.zeros(int(label.max()) + 1, bool)
        for border in (label[0], label[-1], label[:, 0], label[:, -1]):
            outside[border] = True
        outside[0] = False
        found[number] = outside[label]
    image = sitk.GetImageFromArray(found)
    image.CopyInformation(scan)
    return image


def _air(hu: NDArray) -> NDArray[np.uint8]:
    return (hu < AROUND_HU).astype(np.uint8)
