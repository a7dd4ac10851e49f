"""The choice of a model in the eight steps of [3532-2 10.1], with a test set that is looked at once.

1 divide the data           training, validation and test share no template, patient or seed
2 candidates                configurations: model and hyperparameters
3 train                     each on the training set
4 evaluate                  each on the validation set
5 repeat                    with the next candidate
6 choose                    the best, trained anew on training and validation set
7 assess                    once on the test set, which is then locked
8 external                  on data from elsewhere, where there is some
"""

import datetime
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import whole, writing
from OrbitalSegLib.training import presets, validation
from OrbitalSegLib.training.config import Training
from OrbitalSegLib.training.dataset import APART, Entry, check_apart, collect
from OrbitalSegLib.training.loop import Tell, train

LOCK = "opened.json"
"""In the folder of a test set: when it was looked at, and with which weights."""


@dataclass(frozen=True)
class Selection:
    """What a selection is made of: a TOML file."""

    candidates: tuple[str, ...]  # presets or files
    networks: tuple[str, ...]  # of each candidate; together they are one result
    training: Path
    validation: Path
    test: Path
    external: Path | None = None
    steps: int | None = None  # another number of steps than the candidates' own


def load(path: Path) -> Selection:
    """Read a selection; its folders are relative to the file. Raises `InputError` `invalid-config`."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return Selection(
            candidates=tuple(table.pop("candidates")),
            networks=tuple(table.pop("networks")),
            training=path.parent / table.pop("training"),
            validation=path.parent / table.pop("validation"),
            test=path.parent / table.pop("test"),
            external=path.parent / table.pop("external") if "external" in table else None,
            **table,
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError("invalid-config", f"The selection cannot be understood ({error}): mend its file.") from error


def select(
    selection: Selection,
    out: Path,
    tell: Tell = lambda _line: None,
    stop: Callable[[], bool] = lambda: False,
    again: bool = False,
    device: str = "cpu",
    workers: int = 0,
) -> dict[str, Any] | None:
    """Go through the eight steps; what each found, which also stands in `out/selection.json`.

    None where `stop` ended it; the same call goes on where it was. Raises `InputError`: `sides-share`, `test-opened`
    (the test set was looked at before, and `again` is not set), `no-cases`, and those of training.
    """
    folders = {"training": selection.training, "validation": selection.validation, "test": selection.test}
    sides = {name: collect(folder) for name, folder in folders.items()}
    check_apart(sides)
    opened = _opened(selection.test)
    if opened and not again:
        raise InputError(
            "test-opened",
            f"The test set was opened before, on {opened[-1]['when']}: its figures would no longer be those of unseen "
            "data. Take another test set, or say that you want to look again.",
        )
    table = {}
    for candidate in selection.candidates:
        training = _training(candidate, selection)
        runs = _train(training, selection, [selection.training], out / training.name, tell, stop, device, workers)
        if stop():
            return None
        table[candidate] = _figures(training, runs, sides["validation"], device)
        tell(f"{candidate}: score {table[candidate][0]['score']:.4f} on the validation set")
    best = max(table, key=lambda name: table[name][0]["score"])
    chosen = _training(best, selection)
    both = [selection.training, selection.validation]
    runs = _train(chosen, selection, both, out / f"{chosen.name}-final", tell, stop, device, workers)
    if stop():
        return None
    limits = table[best][1]  # chosen on the validation set, never on the test set
    _lock(selection.test, opened, runs)
    found: dict[str, Any] = {
        "apart": list(APART),
        "cases": {name: [entry.name for entry in entries] for name, entries in sides.items()},
        "validation": {name: row for name, (row, _) in table.items()},
        "chosen": best,
        "limits": asdict(limits),
        "test_opened_before": len(opened),
        "test": _figures(chosen, runs, sides["test"], device, limits)[0],
    }
    if selection.external:
        found["external"] = _figures(chosen, runs, collect(selection.external), device, limits)[0]
    with writing(out):
        (out / "selection.json").write_text(json.dumps(found, indent=1), "utf-8")
    return found


def _training(candidate: str, selection: Selection) -> Training:
    training = presets.load(candidate)
    return replace(training, steps=selection.steps or training.steps, rescan_steps=0)


def _train(
    training: Training,
    selection: Selection,
    cases: Sequence[Path],
    out: Path,
    tell: Tell,
    stop: Callable[[], bool],
    device: str,
    workers: int,
) -> dict[str, Path]:
    """Network -> its last weights."""
    return {
        name: train(training, name, cases, out / name, out / "packed", tell, stop, device=device, workers=workers)
        for name in selection.networks
    }


def _figures(
    training: Training,
    runs: Mapping[str, Path],
    entries: Sequence[Entry],
    device: str,
    limits: validation.ChosenLimits | None = None,
) -> tuple[dict[str, float], validation.ChosenLimits]:
    engines = {name: validation.engine_of(weights, training.channels, device=device) for name, weights in runs.items()}
    return validation.validate(engines, training, entries, limits=limits)


def _opened(test: Path) -> list[dict[str, Any]]:
    """Every look at a test set so far."""
    lock = test / LOCK
    return json.loads(lock.read_text("utf-8")) if lock.is_file() else []


def _lock(test: Path, opened: Sequence[Mapping[str, Any]], runs: Mapping[str, Path]) -> None:
    """Note the look before it is taken: a look that fails half-way was one too."""
    look = {
        "when": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "weights": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in runs.items()},
    }
    with whole(test / LOCK, replaceable=lambda _path: None) as path:
        path.write_text(json.dumps([*opened, look], indent=1), "utf-8")
