"""Many cases into one folder."""

import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.cases import is_case, write_case_unless_there
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.synthesis.synthesis import synthesize
from OrbitalSegLib.training.templates.template import read_template


def generate(
    templates: Sequence[Path],
    folder: Path,
    seeds: Iterable[int],
    settings: Settings | None = None,
    *,
    truth: bool = False,
    workers: int = 0,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Make `FOLDER/TEMPLATE-SEED` for every seed, with the templates in turn, and return the cases' folders.

    Cases that are there already are kept, so that an interrupted run goes on where it stopped, and several processes
    with different seeds may share the folder. `workers` processes make them, 0: this one does. `stop` is asked after
    every case; when it says yes, no other is begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    turns = sorted((seed % len(templates), seed) for seed in seeds)  # by template: one is held at a time
    wanted = [(templates[number], seed) for number, seed in turns]
    make = partial(_make, folder, settings, truth)
    made = set()
    for case in _in_turn(make, wanted) if not workers else _side_by_side(make, wanted, workers):
        made.add(case)
        progress(len(made) / len(wanted))
        if stop():
            break
    return [case for case in (_case(folder, *one) for one in wanted) if case in made]


Make = Callable[[tuple[Path, int]], Path]


def _in_turn(make: Make, wanted: Sequence[tuple[Path, int]]) -> Iterable[Path]:
    return map(make, wanted)


def _side_by_side(make: Make, wanted: Sequence[tuple[Path, int]], workers: int) -> Iterable[Path]:
    """Each case as it is done, by some processes, which end with the block whatever happens."""
    with ProcessPoolExecutor(workers, get_context("spawn"), _alone_with_its_thread) as pool:
        try:
            for done in as_completed([pool.submit(make, one) for one in wanted]):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _alone_with_its_thread() -> None:
    """What a process begins with: Ctrl+C is for the one that asked, which ends this one."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


_read = lru_cache(maxsize=1)(read_template)


def _case(folder: Path, template: Path, seed: int) -> Path:
    return folder / f"{template.name}-{seed:05d}"


def _make(folder: Path, settings: Settings | None, truth: bool, one: tuple[Path, int]) -> Path:
    template, seed = one
    case = _case(folder, template, seed)
    if not is_case(case):
        write_case_unless_there(synthesize(_read(template), seed, settings, truth=truth), case)
    return case
