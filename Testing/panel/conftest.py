"""The panel on the host: real MRML and real Qt widgets, stand-ins for the rest (see host/__init__.py)."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "OrbitalSeg")]

MISSING = [name for name in ("slicer", "PySide6") if importlib.util.find_spec(name) is None]
if MISSING and not os.environ.get("ORBITALSEG_NO_SKIP"):
    pytest.skip(f"not installed in this environment: {', '.join(MISSING)}", allow_module_level=True)


import host as module_of_host  # noqa: E402 - in the folder named above

FOLDER = "private é ü"
"""Where the private folders go: users' names hold such letters."""

# A folder `slicer` anywhere on the path counts as part of Slicer's package, whose every module is then imported.
ON_PATH = sys.path.copy()
sys.path[:] = [place for place in sys.path if Path(place) != HERE.parent]
HOST = module_of_host.start()
"""Before any test module is read: the panel's code imports what only the host has."""
sys.path[:] = ON_PATH


@pytest.fixture(scope="session")
def host():
    """The host; its scene is cleared for every test that asks for a panel."""
    return HOST


@pytest.fixture(autouse=True)
def no_slot_may_fail(monkeypatch):
    """Qt prints what a slot raises and goes on, PythonQt a connection that is none: here both fail the test."""
    from host import pythonqt

    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: raised.append(error))
    monkeypatch.setattr(pythonqt, "FAILED", [])
    yield
    assert not raised, repr(raised)
    assert not pythonqt.FAILED


@pytest.fixture
def python():
    """A worker that only pretends; the test says what it does."""
    from fakes import FakePython

    return FakePython()


@pytest.fixture
def logic(host, python, tmp_path):
    """The real logic with the pretended worker."""
    from OrbitalSeg import OrbitalSegLogic

    host.scene.Clear(False)
    made = OrbitalSegLogic(python, tmp_path / FOLDER)
    yield made
    made.drop()


@pytest.fixture
def panel(host, logic):
    """The panel with that logic."""
    widget = host.panel(logic)
    yield widget
    widget.cleanup()


@pytest.fixture
def volume(host):
    """A small CT in the scene, and in the panel if it is asked for first."""
    from fakes import ct_image
    from OrbitalSegPanel import volumes

    node = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    volumes.put_image(node, ct_image())
    return node


@pytest.fixture
def ready(panel, volume):
    """The panel with a CT chosen and a method that needs no package."""
    from hands import choose

    panel.ui.volumeSelector.setCurrentNode(volume)
    choose(panel.ui.methodBox, "threshold")
    return panel


@pytest.fixture
def segment(ready, python):
    """Presses Segment and lets the worker make a result."""
    from fakes import write_result

    def press(answer: bool = False, **result):
        ready.panel.ask = lambda _question: answer
        ready.ui.segmentButton.click()
        write_result(python.result, **result)
        python.succeed(volumes_ml={"bone": 1.0})
        ready.logic.poll()
        return ready.ui.segmentationSelector.currentNode()

    return press
