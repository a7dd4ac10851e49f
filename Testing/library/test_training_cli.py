"""Training's commands, as a person types them: from templates to a package."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
import torch
from tiny_template import two_boxes
from typer.testing import CliRunner

from OrbitalSegLib.cli import app
from OrbitalSegLib.networks import package
from OrbitalSegLib.training import commands, front, loop
from OrbitalSegLib.training.cases import read_case
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.templates.template import read_template, write_template

pytestmark = pytest.mark.learn

TOML = """
name = "tiny"
channels = [4, 4]
patch = 16
batch = 2
steps = 3
precision = "fp32"
[networks]
thin = ["thin"]
single = ["bone"]
"""


@pytest.fixture(autouse=True)
def handlers_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "250")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One image with its label, and a configuration beside it."""
    (tmp_path / "tiny.toml").write_text(TOML)
    write(tmp_path / "data" / "a", 1)
    return tmp_path / "data"


def write(folder: Path, value: int, end: int = 9) -> None:
    folder.mkdir(parents=True)
    hu = np.full((12, 12, 12), -1000, np.int16)
    hu[3:end, 3:9, 3:9] = 800
    for name, array in (("image", hu), ("label", ((hu > 0) * value).astype(np.uint8))):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / f"{name}.nrrd"))


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


@pytest.mark.slow
def test_train_trains_every_network_and_reports_on_the_data(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = run("train", tmp_path / "tiny.toml", "--cases", data, "-o", out)
    assert code == 0, said
    assert (out / "thin" / "weights-000003.pt").is_file()
    assert (out / "single" / "weights-000003.pt").is_file()
    assert (out / "quality.csv").read_text().splitlines()[1] == "a,,none,"
    assert "thin step 3/3" in said


def test_train_takes_one_network_and_another_number_of_steps(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("train", tmp_path / "tiny.toml", "--cases", data, "-o", out, "--network", "thin", "--steps", 2)
    assert run(*words)[0] == 0
    assert json.loads((out / "thin" / "training.json").read_text())["classes"] == ["thin"]
    assert not (out / "single").exists()
    assert (out / "thin" / "weights-000002.pt").is_file()


def test_train_refuses_data_with_an_error_and_says_where_it_stands(data: Path, tmp_path: Path) -> None:
    write(data / "b", 9)
    code, said = run("train", tmp_path / "tiny.toml", "--cases", data, "-o", tmp_path / "out")
    assert code == 3
    assert "1 of 2 cases" in said
    assert "unknown values: [9]" in (tmp_path / "out" / "quality.csv").read_text()
    assert not (tmp_path / "out" / "thin").exists()


def test_templates_builds_each_into_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    named = [replace(two_boxes(), name=name) for name in ("phantom", "mine")]
    monkeypatch.setattr(commands, "templates", lambda _data, _anatomies: iter(named))
    out = tmp_path / "out"
    words = ("templates", "-o", out, "--anatomy", tmp_path / "mine")
    assert run(*words) == (0, "template phantom\ntemplate mine\n")
    assert read_template(out / "mine").name == "mine"
    code, said = run(*words)
    assert code == 4, said
    assert run(*words, "--force")[0] == 0


def test_synthesize_makes_cases_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(Settings(), size_mm=(12.0, 12.0, 12.0))
    monkeypatch.setattr(commands, "generate", partial(commands.generate, settings=small))
    write_template(two_boxes(), tmp_path / "boxes")
    words = ("synthesize", tmp_path / "boxes", "-o", tmp_path / "cases", "--first-seed", 5)
    assert run(*words, "--count", 1)[0] == 0
    code, said = run(*words, "--count", 2)
    assert (code, said.splitlines()[-1]) == (0, "2 of 2 cases")
    assert read_case(tmp_path / "cases" / "boxes-00006").facts["seed"] == 6


def test_validate_judges_every_checkpoint_and_package_takes_the_best(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "other" / "b", 1, 7)
    out = tmp_path / "out"
    assert run("train", tmp_path / "tiny.toml", "--cases", data, "-o", out)[0] == 0
    words = (tmp_path / "tiny.toml", "--run", out, "--cases", tmp_path / "other")
    code, said = run("validate", *words, "-o", tmp_path / "judged")
    assert code == 0, said
    assert "Best of single: step 3." in said
    assert (tmp_path / "judged" / "thin.csv").read_text().startswith("step,")
    before = (tmp_path / "judged" / "thin-000003.json").stat().st_mtime_ns
    assert run("validate", *words, "-o", tmp_path / "judged", "--step", 3, "--network", "thin")[0] == 0
    assert (tmp_path / "judged" / "thin-000003.json").stat().st_mtime_ns == before, "it was judged already"
    named = ("--name", "mine", "--version", "2.0.0", "--licence", "CC0-1.0", "--use", "A test.")
    code, said = run("package", *words, "-o", tmp_path / "mine", *named, "--network", "single")
    assert code == 0, said
    made = package.read(tmp_path / "mine")
    assert (made.name, made.version, made.licence, made.intended_use) == ("mine", "2.0.0", "CC0-1.0", "A test.")
    assert list(made.networks) == ["single"]
    code, said = run("package", *words, "-o", tmp_path / "bad", "--name", "My model")
    assert code == 3
    assert "name has not the form" in said.replace("the name ", "name ")
    assert "change" in said
    assert made.provenance["data"] == ["1 own cases for the network single"]


def test_figures_of_other_cases_are_not_taken_for_these(data: Path, tmp_path: Path) -> None:
    out, judged = tmp_path / "out", tmp_path / "judged" / "thin-000003.json"
    words = (tmp_path / "tiny.toml", "--network", "thin")
    assert run("train", *words, "--cases", data, "-o", out)[0] == 0
    for side in (8, 5):
        write(tmp_path / str(side) / "b", 1, side)
        assert run("validate", *words, "--run", out, "--cases", tmp_path / str(side), "-o", tmp_path / "judged")[0] == 0
    last = json.loads(judged.read_text())["figures"]
    assert run("validate", *words, "--run", out, "--cases", tmp_path / "5", "-o", tmp_path / "fresh")[0] == 0
    assert json.loads((tmp_path / "fresh" / "thin-000003.json").read_text())["figures"] == last


@pytest.mark.usefixtures("data")
def test_select_chooses_among_candidates_and_opens_the_test_set(tmp_path: Path) -> None:
    for name, side in (("b", 7), ("c", 8)):
        write(tmp_path / name / name, 1, side)
    (tmp_path / "selection.toml").write_text(
        f'candidates = ["{tmp_path / "tiny.toml"}"]\nnetworks = ["single"]\ntraining = "data"\nvalidation = "b"\n'
        'test = "c"\n'
    )
    code, said = run("select", tmp_path / "selection.toml", "-o", tmp_path / "out")
    assert code == 0, said
    assert "Chosen: " in said
    code, said = run("select", tmp_path / "selection.toml", "-o", tmp_path / "out")
    assert code == 3
    assert "opened before" in said


def test_finetune_makes_a_new_package(data: Path, tmp_path: Path) -> None:
    words = (tmp_path / "tiny.toml", "--network", "single")
    assert run("train", *words, "--cases", data, "-o", tmp_path / "out")[0] == 0
    write(tmp_path / "other" / "b", 1, 7)
    made = run("package", *words, "--run", tmp_path / "out", "--cases", tmp_path / "other", "-o", tmp_path / "first")
    assert made[0] == 0, made
    words = ("finetune", tmp_path / "first", data, "--config", tmp_path / "tiny.toml", "-o", tmp_path / "second")
    code, said = run(*words)
    assert code == 0, said
    assert package.read(tmp_path / "second" / "package").name == "tiny-finetuned"


def test_finetune_with_other_classes_than_the_packages_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(TOML.replace('["thin"]', '["thin", "cortical"]') + 'cortical = ["cortical"]\n')
    code, said = run("finetune", "orbital-bone-1", data, "--config", tmp_path / "other.toml", "-o", tmp_path / "out")
    assert code == 3
    assert "The network thin of the package tells thin; the configuration says thin, cortical" in said


def test_a_training_that_was_interrupted_does_not_go_on_with_other_numbers(data: Path, tmp_path: Path) -> None:
    words = ("train", tmp_path / "tiny.toml", "--cases", data, "-o", tmp_path / "out", "--network", "thin")
    assert run(*words)[0] == 0
    (tmp_path / "tiny.toml").write_text(TOML.replace("batch = 2", "batch = 3"))
    code, said = run(*words)
    assert code == 3
    assert "a training with other numbers" in said


def test_a_signal_ends_a_training_with_a_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, handlers = loop.Trainer.one_step, {}
    monkeypatch.setattr(front.signal, "signal", handlers.__setitem__)

    def interrupted(trainer: loop.Trainer) -> dict[str, float]:
        handlers[signal.SIGTERM](signal.SIGTERM, None)  # as it is called when the signal comes
        return steps(trainer)

    monkeypatch.setattr(loop.Trainer, "one_step", interrupted)
    out = tmp_path / "out"
    code, said = run("train", tmp_path / "tiny.toml", "--cases", data, "-o", out)
    assert (code, said.splitlines()[-1]) == (0, "Stopped; the same command goes on.")
    assert torch.load(out / "thin" / "last.pt", weights_only=True)["step"] == 1


WALLS = """
seed = 3
checkpoint_steps = 2
[heads]
templates = ["boxes"]
steps_each = 8
in_use = 1
ahead = 1
[heads.settings]
size_mm = [28.0, 28.0, 34.0]
centre = "right"
far_share = 0.0
metal_share = 0.0
fracture_share = 1.0
[volume]
channels = [8, 16]
patch = 32
batch = 2
offset = 6
[evidence]
bank = 16
hidden = [32]
batch = 64
pieces = 2
"""


@pytest.mark.slow
def test_train_takes_a_configuration_of_walls(tmp_path: Path) -> None:
    (tmp_path / "walls.toml").write_text(WALLS)
    (tmp_path / "templates").mkdir()
    write_template(two_boxes(), tmp_path / "templates" / "boxes")
    words = ("train", tmp_path / "walls.toml", "-o", tmp_path / "out", "--steps", 2)
    code, said = run(*words, "--templates", tmp_path / "templates")
    assert code == 0, said
    assert "volume step 2" in said
    assert "evidence step 4" in said
    code, said = run(*words, "--templates", tmp_path / "templates", "--cases", tmp_path)
    assert (code, "takes no --cases" in said) == (3, True)
    code, said = run(*words, "--templates", tmp_path)
    assert (code, "no template boxes" in said) == (3, True)
    code, said = run(*words)
    assert (code, "needs --templates" in said) == (3, True)


def test_a_device_that_is_not_there_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, said = run("train", tmp_path / "tiny.toml", "--cases", data, "-o", tmp_path / "out", "--device", "cuda")
    assert code == 3
    assert "no cuda device" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "synthesize", "select", "finetune"])
def test_no_workers_at_all_is_said(command: str, tmp_path: Path) -> None:
    code, said = run(command, "x", *(["y"] if command == "finetune" else []), "-o", tmp_path / "out", "--workers", 0)
    assert code == 2
    assert "give 1 or more processes" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "no-such-preset", "--cases", ".", "-o", "x"), "iso-3532-2"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x"), "no case"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x", "--network", "jaw"), "cortical, thin, single"),
        (("finetune", "no-such-package", ".", "-o", "x"), "no case"),
        (("select", "nothing.toml", "-o", "x"), "cannot be understood"),
        (("train", "unknown-key.toml", "--cases", ".", "-o", "x"), "unknown key: bathc"),
        (("train", "bad-name.toml", "--cases", ".", "-o", "x"), "'Thin bone' cannot name a network or a class"),
        (("train", "bad-kind.toml", "--cases", ".", "-o", "x"), "structures.thin.kind must be one of: seen"),
        (("package", "twice.toml", "--run", ".", "--cases", ".", "-o", "x"), "More than one network finds thin"),
        (("train", "orbitalseg", "-o", "x"), "needs --cases"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x", "--data", "."), "takes no --data"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x", "--like", "nowhere"), "no case"),
        (("validate", "orbitalseg", "--run", "nowhere", "--cases", ".", "-o", "x"), "no folder of a run"),
        (("validate", "orbitalseg", "--run", ".", "--cases", ".", "-o", "x"), "no case"),
        (("package", "orbitalseg", "--run", "nowhere", "--cases", ".", "-o", "x"), "no folder of a run"),
        (("package", "orbitalseg", "--run", ".", "-o", "x"), "needs --cases"),
        (("package", "orbitalseg", "--run", ".", "--card", "nowhere", "-o", "x"), "card cannot be read"),
        (("synthesize", "nowhere", "-o", "x"), "no template in nowhere"),
        (("templates", "--data", "nowhere", "-o", "x"), "no folder of data"),
        (("templates", "--data", ".", "-o", "x"), "holds none of"),
        (("templates", "--anatomy", "nowhere", "-o", "x"), "no folder of an anatomy"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("unknown-key.toml").write_text(TOML.replace("batch", "bathc"))
    Path("bad-name.toml").write_text(TOML.replace('["thin"]', '["Thin bone"]'))
    Path("bad-kind.toml").write_text(TOML + '[structures.thin]\nkind = "hard tissue"\n')
    Path("twice.toml").write_text(TOML.replace('["bone"]', '["bone", "thin"]'))
    code, said = run(*words)
    assert code == 3
    assert says in said
    assert "Traceback" not in said
