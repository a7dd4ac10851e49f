"""The experiment: every method on every case, figures by region, paired comparisons, one page [3532-2 10, 11, D.4]."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OrbitalSegLib import pipeline
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.evaluation import table
from OrbitalSegLib.experiment.page import page_of
from OrbitalSegLib.experiment.phantoms import phantom_case
from OrbitalSegLib.files import safe_name, write_image, writing
from OrbitalSegLib.job import Job, method_of
from OrbitalSegLib.pipeline import Outcome
from OrbitalSegLib.progress import Progress, Steps, span
from OrbitalSegLib.record import Record
from OrbitalSegLib.structures import BONE

PAGE_FILE = "experiment.html"

SHARES = {"experiment": 20.0, "evaluating": 10.0, "writing": 0.3, "preview": 1.0}

PHANTOM_SHARE = 0.5
"""Of a case's time, what making its phantom takes."""


@dataclass(frozen=True)
class Contestant:
    """A method with parameters, under the name that tables give it."""

    name: str
    method: str
    parameters: dict[str, Any]


DEFAULT = (
    Contestant("threshold", "threshold", {}),
    Contestant("adjustable", "threshold", {"lower_hu": 200.0}),
    Contestant("hysteresis", "hysteresis", {}),
)
"""Method A of [3532-2 D.4]; the same with the limit that an operator has moved, to 200 HU [3532-1 6.3]; and
hysteresis [3532-2 B]."""


def experiment(job: Job, steps: Steps, record: Record) -> Outcome:
    """A folder of cases with CT and truth, or else phantoms, in; a folder with tables, pictures and a page out."""
    contestants = _contestants(job)
    with pipeline.result_folder(job) as folder, tempfile.TemporaryDirectory(prefix="orbitalseg-") as private:
        asked = {"methods": {c.name: {"method": c.method, **c.parameters} for c in contestants}}
        with record.step("experiment", asked | {"data": "phantoms" if job.input is None else "given"}) as measured:
            cases = _with_results(job, contestants, Path(private), steps.step("experiment"))
            measured["cases"] = len(cases)
        with record.step("evaluating"):
            found = table.evaluate_cases(cases, steps.step("evaluating"), record.warn)
        pipeline.write_evaluation(found, cases, folder, steps, record)
        steps.step("preview")(1.0)
        with writing(folder):
            (folder / PAGE_FILE).write_text(page_of(found, record.entries, folder), encoding="utf-8")
        files = pipeline.finish(record, folder)
    return files, {
        "cases": len(cases),
        "methods": {name: pipeline.plain(found.summary(name, table.DECISIVE).mean) for name in found.methods},
    }


def _contestants(job: Job) -> tuple[Contestant, ...]:
    """Those that the job names, understood. Raises `JobError`."""
    chosen = tuple(Contestant(**entry) for entry in job.methods) or DEFAULT
    for one in chosen:
        method_of(replace(job, method=one.method)).make_parameters(one.parameters)
    if len({safe_name(one.name) for one in chosen}) < len(chosen):
        raise JobError("invalid-job", "Two of the `methods` have one name: give each its own.")
    return chosen


def _with_results(
    job: Job, contestants: Sequence[Contestant], private: Path, progress: Progress
) -> list[table.CaseFiles]:
    """Every case with every method's result, in a private folder."""
    count = job.cases if job.input is None else 0
    given = [] if job.input is None else [case for case in table.find_cases(job.input, False) if case.ct is not None]
    if job.input is not None and not given:
        raise InputError(
            "no-cases",
            "There is no case with a `truth` and a `ct`, which an experiment needs: "
            "choose the folder that holds the cases.",
        )
    total = count or len(given)
    cases = []
    for number in range(total):
        part = span(progress, number / total, (number + 1) / total)
        case = phantom_case(number, private, span(part, 0.0, PHANTOM_SHARE)) if job.input is None else given[number]
        cases.append(_run(job, case, contestants, private / f"results-{number}", part))
    return cases


def _run(
    job: Job, case: table.CaseFiles, contestants: Sequence[Contestant], folder: Path, progress: Progress
) -> table.CaseFiles:
    """A case with the methods' results; without a region of its own it is judged where the orbits are."""
    folder.mkdir()
    results, region = {}, case.region
    for done, one in enumerate(contestants):
        asked = replace(job, input=case.ct, method=one.method, parameters=one.parameters, dicom=())
        bone = pipeline.find_bone(asked, Steps(pipeline.segment_shares(asked), lambda *_: None), Record())
        results[one.name] = folder / f"{safe_name(one.name)}.nrrd"
        write_image(bone.masks[BONE], results[one.name])
        if region is None:
            region = folder / "region.nrrd"
            write_image(bone.place.region.within(bone.scan.image), region)
            job = replace(job, region=bone.place.region)  # the orbits are looked for once
        progress(PHANTOM_SHARE + (1 - PHANTOM_SHARE) * (done + 1) / len(contestants))
    return replace(case, results=results, region=region)
