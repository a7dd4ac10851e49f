"""Where the library is: beside the installed module, or one folder up in a checkout."""

import sys
from pathlib import Path

NAME = "OrbitalSegLib"


def library_parent() -> Path:
    """The folder that holds the library. Raises `FileNotFoundError`."""
    module_folder = Path(__file__).resolve().parent.parent
    for folder in (module_folder, module_folder.parent):
        if (folder / NAME / "worker.py").is_file():
            return folder
    raise FileNotFoundError(f"{NAME} is neither beside the OrbitalSeg module nor one folder above it: install it again")


def make_importable() -> None:
    """Let `import OrbitalSegLib` find the library that came with this module, before any other."""
    folder = str(library_parent())
    if folder not in sys.path:
        sys.path.insert(0, folder)
