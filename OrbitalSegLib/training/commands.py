"""What `orbitalseg train`, `finetune` and `select` do: names and folders in, lines for a person out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import alone
from OrbitalSegLib.networks import package
from OrbitalSegLib.training import dataset, presets, quality, selection
from OrbitalSegLib.training import finetune as finetuning
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.loop import Tell
from OrbitalSegLib.training.loop import train as train_one

Stop = Callable[[], bool]


def train(
    config: str, cases: Sequence[Path], output: Path, networks: Sequence[str], steps: int | None, tell: Tell, stop: Stop
) -> None:
    """Train the named networks of a configuration, or all, one after the other. Raises `InputError`."""
    training = _training(config, steps)
    for name in networks:
        training.classes(name)
    entries = [entry for folder in cases for entry in dataset.collect(folder)]
    with alone(output, _is_training):
        _inspect(entries, training, output, tell)
        for name in networks or training.networks:
            weights = train_one(training, name, cases, output / name, output / "packed", tell, stop)
            if stop():
                tell("Stopped; the same command goes on.")
                return
            tell(f"{name}: {weights.name}")


def finetune(
    model: str,
    config: str,
    data: Path,
    output: Path,
    held_out: Path | None,
    steps: int | None,
    tell: Tell,
    stop: Stop,
) -> None:
    """Train a package further. Raises `InputError`, `OutputError`."""
    training = _training(config, steps)
    entries = dataset.collect(data)
    with alone(output, _is_training):
        _inspect(entries, training, output, tell)
        made = finetuning.finetune(package.load(model), training, data, output, held_out, tell, stop)
    tell("Stopped; the same command goes on." if made is None else f"The new package is {made.name}.")


def select(config: Path, output: Path, again: bool, tell: Tell, stop: Stop) -> None:
    """Choose a model in eight steps. Raises `InputError`."""
    chosen = selection.load(config)
    with alone(output, _is_training):
        found = selection.select(chosen, output, tell, stop, again)
    if found is None:
        tell("Stopped; the same command goes on.")
        return
    if found["test_opened_before"]:
        tell(f"The test set was opened {found['test_opened_before']} times before: it is no unseen data any more.")
    tell(f"Chosen: {found['chosen']}; score on the test set {found['test']['score']:.4f}.")


def _training(config: str, steps: int | None) -> Training:
    training = presets.load(config)
    return replace(training, steps=steps) if steps else training


def _is_training(folder: Path) -> bool:
    """Whether a training was begun in a folder before folders had a lock."""
    return any(folder.glob("*/training.json")) or any(folder.glob("*/*/training.json"))


def _inspect(entries: Sequence[dataset.Entry], training: Training, output: Path, tell: Tell) -> None:
    """Quality checks before anything is learnt, with their report. Raises `InputError` `bad-case` for an error."""
    findings = quality.inspect(entries, training.labels)
    quality.write_report(entries, findings, output / "quality.csv")
    for finding in findings:
        tell(f"{finding.severity}: {finding.case}: {finding.text}")
    bad = {finding.case for finding in findings if finding.severity == "error"}
    if bad:
        raise InputError("bad-case", f"{len(bad)} of {len(entries)} cases cannot be used; quality.csv says why.")
