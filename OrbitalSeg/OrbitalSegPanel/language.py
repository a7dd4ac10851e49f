"""The panel in the language of Slicer, where there is a translation; else in English, as every text that lacks one."""

from pathlib import Path
from typing import Any

import qt
import slicer

TRANSLATIONS = Path(__file__).resolve().parents[1] / "Resources/Translations"
"""`OrbitalSeg_LANGUAGE.qm`, which Qt makes of a catalogue of the library (`Testing/panel/translations.py`)."""

_KEPT: dict[str, Any] = {}
"""Qt forgets a translator that nobody keeps."""


def language() -> str:
    """What Slicer speaks, as `de` or `de_DE`; empty for English."""
    settings = slicer.app.settings()
    enabled = str(settings.value("Internationalization/Enabled")).lower() in ("true", "1")
    return str(settings.value("language") or "").replace("-", "_") if enabled else ""


def translate_panel() -> bool:
    """Let Qt know the panel's texts in Slicer's language; returns whether there are any."""
    spoken = language()
    for name in (spoken, spoken.partition("_")[0]):
        path = TRANSLATIONS / f"OrbitalSeg_{name}.qm"
        if name and path.is_file():
            if name not in _KEPT:
                translator = qt.QTranslator()
                if not translator.load(str(path)):
                    return False
                _KEPT[name] = translator
                qt.QCoreApplication.installTranslator(translator)
            return True
    return False
