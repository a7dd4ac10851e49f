"""Are synthetic walls as hard to see as real ones? Coverage of the wall by thresholds, on cases and on real scans.

Scans that are used here are development scans ever after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.evaluation.coverage import MAX_WALL_MM, Sites, find_sites, lines_crossing, measure
from OrbitalSegLib.places import Box
from OrbitalSegLib.training.cases import Case, Flag, read_case

THRESHOLDS_HU = (300.0, 150.0, 50.0)

FEWEST_LINES = 100
"""A case with fewer lines from air to fat says nothing."""

TAIL = 0.1
"""A scan is bracketed where its coverage lies between these quantiles of the cases, TAIL and 1 - TAIL."""

Curve = tuple[float, ...]
"""Coverage by each of `THRESHOLDS_HU`."""


@dataclass(frozen=True)
class CalibrationCurves:
    """Curves of a set of cases and of real scans."""

    cases: Mapping[str, Curve]
    scans: Mapping[str, Curve] = field(default_factory=dict)

    def quantiles(self, share: float) -> Curve:
        """The coverage by each threshold that so many of the cases do not reach."""
        return tuple(float(v) for v in np.quantile(list(self.cases.values()), share, axis=0))

    def bracketed(self, scan: str) -> tuple[bool, ...]:
        """Whether the cases have both more and less coverage than a scan, by threshold."""
        limits = zip(self.quantiles(TAIL), self.scans[scan], self.quantiles(1 - TAIL), strict=True)
        return tuple(low <= value <= high for low, value, high in limits)

    def table(self) -> str:
        """Both sets as text."""
        rows = [("", *(f"{t:g} HU" for t in THRESHOLDS_HU))]
        for name, share in (("cases, lower end", TAIL), ("cases, median", 0.5), ("cases, upper end", 1 - TAIL)):
            rows.append((name, *(f"{v:.3f}" for v in self.quantiles(share))))
        for scan, curve in self.scans.items():
            verdicts = self.bracketed(scan)
            rows.append(
                (scan, *(f"{v:.3f}{'' if inside else ' outside'}" for v, inside in zip(curve, verdicts, strict=True)))
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def curve_of_scan(ct: sitk.Image, box_mm: Box | None = None) -> Curve:
    """How much wall each threshold holds on a scan in HU. The box should hold the orbits."""
    return _curve(find_sites(ct, box_mm), ct)


def curve_of_case(case: Case) -> Curve | None:
    """The same for intact wall of a case; None where too little wall borders on air."""
    sites = sites_of_case(case)
    return _curve(sites, case.ct) if len(sites.start_mm) >= FEWEST_LINES else None


def sites_of_case(case: Case) -> Sites:
    """Where intact wall of a case is judged, as on a real scan: lines that cross no hole."""
    sites = find_sites(case.ct, _orbits_box(case.label))
    kept = ~lines_crossing(sitk.And(case.label, int(Flag.HOLE)) > 0, sites.start_mm, sites.end_mm)
    return replace(sites, start_mm=sites.start_mm[kept], end_mm=sites.end_mm[kept])


def calibrate(cases: Sequence[Path], scans: Mapping[str, Curve]) -> CalibrationCurves:
    """Measure case folders against the curves of real scans."""
    curves = {folder.name: curve_of_case(read_case(folder)) for folder in cases}
    return CalibrationCurves({name: curve for name, curve in curves.items() if curve is not None}, scans)


def _curve(sites: Sites, ct: sitk.Image) -> Curve:
    return tuple(measure(sites, ct > threshold).coverage for threshold in THRESHOLDS_HU)


def _orbits_box(label: sitk.Image) -> Box:
    """The box around both orbits' contents and the air behind their walls."""
    inside = np.argwhere(sitk.GetArrayFromImage(label) & Flag.ORBIT)
    if not len(inside):
        inside = np.zeros((1, 3), int)
    origin, spacing = np.array(label.GetOrigin()), np.array(label.GetSpacing())
    low = origin + spacing * inside.min(axis=0)[::-1] - MAX_WALL_MM
    high = origin + spacing * inside.max(axis=0)[::-1] + MAX_WALL_MM
    return tuple(float(v) for pair in zip(low, high, strict=True) for v in pair)
