"""The real worker through the panel: click, wait, see, edit, export, record; and the figures of the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import CONTRACT
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegPanel import conditions, segments, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python

PATIENCE_SECONDS = 540

BOX_MM = (32.0, 28.0, 24.0)
"""A small part of the orbits: surfaces of more take minutes."""

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def phantom_file(tmp_path_factory) -> Path:
    """The orbits of the phantom at 1 mm."""
    taken = scan(Anatomy(), Scanner(96, 1.0, 1.0, 1.0, 64.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    path = tmp_path_factory.mktemp("phantom") / "phantom.nrrd"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def python():
    """The real worker, by this Python."""
    return Python([sys.executable], library_parent())


@pytest.fixture
def toshiba() -> Path:
    """A real scan of 3 mm, where somebody has it."""
    data = Path(os.environ.get("ORBITALSEG_TEST_DATA") or ROOT.parent / "shared/data") / "toshiba-head-3mm"
    if not data.is_dir():
        pytest.skip("real scan toshiba-head-3mm is not here: name its folder's parent in ORBITALSEG_TEST_DATA")
    return data


@pytest.fixture
def work(host, panel):
    """Presses a button and lets the window live until the work is done."""

    def press(button):
        assert button.enabled
        button.click()
        host.process_until(lambda: panel.logic.runs.running is None, PATIENCE_SECONDS)
        return panel.ui.messageLabel.text

    return press


def choose(box, value):
    box.setCurrentIndex(box.findData(value))


def command_line(source: Path, output: Path, region="auto") -> dict:
    """The summary of the same job without the panel."""
    job = {"contract": CONTRACT, "task": "segment", "input": str(source), "output": str(output), "method": "threshold"}
    job["region"] = region
    done = subprocess.run(
        [sys.executable, "-m", "OrbitalSegLib.worker", "-"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["event"] == "result", line
    return line["summary"]


def array_on(node, identity: str, image: sitk.Image) -> np.ndarray:
    """A segment of the scene on the grid of an image (z, y, x), by the places of its voxels."""
    labels = segments.label_map(node, identity)
    found = np.zeros(image.GetSize()[::-1], bool)
    array = segments.array_of(labels)
    extent = labels.GetExtent()
    indices = np.argwhere(array)[:, ::-1] + (extent[0], extent[2], extent[4])
    ras = indices @ segments.array_of_matrix(labels)[:3, :3].T + segments.array_of_matrix(labels)[:3, 3]
    axes = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    places = (ras * (-1, -1, 1) - image.GetOrigin()) @ np.linalg.inv(axes).T
    whole = np.rint(places).astype(int)
    assert np.abs(places - whole).max() < 1e-3
    found[whole[:, 2], whole[:, 1], whole[:, 0]] = True
    return found


def test_a_surgeon_gets_from_the_scan_to_the_file(host, panel, work, phantom_file, tmp_path):
    ui, slicer = panel.ui, host.slicer
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volumes.put_image(volume, sitk.ReadImage(str(phantom_file)))
    ui.volumeSelector.setCurrentNode(volume)
    choose(ui.methodBox, "threshold")
    ui.roiButton.click()
    ui.roiSelector.currentNode().SetSizeWorld(*BOX_MM)
    assert "The segments are in the scene." in work(ui.segmentButton)

    node = ui.segmentationSelector.currentNode()
    line = command_line(phantom_file, tmp_path / "result", volumes.box_of(ui.roiSelector.currentNode()))
    result = read_segmentation(tmp_path / "result/segmentation.seg.nrrd", "bone")
    for name, volume_ml in line["volumes_ml"].items():
        assert segments.volume_ml(node, name) == pytest.approx(volume_ml, abs=1e-4)
    np.testing.assert_array_equal(array_on(node, "bone", result), sitk.GetArrayFromImage(result) > 0)

    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(host.scene)
    editor.SetSegmentEditorNode(ui.editorWidget.mrmlSegmentEditorNode())
    editor.SetSegmentationNode(node)
    editor.SetCurrentSegmentID("bone")
    place = np.argwhere(sitk.GetArrayFromImage(result) == 0)[1234][::-1].tolist()
    dot = slicer.vtkOrientedImageData()
    dot.DeepCopy(segments.label_map(node, "bone"))
    axes = segments.scan_grid(node)[0]
    dot.SetExtent(*[edge for index in place for edge in (index, index)])
    dot.SetGeometryFromImageToWorldMatrix(volumes.matrix_of(axes))
    dot.AllocateScalars(3, 1)
    dot.GetPointData().GetScalars().Fill(1)
    editor.SaveStateForUndo()
    assert slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        dot, node, "bone", slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX
    )
    edited = sitk.GetArrayFromImage(result) > 0
    edited[tuple(place[::-1])] = True
    np.testing.assert_array_equal(array_on(node, "bone", result), edited)
    assert panel.logic.edited() == ["Orbital bone"]

    out = tmp_path / "out é"
    out.mkdir()
    ui.exportFolderEdit.currentPath = str(out)
    choose(ui.formatBox, "nrrd")
    ui.exportButton.click()
    exported = read_segmentation(out / "segmentation-both.seg.nrrd", "bone")
    np.testing.assert_array_equal(array_of_file(exported, result), edited)
    choose(ui.formatBox, "stl")
    assert "2 files written and read back." in work(ui.exportButton)
    mesh = results_surface(out / "bone-both.stl")
    assert mesh.GetNumberOfCells() > 1000
    assert ui.qualityTable.rowCount > 3
    ui.qualityButton.click()
    model = slicer.util.getNode("bone-both")
    assert model.GetPolyData().GetPointData().GetArray("thickness_mm") is not None
    assert model.GetDisplayNode().GetScalarVisibility()

    for _ in range(3):
        ui.nextSliceButton.click()
    ui.recordFolderEdit.currentPath = str(out)
    work(ui.recordButton)
    record = json.loads((panel.logic.record_folder / "record.json").read_text(encoding="utf-8"))
    assert record["edits"]["segments"]["bone"]["added_voxels"] == 1
    assert record["edits"]["segments"]["bone"]["removed_voxels"] == 0
    assert record["reviews"][0]["kind"] == "slice-by-slice"
    assert 0 < record["reviews"][0]["seen"] < 1
    assert (panel.logic.record_folder / "record.html").is_file()

    panel.logic.forget()  # as after the scene was saved and opened again
    first = panel.logic.record_folder
    work(ui.recordButton)
    assert panel.logic.record_folder != first
    again = json.loads((panel.logic.record_folder / "record.json").read_text(encoding="utf-8"))
    assert again["edits"] == record["edits"]


def results_surface(path: Path):
    from OrbitalSegPanel import results

    return results.read_surface(path)


def array_of_file(mask: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """A mask, which may be smaller than its scan, on the scan's grid."""
    whole = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    assert int(sitk.GetArrayFromImage(whole).sum()) == int(sitk.GetArrayFromImage(mask).sum())
    return sitk.GetArrayFromImage(whole) > 0


def test_a_real_scan_gives_the_figures_of_the_command_line(panel, work, toshiba, tmp_path):
    ui = panel.ui
    volume = conditions.series_as_volume(toshiba, "real")
    ui.volumeSelector.setCurrentNode(volume)
    assert "not feasible" in ui.feasibilityLabel.text
    choose(ui.methodBox, "threshold")
    assert "The segments are in the scene." in work(ui.segmentButton)
    line = command_line(toshiba, tmp_path / "result")
    node = ui.segmentationSelector.currentNode()
    summary = panel.logic.settings["summary"]
    for figure in ("volumes_ml", "feasibility", "monitoring"):
        assert summary[figure] == line[figure]
    for name, volume_ml in line["volumes_ml"].items():
        assert segments.volume_ml(node, name) == pytest.approx(volume_ml, abs=1e-3)
    result = read_segmentation(tmp_path / "result/segmentation.seg.nrrd", "bone")
    np.testing.assert_array_equal(array_on(node, "bone", result), sitk.GetArrayFromImage(result) > 0)
