"""Post-processing on small masks whose answer is plain to see."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.postprocessing import PostprocessingParameters, keep_touching, postprocess

EVERYTHING_KEPT = {"fill_objects": False, "minimum_object_ml": 0.0}
SOFT_TISSUE_HU = 40
AIR_HU = -1000
EVERYWHERE = np.ones((3, 3, 3), bool)


def image_of(array: np.ndarray, spacing_mm=(1.0, 1.0, 1.0)) -> sitk.Image:
    """An image of a zyx array on a grid that is oblique and away from the origin."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm)
    image.SetOrigin((-20.0, 7.5, 300.0))
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    return image


def ct_of(mask: np.ndarray, background_hu: int = SOFT_TISSUE_HU, spacing_mm=(1.0, 1.0, 1.0)) -> sitk.Image:
    return image_of(np.where(mask, 800, background_hu).astype(np.int16), spacing_mm)


def run(mask: np.ndarray, ct: sitk.Image | None = None, spacing_mm=(1.0, 1.0, 1.0), **parameters):
    bone = image_of(mask.astype(np.uint8), spacing_mm)
    ct = ct_of(mask, spacing_mm=spacing_mm) if ct is None else ct
    repaired, steps = postprocess(bone, ct, PostprocessingParameters(**parameters))
    assert repaired.GetPixelID() == sitk.sitkUInt8
    assert repaired.IsSameImageGeometryAs(bone)
    assert np.array_equal(sitk.GetArrayFromImage(bone), mask), "the input was changed"
    return sitk.GetArrayFromImage(repaired).astype(bool), steps


def block(size: int = 20) -> np.ndarray:
    mask = np.zeros((size + 4,) * 3, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    return mask


def test_a_small_hole_is_filled_and_counted():
    solid = block()
    mask = solid.copy()
    mask[8:10, 8:12, 8:13] = False
    repaired, [step] = run(mask, minimum_object_ml=0.0)
    assert np.array_equal(repaired, solid)
    assert step["objects"] == 1
    assert step["added_ml"] == pytest.approx(0.04)
    assert step["removed_ml"] == 0.0


def test_a_hole_larger_than_the_limit_stays_open():
    mask = block()
    mask[5:11, 5:11, 5:11] = False
    repaired, [step] = run(mask, minimum_object_ml=0.0)
    assert np.array_equal(repaired, mask)
    assert (step["objects"], step["large_holes"], step["added_ml"]) == (0, 1, 0.0)


def test_the_limit_is_in_millilitres_not_voxels():
    mask = block()
    mask[5:11, 5:11, 5:11] = False
    repaired, _ = run(mask, spacing_mm=(0.5, 0.5, 0.5), minimum_object_ml=0.0)
    assert np.array_equal(repaired, block())


def test_a_hole_that_holds_air_stays_open_beside_one_that_is_filled():
    mask = block()
    mask[8:10, 8:12, 8:12] = False
    ct = sitk.GetArrayFromImage(ct_of(mask))
    ct[8:10, 8:12, 8:12] = AIR_HU
    mask[15, 15, 15] = False
    ct[15, 15, 15] = SOFT_TISSUE_HU
    repaired, [step] = run(mask, image_of(ct), minimum_object_ml=0.0)
    assert not repaired[8:10, 8:12, 8:12].any()
    assert repaired[15, 15, 15]
    assert (step["objects"], step["air_holes"]) == (1, 1)


def test_a_hole_that_the_edge_of_the_scan_cuts_is_open():
    mask = np.ones((10, 10, 10), bool)
    mask[:2, 4:6, 4:6] = False
    repaired, [step] = run(mask, minimum_object_ml=0.0)
    assert np.array_equal(repaired, mask)
    assert step["objects"] == 0


def test_a_hole_behind_bone_that_touches_by_corners_only_is_enclosed():
    mask = np.zeros((9, 9, 9), bool)
    for offset in [(0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        mask[tuple(np.add(4, offset))] = mask[tuple(np.subtract(4, offset))] = True
    repaired, [step] = run(mask, minimum_object_ml=0.0)
    assert repaired[4, 4, 4]
    assert step["objects"] == 1


def test_small_objects_are_dropped_and_an_object_of_just_the_limit_stays():
    mask = np.zeros((20, 20, 40), bool)
    mask[2:12, 2:12, 2:12] = True
    mask[2:6, 2:7, 20:25] = True
    mask[2:6, 2:7, 30:35] = True
    mask[5, 6, 34] = False
    repaired, steps = run(mask, fill_objects=False)
    assert repaired[2:6, 2:7, 20:25].all(), "100 voxels of 1 mm³ are 0.1 ml"
    assert not repaired[:, :, 28:].any()
    assert steps[0]["objects"] == 1
    assert steps[0]["removed_ml"] == pytest.approx(0.099)


def test_objects_that_touch_by_a_corner_are_one():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:6, 2:6, 2:6] = True
    mask[6:10, 6:10, 6:10] = True
    repaired, _ = run(mask, fill_objects=False)
    assert np.array_equal(repaired, mask)


def test_pieces_that_something_joins_are_judged_together():
    mask = np.zeros((12, 12, 40), bool)
    mask[6, 2:10, 2:9] = True  # 56 mm3, and as much beyond a gap
    mask[6, 2:10, 12:19] = True
    mask[6, 2:10, 30:37] = True  # nothing joins this one
    joint = np.zeros_like(mask)
    joint[6, 4:8, 9:12] = True
    bone, ct = image_of(mask.astype(np.uint8)), ct_of(mask)
    joined = image_of(joint.astype(np.uint8))
    repaired, [step] = postprocess(bone, ct, PostprocessingParameters(fill_objects=False), joint=joined)
    kept = mask.copy()
    kept[:, :, 30:] = False
    np.testing.assert_array_equal(sitk.GetArrayFromImage(repaired), kept)  # what joins is no bone
    assert step["objects"] == 1
    assert step["removed_ml"] == pytest.approx(0.056)
    repaired, [step] = postprocess(bone, ct, PostprocessingParameters(fill_objects=False))
    assert not sitk.GetArrayFromImage(repaired).any()
    assert step["objects"] == 3


def test_the_largest_objects_are_kept():
    mask = np.zeros((10, 10, 30), bool)
    mask[1:4, 1:4, 1:3] = True
    mask[1:4, 1:4, 8:14] = True
    mask[1:4, 1:4, 20:25] = True
    repaired, [step] = run(mask, **EVERYTHING_KEPT, keep_largest=2)
    assert not repaired[:, :, :5].any()
    assert np.array_equal(repaired[:, :, 5:], mask[:, :, 5:])
    assert step["objects"] == 1
    assert step["removed_ml"] == pytest.approx(0.018)


def test_among_equal_objects_the_first_in_the_grid_is_kept():
    mask = np.zeros((30, 10, 10), bool)
    for start in (2, 10, 20):
        mask[start : start + 3, 3:6, 3:6] = True
    repaired, _ = run(mask, **EVERYTHING_KEPT, keep_largest=1)
    assert repaired[2:5, 3:6, 3:6].all()
    assert repaired.sum() == 27


@given(seed=st.integers(0, 10_000), keep=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_objects_agree_with_scipy(seed, keep):
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(seed).random((9, 10, 11)) < 0.06
    repaired, _ = run(mask, **EVERYTHING_KEPT, keep_largest=keep)
    labels, count = ndimage.label(mask, EVERYWHERE)
    sizes = np.bincount(labels.ravel())[1:]
    largest = np.argsort(-sizes, kind="stable")[:keep] + 1
    assert np.array_equal(repaired, np.isin(labels, largest))
    assert count >= min(keep, 1)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_filled_holes_agree_with_scipy(seed):
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(seed).random((8, 9, 10)) < 0.6
    repaired, _ = run(mask, fill_maximum_ml=10.0, minimum_object_ml=0.0)
    assert np.array_equal(repaired, ndimage.binary_fill_holes(mask))


def sheet(normal, thickness_mm: float, extent_mm: float, spacing_mm) -> np.ndarray:
    """A square sheet, or a box when thick, across a direction (xyz) in the middle of a small grid."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    across = np.cross(normal, (0.3, 1.0, -0.2))
    across /= np.linalg.norm(across)
    size = np.ceil(24 / np.asarray(spacing_mm)).astype(int) | 1
    z, y, x = np.indices(size[::-1])
    centred = (np.stack([x, y, z], -1) + 0.5 - size / 2) * spacing_mm
    along = np.abs(centred @ across), np.abs(centred @ np.cross(normal, across))
    return (np.abs(centred @ normal) <= thickness_mm / 2) & (np.maximum(*along) <= extent_mm / 2)


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (0.2, 0.5, -0.8)])
@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5, 0.5), (0.4, 0.4, 1.0)])
def test_a_dropped_sheet_as_thin_as_a_wall_is_said(normal, spacing_mm):
    mask = sheet(normal, 1.0, 7.0, spacing_mm)
    repaired, [step] = run(mask, spacing_mm=spacing_mm, fill_objects=False)
    assert not repaired.any()
    assert step["wall_flakes"] == 1
    assert step["wall_flakes_ml"] == step["removed_ml"] == pytest.approx(mask.sum() * np.prod(spacing_mm) / 1000)
    assert "1 piece (0.0" in step["warning"]


@pytest.mark.parametrize(
    ("normal", "thickness_mm", "extent_mm"),
    [((1, 0, 0), 4.0, 4.0), ((1, 1, 0), 4.0, 4.0), ((1, 1, 0.5), 2.5, 6.0), ((1, 1, 0.5), 1.0, 2.5)],
    ids=["cube", "turned cube", "plate", "crumb"],
)
def test_a_dropped_piece_that_is_no_wall_is_not_said_to_be(normal, thickness_mm, extent_mm):
    mask = sheet(normal, thickness_mm, extent_mm, (0.5, 0.5, 0.5))
    _, [step] = run(mask, spacing_mm=(0.5, 0.5, 0.5), fill_objects=False)
    assert step["objects"] == 1
    assert step["wall_flakes"] == 0
    assert "warning" not in step


def test_a_bent_wall_that_is_not_among_the_largest_is_said():
    z, y, x = np.indices((60, 60, 60)) * 0.5
    radius = np.sqrt((x - 15) ** 2 + (y - 15) ** 2 + (z - 2) ** 2)
    mask = (np.abs(radius - 10) <= 0.5) & (z > 4)
    mask[2:58, 2:58, 50:58] |= z[2:58, 2:58, 50:58] > 20
    _, [step] = run(mask, spacing_mm=(0.5, 0.5, 0.5), **EVERYTHING_KEPT, keep_largest=1)
    assert step["wall_flakes"] == 1


def test_two_flakes_are_two_pieces():
    one = sheet((0, 0, 1), 1.0, 6.0, (0.5, 0.5, 0.5))
    _, [step] = run(np.concatenate([one, one]), spacing_mm=(0.5, 0.5, 0.5), fill_objects=False)
    assert step["wall_flakes"] == 2
    assert "2 pieces" in step["warning"]


def test_the_steps_run_in_order_and_are_plain_json():
    mask = block()
    mask[10, 10, 10] = False
    mask[0, 0, 0] = True
    _, steps = run(mask, keep_largest=1)
    assert [step["step"] for step in steps] == ["fill objects", "drop small objects", "keep largest objects"]
    assert json.loads(json.dumps(steps)) == steps


def test_an_object_is_removed_and_counted_by_one_step_only():
    mask = block()
    mask[0, 0, 0] = True
    _, steps = run(mask, fill_objects=False, keep_largest=1)
    assert [step["objects"] for step in steps] == [1, 0]


@pytest.mark.parametrize("parameters", [{}, {"keep_largest": 3}])
def test_a_mask_without_bone_stays_empty(parameters):
    repaired, steps = run(np.zeros((5, 6, 7), bool), **parameters)
    assert not repaired.any()
    assert all(step["objects"] == 0 for step in steps)


def test_progress_rises_to_the_end():
    mask = block()
    fractions = []
    postprocess(image_of(mask.astype(np.uint8)), ct_of(mask), PostprocessingParameters(), fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_another_grid_is_a_bug():
    mask = block()
    with pytest.raises(ValueError, match="grid"):
        postprocess(image_of(mask.astype(np.uint8)), ct_of(mask, spacing_mm=(1, 1, 2)), PostprocessingParameters())


@pytest.mark.parametrize("parameters", [{"fill_maximum_ml": -1}, {"minimum_object_ml": -0.1}, {"keep_largest": 0}])
def test_values_that_mean_nothing_are_refused(parameters):
    with pytest.raises(JobError) as caught:
        PostprocessingParameters(**parameters)
    assert caught.value.code == "invalid-job"


def touching(mask: np.ndarray, other: np.ndarray):
    kept, step = keep_touching(image_of(mask.astype(np.uint8)), image_of(other.astype(np.uint8)))
    return sitk.GetArrayFromImage(kept).astype(bool), step


@pytest.mark.parametrize(
    ("other_at", "kept"),
    [((3, 3, 3), True), ((5, 5, 5), True), ((6, 5, 5), False), ((1, 2, 3), True), ((0, 3, 3), False)],
    ids=["inside", "at a corner", "one voxel off", "at an edge", "one voxel off below"],
)
def test_an_object_is_kept_if_it_overlaps_or_touches(other_at, kept):
    mask = np.zeros((9, 9, 9), bool)
    mask[2:5, 2:5, 2:5] = True
    other = np.zeros_like(mask)
    other[other_at] = True
    result, step = touching(mask, other)
    assert result.any() == kept
    assert step["objects"] == (0 if kept else 1)
    assert json.loads(json.dumps(step)) == step


def test_only_whole_objects_go():
    mask = np.zeros((5, 5, 30), bool)
    mask[1:4, 1:4, 1:10] = True
    mask[1:4, 1:4, 15:25] = True
    other = np.zeros_like(mask)
    other[2, 2, 0] = True
    result, step = touching(mask, other)
    assert np.array_equal(result[:, :, :12], mask[:, :, :12])
    assert not result[:, :, 12:].any()
    assert step["removed_ml"] == pytest.approx(0.09)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_touching_objects_agree_with_scipy(seed):
    ndimage = pytest.importorskip("scipy.ndimage")
    random = np.random.default_rng(seed)
    mask, other = random.random((8, 9, 10)) < 0.08, random.random((8, 9, 10)) < 0.02
    labels, _ = ndimage.label(mask, EVERYWHERE)
    wanted = np.setdiff1d(labels[ndimage.binary_dilation(other, EVERYWHERE)], 0)
    assert np.array_equal(touching(mask, other)[0], np.isin(labels, wanted))
