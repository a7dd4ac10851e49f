"""Phases that lie woven into one series are found by the bone that moves, and nothing else is taken for them."""

import os
from pathlib import Path

import pytest

pytest.importorskip("scipy")

import numpy as np
import SimpleITK as sitk
from dicom_series import ct_slices, save
from scipy import ndimage

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading import dicom
from OrbitalSegLib.reading.weave import woven

DATA = Path(os.environ.get("ORBITALSEG_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
SCANS = ("ge-tilted-irregular", "philips-skull-phantom/straight", "philips-skull-phantom/tilted", "toshiba-head-3mm")
PIXEL_MM = 0.8
SLICES = 40


def skull(slices: int = SLICES, moved_mm: float = 0.0, noise_hu: float = 15.0, z_mm: float = 0.0) -> np.ndarray:
    """A shell of bone that narrows towards the top, with a slanted wall in it, in slices of 1 mm."""
    z, y, x = np.mgrid[0:slices, 0:96, 0:80].astype(np.float32)
    z, y, x = z + z_mm, (y - 48) * PIXEL_MM, (x - 40) * PIXEL_MM - moved_mm
    away = np.hypot(x / 26, y / 32) - np.sqrt(np.clip(1 - (z / 70) ** 2, 0.1, None))
    voxels = -1000 + 1040 / (1 + np.exp(20 * np.clip(away, -2, 2)))
    for wall in (away * 26, x * 0.8 + z * 0.5 - 8):
        voxels = np.where(away < 0.2, voxels + 1100 * np.exp(-np.square(wall / 1.5)), voxels)
    random = np.random.default_rng(3)
    return np.clip(voxels + random.normal(0, noise_hu, voxels.shape), -1024, 3071).astype(np.int16)


def weave(*phases: np.ndarray) -> np.ndarray:
    together = phases[0].copy()
    for index, phase in enumerate(phases):
        together[index :: len(phases)] = phase[index :: len(phases)]
    return together


@pytest.mark.parametrize("moved_mm", [1.5, 2.0, 4.0, -3.0])
@pytest.mark.parametrize("phases", [2, 3])
def test_phases_between_which_the_head_moved_are_found(phases, moved_mm):
    assert woven(weave(*(skull(moved_mm=moved_mm * index) for index in range(phases)))) == phases


def test_a_head_that_moved_along_the_table_is_found():
    assert woven(weave(skull(), skull(z_mm=6.0))) == 2


@pytest.mark.parametrize("distance_mm", [0.5, 0.3])
def test_woven_phases_are_refused_and_each_can_be_chosen(tmp_path, distance_mm):
    """The second one lies somewhere between the slices of the first one; numbers alternate, nothing else differs."""
    first, second = skull(), skull(moved_mm=3.0)
    places = [(0.0, 0.0, index + offset) for index in range(SLICES) for offset in (0.0, distance_mm)]
    together = np.stack([first, second], axis=1).reshape(-1, *first.shape[1:])
    folder = save(ct_slices(together, positions=places), tmp_path / "scan")
    with pytest.raises(InputError) as caught:
        reading.read(folder)
    assert caught.value.code == "time-series"
    assert "A2.1of2, A2.2of2." in caught.value.text
    for name, voxels in (("A2.1of2", first), ("A2.2of2", second)):
        scan = reading.read(folder, name)
        assert scan.measured["series_name"] == name
        assert np.array_equal(sitk.GetArrayFromImage(scan.image), voxels)
        assert [(code, "40 × of another phase" in text) for code, text in scan.warnings] == [("left-out", True)]
        assert len(reading.read_headers(folder, name)) == SLICES


def parts(folder, first, second, offset_mm=0.0, **second_changes):
    """Two acquisitions of 24 slices each, of which the second begins where the first has 4 slices left."""
    one = ct_slices(first[:24], positions=[(0, 0, float(z)) for z in range(24)], AcquisitionNumber=1)
    places = [(0, 0, z + offset_mm) for z in range(20, 40)]
    two = ct_slices(second[20:40], positions=places, series="1.2.826.1", AcquisitionNumber=2, **second_changes)
    for index, item in enumerate(two):
        item.SOPInstanceUID, item.InstanceNumber = f"1.2.826.9.{index}", 25 + index
    return save([*one, *two], folder)


@pytest.mark.parametrize("offset_mm", [0.0, 0.5, 0.02])
def test_parts_that_overlap_a_little_are_joined_and_it_is_said(tmp_path, offset_mm):
    whole = skull(z_mm=0.0)
    folder = parts(tmp_path / "scan", whole, skull(z_mm=offset_mm), offset_mm)
    scan = reading.read(folder)
    said = dict(scan.warnings)
    assert set(said) <= {"overlapping-parts", "resampled"}
    assert "2 parts that overlap a little" in said["overlapping-parts"]
    array = sitk.GetArrayFromImage(scan.image)
    assert np.array_equal(array[:24], whole[:24]) or offset_mm == 0.5
    if not offset_mm:
        assert np.array_equal(array, whole)
    assert scan.image.GetSpacing()[2] == pytest.approx(1.0, abs=0.51)


def test_parts_that_overlap_with_noise_of_their_own_are_joined(tmp_path):
    second = skull() + np.random.default_rng(9).normal(0, 20, skull().shape).astype(np.int16)
    assert "overlapping-parts" in dict(reading.read(parts(tmp_path / "scan", skull(), second)).warnings)


@pytest.mark.parametrize("moved_mm", [3.0, -5.0])
def test_parts_between_which_the_patient_moved_are_refused_and_each_can_be_chosen(tmp_path, moved_mm):
    folder = parts(tmp_path / "scan", skull(), skull(moved_mm=moved_mm))
    with pytest.raises(InputError) as caught:
        reading.read(folder)
    assert caught.value.code == "time-series"
    assert "A2.1of2, A2.2of2." in caught.value.text
    for name, count, others in (("A2.1of2", 24, 20), ("A2.2of2", 20, 24)):
        scan = reading.read(folder, name)
        assert scan.image.GetSize()[2] == count
        assert [(code, f"{others} × of another part" in text) for code, text in scan.warnings] == [("left-out", True)]


@pytest.mark.parametrize("changes", [{"KVP": 140}, {"TemporalPositionIdentifier": 2}])
def test_parts_of_another_energy_or_phase_are_not_joined(tmp_path, changes):
    scan = reading.read
    with pytest.raises(InputError) as caught:
        scan(parts(tmp_path / "scan", skull(), skull(), **changes))
    assert caught.value.code == "time-series"


@pytest.mark.parametrize("name", ["A2.3of2", "A9.1of2", "A2.0of2", "A2.1of9"])
def test_phases_that_there_are_not_cannot_be_chosen(tmp_path, name):
    with pytest.raises(InputError) as caught:
        reading.read(save(ct_slices(skull()), tmp_path / "scan"), name)
    assert caught.value.code == "unknown-series"


def windmills(voxels: np.ndarray, period: float) -> np.ndarray:
    y, x = np.mgrid[0 : voxels.shape[1], 0 : voxels.shape[2]]
    angle = np.arctan2(y - voxels.shape[1] / 2, x - voxels.shape[2] / 2)
    turns = np.arange(len(voxels))[:, None, None] / period
    return voxels + np.where(voxels > -200, 30 * np.cos(2 * angle - 2 * np.pi * turns), 0)


def metal(voxels: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(5)
    streaked = voxels.astype(np.float32)
    y, x = np.mgrid[0 : voxels.shape[1], 0 : voxels.shape[2]]
    for plane in streaked[10:22]:
        plane += random.normal(0, 400) * np.cos(9 * np.arctan2(y - 60.0, x - 40.0) + random.uniform(0, 6))
    return streaked


def halfway(voxels: np.ndarray) -> np.ndarray:
    """Every second slice is made of its neighbours."""
    made = voxels.copy()
    made[1:-1:2] = (voxels[:-2:2].astype(int) + voxels[2::2]) // 2
    return made


ONE_SCAN = {
    "plain": lambda voxels: voxels,
    "noise": lambda voxels: voxels + np.random.default_rng(7).normal(0, 60, voxels.shape),
    "noise alone": lambda voxels: np.random.default_rng(7).normal(100, 200, voxels.shape),
    "nothing": lambda voxels: np.full_like(voxels, -1000),
    "windmills of 2": lambda voxels: windmills(voxels, 2),
    "windmills of 3": lambda voxels: windmills(voxels, 3),
    "windmills of 4.5": lambda voxels: windmills(voxels, 4.5),
    "metal": metal,
    "every slice twice": lambda voxels: np.repeat(voxels, 2, axis=0),
    "every slice three times": lambda voxels: np.repeat(voxels, 3, axis=0),
    "twice as thin by interpolation": lambda voxels: ndimage.zoom(voxels.astype(np.float32), (2, 1, 1), order=1),
    "three halves by interpolation": lambda voxels: ndimage.zoom(voxels.astype(np.float32), (1.5, 1, 1), order=1),
    "thick slices": lambda voxels: voxels[: len(voxels) // 4 * 4].reshape(-1, 4, *voxels.shape[1:]).mean(axis=1),
    "every second slice interpolated": halfway,
    "a step in the middle": lambda voxels: np.concatenate([voxels[:20], np.roll(voxels[20:], 3, axis=2)]),
    "few slices": lambda voxels: voxels[:9],
}


@pytest.mark.parametrize("name", ONE_SCAN)
def test_nothing_else_is_taken_for_phases(name):
    assert woven(np.asarray(ONE_SCAN[name](skull()))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SCANS)
def test_no_real_scan_is_taken_for_phases(name):
    if not (DATA / name).is_dir():
        pytest.skip("the real scans lie in ../shared/data or in ORBITALSEG_TEST_DATA")
    slices, _ = dicom._one_per_place(dicom.choose(dicom.list_series(DATA / name))[0])
    voxels, _ = dicom._voxels(slices, lambda _fraction: None)
    assert woven(voxels) == 1
    half = ndimage.shift(voxels[1::2].astype(np.float32), (0, 0, 6 / slices[0].pixel_mm[0]), order=1, mode="nearest")
    moved = voxels.copy()
    moved[1::2] = half
    assert woven(moved) == 2
