"""The training loop: what it learns from, that it goes on after a kill, and what it writes."""

import csv
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training import config, loop, sampling, store

pytestmark = pytest.mark.learn

TINY = {
    "name": "tiny",
    "networks": {"thin": ["thin"], "both": ["cortical", "thin"]},
    "channels": [4, 8],
    "patch": 16,
    "batch": 4,
    "steps": 12,
    "precision": "fp32",
    "average": 0.9,
    "checkpoint_steps": 5,
    "keep_steps": 10,
    "rescan_steps": 3,
    "schedule": {"warm_up_steps": 3},
    "optimiser": {"gradient_limit": 1.0},
    "loss": {"hole_share": 0.5, "wall": 2.0},
    "sampling": {"places": {"wall": 0.5, "hole": 0.3, "anywhere": 0.2}, "offset": 6},
    "augmentation": {
        "mirror_left_right": {"probability": 0.5},
        "brightness": {"probability": 0.5, "hu": [-20, 20]},
        "rotation": {"probability": 0.5, "degrees": [-10, 10]},
    },
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def pack(folder: Path, name: str, seed: int, hole: bool = True) -> None:
    """A packed case of 24 x 22 x 20 voxels: a bright wall across a noisy box, with a hole in it."""
    rng = np.random.default_rng(seed)
    shape = (24, 22, 20)
    label = np.zeros(shape, np.uint8)
    label[:, 10:12] = store.FLAGS["bone"] | store.FLAGS["wall"] | store.FLAGS["thin"]
    label[:, 8:14] |= store.FLAGS["wall"]
    if hole:
        label[6:12, 10:12, 5:11] = store.FLAGS["hole"] | store.FLAGS["wall"]
    image = rng.integers(0, 80, shape) + 150 * ((label & store.FLAGS["bone"]) > 0)
    store.write(folder, name, image.astype(np.uint8), label, store.FLAGS, {"template": "box", "seed": seed})


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """An empty folder of cases, and two packed cases: the training looks for more and finds none."""
    cases = tmp_path / "cases"
    cases.mkdir()
    for seed in range(2):
        pack(tmp_path / "packed", f"box-{seed}", seed)
    return cases, tmp_path / "packed"


def trained(data: tuple[Path, Path], out: Path, network: str = "thin", **changes: object) -> dict[str, object]:
    training = config.parse({**TINY, **changes})
    loop.train(training, network, [data[0]], out, data[1])
    return torch.load(out / loop.LAST, weights_only=True)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / loop.TABLE).open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.slow
def test_a_killed_training_goes_on_bit_by_bit_as_if_it_had_not_been(data: tuple[Path, Path], tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    asked = iter(range(1000))

    def die_in_step_seven() -> bool:
        if next(asked) == 6:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        loop.train(config.parse(TINY), "thin", [data[0]], tmp_path / "killed", data[1], stop=die_in_step_seven)
    assert torch.load(tmp_path / "killed" / loop.LAST, weights_only=True)["step"] == 5
    resumed = trained(data, tmp_path / "killed")
    del whole["seconds"], resumed["seconds"]
    assert whole["step"] == 12
    assert same(whole, resumed)
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")
    assert len(rows(tmp_path / "whole")) == 12


def test_a_training_that_is_asked_to_stop_writes_a_checkpoint_first(data: tuple[Path, Path], tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    loop.train(config.parse(TINY), "thin", [data[0]], tmp_path / "asked", data[1], stop=lambda: True)
    assert torch.load(tmp_path / "asked" / loop.LAST, weights_only=True)["step"] == 1
    assert same(whole["model"], trained(data, tmp_path / "asked")["model"])


def test_another_seed_or_network_gives_other_weights(data: tuple[Path, Path], tmp_path: Path) -> None:
    first = trained(data, tmp_path / "first", steps=2)
    assert not same(first["model"], trained(data, tmp_path / "second", steps=2, seed=2)["model"])


def test_a_checkpoint_of_other_numbers_is_refused(data: tuple[Path, Path], tmp_path: Path) -> None:
    trained(data, tmp_path / "out", steps=2)
    with pytest.raises(InputError) as caught:
        trained(data, tmp_path / "out", batch=5)
    assert caught.value.code == "other-training"


def test_a_longer_training_goes_on_from_the_same_checkpoint(data: tuple[Path, Path], tmp_path: Path) -> None:
    trained(data, tmp_path / "out", steps=2)
    assert trained(data, tmp_path / "out", steps=4)["step"] == 4


def test_cases_that_appear_are_taken_in_at_the_next_look(data: tuple[Path, Path], tmp_path: Path) -> None:
    training = config.parse(TINY)
    steps = iter(range(1000))

    def add_one() -> bool:
        if next(steps) == 3:
            pack(data[1], "box-9", 9)
        return False

    loop.train(training, "thin", [data[0]], tmp_path / "out", data[1], stop=add_one)
    assert [row["cases"] for row in rows(tmp_path / "out")] == ["2"] * 6 + ["3"] * 6
    assert loop.arrivals(tmp_path / "out") == [(0, "box-0"), (0, "box-1"), (6, "box-9")]

    first, like = tmp_path / "again", loop.arrivals(tmp_path / "out")
    loop.train(dataclasses.replace(training, steps=8), "thin", [data[0]], first, data[1], like=like)
    losses = [[(row["cross_entropy"], row["overlap"]) for row in rows(run)[:4]] for run in (tmp_path / "out", first)]
    assert losses[0] == losses[1]
    assert [row["cases"] for row in rows(first)] == ["2"] * 6 + ["3"] * 2


@pytest.mark.slow
def test_processes_that_draw_ahead_change_nothing_also_where_a_case_comes_in(
    data: tuple[Path, Path], tmp_path: Path
) -> None:
    results = []
    for workers in (0, 2):
        packed = tmp_path / f"packed-{workers}"
        shutil.copytree(data[1], packed)
        steps = iter(range(1000))

        def add_one(packed: Path = packed, steps: Iterator[int] = steps) -> bool:
            if next(steps) == 3:
                pack(packed, "box-9", 9)
            return False

        out = tmp_path / str(workers)
        loop.train(config.parse(TINY), "thin", [data[0]], out, packed, stop=add_one, workers=workers)
        results.append(torch.load(out / loop.LAST, weights_only=True))
        del results[-1]["seconds"]
    assert len(results[0]["cases"]) == 3
    assert same(*results)


def test_weights_are_kept_for_the_choice_and_the_curve_is_a_picture(data: tuple[Path, Path], tmp_path: Path) -> None:
    state = trained(data, tmp_path / "out")
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert kept == ["last.pt", "losses.csv", "losses.png", "training.json", "weights-000010.pt", "weights-000012.pt"]
    weights = torch.load(tmp_path / "out" / "weights-000012.pt", weights_only=True)
    assert same(weights, state["average"])
    assert not same(weights, state["model"])
    assert (tmp_path / "out" / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_two_classes_in_one_network_learn(data: tuple[Path, Path], tmp_path: Path) -> None:
    state = trained(data, tmp_path / "out", network="both", steps=2)
    assert state["model"]["head.bias"].shape == (3,)


def test_no_case_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    with pytest.raises(InputError) as caught:
        trained((tmp_path / "cases", tmp_path / "packed"), tmp_path / "out")
    assert caught.value.code == "no-cases"


def test_the_overlap_loss_is_dice_with_a_half_each_and_weighs_misses_otherwise() -> None:
    target = torch.tensor([[[1, 1, 0, 0]]])
    logits = torch.tensor([[[[-9.0, 9.0, -9.0, 9.0]], [[9.0, -9.0, 9.0, -9.0]]]])  # says bone, not, bone, not
    weight = torch.ones(1, 1, 4)
    overlap = loop.losses(logits, target, weight, config.Loss())[1].item()
    assert overlap == pytest.approx(1 - 2 / 3, abs=1e-3)  # (1 + 1) / (1 + 0.5 + 0.5 + 1)
    recall = loop.losses(logits, target, weight, config.Loss(missed=0.75, extra=0.25))[1].item()
    assert recall == pytest.approx(1 - 2 / 3, abs=1e-3)
    weight[0, 0, 1] = 0  # the miss is not scored
    assert loop.losses(logits, target, weight, config.Loss())[1].item() == pytest.approx(1 - 2 / 2.5, abs=1e-3)


def test_what_is_ignored_changes_no_loss() -> None:
    flags = {"bone": 1, "hole": 2, "wall": 4, "ignore": 8}
    label = np.array([[[1, 0, 9, 8]]], np.uint8)
    weight, _ = loop.weights(label, label & 1, flags, config.Loss(), sampling.Balance(10))
    assert weight.tolist() == [[[1, 1, 0, 0]]]


def test_near_walls_intact_wall_and_hole_weigh_the_same() -> None:
    flags = {"bone": 1, "hole": 2, "wall": 4, "ignore": 8}
    label = np.array([[[5] * 6 + [6] * 2 + [4, 0, 14, 13]]], np.uint8)  # six of wall, two of hole, some beside
    loss = config.Loss(wall=2.0, hole_share=0.5)
    weight, hole = loop.weights(label, label & 1, flags, loss, sampling.Balance(10))
    assert hole == pytest.approx(3)
    assert weight[0, 0, :6].sum() == pytest.approx(weight[0, 0, 6:8].sum()) == pytest.approx(12)
    assert weight[0, 0, 8:].tolist() == [1, 1, 0, 0]


def test_the_balance_remembers_batches_without_a_hole() -> None:
    balance = sampling.Balance(1000)
    assert balance.weight(0.5, 8) == 1
    balance.see(100, 0)
    balance.see(100, 100)
    assert balance.weight(0.5, 8) == pytest.approx(2, abs=0.01)
    assert balance.weight(0.2, 8) == pytest.approx(0.5, abs=0.01)
    assert balance.weight(0.5, 1.5) == 1.5


@pytest.mark.parametrize(
    ("changes", "step", "rate"),
    [
        ({}, 0, 1e-3 / 200),
        ({}, 199, 1e-3),
        ({}, 5999, 1e-3),
        ({}, 13000, 1e-3 * (0.01 + 0.99 / 2)),
        ({}, 20000, 1e-5),
        ({"cosine": False, "decay_factor": 0.8, "decay_epochs": 2}, 3 * 1776 // 20, 0.8e-3),
        ({"cosine": False, "decay_factor": 0.8, "decay_epochs": 2}, 5 * 1776 // 20, 0.8**2 * 1e-3),
    ],
)
def test_the_learning_rate_follows_its_schedule(changes: dict[str, float], step: int, rate: float) -> None:
    schedule = dataclasses.replace(config.Schedule(), **changes)
    training = config.Training("t", {"n": ("c",)}, schedule=schedule)
    assert loop.learning_rate(schedule, step, training) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda table: table.update(colour=1), "colour"),
        (lambda table: table.pop("networks"), "networks"),
        (lambda table: table.update(steps="many"), "steps"),
        (lambda table: table.update(loss={"walls": 1}), "loss.walls"),
        (lambda table: table.update(channels=[4, 0.5]), "channels"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused_with_the_key(spoil: Callable[[dict], object], says: str) -> None:
    table = dict(TINY)
    spoil(table)
    with pytest.raises(InputError, match=says) as caught:
        config.parse(table)
    assert caught.value.code == "invalid-config"


@pytest.mark.parametrize(
    "path", sorted((Path(config.__file__).parent / "configs").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_shipped_configuration_can_be_read(path: Path) -> None:
    assert config.load(path).name == path.stem
