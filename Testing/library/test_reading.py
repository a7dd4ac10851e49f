"""Whatever a user has - a folder, a file, a zip, a volume - becomes the same scan."""

import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import SHAPE, ct_slices, enhanced, head, save

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU, grid_of, sha256_of

pytestmark = pytest.mark.base


def volume(voxels: np.ndarray | None = None) -> sitk.Image:
    image = sitk.GetImageFromArray(head() if voxels is None else voxels)
    image.SetSpacing((0.8, 0.7, 1.25))
    image.SetOrigin((-7.25, 12.5, 100.0))
    image.SetDirection((0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return image


def written(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def zipped(folder: Path, path: Path, name: str = "CD/{}") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CD/", b"")
        for file in sorted(folder.iterdir()):
            archive.writestr(name.format(file.name), file.read_bytes())
    return path


# Volume files


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii", "ct.nii.gz", "ct.mha", "ct.mhd", "ct.nhdr"])
def test_volume_files_keep_voxels_and_places(tmp_path, name):
    image = volume()
    scan = reading.read(written(image, tmp_path / name))
    assert np.array_equal(sitk.GetArrayFromImage(scan.image), head())
    assert scan.image.GetPixelID() == sitk.sitkInt16
    for index in ((0, 0, 0), (23, 19, 7)):
        place = image.TransformIndexToPhysicalPoint(index)
        assert scan.image.TransformIndexToPhysicalPoint(index) == pytest.approx(place, abs=1e-4)
    said = scan.acquisition
    assert (said.matrix, said.pixel_mm, said.slice_distance_mm) == (SHAPE[1:], pytest.approx(0.8), pytest.approx(1.25))
    assert scan.warnings == ()


def test_a_name_in_capitals_is_known_too(tmp_path):
    path = written(volume(), tmp_path / "ct.nii.gz").rename(tmp_path / "CT.NII.GZ")
    assert reading.read(path).kind == "nifti"


def test_a_nifti_in_several_gzip_parts_is_whole(tmp_path):
    data = written(volume(), tmp_path / "plain.nii").read_bytes()
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    assert np.array_equal(sitk.GetArrayFromImage(reading.read(path).image), head())


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_whole_values_are_sixteen_bits_whatever_their_type(tmp_path, kind):
    image = reading.read(written(volume(head().astype(kind)), tmp_path / "ct.nrrd")).image
    assert image.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(image), head())


def test_broken_values_stay_float(tmp_path):
    image = reading.read(written(volume(head() + np.float32(0.25)), tmp_path / "ct.nrrd")).image
    assert image.GetPixelID() == sitk.sitkFloat32
    assert sitk.GetArrayFromImage(image) == pytest.approx(np.maximum(head() + 0.25, AIR_HU))


def test_what_is_no_number_or_below_air_is_air(tmp_path):
    voxels = head().astype(np.float32)
    voxels[0, 0, :4] = [np.nan, np.inf, -np.inf, -3024]
    voxels[0, 1, 0] = 20000
    result = sitk.GetArrayFromImage(reading.read(written(volume(voxels), tmp_path / "ct.nrrd")).image)
    assert result[0, 0, :4].tolist() == [AIR_HU, HIGHEST_HU, AIR_HU, AIR_HU]
    assert result[0, 1, 0] == 20000


def test_a_fourth_dimension_of_one_is_none(tmp_path):
    image = sitk.JoinSeries([volume()])
    assert reading.read(written(image, tmp_path / "ct.nii")).image.GetSize() == volume().GetSize()


def test_a_nifti_that_does_not_say_how_the_patient_lies_is_warned_of(tmp_path):
    path = written(volume(), tmp_path / "ct.nii")
    data = bytearray(path.read_bytes())
    data[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(data)
    assert [code for code, _ in reading.read(path).warnings] == ["orientation-unknown"]


def test_an_nrrd_that_does_not_say_how_the_patient_lies_is_warned_of(tmp_path):
    path = written(volume(), tmp_path / "ct.nrrd")
    path.write_bytes(path.read_bytes().replace(b"space: left-posterior-superior", b"space dimension: 3"))
    assert [code for code, _ in reading.read(path).warnings] == ["orientation-unknown"]


# DICOM in other wrappings


@pytest.mark.parametrize("name", ["CD/{}", "../../{}", "/etc/{}", "C:\\{}", "a" * 200 + "/{}"])
def test_a_zip_gives_the_same_scan_and_writes_nothing_elsewhere(write_ct, tmp_path, monkeypatch, name):
    folder = write_ct()
    private = tmp_path / "private" / "deep"
    private.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(private))
    path = zipped(folder, tmp_path / "ct.zip", name)
    before = sorted(tmp_path.rglob("*"))
    scan = reading.read(path)
    assert sha256_of(scan.image) == sha256_of(reading.read(folder).image)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_needs_no_name_of_its_own(write_ct, tmp_path):
    path = zipped(write_ct(), tmp_path / "download")
    assert reading.read(path).image.GetSize()[2] == SHAPE[0]


def test_one_multi_frame_file_is_a_scan(tmp_path):
    folder = save([enhanced(ct_slices())], tmp_path / "scan")
    assert reading.read(folder / "I10").image.GetSize()[::-1] == SHAPE


def test_a_folder_with_the_name_of_a_volume_file_is_a_folder(write_ct):
    assert reading.read(write_ct("head.nrrd")).kind == "dicom"


def test_one_scan_is_one_scan_in_every_wrapping(write_ct, tmp_path):
    """The hash of the input does not depend on files and their order."""
    folder = write_ct()
    scan = reading.read(folder)
    nrrd = reading.read(written(scan.image, tmp_path / "ct.nrrd"))
    assert sha256_of(nrrd.image) == sha256_of(scan.image)
    assert grid_of(nrrd.image) == grid_of(scan.image)
    assert sha256_of(reading.read(write_ct("other", voxels=head(seed=2))).image) != sha256_of(scan.image)


# What is told on the way


def test_series_are_told_before_one_is_chosen_and_progress_grows_to_one(write_ct):
    told: list[object] = []
    progress: list[float] = []
    scan = reading.read(write_ct(), None, progress.append, told.append)
    assert [item.number for item in told[0]] == ["2"]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert scan.measured["series_found"] == 1
    assert scan.measured["series_chosen"] == "the only CT series with a stack of slices"


def test_reading_stops_where_progress_raises_and_leaves_nothing(write_ct, tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    path = zipped(write_ct(), tmp_path / "ct.zip")
    with pytest.raises(KeyboardInterrupt):
        reading.read(path, None, stop)
    assert list(private.iterdir()) == []


def test_no_input_file_is_changed(write_ct):
    folder = write_ct()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    reading.read(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_air_that_the_scanner_cut_off_at_its_lowest_value_is_hu(write_ct):
    """Much air at -1024 exactly is no sign of padding, where skin shows values between."""
    voxels = head()
    voxels[voxels < -900] = AIR_HU
    voxels[:, 3, 3:-3] = -500
    assert reading.read(write_ct(voxels=voxels)).image.GetSize()[2] == SHAPE[0]


def test_padding_does_not_make_raw_values_look_like_hu(tmp_path):
    voxels = head() + 1024
    voxels[:, :2, :2] = -2000
    with pytest.raises(InputError) as caught:
        reading.read(written(volume(voxels), tmp_path / "ct.nrrd"))
    assert caught.value.code == "not-hu"


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_zip_is_read_or_refused(seed):
    """Whatever bits flip: the zip's own bytes are checked before anything is believed."""
    random = np.random.default_rng(seed)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[seed % 3]) as archive:
        for number in range(3):
            archive.writestr(f"{number}", random.bytes(300) + bytes(500))
    data = bytearray(memory.getvalue())
    for bit in random.integers(0, len(data) * 8, size=4):
        data[bit // 8] ^= 1 << (bit % 8)
    _read_bytes(bytes(data[: len(data) if seed % 2 else int(random.integers(4, len(data)))]))


def _read_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ct.zip"
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            reading.read(path)
    assert caught.value.code in ("truncated", "unsafe-zip", "no-dicom")
