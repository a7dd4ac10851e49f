"""Engines: they agree, they repeat themselves bit by bit, and the one without torch needs no torch."""

import ctypes.util
import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")

import numpy as np
import tiny_network
import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks import engines
from OrbitalSegLib.networks.engines import choose, openvino
from OrbitalSegLib.networks.engines import torch as torch_engine
from OrbitalSegLib.networks.engines.engine import batches
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.networks.unet import UNet

pytestmark = pytest.mark.learn

FP32 = [("openvino", "fp32"), ("torch", "fp32")]


def with_bf16() -> list[tuple[str, str]]:
    """The engines that calculate in bf16 on this processor."""
    has = {"openvino": openvino.has_bf16(), "torch": torch_engine.has_bf16("cpu")}
    return [(name, "bf16") for name, can in has.items() if can]


ALL = FP32 + with_bf16()


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """The phantom's window (z, y, x)."""
    return tiny_network.phantom_volumes()[0]


def consensus(package: Package, engine: str, precision: str, volume: np.ndarray) -> np.ndarray:
    """The mean probability of the three planes."""
    run = choose(package, "single", engine, precision, threads=1)
    return sum(np.moveaxis(run.probabilities(np.moveaxis(volume, axis, 0)), 0, axis) for axis in range(3)) / 3


@pytest.mark.parametrize("network", ["cortical", "single"])
def test_fp32_engines_agree_within_1e_4(tiny_package, volume, network):
    one, other = (choose(tiny_package, network, *which, threads=1).probabilities(volume) for which in FP32)
    assert one.dtype == np.float32
    assert one.shape == volume.shape
    assert 0.2 < (one > 0.5).mean() < 0.4
    assert np.abs(one - other).max() < 1e-4


@pytest.mark.parametrize("which", with_bf16(), ids=lambda which: which[0])
def test_bf16_flips_at_most_5_voxels_in_10000(tiny_package, volume, which):
    wanted = consensus(tiny_package, "openvino", "fp32", volume) > 0.5
    found = consensus(tiny_package, *which, volume) > 0.5
    dice = 2 * (wanted & found).sum() / (wanted.sum() + found.sum())
    assert 0 < (wanted != found).mean() <= 0.0005
    assert dice >= 0.998


@pytest.mark.parametrize("which", ALL, ids="-".join)
def test_the_same_engine_and_thread_count_give_the_same_bits(tiny_package, volume, which):
    one, other = (choose(tiny_package, "single", *which, threads=2) for _ in range(2))
    part = volume[30:32]
    first = one.probabilities(part)
    assert np.array_equal(first, one.probabilities(part))
    assert np.array_equal(first, other.probabilities(part))


@pytest.mark.parametrize("which", ALL, ids="-".join)
def test_a_slices_result_does_not_depend_on_its_neighbours(tiny_package, volume, which):
    engine = choose(tiny_package, "single", *which, threads=1)
    together = engine.probabilities(volume[20:29])
    some = [7, 2, 5]
    assert np.array_equal(engine.probabilities(volume[20:29][some]), together[some])


@pytest.mark.parametrize("which", ALL, ids="-".join)
@pytest.mark.parametrize("size", [(1, 1), (31, 33), (64, 90)])
def test_slices_of_any_size_are_padded_by_repeating_their_edge(tiny_package, volume, which, size):
    engine = choose(tiny_package, "single", *which, threads=1)
    height, width = size
    part = volume[30:32, 10 : 10 + height, 5 : 5 + width]
    padded = np.pad(part, ((0, 0), (0, -height % 32), (0, -width % 32)), mode="edge")
    assert np.array_equal(engine.probabilities(part), engine.probabilities(padded)[:, :height, :width])


@pytest.mark.parametrize("which", FP32, ids="-".join)
def test_a_window_that_is_not_quantised_is_taken_as_it_is(tiny_package, volume, which):
    engine = choose(tiny_package, "single", *which, threads=1)
    part = volume[30:34]
    same = engine.probabilities(part.astype(np.float32) / 255)
    assert np.abs(same - engine.probabilities(part)).max() < 1e-5


@pytest.mark.parametrize("which", ALL, ids="-".join)
def test_no_slices_give_no_slices(tiny_package, which):
    engine = choose(tiny_package, "single", *which, threads=1)
    assert engine.probabilities(np.zeros((0, 40, 50), np.uint8)).shape == (0, 40, 50)


def test_batches_have_one_shape_and_lose_no_slice():
    slices = np.arange(7 * 5 * 6, dtype=np.uint8).reshape(7, 5, 6)
    found = list(batches(slices, 4, 3))
    assert [which for which, _ in found] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert {batch.shape for _, batch in found} == {(3, 1, 8, 8)}
    back = np.concatenate([batch[: which.stop - which.start, 0, :5, :6] for which, batch in found])
    assert np.array_equal(np.rint(back * 255), slices)


def test_an_engine_holds_the_network_as_it_was(volume):
    torch.manual_seed(0)
    model = UNet(tiny_network.CHANNELS)
    engine = torch_engine.TorchEngine(model, threads=1)
    before = engine.probabilities(volume[30:31])
    assert model.training
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert np.array_equal(engine.probabilities(volume[30:31]), before)


def test_torchs_number_of_threads_is_put_back(tiny_package, volume):
    before = torch.get_num_threads()
    engine = choose(tiny_package, "single", "torch", "fp32", threads=before + 1)
    engine.probabilities(volume[:1])
    assert engine.threads == before + 1
    assert torch.get_num_threads() == before


def test_openvino_keeps_the_threads_it_was_given_and_binds_them_to_no_core(tiny_package):
    engine = choose(tiny_package, "single", "openvino", "fp32", threads=1)
    assert engine.threads == 1
    assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert engine._compiled.get_property("ENABLE_CPU_PINNING") is False


# What is chosen


def without(*missing: str):
    """`find_spec` of an installation that lacks these packages."""
    return lambda name: None if name in missing else name


@pytest.fixture
def no_card(monkeypatch):
    monkeypatch.setattr(engines, "_has_card", lambda: False)


@pytest.mark.usefixtures("no_card")
def test_auto_takes_openvino_and_bf16_where_the_processor_has_it(tiny_package):
    engine = choose(tiny_package, "single")
    assert (engine.name, engine.device, engine.threads) == ("openvino", "cpu", engines.cores())
    assert engine.precision == ("bf16" if openvino.has_bf16() else "fp32")


@pytest.mark.usefixtures("no_card")
def test_auto_takes_torch_where_openvino_is_missing(tiny_package, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", without("openvino"))
    assert choose(tiny_package, "single").name == "torch"


def test_a_card_without_torch_is_of_no_use(tiny_package, monkeypatch):
    monkeypatch.setattr(engines, "_has_card", lambda: True)
    assert choose(tiny_package, "single").name == "torch"
    monkeypatch.setattr(engines, "find_spec", without("torch"))
    assert choose(tiny_package, "single").name == "openvino"


@pytest.mark.parametrize(
    ("missing", "asked", "sentence"),
    [
        (("openvino", "torch"), {}, r"need openvino, which is not installed: pip install 'orbitalseg\[infer\]'"),
        (("openvino",), {"engine": "openvino"}, r"pip install 'orbitalseg\[infer\]'"),
        (("torch",), {"engine": "torch"}, r"pip install 'orbitalseg\[learn\]'"),
        (("torch",), {"device": "cuda"}, r"pip install 'orbitalseg\[learn\]'"),
        ((), {"engine": "openvino", "device": "cuda"}, r"choose the device cpu, or the engine torch"),
        ((), {"device": "mps"}, r"Torch finds no mps device here"),
    ],
)
@pytest.mark.usefixtures("no_card")
def test_what_cannot_run_says_what_to_do(tiny_package, monkeypatch, missing, asked, sentence):
    monkeypatch.setattr(engines, "find_spec", without(*missing))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=sentence) as refused:
        choose(tiny_package, "single", **asked)
    assert refused.value.code == "no-engine"


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_bf16_is_not_pretended(tiny_package, monkeypatch, engine):
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    monkeypatch.setattr(torch_engine, "has_bf16", lambda _: False)
    assert choose(tiny_package, "single", engine, device="cpu").precision == "fp32"
    with pytest.raises(InputError, match="does not calculate in bf16"):
        choose(tiny_package, "single", engine, "bf16", device="cpu")


def test_a_card_is_known_by_its_driver(monkeypatch):
    monkeypatch.setattr(engines, "CARD_DRIVERS", ("no-such-driver.so",))
    assert not engines._has_card()
    monkeypatch.setattr(engines, "CARD_DRIVERS", ("no-such-driver.so", ctypes.util.find_library("c")))
    assert engines._has_card()


def test_torch_prefers_a_card(monkeypatch):
    for card, usable in (("mps", torch.backends.mps), ("cuda", torch.cuda)):
        monkeypatch.setattr(usable, "is_available", lambda: True)
        assert torch_engine.device("auto") == card
        assert torch_engine.device("cpu") == "cpu"


def test_what_a_card_changes_for_all_of_torch_is_put_back(tiny_package, volume):
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    choose(tiny_package, "single", "torch", "fp32", "cpu").probabilities(volume[:1])
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before


def test_a_core_can_be_spared_but_not_the_last_one():
    assert engines.cores(spare=1) == max(1, engines.cores() - 1)
    assert engines.cores(spare=10_000) == 1


WITHOUT_TORCH = """
import json, sys
for name in ("torch", "onnx", "safetensors", "scipy"):
    sys.modules[name] = None
import numpy as np
from OrbitalSegLib.networks.engines import choose
from OrbitalSegLib.networks.package import load_package
engine = choose(load_package(sys.argv[1]), "single", threads=1, precision="fp32")
slices = np.random.default_rng(0).integers(0, 256, (2, 40, 50), np.uint8)
print(json.dumps([engine.name, float(engine.probabilities(slices).sum())]))
"""


def test_the_processor_needs_no_torch(tiny_package):
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tiny_package.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    slices = np.random.default_rng(0).integers(0, 256, (2, 40, 50), np.uint8)
    expected = choose(tiny_package, "single", "torch", "fp32", threads=1).probabilities(slices).sum()
    assert json.loads(done.stdout) == ["openvino", pytest.approx(float(expected), rel=1e-5)]


@pytest.mark.parametrize("engine", ["openvino", "volumes"])
def test_openvino_tells_nobody_that_it_was_imported(engine):
    """Its package of telemetry sends an event as soon as it is there when OpenVINO is imported."""
    pytest.importorskip("openvino")
    said = f"import sys; import OrbitalSegLib.networks.engines.{engine}; print(sys.modules['openvino_telemetry'])"
    told = "; print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    done = subprocess.run([sys.executable, "-c", said + told], text=True, capture_output=True, check=True)
    assert done.stdout.split() == ["None", "[]"]
