"""Coverage of the wall on a scan without labels, and whether cases bracket real scans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.evaluation.coverage import find_sites, lines_crossing, measure
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.training.calibration import CalibrationCurves, calibrate, curve_of_case, curve_of_scan
from OrbitalSegLib.training.cases import Case, Flag, write_case

AIR_HU, FAT_HU, BONE_HU, FAINT_HU, MUSCLE_HU = -1000, -100, 400, 200, 50

# Rows of the block: the orbit's fat, one row of wall, the sinus's air.
FAT_ROWS, WALL_ROW, SINUS_ROWS = slice(24, 34), 34, slice(35, 50)
COLUMNS = slice(18, 42)


def scan(left_half_hu: int = BONE_HU, right_half_hu: int = FAINT_HU) -> sitk.Image:
    """A block of muscle in air, 1 mm: fat over a sinus, and between them a wall of two densities."""
    hu = np.full((26, 64, 60), AIR_HU, np.int16)
    hu[:, 8:56, 8:52] = MUSCLE_HU
    hu[4:22, FAT_ROWS, COLUMNS] = FAT_HU
    hu[4:22, SINUS_ROWS, COLUMNS] = AIR_HU
    hu[4:22, WALL_ROW, 18:30] = left_half_hu
    hu[4:22, WALL_ROW, 30:42] = right_half_hu
    image = sitk.GetImageFromArray(hu)
    image.SetOrigin((-30.0, 10.0, 100.0))
    return image


def test_lines_run_from_sinus_air_to_the_fat_behind_the_wall() -> None:
    sites = find_sites(scan())
    assert len(sites.start_mm) >= 18 * 22
    # The sinus begins one row behind the wall, and the fat one row before it.
    assert sites.start_mm[:, 1].min() == pytest.approx(10.0 + 35)
    assert (sites.end_mm[:, 1] <= 10.0 + 33 + 1e-6).all()
    assert (np.linalg.norm(sites.end_mm - sites.start_mm, axis=1) <= 4.0 + 1e-6).all()


def test_coverage_is_the_share_of_the_wall_that_a_mask_holds() -> None:
    ct = scan()
    sites = find_sites(ct)
    assert measure(sites, ct > 100).coverage == pytest.approx(1.0)
    assert measure(sites, ct > 300).coverage == pytest.approx(0.5, abs=0.03)
    assert measure(sites, ct > 500).coverage == 0.0


def test_a_mask_on_a_finer_grid_is_sampled_there() -> None:
    ct = scan()
    sites = find_sites(ct)
    fine = sitk.Image([240, 256, 104], sitk.sitkUInt8)
    fine.SetSpacing((0.25, 0.25, 0.25))
    fine.SetOrigin((-30.0, 10.0, 100.0))
    array = np.zeros(fine.GetSize()[::-1], np.uint8)
    array[:, 4 * WALL_ROW, :] = 1  # a quarter of a mm thick
    sheet = sitk.GetImageFromArray(array)
    sheet.CopyInformation(fine)
    assert lines_crossing(sheet, sites.start_mm, sites.end_mm).all()
    assert not lines_crossing(sheet * 0, sites.start_mm, sites.end_mm).any()


def test_leaks_are_told_tissue_by_tissue() -> None:
    ct = scan()
    sites = find_sites(ct)
    assert measure(sites, ct > 0).soft_tissue == pytest.approx(1.0)
    assert measure(sites, ct < -500).air == pytest.approx(1.0)
    assert measure(sites, sitk.And(ct < -50, ct > -150)).fat == pytest.approx(1.0)
    clean = measure(sites, ct > 300)
    assert (clean.soft_tissue, clean.air, clean.fat, clean.skin) == (0.0, 0.0, 0.0, 0.0)
    assert measure(sites, ct > 0).skin > 0.9


def test_only_the_box_is_looked_at() -> None:
    ct = scan()
    whole = find_sites(ct)
    half = find_sites(ct, (-30.0, -1.0, 10.0, 74.0, 100.0, 126.0))
    assert 0.3 < len(half.start_mm) / len(whole.start_mm) < 0.7
    assert measure(half, ct > 300).coverage == pytest.approx(1.0)


def test_a_scan_with_other_axes_gives_the_same() -> None:
    ct = scan()
    turned = sitk.DICOMOrient(ct, "RAI")
    assert curve_of_scan(turned) == pytest.approx(curve_of_scan(ct))


def test_a_scan_without_air_or_fat_has_no_lines() -> None:
    sites = find_sites(scan() * 0)
    assert len(sites.start_mm) == 0
    assert np.isnan(measure(sites, scan() > 300).coverage)


def case(right_half_hu: int, hole: bool = False) -> Case:
    ct = scan(right_half_hu=right_half_hu)
    label = np.zeros(sitk.GetArrayFromImage(ct).shape, np.uint8)
    label[4:22, FAT_ROWS, COLUMNS] = Flag.ORBIT
    if hole:
        label[4:22, WALL_ROW, 30:42] = Flag.HOLE
    image = sitk.GetImageFromArray(label)
    image.CopyInformation(ct)
    none = np.empty(0)
    points = WallPoints(np.empty((0, 3)), np.empty((0, 3)), none, none, none, none, none, none)
    return Case(ct, ct, ct, image, points)


def test_a_hole_is_no_wall_that_was_lost() -> None:
    faint, holed = curve_of_case(case(-90)), curve_of_case(case(-90, hole=True))
    assert faint is not None
    assert holed is not None
    assert 0.3 < faint[0] < 0.6
    assert holed[0] > 0.95


def test_cases_with_hardly_any_wall_say_nothing() -> None:
    empty = case(200)
    assert curve_of_case(replace(empty, ct=empty.ct * 0)) is None


def test_a_scan_between_the_cases_is_bracketed_and_one_beyond_is_not() -> None:
    curves = {str(i): (0.1 * i, 0.1 * i, 0.1 * i) for i in range(11)}
    found = CalibrationCurves(curves, {"between": (0.3, 0.5, 0.8), "beyond": (0.3, 0.5, 0.95)})
    assert found.bracketed("between") == (True, True, True)
    assert found.bracketed("beyond") == (True, True, False)
    assert "0.950 outside" in found.table()
    assert found.quantiles(0.5) == pytest.approx((0.5, 0.5, 0.5))


def test_case_folders_are_compared_with_a_scan(tmp_path: Path) -> None:
    for number, density in enumerate((400, 200, -90)):
        write_case(case(density), tmp_path / str(number))
    found = calibrate([tmp_path / str(n) for n in range(3)], {"real": curve_of_scan(scan())})
    assert list(found.cases) == ["0", "1", "2"]
    assert found.cases["0"][0] > 0.95
    assert found.bracketed("real") == (True, True, True)
