"""Every text of the panel that a user sees, and the files that translate it.

    .venvs/slicer/bin/python Testing/panel/translations.py

brings `OrbitalSeg/Resources/Translations/*.ts` up to date - new texts come in without a translation, old ones go - and
makes the `.qm` files that Slicer reads.
"""

import ast
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "OrbitalSeg"
FOLDER = MODULE / "Resources/Translations"
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
    from OrbitalSegPanel.words import WORDS

    items = [item for method in METHODS.values() for item in method.describe()]
    titles = [item["title"] for item in items]
    choices = [title for item in items for title in (item.get("choices") or {}).values()]
    return {
        "OrbitalSegPanel.orbits": list(SIDES),
        "OrbitalSegPanel.parameters": [*titles, *choices],
        "OrbitalSegPanel.words": list(WORDS),
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


def read(path: Path) -> dict[tuple[str, str], str]:
    """The translations of a file, by context and text."""
    return {
        (context.findtext("name") or "", message.findtext("source") or ""): message.findtext("translation") or ""
        for context in ET.parse(path).iter("context")
        for message in context.iter("message")
    }


def write(path: Path, language: str, known: dict[tuple[str, str], str]) -> None:
    """A file of all texts, with the translations that are known."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    for context, texts in collected().items():
        part = ET.SubElement(root, "context")
        ET.SubElement(part, "name").text = context
        for text in texts:
            message = ET.SubElement(part, "message")
            ET.SubElement(message, "source").text = text
            translation = ET.SubElement(message, "translation")
            translation.text = known.get((context, text)) or None
            if not translation.text:
                translation.set("type", "unfinished")
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n', encoding="utf-8")


def compiled(path: Path, into: Path) -> Path:
    """The `.qm` that Qt makes of a `.ts`."""
    import PySide6

    tool = Path(PySide6.__file__).parent / "lrelease"
    subprocess.run([tool, "-silent", "-nounfinished", path, "-qm", into], check=True)
    return into


def main() -> None:
    import host

    host.start()
    for path in FOLDER.glob("*.ts"):
        write(path, path.stem.partition("_")[2], read(path))
        compiled(path, path.with_suffix(".qm"))


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(MODULE)]
    main()
