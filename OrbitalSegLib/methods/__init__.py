"""The table of segmentation methods: one file each, listed here and nowhere else."""

from OrbitalSegLib.methods import hysteresis, multigrey, packaged, singlegrey, threshold
from OrbitalSegLib.methods.method import Method
from OrbitalSegLib.networks import package

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        multigrey.MULTIGREY,
        singlegrey.SINGLEGREY,
        threshold.THRESHOLD,
        hysteresis.HYSTERESIS,
        packaged.PACKAGED,
    )
}

DEFAULT_METHOD = "multigrey" if package.DEFAULT in package.models() else "threshold"
"""The networks, where a model package is shipped."""

__all__ = ["DEFAULT_METHOD", "METHODS", "Method"]
