"""A volume file whose header contradicts itself is right, warned of, or refused: nothing is wrong silently."""

import itertools
import json
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import volume_files
from dicom_series import ct_slices, save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from volume_files import Stored, is_right, meta, nifti, nrrd, numbers, stored

from OrbitalSegLib import reading, worker
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.reading.frames import CHOICES
from OrbitalSegLib.record import SIDES_UNKNOWN
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

ORDERS = [
    (order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]
WRITERS: dict[str, Callable[..., Path]] = {"ct.nii": nifti, "ct.nrrd": nrrd, "ct.mha": meta}

MIRROR, BACKWARDS, UPSIDE_DOWN = (np.diag(signs) for signs in ((-1.0, 1, 1), (1, -1.0, 1), (1, 1, -1.0)))


def turned(degrees: float, axis: int = 2) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    a, b = [index for index in range(3) if index != axis]
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def outcome(path: Path, header: str | None = None) -> tuple[bool, list[str]]:
    """Whether left, right and size are right, and the codes of the warnings."""
    scan = reading.read(path, header=header)
    return is_right(scan.image), [code for code, _ in scan.warnings]


def refusal(path: Path, header: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        reading.read(path, header=header)
    assert caught.value.code == "inconsistent"
    return caught.value.text


# What agrees with itself


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("case", ORDERS, ids=str)
def test_every_order_of_axes_is_right_and_nothing_is_said(tmp_path, name, case):
    assert outcome(WRITERS[name](tmp_path / name, stored(*case))) == (True, [])


@pytest.mark.parametrize("seed", range(20))
def test_single_precision_is_no_contradiction(tmp_path, seed):
    """Quaternions of single precision turn a volume a little, worst near half a turn."""
    random = np.random.default_rng(seed)
    it = stored()
    axes = turned(180 + random.normal(0, 0.05), 0) @ turned(random.normal(0, 0.05), 1) @ it.axes_mm
    path = nifti(tmp_path / "ct.nii", Stored(it.voxels, axes, np.add(it.origin_mm, (0, 0, 1234.5678))))
    scan = reading.read(path)
    assert scan.warnings == ()
    assert np.allclose(np.reshape(scan.image.GetDirection(), (3, 3)), axes / it.spacing_mm, atol=1e-6)


@pytest.mark.parametrize("order", "<>")
def test_a_header_of_either_byte_order_is_read(tmp_path, order):
    assert outcome(nifti(tmp_path / "ct.nii", stored(), order)) == (True, [])


@pytest.mark.parametrize("dims", [(4, 16, 14, 12, 1, 1, 1, 1), (5, 16, 14, 12, 1, 1, 1, 1)])
def test_further_dimensions_of_one_are_none(tmp_path, dims):
    assert outcome(nifti(tmp_path / "ct.nii", stored(), dims=dims)) == (True, [])


def test_stored_values_are_scaled(tmp_path):
    it = stored()
    halved = Stored((it.voxels + 1000) // 2, it.axes_mm, it.origin_mm)
    scan = reading.read(nifti(tmp_path / "ct.nii", halved, slope=(2, -1000)))
    assert np.array_equal(sitk.GetArrayFromImage(scan.image).transpose(2, 1, 0), it.voxels)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha", "ct.mhd", "ct.nhdr"])
@pytest.mark.parametrize("seed", range(4))
def test_what_itk_writes_is_read_as_it_was(tmp_path, name, seed):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    image = sitk.GetImageFromArray(volume_files.head().transpose(2, 1, 0))
    image.SetSpacing(volume_files.SPACING_MM)
    image.SetOrigin(volume_files.ORIGIN_MM)
    image.SetDirection(rotation.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / name))
    scan = reading.read(tmp_path / name)
    assert scan.warnings == ()
    assert np.allclose(scan.image.GetDirection(), image.GetDirection(), atol=1e-6)
    assert np.allclose(scan.image.GetSpacing(), image.GetSpacing(), atol=1e-6)


def test_the_products_own_files_are_read_without_a_word(tmp_path):
    it = stored()
    mask = sitk.GetImageFromArray((it.voxels > 500).astype(np.uint8).transpose(2, 1, 0))
    mask.SetSpacing(volume_files.SPACING_MM)
    write_label_map(mask, tmp_path / "bone.nii.gz")
    write_segmentation({"bone": mask, "thin": mask}, tmp_path / "segmentation.seg.nrrd")
    sitk.WriteImage(mask, str(tmp_path / "probability-thin.nrrd"))
    heard: list[str] = []
    for name in ("bone.nii.gz", "segmentation.seg.nrrd", "probability-thin.nrrd"):
        read = read_segmentation(tmp_path / name, warn=lambda code, _text: heard.append(code))
        assert read.GetSpacing() == pytest.approx(volume_files.SPACING_MM)
    assert heard == []


# What is no number


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.nhdr", "ct.mha", "ct.mhd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("value", "taken"), [(np.nan, AIR_HU), (-np.inf, AIR_HU), (-1e30, AIR_HU), (np.inf, HIGHEST_HU), (1e7, HIGHEST_HU)]
)
def test_what_is_no_number_is_never_0_hu_and_is_said(tmp_path, name, dtype, value, taken):
    voxels = volume_files.head().transpose(2, 1, 0).astype(dtype)
    expected = voxels.copy()
    voxels[5, 4, 6], voxels[:, 0], expected[5, 4, 6], expected[:, 0] = value, value, taken, taken
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / name))
    scan = reading.read(tmp_path / name)
    assert np.array_equal(sitk.GetArrayFromImage(scan.image), expected)
    assert [text.partition(" what")[0] for code, text in scan.warnings if code == "not-a-number"] == [
        f"{1 + voxels[:, 0].size} voxels hold"
    ]


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz", "mask.nrrd", "mask.mha"])
def test_a_mask_with_what_is_no_number_is_none(tmp_path, name):
    mask = (volume_files.head() > 500).transpose(2, 1, 0).astype(np.float32)
    mask[5, 4, 6] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / name))
    with pytest.raises(InputError) as caught:
        read_segmentation(tmp_path / name)
    assert caught.value.code == "not-a-segmentation"


# NIfTI


def test_a_packed_file_is_not_mixed_up_with_its_unpacked_neighbour(tmp_path):
    """ITK takes the voxels of `ct.nii` for `ct.nii.gz`."""
    voxels = volume_files.head().transpose(2, 1, 0)
    for name, those in (("ct.nii.gz", voxels), ("ct.nii", np.where(voxels > 500, 40, voxels))):
        sitk.WriteImage(sitk.GetImageFromArray(those), str(tmp_path / name))
    assert sitk.GetArrayFromImage(reading.read(tmp_path / "ct.nii.gz").image).max() == 900


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
def test_every_kind_of_number_is_read(tmp_path, name, dtype):
    mask = (volume_files.head() > 500).transpose(2, 1, 0).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / name))
    assert np.array_equal(sitk.GetArrayFromImage(read_segmentation(tmp_path / name)), mask)


@pytest.mark.parametrize("lost", [1, 8, 100])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_file_that_lacks_its_last_bytes_is_cut_off(tmp_path, name, lost):
    sitk.WriteImage(sitk.GetImageFromArray(volume_files.head().transpose(2, 1, 0)), str(tmp_path / name))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-lost])
    with pytest.raises(InputError) as caught:
        reading.read(tmp_path / name)
    assert caught.value.code == "unreadable"


def test_voxels_that_lie_in_another_file_are_missed(tmp_path):
    path = nifti(tmp_path / "ct.nii", stored(), magic=b"ni1\0")
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 108, 0)
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        reading.read(path)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1), (1, 4), (3, 2)])
@pytest.mark.parametrize(
    "change",
    [
        MIRROR,
        BACKWARDS,
        UPSIDE_DOWN,
        turned(180),
        turned(90),
        2 * np.eye(3),
        np.diag([1, 1, 1.1]),
    ],
    ids=["left-right", "front-back", "top-bottom", "half turn", "quarter turn", "twice", "thicker"],
)
def test_qform_and_sform_of_other_sides_or_sizes_are_refused_and_can_be_chosen(tmp_path, codes, change):
    it = stored()
    text = refusal(nifti(tmp_path / "ct.nii", it, sform=change @ it.axes_mm, codes=codes))
    assert "qform" in text
    assert "sform" in text
    right, said = outcome(tmp_path / "ct.nii", "qform")
    assert right
    assert "header-chosen" in said
    assert outcome(tmp_path / "ct.nii", "sform")[0] is False
    nifti(tmp_path / "ct.nii", it, qform=change @ it.axes_mm, codes=codes)
    assert outcome(tmp_path / "ct.nii", "sform")[0]


def test_the_refusal_says_both_readings(tmp_path):
    it = stored()
    text = refusal(nifti(tmp_path / "ct.nii", it, sform=MIRROR @ it.axes_mm))
    assert "qform the axes run to the patient's left, back, head, with voxels of 1 x 1.25 x 1.5 mm" in text
    assert "sform the axes run to the patient's right, back, head" in text
    assert "`header`" in text


def test_a_small_turn_or_a_shift_is_decided_for_the_sform(tmp_path):
    it = stored()
    path = nifti(tmp_path / "ct.nii", it, qform=turned(10) @ it.axes_mm, codes=(1, 2))
    assert outcome(path) == (True, ["header-decided"])
    path = nifti(tmp_path / "ct.nii", it, sform_origin_mm=np.add(it.origin_mm, (0, 30, 0)))
    assert outcome(path) == (True, ["header-decided"])


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 0), (0, 2)])
def test_one_form_alone_is_enough_and_the_other_without_a_code_says_nothing(tmp_path, codes):
    it = stored()
    lie = {"sform": 3 * it.axes_mm} if codes[0] else {"quaternion": (0.5, 0.5, 0.5)}
    assert outcome(nifti(tmp_path / "ct.nii", it, codes=codes, **lie)) == (True, [])


def test_without_codes_the_orientation_is_unknown(tmp_path):
    assert outcome(nifti(tmp_path / "ct.nii", stored(), codes=(0, 0)))[1] == ["orientation-unknown"]


@pytest.mark.parametrize("codes", [(0, 3), (0, 4), (4, 0), (3, 4)])
def test_places_in_a_standard_brain_are_said(tmp_path, codes):
    assert outcome(nifti(tmp_path / "ct.nii", stored(), codes=codes))[1] == ["template-space"]


def test_the_sizes_of_an_sform_alone_are_held_against_pixdim(tmp_path):
    it = stored()
    path = nifti(tmp_path / "ct.nii", it, codes=(0, 1), pixdim=it.spacing_mm / 2)
    assert "pixdim" in refusal(path)
    assert outcome(path, "sform")[0]
    assert outcome(nifti(path, it, codes=(0, 1), sform=it.axes_mm / 2), "pixdim")[0]


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"qfac": 0.0, "codes": (1, 0)}, ["header-decided"]),
        ({"qfac": 3.0, "codes": (1, 0)}, ["header-decided"]),
        ({"quaternion": (3.0, 2.0, 1.0)}, ["header-decided"]),
        ({"pixdim": (-1.0, 1.25, 1.5)}, ["header-decided", "header-decided"]),
        ({"sform": np.zeros((3, 3))}, ["header-decided"]),
        ({"units": 0}, ["unit-unknown"]),
    ],
    ids=["qfac 0", "qfac 3", "no rotation", "negative size", "empty sform", "unit unknown"],
)
def test_what_the_standard_decides_is_right_and_said(tmp_path, lie, said):
    it = stored((0, 1, 2), (True, True, False))  # towards right, front and head, so that qfac is 1
    assert outcome(nifti(tmp_path / "ct.nii", it, **lie)) == (True, said)


@pytest.mark.parametrize(
    "lie",
    [
        {"quaternion": (3.0, 2.0, 1.0), "codes": (1, 0)},
        {"pixdim": (-1.0, 1.25, 1.5), "codes": (1, 0)},
        {"pixdim": (0.0, 1.25, 1.5), "codes": (0, 0)},
        {"sform": np.zeros((3, 3)), "codes": (0, 1)},
        {"sform": np.full((3, 3), np.nan), "codes": (0, 1)},
        {"units": 1, "pixdim": (100, 100, 100), "sform": 100 * np.eye(3)},
    ],
    ids=["no rotation", "negative size", "no size", "empty sform", "no numbers", "metres"],
)
def test_what_gives_no_places_is_refused(tmp_path, lie):
    refusal(nifti(tmp_path / "ct.nii", stored(), **lie))


@pytest.mark.parametrize(("unit", "mm"), [(1, 1000.0), (3, 0.001)])
def test_units_are_converted_and_a_wrong_one_is_refused(tmp_path, unit, mm):
    it = stored()
    true = Stored(it.voxels, it.axes_mm / mm, it.origin_mm / mm)
    assert outcome(nifti(tmp_path / "ct.nii", true, units=unit)) == (True, ["unit-converted"])
    path = nifti(tmp_path / "ct.nii", it, units=unit)
    assert "taken as mm" in refusal(path)
    assert outcome(path, "mm") == (True, ["header-chosen"])


@pytest.mark.parametrize("intent", [3, 1006, 2003])
def test_statistics_and_vectors_are_no_ct(tmp_path, intent):
    with pytest.raises(InputError) as caught:
        reading.read(nifti(tmp_path / "ct.nii", stored(), intent=intent))
    assert caught.value.code == "not-hu"


def test_a_sheared_sform_is_not_at_right_angles(tmp_path):
    it = stored()
    sheared = it.axes_mm.copy()
    sheared[0, 1] += 0.3
    sizes = np.linalg.norm(sheared, axis=0)
    assert "right angles" in refusal(nifti(tmp_path / "ct.nii", it, sform=sheared, pixdim=sizes, codes=(0, 1)))


# NRRD


@pytest.mark.parametrize("space", volume_files.SPACES)
@pytest.mark.parametrize("case", ORDERS[::7], ids=str)
def test_the_patients_spaces_are_converted(tmp_path, space, case):
    assert outcome(nrrd(tmp_path / "ct.nrrd", stored(*case), space)) == (True, [])


@pytest.mark.parametrize("space", ["3D-right-handed", "3D-left-handed", "scanner-xyz", None])
def test_a_space_that_names_no_side_is_said(tmp_path, space):
    assert outcome(nrrd(tmp_path / "ct.nrrd", stored(), space))[1] == ["orientation-unknown"]


@pytest.mark.parametrize("lines", [{"space": None}, {}], ids=["no space", "space"])
def test_spacings_without_directions_have_a_size_and_no_orientation(tmp_path, lines):
    path = nrrd(
        tmp_path / "ct.nrrd", stored(), space_directions=None, spacings="1 1.25 1.5", space_origin=None, **lines
    )
    assert outcome(path) == (True, ["orientation-unknown"])


def test_without_a_size_nothing_is_assumed(tmp_path):
    path = nrrd(tmp_path / "ct.nrrd", stored(), None, space_directions=None, space_origin=None)
    assert "how large a voxel is" in refusal(path)


@pytest.mark.parametrize(
    ("unit", "mm"), [("mm", 1.0), ("cm", 10.0), ("m", 1000.0), ("um", 1e-3), ("inches", 25.4), ("Millimeters", 1.0)]
)
def test_space_units_are_converted(tmp_path, unit, mm):
    path = nrrd(tmp_path / "ct.nrrd", stored(), mm=mm, space_units=f'"{unit}" "{unit}" "{unit}"')
    assert outcome(path) == (True, [] if mm == 1 else ["unit-converted"])


@pytest.mark.parametrize("units", ['"parsec" "parsec" "parsec"', '"m" "m" "m"', '"mm" "mm" "cm"'])
def test_units_that_cannot_be_are_refused(tmp_path, units):
    refusal(nrrd(tmp_path / "ct.nrrd", stored(), space_units=units))


def test_directions_are_held_against_spacings(tmp_path):
    assert outcome(nrrd(tmp_path / "ct.nrrd", stored(), spacings="1 1.25 1.5")) == (True, [])
    path = nrrd(tmp_path / "ct.nrrd", stored(), spacings="0.5 1.25 1.5")
    text = refusal(path)
    assert "space directions" in text
    assert "spacings" in text
    assert outcome(path, "directions") == (True, ["header-chosen"])
    wrong = Stored(stored().voxels, stored().axes_mm * 2, np.zeros(3))
    assert outcome(nrrd(path, wrong, spacings="1 1.25 1.5"), "spacings") == (True, ["header-chosen"])


@pytest.mark.parametrize("kinds", [None, "domain domain domain domain", "list domain domain domain"])
@pytest.mark.parametrize("last", [False, True])
def test_an_axis_without_a_direction_is_none_of_space(tmp_path, kinds, last):
    if last and kinds and kinds.startswith("list"):
        kinds = "domain domain domain list"
    vectors = ["(1,0,0)", "(0,1.25,0)", "(0,0,1.5)"]
    directions, sizes = ([*vectors, "none"], "16 14 12 1") if last else (["none", *vectors], "1 16 14 12")
    lines = {"dimension": "4", "sizes": sizes, "space_directions": " ".join(directions), "kinds": kinds}
    assert outcome(nrrd(tmp_path / "ct.nrrd", stored(), **lines)) == (True, [])


def test_an_axis_of_space_without_a_direction_is_refused(tmp_path):
    refusal(nrrd(tmp_path / "ct.nrrd", stored(), space_directions="(1,0,0) (0,1.25,0) none"))


def test_a_measurement_frame_is_of_no_concern(tmp_path):
    path = nrrd(tmp_path / "ct.nrrd", stored(), measurement_frame="(0,1,0) (-1,0,0) (0,0,1)")
    assert outcome(path) == (True, [])


@pytest.mark.parametrize("name", ["ct.nhdr", "ct.mhd"])
def test_a_header_without_its_data_says_so(tmp_path, name):
    image = sitk.GetImageFromArray(volume_files.head())
    sitk.WriteImage(image, str(tmp_path / name))
    for path in tmp_path.iterdir():
        if path.name != name:
            path.unlink()
    with pytest.raises(InputError) as caught:
        reading.read(tmp_path / name)
    assert caught.value.code == "unreadable"
    assert "header only" in caught.value.text


def test_a_detached_header_is_repaired_too(tmp_path):
    it = stored()
    (tmp_path / "ct.raw").write_bytes(it.voxels.tobytes(order="F"))
    path = nrrd(tmp_path / "ct.nhdr", it, spacings="1 1.25 1.5", data_file="ct.raw")
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n")
    assert outcome(path) == (True, [])
    assert sorted(item.name for item in tmp_path.iterdir()) == ["ct.nhdr", "ct.raw"]


# MetaImage


def test_a_volume_without_a_matrix_has_no_orientation(tmp_path):
    path = meta(tmp_path / "ct.mha", stored(), TransformMatrix=None, AnatomicalOrientation=None)
    assert outcome(path)[1] == ["orientation-unknown"]
    assert outcome(meta(path, stored(), TransformMatrix=None, AnatomicalOrientation="???"))[1] == [
        "orientation-unknown"
    ]


@pytest.mark.parametrize("letters", ["LAI", "RPI", "RAS", "ASL"])
def test_letters_that_contradict_the_matrix_are_refused_and_can_be_chosen(tmp_path, letters):
    path = meta(tmp_path / "ct.mha", stored(), AnatomicalOrientation=letters)
    assert "AnatomicalOrientation" in refusal(path)
    assert outcome(path, "TransformMatrix") == (True, ["header-chosen"])
    assert outcome(path, "AnatomicalOrientation")[0] is False
    wrong = meta(path, stored(), TransformMatrix="-1 0 0 0 1 0 0 0 1")
    assert outcome(wrong, "AnatomicalOrientation") == (True, ["header-chosen"])


def test_letters_for_where_axes_run_to_are_said(tmp_path):
    assert outcome(meta(tmp_path / "ct.mha", stored(), AnatomicalOrientation="LPS")) == (True, ["header-decided"])


@pytest.mark.parametrize(
    ("names", "other"),
    [
        (("TransformMatrix", "Orientation"), "-1 0 0 0 1 0 0 0 1"),
        (("TransformMatrix", "Rotation"), "0 1 0 1 0 0 0 0 1"),
        (("Offset", "Origin"), "1 2 3"),
        (("Offset", "Position"), "1 2 3"),
    ],
)
def test_names_of_one_meaning_must_agree(tmp_path, names, other):
    path = meta(tmp_path / "ct.mha", stored(), f"{names[1]} = {other}")
    text = refusal(path)
    assert all(name in text for name in names)
    assert outcome(path, names[0]) == (True, ["header-chosen"])
    assert outcome(meta(path, stored(), f"ElementSpacing = {numbers(volume_files.SPACING_MM)}")) == (True, [])
    refusal(meta(path, stored(), "ElementSpacing = 1 1 1"))


def test_names_of_one_meaning_stand_for_each_other(tmp_path):
    it = stored((1, 0, 2), (True, False, True))
    for name in ("Orientation", "Rotation"):
        path = meta(tmp_path / "ct.mha", it, TransformMatrix=None, **{name: numbers(it.directions.T.ravel())})
        assert outcome(path) == (True, [])


def test_the_size_of_an_element_is_not_its_distance(tmp_path):
    path = meta(tmp_path / "ct.mha", stored(), ElementSize="1 1.25 3")
    assert outcome(path) == (True, ["header-decided"])
    path = meta(path, stored(), ElementSpacing=None, ElementSize="1 1.25 1.5")
    assert outcome(path) == (True, ["header-decided"])
    assert "how large" in refusal(meta(path, stored(), ElementSpacing=None))
    assert "how large" in refusal(meta(path, stored(), ElementSpacing="-1 1.25 1.5"))


def test_a_matrix_that_scales_is_refused(tmp_path):
    path = meta(tmp_path / "ct.mha", stored(), TransformMatrix="2 0 0 0 2 0 0 0 2")
    refusal(path)
    assert outcome(path, "ElementSpacing") == (True, ["header-chosen"])


@pytest.mark.parametrize(("unit", "mm"), [("cm", 10.0), ("um", 1e-3), ("mm", 1.0), ("?", 1.0)])
def test_the_unit_of_a_metaimage_is_converted(tmp_path, unit, mm):
    path = meta(tmp_path / "ct.mha", stored(), DistanceUnits=unit, mm=mm)
    assert outcome(path) == (True, [] if mm == 1 else ["unit-converted"])


def test_names_in_other_capitals_are_the_same(tmp_path):
    spacing = numbers(volume_files.SPACING_MM)
    assert outcome(meta(tmp_path / "ct.mha", stored(), ElementSpacing=None, elementspacing=spacing)) == (True, [])


# Masks


@pytest.mark.parametrize("dtype", ["f8", "u1"])
def test_a_mask_of_whole_numbers_is_a_mask_in_whatever_type(tmp_path, dtype):
    it = stored()
    mask = Stored((it.voxels > 500).astype(np.uint8), it.axes_mm, it.origin_mm)
    read = read_segmentation(nifti(tmp_path / "bone.nii", mask, dtype=dtype))
    assert sitk.GetArrayFromImage(read).sum() == mask.voxels.sum()


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -1.0])
def test_a_mask_of_other_numbers_is_none(tmp_path, value):
    voxels = (volume_files.head() > 500).astype(float)
    voxels[0, 0, 0] = value
    path = tmp_path / "bone.mha"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    with pytest.raises(InputError) as caught:
        read_segmentation(path)
    assert caught.value.code == "not-a-segmentation"


def test_a_masks_header_is_held_against_itself_too(tmp_path):
    it = stored()
    mask = Stored((it.voxels > 500).astype(np.int16), it.axes_mm, it.origin_mm)
    path = nifti(tmp_path / "bone.nii", mask, sform=MIRROR @ it.axes_mm)
    with pytest.raises(InputError) as caught:
        read_segmentation(path)
    assert caught.value.code == "inconsistent"
    heard: list[str] = []
    read_segmentation(path, header="qform", warn=lambda code, _text: heard.append(code))
    assert heard == ["header-chosen"]


# Drawn at random

CODES = st.integers(0, 4)
FACTORS = st.sampled_from([0.5, 0.9, 1.1, 2.0, 10.0])
CHANGES = st.one_of(
    st.sampled_from([MIRROR, BACKWARDS, UPSIDE_DOWN, -np.eye(3)]),
    st.builds(turned, st.sampled_from([0.2, 5, 30, 60, 90, 180]), st.integers(0, 2)),
    FACTORS.map(lambda factor: np.diag([factor, 1, 1])),
    FACTORS.map(lambda factor: factor * np.eye(3)),
)
LETTERS = st.permutations(["RL", "AP", "IS"]).flatmap(
    lambda pairs: st.tuples(*map(st.sampled_from, pairs)).map("".join)
)
UNITS = st.sampled_from(["mm", "cm", "m", "um", "inches", "", "furlong"])


@st.composite
def lies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A format, and what of its header lies: by its name, as the writers take it. Some lie in nothing."""
    kind = draw(st.sampled_from(["nifti", "nrrd", "meta", "dicom"]))
    if kind == "nifti":
        fields = {
            "sform": CHANGES,
            "qform": CHANGES,
            "codes": st.tuples(CODES, CODES),
            "pixdim": FACTORS,
            "qfac": st.sampled_from([0.0, -1.0, 1.0, 2.0, -3.0]),
            "units": st.integers(0, 4),
            "quaternion": st.tuples(*[st.sampled_from([0.0, 0.5, -0.7, 1.0, 2.0])] * 3),
        }
    elif kind == "nrrd":
        fields = {
            "space": st.sampled_from([*volume_files.SPACES, "3D-right-handed", "3D-left-handed", "scanner-xyz"]),
            "spacings": FACTORS,
            "space_units": UNITS,
            "space_directions": st.none(),
            "kinds": st.sampled_from(["space space space", "domain domain domain"]),
        }
    elif kind == "meta":
        fields = {
            "AnatomicalOrientation": LETTERS,
            "TransformMatrix": st.none(),
            "Orientation": CHANGES,
            "ElementSize": FACTORS,
            "ElementSpacing": st.none(),
            "DistanceUnits": UNITS,
            "Origin": st.just("1 2 3"),
        }
    else:
        fields = {
            "PatientPosition": st.sampled_from(["HFS", "FFS", "HFP", "FFP", "HFDR"]),
            "ImagerPixelSpacing": FACTORS,
            "SpacingBetweenSlices": FACTORS,
            "SliceThickness": FACTORS,
            "SliceLocation": st.sampled_from([-1.0, 1.0, 2.0]),
        }
    names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True))
    return kind, _with_a_witness(kind, {name: draw(fields[name]) for name in names})


def _with_a_witness(kind: str, said: dict[str, Any]) -> dict[str, Any]:
    """Without what nobody could find out: a header that says one thing only, and that is wrong."""
    if kind == "nifti":
        codes = list(said.get("codes", (1, 1)))
        if said.keys() & {"qform", "quaternion", "qfac", "pixdim"}:
            said.pop("sform", None)
            codes[1] = max(codes[1], 1)
        elif "sform" in said:
            codes[0] = max(codes[0], 1)
        if codes != [1, 1]:
            said["codes"] = tuple(codes)
    if "Orientation" in said:
        said.pop("TransformMatrix", None)
    return said


def _written(kind: str, said: dict[str, Any], it: Stored, folder: Path) -> Path:
    """The file that lies so."""
    lines = dict(said)
    if kind == "nifti":
        for name in {"sform", "qform"} & lines.keys():
            lines[name] = lines[name] @ it.axes_mm
        if "pixdim" in lines:
            lines["pixdim"] = it.spacing_mm * lines["pixdim"]
        return nifti(folder / "ct.nii", it, **lines)
    if kind == "nrrd":
        if "spacings" in lines:
            lines["spacings"] = numbers(it.spacing_mm * lines["spacings"])
        if "space_units" in lines:
            lines["space_units"] = " ".join([f'"{lines["space_units"]}"'] * 3)
        return nrrd(folder / "ct.nrrd", it, **lines)
    if kind == "meta":
        if "Orientation" in lines:
            lines["Orientation"] = numbers((lines["Orientation"] @ it.directions).T.ravel())
        if "ElementSize" in lines:
            lines["ElementSize"] = numbers(it.spacing_mm * lines["ElementSize"])
        return meta(folder / "ct.mha", it, **lines)
    return _dicom(lines, folder / "series")


def _dicom(lines: dict[str, Any], folder: Path) -> Path:
    x_mm, y_mm, z_mm = volume_files.SPACING_MM
    voxels = volume_files.head().transpose(2, 1, 0)
    positions = [np.add(volume_files.ORIGIN_MM, (0, 0, z_mm * index)) for index in range(len(voxels))]
    for name, size in {
        "ImagerPixelSpacing": [y_mm, x_mm],
        "SpacingBetweenSlices": z_mm,
        "SliceThickness": z_mm,
    }.items():
        if name in lines:
            lines[name] = np.multiply(size, lines[name]).tolist()
    sign = lines.pop("SliceLocation", None)
    slices = ct_slices(voxels, positions, PixelSpacing=[y_mm, x_mm], **lines)
    for item, position in zip(slices, positions, strict=True):
        if sign is not None:
            item.SliceLocation = float(sign * position[2])
    return save(slices, folder)


def _outcome_or_code(path: Path) -> tuple[bool, list[str]] | str:
    try:
        return outcome(path)
    except InputError as error:
        return error.code


@pytest.mark.slow
def test_no_contradiction_is_wrong_silently():
    """300 headers drawn: each is right, warned of, or refused; what does not lie is right without a word."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(lies(), st.sampled_from(ORDERS))
    def try_one(lie: tuple[str, dict[str, Any]], case: tuple[tuple[int, ...], tuple[bool, ...]]) -> None:
        kind, said = lie
        with tempfile.TemporaryDirectory() as folder:
            path = _written(kind, said, stored(*case), Path(folder))
            found = _outcome_or_code(path)
        if isinstance(found, str):
            assert (found, bool(said)) == ("inconsistent", True)
            seen["refused"] += 1
            return
        right, warned = found
        assert right or set(warned) & {"orientation-unknown", "header-decided", "unit-converted", "template-space"}
        if not said or kind == "dicom":
            assert right
        if not said:
            assert warned == []
        seen["right" if right and not warned else "warned"] += 1
        seen[kind] += 1

    try_one()
    assert sum(seen[name] for name in ("right", "warned", "refused")) >= 300
    assert min(seen[name] for name in ("right", "warned", "refused", "nifti", "nrrd", "meta", "dicom")) >= 20


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_changes_nothing_where_nothing_is_contradicted(tmp_path, choice):
    for name, write in WRITERS.items():
        assert outcome(write(tmp_path / name, stored()), choice) == (True, [])


# DICOM


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ImagerPixelSpacing": 0.5}, ["header-decided"]),
        ({"ImagerPixelSpacing": 1.0}, []),
        ({"SpacingBetweenSlices": 2.0}, ["header-decided"]),
        ({"SpacingBetweenSlices": -1.0}, []),
        ({"SliceThickness": 3.0, "PatientPosition": "FFP", "SliceLocation": -1.0}, []),
    ],
)
def test_the_image_plane_decides_in_a_dicom_series(tmp_path, changes, said):
    assert outcome(_dicom(dict(changes), tmp_path / "series")) == (True, said)


@pytest.mark.parametrize(("spacing_mm", "said"), [(1.0, []), (0.9487, []), (1.2, ["header-decided"])])
def test_a_tilted_gantry_may_give_the_way_of_the_table_or_the_distance_of_the_slices(tmp_path, spacing_mm, said):
    positions = [(-7.25, 12.5 + 0.3162 * index, 100 + 0.9487 * index) for index in range(8)]
    slices = ct_slices(positions=positions, SpacingBetweenSlices=spacing_mm)
    codes = [code for code, _ in reading.read(save(slices, tmp_path / "scan")).warnings]
    assert codes == [*said, "resampled"]


def test_two_frames_of_reference_in_one_series_are_said(tmp_path):
    def change(item: Dataset, index: int) -> None:
        item.FrameOfReferenceUID = f"1.2.{3 + index // 4}"

    scan = reading.read(save(ct_slices(change=change), tmp_path / "scan"))
    assert [code for code, _ in scan.warnings] == ["header-decided"]


# Through the worker


def lines_of(**job: Any) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    worker.run({"contract": CONTRACT, **job}, lines.append)
    return lines


def said(lines: list[dict[str, Any]]) -> list[str]:
    return [line["code"] for line in lines if "code" in line]


def test_masks_in_another_order_of_axes_and_type_are_equal_for_every_judge(tmp_path):
    paths = []
    for index, case in enumerate((ORDERS[0], ORDERS[13], ORDERS[42])):
        it = stored(*case)
        mask = Stored((it.voxels > 500).astype(np.int16), it.axes_mm, it.origin_mm)
        paths.append(str(nifti(tmp_path / f"{index}.nii", mask, dtype=("u1", "f8", "i2")[index])))
    for other in paths[1:]:
        figures = lines_of(task="evaluate", truth=paths[0], input=other, region="whole")[-1]["summary"]["figures"]
        assert figures["whole_dice"] == 1
    found = lines_of(task="observers", input=paths[0], observers=paths[1:], region="whole")[-1]["summary"]
    assert found["pairs"][0]["dice"] == 1
    volumes = []
    for index, path in enumerate(paths):
        lines = lines_of(task="surface", input=path, output=str(tmp_path / f"surface-{index}"))
        volumes.append(lines[-1]["summary"]["volume_ml"])
        assert said(lines) == []
    assert volumes == [volumes[0]] * 3


def test_a_lying_mask_is_refused_by_every_judge_and_can_be_chosen(tmp_path):
    it = stored()
    mask = Stored((it.voxels > 500).astype(np.int16), it.axes_mm, it.origin_mm)
    good = str(nifti(tmp_path / "good.nii", mask))
    lying = str(nifti(tmp_path / "lying.nii", mask, sform=MIRROR @ it.axes_mm))
    jobs: tuple[dict[str, Any], ...] = (
        {"task": "evaluate", "truth": good, "input": lying, "region": "whole"},
        {"task": "evaluate", "truth": lying, "input": good, "region": "whole"},
        {"task": "observers", "input": good, "observers": [good, lying], "region": "whole"},
        {"task": "surface", "input": lying, "output": str(tmp_path / "out")},
    )
    for job in jobs:
        assert said(lines_of(**job)) == ["inconsistent"]
        lines = lines_of(**job, header="qform")
        assert lines[-1]["event"] == "result"
        assert said(lines) == ["header-chosen"]
    assert said(lines_of(**jobs[0], header="hform")) == ["invalid-job"]


@pytest.mark.slow
def test_what_has_no_sides_says_so_in_summary_record_and_verdict(tmp_path):
    volume = nrrd(tmp_path / "ct.nrrd", stored(), "3D-right-handed")
    job = {"task": "segment", "input": str(volume), "region": "whole", "method": "threshold", "sides": True}
    lines = lines_of(**job, output=str(tmp_path / "out"))
    summary = lines[-1]["summary"]
    assert "orientation-unknown" in said(lines)
    assert summary["sides_known"] is False
    assert summary["monitoring"]["verdict"] != "trust"
    record = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    assert "orientation-unknown" in [warning["code"] for warning in record["warnings"]]
    assert SIDES_UNKNOWN in (tmp_path / "out" / "record.html").read_text(encoding="utf-8")
    assert "incomplete" in said(lines)
    assert not {"bone-left.stl", "bone-right.stl"} & {path.name for path in (tmp_path / "out").iterdir()}
    asked = {"task": "orbits", "input": str(tmp_path / "out"), "ct": str(volume)}
    for one in (job | {"region": "left", "sides": False}, asked | {"region": "right"}):
        refused = lines_of(**one, output=str(tmp_path / "one side"))[-1]
        assert refused["code"] == "no-orbit"
        assert "left and right may be exchanged" in refused["text"]
    known = lines_of(**job | {"input": str(nrrd(volume, stored()))}, output=str(tmp_path / "other"))
    assert known[-1]["summary"]["sides_known"] is True
    assert {"bone-left.stl", "bone-right.stl"} <= {path.name for path in (tmp_path / "other").iterdir()}
    assert SIDES_UNKNOWN not in (tmp_path / "other" / "record.html").read_text(encoding="utf-8")
