"""Whatever ends a run in the middle, scene and disk are as before: with the real worker."""

import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import SimpleITK as sitk

from conftest import FOLDER
from fakes import write_result
from host import LAUNCHER
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegPanel import process, results, segments, volumes
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python
from OrbitalSegPanel.settings import SEGMENTATION

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 300
KILLS = 10
BOX_MM = (14.0, 14.0, 10.0)


@pytest.fixture(scope="module")
def phantom():
    """A part of the phantom: a run on it takes a few seconds."""
    taken = scan(Anatomy(), Scanner(96, 1.0, 1.0, 1.0, 48.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    return image


@pytest.fixture
def python():
    return Python(LAUNCHER, library_parent())


@pytest.fixture
def ready(host, panel, phantom, tmp_path, monkeypatch):
    """The panel with the phantom, a small box of which is to be segmented."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # the worker's: what it leaves there is seen
    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volumes.put_image(node, phantom)
    panel.ui.volumeSelector.setCurrentNode(node)
    panel.ui.methodBox.setCurrentIndex(panel.ui.methodBox.findData("threshold"))
    panel.ui.roiButton.click()
    panel.ui.roiSelector.currentNode().SetSizeWorld(*BOX_MM)
    wait(host, panel)  # until the scan was read
    return panel


@pytest.fixture
def state(host, tmp_path):
    """What must not change: nodes with their voxels, and files."""

    def look():
        scene = host.scene
        nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
        found = {node.GetID(): node.GetName() for node in nodes}
        for node in nodes:
            if node.IsA("vtkMRMLSegmentationNode"):
                segmentation = node.GetSegmentation()
                found |= {name: segments.fingerprint(node, name) for name in segmentation.GetSegmentIDs()}
        return found, sorted(str(path) for path in tmp_path.rglob("*") if path.is_file())

    return look


def wait(host, panel, seconds: float = PATIENCE_SECONDS) -> None:
    host.process_until(lambda: panel.logic.runs.running is None, seconds)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_worker_killed_at_ten_random_moments_leaves_scene_and_disk_as_before(host, ready, state):
    before = state()
    chance = random.Random(6)
    for percent in (chance.uniform(0, 85) for _ in range(KILLS)):
        ready.ui.segmentButton.click()
        work = ready.logic.runs.work
        host.process_until(lambda: ready.ui.progressBar.value >= percent, PATIENCE_SECONDS)  # noqa: B023
        assert work.outcome is None
        os.kill(work.pid, signal.SIGKILL)
        wait(host, ready)
        assert "ended" in ready.ui.messageLabel.text
        assert ready.ui.segmentButton.enabled
        assert state() == before


def interrupt_by_cancel(host, panel):
    panel.ui.cancelButton.click()
    wait(host, panel)
    assert "cancelled" in panel.ui.messageLabel.text


def interrupt_by_closing_the_scene(host, _panel):
    host.scene.Clear(False)


def interrupt_by_reloading(_host, panel):
    panel.cleanup()


INTERRUPTIONS = {
    "cancel": interrupt_by_cancel,
    "closing the scene": interrupt_by_closing_the_scene,
    "reloading the module": interrupt_by_reloading,
}


@pytest.mark.parametrize("name", list(INTERRUPTIONS))
def test_an_interrupted_run_leaves_no_process_and_no_file(host, ready, state, name):
    before = state()
    ready.ui.segmentButton.click()
    work = ready.logic.runs.work
    host.process_until(lambda: ready.ui.progressBar.value > 0, PATIENCE_SECONDS)
    INTERRUPTIONS[name](host, ready)
    host.process_until(lambda: work.outcome is not None, process.GRACE_SECONDS + 10)
    with pytest.raises(ProcessLookupError):
        os.kill(work.pid, 0)
    nodes, files = state()
    assert files == before[1]
    if name != "closing the scene":
        assert nodes == before[0]
    assert ready.logic.runs.running is None


def test_a_run_goes_on_whatever_is_deleted_or_shown_meanwhile(host, ready, state, tmp_path):
    """Another module is shown, the earlier result and the volume are deleted: the result comes all the same."""
    ui, scene, volume = ready.ui, host.scene, ready.ui.volumeSelector.currentNode()
    write_result(tmp_path / "earlier")
    results.load(tmp_path / "earlier", "earlier", volume, None, lambda: None, ready.logic.settings)
    shutil.rmtree(tmp_path / "earlier")
    earlier = ready.logic.settings.reference(SEGMENTATION)
    ui.segmentButton.click()
    host.process_until(lambda: ui.progressBar.value > 0, PATIENCE_SECONDS)
    ready.exit()
    scene.RemoveNode(earlier)
    scene.RemoveNode(volume)
    wait(host, ready)
    ready.enter()
    found = ui.segmentationSelector.currentNode()
    assert found is not None
    assert segments.volume_ml(found, "bone") > 0
    assert "The segments are in the scene." in ui.messageLabel.text
    assert len(list((tmp_path / FOLDER).iterdir())) == 1  # one result is kept
    ready.cleanup()
    assert state()[1] == []


def test_a_disk_that_takes_nothing_is_said_and_leaves_the_scene(ready, state, monkeypatch):
    before = state()

    def refuse(_image, _path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(volumes, "write", refuse)
    ready.ui.segmentButton.click()
    assert "No space left" in ready.ui.messageLabel.text
    assert ready.logic.runs.running is None
    assert state() == before
