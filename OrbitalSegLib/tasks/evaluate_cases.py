"""`evaluate-cases`: a folder of cases in; a folder with tables and pictures of them out (docs/metrics.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.evaluation import pictures, table
from OrbitalSegLib.evaluation.figures import plain
from OrbitalSegLib.evaluation.table import CaseFiles, Table
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.results import new_result
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import PATH, key
from OrbitalSegLib.tasks.parts import NewFolder

SHARES = {"evaluating": 20.0, "writing": 0.5, "preview": 2.0}


@dataclass(frozen=True, kw_only=True)
class EvaluateCasesJob(NewFolder):
    """A folder of cases."""

    task = "evaluate-cases"

    data: Path = key(PATH, name="input")
    """A folder for each case, with truth and results."""


def run(job: EvaluateCasesJob, steps: Steps, record: Record) -> Outcome:
    """See `table.evaluate_cases`."""
    with new_result(job.output, job.overwrite, job.data) as folder:
        cases = table.find_cases(job.data)
        with record.step("evaluating") as measured:
            found = table.evaluate_cases(cases, steps.step("evaluating"), record.warn)
            measured |= {"cases": len(cases), "methods": found.methods}
        write_evaluation(found, cases, folder.path, steps, record)
        files = record.finish(folder)
    shown = {name: found.summary(name, table.DECISIVE) for name in found.methods}
    return files, {
        "cases": len(cases),
        "methods": {
            name: {
                "worst_case": found.worst(name).case,
                f"{table.DECISIVE}_mean": plain(s.mean),
                f"{table.DECISIVE}_sd": plain(s.sd),
            }
            for name, s in shown.items()
        },
    }


def write_evaluation(found: Table, cases: Sequence[CaseFiles], folder: Path, steps: Steps, record: Record) -> None:
    """The tables of an evaluation, and its pictures where they can be drawn."""
    with record.step("writing"):
        table.write_tables(found, folder)
        steps.step("writing")(1.0)
    if pictures.can_draw():
        with record.step("preview"), record.extra(folder / "boxes.png"):
            pictures.draw_all(found, cases, folder)
    else:
        record.warn("no-pictures", "Pictures need matplotlib, so none were drawn: pip install 'orbitalseg[learn]'.")


TASK = Work(EvaluateCasesJob, lambda _job: SHARES, run)
