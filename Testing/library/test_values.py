"""What the numbers of a series mean: padding, unused bits, rescale, units; and files of unusual form."""

import errno
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import SHAPE, compressed, ct_slices, enhanced, file_bytes, head, in_syntax, save
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.reading import units
from OrbitalSegLib.record import Record
from OrbitalSegLib.scan import AIR_HU, Scan
from OrbitalSegLib.tasks import job_from, segment

UNSIGNED = {"PixelRepresentation": 0, "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
SIGNED = {"PixelRepresentation": 1, "RescaleIntercept": 0, "BitsStored": 12, "HighBit": 11}


def voxels_of(scan: Scan) -> np.ndarray:
    return sitk.GetArrayFromImage(scan.image)


def codes(scan: Scan) -> list[str]:
    return [code for code, _ in scan.warnings]


def refused(folder: Path, code: str, match: str, **how: object) -> str:
    with pytest.raises(InputError, match=match) as caught:
        reading.read(folder, **how)
    assert caught.value.code == code
    return caught.value.text


# Padding and unused bits


def with_words(slices: list[Dataset], change) -> list[Dataset]:
    """The series with its 16-bit words, (rows, columns), as `change` leaves them."""
    for dataset in slices:
        words = np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns).copy()
        change(words)
        dataset.PixelData = words.tobytes()
    return slices


def corners(value: int):
    """Padding as scanners leave it around a round field."""

    def change(words: np.ndarray) -> None:
        words[:2, :2] = words[-2:, -2:] = value

    return change


def without_corners() -> np.ndarray:
    expected = head()
    expected[:, :2, :2] = expected[:, -2:, -2:] = AIR_HU
    return expected


@pytest.mark.parametrize("stated", [63536, -2000, None], ids=["unsigned", "signed", "not stated"])
@pytest.mark.parametrize("how", ["native", "RLE", "JPEG", "JPEG2000"])
def test_padding_outside_the_stored_bits_is_air(tmp_path, stated, how):
    slices = with_words(ct_slices(**UNSIGNED), corners(63536))
    for dataset in slices:
        if stated is not None:
            dataset.add_new("PixelPaddingValue", "US" if stated > 0 else "SS", stated)
    if how != "native":
        slices = [compressed(dataset, how, tmp_path) for dataset in slices]
    scan = reading.read(save(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), without_corners())
    assert codes(scan) == ([] if stated else ["padding-unstated"])


@pytest.mark.parametrize("value", [0x8000, 0x7FFF, 0xFFFF, 0xF830, 5000, 4096])
def test_one_value_beyond_the_stored_bits_at_the_corners_is_padding(tmp_path, value):
    scan = reading.read(save(with_words(ct_slices(**UNSIGNED), corners(value)), tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), without_corners())
    assert codes(scan) == ["padding-unstated"]
    assert "8 slices hold" in scan.warnings[0][1]


@pytest.mark.parametrize("stored", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("limit", [-1500, -2500])
def test_a_range_of_padding_below_zero(tmp_path, stored, limit):
    slices = with_words(ct_slices(**stored), corners(0x10000 - 2200))
    for dataset in slices:
        dataset.add_new("PixelPaddingValue", "SS", -2000 if limit == -2500 else -3000)
        dataset.add_new("PixelPaddingRangeLimit", "SS", limit)
    scan = reading.read(save(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), without_corners())
    assert codes(scan) == []


def test_a_range_of_padding_that_ends_at_zero_is_no_tissue(tmp_path):
    slices = with_words(ct_slices(**UNSIGNED), corners(0x10000 - 500))
    for dataset in slices:
        dataset.add_new("PixelPaddingValue", "SS", -2000)
        dataset.add_new("PixelPaddingRangeLimit", "SS", 0)
    assert np.array_equal(voxels_of(reading.read(save(slices, tmp_path / "scan"))), without_corners())


def test_numbers_below_zero_in_values_without_sign_are_such_numbers(tmp_path):
    """The header forgot the sign: -1000 is air, not a value of 12 bits without it."""
    slices = ct_slices(**SIGNED)
    for dataset in slices:
        dataset.PixelRepresentation = 0
    scan = reading.read(save(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), head())
    assert codes(scan) == ["padding-unstated"]


def test_a_drawing_that_the_header_names_is_cut_off_without_a_word(tmp_path):
    def draw(words: np.ndarray) -> None:
        words[::3, ::2] |= 0x2000

    slices = with_words(ct_slices(**UNSIGNED), draw)
    for dataset in slices:
        dataset.add_new(0x60000102, "US", 13)
    scan = reading.read(save(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), head())
    assert codes(scan) == []


@pytest.mark.parametrize("stored", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
def test_a_drawing_that_the_header_does_not_name_is_cut_off_and_said(tmp_path, stored):
    def draw(words: np.ndarray) -> None:
        words[5, 4:20] |= 0x4000

    scan = reading.read(save(with_words(ct_slices(**stored), draw), tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), head())
    assert codes(scan) == ["unused-bits"]


def test_metal_that_the_stored_bits_cannot_hold_stays_metal_and_is_said(tmp_path):
    """Signs reach into the unused bits here, so that the words are the numbers."""

    def insert(words: np.ndarray) -> None:
        words[8, 8:10] = [3000, 2900]

    scan = reading.read(save(with_words(ct_slices(**SIGNED), insert), tmp_path / "scan"))
    assert voxels_of(scan)[0, 8, 8:10].tolist() == [3000, 2900]
    assert codes(scan) == ["unused-bits"]


# Rescale


def lose(*keywords: str, empty: bool = False, every: int = 3):
    def change(dataset: Dataset, index: int) -> None:
        for keyword in keywords if index % every == 0 else ():
            if empty:
                setattr(dataset, keyword, None)
            else:
                delattr(dataset, keyword)

    return change


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "missing"])
@pytest.mark.parametrize("lost", [("RescaleSlope", "RescaleIntercept"), ("RescaleIntercept",)])
def test_a_rescale_that_some_slices_lack_is_inconsistent(write_ct, empty, lost):
    folder = write_ct(RescaleIntercept=-1024, PixelRepresentation=0, change=lose(*lost, empty=empty))
    refused(folder, "inconsistent", "3 of the 8 slices, as slice 1, lack the rescale")


def test_a_rescale_that_one_enhanced_frame_lacks_is_inconsistent(tmp_path):
    whole = enhanced(ct_slices(RescaleIntercept=-1024, PixelRepresentation=0))
    del whole.PerFrameFunctionalGroupsSequence[4].PixelValueTransformationSequence
    refused(save([whole], tmp_path / "scan"), "inconsistent", "1 of the 8 slices, as slice 5, lack")


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "missing"])
def test_values_that_are_hu_without_any_rescale_are_taken_and_said(write_ct, empty):
    scan = reading.read(write_ct(change=lose("RescaleSlope", "RescaleIntercept", empty=empty, every=1)))
    assert np.array_equal(voxels_of(scan), head())
    assert codes(scan) == ["rescale-missing"]


def test_values_that_are_no_hu_without_any_rescale_are_refused_with_the_cause(write_ct):
    change = lose("RescaleSlope", "RescaleIntercept", every=1)
    folder = write_ct(RescaleIntercept=-1024, PixelRepresentation=0, change=change)
    refused(folder, "not-hu", "headers do not say how they become such")


@pytest.mark.parametrize("intercepts", [(-1024, 0), (-24, -1024)])
def test_another_intercept_in_some_slices_for_the_same_values_is_inconsistent(write_ct, intercepts):
    true, other = intercepts

    def change(dataset: Dataset, index: int) -> None:
        if index == 5:
            dataset.RescaleIntercept = other

    folder = write_ct(RescaleIntercept=true, PixelRepresentation=1, change=change)
    refused(folder, "inconsistent", "rescale to Hounsfield units of slice 6")


def test_a_slope_of_its_own_in_each_slice_is_right(tmp_path):
    hu = head() // 12 * 12
    slices = [ct_slices(hu, RescaleSlope=(1, 2, 3)[k % 3], RescaleIntercept=0)[k] for k in range(SHAPE[0])]
    scan = reading.read(save(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), np.maximum(hu, AIR_HU))
    assert codes(scan) == []


def mapping(unit: str, slope: float = 1.0, intercept: float = -1024.0) -> Sequence:
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", "unit"
    item.MeasurementUnitsCodeSequence = Sequence([code])
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return Sequence([item])


def mapped(unit: str, intercept: float = -1024.0, keep_rescale: bool = False) -> Dataset:
    whole = enhanced(ct_slices(RescaleIntercept=-1024, PixelRepresentation=0))
    for frame in whole.PerFrameFunctionalGroupsSequence:
        if not keep_rescale:
            del frame.PixelValueTransformationSequence
        frame.RealWorldValueMappingSequence = mapping(unit, intercept=intercept)
    return whole


def test_a_real_world_value_mapping_in_hu_stands_for_the_rescale(tmp_path):
    scan = reading.read(save([mapped("[hnsf'U]")], tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), head())
    assert codes(scan) == []


def test_a_real_world_value_mapping_in_another_unit_is_no_hu(tmp_path):
    refused(save([mapped("mg/cm3")], tmp_path / "scan"), "not-hu", "not Hounsfield units .mg/cm3.")


def test_a_mapping_that_contradicts_the_rescale_is_inconsistent(tmp_path):
    folder = save([mapped("[hnsf'U]", 0.0, keep_rescale=True)], tmp_path / "scan")
    refused(folder, "inconsistent", "slice 1 the rescale and the real world value mapping")
    folder = save([mapped("[hnsf'U]", keep_rescale=True)], tmp_path / "other")
    assert np.array_equal(voxels_of(reading.read(folder)), head())


# Units


@pytest.mark.parametrize("unit", ["US", "HU_MOD", "OD", "MGML", "EDW", "Z_EFF"])
def test_a_rescale_type_other_than_hu_is_refused_or_taken_with_its_warning(write_ct, unit):
    folder = write_ct(change=lambda dataset, index: setattr(dataset, "RescaleType", unit if index == 5 else "HU"))
    refused(folder, "not-hu", unit)
    scan = reading.read(folder, grey_values=True)
    assert codes(scan) == ["grey-values"]
    assert unit in scan.warnings[0][1]


@pytest.mark.parametrize("unit", ["HU", "hu", " HU", ""])
def test_hu_however_it_is_written(write_ct, unit):
    assert codes(reading.read(write_ct(RescaleType=unit))) == []


def test_a_table_instead_of_a_rescale_is_refused(write_ct):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 16])
    table.add_new("LUTData", "US", [0, 1, 2, 3])
    table.ModalityLUTType = "HU"
    refused(write_ct(ModalityLUTSequence=Sequence([table])), "not-hu", "by a table")


DEVICES = [
    {"Manufacturer": "Imaging Sciences International", "ManufacturerModelName": "17-19DX"},
    {"Manufacturer": "J.Morita.Mfg.Corp.", "ManufacturerModelName": "3D Accuitomo"},
    {"Manufacturer": "Planmeca", "ManufacturerModelName": "ProMax"},
    {"Manufacturer": "NewTom", "ManufacturerModelName": "VGi evo"},
    {"Manufacturer": "Siemens", "ManufacturerModelName": "ARCADIS Orbic 3D"},
    {"Manufacturer": "Medtronic", "ManufacturerModelName": "O-arm"},
    {"Manufacturer": "Anyone", "ManufacturerModelName": "CBCT-9"},
    {"SeriesDescription": "Cone Beam CT"},
    {"StudyDescription": "cbct mandible"},
    {"ImageComments": "DENTAL_CBCT_2"},
    {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CBCT"]},
]


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: "/".join(map(str, device.values())))
def test_a_cone_beam_device_is_refused_or_taken_with_its_warning(write_ct, device):
    folder = write_ct(**device)
    refused(folder, "not-hu", "cone-beam device")
    assert codes(reading.read(folder, grey_values=True)) == ["grey-values"]


SCANNERS = [
    ("SIEMENS", "SOMATOM Definition AS+"),
    ("Siemens Healthineers", "NAEOTOM Alpha"),
    ("GE MEDICAL SYSTEMS", "LightSpeed VCT"),
    ("GE MEDICAL SYSTEMS", "Revolution CT"),
    ("GE MEDICAL SYSTEMS", "HiSpeed Dual"),
    ("Philips", "Ingenuity CT"),
    ("Philips", "iCT 256"),
    ("Philips", "Brilliance 64"),
    ("TOSHIBA", "Aquilion ONE"),
    ("Canon Medical Systems", "Aquilion Precision"),
    ("Hitachi Medical Corporation", "SCENARIA"),
    ("NeuroLogica", "CereTom"),
    ("Mobius Imaging", "Airo"),
    ("United Imaging", "uCT 760"),
    ("Neusoft", "NeuViz 128"),
    ("Carestream Health", None),
    ("Medtronic", "StealthStation S8"),
    (None, None),
]


@pytest.mark.parametrize("scanner", SCANNERS, ids=str)
def test_a_scanner_is_no_cone_beam_device(scanner):
    assert units.cone_beam_device(*scanner) is None


def test_a_person_or_an_identifier_is_no_device(write_ct):
    folder = write_ct(ReferringPhysicianName="Cbct^Kavo", OperatorsName="CBCT", StudyID="7")
    assert codes(reading.read(folder)) == []


def big_head() -> np.ndarray:
    """Air, soft tissue and bone in about the shares that a head has."""
    hu = head((10, 60, 60))
    hu[:, 3:-3, 40:-3] = np.random.default_rng(3).normal(40, 12, (10, 54, 17))
    return hu


GREYS = {
    "soft tissue too bright": lambda hu: np.where(hu < -200, hu, 350 + 0.6 * hu),
    "everything 300 brighter": lambda hu: hu + 300,
    "half as steep": lambda hu: hu * 0.5,
    "air too bright": lambda hu: np.where(hu < -500, -600, hu),
    "darker by 250, air clipped": lambda hu: np.maximum(hu - 250, -1000),
    "from zero": lambda hu: hu + 1000,
}


@pytest.mark.parametrize("greys", GREYS)
@pytest.mark.parametrize("form", ["dicom", "ct.nii.gz", "ct.nrrd"])
def test_grey_values_in_which_air_and_soft_tissue_stand_elsewhere(tmp_path, greys, form):
    values = np.rint(GREYS[greys](big_head().astype(float))).astype(np.int16)
    path = tmp_path / form
    if form == "dicom":
        save(ct_slices(values), path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    refused(path, "not-hu", "grey values")
    assert "grey-values" in codes(reading.read(path, grey_values=True))


def _noisy(hu: np.ndarray, deviation: float) -> np.ndarray:
    return hu + np.random.default_rng(9).normal(0, deviation, hu.shape)


def _cropped(hu: np.ndarray) -> np.ndarray:
    """No air outside, but for a small sinus."""
    inner = hu[:, 8:-8, 8:-8].copy()
    inner[2:6, 30:36, 30:36] = -990
    return inner


REAL = {
    "a plain head": lambda hu: hu,
    "much noise": lambda hu: _noisy(hu, 120),
    "a newborn's, with little and soft bone": lambda hu: np.where(hu > 500, np.where(hu % 3 == 0, 320, 25), hu),
    "contrast in many vessels": lambda hu: np.where((hu > 0) & (hu < 100) & (hu % 4 == 0), 280, hu),
    "metal": lambda hu: np.where((hu > 920) & (hu % 5 == 0), 20000, hu),
    "cropped to the head": _cropped,
    "a dry skull": lambda hu: np.where(hu < 300, -1000, hu + np.random.default_rng(5).normal(0, 350, hu.shape)),
    "fat": lambda hu: np.where(np.abs(hu) < 200, hu - 140, hu),
    "air clipped to -1024": lambda hu: np.where(hu < -500, np.where(hu % 9 == 0, -500, AIR_HU), hu),
}


@pytest.mark.parametrize("scan", REAL)
def test_real_hu_are_not_taken_for_grey_values(scan):
    hu = np.clip(np.rint(REAL[scan](big_head().astype(float))), AIR_HU, 32767).astype(np.int16)
    assert units.why_not_hu(sitk.GetImageFromArray(hu)) is None


def test_what_is_said_of_a_volume_file_tells_of_its_device(write_ct, tmp_path):
    scan = reading.read(write_ct(Manufacturer="KaVo", ManufacturerModelName="OP 3D"), grey_values=True)
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(scan.image, str(path))
    assert codes(reading.read(path)) == []
    refused(path, "not-hu", "KaVo", origin=reading.Origin(acquisition=scan.acquisition))
    origin = reading.Origin(acquisition=scan.acquisition)
    assert codes(reading.read(path, grey_values=True, origin=origin)) == ["grey-values"]


def test_a_series_that_is_hu_is_preferred_where_the_user_does_not_insist(tmp_path):
    tall = {"voxels": head((40, *SHAPE[1:]))}
    save(ct_slices(**tall, distance=0.9, SeriesNumber=3, series="1.2.3", RescaleType="US"), tmp_path / "grey")
    save(ct_slices(**tall, distance=1.2, SeriesNumber=4, series="1.2.4"), tmp_path / "hu")
    assert codes(reading.read(tmp_path)) == []
    refused(tmp_path, "not-hu", "unspecified", series="3")
    assert codes(reading.read(tmp_path, "3", grey_values=True)) == ["grey-values"]


@pytest.mark.slow
def test_grey_values_are_never_judged_better_than_do_not_use(write_ct, tmp_path):
    folder = write_ct(voxels=big_head(), RescaleType="US")
    values = {"task": "segment", "input": str(folder), "output": str(tmp_path / "out"), "method": "threshold"}
    job = job_from({"contract": CONTRACT, **values, "region": "whole", "grey_values": True})
    record = Record()
    segment.run(job, Steps(segment.shares(job)), record)
    assert record.entries["monitoring"]["verdict"] == "do not use"
    assert "Rescale Type US" in record.entries["monitoring"]["reasons"][0]
    assert "grey-values" in [warning["code"] for warning in record.entries["warnings"]]
    assert record.entries["settings"]["grey_values"] is True


# Files


def bare(dataset: Dataset, little: bool, implicit: bool, first: str | None) -> bytes:
    """A data set without preamble and file meta, beginning with its group length or with the element `first`."""
    for element in [*dataset]:
        if first not in (None, "length") and element.tag < pydicom.datadict.tag_for_keyword(first):
            del dataset[element.tag]
    if not little:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = little, implicit
    plain = Dataset({element.tag: element for element in dataset})
    write_dataset(buffer, plain)
    order = "little" if little else "big"
    length = (8).to_bytes(2, order) + bytes(2) + (b"" if implicit else b"UL")
    length += (4).to_bytes(4 if implicit else 2, order) + (300).to_bytes(4, order)
    return (length if first == "length" else b"") + buffer.getvalue()


@pytest.mark.parametrize("first", ["length", None, "SOPClassUID", "SOPInstanceUID"])
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "explicit"])
@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
def test_files_without_preamble_whatever_comes_first(tmp_path, little, implicit, first):
    for index, dataset in enumerate(ct_slices()):
        (tmp_path / f"{index}").write_bytes(bare(dataset, little, implicit, first))
    assert np.array_equal(voxels_of(reading.read(tmp_path)), head())
    assert len(reading.read_headers(tmp_path)) == SHAPE[0]


@pytest.mark.parametrize("start", [b"\x08\0\0\0", b"\x02\0", b"", b"\0\x08\0\0\0\0\0\4", b"\x05\0\x10\0\0\0\0\1abc"])
def test_a_file_that_only_begins_like_one_without_preamble_does_no_harm(write_ct, start):
    folder = write_ct()
    (folder / "other").write_bytes(start)
    assert np.array_equal(voxels_of(reading.read(folder)), head())


COMMAS = ("PixelSpacing", "ImagePositionPatient", "SliceThickness", "ImageOrientationPatient", "RescaleIntercept")


def with_commas(slices: list[Dataset], folder: Path) -> Path:
    folder.mkdir()
    for index, dataset in enumerate(slices):
        data = file_bytes(dataset)
        for keyword in COMMAS:
            if keyword in dataset:
                value = dataset[keyword].value
                text = "\\".join(map(str, value)) if dataset[keyword].VM > 1 else str(value)
                data = data.replace(text.encode(), text.replace(".", ",").encode())
        (folder / f"{index}").write_bytes(data)
    return folder


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_decimal_commas_are_read_as_points(tmp_path, syntax):
    slices = [in_syntax(dataset, syntax) for dataset in ct_slices(distance=1.25, SliceThickness=1.25)]
    scan = reading.read(with_commas(slices, tmp_path / "scan"))
    assert np.array_equal(voxels_of(scan), head())
    assert scan.image.GetSpacing() == pytest.approx((0.8, 0.8, 1.25))
    assert scan.image.GetOrigin() == pytest.approx((-7.25, 12.5, 100.0))
    assert scan.acquisition.slice_thickness_mm == 1.25
    assert codes(scan) == ["decimal-commas"]
    assert reading.read_headers(tmp_path / "scan")[0].PixelSpacing == [0.8, 0.8]


def test_decimal_commas_in_functional_groups_are_read_as_points(tmp_path):
    whole = file_bytes(enhanced(ct_slices(distance=1.25)))
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "1").write_bytes(whole.replace(b"0.8\\0.8", b"0,8\\0,8").replace(b"-7.25", b"-7,25"))
    scan = reading.read(tmp_path / "scan")
    assert scan.image.GetOrigin() == pytest.approx((-7.25, 12.5, 100.0))
    assert codes(scan) == ["decimal-commas"]


@pytest.mark.parametrize("text", [b"0.8,0.8", b"0,,8\\1", b"oh\\dear", b"       "])
def test_places_that_cannot_be_read_are_named(tmp_path, text):
    (tmp_path / "scan").mkdir()
    for index, dataset in enumerate(ct_slices(PixelSpacing=[0.75, 0.75])):
        data = file_bytes(dataset)
        place = data.index(b"0.75\\0.75")
        size = len(b"0.75\\0.75 ")
        (tmp_path / "scan" / f"{index}").write_bytes(data[:place] + text.ljust(size) + data[place + size :])
    refused(tmp_path / "scan", "no-positions", "Pixel Spacing")


@pytest.mark.parametrize("text", [b" 0.75\\0.75", b"0.75\\0.75\0", b"+.75\\7.5E-1", b"0.75 \\ .75"])
def test_numbers_with_blanks_nulls_and_signs_are_numbers(tmp_path, text):
    (tmp_path / "scan").mkdir()
    for index, dataset in enumerate(ct_slices(PixelSpacing=["0.75000", "0.75000"])):
        data = file_bytes(dataset)
        place, size = data.index(b"0.75000\\0.75000"), len(b"0.75000\\0.75000 ")
        padded = text.ljust(size, text[-1:] if text.endswith(b"\0") else b" ")
        (tmp_path / "scan" / f"{index}").write_bytes(data[:place] + padded + data[place + size :])
    assert reading.read(tmp_path / "scan").image.GetSpacing()[:2] == pytest.approx((0.75, 0.75))


# Temporary files


@pytest.fixture(params=["decoder", "zip"])
def needs_temporary_files(request, write_ct, tmp_path) -> Path:
    if request.param == "decoder":
        return save([compressed(dataset, "JPEG2000", tmp_path) for dataset in ct_slices()], tmp_path / "scan")
    folder, path = write_ct(), tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_for_temporary_files_is_called_that(needs_temporary_files, tmp_path, monkeypatch):
    """Whatever is written there is written to a disk that is full."""
    private = tmp_path / "private"
    (private).mkdir()

    def full_folder(**_: object) -> str:
        for name in ("frame.dcm", *(f"{number:06d}" for number in range(9))):
            (private / name).unlink(missing_ok=True)
            (private / name).symlink_to(FULL)
        return str(private)

    monkeypatch.setattr("tempfile.mkdtemp", full_folder)
    with pytest.raises(OutputError, match="disk for temporary files is full") as caught:
        reading.read(needs_temporary_files)
    assert (caught.value.code, caught.value.exit_code) == ("disk-full", 4)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_folder_for_temporary_files_that_cannot_be_written_is_called_that(needs_temporary_files, monkeypatch, number):
    def refuse(**_: object) -> str:
        raise OSError(number, "no")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="No temporary file can be written") as caught:
        reading.read(needs_temporary_files)
    assert caught.value.code == "cannot-write"
