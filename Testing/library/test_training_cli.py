"""`orbitalseg train`, `finetune` and `select`, as a person types them."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
from typer.testing import CliRunner

from OrbitalSegLib.cli import app

pytestmark = pytest.mark.learn

TOML = """
name = "tiny"
channels = [4]
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


def write(folder: Path, value: int) -> None:
    folder.mkdir(parents=True)
    hu = np.full((12, 12, 12), -1000, np.int16)
    hu[3:9, 3:9, 3:9] = 800
    for name, array in (("image", hu), ("label", ((hu > 0) * value).astype(np.uint8))):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / f"{name}.nrrd"))


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "no-such-preset", "--cases", ".", "-o", "x"), "iso-3532-2"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x"), "no case"),
        (("train", "orbitalseg", "--cases", "nowhere", "-o", "x", "--network", "jaw"), "cortical, thin, single"),
        (("finetune", "no-such-package", ".", "-o", "x"), "no case"),
        (("select", "nothing.toml", "-o", "x"), "cannot be understood"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(*words)
    assert code == 3
    assert says in said
    assert "Traceback" not in said
