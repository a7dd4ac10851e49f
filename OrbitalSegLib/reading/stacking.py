"""The slices of one series -> those that belong to one stack: one orientation, one acquisition, true places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from OrbitalSegLib.reading.headers import UNIT_TOLERANCE, Slice, text_of
from OrbitalSegLib.reading.stack import POSITION_TOLERANCE_MM
from OrbitalSegLib.scan import MINIMUM_SLICES

SAME_ANGLE_DEGREES = 0.5
"""Orientations that differ by less are one, written with few decimals; more is another stack."""

SAME_PIXEL_MM = 1e-3
"""Pixel sizes that differ by less are the same but for rounding."""

ROUNDED_TO_MM = {1.0: "whole millimetres", 0.5: "half millimetres", 0.1: "tenths of a millimetre"}
"""What exporters round positions to."""

ROUNDED_BY = 0.6
"""Rounding moves a coordinate by half a unit at most; the line through rounded places is that of the true ones to a
tenth of one."""

IRREGULAR_STEPS = 3
"""Fewer uneven steps are a slice that is missing or doubled; rounding an even stack gives many, evenly spread."""

LEAST_IRREGULAR = 0.06
"""Usual distances, when rounded, put this share of neighbours into one place, or more: fewer are doubled slices."""

SLOPE_BY = 1.5
"""By so many units at most, over its length, can rounding lengthen the line that fits best."""

OVERLAP_SHARE = 1 / 3
"""Parts of which a smaller share lies in the same places are scans from table to table, not two scans of one place."""

HOLE_FACTOR = 1.5
"""Neighbours further apart than this many times the stack's median distance have room for a slice between them."""

MOMENTS = (
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "KVP",
)
"""What tells acquisitions, phases and energies of one series apart, besides the time."""

UNSAID = (np.inf, "")
"""The label of a slice without one."""

TIMES = ("AcquisitionDateTime", "FrameAcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")

Note = tuple[str, str]
"""Code and sentence of a warning."""


@dataclass(frozen=True)
class Stack:
    """Slices that lie parallel, of one acquisition, in the order of their places."""

    slices: tuple[Slice, ...]
    notes: tuple[Note, ...] = ()
    rivals: int = 0
    """Other acquisitions of the same places, of which none is the better one."""
    doubtful: bool = False
    """Its positions were rounded, and nothing says what they were."""
    pieces: tuple[tuple[Slice, ...], ...] = ()
    """The parts that overlap a little and were joined, with those slices that were left out for it."""


def stacks_of(slices: list[Slice]) -> list[Stack]:
    """The stacks that slices of one matrix and kernel make, whatever their order."""
    stacks = []
    for cluster in _parallel(slices):
        aligned, notes = _aligned(cluster)
        parts = _acquisitions(aligned)
        for part in parts:
            others = [other.slices for other in parts if other is not part]
            placed = _placed(part.slices)
            told = [*notes, *placed.notes, *_of_pieces(part)]
            rivals = _rivals(part.slices, others)
            stacks.append(replace(placed, notes=tuple(told), rivals=rivals, pieces=part.pieces))
    return stacks


def in_order(slices: list[Slice]) -> tuple[Slice, ...]:
    return tuple(sorted(slices, key=lambda item: (item.depth_mm, item.identity)))


# ---------------------------------------------------------------------------------------------------------------------
# Orientation and pixel size


def _parallel(slices: list[Slice]) -> Iterator[list[Slice]]:
    """The slices by axes and pixel size, the most frequent first."""
    axes = np.array([(*item.orientation, *item.pixel_mm) for item in slices])
    kinds, which = np.unique(axes, axis=0, return_inverse=True)
    which = which.ravel()
    near = _near(kinds)
    left = np.bincount(which, minlength=len(kinds))
    while left.any():
        middle = int(np.argmax(np.where(left > 0, near @ left, -1)))
        members = near[middle] & (left > 0)
        yield [item for item, kind in zip(slices, which, strict=True) if members[kind]]
        left[members] = 0


def _near(kinds: np.ndarray) -> np.ndarray:
    """(n, n): whether two kinds of axes differ by rounding only."""
    limit = 2 * np.sin(np.radians(SAME_ANGLE_DEGREES) / 2)
    near = np.empty((len(kinds), len(kinds)), bool)
    for index, kind in enumerate(kinds):
        away = kinds - kind
        turned = np.maximum(np.linalg.norm(away[:, :3], axis=1), np.linalg.norm(away[:, 3:6], axis=1))
        near[index] = (turned < limit) & (np.abs(away[:, 6:]).max(axis=1) <= SAME_PIXEL_MM)
    return near


def _aligned(slices: list[Slice]) -> tuple[list[Slice], list[Note]]:
    """The slices with the mean of their axes and pixel sizes, and what has to be said of it."""
    axes = np.array([(*item.orientation, *item.pixel_mm) for item in slices])
    if not np.ptp(axes, axis=0).any():
        return slices, []
    common = axes.mean(axis=0)
    away = np.abs(axes - common).max(axis=0)
    rows, columns = slices[0].matrix
    # How far a header's own axes would put the last voxel of a slice from where it is put now.
    moved_mm = max(
        away[:6].max() * np.hypot(rows * common[7], columns * common[6]), away[6:].max() * max(rows, columns)
    )
    shared = [
        replace(item, orientation=tuple(common[:6].tolist()), pixel_mm=(float(common[6]), float(common[7])))
        for item in slices
    ]
    if moved_mm <= POSITION_TOLERANCE_MM:
        return shared, []
    text = (
        "The slices' orientations or pixel sizes differ a little, as rounding makes them, and were taken as one: "
        f"voxels may lie up to {moved_mm:.1f} mm off."
    )
    return shared, [("rounded-axes", text)]


# ---------------------------------------------------------------------------------------------------------------------
# Acquisitions


@dataclass(frozen=True)
class _Part:
    """Slices of one acquisition, or of several that follow each other."""

    slices: list[Slice]
    pieces: tuple[tuple[Slice, ...], ...] = ()
    """As those of `Stack`."""


def _acquisitions(slices: list[Slice]) -> list[_Part]:
    """The slices by acquisition, where acquisitions share their places; those that follow each other stay together."""
    for told in (*(_by(keyword) for keyword in MOMENTS), _by_time):
        groups = _grouped(slices, told)
        parts = _apart(groups)
        if len(parts) > 1:
            return _joined(groups) or [piece for part in parts for piece in _acquisitions(part)]
    for told in (_by_time, lambda item: item.instance):
        groups = _passes(slices, told)
        parts = _apart(groups)
        if len(parts) > 1:
            return _joined(groups) or [_Part(part) for part in parts]
    return [_Part(slices)]


def _joined(groups: list[list[Slice]]) -> list[_Part]:
    """The one part that acquisitions make which follow each other along the table and overlap a little; else none.

    Where two overlap, the slices of the first along the stack are taken.
    """
    pieces = sorted(map(in_order, groups), key=lambda piece: piece[0].depth_mm)
    if min(map(len, pieces)) < MINIMUM_SLICES or not _scanned_alike(pieces):
        return []
    kept = [*pieces[0]]
    for piece in pieces[1:]:
        distance = float(np.median(np.diff([item.depth_mm for item in piece])))
        behind = [item for item in piece if item.depth_mm > kept[-1].depth_mm + distance / 2]
        double = len(piece) - len(behind)
        if double >= OVERLAP_SHARE * min(len(piece), len(kept)) or not behind:
            return []
        kept += behind
    inner = _acquisitions(kept)
    return [_Part(kept, tuple(pieces))] if len(inner) == 1 and not inner[0].pieces else []


def _scanned_alike(pieces: list[tuple[Slice, ...]]) -> bool:
    """Whether nothing but number and time of acquisition tells pieces apart."""
    return all(len({_by(keyword)(item) for piece in pieces for item in piece}) == 1 for keyword in MOMENTS[2:])


def _of_pieces(part: _Part) -> list[Note]:
    if not part.pieces:
        return []
    double = sum(map(len, part.pieces)) - len(part.slices)
    slices = "1 slice was" if double == 1 else f"{double} slices were"
    text = (
        f"This series holds {len(part.pieces)} parts that overlap a little; {slices} left out where others of another "
        "part lie: look for a step there."
    )
    return [("overlapping-parts", text)]


def _by(keyword: str) -> Callable[[Slice], Any]:
    return lambda item: text_of(item.said(keyword))


def _by_time(item: Slice) -> str:
    return " ".join(text_of(item.said(keyword)) for keyword in TIMES).strip()


def _natural(label: Any) -> tuple[float, str]:
    """A label as it sorts: numbers, however they are written, before text."""
    try:
        number = float(label)
    except ValueError:
        number = np.nan
    return (number, "") if np.isfinite(number) else (np.inf, str(label))


def _grouped(slices: list[Slice], told: Callable[[Slice], Any]) -> list[list[Slice]]:
    """The slices by label; a few without one lie in the largest group."""
    groups: dict[tuple[float, str], list[Slice]] = {}
    for item in slices:
        groups.setdefault(_natural(told(item)), []).append(item)
    silent = groups.get(UNSAID, [])
    if len(silent) < MINIMUM_SLICES and len(groups) > 1:
        groups.pop(UNSAID, None)
        max(groups.values(), key=len).extend(silent)
    return [groups[label] for label in sorted(groups)]


def _passes(slices: list[Slice], told: Callable[[Slice], Any]) -> list[list[Slice]]:
    """The slices in the order of time or number, cut where the table turns back; whole where that says nothing."""
    copies = {item.identity: item for item in slices}
    labels = {identity: _natural(told(item)) for identity, item in copies.items()}
    items = sorted(copies.values(), key=lambda item: labels[item.identity])
    if len(items) < 2 * MINIMUM_SLICES or len({*labels.values()}) < len(items):
        return [slices]
    passes = [[items[0]]]
    direction = 0.0
    for before, item in pairwise(items):
        step = item.depth_mm - before.depth_mm
        if step * direction < 0:
            passes.append([])
            direction = 0.0
        elif step:
            direction = step
        passes[-1].append(item)
    if min(map(len, passes)) < MINIMUM_SLICES:
        return [slices]
    by_pass = {item.identity: index for index, items in enumerate(passes) for item in items}
    return [[item for item in slices if by_pass[item.identity] == index] for index in range(len(passes))]


def _apart(groups: list[list[Slice]]) -> list[list[Slice]]:
    """Groups joined where they follow each other along the stack; those that share places lie in different parts."""
    depths = [np.sort([item.depth_mm for item in group]) for group in groups]
    first, last = (np.array([places[end] for places in depths]) for end in (0, -1))
    joined: list[list[Slice]] = []
    part_of: list[int] = []
    for group, places in zip(groups, depths, strict=True):
        done = len(part_of)  # of a series with an acquisition for each slice, few reach into this one's places
        near = np.flatnonzero((first[:done] <= _beyond(places[-1])) & (_beyond(last[:done]) >= places[0]))
        taken = {part_of[other] for other in near if _share(places, depths[other])}
        index = next(index for index in range(len(joined) + 1) if index not in taken)
        if index == len(joined):
            joined.append([])
        joined[index].extend(group)
        part_of.append(index)
    return joined


def _beyond(depth: Any) -> Any:
    return depth + POSITION_TOLERANCE_MM


def _share(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two groups, by their sorted depths, lie among each other: not one after the other, nor in a hole."""
    if one[0] > other[-1] + POSITION_TOLERANCE_MM or other[0] > one[-1] + POSITION_TOLERANCE_MM:
        return False
    inner, outer = sorted((one, other), key=np.ptp)
    if (
        np.ptp(inner) > POSITION_TOLERANCE_MM
        and min(one[-1], other[-1]) - max(one[0], other[0]) <= POSITION_TOLERANCE_MM
    ):
        return False  # they touch at a place that both have
    return not _in_a_hole(inner, outer)


def _in_a_hole(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether the inner group fills a place where slices of the outer one are missing."""
    below, above = np.searchsorted(outer, [inner[0] - POSITION_TOLERANCE_MM, inner[-1] + POSITION_TOLERANCE_MM])
    if below != above or not 0 < below < len(outer):
        return False
    return bool(outer[below] - outer[below - 1] > HOLE_FACTOR * np.median(np.diff(outer)))


def _rivals(part: list[Slice], others: list[list[Slice]]) -> int:
    """How many others reach at least half as far as this one, so that taking either would be arbitrary."""
    return sum(
        len(other) >= MINIMUM_SLICES and _reach(other) >= _reach(part) / 2 and _reach(part) >= _reach(other) / 2
        for other in others
    )


def _reach(slices: list[Slice]) -> float:
    depths = [item.depth_mm for item in slices]
    return max(depths) - min(depths)


# ---------------------------------------------------------------------------------------------------------------------
# Rounded positions


def _placed(slices: list[Slice]) -> Stack:
    """The slices in order, where an exporter rounded their positions put back to where they lay."""
    ordered = in_order(slices)
    items = [*{item.identity: item for item in ordered}.values()]
    places = np.array([item.position_mm for item in items])
    unit = _unit_of(places)
    depths = np.array([item.depth_mm for item in items])
    if unit is None or len(items) < MINIMUM_SLICES:
        return Stack(ordered)
    for name, along, is_mm in _orders(items, depths, unit):
        line = _line(along, places, unit if is_mm else 0.0)
        away = np.abs(line - places).max()
        if away <= POSITION_TOLERANCE_MM:
            return Stack(ordered)
        if away <= ROUNDED_BY * unit:
            true = {item.identity: tuple(place) for item, place in zip(items, line.tolist(), strict=True)}
            text = (
                f"The slices' positions were rounded to {ROUNDED_TO_MM[unit]} by an exporter; the slices were put back "
                f"by {name}. The whole scan may lie up to {unit / 2:g} mm off."
            )
            moved = [replace(item, position_mm=true[item.identity]) for item in ordered]
            return Stack(in_order(moved), (("rounded-positions", text),))
    return Stack(ordered, doubtful=_may_be_rounded(items, depths, places, unit))


def _unit_of(places: np.ndarray) -> float | None:
    """The coarsest unit of which every coordinate is a multiple."""
    for unit in ROUNDED_TO_MM:
        if _is_multiple(places, unit):
            return unit
    return None


def _orders(items: list[Slice], depths: np.ndarray, unit: float) -> Iterator[tuple[str, np.ndarray, bool]]:
    """What may tell where the slices lie along the stack, the most trustworthy first, and whether it is in mm."""
    said = [item.said_number("SliceLocation") for item in items]
    if None not in said:
        locations = np.array(said, float)
        if not _is_multiple(locations, unit) and len(set(said)) == len(said):
            yield "their slice locations", locations, True
    if np.ptp(np.diff(depths)) <= POSITION_TOLERANCE_MM:
        return
    numbers = np.array([item.instance for item in items], float)
    order = np.argsort(numbers)
    steps = np.diff(depths[order]) * np.sign(depths[order[-1]] - depths[order[0]])
    if len(set(numbers)) == len(items):
        for stated in _stated_distances(items, depths, unit):
            if np.ptp(np.sort(depths) - np.sort(numbers * stated)) <= unit + 1e-6:
                yield "their numbers and the distance that the headers state", numbers * stated, True
        if _looks_rounded(steps[np.diff(numbers[order]) == 1], unit):
            yield "their numbers", numbers, False
    steps = np.diff(depths)
    if (steps > 0).all() and _looks_rounded(steps, unit):
        yield "even distances", np.arange(len(items), dtype=float), False


def _stated_distances(items: list[Slice], depths: np.ndarray, unit: float) -> list[float]:
    """How far apart neighbours lie by their headers; a thickness says so only where slices share a place."""
    keywords = ("SpacingBetweenSlices", "SliceThickness")[: 2 if _share_a_place(depths) else 1]
    said = (items[0].said_number(keyword) for keyword in keywords)
    return [abs(distance) for distance in said if distance and not _is_multiple(distance, unit)]


def _is_multiple(values: Any, unit: float) -> bool:
    return bool(np.abs(np.divide(values, unit) - np.rint(np.divide(values, unit))).max() < 1e-6)


def _share_a_place(depths: np.ndarray) -> bool:
    return bool((np.diff(depths) == 0).any())


def _may_be_rounded(items: list[Slice], depths: np.ndarray, places: np.ndarray, unit: float) -> bool:
    """Whether slices share a place by rounding, or may, and nothing says where they lay."""
    steps = np.diff(depths)
    if not _share_a_place(depths) or _looks_rounded(steps, unit):
        return _share_a_place(depths)
    numbers = np.array([item.instance for item in items], float)
    few = np.mean(steps == 0) < LEAST_IRREGULAR or np.abs(np.median(steps) - unit) > 1e-6
    spacing = items[0].said_number("SpacingBetweenSlices")
    if few or len(set(numbers)) < len(items) or (spacing and abs(abs(spacing) - unit) <= UNIT_TOLERANCE):
        return False
    return bool(np.abs(_line(numbers, places, 0.0) - places).max() < unit)


def _looks_rounded(distances: np.ndarray, unit: float) -> bool:
    """Whether distances are those of an even stack whose places were rounded.

    They then have two values, one unit apart, and the rarer ones are spread evenly.
    """
    steps = np.rint(distances / unit).astype(int)
    values, counts = np.unique(steps, return_counts=True)
    if len(values) != 2 or values[1] - values[0] != 1 or values[0] < 0 or min(counts) < IRREGULAR_STEPS:
        return False
    rare = np.flatnonzero(steps == values[np.argmin(counts)])
    return bool(np.ptp(np.diff(rare)) <= 2)


def _line(along: np.ndarray, places: np.ndarray, unit: float) -> np.ndarray:
    """The places on the straight line that fits them best, by where each lies along it.

    `unit`: what places in mm along the line were rounded to, or 0 where they are not in mm.
    """
    middle = places.mean(axis=0)
    ahead = along - along.mean()
    step = ahead @ (places - middle) / (ahead @ ahead)
    length = np.linalg.norm(step)
    if unit and abs(length - 1) <= max(UNIT_TOLERANCE, SLOPE_BY * unit / np.ptp(along)):
        in_mm = np.asarray(middle + ahead[:, None] * step / length)
        if np.abs(in_mm - places).max() <= ROUNDED_BY * unit:
            return in_mm
    return np.asarray(middle + ahead[:, None] * step)
