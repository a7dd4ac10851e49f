"""What a network sees: the standard's window, and a working grid that no region moves."""

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.preprocessing import (
    from_working,
    to_isotropic,
    to_windowed,
    walls_through,
    window_8bit,
    working_grid,
)

TURNED = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
TILTED = [1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8]
RAS = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]


def scan(spacing=(0.7, 0.8, 1.3), direction=None, size=(30, 26, 22), seed=1) -> sitk.Image:
    noise = np.random.default_rng(seed).normal(0, 300, size[::-1]).astype(np.int16)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing(spacing)
    image.SetOrigin((-17.3, 41.2, 5.9))
    if direction:
        image.SetDirection(direction)
    return image


def ramp(image: sitk.Image) -> sitk.Image:
    """An image whose value is a linear function of the place in the patient."""
    values = np.empty(image.GetSize()[::-1], np.float32)
    for index in np.ndindex(*image.GetSize()):
        values[index[::-1]] = np.dot(image.TransformIndexToPhysicalPoint(index), (3.0, -2.0, 5.0)) + 7
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    return result


def test_the_window_is_formula_1():
    image = sitk.GetImageFromArray(np.array([[[-1024, -201, -200, -199, 50, 299, 300, 301, 32767]]], np.int16))
    image.SetSpacing((0.3, 0.4, 0.5))
    windowed = window_8bit(image)
    assert sitk.GetArrayFromImage(windowed).ravel().tolist() == [0, 0, 0, 1, 128, 254, 255, 255, 255]
    assert windowed.IsSameImageGeometryAs(sitk.Cast(image, sitk.sitkUInt8))


@pytest.mark.parametrize("direction", [None, TURNED, TILTED, RAS])
def test_every_working_voxel_has_the_value_of_its_place_in_the_patient(direction):
    image = ramp(scan(direction=direction))
    working = to_isotropic(image, 0.5)
    expected = sitk.GetArrayFromImage(ramp(working))
    inner = (slice(2, -3),) * 3  # beyond the last voxel's centre the last value goes on
    np.testing.assert_allclose(sitk.GetArrayFromImage(working)[inner], expected[inner], atol=0.51)
    np.testing.assert_allclose(working.GetSpacing(), 0.5)
    axes = np.reshape(working.GetDirection(), (3, 3))
    assert np.all(np.diag(axes) > 0.5)  # towards left, posterior, superior


@pytest.mark.parametrize("direction", [None, TURNED, TILTED, RAS])
def test_the_working_grid_covers_every_voxel_of_the_scan(direction):
    image = scan(direction=direction)
    working = to_isotropic(image, 0.5)
    for corner in np.ndindex(2, 2, 2):
        last = np.array(image.GetSize()) - 1
        point = image.TransformIndexToPhysicalPoint((last * corner).tolist())
        place = np.array(working.TransformPhysicalPointToContinuousIndex(point))
        assert np.all(place > -1e-6)
        assert np.all(place < np.array(working.GetSize()) - 1 + 1e-6)


@pytest.mark.parametrize("spacing", [(0.7, 0.8, 1.3), (0.31, 0.31, 0.2), (0.5, 0.5, 3.0)])
@pytest.mark.parametrize("direction", [None, TILTED, RAS])
def test_the_region_moves_no_value(spacing, direction):
    image = scan(spacing, direction)
    whole = to_isotropic(image, 0.4)
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()]))
    box = np.stack([middle - np.array([1.7, 2.1, 1.3]), middle + np.array([2.2, 1.4, 1.9])], axis=1).ravel()
    part = to_isotropic(image, 0.4, box)
    low = np.rint(whole.TransformPhysicalPointToContinuousIndex(part.GetOrigin())).astype(int)
    cut = whole[tuple(slice(int(a), int(a) + n) for a, n in zip(low, part.GetSize(), strict=True))]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(part), sitk.GetArrayFromImage(cut))
    for point in np.reshape(box, (3, 2)).T:
        place = np.array(part.TransformPhysicalPointToContinuousIndex(point.tolist()))
        assert np.all(place > -1e-6)
        assert np.all(place < np.array(part.GetSize()) - 1 + 1e-6)


def test_linear_interpolation_is_simpleitks_where_the_scan_is_coarser():
    image = scan()
    ours = to_isotropic(image, 0.5)
    theirs = sitk.Resample(image, ours, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat64)
    inner = (slice(0, -3),) * 3
    difference = sitk.GetArrayFromImage(ours)[inner] - sitk.GetArrayFromImage(theirs)[inner]
    assert np.abs(difference).max() < 0.51


def test_a_finer_scan_is_averaged_and_loses_nothing_between_voxels():
    voxels = np.zeros((40, 60, 60), np.int16)
    voxels[:, :, 31] = 1000  # a wall of one voxel of 0.2 mm
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.2, 0.2, 0.2))
    row = sitk.GetArrayFromImage(to_isotropic(image, 0.5))[8, 8].astype(float)
    assert row.sum() * 0.5 == pytest.approx(1000 * 0.2, rel=0.02)
    assert np.argmax(row) == 12  # 31 x 0.2 mm = 6.2 mm


def test_to_windowed_is_the_window_of_to_isotropic():
    image = scan()
    both = sitk.GetArrayFromImage(window_8bit(to_isotropic(image, 0.5)))
    grid = working_grid(image, 0.5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(to_windowed(image, grid)), both)
    finer = sitk.GetArrayFromImage(to_windowed(image, grid, quantised=False))
    assert finer.dtype == np.float32
    np.testing.assert_array_equal(np.rint(finer * 255), both)


@pytest.mark.parametrize("direction", [None, TURNED, TILTED, RAS])
def test_a_probability_comes_back_to_the_scan_in_its_place(direction):
    image = scan(direction=direction, size=(30, 26, 22))
    working = sitk.Cast(to_isotropic(ramp(image), 0.5), sitk.sitkFloat32)
    back = from_working(working, image)
    assert back.IsSameImageGeometryAs(sitk.Cast(image, sitk.sitkFloat32))
    expected = sitk.GetArrayFromImage(ramp(image))
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(sitk.GetArrayFromImage(back)[inner], expected[inner], atol=1.1)


def test_beyond_the_working_grid_there_is_no_probability():
    image = scan(size=(40, 40, 40), spacing=(1.0, 1.0, 1.0))
    grid = working_grid(image, 0.5, (-7.3, -1.3, 51.2, 60.2, 20.9, 30.9))
    back = sitk.GetArrayFromImage(from_working(grid.image(np.ones(grid.size[::-1], np.uint8)), image))
    assert back.max() == 1
    assert back[15:25, 10:19, 10:16].min() == 1
    assert back.sum() == pytest.approx(11 * 10 * 7, rel=0.35)
    assert back[0].max() == back[-1].max() == 0


def test_the_image_may_be_a_part_of_the_scan_and_back_lands_in_the_same_place():
    image = ramp(scan())
    working = sitk.Cast(to_isotropic(image, 0.5), sitk.sitkFloat32)
    whole = sitk.GetArrayFromImage(from_working(working, image))
    part = image[5:20, 4:18, 3:15]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(from_working(working, part)), whole[3:15, 4:18, 5:20])


def sheets(image: sitk.Image, thickness: int, hole_mm: float = 0.0) -> sitk.Image:
    """A sheet on the working grid of a scan, across its second axis, so many voxels thick, with a square hole."""
    grid = working_grid(image, 0.5)
    array = np.zeros(grid.size[::-1], np.uint8)
    middle = grid.size[1] // 2
    array[:, middle : middle + thickness] = 1
    half = round(hole_mm / 2 / 0.5)
    z, x = grid.size[2] // 2, grid.size[0] // 2
    array[z - half : z + half, :, x - half : x + half] = 0
    return grid.image(array)


@pytest.mark.parametrize("direction", [None, TURNED, TILTED, RAS])
@pytest.mark.parametrize("rows", [20, 21])  # a voxel's centre lies on the sheet, or half a voxel beside it
def test_a_wall_of_one_working_voxel_runs_on_through_the_voxels_of_a_coarse_scan(direction, rows):
    image = scan(spacing=(1.0, 1.0, 1.0), direction=direction, size=(20, rows, 20))
    found = walls_through(sheets(image, 1), image)
    assert found.IsSameImageGeometryAs(image)
    array = sitk.GetArrayFromImage(sitk.DICOMOrient(found, "LPS"))
    assert array.any(axis=1)[1:-1, 1:-1].all()
    assert array.sum(axis=1).max() <= 2


def test_a_hole_in_a_wall_stays_open_on_a_coarse_scan():
    image = scan(spacing=(1.0, 1.0, 1.0), size=(20, 20, 20))
    found = sitk.GetArrayFromImage(walls_through(sheets(image, 1, hole_mm=4.0), image)).any(axis=1)[1:-1, 1:-1]
    assert 3 * 3 <= (~found).sum() <= 5 * 5
    assert not found[8:10, 8:10].any()


def test_thick_bone_and_fine_scans_have_no_walls_to_lose():
    coarse = scan(spacing=(1.0, 1.0, 1.0), size=(20, 20, 20))
    assert not sitk.GetArrayFromImage(walls_through(sheets(coarse, 4), coarse)).any()
    fine = scan(spacing=(0.6, 0.6, 0.7), size=(20, 20, 20))
    assert not sitk.GetArrayFromImage(walls_through(sheets(fine, 1), fine)).any()
