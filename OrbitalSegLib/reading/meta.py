"""What a MetaImage header says of where its voxels lie: matrix, offset, spacing, unit and anatomical letters.

The MetaImage format: `TransformMatrix` (also called `Orientation` or `Rotation`) holds a unit vector in LPS for each
index, `Offset` (`Origin`, `Position`) the first voxel, `ElementSpacing` the distances between voxels; `ElementSize` is
how large a voxel is, which may be something else. `AnatomicalOrientation` names for each index where the axis comes
from, as ITK writes it.
"""

import re
from pathlib import Path

import numpy as np

from OrbitalSegLib.reading.frames import (
    SAME_SIZE,
    UNKNOWN,
    Frame,
    Stated,
    chosen,
    contradiction,
    decided,
    in_mm,
    without_size,
)

KIND = "MetaImage"

LONGEST_HEADER = 1 << 20

MATRIX = ("TransformMatrix", "Orientation", "Rotation")
FIRST = ("Offset", "Origin", "Position")

FROM = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "I": (0, 0, 1), "S": (0, 0, -1)}
"""The direction of an axis that comes from the patient's right, left, front, back, feet, head."""

LEAST_ALONG = 0.3
"""So much of an axis' direction at least lies along its letter, however the volume is turned."""


def stated(path: Path, wanted: str | None) -> Stated:
    """What the header of a MetaImage says; `wanted` is the part that is believed where parts contradict each other.

    Raises `InputError` `inconsistent`, `OSError`, and `ValueError` for a header that makes no sense.
    """
    said = _said(path)
    dimensions = int(said.get("ndims", ["3"])[0])
    warnings: list[tuple[str, str]] = []
    rows, by_matrix = _one_of(said, MATRIX, wanted, warnings)
    offset, _ = _one_of(said, FIRST, wanted, warnings)
    matrix = np.eye(3) if rows is None else np.reshape(rows, (dimensions, dimensions))[:3, :3].T
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("no directions")
    spacing = _spacing(said, warnings)
    frame = Frame(matrix * spacing, np.zeros(3) if offset is None else offset[:3])
    frame = _of_unit_length(frame, spacing, wanted, warnings)
    frame, lettered = _by_letters(frame, said, by_matrix, wanted, warnings)
    if rows is None and not lettered:
        warnings.append(UNKNOWN)
    unit = said.get("distanceunits", ["mm"])[-1].removeprefix("MET_DISTANCE_UNITS_").casefold()
    frame, converted = in_mm(frame, None if unit in ("", "?") else unit, KIND, wanted)
    data = said["elementdatafile"][0]
    is_one_file = data.upper() != "LOCAL" and not data.upper().startswith("LIST") and "%" not in data
    return Stated(frame, (*warnings, *converted), data_file=data if is_one_file else None)


def _said(path: Path) -> dict[str, list[str]]:
    """All that the header says under each name, in small letters. Raises `OSError` and `ValueError`."""
    said: dict[str, list[str]] = {}
    with path.open("rb") as file:
        text = file.read(LONGEST_HEADER).decode("latin-1")
    for line in text.split("\n"):
        found = re.match(r"\s*([^=:]+?)\s*[=:]\s*(.*?)\s*$", line)
        if found is not None:
            said.setdefault(found[1].casefold(), []).append(found[2])
            if found[1].casefold() == "elementdatafile":
                return said
    raise ValueError("no MetaImage")


def _numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in text.split()])


def _one_of(
    said: dict[str, list[str]], names: tuple[str, ...], wanted: str | None, warnings: list[tuple[str, str]]
) -> tuple[np.ndarray | None, str]:
    """The value that stands under names of one meaning, and the first name; None where there is none."""
    found = {name: [_numbers(text) for text in said[name.casefold()]] for name in names if name.casefold() in said}
    values = [value for several in found.values() for value in several]
    if not values:
        return None, names[0]
    if all(value.shape == values[0].shape and np.allclose(value, values[0], atol=1e-4) for value in values):
        return values[0], next(iter(found))
    if wanted in found and len(found[wanted]) == 1:
        warnings.append(chosen(wanted, KIND))
        return found[wanted][0], wanted
    readings = {
        name: " and ".join(f"it is {' '.join(f'{number:g}' for number in value)}" for value in several)
        for name, several in found.items()
    }
    raise contradiction(KIND, readings, tuple(found) if len(found) > 1 else ())


def _spacing(said: dict[str, list[str]], warnings: list[tuple[str, str]]) -> np.ndarray:
    distances, _ = _one_of(said, ("ElementSpacing",), None, warnings)
    sizes, _ = _one_of(said, ("ElementSize",), None, warnings)
    spacing = sizes if distances is None else distances
    if spacing is None or len(spacing) < 3 or not np.isfinite(spacing[:3]).all() or not (spacing[:3] > 0).all():
        raise without_size(KIND)
    if distances is None:
        warnings.append(decided(KIND, "it lacks ElementSpacing; its ElementSize was taken"))
    elif sizes is not None and (len(sizes) < 3 or np.abs(sizes[:3] / spacing[:3] - 1).max() > SAME_SIZE):
        warnings.append(decided(KIND, "its ElementSize is not its ElementSpacing, which was taken"))
    return np.asarray(spacing[:3])


def _of_unit_length(frame: Frame, spacing: np.ndarray, wanted: str | None, warnings: list[tuple[str, str]]) -> Frame:
    """The frame whose matrix holds unit vectors, as it must; another one gives two sizes of a voxel."""
    if np.abs(frame.spacing_mm / spacing - 1).max() <= SAME_SIZE:
        return frame
    by_spacing = Frame(frame.directions * spacing, frame.origin_mm)
    if wanted in ("ElementSpacing", "TransformMatrix"):
        warnings.append(chosen(wanted, KIND))
        return frame if wanted == "TransformMatrix" else by_spacing
    readings = {"ElementSpacing": by_spacing.described, "TransformMatrix": frame.described}
    raise contradiction(KIND, readings, ("ElementSpacing", "TransformMatrix"))


def _by_letters(
    frame: Frame, said: dict[str, list[str]], name: str, wanted: str | None, warnings: list[tuple[str, str]]
) -> tuple[Frame, bool]:
    """The frame held against its anatomical letters, and whether these were believed instead."""
    letters = said.get("anatomicalorientation", [""])[-1].upper()
    if len(letters) < 3 or not set(letters[:3]) <= FROM.keys():
        return frame, False
    named = np.array([FROM[letter] for letter in letters[:3]], float).T
    if abs(np.linalg.det(named)) < 0.5:  # two letters of one axis
        return frame, False
    if (np.sum(named * frame.directions, axis=0) >= LEAST_ALONG).all():
        return frame, False
    if (np.sum(named * frame.directions, axis=0) <= -LEAST_ALONG).all():
        warnings.append(decided(KIND, "its AnatomicalOrientation names where axes run to; its matrix was taken"))
        return frame, False
    by_letters = Frame(named * frame.spacing_mm, frame.origin_mm)
    if wanted == "AnatomicalOrientation":
        warnings.append(chosen(wanted, KIND))
        return by_letters, True
    if wanted in MATRIX:
        warnings.append(chosen(wanted, KIND))
        return frame, False
    readings = {name: frame.described, "AnatomicalOrientation": by_letters.described}
    raise contradiction(KIND, readings, (name, "AnatomicalOrientation"))
