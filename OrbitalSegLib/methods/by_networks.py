"""What the methods with networks share: tri-planar consensus in, bone that is seen and wall that is inferred out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from OrbitalSegLib import crf
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.images import mask_array, mask_on_grid
from OrbitalSegLib.methods.fraction import fraction_of_ct, fraction_of_probability
from OrbitalSegLib.methods.method import (
    Masks,
    Resources,
    Runs,
    Segmented,
    Task,
    split_by_value,
)
from OrbitalSegLib.methods.parameters import ABOVE, parameter
from OrbitalSegLib.networks import engines, package
from OrbitalSegLib.networks.consensus import (
    IDENTITY,
    TILE,
    consensus_grid,
    needed_bytes,
    shown_grid,
    triplanar,
)
from OrbitalSegLib.networks.engines import Engine
from OrbitalSegLib.networks.package import Network, Package
from OrbitalSegLib.networks.resources import limit_bytes
from OrbitalSegLib.postprocessing import PostprocessingParameters, dilated, keep_touching, postprocess
from OrbitalSegLib.preprocessing import (
    BYTES_OF_DENOISED,
    WINDOW_HU,
    WorkingGrid,
    denoised,
    from_working,
    to_working,
    walls_through,
)
from OrbitalSegLib.progress import Progress, span
from OrbitalSegLib.scan import grid_of
from OrbitalSegLib.structures import BONE, INFERRED, STRUCTURES, THIN, Structure, described

FULL = 255
"""The 8-bit value of a probability of 1."""

INFERRED_MINIMUM_ML = 0.004
"""Smaller pieces of inferred wall are dropped: 8 mm² of a wall of 0.5 mm."""

THICKEST_SHEET = 3
"""Voxels: what is no thicker along an axis, with neither bone nor more of it on either side, is a sheet."""


@dataclass(frozen=True)
class Limits:
    """Above which probability bone is seen, by network, and wall inferred, by the last of them (None: it is not)."""

    seen: dict[str, float]
    inferred: float | None


class ConsensusBone(Segmented):
    """Bone where the probability of any class that is seen bone is above its limit, on the working grid; and other
    structures where theirs is.

    What repair removes has no probability in any network, and what it fills has the full one in the last: so the
    repaired bone is brought to the scan as probabilities, and thresholded there.
    """

    def __init__(
        self,
        scan: sitk.Image,
        part: sitk.Image,
        grid: WorkingGrid,
        probabilities: dict[str, sitk.Image],
        limits: Limits,
        structures: Mapping[str, Structure] | None = None,
    ) -> None:
        """Probabilities and limits go by field: the network, or of one that tells several classes the class.

        `structures` says what each is, where the library's table does not.
        """
        self._scan = scan
        self._part = part
        self._grid = grid
        self._limits = limits
        known = {name: described(name) for name in limits.seen} | dict(structures or {})
        self._of = {name: known[name] for name in limits.seen}
        self._bones = [name for name, one in self._of.items() if one.kind == "seen"]
        self.has_bone = bool(self._bones)
        self._others = {one.name: name for name, one in self._of.items() if one.kind != "seen"}
        self._last = self._bones[-1] if self._bones else ""
        self.probabilities = probabilities
        """Before anything was done to them."""
        self.parameters: dict[str, Any] = {f"{name}{ABOVE}": limit for name, limit in limits.seen.items()}
        self.parameters |= {} if limits.inferred is None else {"inferred_above": limits.inferred}
        self.measured: dict[str, Any] = {}
        self.maps: dict[str, sitk.Image] = {}
        self.structures = {one.name: one for one in self._of.values() if one != STRUCTURES.get(one.name)}
        self.tile_size = TILE
        first = next(iter(probabilities.values()))
        self._fields = self._chosen(probabilities)
        self.bone = self._seen(self._fields.__getitem__)[BONE] if self._bones else 0 * first

    def _chosen(self, probabilities: dict[str, sitk.Image]) -> dict[str, sitk.Image]:
        """The probabilities, none where a class has objects that it is not to keep, and full where holes in those that
        it keeps are filled [Ekman]."""
        if all(one.keep_largest is None and one.touches is None for one in self._of.values()):
            return probabilities
        masks = {name: self._above_limit(name, field) for name, field in probabilities.items()}
        kept = dict(masks)
        for name, one in self._of.items():
            if one.keep_largest is not None:
                kept[name] = postprocess(masks[name], self.ct, PostprocessingParameters(keep_largest=one.keep_largest))[
                    0
                ]
        for name, one in self._of.items():
            if one.touches is not None:
                other = next(field for field, touched in self._of.items() if touched.name == one.touches)
                kept[name] = keep_touching(kept[name], kept[other])[0]
        return {
            name: field if kept[name] is masks[name] else self._redone(field, masks[name], kept[name])
            for name, field in probabilities.items()
        }

    def _redone(self, field: sitk.Image, before: sitk.Image, after: sitk.Image) -> sitk.Image:
        """A probability as it would be had it given another mask."""
        was, now, array = mask_array(before), mask_array(after), sitk.GetArrayFromImage(field)
        array[was & ~now] = 0
        array[now & ~was] = FULL
        return self._grid.image(array)

    @cached_property
    def ct(self) -> sitk.Image:
        return to_working(self._scan, self._grid)

    def classes(self, bone: sitk.Image) -> Masks:
        """See `Segmented`. An inferred wall hangs together with seen bone."""
        others = {one: self._above_limit(name, self._fields[name]) for one, name in self._others.items()}
        if not self._bones:
            return others
        seen = self._seen(lambda name: self._edited(name, bone))
        return self._classes(seen, self.ct) | {INFERRED: self._inferred(bone)} | others

    def on_scan(self, masks: Masks) -> Masks:
        """See `Segmented`."""
        return self.on(masks, self._part)

    def bone_on_scan(self, masks: Masks) -> sitk.Image:
        """See `Segmented`."""
        return self._seen_on(masks, self._part)[BONE]

    def on(self, masks: Masks, ct: sitk.Image) -> Masks:
        """See `Segmented`: probabilities are brought to the grid, and thresholded there."""
        others = {
            one: self._above_limit(name, from_working(self._fields[name], ct)) for one, name in self._others.items()
        }
        return self._bone_on(masks, ct) | others if self._bones else others

    def _seen_on(self, masks: Masks, ct: sitk.Image) -> Masks:
        seen = self._seen(lambda name: from_working(self._edited(name, masks[BONE]), ct))
        return with_walls(seen, masks[BONE])

    def _bone_on(self, masks: Masks, ct: sitk.Image) -> Masks:
        found = self._classes(self._seen_on(masks, ct), ct)
        limit = self._limits.inferred
        if limit is None:
            return found | {INFERRED: 0 * found[BONE]}
        field = from_working(self._field_of_inferred(masks, limit), ct)
        wall = mask_on_grid(_above(field, limit), ct) | walls_through(masks[BONE] | masks[INFERRED], ct)
        return found | {INFERRED: wall & (1 - found[BONE])}

    @property
    def fraction_source(self) -> str:
        return "probability"

    def fraction(self, name: str, masks: Masks) -> sitk.Image:
        """See `Segmented`. Of bone that any network sees it is the highest of theirs."""
        if name == INFERRED and self._limits.inferred is not None:
            return fraction_of_probability(self._field_of_inferred(masks, self._limits.inferred), self._limits.inferred)
        if name in self._others:
            field = self._others[name]
            return fraction_of_probability(self._fields[field], self._limits.seen[field])
        own = [field for field in self._bones if self._of[field].name == name != BONE]
        fractions = (
            fraction_of_probability(self._edited(field, masks[BONE]), self._limits.seen[field])
            for field in own or self._bones
        )
        found = reduce(sitk.Maximum, fractions)
        if own:
            return found
        part = STRUCTURES[name]
        if part.above_hu is not None:
            found = sitk.Minimum(found, fraction_of_ct(self.ct, part.above_hu))
        if part.below_hu is not None:
            found = sitk.Minimum(found, 1 - fraction_of_ct(self.ct, part.below_hu))
        return found

    def _seen(self, field_of: Callable[[str], sitk.Image]) -> Masks:
        """All bone and the bone of each class, by its probability; one at a time, for they are large."""
        found = {self._of[name].name: self._above_limit(name, field_of(name)) for name in self._bones}
        return {BONE: reduce(sitk.Or, found.values())} | {name: one for name, one in found.items() if name != BONE}

    def _above_limit(self, name: str, field: sitk.Image) -> sitk.Image:
        return mask_on_grid(_above(field, self._limits.seen[name]), field)

    def _classes(self, seen: Masks, ct: sitk.Image) -> Masks:
        """The networks' own classes, or those by value where they have none."""
        return seen if THIN in seen else seen | split_by_value(ct, seen[BONE])

    def _edited(self, name: str, bone: sitk.Image) -> sitk.Image:
        """A network's probability as it would be had all of them given this bone."""
        before, after = mask_array(self.bone), mask_array(bone)
        field = sitk.GetArrayFromImage(self._fields[name])
        field[before & ~after] = 0
        if name == self._last:
            field[after & ~before] = FULL
        return self._grid.image(field)

    @cached_property
    def joint(self) -> sitk.Image | None:
        """See `Segmented`: the wall that would be inferred of bone as it was found."""
        return None if self._limits.inferred is None else self._wall(self.bone, self._limits.inferred)

    def _inferred(self, bone: sitk.Image) -> sitk.Image:
        if self._limits.inferred is None:
            return 0 * bone
        return keep_touching(self._wall(bone, self._limits.inferred), bone)[0]

    def _wall(self, bone: sitk.Image, limit: float) -> sitk.Image:
        """What is above the limit of inferred wall and neither bone nor the blurred edge of it, in pieces of some size.

        It reaches beyond the voxels next to bone, or it is a sheet: the rim of a thin wall, a gap in one.
        """
        seen = mask_array(bone)
        candidates = _above(self._fields[self._last], limit) & ~seen
        wall = beyond_edges(candidates, seen) | sheets(candidates, ~(candidates | seen))
        image = self._grid.image(wall.astype(np.uint8))
        large = PostprocessingParameters(fill_objects=False, minimum_object_ml=INFERRED_MINIMUM_ML)
        return postprocess(image, image, large)[0]

    def _field_of_inferred(self, masks: Masks, limit: float) -> sitk.Image:
        """The probability of the network that infers, and none where it is above the limit but no wall was inferred.

        Seen bone keeps its own at the joint, so that interpolation makes no gap there.
        """
        wall, bone = mask_array(masks[INFERRED]), mask_array(masks[BONE])
        field = sitk.GetArrayFromImage(self._fields[self._last])
        field[(field > limit * FULL) & ~wall & ~(bone & dilated(wall))] = 0
        return self._grid.image(field)


def with_walls(seen: Masks, bone: sitk.Image) -> Masks:
    """Masks on the scan's grid with the walls that it is too coarse for: `bone` is on the working grid. Where the
    networks tell thin bone from cortical, they are thin."""
    walls = walls_through(bone, seen[BONE])
    return seen | {name: seen[name] | walls for name in (BONE, THIN) if name in seen}


def denoise_parameter() -> Any:
    """Of every method with networks; see `denoised`. Off: no gain is proven (docs/inference.md)."""
    return parameter(0.0, "Denoise, edges from", "HU", 0, 500)


def crf_parameter() -> Any:
    """Of every method with networks; see `crf.refine`. Off: it measures no better (docs/inference.md)."""
    return parameter(0.0, "Random field", "logit", 0, 10)


def segment(
    task: Task,
    networks: Runs,
    above: Mapping[str, float | None],
    inferred: float | None,
    progress: Progress,
    *,
    denoise_hu: float = 0.0,
    crf_weight: float = 0.0,
) -> ConsensusBone:
    """Run networks of a model package with these limits, by field; None, or none, is the package's own.

    Raises `InputError` `no-model`, `no-such-model`, `bad-model`, `no-engine`, `too-large` or `region-outside`, and
    `JobError` `unknown-parameter` or `invalid-job` for limits of what is not there, or that contradict each other.
    """
    asked = task.resources
    part = task.part
    model = package.load_package(asked.model)
    used = _networks(model, networks)
    of = {field: network for network in used.values() for field in network.fields}
    limits = _limits(of, above, inferred)
    grid = consensus_grid(task.scan, model.spacing_mm, task.region.margin_box_mm)
    channels = [network.channels for network in used.values()]
    needed = needed_bytes(grid, channels, part.GetNumberOfPixels(), len(of) - len(used))
    needed += BYTES_OF_DENOISED * task.scan.GetNumberOfPixels() if denoise_hu else 0
    check_memory(needed, asked)
    running = {name: _engine(model, name, asked) for name in used}
    begin, end = 0.1 if denoise_hu else 0.0, 0.9 if crf_weight else 1.0
    scan = denoised(task.scan, denoise_hu, shown_grid(task.scan, grid), span(progress, 0, begin))
    found = triplanar(
        scan,
        running,
        grid,
        model.planes,
        fields={name: network.fields for name, network in used.items()},
        tables={field: _in_8_bits(network) for field, network in of.items()},
        quantised=model.quantised,
        progress=span(progress, begin, end),
    )
    structures = {field: one for network in used.values() for field, one in network.named}
    result = ConsensusBone(task.scan, part, grid, found.probabilities, limits, structures)
    if crf_weight:
        said, share = {}, (1 - end) / len(of)
        for name, image in found.probabilities.items():
            own = span(progress, end, end + share)
            said[name] = crf.refine(image, result.ct, limits.seen[name], crf_weight, own)
            end += share
        result = ConsensusBone(task.scan, part, grid, said, limits, structures)
    result.measured = {
        "model": model.describe(),
        "engines": {name: _described(engine) for name, engine in running.items()},
        "planes": list(model.planes),
        "grid": grid_of(result.bone),
        "slices": found.slices,
        "slices_of_air": found.skipped,
        "memory_estimated_gb": round(needed / 1e9, 2),
    }
    return result


def _networks(model: Package, wanted: Runs) -> dict[str, Network]:
    """The networks of a package that a method runs. Raises `InputError` `bad-model`."""
    if model.window_hu != WINDOW_HU:
        raise package.bad_model("The model package was made for another window than [-200, 300] HU")
    if wanted == "all":
        return model.networks
    for name in wanted:
        if name not in model.networks:
            known = ", ".join(model.networks)
            raise InputError(
                "bad-model",
                f"The model package has no network `{name}`, which this method needs; it has: {known}. Choose another "
                "package, or the method `packaged`, which runs whatever a package has.",
            )
        if any(one.kind != "seen" for one in model.networks[name].structures):
            raise package.bad_model(f"The network `{name}` of the model package finds what is no bone")
    return {name: model.networks[name] for name in wanted}


def _limits(of: Mapping[str, Network], above: Mapping[str, float | None], inferred: float | None) -> Limits:
    """Every limit that is used, by field: those asked for, and the package's own. Inferred wall goes with the last
    field that is bone."""
    for name in above:
        if name not in of:
            known = ", ".join(f"{field}{ABOVE}" for field in of)
            raise JobError(
                "unknown-parameter", f"The model package has nothing that {name}{ABOVE} limits; it has: {known}."
            )
    asked = {name: above.get(name) for name in of}
    used = {name: of[name].above[name] if limit is None else limit for name, limit in asked.items()}
    bones = [name for name, network in of.items() if dict(network.named)[name].kind == "seen"]
    if not bones:
        if inferred is not None:
            raise JobError("invalid-job", "The model package has no bone, from which wall is inferred: leave it out.")
        return Limits(used, None)
    last = bones[-1]
    if inferred is None:  # who lowers the limit of seen bone need not know this one
        own = of[last].inferred_above
        return Limits(used, None if own is None else min(own, used[last]))
    if inferred > used[last]:
        raise JobError("invalid-job", "The limit of inferred wall must not be above that of seen bone.")
    return Limits(used, inferred)


def check_memory(needed: int, asked: Resources) -> None:
    allowed = limit_bytes(asked.memory_gb)
    if needed > allowed:
        raise InputError(
            "too-large",
            f"The networks need about {needed / 1e9:.1f} GB of memory for this region and may use {allowed / 1e9:.1f}: "
            "choose a smaller region, close other programs, or allow more.",
        )


def _engine(model: Package, name: str, asked: Resources) -> Engine:
    threads = engines.threads_of(asked.threads)
    return engines.choose(model, name, asked.engine, asked.precision, asked.device, threads)


def _described(engine: Engine) -> dict[str, Any]:
    return {name: getattr(engine, name) for name in ("name", "precision", "device", "threads")}


def _in_8_bits(network: Network) -> NDArray[np.uint8]:
    return np.rint(network.calibration.apply(IDENTITY) * FULL).astype(np.uint8)


def _above(field: sitk.Image, limit: float) -> NDArray[np.bool_]:
    return sitk.GetArrayFromImage(field) > limit * FULL


def beyond_edges(candidates: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of the candidates lies at or next to one that is not next to seen bone: no blurred edge of it."""
    return candidates & dilated(candidates & ~dilated(seen))


def sheets(wall: NDArray[np.bool_], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Runs of wall along an axis, of `THICKEST_SHEET` voxels at most, that end in what is free on both sides."""
    found = np.zeros_like(wall)
    for axis in range(3):
        ours, beyond, result = (np.moveaxis(array, axis, 0) for array in (wall, free, found))
        for length in range(1, THICKEST_SHEET + 1):
            count = max(len(ours) - length - 1, 0)
            within = [slice(step, step + count) for step in range(1, length + 1)]
            runs = beyond[:count] & beyond[length + 1 :] if count else beyond[:0]
            for part in within:
                runs = runs & ours[part]
            for part in within:
                result[part] |= runs
    return found
