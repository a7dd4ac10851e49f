"""model.schema.json: valid, and interpreted by the library as JSON Schema says."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jsonschema")

import jsonschema
import tiny_network
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from OrbitalSegLib.networks import schema

SCHEMA = json.loads((Path(schema.__file__).parent / "model.schema.json").read_text(encoding="utf-8"))


@st.composite
def spoilt_descriptions(draw: st.DrawFn) -> Any:
    """A valid description with one value, at any depth, replaced, removed, or something added beside it."""
    described = deepcopy(VALID)
    holder, key = described, draw(st.sampled_from(sorted(described)))
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 3)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))))
    match draw(st.integers(0, 3)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = holder[key]
        case _:
            holder[key] = draw(JSON)
    return described


JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([0, 1, 0.0, 1.0, 0.5, -200, 10**30, 1e300, 5.0001, "axial", "a.md", "../a.md", "A.md"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abcAB./-0\n", max_size=12),
    st.lists(st.one_of(st.integers(-2, 2000), st.sampled_from(["axial", "coronal", True])), max_size=4),
    st.dictionaries(st.text(max_size=4), st.none(), max_size=2),
)

VALID: dict[str, Any] = {
    **tiny_network.description(),
    "format": 1,
    "performance": {"dice": {"whole": [0.9, 0.8]}},
    "networks": {
        "a": {
            "channels": [2, 3],
            "classes": 2,
            "safetensors": "a.safetensors",
            "seen_above": 0.6,
            "inferred_above": None,
            "calibration": {"slope": 1.0, "offset": 0.0},
        }
    },
    "files": {name: {"bytes": 10, "sha256": "0" * 64} for name in ("a.safetensors", "card.md")},
}


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(spoilt_descriptions())
@example(VALID)
@example([])
def test_our_validation_is_that_of_json_schema(description):
    judge = jsonschema.Draft202012Validator(SCHEMA)
    # In a regular expression of Python `$` lets a line feed follow, which JSON Schema forbids.
    if not any(text.endswith("\n") for text in strings(description)):
        assert (schema.problem(description, SCHEMA) is None) == judge.is_valid(description)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_the_schema_is_valid_and_uses_nothing_that_we_do_not_interpret():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    ours = {"$ref", "type", "pattern", "uniqueItems", "items", "properties", "required", "additionalProperties"}
    ours |= {"propertyNames", *schema.KEYWORDS}
    remarks = {"$schema", "$id", "$defs", "title", "description"}

    def visit(node: dict[str, Any]) -> None:
        assert node.keys() <= ours | remarks
        assert set(re.findall(r"[$^]", node.get("pattern", "^$"))) == {"^", "$"}
        inner = [node[key] for key in ("items", "additionalProperties", "propertyNames") if key in node]
        inner += [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
        for each in inner:
            if isinstance(each, dict):
                visit(each)

    visit(SCHEMA)


def test_a_line_feed_after_a_name_is_no_part_of_it():
    assert schema.problem("a.safetensors", SCHEMA["$defs"]["file"]) is None
    assert schema.problem("a.safetensors\n", SCHEMA["$defs"]["file"])
