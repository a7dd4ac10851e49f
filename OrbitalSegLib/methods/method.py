"""The one shape that every segmentation method has."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.progress import Progress

CORTICAL_ABOVE_HU = 200.0
"""Bone above this is cortical [3532-2 D.3]."""

THIN_BELOW_HU = 300.0
"""Bone below this is thin [3532-2 D.3]; the classes overlap in between on purpose."""


@dataclass(frozen=True)
class Method:
    """A way to find bone.

    `run` takes the CT in HU (region and margin), the parameters and a progress callback, and returns masks on the CT's
    grid, unsigned 8 bits, 0 or 1, by class: `bone` always, `inferred` where the method gives it.
    """

    name: str
    title: str
    source: str
    """Where the method is described."""
    parameters: type
    """A frozen dataclass; each field made by `parameter`."""
    run: Callable[[sitk.Image, Any, Progress], dict[str, sitk.Image]]
    infers: bool = False
    """Whether it gives the class `inferred`."""

    def describe(self) -> list[dict[str, Any]]:
        """The parameters for a panel or a help text: name, title, unit, default, minimum, maximum."""
        return [{"name": f.name, "default": f.default, **f.metadata} for f in fields(self.parameters)]

    def make_parameters(self, values: dict[str, Any]) -> Any:
        """The parameters from a job. Raises `JobError` `unknown-parameter` or `invalid-job`."""
        known = {item["name"]: item for item in self.describe()}
        for name, value in values.items():
            if name not in known:
                raise JobError(
                    "unknown-parameter", f"{self.title} has no parameter {name}; it has: {', '.join(known) or 'none'}."
                )
            low, high = known[name]["minimum"], known[name]["maximum"]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise JobError("invalid-job", f"{name} must be a number from {low:g} to {high:g}.")
        return self.parameters(**values)


def parameter(default: float, title: str, unit: str, minimum: float, maximum: float) -> Any:
    """A dataclass field that carries its own description."""
    return field(default=default, metadata={"title": title, "unit": unit, "minimum": minimum, "maximum": maximum})


def split_by_value(ct: sitk.Image, bone: sitk.Image) -> dict[str, sitk.Image]:
    """Divide one bone mask by the image's own values into `cortical` and `thin`, which overlap [3532-2 D.3]."""
    return {
        "cortical": sitk.And(bone, ct > CORTICAL_ABOVE_HU),
        "thin": sitk.And(bone, ct < THIN_BELOW_HU),
    }
