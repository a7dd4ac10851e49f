"""The table of segmentation methods: one file each, listed here and nowhere else."""

from OrbitalSegLib.methods import hysteresis, threshold
from OrbitalSegLib.methods.method import Method

METHODS: dict[str, Method] = {method.name: method for method in (threshold.THRESHOLD, hysteresis.HYSTERESIS)}

DEFAULT_METHOD = "threshold"

__all__ = ["DEFAULT_METHOD", "METHODS", "Method"]
