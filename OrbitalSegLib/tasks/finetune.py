"""`finetune`: a model package's networks learn on from a data set, and are held against what they were [3532-2 12]."""

import re
from dataclasses import dataclass
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.figures import plain
from OrbitalSegLib.networks.engines import DEVICES
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.tasks import Outcome, Work
from OrbitalSegLib.tasks.keys import PATH, TEXT, Job, counted, key, one_of, optional

SHARES = {"training": 1.0}

MOST_STEPS = 1_000_000

NEEDS_LEARN = "Training needs more packages: pip install 'orbitalseg[learn]'."


@dataclass(frozen=True, kw_only=True)
class FinetuneJob(Job):
    """A data set, and the package that goes on to learn."""

    task = "finetune"

    data: Path = key(PATH, name="input")
    """A folder of cases."""
    output: Path = key(PATH)
    """The folder to work in: empty, or where the same training was begun; the new package is `package` in it."""
    model: Path | None = key(optional(PATH), None)
    """A model package's folder, or the name of a shipped one; None: the shipped one."""
    held_out: Path | None = key(optional(PATH), None)
    """Cases that are not learnt from; None: a fifth of the patients."""
    configuration: str = key(TEXT, "finetune")
    """A preset, or a TOML file."""
    steps: int | None = key(
        optional(counted(1, MOST_STEPS, f"must be a whole number from 1 to {MOST_STEPS}, or null.")), None
    )
    device: str = key(one_of(DEVICES), "auto")


def run(job: FinetuneJob, steps: Steps, _record: Record) -> Outcome:
    """See `commands.finetune`. What was stopped goes on from its last checkpoint where the same job is given again."""
    from OrbitalSegLib.networks import package

    try:
        from OrbitalSegLib.training import commands
    except ModuleNotFoundError as missing:
        raise InputError("no-engine", NEEDS_LEARN) from missing
    model = str(job.model or package.DEFAULT)
    heard = _Heard(steps, len(package.network_names(model)))
    found = commands.finetune(
        model, job.configuration, job.data, job.output, job.held_out, job.steps, commands.Means(job.device), heard,
        lambda: False,
    )  # fmt: skip
    summary = {
        "verdict": None if found is None else found.verdict,
        "cases": 0 if found is None else found.cases,
        "before": {} if found is None else {name: plain(value) for name, value in found.before.items()},
        "after": {} if found is None else {name: plain(value) for name, value in found.after.items()},
        "changes": 0 if found is None else len(found.changes),
        "said": [] if found is None else [*found.said],
    }
    return ["package/", "quality.csv", *(["comparison.json", "changes.csv"] if found else [])], summary


class _Heard:
    """Progress from the lines of a training: every network in turn, each step by step."""

    def __init__(self, steps: Steps, networks: int) -> None:
        self._progress, self._networks = steps.step("training"), networks
        self._begun: list[str] = []

    def __call__(self, line: str) -> None:
        step = re.match(r"(\S+) step (\d+)/(\d+)", line)
        if step:
            name, done, of = step[1], int(step[2]), int(step[3])
            self._begun += [] if name in self._begun else [name]
            self._progress(0.95 * (len(self._begun) - 1 + done / of) / self._networks)


TASK = Work(FinetuneJob, lambda _job: SHARES, run)
