"""Done when 7: a tiny network, a fixed, small number of steps on the phantom, and walls that 300 HU loses are there."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk
import torch

from OrbitalSegLib.evaluation.overlap import overlap
from OrbitalSegLib.evaluation.walls import wall_figures, walls_of_phantom
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.phantom import Anatomy, Scanner, bone_fraction, scan, wall_midsurfaces
from OrbitalSegLib.preprocessing import window_8bit, working_grid
from OrbitalSegLib.training import config, loop, store, validation

pytestmark = [pytest.mark.learn, pytest.mark.slow]

SPACING_MM = 1.0
LABEL_FROM = 0.2
"""The training label: voxels with more bone than this, so that a wall of half a voxel has no gaps."""

TRAINING = config.parse(
    {
        "name": "phantom",
        "networks": {"single": ["bone"]},
        "channels": [8, 16, 16, 16],
        "patch": 64,
        "batch": 8,
        "steps": 60,
        "precision": "fp32",
        "average": 0.9,
        "checkpoint_steps": 60,
        "rescan_steps": 0,
        "schedule": {"learning_rate": 0.01, "warm_up_steps": 5},
        "loss": {"wall": 2.0},
        "sampling": {"places": {"wall": 0.6, "anywhere": 0.4}, "offset": 20},
        "augmentation": {"mirror_left_right": {"probability": 0.5}},
    }
)


def phantom_ct(anatomy: Anatomy, seed: int) -> sitk.Image:
    """A scan around the orbits in HU, 1 mm each way."""
    scanner = Scanner(104, SPACING_MM, SPACING_MM, SPACING_MM, 64.0, (0.0, 10.0, 0.0), seed=seed)
    taken = scan(anatomy, scanner)
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetSpacing([SPACING_MM] * 3)
    image.SetOrigin(taken.grid.origins[0].tolist())
    return image


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on two phantoms with walls of 0.5 and 0.7 mm."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("phantom")
    (folder / "cases").mkdir()
    for seed, thickness_mm in ((1, 0.5), (2, 0.7)):
        anatomy = Anatomy(wall_thickness_mm=thickness_mm)
        ct = phantom_ct(anatomy, seed)
        bone = sitk.GetArrayFromImage(bone_fraction(anatomy, ct)) > LABEL_FROM
        hu = sitk.GetArrayFromImage(ct)
        wall = bone & (hu < 300)
        label = (bone * store.FLAGS["bone"] | wall * store.FLAGS["wall"]).astype(np.uint8)
        image = sitk.GetArrayFromImage(window_8bit(ct))
        store.write(folder / "packed", f"phantom-{seed}", image, label, store.FLAGS, {"seed": seed})
    return loop.train(TRAINING, "single", [folder / "cases"], folder / "run", folder / "packed")


def test_a_tiny_network_closes_walls_that_300_hu_loses(weights: Path) -> None:
    anatomy = Anatomy(wall_thickness_mm=0.5, fracture="floor")
    ct = phantom_ct(anatomy, seed=3)
    engines = {"single": validation.engine_of(weights, TRAINING.channels)}
    probabilities = triplanar(ct, engines, working_grid(ct, SPACING_MM)).probabilities
    points = walls_of_phantom(wall_midsurfaces(anatomy, SPACING_MM))
    found = validation.mask_above(probabilities, {"single": 0.5})
    ours, threshold = (wall_figures(points, mask).intact["thin"].share for mask in (found, ct > 300))
    truth = bone_fraction(anatomy, ct) > LABEL_FROM
    assert threshold < 0.2
    assert ours > 0.6
    assert overlap(truth, found).specificity > 0.97
