"""The job `dicom`: segments of a result, as a person left them, as DICOM."""

from pathlib import Path

import pytest

pytest.importorskip("highdicom")

import pydicom
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import read_segmentation, write_segmentation
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, write_series
from OrbitalSegLib.product import CONTRACT

ORBIT_MM = [10.0, 46.0, -25.0, 25.0, -20.0, 20.0]
"""Around the left one: surfaces of more take long and show nothing else."""


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    write_series(scan(Anatomy(), Scanner(64, 2.0, 3.0, 3.0, 48.0, (0.0, 15.0, 0.0))), folder)
    return folder


def run(**job) -> dict:
    """The worker's last line."""
    lines = []
    paths = {name: str(value) for name, value in job.items() if isinstance(value, Path)}
    worker.run({"contract": CONTRACT, **job, **paths}, lines.append)
    return lines[-1]


@pytest.fixture(scope="module")
def result(series, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "result"
    last = run(task="segment", input=series, output=folder, region=ORBIT_MM, method="threshold")
    assert last["event"] == "result", last
    return folder


@pytest.fixture
def write(series, result, tmp_path):
    """Writes segments of a file as DICOM; returns the dataset, or the error's code."""

    def run_it(path, segment):
        last = run(
            task="dicom", input=path, ct=series, record=result, segment=segment, output=tmp_path / f"out-{segment}"
        )
        if last["event"] == "error":
            return last["code"]
        assert "segmentation.dcm" in last["files"]
        return pydicom.dcmread(tmp_path / f"out-{segment}" / "segmentation.dcm")

    return run_it


@pytest.mark.slow
def test_only_the_segments_that_were_asked_for_are_written(write, result):
    found = write(result / "segmentation.seg.nrrd", "cortical")
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["Cortical bone"]
    found = write(result / "segmentation.seg.nrrd", "bone+cortical")
    assert len(found.SegmentSequence) == 2
    assert {item.SegmentAlgorithmType for item in found.SegmentSequence} == {"AUTOMATIC"}


def test_what_a_person_changed_is_written_and_said(write, result, tmp_path):
    bone = read_segmentation(result / "segmentation.seg.nrrd", "bone")
    edited = sitk.GetArrayFromImage(bone)
    edited[edited.shape[0] // 2 :] = 0
    mask = sitk.GetImageFromArray(edited)
    mask.CopyInformation(bone)
    write_segmentation({"bone": mask}, tmp_path / "edited.seg.nrrd")
    found = write(tmp_path / "edited.seg.nrrd", "bone")
    assert found.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert int(found.pixel_array.sum()) == int(edited.sum())


@pytest.mark.parametrize("segment", ["inferred", "nothing"])
def test_a_segment_that_the_result_does_not_have_is_refused(write, result, segment):
    assert write(result / "segmentation.seg.nrrd", segment) == "not-a-segmentation"


@pytest.mark.parametrize("missing", ["record", "ct"])
def test_the_job_needs_the_result_and_the_scan(series, result, tmp_path, missing):
    job = {"input": result / "segmentation.seg.nrrd", "ct": series, "record": result, "output": tmp_path / "out"}
    del job[missing]
    assert run(task="dicom", **job)["code"] == "invalid-job"
