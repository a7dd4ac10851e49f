"""Results as DICOM: where the source's slices are, in the source's study, and readable by others."""

import errno
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("highdicom")

import numpy as np
import pydicom
import SimpleITK as sitk
from dicom_judges import dcmqi_agrees, errors_in, highdicom_agrees
from dicom_series import ct_slices, enhanced, save
from pydicom.dataset import Dataset

from OrbitalSegLib import reading, worker
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export import dicom, surfaces
from OrbitalSegLib.export import headers as source
from OrbitalSegLib.export.stl import read_stl, write_stl
from OrbitalSegLib.modelling.surface import surface_of_mask
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, write_series
from OrbitalSegLib.preprocessing import to_isotropic
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.record import page
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import read_record

ALGORITHM = dicom.Algorithm("threshold", "Histogram Analysis", "1.2.3", {"lower_hu": "300"})
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


def headers_of(series: Path) -> list[Dataset]:
    """As a run prepares them."""
    return source.prepared(reading.read_headers(series))[0]


def write(series: Path, path: Path, headers: Sequence[Dataset] | None = None) -> dict[str, sitk.Image]:
    masks = masks_of(series)
    dicom.write_dicom_segmentation(masks, headers or headers_of(series), path, ALGORITHM)
    return masks


def test_others_read_the_same_voxels_in_the_same_places(series, tmp_path):
    masks = write(series, tmp_path / "seg.dcm")
    filled = [masks["bone"], masks["cortical"]]  # the third is empty
    assert highdicom_agrees(tmp_path / "seg.dcm", filled)
    assert dcmqi_agrees(tmp_path / "seg.dcm", filled, tmp_path)


def test_a_finer_grid_than_the_scans_is_placed_right_and_without_an_error(series, tmp_path, require_tool):
    """As the results of networks are on thick slices: a part of the scan, on a grid of its own."""
    program = require_tool("dciodvfy", "dicom3tools")
    ct = reading.read(series).image
    part = Region((-24.0, 24.0, -8.0, 24.0, -20.0, 20.0))
    bone = part.inner_part(to_isotropic(ct, 1.0)) > 300
    masks = {"bone": bone, "cortical": sitk.Cast(0 * bone, sitk.sitkUInt8), "thin": sitk.BinaryErode(bone)}
    dicom.write_dicom_segmentation(masks, headers_of(series), tmp_path / "seg.dcm", ALGORITHM)
    filled = [masks["bone"], masks["thin"]]
    assert highdicom_agrees(tmp_path / "seg.dcm", filled)
    assert dcmqi_agrees(tmp_path / "seg.dcm", filled, tmp_path)
    assert errors_in(tmp_path / "seg.dcm", program) <= errors_in(next(series.iterdir()), program)
    written, header = pydicom.dcmread(tmp_path / "seg.dcm"), headers_of(series)[0]
    assert written.FrameOfReferenceUID == header.FrameOfReferenceUID
    measures = written.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [*measures.PixelSpacing, measures.SpacingBetweenSlices] == [1.0, 1.0, 1.0]


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
    dicom.write_dicom_surface(tmp_path / "bone.stl", headers_of(series), tmp_path / "bone.dcm", "Bone")
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
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("Orbital bone", "AUTOMATIC")
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
    edited = dicom.Algorithm("multigrey", "Artificial Intelligence", "1.2.3", {}, edited=True)
    dicom.write_dicom_segmentation(masks_of(straight), headers_of(straight), tmp_path / "seg.dcm", edited)
    segment = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    family = segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert family.CodeMeaning == "Artificial Intelligence"


def test_the_surface_in_dicom_is_the_surface(straight, tmp_path):
    mesh, _ = surface_of_mask(masks_of(straight)["bone"])
    write_stl(mesh, tmp_path / "bone.stl")
    dicom.write_dicom_surface(tmp_path / "bone.stl", headers_of(straight), tmp_path / "bone.dcm", "Bone")
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
    clean = source.prepared(source.without_identity(headers))[0]
    write(straight, tmp_path / "seg.dcm", clean)
    mesh, _ = surface_of_mask(masks_of(straight)["bone"])
    write_stl(mesh, tmp_path / "bone.stl")
    dicom.write_dicom_surface(tmp_path / "bone.stl", clean, tmp_path / "bone.dcm", "Bone")
    uids = {str(header[keyword].value) for header in headers for keyword in source.UIDS}
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
    dicom.write_dicom_segmentation(masks, headers_of(folder), tmp_path / "seg.dcm", ALGORITHM)
    assert highdicom_agrees(tmp_path / "seg.dcm", [masks["bone"]])


def run(**job: object) -> tuple[int, dict]:
    lines: list[dict] = []
    return worker.run({"contract": CONTRACT, "task": "segment", "method": "threshold", **job}, lines.append), lines[-1]


@pytest.mark.slow
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


@pytest.mark.parametrize("keyword", source.REQUIRED)
def test_what_nothing_can_do_without_is_refused_by_its_name_before_the_run(straight, tmp_path, keyword, monkeypatch):
    monkeypatch.setattr("OrbitalSegLib.tasks.segment.find", lambda *_arguments: pytest.fail("the run began"))
    headers = reading.read_headers(straight)
    del headers[1][keyword]
    monkeypatch.setattr(reading, "read_headers", lambda *_arguments: headers)
    for deidentify in (False, True):
        code, last = run(input=str(straight), output=str(tmp_path / "r"), dicom=["segmentation"], deidentify=deidentify)
        assert (code, last["code"]) == (3, "inconsistent")
        assert source.named(keyword) in last["text"]
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------------
# Headers that are not as they should be


def changed(folder: Path, change: Callable[[Dataset], None]) -> Path:
    """A small series with every header changed; nothing is checked."""
    with source.unchecked():
        return save(ct_slices(change=lambda header, _index: change(header)), folder)


def set_bytes(header: Dataset, keyword: str, content: bytes) -> None:
    """Set a value as it stands on a disk."""
    tag, kind = pydicom.tag.Tag(keyword), pydicom.datadict.dictionary_VR(keyword)
    header[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(content), content, 0, False, True)


def both(series: Path, folder: Path) -> tuple[list[Dataset], list[str]]:
    """A segmentation and a surface in DICOM, read back, and what was said of the headers."""
    folder.mkdir(exist_ok=True)
    headers, said = source.prepared(reading.read_headers(series))
    masks = {"bone": reading.read(series).image > 300}
    dicom.write_dicom_segmentation(masks, headers, folder / "seg.dcm", ALGORITHM)
    (folder / "bone.stl").write_bytes(b"a surface")
    dicom.write_dicom_surface(folder / "bone.stl", headers, folder / "bone.dcm", "Bone")
    with source.unchecked():
        assert highdicom_agrees(folder / "seg.dcm", [masks["bone"]])
        written = [pydicom.dcmread(folder / name) for name in ("seg.dcm", "bone.dcm")]
        for one in written:
            one.decode()
    return written, said


NAMES = {
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Latin-1": ("ISO_IR 100", "Müller^Jörg"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Russian": ("ISO_IR 144", "Люкceмбypг"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    "ASCII": (None, "Miller^George"),
}


@pytest.mark.parametrize("language", NAMES)
def test_names_in_every_character_set_are_written_as_utf_8(tmp_path, language):
    sets, name = NAMES[language]

    def change(header: Dataset) -> None:
        if sets is not None:
            header.SpecificCharacterSet = sets
        header.PatientName = name

    written, said = both(changed(tmp_path / "scan", change), tmp_path / "out")
    assert said == []
    for one in written:
        assert one.SpecificCharacterSet == "ISO_IR 192"
        assert str(one.PatientName) == name
    for file in ("seg.dcm", "bone.dcm"):
        assert name.encode() in (tmp_path / "out" / file).read_bytes()


@pytest.mark.parametrize(
    ("sets", "raw", "name", "how"),
    [
        (None, "Müller^Jörg".encode("latin-1"), "Müller^Jörg", "Latin-1"),
        (None, "Müller^Jörg".encode(), "Müller^Jörg", "UTF-8"),
        ("ISO_IR 192", "Müller^Jörg".encode("latin-1"), "Müller^Jörg", "Latin-1"),
        ("ISO_IR 999", "Yamada=山田".encode(), "Yamada=山田", "UTF-8"),
        (None, "山田^太郎".encode("shift_jis"), "", "left out"),
        (None, b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎", "ISO 2022"),
    ],
)
def test_a_name_that_is_not_in_the_character_set_is_read_by_the_one_that_fits_and_said(sets, raw, name, how):
    header = ct_slices()[0]
    header.SpecificCharacterSet = sets
    set_bytes(header, "PatientName", raw)
    (found,), (said,) = source.prepared([header])
    assert str(found.PatientName) == name
    assert said.startswith("Patient's Name (0010,0010)")
    assert how in said


INVALID = {
    "PatientSex": "W",
    "PatientAge": "34 years",
    "PatientWeight": "70,5",
    "PatientBirthDate": "1950.02.30",
    "StudyDate": "20260230",
    "StudyTime": "99:99",
    "AccessionNumber": "A-NUMBER-THAT-IS-TOO-LONG",
    "PatientID": "TWO\\VALUES",
    "StudyID": "A-STUDY-ID-THAT-IS-TOO-LONG",
}


@pytest.mark.parametrize("keyword", INVALID)
def test_an_optional_value_that_is_invalid_is_left_out_and_said(tmp_path, keyword):
    written, said = both(
        changed(tmp_path / "scan", lambda header: set_bytes(header, keyword, INVALID[keyword].encode())),
        tmp_path / "out",
    )
    assert len(said) == 1
    assert source.named(keyword) in said[0]
    assert not any(one.get(keyword) for one in written)
    assert all(one.StudyInstanceUID for one in written)


def test_all_that_is_optional_may_be_missing(tmp_path):
    keep = {*source.REQUIRED, *source.TECHNICAL, "RescaleSlope", "RescaleIntercept", "PixelData", "ImageType"}

    def change(header: Dataset) -> None:
        for element in list(header):
            if not (element.keyword in keep or element.tag.group == 0x0028) or element.keyword == "SliceThickness":
                del header[element.tag]

    written, said = both(changed(tmp_path / "scan", change), tmp_path / "out")
    assert said == []
    assert written[0].FrameOfReferenceUID == written[1].FrameOfReferenceUID
    assert written[0].PatientName == written[1].PatientName == ""


def test_an_identifier_that_breaks_the_rules_is_written_as_it_stands(tmp_path):
    broken = "1.2.840.007.1"
    scan_folder = changed(tmp_path / "scan", lambda header: setattr(header, "StudyInstanceUID", broken))
    written, _ = both(scan_folder, tmp_path / "out")
    assert [one.StudyInstanceUID for one in written] == [broken, broken]


def test_what_fails_at_the_end_costs_only_itself(tmp_path, monkeypatch):
    def fail(*_arguments: object, **_more: object) -> None:
        raise InputError("inconsistent", "No.")

    def crash(*_arguments: object, **_more: object) -> None:
        raise RuntimeError

    def full(_points: object, _triangles: object, path: Path, *_more: object) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(dicom, "write_dicom_segmentation", fail)
    monkeypatch.setattr(dicom, "write_dicom_surface", fail)
    monkeypatch.setattr("OrbitalSegLib.tasks.segment.draw_preview", crash)
    monkeypatch.setattr("OrbitalSegLib.tasks.bookkeeping.write_map", full)
    monkeypatch.setitem(surfaces.FORMATS, "3mf", replace(surfaces.FORMATS["3mf"], write=full))
    monkeypatch.setattr(page, "page_of", crash)
    asked = {"formats": ["stl", "3mf"], "dicom": ["segmentation", "surface"], "quality_map": True}
    box = {"region": "whole", "smoothing": "none"}
    lines: list[dict] = []
    job = {
        "contract": CONTRACT,
        "task": "segment",
        "method": "threshold",
        "input": str(save(ct_slices(), tmp_path / "scan")),
        **asked,
        **box,
    }
    assert worker.run(job | {"output": str(tmp_path / "r")}, lines.append) == worker.INCOMPLETE
    there = {path.name for path in (tmp_path / "r").iterdir()}
    assert (
        there
        == {"segmentation.seg.nrrd", "bone.nii.gz", "bone.stl", "record.json", "log.txt"}
        == set(lines[-1]["files"])
    )
    said = [line["text"] for line in lines if line.get("code") == "incomplete"]
    lost = ["bone.3mf", "bone-quality.vtp", "segmentation.dcm", "bone.stl.dcm", "preview.png", "record.html"]
    assert [text.partition(" ")[0] for text in said] == lost
    record = json.loads((tmp_path / "r" / "record.json").read_text())
    assert [one["text"] for one in record["warnings"] if one["code"] == "incomplete"] == said
    assert all(text in (tmp_path / "r" / "log.txt").read_text() for text in said)
    read_record(tmp_path / "r")
