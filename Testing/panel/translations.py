"""Every text of the panel that a user sees, and the files from which Slicer translates it.

    .venvs/slicer/bin/python Testing/panel/translations.py

makes the `.qm` files that Slicer reads of the catalogues in `OrbitalSegLib/languages`, and names the texts that a
catalogue lacks.
"""

import ast
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "OrbitalSeg"
FOLDER = MODULE / "Resources/Translations"
CATALOGUES = MODULE.parent / "OrbitalSegLib/languages"
FORM = MODULE / "Resources/UI/OrbitalSeg.ui"

Texts = dict[str, list[str]]
"""By Qt's context, which is Slicer's: the package and the file."""


def context_of(path: Path) -> str:
    """As `slicer.i18n` names it."""
    in_package = (path.parent / "__init__.py").is_file()
    return f"{path.parent.name}.{path.stem}" if in_package else path.stem


def calls_of(path: Path) -> list[ast.expr]:
    """What a file hands to `_`."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        node.args[0]
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
    ]


def sources() -> list[Path]:
    return [MODULE / "OrbitalSeg.py", *sorted((MODULE / "OrbitalSegPanel").rglob("*.py"))]


def tables() -> Texts:
    """Texts that stand in tables, and are handed to `_` by name."""
    from OrbitalSegLib.methods import METHODS
    from OrbitalSegLib.modelling.surface import SMOOTHINGS
    from OrbitalSegLib.structures import STRUCTURES
    from OrbitalSegPanel.exporting import SIDES
    from OrbitalSegPanel.sections.export import FORMATS

    items = [item for method in METHODS.values() for item in method.describe()]
    titles = [item["title"] for item in items]
    choices = [title for item in items for title in (item.get("choices") or {}).values()]
    return {
        "OrbitalSegPanel.orbits": list(SIDES),
        "OrbitalSegPanel.parameters": [*titles, *choices],
        "OrbitalSegPanel.reconstruction": list(SIDES),
        "sections.export": [
            *FORMATS.values(),
            *(name.capitalize() for name in SMOOTHINGS),
            *(one.told for one in STRUCTURES.values()),
        ],
        "sections.method": [*(method.title for method in METHODS.values()), *titles],
        "sections.threshold": [title for title in titles if title.endswith(" above")],
    }


def collected() -> Texts:
    """Every text, by its context."""
    found: Texts = {}
    for path in sources():
        texts = [call.value for call in calls_of(path) if isinstance(call, ast.Constant)]
        if texts:
            found.setdefault(context_of(path), []).extend(texts)
    for context, texts in tables().items():
        found.setdefault(context, []).extend(texts)
    form = ET.parse(FORM)
    shown = [
        item.text
        for prop in form.iter("property")
        if prop.get("name") not in ("nodeTypes", "styleSheet")
        for item in prop.iter("string")
        if item.text and item.get("notr") != "true"
    ]
    found.setdefault("OrbitalSeg", []).extend(shown)
    return {context: sorted(set(texts)) for context, texts in sorted(found.items())}


def read(language: str) -> dict[str, str]:
    """A catalogue: every text and its translation."""
    found: dict[str, str] = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    return found


def source_of(language: str, known: dict[str, str]) -> str:
    """What Qt makes a translation of: every text of the panel that is known, in its context."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    for context, texts in collected().items():
        part = ET.SubElement(root, "context")
        ET.SubElement(part, "name").text = context
        for text in filter(known.get, texts):
            message = ET.SubElement(part, "message")
            ET.SubElement(message, "source").text = text
            ET.SubElement(message, "translation").text = known[text]
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{ET.tostring(root, encoding="unicode")}\n'


def compiled(language: str, known: dict[str, str], into: Path) -> Path:
    """The `.qm` that Qt makes of a catalogue."""
    import PySide6

    tool = Path(PySide6.__file__).parent / "lrelease"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "panel.ts"
        source.write_text(source_of(language, known), encoding="utf-8")
        subprocess.run([tool, "-silent", source, "-qm", into], check=True)
    return into


def lacking(known: dict[str, str]) -> set[str]:
    """The texts of the panel that a catalogue does not have."""
    return {text for texts in collected().values() for text in texts if not known.get(text)}


def main() -> None:
    import host

    host.start()
    for path in FOLDER.glob("*.qm"):
        language = path.stem.partition("_")[2]
        known = read(language)
        compiled(language, known, path)
        for text in sorted(lacking(known)):
            print(f"{language} lacks: {json.dumps(text, ensure_ascii=False)}")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(MODULE)]
    main()
