"""A volume that another program made is held against the files that it was made of."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import PIXEL_MM, ct_slices, head, save

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading import Origin

SHAPE = (16, 40, 44)


@pytest.fixture
def series(tmp_path) -> Path:
    return save(ct_slices(head(SHAPE)), tmp_path / "series")


def files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir()))


def read(image: sitk.Image, folder: Path, origin: Origin, **asked):
    path = folder / "scan.nrrd"
    sitk.WriteImage(image, str(path))
    return reading.read(path, origin=origin, **asked)


def what_differs(scan) -> str:
    return dict(scan.warnings).get("other-than-files", "")


def test_a_volume_of_all_slices_differs_in_nothing_whatever_the_order_of_its_axes(series, tmp_path):
    image = reading.read(series).image
    for one in (image, sitk.Flip(image, (False, False, True)), sitk.PermuteAxes(image, (2, 0, 1))):
        scan = read(one, tmp_path, Origin(files=files(series)))
        assert scan.warnings == ()
        assert scan.acquisition.file_format == "DICOM"
        assert scan.planes.normal.tolist() == [0, 0, 1]


def test_padding_and_air_that_a_transform_adds_are_no_difference(series, tmp_path):
    image = reading.read(series).image
    raw = sitk.Cast(image, sitk.sitkInt32)
    raw[0, 0, :] = -3024
    assert what_differs(read(raw, tmp_path, Origin(files=files(series)))) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: image[:, :, ::2], "it has 44 x 40 x 8 voxels of 0.80 x 0.80 x 2.00 mm, they have 44 x 40 x 16"),
        (lambda image: image[:, :, :12], "it lacks 25 % of what is not air"),
        (lambda image: sitk.Resample(image, [88, 40, 16], sitk.Transform(), sitk.sitkLinear, image.GetOrigin(),
            [PIXEL_MM / 2, PIXEL_MM, 1.0]), "it has 88 x 40 x 16"),
        (lambda image: moved(image, (0.0, 3.0, 0.0)), "it lies up to 3.0 mm elsewhere"),
        (lambda image: mirrored(image), "of its values are others"),
        (lambda image: image + 2, ""),
        (lambda image: image * 2, "of its values are others"),
    ],
)  # fmt: skip
def test_a_volume_that_is_not_what_its_files_hold_is_told_of(series, tmp_path, change, said):
    scan = read(change(reading.read(series).image), tmp_path, Origin(files=files(series)), grey_values=True)
    assert said in what_differs(scan)
    assert bool(said) == bool(what_differs(scan))


def moved(image: sitk.Image, by_mm) -> sitk.Image:
    other = sitk.Image(image)
    other.SetOrigin(np.add(image.GetOrigin(), by_mm).tolist())
    return other


def mirrored(image: sitk.Image) -> sitk.Image:
    """Left and right exchanged in the same places."""
    other = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, :, ::-1].copy())
    other.CopyInformation(image)
    return other


def test_slices_that_were_dropped_are_told_of_where_their_files_are_known(series, tmp_path):
    image = reading.read(series).image[:, :, :12]
    by_place = tuple(sorted(files(series), key=lambda path: int(path.name[1:])))
    scan = read(image, tmp_path, Origin(files=by_place[:12], beside=by_place[12:]))
    assert "it lacks 25 %" in what_differs(scan)


def test_what_reading_warns_of_comes_with_the_volume(tmp_path):
    slices = ct_slices(head(SHAPE))
    del slices[7]
    series = save(slices, tmp_path / "series")
    image = reading.read(series).image
    scan = read(image, tmp_path, Origin(files=files(series)))
    assert [code for code, _ in scan.warnings] == ["missing-slices"]


def test_other_acquisitions_of_the_series_are_left_out_and_counted(tmp_path):
    first = ct_slices(head(SHAPE), AcquisitionNumber=1)
    second = ct_slices(head(SHAPE, 2), AcquisitionNumber=2)
    for number, item in enumerate(second):
        item.SOPInstanceUID = f"1.2.826.9.{number}"
    own = save(second, tmp_path / "second")
    image = reading.read(own).image
    beside = files(save(first, tmp_path / "first"))
    scan = read(image, tmp_path, Origin(files=files(own), beside=beside))
    assert what_differs(scan) == ""
    assert "16" in dict(scan.warnings)["left-out"]
    with pytest.raises(InputError) as refused:
        read(image, tmp_path, Origin(files=(*files(own), *beside)))
    assert refused.value.code == "time-series"


def test_a_unit_that_is_not_hu_is_refused_and_can_be_insisted_on(tmp_path):
    series = save(ct_slices(head(SHAPE), RescaleType="MGML"), tmp_path / "series")
    image = reading.read(series, grey_values=True).image
    with pytest.raises(InputError) as refused:
        read(image, tmp_path, Origin(files=files(series)))
    assert refused.value.code == "not-hu"
    insisted = read(image, tmp_path, Origin(files=files(series)), grey_values=True)
    assert [code for code, _ in insisted.warnings] == ["grey-values"]


def test_a_file_whose_header_contradicts_itself_is_refused_until_a_part_is_chosen(series, tmp_path):
    image = reading.read(series).image
    sitk.WriteImage(image, str(tmp_path / "file.nrrd"))
    lying = tmp_path / "lying.nrrd"
    lying.write_bytes((tmp_path / "file.nrrd").read_bytes().replace(b"\nkinds:", b"\nspacings: 2 2 2\nkinds:", 1))
    with pytest.raises(InputError) as refused:
        read(image, tmp_path, Origin(files=(lying,)))
    assert refused.value.code == "inconsistent"
    chosen = read(image, tmp_path, Origin(files=(lying,)), header="directions")
    assert [code for code, _ in chosen.warnings] == ["header-chosen"]
    other = read(image, tmp_path, Origin(files=(lying,)), header="spacings")
    assert "they have 44 x 40 x 16 voxels of 2.00 x 2.00 x 2.00 mm" in what_differs(other)


def test_without_its_files_a_volume_keeps_what_was_said_of_them(series, tmp_path):
    scan = reading.read(series)
    kept = (("left-out", "One of them was left out."),)
    found = read(scan.image, tmp_path, Origin(acquisition=scan.acquisition, warnings=kept))
    assert found.warnings == kept
    assert found.acquisition == scan.acquisition
