"""A job as docs/contracts.md, section 7 defines it: what to do, on what, into which folder."""

import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast, get_args

from OrbitalSegLib import CONTRACT, structures
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.export.surfaces import FORMATS
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS, Method
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.modelling.model import PRINTER_MINIMUM_MM, ModelParameters
from OrbitalSegLib.modelling.surface import SMOOTHINGS, Smoothing
from OrbitalSegLib.networks.engines import DEVICES, ENGINES, PRECISIONS
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.reading import WARNINGS
from OrbitalSegLib.reading.frames import CHOICES
from OrbitalSegLib.reading.origin import Origin
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, acquisition_from

Orbit = Literal["auto", "left", "right"]
"""Regions that are looked for in the scan."""

LARGEST_NUMBER = 1e9
"""Nothing in a job is larger; infinity and what is not a number are not smaller than it either."""

MOST_THREADS = 1024

THICKEST_MM = 10.0
"""No wall of a face is made thicker, and no surface is moved further."""

NO_SETTINGS = frozenset(
    (
        *("task", "input", "output", "overwrite", "series", "model", "segment", "variant", "truth", "ct", "walls"),
        *("observers", "acquisition", "edited", "record", "purpose", "operator", "reviews", "dicom", "deidentify"),
        *("methods", "cases", "warnings", "source", "beside"),
    )
)
"""Keys of a job that name files, people or other tasks."""

DICOM_OUTPUTS = ("segmentation", "surface")
REVIEW_KINDS = ("slice-by-slice", "physician")
REVIEW_OUTCOMES = ("accepted", "accepted with edits", "rejected", "incomplete")
MOST_CHARACTERS = 4000
MOST_CASES = 1000

TASKS = (
    *("info", "segment", "surface", "phantom", "methods", "evaluate", "evaluate-cases", "observers"),
    *("orbits", "review", "verify", "dicom", "experiment"),
)
NEED_NO_INPUT = ("phantom", "methods", "experiment")
NEED_OUTPUT = ("segment", "surface", "phantom", "evaluate-cases", "orbits", "review", "dicom", "experiment")
SURFACES = tuple(name for name in structures.printed() if name != structures.BONE)


@dataclass(frozen=True)
class Job:
    """One job. The defaults are those of the contract."""

    task: str
    input: Path | None = None
    output: Path | None = None
    overwrite: bool = False
    series: str | None = None
    header: str | None = None
    """Which part of a volume file's header is believed where parts contradict each other."""
    grey_values: bool = False
    """Whether a scan is taken though its values are no HU."""
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
    formats: tuple[str, ...] = ("stl",)
    """Of the surfaces' files."""
    sides: bool = False
    """Whether the left and the right half become surfaces of their own too."""
    simplify_mm: float | None = None
    thicken_mm: float | None = None
    printer_minimum_mm: float = PRINTER_MINIMUM_MM
    quality_map: bool = False
    """Whether what was measured at each vertex is written."""
    segment: str = structures.BONE
    variant: str = "plain"
    truth: Path | None = None
    ct: Path | None = None
    walls: Path | None = None
    observers: tuple[Path, ...] = ()
    acquisition: Acquisition | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    """Code and sentence: what reading the scan warned of that a volume file was made of."""
    source: tuple[Path, ...] = ()
    """The files that a volume file was made of."""
    beside: tuple[Path, ...] = ()
    """Other files of their series, which the volume does not have."""
    edited: Path | None = None
    record: Path | None = None
    purpose: str | None = None
    operator: str | None = None
    reviews: tuple[dict[str, Any], ...] = ()
    dicom: tuple[str, ...] = ()
    """What is written as DICOM too."""
    deidentify: bool = False
    methods: tuple[dict[str, Any], ...] = ()
    """Of an experiment: each `name`, `method` and `parameters`; empty: thresholds and hysteresis."""
    cases: int = 20
    """Phantoms of an experiment without data."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result of a segmentation, in the words of a job: no path, no identifier, nobody's name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in NO_SETTINGS}
        return {name: _in_json(value) for name, value in values.items()} | {
            "postprocess": "none" if self.postprocess is None else asdict(self.postprocess)
        }

    @property
    def modelling(self) -> ModelParameters:
        """How surfaces are made."""
        return ModelParameters(self.smoothing, self.simplify_mm, self.thicken_mm, self.printer_minimum_mm)

    @property
    def origin(self) -> Origin:
        """What is known of the scan that a volume file was made of."""
        return Origin(self.acquisition, self.warnings, self.source, self.beside)

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
    if job.task not in NEED_NO_INPUT and job.input is None:
        raise JobError("invalid-job", f"A job `{job.task}` needs an `input`.")
    if job.task in NEED_OUTPUT and job.output is None:
        raise JobError("invalid-job", f"A job `{job.task}` needs an `output`.")
    if job.task == "evaluate" and job.truth is None:
        raise JobError("invalid-job", "A job `evaluate` needs a `truth`.")
    if job.task in ("verify", "dicom") and job.record is None:
        raise JobError("invalid-job", f"A job `{job.task}` needs a `record`.")
    if job.task == "observers" and len(job.observers) < 2:
        raise JobError("invalid-job", "A job `observers` needs two `observers` or more.")
    if "surface" in job.dicom and "stl" not in job.formats:
        raise JobError("invalid-job", "Surfaces in DICOM are made of STL: add `stl` to `formats`.")


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


def _formats(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise JobError("invalid-job", f"`{name}` must be a list of: {', '.join(FORMATS)}.")
    return tuple(dict.fromkeys(_one_of(name, item, tuple(FORMATS)) for item in value))


def _thickness_mm(name: str, value: object) -> float:
    thickness_mm = _number(name, value)
    if not 0 < thickness_mm <= THICKEST_MM:
        raise JobError("invalid-job", f"`{name}` must be above 0 and at most {THICKEST_MM:g} mm.")
    return thickness_mm


def _optional_thickness_mm(name: str, value: object) -> float | None:
    return None if value is None else _thickness_mm(name, value)


def _dicom(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of: {', '.join(DICOM_OUTPUTS)}.")
    return tuple(dict.fromkeys(_one_of(name, item, DICOM_OUTPUTS) for item in value))


def _methods(name: str, value: object) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of objects with `name`, `method` and `parameters`.")
    chosen = []
    for item in value:
        given = _object(name, item)
        if not {"method"} <= given.keys() <= {"name", "method", "parameters"}:
            raise JobError("invalid-job", f"Each of `{name}` must hold `method`, and may hold `name` and `parameters`.")
        method = _text("method", given["method"])
        title = _text("name", given.get("name", method))
        parameters = _object("parameters", given.get("parameters", {}))
        chosen.append({"name": title, "method": method, "parameters": parameters})
    return tuple(chosen)


def _count_of_cases(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_CASES:
        raise JobError("invalid-job", f"`{name}` must be a whole number from 1 to {MOST_CASES}.")
    return value


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _paths(name: str, value: object) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of paths.")
    return tuple(_path(name, item) for item in value)


def _optional_remark(name: str, value: object) -> str | None:
    """Text for the record, null or empty where there is none."""
    text = None if value is None else _text(name, value).strip()
    if text and len(text) > MOST_CHARACTERS:
        raise JobError("invalid-job", f"`{name}` must be no longer than {MOST_CHARACTERS} characters.")
    return text or None


def _reviews(name: str, value: object) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        raise JobError("invalid-job", f"`{name}` must be a list of reviews.")
    return tuple(_review(name, item) for item in value)


def _review(name: str, value: object) -> dict[str, Any]:
    given = _object(name, value)
    if not {"kind", "outcome"} <= given.keys() <= _REVIEW_READERS.keys():
        raise JobError(
            "invalid-job", f"A review must hold `kind` and `outcome`, and may hold: {', '.join(_REVIEW_READERS)}."
        )
    return {key: read(key, given.get(key)) for key, read in _REVIEW_READERS.items()}


def _optional_date(name: str, value: object) -> str | None:
    if value is None:
        return None
    text = _text(name, value)
    try:
        date.fromisoformat(text)
    except ValueError:
        text = ""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise JobError("invalid-job", f"`{name}` must be a day as YYYY-MM-DD, or null.")
    return text


def _optional_share(name: str, value: object) -> float | None:
    if value is None:
        return None
    share = _number(name, value)
    if not 0 <= share <= 1:
        raise JobError("invalid-job", f"`{name}` must lie between 0 and 1, or be null.")
    return share


def _optional_slices(name: str, value: object) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in value):
        raise JobError("invalid-job", f"`{name}` must be a list of slice numbers, or null.")
    return sorted(set(value))


def _in_json(value: Any) -> Any:
    """A value of a job as a job in JSON holds it."""
    if isinstance(value, Region):
        return "whole" if value.box_mm is None else list(value.box_mm)
    if isinstance(value, tuple):
        return [_in_json(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _optional_path(name: str, value: object) -> Path | None:
    return None if value is None else _path(name, value)


def _optional_acquisition(name: str, value: object) -> Acquisition | None:
    try:
        return None if value is None else acquisition_from(_object(name, value))
    except TypeError as error:
        raise JobError("invalid-job", f"`{name}` must hold what a record's `acquisition` holds.") from error


def _warnings(name: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(
        isinstance(item, dict)
        and item.keys() == {"code", "text"}
        and item["code"] in WARNINGS
        and len(_text(name, item["text"])) <= MOST_CHARACTERS
        for item in value
    ):
        raise JobError("invalid-job", f"`{name}` must be a list of objects with `code` and `text`, as a record has.")
    return tuple((item["code"], item["text"]) for item in value)


_REVIEW_READERS: dict[str, Any] = {
    "kind": lambda name, value: _one_of(name, value, REVIEW_KINDS),
    "outcome": lambda name, value: _one_of(name, value, REVIEW_OUTCOMES),
    "by": _optional_remark,
    "date": _optional_date,
    "seen": _optional_share,
    "marked": _optional_slices,
    "comment": _optional_remark,
}

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
    "header": lambda name, value: None if value is None else _one_of(name, value, CHOICES),
    "grey_values": _flag,
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
    "smoothing": lambda name, value: _one_of(name, value, tuple(SMOOTHINGS)),
    "surfaces": _surfaces,
    "formats": _formats,
    "sides": _flag,
    "simplify_mm": _optional_thickness_mm,
    "thicken_mm": _optional_thickness_mm,
    "printer_minimum_mm": _thickness_mm,
    "quality_map": _flag,
    "segment": _text,
    "variant": _text,
    "truth": _optional_path,
    "ct": _optional_path,
    "walls": _optional_path,
    "observers": _paths,
    "acquisition": _optional_acquisition,
    "warnings": _warnings,
    "source": _paths,
    "beside": _paths,
    "edited": _optional_path,
    "record": _optional_path,
    "purpose": _optional_remark,
    "operator": _optional_remark,
    "reviews": _reviews,
    "dicom": _dicom,
    "deidentify": _flag,
    "methods": _methods,
    "cases": _count_of_cases,
}
