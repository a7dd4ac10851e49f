"""The one shape that every segmentation method has."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import SimpleITK as sitk

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.fraction import fraction_of_ct
from OrbitalSegLib.methods.parameters import ABOVE, LimitsOf, PointsOf, kind_of
from OrbitalSegLib.networks.package import load_package
from OrbitalSegLib.progress import Progress
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import HIGHEST_HU
from OrbitalSegLib.structures import BONE, INFERRED, STRUCTURES, Code, Structure, parts_of

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
    start: sitk.Image | None = None
    """The bone that another method found, a mask on the grid of `part`: where this one begins, or where bone may be."""

    @property
    def part(self) -> sitk.Image:
        """The CT cut to region and margin."""
        return self.region.working_part(self.scan)

    def allowed(self, bone: sitk.Image) -> sitk.Image:
        """A mask on the grid of `part`, without what the method that ran first left out."""
        return bone if self.start is None else bone & self.start


class Segmented(Protocol):
    """What a method gives: bone on a grid of its own, and how to bring it to the scan once it has been repaired."""

    bone: sitk.Image
    """Seen bone, a mask on the method's own grid; empty where the method looks for none."""
    probabilities: dict[str, sitk.Image]
    """By field, on the method's own grid: unsigned 8 bits, value / 255."""
    maps: dict[str, sitk.Image]
    """What it measures beside bone, by name, on the method's own grid, 32-bit float."""
    parameters: dict[str, Any]
    """Those in use: the defaults too, and what a model package says."""
    measured: dict[str, Any]
    """For the record."""
    has_bone: bool
    """Whether it looks for bone: of what is none, nothing is repaired, and nothing is held against limits of bone."""
    structures: dict[str, Structure]
    """What it gives that the library's table does not have, or has otherwise, by name."""
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

    def bone_on_scan(self, masks: Masks) -> sitk.Image:
        """Of this the bone alone, for less time."""

    def on(self, masks: Masks, ct: sitk.Image) -> Masks:
        """The same on another grid along the scan's axes, on which `ct` is the scan in HU."""

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
    parameters: dict[str, Any]
    lower_hu: float | None = None
    """Where bone ends; of a method that does not say so only the mask tells."""
    upper_hu: float = HIGHEST_HU
    """What is above it is no bone."""
    probabilities: dict[str, sitk.Image] = field(default_factory=dict)
    maps: dict[str, sitk.Image] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    has_bone: bool = True
    structures: dict[str, Structure] = field(default_factory=dict)
    tile_size: int | None = None
    joint: sitk.Image | None = None

    def classes(self, bone: sitk.Image) -> Masks:
        return {BONE: bone, **split_by_value(self.ct, bone)}

    def on_scan(self, masks: Masks) -> Masks:
        return masks

    def bone_on_scan(self, masks: Masks) -> sitk.Image:
        return masks[BONE]

    def on(self, masks: Masks, ct: sitk.Image) -> Masks:
        """Each voxel takes what the scan's voxel around its centre holds."""
        return {
            name: sitk.Resample(mask, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0) for name, mask in masks.items()
        }

    @property
    def fraction_source(self) -> str:
        return "mask" if self.lower_hu is None else "CT"

    def fraction(self, name: str, masks: Masks) -> sitk.Image:
        if self.lower_hu is None:
            return sitk.Cast(masks[name], sitk.sitkFloat32)
        part = STRUCTURES[name]
        lower_hu = self.lower_hu if part.above_hu is None else max(self.lower_hu, part.above_hu)
        upper_hu = self.upper_hu if part.below_hu is None else min(self.upper_hu, part.below_hu)
        return fraction_of_ct(self.ct, lower_hu, upper_hu if upper_hu < HIGHEST_HU else None)


FAMILIES: dict[str, Code] = {
    meaning: (value, "DCM", meaning)
    for value, meaning in (
        ("123101", "Neighborhood Analysis"),
        ("123102", "Adaptive Filtering"),
        ("123103", "Edge Detection"),
        ("123104", "Morphological Operations"),
        ("123105", "Histogram Analysis"),
        ("123106", "Multi-Scale/Resolution Filtering"),
        ("123107", "Cluster Analysis"),
        ("123108", "Multispectral Processing"),
        ("123109", "Manual Processing"),
        ("123110", "Artificial Intelligence"),
        ("123111", "Deformable Models"),
    )
}
"""What kind of algorithm a method is, by DICOM's meaning (PS3.16 CID 7162)."""

HISTOGRAM, NETWORKS = "Histogram Analysis", "Artificial Intelligence"
"""Thresholds, whatever they are followed by; and networks."""

Runs = tuple[str, ...] | Literal["all"]
"""Networks of a model package: these, in the order in which they are used, or all that it has."""


@dataclass(frozen=True)
class Method:
    """A way to find structures. `run` raises `OrbitalSegError`.

    This is all that there is to say of a method: command line, panel, record and DICOM are made from it.
    """

    name: str
    title: str
    source: str
    """Where the method is described."""
    parameters: type
    """A frozen dataclass; each field made by `parameter`, `choice`, `flag` or `points`."""
    run: Callable[[Task, Any, Progress], Segmented]
    family: str = HISTOGRAM
    """A key of `FAMILIES`."""
    structures: tuple[str, ...] = (BONE, *parts_of(BONE))
    """What it gives, by name; a model package may bring more."""
    begins: Literal["", "seed", "region"] = ""
    """What another method's bone is to it: where it begins to grow, or where alone bone may be. Empty: takes none."""
    networks: Runs = ()
    """The networks of a model package that it runs."""
    package_of: Callable[[str | Path | None], Any] = load_package
    """Reads the model package of a name or folder that it needs."""
    seconds: float = 0.3
    """What it takes for the orbits of a head on two cores: its share of the progress."""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"{self.family} is none of DICOM's families of algorithms: {', '.join(FAMILIES)}.")

    @property
    def has_bone(self) -> bool:
        """Whether it finds bone, of all that it can find without a model package."""
        return BONE in self.structures

    @property
    def infers(self) -> bool:
        """Whether it gives inferred wall."""
        return INFERRED in self.structures

    @property
    def needs_model(self) -> bool:
        """Whether it runs networks of a model package."""
        return bool(self.networks)

    def describe(self) -> list[dict[str, Any]]:
        """The parameters for a panel or a help text: name, kind, title, default, and what the kind says of itself.

        A default of None is the model package's own.
        """
        return [
            {
                "name": f"CLASS{ABOVE}" if isinstance(kind_of(one), LimitsOf) else one.name,
                "kind": kind_of(one).name,
                "title": kind_of(one).title,
                "default": None if isinstance(kind_of(one), LimitsOf) else one.default,
                **kind_of(one).describe(),
            }
            for one in fields(self.parameters)
        ]

    def make_parameters(self, values: dict[str, Any]) -> Any:
        """The parameters from a job. Raises `JobError` `unknown-parameter` or `invalid-job`."""
        found: dict[str, Any] = {}
        for name, value in values.items():
            place = self._field(name)
            read = kind_of(place).read(name, value)
            if place.name == name:
                found[name] = read
            else:
                found.setdefault(place.name, {})[name.removesuffix(ABOVE)] = read
        return self.parameters(**found)

    def check_given(self, values: Mapping[str, Any]) -> None:
        """Whether a job gives the points that the method cannot do without. Raises `JobError` `invalid-job`."""
        for one in fields(self.parameters):
            if one.name not in values and isinstance(kind_of(one), PointsOf):
                kind_of(one).read(one.name, one.default)

    def parse(self, words: Mapping[str, str]) -> dict[str, Any]:
        """The parameters of a job from the words of a command line, by name. Raises as `make_parameters`."""
        return {name: kind_of(self._field(name)).parse(name, text) for name, text in words.items()}

    def recorded(self, parameters: Any) -> dict[str, Any]:
        """The parameters as a record has them, but `LimitsOf`: what was found has all of those."""
        known = (one for one in fields(self.parameters) if not isinstance(kind_of(one), LimitsOf))
        return {one.name: getattr(parameters, one.name) for one in known}

    def _field(self, name: str) -> "Field[Any]":
        """The field of the parameters that holds a parameter of this name."""
        of = {one.name: one for one in fields(self.parameters) if not isinstance(kind_of(one), LimitsOf)}
        if name in of:
            return of[name]
        for one in fields(self.parameters):
            if isinstance(kind_of(one), LimitsOf) and name.endswith(ABOVE):
                return one
        known = ", ".join(item["name"] for item in self.describe()) or "none"
        raise JobError("unknown-parameter", f"{self.title} has no parameter {name}; it has: {known}.")


def split_by_value(ct: sitk.Image, bone: sitk.Image) -> Masks:
    """Divide one bone mask by the image's own values into `cortical` and `thin`, which overlap [3532-2 D.3]."""
    return {name: sitk.And(bone, STRUCTURES[name].holds(ct)) for name in parts_of(BONE)}
