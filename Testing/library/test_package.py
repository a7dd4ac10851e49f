"""Model packages: written whole, proven equal, found by name."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import onnx
import openvino
import safetensors.numpy
import torch
from tiny_network import SMALL, small_description, small_state

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.networks import export, layout, package
from OrbitalSegLib.networks import onnx as graph
from OrbitalSegLib.networks.engines.openvino import OpenVinoEngine
from OrbitalSegLib.networks.engines.torch import TorchEngine, from_weights
from OrbitalSegLib.networks.package import Calibration, load_package
from OrbitalSegLib.networks.unet import UNet, folded, rounded
from OrbitalSegLib.structures import BONE, STRUCTURES, THIN

pytestmark = pytest.mark.learn

# What is written


def test_what_is_written_is_what_is_read(sound_package):
    found = load_package(sound_package.folder)
    assert found == sound_package
    assert list(found.networks) == ["a", "b"]
    assert found.networks["a"].channels == SMALL
    assert found.networks["a"].calibration == Calibration(1.0, 0.0)
    assert (found.window_hu, found.spacing_mm, found.planes[0]) == ((-200.0, 300.0), 1.0, "axial")
    assert (found.folder / "card.md").read_text() == "A card."
    assert found.describe()["sha256"] == hashlib.sha256((found.folder / "model.json").read_bytes()).hexdigest()


def test_the_weights_are_those_of_the_folded_network_as_bf16_holds_them(sound_package):
    model = UNet(SMALL)
    model.load_state_dict(small_state(1))
    exact = {name: value.numpy() for name, value in folded(model).state_dict().items()}
    expected = {name: value.numpy() for name, value in rounded(folded(model)).state_dict().items()}
    for name, values in expected.items():
        if name.endswith(".weight"):
            assert not (values.view(np.uint32) & 0xFFFF).any()  # the half of the bits that bf16 leaves away
            np.testing.assert_allclose(values, exact[name], rtol=2**-8)
        else:
            assert np.array_equal(values, exact[name])
    by_the_library = safetensors.numpy.load((sound_package.folder / "a.safetensors").read_bytes())
    for found in (sound_package.weights("a"), by_the_library):
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_folded_network_may_be_written_too(tmp_path, sound_package):
    model = UNet(SMALL)
    model.load_state_dict(small_state(1))
    again = export.write_package(tmp_path / "p", small_description("a"), {"a": folded(model).state_dict()})
    assert again.files["a.safetensors"] == sound_package.files["a.safetensors"]


def test_the_same_networks_give_the_same_bytes(tmp_path, sound_package):
    states = {"a": small_state(1), "b": small_state(2)}
    again = export.write_package(tmp_path / "p", small_description("a", "b"), states, "A card.")
    assert again.sha256 == sound_package.sha256
    for path in sound_package.folder.iterdir():
        assert path.read_bytes() == (again.folder / path.name).read_bytes()


def test_the_graph_is_onnx_and_takes_any_size(sound_package):
    model = onnx.load_model_from_string(sound_package.onnx("a"))
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == {"Conv", "Relu", "MaxPool", "Resize", "Concat", "Sigmoid"}
    run = openvino.compile_model(openvino.Core().read_model(sound_package.onnx("a")), "CPU")
    for size in ((1, 1, 2, 4), (3, 1, 64, 30)):
        assert run(np.zeros(size, np.float32))[0].shape == size


ONNX_SHA256 = "f1240a14f049f421fa4daf6c095f3aacbd7fb9926863cd1e31d3adbbd60c7911"
"""Of what an engine gets. Where this differs, results of shipped weights may: measure them again."""


def test_the_same_weights_give_the_same_graph():
    shapes = layout.shapes(SMALL, 2)
    weights = {name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for name, shape in shapes.items()}
    content = graph.model(SMALL, weights)
    assert hashlib.sha256(content).hexdigest() == ONNX_SHA256


def test_a_network_that_onnx_changes_is_not_written(tmp_path, monkeypatch):
    right = graph.model
    monkeypatch.setattr(
        export.onnx, "model", lambda channels, weights: right(channels, {k: 1.01 * v for k, v in weights.items()})
    )
    with pytest.raises(export.NotEqual, match="for openvino"):
        export.write_package(tmp_path / "p", small_description("a"), {"a": small_state()})
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_folding_changes_is_not_written(tmp_path, monkeypatch):
    def wrong(model: UNet) -> UNet:
        copy = folded(model)
        with torch.no_grad():
            copy.head.bias[1] += 0.01
        return copy

    monkeypatch.setattr(export, "folded", wrong)
    with pytest.raises(export.NotEqual, match="folded"):
        export.write_package(tmp_path / "p", small_description("a"), {"a": small_state()})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_and_nothing_half(package_folder, tmp_path):
    before = {path.name: path.read_bytes() for path in package_folder.iterdir()}
    with pytest.raises(OutputError) as refused:
        export.write_package(package_folder, small_description("a"), {"a": small_state()})
    assert refused.value.code == "exists"
    assert {path.name: path.read_bytes() for path in package_folder.iterdir()} == before
    description = small_description("a")
    description["networks"]["a"]["seen_above"] = 1.5
    with pytest.raises(InputError, match=r"networks\.a\.seen_above must be below 1"):
        export.write_package(tmp_path / "new", description, {"a": small_state()})
    assert {path.name for path in tmp_path.iterdir()} == {package_folder.name}


def test_the_contracts_page_says_what_a_package_is(sound_package):
    page = (Path(package.__file__).parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")
    section = page.partition("## 9. A model package")[2]
    assert f"format {package.FORMAT}," in section
    assert f"at most {package.DESCRIPTION_BYTES >> 20} MiB" in section
    listed = package._schema()["properties"]["files"]["additionalProperties"]["properties"]
    assert f"at most {listed['bytes']['maximum'] >> 20} MiB" in section
    model = onnx.load_model_from_string(sound_package.onnx("a"))
    assert f"input `{model.graph.input[0].name}` (n, 1, h, w), float32" in section
    assert f"output `{model.graph.output[0].name}` (n, 1, h, w), float32" in section


# What is shipped


def test_shipped_packages_are_found_by_name(sound_package, tmp_path, monkeypatch):
    shutil.copytree(sound_package.folder, tmp_path / "orbital-bone-1")
    shutil.copytree(sound_package.folder, tmp_path / "another")
    (tmp_path / "not-a-package").mkdir()
    monkeypatch.setattr(package, "SHIPPED", tmp_path)
    assert list(package.models()) == ["another", "orbital-bone-1"]
    assert load_package("another").folder == tmp_path / "another"
    assert load_package().folder == tmp_path / "orbital-bone-1"


def test_without_a_shipped_package_one_must_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "SHIPPED", tmp_path)
    assert package.models() == {}
    with pytest.raises(InputError, match="name the folder of one") as refused:
        load_package()
    assert refused.value.code == "no-model"


def test_every_shipped_package_is_sound():
    for name in package.models():
        assert load_package(name).name == name


@pytest.mark.parametrize("wrong", ["missing", "x" * 5000, "nul\0byte"])
def test_a_package_that_is_not_there(tmp_path, wrong):
    with pytest.raises(InputError, match="No model package is there") as refused:
        load_package(f"{tmp_path}/{wrong}")
    assert refused.value.code == "no-such-model"


def test_a_zip_of_a_package_is_no_package(package_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in package_folder.iterdir():
            archive.write(path, path.name)
    with pytest.raises(InputError, match="A model package is a folder: unpack an archive first") as refused:
        load_package(tmp_path / "package.zip")
    assert refused.value.code == "no-such-model"


def test_a_wheel_holds_every_file_that_is_not_code_and_the_shipped_packages(tmp_path):
    source = Path(package.__file__).parents[2]
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(source / name, tmp_path)
    left_out = shutil.ignore_patterns("__pycache__", "models")
    shutil.copytree(source / "OrbitalSegLib", tmp_path / "OrbitalSegLib", ignore=left_out)
    shipped = tmp_path / "OrbitalSegLib" / "models" / "test-1"
    shipped.mkdir(parents=True)
    for name in ("model.json", "a.safetensors", "card.md"):
        (shipped / name).write_text("{}")
    expected = {
        str(path.relative_to(tmp_path)) for path in (tmp_path / "OrbitalSegLib").rglob("*.*") if path.suffix != ".py"
    }
    assert {"OrbitalSegLib/networks/model.schema.json", "OrbitalSegLib/models/test-1/model.json"} <= expected
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        assert expected <= set(wheel.namelist())


def test_calibration_moves_the_logit():
    probabilities = np.array([0.0, 0.1, 0.5, 0.9, 1.0], np.float32)
    same = Calibration(1.0, 0.0).apply(probabilities)
    assert same.dtype == np.float32
    assert np.allclose(same, probabilities, atol=1e-6)
    moved = Calibration(2.0, -1.0).apply(np.array([0.5, 0.8], np.float32))
    assert np.allclose(moved, [1 / (1 + np.e), 1 / (1 + np.exp(1 - 2 * np.log(4)))], atol=1e-6)


def test_a_network_of_several_classes_brings_its_own_structures(tmp_path):
    described = small_description("eyes", "single")
    classes = [{"name": "globe-left", "title": "Left globe", "colour": [0, 0.5, 1]}, {"name": "thin"}]
    described["networks"]["eyes"]["classes"] = classes
    torch.manual_seed(1)
    states = {"eyes": UNet(SMALL, 3).state_dict(), "single": small_state()}
    found = export.write_package(tmp_path / "eyes", described, states)
    assert json.loads((found.folder / "model.json").read_text())["format"] == 2
    assert found.networks["eyes"].fields == ("globe-left", "thin")
    assert found.networks["single"].fields == ("single",)
    globe, thin, bone = found.structures.values()
    assert (globe.title, globe.colour, globe.kind, globe.part_of) == ("Left globe", (0, 0.5, 1), "soft tissue", None)
    assert (thin, bone) == (STRUCTURES[THIN], STRUCTURES[BONE])
    slices = np.random.default_rng(0).integers(0, 256, (5, 10, 7), np.uint8)
    weights = found.weights("eyes")
    one = TorchEngine(from_weights(found.networks["eyes"].channels, weights), threads=1).probabilities(slices)
    other = OpenVinoEngine(found.onnx("eyes"), 2, "fp32", 1).probabilities(slices)
    assert one.shape == other.shape == (5, 2, 10, 7)
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert ((one > 0) & (one < 1)).all()
