"""The table of segmentation methods: one file each, listed here and nowhere else."""

from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.methods import multigrey, packaged, singlegrey, walls
from OrbitalSegLib.methods.classical import CLASSICAL
from OrbitalSegLib.methods.method import Method
from OrbitalSegLib.networks import package
from OrbitalSegLib.networks.walls import is_one
from OrbitalSegLib.structures import BONE, INFERRED, parts_of

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        multigrey.MULTIGREY,
        singlegrey.SINGLEGREY,
        packaged.PACKAGED,
        walls.WALLS,
        *CLASSICAL,
    )
}

DEFAULT_METHOD = "multigrey" if package.DEFAULT in package.models() else "threshold"
"""The networks, where a model package is shipped."""


def default_for(model: str | Path | None) -> str:
    """The method that is taken where only a model package is named: the first whose networks it has.

    Parameters
    ----------
    model
        A model package's folder, or the name of a shipped one; None is the shipped one.

    Returns
    -------
    method
        A name in the table of methods; the library's default where the package cannot be read, which whoever runs it
        then says.
    """
    if model is None:
        return DEFAULT_METHOD
    if is_one(model):
        return walls.WALLS.name
    try:
        there = package.network_names(model)
    except InputError:  # whoever runs the package says what is wrong with it
        return DEFAULT_METHOD
    running = (one for one in METHODS.values() if one.needs_model)
    return next(one.name for one in running if one.networks == "all" or {*one.networks} <= {*there})


def given_by(method: Method, model: str | Path | None = None) -> tuple[str, ...]:
    """The names of the structures that a method gives.

    Parameters
    ----------
    method
        Of the table.
    model
        The package that it runs, by folder or name; only a method that runs whatever a package has looks at it.

    Returns
    -------
    names
        In the order of the table of structures, then the package's own.

    Raises
    ------
    InputError
        As `load_package`.

    Examples
    --------
    >>> given_by(METHODS["threshold"])
    ('bone', 'cortical', 'thin')
    """
    if method.networks != "all":
        return method.structures
    brought = package.structures_of(model)
    bone = (BONE, *parts_of(BONE), INFERRED) if any(one.kind == "seen" for one in brought.values()) else ()
    return tuple(dict.fromkeys((*bone, *brought)))


__all__ = ["DEFAULT_METHOD", "METHODS", "Method", "default_for", "given_by"]
