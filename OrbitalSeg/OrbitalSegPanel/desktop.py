"""The logic as Slicer runs it: with a parameter node of its own, and workers by Slicer's Python."""

import logging
import shutil
import sys
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.logic import PanelLogic
from OrbitalSegPanel.process import Python


class OrbitalSegLogic(PanelLogic, ScriptedLoadableModuleLogic):
    """The logic behind the panel; tests give it another Python, or one that only pretends."""

    def __init__(self, python=None, folder=None):
        ScriptedLoadableModuleLogic.__init__(self)
        PanelLogic.__init__(self, python or worker_python(), Path(folder or slicer.app.temporaryPath))


def worker_python() -> Python:
    """Slicer's own Python, in the environment that Slicer was started in."""
    launcher = shutil.which("PythonSlicer")
    if launcher is None:
        logging.debug("PythonSlicer is not on the path; this is no desktop")
        return Python([sys.executable], library_parent())
    return Python([launcher], library_parent(), slicer.util.startupEnvironment())
