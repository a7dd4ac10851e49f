"""Every structure once: what it is called, how it is shown, what DICOM calls it, and what kind of thing it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal["seen", "inferred", "gap", "cavity", "soft tissue"]
"""Bone that the scan shows; wall that anatomy demands and the scan cannot show; what is missing of a bone; a room
between bones; and whatever else a network finds, which is no bone."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Colour = tuple[float, float, float]
"""Red, green, blue, from 0 to 1."""

Code = tuple[str, str, str]
"""Value, scheme, meaning, as DICOM has them."""

TISSUE_CODE: Code = ("85756007", "SCT", "Tissue")
BONE_CODE: Code = ("272673000", "SCT", "Bone")
SOFT_TISSUE_CODE: Code = ("87784001", "SCT", "Soft tissue")

BONE, CORTICAL, THIN, INFERRED, GAP, RECONSTRUCTED = "bone", "cortical", "thin", "inferred", "gap", "reconstructed"
"""The names of rows that the library itself means by name."""

EITHER = f"{BONE}+{INFERRED}"
"""What the surface of bone and inferred wall together is called."""

REBUILT = f"{BONE}+{RECONSTRUCTED}"
"""What that of bone and reconstructed wall is."""

CORTICAL_ABOVE_HU = 200.0
"""Bone above this is cortical [3532-2 D.3]."""

THIN_BELOW_HU = 300.0
"""Bone below this is thin [3532-2 D.3]; the classes overlap in between on purpose."""


@dataclass(frozen=True)
class Structure:
    """A thing that is segmented: a segment, a surface, a row of the record."""

    name: str
    """As files, jobs and segments' IDs name it."""
    title: str
    """As people read it."""
    colour: Colour
    kind: Kind
    code: Code = BONE_CODE
    """What it is in SNOMED CT, as DICOM uses that (PS3.16 CID 7151, 7166)."""
    category: Code = TISSUE_CODE
    part_of: str | None = None
    """The structure that it is a part of: voxels taken from that are taken from it too."""
    above_hu: float | None = None
    """Where no network tells, it is that part of the whole which has more ..."""
    below_hu: float | None = None
    """... or less than this."""
    short: str = ""
    """The title where there is no room for it."""
    network: str | None = None
    """The network of a model package that finds it, where it is called otherwise."""
    heading: str = ""
    """Of its row in a record; empty: the title."""
    remark: str = ""
    """What a person who works with it is to be told beside its title."""
    printed: bool = True
    """Whether a surface is made of it where one asks for it."""
    shown: bool = True
    """Whether it is shown as soon as it is there, in slices; those that are part of others never are in 3D."""
    exported: bool = False
    """Whether it is exported unless someone says otherwise."""
    keep_largest: int | None = None
    """Of a class of a model package, how many of its largest objects are kept; None: all [Ekman, table 4]."""
    touches: str | None = None
    """The class of the same package that each of its objects must touch; None: they need not [Ekman, table 4]."""

    @property
    def told(self) -> str:
        """The title, with the remark."""
        return f"{self.title} ({self.remark})" if self.remark else self.title

    @property
    def values(self) -> str:
        """Which values it has, in words; empty where it is not told by value."""
        low, high = self.above_hu, self.below_hu
        return " and ".join(
            f"{word} {limit:g} HU" for word, limit in (("above", low), ("below", high)) if limit is not None
        )

    def holds(self, hu: Any) -> Any:
        """Where an image or an array in HU has its values. Raises `ValueError` where it is not told by value."""
        low, high = self.above_hu, self.below_hu
        if low is None and high is None:
            raise ValueError(f"{self.title} is not told by value.")
        if low is None or high is None:
            return hu < high if low is None else hu > low
        return (hu > low) & (hu < high)


_TABLE = (
    # SNOMED CT as DICOM uses it has no code for thin or cortical bone, and no region is given, for a scan may hold the
    # whole head: the names tell the segments apart.
    # Slicer's own bone colour, 241 214 145; the others are chosen to tell apart where they overlap.
    Structure(
        BONE,
        "Orbital bone",
        (0.945098, 0.839216, 0.568627),
        "seen",
        short="Bone",
        network="single",
        heading="Bone that the scan shows",
        exported=True,
    ),
    Structure(
        CORTICAL,
        "Cortical bone",
        (0.890196, 0.407843, 0.333333),
        "seen",
        part_of=BONE,
        above_hu=CORTICAL_ABOVE_HU,
        heading=f"of it cortical (above {CORTICAL_ABOVE_HU:g} HU)",
        shown=False,
    ),
    Structure(
        THIN,
        "Thin bone",
        (0.207843, 0.654902, 0.741176),
        "seen",
        part_of=BONE,
        below_hu=THIN_BELOW_HU,
        heading=f"of it thin (below {THIN_BELOW_HU:g} HU)",
    ),
    Structure(
        INFERRED,
        "Inferred wall",
        (1.0, 0.75, 0.0),  # amber: it is nothing that the scan shows
        "inferred",
        heading="Wall that is inferred, not seen",
        remark="not seen on the scan",
    ),
    Structure(
        GAP,
        "Gap in a wall",
        (0.9, 0.1, 0.1),
        "gap",
        ("6920004", "SCT", "Defect"),
        ("49755003", "SCT", "Morphologically Abnormal Structure"),
        heading="Gap: a wall belongs there, and the scan shows none",
        remark="no wall on the scan",
        printed=False,
    ),
    Structure(
        RECONSTRUCTED,
        "Reconstructed wall",
        (0.55, 0.35, 0.85),
        "inferred",
        heading="Wall that was reconstructed where it is missing",
        remark="not on the scan",
        printed=False,
    ),
)

STRUCTURES: dict[str, Structure] = {structure.name: structure for structure in _TABLE}
"""By name, in the order in which they are listed wherever they are."""


def of_network(name: str) -> Structure | None:
    """The structure that a network of this name finds."""
    return next((one for one in STRUCTURES.values() if (one.network or one.name) == name), None)


REPAIRS = ("keep_largest", "touches")
"""What a class of a model package may say of how its objects are chosen."""

FURTHER_COLOURS: tuple[Colour, ...] = (
    (0.45, 0.70, 0.35),
    (0.60, 0.45, 0.80),
    (0.95, 0.55, 0.65),
    (0.40, 0.55, 0.90),
    (0.70, 0.60, 0.30),
    (0.35, 0.75, 0.65),
)
"""Of structures that the table does not have and that come without a colour."""


def described(
    name: str,
    title: str | None = None,
    colour: Sequence[float] | None = None,
    code: Sequence[str] | None = None,
    kind: Kind | None = None,
    keep_largest: int | None = None,
    touches: str | None = None,
    number: int = 0,
) -> Structure:
    """A structure that a model package brings, or a record holds: a row of the table where that has the name, which may
    get another title, colour and code; else a new one, which is soft tissue unless it says otherwise.
    `number` counts these, so that their colours differ.
    """
    row = of_network(name) or STRUCTURES.get(name)
    if row is None:
        kind = kind or "soft tissue"
        bone = kind in ("seen", "inferred")
        row = Structure(
            name,
            name.replace("-", " ").capitalize(),
            FURTHER_COLOURS[number % len(FURTHER_COLOURS)],
            kind,
            BONE_CODE if bone else SOFT_TISSUE_CODE,
            part_of=BONE if kind == "seen" else None,
        )
    given: dict[str, Any] = {"title": title, "colour": colour and tuple(colour), "code": code and tuple(code)}
    given |= {"keep_largest": keep_largest, "touches": touches}
    return replace(row, **{key: value for key, value in given.items() if value is not None})


def brought(structures: Mapping[str, Structure]) -> dict[str, dict[str, Any]]:
    """Structures that the table does not have, or has otherwise, as a record holds them."""
    return {
        name: {"title": one.title, "colour": list(one.colour), "code": list(one.code), "kind": one.kind}
        | {key: value for key in REPAIRS if (value := getattr(one, key)) is not None}
        for name, one in structures.items()
        if one != STRUCTURES.get(name)
    }


def structures_of(record: Mapping[str, Any]) -> dict[str, Structure]:
    """All structures that a record's names may mean: those of the table, and those that its model package brought."""
    return STRUCTURES | {name: described(name, **one) for name, one in record.get("structures", {}).items()}


def of_surface(name: str, structures: Mapping[str, Structure] = STRUCTURES) -> tuple[Structure | None, str]:
    """What a surface is of, and which half of it: `bone-left` is the left one of bone; `bone+inferred` is of bone."""
    name = name.replace(EITHER, BONE).replace(REBUILT, BONE)
    if name in structures:
        return structures[name], ""
    whole, _, side = name.rpartition("-")
    return structures.get(whole), side


def limit_title(network: str) -> str:
    """What the limit of a network's probability is called: `Thin bone above`."""
    structure = of_network(network)
    return f"{structure.short or structure.title if structure else network} above"


def parts_of(name: str) -> tuple[str, ...]:
    """The structures that are part of one, by name."""
    return tuple(one.name for one in STRUCTURES.values() if one.part_of == name)


def parts_of_surface(name: str) -> tuple[str, ...]:
    """The structures that a surface is made of: of `bone+inferred` both."""
    return (BONE, INFERRED) if name == EITHER else (name,)


def printed() -> tuple[str, ...]:
    """Those that a surface may be made of, by name."""
    return tuple(one.name for one in STRUCTURES.values() if one.printed)
