"""The one shape that every segmentation method has."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.fraction import fraction_of_ct
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import HIGHEST_HU
from OrbitalSegLib.structures import BONE, STRUCTURES, parts_of

Masks = dict[str, sitk.Image]
"""Masks by class, unsigned 8 bits, 0 or 1, all on one grid."""


@dataclass(frozen=True)
class Resources:
    """What a method that runs networks is to take; methods without networks ask for nothing of it."""

    model: Path | None = None
    """A model package's folder, or the name of a shipped one; None: the shipped one."""
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    """Of the processor; None: one for each core; negative: so many cores stay free."""
    memory_gb: float | None = None
    """How much may be used; None: half of what is free."""


@dataclass(frozen=True)
class Task:
    """What a method gets."""

    scan: sitk.Image
    """The whole CT in HU, on the scan grid: grids that a method makes begin where the scan begins."""
    region: Region
    """Voxels beyond the region and its margin must not change the result inside the region."""
    resources: Resources = field(default_factory=Resources)

    @property
    def part(self) -> sitk.Image:
        """The CT cut to region and margin."""
        return self.region.working_part(self.scan)


class Segmented(Protocol):
    """What a method gives: bone on a grid of its own, and how to bring it to the scan once it has been repaired."""

    bone: sitk.Image
    """Seen bone, a mask on the method's own grid."""
    probabilities: dict[str, sitk.Image]
    """By class, on the method's own grid: unsigned 8 bits, value / 255."""
    parameters: dict[str, float]
    """Those in use: the defaults too, and what a model package says."""
    measured: dict[str, Any]
    """For the record."""
    tile_size: int | None
    """Voxels along the side of the largest tile, where there are tiles."""

    @property
    def ct(self) -> sitk.Image:
        """HU on the method's own grid."""

    @property
    def joint(self) -> sitk.Image | None:
        """Wall that is not seen, on the method's own grid: pieces of seen bone that it joins are one. None: no method
        but those that infer wall has any."""

    def classes(self, bone: sitk.Image) -> Masks:
        """The bone, as it was repaired, with its classes, on the method's own grid."""

    def on_scan(self, masks: Masks) -> Masks:
        """What `classes` gave, on the scan grid: region and margin."""

    def fraction(self, name: str, masks: Masks) -> sitk.Image:
        """How much of each voxel is bone of one class of what `classes` gave: what its surface is made of (`fraction`).

        On the method's own grid. It need not agree with the masks where these were repaired or cut.
        """

    @property
    def fraction_source(self) -> str:
        """What `fraction` is made from: `CT`, `probability` or `mask`."""


@dataclass
class ByValue:
    """What a method gives that works on the scan grid and has no classes of its own."""

    ct: sitk.Image
    bone: sitk.Image
    parameters: dict[str, float]
    """Bone ends at `lower_hu` and `upper_hu`; of a method without such limits only the mask says where it ends."""
    probabilities: dict[str, sitk.Image] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    tile_size: int | None = None
    joint: sitk.Image | None = None

    def classes(self, bone: sitk.Image) -> Masks:
        return {BONE: bone, **split_by_value(self.ct, bone)}

    def on_scan(self, masks: Masks) -> Masks:
        return masks

    @property
    def fraction_source(self) -> str:
        return "CT" if self._has_limit else "mask"

    @property
    def _has_limit(self) -> bool:
        return "lower_hu" in self.parameters

    def fraction(self, name: str, masks: Masks) -> sitk.Image:
        if not self._has_limit:
            return sitk.Cast(masks[name], sitk.sitkFloat32)
        lower_hu, upper_hu = self.parameters["lower_hu"], self.parameters.get("upper_hu", HIGHEST_HU)
        part = STRUCTURES[name]
        lower_hu = lower_hu if part.above_hu is None else max(lower_hu, part.above_hu)
        upper_hu = upper_hu if part.below_hu is None else min(upper_hu, part.below_hu)
        return fraction_of_ct(self.ct, lower_hu, upper_hu if upper_hu < HIGHEST_HU else None)


@dataclass(frozen=True)
class Method:
    """A way to find bone. `run` raises `OrbitalSegError`."""

    name: str
    title: str
    source: str
    """Where the method is described."""
    parameters: type
    """A frozen dataclass; each field made by `parameter`."""
    run: Callable[[Task, Any, Progress], Segmented]
    infers: bool = False
    """Whether it gives the class `inferred`."""
    needs_model: bool = False
    """Whether it runs networks of a model package."""
    seconds: float = 0.3
    """What it takes for the orbits of a head on two cores: its share of the progress."""

    def describe(self) -> list[dict[str, Any]]:
        """The parameters for a panel or a help text: name, title, unit, default, minimum, maximum.

        A default of None is the model package's own.
        """
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


def parameter(default: float | None, title: str, unit: str, minimum: float, maximum: float) -> Any:
    """A dataclass field that carries its own description."""
    return field(default=default, metadata={"title": title, "unit": unit, "minimum": minimum, "maximum": maximum})


def split_by_value(ct: sitk.Image, bone: sitk.Image) -> Masks:
    """Divide one bone mask by the image's own values into `cortical` and `thin`, which overlap [3532-2 D.3]."""
    return {name: sitk.And(bone, STRUCTURES[name].holds(ct)) for name in parts_of(BONE)}
