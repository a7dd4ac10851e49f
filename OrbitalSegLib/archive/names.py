"""What the scans of a batch are called: numbers, and a private key that says which scan each is."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from OrbitalSegLib.archive.finding import FoundScan
from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.files import replacing, safe_name, writing

KEY_FILE = "key.csv"
KEY_COLUMNS = ("name", "number", "path", "series", "uid")

DAMAGED_KEY = (
    "The batch's private/key.csv, which says which scan each result is of, is damaged: put it back from a copy, or "
    "choose another folder."
)

_Key = dict[str, str]


def named(found: Sequence[FoundScan], private: Path) -> dict[str, FoundScan]:
    """The scans by their names, which they keep for ever; new ones are added to the key. Raises `OutputError`."""
    rows = _read(private / KEY_FILE)
    numbers = {row["path"]: int(row["number"]) for row in rows}
    names = {_identity(row["path"], row["series"], row["uid"]): row["name"] for row in rows}
    taken = {name.lower() for name in names.values()}
    by_name: dict[str, FoundScan] = {}
    for scan in found:
        path = str(scan.unit.path.absolute())
        number = numbers.setdefault(path, max(numbers.values(), default=0) + 1)
        identity = _identity(path, scan.label, scan.uid)
        if identity not in names:
            names[identity] = _free(scan, number, taken)
            rows.append(dict(zip(KEY_COLUMNS, (names[identity], str(number), path, scan.label, scan.uid), strict=True)))
        by_name[names[identity]] = scan
    _write(private / KEY_FILE, rows)
    return by_name


def paths_in(private: Path) -> dict[str, str]:
    """By the names of scans the paths that they came from. Raises `OutputError`."""
    return {row["name"]: row["path"] for row in _read(private / KEY_FILE)}


def _identity(path: str, label: str, uid: str) -> tuple[str, ...]:
    """A series is known by its UID and by which of the stacks with that UID it is: letters of studies may change."""
    return path, uid, label.partition(".")[2] if uid else label


def _free(scan: FoundScan, number: int, taken: set[str]) -> str:
    """`0007-A3`: the unit's number and the series; or as a list called it, and the series where none was named."""
    of_series = scan.label and not (scan.unit.name and scan.unit.series)
    base = (scan.unit.name or f"{number:04d}") + (f"-{safe_name(scan.label)}" if of_series else "")
    name, again = base, 1
    while name.lower() in taken:
        again += 1
        name = f"{base}-{again}"
    taken.add(name.lower())
    return name


def _read(path: Path) -> list[_Key]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [*csv.DictReader(file, strict=True)]
            assert all(tuple(row) == KEY_COLUMNS and row["number"].isdecimal() for row in rows)
    except (OSError, ValueError, csv.Error, AssertionError, AttributeError) as error:
        raise OutputError("cannot-write", DAMAGED_KEY) from error
    return rows


def _write(path: Path, rows: Sequence[_Key]) -> None:
    with writing(path.parent), replacing(path) as new:
        new.write_text(csv_of(KEY_COLUMNS, rows), encoding="utf-8", newline="")


def csv_of(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    """A table as CSV."""
    text = StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
