"""The training of one network: steps, checkpoints, a table and a curve of the losses.

A run that is stopped or killed goes on from its last checkpoint with the same result, bit for bit, on the same machine
and number of threads; on a CUDA device the batches are the same and the sums are not, to the last digit. Cases that
appear in the folder while training goes on are taken in.
"""

import csv
import dataclasses
import hashlib
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import replacing
from OrbitalSegLib.networks.unet import UNet
from OrbitalSegLib.training import dataset, sampling, store
from OrbitalSegLib.training.augmentation import Augmentation
from OrbitalSegLib.training.config import Loss, Schedule, Training

LAST = "last.pt"
TABLE = "losses.csv"
COLUMNS = ("step", "patches", "seconds", "learning_rate", "cross_entropy", "overlap", "hole_weight", "cases")

Tell = Callable[[str], None]

Arrivals = Sequence[tuple[int, str]]
"""After which step of a training each of its cases was taken in, in that order."""


def learning_rate(schedule: Schedule, step: int, training: Training) -> float:
    """The rate of a step, counted from 0."""
    share = min(1.0, (step + 1) / schedule.warm_up_steps) if schedule.warm_up_steps else 1.0
    done = step / training.steps
    if schedule.cosine and done > schedule.hold_share:
        way = min((done - schedule.hold_share) / (1 - schedule.hold_share), 1.0)
        share *= schedule.final_share + (1 - schedule.final_share) * (1 + math.cos(math.pi * way)) / 2
    epoch = step * training.batch // training.epoch_patches
    return schedule.learning_rate * share * schedule.decay_factor ** (epoch // schedule.decay_epochs)


def losses(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, loss: Loss
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and overlap loss of `logits` (n, c, h, w), `target` (n, h, w) and each voxel's `weight` (n, h, w).

    Cross-entropy is the weighted mean; overlap is 1 - Tversky's index (Dice with a half each) over the whole batch,
    the mean over the classes without background.
    """
    logits = logits.float()
    entropy = nn.functional.cross_entropy(logits, target, reduction="none")
    total = weight.sum().clamp_min(1.0)
    probability = logits.softmax(1)
    index = []
    for number in range(1, logits.shape[1]):
        true = (target == number) * weight
        found = probability[:, number]
        hit = (found * true).sum()
        missed = true.sum() - hit
        extra = (found * weight).sum() - hit
        index.append((hit + 1) / (hit + loss.missed * missed + loss.extra * extra + 1))
    return (entropy * weight).sum() / total, 1 - torch.stack(index).mean()


def weights(
    label: np.ndarray, target: np.ndarray, flags: dict[str, int], loss: Loss, balance: sampling.Balance
) -> tuple[np.ndarray, float]:
    """Each voxel's weight, float32 (n, h, w), and what a hole's voxel weighs; counts the batch in `balance`."""
    weight = np.ones(label.shape, np.float32)
    hole_weight = 1.0
    if "wall" in flags and "hole" in flags:
        hole = (label & flags["hole"]) > 0
        wall = (target > 0) & ((label & flags["wall"]) > 0) & ~hole
        scored = (label & flags.get("ignore", 0)) == 0
        balance.see(int((wall & scored).sum()), int((hole & scored).sum()))
        if loss.hole_share:
            hole_weight = balance.weight(loss.hole_share, loss.hole_limit)
        weight[wall] = loss.wall
        weight[hole] = loss.wall * hole_weight
    if "ignore" in flags:
        weight[(label & flags["ignore"]) > 0] = 0
    return weight, hole_weight


class Doubling(nn.Module):
    """Nearest neighbour, twice the size, as `nn.Upsample` does it; compiled, its derivative is quicker by a third of
    the whole training's time."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        number, channels, height, width = features.shape
        doubled = features[:, :, :, None, :, None].expand(number, channels, height, 2, width, 2)
        return doubled.reshape(number, channels, 2 * height, 2 * width)


class Trainer:
    """One network while it is trained: model, optimiser, moving average, step, and the cases it knows."""

    def __init__(
        self,
        training: Training,
        network: str,
        start: Mapping[str, torch.Tensor] | None = None,
        device: str = "cpu",
        workers: int = 0,
    ) -> None:
        self.training = training
        self.device = torch.device(device)
        self.network = network
        self.classes = training.classes(network)
        self.seed = (training.seed, zlib.crc32(network.encode()))
        torch.manual_seed(zlib.crc32(repr(self.seed).encode()))
        model = UNet(training.channels, 1 + len(self.classes), normalised=start is None)
        if start is not None:
            model.load_state_dict(dict(start))
        self.start = digest(model)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        how = training.optimiser
        self.optimiser = torch.optim.Adam(self.model.parameters(), betas=how.betas, weight_decay=how.weight_decay)
        if training.compile:
            self.model.up = Doubling()
        self.forward = torch.compile(self.model) if training.compile else self.model
        forbidden = tuple(row for name in self.classes for row in training.forbidden.get(name, ()))
        self.batches = sampling.Batches(training, Augmentation(training.augmentation, forbidden), self.seed, workers)
        self.balance = sampling.Balance(training.loss.balance_steps)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        self.seconds = 0.0
        self.cases: list[store.Packed] = []

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "network": self.network,
            "identity": identity(self.training),
            "start": self.start,
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "balance": (self.balance.wall, self.balance.hole),
            "cases": [case.name for case in self.cases],
        }

    def restore(self, state: dict[str, Any], packed: Path) -> None:
        """Go on from a state. Raises `InputError` `other-training` where it is of another configuration."""
        own = {"network": self.network, "identity": identity(self.training), "start": self.start}
        if any(state[key] != value for key, value in own.items()):
            raise InputError(
                "other-training",
                "The checkpoint is of a training with other numbers: choose another folder, or those numbers.",
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        self.balance.wall, self.balance.hole = state["balance"]
        self.step, self.seconds = state["step"], state["seconds"]
        self.cases = [store.open_case(packed / name) for name in state["cases"]]

    def take_in(self, packed: Path, names: list[str]) -> None:
        """Add the packed cases that are not yet known, in order of their names."""
        known = {case.name for case in self.cases}
        self.cases += [store.open_case(packed / name) for name in names if name not in known]
        if not self.cases:
            raise InputError("no-cases", "There is no case to train on: make some first.")
        if any(case.flags != self.cases[0].flags for case in self.cases):
            raise InputError(
                "invalid-config", "The cases were packed for other classes, each its own: choose a new folder for it."
            )
        lacking = set(self.classes) - set(self.cases[0].flags)
        if lacking:
            raise InputError(
                "invalid-config",
                f"The cases have no class {sorted(lacking)[0]!r}: add cases that do, or leave the class out.",
            )

    def one_step(self) -> dict[str, float]:
        """Draw a batch, go one step; what the table says of it."""
        training, begin = self.training, time.monotonic()
        rate = learning_rate(training.schedule, self.step, training)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.batches.of_step(self.step, self.cases)
        flags = dict(self.cases[0].flags)
        target = sampling.classes(batch.label, self.classes, flags)
        weight, hole_weight = weights(batch.label, target, flags, training.loss, self.balance)
        entropy, overlap = self._learn(batch.image, target, weight)
        self.step += 1
        self.seconds += time.monotonic() - begin
        return {
            "learning_rate": rate,
            "cross_entropy": entropy,
            "overlap": overlap,
            "hole_weight": hole_weight,
        }

    def _learn(self, image: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
        training = self.training
        said, true, counts = (torch.from_numpy(array).to(self.device) for array in (image, target, weight))
        slices = said[:, None].float().div_(255).contiguous(memory_format=torch.channels_last)
        self.model.train()
        narrow = torch.autocast(self.device.type, torch.bfloat16) if training.precision == "bf16" else nullcontext()
        with narrow:
            logits = self.forward(slices)
        entropy, overlap = losses(logits, true, counts, training.loss)
        total = training.loss.cross_entropy * entropy + training.loss.overlap * overlap
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        if training.optimiser.gradient_limit:
            nn.utils.clip_grad_norm_(self.model.parameters(), training.optimiser.gradient_limit)
        self.optimiser.step()
        self._average()
        return entropy.item(), overlap.item()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.training.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            mean = self.average[name]
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def weights(self) -> dict[str, torch.Tensor]:
        """What is kept for the choice: the moving average, or the weights as they are."""
        kept = self.average if self.training.average else self.model.state_dict()
        return {name: value.cpu() for name, value in kept.items()}


def digest(model: nn.Module) -> str:
    """The SHA256 of a network's weights."""
    content = hashlib.sha256()
    for value in model.state_dict().values():
        content.update(value.numpy().tobytes())
    return content.hexdigest()


def identity(training: Training) -> dict[str, Any]:
    """The numbers that may not change within one training; length, threads and intervals may."""
    free = {"steps", "compile", "checkpoint_steps", "keep_steps", "rescan_steps", "structures"}
    return {key: value for key, value in dataclasses.asdict(training).items() if key not in free}


def train(
    training: Training,
    network: str,
    cases: Sequence[Path],
    out: Path,
    packed: Path,
    tell: Tell | None = None,
    stop: Callable[[], bool] = lambda: False,
    start: Mapping[str, torch.Tensor] | None = None,
    like: Arrivals | None = None,
    device: str = "cpu",
    workers: int = 0,
) -> Path:
    """Train one network on the cases in some folders, or go on with it; the path of its last weights.

    `out` gets `last.pt` (all that is needed to go on), `weights-STEP.pt` (for the choice), `losses.csv`, `losses.png`
    and `training.json`. `packed` is where the packed cases are, which all trainings on the same cases may share.
    `stop` is asked after every step; when it says yes, the checkpoint is written and the training ends.
    `start` are the weights of a folded network to begin with, in place of random ones. `like` are the arrivals of an
    earlier training: cases are taken in at the same steps, and the same losses come again. `device` is torch's name of
    one; `workers` processes draw its batches, 0: this one does.
    Raises `InputError` `no-cases`, `bad-case`, `invalid-config`, `other-training`.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(training, network, start, device, workers)
    if (out / LAST).exists():
        trainer.restore(torch.load(out / LAST, "cpu", weights_only=True), packed)
    else:
        dataset.pack_new(cases, packed, training.labels)
        say = {"network": network, "classes": trainer.classes, "torch": torch.__version__, **identity(training)}
        (out / "training.json").write_text(json.dumps(say, indent=1), "utf-8")
    rows = _rows(out / TABLE, trainer.step)
    with closing(trainer.batches):
        while trainer.step < training.steps:
            if like:
                trainer.take_in(packed, [name for step, name in like if step <= trainer.step])
            elif not trainer.cases or (training.rescan_steps and trainer.step % training.rescan_steps == 0):
                trainer.take_in(packed, dataset.pack_new(cases, packed, training.labels))
            row = trainer.one_step()
            said = {
                "step": trainer.step,
                "patches": trainer.step * training.batch,
                "seconds": round(trainer.seconds, 2),
                **row,
                "cases": len(trainer.cases),
            }
            rows.append({key: float(value) for key, value in said.items()})
            ends = trainer.step == training.steps or stop()
            if ends or trainer.step % training.checkpoint_steps == 0:
                _checkpoint(trainer, rows, out, tell)
            if ends:
                break
    return out / f"weights-{trainer.step:06d}.pt"


def arrivals(run: Path) -> list[tuple[int, str]]:
    """Those of the training in a folder, up to its last checkpoint."""
    state = torch.load(run / LAST, "cpu", weights_only=True)
    counts = [int(row["cases"]) for row in _rows(run / TABLE, state["step"])]
    steps = np.searchsorted(counts, np.arange(1, len(state["cases"]) + 1))
    return [(int(step), name) for step, name in zip(steps, state["cases"], strict=True)]


def _rows(table: Path, step: int) -> list[dict[str, float]]:
    """The table's rows up to a step: what was written after the checkpoint will be done again."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if row["step"] <= step]


def _checkpoint(trainer: Trainer, rows: list[dict[str, float]], out: Path, tell: Tell | None) -> None:
    """Write the table and the curve, then the state: the state is never ahead of its table."""
    training = trainer.training
    with replacing(out / TABLE) as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({key: f"{row[key]:.6g}" for key in COLUMNS} for row in rows)
    if trainer.step % training.keep_steps == 0 or trainer.step == training.steps:
        with replacing(out / f"weights-{trainer.step:06d}.pt") as path:
            torch.save(trainer.weights(), path)
    with replacing(out / LAST) as path:
        torch.save(trainer.state(), path)
    with replacing(out / "losses.png") as path:
        draw_losses(rows, path)
    if tell:
        late = rows[-training.checkpoint_steps :]
        means = {key: sum(row[key] for row in late) / len(late) for key in ("cross_entropy", "overlap", "hole_weight")}
        took = rows[-1]["seconds"] - late[0]["seconds"]
        speed = (len(late) - 1) * training.batch / took if took else math.nan
        tell(
            f"{trainer.network} step {trainer.step}/{training.steps} ce {means['cross_entropy']:.4f} "
            f"overlap {1 - means['overlap']:.4f} hole weight {means['hole_weight']:.2f} "
            f"rate {rows[-1]['learning_rate']:.2e} {speed:.1f} patches/s, {len(trainer.cases)} cases"
        )


def draw_losses(rows: list[dict[str, float]], path: Path) -> None:
    """The curve of the losses over the steps, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = max(1, len(rows) // 200)
    ends = range(width, len(rows) + 1, width)
    for key, name in (("cross_entropy", "cross-entropy"), ("overlap", "1 - overlap")):
        means = [sum(row[key] for row in rows[end - width : end]) / width for end in ends]
        axes.plot([rows[end - 1]["step"] for end in ends], means, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=100)
