"""Both trainings of `walls` in turn, with the processes that make their heads."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training.walls import heads
from OrbitalSegLib.training.walls.config import Walls
from OrbitalSegLib.training.walls.evidence import EvidenceLesson
from OrbitalSegLib.training.walls.training import Tell, train
from OrbitalSegLib.training.walls.volume import VolumeLesson


def train_walls(
    walls: Walls,
    templates: Path,
    work: Path,
    tell: Tell,
    stop: Callable[[], bool] = lambda: False,
    steps: int | None = None,
    workers: int = 1,
) -> None:
    """Go on with both trainings until `stop` says yes, or the volume's has gone `steps` steps in all.

    `workers` processes make heads meanwhile. Raises `InputError` `no-such-input` where a template is not there, and
    `other-training`.
    """
    lacking = [name for name in walls.heads.templates if not (templates / name / "template.json").is_file()]
    if lacking:
        raise InputError(
            "no-such-input", f"There is no template {lacking[0]} in the folder of templates: make it, or name another."
        )
    volume, evidence = VolumeLesson(walls), EvidenceLesson(walls)
    each, reached = walls.evidence.steps_each, 0
    with _making_heads(walls, templates, work, workers) as ended:
        while not stop() and (steps is None or reached < steps):
            more = walls.checkpoint_steps if steps is None else min(walls.checkpoint_steps, steps - reached)
            for lesson, count in ((volume, more), (evidence, more * each)):
                gone = train(walls, lesson, work, count, tell, lambda: stop() or ended())
                reached = gone if lesson is volume else reached
            if ended() and not stop():
                raise RuntimeError("A process that makes heads has ended: see its own words above.")


@contextmanager
def _making_heads(walls: Walls, templates: Path, work: Path, workers: int) -> Iterator[Callable[[], bool]]:
    """Processes that make heads inside the block, and whether one of them has ended by itself."""
    context = get_context("spawn")
    makers = [
        context.Process(target=_make, args=(walls, templates, work, (number, workers), os.getpid()))
        for number in range(workers)
    ]
    try:
        for maker in makers:
            maker.start()
        yield lambda: any(maker.exitcode is not None for maker in makers)
    finally:
        for maker in makers:
            maker.terminate()
            maker.join()


def _make(walls: Walls, templates: Path, work: Path, share: tuple[int, int], parent: int) -> None:
    """Make heads as long as the training lives. Ctrl+C is for that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    heads.make(walls, templates, work, lambda: os.getppid() != parent, share=share)
