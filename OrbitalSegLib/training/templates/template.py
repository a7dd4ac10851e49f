"""A template of the head's anatomy: where each space lies, and how far every place is from the walls between them.

A template holds no bone of a certain thickness: its walls are mid-surfaces, so that a synthesis can give each of them
the thickness it wants. It is a folder of NRRD files on one isotropic grid in LPS, and `template.json`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import whole, write_image, writing
from OrbitalSegLib.places import Point

TEMPLATE_VERSION = 1
SPACING_MM = 0.4

STORED_MM = 0.01
"""Distances are stored as whole hundredths of a mm."""

REACH_MM = 20.0
"""Distances are cut off here, so that they compress; the distance to the skin is cut off at `SKIN_REACH_MM`."""
SKIN_REACH_MM = 100.0

LANDMARKS = ("globe_right", "globe_left", "apex_right", "apex_left", "nostril")
"""What every template names: the middles of the eyes, the tips of the orbits, the nostrils' middle."""


class Compartment(IntEnum):
    """The spaces of the head. They share out every voxel, bone included: a wall lies where one ends at another."""

    EXTERIOR = 0
    """Soft tissue of face, scalp and neck, and the air around the head."""
    RIGHT_ORBIT = 1
    LEFT_ORBIT = 2
    RIGHT_MAXILLARY = 3
    LEFT_MAXILLARY = 4
    NASAL = 5
    """Nose, ethmoid cells, sphenoid and frontal sinuses."""
    CRANIAL = 6


ORBITS = (Compartment.RIGHT_ORBIT, Compartment.LEFT_ORBIT)
SINUSES = (Compartment.RIGHT_MAXILLARY, Compartment.LEFT_MAXILLARY, Compartment.NASAL)


@dataclass(frozen=True)
class Template:
    """The anatomy. All images lie on one isotropic grid; distances are float32 in mm, in memory as on the way."""

    name: str
    source: str
    """Whose anatomy it is, and from where."""
    licence: str
    """The anatomy's licence as data; it goes with everything that is made from it."""
    landmarks_mm: Mapping[str, Point]
    """At least `LANDMARKS`, in LPS mm."""
    compartment: sitk.Image
    """`Compartment`, unsigned 8 bits."""
    orbit_mm: sitk.Image
    """Signed distance to the end of either orbit's compartment, negative inside."""
    sinus_mm: sitk.Image
    """The same for the maxillary sinuses and the nasal compartment together."""
    cranial_mm: sitk.Image
    exterior_mm: sitk.Image
    solid_mm: sitk.Image
    """Signed distance to thick bone (rims, zygoma, vault, alveoli), negative inside."""
    septum_mm: sitk.Image
    """Distance to the mid-surfaces of thin bone inside a compartment: septa of ethmoid and nose, turbinates."""
    opening_mm: sitk.Image
    """Signed distance to where compartments meet without bone, such as fissures, optic canal, nostrils and the front
    of the orbit; negative inside."""
    skin_mm: sitk.Image
    """Signed distance to the skin, negative inside the head."""
    remarks: tuple[str, ...] = field(default=())
    """What was mended, and what is known to be wrong."""

    def distances(self) -> dict[str, sitk.Image]:
        """Every image of distances, by the name of its field."""
        return {name: getattr(self, name) for name in DISTANCES}


DISTANCES = tuple(part.name for part in fields(Template) if part.name.endswith("_mm") and part.type is sitk.Image)


def write_template(template: Template, folder: Path, *, overwrite: bool = False) -> None:
    """Write the folder, whole or not at all. Only a folder that is a template is ever replaced.

    Raises `OutputError` `exists`, `cannot-write` or `disk-full`.
    """
    with whole(folder, replaceable=_check_is_template if overwrite else None) as new, writing(folder.parent):
        new.mkdir()
        write_image(template.compartment, new / "compartment.nrrd")
        for name, image in template.distances().items():
            write_image(_stored(image), new / _file_name(name))
        facts = {
            "template": TEMPLATE_VERSION,
            "name": template.name,
            "source": template.source,
            "licence": template.licence,
            "landmarks_mm": {name: list(point) for name, point in template.landmarks_mm.items()},
            "remarks": list(template.remarks),
            "stored_mm": STORED_MM,
        }
        (new / "template.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_template(folder: Path) -> Template:
    """Read a folder written by `write_template`.

    Raises `InputError` `no-such-input` where it is no template, `unreadable` where a file is damaged, `inconsistent`
    where the images do not lie on one isotropic grid.
    """
    facts = _read_facts(folder)
    images = {name: _read_image(folder / _file_name(name)) for name in ("compartment", *DISTANCES)}
    _check_grids(list(images.values()))
    for name in DISTANCES:
        images[name] = sitk.Cast(images[name], sitk.sitkFloat32) * STORED_MM
    return Template(
        name=facts["name"],
        source=facts["source"],
        licence=facts["licence"],
        landmarks_mm={name: tuple(point) for name, point in facts["landmarks_mm"].items()},
        remarks=tuple(facts["remarks"]),
        **images,
    )


def _file_name(name: str) -> str:
    return f"{name.removesuffix('_mm')}.nrrd"


def _stored(image: sitk.Image) -> sitk.Image:
    return sitk.Cast(sitk.Round(image / STORED_MM), sitk.sitkInt16)


def _read_facts(folder: Path) -> dict:
    try:
        facts = json.loads((folder / "template.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no-such-input", "There is no template in this folder: template.json is missing.") from error
    except (OSError, ValueError) as error:
        raise InputError("unreadable", "The template's facts cannot be read: build the template anew.") from error
    if not isinstance(facts, dict) or facts.get("template") != TEMPLATE_VERSION:
        raise InputError("unreadable", "The template has another version: build it anew.")
    return facts


def _read_image(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            "unreadable", f"The template's {path.name} is missing or damaged: build the template anew."
        ) from error


def _check_grids(images: list[sitk.Image]) -> None:
    first = images[0]
    if not np.allclose(first.GetSpacing(), first.GetSpacing()[0]):
        raise InputError("inconsistent", "The template's grid is not isotropic: build the template anew.")
    if not all(first.IsSameImageGeometryAs(image) for image in images[1:]):
        raise InputError("inconsistent", "The template's images lie on different grids: build the template anew.")


def _check_is_template(folder: Path) -> None:
    _read_facts(folder)
