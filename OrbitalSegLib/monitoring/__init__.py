"""Every run checked: its input against what the method was measured on, its output against what it gave there.

[3532-2 12]: the quality of the input and the performance of the model are checked every time. What is checked stands in
`CHECKS`, the limits in `limits.json`, and where they come from in docs/monitoring.md: they were measured on phantoms by
`benchmarks/monitoring.py`, none was chosen by hand.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from OrbitalSegLib.acquisition import NOT_MET, Condition, Feasibility

Verdict = Literal["trust", "check", "do not use"]
TRUST: Verdict = "trust"
CHECK: Verdict = "check"
DO_NOT_USE: Verdict = "do not use"
_ORDER: tuple[Verdict, ...] = (TRUST, CHECK, DO_NOT_USE)

Measures = dict[str, float | None]
"""By the id of a check; None or absent: it could not be measured."""


@dataclass(frozen=True)
class LimitedFigure:
    """One figure that has limits. `reason` gets what was found, as text with its unit."""

    id: str
    term: str
    unit: str
    reason: str
    of_output: bool = False
    """Limits hold for one method and model package; those of the input hold for all."""
    gross: bool = False
    """Whether walls cannot be relied on where it is far outside its limits."""
    resolution: float = 0.0
    """Limits leave at least so much room: differences that say nothing, such as the width of a histogram's bin."""
    missing: str = ""
    """The reason to look where the figure was looked for and not found, although every scan of a head has it."""


CHECKS = (
    LimitedFigure("pixel_mm", "Pixel", "mm", "Pixels of {found} are coarser or finer than any this was measured on."),
    LimitedFigure(
        "slice_mm", "Slice distance", "mm", "Slices {found} apart are not what this was measured on.", gross=True
    ),
    LimitedFigure(
        "noise_hu", "Noise in soft tissue", "HU", "The scan is noisier or smoother than usual: {found}.", gross=True
    ),
    LimitedFigure(
        "fat_hu",
        "Orbital fat",
        "HU",
        "Fat has {found}: the scale of the values may be wrong.",
        resolution=4,
        missing="No fat was found around the orbits: the scale of the values may be wrong.",
    ),
    LimitedFigure(
        "soft_hu",
        "Soft tissue",
        "HU",
        "Soft tissue has {found}: contrast, or a wrong scale of values.",
        resolution=4,
        missing="No soft tissue was found: the scale of the values may be wrong.",
    ),
    LimitedFigure(
        "bone_hu", "Dense bone, 90th percentile", "HU", "Dense bone has {found}: a newborn's, a plastic's, or ill."
    ),
    LimitedFigure("metal_ml", "Metal", "ml", "There are {found} of metal, whose streaks hide walls.", resolution=0.01),
    LimitedFigure("step_hu", "Smallest step of the values", "HU", "Values come in steps of {found}: an 8-bit copy."),
    LimitedFigure(
        "wall_completeness", "Wall around an orbit", "", "Of an orbit's wall a share of {found} was found.", True, True
    ),
    LimitedFigure("symmetry", "Bone of the two orbits, ratio", "", "One orbit has {found} of the other's bone.", True),
    LimitedFigure("parts", "Pieces of bone", "", "The bone is in {found} pieces.", True, resolution=1),
    LimitedFigure(
        "boundary_step", "Fall of probability at the border", "", "The networks are unsure: {found}.", True, True
    ),
)

OF_READING: dict[str, Verdict] = {
    "orientation-unknown": CHECK,
    "header-decided": CHECK,
    "header-chosen": CHECK,
    "unit-unknown": CHECK,
    "template-space": CHECK,
    "damaged-files": CHECK,
    "unused-bits": CHECK,
    "rescale-missing": CHECK,
    "not-a-number": CHECK,
    "grey-values": DO_NOT_USE,
    "several-patients": CHECK,
    "patient-unclear": CHECK,
    "several-studies": CHECK,
    "left-out": CHECK,
    "missing-slices": CHECK,
    "rounded-positions": CHECK,
    "rounded-axes": CHECK,
    "duplicates": CHECK,
    "overlapping-parts": CHECK,
    "other-than-files": CHECK,
}
"""The warnings of reading that weigh on the verdict, by their code: `check`, or `do not use` where what came in cannot
be taken at its word. They are causes: they come before all other reasons. Where one says `do not use`, figures give no
reason, since what they found follows from it; their checks stay in the table."""

NO_MODEL = "Without networks, walls that the scanner has blurred away cannot be shown: look at floor and medial wall."
NO_BONE = "This result holds no bone: nothing of it was checked but the scan."
UNKNOWN_METHOD = "No limits were measured for this method."
UNKNOWN_MODEL = "No limits were measured for the model package {name}: it may not be the one that you expect."
NO_ORBIT = "No orbit lies in this region, so neither walls nor symmetry were checked."


@dataclass(frozen=True)
class Range:
    """Limits of one figure; None is open."""

    low: float | None
    high: float | None

    def judge(self, figure: float, gross: bool = True) -> Verdict:
        """Outside the limits is `check`; outside by more than the range is wide, and gross, `do not use`."""
        low, high = self.low, self.high
        width = high - low if low is not None and high is not None else None
        beyond = max((low - figure) if low is not None else 0.0, (figure - high) if high is not None else 0.0)
        if beyond <= 0:
            return TRUST
        return DO_NOT_USE if gross and width and beyond > width else CHECK


@dataclass(frozen=True)
class Run:
    """What is known of a run when its masks stand."""

    method: str
    needs_model: bool
    model: dict[str, Any] | None
    """`name` and `sha256` of the model package."""
    conditions: list[Condition]
    feasibility: Feasibility
    orbits: Mapping[str, str]
    """Of those asked for: side and status; empty where a box holds none."""
    measures: Measures
    has_bone: bool = True
    """Whether the method looks for bone."""
    warnings: Sequence[tuple[str, str]] = ()
    """Code and sentence of each that reading gave."""


@cache
def shipped_limits() -> dict[str, Any]:
    """The limits that were measured, with their source."""
    found: dict[str, Any] = json.loads((files("OrbitalSegLib.monitoring") / "limits.json").read_text(encoding="utf-8"))
    return found


def judge(run: Run, limits: dict[str, Any] | None = None) -> dict[str, Any]:
    """The verdict on a run, for the record: `verdict`, `reasons`, `checks` and where the `limits` come from."""
    limits = shipped_limits() if limits is None else limits
    causes, facts, figures = _causes(run), _facts(run, limits), _figures(run, limits)
    rows = [*causes, *facts, *figures]
    followed = _worst(causes) == DO_NOT_USE
    others = [row for row in (facts if followed else [*facts, *figures]) if row.verdict != TRUST]
    checks = [asdict(row) for row in rows]
    return {
        "verdict": _worst(rows),
        "reasons": [row.reason for some in (causes, others) for row in sorted(some, key=_rank)],
        "checks": [{key: value for key, value in row.items() if key != "reason"} for row in checks],
        "limits": limits["source"],
    }


@dataclass(frozen=True)
class _Row:
    id: str
    term: str
    found: float | str | None
    unit: str
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str


def _fact(name: str, term: str, found: str | None, verdict: Verdict, reason: str) -> _Row:
    return _Row(name, term, found, "", None, None, verdict, reason)


def _rank(row: _Row) -> int:
    """The worst first."""
    return -_ORDER.index(row.verdict)


def _worst(rows: Sequence[_Row]) -> Verdict:
    return max((row.verdict for row in rows), key=_ORDER.index, default=TRUST)


def _causes(run: Run) -> list[_Row]:
    """What reading said that weighs on the verdict, each code with all its sentences."""
    said: dict[str, list[str]] = {}
    for code, text in run.warnings:
        if code in OF_READING:
            said.setdefault(code, []).append(text)
    return [_fact(code, "Reading of the scan", code, OF_READING[code], " ".join(texts)) for code, texts in said.items()]


def _facts(run: Run, limits: dict[str, Any]) -> list[_Row]:
    """What is judged without a figure."""
    slices: dict[str, Verdict] = {"feasible": TRUST, "borderline": CHECK, "not feasible": DO_NOT_USE}
    feasibility = run.feasibility
    rows = [
        _fact(
            "table-a1",
            "Thin walls by table A.1",
            feasibility.thin_walls,
            slices[feasibility.thin_walls],
            feasibility.reason,
        )
    ]
    kernel = next((row for row in run.conditions if row.id == "kernel"), None)
    if kernel is not None:
        sharp = kernel.verdict == NOT_MET
        reason = f"The kernel {kernel.found} is no standard one: it sharpens and adds noise."
        rows.append(_fact("kernel", "Kernel", kernel.found, CHECK if sharp else TRUST, reason))
    rows.append(_orbits(run.orbits))
    rows.append(_method(run, limits))
    return rows


def _orbits(orbits: Mapping[str, str]) -> _Row:
    if not orbits:
        return _fact("orbits", "Orbits", None, CHECK, NO_ORBIT)
    said = ", ".join(f"{side} {status}" for side, status in orbits.items())
    whole = [side for side, status in orbits.items() if status == "found"]
    verdict = TRUST if len(whole) == len(orbits) else CHECK if whole else DO_NOT_USE
    return _fact("orbits", "Orbits", said, verdict, f"Not every orbit is whole in this scan and region: {said}.")


def _method(run: Run, limits: dict[str, Any]) -> _Row:
    """Whether this method, with this model package, is one that limits were measured for."""
    known = limits["methods"].get(run.method)
    if not run.needs_model:
        return _fact("method", "Method", run.method, CHECK, NO_MODEL)
    name = run.model["name"] if run.model else "none"
    if not run.has_bone:
        return _fact("method", "Method and model package", f"{run.method}, {name}", CHECK, NO_BONE)
    if known is None:
        return _fact("method", "Method and model package", f"{run.method}, {name}", CHECK, UNKNOWN_METHOD)
    same = run.model is not None and run.model["sha256"] == known["model"]["sha256"]
    reason = UNKNOWN_MODEL.format(name=name)
    return _fact("method", "Method and model package", f"{run.method}, {name}", TRUST if same else CHECK, reason)


def _figures(run: Run, limits: dict[str, Any]) -> list[_Row]:
    """What has limits. Where there are none, or nothing was measured, nothing is judged; but see `Check.missing`."""
    of_output = limits["methods"].get(run.method, {}).get("output", {})
    rows = []
    for check in CHECKS:
        figure = run.measures.get(check.id)
        known = (of_output if check.of_output else limits["input"]).get(check.id)
        limit = Range(None, None) if known is None else Range(known["low"], known["high"])
        if figure is not None:
            verdict = limit.judge(figure, check.gross)
            reason = check.reason.format(found=f"{figure:.3g} {check.unit}".strip())
        elif check.missing and check.id in run.measures:
            verdict, reason = CHECK, check.missing
        else:
            continue
        rounded = None if figure is None else round(figure, 4)
        rows.append(_Row(check.id, check.term, rounded, check.unit, limit.low, limit.high, verdict, reason))
    return rows


def limits_from(
    samples: list[Measures], wanted: Callable[[LimitedFigure], bool], spare: float
) -> dict[str, dict[str, float]]:
    """Limits that hold all samples of each wanted check, with a share of their range to spare on either side."""
    limits = {}
    for check in filter(wanted, CHECKS):
        values = [value for sample in samples if (value := sample.get(check.id)) is not None]
        if values:
            room = max(spare * (max(values) - min(values)), check.resolution)
            limits[check.id] = {"low": min(values) - room, "high": max(values) + room}
    return limits
