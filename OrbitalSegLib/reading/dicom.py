"""A folder of DICOM, as it comes off a CD or out of a PACS -> the CT series fit for the orbit, as one `Scan`."""

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import temporary_folder
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.reading import units, values
from OrbitalSegLib.reading.claims import claims
from OrbitalSegLib.reading.headers import (
    CT_CLASSES,
    NO_STUDY,
    PROJECTIONS,
    DamagedFile,
    Header,
    Slice,
    Study,
    dataset_of,
    header_of,
    slices_of,
    unite_patients,
    why_no_plane,
    with_points,
)
from OrbitalSegLib.reading.pixels import DamagedPixels, StoredFrame, stored_frames
from OrbitalSegLib.reading.stack import find_gaps, is_upright, missing_slices, to_image, without_duplicates
from OrbitalSegLib.reading.stacking import SAME_PIXEL_MM, Note, Stack, stacks_of
from OrbitalSegLib.reading.weave import MOST_WOVEN, disagree, woven
from OrbitalSegLib.scan import MINIMUM_SLICES, Acquisition, Planes, Scan

THIN_SLICES_MM = 1.25
"""Reconstructed slice thickness that table A.1 asks for [3532-2 A]."""

ORBIT_MM = 35.0
"""Height and width of an adult's orbit: a thinner stack cannot hold one."""

MODALITY_NAMES = {
    "MR": "an MR",
    "PT": "a PET",
    "NM": "a nuclear medicine",
    "US": "an ultrasound",
    "CR": "an X-ray",
    "DX": "an X-ray",
    "XA": "an X-ray",
}

DAYS_PER_MONTH = 30

MOST_CHOICES = 8
"""A sentence lists no more series than these."""

HEAD_WORDS = ("HEAD", "SKULL", "ORBIT", "FACE", "FACIAL", "SINUS", "BRAIN", "EAR", "JAW", "NECK")
"""Body Part Examined values that can show an orbit."""

ONE_OF_PHASES = re.compile(rf"(?P<name>.+)\.(?P<phase>[1-{MOST_WOVEN}])of(?P<phases>[2-{MOST_WOVEN}])")
"""How one of the phases is called that lie woven into a series, counted from the first place."""


@dataclass(frozen=True)
class Series:
    """The slices of one series that belong to one stack (docs/reading.md), or why there are none."""

    uid: str
    number: str
    description: str
    """Typed by a technician: for the screen, never for a file."""
    modality: str
    image_type: tuple[str, ...]
    kernel: str
    body_part: str
    slices: tuple[Slice, ...]
    images: int
    unfit: InputError | None
    """Why the series cannot be segmented, or None."""
    not_hu: InputError | None = None
    """Why its values are no HU, as far as headers say; such a series can be taken where the user insists."""
    strays: int = 0
    """Damaged files in the same input that do not say to which series they belong."""
    study: Study = NO_STUDY
    name: str = ""
    """What a user types: the letter of the study and the number of the series, `A3`; `A3.2` where others share it."""
    rivals: int = 0
    """Other acquisitions of the same places in this series, of which none is the better one."""
    notes: tuple[Note, ...] = ()
    """What has to be said of how its slices were put in their places."""
    pieces: tuple[tuple[Slice, ...], ...] = ()
    """The overlapping parts that it was joined of."""
    left_out: str = ""
    """What else bears this series' UID, and why it is not in this stack: how many times what."""

    @cached_property
    def slice_distance_mm(self) -> float:
        """Median distance of neighbouring slices; 0 where there is no stack."""
        depths = [self.slices[place[0]].depth_mm for place in _places(self.slices)]
        return float(np.median(np.diff(depths))) if len(depths) > 1 else 0.0

    @property
    def extent_mm(self) -> float:
        """From the first slice's face to the last one's; 0 where there is no stack."""
        return self.slices[-1].depth_mm - self.slices[0].depth_mm + self.slice_distance_mm if self.slices else 0.0

    @property
    def shows_other_part(self) -> bool:
        """Whether the stated part of the body can show no orbit."""
        body = self.body_part.upper()
        return bool(body) and not any(word in body for word in HEAD_WORDS)

    @property
    def is_projection(self) -> bool:
        """Whether its values are not those of the tissue at their place."""
        return any(word in self.image_type for word in PROJECTIONS)

    @property
    def fits_orbit(self) -> bool:
        """Whether, as far as headers say, it can show a whole orbit."""
        return not (self.unfit or self.shows_other_part or self.is_projection or self.extent_mm < ORBIT_MM)

    @property
    def preference(self) -> tuple[object, ...]:
        """Sorts fit series, the best for the orbit first."""
        return (
            self.shows_other_part,
            self.is_projection,
            self.extent_mm < ORBIT_MM,
            self.slice_distance_mm > THIN_SLICES_MM,
            "ORIGINAL" not in self.image_type,
            round(self.slice_distance_mm, 2),
            -len(self.slices),
            int(self.number) if self.number.isdecimal() else 0,
            self.description,
            self.image_type,
            self.kernel,
            tuple(item.position_mm for item in self.slices[:1]),
        )

    @property
    def rank(self) -> int:
        """0: fit, or fit but for a damaged file; 1: damaged files of no known series; 2: unfit."""
        if self.unfit is None:
            return 0
        if self.unfit.code not in ("truncated", "inconsistent"):
            return 2
        return 0 if self.slices else 1


# ---------------------------------------------------------------------------------------------------------------------
# Listing


def list_series(folder: Path, progress: Progress = silent) -> list[Series]:
    """Every DICOM series under a folder.

    Parameters
    ----------
    folder
        However deep the files lie in it; or one file.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    series
        The best for the orbit first, unfit ones last, each with the reason why it is unfit.

    Raises
    ------
    InputError
        `unreadable`: a folder cannot be opened; `no-dicom`: there is no DICOM image.
    """
    return _series_of(sorted(_files(folder)), progress)


def _series_of(files: list[Path], progress: Progress = silent) -> list[Series]:
    """See `list_series`."""
    found: list[tuple[Header, list[Slice]]] = []
    damaged: list[str] = []
    with warnings.catch_warnings(action="ignore"):  # pydicom warns of values that break a rule and can be read
        for done, path in enumerate(files):
            progress(done / len(files))
            try:
                header = header_of(path)
                slices = slices_of(path, header) if header else []
            except DamagedFile as error:
                damaged.append(error.series_uid)
                continue
            if header:
                found.append((header, slices))
        unite_patients([header for header, _ in found])
        placeless = [header for header, slices in found if not slices]
        alike: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
        for item in chain.from_iterable(slices for _, slices in found):
            alike[item.key].append(item)
        stacks = [stack for items in alike.values() for stack in stacks_of(items)]
        series = _with_damaged(_all_series(stacks, placeless, damaged), damaged)
    if not series:
        raise InputError("no-dicom", "There is no DICOM image here: choose the folder that holds the CT series.")
    return _named(sorted(series, key=lambda item: (item.rank, item.preference)))


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            "unreadable", "A folder of the scan cannot be opened: check its permissions, or copy it to your disk."
        ) from error

    if not folder.is_dir():
        yield folder
        return
    for parent, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if (path := Path(parent) / name).is_file())


def identity_of(path: Path) -> tuple[str, str, tuple[str, str]] | None:
    """What tells the image in a file from others, and whose it is.

    Parameters
    ----------
    path
        A file.

    Returns
    -------
    identity
        The UID of the image, that of its series, and what tells its patient (a hash) and its study; None for what is no
        DICOM image.

    Raises
    ------
    InputError
        `truncated` of a damaged file; `unreadable`.
    """
    with warnings.catch_warnings(action="ignore"):  # as in `list_series`
        try:
            header = header_of(path)
        except DamagedFile as error:
            raise _damaged("A DICOM file is") from error
        if header is None:
            return None
        study = header.study
        image, series = map(header.text, ("SOPInstanceUID", "SeriesInstanceUID"))
    return image, series, (study.patient, study.uid)


def study_of(path: Path) -> Study | None:
    """Whose image a file is, and when it was taken; None where it is no DICOM image.

    Parameters
    ----------
    path
        A file.

    Returns
    -------
    study
        Patients are told apart by a hash; nobody's name is in it.
    """
    try:
        header = header_of(path)
    except DamagedFile:
        return None
    return header.study if header else None


def _all_series(stacks: list[Stack], placeless: list[Header], damaged: list[str]) -> list[Series]:
    """The stacks, and the series of images that have no place in the patient, each with what is not in it.

    An image without a place that is in all else like a stack's is a damaged slice: added to `damaged`.
    """
    series = [_series(stack.slices[0].header, stack, len(stack.slices)) for stack in stacks]
    like = {(*item.slices[0].header.kind, *map(str, item.slices[0].matrix)) for item in series}
    others: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    for header in placeless:
        matrix = header.text("Rows"), header.text("Columns")
        if header.frames == 1 and (*header.kind, *matrix) in like:
            damaged.append(header.text("SeriesInstanceUID"))
        else:
            others[header.kind].append(header)
    series += [_series(headers[0], Stack(()), len(headers)) for headers in others.values()]
    by_uid: dict[str, list[Series]] = defaultdict(list)
    for item in series:
        by_uid[item.uid].append(item)
    return [replace(item, left_out=_left_out(item, by_uid[item.uid])) for item in series]


def _left_out(item: Series, same: list[Series]) -> str:
    """What else bears the UID of a series: how many times what."""
    counts: dict[str, int] = defaultdict(int)
    for other in same if item.uid and item.slices else ():
        if other is not item:
            counts[_difference(item, other)] += other.images
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items()))


def _difference(item: Series, other: Series) -> str:
    """Why images of one series are not in the other's stack."""
    if not other.slices:
        if other.unfit and other.unfit.code == "no-positions":
            return "without a place in the patient"
        return "a colour page" if other.unfit and other.unfit.code == "colour" else "a screen capture or report page"
    mine, its = item.slices[0], other.slices[0]
    if item.study != other.study:
        return "of another patient or study"
    if "LOCALIZER" in other.image_type:
        return "a localizer"
    if mine.header.kind != its.header.kind:
        return "of another kind (a picture, a page or a projection)"
    if mine.matrix != its.matrix:
        return "with another matrix"
    if item.kernel != other.kernel:
        return "with another kernel"
    if max(abs(a - b) for a, b in zip(mine.pixel_mm, its.pixel_mm, strict=True)) > SAME_PIXEL_MM:
        return "with another pixel size"
    return "at another angle" if mine.orientation != its.orientation else "of another acquisition"


def _series(header: Header, stack: Stack, images: int) -> Series:
    slices = stack.slices
    unfit = _why_unfit(header, slices)
    if stack.doubtful and (unfit is None or unfit.code == "time-series"):
        unfit = _rounded()
    not_hu = None if unfit else units.why_not_hu_by_headers(slices)
    return Series(
        uid=header.text("SeriesInstanceUID"),
        number=header.text("SeriesNumber"),
        description=header.text("SeriesDescription"),
        modality=header.modality,
        image_type=header.image_type,
        kernel=(slices[0].said_text("ConvolutionKernel") or "") if slices else "",
        body_part=header.text("BodyPartExamined"),
        slices=slices,
        images=images,
        unfit=unfit or not_hu,
        not_hu=not_hu,
        study=header.study,
        rivals=stack.rivals,
        notes=stack.notes,
        pieces=stack.pieces,
    )


def _rounded() -> InputError:
    return InputError(
        "inconsistent",
        "Slices of this series share a place though their numbers go on: their positions were rounded, or a place was "
        "scanned twice, and nothing in the headers says which: export the series again with its full positions.",
    )


def _named(series: list[Series]) -> list[Series]:
    """Each with its name; letters go by date, and by nothing that is drawn at random as UIDs are."""
    studies: dict[Study, list[tuple[object, ...]]] = defaultdict(list)
    for item in series:
        if item.rank != 1:
            studies[item.study].append((item.rank, item.preference))

    def order(study: Study) -> tuple[object, ...]:
        return study.date, study.time, study.patient, sorted(studies[study]), study.uid

    letters = {study: _letters(index) for index, study in enumerate(sorted(studies, key=order))}
    bases = ["" if item.rank == 1 else letters[item.study] + item.number for item in series]
    usable = [base for base, item in zip(bases, series, strict=True) if item.rank == 0]
    names, seen = [], Counter[str]()
    for base in bases:
        seen[base] += 1
        plain = not base or (seen[base] == 1 and usable.count(base) < 2)
        names.append(base if plain else f"{base}.{seen[base]}")
    return [replace(item, name=name) for item, name in zip(series, names, strict=True)]


def _letters(index: int) -> str:
    """A to Z, then AA, AB and so on."""
    letter = chr(ord("A") + index % 26)
    return letter if index < 26 else _letters(index // 26 - 1) + letter


def _with_damaged(series: list[Series], damaged: list[str]) -> list[Series]:
    """The series, unfit where files of theirs are damaged; damaged files of none of them are a series of their own."""
    known = {item.uid for item in series if item.uid}
    strays = sum(uid not in known for uid in damaged)
    marked = [replace(item, strays=strays) for item in series]
    for index, item in enumerate(marked):
        count = damaged.count(item.uid) if item.uid else 0
        if count and item.slices and (item.unfit is None or item.unfit.code == "too-few-slices"):
            marked[index] = replace(
                item, unfit=_damaged(f"{count} of the series' files {'is' if count == 1 else 'are'}")
            )
    if strays:
        unfit = _damaged(f"{strays} DICOM files are" if strays > 1 else "A DICOM file is")
        marked.append(Series("", "", "", "", (), "", "", (), strays, unfit))
    return marked


def _damaged(what_is: str) -> InputError:
    return InputError("truncated", f"{what_is} damaged or cut off: copy the series again from the CD or the PACS.")


def _places(slices: tuple[Slice, ...]) -> list[list[int]]:
    """Indices of the slices, grouped by the place where they lie."""
    return without_duplicates(np.array([item.depth_mm for item in slices]))


def _why_unfit(header: Header, slices: tuple[Slice, ...]) -> InputError | None:
    modality, frames = header.modality, header.frames
    if modality in MODALITY_NAMES:
        kind = MODALITY_NAMES[modality]
        return InputError("wrong-modality", f"This is {kind} series; OrbitalSeg needs a CT: choose the CT series.")
    if not header.is_grey:
        return InputError("colour", "This series holds colour pictures, not CT values: choose the original CT series.")
    if modality == "CT" and not slices and frames > 1 and "PerFrameFunctionalGroupsSequence" not in header:
        return InputError(
            "no-positions",
            f"A file of this series holds {frames} frames and does not say where each lies: "
            "export the series again as one file for each slice, or as Enhanced CT.",
        )
    if modality == "CT" and not slices and header.get("SOPClassUID") in CT_CLASSES:
        return why_no_plane(header)
    if modality != "CT" or not slices:
        return InputError(
            "no-ct", "This series holds screen captures or other objects, no CT slices: choose the CT series."
        )
    if "LOCALIZER" in header.image_type:
        return InputError("scout-only", "This is a scout (localizer), not a CT volume: choose the axial series.")
    places = _places(slices)
    if len(places) < MINIMUM_SLICES:
        count = "1 slice" if len(places) == 1 else f"{len(places)} slices"
        return InputError(
            "too-few-slices", f"This series has only {count}: choose the folder that holds the whole CT series."
        )
    several = sum(len({slices[index].identity for index in place}) > 1 for place in places)
    if several > len(places) / 2:
        return InputError(
            "time-series",
            "This series holds several images of every place (a perfusion or 4D scan, or several phases): "
            "choose a series with one image of each place.",
        )
    return values.wrong_rescale(slices)


# ---------------------------------------------------------------------------------------------------------------------
# Choosing


def choose(series: list[Series], wanted: str | None = None, grey_values: bool = False) -> tuple[Series, str]:
    """The wanted series, or the one fit for the orbit, and why it was taken.

    Parameters
    ----------
    series
        As `list_series` gives them.
    wanted
        A name (`A3`), number or UID; a name may end in one of the phases that `load_series` found woven into a series,
        as `A3.1of2`. None takes the fittest.
    grey_values
        Whether a series that is unfit only for its values, which are no HU, passes for a fit one.

    Returns
    -------
    chosen
        The series.
    reason
        Why it was taken, for the record.

    Raises
    ------
    InputError
        `unknown-series`, `ambiguous-series`, `several-patients`, `several-studies`, or the reason why the (best) series
        is unfit.
    """
    of_phases = ONE_OF_PHASES.fullmatch(wanted or "")
    if of_phases and of_phases["phase"] <= of_phases["phases"]:
        whole, reason = choose(series, of_phases["name"], grey_values)
        return _phase(whole, int(of_phases["phase"]), int(of_phases["phases"])), reason
    if grey_values:
        series = [replace(item, unfit=None) if item.not_hu else item for item in series]
        series.sort(key=lambda item: (item.rank, item.preference))
    matching = series if wanted is None else [item for item in series if wanted and _is_called(item, wanted)]
    if not matching:
        raise _unknown(series)
    usable = [item for item in matching if item.rank < 2]
    best = usable[0] if usable else _closest(matching)
    exact = [item for item in matching if item.name == wanted]
    if len(exact) == 1 and len(matching) > 1 and all(item is exact[0] or item.uid == exact[0].uid for item in matching):
        best = exact[0]
    else:
        _check_choice(best, [item for item in usable if item.slices], wanted)
    if best.unfit:
        raise best.unfit
    return best, "asked for" if wanted is not None else _why_best(best, usable)


def _phase(whole: Series, phase: int, phases: int) -> Series:
    """One of several phases that lie woven into a series, or of the parts that it was joined of, as if it were one."""
    if whole.pieces and len(whole.pieces) != phases:
        raise _unknown([whole])
    places = _places(whole.slices)
    woven_in = [whole.slices[index] for place in places[phase - 1 :: phases] for index in place]
    kept = [*whole.pieces[phase - 1]] if whole.pieces else woven_in
    count = len({item.identity for item in chain(whole.slices, *whole.pieces)}) - len(kept)
    others = f"{count} × of another {'part' if whole.pieces else 'phase'}"
    left_out = f"{whole.left_out}, {others}" if whole.left_out else others
    unfit = _why_unfit(kept[0].header, tuple(kept)) if kept else whole.unfit
    name = f"{whole.name}.{phase}of{phases}"
    notes = tuple(note for note in whole.notes if note[0] != "overlapping-parts")
    return replace(
        whole,
        slices=tuple(kept),
        images=len(kept),
        left_out=left_out,
        unfit=unfit,
        name=name,
        notes=notes,
        pieces=(),
    )


def _check_woven(voxels: np.ndarray, name: str) -> None:
    phases = woven(voxels)
    if phases > 1:
        names = _names_of(name, phases)
        raise InputError(
            "time-series",
            f"The bone of this series moves to and fro from slice to slice, as where {phases} phases or scans lie "
            f"between each other: choose one of them by its name: {names}.",
        )


def _check_pieces(voxels: np.ndarray, slices: list[Slice], series: Series) -> None:
    """Raises `InputError` where overlapping parts show something else in the same place."""
    if not series.pieces:
        return
    known = {item.identity for item in slices}
    double = [item for item in chain(*series.pieces) if item.identity not in known]
    again, _ = _voxels(double, silent)
    depths = np.array([item.depth_mm for item in slices])
    if disagree(voxels, depths, again, np.array([item.depth_mm for item in double])):
        names = _names_of(series.name, len(series.pieces))
        raise InputError(
            "time-series",
            "Parts of this series overlap, and where they do their bone lies elsewhere, as if the patient had moved "
            f"in between: choose one of them by its name: {names}.",
        )


def _names_of(name: str, count: int) -> str:
    return ", ".join(f"{name}.{index}of{count}" for index in range(1, count + 1))


def _is_called(item: Series, wanted: str) -> bool:
    return wanted in (item.name, item.name.partition(".")[0], item.number, item.uid)


def _check_choice(best: Series, usable: list[Series], wanted: str | None) -> None:
    """Raises `InputError` where to take one of these would be arbitrary."""
    if wanted is None and len({item.study.patient for item in usable}) > 1:
        raise InputError("several-patients", f"The input holds CT series of several patients: {_choices(usable)}.")
    if wanted is None and len({item.study for item in usable}) > 1:
        raise InputError("several-studies", f"The input holds CT series of several studies: {_choices(usable)}.")
    if wanted is not None and len({(item.study, item.uid) for item in usable}) > 1:
        raise InputError("ambiguous-series", f"Several series are called that: {_choices(usable)}.")
    same = [item for item in usable if item.uid == best.uid]
    if best.rivals and wanted != best.name:
        raise InputError(
            "time-series",
            "This series holds several acquisitions of the same places (phases, or a repeated scan): "
            f"{_choices(same)}.",
        )
    equal = [item for item in usable if item.preference == best.preference]
    if len(equal) > 1 and wanted is None:
        raise InputError("ambiguous-series", f"Nothing tells which of these is the better one: {_choices(equal)}.")


def series_in(files: list[Path], beside: list[Path], grey_values: bool = False) -> Series:
    """The one series that some files hold.

    Parameters
    ----------
    files
        Those that are meant.
    beside
        Other files that bear the same UID: it may need some of them, and the others are left out.
    grey_values
        Whether values that are no HU are taken as well.

    Returns
    -------
    series
        Fit to be loaded.

    Raises
    ------
    InputError
        As `list_series` and `choose`; or why the series is unfit without the files beside.
    """
    own = choose(_series_of(sorted(files)), grey_values=grey_values)[0]
    if not beside:
        return own
    paths = {item.path for item in own.slices}
    whole = max(_series_of(sorted([*files, *beside])), key=lambda item: sum(s.path in paths for s in item.slices))
    if whole.unfit and not (grey_values and whole.not_hu):
        raise whole.unfit
    return whole


def several(series: list[Series], chosen: Series) -> tuple[Note, ...]:
    """What has to be said of whose images these are, and of a choice among several patients' or studies'.

    Parameters
    ----------
    series
        All of the input.
    chosen
        The one that was taken.

    Returns
    -------
    notes
        A code and a sentence each; none where there is one study of one patient.
    """
    unclear = (
        "patient-unclear",
        "Images of this study name several patients, or some name none; by their identifiers they are one study's, "
        "and were taken as one patient's: check whose scan this is.",
    )
    said: tuple[Note, ...] = (unclear,) if chosen.study.patient_unclear else ()
    studies = {item.study for item in series if item.rank != 1}
    patients = {study.patient for study in studies}
    taken = f"{chosen.name} was taken: check that it is the right one."
    if len(patients) > 1:
        return (*said, ("several-patients", f"The input holds images of {len(patients)} patients; {taken}"))
    if len(studies) > 1:
        return (*said, ("several-studies", f"The input holds images of {len(studies)} studies; {taken}"))
    return said


def _choices(series: list[Series]) -> str:
    """Ends a sentence: what can be chosen, and how."""
    listed = [f"{item.name} ({_told(item)})" for item in series[:MOST_CHOICES]]
    more = [f"{len(series) - MOST_CHOICES} more, which `orbitalseg info` lists"] if len(series) > MOST_CHOICES else []
    return f"choose one by its name: {', '.join([*listed, *more])}"


def _told(item: Series) -> str:
    day = day_of(item.study)
    return f"{f'{day}, ' if day else ''}{len(item.slices)} slices {item.slice_distance_mm:.2f} mm apart"


def day_of(study: Study) -> str | None:
    """The date of a study as YYYY-MM-DD; None where it is not stated.

    Parameters
    ----------
    study
        As a series has it.

    Returns
    -------
    day
        Text, or None.

    Examples
    --------
    >>> day_of(Study("", "", "20260131", "")), day_of(Study("", "", "", ""))
    ('2026-01-31', None)
    """
    said = study.date
    return f"{said[:4]}-{said[4:6]}-{said[6:8]}" if len(said) == 8 and said.isdecimal() else None


def _unknown(series: list[Series]) -> InputError:
    names = [item.name for item in series if item.name]
    return InputError(
        "unknown-series",
        f"The input has no such series; it has {', '.join(names)}: choose by name, number or UID.",
    )


def _why_best(best: Series, usable: list[Series]) -> str:
    if len(usable) < 2:
        return "the only CT series with a stack of slices"
    distance = best.slice_distance_mm
    if distance <= THIN_SLICES_MM:
        virtue = "slices thin enough for the orbit"
    elif distance <= min(item.slice_distance_mm for item in usable if item.slices):
        virtue = "the thinnest slices"
    else:
        virtue = "the kind and extent that suit an orbit best"
    return f"of {len(usable)} CT series, the one with {virtue} ({distance:.2f} mm apart)"


def _closest(series: list[Series]) -> Series:
    """Where nothing is fit: what comes closest to a CT, for its sentence."""
    order = (
        "not-hu",
        "no-positions",
        "inconsistent",
        "time-series",
        "too-few-slices",
        "scout-only",
        "wrong-modality",
        "colour",
        "no-ct",
    )
    return min((item for item in series if item.unfit), key=lambda item: order.index(item.unfit.code))  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------------------------------
# Loading


def full_headers(series: Series) -> list[Dataset]:
    """Everything that stands in the headers of a series' files, patient's identity included, in the slices' order.

    For results that are written into the scan's own study, and for nothing else.

    Parameters
    ----------
    series
        As `choose` gives it.

    Returns
    -------
    headers
        One for each file.

    Raises
    ------
    OSError
        A file is gone, or cannot be read any more.
    """
    paths = dict.fromkeys(item.path for item in _one_per_place(series)[0])
    with warnings.catch_warnings(action="ignore"):  # as in `list_series`
        return [_full_header(path) for path in paths]


def _full_header(path: Path) -> Dataset:
    with path.open("rb") as file:
        header = dataset_of(file)
    with_points(header)
    return header


def load_series(series: Series, progress: Progress = silent) -> Scan:
    """The series as one image in HU on the scan grid.

    Parameters
    ----------
    series
        As `choose` gives it.
    progress
        Hears how much is done, from 0 to 1; it stops the work by raising.

    Returns
    -------
    scan
        Slices in their true places: sheared back where the gantry was tilted, resampled where their distances differ.

    Raises
    ------
    InputError
        `truncated`, `unreadable`, `inconsistent`, `time-series` or `too-large`.
    """
    slices, notes = _one_per_place(series)
    planes = _planes(slices)
    with warnings.catch_warnings(action="ignore"):  # as in `list_series`
        voxels, said = _voxels(slices, lambda fraction: progress(0.7 * fraction))
    wrong = values.contradiction(voxels, slices)
    if wrong:
        raise wrong
    _check_woven(voxels, series.name)
    _check_pieces(voxels, slices, series)
    notes += claims(slices, series.slice_distance_mm)
    notes += values.notes_of(slices, said)
    gaps = find_gaps(planes, [item.name for item in slices])
    lost = missing_slices(planes, [item.instance for item in slices])
    image, measured = to_image(voxels, planes, lambda fraction: progress(0.7 + 0.3 * fraction))
    if lost:
        text = f"Slices are missing and were filled in from their neighbours: {lost}. Get the complete series."
        notes.append(("missing-slices", text))
    if measured["resampled"] and not (lost and is_upright(planes)):
        text = "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions."
        notes.append(("resampled", text))
    return Scan(
        image=image,
        acquisition=_acquisition(slices, planes),
        planes=planes,
        kind="dicom",
        measured={**measured, "duplicates_left_out": len(series.slices) - len(slices)},
        gaps=gaps,
        warnings=tuple(notes),
    )


def _one_per_place(series: Series) -> tuple[list[Slice], list[tuple[str, str]]]:
    """One slice for each place, in order, of several the one with the lowest number; and what has to be said of it."""
    places = _places(series.slices)
    slices = [
        min((series.slices[i] for i in place), key=lambda item: (item.instance, item.identity)) for place in places
    ]
    extra = len(series.slices) - len(slices)
    notes = [*series.notes]
    if series.left_out:
        text = f"Of the same series were left out: {series.left_out}. Check that nothing is missing that is needed."
        notes.append(("left-out", text))
    if extra:
        lie = "slice lies where another one lies and was" if extra == 1 else "slices lie where others lie and were"
        text = f"{extra} {lie} left out: check that the series was exported once."
        notes.append(("duplicates", text))
    if series.strays:
        files = "damaged file was" if series.strays == 1 else "damaged files were"
        text = f"{series.strays} {files} left out: if slices are missing, copy the series again."
        notes.append(("damaged-files", text))
    return slices, notes


def _planes(slices: list[Slice]) -> Planes:
    """Where the slices lie, with axes of length one at right angles."""
    orientation = np.array(slices[len(slices) // 2].orientation)
    row = orientation[:3] / np.linalg.norm(orientation[:3])
    column = orientation[3:] - (orientation[3:] @ row) * row
    return Planes(
        positions_mm=np.array([item.position_mm for item in slices]),
        row_direction=row,
        column_direction=column / np.linalg.norm(column),
        pixel_mm=slices[0].pixel_mm,
        matrix=slices[0].matrix,
    )


def _voxels(slices: list[Slice], progress: Progress) -> tuple[np.ndarray, Counter[str]]:
    """(n, rows, columns) in HU: signed 16 bits where every slope and intercept is whole, else float.

    And the number of slices for each code of what has to be said of their values.
    """
    whole = all(float(v).is_integer() for item in slices for v in (item.slope, item.intercept))
    voxels = np.empty((len(slices), *slices[0].matrix), np.int16 if whole else np.float32)
    by_file = sorted(range(len(slices)), key=lambda index: slices[index].path)
    done = 0
    said: Counter[str] = Counter()
    with temporary_folder() as private:
        for path, group in groupby(by_file, key=lambda index: slices[index].path):
            indices = list(group)
            frames = stored_frames(path, [slices[index].frame or 0 for index in indices], private)
            for index in indices:
                voxels[index], note = values.in_hu(_next(frames, slices[index]), slices[index], whole)
                said.update([note] if note else [])
                done += 1
                progress(done / len(slices))
    return voxels, said


def _next(frames: Iterator[StoredFrame], item: Slice) -> StoredFrame:
    try:
        frame = next(frames)
    except DamagedPixels as error:
        raise _damaged(f"The file of {item.name} is") from error
    if frame.values.shape != item.matrix:
        raise _damaged(f"The file of {item.name} is")
    return frame


# ---------------------------------------------------------------------------------------------------------------------
# What the scanner said


def acquisition_of(series: Series) -> Acquisition:
    """What the scanner said of a series, and what its slices show, without reading a voxel.

    Parameters
    ----------
    series
        With slices.

    Returns
    -------
    acquisition
        What was not stated is None.
    """
    slices, _ = _one_per_place(series)
    return _acquisition(slices, _planes(slices))


def _acquisition(slices: list[Slice], planes: Planes) -> Acquisition:
    item = slices[len(slices) // 2]
    thicknesses = [value for s in slices if (value := s.said_number("SliceThickness")) is not None]
    return Acquisition(
        file_format="DICOM",
        matrix=item.matrix,
        pixel_mm=max(item.pixel_mm),
        slice_distance_mm=planes.largest_distance_mm(),
        slice_thickness_mm=max(thicknesses, default=None),
        collimation_mm=item.said_number("SingleCollimationWidth"),
        tube_voltage_kv=item.said_number("KVP"),
        tube_current_ma=item.said_number("XRayTubeCurrent") or item.said_number("XRayTubeCurrentInmA"),
        rotation_time_s=item.said_number("RevolutionTime"),
        field_of_view_mm=item.said_number("ReconstructionDiameter"),
        kernel=item.said_text("ConvolutionKernel"),
        filter_type=item.said_text("FilterType"),
        manufacturer=item.said_text("Manufacturer"),
        model=item.said_text("ManufacturerModelName"),
        patient_position=item.said_text("PatientPosition"),
        contrast_agent=_contrast_agent(item),
        tilt_degrees=round(planes.tilt_degrees, 2),
        age_months=_age_months(item),
    )


def _contrast_agent(item: Slice) -> bool | None:
    """True, False, or None: an absent or empty attribute does not say that no agent was given."""
    agent = item.said_text("ContrastBolusAgent")
    if agent is None:
        return True if item.header.get("ContrastBolusAgentSequence") else None
    return agent.strip().upper() not in ("NONE", "NO", "N")


def _age_months(item: Slice) -> int | None:
    """Whole months since the scan; None where no date stands in the header or it lies in the future."""
    for keyword in ("AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "StudyDate"):
        try:
            scanned = datetime.strptime((item.said_text(keyword) or "")[:8], "%Y%m%d").date()
        except ValueError:
            continue
        days = (date.today() - scanned).days
        return days // DAYS_PER_MONTH if days >= 0 else None
    return None
