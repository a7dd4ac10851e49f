"""The examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "OrbitalSegLib").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of_a_module(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert not failed
    assert tried


def test_there_are_examples():
    assert {"OrbitalSegLib.region", "OrbitalSegLib.evaluation.overlap"} <= set(WITH_EXAMPLES)
