"""Where a volume of the scene comes from: its files, which scan that is, and what was said of it."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.headers import Study
from OrbitalSegLib.reading.volumes import volume_kind
from OrbitalSegLib.scan import Acquisition
from OrbitalSegPanel.volumes import grid_of, put_image

ACQUISITION, WARNINGS = "OrbitalSeg.acquisition", "OrbitalSeg.warnings"
"""Where a volume keeps what the scanner said of it, and what reading its files warned of: both are saved with the
scene, without the files."""

INSTANCES = "DICOM.instanceUIDs"
"""Where Slicer keeps which images a volume was made of."""


@dataclass(frozen=True)
class _Which:
    """Which series a volume is; the sentence is for the screen only: nothing of it is kept or written."""

    acquisition: Acquisition
    sentence: str


def dicom_files(volume: Any) -> list[Path]:
    """The DICOM files that a volume was made of, by Slicer's database; none if it came from elsewhere."""
    return _files_of(volume.GetAttribute(INSTANCES) or "")


def files_beside(files: list[Path]) -> list[Path]:
    """The other files of their series in Slicer's database."""
    database, own = _database(), set(files)
    if database is None or not files:
        return []
    listed = map(Path, database.filesForSeries(database.seriesForFile(str(files[0]))))
    return [file for file in listed if file not in own and file.is_file()]


def volume_file(volume: Any) -> Path | None:
    """The volume file that a volume was read from, or saved to; None where there is none any more."""
    storage = volume.GetStorageNode()
    path = Path(storage.GetFileName() or "") if storage is not None else Path()
    return path if volume_kind(path) and path.is_file() else None


def known(volume: Any) -> dict[str, Any]:
    """What a job says of a volume whose files it does not name."""
    said = said_of(volume)
    return ({"acquisition": said} if said else {}) | {"warnings": kept_warnings(volume)}


def named(volume: Any) -> dict[str, Any]:
    """What a job says of a volume: the files that it was made of, where they are there."""
    files = dicom_files(volume)
    single = volume_file(volume) if not files else None
    if files:
        source = {"source": list(map(str, files)), "beside": list(map(str, files_beside(files)))}
    elif single is not None:
        source = {"source": [str(single)]}
    else:
        return known(volume)
    said = said_of(volume)
    return source | ({"acquisition": said} if said else {})


def said_of(volume: Any) -> dict[str, Any] | None:
    """What the scanner said, as the record writes it; None if nobody knows. DICOM headers are read once."""
    kept = volume.GetAttribute(ACQUISITION)
    if kept:
        return json.loads(kept)
    found = _read(volume)
    if found is None:
        return None
    remember(volume, asdict(found.acquisition))
    return asdict(found.acquisition)


def kept_warnings(volume: Any) -> list[dict[str, str]]:
    """What reading its files warned of, when they were read last."""
    return json.loads(volume.GetAttribute(WARNINGS) or "[]")


def keep_warnings(volume: Any, lines: list[dict[str, Any]]) -> None:
    """Keep those lines of the worker that are warnings of reading."""
    kept = [{"code": line["code"], "text": line["text"]} for line in lines if line["code"] in reading.WARNINGS]
    volume.SetAttribute(WARNINGS, json.dumps(kept))


def which(volume: Any) -> str:
    """Which scan a volume is: its name, the day, the series and how many slices it has."""
    size, spacing, _origin, _direction = grid_of(volume)
    counted = _("{slices} slices {distance:.2f} mm apart").format(slices=size[2], distance=spacing[2])
    found, file = _read(volume), volume_file(volume)
    if found is not None:
        return f"{volume.GetName()}: {found.sentence}; {counted}"
    return f"{volume.GetName()}: {counted}" + (f" ({file.name})" if file else "")


def others() -> str:
    """What has to be said where the scene holds scans of several patients or studies; empty where it does not."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    studies = {study for volume in volumes if (study := _study(volume.GetAttribute(INSTANCES) or "")) is not None}
    if len({study.patient for study in studies}) > 1:
        return _("The scene holds scans of several patients: check that this is the right one.")
    return _("The scene holds several studies: check that this is the right one.") if len(studies) > 1 else ""


def _read(volume: Any) -> _Which | None:
    """Which DICOM series a volume is; None where it is none, or its files are not there or would be refused."""
    uids = volume.GetAttribute(INSTANCES) or ""
    return _series(uids) if uids and _database() is not None else None


@cache
def _series(uids: str) -> _Which | None:
    try:
        files = _files_of(uids)
        series = reading.series_in(files, [], grey_values=True) if files else None
    except InputError:
        return None  # the check of the scan says why
    if series is None:
        return None
    told = _("{day}, series {number} {description}").format(
        day=reading.day_of(series.study) or _("no date"), number=series.number or "?", description=series.description
    )
    return _Which(reading.acquisition_of(series), told.strip())


@cache
def _study(uids: str) -> Study | None:
    files = _files_of(uids.partition(" ")[0])
    return reading.study_of(files[0]) if files else None


def _files_of(uids: str) -> list[Path]:
    """The files of these images, where all of them are there."""
    database, named = _database(), uids.split()
    if database is None:
        return []
    files = [Path(name) for uid in named if (name := database.fileForInstance(uid))]
    return files if len(files) == len(named) and all(file.is_file() for file in files) else []


def remember(volume: Any, said: dict[str, Any]) -> None:
    volume.SetAttribute(ACQUISITION, json.dumps(said))


def series_as_volume(folder: Any, name: str) -> Any:
    """A DICOM series as a new volume, with what was said of it. Raises `InputError`."""
    scan = reading.read(folder)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    put_image(node, scan.image)
    remember(node, asdict(scan.acquisition))
    keep_warnings(node, [{"code": code, "text": text} for code, text in scan.warnings])
    return node


def _database() -> Any:
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None
