"""Which series of an input is meant, and which images belong to one stack: nothing is woven or left out silently."""

from copy import deepcopy
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import AXIAL, ct_slices, enhanced, head, save
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.monitoring import OF_READING
from OrbitalSegLib.reading import dicom, stacking
from OrbitalSegLib.reading.headers import Header, Rescale, Slice

SLICES = 24
SHAPE = (SLICES, 20, 24)


def slices(**changes):
    return ct_slices(head(SHAPE), **changes)


def read(folder, series=None, **how):
    return reading.read(folder, series, **how)


def codes(scan) -> list[str]:
    return [code for code, _ in scan.warnings]


def text(scan, code: str) -> str:
    return next(text for said, text in scan.warnings if said == code)


def refused(folder, series=None, **how) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, series, **how)
    return caught.value


def as_it_is(tmp_path):
    return read(save(slices(), tmp_path / "as it is"))


def numbered(first: int):
    """Gives a second part of a series numbers and identifiers of its own."""

    def change(dataset, index):
        dataset.InstanceNumber = first + index
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.9.{first + index}"

    return change


def along_z(first_mm: float, count: int, distance_mm: float = 1.0, x_mm: float = -7.25):
    return [(x_mm, 12.5, first_mm + index * distance_mm) for index in range(count)]


# ---------------------------------------------------------------------------------------------------------------------
# Which scan


def two_studies(tmp_path, **second):
    one = slices(series="1.2.826.7", StudyInstanceUID="1.5", StudyDate="20240101", SeriesNumber=3)
    values = {"series": "1.2.826.3", "StudyInstanceUID": "1.4", "StudyDate": "20240301", "SeriesNumber": 3} | second
    save(one, tmp_path / "both" / "one")
    return save(slices(**values), tmp_path / "both" / "two").parent


@pytest.mark.parametrize(("second", "code"), [({}, "several-studies"), ({"PatientID": "other"}, "several-patients")])
def test_of_several_studies_or_patients_none_is_taken_unless_it_is_named(tmp_path, second, code):
    folder = two_studies(tmp_path, **second)
    error = refused(folder)
    assert error.code == code
    assert "A3 (2024-01-01, 24 slices" in error.text
    assert "B3 (2024-03-01, 24 slices" in error.text
    scan = read(folder, "B3")
    assert scan.measured["series_name"] == "B3"
    assert codes(scan) == [code]
    assert OF_READING[code] == "check"


def test_a_number_that_two_studies_have_is_refused_with_both(tmp_path):
    error = refused(two_studies(tmp_path), "3")
    assert error.code == "ambiguous-series"
    assert "A3" in error.text
    assert "B3" in error.text


def test_names_go_by_date_and_not_by_identifiers(tmp_path):
    found = dicom.list_series(two_studies(tmp_path))
    assert {item.name: item.study.date for item in found} == {"A3": "20240101", "B3": "20240301"}
    later_first = two_studies(tmp_path / "turned", StudyInstanceUID="1.9", series="1.2.826.9")
    assert {item.name: item.study.date for item in dicom.list_series(later_first)} == {
        "A3": "20240101",
        "B3": "20240301",
    }


def test_two_series_of_one_number_in_a_study_have_names_of_their_own(tmp_path):
    save(slices(series="1.2.826.7"), tmp_path / "both" / "one")
    save(slices(series="1.2.826.8", SeriesDescription="AGAIN"), tmp_path / "both" / "two")
    names = {item.name for item in dicom.list_series(tmp_path / "both")}
    assert names == {"A2.1", "A2.2"} or names == {"A2", "A2.2"}
    assert refused(tmp_path / "both", "2").code == "ambiguous-series"
    for name in names - {"A2"}:
        assert read(tmp_path / "both", name).measured["series_name"] == name


def test_patients_without_a_study_are_told_apart_too(tmp_path):
    save(slices(series="1.2.826.7", StudyInstanceUID=None), tmp_path / "both" / "one")
    other = slices(series="1.2.826.8", StudyInstanceUID=None, PatientName="Somebody^Else", PatientID=None)
    assert refused(save(other, tmp_path / "both" / "two").parent).code == "several-patients"


NOBODY = {"PatientName": "", "PatientID": "", "PatientBirthDate": ""}


@pytest.mark.parametrize("other", [NOBODY, {"PatientName": "ANON"}, {"PatientID": "4711"}, {"PatientName": None}])
@pytest.mark.parametrize("which", [slice(1, None, 2), slice(0, 5), slice(3, 4)], ids=str)
def test_a_series_is_one_patients_though_half_of_it_lost_the_name(tmp_path, which, other):
    def change(dataset, index):
        if index in range(SLICES)[which]:
            for keyword, value in other.items():
                setattr(dataset, keyword, value)
            if None in other.values():
                del dataset.PatientName

    scan = read(save(slices(change=change), tmp_path / "scan"))
    assert codes(scan) == ["patient-unclear"]
    assert OF_READING["patient-unclear"] == "check"
    assert (reading_array(scan) == reading_array(as_it_is(tmp_path))).all()


def test_a_series_without_a_name_in_a_patients_study_is_that_patients(tmp_path):
    save(slices(series="1.2.826.7", SeriesNumber=3), tmp_path / "both" / "one")
    thick = slices(series="1.2.826.8", SeriesNumber=4, distance=1.2, **NOBODY)
    scan = read(save(thick, tmp_path / "both" / "two").parent)
    assert scan.measured["series_name"] == "A3"
    assert codes(scan) == ["patient-unclear"]


def test_two_named_patients_in_one_study_stay_two(tmp_path):
    save(slices(series="1.2.826.7"), tmp_path / "both" / "one")
    save(slices(series="1.2.826.8", PatientID="other"), tmp_path / "both" / "two")
    save(slices(series="1.2.826.9", **NOBODY), tmp_path / "both" / "three")
    assert refused(tmp_path / "both").code == "several-patients"


def test_a_page_without_a_name_is_still_left_out_as_a_page(tmp_path):
    original = slices()
    scan = read(save([*original, page(original[0], **NOBODY)], tmp_path / "scan"))
    assert codes(scan) == ["patient-unclear", "left-out"]
    assert "1 × a screen capture or report page" in text(scan, "left-out")


def test_nobody_is_named(tmp_path):
    folder = two_studies(tmp_path, PatientID="hidden-7", PatientName="Hidden^Person", PatientBirthDate="19700101")
    said = refused(folder).text + repr(dicom.list_series(folder))
    assert "idden" not in said
    assert "19700101" not in said


# ---------------------------------------------------------------------------------------------------------------------
# Angles and pixel sizes


def every_second(keyword: str, value):
    def change(dataset, index):
        if index % 2:
            setattr(dataset, keyword, value)

    return change


def turned(degrees: float) -> list[float]:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [round(float(v), 6) for v in (cos, sin, 0, -sin, cos, 0)]


@pytest.mark.parametrize("degrees", [0.01, 0.086, 0.4])
def test_slices_that_differ_by_rounding_stay_together(tmp_path, degrees):
    scan = read(save(slices(change=every_second("ImageOrientationPatient", turned(degrees))), tmp_path / "scan"))
    assert scan.image.GetSize()[2] == SLICES
    assert scan.image.GetSpacing()[2] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("keyword", "value", "why"),
    [
        ("ImageOrientationPatient", turned(3), "at another angle"),
        ("PixelSpacing", [0.7, 0.7], "with another pixel size"),
        ("ConvolutionKernel", "H60", "with another kernel"),
    ],
)
def test_slices_that_really_differ_are_left_out_and_said(tmp_path, keyword, value, why):
    def change(dataset, index):
        if index >= SLICES - 4:
            setattr(dataset, keyword, value)

    scan = read(save(slices(change=change), tmp_path / "scan"))
    assert scan.image.GetSize()[2] == SLICES - 4
    assert f"4 × {why}" in text(scan, "left-out")


# ---------------------------------------------------------------------------------------------------------------------
# Acquisitions


def test_two_acquisitions_of_the_same_places_are_not_woven_into_one_stack(tmp_path):
    first = slices(AcquisitionNumber=1)
    second = slices(AcquisitionNumber=2, positions=along_z(100.45, SLICES, x_mm=-3.05), change=numbered(100))
    folder = save(first + second, tmp_path / "scan")
    error = refused(folder)
    assert error.code == "time-series"
    assert "A2.1 (" in error.text
    assert "A2.2 (" in error.text
    for name in ("A2.1", "A2.2"):
        scan = read(folder, name)
        assert scan.image.GetSize()[2] == SLICES
        assert "24 × of another acquisition" in text(scan, "left-out")


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionTime", ("101500", "121500")),
        ("TriggerTime", (0, 450)),
        ("NominalPercentageOfCardiacPhase", (40, 70)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("KVP", (80, 140)),
    ],
)
def test_phases_and_energies_are_told_apart_by_whatever_says_so(tmp_path, keyword, values):
    first = slices(**{keyword: values[0]})
    second = slices(positions=along_z(100.5, SLICES), change=numbered(100), **{keyword: values[1]})
    error = refused(save(first + second, tmp_path / "scan"))
    assert error.code == "time-series"


def test_a_stack_of_which_only_the_numbers_say_that_the_table_turned_back(tmp_path):
    second = slices(positions=along_z(100.5, SLICES), change=numbered(100))
    assert refused(save(slices() + second, tmp_path / "scan")).code == "time-series"


def test_acquisitions_that_follow_each_other_stay_one_stack(tmp_path):
    expected = as_it_is(tmp_path)

    def change(dataset, index):
        dataset.AcquisitionNumber = 1 + index // 8
        dataset.AcquisitionTime = f"1015{index:02}"

    scan = read(save(slices(change=change), tmp_path / "scan"))
    assert scan.warnings == ()
    assert (reading_array(scan) == reading_array(expected)).all()


def test_an_acquisition_for_each_slice_stays_one_stack(tmp_path):
    scan = read(save(slices(change=lambda d, i: setattr(d, "AcquisitionNumber", i + 1)), tmp_path / "scan"))
    assert scan.image.GetSize()[2] == SLICES
    assert scan.warnings == ()


def at_depths(*depths_mm: float) -> list[Slice]:
    rescale = Rescale(1, 0, "HU", True)
    return [
        Slice(Path("x"), None, Header(), (0.0, 0.0, depth), AXIAL, (1.0, 1.0), (20, 24), rescale, index)
        for index, depth in enumerate(depths_mm)
    ]


def test_of_many_acquisitions_only_neighbours_are_compared(monkeypatch):
    compared = []

    def share(one, other, truly=stacking._share):
        compared.append(truly(one, other))
        return compared[-1]

    monkeypatch.setattr(stacking, "_share", share)
    assert len(stacking._apart([at_depths(0.5 * index) for index in range(1000)])) == 1
    assert len(compared) == 0


@given(st.lists(st.lists(st.integers(0, 12).map(float), min_size=1, max_size=5, unique=True), min_size=1, max_size=8))
def test_no_part_holds_two_acquisitions_of_the_same_places(depths):
    groups = [at_depths(*places) for places in depths]
    whose = {id(item): index for index, group in enumerate(groups) for item in group}
    parts = [sorted({whose[id(item)] for item in part}) for part in stacking._apart(groups)]
    assert sorted(index for part in parts for index in part) == list(range(len(groups)))

    def share(one: int, other: int) -> bool:
        return stacking._share(*(np.sort(np.array(depths[index])) for index in (one, other)))

    for index, part in enumerate(parts):
        assert not any(share(one, other) for one, other in combinations(part, 2))
        for earlier in parts[:index]:  # and none is one more than there have to be
            assert any(share(part[0], other) for other in earlier if other < part[0])


def reading_array(scan):
    return sitk.GetArrayFromImage(scan.image)


# ---------------------------------------------------------------------------------------------------------------------
# What bears the series' UID and is no slice


def page(like, **changes):
    dataset = deepcopy(like)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    for keyword in ("RescaleIntercept", "RescaleSlope"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.99"
    dataset.ImageType, dataset.InstanceNumber = ["DERIVED", "SECONDARY"], 999
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    count = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    dataset.PixelData = bytes(count)
    return dataset


RGB = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "1 × a screen capture or report page"),
        ({"Rows": 64, "Columns": 64}, "1 × a screen capture or report page"),
        ({**RGB, **EIGHT_BITS}, "1 × a colour page"),
        ({"SOPClassUID": uid.CTImageStorage, **EIGHT_BITS}, "1 × "),
    ],
)
def test_a_page_in_the_series_is_no_damaged_slice(tmp_path, changes, why):
    original = slices()
    scan = read(save([*original, page(original[0], **changes)], tmp_path / "scan"))
    assert (reading_array(scan) == reading_array(as_it_is(tmp_path))).all()
    assert why in text(scan, "left-out")


def test_a_localizer_with_places_in_the_series_is_left_out_and_said(tmp_path):
    scout = slices(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], change=numbered(200))[:1]
    scan = read(save(slices() + scout, tmp_path / "scan"))
    assert "1 × a localizer" in text(scan, "left-out")
    assert scan.image.GetSize()[2] == SLICES


def test_all_frames_in_one_classic_object_are_refused_with_their_number(tmp_path):
    whole = slices()[0]
    whole.NumberOfFrames, whole.PixelData = SLICES, head(SHAPE).tobytes()
    error = refused(save([whole], tmp_path / "scan"))
    assert error.code == "no-positions"
    assert "24 frames" in error.text


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
@pytest.mark.parametrize("changes", [{"RescaleSlope": 0}, {"RescaleSlope": -1}, {"RescaleIntercept": 1e9}])
@pytest.mark.parametrize("grey_values", [False, True])
def test_a_rescale_that_makes_no_sense_is_named_and_not_the_place(tmp_path, kind, changes, grey_values):
    whole = slices(change=lambda item, _: item.update(changes))
    if kind == "enhanced":
        whole = [enhanced(whole)]
    error = refused(save(whole, tmp_path / "scan"), grey_values=grey_values)
    assert error.code == "not-hu"
    assert "Rescale Slope" in error.text


def test_a_number_of_frames_that_no_header_has_room_for_says_nothing():
    header = Header()
    header.add_new("NumberOfFrames", "UT", "9" * 5000)
    assert header.frames == 1


# ---------------------------------------------------------------------------------------------------------------------
# Lost slices and rounded positions


@pytest.mark.parametrize("lost", [(11, 12), (7,), (5, 9)])
def test_lost_slices_are_named_by_their_numbers(tmp_path, lost):
    kept = [item for item in slices() if item.InstanceNumber not in lost]
    scan = read(save(kept, tmp_path / "scan"))
    said = text(scan, "missing-slices")
    assert all(str(number) in said for number in lost), said
    assert "resampled" not in codes(scan)
    assert scan.image.GetSize()[2] == SLICES


@pytest.mark.parametrize("distance", [0.9, 0.625, 1.2])
def test_positions_rounded_to_mm_are_put_back_by_the_slice_locations(tmp_path, distance):
    def change(dataset, _index):
        x, y, z = dataset.ImagePositionPatient
        dataset.SliceLocation = float(z)
        dataset.ImagePositionPatient = [round(x), round(y), round(z)]

    scan = read(save(slices(distance=distance, change=change), tmp_path / "scan"))
    assert scan.image.GetSize()[2] == SLICES
    assert scan.image.GetSpacing()[2] == pytest.approx(distance, abs=0.02)
    assert "rounded-positions" in codes(scan)
    assert "duplicates" not in codes(scan)


def test_positions_rounded_to_mm_are_put_back_by_the_numbers(tmp_path):
    def change(dataset, _index):
        dataset.ImagePositionPatient = [round(v) for v in dataset.ImagePositionPatient]

    scan = read(save(slices(distance=0.7, change=change), tmp_path / "scan"))
    assert scan.image.GetSize()[2] == SLICES
    assert scan.image.GetSpacing()[2] == pytest.approx(0.7, abs=0.03)
    assert "their numbers" in text(scan, "rounded-positions")


def test_rounded_positions_that_nothing_explains_are_refused(tmp_path):
    def change(dataset, _index):
        dataset.ImagePositionPatient = [round(v) for v in dataset.ImagePositionPatient]
        dataset.InstanceNumber = 1

    assert refused(save(slices(distance=0.6, change=change), tmp_path / "scan")).code == "inconsistent"


def rounded(dataset, _index):
    dataset.ImagePositionPatient = [round(v) for v in dataset.ImagePositionPatient]


def few(tmp_path, count: int, distance: float, change=rounded, **changes):
    return save(ct_slices(head((count, 20, 24)), distance=distance, change=change, **changes), tmp_path / "few")


@pytest.mark.parametrize("keyword", ["SliceThickness", "SpacingBetweenSlices"])
@pytest.mark.parametrize(("count", "distance"), [(5, 0.5), (6, 0.6), (8, 0.7), (9, 0.8), (20, 0.9)])
def test_a_few_slices_that_share_places_are_put_back_by_the_distance_that_is_stated(tmp_path, keyword, count, distance):
    scan = read(few(tmp_path, count, distance, **{"SliceThickness": 2.0, keyword: distance}))
    assert scan.image.GetSize()[2] == count
    assert scan.image.GetSpacing()[2] == pytest.approx(distance, abs=1e-4)
    assert "the distance that the headers state" in text(scan, "rounded-positions")
    assert "duplicates" not in codes(scan)


@pytest.mark.parametrize(("count", "distance"), [(6, 0.6), (7, 0.7), (8, 0.8), (12, 0.9)])
def test_a_few_slices_that_share_places_for_no_stated_reason_are_refused_with_the_cause(tmp_path, count, distance):
    error = refused(few(tmp_path, count, distance, SliceThickness=2.0))
    assert error.code == "inconsistent"
    assert "share a place though their numbers go on" in error.text


@pytest.mark.parametrize(("count", "distance"), [(5, 0.8), (8, 0.9), (10, 0.9)])
def test_even_positions_are_held_against_slice_locations(tmp_path, count, distance):
    def change(dataset, index):
        dataset.SliceLocation = float(dataset.ImagePositionPatient[2])
        rounded(dataset, index)

    scan = read(few(tmp_path, count, distance, change))
    assert scan.image.GetSpacing()[2] == pytest.approx(distance, abs=1e-4)
    assert "rounded-positions" in codes(scan)


@pytest.mark.parametrize("number", [3, 25])
def test_a_slice_that_was_exported_twice_is_no_rounding(tmp_path, number):
    """The copy has an identifier of its own, and the number of the slice or one after all others."""
    original = slices(positions=along_z(100.0, SLICES, x_mm=-7.0), SpacingBetweenSlices=1.0)
    copy = deepcopy(original[2])
    copy.SOPInstanceUID, copy.InstanceNumber = "1.2.826.99", number
    scan = read(save([*original, copy], tmp_path / "scan"))
    assert codes(scan) == ["duplicates"]
    assert (reading_array(scan) == reading_array(as_it_is(tmp_path))).all()


def test_true_positions_in_whole_mm_are_nobodys_rounding(tmp_path):
    scan = read(save(slices(positions=along_z(100.0, SLICES, 2.0, x_mm=-7.0)), tmp_path / "scan"))
    assert scan.warnings == ()
