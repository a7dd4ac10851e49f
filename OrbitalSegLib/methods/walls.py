"""Find the place of the wall, then question it: one 3D network, and one of profiles across the wall."""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import Voxels, on_grid
from OrbitalSegLib.methods.by_networks import FULL, ConsensusBone, Limits, check_memory
from OrbitalSegLib.methods.method import NETWORKS, Method, Task
from OrbitalSegLib.methods.parameters import parameter
from OrbitalSegLib.networks import engines, walls
from OrbitalSegLib.networks.consensus import BYTES_AFTERWARDS, BYTES_OF_ENGINE, consensus_grid, shown_grid
from OrbitalSegLib.networks.covered import uncovered
from OrbitalSegLib.networks.sheet import Mixed, Sheet, Shown, evidence_of, mixed, probability, sheet_of
from OrbitalSegLib.networks.walls import ANSWERS, DISTANCE, PLACE, ProfileNetwork, WallPackage
from OrbitalSegLib.preprocessing import WorkingGrid, to_working
from OrbitalSegLib.progress import Progress, span
from OrbitalSegLib.scan import grid_of
from OrbitalSegLib.structures import BONE, CORTICAL, GAP, INFERRED, STRUCTURES, THIN, parts_of

if TYPE_CHECKING:
    from OrbitalSegLib.networks.engines.volumes import VolumeEngine

PART_VOXELS = 7_000_000
"""The 3D network answers a part of the grid at once that shows no more voxels than these ..."""
HALO = 32
"""... so many at each of its sides of which only show where it is."""
STRIDE = 16
"""Parts begin at multiples of this, so that the region does not change how voxels are put together in coarse ones."""

BYTES_OF_ANSWERS = 40
"""What a voxel of the grid takes while it is asked: four answers in 32 bits, and what is made of them."""
BYTES_OF_PART = 150
"""What a voxel of a part with its halo takes within the network (measured; 110 in bf16)."""

THICKNESS, DEVIATION = "wall-thickness", "wall-thickness-deviation"

GAP_PLACE = 0.5
"""A gap is only where a wall belongs with this probability."""


@dataclass(frozen=True)
class WallsParameters:
    """Limits of probability (None is the model package's own)."""

    cortical_above: float | None = parameter(None, "Cortical bone above", "probability", 0, 1)
    thin_above: float | None = parameter(None, "Thin bone above", "probability", 0, 1)
    inferred_above: float | None = parameter(None, "Inferred wall above", "probability", 0, 1)
    gap_above: float | None = parameter(None, "Gap above", "probability", 0, 1)


def run(task: Task, parameters: WallsParameters, progress: Progress) -> ConsensusBone:
    """See `Method`. Raises `InputError` `no-model`, `no-such-model`, `bad-model`, `no-engine` or `too-large`."""
    model = walls.load(task.resources.model)
    limits = limits_of(model, parameters)
    grid = consensus_grid(task.scan, 0.5, task.region.margin_box_mm)
    part = task.part
    shown = shown_grid(task.scan, grid, STRIDE)
    needed = needed_bytes(shown, part.GetNumberOfPixels())
    check_memory(needed, task.resources)
    engine = engine_of(model, task)
    looked = looked_at(task.scan, model, engine, grid, progress)
    result = ConsensusBone(task.scan, part, grid, looked.fields(), limits, {GAP: STRUCTURES[GAP]})
    result.maps = looked.maps(limits.inferred)
    result.measured = {
        "model": model.describe(),
        "engines": {"volume": {name: getattr(engine, name) for name in ("name", "precision", "device", "threads")}},
        "grid": grid_of(result.bone),
        "places": len(looked.sheet.points_mm),
        "memory_estimated_gb": round(needed / 1e9, 2),
    }
    progress(1.0)
    return result


def limits_of(model: WallPackage, asked: WallsParameters) -> Limits:
    """Every limit that is used. Raises `JobError` `invalid-job`."""
    cortical, thin, gap = (
        own if limit is None else limit
        for limit, own in (
            (asked.cortical_above, model.seen_above),
            (asked.thin_above, model.seen_above),
            (asked.gap_above, model.gap_above),
        )
    )
    inferred = min(model.inferred_above, thin) if asked.inferred_above is None else asked.inferred_above
    if inferred > thin:
        raise JobError("invalid-job", "The limit of inferred wall must not be above that of seen bone.")
    return Limits({CORTICAL: cortical, THIN: thin, GAP: gap}, inferred)


@dataclass(frozen=True)
class Looked:
    """What both networks say of a scan."""

    said: dict[str, sitk.Image]
    """`ANSWERS` of the network of places."""
    sheet: Sheet
    shown: Shown
    """At the places of the sheet, by the network of profiles."""
    both: Mixed
    bare: NDArray
    """The voxels (z, y, x) of what no skin covers."""

    def fields(self) -> dict[str, sitk.Image]:
        """In 8 bits. That of a gap is the probability of no bone where a wall belongs, and none elsewhere; of bone none
        is left where it is `bare`."""
        gap = np.zeros(self.bare.shape, np.float32)
        belongs = self.sheet.place > GAP_PLACE
        gap[tuple(self.sheet.voxels[belongs].T)] = 1 - probability(self.both.logits[belongs])
        bone = {
            name: sitk.GetArrayViewFromImage(image) * ~self.bare
            for name, image in ((CORTICAL, self.both.cortical), (THIN, self.both.thin))
        }
        return {name: _in_8_bits(values, self.both.thin) for name, values in (bone | {GAP: gap}).items()}

    def maps(self, bone_above: float | None) -> dict[str, sitk.Image]:
        """The thickness of walls in mm and how far it is off in the mean, where a wall belongs and bone is as probable
        as that; 0 elsewhere."""
        told = probability(self.both.logits) > (bone_above or 0)
        told &= ~self.bare[tuple(self.sheet.voxels.T)]
        at = tuple(self.sheet.voxels[told].T)
        found = {}
        for name, values in ((THICKNESS, self.shown.thickness_mm), (DEVIATION, self.shown.deviation_mm)):
            field = np.zeros(self.bare.shape, np.float32)
            field[at] = values[told]
            found[name] = on_grid(field, self.both.thin)
        return found


def looked_at(
    scan: sitk.Image, model: WallPackage, engine: "VolumeEngine", grid: WorkingGrid, progress: Progress
) -> Looked:
    """Ask both networks of a working grid of a scan in HU."""
    said = answers_of(scan, engine, grid, shown_grid(scan, grid, STRIDE), span(progress, 0, 0.7))
    sheet = sheet_of(said[PLACE], said[DISTANCE])
    shown = evidence_of(scan, sheet, ProfileNetwork(model.of("profiles")), span(progress, 0.7, 0.95))
    both = mixed(said[CORTICAL], said[THIN], sheet, shown.bone, model.mixture)
    return Looked(said, sheet, shown, both, uncovered(sitk.Maximum(both.cortical, both.thin), scan))


def engine_of(model: WallPackage, task: Task) -> "VolumeEngine":
    """The network of places, ready to run on the processor. Raises `InputError` `no-engine`."""
    asked = task.resources
    if asked.engine == "torch" or asked.device not in ("auto", "cpu"):
        raise InputError(
            "no-engine",
            "The wall networks run in OpenVINO on the processor: choose the device cpu and no other engine.",
        )
    if not find_spec("openvino"):
        raise InputError(
            "no-engine", "The networks need openvino, which is not installed: pip install 'orbitalseg[infer]'."
        )
    from OrbitalSegLib.networks.engines.volumes import VolumeEngine, has_bf16

    precision = engines.precision_of(asked.precision, has_bf16())
    return VolumeEngine(model.channels, model.of("volume"), precision, engines.threads_of(asked.threads))


def answers_of(
    scan: sitk.Image, engine: "VolumeEngine", grid: WorkingGrid, shown: WorkingGrid, progress: Progress
) -> dict[str, sitk.Image]:
    """`ANSWERS` on a grid, 32-bit float: probabilities, and mm. `shown` is what the network may look at."""
    hu = sitk.GetArrayFromImage(to_working(scan, shown))
    found = np.empty((len(ANSWERS), *grid.size[::-1]), np.float32)
    start = [own - first for own, first in zip(grid.low[::-1], shown.low[::-1], strict=True)]
    parts = list(_parts(grid.size[::-1], start, hu.shape))
    for number, (seen, core, place) in enumerate(parts):
        found[(slice(None), *place)] = engine.answers(hu[seen])[(slice(None), *core)]
        progress((number + 1) / len(parts))
    return {
        name: grid.image(values if name == DISTANCE else probability(values))
        for name, values in zip(ANSWERS, found, strict=True)
    }


def needed_bytes(shown: WorkingGrid, scan_voxels: int) -> int:
    """The memory that is taken at most."""
    part = min(shown.voxels, PART_VOXELS)
    afterwards = max(shown.voxels, scan_voxels) * BYTES_AFTERWARDS
    return BYTES_OF_ENGINE + max(shown.voxels * BYTES_OF_ANSWERS + part * BYTES_OF_PART, afterwards)


def _parts(size: tuple[int, ...], start: list[int], whole: tuple[int, ...]) -> list[tuple[Voxels, Voxels, Voxels]]:
    """What the network sees of the shown voxels, which part of its answers counts, and where that lies in the grid.

    As few parts as may be: what lies in several halos is answered several times.
    """
    cuts = [1, 1, 1]
    while True:
        spans = [_spans(*axis, count) for axis, count in zip(zip(size, start, whole, strict=True), cuts, strict=True)]
        longest = [max(seen.stop - seen.start for seen, _, _ in axis) for axis in spans]
        if np.prod(longest) <= PART_VOXELS or max(longest) <= 4 * HALO:
            break
        cuts[int(np.argmax(longest))] += 1
    parts = (zip(*axes, strict=True) for axes in product(*spans))
    return [(tuple(seen), tuple(core), tuple(place)) for seen, core, place in parts]


def _spans(length: int, offset: int, most: int, count: int) -> list[tuple[slice, slice, slice]]:
    """Of one axis."""
    ends = [round(length * number / count) for number in range(count + 1)]
    found = []
    for low, high in pairwise(ends):
        begin, end = max(low + offset - HALO, 0) // STRIDE * STRIDE, min(high + offset + HALO, most)
        found.append((slice(begin, end), slice(low + offset - begin, high + offset - begin), slice(low, high)))
    return found


def _in_8_bits(values: NDArray, grid: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(np.rint(values * FULL).astype(np.uint8))
    image.CopyInformation(grid)
    return image


WALLS = Method(
    "walls",
    "Place of the wall, then evidence, 3D",
    "OrbitalSeg, docs/model/walls.md",
    WallsParameters,
    run,
    family=NETWORKS,
    structures=(BONE, *parts_of(BONE), INFERRED, GAP),
    networks=("volume", "profiles"),
    package_of=walls.load,
    seconds=4.0,
)
