"""Where walls belong and what of them is seen: the trainings of `walls` beside the shipped networks, on new heads.

    python benchmarks/walls.py --work CHECKPOINTS --templates TEMPLATES --left-out visible-human --out OUT --heads 24

Heads of the left-out template, every one fractured, slices below 1.25 mm, half of them with walls of one thickness. They
are kept in OUT, as is what each network says of each point of the walls; a run that was stopped goes on. `figures.md`
has the tables, with 90 % of 500 draws of the heads as the spread.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from figures.common import Run, markdown

from OrbitalSegLib.evaluation.walls import THICKNESS_CLASSES_MM, highest
from OrbitalSegLib.networks import engines, package
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.preprocessing import working_grid
from OrbitalSegLib.training.cases import WORKING_SPACING_MM, Case
from OrbitalSegLib.training.walls.asking import EvidenceAsked, VolumeAsked, placed
from OrbitalSegLib.training.walls.heads import judged, misplaced

FIRST_SEED = 820_000
WALLS_MM = (None, 0.2, None, 0.3, None, 0.5)
"""Of each head in turn; None: drawn as for training."""

HOLES = (0.02, 0.05, 0.10, 0.20)
DRAWS = 500
SEEN_HOLES, GAP_WALLS = 0.03, 0.01
"""Three answers: of hole area so much is called seen, of intact wall so much a gap."""

Said = dict[str, np.ndarray]


def cases(run: Run, count: int) -> list[tuple[str, Case]]:
    found = []
    for number in range(count):
        settings = replace(run.settings(), fracture_share=1.0, thin_slice_share=1.0)
        wall_mm = WALLS_MM[number % len(WALLS_MM)]
        settings = settings.with_wall(wall_mm) if wall_mm else settings
        found.append((f"{number:03d}", run.kept_head(run.left_out, FIRST_SEED + number, settings)))
    return found


def shipped(ct: sitk.Image, model: package.Package, running: Mapping[str, engines.Engine]) -> dict[str, sitk.Image]:
    """Calibrated probabilities of methods C and B, as the highest of a method's networks."""
    grid = working_grid(ct, WORKING_SPACING_MM)
    means = triplanar(ct, running, grid).probabilities
    said = {name: model.networks[name].calibration.apply(sitk.GetArrayFromImage(image)) for name, image in means.items()}
    return {"multigrey": grid.image(np.maximum(said["cortical"], said["thin"])), "singlegrey": grid.image(said["single"])}
