"""The command that makes the figures of docs/model.md: end to end on a template of two boxes, and its rules."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from tiny_network import small_description, small_state
from tiny_template import two_boxes

from OrbitalSegLib.networks.export import write_package
from OrbitalSegLib.training.templates.template import write_template

pytestmark = pytest.mark.learn

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A package of small networks that know nothing, and two templates."""
    folder = tmp_path_factory.mktemp("model")
    names = ("cortical", "thin", "single")
    write_package(folder / "package", small_description(*names), {name: small_state() for name in names})
    (folder / "templates").mkdir()
    for name in ("boxes", "known"):
        write_template(replace(two_boxes(), name=name), folder / "templates" / name)
    return folder


@pytest.fixture
def command(made, tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """Runs `model.py` into a folder of its own, and gives what it said."""
    import model

    common = ["--package", made / "package", "--templates", made / "templates", "--left-out", "boxes"]
    small = ["--out", tmp_path, "--size-mm", 24, 24, 26, "--cases", 1]

    def run(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", list(map(str, ["model.py", *common, *small, *more])))
        threads = torch.get_num_threads()
        try:
            model.main()
        finally:
            torch.set_num_threads(threads)
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_a_section_makes_tables_and_pictures_and_goes_on_where_it_was(command, tmp_path):
    said = command("--only", "reliability", "--validation", "1")
    assert "(1 of 1)" in said
    record = json.loads((tmp_path / "reliability" / "boxes-600000.json").read_text())
    assert set(record["thin"]) == {"label"}
    counts = record["cortical or thin"]["label"]
    assert set(counts) == {"true hole", "true wall", "false hole", "false wall"}
    assert sum(map(sum, counts.values())) == sum(map(sum, record["cortical or thin"]["bone"].values())) > 100
    assert "| thin | label | fitted here |" in (tmp_path / "reliability.md").read_text()
    assert (tmp_path / "reliability.png").stat().st_size > 1000
    assert not list(tmp_path.rglob("*.lock"))
    again = command("--only", "reliability", "--validation", "1")
    assert "(1 of 1)" not in again
    assert again.strip() in said


def test_the_design_has_every_cell_and_balances_holes():
    from fractures import HOLES_MM, SLICES_MM, THICKNESSES_MM, design

    heads = list(design(["boxes"], 8))
    assert len({head.name for head in heads}) == len(heads) == 8 * len(THICKNESSES_MM) * len(SLICES_MM)
    for thickness_mm in THICKNESSES_MM:
        for slice_mm in SLICES_MM:
            cell = [head for head in heads if (head.thickness_mm, head.slice_mm) == (thickness_mm, slice_mm)]
            assert sorted(head.hole_mm for head in cell) == sorted(HOLES_MM * 2)
    counts = np.unique([head.herniation for head in heads], return_counts=True)[1]
    assert len(counts) == 6
    assert counts.max() - counts.min() <= 3
    assert len({(head.hole_mm, head.herniation) for head in heads}) == 24


def test_closed_shares_are_those_of_area_above_either_level():
    from fractures import LEVELS, closed_shares

    area = np.zeros((LEVELS, LEVELS))
    area[5, 5], area[15, 10], area[25, 25], area[45, 30] = 70, 15, 12, 3
    shares = closed_shares([area, area])
    assert shares[26, -1] == pytest.approx(0.03)
    assert shares[26, 11] == pytest.approx(0.15)
    assert shares[26, 10] == pytest.approx(0.30)
    assert shares[-1, -1] == 0
    assert np.isnan(closed_shares([])).all()


def test_the_best_threshold_is_that_with_the_highest_dice():
    from figures.synthetic import THRESHOLDS_HU, best_threshold

    random = np.random.default_rng(0)
    truth = random.random((20, 20, 20)) < 0.3
    hu = np.where(truth, 300, 100) + random.normal(0, 100, truth.shape)
    dices = {t: 2 * np.sum((hu >= t) & truth) / (np.sum(hu >= t) + np.sum(truth)) for t in THRESHOLDS_HU}
    assert best_threshold(hu, truth) == max(dices, key=dices.get)


def test_a_claimed_record_is_left_to_the_other_process(tmp_path):
    from figures.common import _claim, records

    with _claim(tmp_path / "one.json") as ours:
        assert ours
        made = records(tmp_path, {"one": lambda: {"x": 1.0}, "two": lambda: {"x": float("nan")}})
    assert list(made) == ["two"]
    assert np.isnan(made["two"]["x"])
    assert records(tmp_path, {"one": lambda: {"x": 2.0}}) == {"one": {"x": 2.0}}


def test_an_unknown_section_is_refused(command, capsys):
    with pytest.raises(SystemExit):
        command("--only", "nonsense")
    assert "no section nonsense" in capsys.readouterr().err
