"""What the values of a job may be: for each kind one reader, and the same said in JSON Schema (draft 2020-12)."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from OrbitalSegLib.errors import JobError

LARGEST_NUMBER = 1e9
"""Nothing in a job is larger; infinity and what is not a number are not smaller than it either."""

MOST_THREADS = 1024

MOST_CHARACTERS = 4000
"""Of a remark for the record."""


@dataclass(frozen=True)
class ValueKind:
    """What a value may be."""

    read: Callable[[str, Any], Any]
    """From the key's name and the value in JSON to what Python holds. Raises `JobError` `invalid-job`."""
    schema: dict[str, Any]
    """The same in JSON Schema."""


# ---------------------------------------------------------------------------------------------------------------------
# Keys of a job


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every job is: a frozen dataclass whose fields are made by `key`."""

    task: ClassVar[str]
    """The task's name."""


J = TypeVar("J", bound=Job)


def key(kind: ValueKind, default: Any = MISSING, *, name: str | None = None, setting: bool = False) -> Any:
    """A field of a job. Without a default the job must have it.

    `name` is the key in JSON where that is not the field's own. A `setting` decides the result, and stands in the
    record so that the same can be done again; it says no path and nobody's name.
    """
    metadata = {"kind": kind, "name": name, "setting": setting}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def keys_of(job: type[Job] | Job) -> dict[str, Field[Any]]:
    """The fields of a job by their keys in JSON."""
    return {field.metadata["name"] or field.name: field for field in fields(job)}


def is_required(field: Field[Any]) -> bool:
    """Whether a job must have it."""
    return field.default is MISSING and field.default_factory is MISSING


def read_keys(job: type[J], given: Mapping[str, Any]) -> J:
    """A job from its keys, without `contract` and `task`. Raises `JobError`."""
    known = keys_of(job)
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise JobError("invalid-job", f"A job `{job.task}` has no key `{name}`; it has: {listed}.")
    values = {known[name].name: known[name].metadata["kind"].read(name, value) for name, value in given.items()}
    for name, field in known.items():
        if name not in given and is_required(field):
            article = "an" if name[0] in "aeiou" else "a"
            raise JobError("invalid-job", f"A job `{job.task}` needs {article} `{name}`.")
    return job(**values)


def settings_of(job: Job) -> dict[str, Any]:
    """What decides the result, in the words of a job in JSON."""
    return {name: in_json(getattr(job, item.name)) for name, item in keys_of(job).items() if item.metadata["setting"]}


def in_json(value: Any) -> Any:
    """A value of a job as a job in JSON holds it."""
    if hasattr(value, "in_job"):
        return value.in_job
    if isinstance(value, tuple):
        return [in_json(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


# ---------------------------------------------------------------------------------------------------------------------
# Kinds of values


def invalid(sentence: str) -> JobError:
    """The error of a job that makes no sense."""
    return JobError("invalid-job", sentence)


def text(name: str, value: object) -> str:
    if not isinstance(value, str) or not _is_unicode(value):
        raise invalid(f"`{name}` must be text.")
    return value


def _is_unicode(words: str) -> bool:
    """Whether a text can be written; JSON can name halves of a character that cannot."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value or not _is_unicode(value):
        raise invalid(f"`{name}` must be a path.")
    return Path(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"`{name}` must be true or false.")
    return value


def number(name: str, value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < LARGEST_NUMBER:
        return float(value)
    raise invalid(f"`{name}` must hold plain numbers.")


def _whole(value: object) -> int | None:
    """A whole number; None for what is none. JSON knows no difference between 2 and 2.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_NUMBER:
        return None
    return int(value) if value == int(value) else None


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"`{name}` must be an object.")
    return value


TEXT = ValueKind(text, {"type": "string"})
PATH = ValueKind(_path, {"type": "string", "pattern": "^[^\\u0000]+$"})
FLAG = ValueKind(_flag, {"type": "boolean"})
NUMBER = ValueKind(number, {"type": "number", "exclusiveMinimum": -LARGEST_NUMBER, "exclusiveMaximum": LARGEST_NUMBER})
AMOUNT = ValueKind(number, {"type": "number", "minimum": 0, "exclusiveMaximum": LARGEST_NUMBER})
OBJECT = ValueKind(_object, {"type": "object"})


def optional(kind: ValueKind) -> ValueKind:
    """That, or null: Python's None."""
    schema = {"anyOf": [kind.schema, {"type": "null"}]}
    return ValueKind(lambda name, value: None if value is None else kind.read(name, value), schema)


def one_of(choices: tuple[str, ...]) -> ValueKind:
    """One of these words."""

    def read(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise invalid(f"`{name}` must be one of: {', '.join(choices)}.")
        return value

    return ValueKind(read, {"enum": list(choices)})


def several(choices: tuple[str, ...], *, least: int = 0) -> ValueKind:
    """A list of these words, each once."""
    one = one_of(choices)

    def read(name: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) < least:
            raise invalid(f"`{name}` must be a list of: {', '.join(choices)}.")
        return tuple(dict.fromkeys(one.read(name, item) for item in value))

    return ValueKind(read, {"type": "array", "items": one.schema, "minItems": least})


def listed(kind: ValueKind, what: str, *, least: int = 0, otherwise: str = "") -> ValueKind:
    """A list of `least` values or more; `what` names them in the sentence that refuses what is no list."""

    def read(name: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid(f"`{name}` must be a list of {what}.")
        if len(value) < least:
            raise invalid(otherwise)
        return tuple(kind.read(name, item) for item in value)

    return ValueKind(read, {"type": "array", "items": kind.schema, "minItems": least})


def above(least: float, most: float, sentence: str) -> ValueKind:
    """A number above one and up to another; `sentence` says so, after the key's name."""

    def read(name: str, value: object) -> float:
        figure = number(name, value)
        if not least < figure <= most:
            raise invalid(f"`{name}` {sentence}")
        return figure

    return ValueKind(read, {"type": "number", "exclusiveMinimum": least, "maximum": most})


def counted(least: int, most: int, sentence: str) -> ValueKind:
    """A whole number from one to another; `sentence` says so, after the key's name."""

    def read(name: str, value: object) -> int:
        count = _whole(value)
        if count is None or not least <= count <= most:
            raise invalid(f"`{name}` {sentence}")
        return count

    return ValueKind(read, {"type": "integer", "minimum": least, "maximum": most})


def made_of(kinds: dict[str, ValueKind], needed: tuple[str, ...], sentence: str) -> ValueKind:
    """An object with these keys and no other. Keys that are not there are left out of what is read, too."""

    def read(name: str, value: object) -> dict[str, Any]:
        given = _object(name, value)
        if not set(needed) <= given.keys() <= kinds.keys():
            raise invalid(sentence.format(name=name))
        return {item: kinds[item].read(item, each) for item, each in given.items()}

    properties = {name: kind.schema for name, kind in kinds.items()}
    schema = {"type": "object", "properties": properties, "required": list(needed), "additionalProperties": False}
    return ValueKind(read, schema)


def _threads(name: str, value: object) -> int:
    count = _whole(value)
    if count is None:
        raise invalid(f"`{name}` must be a whole number, or null.")
    if not 0 < abs(count) <= MOST_THREADS:
        raise invalid(f"`{name}` must be a number of threads, or of cores that stay free below 0.")
    return count


THREADS = ValueKind(
    _threads, {"type": "integer", "minimum": -MOST_THREADS, "maximum": MOST_THREADS, "not": {"const": 0}}
)


def _remark(name: str, value: object) -> str | None:
    """Text for the record, null or empty where there is none."""
    words = None if value is None else text(name, value).strip()
    if words and len(words) > MOST_CHARACTERS:
        raise invalid(f"`{name}` must be no longer than {MOST_CHARACTERS} characters.")
    return words or None


REMARK = ValueKind(
    _remark,
    {
        "anyOf": [
            {"type": "string", "pattern": f"^\\s*(\\S[\\s\\S]{{0,{MOST_CHARACTERS - 1}}})?\\s*$"},
            {"type": "null"},
        ]
    },
)


def _day(name: str, value: object) -> str | None:
    if value is None:
        return None
    words = text(name, value)
    try:
        date.fromisoformat(words)
    except ValueError:
        words = ""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", words):
        raise invalid(f"`{name}` must be a day as YYYY-MM-DD, or null.")
    return words


DAY = ValueKind(_day, {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]})


def _share(name: str, value: object) -> float | None:
    if value is None:
        return None
    share = number(name, value)
    if not 0 <= share <= 1:
        raise invalid(f"`{name}` must lie between 0 and 1, or be null.")
    return share


SHARE = ValueKind(_share, {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]})


def _slices(name: str, value: object) -> list[int] | None:
    if value is None:
        return None
    numbers = [_whole(item) for item in value] if isinstance(value, list) else [None]
    if any(one is None or one < 0 for one in numbers):
        raise invalid(f"`{name}` must be a list of slice numbers, or null.")
    return sorted({one for one in numbers if one is not None})


SLICES = ValueKind(
    _slices, {"anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 0}}, {"type": "null"}]}
)
