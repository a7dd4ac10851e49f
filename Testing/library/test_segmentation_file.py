"""Segmentation files and label maps, without Slicer; Testing/slicer opens them in the real one."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.export.segmentation import read_segmentation, write_label_map, write_segmentation
from OrbitalSegLib.structures import STRUCTURES

pytestmark = pytest.mark.base

SIZE_ZYX = (4, 5, 6)


def on_grid(array: np.ndarray) -> sitk.Image:
    """An image on an oblique grid away from the origin."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.451, 0.5, 1.25))
    image.SetOrigin((-100.25, 33.1, 1e3))
    image.SetDirection((0.6, 0, 0.8, 0, -1, 0, 0.8, 0, -0.6))
    return image


@pytest.fixture
def segments() -> dict[str, sitk.Image]:
    """Segments that overlap, and an empty one."""
    bone, cortical, thin = np.zeros((3, *SIZE_ZYX), np.uint8)
    bone[1:3, 1:4, 2:5] = 1
    cortical[1:3, 1:4, 2:4] = 1
    thin[2, 1:4, 3:5] = 1
    arrays = {"bone": bone, "cortical": cortical, "thin": thin, "inferred": np.zeros_like(bone)}
    return {name: on_grid(array) for name, array in arrays.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "segmentation.seg.nrrd"


def same(one: sitk.Image, other: sitk.Image) -> bool:
    return one.IsSameImageGeometryAs(other) and np.array_equal(
        sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other)
    )


def code_of(path, segment: str = "bone") -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        read_segmentation(path, segment)
    assert str(path) not in caught.value.text
    return caught.value.code, caught.value.text


def header_of(path) -> list[str]:
    return path.read_bytes().split(b"\n\n")[0].decode().split("\n")


def test_every_segment_reads_back_with_its_voxels_and_its_grid(segments, path):
    write_segmentation(segments, path)
    for name, mask in segments.items():
        read = read_segmentation(path, name)
        assert read.GetPixelID() == sitk.sitkUInt8
        assert same(read, mask)
        assert not read.GetMetaDataKeys()


def test_one_segment_alone_reads_back(segments, path):
    write_segmentation({"bone": segments["bone"]}, path)
    assert same(read_segmentation(path), segments["bone"])


@pytest.mark.parametrize("wanted", ["thin", "THIN", "Thin bone", " thin bone "])
def test_a_segment_is_found_by_id_or_name_in_capitals_or_not(segments, path, wanted):
    write_segmentation(segments, path)
    assert same(read_segmentation(path, wanted), segments["thin"])


def test_the_header_is_what_slicer_writes(segments, path):
    write_segmentation(segments, path)
    header = header_of(path)
    assert "kinds: list domain domain domain" in header
    assert "sizes: 4 6 5 4" in header
    assert "Segment1_ID:=cortical" in header
    assert "Segment1_Name:=Cortical bone" in header
    assert "Segment1_Layer:=1" in header
    assert "Segment1_Extent:=2 3 1 3 1 2" in header
    assert "Segment3_Extent:=0 -1 0 -1 0 -1" in header
    assert "Segmentation_MasterRepresentation:=Binary labelmap" in header
    assert any("~SCT^272673000^Bone~" in line for line in header if line.startswith("Segment0_Tags:="))


def test_colours_and_names_tell_the_segments_apart():
    rows = STRUCTURES.values()
    assert len({one.title for one in rows}) == len({one.colour for one in rows}) == len(rows)


def test_the_same_segments_give_the_same_bytes_without_a_date(segments, path, tmp_path):
    write_segmentation(segments, path)
    write_segmentation(segments, tmp_path / "again.seg.nrrd")
    content = path.read_bytes()
    assert content == (tmp_path / "again.seg.nrrd").read_bytes()
    compressed = content.split(b"\n\n", 1)[1]
    assert compressed[4:8] == bytes(4), "the gzip header holds a date"
    assert len(gzip.decompress(compressed)) == 4 * np.prod(SIZE_ZYX)


def test_segments_on_different_grids_are_a_bug(segments, path):
    segments["thin"].SetOrigin((0, 0, 0))
    with pytest.raises(ValueError, match="grid"):
        write_segmentation(segments, path)


def test_a_folder_that_is_not_there_cannot_be_written_to(segments, tmp_path):
    with pytest.raises(OutputError) as caught:
        write_segmentation(segments, tmp_path / "missing" / "a.seg.nrrd")
    assert caught.value.code == "cannot-write"


def write_as_slicer(path, layers: np.ndarray, keys: dict[str, str]) -> sitk.Image:
    """Layers (zyx, layer) and their keys, by ITK; returns the grid."""
    image = on_grid(layers[..., 0])
    vector = sitk.GetImageFromArray(layers, isVector=True)
    vector.CopyInformation(image)
    for key, value in keys.items():
        vector.SetMetaData(key, value)
    sitk.WriteImage(vector, str(path))
    return image


def test_segments_that_share_a_layer_are_told_apart_by_their_values(path):
    layers = np.zeros((*SIZE_ZYX, 2), np.int16)
    layers[1, 1, 1] = (7, 1)
    layers[2, 2, 2] = (300, 1)
    keys = {"Segment0_ID": "Segment_1", "Segment0_Name": "Mandible", "Segment0_Layer": "0", "Segment0_LabelValue": "7"}
    keys |= {"Segment1_ID": "Segment_2", "Segment1_Name": "bone", "Segment1_Layer": "0", "Segment1_LabelValue": "300"}
    keys |= {"Segment2_ID": "Segment_3", "Segment2_Name": "all", "Segment2_Layer": "1", "Segment2_LabelValue": "1"}
    grid = write_as_slicer(path, layers, keys)
    for name, value, layer in [("mandible", 7, 0), ("Bone", 300, 0), ("segment_3", 1, 1)]:
        read = read_segmentation(path, name)
        assert np.array_equal(sitk.GetArrayFromImage(read), layers[..., layer] == value)
        assert read.IsSameImageGeometryAs(grid)


def test_in_old_files_without_layers_each_segment_is_a_layer_of_its_own(path):
    layers = np.zeros((*SIZE_ZYX, 2), np.uint8)
    layers[1, 1, 1, 1] = 1
    write_as_slicer(path, layers, {"Segment0_ID": "a", "Segment1_ID": "b"})
    assert np.array_equal(sitk.GetArrayFromImage(read_segmentation(path, "b")), layers[..., 1])


def test_a_segment_that_is_not_there_is_named_with_those_that_are(segments, path):
    write_segmentation(segments, path)
    code, text = code_of(path, "mandible")
    assert code == "not-a-segmentation"
    assert "mandible" in text
    assert "Orbital bone, Cortical bone, Thin bone, Inferred wall" in text


@pytest.mark.parametrize(
    "keys", [{"Segment0_Layer": "2"}, {"Segment0_Layer": "-1"}, {"Segment0_LabelValue": "one"}], ids=str
)
def test_keys_that_make_no_sense_are_said(path, keys):
    write_as_slicer(path, np.zeros((*SIZE_ZYX, 2), np.uint8), {"Segment0_ID": "bone"} | keys)
    assert code_of(path)[0] == "unreadable"


def test_fractions_are_no_mask(path):
    keys = {"Segment0_ID": "bone", "Segmentation_MasterRepresentation": "Fractional labelmap"}
    write_as_slicer(path, np.zeros((*SIZE_ZYX, 2), np.uint8), keys)
    assert code_of(path)[0] == "not-a-segmentation"


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_label_map_is_written_as_0_and_1_and_read_back(segments, tmp_path, ending):
    path = tmp_path / f"bone{ending}"
    write_label_map(segments["bone"] * 255, path)
    written = sitk.ReadImage(str(path))
    assert written.GetPixelID() == sitk.sitkUInt8
    assert set(np.unique(sitk.GetArrayFromImage(written))) == {0, 1}
    read = read_segmentation(path)
    assert np.array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(segments["bone"]))
    assert np.allclose(read.GetOrigin(), segments["bone"].GetOrigin(), atol=1e-4)
    assert np.allclose(read.GetDirection(), segments["bone"].GetDirection(), atol=1e-6)


def test_every_label_but_0_is_the_mask(tmp_path):
    labels = np.zeros(SIZE_ZYX, np.int16)
    labels[1, 1, 1:4] = (1, 5, 4000)
    sitk.WriteImage(on_grid(labels), str(tmp_path / "labels.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(read_segmentation(tmp_path / "labels.nrrd", "any")), labels != 0)


RAMP = np.arange(np.prod((8, 8, 8))).reshape(8, 8, 8)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (sitk.GetImageFromArray((RAMP - 300).astype(np.int16)), "below 0"),
        (sitk.GetImageFromArray(RAMP.astype(np.uint16)), "different values"),
        (sitk.GetImageFromArray((RAMP % 256).astype(np.uint8)), "different values"),
        (sitk.GetImageFromArray((RAMP % 2).astype(np.float32) / 2), "whole numbers"),
        (sitk.GetImageFromArray(RAMP[..., None].repeat(3, -1).astype(np.uint8), isVector=True), "several values"),
        (sitk.GetImageFromArray((RAMP[0] % 2).astype(np.uint8)), "three dimensions"),
    ],
    ids=["CT", "unsigned CT", "8-bit CT", "floats", "colour", "one slice"],
)
def test_what_is_no_segmentation_is_said(tmp_path, image, reason):
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(image, str(path))
    code, text = code_of(path)
    assert code == "not-a-segmentation"
    assert reason in text


def test_a_file_that_is_cut_off_is_unreadable(segments, path):
    write_segmentation(segments, path)
    path.write_bytes(path.read_bytes()[:-20])
    assert code_of(path)[0] == "unreadable"


def test_a_text_file_is_unreadable(tmp_path):
    path = tmp_path / "bone.nrrd"
    path.write_text("a shopping list")
    assert code_of(path)[0] == "unreadable"


def test_no_file_is_said(tmp_path):
    assert code_of(tmp_path / "bone.nrrd")[0] == "no-such-input"
