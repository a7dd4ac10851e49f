"""The real worker through the panel: click, wait, see, edit, export, record; and the figures of the command line."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from fakes import Database
from hands import choose, export_check
from host import LAUNCHER
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids, write_segmentation
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.kept import KeptProbabilities
from OrbitalSegLib.phantom import Anatomy, Scanner, bone_fraction, orbits_grid, scan, write_series
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import STRUCTURES
from OrbitalSegPanel import origin, packages, results, segments, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python
from OrbitalSegPanel.settings import ORBIT

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 540

BOX_MM = (22.0, 20.0, 16.0)
"""A small part of the orbits: surfaces of more take minutes."""

NO_SKIP = bool(os.environ.get("ORBITALSEG_NO_SKIP"))
"""Whether what is missing here is a failure."""

FIGURES = ("method", "volumes_ml", "feasibility", "monitoring")
"""Of a summary: all but the seconds."""

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
    return Python(LAUNCHER, library_parent())


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


def command_line(source: Path, output: Path, **job) -> dict:
    """The summary of a job without the panel; without a method in it, of the default one."""
    job = {"contract": CONTRACT, "task": "segment", "input": str(source), "output": str(output), **job}
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


@pytest.fixture
def engine() -> str:
    """What runs networks here."""
    found = next((name for name in packages.ENGINES if importlib.util.find_spec(name)), None)
    if found is None:
        missing = "nothing here runs networks: install the extra infer"
        pytest.fail(missing) if NO_SKIP else pytest.skip(missing)
    return found


@pytest.fixture
def in_a_box(panel, host, phantom_file):
    """The phantom in the scene, and a small box of it as the region."""
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volumes.put_image(volume, sitk.ReadImage(str(phantom_file)))
    panel.ui.volumeSelector.setCurrentNode(volume)
    panel.ui.roiButton.click()
    panel.ui.roiSelector.currentNode().SetSizeWorld(*BOX_MM)
    return volumes.box_of(panel.ui.roiSelector.currentNode())


def assert_same(panel, summary: dict, result: Path) -> None:
    """The figures of the panel's run are these, and the segments of the scene hold these voxels."""
    node = panel.ui.segmentationSelector.currentNode()
    shown = panel.logic.settings["summary"]
    assert {name: shown[name] for name in FIGURES} == {name: summary[name] for name in FIGURES}
    assert_holds(node, result)


def assert_holds(node, result: Path) -> None:
    """Every segment of the scene holds the voxels of a result's file."""
    path = result / "segmentation.seg.nrrd"
    names = [name for name in STRUCTURES if node.GetSegmentation().GetSegment(name)]
    assert set(names) == segment_ids(path) & set(STRUCTURES)
    for name in names:
        mask = read_segmentation(path, name)
        np.testing.assert_array_equal(array_on(node, name, mask), sitk.GetArrayFromImage(mask) > 0, name)


def array_on(node, identity: str, image: sitk.Image) -> np.ndarray:
    """A segment of the scene on the grid of an image (z, y, x), by the places of its voxels."""
    labels = segments.label_map(node, identity)
    found = np.zeros(image.GetSize()[::-1], bool)
    array = segments.array_of(labels)
    extent = labels.GetExtent()
    indices = np.argwhere(array)[:, ::-1] + (extent[0], extent[2], extent[4])
    ras = indices @ segments.image_to_ras(labels)[:3, :3].T + segments.image_to_ras(labels)[:3, 3]
    axes = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    places = (ras * (-1, -1, 1) - image.GetOrigin()) @ np.linalg.inv(axes).T
    whole = np.rint(places).astype(int)
    assert np.abs(places - whole).max(initial=0) < 1e-3
    found[whole[:, 2], whole[:, 1], whole[:, 0]] = True
    return found


@pytest.mark.usefixtures("engine")
def test_a_surgeon_gets_from_the_scan_to_the_file(host, panel, work, in_a_box, phantom_file, tmp_path):
    """With the default method, which runs the networks of the shipped package."""
    ui, slicer = panel.ui, host.slicer
    assert METHODS[ui.methodBox.itemData(ui.methodBox.currentIndex)].needs_model
    assert "The segments are in the scene." in work(ui.segmentButton)
    result = tmp_path / "result"
    assert_same(panel, command_line(phantom_file, result, region=in_a_box), result)
    node = ui.segmentationSelector.currentNode()
    assert segments.volume_ml(node, "inferred") > 0

    slide(host, panel, thin=0.45)
    limits = panel.logic.settings["limits"]
    ct, fields = sitk.ReadImage(str(phantom_file)), {}
    for name in limits:
        fields[name] = sitk.ReadImage(str(result / f"probability-{name}.nrrd"))
    masks = KeptProbabilities(ct, fields, Region(tuple(in_a_box))).masks(limits)
    for name, mask in masks.items():
        np.testing.assert_array_equal(array_on(node, name, mask), sitk.GetArrayFromImage(mask) > 0, name)
    wall, bone = (array_on(node, name, masks["bone"]) for name in ("inferred", "bone"))
    assert not (wall & bone).any()
    surface = node.GetSegmentation().GetSegment("bone").GetRepresentation
    assert surface(segments.SURFACE) is None
    host.process_until(lambda: panel.logic.runs.running == "settle", 30)
    host.process_until(lambda: panel.logic.runs.running is None, PATIENCE_SECONDS)
    settled = tmp_path / "other limits"
    job = {"region": in_a_box, "parameters": {f"{name}_above": limit for name, limit in limits.items()}}
    assert_same(panel, command_line(phantom_file, settled, record=str(result), **job), settled)
    result = settled
    assert surface(segments.SURFACE).GetNumberOfCells() > 1000
    assert panel.logic.edited() == []

    out = tmp_path / "out é"
    out.mkdir()
    ui.exportFolderEdit.currentPath = str(out)
    assert "Files written and read back: 3." in work(ui.exportButton)
    assert (out / "bone-both.stl").read_bytes() == (result / "bone.stl").read_bytes()  # the command line's, to the byte

    bone = read_segmentation(result / "segmentation.seg.nrrd", "bone")
    edited = sitk.GetArrayFromImage(bone) > 0
    place = np.argwhere(~edited & inside(in_a_box, bone))[1234].tolist()
    paint(slicer, ui.editorWidget, node, place[::-1])
    edited[tuple(place)] = True
    np.testing.assert_array_equal(array_on(node, "bone", bone), edited)
    assert panel.logic.edited() == ["Orbital bone"]

    choose(ui.formatBox, "nrrd")
    ui.exportButton.click()
    exported = read_segmentation(out / "segmentation-both.seg.nrrd", "bone")
    np.testing.assert_array_equal(array_of_file(exported, bone), edited)
    choose(ui.formatBox, "stl")
    ui.thickenSpin.setValue(1.2)
    assert "Files written and read back: 3." in work(ui.exportButton)
    mesh = results.read_surface(out / "bone-both-2.stl")
    made = json.loads((out / "bone-both-2-record.json").read_text(encoding="utf-8"))["steps"][-2]
    assert made["parameters"]["thicken_mm"] == 1.2
    assert mesh.GetNumberOfCells() == made["measured"]["bone"]["triangles"] > 1000
    assert ui.qualityTable.rowCount > 3
    ui.qualityButton.click()
    model = slicer.util.getNode("bone-both-2")
    assert model.GetPolyData().GetPointData().GetArray("thickness_mm") is not None
    assert model.GetDisplayNode().GetScalarVisibility()

    for _ in range(3):
        ui.nextSliceButton.click()
    ui.recordFolderEdit.currentPath = str(out)
    panel.logic.forget()  # as after the scene was saved and opened again
    work(ui.recordButton)
    assert "Missing in it: " in ui.recordLabel.text
    record = json.loads((panel.logic.record_folder / "record.json").read_text(encoding="utf-8"))
    assert record["edits"]["segments"]["bone"]["added_voxels"] == 1
    assert record["edits"]["segments"]["bone"]["removed_voxels"] == 0
    assert record["reviews"][0]["kind"] == "slice-by-slice"
    assert 0 < record["reviews"][0]["seen"] < 1
    assert (panel.logic.record_folder / "record.html").is_file()


@dataclass(frozen=True)
class OnFineVoxels(Python):
    """The real worker, which puts thresholds on voxels as fine as those of networks, for that takes no network."""

    given: dict[str, sitk.Image] = field(default_factory=dict)
    """By task the bone that it was to work on."""

    def start(self, job, folder):
        if job["task"] == "segment":
            job = job | {"grid": 0.5}
        else:
            self.given[job["task"]] = read_segmentation(Path(job.get("edited", job["input"])), "bone")
        return super().start(job, folder)


class Effect(dict):
    """What an effect of the editor was told."""

    setParameter = setCommonParameter = dict.__setitem__  # noqa: N815


class TestThickSlices:
    """A scan of 1 x 1 x 3 mm, whose result lies on 0.5 mm."""

    @pytest.fixture
    def python(self):
        return OnFineVoxels(LAUNCHER, library_parent())

    @pytest.fixture
    def bone(self, host, panel, work, tmp_path):
        """The bone as the run made it; the right orbit is segmented."""
        taken = scan(Anatomy(), Scanner(96, 1.0, 3.0, 3.0, 66.0, (0.0, 15.0, 0.0)))
        ct = sitk.GetImageFromArray(taken.voxels)
        ct.SetSpacing((1.0, 1.0, 3.0))
        ct.SetOrigin(taken.grid.origins[0].tolist())
        volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "3 mm")
        volumes.put_image(volume, ct)
        ui = panel.ui
        ui.volumeSelector.setCurrentNode(volume)
        choose(ui.methodBox, "threshold")
        choose(ui.regionBox, "right")
        assert "The segments are in the scene." in work(ui.segmentButton)
        assert results.restore(panel.logic.settings, tmp_path / "made")
        return read_segmentation(tmp_path / "made/segmentation.seg.nrrd", "bone")

    def test_one_voxel_is_edited_on_the_grid_of_the_result(
        self, host, panel, python, work, bone, monkeypatch, tmp_path
    ):
        ui, slicer = panel.ui, host.slicer
        node, editor = ui.segmentationSelector.currentNode(), ui.editorWidget
        made = sitk.GetArrayFromImage(bone) > 0
        assert bone.GetSpacing() == (0.5, 0.5, 0.5)
        np.testing.assert_array_equal(array_on(node, "bone", bone), made)
        assert edited_grid(slicer, host, editor.mrmlSegmentEditorNode()) == ([0.5] * 3, segments.grid_of(node)[1])

        effect = Effect()
        monkeypatch.setattr(editor, "activeEffect", lambda: effect)
        for button in (ui.thinBrushButton, ui.islandsButton, ui.smoothingButton):
            button.click()
        assert effect["BrushAbsoluteDiameter"] == pytest.approx(0.5)
        assert effect["MinimumSize"] == 800  # 0.1 ml
        assert effect["KernelSizeMm"] == pytest.approx(1.5)

        others = {name: array_on(node, name, bone) for name in ("cortical", "thin")}
        place = np.argwhere(~made & np.roll(made, 1, axis=2))[1234]
        wanted = made.copy()
        wanted[tuple(place)] = True
        paint(slicer, editor, node, place[::-1].tolist())
        np.testing.assert_array_equal(array_on(node, "bone", bone), wanted)
        assert panel.logic.edited() == ["Orbital bone, right"]
        editor.undo()
        np.testing.assert_array_equal(array_on(node, "bone", bone), made)
        assert panel.logic.edited() == []
        editor.redo()
        np.testing.assert_array_equal(array_on(node, "bone", bone), wanted)

        ui.exportFolderEdit.currentPath = ui.recordFolderEdit.currentPath = str(tmp_path)
        work(ui.measureButton)
        assert panel.logic.settings["orbits"]["figures"]["orbits"]["right"]["volume_ml"] > 20
        assert "Files written and read back: 3." in work(ui.exportButton)
        work(ui.recordButton)
        assert set(python.given) == {"orbits", "surface", "review"}
        for task, given in python.given.items():
            np.testing.assert_array_equal(array_of_file(given, bone), wanted, task)

        surface = json.loads((tmp_path / "bone-right-record.json").read_text(encoding="utf-8"))["steps"][-2]
        assert surface["measured"]["bone"]["mask_volume_ml"] == pytest.approx(wanted.sum() * 0.5**3 / 1000, abs=1e-9)
        reviewed = panel.logic.record_folder
        record = json.loads((reviewed / "record.json").read_text(encoding="utf-8"))
        edits = record["edits"]["segments"]
        counted = {name: (edit["added_voxels"], edit["removed_voxels"]) for name, edit in edits.items()}
        assert counted == {"bone": (1, 0), "cortical": (0, 0), "thin": (0, 0)}
        kept = read_segmentation(reviewed / "segmentation.seg.nrrd", "bone")
        np.testing.assert_array_equal(array_of_file(kept, bone), wanted)
        for name, array in others.items():
            np.testing.assert_array_equal(array_on(node, name, bone), array, name)
            held = read_segmentation(reviewed / "segmentation.seg.nrrd", name)
            np.testing.assert_array_equal(array_of_file(held, bone), array, name)


def edited_grid(slicer, host, node) -> tuple[list[float], list[int]]:
    """Spacing in mm and size of the grid on which Slicer's Segment Editor edits."""
    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(host.scene)
    editor.SetSegmentEditorNode(node)
    assert node.GetSourceVolumeNode().GetSpacing() == (1.0, 1.0, 3.0)
    editor.UpdateReferenceGeometryImage()
    image = editor.GetReferenceGeometryImage()
    return list(image.GetSpacing()), list(image.GetDimensions())


def slide(host, panel, **values: float) -> None:
    """Move sliders, and wait until the limits are those."""
    for name, value in values.items():
        panel.ui.slidersBox.findChild(host.qt.QWidget, f"limit_{name}").value = value
    host.process_until(lambda: panel.logic.settings["limits"].items() >= values.items(), 30)


def inside(box_mm: list[float], image: sitk.Image) -> np.ndarray:
    """The voxels (z, y, x) of an image with straight axes whose centres lie in a box."""
    axes = [image.GetOrigin()[a] + image.GetSpacing()[a] * np.arange(image.GetSize()[a]) for a in range(3)]
    x, y, z = ((axes[a] >= box_mm[2 * a]) & (axes[a] <= box_mm[2 * a + 1]) for a in range(3))
    return z[:, None, None] & y[:, None] & x


def paint(slicer, editor, node, index: list[int]) -> None:
    """Add one voxel of the result grid (x, y, z) to the bone, as an effect of the editor does."""
    dot = slicer.vtkOrientedImageData()
    dot.DeepCopy(segments.label_map(node, "bone"))
    dot.SetExtent(*[edge for place in index for edge in (place, place)])
    dot.SetGeometryFromImageToWorldMatrix(volumes.matrix_of(segments.grid_of(node)[0]))
    dot.AllocateScalars(3, 1)
    dot.GetPointData().GetScalars().Fill(1)
    editor.saveStateForUndo()
    assert slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        dot, node, "bone", slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX
    )


def array_of_file(mask: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """A mask, which may be smaller than its scan, on the scan's grid."""
    whole = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    assert int(sitk.GetArrayFromImage(whole).sum()) == int(sitk.GetArrayFromImage(mask).sum())
    return sitk.GetArrayFromImage(whole) > 0


def test_a_real_scan_gives_the_figures_of_the_command_line(panel, work, toshiba, tmp_path):
    ui = panel.ui
    ui.volumeSelector.setCurrentNode(origin.series_as_volume(toshiba, "real"))
    assert "not feasible" in ui.feasibilityLabel.text
    choose(ui.methodBox, "threshold")
    choose(ui.regionBox, "right")
    assert "The segments are in the scene." in work(ui.segmentButton)
    summary = command_line(toshiba, tmp_path / "result", method="threshold", region="right")
    assert_same(panel, summary, tmp_path / "result")


def test_the_archive_gets_what_was_chosen_in_the_scans_own_study(host, panel, work, tmp_path, monkeypatch):
    """With a scan that Slicer imported from DICOM: its files are known to the database."""
    highdicom = importlib.import_module("highdicom") if NO_SKIP else pytest.importorskip("highdicom")
    folder, out = tmp_path / "series", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    write_series(scan(Anatomy(), Scanner(32, 1.5, 1.5, 1.5, 18.0, (0.0, 15.0, 0.0))), folder)
    database = Database(folder)
    files = database.files
    monkeypatch.setattr(host.slicer, "dicomDatabase", database, raising=False)
    volume = origin.series_as_volume(folder, "imported")
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    ui = panel.ui
    ui.volumeSelector.setCurrentNode(volume)
    choose(ui.methodBox, "threshold")
    choose(ui.regionBox, "whole")
    work(ui.segmentButton)
    ui.exportFolderEdit.currentPath = str(out)
    choose(ui.formatBox, "dicom")
    export_check(panel, "cortical").click()
    assert "Files written and read back: 1." in work(ui.exportButton), ui.exportLabel.text
    written = highdicom.seg.segread(out / "segmentation-both.dcm")
    assert [item.SegmentLabel for item in written.SegmentSequence] == ["Orbital bone", "Cortical bone"]
    assert str(written.StudyInstanceUID) == str(pydicom.dcmread(next(iter(files.values()))).StudyInstanceUID)
    node = ui.segmentationSelector.currentNode()
    voxels = [int(segments.array_of(segments.label_map(node, name)).sum()) for name in ("bone", "cortical")]
    assert int(written.pixel_array.sum()) == sum(voxels)


def test_the_orbits_are_measured_between_the_walls_of_the_scene(host, panel, work, tmp_path):
    """Whole orbits of the phantom, coarse, between walls by a threshold; the figures are those of the command line."""
    taken = scan(Anatomy(), Scanner(76, 1.5, 1.5, 1.5, 72.0, (0.0, 15.0, 0.0)))
    ct = sitk.GetImageFromArray(taken.voxels)
    ct.SetSpacing((1.5, 1.5, 1.5))
    ct.SetOrigin(taken.grid.origins[0].tolist())
    bone = sitk.Cast(ct > 200, sitk.sitkUInt8)
    sitk.WriteImage(ct, str(tmp_path / "phantom.nrrd"))
    write_segmentation({"bone": bone}, tmp_path / "walls.seg.nrrd")
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volumes.put_image(volume, ct)
    ui = panel.ui
    ui.volumeSelector.setCurrentNode(volume)
    ui.segmentationSelector.setCurrentNode(segments.load(tmp_path / "walls.seg.nrrd", "walls"))
    assert "The orbits are measured" in work(ui.measureButton)
    job = {"task": "orbits", "ct": str(tmp_path / "phantom.nrrd")}
    summary = command_line(tmp_path / "walls.seg.nrrd", tmp_path / "orbits", **job)
    assert panel.logic.settings["orbits"]["figures"] == summary
    assert "left orbit" in ui.measureLabel.text  # a warning: a threshold finds too little of its walls
    for model, side in zip(panel.logic.settings.references(ORBIT), ("right", "left"), strict=True):
        assert f"Orbit {side} ({summary['orbits'][side]['volume_ml']:.1f} ml)" == model.GetName()
        written = results.read_surface(tmp_path / "orbits" / f"orbit-{side}.stl")
        bounds = np.reshape(model.GetPolyData().GetBounds(), (3, 2))
        np.testing.assert_allclose(bounds, np.reshape(written.GetBounds(), (3, 2)), atol=1e-3)
        assert np.sign(bounds[0]).tolist() == ([1, 1] if side == "right" else [-1, -1])  # RAS: x to the right


def test_a_broken_orbit_gets_models_with_the_wall_that_it_had(host, panel, work, tmp_path):
    """The phantom with a broken floor, its bone by formula."""
    anatomy = Anatomy(fracture="floor", fracture_side="left", fracture_area_mm2=90.0)
    taken = scan(anatomy, Scanner(140, 1.0, 1.0, 1.0, 84.0, (0.0, 15.0, 0.0)))
    ct = sitk.GetImageFromArray(taken.voxels)
    ct.SetOrigin(taken.grid.origins[0].tolist())
    bone = sitk.Cast(bone_fraction(anatomy, orbits_grid(anatomy, 0.6)) > 0.4, sitk.sitkUInt8)
    sitk.WriteImage(ct, str(tmp_path / "phantom.nrrd"))
    write_segmentation({"bone": bone}, tmp_path / "walls.seg.nrrd")
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volumes.put_image(volume, ct)
    ui, models = panel.ui, tmp_path / "models"
    models.mkdir()
    ui.volumeSelector.setCurrentNode(volume)
    ui.segmentationSelector.setCurrentNode(segments.load(tmp_path / "walls.seg.nrrd", "walls"))
    ui.modelsFolderEdit.currentPath = str(models)
    assert "Reconstructed; files written and read back: 6." in work(ui.reconstructButton)
    assert "Left, floor: " in ui.reconstructionLabel.text
    (opening,) = panel.logic.settings["reconstruction"]["figures"]["orbits"]["left"]["openings"]
    assert opening["wall"] == "floor"
    assert opening["mirrored_share"] > 0.9
    assert opening["uncertain_mm"] < 1
    model = results.read_surface(models / "bone_reconstructed-left.stl")
    assert model.GetNumberOfCells() > 10_000
    assert model.GetBounds()[1] < 10  # the left orbit alone, RAS
