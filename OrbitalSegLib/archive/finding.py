"""A tree of folders, zips and volume files, or a list of them in CSV -> every scan that is fit for the orbit."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.files import PREFIX, safe_name
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.reading.dicom import Series, choose
from OrbitalSegLib.reading.headers import Study
from OrbitalSegLib.reading.volumes import volume_kind
from OrbitalSegLib.results import RECORD_FILE, SEGMENTATION_FILE
from OrbitalSegLib.scan import MINIMUM_SLICES

Take = Literal["all", "best"]
"""Of a study every series that is fit for the orbit, or the fittest one."""

SCAN_ENDINGS = (".dcm", ".dicom", ".dic", ".ima")
"""Files that are called so are meant to be DICOM, whatever is in them."""

LIST_ENDING, LIST_COLUMNS = ".csv", ("path", "name", "series")

LISTING_SHARE = 0.7
"""Of the time of finding, what looking at the loose files takes; the rest goes to the series that they make."""

NO_LIST = (
    "The list of scans cannot be used: give a CSV file in UTF-8 whose first line has `path`, and may have `name` and "
    "`series`."
)
TWO_NAMES = "Two scans of the list have one name: give each its own, of letters, digits, `-` and `_`."
NOTHING = "There is no scan here: choose a folder that holds folders of DICOM, zips or volume files."
NOT_THE_ORBIT = (
    "No series of this study shows an orbit, by the part of the body that is stated: if one does, name it in a list, "
    "or run it by itself."
)


@dataclass(frozen=True)
class Unit:
    """What a single run would be given: a folder, a zip or a file."""

    path: Path
    series: str | None = None
    """The only series that is wanted."""
    name: str = ""
    """As a list gives it."""


@dataclass(frozen=True)
class FoundScan:
    """One scan, or why there is none."""

    unit: Unit
    series: str | None = None
    """By its name; None where a run takes it unasked."""
    label: str = ""
    """Of its series within the unit, in a name; it says nothing of the patient."""
    uid: str = field(default="", repr=False)
    voxels: int = 0
    """0 where that is not known."""
    problem: OrbitalSegError | None = None


def find_scans(source: Path, results: Path, take: Take, grey_values: bool, progress: Progress) -> list[FoundScan]:
    """Every scan under `source`, in an order that depends on names alone; what lies in `results` is none.

    A study whose series cannot be used, and what is no scan but looks like one, is there with its problem. Raises
    `InputError` `no-such-input`, `unreadable`, `no-dicom`, and `no-list` of a list.
    """
    reading.must_exist(source)
    units = units_of(source, results, lambda done: progress(LISTING_SHARE * done))
    if not units:
        raise InputError("no-dicom", NOTHING)
    found = []
    for done, unit in enumerate(units):
        progress(LISTING_SHARE + (1 - LISTING_SHARE) * done / len(units))
        found += scans_of(unit, take, grey_values)
    progress(1.0)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Units


def units_of(source: Path, results: Path, progress: Progress) -> list[Unit]:
    """What single runs would be given, so that no series is torn apart. Raises `InputError` `no-list`."""
    if source.is_dir():
        folder = _folder_of(source, results.resolve(), progress)
        return list(_units(folder))
    return _listed(source) if source.suffix.lower() == LIST_ENDING else [Unit(source)]


def _listed(source: Path) -> list[Unit]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"path"} <= set(rows.fieldnames or ()) <= set(LIST_COLUMNS):
                raise InputError("no-list", NO_LIST)
            units = [
                Unit(source.parent / row["path"], row.get("series") or None, row.get("name") or "")
                for row in rows
                if row["path"]
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError("no-list", NO_LIST) from error
    names = [unit.name for unit in units if unit.name]
    if len({name.lower() for name in names}) < len(names) or any(safe_name(name) != name for name in names):
        raise InputError("no-list", TWO_NAMES)
    return units


@dataclass
class _Image:
    """A loose DICOM image: hashes of its SOP instance, its series, and its study and patient."""

    path: Path
    instance: int
    series: int
    study: int


@dataclass
class _Folder:
    """What lies directly in a folder, and in the folders in it."""

    path: Path
    images: list[_Image] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    """DICOM that is damaged, or what is only called so."""
    whole: list[Unit] = field(default_factory=list)
    """Zips and volume files."""
    files: int = 0
    folders: "list[_Folder]" = field(default_factory=list)

    def under(self) -> Iterator[_Image]:
        """Every image in it, however deep."""
        yield from self.images
        for folder in self.folders:
            yield from folder.under()

    @property
    def holds_something(self) -> bool:
        """Whether there is anything for a run in it, however deep."""
        here = self.images or self.broken or self.whole
        return bool(here) or any(folder.holds_something for folder in self.folders)

    @property
    def is_empty(self) -> bool:
        """Whether there is no file in it, however deep."""
        return not self.files and all(folder.is_empty for folder in self.folders)


def _folder_of(path: Path, results: Path, progress: Progress = silent) -> _Folder:
    """A folder and all in it; results of ours and private folders of runs are left out."""
    folder = _Folder(path)
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError:
        folder.whole.append(Unit(path))  # a run says what is wrong with it
        return folder
    for done, entry in enumerate(entries):
        progress(done / len(entries))
        if entry.is_dir():
            if not entry.is_symlink() and not _is_ours(entry, results):
                folder.folders.append(_folder_of(entry, results))
        elif entry.is_file():
            folder.files += 1
            _sort_in(entry, folder)
    return folder


def _is_ours(folder: Path, results: Path) -> bool:
    made = all((folder / name).is_file() for name in (RECORD_FILE, SEGMENTATION_FILE))
    return made or folder.name.startswith(PREFIX) or folder.resolve() == results


def _sort_in(path: Path, folder: _Folder) -> None:
    name = path.name.lower()
    if name.endswith(".seg.nrrd"):
        return
    if volume_kind(path) or name.endswith(".zip") or (not path.suffix and reading.is_zip(path)):
        folder.whole.append(Unit(path))
        return
    try:
        told = reading.identity_of(path)
    except InputError:
        folder.broken.append(path)
        return
    if told is not None:
        folder.images.append(_Image(path, *map(hash, told)))
    elif name.endswith(SCAN_ENDINGS):
        folder.broken.append(path)


def _units(folder: _Folder, depth: int = 0, read: bool = False) -> Iterator[Unit]:
    """The units of a folder; `read` says that its images are part of one already."""
    yield from folder.whole
    if not folder.holds_something:
        if (depth == 1 and not read) or (folder.is_empty and depth):
            yield Unit(folder.path)  # somebody's case, which holds no scan
        return
    if not read and _is_one(folder):
        yield Unit(folder.path)
        read = True
    if not read:
        yield from (Unit(image.path) for image in folder.images)
        yield from (Unit(path) for path in folder.broken)
    for inner in folder.folders:
        yield from _units(inner, depth + 1, read)


def _is_one(folder: _Folder) -> bool:
    """Whether all images in a folder, however deep, are to be read together."""
    inner = [part for part in folder.folders if any(True for _ in part.under())]
    if not inner:
        return bool(folder.images) or (bool(folder.broken) and not (folder.folders or folder.whole))
    if len(folder.images) >= MINIMUM_SLICES:
        return True
    images = [*folder.under()]
    several = len(inner) + bool(folder.images) > 1
    if several and len({image.study for image in images}) == 1:
        return len({image.instance for image in images}) == len(images)
    return _tears_a_series(inner)


def _tears_a_series(folders: Iterable[_Folder]) -> bool:
    """Whether one series lies in two of these, other images of it in each: a copy is a scan of its own."""
    instances: dict[int, dict[int, set[int]]] = {}
    for number, folder in enumerate(folders):
        for image in folder.under():
            instances.setdefault(image.series, {}).setdefault(number, set()).add(image.instance)
    return any(
        first.isdisjoint(second) for parts in instances.values() for first, second in combinations(parts.values(), 2)
    )


# ---------------------------------------------------------------------------------------------------------------------
# Scans


def scans_of(unit: Unit, take: Take, grey_values: bool) -> list[FoundScan]:
    """The scans of a unit: of each study the series that are fit for the orbit, or why there is none."""
    try:
        reading.must_exist(unit.path)
        if volume_kind(unit.path) and not unit.path.is_dir():
            return [FoundScan(unit, unit.series, voxels=_voxels_of(unit.path))]
        with reading.listing(unit.path) as series:
            if unit.series is not None:
                return [replace(_scan(unit, choose(series, unit.series, grey_values)[0]), series=unit.series)]
            return _of_studies(unit, series, take, grey_values)
    except OrbitalSegError as error:
        return [FoundScan(unit, problem=error)]


def _voxels_of(path: Path) -> int:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 0
    count = 1
    for size in reader.GetSize():
        count *= size
    return count


def _of_studies(unit: Unit, series: list[Series], take: Take, grey_values: bool) -> list[FoundScan]:
    if grey_values:
        series = [replace(item, unfit=None) if item.not_hu else item for item in series]
    studies: dict[Study, list[Series]] = {}
    for item in series:
        studies.setdefault(item.study, []).append(item)
    known = {study: items for study, items in studies.items() if any(item.rank != 1 for item in items)}
    unasked = _unasked(series, grey_values)
    found: list[FoundScan] = []
    for items in (known or studies).values():
        found += _of_study(unit, items, take, unasked)
    return found


def _unasked(series: list[Series], grey_values: bool) -> str | None:
    """The name of the series that a run takes where none is named."""
    try:
        return choose(series, None, grey_values)[0].name
    except InputError:
        return None


def _of_study(unit: Unit, items: list[Series], take: Take, unasked: str | None) -> list[FoundScan]:
    usable = [item for item in items if item.unfit is None]
    if not usable:
        label = items[0].name if len(items) == 1 else items[0].name.rstrip("0123456789.")
        return [FoundScan(unit, label=label, problem=_why_none(items))]
    head = [item for item in usable if not item.shows_other_part]
    if not head:
        return [FoundScan(unit, label=usable[0].name, problem=InputError("no-orbit", NOT_THE_ORBIT))]
    fit = [item for item in head if item.fits_orbit] or head[:1]
    return [_scan(unit, item, unasked) for item in (fit if take == "all" else fit[:1])]


def _why_none(items: list[Series]) -> OrbitalSegError:
    """What a run says of a study none of whose series can be used."""
    try:
        choose(items)
    except InputError as error:
        return error
    raise AssertionError("a series that cannot be used was chosen")


def _scan(unit: Unit, item: Series, unasked: str | None = None) -> FoundScan:
    rows, columns = item.slices[0].matrix if item.slices else (0, 0)
    series = None if item.name == unasked else item.name
    return FoundScan(unit, series, item.name, item.uid, rows * columns * len(item.slices))
