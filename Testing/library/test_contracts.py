"""docs/contracts.md is true: names, keys and codes stand in the page and in the code alike."""

import ast
import re
from pathlib import Path

import pytest

from OrbitalSegLib import acquisition, errors, reading, region, tasks
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.reading import stack
from OrbitalSegLib.tasks import segment
from OrbitalSegLib.tasks.keys import keys_of
from OrbitalSegLib.tasks.segment import SegmentJob

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ (?:\d+\. )?{re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found.group(1)


def first_cells(text: str) -> set[str]:
    """The names in back quotes in the first column of a section's table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def raised_codes() -> dict[str, set[str]]:
    """Every error code that the library raises with a literal, by the class that raises it."""
    raised: dict[str, set[str]] = {}
    for path in (ROOT / "OrbitalSegLib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in vars(errors):
                code = node.args[0] if node.args else None
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    raised.setdefault(node.func.id, set()).add(code.value)
    return raised


@pytest.mark.parametrize("name", ["JobError", "InputError", "OutputError"])
def test_every_code_that_is_raised_stands_in_the_table_under_its_exit_code(name):
    exit_code = getattr(errors, name).exit_code
    row = next(line for line in section("Exit codes").splitlines() if line.startswith(f"| {exit_code} |"))
    raised = raised_codes()[name]
    assert raised
    assert raised <= set(re.findall(r"`([a-z0-9-]+)`", row))


def test_every_code_in_the_table_is_raised_somewhere():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "OrbitalSegLib").rglob("*.py"))
    rows = [line.split("|")[3] for line in section("Exit codes").splitlines() if re.match(r"\| \d+ \|", line)]
    listed = {code for row in rows for code in re.findall(r"`([a-z0-9-]+)`", row)}
    assert listed == {code for code in listed if f'"{code}"' in source}


def test_every_warning_is_named():
    named = set(re.findall(r"`([a-z-]+)`", section("Lines").partition("Warnings of reading")[2]))
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "OrbitalSegLib").rglob("*.py"))
    warned = set(re.findall(r'warn\(\s*"([a-z-]+)"', source)) | {
        code for code in named if re.search(rf'\(\s*"{code}",\s', source)
    }
    assert {"resampled", "thin-walls"} <= warned
    assert warned == named
    of_reading = section("Lines").partition("Warnings of reading: ")[2].partition("(docs/reading.md)")[0]
    assert tuple(re.findall(r"`([a-z-]+)`", of_reading)) == reading.WARNINGS


def test_the_jobs_keys_are_those_of_the_page():
    assert first_cells(section("The job")) == {"contract", "task"}.union(
        *(keys_of(tasks.work_of(name).job) for name in tasks.TASKS)
    )


def test_versions_agree():
    assert int(re.search(r"^Version (\d+)\.", PAGE, re.MULTILINE).group(1)) == CONTRACT


def test_the_pipelines_steps_are_those_of_the_page_in_its_order():
    listed = re.search(r"^Steps, in the order of the pipeline: (.*?)\. Later", PAGE, re.MULTILINE | re.DOTALL).group(1)
    assert re.findall(r"`(\w+)`", listed) == list(segment.shares(SegmentJob(input=Path("ct"), output=Path("result"))))


def test_figures_of_the_page_are_those_of_the_code():
    assert f"a margin of\n{region.MARGIN_MM:g} mm" in section("The region")
    reading = section("Reading")
    assert f"regular grid by {stack.POSITION_TOLERANCE_MM:g} mm" in reading
    assert f"over {stack.GAP_MM:g} mm" in reading
    assert stack.GAP_FACTOR == 2.0
    assert stack.NEIGHBOURS == 3
    assert stack.FINEST_SHARE == 0.25


def test_verdicts_and_kinds_of_table_a1_are_those_of_the_page():
    row = next(line for line in section("The record").splitlines() if line.startswith("| `conditions`"))
    words = (acquisition.MET, acquisition.NOT_MET, acquisition.NOT_STATED, *("decisive", "advice", "note"))
    assert all(f"`{word}`" in row for word in words)
