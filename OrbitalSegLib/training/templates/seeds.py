"""What a person says about an anatomy: points in its spaces, natural openings, landmarks, source and licence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.places import Bounds, Point
from OrbitalSegLib.training.templates.template import Compartment


@dataclass(frozen=True)
class Capsule:
    """All points within a radius of a line; a ball where the line's ends are the same point."""

    start_mm: Point
    end_mm: Point
    radius_mm: float


def ball(x_mm: float, y_mm: float, z_mm: float, radius_mm: float) -> Capsule:
    """A ball about a point in LPS mm."""
    return Capsule((x_mm, y_mm, z_mm), (x_mm, y_mm, z_mm), radius_mm)


@dataclass(frozen=True)
class Seeds:
    """An anatomy's facts. All points are LPS mm."""

    name: str
    source: str
    licence: str
    seeds: Mapping[Compartment, tuple[Capsule, ...]]
    """Points well inside each compartment; bone inside a ball is left out of it."""
    openings: Mapping[str, tuple[Capsule, ...]]
    """Where a wall of an orbit or of the cranial cavity ends in life: fissures, canals, ostia. Elsewhere a gap in the
    bone between orbit, sinus and cranial cavity is a fault of the data and is closed."""
    landmarks_mm: Mapping[str, Point]
    box_mm: Bounds | None = None
    """The part that becomes the template; None: the whole image."""
    solid_thickness_mm: float = 2.6
    """Bone with this local thickness or more is solid, thinner bone is a wall or a septum."""
    nose: tuple[Capsule, ...] = field(default=())
    """Soft parts that stand out from the bone; used where no skin is given."""
    remarks: tuple[str, ...] = field(default=())


def read_seeds(path: Path) -> Seeds:
    """Read `seeds.json`. A capsule is [x, y, z, radius] or [x, y, z, x, y, z, radius], LPS mm.

    Raises `InputError` `no-such-input` or `unreadable`.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return _seeds(facts)
    except FileNotFoundError as error:
        raise InputError("no-such-input", "There is no seeds.json in this folder: write one.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("unreadable", f"seeds.json cannot be understood ({error}): mend it.") from error


def _seeds(facts: dict[str, Any]) -> Seeds:
    known = {"seeds", "openings", "landmarks_mm", "box_mm", "nose", "remarks"}
    plain = {key: value for key, value in facts.items() if key not in known}
    box = facts.get("box_mm")
    return Seeds(
        seeds={Compartment[name]: _capsules(rows) for name, rows in facts["seeds"].items()},
        openings={name: _capsules(rows) for name, rows in facts.get("openings", {}).items()},
        landmarks_mm={name: _point(row) for name, row in facts.get("landmarks_mm", {}).items()},
        box_mm=None if box is None else _box(box),
        nose=_capsules(facts.get("nose", [])),
        remarks=tuple(facts.get("remarks", [])),
        **plain,
    )


def _capsules(rows: list[list[float]]) -> tuple[Capsule, ...]:
    return tuple(ball(*row) if len(row) == 4 else Capsule(_point(row[:3]), _point(row[3:6]), row[6]) for row in rows)


def _point(row: list[float]) -> Point:
    x, y, z = row
    return (float(x), float(y), float(z))


def _box(rows: list[list[float]]) -> Bounds:
    (x0, x1), (y0, y1), (z0, z1) = rows
    return ((float(x0), float(x1)), (float(y0), float(y1)), (float(z0), float(z1)))
