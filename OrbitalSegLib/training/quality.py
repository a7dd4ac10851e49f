"""Is a data set fit to be learnt from? Every case is looked at before it is used [3532-2 9]."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.scan import AIR_HU
from OrbitalSegLib.training.cases import Flag, read_case
from OrbitalSegLib.training.dataset import BONE_LABELS, Entry, read_pair

HIGHEST_HU = 3072  # what 12 bits hold [3532-2 7]
AIR_BELOW_HU = -500
"""A CT of a head holds air; an image without any was windowed, or is in other units."""

SAME_MM = 0.01
"""Grids may differ by so much in the corners of the image."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a case. `severity` is `error` (it is not used) or `note`."""

    case: str
    check: str
    severity: str
    text: str


def inspect(
    entries: Sequence[Entry], labels: Mapping[str, int] = BONE_LABELS, progress: Progress = silent
) -> list[Finding]:
    """All findings of a data set: geometry, HU, label values, empty labels, duplicates."""
    findings: list[Finding] = []
    first: dict[str, str] = {}
    for number, entry in enumerate(entries):
        said: list[str] = []
        try:
            ct, label, allowed = _images(entry, labels, said)
        except InputError as error:
            findings.append(Finding(entry.name, "readable", "error", error.text))
            continue
        findings += [Finding(entry.name, "header", "note", text) for text in said]
        findings += [Finding(entry.name, *found) for found in (*_geometry(ct, label), *_values(ct, label, allowed))]
        digest = hashlib.sha256(sitk.GetArrayViewFromImage(ct).tobytes()).hexdigest()
        other = first.setdefault(digest, entry.name)
        if other != entry.name:
            findings.append(Finding(entry.name, "duplicate", "error", f"The image is the same as that of {other}."))
        progress((number + 1) / len(entries))
    return findings


def _images(entry: Entry, labels: Mapping[str, int], said: list[str]) -> tuple[sitk.Image, sitk.Image, set[int] | None]:
    """Image, label, and the values that the label may have (None: the flags of a synthetic case).

    `said` gets what is to be said of their headers."""
    if entry.synthetic:
        case = read_case(entry.folder)
        return case.working_ct, case.label, None
    return *read_pair(entry, labels, lambda _code, text: said.append(text)), {0, *labels.values()}


def _geometry(ct: sitk.Image, label: sitk.Image) -> list[tuple[str, str, str]]:
    if ct.GetDimension() != 3 or label.GetDimension() != 3:
        return [("geometry", "error", "Image and label must have three dimensions.")]
    if ct.GetSize() != label.GetSize():
        return [("geometry", "error", f"The image has {ct.GetSize()} voxels, the label {label.GetSize()}.")]
    last = [size - 1 for size in ct.GetSize()]
    apart = max(
        float(np.abs(np.subtract(ct.TransformIndexToPhysicalPoint(i), label.TransformIndexToPhysicalPoint(i))).max())
        for i in ([0, 0, 0], last, [last[0], 0, 0], [0, last[1], 0])
    )
    if apart > SAME_MM:
        return [("geometry", "error", f"Image and label lie {apart:.2f} mm apart.")]
    return []


def _values(ct: sitk.Image, label: sitk.Image, allowed: set[int] | None) -> list[tuple[str, str, str]]:
    found = []
    hu = sitk.GetArrayViewFromImage(ct)
    low, high = float(hu.min()), float(hu.max())
    if low > AIR_BELOW_HU or high <= 0:
        found.append(("hu", "error", f"The values run from {low:g} to {high:g}: these are no HU of a head."))
    elif low < AIR_HU or high > HIGHEST_HU:
        found.append(("hu", "note", f"The values run from {low:g} to {high:g}, beyond the 12 bits of a CT."))
    array = sitk.GetArrayViewFromImage(label)
    values = {int(value) for value in np.unique(array)}
    if allowed is not None and values - allowed:
        found.append(("label-values", "error", f"The label has unknown values: {sorted(values - allowed)}."))
    used = (array & Flag.BONE) > 0 if allowed is None else np.isin(array, sorted((allowed or set()) - {0}))
    if not used.any():
        found.append(("empty", "error", "The label is empty."))
    return found


def fit(entries: Iterable[Entry], findings: Iterable[Finding]) -> list[Entry]:
    """The cases without an error."""
    bad = {finding.case for finding in findings if finding.severity == "error"}
    return [entry for entry in entries if entry.name not in bad]


def write_report(entries: Sequence[Entry], findings: Sequence[Finding], path: Path) -> None:
    """A table of all cases: what was found, or that nothing was."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "check", "severity", "text"])
        for entry in entries:
            own = [finding for finding in findings if finding.case == entry.name]
            writer.writerows([f.case, f.check, f.severity, f.text] for f in own)
            if not own:
                writer.writerow([entry.name, "", "none", ""])
