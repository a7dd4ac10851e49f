"""Structures of one's own from folder to result: a network learns the phantom's eyes, and its package finds them."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")

import numpy as np
import SimpleITK as sitk
from typer.testing import CliRunner

from OrbitalSegLib.cli import app
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.networks import package
from OrbitalSegLib.phantom import Anatomy, Scanner, globe_fraction, scan

pytestmark = [pytest.mark.learn, pytest.mark.slow]

EYES = {"right-eye": "right", "left-eye": "left"}

CONFIGURATION = """
name = "eyes"
channels = [8, 16, 16, 16]
patch = 64
batch = 12
steps = 150
precision = "fp32"
average = 0.9
checkpoint_steps = 150
[labels]
right-eye = 1
left-eye = 2
[networks]
eyes = ["right-eye", "left-eye"]
[structures.right-eye]
title = "Right eye"
colour = [0.2, 0.6, 0.9]
code = ["81745001", "SCT", "Eye"]
[structures.left-eye]
title = "Left eye"
code = ["81745001", "SCT", "Eye"]
kind = "soft tissue"
[schedule]
learning_rate = 1e-2
warm_up_steps = 10
[sampling]
places = { right-eye = 0.4, left-eye = 0.4, anywhere = 0.2 }
offset = 24
"""

HEADS = {
    "training": {"plain": Anatomy(), "turned": Anatomy(turned_degrees=6.0, mucosa_mm=2.0)},
    "validation": {"thick": Anatomy(wall_thickness_mm=1.0, turned_degrees=-4.0)},
    "test": {"broken": Anatomy(turned_degrees=3.0, fracture="floor")},
}


def head(anatomy: Anatomy, seed: int) -> sitk.Image:
    """The CT of a head around its orbits, 1 mm."""
    scanner = Scanner(
        matrix=88,
        pixel_mm=1.0,
        slice_thickness_mm=1.0,
        spacing_mm=1.0,
        height_mm=35.0,
        centre_mm=(0.0, 4.0, 0.0),
        seed=seed,
    )
    scanned = scan(anatomy, scanner)
    ct = sitk.GetImageFromArray(scanned.voxels)
    ct.SetOrigin(scanned.grid.origins[0].tolist())
    return ct


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of cases, image with label, and the configuration."""
    folder = tmp_path_factory.mktemp("eyes")
    (folder / "eyes.toml").write_text(CONFIGURATION)
    for seed, (side, name, anatomy) in enumerate(
        (side, name, anatomy) for side, heads in HEADS.items() for name, anatomy in heads.items()
    ):
        case = folder / side / name
        case.mkdir(parents=True)
        ct = head(anatomy, seed)
        sitk.WriteImage(ct, str(case / "image.nrrd"))
        parts = [globe_fraction(anatomy, eye, ct) >= 0.5 for eye in EYES.values()]
        sitk.WriteImage(parts[0] + 2 * parts[1], str(case / "label.nrrd"))
    return folder


def test_eyes_go_from_a_folder_to_a_package_and_to_two_segments_that_are_no_bone(data: Path) -> None:
    run("train", data / "eyes.toml", "--cases", data / "training", "-o", data / "run")
    words = ("--run", data / "run", "--cases", data / "validation")
    run("package", data / "eyes.toml", *words, "-o", data / "package")
    made = package.read(data / "package")
    eyes = made.networks["eyes"]
    assert [(one.title, one.kind) for one in eyes.structures] == [
        ("Right eye", "soft tissue"),
        ("Left eye", "soft tissue"),
    ]
    assert eyes.classes == 3
    assert eyes.inferred_above is None
    figures = made.performance["validation"]["eyes"]
    assert min(figures["dice_right-eye"], figures["dice_left-eye"]) > 0.7

    scanned = data / "test" / "broken"
    model = ("--model", data / "package", "--region", "whole")
    run("segment", scanned / "image.nrrd", *model, "-p", "left-eye_above=0.4", "--grid", "scan", "-o", data / "out")
    file = data / "out" / "segmentation.seg.nrrd"
    assert segment_ids(file) == {"right-eye", "right eye", "left-eye", "left eye"}
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(scanned / "label.nrrd")))
    for value, name in enumerate(EYES, start=1):
        found = sitk.GetArrayFromImage(read_segmentation(file, name)) > 0
        true = truth == value
        assert 2 * np.sum(found & true) / (found.sum() + true.sum()) > 0.7, name
    record = json.loads((data / "out" / "record.json").read_text())
    used = next(step for step in record["steps"] if step["step"] == "segmenting")["parameters"]
    assert used["left-eye_above"] == 0.4
    assert used["right-eye_above"] == eyes.seen_above
