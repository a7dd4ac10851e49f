"""A job as docs/contracts.md, section 7 defines it: what to do, on what, into which folder."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from OrbitalSegLib import CONTRACT
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS, Method
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.modelling.surface import Smoothing
from OrbitalSegLib.networks.engines import DEVICES, ENGINES, PRECISIONS
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.region import Region

Orbit = Literal["auto", "left", "right"]
"""Regions that are looked for in the scan."""

LARGEST_NUMBER = 1e9
"""Nothing in a job is larger; infinity and what is not a number are not smaller than it either."""

MOST_THREADS = 1024

TASKS = ("info", "segment", "surface", "phantom", "methods", "evaluate", "evaluate-cases", "observers")
SURFACES = ("cortical", "thin", "inferred")
SMOOTHINGS: tuple[Smoothing, ...] = ("none", "faithful")


@dataclass(frozen=True)
class Job:
    """One job. The defaults are those of the contract."""

    task: str
    input: Path | None = None
    output: Path | None = None
    overwrite: bool = False
    series: str | None = None
    region: Region | Orbit = "auto"
    method: str = DEFAULT_METHOD
    parameters: dict[str, Any] = field(default_factory=dict)
    model: Path | None = None
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    memory_gb: float | None = None
    postprocess: PostprocessingParameters | None = field(default_factory=PostprocessingParameters)
    """None leaves the mask alone."""
    smoothing: Smoothing = "faithful"
    surfaces: tuple[str, ...] = ()
    """Besides `bone`."""
    segment: str = "bone"
    variant: str = "plain"
    truth: Path | None = None
    ct: Path | None = None
    walls: Path | None = None
    observers: tuple[Path, ...] = ()

    @property
    def resources(self) -> Resources:
        """What a method that runs networks is to take."""
        return Resources(self.model, self.engine, self.precision, self.device, self.threads, self.memory_gb)


def job_from(values: object) -> Job:
    """A job from decoded JSON. Raises `JobError`."""
    if not isinstance(values, dict):
        raise JobError("invalid-job", "A job is one JSON object.")
    given = dict(values)
    contract = given.pop("contract", None)
    if type(contract) is not int or contract != CONTRACT:
        raise JobError("invalid-job", f"The job must say `contract`: {CONTRACT}; this version knows no other.")
    known = {item.name for item in fields(Job)}
    for name in given:
        if name not in known:
            raise JobError("invalid-job", f"A job has no key `{name}`; it has: {', '.join(sorted(known))}.")
    job = Job(**{name: _READERS[name](name, value) for name, value in {"task": None, **given}.items()})
    _require(job)
    return job


def method_of(job: Job) -> Method:
    """The method that the job names. Raises `JobError` `unknown-method`."""
    if job.method not in METHODS:
        raise JobError("unknown-method", f"There is no method {job.method}; there are: {', '.join(METHODS)}.")
    return METHODS[job.method]


def _require(job: Job) -> None:
    if job.task in ("info", "segment", "surface", "evaluate", "evaluate-cases", "observers") and job.input is None:
        raise JobError("invalid-job", f"A job `{job.task}` needs an `input`.")
    if job.task in ("segment", "surface", "phantom", "evaluate-cases") and job.output is None:
        raise JobError("invalid-job", f"A job `{job.task}` needs an `output`.")
    if job.task == "evaluate" and job.truth is None:
        raise JobError("invalid-job", "A job `evaluate` needs a `truth`.")
    if job.task == "observers" and len(job.observers) < 2:
        raise JobError("invalid-job", "A job `observers` needs two `observers` or more.")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise JobError("invalid-job", f"`{name}` must be one of: {', '.join(choices)}.")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not _is_unicode(value):
        raise JobError("invalid-job", f"`{name}` must be text.")
    return value


def _is_unicode(text: str) -> bool:
    """Whether a text can be written; JSON can name halves of a character that cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value or not _is_unicode(value):
        raise JobError("invalid-job", f"`{name}` must be a path.")
    return Path(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise JobError("invalid-job", f"`{name}` must be true or false.")
    return value


def _number(name: str, value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < LARGEST_NUMBER:
        return float(value)
    raise JobError("invalid-job", f"`{name}` must hold plain numbers.")


def _optional_count(name: str, value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise JobError("invalid-job", f"`{name}` must be a whole number, or null.")
    return value


def _optional_threads(name: str, value: object) -> int | None:
    count = _optional_count(name, value)
    if count is not None and not 0 < abs(count) <= MOST_THREADS:
        raise JobError("invalid-job", f"`{name}` must be a number of threads, or of cores that stay free below 0.")
    return count


def _optional_amount(name: str, value: object) -> float | None:
    if value is None:
        return None
    amount = _number(name, value)
    if amount <= 0:
        raise JobError("invalid-job", f"`{name}` must be above 0, or null.")
    return amount


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise JobError("invalid-job", f"`{name}` must be an object.")
    return value


def _region(name: str, value: object) -> Region | Orbit:
    if value == "whole":
        return Region()
    if value in get_args(Orbit):
        return cast(Orbit, value)
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be `auto`, `left`, `right`, `whole` or six numbers in mm.")
    return Region(tuple(_number(name, item) for item in value))


def _postprocess(name: str, value: object) -> PostprocessingParameters | None:
    if value == "none":
        return None
    given = _object(name, value)
    if not given.keys() <= _POSTPROCESS_READERS.keys():
        raise JobError("invalid-job", f"`{name}` must be `none` or hold: {', '.join(_POSTPROCESS_READERS)}.")
    return PostprocessingParameters(**{key: _POSTPROCESS_READERS[key](key, item) for key, item in given.items()})


def _surfaces(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of: {', '.join(SURFACES)}.")
    return tuple(dict.fromkeys(_one_of(name, item, SURFACES) for item in value))


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _paths(name: str, value: object) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of paths.")
    return tuple(_path(name, item) for item in value)


def _optional_path(name: str, value: object) -> Path | None:
    return None if value is None else _path(name, value)


_POSTPROCESS_READERS: dict[str, Any] = {
    "fill_objects": _flag,
    "fill_maximum_ml": _number,
    "minimum_object_ml": _number,
    "keep_largest": _optional_count,
    "thin_touches_cortical": _flag,
}

_READERS: dict[str, Any] = {
    "task": lambda name, value: _one_of(name, value, TASKS),
    "input": _path,
    "output": _path,
    "overwrite": _flag,
    "series": _optional_text,
    "region": _region,
    "method": _text,
    "parameters": _object,
    "model": _optional_path,
    "engine": lambda name, value: _one_of(name, value, ENGINES),
    "precision": lambda name, value: _one_of(name, value, PRECISIONS),
    "device": lambda name, value: _one_of(name, value, DEVICES),
    "threads": _optional_threads,
    "memory_gb": _optional_amount,
    "postprocess": _postprocess,
    "smoothing": lambda name, value: _one_of(name, value, SMOOTHINGS),
    "surfaces": _surfaces,
    "segment": _text,
    "variant": _text,
    "truth": _optional_path,
    "ct": _optional_path,
    "walls": _optional_path,
    "observers": _paths,
}
