"""A model package with small networks that were trained for seconds on the phantom: they know bone, roughly.

Probabilities of a network that was never trained lie around one half, where engines that differ by a rounding error
disagree in every tenth voxel; tests of engines, consensus and methods need one that has learned something.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from OrbitalSegLib.networks.export import write_package
from OrbitalSegLib.networks.package import Package
from OrbitalSegLib.networks.unet import UNet
from OrbitalSegLib.phantom import Anatomy, Scanner, bone_fraction, scan
from OrbitalSegLib.preprocessing import window_8bit

CHANNELS = (4, 8, 8, 8, 8, 8)
SPACING_MM = 1.0
STEPS = 48
PATCH = 64
BATCH = 4


def description(*names: str, **changes: Any) -> dict[str, Any]:
    """A valid description, for `write_package`, of networks of these names."""
    network = {
        "channels": list(CHANNELS),
        "seen_above": 0.6,
        "inferred_above": 0.3,
        "calibration": {"slope": 1.0, "offset": 0.0},
    }
    return {
        "name": "tiny-1",
        "version": "1.0.0",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "window_hu": [-200, 300],
        "quantised": True,
        "spacing_mm": SPACING_MM,
        "planes": ["axial", "coronal", "sagittal"],
        "networks": {name: dict(network) for name in names},
        "provenance": {
            "data": ["phantom"],
            "seeds": [0],
            "commit": "0000000",
            "hashes": {},
            "hours": 0.01,
            "machine": "any",
        },
        "performance": {},
        "credits": [],
        **changes,
    }


SMALL = (2, 3)
"""Channels of a network of two levels, untrained: enough for what does not depend on a network's size."""


def small_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of such a network."""
    torch.manual_seed(seed)
    return UNet(SMALL).state_dict()


def small_description(*names: str, **changes: Any) -> dict[str, Any]:
    """A valid description of such networks."""
    described = description(*names, **changes)
    for entry in described["networks"].values():
        entry["channels"] = list(SMALL)
    return described


@cache
def phantom_volumes() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The window of a phantom (z, y, x), uint8, and for each network what it is to find, bool."""
    anatomy = Anatomy()
    ct = _image(Scanner(96, SPACING_MM, SPACING_MM, SPACING_MM, 64.0, (0.0, 15.0, 0.0)), anatomy)
    bone = sitk.GetArrayFromImage(bone_fraction(anatomy, ct)) > 0.2
    hu = sitk.GetArrayFromImage(sitk.DiscreteGaussian(ct, 0.5))
    labels = {"cortical": bone & (hu > 200), "single": bone}
    return sitk.GetArrayFromImage(window_8bit(ct)), labels


def train(window: np.ndarray, label: np.ndarray, steps: int = STEPS) -> UNet:
    """A network that was trained on patches of all three planes: the same bits on the same machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = UNet(CHANNELS).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
    weight = torch.tensor([1.0, 2.0])
    for slices, wanted in _patches(window, label, steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(slices), wanted, weight).backward()
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    return model.eval()


def write(folder: Path) -> Package:
    """A package with `cortical`, `single` and `thin`, where `thin` is `single` again: all bone."""
    window, labels = phantom_volumes()
    states = {name: train(window, label).state_dict() for name, label in labels.items()}
    states["thin"] = states["single"]
    return write_package(folder, description(*states), states, card="Trained for seconds.")


def _image(scanner: Scanner, anatomy: Anatomy) -> sitk.Image:
    taken = scan(anatomy, scanner)
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetSpacing([SPACING_MM] * 3)
    image.SetOrigin(taken.grid.origins[0].tolist())
    return image


def _patches(window: np.ndarray, label: np.ndarray, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    random = np.random.default_rng(0)
    volumes = window.astype(np.float32) / 255, label.astype(np.int64)
    for step in range(steps):
        pair = [np.moveaxis(volume, step % 3, 0) for volume in volumes]
        where = [random.integers(0, size - PATCH + 1, BATCH) for size in pair[0].shape[1:]]
        which = random.integers(0, len(pair[0]), BATCH)
        turn = slice(None, None, int(random.choice([1, -1])))
        slices, wanted = (
            np.stack([volume[i, y : y + PATCH, x : x + PATCH][:, turn] for i, y, x in zip(which, *where, strict=True)])
            for volume in pair
        )
        yield torch.from_numpy(slices)[:, None], torch.from_numpy(wanted)
