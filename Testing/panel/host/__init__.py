"""A host for the Slicer module where the Slicer desktop is missing.

Real are MRML and its logics (`slicer-core`), Qt's own widgets (PySide6), and the panel under test. Stand-ins are the
CTK and qMRML widgets, PythonQt's way to call Qt, the application object, and the base classes of scripted modules.
What a stand-in offers is part of the real class's interface; `interfaces.py` lists it, and a test compares them.

What it cannot show: PythonQt's own conversions and ownership, the Segment Editor's effects, the layout manager, how
modules are found and reloaded, and what the desktop's own style makes of the panel.
"""

import sys
from pathlib import Path

from host.start import Host, start

LAUNCHER = [sys.executable, str(Path(__file__).parent / "launcher.py")]
"""This Python as the desktop starts it: behind a launcher."""

__all__ = ["LAUNCHER", "Host", "start"]
