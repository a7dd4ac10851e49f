"""Data sets: what is collected, how it is put on the working grid, divided, and kept an eye on [3532-2 9]."""

import csv
import gzip
import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import ct_slices, save
from hypothesis import given
from hypothesis import strategies as st

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.training import dataset, quality, store
from OrbitalSegLib.training.cases import Case, write_case
from OrbitalSegLib.training.dataset import Entry

TYPE_2 = (
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""What a DICOM file has to have, though it may be empty."""


def image(array: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing_mm)
    made.SetOrigin((10.0, -20.0, 30.0))
    return made


def head(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """HU and label of 12 x 14 x 16 voxels: a box of bone, bright on one side and faint on the other, in soft tissue."""
    hu = np.full((12, 14, 16), -1000, np.int16)
    hu[2:10, 2:12, 2:14] = 40
    hu[4:8, 4:10, 4:8] = 900
    hu[4:8, 4:10, 8:12] = 150
    hu[0, 0, 0] = -1000 + seed
    label = np.zeros(hu.shape, np.uint8)
    label[4:8, 4:10, 4:12] = 1
    return hu, label


def write_pair(folder: Path, seed: int = 0, ending: str = ".nii.gz", **about: object) -> Path:
    folder.mkdir(parents=True)
    hu, label = head(seed)
    sitk.WriteImage(image(hu), str(folder / f"image{ending}"))
    sitk.WriteImage(image(label), str(folder / f"label{ending}"))
    if about:
        (folder / "about.json").write_text(json.dumps(about))
    return folder


def synthetic(folder: Path) -> Path:
    """A case as synthesis writes it, with a hole and something that is not scored."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    hu, _ = head(seed=9)
    label = np.zeros(hu.shape, np.uint8)
    label[4:8, 4:10, 4:12] = 1 | 4
    label[4:8, 4:6, 4:6] = 2 | 4
    label[0] = 8 | 16 | 32 | 64
    none = np.zeros(0)
    points = WallPoints(np.zeros((0, 3)), np.zeros((0, 3)), none, none, none, none, none, none)
    facts = {"template": "box", "seed": 7}
    write_case(Case(image(hu), image(hu), image(hu), image(label), points, facts), folder)
    return folder


def entry(name: str, **about: object) -> Entry:
    return Entry(Path(name), {key: str(value) for key, value in about.items()})


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_an_image_with_its_label_becomes_a_case_on_the_working_grid(tmp_path: Path, ending: str) -> None:
    write_pair(tmp_path / "data" / "a", ending=ending, patient="p1")
    (found,) = dataset.collect(tmp_path / "data")
    assert found.about == {"patient": "p1"}
    dataset.pack(found, tmp_path / "packed")
    packed = store.open_case(tmp_path / "packed" / "a")
    assert packed.image.shape == packed.label.shape == (23, 27, 31)  # 12 x 14 x 16 mm at 0.5 mm
    bone = (packed.label & packed.flags["bone"]) > 0
    assert bone.sum() == pytest.approx(8 * 4 * 6 * 8, rel=0.25)
    assert bone[14, 14, 16]  # 7, 7, 8 mm from the first voxel
    cortical, thin = ((packed.label & packed.flags[name]) > 0 for name in ("cortical", "thin"))
    assert cortical[10:14, 12:16, 10:14].all()
    assert not thin[10:14, 12:16, 10:13].any()
    assert thin[10:14, 12:16, 18:21].all()
    assert np.array_equal(bone, cortical | thin)
    assert packed.image[14, 14, 12] == 255
    assert packed.image[0, 0, 0] == 0


def test_a_synthetic_case_keeps_its_flags_and_is_divided_by_noise_free_hu(tmp_path: Path) -> None:
    synthetic(tmp_path / "data" / "s")
    (found,) = dataset.collect(tmp_path / "data")
    assert found.synthetic
    assert found.about == {"template": "box", "seed": "7"}
    dataset.pack(found, tmp_path / "packed")
    packed = store.open_case(tmp_path / "packed" / "s")
    counts = {name: int(((packed.label & flag) > 0).sum()) for name, flag in packed.flags.items()}
    assert counts == {
        "bone": 176, "hole": 16, "wall": 192, "ignore": 224, "orbit": 224, "cortical": 80, "thin": 96, "edited": 0,
    }  # fmt: skip
    assert len(packed.places["wall"]) == 176  # walls with bone: holes are places of their own
    assert len(packed.places["hole"]) == 16


def test_labels_of_several_classes_stay_apart(tmp_path: Path) -> None:
    folder = write_pair(tmp_path / "data" / "a")
    _, label = head()
    label[9, 11, 2:14] = 5
    sitk.WriteImage(image(label), str(folder / "label.nii.gz"))
    labels = {"mandible": 1, "eye": 5}
    dataset.pack(dataset.collect(tmp_path / "data")[0], tmp_path / "packed", labels)
    packed = store.open_case(tmp_path / "packed" / "a")
    assert packed.flags == {"mandible": 1, "eye": 2, "ignore": 4, "edited": 8}
    assert packed.label[18, 22, 14] == 2
    assert packed.label[14, 14, 16] == 1


def test_more_than_eight_flags_take_a_wider_label(tmp_path: Path) -> None:
    write_pair(tmp_path / "data" / "a")
    labels = {f"class{number}": number for number in range(1, 12)}
    dataset.pack(dataset.collect(tmp_path / "data")[0], tmp_path / "packed", labels)
    packed = store.open_case(tmp_path / "packed" / "a")
    assert packed.label.dtype == np.uint16
    assert (packed.label & packed.flags["class1"]).any()


def test_a_case_without_a_word_about_it_is_a_patient_of_its_own(tmp_path: Path) -> None:
    write_pair(tmp_path / "data" / "a")
    assert dataset.collect(tmp_path / "data")[0].about == {"patient": "a"}


def test_cases_that_are_half_made_are_not_taken(tmp_path: Path) -> None:
    write_pair(tmp_path / "data" / "a")
    (tmp_path / "data" / "b").mkdir()
    (tmp_path / "data" / "b" / "working-ct.nrrd").write_bytes(b"")
    assert dataset.pack_new([tmp_path / "data"], tmp_path / "packed") == ["a"]
    assert not list((tmp_path / "packed").glob(".*"))


def test_no_case_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        dataset.collect(tmp_path)
    assert caught.value.code == "no-cases"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), min_size=3, max_size=40),
    st.integers(0, 1000),
)
def test_no_template_and_no_patient_is_ever_on_two_sides(marks: list[tuple[int, int]], seed: int) -> None:
    entries = [entry(f"c{i}", template=template, patient=patient) for i, (template, patient) in enumerate(marks)]
    shares = {"training": 0.6, "validation": 0.2, "test": 0.2}
    with suppress(InputError):  # too few groups
        sides = dataset.split(entries, shares, seed)
        check(entries, sides)


def check(entries: list[Entry], sides: dict[str, list[Entry]]) -> None:
    assert sorted(e.name for held in sides.values() for e in held) == sorted(e.name for e in entries)
    assert all(sides.values())
    for key in ("template", "patient"):
        owners = [{e.about[key] for e in held} for held in sides.values()]
        assert sum(map(len, owners)) == len(set.union(*owners))


def test_the_shares_of_a_split_are_kept_as_far_as_groups_allow() -> None:
    entries = [entry(f"c{i}", patient=i) for i in range(100)]
    sides = dataset.split(entries, {"training": 0.7, "validation": 0.1, "test": 0.2})
    assert {side: len(held) for side, held in sides.items()} == {"training": 70, "validation": 10, "test": 20}
    assert sides == dataset.split(entries, {"training": 0.7, "validation": 0.1, "test": 0.2})
    assert sides != dataset.split(entries, {"training": 0.7, "validation": 0.1, "test": 0.2}, seed=2)


@pytest.mark.parametrize("key", dataset.APART)
def test_sides_that_share_something_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=key) as caught:
        dataset.check_apart({"training": [entry("a", **{key: 1})], "test": [entry("b", **{key: 1})]})
    assert caught.value.code == "sides-share"


def test_a_good_data_set_has_no_finding(tmp_path: Path) -> None:
    for seed in range(2):
        write_pair(tmp_path / "data" / f"a{seed}", seed)
    synthetic(tmp_path / "data" / "s")
    entries = dataset.collect(tmp_path / "data")
    assert quality.inspect(entries) == []
    quality.write_report(entries, [], tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        assert [row["severity"] for row in csv.DictReader(file)] == ["none"] * 3


def spoilt(folder: Path, what: str) -> None:
    """Replace one file of a pair by a bad one."""
    hu, label = head()
    shifted = image(label)
    shifted.SetOrigin((10.0, -20.0, 30.5))
    turned = image(label)
    turned.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    label_file, image_file = str(folder / "label.nii.gz"), str(folder / "image.nii.gz")
    if what == "eight bits":
        sitk.WriteImage(image(np.clip((hu + 200) / 2, 0, 255).astype(np.int16)), image_file)
        return
    if what == "bone alone":
        sitk.WriteImage(image(np.where(hu > 0, hu, 0).astype(np.int16) - 300), image_file)
        return
    if what == "beyond 12 bits":
        hu[5, 5, 5] = 5000
        sitk.WriteImage(image(hu), image_file)
        return
    if what == "no label":
        Path(label_file).write_bytes(b"nothing")
        return
    bad = {
        "size": image(label[1:]),
        "place": shifted,
        "direction": turned,
        "values": image(label * 7),
        "empty": image(label * 0),
    }[what]
    sitk.WriteImage(bad, label_file)


@pytest.mark.parametrize(
    ("what", "check", "severity"),
    [
        ("size", "geometry", "error"),
        ("place", "geometry", "error"),
        ("direction", "geometry", "error"),
        ("values", "label-values", "error"),
        ("empty", "empty", "error"),
        ("eight bits", "readable", "error"),
        ("bone alone", "readable", "error"),
        ("beyond 12 bits", "hu", "note"),
        ("no label", "readable", "error"),
    ],
)
def test_what_is_wrong_with_a_case_is_found(tmp_path: Path, what: str, check: str, severity: str) -> None:
    write_pair(tmp_path / "data" / "good", seed=1)
    spoilt(write_pair(tmp_path / "data" / "wrong"), what)
    entries = dataset.collect(tmp_path / "data")
    findings = quality.inspect(entries)
    assert (check, severity) in {(f.check, f.severity) for f in findings}
    assert {f.case for f in findings} == {"wrong"}
    assert [e.name for e in quality.fit(entries, findings)] == (["good", "wrong"] if severity == "note" else ["good"])


def test_the_same_image_under_two_names_is_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pair(tmp_path / "data" / name)
    findings = quality.inspect(dataset.collect(tmp_path / "data"))
    assert [(f.case, f.check) for f in findings] == [("b", "duplicate")]


def test_fewer_groups_than_sides_are_refused() -> None:
    entries = [entry("a", patient=1, template="t"), entry("b", patient=1), entry("c", patient=2, template="t")]
    with pytest.raises(InputError, match="1 groups") as caught:
        dataset.split(entries, {"training": 0.5, "test": 0.5})
    assert caught.value.code == "cannot-split"


def test_a_dicom_segmentation_is_a_label(tmp_path: Path) -> None:
    seg = pytest.importorskip("highdicom").seg
    import pydicom
    from highdicom import UID
    from pydicom.sr.codedict import codes

    slices = ct_slices(FrameOfReferenceUID=UID(), **dict.fromkeys(TYPE_2, ""))
    save(slices, tmp_path / "data" / "a" / "image")
    read = [pydicom.dcmread(path) for path in (tmp_path / "data" / "a" / "image").iterdir()]
    read.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    mask = np.zeros((len(read), read[0].Rows, read[0].Columns), np.uint8)
    mask[1:4, 5:9, 3:12] = 1
    algorithm = seg.SegmentAlgorithmTypeValues.MANUAL
    made = seg.Segmentation(
        source_images=read,
        pixel_array=mask,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[seg.SegmentDescription(1, "Bone", codes.SCT.Tissue, codes.SCT.Bone, algorithm)],
        series_instance_uid=UID(),
        series_number=9,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="any",
        manufacturer_model_name="any",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(tmp_path / "data" / "a" / "label.dcm")
    _, label = dataset.read_pair(dataset.collect(tmp_path / "data")[0])
    assert np.array_equal(sitk.GetArrayFromImage(label), mask)


def lying(folder: Path, offset: int, value: float) -> Path:
    """A case whose label's matrix says something else than its quaternion."""
    path = write_pair(folder) / "label.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<hh", content, 252, 1, 1)  # both count
    struct.pack_into("<f", content, offset, value)
    path.write_bytes(gzip.compress(bytes(content)))
    return folder


def test_a_label_whose_header_contradicts_itself_is_not_taken(tmp_path: Path) -> None:
    lying(tmp_path / "data" / "a", 280, 1.0)  # left is right
    entries = dataset.collect(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        dataset.read_pair(entries[0])
    assert caught.value.code == "inconsistent"
    assert caught.value.text.startswith("The label of the case a:")


def test_what_is_decided_of_a_header_is_noted_and_a_label_elsewhere_is_an_error(tmp_path: Path) -> None:
    lying(tmp_path / "data" / "a", 292, 40.0)  # moved
    found = quality.inspect(dataset.collect(tmp_path / "data"))
    assert [(one.check, one.severity) for one in found] == [("header", "note"), ("geometry", "error")]


def test_a_segmentation_of_3d_slicer_is_a_label_by_the_names_of_its_segments(tmp_path: Path) -> None:
    hu, label = head()
    write_pair(tmp_path / "data" / "a", ending=".nrrd")
    (tmp_path / "data" / "a" / "label.nrrd").unlink()
    masks = {"bone": image((label == 1).astype(np.uint8)), "thin": image((hu == 40).astype(np.uint8))}
    write_segmentation(masks, tmp_path / "data" / "a" / "label.seg.nrrd")
    _, found = dataset.read_pair(dataset.collect(tmp_path / "data")[0], {"thin": 2, "bone": 1, "eye": 3})
    expected = np.where(label == 1, 1, np.where(hu == 40, 2, 0))
    assert np.array_equal(sitk.GetArrayFromImage(found), expected)
