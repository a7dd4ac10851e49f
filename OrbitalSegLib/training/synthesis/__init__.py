"""Synthetic CT of the orbits with exact truth, from templates of anatomy, by physics and chance."""

from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.synthesis.synthesis import synthesize

__all__ = ["Settings", "synthesize"]
