"""Slices at any positions on one regular, orthogonal grid."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading import stack
from OrbitalSegLib.reading.stack import find_gaps, is_regular, to_image, without_duplicates
from OrbitalSegLib.scan import AIR_HU, Planes

PIXEL_MM = (0.6, 0.5)
"""Along rows and along columns, unlike on purpose."""
MATRIX = (44, 36)


def planes(depths, tilt_degrees=0.0, row=(1.0, 0.0, 0.0), column=(0.0, 1.0, 0.0), start=(-10.0, -8.0, 30.0)) -> Planes:
    """Slices at depths along their normal, each shifted along the columns as a tilted gantry does."""
    row, column = np.array(row), np.array(column)
    normal = np.cross(row, column)
    depths = np.array(depths, float)[:, None]
    return Planes(start + depths * (normal + np.tan(np.radians(tilt_degrees)) * column), row, column, PIXEL_MM, MATRIX)


def rotated(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column directions turned about an axis of no special place."""
    turn = sitk.VersorTransform((0.3, -0.5, 0.81), np.radians(degrees))
    axes = np.array(turn.GetMatrix()).reshape(3, 3)
    return axes[:, 0], axes[:, 1]


def names(count: int) -> list[str]:
    return [f"slice {index + 1}" for index in range(count)]


def rod_voxels(where: Planes, start, end, shape=MATRIX, radius_mm=1.6) -> np.ndarray:
    """Slices of a bright rod from `start` to `end` in patient mm, each drawn where its plane cuts the rod."""
    start, end = np.array(start), np.array(end)
    voxels = np.empty((len(where.positions_mm), *shape), np.int16)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    for index, position in enumerate(where.positions_mm):
        place = (
            position
            + columns[..., None] * where.pixel_mm[0] * where.row_direction
            + rows[..., None] * where.pixel_mm[1] * where.column_direction
        )
        along = (end - start) / np.linalg.norm(end - start)
        distance = np.linalg.norm(np.cross(place - start, along), axis=-1)
        voxels[index] = np.rint(-1000 + 2000 * np.clip((radius_mm - distance) / 0.5 + 0.5, 0, 1))
    return voxels


def rod_error_mm(image: sitk.Image, start, end) -> float:
    """Largest distance, over the inner slices, of the rod's centre of mass in the image from the true rod."""
    ndimage = pytest.importorskip("scipy.ndimage")
    voxels = sitk.GetArrayFromImage(image).astype(float)
    start, end = np.array(start), np.array(end)
    along = (end - start) / np.linalg.norm(end - start)
    errors = []
    for index in range(2, len(voxels) - 2):
        row, column = ndimage.center_of_mass(np.clip(voxels[index] + 1000, 0, None))
        place = np.array(image.TransformContinuousIndexToPhysicalPoint((column, row, float(index))))
        errors.append(np.linalg.norm(np.cross(place - start, along)))
    return max(errors)


def test_even_slices_keep_their_voxels_and_their_places():
    voxels = np.random.default_rng(1).integers(-1000, 2000, (7, 5, 6)).astype(np.int16)
    row, column = rotated(23)
    where = planes(np.arange(7) * 0.7, row=row, column=column)
    image, measured = to_image(voxels, where)
    assert measured["resampled"] is False
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels)
    for index in ((0, 0, 0), (5, 0, 6), (2, 4, 3)):
        true = where.positions_mm[index[2]] + index[0] * 0.6 * row + index[1] * 0.5 * column
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx(true, abs=1e-6)


STACKS = {
    "tilt": {"depths": np.arange(24) * 1.0, "tilt_degrees": 20},
    "tilt the other way": {"depths": np.arange(24) * 1.0, "tilt_degrees": -20},
    "uneven": {"depths": np.cumsum([0, 0.6, 1.4, 0.9, 1.1, 0.7, 1.3, 1.0, 0.6, 1.4, 0.8, 1.2, 1.0, 0.9, 1.1, 1.4])},
    "missing slice": {"depths": np.delete(np.arange(24) * 1.0, 11)},
    "tilt, uneven and missing": {"depths": np.delete(np.cumsum([0, *[0.8, 1.2] * 11]), 9), "tilt_degrees": 15},
    "oblique and tilted": {
        "depths": np.arange(24) * 1.0,
        "tilt_degrees": 12,
        "row": rotated(15)[0],
        "column": rotated(15)[1],
    },
    "feet first": {"depths": np.arange(24) * 1.0, "tilt_degrees": 20, "column": (0.0, -1.0, 0.0)},
}


@pytest.mark.parametrize("name", STACKS)
def test_a_rod_keeps_its_place_in_the_patient(name):
    where = planes(**STACKS[name])
    middle = where.positions_mm.mean(axis=0) + 10 * where.row_direction + 11 * where.column_direction
    # The rod runs neither along the slices' normal nor along the table.
    along = where.normal + 0.15 * where.row_direction + 0.1 * where.column_direction
    ends = middle - 30 * along, middle + 30 * along
    image, measured = to_image(rod_voxels(where, *ends), where)
    assert measured["resampled"] is True
    assert rod_error_mm(image, *ends) < 0.1
    axes = np.array(image.GetDirection()).reshape(3, 3)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert axes[:, 2] == pytest.approx(where.normal, abs=1e-9)


def test_the_grid_of_a_tilted_stack_holds_every_slice_whole():
    where = planes(np.arange(10) * 2.0, tilt_degrees=20)
    voxels = np.full((10, 12, 9), 500, np.int16)
    image, measured = to_image(voxels, where)
    result = sitk.GetArrayFromImage(image)
    assert measured["tilt_degrees"] == pytest.approx(20, abs=0.01)
    # Every slice shows in full, up to the air that it shares its outermost row with.
    assert np.all((result > 400).sum(axis=(1, 2)) >= 11 * 9)
    assert result.min() == AIR_HU
    assert result.shape[2] == 9


def test_a_missing_slice_is_interpolated_and_the_others_are_left_alone():
    depths = np.delete(np.arange(9) * 1.0, 4)
    voxels = np.random.default_rng(2).integers(-1000, 2000, (8, 6, 5)).astype(np.int16)
    image, measured = to_image(voxels, planes(depths))
    result = sitk.GetArrayFromImage(image)
    assert measured["slice_distance_mm"] == [1.0, 1.0, 2.0]
    assert np.array_equal(np.delete(result, 4, axis=0), voxels)
    assert np.abs(result[4] - (voxels[3].astype(float) + voxels[4]) / 2).max() <= 0.5


def test_rounded_positions_do_not_smear_an_even_stack_with_a_missing_slice():
    """The smallest distance, 0.98 mm here, would slide across the slices."""
    random = np.random.default_rng(3)
    depths = np.delete(np.round(np.arange(100) * 1.0 + random.uniform(-0.01, 0.01, 100), 3), 40)
    image, _ = to_image(random.integers(-1000, 2000, (99, 6, 5)).astype(np.int16), planes(depths))
    assert image.GetSize()[2] == 100
    assert image.GetSpacing()[2] == pytest.approx(1.0, abs=1e-3)


def test_two_slices_that_nearly_touch_do_not_make_thousands_of_slices():
    depths = [0, 1, 2, 3, 3.06, 4, 5, 6]
    image, _ = to_image(np.zeros((8, 6, 5), np.int16), planes(depths))
    assert image.GetSpacing()[2] == pytest.approx(0.25 * np.median(np.diff(depths)))


def test_float_slices_stay_float():
    voxels = np.random.default_rng(4).random((5, 6, 7)).astype(np.float32)
    image, _ = to_image(voxels, planes([0, 1, 2.5, 3, 4]))
    assert image.GetPixelID() == sitk.sitkFloat32
    assert sitk.GetArrayFromImage(image)[0] == pytest.approx(voxels[0])


def test_progress_grows_to_one():
    told = []
    to_image(np.zeros((5, 6, 7), np.int16), planes([0, 1, 2.5, 3, 4]), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_grid_beyond_any_scan_is_refused(monkeypatch):
    monkeypatch.setattr(stack, "GRID_LIMIT", 1000)
    with pytest.raises(InputError) as caught:
        to_image(np.zeros((5, 20, 20), np.int16), planes([0, 1, 2.5, 3, 4]))
    assert caught.value.code == "too-large"


@pytest.mark.parametrize(
    ("move_mm", "regular"),
    [((0, 0, 0.04), True), ((0, 0, 0.07), False), ((0.04, 0, 0), True), ((0, 0.07, 0), False)],
)
def test_one_slice_may_lie_a_twentieth_of_a_millimetre_off_the_grid(move_mm, regular):
    where = planes(np.arange(8) * 1.0)
    where.positions_mm[4] += move_mm
    assert is_regular(where) is regular


def gaps_of(distances) -> list[tuple[str, str]]:
    depths = np.concatenate([[0.0], np.cumsum(distances)])
    return [(gap.before, gap.after) for gap in find_gaps(planes(depths), names(len(depths)))]


@pytest.mark.parametrize(
    ("distances", "found"),
    [
        ([1, 1, 1, 4, 1, 1, 1], [("slice 4", "slice 5")]),
        ([1, 1, 1, 3, 1, 1, 1], []),  # over twice the distance, but not over 3 mm
        ([2.5, 2.5, 2.5, 5, 2.5, 2.5], []),  # over 3 mm, but not over twice the distance
        ([2.5, 2.5, 2.5, 7.5, 2.5, 2.5], [("slice 4", "slice 5")]),
        ([4, 4, 4, 4, 1.08, 7, 7, 7, 7], []),  # by design: thin below, thick above
        ([7, 7, 7, 1.08, 4, 4, 4], []),
        ([1, 1, 1, 5, 5, 1, 1, 1], [("slice 4", "slice 5"), ("slice 5", "slice 6")]),
        ([5, 1, 1, 1, 1], [("slice 1", "slice 2")]),
        ([1, 1, 1, 1, 5], [("slice 5", "slice 6")]),
        ([1, 1, 1, 10, 7, 7, 7], []),  # where slices are thick, 10 mm is not twice their distance
        ([1, 1, 1, 15, 7, 7, 7], [("slice 4", "slice 5")]),
    ],
)
def test_gaps_are_found_by_the_local_slice_distance(distances, found):
    assert gaps_of(distances) == found


def test_a_gap_says_where_it_lies():
    where = planes([0, 1, 2, 3, 9, 10, 11, 12], column=(0.0, -1.0, 0.0))
    (gap,) = find_gaps(where, names(8))
    assert (gap.start_mm, gap.end_mm) == (pytest.approx(-30 + 3), pytest.approx(-30 + 9))
    assert gap.local_distance_mm == pytest.approx(1.0)


@given(st.lists(st.floats(0.06, 5), max_size=12), st.data())
def test_every_slice_is_in_one_group_of_its_place(distances, data):
    depths = np.concatenate([[0.0], np.cumsum(distances)])
    copies = data.draw(st.lists(st.integers(0, 3), min_size=len(depths), max_size=len(depths)))
    many = np.repeat(depths, np.array(copies) + 1)
    groups = without_duplicates(many)
    assert [index for group in groups for index in group] == list(range(len(many)))
    assert [len(group) for group in groups] == [count + 1 for count in copies]


def test_slices_of_a_micro_ct_are_no_chain_of_duplicates():
    assert len(without_duplicates(np.arange(20) * 0.04)) == 10
    assert without_duplicates(np.array([])) == []
