"""A region is a box in patient space; results are defined on it plus a margin."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.phantom import VARIANTS
from OrbitalSegLib.region import MARGIN_MM, Region
from OrbitalSegLib.scan import Acquisition, Gap, Planes, Scan

TURNED = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def grid(direction: list[float] | None = None) -> sitk.Image:
    image = sitk.Image(60, 50, 40, sitk.sitkUInt8)
    image.SetSpacing((0.5, 1.0, 1.5))
    image.SetOrigin((-10.0, 20.0, 5.0))
    if direction:
        image.SetDirection(direction)
    return image


@pytest.mark.parametrize("direction", [None, TURNED])
def test_within_marks_the_voxels_whose_centres_lie_in_the_box(direction):
    image = grid(direction)
    centre = np.array(image.TransformIndexToPhysicalPoint((20, 20, 20)))
    low, high = centre - np.array([3, 4, 5]), centre + np.array([3.1, 4.1, 5.1])
    region = Region(tuple(np.stack([low, high], axis=1).ravel()))
    marked = sitk.GetArrayFromImage(region.within(image))
    for index in np.ndindex(*image.GetSize()):
        place = image.TransformIndexToPhysicalPoint(index)
        expected = bool(np.all(place >= low) and np.all(place <= high))
        if marked[index[::-1]] != expected:
            pytest.fail(f"voxel {index} at {place}: {marked[index[::-1]]}, not {expected}")
    assert marked.sum() > 100


def test_the_working_part_is_the_box_and_its_margin_and_keeps_its_place():
    image = grid()
    region = Region((-2.0, 4.0, 40.0, 50.0, 30.0, 40.0))
    part = region.working_part(image)
    first = np.array(part.GetOrigin())
    last = np.array(part.TransformIndexToPhysicalPoint([n - 1 for n in part.GetSize()]))
    np.testing.assert_allclose(first, (-10.0, 30.0, 20.0), atol=1.5)
    np.testing.assert_allclose(last, (14.0, 60.0, 50.0), atol=1.5)
    assert np.all(first <= np.array([-2.0, 40.0, 30.0]) - MARGIN_MM + np.array([2.0, 0.0, 0.0]))


def test_a_cut_mask_lies_on_the_scan_grid_and_is_empty_outside_the_box():
    image = grid()
    region = Region((-2.0, 4.0, 40.0, 50.0, 30.0, 40.0))
    part = region.working_part(image)
    full = sitk.Cast(part * 0 + 1, sitk.sitkUInt8)
    cut = region.cut(full, image)
    assert cut.IsSameImageGeometryAs(image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(cut), sitk.GetArrayFromImage(region.within(image)))


def test_the_whole_scan_is_a_region_without_a_box():
    image = grid()
    assert Region().working_part(image) is image
    assert Region().cut(image, image) is image
    assert sitk.GetArrayFromImage(Region().within(image)).all()


def test_a_box_beside_the_scan_is_refused():
    with pytest.raises(InputError) as caught:
        Region((500.0, 510.0, 0.0, 10.0, 0.0, 10.0)).working_part(grid())
    assert caught.value.code == "region-outside"


@pytest.mark.parametrize(
    "box", [(0, 1, 0, 1, 0), (1, 0, 0, 1, 0, 1), (0, 0, 0, 1, 0, 1), (0, float("nan"), 0, 1, 0, 1)]
)
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(JobError) as caught:
        Region(box)
    assert caught.value.code == "invalid-job"


def test_planes_hold_what_was_scanned():
    planes = Planes.of(grid())
    assert planes.hold(Region((-5.0, 5.0, 30.0, 40.0, 10.0, 20.0)).corners_mm())
    assert not planes.hold(Region((-15.0, 5.0, 30.0, 40.0, 10.0, 20.0)).corners_mm())


def test_planes_of_a_tilted_stack_do_not_hold_what_resampling_filled():
    scanner = replace(VARIANTS["tilt-plus-20"].scanner, matrix=64, pixel_mm=2.0, spacing_mm=6.0)
    slices = scanner.grid()
    planes = Planes(slices.origins, slices.row, slices.column, (2.0, 2.0), (64, 64))
    for index in (0, len(slices.origins) - 1):
        corner = slices.origins[index]
        for rows, columns in ((0, 0), (0, 63), (63, 0), (63, 63)):
            assert planes.hold((corner + 2.0 * (rows * slices.column + columns * slices.row))[None])
        assert not planes.hold((corner - 4.0 * slices.column)[None])
        assert not planes.hold((corner + 132.0 * slices.column)[None])


def test_a_gap_counts_only_inside_the_region():
    gap = Gap("slice 7", "slice 8", start_mm=20.0, end_mm=26.0, local_distance_mm=1.5)
    image = grid()
    scan = Scan(image, Acquisition("DICOM", (50, 60), 1.0, 1.5), Planes.of(image), kind="dicom", gaps=(gap,))
    for region in (Region(), Region((-5.0, 5.0, 30.0, 40.0, 24.0, 40.0))):
        with pytest.raises(InputError) as caught:
            region.check_gaps(scan)
        assert caught.value.code == "slice-gap"
        assert "slice 7 and slice 8" in caught.value.text
        assert "6.0 mm" in caught.value.text
    Region((-5.0, 5.0, 30.0, 40.0, 26.5, 40.0)).check_gaps(scan)
