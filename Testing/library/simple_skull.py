"""A skull of simple shapes with two orbits, for tests that look for orbits."""

import numpy as np
import SimpleITK as sitk

RIGHT, LEFT = np.array((-30.0, -75.0, 10.0)), np.array((30.0, -75.0, 10.0))


def skull(direction=(1, 0, 0, 0, 1, 0, 0, 0, 1), orbits=(RIGHT, LEFT), spacing_mm=(2.5, 2.0, 3.0)) -> sitk.Image:
    """A shell of a head with a cone for each orbit, on a grid whose middle is the head's."""
    size = np.ceil(240 / np.array(spacing_mm)).astype(int)
    grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    grid.SetSpacing(spacing_mm)
    grid.SetDirection(direction)
    matrix = np.reshape(direction, (3, 3)) * spacing_mm
    grid.SetOrigin((matrix @ (-(size - 1) / 2)).tolist())
    indices = np.moveaxis(np.indices(size[::-1])[::-1], 0, -1)
    places = indices @ matrix.T + grid.GetOrigin()
    radius = np.linalg.norm(places / (75, 95, 100), axis=-1)
    bone = (radius < 1) & (radius > 0.55)
    for orbit in orbits:
        depth = places[..., 1] + 100
        bone &= np.hypot(places[..., 0] - orbit[0], places[..., 2] - orbit[2]) > np.maximum(20 - depth / 4, 0)
    image = sitk.GetImageFromArray(bone.astype(np.uint8))
    image.CopyInformation(grid)
    return image
