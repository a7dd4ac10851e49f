"""3MF with unit, name and colour: a zip of one XML document and two that say where it is (3MF Core, 1.3)."""

import re
import zipfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from OrbitalSegLib.modelling.intersections import Flags, Floats, Integers
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.structures import Colour, Structure

MODEL = "3D/3dmodel.model"

CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>
"""

RELATIONSHIPS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Target="/{MODEL}" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>
</Relationships>
"""

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<model unit="millimeter" xml:lang="en-US" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">
<metadata name="Application">OrbitalSeg {version}</metadata>
<metadata name="Description">SPACE=LPS; not a medical device</metadata>
<resources>
<basematerials id="1"><base name={name} displaycolor="#{colour}"/>{further}</basematerials>
<object id="2" type="model" name={name} pid="1" pindex="0"><mesh>
"""

TAIL = """</mesh></object>
</resources>
<build><item objectid="2"/></build>
</model>
"""

WRITTEN = (1980, 1, 1, 0, 0, 0)
"""The date of every entry, so that the same surface gives the same bytes."""

AT_ONCE = 1 << 16
"""Elements that are made at once."""


def write(
    points: Floats,
    triangles: Integers,
    path: Path,
    name: str,
    colour: Colour,
    marked: Flags | None = None,
    mark: Structure | None = None,
) -> None:
    """See `export.surfaces.Format`. Nine digits tell every 32-bit number from the next. Triangles that are marked (m)
    are of a material of their own, that of the structure `mark`."""
    shown = quoteattr(_xml_text(name))
    further = "" if mark is None else f'<base name={quoteattr(mark.title)} displaycolor="#{_hex(mark.colour)}"/>'
    head = HEAD.format(version=VERSION, name=shown, colour=_hex(colour), further=further)
    material = np.array(["", ' pid="1" p1="1"'])[
        np.zeros(len(triangles), int) if marked is None else marked.astype(int)
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_entry("[Content_Types].xml"), CONTENT_TYPES)
        archive.writestr(_entry("_rels/.rels"), RELATIONSHIPS)
        with archive.open(_entry(MODEL), "w", force_zip64=True) as file:
            file.write(head.encode())
            file.write(b"<vertices>\n")
            for start in range(0, len(points), AT_ONCE):
                some = points[start : start + AT_ONCE]
                text = '<vertex x="%.9g" y="%.9g" z="%.9g"/>\n' * len(some) % tuple(some.ravel().tolist())
                file.write(text.encode())
            file.write(b"</vertices>\n<triangles>\n")
            for start in range(0, len(triangles), AT_ONCE):
                of = slice(start, start + AT_ONCE)
                rows = zip(triangles[of].tolist(), material[of].tolist(), strict=True)
                text = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"{own}/>\n' for (a, b, c), own in rows)
                file.write(text.encode())
            file.write(b"</triangles>\n")
            file.write(TAIL.encode())


def read(path: Path) -> tuple[Floats, Integers]:
    """Points and triangles of a file that `write` made. Raises ValueError for any other."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(MODEL)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError("the file is no 3MF of ours") from error
    begin, middle, end = (content.index(tag) for tag in (b"<vertices>", b"<triangles>", b"</triangles>"))
    points, triangles = (
        np.array(re.findall(rb' (?:[xyz]|v[123])="([^"]+)"', part), np.float64).reshape(-1, 3)
        for part in (content[begin:middle], content[middle:end])
    )
    return points.astype(np.float32), triangles.astype(np.int32)


def _hex(colour: Colour) -> str:
    return "".join(f"{round(255 * part):02X}" for part in colour)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, WRITTEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _xml_text(name: str) -> str:
    """A name without what XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", name)
