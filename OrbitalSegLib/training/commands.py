"""What training's commands do: names and folders in, lines for a person out. The words are those of `front`."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import alone
from OrbitalSegLib.networks import package
from OrbitalSegLib.training import dataset, packaging, presets, quality, release, selection, validation
from OrbitalSegLib.training import finetune as finetuning
from OrbitalSegLib.training.comparing import Compared, compare
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.loop import Tell, arrivals, identity
from OrbitalSegLib.training.loop import train as train_one
from OrbitalSegLib.training.packaging import Chosen, Trial
from OrbitalSegLib.training.synthesis.generate import generate
from OrbitalSegLib.training.templates.sources import KNOWN, templates
from OrbitalSegLib.training.templates.template import write_template
from OrbitalSegLib.training.walls import config as walls_config
from OrbitalSegLib.training.walls.together import train_walls

Stop = Callable[[], bool]

STOPPED = "Stopped; the same command goes on."
NOTHING_HELD_BACK = (
    "All cases are of one patient, so that none was held back, and nobody can say whether the new package is better: "
    "add cases of others."
)


@dataclass(frozen=True)
class Means:
    """What of the computer a command may use."""

    device: str = "cpu"
    workers: int | None = None
    """Processes that work beside this one; None: none, or as many as the work needs at least."""
    threads: int = 1
    """Of the processor."""

    def ready(self) -> "Means":
        """With torch's name of the device, and torch told of the threads. Raises `InputError` `no-engine`."""
        from OrbitalSegLib.networks.engines.torch import device

        torch.set_num_threads(self.threads)
        return replace(self, device=device(self.device))


@dataclass(frozen=True)
class Kind:
    """A kind of file that `train` understands."""

    title: str
    mark: str
    """The key by which its file is known; empty: any other file, and presets."""
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    """Options of `train` that say something of it, besides those for all."""


NETWORKS = Kind("A configuration of networks", "", ("cases",), ("network", "like", "device"))
WALLS = Kind("A configuration of walls", "heads", ("templates",), ())
RECIPE = Kind("A recipe", "configuration", (), ("data", "network", "device"))


def kind_of(config: str) -> Kind:
    """What kind of file it is. Raises `InputError` `invalid-config` where it cannot be read."""
    if config in presets.presets():
        return NETWORKS
    if not Path(config).is_file():
        raise presets.unknown()
    try:
        table = tomllib.loads(Path(config).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("invalid-config", f"The configuration cannot be read ({error}): mend its file.") from error
    return next((kind for kind in (WALLS, RECIPE) if kind.mark in table), NETWORKS)


def make_templates(
    output: Path, data: Path | None, anatomies: Sequence[Path], force: bool, means: Means, tell: Tell
) -> None:
    """Build the templates of all anatomies. Raises `InputError`, `OutputError`."""
    if data is not None:
        _must_be_folder(data, "data")
        if not any((data / file).exists() for file in KNOWN):
            raise InputError(
                "no-such-input",
                f"The folder of data holds none of {', '.join(map(str, KNOWN))}: name another, or none.",
            )
    for anatomy in anatomies:
        _must_be_folder(anatomy, "an anatomy")
    means.ready()
    output.mkdir(parents=True, exist_ok=True)
    for template in templates(data, anatomies):
        write_template(template, output / template.name, overwrite=force)
        tell(f"template {template.name}")


def synthesize(
    sources: Sequence[Path], output: Path, seeds: range, truth: bool, means: Means, tell: Tell, stop: Stop
) -> None:
    """Make cases of templates. Raises `InputError`, `OutputError`."""
    for source in sources:
        if not (source / "template.json").is_file():
            raise InputError(
                "no-such-input", f"There is no template in {source.name}: `orbitalseg templates` makes some."
            )
    twice = len({source.name for source in sources}) < len(sources)
    if twice:
        raise InputError("no-such-input", "Two templates have the same name, and so would their cases: rename one.")
    means = means.ready()

    def heard(done: float) -> None:
        tell(f"{round(done * len(seeds))} of {len(seeds)} cases")

    generate(sources, output, seeds, truth=truth, workers=means.workers or 0, progress=heard, stop=stop)
    if stop():
        tell(STOPPED)


def train(
    config: str,
    output: Path,
    given: Mapping[str, Any],
    steps: int | None,
    means: Means,
    tell: Tell,
    stop: Stop,
) -> None:
    """Train what a configuration says. `given` are the options that not every kind takes. Raises `InputError`."""
    kind = kind_of(config)
    _check_options(kind, dict(given) | {"device": "" if means.device == "cpu" else means.device})
    means, networks = means.ready(), given["network"] or []
    if kind is WALLS:
        walls = walls_config.load(Path(config))
        with alone(output, _is_training):
            train_walls(walls, given["templates"], output, tell, stop, steps, means.workers or 1)
    elif kind is RECIPE:
        _train_recipe(release.load(Path(config)), output, given["data"], networks, steps, means, tell, stop)
    else:
        training = _training(config, steps)
        _train_networks(training, output, given["cases"], networks, given["like"], means, tell, stop)
    if stop():
        tell(STOPPED)


def _check_options(kind: Kind, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value and name not in (*kind.needs, *kind.takes):
            raise InputError("invalid-config", f"{kind.title} takes no --{name}: leave it out.")
    for name in kind.needs:
        if not given[name]:
            raise InputError("invalid-config", f"{kind.title} needs --{name}.")


def _train_networks(
    training: Training,
    output: Path,
    cases: Sequence[Path],
    networks: Sequence[str],
    like: Path | None,
    means: Means,
    tell: Tell,
    stop: Stop,
) -> None:
    networks = networks or list(training.networks)
    for name in networks:
        training.classes(name)
    entries = [entry for folder in cases for entry in dataset.collect(folder)]
    earlier = {name: arrivals(_run_of(like, name)) for name in networks} if like else {}
    with alone(output, _is_training):
        _inspect(entries, training, output, tell)
        for name in networks:
            weights = train_one(
                training, name, cases, output / name, output / "packed", tell, stop,
                like=earlier.get(name), device=means.device, workers=means.workers or 0,
            )  # fmt: skip
            if stop():
                return
            tell(f"{name}: {weights.name}")


def _run_of(like: Path, network: str) -> Path:
    if not (like / network / "last.pt").is_file():
        raise InputError(
            "no-weights", f"There is no earlier training of {network} to go like: name the folder that it wrote."
        )
    return like / network


def _train_recipe(
    recipe: release.Recipe,
    work: Path,
    data: Path | None,
    networks: Sequence[str],
    steps: int | None,
    means: Means,
    tell: Tell,
    stop: Stop,
) -> None:
    """Everything of a recipe that comes before its package."""
    recipe = replace(recipe, steps=steps or recipe.steps)
    for name in networks:
        recipe.configured().classes(name)
    with alone(work, _is_training):
        release.make_templates(recipe, data, work, tell)
        release.make_cases(recipe, work, tell, stop)
        wanted = networks or recipe.networks
        release.train_networks(recipe, wanted, work, tell, stop, means.device, means.workers or 0)


def validate(
    config: str,
    run: Path,
    cases: Path,
    output: Path,
    networks: Sequence[str],
    scans: Path | None,
    steps: Sequence[int],
    means: Means,
    tell: Tell,
    stop: Stop,
) -> None:
    """Judge a run's checkpoints: a table for each group of networks. Raises `InputError`, `OutputError`."""
    training, means = _training(config, None), means.ready()
    groups = _groups(training, run, networks)
    entries = dataset.collect(cases)
    real = validation.read_scans(scans) if scans else []
    trial = Trial(training, run, output, entries, real, means.device, means.threads)
    for group in groups:
        _check_steps(steps, trial.steps(group))
    with alone(output, lambda _folder: False):
        _inspect(entries, training, output, tell)
        for group in groups:
            judged: list[Chosen] = []
            for step in steps or trial.steps(group):
                if stop():
                    tell(STOPPED)
                    return
                judged.append(trial.judge(group, step, tell))
                rows = [{"step": one.step, **one.figures} for one in judged]
                validation.write_rows(rows, output / f"{'-'.join(group)}.csv")
            tell(f"Best of {', '.join(group)}: step {packaging.best(judged).step}.")


def _check_steps(asked: Sequence[int], known: Sequence[int]) -> None:
    lacking = sorted(set(asked) - set(known))
    if lacking:
        raise InputError(
            "no-weights", f"The run has kept no weights of step {lacking[0]}; it has: {', '.join(map(str, known))}."
        )


def _groups(training: Training, run: Path, networks: Sequence[str]) -> list[tuple[str, ...]]:
    """The networks to judge, in groups that give one result. Raises `InputError`."""
    _must_be_folder(run, "a run")
    for name in networks:
        training.classes(name)
    taken = networks or list(training.networks)
    classes = [name for network in taken for name in training.classes(network)]
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice:
        raise InputError(
            "invalid-config", f"More than one network finds {twice}: name with --network those that go together."
        )
    return packaging.groups_of(taken)


def make_package(
    config: str,
    run: Path,
    output: Path,
    cases: Path | None,
    networks: Sequence[str],
    scans: Path | None,
    last: int,
    stated: packaging.Provenance,
    named: Mapping[str, str | None],
    means: Means,
    tell: Tell,
) -> None:
    """Make a package of a run's best checkpoints: of a recipe's, or of networks of one's own.

    `named` are `name`, `version`, `licence` and `use` of a package of one's own. Raises `InputError`, `OutputError`.
    """
    kind = kind_of(config)
    if kind is WALLS:
        raise InputError("invalid-config", "A training of walls is packaged by benchmarks/walls.py, which measures it.")
    means = means.ready()
    _must_be_folder(run, "a run")
    real = validation.read_scans(scans) if scans else []
    (run / "choice").mkdir(exist_ok=True)
    if kind is RECIPE:
        said = next((name for name, value in {"cases": cases, "network": networks, **named}.items() if value), None)
        if said:
            raise InputError("invalid-config", f"A recipe says that itself: leave --{said} out.")
        recipe = release.load(Path(config))
        entries = dataset.collect(run / "validation")
        trial = Trial(recipe.configured(), run / "run", run / "choice", entries, real, means.device, means.threads)
        release.release(recipe, release.choose(recipe, trial, last, tell), run, output, stated, tell)
        return
    if cases is None:
        raise InputError("invalid-config", "A package needs --cases by which its limits are chosen, none of training.")
    training = _training(config, None)
    groups = _groups(training, run, networks)
    entries = dataset.collect(cases)
    trial = Trial(training, run, run / "choice", entries, real, means.device, means.threads)
    _inspect(entries, training, run / "choice", tell)
    chosen = [
        packaging.best([trial.judge(group, step, tell) for step in trial.steps(group)[-last:]]) for group in groups
    ]
    description = packaging.description_of(
        training,
        chosen,
        run,
        stated,
        name=named["name"] or training.name,
        version=named["version"] or "1.0.0",
        licence=named["licence"] or "LicenseRef-not-stated",
        intended_use=named["use"] or "Not stated. Not a medical device.",
        data=_data_of(run, chosen),
        hashes={"configuration": hashlib.sha256(repr(identity(training)).encode()).hexdigest()},
        performance="validation",
    )
    packaging.write(description, chosen, run, output, stated, tell)


def stated(card: Path | None, commit: str | None, machine: str | None) -> packaging.Provenance:
    """What a person says of a package. Raises `InputError` `no-such-input` where there is no such card."""
    said = {"commit": commit, "machine": machine}
    try:
        said["card"] = None if card is None else card.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("no-such-input", "The card cannot be read: name a text file in UTF-8.") from error
    return packaging.Provenance(**{name: text for name, text in said.items() if text is not None})


def _data_of(run: Path, chosen: Sequence[Chosen]) -> list[str]:
    """How many cases each network has learnt from."""
    return [
        f"{len(arrivals(run / name))} own cases for the network {name}" for group in chosen for name in group.networks
    ]


def finetune(
    model: str,
    config: str,
    data: Path,
    output: Path,
    held_out: Path | None,
    steps: int | None,
    means: Means,
    tell: Tell,
    stop: Stop,
) -> Compared | None:
    """Train a package further, and say whether the new one is better; None where that cannot be known, or `stop` ended
    it. Raises `InputError`, `OutputError`."""
    training, means = _training(config, steps), means.ready()
    entries, old = dataset.collect(data), package.load_package(model)
    with alone(output, _is_training):
        sides = finetuning.sides_of(entries, held_out, output)
        held = sides[finetuning.HELD_BACK]
        _inspect([*sides[finetuning.TRAINING], *held], training, output, tell)
        if not held:
            tell(NOTHING_HELD_BACK)
        made = finetuning.finetune(old, training, sides, output, tell, stop, means.device, means.workers or 0)
        if made is None:
            tell(STOPPED)
            return None
        tell(f"The new package is {made.name}.")
        if not held:
            return None
        found = compare(old, made, held, training.labels)
        found.write(output)
    for line in found.said:
        tell(line)
    return found


def select(config: Path, output: Path, again: bool, means: Means, tell: Tell, stop: Stop) -> None:
    """Choose a model in eight steps. Raises `InputError`."""
    chosen, means = selection.load(config), means.ready()
    with alone(output, _is_training):
        found = selection.select(chosen, output, tell, stop, again, means.device, means.workers or 0)
    if found is None:
        tell(STOPPED)
        return
    if found["test_opened_before"]:
        tell(f"The test set was opened {found['test_opened_before']} times before: it is no unseen data any more.")
    tell(f"Chosen: {found['chosen']}; score on the test set {found['test']['score']:.4f}.")


def _training(config: str, steps: int | None) -> Training:
    training = presets.load(config)
    return replace(training, steps=steps) if steps else training


def _must_be_folder(path: Path, what: str) -> None:
    if not path.is_dir():
        raise InputError("no-such-input", f"There is no folder of {what} at this place: name one that is there.")


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
