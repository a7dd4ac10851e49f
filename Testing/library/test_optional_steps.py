"""Denoising before the networks and a random field after them: local, the same in every region, off by default."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import crf
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Resources, Task
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.preprocessing import DENOISING_STEPS, denoised, working_grid
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region

pytestmark = pytest.mark.learn

SHAPE = (24, 30, 36)


def image(array: np.ndarray, spacing_mm: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing_mm)
    made.SetOrigin((5.0, -7.0, 11.0))
    return made


def array(made: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(made)


def edge(noise_hu: float = 20.0) -> np.ndarray:
    """Bone beside soft tissue, in the middle of x."""
    clean = np.full(SHAPE, 40.0)
    clean[:, :, SHAPE[2] // 2 :] = 800
    return np.rint(clean + np.random.default_rng(0).normal(0, noise_hu, SHAPE)).astype(np.int16)


def test_noise_goes_and_edges_stay():
    ct = image(edge())
    after = array(denoised(ct, 60, working_grid(ct, 0.5))).astype(float)
    middle = SHAPE[2] // 2
    assert after[:, :, : middle - 1].std() < 10 < 18 < array(ct)[:, :, : middle - 1].std()
    assert after[:, :, middle - 1].mean() == pytest.approx(40, abs=2)
    assert after[:, :, middle].mean() == pytest.approx(800, abs=2)


def test_small_differences_even_out_and_their_sum_stays():
    bump = np.zeros(SHAPE, np.int16)
    bump[12, 15, 18] = 3000
    after = array(denoised(image(bump), 100_000, working_grid(image(bump), 0.5)))
    assert after[12, 15, 18] < 1000
    assert after[12, 15, 19] > 0
    spread = np.abs(np.argwhere(after) - (12, 15, 18)).sum(axis=1)
    assert spread.max() <= DENOISING_STEPS
    assert after.sum() == pytest.approx(3000, abs=30)  # each voxel is rounded


def test_less_goes_across_thick_slices():
    bump = np.zeros(SHAPE, np.int16)
    bump[12, 15, 18] = 300
    ct = image(bump, (0.5, 0.5, 2.0))
    after = array(denoised(ct, 500, working_grid(ct, 0.5)))
    assert after[12, 15, 19] > 4 * after[13, 15, 18]


def test_denoising_by_nothing_leaves_the_scan():
    ct = image(edge())
    assert denoised(ct, 0, working_grid(ct, 0.5)) is ct


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5, 0.5), (0.4, 0.4, 1.1)])
def test_what_is_denoised_does_not_depend_on_the_region(spacing_mm, monkeypatch):
    ct = image(edge(), spacing_mm)
    whole = array(denoised(ct, 60, working_grid(ct, 0.5)))
    box = [9.0, 13.0, -4.0, 1.0, 13.0, 16.0]
    grid = working_grid(ct, 0.5, box)
    part = array(denoised(ct, 60, grid))
    changed = part != array(ct)
    np.testing.assert_array_equal(part[changed], whole[changed])
    assert 0.03 < changed.mean() < 0.5
    on_grid = [
        array(sitk.Resample(image(found, spacing_mm), grid.image(np.zeros(grid.size[::-1])))) for found in (part, whole)
    ]
    np.testing.assert_array_equal(*on_grid)
    monkeypatch.setattr("OrbitalSegLib.preprocessing._SLAB", 5)
    np.testing.assert_array_equal(array(denoised(ct, 60, working_grid(ct, 0.5))), whole)


def test_axes_that_point_elsewhere_are_denoised_in_the_same_place():
    ct = image(edge())
    turned = sitk.DICOMOrient(ct, "RPI")
    box = [9.0, 13.0, -4.0, 1.0, 13.0, 16.0]
    ours, theirs = (denoised(one, 60, working_grid(one, 0.5, box)) for one in (ct, turned))
    np.testing.assert_array_equal(array(sitk.DICOMOrient(theirs, "LPS")), array(ours))


def probability(*values: tuple[Any, float]) -> np.ndarray:
    said = np.zeros(SHAPE, np.uint8)
    for where, value in values:
        said[where] = round(255 * value)
    return said


FLAT = np.full(SHAPE, 40, np.int16)
THICK = np.s_[4:20, 4:26, 4:32]


def test_a_weight_of_nothing_and_a_mask_of_nothing_leave_the_probability():
    said = image(probability((THICK, 0.9)))
    assert crf.refine(said, image(FLAT), 0.5, 0) is said
    empty = image(probability())
    assert crf.refine(empty, image(FLAT), 0.5, 2) is empty


def test_specks_go_and_gaps_close_where_the_image_shows_no_edge():
    said = probability((THICK, 0.9), ((12, 15, 18), 0.3), ((1, 1, 1), 0.6))
    after = array(crf.refine(image(said), image(FLAT), 0.5, 4))
    assert after[12, 15, 18] > 127
    assert after[1, 1, 1] < 127


def test_a_sheet_that_the_image_shows_stays_and_one_that_it_does_not_goes():
    said = probability((np.s_[:, 15], 0.6))
    shown = FLAT.copy()
    shown[:, 15] = 600
    kept, lost = (array(crf.refine(image(said), image(ct), 0.5, 4)) for ct in (shown, FLAT))
    assert (kept[:, 15] > 150).all()
    assert (lost[:, 15] < 127).all()


def test_far_from_a_border_nothing_changes():
    rng = np.random.default_rng(0)
    said = (probability((THICK, 0.9)) + rng.integers(0, 20, SHAPE)).astype(np.uint8)
    changed = array(crf.refine(image(said), image(FLAT), 0.5, 2)) != said
    assert changed.any()
    assert not changed[7:17, 7:23, 7:29].any()
    assert not changed[:, :, :1].any()


def test_the_limit_is_where_the_field_decides():
    said = probability((THICK, 0.45), ((12, 15, 18), 0.2))
    filled, left = (array(crf.refine(image(said), image(FLAT), limit, 4))[12, 15, 18] for limit in (0.3, 0.5))
    assert filled > 0.3 * 255 > left


def test_how_many_voxels_are_looked_at_together_changes_no_bit(monkeypatch):
    rng = np.random.default_rng(1)
    said, ct = image(rng.integers(0, 256, SHAPE).astype(np.uint8)), image(edge())
    heard: list[float] = []
    whole = array(crf.refine(said, ct, 0.4, 1.5, heard.append))
    assert heard[-1] == 1
    monkeypatch.setattr(crf, "_AT_ONCE", 1000)
    np.testing.assert_array_equal(array(crf.refine(said, ct, 0.4, 1.5, heard.append)), whole)


@pytest.mark.parametrize("asked", [{"denoise_hu": 60}, {"crf_weight": 2}])
def test_the_methods_do_what_is_asked_and_only_then(asked, tiny_package: Package):
    rng = np.random.default_rng(2)
    hu = np.where(np.indices((40, 40, 40))[1] // 6 % 2, 500, 0) + rng.normal(0, 60, (40, 40, 40))
    ct = image(np.rint(hu).astype(np.int16), (1.0, 1.0, 1.0))
    task = Task(ct, Region(), Resources(model=tiny_package.folder, threads=1))
    method = METHODS["multigrey"]
    heard: list[float] = []
    plain, again, stepped = (
        method.run(task, method.make_parameters(values), progress)
        for values, progress in (({}, silent), (dict.fromkeys(asked, 0), silent), (asked, heard.append))
    )
    said = [array(found.probabilities["thin"]) for found in (plain, again, stepped)]
    np.testing.assert_array_equal(said[0], said[1])
    assert (said[0] != said[2]).any()
    assert heard == sorted(heard)
    assert heard[-1] <= 1


def test_the_figures_of_the_steps_are_differences_of_the_same_heads(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import optional_steps

    def head(value: float) -> dict[str, float]:
        return dict.fromkeys(optional_steps.SHOWN, value)

    made = {"neither": {"1": head(0.5), "2": head(0.9)}, "crf_weight-1": {"1": head(0.6), "2": head(0.8)}}
    text = optional_steps.table(made)
    assert "| neither | 2 | 0.700 |" in text
    assert "0.700; 0.000 ± 0.141 (-0.100 to 0.100)" in text
