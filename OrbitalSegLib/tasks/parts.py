"""What the jobs of several tasks share: parts of which a task's own job is put together."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from OrbitalSegLib import reading, structures
from OrbitalSegLib.export.surfaces import FORMATS, MAIN_FORMAT
from OrbitalSegLib.languages import ENGLISH, LANGUAGES
from OrbitalSegLib.locating.place import AskedOrbit
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.modelling.model import PRINTER_MINIMUM_MM, ModelParameters
from OrbitalSegLib.modelling.surface import SMOOTHINGS, Smoothing
from OrbitalSegLib.networks.engines import DEVICES, ENGINES, PRECISIONS
from OrbitalSegLib.pacs.address import LONGEST_TITLE, OWN_TITLE, PROTOCOLS, Address, address_of, is_address, is_title
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.reading.frames import CHOICES
from OrbitalSegLib.reading.origin import Origin
from OrbitalSegLib.region import Region
from OrbitalSegLib.result_grid import COARSEST_MM, FINEST_MM, GridChoice, GridName
from OrbitalSegLib.scan import Acquisition, acquisition_from
from OrbitalSegLib.segmenting import First
from OrbitalSegLib.tasks.keys import (
    AMOUNT,
    DAY,
    FLAG,
    LARGEST_NUMBER,
    MOST_CHARACTERS,
    NUMBER,
    OBJECT,
    PATH,
    REMARK,
    SHARE,
    SLICES,
    TEXT,
    THREADS,
    Job,
    ValueKind,
    above,
    counted,
    invalid,
    key,
    listed,
    made_of,
    number,
    one_of,
    optional,
    several,
    text,
)

NO_WARNINGS = "`{name}` must be a list of objects with `code` and `text`, as a record has."

THICKEST_MM = 10.0
"""No wall of a face is made thicker, and no surface is moved further."""

STRUCTURE_NAME = "[a-z][a-z0-9-]{0,39}"

SURFACE_NAME = f"{STRUCTURE_NAME}|{re.escape(structures.EITHER)}"

SURFACES = (*(name for name in structures.printed() if name != structures.BONE), structures.EITHER)
"""Besides bone."""

DICOM_OUTPUTS = ("segmentation", "surface")
REVIEW_KINDS = ("slice-by-slice", "physician")
REVIEW_OUTCOMES = ("accepted", "accepted with edits", "rejected", "incomplete")

GRIDS = get_args(GridName)

ORBITS = get_args(AskedOrbit)
"""Regions that are looked for in the scan."""

# ---------------------------------------------------------------------------------------------------------------------
# Kinds of values that the library's own words make

_BOX_SCHEMA = {"type": "array", "items": NUMBER.schema, "minItems": 6, "maxItems": 6}


def _box(name: str, value: object) -> Region:
    if value == "whole":
        return Region()
    if not isinstance(value, list):
        raise invalid(f"`{name}` must be `whole` or six numbers in mm.")
    return Region(tuple(number(name, item) for item in value))


def _region(name: str, value: object) -> Region | str:
    if isinstance(value, str) and value in ORBITS:
        return value
    if value != "whole" and not isinstance(value, list):
        raise invalid(f"`{name}` must be `auto`, `left`, `right`, `whole` or six numbers in mm.")
    return _box(name, value)


BOX = ValueKind(_box, {"anyOf": [{"const": "whole"}, _BOX_SCHEMA]})
REGION = ValueKind(_region, {"anyOf": [{"enum": [*ORBITS, "whole"]}, _BOX_SCHEMA]})


def _grid(name: str, value: object) -> GridChoice:
    if isinstance(value, str) and value in GRIDS:
        return cast(GridName, value)
    if isinstance(value, str) or not FINEST_MM <= number(name, value) <= COARSEST_MM:
        raise invalid(f"`{name}` must be `auto`, `scan` or a spacing from {FINEST_MM:g} to {COARSEST_MM:g} mm.")
    return number(name, value)


GRID = ValueKind(
    _grid, {"anyOf": [{"enum": list(GRIDS)}, {"type": "number", "minimum": FINEST_MM, "maximum": COARSEST_MM}]}
)

_POSTPROCESSING = {
    "fill_objects": FLAG,
    "fill_maximum_ml": AMOUNT,
    "minimum_object_ml": AMOUNT,
    "keep_largest": optional(counted(1, int(LARGEST_NUMBER), "must be a whole number from 1, or null.")),
    "thin_touches_cortical": FLAG,
}
_OF_POSTPROCESSING = made_of(_POSTPROCESSING, (), f"`{{name}}` must be `none` or hold: {', '.join(_POSTPROCESSING)}.")


def _postprocess(name: str, value: object) -> PostprocessingParameters | None:
    return None if value == "none" else PostprocessingParameters(**_OF_POSTPROCESSING.read(name, value))


POSTPROCESS = ValueKind(_postprocess, {"anyOf": [{"const": "none"}, _OF_POSTPROCESSING.schema]})


def _acquisition(name: str, value: object) -> Acquisition:
    try:
        return acquisition_from(OBJECT.read(name, value))
    except TypeError as error:
        raise invalid(f"`{name}` must hold what a record's `acquisition` holds.") from error


ACQUISITION = ValueKind(_acquisition, {"type": "object"})

_WARNING = made_of(
    {
        "code": ValueKind(text, {"enum": list(reading.WARNINGS)}),
        "text": ValueKind(text, {"type": "string", "maxLength": MOST_CHARACTERS}),
    },
    ("code", "text"),
    NO_WARNINGS,
)


def _warning(name: str, value: object) -> tuple[str, str]:
    found = _WARNING.read(name, value if isinstance(value, dict) else {})
    if found["code"] not in reading.WARNINGS or len(found["text"]) > MOST_CHARACTERS:
        raise invalid(NO_WARNINGS.format(name=name))
    return found["code"], found["text"]


WARNINGS = listed(ValueKind(_warning, _WARNING.schema), "objects with `code` and `text`, as a record has")

_REVIEW = {
    "kind": one_of(REVIEW_KINDS),
    "outcome": one_of(REVIEW_OUTCOMES),
    "by": REMARK,
    "date": DAY,
    "seen": SHARE,
    "marked": SLICES,
    "comment": REMARK,
}
_OF_REVIEW = made_of(
    _REVIEW,
    ("kind", "outcome"),
    f"A review must hold `kind` and `outcome`, and may hold: {', '.join(_REVIEW)}.",
)
REVIEWS = listed(
    ValueKind(lambda name, value: dict.fromkeys(_REVIEW) | _OF_REVIEW.read(name, value), _OF_REVIEW.schema), "reviews"
)

THICKNESS_MM = above(0, THICKEST_MM, f"must be above 0 and at most {THICKEST_MM:g} mm.")


def _surface_names(name: str, value: object) -> tuple[str, ...]:
    """Names of structures, each once; a model package brings some of its own."""
    if not isinstance(value, list):
        raise invalid(f"`{name}` must be a list of: {', '.join(SURFACES)}.")
    if not all(isinstance(item, str) and re.fullmatch(SURFACE_NAME, item) for item in value):
        raise invalid(f"`{name}` must be one of: {', '.join(SURFACES)}.")
    return tuple(dict.fromkeys(value))


SURFACE_NAMES = ValueKind(
    _surface_names, {"type": "array", "items": {"type": "string", "pattern": f"^({SURFACE_NAME})$"}, "minItems": 0}
)

_FIRST = made_of(
    {"method": TEXT, "parameters": OBJECT},
    ("method",),
    "`{name}` must hold `method`, and may hold `parameters`, of the method that runs first.",
)
FIRST = ValueKind(lambda name, value: First(**_FIRST.read(name, value)), _FIRST.schema)


def _archive(name: str, value: object) -> Address:
    return address_of(text(name, value))


def _source(name: str, value: object) -> Path | Address:
    """A path, or the address of an archive."""
    return address_of(value) if isinstance(value, str) and is_address(value) else cast(Path, PATH.read(name, value))


def _title(name: str, value: object) -> str:
    if not is_title(text(name, value)):
        raise invalid(f"`{name}` must be the title of an application entity: 1 to {LONGEST_TITLE} plain characters.")
    return cast(str, value)


ARCHIVE = ValueKind(_archive, {"type": "string", "pattern": f"^({'|'.join(PROTOCOLS)})://"})
SOURCE = ValueKind(_source, PATH.schema)
_OF_TITLE = r"[!-\[\]-~]"
TITLE = ValueKind(
    _title, {"type": "string", "pattern": rf"^{_OF_TITLE}([ -\[\]-~]{{0,{LONGEST_TITLE - 2}}}{_OF_TITLE})?$"}
)

# ---------------------------------------------------------------------------------------------------------------------
# Parts of jobs


@dataclass(frozen=True, kw_only=True)
class VolumeFiles(Job):
    """How volume files are understood."""

    header: str | None = key(optional(one_of(CHOICES)), None, setting=True)
    """Which part of a header is believed where parts contradict each other."""


@dataclass(frozen=True, kw_only=True)
class Files(VolumeFiles):
    """How the files of a scan are understood."""

    series: str | None = key(optional(TEXT), None)
    """Of DICOM: by name, number or UID; None is the one fit for the orbit."""
    grey_values: bool = key(FLAG, False, setting=True)
    """Whether a scan is taken though its values are no HU."""
    acquisition: Acquisition | None = key(optional(ACQUISITION), None)
    """What the scanner said of the series that a volume file was made of."""
    warnings: tuple[tuple[str, str], ...] = key(WARNINGS, ())
    """Code and sentence: what reading the scan warned of that a volume file was made of."""
    source: tuple[Path, ...] = key(listed(PATH, "paths"), ())
    """The files that a volume file was made of."""
    beside: tuple[Path, ...] = key(listed(PATH, "paths"), ())
    """Other files of their series, which the volume does not have."""

    @property
    def origin(self) -> Origin:
        """What is known of the scan that a volume file was made of."""
        return Origin(self.acquisition, self.warnings, self.source, self.beside)


@dataclass(frozen=True, kw_only=True)
class ScanInput(Files):
    """A scan."""

    input: Path = key(PATH)


@dataclass(frozen=True, kw_only=True)
class AskedArchive(Job):
    """A PACS."""

    archive: Address = key(ARCHIVE)
    """Where it is, and what of it is meant."""
    calling: str = key(TITLE, OWN_TITLE)
    """The title under which DIMSE asks."""


@dataclass(frozen=True, kw_only=True)
class NewFolder(Job):
    """The folder to make."""

    output: Path = key(PATH)
    overwrite: bool = key(FLAG, False)
    """Whether an existing result is replaced."""


@dataclass(frozen=True, kw_only=True)
class Memory(Job):
    """What may be used of the computer's memory."""

    memory_gb: float | None = key(optional(above(0, LARGEST_NUMBER, "must be above 0, or null.")), None, setting=True)
    """None: half of what is free."""


@dataclass(frozen=True, kw_only=True)
class Networks(Memory):
    """What networks are to take."""

    model: Path | None = key(optional(PATH), None)
    """A model package's folder, or the name of a shipped one; None: the shipped one."""
    engine: str = key(one_of(ENGINES), "auto", setting=True)
    precision: str = key(one_of(PRECISIONS), "auto", setting=True)
    device: str = key(one_of(DEVICES), "auto", setting=True)
    threads: int | None = key(optional(THREADS), None, setting=True)

    @property
    def resources(self) -> Resources:
        return Resources(self.model, self.engine, self.precision, self.device, self.threads, self.memory_gb)


@dataclass(frozen=True, kw_only=True)
class Surfaces(Memory):
    """How surfaces are made and written."""

    smoothing: Smoothing = key(one_of(tuple(SMOOTHINGS)), "faithful", setting=True)
    formats: tuple[str, ...] = key(several(tuple(FORMATS), least=1), (MAIN_FORMAT,), setting=True)
    simplify_mm: float | None = key(optional(THICKNESS_MM), None, setting=True)
    thicken_mm: float | None = key(optional(THICKNESS_MM), None, setting=True)
    printer_minimum_mm: float = key(THICKNESS_MM, PRINTER_MINIMUM_MM, setting=True)
    quality_map: bool = key(FLAG, False, setting=True)
    """Whether what was measured at each vertex is written."""

    @property
    def modelling(self) -> ModelParameters:
        return ModelParameters(self.smoothing, self.simplify_mm, self.thicken_mm, self.printer_minimum_mm)


@dataclass(frozen=True, kw_only=True)
class ResultFiles(Files, Surfaces, NewFolder):
    """What a result folder holds besides the bone, and what people say of it."""

    surfaces: tuple[str, ...] = key(SURFACE_NAMES, (), setting=True)
    """Besides `bone`."""
    sides: bool = key(FLAG, False, setting=True)
    """Whether the left and the right half become surfaces of their own too."""
    dicom: tuple[str, ...] = key(several(DICOM_OUTPUTS), ())
    """What is written as DICOM too."""
    deidentify: bool = key(FLAG, False)
    """Whether files in DICOM say nothing of the patient."""
    purpose: str | None = key(REMARK, None)
    operator: str | None = key(REMARK, None)
    reviews: tuple[dict[str, Any], ...] = key(REVIEWS, ())
    """To be added to the record."""
    language: str = key(one_of(LANGUAGES), ENGLISH)
    """Of the record's page."""

    @property
    def brings(self) -> bool:
        """Whether there may be structures that the library's own table does not have."""
        return False

    def __post_init__(self) -> None:
        if not self.brings and any(name not in SURFACES for name in self.surfaces):
            raise invalid(f"`surfaces` must be one of: {', '.join(SURFACES)}.")
        if "surface" in self.dicom and MAIN_FORMAT not in self.formats:
            raise invalid("Surfaces in DICOM are made of STL: add `stl` to `formats`.")
