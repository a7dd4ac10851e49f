"""Results as DICOM: where the source's slices are, in the source's study, and readable by others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_judges import dcmqi_agrees, errors_in, highdicom_agrees
from dicom_series import ct_slices, enhanced, save
from pydicom.dataset import Dataset

from OrbitalSegLib import CONTRACT, reading, worker
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export import dicom
from OrbitalSegLib.export.stl import read_stl, write_stl
from OrbitalSegLib.modelling.surface import surface_of_mask
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, write_series

ALGORITHM = dicom.Algorithm("threshold", "values", "1.2.3", {"lower_hu": "300"})
IDENTITY = ("Phantom^OrbitalSeg", "ORBITALSEG-PHANTOM", "20260101")

SCANNERS = {
    "straight": Scanner(48, 3.0, 3.0, 3.0, 60.0, (0.0, 15.0, 0.0)),
    "tilted": Scanner(48, 3.0, 3.0, 3.0, 60.0, (0.0, 15.0, 0.0), tilt_degrees=15.0),
    "uneven": Scanner(48, 3.0, 3.0, 3.0, 60.0, (0.0, 15.0, 0.0), uneven=True),
    "feet-first": Scanner(48, 3.0, 3.0, 3.0, 60.0, (0.0, 15.0, 0.0), patient_position="FFS"),
}


@pytest.fixture(scope="module", params=SCANNERS)
def series(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write_series(scan(Anatomy(), SCANNERS[request.param]), folder)
    return folder


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    write_series(scan(Anatomy(), SCANNERS["straight"]), folder)
    return folder


def masks_of(series: Path) -> dict[str, sitk.Image]:
    """All voxels above 300 HU, the same above 600, and none."""
    ct = reading.read(series).image
    return {"bone": ct > 300, "cortical": ct > 600, "thin": ct > 30_000}


def write(series: Path, path: Path, headers: Sequence[Dataset] | None = None) -> dict[str, sitk.Image]:
    masks = masks_of(series)
    dicom.write_dicom_segmentation(masks, headers or reading.read_headers(series), path, ALGORITHM)
    return masks


def test_others_read_the_same_voxels_in_the_same_places(series, tmp_path):
    masks = write(series, tmp_path / "seg.dcm")
    filled = [masks["bone"], masks["cortical"]]  # the third is empty
    assert highdicom_agrees(tmp_path / "seg.dcm", filled)
    assert dcmqi_agrees(tmp_path / "seg.dcm", filled, tmp_path)


def test_the_judges_notice_a_voxel_and_a_place(straight, tmp_path):
    bone = write(straight, tmp_path / "seg.dcm")["bone"]
    cortical = masks_of(straight)["cortical"]
    shifted = sitk.Image(bone)
    shifted.SetOrigin((bone.GetOrigin()[0] + 0.5, *bone.GetOrigin()[1:]))
    one_less = sitk.Image(bone)
    voxel = [int(index) for index in np.argwhere(sitk.GetArrayFromImage(bone))[0][::-1]]
    one_less[voxel] = 0
    for wrong in (shifted, one_less):
        assert not highdicom_agrees(tmp_path / "seg.dcm", [wrong, cortical])
    assert not dcmqi_agrees(tmp_path / "seg.dcm", [one_less, cortical], tmp_path)


def test_dciodvfy_finds_no_error_that_the_source_does_not_have(series, tmp_path, require_tool):
    program = require_tool("dciodvfy", "dicom3tools")
    masks = write(series, tmp_path / "seg.dcm")
    mesh, _ = surface_of_mask(masks["bone"])
    write_stl(mesh, tmp_path / "bone.stl")
    dicom.write_dicom_surface(tmp_path / "bone.stl", reading.read_headers(series), tmp_path / "bone.dcm", "Bone")
    known = errors_in(next(series.iterdir()), program)
    assert errors_in(tmp_path / "seg.dcm", program) <= known
    assert errors_in(tmp_path / "bone.dcm", program) <= known


def test_the_segmentation_belongs_to_the_source_and_says_how_it_was_made(straight, tmp_path):
    write(straight, tmp_path / "seg.dcm")
    source, found = pydicom.dcmread(next(straight.iterdir())), pydicom.dcmread(tmp_path / "seg.dcm")
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert found[keyword].value == source[keyword].value
    assert found.SeriesInstanceUID != source.SeriesInstanceUID
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    referred = {item.ReferencedSOPInstanceUID for item in found.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {pydicom.dcmread(path).SOPInstanceUID for path in straight.iterdir()}
    segment = found.SegmentSequence[0]
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("Bone", "AUTOMATIC")
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "272673000"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("OrbitalSeg threshold", "1.2.3")
    assert "lower_hu=300" in str(algorithm.AlgorithmParameters)


def test_each_frame_of_an_untilted_scan_names_its_source_slice(straight, tmp_path):
    write(straight, tmp_path / "seg.dcm")
    places = {d.SOPInstanceUID: d.ImagePositionPatient for d in map(pydicom.dcmread, straight.iterdir())}
    for frame in pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence:
        named = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, places[named], atol=1e-3)


def test_a_result_that_was_edited_is_called_semiautomatic(straight, tmp_path):
    edited = dicom.Algorithm("multigrey", "networks", "1.2.3", {}, edited=True)
    dicom.write_dicom_segmentation(masks_of(straight), reading.read_headers(straight), tmp_path / "seg.dcm", edited)
    segment = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    family = segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert family.CodeMeaning == "Artificial Intelligence"


def test_the_surface_in_dicom_is_the_surface(straight, tmp_path):
    mesh, _ = surface_of_mask(masks_of(straight)["bone"])
    write_stl(mesh, tmp_path / "bone.stl")
    dicom.write_dicom_surface(tmp_path / "bone.stl", reading.read_headers(straight), tmp_path / "bone.dcm", "Bone")
    found = pydicom.dcmread(tmp_path / "bone.dcm")
    source = pydicom.dcmread(next(straight.iterdir()))
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert found.MIMETypeOfEncapsulatedDocument == "model/stl"
    assert found.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    content = found.EncapsulatedDocument[: found.EncapsulatedDocumentLength]
    assert content == (tmp_path / "bone.stl").read_bytes()
    (tmp_path / "again.stl").write_bytes(content)
    assert read_stl(tmp_path / "again.stl").GetNumberOfPolys() == mesh.GetNumberOfPolys()


def test_without_identity_nothing_of_the_patient_or_the_study_is_left(straight, tmp_path):
    headers = reading.read_headers(straight)
    clean = dicom.without_identity(headers)
    write(straight, tmp_path / "seg.dcm", clean)
    mesh, _ = surface_of_mask(masks_of(straight)["bone"])
    write_stl(mesh, tmp_path / "bone.stl")
    dicom.write_dicom_surface(tmp_path / "bone.stl", clean, tmp_path / "bone.dcm", "Bone")
    uids = {str(header[keyword].value) for header in headers for keyword in dicom.UIDS}
    for name in ("seg.dcm", "bone.dcm"):
        found = pydicom.dcmread(tmp_path / name)
        assert found.PatientIdentityRemoved == "YES"
        content = (tmp_path / name).read_bytes()
        assert not [text for text in (*IDENTITY, *uids) if text.encode() in content]
    assert (
        pydicom.dcmread(tmp_path / "seg.dcm").StudyInstanceUID
        == pydicom.dcmread(tmp_path / "bone.dcm").StudyInstanceUID
    )


def test_an_enhanced_multiframe_scan_is_placed_right(tmp_path):
    folder = save([enhanced(ct_slices())], tmp_path / "enhanced")
    masks = {"bone": reading.read(folder).image > 300}
    headers = reading.read_headers(folder)
    dicom.write_dicom_segmentation(masks, headers, tmp_path / "seg.dcm", ALGORITHM)
    assert highdicom_agrees(tmp_path / "seg.dcm", [masks["bone"]])


def run(**job: object) -> tuple[int, dict]:
    lines: list[dict] = []
    return worker.run({"contract": CONTRACT, "task": "segment", "method": "threshold", **job}, lines.append), lines[-1]


def test_a_job_writes_dicom_where_it_is_asked_to(straight, tmp_path):
    asked = {
        "region": [10.0, 46.0, -25.0, 25.0, -20.0, 20.0],
        "dicom": ["segmentation", "surface"],
        "smoothing": "none",
    }
    code, last = run(input=str(straight), output=str(tmp_path / "result"), deidentify=True, **asked)
    assert code == 0, last
    assert {"segmentation.dcm", "bone.stl.dcm"} <= set(last["files"])
    for name in ("segmentation.dcm", "bone.stl.dcm"):
        assert str(pydicom.dcmread(tmp_path / "result" / name).PatientName).startswith("ANONYMOUS")
    job = {"contract": CONTRACT, "task": "review", "input": str(tmp_path / "result"), "output": str(tmp_path / "b")}
    lines: list[dict] = []
    assert worker.run(job | {"ct": str(straight), "dicom": ["segmentation"]}, lines.append) == 0
    assert pydicom.dcmread(tmp_path / "b" / "segmentation.dcm").PatientID == "ORBITALSEG-PHANTOM"


def test_a_scan_that_is_no_dicom_gives_no_dicom(straight, tmp_path):
    sitk.WriteImage(reading.read(straight).image, str(tmp_path / "ct.nrrd"))
    code, last = run(input=str(tmp_path / "ct.nrrd"), output=str(tmp_path / "result"), dicom=["surface"])
    assert (code, last["code"]) == (3, "no-dicom")


def test_headers_that_dicom_does_not_allow_are_refused_with_a_sentence(straight, tmp_path):
    headers = reading.read_headers(straight)
    del headers[0].StudyInstanceUID
    with pytest.raises(InputError) as caught:
        write(straight, tmp_path / "seg.dcm", headers)
    assert caught.value.code == "inconsistent"
    assert list(tmp_path.iterdir()) == []
