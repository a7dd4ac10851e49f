"""As much of JSON Schema (draft 2020-12) as `model.schema.json` uses, so that the library needs no package for it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

SHOWN = 40
"""Characters of a name that may be repeated to a person: names come from the file that is being judged."""

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: TYPES["number"](value) and value == int(value),
}

KEYWORDS: dict[str, Callable[[Any, Any], str | None]] = {
    "const": lambda value, given: None if _same(value, given) else f"must be {given}",
    "enum": lambda value, given: None if any(_same(value, one) for one in given) else f"must be one of {given}",
    "minimum": lambda value, given: _limit("number", value, lambda v: v >= given, f"must be at least {given}"),
    "maximum": lambda value, given: _limit("number", value, lambda v: v <= given, f"must be at most {given}"),
    "exclusiveMinimum": lambda value, given: _limit("number", value, lambda v: v > given, f"must be above {given}"),
    "exclusiveMaximum": lambda value, given: _limit("number", value, lambda v: v < given, f"must be below {given}"),
    "minLength": lambda value, given: _limit("string", value, lambda v: len(v) >= given, "is too short"),
    "maxLength": lambda value, given: _limit("string", value, lambda v: len(v) <= given, "is too long"),
    "minItems": lambda value, given: _limit("array", value, lambda v: len(v) >= given, "has too few entries"),
    "maxItems": lambda value, given: _limit("array", value, lambda v: len(v) <= given, "has too many entries"),
    "minProperties": lambda value, given: _limit("object", value, lambda v: len(v) >= given, "has too few entries"),
    "maxProperties": lambda value, given: _limit("object", value, lambda v: len(v) <= given, "has too many entries"),
}
"""What one keyword demands of a value on its own; None where it is met."""


def problem(value: Any, schema: dict[str, Any], where: str = "", root: dict[str, Any] | None = None) -> str | None:
    """The first thing that `schema` forbids in `value`, as 'PLACE must ...', or None."""
    return next(_problems(value, schema, where, root or schema), None)


def _problems(value: Any, schema: dict[str, Any], where: str, root: dict[str, Any]) -> Iterator[str]:
    if not schema:
        return
    place = where or "the description"
    if "$ref" in schema:
        yield from _problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], where, root)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{place} must be of type {' or '.join(kinds)}"
        return
    for keyword, judge in KEYWORDS.items():
        found = judge(value, schema[keyword]) if keyword in schema else None
        if found:
            yield f"{place} {found}"
    # The whole text: in a regular expression of Python `$` lets a line feed follow, in one of JSON Schema it does not.
    if isinstance(value, str) and "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        yield f"{place} has not the form that is asked for"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, where, root)
    if isinstance(value, list):
        if schema.get("uniqueItems") and any(one in value[:index] for index, one in enumerate(value)):
            yield f"{place} names something twice"
        for index, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{where}[{index}]", root)


def _object_problems(value: dict[str, Any], schema: dict[str, Any], where: str, root: dict[str, Any]) -> Iterator[str]:
    own = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{_join(where, name)} is missing"
    for name, item in value.items():
        yield from _problems(name, schema.get("propertyNames", {}), f"the name {_join(where, name)}", root)
        further = own.get(name, schema.get("additionalProperties", {}))
        if further is False:
            yield f"{_join(where, name)} is not known"
        else:
            yield from _problems(item, further, _join(where, name), root)


def _join(where: str, name: str) -> str:
    shown = re.sub(r"[^A-Za-z0-9_.-]", "?", name)[:SHOWN]
    return f"{where}.{shown}" if where else shown


def _limit(kind: str, value: Any, met: Callable[[Any], bool], otherwise: str) -> str | None:
    return None if not TYPES[kind](value) or met(value) else otherwise


def _same(value: Any, other: Any) -> bool:
    """Equality of JSON, where true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
