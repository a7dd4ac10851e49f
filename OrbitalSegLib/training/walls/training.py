"""A training that goes on and off: the same steps whatever interrupts it, with a table of its losses."""

import csv
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import replacing
from OrbitalSegLib.training.walls.config import Rate, Walls
from OrbitalSegLib.training.walls.heads import Head, path_of, read, window

LAST = "last.pt"
WAIT_S = 2.0

Tell = Callable[[str], None]


class Lesson(Protocol):
    """What is learnt: a network, and the losses of a step by name, the first of which is minimised."""

    name: str
    model: nn.Module
    rate: Rate
    lasting: tuple[Any, ...]
    """What of its configuration may not change within a training."""

    def heads_step(self, step: int) -> int:
        """The step of the volume's training whose heads this step uses."""

    def losses(self, step: int, heads: Sequence[Head]) -> dict[str, torch.Tensor]: ...

    def state(self) -> dict[str, Any]:
        """What the next step depends on besides the weights."""

    def restore(self, state: dict[str, Any]) -> None: ...


class Window:
    """The heads in use, read once each."""

    def __init__(self, walls: Walls, work: Path) -> None:
        self._walls, self._work = walls, work
        self._heads: dict[int, Head] = {}

    def at(self, step: int, stop: Callable[[], bool]) -> list[Head] | None:
        """The heads of a step; waits for those that are not yet made. None: it was stopped meanwhile."""
        numbers = window(self._walls.heads, step)
        self._heads = {number: head for number, head in self._heads.items() if number in numbers}
        for number in numbers:
            while number not in self._heads:
                if stop():
                    return None
                path = path_of(self._work, number)
                if path.exists():
                    self._heads[number] = read(path)
                else:
                    time.sleep(WAIT_S)
        return [self._heads[number] for number in numbers]


def train(
    walls: Walls, lesson: Lesson, work: Path, steps: int, tell: Tell, stop: Callable[[], bool] = lambda: False
) -> int:
    """Go on from the last checkpoint in `work/NAME`, `steps` more steps; the step that was reached.

    The folder gets `last.pt` (all that is needed to go on, and the averaged weights), `progress.json`, `losses.csv`.
    Raises `InputError` `other-training` where the checkpoint is of another configuration.
    """
    out = work / lesson.name
    out.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.Adam(lesson.model.parameters())
    average = {name: value.detach().clone() for name, value in lesson.model.state_dict().items()}
    step, seconds = 0, 0.0
    identity = identity_of(walls, lesson)
    if (out / LAST).exists():
        state = torch.load(out / LAST, "cpu", weights_only=True)
        if state["identity"] != identity:
            raise InputError(
                "other-training",
                "The checkpoint is of a training with other numbers: choose another folder, or those numbers.",
            )
        lesson.model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average, step, seconds = state["average"], state["step"], state["processor_seconds"]
        lesson.restore(state["lesson"])
    used, rows, last = Window(walls, work), [], step + steps
    began = time.process_time()
    while step < last and not stop():
        heads = used.at(lesson.heads_step(step), stop)
        if heads is None:
            break
        rows.append(_learn(lesson, step, heads, optimiser, walls.gradient_limit))
        step += 1
        _average(average, lesson.model, min(walls.average, (1 + step) / (10 + step)))
        if step % walls.checkpoint_steps == 0 or step == last:
            now = time.process_time()
            seconds, began = seconds + now - began, now
            state = {
                "identity": identity,
                "step": step,
                "processor_seconds": seconds,
                "model": lesson.model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average,
                "lesson": lesson.state(),
            }
            _write(out, state, rows, lesson.heads_step(step))
            tell(f"{lesson.name} step {step}, {seconds:.0f} s of processor: {_means(rows)}")
            rows = []
    return step


def identity_of(walls: Walls, lesson: Lesson) -> str:
    """The numbers that may not change within a training. What heads are drawn from may, and what is drawn from them."""
    heads = (walls.heads.first_seed, walls.heads.steps_each, walls.heads.in_use)
    return repr((walls.seed, heads, lesson.lasting, walls.average, walls.gradient_limit))


def _learn(
    lesson: Lesson, step: int, heads: Sequence[Head], optimiser: torch.optim.Optimizer, limit: float
) -> dict[str, float]:
    for group in optimiser.param_groups:
        group["lr"] = lesson.rate.at(step)
    lesson.model.train()
    losses = lesson.losses(step, heads)
    optimiser.zero_grad(set_to_none=True)
    next(iter(losses.values())).backward()
    nn.utils.clip_grad_norm_(lesson.model.parameters(), limit)
    optimiser.step()
    return {name: value.item() for name, value in losses.items()}


@torch.no_grad()
def _average(average: dict[str, torch.Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _means(rows: list[dict[str, float]]) -> str:
    return ", ".join(f"{name} {sum(row[name] for row in rows) / len(rows):.4f}" for name in rows[0])


def _write(out: Path, state: dict[str, Any], rows: list[dict[str, float]], heads_step: int) -> None:
    """The table first, then the state: what was written after the last state is written again."""
    table = out / "losses.csv"
    known = []
    if table.exists():
        with table.open(newline="") as file:
            known = [row for row in csv.DictReader(file) if int(row["step"]) <= state["step"] - len(rows)]
    mean = {name: f"{sum(row[name] for row in rows) / len(rows):.6g}" for name in rows[0]}
    known.append({"step": state["step"], "processor_seconds": f"{state['processor_seconds']:.1f}", **mean})
    with replacing(table) as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(known[-1]))
        writer.writeheader()
        writer.writerows(known)
    with replacing(out / LAST) as path:
        torch.save(state, path)
    with replacing(out / "progress.json") as path:
        path.write_text(json.dumps({"step": state["step"], "heads_step": heads_step}), "utf-8")
