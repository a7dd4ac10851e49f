"""What a method can be told: a number with its unit, one of several choices, yes or no, or points of the patient.

Each kind says of itself what a panel and a help text show, checks a value of a job, and reads the words of a command
line: so a method's parameters are known everywhere as soon as they are known here.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from typing import Any, ClassVar, Protocol

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.places import Point
from OrbitalSegLib.structures import INFERRED

KIND = "kind"
"""Where a field of a dataclass keeps what it is."""

FARTHEST_MM = 10_000.0
"""No place of a patient is further from the middle of a scanner."""

ABOVE = "_above"
"""What the name of a limit of probability ends with; what it is the limit of stands before."""

INFERRED_ABOVE = f"{INFERRED}{ABOVE}"

Points = tuple[Point, ...]
"""Places of the patient: LPS, mm."""


class ParameterKind(Protocol):
    """What sort of value a parameter takes."""

    name: ClassVar[str]
    title: str

    def describe(self) -> dict[str, Any]:
        """What a panel or a help text needs, besides name, kind, title and default."""

    def read(self, name: str, value: Any) -> Any:
        """The value of a job. Raises `JobError` `invalid-job`."""

    def parse(self, name: str, words: str) -> Any:
        """The value of a job from the words of a command line. Raises `JobError` `invalid-job`."""


@dataclass(frozen=True)
class Number:
    """A number in a unit, between two others."""

    name: ClassVar[str] = "number"
    title: str
    unit: str
    minimum: float
    maximum: float
    whole: bool = False

    def describe(self) -> dict[str, Any]:
        return {"unit": self.unit, "minimum": self.minimum, "maximum": self.maximum}

    def read(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.minimum <= value <= self.maximum:
            raise self._wrong(name)
        if self.whole and value != int(value):
            raise self._wrong(name)
        return int(value) if self.whole else value

    def parse(self, name: str, words: str) -> Any:
        try:
            return float(words)
        except ValueError as error:
            raise self._wrong(name) from error

    def _wrong(self, name: str) -> JobError:
        number = "a whole number" if self.whole else "a number"
        return JobError("invalid-job", f"{name} must be {number} from {self.minimum:g} to {self.maximum:g}.")


@dataclass(frozen=True)
class Choice:
    """One of several words, each with a title."""

    name: ClassVar[str] = "choice"
    title: str
    choices: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        return {"choices": dict(self.choices)}

    def read(self, name: str, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.choices:
            raise JobError("invalid-job", f"{name} must be one of: {', '.join(self.choices)}.")
        return value

    def parse(self, _name: str, words: str) -> Any:
        return words


@dataclass(frozen=True)
class YesOrNo:
    """Yes or no."""

    name: ClassVar[str] = "flag"
    title: str

    def describe(self) -> dict[str, Any]:
        return {}

    def read(self, name: str, value: Any) -> Any:
        if not isinstance(value, bool):
            raise JobError("invalid-job", f"{name} must be true or false.")
        return value

    def parse(self, name: str, words: str) -> Any:
        known = {"true": True, "yes": True, "false": False, "no": False}
        if words.lower() not in known:
            raise JobError("invalid-job", f"{name} must be true or false.")
        return known[words.lower()]


@dataclass(frozen=True)
class PointsOf:
    """Places of the patient (LPS, mm), so many at least and at most."""

    name: ClassVar[str] = "points"
    title: str
    least: int
    most: int

    def describe(self) -> dict[str, Any]:
        return {"unit": "mm", "least": self.least, "most": self.most}

    def read(self, name: str, value: Any) -> Any:
        points = value if isinstance(value, list | tuple) else []
        fit = all(
            isinstance(point, list | tuple) and len(point) == 3 and all(map(_is_place, point)) for point in points
        )
        if points is not value or not fit or not self.least <= len(points) <= self.most:
            raise JobError("invalid-job", self._wrong(name))
        return tuple((float(x), float(y), float(z)) for x, y, z in points)

    def parse(self, name: str, words: str) -> Any:
        """`x:y:z/x:y:z`, as many points as there are."""
        try:
            return [[float(word) for word in point.split(":")] for point in words.split("/") if point]
        except ValueError as error:
            raise JobError("invalid-job", self._wrong(name)) from error

    def _wrong(self, name: str) -> str:
        count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        example = "/".join(f"{30 + n}:-20:5" for n in range(min(max(self.least, 1), 3)))
        several = " with / between points," if self.most > 1 else ""
        return (
            f"{name} must be {count} point{'s' if self.most > 1 else ''} in mm, each as x:y:z towards the patient's "
            f"left, back and head,{several} for example {name}={example}."
        )


@dataclass(frozen=True)
class LimitsOf(Number):
    """Limits of probability of whatever a model package has: `NAME_above` for each, and one field for all of them."""

    name: ClassVar[str] = "limits"


def _is_place(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) <= FARTHEST_MM


def parameter(
    default: float | None, title: str, unit: str, minimum: float, maximum: float, *, whole: bool = False
) -> Any:
    """A dataclass field that is a number and carries its own description.

    Parameters
    ----------
    default
        What holds where a job says nothing; None is the model package's own.
    title
        What a person reads.
    unit
        As `HU` or `mm`.
    minimum
        The least that is taken.
    maximum
        The most that is taken.
    whole
        Whether it counts something.

    Returns
    -------
    field
        For a frozen dataclass of parameters.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Limit:
    ...     lower_hu: float = parameter(300.0, "Bone above", "HU", -1024, 3071)
    >>> Limit().lower_hu
    300.0
    """
    return field(default=default, metadata={KIND: Number(title, unit, minimum, maximum, whole)})


def choice(default: str, title: str, choices: Mapping[str, str]) -> Any:
    """A dataclass field that is one of these words, each with its title.

    Parameters
    ----------
    default
        One of the words.
    title
        What a person reads.
    choices
        By word, as a job has it, what a person reads.

    Returns
    -------
    field
        For a frozen dataclass of parameters.
    """
    return field(default=default, metadata={KIND: Choice(title, choices)})


def flag(default: bool, title: str) -> Any:
    """A dataclass field that is true or false.

    Parameters
    ----------
    default
        What holds where a job says nothing.
    title
        What a person reads.

    Returns
    -------
    field
        For a frozen dataclass of parameters.
    """
    return field(default=default, metadata={KIND: YesOrNo(title)})


def points(title: str, least: int = 0, most: int = 1000) -> Any:
    """A dataclass field of places of the patient, `Points`; none by default.

    Parameters
    ----------
    title
        What a person reads.
    least
        With fewer the method cannot run: such a job is refused before anything is read.
    most
        More are refused.

    Returns
    -------
    field
        For a frozen dataclass of parameters.
    """
    return field(default=(), metadata={KIND: PointsOf(title, least, most)})


def limits(title: str) -> Any:
    """A dataclass field of limits of probability by name, of a method that learns from its package what there is.

    Parameters
    ----------
    title
        What a person reads.

    Returns
    -------
    field
        A dict from 0 to 1 by field of the package; a job writes `NAME_above`.
    """
    return field(default_factory=dict, metadata={KIND: LimitsOf(title, "probability", 0, 1)})


def limits_in(recorded: Mapping[str, Any]) -> dict[str, float]:
    """The limits of probability among the parameters of a run of networks; but not that of inferred wall, which has no
    probability of its own.

    Parameters
    ----------
    recorded
        The parameters of a record's step `segmenting`.

    Returns
    -------
    limits
        By field, in the order in which the run used them.

    Examples
    --------
    >>> limits_in({"method": "multigrey", "thin_above": 0.5, "inferred_above": 0.3})
    {'thin': 0.5}
    """
    return {
        name.removesuffix(ABOVE): value
        for name, value in recorded.items()
        if name.endswith(ABOVE) and name != INFERRED_ABOVE and value is not None
    }


def kind_of(one: "Field[Any]") -> ParameterKind:
    """What sort of parameter a dataclass field is.

    Parameters
    ----------
    one
        Made by one of the functions above.

    Returns
    -------
    kind
        It describes, checks and reads values.
    """
    kind: ParameterKind = one.metadata[KIND]
    return kind
