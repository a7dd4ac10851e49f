"""The stored values of slices -> HU: rescaled, with air where the scanner saw nothing."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.headers import Slice
from OrbitalSegLib.reading.pixels import StoredFrame
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

PADDING_HU = (-900, 3072)
"""A padding value between these is a tissue's HU and not believed."""

STEP_HU = 20.0
"""Mean difference of neighbouring slices below which nothing can be said of their rescaling."""

STEP_SHARE = 0.5
"""Two slices that are so much more alike with one rescale than with their own are not rescaled rightly."""


def in_hu(frame: StoredFrame, item: Slice, whole: bool) -> tuple[np.ndarray, str | None]:
    """A frame in HU, and the code of what has to be said of its unused bits. `whole`: slope and intercept are."""
    stored = frame.values
    padding = _padding(frame, item)
    note = None
    beyond = frame.beyond & ~padding
    if beyond.any():
        stored, padding, note = _beyond(frame, beyond, padding)
    if whole:
        hu: np.ndarray = stored.astype(np.int32 if stored.dtype.itemsize <= 2 else np.int64)
        if item.slope != 1:
            hu *= int(item.slope)
        hu += int(item.intercept)
    else:
        hu = stored * item.slope + item.intercept
    hu[padding] = AIR_HU
    return np.clip(hu, AIR_HU, HIGHEST_HU, out=hu), note


def _padding(frame: StoredFrame, item: Slice) -> np.ndarray:
    """Where the frame holds what the header states as padding, if that is believed."""
    words = frame.words
    found = np.zeros(words.shape, bool)
    value, limit = item.header.get("PixelPaddingValue"), item.header.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return found
    # A range from below zero to zero is one as signed numbers only, whatever the pixels are said to be.
    for numbers in (words, words.view(f"i{words.dtype.itemsize}")):
        ends = [_as_stored(end, numbers.dtype) for end in (value, limit if isinstance(limit, int) else value)]
        low, high = min(ends), max(ends)
        tissue = (
            low * item.slope + item.intercept < PADDING_HU[1] and high * item.slope + item.intercept > PADDING_HU[0]
        )
        if not tissue:
            found |= (numbers >= low) & (numbers <= high)
            if numbers is words:
                found |= (frame.values >= low) & (frame.values <= high)
    return found


def _as_stored(value: int, kind: np.dtype) -> int:
    """A padding value as the pixels hold it: some scanners state -2000 as 63536, or the other way round."""
    size = 1 << (8 * kind.itemsize)
    value %= size
    return value - size if kind.kind == "i" and value >= size // 2 else value


def _beyond(frame: StoredFrame, beyond: np.ndarray, padding: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Values, padding and the code of what has to be said, where unused bits are used and no padding explains it."""
    words, signed = frame.words, frame.words.view(f"i{frame.words.dtype.itemsize}")
    at_a_corner = beyond[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    if at_a_corner and np.ptp(signed[beyond]) == 0:
        return frame.values, padding | beyond, "padding-unstated"
    stored = frame.values.astype(np.int64 if words.dtype.itemsize > 2 else np.int32)
    high = 8 * words.dtype.itemsize - frame.above
    upper = signed >> high
    if words.dtype.kind == "u":
        negative = beyond & (upper == -1)  # a number below zero, where there should be none
        stored[negative] = signed[negative]
        return stored, padding, "unused-bits" if (beyond & ~negative).any() else "padding-unstated"
    if ((upper == -1) & (frame.values < 0)).any():  # signs reach into the unused bits: the words are the numbers
        plain = beyond & ((upper == 0) | (upper == -1))
        stored[plain] = signed[plain]
    return stored, padding, "unused-bits"


def notes_of(slices: Sequence[Slice], said: Counter[str]) -> list[tuple[str, str]]:
    """The warnings, given the number of slices for each code that `in_hu` gave."""
    notes = []
    if not slices[0].rescale.stated:
        notes.append(
            (
                "rescale-missing",
                "The headers do not say how values become Hounsfield units; they were taken as they are: check the "
                "values of air and bone.",
            )
        )
    if any(item.header.decimal_commas for item in slices):
        notes.append(
            (
                "decimal-commas",
                "The headers hold numbers with a comma; it was read as a decimal point: check a length.",
            )
        )
    unstated, unused = (
        "1 slice holds" if said[code] == 1 else f"{said[code]} slices hold"
        for code in ("padding-unstated", "unused-bits")
    )
    if said["padding-unstated"]:
        notes.append(
            (
                "padding-unstated",
                f"{unstated} values that the header has no room for, as scanners write them outside their field: they "
                "were taken as air, or as numbers below zero, so check the image.",
            )
        )
    if said["unused-bits"]:
        notes.append(
            (
                "unused-bits",
                f"{unused} something in bits that the header calls unused, a drawing or damage: check the bone there, "
                "or export the series again.",
            )
        )
    return notes


def wrong_rescale(slices: Sequence[Slice]) -> InputError | None:
    """Why slices cannot be rescaled together, by their headers; None where they can."""
    lack = [item for item in slices if not item.rescale.stated]
    if 0 < len(lack) < len(slices):
        return InputError(
            "inconsistent",
            f"{len(lack)} of the {len(slices)} slices, as {lack[0].name}, lack the rescale to Hounsfield units that "
            "the others have: export the series again from the scanner or the PACS.",
        )
    liar = next((item for item in slices if not item.rescale.agrees), None)
    if liar:
        return InputError(
            "inconsistent",
            f"In {liar.name} the rescale and the real world value mapping give different Hounsfield units: export the "
            "series again from the scanner.",
        )
    return None


def contradiction(voxels: np.ndarray, slices: Sequence[Slice]) -> InputError | None:
    """Where a slice fits its neighbour in stored values and not in HU: one of the two is rescaled wrongly."""
    for index in range(1, len(slices)):
        before, item = slices[index - 1], slices[index]
        if (before.slope, before.intercept) == (item.slope, item.intercept):
            continue
        mine, other = voxels[index].astype(float), voxels[index - 1].astype(float)
        alike = (mine - item.intercept) / item.slope * before.slope + before.intercept
        seen = (mine > AIR_HU) & (other > AIR_HU)
        if not seen.any():
            continue
        step, step_if_alike = (float(np.abs(hu - other)[seen].mean()) for hu in (mine, alike))
        if step > STEP_HU and step_if_alike < STEP_SHARE * step:
            return InputError(
                "inconsistent",
                f"The rescale to Hounsfield units of {item.name} or of the slice before it is wrong, since their "
                "stored values agree and their Hounsfield units do not: export the series again from the scanner or "
                "the PACS.",
            )
    return None
