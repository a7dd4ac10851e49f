"""docs/reading.md is true: what volume files give stands in the page and in the code alike."""

import ast
import re
from pathlib import Path

from OrbitalSegLib import files
from OrbitalSegLib.evaluation.grids import LATTICE_TOLERANCE
from OrbitalSegLib.reading import frames, units, values

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")

SOURCES = {
    "Volume files": ("volumes", "frames", "nifti", "nrrd", "meta"),
    "A DICOM series that contradicts itself": ("claims",),
    "DICOM: series and stacks": ("dicom", "stack", "stacking"),
    "DICOM: values and files": ("values", "units", "headers", "pixels", "__init__"),
    "A volume that another program made": ("origin",),
}
"""By the heading of the page the modules of OrbitalSegLib/reading whose sentences stand there."""


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> set[tuple[str, str]]:
    """Code and sentence of each row that has them."""
    cells = [line.split(" | ") for line in section(title).splitlines() if line.startswith("| ")]
    return {(cell[2].strip(" `"), cell[3].removesuffix(" |")) for cell in cells if len(cell) == 4 and "`" in cell[2]}


def _text(node: ast.expr, named: list[tuple[int, str, str]]) -> str | None:
    """A sentence as the page writes it: what is filled in becomes three dots. A name is what was assigned last."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        before = [(line, text) for line, name, text in named if name == node.id and line < node.lineno]
        return max(before)[1] if before else None
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "..." for part in node.values]
        return "".join(map(str, parts))
    return None


def said(module: str) -> set[tuple[str, str]]:
    """Every code with its sentence that a module can say: errors, and pairs of a code and a sentence."""
    tree = ast.parse((ROOT / "OrbitalSegLib" / "reading" / f"{module}.py").read_text(encoding="utf-8"))
    named = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _text(node.value, [])
            if text is not None:
                named.append((node.lineno, node.targets[0].id, text))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError":
            pair = node.args
        elif isinstance(node, ast.Tuple):
            pair = node.elts
        else:
            continue
        texts = [_text(item, named) for item in pair]
        if (
            len(texts) == 2
            and texts[0]
            and texts[1]
            and re.fullmatch(r"[a-z]+(-[a-z]+)*", texts[0])
            and " " in texts[1]
        ):
            found.add((texts[0], texts[1]))
    return found


def matches(row: tuple[str, str], sentence: tuple[str, str]) -> bool:
    """Whether a row of the page is this sentence; three dots at its end stand for all that follows."""
    if row[0] != sentence[0]:
        return False
    shown, whole = row[1], re.sub(r"\.\.\.(?::? \.\.\.)*", "...", sentence[1])
    return whole == shown or (shown.endswith("...") and whole.startswith(shown.removesuffix("...").rstrip()))


def test_every_sentence_of_the_code_stands_in_the_page_and_the_other_way_round():
    for title, modules in SOURCES.items():
        sentences = set().union(*map(said, modules))
        assert sentences
        page = rows(title)
        assert {s for s in sentences if not any(matches(row, s) for row in page)} == set()
        assert {row for row in page if not any(matches(row, s) for s in sentences)} == set()


def test_what_is_said_of_temporary_files_and_the_figures_of_values_are_those_of_the_code():
    text = section("DICOM: values and files")
    assert f"| `disk-full` | {files.FULL_TEMPORARY} |" in text
    assert f"| `cannot-write` | {files.NO_TEMPORARY} |" in text
    assert f"above {units.AIR_PEAK_HU} HU" in text
    assert f"from {units.SOFT_TISSUE_HU[0]} to {units.SOFT_TISSUE_HU[1]} HU" in text
    assert f"between {values.PADDING_HU[0]} and {values.PADDING_HU[1]} HU" in text


def test_the_choices_and_the_figures_are_those_of_the_code():
    text = section("Volume files")
    assert re.findall(r"`(\w+)`", text.partition("right: ")[2].partition(".\n")[0]) == list(frames.CHOICES)
    assert (frames.SAME_SHARE, frames.SINGLE_PRECISION, frames.MOST_TURNED_DEGREES) == (0.25, 0.0004, 45)
    assert f"below {frames.SMALLEST_MM:g} or above {frames.LARGEST_MM:g} mm" in text
    assert f"within {LATTICE_TOLERANCE:g} of a voxel" in section("Segmentations")
