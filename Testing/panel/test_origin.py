"""Before a scan is segmented, the panel says which one it is and what reading it warns of; the record says it too."""

import json
import zlib

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from fakes import Database, ct_image, write_result
from host import LAUNCHER
from OrbitalSegLib import reading
from OrbitalSegLib.tasks import job_from
from OrbitalSegPanel import origin, results, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.logic import CHECK
from OrbitalSegPanel.process import Python

NOT_HU = "The values of this series are not Hounsfield units (MGML): export the series again."
LEFT_OUT = "Of the same series were left out: 2 localizers."


def series_in(folder, patient="one", day="20240102", count=12, change=lambda _item, _number: None):
    """A series of a head of sorts, with what a person would look for in it."""
    folder.mkdir()
    hu = np.full((count, 32, 32), -1000, np.int16)
    hu[:, 4:-4, 4:-4] = 40
    hu[2:-2, 8:16, 8:16] = 900
    series = f"1.2.826.{zlib.crc32(str(folder).encode())}"
    study = f"{series}.1"
    for number, plane in enumerate(hu):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.CTImageStorage, f"{series}.{number}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        item = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        item.SOPClassUID, item.SOPInstanceUID = pydicom.uid.CTImageStorage, f"{series}.{number}"
        item.SeriesInstanceUID, item.StudyInstanceUID, item.StudyDate = series, study, day
        item.PatientName, item.PatientID, item.Modality = "Doe^Jane", patient, "CT"
        item.SeriesNumber, item.SeriesDescription, item.InstanceNumber = 3, "HEAD THIN", number + 1
        item.ImagePositionPatient, item.ImageOrientationPatient = [0, 0, number * 1.0], [1, 0, 0, 0, 1, 0]
        item.PixelSpacing, item.Rows, item.Columns = [1.0, 1.0], 32, 32
        item.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.BitsAllocated = item.BitsStored = 16
        item.HighBit, item.PixelRepresentation = 15, 1
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1, 0, "HU"
        item.PixelData = plane.tobytes()
        change(item, number)
        pydicom.dcmwrite(folder / f"{number:03d}.dcm", item, enforce_file_format=True)
    return folder


@pytest.fixture
def imported(host, monkeypatch):
    """Puts a series into Slicer's database, and a volume of it into the scene, as Slicer's import does."""
    folders = []

    def put(folder, image=None, own=None):
        folders.append(folder)
        database = Database(*folders)
        monkeypatch.setattr(host.slicer, "dicomDatabase", database, raising=False)
        node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "imported")
        volumes.put_image(node, reading.read(folder, grey_values=True).image if image is None else image)
        uids = [uid for uid, path in database.files.items() if path.parent == folder and (own is None or own(path))]
        node.SetAttribute(origin.INSTANCES, " ".join(uids))
        return node

    return put


def warn(panel, python, *pairs):
    """The worker warns, and is done."""
    python.work.lines = [{"event": "warning", "code": code, "text": text} for code, text in pairs]
    python.succeed()
    panel.logic.poll()


def test_a_scan_is_read_as_soon_as_it_is_chosen_and_its_warnings_are_seen(ready, python, volume):
    job = job_from(python.checks[-1])
    assert job.task == "info"
    assert "being read" in ready.ui.readingLabel.text
    warn(ready, python, ("left-out", LEFT_OUT))
    assert LEFT_OUT in ready.ui.readingLabel.text
    assert "Warnings of reading: 1," in ready.ui.subjectLabel.text
    assert ready.ui.messageLabel.text == ""
    assert origin.kept_warnings(volume) == [{"code": "left-out", "text": LEFT_OUT}]


def test_a_scan_without_warnings_says_so_until_it_is_changed(ready, python, volume):
    warn(ready, python)
    assert "no warning" in ready.ui.readingLabel.text
    volume.GetImageData().Modified()
    ready.refresh()
    assert "Not checked" in ready.ui.readingLabel.text
    ready.ui.checkButton.click()
    assert len(python.checks) == 2


def test_segmenting_does_not_wait_until_the_scan_was_read(ready, python):
    assert ready.logic.runs.running == CHECK
    assert ready.ui.segmentButton.enabled
    reading_it = python.work
    ready.ui.segmentButton.click()
    assert reading_it.killed
    assert ready.logic.runs.running == "segment"
    write_result(python.result)
    warn(ready, python, ("left-out", LEFT_OUT), ("thin-walls", "Thin walls are borderline."))
    assert LEFT_OUT in ready.ui.messageLabel.text
    assert LEFT_OUT in ready.ui.readingLabel.text


def test_a_scan_without_hounsfield_units_is_taken_only_where_the_user_insists(ready, python, host):
    assert not ready.ui.greyCheck.visible
    python.fail(NOT_HU, "not-hu")
    ready.logic.poll()
    assert NOT_HU in ready.ui.readingLabel.text
    assert NOT_HU in ready.ui.subjectLabel.text
    ready.ui.greyCheck.click()
    assert python.checks[-1]["grey_values"] is True
    ready.ui.segmentButton.click()
    assert job_from(python.jobs[-1]).grey_values
    other = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
    volumes.put_image(other, ct_image())
    ready.logic.drop()
    ready.ui.volumeSelector.setCurrentNode(other)
    assert python.checks[-1]["grey_values"] is False


def test_of_a_file_that_contradicts_itself_the_right_part_is_chosen(ready, python):
    python.fail("The NRRD header contradicts itself: by its space directions or by its spacings.", "inconsistent")
    ready.logic.poll()
    ready.ui.headerBox.setCurrentIndex(ready.ui.headerBox.findData("directions"))
    assert job_from(python.checks[-1]).header == "directions"
    ready.ui.segmentButton.click()
    assert job_from(python.jobs[-1]).header == "directions"


def test_which_scan_is_segmented_is_said_with_its_day_and_series(ready, imported, tmp_path):
    ready.ui.volumeSelector.setCurrentNode(imported(series_in(tmp_path / "before")))
    said = "imported: 2024-01-02, series 3 HEAD THIN; 12 slices 1.00 mm apart"
    assert said in ready.ui.whichLabel.text
    assert said in ready.ui.subjectLabel.text
    assert "several" not in ready.ui.whichLabel.text


@pytest.mark.parametrize(("patient", "said"), [("one", "several studies"), ("two", "several patients")])
def test_scans_of_several_patients_or_studies_in_the_scene_are_told_of(ready, imported, tmp_path, patient, said):
    imported(series_in(tmp_path / "before"))
    ready.ui.volumeSelector.setCurrentNode(imported(series_in(tmp_path / "after", patient, "20240301")))
    assert "2024-03-01" in ready.ui.subjectLabel.text
    assert said in ready.ui.subjectLabel.text
    assert said in ready.ui.whichLabel.text


def test_day_and_description_are_only_on_the_screen(ready, python, imported, tmp_path, host):
    ready.ui.volumeSelector.setCurrentNode(imported(series_in(tmp_path / "series")))
    ready.ui.segmentButton.click()
    host.scene.SetURL(str(tmp_path / "scene.mrml"))
    host.scene.Commit()
    written = (tmp_path / "scene.mrml").read_text() + json.dumps(python.jobs[-1]["acquisition"])
    assert "OrbitalSeg" in written
    for secret in ("HEAD THIN", "20240102", "2024-01-02", "Doe"):
        assert secret not in written


class TestRealWorker:
    """What the real worker says of volumes whose files are known."""

    @pytest.fixture
    def python(self):
        return Python(LAUNCHER, library_parent())

    @pytest.fixture
    def read(self, host, panel):
        """Chooses a volume and waits until it was read."""

        def choose(volume):
            panel.ui.volumeSelector.setCurrentNode(volume)
            host.process_until(lambda: panel.logic.runs.running is None, 60)
            return panel.ui.readingLabel.text

        return choose

    def test_lost_slices_and_other_images_of_the_series_are_told_of(self, read, imported, tmp_path):
        folder = series_in(tmp_path / "series", count=14)
        (folder / "005.dcm").unlink()
        said = read(imported(folder))
        assert "Slices are missing" in said

    def test_slices_that_slicer_dropped_are_told_of(self, read, imported, tmp_path):
        folder = series_in(tmp_path / "series", count=16)
        image = reading.read(folder, grey_values=True).image[:, :, :12]
        said = read(imported(folder, image, own=lambda path: int(path.stem) < 12))
        assert "The volume is not what its files hold" in said
        assert "it lacks 25 %" in said

    def test_phases_that_slicer_merged_are_refused(self, read, imported, tmp_path):
        def phase(item, number):
            item.AcquisitionNumber = number % 2
            item.ImagePositionPatient = [0, 0, number // 2 * 1.0]

        folder = series_in(tmp_path / "series", count=24, change=phase)
        image = sitk.Image([32, 32, 24], sitk.sitkInt16)
        assert "several acquisitions of the same places" in read(imported(folder, image))

    def test_values_that_are_no_hounsfield_units_by_their_header_are_refused(self, read, panel, imported, tmp_path):
        folder = series_in(tmp_path / "series", change=lambda item, _number: setattr(item, "RescaleType", "MGML"))
        assert "not Hounsfield units (MGML)" in read(imported(folder))
        assert not panel.ui.greyCheck.isHidden()

    def test_a_file_whose_header_contradicts_itself_is_refused(self, read, panel, host, tmp_path):
        sitk.WriteImage(ct_image(), str(tmp_path / "file.nrrd"))
        text = (tmp_path / "file.nrrd").read_bytes().replace(b"\nkinds:", b"\nspacings: 2 2 2\nkinds:", 1)
        (tmp_path / "file.nrrd").write_bytes(text)
        node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "of a file")
        volumes.put_image(node, ct_image())
        storage = host.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(tmp_path / "file.nrrd"))
        node.SetAndObserveStorageNodeID(storage.GetID())
        assert "contradicts itself" in read(node)
        assert not panel.ui.headerBox.isHidden()
        panel.ui.headerBox.setCurrentIndex(panel.ui.headerBox.findData("spacings"))
        host.process_until(lambda: panel.logic.runs.running is None, 60)
        assert "The volume is not what its files hold" in panel.ui.readingLabel.text

    def test_the_record_has_what_was_seen_before(self, read, panel, host, imported, tmp_path):
        folder = series_in(tmp_path / "series", count=30)
        (folder / "009.dcm").unlink()
        ui = panel.ui
        read(imported(folder))
        ui.methodBox.setCurrentIndex(ui.methodBox.findData("threshold"))
        ui.regionBox.setCurrentIndex(ui.regionBox.findData("whole"))
        ui.segmentButton.click()
        host.process_until(lambda: panel.logic.runs.running is None, 120)
        record = results.record_of(panel.logic.settings)
        assert record is not None, ui.messageLabel.text
        assert "missing-slices" in [item["code"] for item in record["warnings"]]
        assert record["acquisition"]["file_format"] == "DICOM"
        assert "Slices are missing" in ui.verdictLabel.text
