"""Finding the orbits in a skull of simple shapes; Testing/real does it on real ones."""

import pytest
import SimpleITK as sitk
from simple_skull import LEFT, RIGHT, skull

from OrbitalSegLib.orbits import bounds_of_bone_mm, find_orbits

OBLIQUE = (0.9397, -0.3420, 0, 0.3420, 0.9397, 0, 0, 0, 1)
FEET_FIRST = (-1, 0, 0, 0, 1, 0, 0, 0, -1)


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), OBLIQUE, FEET_FIRST], ids=["lps", "oblique", "feet"]
)
def test_both_orbits_are_found_on_any_grid_and_left_is_left(direction):
    orbits = find_orbits(skull(direction))
    assert orbits is not None
    for found, true in ((orbits.right_mm, RIGHT), (orbits.left_mm, LEFT)):
        assert abs(found[0] - true[0]) <= 4
        assert abs(found[1] - true[1]) <= 15
        assert abs(found[2] - true[2]) <= 4


def test_a_table_in_front_does_not_hide_them():
    mask = skull()
    array = sitk.GetArrayFromImage(mask)
    array[:, 2, :] = 1
    with_table = sitk.GetImageFromArray(array)
    with_table.CopyInformation(mask)
    assert find_orbits(with_table) == find_orbits(mask)


@pytest.mark.parametrize("orbits", [(), (LEFT,)], ids=["none", "one"])
def test_without_two_orbits_none_are_found(orbits):
    assert find_orbits(skull(orbits=orbits)) is None


def test_no_bone_has_no_orbits():
    empty = skull() * 0
    assert find_orbits(empty) is None


def test_a_region_too_narrow_for_two_orbits_has_none():
    assert find_orbits(skull()[30:40, 30:60, 30:60]) is None


def test_the_box_around_the_bone():
    image = sitk.Image(10, 10, 10, sitk.sitkUInt8)
    image.SetSpacing((2, 1, 1))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image[2, 3, 4] = image[5, 3, 4] = 1
    low, high = bounds_of_bone_mm(image)
    assert low.tolist() == [-10, -3, 4]
    assert high.tolist() == [-4, -3, 4]
    low, high = bounds_of_bone_mm(image * 0)
    assert low.tolist() == [-18, -9, 0]
    assert high.tolist() == [0, 0, 9]
