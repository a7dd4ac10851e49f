"""Walls closed, holes closed, tunnels, and what a probability is worth near them."""

from math import nan

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.reliability import ASSUMED_SHARES, Samples, at_share, near_walls, reliability
from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints, read_walls, write_walls
from OrbitalSegLib.evaluation.walls import crosses, patches_mm2, wall_figures, walls_of_phantom
from OrbitalSegLib.phantom import Anatomy, bone_fraction, orbits_grid, wall_midsurfaces

STEP_MM = 0.5
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
ORIGIN_MM = np.array([10.0, -40.0, 55.0])


def plate(thickness_mm=0.5, wall=Wall.FLOOR, hole_mm=0.0, size_mm=20.0, height_mm=0.0) -> WallPoints:
    """A flat wall in the plane z = height of a turned system, with a round hole in its middle."""
    axis = np.arange(STEP_MM / 2, size_mm, STEP_MM)
    x, y = (a.ravel() for a in np.meshgrid(axis, axis))
    depth = hole_mm / 2 - np.hypot(x - size_mm / 2, y - size_mm / 2) if hole_mm else np.full(x.shape, -99.0)
    hole = depth > 0
    count = len(x)
    return WallPoints(
        points_mm=np.stack([x, y, np.full(count, height_mm)], axis=1) @ TURN.T + ORIGIN_MM,
        normals=np.tile(TURN[:, 2], (count, 1)),
        wall=np.full(count, wall),
        side=np.zeros(count, np.int64),
        thickness_mm=np.where(hole, 0.0, thickness_mm),
        hole=hole.astype(np.uint8),
        depth_mm=depth,
        area_mm2=np.full(count, STEP_MM**2),
    )


def both(*parts: WallPoints) -> WallPoints:
    names = WallPoints.__dataclass_fields__
    return WallPoints(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def mask_of(array: np.ndarray, spacing_mm=(0.5, 0.5, 0.5), base_mm=(0.0, 0.0, -5.0)) -> sitk.Image:
    """A zyx array whose first voxel's corner, not its centre, lies at `base_mm` of the turned system."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm)
    image.SetDirection(TURN.ravel().tolist())
    image.SetOrigin((TURN @ (np.array(base_mm) + np.array(spacing_mm) / 2) + ORIGIN_MM).tolist())
    return image


def sheet(bottom: int = 10, top: int = 11) -> np.ndarray:
    """A layer through the grid of 20 x 20 x 10 mm, whose middle is at the height 0."""
    voxels = np.zeros((20, 40, 40), np.uint8)
    voxels[bottom:top] = 1
    return voxels


def test_a_sheet_closes_a_wall_and_its_hole_alike():
    points = plate(hole_mm=8.0)
    found = wall_figures(points, mask_of(sheet())).figures()
    assert found["walls_closed_floor"] == found["holes_closed_floor"] == found["walls_closed_all"] == 1
    assert found["open_patches_floor"] == 0


def test_a_true_mask_closes_the_wall_and_leaves_the_hole_open():
    points = plate(hole_mm=8.0)
    voxels = sheet()
    y, x = np.mgrid[0.25:20:0.5, 0.25:20:0.5]
    voxels[:, np.hypot(x - 10, y - 10) < 4] = 0
    found = wall_figures(points, mask_of(voxels))
    assert found.intact["floor"].share == 1
    assert found.holes["floor"].share == 0
    assert found.intact["floor"].total_mm2 == pytest.approx(400 - np.pi * 16, abs=2)
    assert found.holes["floor"].total_mm2 == pytest.approx(np.pi * 3.5**2, abs=2)


@pytest.mark.parametrize(
    ("bottom", "met"),
    [(7, False), (8, True), (9, True), (10, True), (11, True), (12, False)],
)
def test_the_line_reaches_1_mm_to_either_side(bottom, met):
    """Voxels of layer 8 lie from 1.0 to 0.5 mm below the wall, those of layer 11 from 0.5 to 1.0 mm above it."""
    points = plate()
    shifted = mask_of(sheet(bottom, bottom + 1), base_mm=(0, 0, -4.99 if bottom > 9 else -5.01))
    assert crosses(points, shifted).all() == met
    assert crosses(points, shifted).any() == met


def test_the_mask_may_lie_on_any_grid():
    points = plate()
    coarse = np.zeros((10, 20, 10), np.uint8)
    coarse[5, :, :5] = 1
    found = wall_figures(points, mask_of(coarse, (2.0, 1.0, 1.0)))
    assert found.intact["floor"].share == pytest.approx(0.5)


def test_walls_are_told_apart_and_by_thickness():
    points = both(plate(0.25), plate(0.5, Wall.MEDIAL, height_mm=3.0), plate(1.0, Wall.ROOF, height_mm=-3.0))
    voxels = sheet()
    voxels[16, :, :10] = 1
    found = wall_figures(points, mask_of(voxels)).figures()
    assert found["walls_closed_floor"] == found["walls_closed_floor_from_0.2_mm"] == 1
    assert found["walls_closed_medial"] == found["walls_closed_medial_from_0.4_mm"] == 0.25
    assert found["walls_closed_thin"] == found["walls_closed_all_from_0.2_mm"] / 2 + 0.125
    assert found["walls_closed_roof"] == 0
    assert found["walls_closed_all"] == pytest.approx(1.25 / 3)
    assert np.isnan(found["walls_closed_lateral"])
    assert np.isnan(found["holes_closed_all"])
    assert np.isnan(found["walls_closed_floor_from_0.4_mm"])


def test_open_patches_are_counted_above_1_mm2():
    voxels = sheet()
    voxels[:, 2:6, 2:6] = 0  # 4 mm2
    voxels[:, 20:24, 20:24] = 0
    voxels[:, 30:32, 30:32] = 0  # exactly 1 mm2
    found = wall_figures(plate(), mask_of(voxels))
    assert found.open_patches["floor"] == found.open_patches["thin"] == found.open_patches["all"] == 2
    assert found.open_patches["medial"] == 0


def test_the_area_of_each_patch_is_given():
    points = plate()
    inside = (points.points_mm - ORIGIN_MM) @ TURN
    where = (inside[:, 0] < 3) | (inside[:, 0] > 18)
    assert sorted(patches_mm2(points, where)) == pytest.approx([40, 60])
    assert patches_mm2(points, np.zeros(len(where), bool)).size == 0


def test_walls_outside_the_image_do_not_count():
    half = sheet()[:, :, :20]
    found = wall_figures(plate(), mask_of(half))
    assert found.intact["floor"].share == 1
    assert found.intact["floor"].total_mm2 == pytest.approx(200)
    with pytest.raises(InputError) as raised:
        wall_figures(plate(height_mm=60.0), mask_of(half))
    assert raised.value.code == "no-walls"


@pytest.fixture(scope="module")
def phantom():
    anatomy = Anatomy()
    return walls_of_phantom(wall_midsurfaces(anatomy, 1.0)), bone_fraction(anatomy, orbits_grid(anatomy, 1.0))


def test_a_phantoms_walls_are_closed_by_a_low_limit_and_lost_by_a_high_one(phantom):
    points, fraction = phantom
    assert set(points.wall) == {Wall.FLOOR, Wall.MEDIAL}
    assert set(points.side) == {0, 1}
    assert np.linalg.norm(points.normals, axis=1) == pytest.approx(1)
    low, high = (wall_figures(points, fraction >= limit).figures() for limit in (0.1, 0.9))
    assert low["walls_closed_thin"] > 0.99
    assert high["walls_closed_thin"] < 0.5
    assert high["open_patches_thin"] > 0


def test_a_phantoms_points_stand_for_its_walls_area(phantom):
    finer = walls_of_phantom(wall_midsurfaces(Anatomy(), 0.6))
    assert phantom[0].area_mm2.sum() == pytest.approx(finer.area_mm2.sum(), rel=0.1)


def test_walls_are_read_as_they_were_written(tmp_path):
    points = both(plate(hole_mm=8.0), plate(wall=Wall.ROOF, height_mm=4.0))
    write_walls(points, tmp_path / "walls.vtp")
    found = read_walls(tmp_path / "walls.vtp")
    for name in WallPoints.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(points, name), abs=1e-4), name


def test_files_that_are_no_walls_are_refused(tmp_path):
    (tmp_path / "text.vtp").write_text("no walls")
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(wall_midsurfaces(Anatomy(), 2.0))
    writer.SetFileName(str(tmp_path / "other.vtp"))
    assert writer.Write()
    for name in ("text.vtp", "other.vtp", "missing.vtp"):
        with pytest.raises(InputError) as raised:
            read_walls(tmp_path / name)
        assert raised.value.code == "unreadable"


def test_a_perfect_probability_has_no_calibration_error():
    rng = np.random.default_rng(0)
    said = rng.uniform(size=200_000)
    true = rng.uniform(size=said.size) < said
    found = reliability(said, true)
    assert found.expected_calibration_error < 0.005
    assert found.weight.sum() == pytest.approx(1)
    assert found.mean_probability == pytest.approx(np.arange(0.05, 1, 0.1), abs=0.01)
    assert found.true_share == pytest.approx(found.mean_probability, abs=0.02)


def test_the_calibration_error_by_hand():
    said = np.array([0.0, 0.05, 0.95, 1.0, 0.5])
    true = np.array([False, True, True, True, False])
    found = reliability(said, true)
    assert found.expected_calibration_error == pytest.approx((2 * 0.475 + 2 * 0.025 + 0.5) / 5)
    weighted = reliability(said, true, np.array([0.0, 1.0, 0.0, 0.0, 0.0]))
    assert weighted.expected_calibration_error == pytest.approx(0.95)
    assert np.isnan(found.true_share[3])


@pytest.mark.parametrize("share", ASSUMED_SHARES)
def test_odds_move_to_another_share_of_fractured_walls(share):
    """At even odds a feature seen on 90 % of walls and 30 % of holes says 0.75; Bayes says what else it would say."""
    bayes = 0.9 * (1 - share) / (0.9 * (1 - share) + 0.3 * share)
    assert at_share(np.array([0.75]), share)[0] == pytest.approx(bayes)
    assert at_share(np.array([0.0, 1.0]), share).tolist() == [0, 1]


def test_weights_make_holes_a_given_share():
    samples = Samples(np.zeros(10), np.zeros(10, bool), np.arange(10) < 4)
    weights = samples.weights(0.1)
    assert weights[samples.in_hole].sum() / weights.sum() == pytest.approx(0.1)
    assert weights.sum() == pytest.approx(10)
    assert (Samples(np.zeros(3), np.zeros(3, bool), np.zeros(3, bool)).weights(0.1) == 1).all()


def test_samples_are_the_voxels_near_the_thin_walls():
    points = both(plate(hole_mm=8.0), plate(wall=Wall.ROOF, height_mm=4.0))
    said = sitk.Cast(mask_of(sheet()), sitk.sitkFloat32) * 0.7
    truth = mask_of(sheet(9, 11), (0.5, 0.5, 0.5))
    found = near_walls(said, truth, points)
    # Layers 8 to 11 have their centres 0.75 and 0.25 mm from the wall; points lie on the voxels' centre lines.
    assert len(found.true) == 4 * 1600
    assert found.true.sum() == 2 * 1600
    assert np.unique(found.probabilities) == pytest.approx([0, 0.7])
    assert found.in_hole.mean() == pytest.approx(np.pi * 16 / 400, rel=0.05)
    assert len(near_walls(said, truth, points, within_mm=0.5).true) == 2 * 1600
    assert len(near_walls(said, truth[:, :, :10], points).true) == 2 * 1600


def test_samples_need_walls():
    said = sitk.Cast(mask_of(sheet()), sitk.sitkFloat32)
    with pytest.raises(InputError) as raised:
        near_walls(said, mask_of(sheet()), plate(height_mm=60.0))
    assert raised.value.code == "no-walls"


def test_a_diagram_of_nothing_is_nothing():
    assert np.isnan(reliability(np.zeros(0), np.zeros(0, bool)).expected_calibration_error)
    assert reliability(np.zeros(2), np.zeros(2, bool)).expected_calibration_error == 0
    assert at_share(np.array([nan]), 0.1) == pytest.approx([nan], nan_ok=True)
