"""Three planes and their mean: the same whatever is skipped, batched or tiled."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.networks import consensus, engines
from OrbitalSegLib.networks.consensus import PLANES, consensus_grid, needed_bytes, triplanar
from OrbitalSegLib.preprocessing import WorkingGrid, to_windowed, working_grid

ROUNDING = 3 * 0.5 / 65535 + 1e-7
"""Each of three planes is rounded to a whole number."""


class Fake:
    """An engine that is a formula: `probabilities` of slices (n, h, w) in 8 bits."""

    name, precision, device, threads = "fake", "fp32", "cpu", 1

    def __init__(self, formula):
        self.formula = formula
        self.calls: list[tuple[int, ...]] = []

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        self.calls.append(slices.shape)
        return self.formula(slices.astype(np.float32) / 255).astype(np.float32)


def neighbourhood(slices: np.ndarray) -> np.ndarray:
    """A mean of 5 x 5 pixels that sees the slice's border, and is not 0 in air: what a network is like."""
    padded = np.pad(slices + 0.1, ((0, 0), (2, 2), (2, 2)))
    shifted = [np.roll(padded, (i, j), (1, 2)) for i in range(-2, 3) for j in range(-2, 3)]
    return sum(shifted)[:, 2:-2, 2:-2] / 28


def head(size=(90, 70, 60), spacing=(0.6, 0.7, 0.9)) -> sitk.Image:
    """Noise in a box of air, at about a quarter of each axis from its ends."""
    voxels = np.full(size[::-1], -1000, np.int16)
    inside = tuple(slice(n // 4, 3 * n // 4) for n in size[::-1])
    voxels[inside] = np.random.default_rng(5).integers(-400, 500, voxels[inside].shape)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin((-20.0, 30.0, 11.0))
    return image


def mean_of(scan, formula, **options) -> np.ndarray:
    found = triplanar(scan, {"any": Fake(formula)}, working_grid(scan, 0.5), **options)
    return sitk.GetArrayFromImage(found.probabilities["any"])


def test_each_voxel_is_looked_at_once_in_every_plane():
    scan = head()
    windowed = sitk.GetArrayFromImage(to_windowed(scan, working_grid(scan, 0.5))) / 255
    np.testing.assert_allclose(mean_of(scan, lambda slices: slices), windowed, atol=ROUNDING)


@pytest.mark.parametrize(("plane", "rows", "columns"), [("axial", 1, 2), ("coronal", 0, 2), ("sagittal", 0, 1)])
def test_rows_and_columns_of_each_plane_are_those_of_the_body(plane, rows, columns):
    """Axial: rows go to the back, columns to the left; the others: rows go up, columns to the left or to the back."""
    for axis, along in ((rows, 1), (columns, 2)):

        def ramp(slices, along=along):
            shape = [1, 1, 1]
            shape[along] = slices.shape[along]
            return slices * 0 + np.linspace(0, 1, slices.shape[along]).reshape(shape)

        found = mean_of(head(), ramp, planes=[plane], skip_air=False)
        expected = np.expand_dims(np.linspace(0, 1, found.shape[axis]), [other for other in range(3) if other != axis])
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=ROUNDING)
    assert list(PLANES) == ["axial", "coronal", "sagittal"]


def test_slices_go_whole_a_few_at_a_time():
    scan = head()
    engine = Fake(lambda slices: slices)
    grid = working_grid(scan, 0.5)
    triplanar(scan, {"any": engine}, grid)
    x, y, z = grid.size
    assert {shape[1:] for shape in engine.calls} == {(y, x), (z, x), (z, y)}
    assert max(shape[0] for shape in engine.calls) <= 8


def test_skipping_air_changes_no_bit():
    scan = head()
    grid = working_grid(scan, 0.5)
    skipping, looking = (triplanar(scan, {"any": Fake(neighbourhood)}, grid, skip_air=skip) for skip in (True, False))
    one, other = (sitk.GetArrayFromImage(found.probabilities["any"]) for found in (skipping, looking))
    np.testing.assert_array_equal(one, other)
    assert skipping.slices == looking.slices == sum(grid.size)
    assert looking.skipped == 0
    assert skipping.skipped == pytest.approx(sum(grid.size) / 2, abs=6)
    assert one.min() > 0.03  # the answer for air was not simply 0


def test_a_scan_of_nothing_but_air_has_the_answer_for_air_everywhere():
    scan = head() * 0 - 1000
    found = mean_of(scan, neighbourhood)
    assert found.min() > 0.03
    assert found.max() < 0.1


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_the_batch_changes_no_bit(at_once, monkeypatch, tiny_package):
    scan = head()
    grid = working_grid(scan, 1.0)
    engine = engines.choose(tiny_package, "thin", threads=1)
    before = triplanar(scan, {"thin": engine}, grid).probabilities["thin"]
    monkeypatch.setattr(consensus, "BATCH", at_once)
    after = triplanar(scan, {"thin": engine}, grid).probabilities["thin"]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after))


@pytest.mark.parametrize("size", [(90, 70, 60), (133, 41, 97)])
def test_tiles_cover_the_grid_and_show_no_seam(size, monkeypatch):
    scan = head(size)
    whole = mean_of(scan, neighbourhood)
    monkeypatch.setattr(consensus, "TILE", 48)
    monkeypatch.setattr(consensus, "HALO", 8)
    monkeypatch.setattr(consensus, "LATTICE", 8)
    engine = Fake(neighbourhood)
    grid = working_grid(scan, 0.5)
    tiled = sitk.GetArrayFromImage(triplanar(scan, {"any": engine}, grid).probabilities["any"])
    np.testing.assert_array_equal(tiled, whole)
    assert max(max(shape[1:]) for shape in engine.calls) <= 48
    part = replace(grid, low=(21, 9, 30), size=(57, 40, 29))
    tiled = sitk.GetArrayFromImage(triplanar(scan, {"any": engine}, part).probabilities["any"])
    np.testing.assert_array_equal(tiled[2:-2, 2:-2, 2:-2], whole[32:57, 11:47, 23:76])


def test_slices_show_what_lies_around_the_region_up_to_the_lattice():
    scan = head((200, 160, 120), (1.0, 1.0, 1.0))
    engine = Fake(lambda slices: slices)
    grid = working_grid(scan, 1.0, (40.0, 60.0, 75.0, 100.0, 50.0, 60.0))  # from voxel 60, 45 and 39
    assert (grid.low, grid.size) == ((60, 45, 39), (21, 26, 11))
    found = triplanar(scan, {"any": engine}, grid).probabilities["any"]
    shown = {"axial": (64, 64), "coronal": (32, 64), "sagittal": (32, 64)}  # 32 to 96, 32 to 96, 32 to 64
    assert {call[1:] for call in engine.calls} == set(shown.values())
    assert sum(call[0] for call in engine.calls) == 21 + 26 + 11
    windowed = sitk.GetArrayFromImage(to_windowed(scan, grid)) / 255
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), windowed, atol=ROUNDING)


def test_several_networks_keep_their_own_tables_and_classes():
    scan = head()
    table = (np.arange(65536) // 257).astype(np.uint8)
    found = triplanar(
        scan,
        {"one": Fake(lambda slices: slices), "none": Fake(lambda slices: slices * 0)},
        working_grid(scan, 0.5),
        tables={"one": table, "none": table[::-1]},
    ).probabilities
    windowed = to_windowed(scan, working_grid(scan, 0.5))
    assert found["one"].IsSameImageGeometryAs(windowed)
    difference = sitk.GetArrayFromImage(found["one"]).astype(int) - sitk.GetArrayFromImage(windowed)
    assert np.abs(difference).max() <= 1
    assert sitk.GetArrayFromImage(found["none"]).min() == 255


def test_networks_may_see_the_window_unrounded():
    scan = head()
    seen = []

    class Exact(Fake):
        def probabilities(self, slices):
            seen.append(slices.dtype)
            return slices

    found = triplanar(scan, {"any": Exact(None)}, working_grid(scan, 0.5), quantised=False).probabilities["any"]
    assert set(seen) == {np.dtype(np.float32)}
    exact = sitk.GetArrayFromImage(to_windowed(scan, working_grid(scan, 0.5), quantised=False))
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), exact, atol=ROUNDING)


def test_far_air_is_left_away_and_tissue_never():
    scan = head((200, 160, 120), (1.0, 1.0, 1.0))
    grid = consensus_grid(scan, 1.0)
    assert grid.low == (50 - 17, 40 - 17, 30 - 17)
    assert grid.size == (100 + 34, 80 + 34, 60 + 34)
    box = (40.0, 60.0, 75.0, 100.0, 50.0, 60.0)
    part = consensus_grid(scan, 1.0, box)
    assert part == working_grid(scan, 1.0, box)


def test_a_region_in_air_or_a_scan_of_air_still_has_a_grid():
    scan = head((100, 100, 100), (1.0, 1.0, 1.0))
    box = (-20.0, -15.0, 30.0, 35.0, 11.0, 15.0)
    assert consensus_grid(scan, 1.0, box) == working_grid(scan, 1.0, box)
    assert consensus_grid(scan * 0 - 1000, 1.0) == working_grid(scan, 1.0)


def test_progress_rises_to_one_and_stops_the_work_between_batches():
    scan = head()
    heard: list[float] = []
    engine = Fake(lambda slices: slices)
    triplanar(scan, {"a": engine, "b": engine}, working_grid(scan, 0.5), progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert max(np.diff(heard)) < 0.1
    half = len(engine.calls) // 2
    engine.calls.clear()

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        triplanar(scan, {"a": engine, "b": engine}, working_grid(scan, 0.5), progress=stop)
    assert len(engine.calls) <= half + 3


def test_a_larger_region_and_more_networks_need_more_memory():
    def grid(*size: int) -> WorkingGrid:
        return WorkingGrid(0.5, (0.0,) * 3, tuple(np.eye(3).ravel()), (0, 0, 0), size)

    small, large = grid(256, 256, 256), grid(1024, 1024, 1600)
    assert needed_bytes(small, [(16,)]) < needed_bytes(small, [(16,), (16,)]) < needed_bytes(small, [(64,), (16,)])
    assert needed_bytes(small, [(16,)] * 2) < 1.5e9
    assert needed_bytes(large, [(16,)] * 2) > 2 * large.voxels
