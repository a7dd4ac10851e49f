"""What an NRRD header says of where its voxels lie: space, space directions, spacings and units.

The NRRD format: with `space directions`, these alone give places, and an axis that has one has no `spacings`; only
three spaces are those of the patient; `space units` are those of the space's own axes.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.frames import (
    SAME_SIZE,
    UNKNOWN,
    Frame,
    Stated,
    chosen,
    contradiction,
    in_mm,
    without_size,
)

KIND = "NRRD"

LONGEST_HEADER = 1 << 20

PATIENT_SPACES = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1.0, -1.0, 1.0)),
}
"""The spaces that name the patient's sides, and what turns them to LPS."""

NO_UNIT = ("", "none", "?", "???")

SPACE_LINES = ("space", "space dimension", "space origin", "space units", "measurement frame")


DATA_FILE = ("data file", "datafile")


def lines_of(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a header by their names in small letters, and where the data after it begin.

    Raises `OSError`, and `ValueError` where there is no header.
    """
    with path.open("rb") as file:
        text = file.read(LONGEST_HEADER)
    if not text.startswith(b"NRRD"):
        raise ValueError("no NRRD")
    end = re.search(rb"\r?\n\r?\n", text)
    head = text[: end.start()] if end else text
    fields = {}
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        found = re.match(r"([^#:=][^:]*): ?(.*)", line)
        if found and not found[2].startswith("="):
            fields[found[1].strip().casefold()] = found[2].strip()
    return fields, end.end() if end else len(text)


def stated(path: Path, wanted: str | None) -> Stated:
    """What the header of an NRRD says; `wanted` is the part that is believed where parts contradict each other.

    Raises `InputError` `inconsistent`, `OSError`, and `ValueError` for a header that makes no sense.
    """
    fields, _ = lines_of(path)
    data = next((fields[name] for name in DATA_FILE if name in fields), None)
    is_one_file = data is not None and not data.upper().startswith("LIST") and "%" not in data
    return replace(_stated(fields, wanted), data_file=data if is_one_file else None)


def _stated(fields: dict[str, str], wanted: str | None) -> Stated:
    turn = PATIENT_SPACES.get(fields.get("space", "").casefold())
    if "space directions" in fields:
        return _by_directions(fields, turn, wanted)
    frame = _by_spacings(fields)
    frame, warnings = in_mm(frame, _unit(fields), KIND, wanted)
    # A space without directions says nothing, and its reader takes no such file.
    removed = dict.fromkeys(SPACE_LINES) if "space" in fields else {}
    return Stated(frame, (UNKNOWN, *warnings), removed)


def _by_directions(fields: dict[str, str], turn: tuple[float, ...] | None, wanted: str | None) -> Stated:
    vectors = _vectors(fields["space directions"])
    spatial = [index for index, vector in enumerate(vectors) if vector is not None]
    if len(spatial) != 3:
        raise InputError(
            "inconsistent",
            "The NRRD header does not give three axes of space: export the original CT series as DICOM.",
        )
    axes = np.array([vector for vector in vectors if vector is not None]).T
    given = _vectors(fields.get("space origin", ""))
    origin = np.zeros(3) if not given or given[0] is None else np.array(given[0])
    if axes.shape != (3, 3) or origin.shape != (3,):
        raise ValueError("no vectors of space")
    frame, repaired, warnings = Frame(axes, origin), dict[str, str | None](), list[tuple[str, str]]()
    if not np.isfinite(axes).all() or not frame.spacing_mm.all():
        raise without_size(KIND)
    if "spacings" in fields:
        sizes = np.array([float(number) for number in fields["spacings"].split()])[spatial]
        frame, warnings = _held_against(frame, sizes, wanted)
        repaired["spacings"] = None
    unit = _unit(fields)
    if "units" in fields:
        repaired["units"] = None
    if ("space" in fields) == ("space dimension" in fields):  # both or none, which its reader does not take
        repaired["space dimension"] = None if "space" in fields else "3"
    if len(vectors) > 3:
        repaired |= _kinds(fields, spatial, len(vectors))
    frame, converted = in_mm(frame, unit, KIND, wanted)
    if turn is not None:
        frame = Frame(np.diag(turn) @ frame.axes_mm, np.diag(turn) @ frame.origin_mm)
    return Stated(frame, (*(() if turn else (UNKNOWN,)), *warnings, *converted), repaired)


def _held_against(frame: Frame, sizes: np.ndarray, wanted: str | None) -> tuple[Frame, list[tuple[str, str]]]:
    """Space directions against spacings of the same axes; nan is no spacing."""
    sizes = np.where(np.isnan(sizes), frame.spacing_mm, sizes)
    if np.abs(np.abs(sizes) / frame.spacing_mm - 1).max() <= SAME_SIZE:
        return frame, []
    by_spacings = Frame(frame.directions * np.abs(sizes), frame.origin_mm)
    if wanted in ("directions", "spacings"):
        return (frame if wanted == "directions" else by_spacings), [chosen(wanted, KIND)]
    readings = {"space directions": frame.described, "spacings": by_spacings.described}
    raise contradiction(KIND, readings, ("directions", "spacings"))


def _by_spacings(fields: dict[str, str]) -> Frame:
    """Sizes only, with the axes that every reader then assumes."""
    try:
        sizes = [float(number) for number in fields.get("spacings", "").split()]
    except ValueError:
        sizes = []
    if len(sizes) > 3 and (np.isnan(sizes[0]) or _names(fields.get("kinds", "domain"))[0] not in ("domain", "space")):
        sizes = sizes[1:]
    spacing = np.array(sizes[:3])
    if spacing.shape != (3,) or not np.isfinite(spacing).all() or not spacing.all():
        raise without_size(KIND)
    return Frame(np.diag(spacing), np.zeros(3))


def _unit(fields: dict[str, str]) -> str | None:
    """The one unit of all lengths; None where none is said. Raises `InputError` `inconsistent` where there are two."""
    said = {
        name: [unit for unit in _quoted(fields.get(name, "")) if unit.casefold() not in NO_UNIT]
        for name in ("space units", "units")
    }
    units = {unit.casefold(): unit for found in said.values() for unit in found}
    if len(units) > 1:
        raise contradiction(KIND, {name: f"lengths are in {', '.join(found)}" for name, found in said.items() if found})
    return next(iter(units.values()), None)


def _kinds(fields: dict[str, str], spatial: list[int], count: int) -> dict[str, str | None]:
    """The kinds of axes where they call an axis one of space that has no direction."""
    kinds = _names(fields.get("kinds", ""))
    if len(kinds) == count and all(kinds[index] not in ("domain", "space") for index in set(range(count)) - {*spatial}):
        return {}
    return {"kinds": " ".join("domain" if index in spatial else "list" for index in range(count))}


def _names(text: str) -> list[str]:
    return text.casefold().split() or [""]


def _quoted(text: str) -> list[str]:
    """Texts in double quotes; where none are, words."""
    return [found.strip() for found in re.findall(r'"([^"]*)"', text)] if '"' in text else text.split()


def _vectors(text: str) -> list[tuple[float, ...] | None]:
    """Vectors in brackets, None for `none`. Raises `ValueError`."""
    found: list[tuple[float, ...] | None] = []
    for item in re.findall(r"\([^)]*\)|none", text, re.IGNORECASE):
        found.append(tuple(map(float, item[1:-1].split(","))) if item[0] == "(" else None)
    return found


def rewritten(path: Path, repaired: Mapping[str, str | None], into: Path) -> Path:
    """A copy of an NRRD whose header has other lines, for its reader: `into` is an empty folder.

    Raises `OSError`.
    """
    _, end = lines_of(path)
    target = into / "volume.nrrd"
    with path.open("rb") as source, target.open("wb") as sink:
        head = source.read(end).rstrip(b"\r\n").decode("utf-8", "replace").splitlines()
        kept = [line for line in head if line.partition(":")[0].strip().casefold() not in repaired]
        after = 1 + next(index for index, line in enumerate(kept) if line.casefold().startswith("dimension"))
        kept[after:after] = [f"{name}: {value}" for name, value in repaired.items() if value is not None]
        for index, line in enumerate(kept):
            name, _, value = line.partition(":")
            if name.casefold() in DATA_FILE:
                kept[index] = f"{name}: {path.parent.absolute() / value.strip()}"
        sink.write(("\n".join(kept) + "\n\n").encode())
        while block := source.read(1 << 22):
            sink.write(block)
    return target
