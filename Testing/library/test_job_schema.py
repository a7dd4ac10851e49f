"""The published schema of every job says what its reader says."""

import json
import string

import pytest

pytest.importorskip("jsonschema")

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.tasks import TASKS, job_from, schema_of, work_of
from OrbitalSegLib.tasks.keys import is_required, keys_of

SEGMENT = {"contract": CONTRACT, "task": "segment", "input": "ct", "output": "result"}

GOOD = (
    {},
    {"series": None, "header": "qform", "grey_values": True, "overwrite": True},
    {"region": "left"},
    {"region": "whole"},
    {"region": [0, 1, 2, 3, 4, 5.5]},
    {"grid": "scan"},
    {"parameters": {"thin_above": 0.4}},
    {"postprocess": "none"},
    {"postprocess": {"minimum_object_ml": 0.2, "keep_largest": 2, "fill_objects": False}},
    {"smoothing": "none", "formats": ["stl", "3mf"], "surfaces": ["thin"], "sides": True},
    {"simplify_mm": 0.05, "thicken_mm": None, "printer_minimum_mm": 0.8},
    {"threads": -1, "memory_gb": 2.5, "engine": "torch", "precision": "fp32", "device": "cpu"},
    {"purpose": "planning", "operator": None, "dicom": ["surface"], "deidentify": True},
    {"reviews": [{"kind": "physician", "outcome": "accepted", "date": "2026-11-29", "seen": 1, "marked": [3]}]},
    {"acquisition": None, "warnings": [{"code": "resampled", "text": "It was."}], "source": ["a.dcm"]},
)

BAD = (
    {"contract": CONTRACT + 1},
    {"task": "print"},
    {"unheard": 1},
    {"input": 3},
    {"input": ""},
    {"overwrite": 1},
    {"region": "both"},
    {"region": [0, 1, 2, 3, 4]},
    {"region": [0, 1, 2, 3, 4, "5"]},
    {"grid": "fine"},
    {"parameters": []},
    {"postprocess": {"keep_largest": 0}},
    {"postprocess": {"sharpen": True}},
    {"formats": []},
    {"formats": "stl"},
    {"threads": 0},
    {"threads": 1.5},
    {"memory_gb": 0},
    {"thicken_mm": -1},
    {"printer_minimum_mm": None},
    {"purpose": "p" * 4001},
    {"reviews": [{"kind": "physician"}]},
    {"reviews": [{"kind": "physician", "outcome": "accepted", "seen": 1.5}]},
    {"warnings": [{"code": "unheard", "text": ""}]},
)


def is_read(job: dict) -> bool:
    try:
        job_from(job)
    except JobError:
        return False
    return True


def is_valid(job: dict) -> bool:
    return bool(jsonschema.Draft202012Validator(schema_of("segment")).is_valid(job))


@pytest.mark.parametrize("change", GOOD, ids=str)
def test_both_take_what_is_right(change: dict):
    assert (is_read(SEGMENT | change), is_valid(SEGMENT | change)) == (True, True)


@pytest.mark.parametrize("change", BAD, ids=lambda change: str(change)[:60])
def test_both_refuse_what_is_wrong(change: dict):
    assert (is_read(SEGMENT | change), is_valid(SEGMENT | change)) == (False, False)


@pytest.mark.parametrize("key", ["contract", "task", "input", "output"])
def test_both_miss_what_is_missing(key: str):
    job = {name: value for name, value in SEGMENT.items() if name != key}
    assert (is_read(job), is_valid(job)) == (False, False)


WORDS = st.text(string.ascii_letters + string.digits + " -_.é", max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2000, 2000) | st.floats(-20, 20) | WORDS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(keys_of(work_of("segment").job))), VALUES)
def test_what_the_reader_takes_the_schema_takes(key: str, value):
    job = SEGMENT | {key: value}
    assert is_valid(job) or not is_read(job)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_schema_with_all_its_keys(task: str):
    schema = schema_of(task)
    jsonschema.Draft202012Validator.check_schema(schema)
    keys = keys_of(work_of(task).job)
    assert schema["properties"].keys() == {"contract", "task", *keys}
    assert set(schema["required"]) == {
        "contract",
        "task",
        *(name for name, field in keys.items() if is_required(field)),
    }


def test_the_command_prints_it():
    testing = pytest.importorskip("typer.testing")
    from OrbitalSegLib.cli import app

    done = testing.CliRunner().invoke(app, ["schema", "segment"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, schema_of("segment"))
    refused = testing.CliRunner().invoke(app, ["schema", "print"])
    assert refused.exit_code == 2
