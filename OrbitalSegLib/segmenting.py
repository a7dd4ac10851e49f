"""A scan in, its bone out, in memory: region, table A.1, method, repair and monitoring, in this order."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import SimpleITK as sitk

from OrbitalSegLib import acquisition, monitoring
from OrbitalSegLib.acquisition import Condition, Feasibility
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.locating.place import AskedOrbit, Place, check_side, name_of, place_of
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS, Method
from OrbitalSegLib.methods.method import Masks, Resources, Segmented, Task
from OrbitalSegLib.modelling.field import BoneField, agreeing
from OrbitalSegLib.monitoring import measures
from OrbitalSegLib.networks.consensus import BYTES_AFTERWARDS
from OrbitalSegLib.networks.resources import limit_bytes
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.preprocessing import to_working
from OrbitalSegLib.progress import Progress, Steps, StepTaken, Warn, span, step_of, unheard
from OrbitalSegLib.region import Region
from OrbitalSegLib.repairing import repair
from OrbitalSegLib.result_grid import GridChoice, asked_grid, is_finer
from OrbitalSegLib.scan import Scan
from OrbitalSegLib.structures import BONE

EXAMINE_SHARES = {"locating": 1.5, "acquisition": 0.5}
"""Seconds of each step of `examine` on a head of 512 x 512 x 140 voxels, by benchmarks/main_job.py."""

FIND_SHARES = {"postprocessing": 2.5, "monitoring": 1.5}

KEPT_SECONDS = 0.3
"""To read the probabilities that a result kept, and to threshold them."""


@dataclass(frozen=True)
class First:
    """The method that runs first, where one takes what another finds [3532-1 6.3]."""

    method: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What decides a segmentation, besides the scan."""

    method: str = DEFAULT_METHOD
    """A name in the table of methods."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Of the method."""
    region: Region | AskedOrbit = "auto"
    postprocess: PostprocessingParameters | None = field(default_factory=PostprocessingParameters)
    """None leaves the bone alone."""
    resources: Resources = field(default_factory=Resources)
    grid: GridChoice = "auto"
    """Of the result."""
    first: First | None = None
    """Whose bone the method begins at, or alone looks in (`Method.begins`)."""

    @property
    def before(self) -> "Wish | None":
        """What runs first, if anything does."""
        if self.first is None:
            return None
        return Wish(self.first.method, self.first.parameters, self.region, resources=self.resources)

    @property
    def chosen(self) -> Method:
        """The method that is named. Raises `JobError` `unknown-method`."""
        if self.method not in METHODS:
            raise JobError("unknown-method", f"There is no method {self.method}; there are: {', '.join(METHODS)}.")
        return METHODS[self.method]

    def understood(self) -> Any:
        """The method's parameters. Raises `JobError` `unknown-parameter`, `unknown-method` or `invalid-job`."""
        if self.before is not None:
            self.before.understood()
            if not self.chosen.begins:
                takers = ", ".join(one.name for one in METHODS.values() if one.begins)
                raise JobError(
                    "invalid-job",
                    f"{self.chosen.title} takes nothing from another method; those that do are: {takers}.",
                )
        made = self.chosen.make_parameters(self.parameters)
        self.chosen.check_given(self.parameters)
        return made


def shares(wish: Wish, *, kept: bool = False) -> dict[str, float]:
    """The seconds of each step of `segment`; `kept` where networks do not run again."""
    seconds = wish.chosen.seconds + (wish.before.chosen.seconds if wish.before else 0.0)
    return {**EXAMINE_SHARES, "segmenting": KEPT_SECONDS if kept else seconds, **FIND_SHARES}


@dataclass(frozen=True)
class Examined:
    """A scan, the region in it, and what table A.1 says of that."""

    scan: Scan
    place: Place
    conditions: list[Condition]
    feasibility: Feasibility
    steps: list[StepTaken]


def examine(scan: Scan, wanted: Region | AskedOrbit, steps: Steps, warn: Warn = unheard) -> Examined:
    """Find the region in a scan and hold it against table A.1 [3532-2 A]. Raises `InputError` `no-orbit`."""
    taken: list[StepTaken] = []
    check_side(wanted, sides_known=all(code != "orientation-unknown" for code, _ in scan.warnings))
    with step_of(taken, "locating", {"region": name_of(wanted)}) as measured:
        place = place_of(scan.image, wanted, steps.step("locating"), warn)
        measured |= place.measured
    with step_of(taken, "acquisition"):
        conditions, feasibility = acquisition.check(scan, place.monitored)
        if feasibility.thin_walls != "feasible":
            warn("thin-walls", feasibility.sentence)
        steps.step("acquisition")(1.0)
    return Examined(scan, place, conditions, feasibility, taken)


@dataclass(frozen=True)
class Segmentation:
    """The bone of a scan."""

    examined: Examined
    segmented: Segmented
    """What the method gave, before anything was repaired or cut."""
    own: Masks
    """The masks on the method's own grid, cut to the region."""
    masks: Masks
    """The masks on the result grid, cut to the region: unsigned 8 bits, 0 or 1."""
    monitoring: dict[str, Any]
    """The verdict [3532-2 12], as the record has it."""
    steps: list[StepTaken]
    """What was done after the scan was examined, in order."""

    method: Method

    @property
    def scan(self) -> Scan:
        return self.examined.scan

    @property
    def place(self) -> Place:
        return self.examined.place

    def field(self, name: str) -> BoneField:
        """What the surface of one structure is made of."""
        fraction = agreeing(self.segmented.fraction(name, self.own), self.own[name])
        return BoneField(self.own[name], fraction, self.segmented.fraction_source)


def segment(
    scan: Scan,
    wish: Wish,
    steps: Steps,
    warn: Warn = unheard,
    kept: Callable[[Task], Segmented] | None = None,
) -> Segmentation:
    """Find the bone of a scan. `kept` gives what the method would find, where that need not run.

    Raises `InputError` `slice-gap`, `no-orbit`, `region-outside` or `empty-result`, and what the method raises.
    """
    method, parameters = wish.chosen, wish.understood()
    examined = examine(scan, wish.region, steps, warn)
    region = examined.place.region
    taken: list[StepTaken] = []
    region.check_gaps(scan)
    _check_grid(scan.image, region, wish)
    asked = {"method": method.name, **method.recorded(parameters)}
    with step_of(taken, "segmenting", asked) as measured:
        progress, task = steps.step("segmenting"), Task(scan.image, region, wish.resources)
        segmented = kept(task) if kept else run_method(task, wish, progress)
        asked |= segmented.parameters | ({"from": wish.first.method} if wish.first else {})
        measured |= {**segmented.measured, "bone_with_margin_ml": volume_ml(segmented.bone)}
    repaired = segmented.bone
    if wish.postprocess is not None and segmented.has_bone:
        with step_of(taken, "postprocessing", asdict(wish.postprocess)) as measured:
            repaired, measured["steps"] = repair(segmented, wish.postprocess, steps.step("postprocessing"), warn)
            measured["counted_in"] = "scan" if region.box_mm is None else "region and margin"
    cut = cut_to(segmented, repaired, region, scan.image, wish.grid)
    if not any(volume_ml(mask) for mask in ([cut.masks[BONE]] if segmented.has_bone else cut.masks.values())):
        what = "No bone" if segmented.has_bone else "Nothing"
        raise InputError(
            "empty-result",
            f"{what} was found: widen the region or lower the limit, and check that the scan shows a head.",
        )
    with step_of(taken, "monitoring") as measured:
        judged, figures = _judged(method, examined, segmented, cut.own.get(BONE), cut.bone_on_scan)
        measured |= figures
        steps.step("monitoring")(1.0)
    return Segmentation(examined, segmented, cut.own, cut.masks, judged, taken, method)


def run_method(task: Task, wish: Wish, progress: Progress) -> Segmented:
    """What the method of a wish finds, after the one that it takes its beginning from. Raises what they raise."""
    method, parameters, before = wish.chosen, wish.understood(), wish.before
    if before is None:
        return method.run(task, parameters, progress)
    first = before.chosen
    share = first.seconds / (first.seconds + method.seconds)
    earlier = first.run(task, before.understood(), span(progress, 0.0, share))
    if not earlier.has_bone:
        raise JobError("invalid-job", f"{first.title} finds no bone to begin at: take another method first.")
    start = earlier.on_scan(earlier.classes(earlier.bone))[BONE]
    progress(share)
    return method.run(replace(task, start=start), parameters, span(progress, share, 1.0))


def _check_grid(scan: sitk.Image, region: Region, wish: Wish) -> None:
    """Whether there is memory for a grid that was asked for. Raises `InputError` `too-large`."""
    if isinstance(wish.grid, str):
        return
    needed = asked_grid(scan, wish.grid, region).voxels * BYTES_AFTERWARDS
    allowed = limit_bytes(wish.resources.memory_gb)
    if needed > allowed:
        raise InputError(
            "too-large",
            f"A grid of {wish.grid:g} mm needs about {needed / 1e9:.1f} GB of memory for this region and may use "
            f"{allowed / 1e9:.1f}: ask for a coarser grid or a smaller region, or allow more.",
        )


@dataclass(frozen=True)
class Cut:
    """The masks of repaired bone, cut to the region."""

    own: Masks
    """On the method's own grid."""
    bone_on_scan: sitk.Image | None
    """The bone, if there is any, on the scan grid, where monitoring looks at it."""
    masks: Masks
    """On the result grid."""


def cut_to(segmented: Segmented, repaired: sitk.Image, region: Region, scan: sitk.Image, grid: GridChoice) -> Cut:
    """What is left of repaired bone in the region."""
    own, masks = segmented.classes(repaired), {}
    inside = region.within(next(iter(own.values())))
    within = own if region.box_mm is None else {name: mask * inside for name, mask in own.items()}
    if not isinstance(grid, str):
        asked = segmented.on(own, to_working(scan, asked_grid(scan, grid, region)))
        shown = region.within(next(iter(asked.values())))
        masks = {name: region.inner_part(mask * shown) for name, mask in asked.items()}
    elif grid == "auto" and is_finer(inside, scan):
        masks = {name: region.inner_part(mask) for name, mask in within.items()}
    if grid != "scan" and masks:
        bone = region.cut(segmented.bone_on_scan(own), scan) if segmented.has_bone else None
        return Cut(within, bone, masks)
    on_scan = {name: region.cut(mask, scan) for name, mask in segmented.on_scan(own).items()}
    return Cut(within, on_scan.get(BONE), on_scan)


def _judged(
    method: Method, examined: Examined, segmented: Segmented, own: sitk.Image | None, bone: sitk.Image | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Input and output held against what this method was measured on [3532-2 12]: the verdict, and the figures.

    Figures of the output are those of bone, and so is one of the input; a result without bone has none of them.
    """
    scan, place = examined.scan, examined.place
    within = place.monitored
    if own is None or bone is None:
        figures = measures.of_input(scan.image, within, None)
    else:
        if within != place.region:
            bone, own = within.cut(bone, scan.image), within.cut(own, own)
        figures = measures.of_input(scan.image, within, bone)
        figures |= measures.of_output(bone, own, segmented.probabilities, measures.whole(place.orbits))
    run = monitoring.Run(
        method=method.name,
        needs_model=method.needs_model,
        model=segmented.measured.get("model"),
        conditions=examined.conditions,
        feasibility=examined.feasibility,
        orbits={orbit.side: orbit.status for orbit in place.orbits},
        measures=figures,
        warnings=scan.warnings,
        has_bone=segmented.has_bone,
    )
    return monitoring.judge(run), figures
