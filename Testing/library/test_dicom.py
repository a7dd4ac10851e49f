"""DICOM of every kind gives the right voxels at the right places, and the right series is chosen."""

import random
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import (
    AXIAL,
    PATIENT,
    PIXEL_MM,
    SHAPE,
    compressed,
    ct_slices,
    enhanced,
    file_bytes,
    head,
    in_syntax,
    jpeg_ls_slices,
    jpeg_ls_stored,
    save,
)
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading import dicom
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import AIR_HU, Scan, sha256_of

pytestmark = pytest.mark.base

SECONDARY = {"SOPClassUID": uid.SecondaryCaptureImageStorage, "ImageType": ["DERIVED", "SECONDARY"]}


def voxels_of(scan: Scan) -> np.ndarray:
    return sitk.GetArrayFromImage(scan.image)


def read_slices(slices: list[Dataset], folder: Path) -> Scan:
    return reading.read(save(slices, folder / "scan"))


# Values


@pytest.mark.parametrize(
    ("slope", "intercept", "signed", "kind"),
    [
        (1, 0, 1, "int16"),
        (1, -1024, 0, "int16"),
        (2, -1024, 0, "int16"),
        (1, -1024, 1, "int16"),
        (0.5, -1024, 0, "float32"),
        (1, -1024.5, 0, "float32"),
    ],
)
def test_stored_values_become_hu(write_ct, slope, intercept, signed, kind):
    hu = head() // 2 * 2 + (intercept % 1)
    scan = reading.read(write_ct(voxels=hu, RescaleSlope=slope, RescaleIntercept=intercept, PixelRepresentation=signed))
    assert voxels_of(scan).dtype == kind
    assert np.array_equal(voxels_of(scan), np.maximum(hu, AIR_HU))


def test_each_slice_is_rescaled_by_its_own_slope(write_ct):
    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleIntercept = -1024 + index

    scan = reading.read(write_ct(RescaleIntercept=-1024, PixelRepresentation=0, change=change))
    assert np.array_equal(voxels_of(scan), np.maximum(head() + np.arange(SHAPE[0])[:, None, None], AIR_HU))


def padded(value: int) -> np.ndarray:
    """A head in a circle's corners of padding."""
    hu = head().astype(np.int32)
    hu[:, :2, :2] = value
    return hu


@pytest.mark.parametrize(
    ("padding", "stated"),
    [
        (-2000, -2000),
        (-2000, 63536),  # some scanners state a signed value as an unsigned one
        (-2000, None),
        (-32768, None),
        (4000, 4000),
    ],
)
def test_padding_becomes_air(write_ct, padding, stated):
    def change(dataset: Dataset, _index: int) -> None:
        if stated is not None:
            dataset.add_new("PixelPaddingValue", "US" if stated > 32767 else "SS", stated)

    voxels = voxels_of(reading.read(write_ct(voxels=padded(padding), change=change)))
    expected = head()
    expected[:, :2, :2] = AIR_HU
    assert np.array_equal(voxels, expected)


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.ExplicitVRLittleEndian])
def test_padding_is_understood_in_every_encoding(tmp_path, syntax):
    slices = ct_slices(padded(3500), RescaleIntercept=-1024, PixelRepresentation=0)
    for dataset in slices:
        dataset.add_new("PixelPaddingValue", "US", 4524)
        in_syntax(dataset, syntax)
    assert np.all(voxels_of(read_slices(slices, tmp_path))[:, :2, :2] == AIR_HU)


def test_a_range_of_padding_becomes_air(write_ct):
    hu = padded(3500)
    hu[:, :2, 0] = 3600
    voxels = voxels_of(reading.read(write_ct(voxels=hu, PixelPaddingValue=3500, PixelPaddingRangeLimit=3600)))
    assert np.all(voxels[:, :2, :2] == AIR_HU)


@pytest.mark.parametrize("stated", [0, 40, 900])
def test_a_padding_value_that_is_a_tissue_is_not_believed(write_ct, stated):
    hu = head()
    hu[:, 8, 8] = stated
    assert np.array_equal(voxels_of(reading.read(write_ct(voxels=hu, PixelPaddingValue=stated))), hu)


@pytest.mark.parametrize("signed", [0, 1])
def test_drawings_in_the_bits_above_the_stored_ones_are_ignored(tmp_path, signed):
    slices = ct_slices(RescaleIntercept=-1024 if not signed else 0, PixelRepresentation=signed)
    for dataset in slices:
        dataset.BitsStored, dataset.HighBit = 12, 11
        stored = np.frombuffer(dataset.PixelData, np.uint16) & 0x0FFF
        drawn = np.arange(stored.size) % 7 == 0
        dataset.PixelData = (stored | np.where(drawn, 0x4000, 0).astype(np.uint16)).tobytes()
    expected = np.minimum(head(), 2047) if signed else head()
    assert np.array_equal(voxels_of(read_slices(slices, tmp_path)), expected)


def test_values_in_the_upper_bits_are_shifted_down(tmp_path):
    slices = ct_slices(RescaleIntercept=-1024, PixelRepresentation=0)
    for dataset in slices:
        dataset.BitsStored, dataset.HighBit = 12, 15
        dataset.PixelData = (np.frombuffer(dataset.PixelData, np.uint16) << 4).tobytes()
    assert np.array_equal(voxels_of(read_slices(slices, tmp_path)), head())


def test_thirty_two_bits_are_read(write_ct):
    scan = reading.read(write_ct(BitsAllocated=32, BitsStored=32, HighBit=31))
    assert np.array_equal(voxels_of(scan), head())


def test_metal_beyond_twelve_bits_is_kept(write_ct):
    hu = head().astype(np.int32)
    hu[:, 7, 7] = 31743
    assert voxels_of(reading.read(write_ct(voxels=hu)))[0, 7, 7] == 31743


# Transfer syntaxes

NATIVE = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
]
COMPRESSED = ["RLE", "JPEG", "JPEG2000"]
STORED = {"signed": {}, "unsigned": {"RescaleIntercept": -1024, "PixelRepresentation": 0}}


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("frames", ["classic", "enhanced"])
def test_uncompressed_voxels_come_back_exactly(tmp_path, syntax, stored, frames):
    slices = ct_slices(**STORED[stored])
    slices = slices if frames == "classic" else [enhanced(slices)]
    scan = read_slices([in_syntax(dataset, syntax) for dataset in slices], tmp_path)
    assert np.array_equal(voxels_of(scan), head())


@pytest.mark.parametrize("how", COMPRESSED)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("frames", ["classic", "enhanced"])
def test_compressed_voxels_come_back_exactly(tmp_path, how, stored, frames):
    slices = ct_slices(**STORED[stored])
    slices = slices if frames == "classic" else [enhanced(slices)]
    scan = read_slices([compressed(dataset, how, tmp_path) for dataset in slices], tmp_path)
    assert np.array_equal(voxels_of(scan), head())


@pytest.mark.parametrize("fragments", [1, 3])
def test_jpeg_ls_comes_back_exactly(tmp_path, fragments):
    voxels = voxels_of(read_slices(jpeg_ls_slices(fragments=fragments), tmp_path))
    assert np.array_equal(voxels, np.repeat(jpeg_ls_stored()[None].astype(int) - 1024, 6, axis=0))


def test_files_without_preamble_are_read(tmp_path):
    folder = save(ct_slices(), tmp_path / "scan")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert np.array_equal(voxels_of(reading.read(folder)), head())


def test_data_sets_without_any_file_header_are_read(tmp_path):
    """What the oldest archives leave: implicit, from the first element of group 8 on."""
    folder = tmp_path / "scan"
    folder.mkdir()
    for index, dataset in enumerate(ct_slices(SpecificCharacterSet="ISO_IR 100")):
        whole = file_bytes(in_syntax(dataset, uid.ImplicitVRLittleEndian))
        (folder / f"{index}").write_bytes(whole[whole.index(b"\x08\0\x05\0") :])
    assert np.array_equal(voxels_of(reading.read(folder)), head())


# Enhanced multi-frame


def test_frames_in_any_order_are_put_in_their_places(tmp_path):
    slices = ct_slices()
    random.Random(5).shuffle(slices)
    scan = read_slices([enhanced(slices)], tmp_path)
    assert np.array_equal(voxels_of(scan), head())
    assert scan.image.GetOrigin() == pytest.approx((-7.25, 12.5, 100.0), abs=1e-6)


def test_each_frame_is_rescaled_by_its_own_slope(tmp_path):
    slices = ct_slices(RescaleIntercept=-1024, PixelRepresentation=0)
    for index, dataset in enumerate(slices):
        dataset.RescaleIntercept = -1024 + index
    voxels = voxels_of(read_slices([enhanced(slices)], tmp_path))
    assert np.array_equal(voxels, np.maximum(head() + np.arange(SHAPE[0])[:, None, None], AIR_HU))


def test_what_the_scanner_said_is_found_in_functional_groups(tmp_path):
    whole = enhanced(ct_slices())
    details = Dataset()
    details.KVP, details.RevolutionTime, details.SingleCollimationWidth = 100, 0.5, 0.625
    exposure = Dataset()
    exposure.XRayTubeCurrentInmA = 280
    shared = whole.SharedFunctionalGroupsSequence[0]
    shared.CTXRayDetailsSequence = Sequence([details])
    whole.PerFrameFunctionalGroupsSequence[4].CTExposureSequence = Sequence([exposure])
    whole.AcquisitionDateTime = (date.today() - timedelta(days=75)).strftime("%Y%m%d") + "101500.0"
    agent = Dataset()
    agent.ContrastBolusAgent = "Iohexol"
    whole.ContrastBolusAgentSequence = Sequence([agent])
    said = read_slices([whole], tmp_path).acquisition
    assert (said.tube_voltage_kv, said.tube_current_ma, said.rotation_time_s) == (100, 280, 0.5)
    assert (said.collimation_mm, said.slice_thickness_mm, said.kernel) == (0.625, 1.0, "STANDARD")
    assert (said.age_months, said.contrast_agent) == (2, True)


def test_enhanced_values_that_are_not_hu_are_refused(tmp_path):
    whole = enhanced(ct_slices())
    for frame in whole.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleType = "MGML"
    with pytest.raises(InputError) as caught:
        read_slices([whole], tmp_path)
    assert caught.value.code == "not-hu"


def test_two_enhanced_objects_make_one_series(tmp_path):
    slices = ct_slices()
    parts = [enhanced(slices[:5]), enhanced(slices[5:])]
    parts[1].SOPInstanceUID = "1.2.9.9"
    assert np.array_equal(voxels_of(read_slices(parts, tmp_path)), head())


# Places


def names_shuffled(index: int) -> str:
    return ("zebra", "a.b.c", "0000", "IMG", "Ω", ".hidden", "x y", "9")[index - 1]


def test_neither_file_names_nor_numbers_order_the_slices(write_ct):
    plain = reading.read(write_ct("plain"))
    numbers = [5, 2, 8, 1, 7, 3, 6, 4]

    def renumber(dataset: Dataset, index: int) -> None:
        dataset.InstanceNumber = numbers[index]

    shuffled = reading.read(write_ct("shuffled", name=names_shuffled, change=renumber))
    assert sha256_of(shuffled.image) == sha256_of(plain.image)


PATIENT_LIES = {
    "head first, supine": AXIAL,
    "prone": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    "feet first": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "on the side": (0.0, 1.0, 0.0, -1.0, 0.0, 0.0),
    "sagittal": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "oblique": (0.9659258, 0.258819, 0.0, -0.258819, 0.9659258, 0.0),
}


@pytest.mark.parametrize("lies", PATIENT_LIES)
@pytest.mark.parametrize("backwards", [False, True], ids=["upwards", "downwards"])
def test_every_voxel_lies_where_its_header_says(write_ct, lies, backwards):
    orientation = PATIENT_LIES[lies]
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    start, hu = np.array([-7.25, 12.5, 100.0]), head()
    step = np.cross(row, column) * (-1 if backwards else 1)
    positions = [start + index * 0.9 * step for index in range(SHAPE[0])]
    folder = write_ct(positions=positions, ImageOrientationPatient=list(orientation), PixelSpacing=[0.7, 0.8])
    image = reading.read(folder).image
    assert np.linalg.det(np.reshape(image.GetDirection(), (3, 3))) == pytest.approx(1)
    for k, j, i in ((0, 0, 0), (7, 19, 23), (3, 5, 17)):
        true = positions[k] + i * 0.8 * row + j * 0.7 * column
        index = image.TransformPhysicalPointToContinuousIndex(true)
        assert index == pytest.approx(np.rint(index), abs=1e-4)
        nearest = [int(v) for v in np.rint(index)]
        assert image.TransformIndexToPhysicalPoint(nearest) == pytest.approx(true, abs=2e-6)
        assert image[nearest] == hu[k, j, i]


@pytest.mark.parametrize("degrees", [20, -20])
def test_a_tilted_gantry_is_straightened(write_ct, degrees):
    """A bony rod along the table, which tilted slices show wandering, stands upright again."""
    tilt = np.radians(degrees)
    orientation = [1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), float(np.sin(tilt))]
    positions = np.array([[-9.0, -9.0, 40.0 + index] for index in range(12)])
    rows, columns = np.mgrid[0:24, 0:24]
    hu = np.full((12, 24, 24), -1000.0)
    for index, position in enumerate(positions):
        x = position[0] + columns * PIXEL_MM
        y = position[1] + rows * PIXEL_MM * orientation[4]
        hu[index] += 2000 * np.clip(2.5 - np.hypot(x - 0.3, y + 0.2) + 0.5, 0, 1)
    scan = reading.read(write_ct(voxels=np.rint(hu), positions=positions, ImageOrientationPatient=orientation))
    assert scan.measured["resampled"]
    assert ("resampled", scan.acquisition.tilt_degrees) == (scan.warnings[0][0], 20.0)
    bone = np.argwhere(voxels_of(scan) > 0)
    places = np.array([scan.image.TransformIndexToPhysicalPoint([int(v) for v in index[::-1]]) for index in bone])
    middle = places[:, 2].mean()
    for height in (middle - 3, middle - 1.5, middle, middle + 1.5, middle + 3):
        here = places[np.abs(places[:, 2] - height) < 0.6]
        assert here[:, :2].mean(axis=0) == pytest.approx([0.3, -0.2], abs=0.25)


def test_a_shaking_orientation_is_one_stack(write_ct):
    """Cosines and pixel sizes that jump about a rounding edge do not split a series."""

    def shake(dataset: Dataset, index: int) -> None:
        dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0005 + (index % 2) * 1e-6]
        dataset.PixelSpacing = [0.4995 + (index % 2) * 1e-6, 0.4995]

    assert reading.read(write_ct(change=shake)).image.GetSize()[2] == SHAPE[0]


# Duplicates and moments


def test_a_series_that_was_copied_twice_is_read_once(tmp_path):
    save(ct_slices(), tmp_path / "scan" / "a")
    save(ct_slices(), tmp_path / "scan" / "b")
    scan = reading.read(tmp_path / "scan")
    assert np.array_equal(voxels_of(scan), head())
    assert scan.measured["duplicates_left_out"] == SHAPE[0]
    assert [code for code, _ in scan.warnings] == ["duplicates"]


def test_of_two_slices_at_one_place_the_lower_number_is_kept(tmp_path):
    slices = ct_slices()
    other = ct_slices(head() + 5)[3]
    other.SOPInstanceUID, other.InstanceNumber = "1.2.9.9", 99
    scan = read_slices([other, *slices], tmp_path)
    assert np.array_equal(voxels_of(scan), head())
    assert "1 slice lies" in scan.warnings[0][1]


def test_times_that_differ_from_slice_to_slice_are_no_time_series(write_ct):
    def stamp(dataset: Dataset, index: int) -> None:
        dataset.AcquisitionTime = f"1015{index:02d}.5"
        dataset.AcquisitionNumber = 1 + index // 4
        dataset.TemporalPositionIdentifier = 1

    assert np.array_equal(voxels_of(reading.read(write_ct(change=stamp))), head())


@pytest.mark.parametrize("stamped", [True, False])
def test_several_images_of_every_place_are_a_time_series(tmp_path, stamped):
    """Whether or not anything in the header says when each was taken."""
    moments = [ct_slices(head(seed=moment), change=_uid_of_moment(moment, stamped)) for moment in (1, 2, 3)]
    with pytest.raises(InputError) as caught:
        read_slices([item for moment in moments for item in moment], tmp_path)
    assert caught.value.code == "time-series"


def _uid_of_moment(moment: int, stamped: bool):
    def change(dataset: Dataset, index: int) -> None:
        dataset.SOPInstanceUID = f"1.2.3.{moment}.{index}"
        dataset.InstanceNumber = moment * 100 + index
        if stamped:
            dataset.AcquisitionTime = f"1015{moment:02d}"

    return change


def test_enhanced_frames_of_several_moments_are_a_time_series(tmp_path):
    with pytest.raises(InputError) as caught:
        read_slices([enhanced(ct_slices() + ct_slices(head(seed=2)))], tmp_path)
    assert caught.value.code == "time-series"


def test_two_kernels_in_one_series_are_told_apart(tmp_path):
    soft = ct_slices(ConvolutionKernel="B30f")
    sharp = ct_slices(head(seed=2), ConvolutionKernel="H70h", change=_uid_of_moment(7, False))
    found = dicom.list_series(save([*soft, *sharp], tmp_path / "scan"))
    assert sorted(item.kernel for item in found) == ["B30f", "H70h"]
    assert all(item.unfit is None for item in found)


# Several series


def thick_and_thin(folder: Path) -> None:
    tall = head((40, *SHAPE[1:]))
    save(ct_slices(tall, SeriesNumber=2, series="1.2.2"), folder / "thin")
    save(ct_slices(tall[::5], distance=5.0, SeriesNumber=3, series="1.2.3"), folder / "thick")


def chosen(folder: Path, wanted: str | None = None) -> tuple[str, str]:
    series, reason = dicom.choose(dicom.list_series(folder), wanted)
    return series.number, reason


def test_a_folder_off_a_cd(tmp_path):
    thick_and_thin(tmp_path)
    save(
        ct_slices(head()[:1], SeriesNumber=1, series="1.2.1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        tmp_path / "scout",
    )
    save(ct_slices(SeriesNumber=4, series="1.2.4", **SECONDARY, ImagePositionPatient=None), tmp_path / "screen")
    save(ct_slices(SeriesNumber=5, series="1.2.5", Modality="MR", SOPClassUID=uid.MRImageStorage), tmp_path / "mr")
    report = ct_slices(head()[:1], SeriesNumber=6, series="1.2.6", Modality="SR", SOPClassUID=uid.BasicTextSRStorage)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        del report[0][keyword]
    save(report, tmp_path / "report")
    (tmp_path / "DICOMDIR").write_bytes(_dicomdir())
    (tmp_path / "README.TXT").write_text("How to use this CD")
    (tmp_path / "thin" / "._I10").write_bytes(b"\0\x05\x16\x07" + bytes(200))
    (tmp_path / "thin" / "empty").touch()
    (tmp_path / "thin" / "gone").symlink_to(tmp_path / "nowhere")
    found = dicom.list_series(tmp_path)
    problems = {item.number: item.unfit.code if item.unfit else None for item in found}
    assert problems == {"2": None, "3": None, "1": "scout-only", "4": "no-ct", "5": "wrong-modality"}
    assert [item.number for item in found[:2]] == ["2", "3"]
    assert chosen(tmp_path) == ("2", "of 2 CT series, the one with slices thin enough for the orbit (1.00 mm apart)")
    scan = reading.read(tmp_path)
    assert (scan.image.GetSize()[2], scan.warnings) == (40, ())


def _dicomdir() -> bytes:
    directory = Dataset()
    directory.file_meta = ct_slices()[0].file_meta
    directory.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    directory.SOPClassUID, directory.SOPInstanceUID = uid.MediaStorageDirectoryStorage, "1.2"
    return file_bytes(directory)


def test_a_series_is_taken_by_number_or_uid(tmp_path):
    thick_and_thin(tmp_path)
    assert chosen(tmp_path, "3") == ("3", "asked for")
    assert chosen(tmp_path, "1.2.3") == ("3", "asked for")


@pytest.mark.parametrize("wanted", ["7", "", "2 "])
def test_an_unknown_series_is_refused_with_those_that_exist(tmp_path, wanted):
    thick_and_thin(tmp_path)
    with pytest.raises(InputError) as caught:
        chosen(tmp_path, wanted)
    assert caught.value.code == "unknown-series"
    assert "A2, A3" in caught.value.text


def test_series_without_numbers_are_called_by_their_letter(write_ct):
    with pytest.raises(InputError, match="it has A:"):
        dicom.choose(dicom.list_series(write_ct(SeriesNumber=None)), "1")


def test_an_unfit_series_that_is_asked_for_gives_its_reason(tmp_path):
    thick_and_thin(tmp_path)
    save(ct_slices(SeriesNumber=9, series="1.2.9", Modality="PT"), tmp_path / "pet")
    with pytest.raises(InputError) as caught:
        chosen(tmp_path, "9")
    assert caught.value.code == "wrong-modality"


TALL = {"voxels": head((30, *SHAPE[1:])), "distance": 1.2}
RIVALS = {
    "thin before thick": (TALL, {"voxels": head((14, *SHAPE[1:])), "distance": 3.0}),
    "original before derived": (
        TALL,
        {"voxels": head((40, *SHAPE[1:])), "distance": 0.9, "ImageType": ["DERIVED", "PRIMARY", "REFORMATTED"]},
    ),
    "thin reformat before thick original": (
        TALL | {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
        {"voxels": head((14, *SHAPE[1:])), "distance": 3.0},
    ),
    "volume before projection": (
        {"voxels": head((14, *SHAPE[1:])), "distance": 3.0},
        TALL | {"ImageType": ["DERIVED", "SECONDARY", "MIP"]},
    ),
    "whole before a thinner bit": (TALL, {"voxels": head((8, *SHAPE[1:])), "distance": 0.5}),
    "head before chest": ({"voxels": head((14, *SHAPE[1:])), "distance": 3.0}, TALL | {"BodyPartExamined": "CHEST"}),
    "finer of two thin ones": ({"voxels": head((40, *SHAPE[1:])), "distance": 0.9}, TALL),
    "more slices": ({"voxels": head((34, *SHAPE[1:])), "distance": 1.2}, TALL),
    "the lower number, as a number": (TALL | {"SeriesNumber": 9}, TALL | {"SeriesNumber": 10}),
}


@pytest.mark.parametrize("rivals", RIVALS)
def test_the_series_that_suits_the_orbit_is_preferred(tmp_path, rivals):
    better, worse = RIVALS[rivals]
    save(ct_slices(**{"SeriesNumber": 20, **better}, series="1.2.20"), tmp_path / "b")
    save(ct_slices(**{"SeriesNumber": 10, **worse}, series="1.2.10"), tmp_path / "a")
    series, _ = dicom.choose(dicom.list_series(tmp_path))
    assert series.uid == "1.2.20"


@pytest.mark.parametrize(
    ("distances", "virtue"),
    [((3.0, 5.0), "the thinnest slices (3.00 mm"), ((1.0, 2.0), "slices thin enough for the orbit (1.00 mm")],
)
def test_the_reason_for_the_choice_is_true(tmp_path, distances, virtue):
    for number, distance in enumerate(distances):
        save(ct_slices(head((36, *SHAPE[1:])), distance=distance, series=f"1.2.{number}"), tmp_path / f"{number}")
    assert virtue in chosen(tmp_path)[1]


def test_the_reason_does_not_call_thick_slices_the_thinnest(tmp_path):
    save(ct_slices(head((14, *SHAPE[1:])), distance=3.0, series="1.2.1"), tmp_path / "head")
    save(ct_slices(**TALL, BodyPartExamined="CHEST", series="1.2.2"), tmp_path / "chest")
    reason = chosen(tmp_path)[1]
    assert "thinnest" not in reason
    assert "thin enough" not in reason


def test_a_scout_in_the_series_itself_is_left_out(tmp_path):
    slices = ct_slices()
    scout = ct_slices(head()[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    scout[0].SOPInstanceUID, scout[0].ImagePositionPatient = "1.2.9", [0, 0, 300.0]
    assert np.array_equal(voxels_of(read_slices([*scout, *slices], tmp_path)), head())


# Damaged files


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def test_a_series_with_a_damaged_file_is_refused_though_another_would_do(tmp_path):
    thick_and_thin(tmp_path)
    path = tmp_path / "thin" / "I50"
    cut(path, path.read_bytes().index(b"\x28\0\x02\0") + 4)
    found = dicom.list_series(tmp_path)
    assert [(item.number, item.unfit.code if item.unfit else None) for item in found] == [
        ("2", "truncated"),
        ("3", None),
    ]
    with pytest.raises(InputError, match="1 of the series' files") as caught:
        reading.read(tmp_path)
    assert caught.value.code == "truncated"
    assert reading.read(tmp_path, "3").image.GetSize()[2] == 8


def test_a_slice_without_a_place_is_a_damaged_file(write_ct):
    def change(dataset: Dataset, index: int) -> None:
        if index == 4:
            dataset.ImagePositionPatient = None

    with pytest.raises(InputError) as caught:
        reading.read(write_ct(change=change))
    assert caught.value.code == "truncated"


def test_damaged_files_that_do_not_say_whose_they_are_are_warned_of(write_ct):
    folder = write_ct()
    (folder / "stray").write_bytes(bytes(128) + b"DICM" + bytes(30))
    scan = reading.read(folder)
    assert [code for code, _ in scan.warnings] == ["damaged-files"]
    assert np.array_equal(voxels_of(scan), head())


def test_an_attribute_that_cannot_be_parsed_is_not_stated(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for index, dataset in enumerate(ct_slices(KVP="120", RevolutionTime=0.5)):
        (folder / f"{index}").write_bytes(file_bytes(dataset).replace(b"DS\x04\x00120 ", b"DS\x04\x001e2z"))
    said = reading.read(folder).acquisition
    assert (said.tube_voltage_kv, said.rotation_time_s) == (None, 0.5)


def test_a_damaged_element_that_nobody_needs_does_no_harm(write_ct):
    folder = write_ct()
    path = folder / "I30"
    path.write_bytes(path.read_bytes().replace(b"\x02\0\x03\0UI", b"\x02\0\x03\0U."))
    assert np.array_equal(voxels_of(reading.read(folder)), head())


# Gaps


def series_with_gap() -> list[Dataset]:
    slices = ct_slices(head((20, *SHAPE[1:])))
    return slices[:8] + slices[13:]


def test_a_gap_is_an_error_inside_the_region_only(tmp_path):
    scan = read_slices(series_with_gap(), tmp_path)
    (gap,) = scan.gaps
    assert (gap.before, gap.after) == ("slice 8", "slice 14")
    assert (gap.start_mm, gap.end_mm) == (pytest.approx(107), pytest.approx(113))
    for region in (Region(), Region((-5, 5, 15, 25, 105, 108)), Region((-5, 5, 15, 25, 109, 111))):
        with pytest.raises(InputError) as caught:
            region.check_gaps(scan)
        assert caught.value.code == "slice-gap"
        assert "Between slice 8 and slice 14 there are 6.0 mm" in caught.value.text
    for region in (Region((-5, 5, 15, 25, 100, 106)), Region((-5, 5, 15, 25, 114, 118))):
        region.check_gaps(scan)


# What the scanner said


def test_what_the_scanner_said(write_ct):
    folder = write_ct(
        KVP=120,
        XRayTubeCurrent=300,
        RevolutionTime=0.75,
        SingleCollimationWidth=0.625,
        ReconstructionDiameter=220,
        ConvolutionKernel=["H30s", "3"],
        FilterType="MEDIUM",
        Manufacturer="SIEMENS",
        ManufacturerModelName="Definition",
        PatientPosition="HFS",
        ContrastBolusAgent="NONE",
        StudyDate=date.today().strftime("%Y%m%d"),
        change=lambda dataset, index: setattr(dataset, "SliceThickness", 1.5 if index == 2 else 1.0),
    )
    said = asdict(reading.read(folder).acquisition)
    assert said == {
        "file_format": "DICOM",
        "matrix": SHAPE[1:],
        "pixel_mm": PIXEL_MM,
        "slice_distance_mm": 1.0,
        "slice_thickness_mm": 1.5,
        "collimation_mm": 0.625,
        "tube_voltage_kv": 120,
        "tube_current_ma": 300,
        "rotation_time_s": 0.75,
        "field_of_view_mm": 220,
        "kernel": "H30s/3",
        "filter_type": "MEDIUM",
        "manufacturer": "SIEMENS",
        "model": "Definition",
        "patient_position": "HFS",
        "contrast_agent": False,
        "tilt_degrees": 0.0,
        "age_months": 0,
    }


def test_what_is_not_said_is_not_stated(write_ct):
    said = reading.read(write_ct(SliceThickness=None, StudyDate="")).acquisition
    assert (said.slice_thickness_mm, said.kernel, said.contrast_agent, said.age_months) == (None, None, None, None)


@pytest.mark.parametrize(
    ("dates", "months"),
    [
        ({"AcquisitionDate": "20000229", "StudyDate": "20200101"}, (date.today() - date(2000, 2, 29)).days // 30),
        ({"AcquisitionDate": "", "StudyDate": "20200101"}, (date.today() - date(2020, 1, 1)).days // 30),
        ({"StudyDate": "99990101"}, None),
    ],
)
def test_the_age_of_the_scan_in_months(write_ct, dates, months):
    assert reading.read(write_ct(**dates)).acquisition.age_months == months


def test_no_patient_comes_into_the_program(write_ct):
    for series in dicom.list_series(write_ct()):
        assert PATIENT not in repr(series)
