"""The table of segmentation methods: one file each, listed here and nowhere else."""

from pathlib import Path

from OrbitalSegLib.errors import InputError
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


def default_for(model: str | Path | None) -> str:
    """The method that is taken where only a model package is named: the first whose networks it has."""
    if model is None:
        return DEFAULT_METHOD
    try:
        there = package.network_names(model)
    except InputError:  # whoever runs the package says what is wrong with it
        return DEFAULT_METHOD
    fit = (
        one.name for one in METHODS.values() if one.networks == "all" or (one.networks and {*one.networks} <= {*there})
    )
    return next(fit, DEFAULT_METHOD)


__all__ = ["DEFAULT_METHOD", "METHODS", "Method", "default_for"]
