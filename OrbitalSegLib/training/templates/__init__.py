"""Anatomy to make scans from: spaces of the head, the walls between them, and where they come from."""

from OrbitalSegLib.training.templates.build import build
from OrbitalSegLib.training.templates.folder import folder_template
from OrbitalSegLib.training.templates.seeds import Capsule, Seeds, ball, read_seeds
from OrbitalSegLib.training.templates.sources import templates
from OrbitalSegLib.training.templates.template import (
    ORBITS,
    SINUSES,
    Compartment,
    Template,
    read_template,
    write_template,
)

__all__ = [
    "ORBITS",
    "SINUSES",
    "Capsule",
    "Compartment",
    "Seeds",
    "Template",
    "ball",
    "build",
    "folder_template",
    "read_seeds",
    "read_template",
    "templates",
    "write_template",
]
