"""`experiment`: every method on every case, figures by region, paired comparisons, one page [3532-2 10, 11, D.4]."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OrbitalSegLib import reading, segmenting
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation import table
from OrbitalSegLib.evaluation.figures import plain
from OrbitalSegLib.experiment.page import page_of
from OrbitalSegLib.experiment.phantoms import phantom_case
from OrbitalSegLib.files import safe_name, write_image, writing
from OrbitalSegLib.locating.place import AskedOrbit
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.progress import Progress, Steps, span
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import new_result
from OrbitalSegLib.segmenting import First, Wish
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.evaluate_cases import write_evaluation
from OrbitalSegLib.tasks.keys import (
    FLAG,
    OBJECT,
    PATH,
    TEXT,
    ValueKind,
    counted,
    invalid,
    key,
    listed,
    made_of,
    optional,
)
from OrbitalSegLib.tasks.parts import FIRST, POSTPROCESS, REGION, Networks, NewFolder, VolumeFiles

PAGE_FILE = "experiment.html"

SHARES = {"experiment": 20.0, "evaluating": 10.0, "writing": 0.3, "preview": 1.0}

PHANTOM_SHARE = 0.5
"""Of a case's time, what making its phantom takes."""


MOST_CASES = 1000


@dataclass(frozen=True)
class Contestant:
    """A method with parameters, under the name that tables give it."""

    name: str
    method: str
    parameters: dict[str, Any]
    first: First | None = None
    """See `Wish`."""


DEFAULT = (
    Contestant("threshold", "threshold", {}),
    Contestant("adjustable", "threshold", {"lower_hu": 200.0}),
    Contestant("hysteresis", "hysteresis", {}),
)
"""Method A of [3532-2 D.4]; the same with the limit that an operator has moved, to 200 HU [3532-1 6.3]; and
hysteresis [3532-2 B]."""

_OF_CONTESTANT = made_of(
    {"name": TEXT, "method": TEXT, "parameters": OBJECT, "from": optional(FIRST)},
    ("method",),
    "Each of `{name}` must hold `method`, and may hold `name`, `parameters` and `from`.",
)


def _contestant(name: str, value: object) -> Contestant:
    given = _OF_CONTESTANT.read(name, value)
    return Contestant(
        given.get("name", given["method"]), given["method"], given.get("parameters", {}), given.get("from")
    )


CONTESTANTS = listed(
    ValueKind(_contestant, _OF_CONTESTANT.schema), "objects with `name`, `method`, `parameters` and `from`"
)
CASES = counted(1, MOST_CASES, f"must be a whole number from 1 to {MOST_CASES}.")


@dataclass(frozen=True, kw_only=True)
class ExperimentJob(VolumeFiles, Networks, NewFolder):
    """The methods, and the cases on which they run."""

    task = "experiment"

    data: Path | None = key(optional(PATH), None, name="input")
    """A folder for each case, with truth and CT; None: phantoms."""
    methods: tuple[Contestant, ...] = key(CONTESTANTS, ())
    """Empty: thresholds and hysteresis."""
    cases: int = key(CASES, 20)
    """How many phantoms, where there are no data."""
    grey_values: bool = key(FLAG, False)
    """Whether scans are taken though their values are no HU."""
    region: Region | AskedOrbit = key(REGION, "auto")
    postprocess: PostprocessingParameters | None = key(POSTPROCESS, PostprocessingParameters())


def run(job: ExperimentJob, steps: Steps, record: Record) -> Outcome:
    """A folder with tables, pictures and a page comes out."""
    contestants = _contestants(job)
    with (
        new_result(job.output, job.overwrite, job.data) as folder,
        tempfile.TemporaryDirectory(prefix="orbitalseg-") as private,
    ):
        asked = {"methods": {one.name: _said(one) for one in contestants}}
        with record.step("experiment", asked | {"data": "phantoms" if job.data is None else "given"}) as measured:
            cases = _with_results(job, contestants, Path(private), steps.step("experiment"))
            measured["cases"] = len(cases)
        with record.step("evaluating"):
            found = table.evaluate_cases(cases, steps.step("evaluating"), record.warn)
        write_evaluation(found, cases, folder.path, steps, record)
        steps.step("preview")(1.0)
        with writing(folder.path):
            (folder.path / PAGE_FILE).write_text(page_of(found, record.entries, folder.path), encoding="utf-8")
        files = record.finish(folder)
    return files, {
        "cases": len(cases),
        "methods": {name: plain(found.summary(name, table.DECISIVE).mean) for name in found.methods},
    }


def _said(one: Contestant) -> dict[str, Any]:
    """A method with its parameters, and what ran first, for the record."""
    first = {} if one.first is None else {"from": {"method": one.first.method, **one.first.parameters}}
    return {"method": one.method, **one.parameters, **first}


def _contestants(job: ExperimentJob) -> tuple[Contestant, ...]:
    """Those that the job names, understood. Raises `JobError`."""
    chosen = job.methods or DEFAULT
    for one in chosen:
        wish = Wish(one.method, one.parameters, first=one.first)
        wish.understood()
        if not (wish.chosen.has_bone or wish.chosen.needs_model):
            raise invalid(f"{wish.chosen.title} finds no bone, which is what an experiment compares: leave it out.")
    if len({safe_name(one.name) for one in chosen}) < len(chosen):
        raise invalid("Two of the `methods` have one name: give each its own.")
    return chosen


def _with_results(
    job: ExperimentJob, contestants: Sequence[Contestant], private: Path, progress: Progress
) -> list[table.CaseFiles]:
    """Every case with every method's result, in a private folder."""
    count = job.cases if job.data is None else 0
    given = [] if job.data is None else [case for case in table.find_cases(job.data, False) if case.ct is not None]
    if job.data is not None and not given:
        raise InputError(
            "no-cases",
            "There is no case with a `truth` and a `ct`, which an experiment needs: "
            "choose the folder that holds the cases.",
        )
    total = count or len(given)
    cases = []
    for number in range(total):
        part = span(progress, number / total, (number + 1) / total)
        case = phantom_case(number, private, span(part, 0.0, PHANTOM_SHARE)) if job.data is None else given[number]
        cases.append(_case_of(job, case, contestants, private / f"results-{number}", part))
    return cases


def _case_of(
    job: ExperimentJob, case: table.CaseFiles, contestants: Sequence[Contestant], folder: Path, progress: Progress
) -> table.CaseFiles:
    """A case with the methods' results; without a region of its own it is judged where the orbits are."""
    folder.mkdir()
    results, region, place = {}, case.region, job.region
    assert case.ct is not None
    scan = reading.read(case.ct, header=job.header, grey_values=job.grey_values)
    for done, one in enumerate(contestants):
        wish = Wish(one.method, one.parameters, place, job.postprocess, job.resources, first=one.first)
        bone = segmenting.segment(scan, wish, Steps(segmenting.shares(wish)))
        results[one.name] = folder / f"{safe_name(one.name)}.nrrd"
        write_image(bone.masks[BONE], results[one.name])
        place = bone.place.region  # the same for every method
        if region is None:
            region = folder / "region.nrrd"
            write_image(place.within(scan.image), region)
        progress(PHANTOM_SHARE + (1 - PHANTOM_SHARE) * (done + 1) / len(contestants))
    return replace(case, results=results, region=region)


TASK = Work(ExperimentJob, lambda _job: SHARES, run)
