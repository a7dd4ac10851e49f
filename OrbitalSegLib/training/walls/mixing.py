"""What evidence and bone count together (`Mixture`): from new heads of the templates of the training."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from OrbitalSegLib.evaluation.walls import highest
from OrbitalSegLib.networks.sheet import Mixture, bone_of, clipped, evidence_of, logit, probability, sheet_of
from OrbitalSegLib.training.cases import Case
from OrbitalSegLib.training.walls.asking import EvidenceAsked, VolumeAsked
from OrbitalSegLib.training.walls.heads import judged

Array = np.ndarray

NEAR_MM = 1.5
"""A point of a wall is told of by a place of the sheet this near."""

STEPS = 50
RIDGE = 0.01


SEEN_HOLES, INFERRED_HOLES, GAP_WALLS = 0.05, 0.20, 0.01
"""Limits: of hole area so much is called seen, and seen or inferred; of intact wall so much a gap."""


@dataclass(frozen=True)
class Points:
    """Points of walls, each (n,)."""

    there: Array
    """Flags: whether there is a place of the sheet near them."""
    evidence: Array
    """Logit at that place; 0 where there is none."""
    bone: Array
    """Logit by the 3D network at that place, or the highest on the line through the point."""
    hole: Array
    """Flags."""
    area_mm2: Array

    def said(self, mixture: Mixture) -> Array:
        """Logits of bone by both networks."""
        return np.where(self.there, mixture.of(self.evidence, self.bone), self.bone)


def points_of(case: Case, volume: VolumeAsked, evidence: EvidenceAsked) -> Points:
    """Floor and medial wall of a head."""
    said = volume.of(case.working_ct)
    sheet = sheet_of(said["place"], said["distance"])
    walls = judged(case.walls, case)
    bone = sitk.Maximum(said["cortical"], said["thin"])
    known, shown = logit(highest(walls, bone)), np.zeros(len(walls.points_mm))
    away, nearest = cKDTree(sheet.points_mm).query(walls.points_mm, distance_upper_bound=NEAR_MM)
    there = np.isfinite(away)
    known[there] = bone_of(bone, sheet)[nearest[there]]
    shown[there] = evidence_of(case.ct, sheet, evidence.answers).bone[nearest[there]]
    return Points(there, shown, known, walls.hole != 0, walls.area_mm2)


def joined(parts: Iterable[Points]) -> Points:
    """The points of several heads."""
    known = list(parts)
    return Points(*(np.concatenate([getattr(one, name.name) for one in known]) for name in fields(Points)))


def fitted(points: Points) -> Mixture:
    """The logistic regression of intact wall against hole, which count the same, by area, where there is a place."""
    evidence, bone, hole, area = (
        getattr(points, name)[points.there] for name in ("evidence", "bone", "hole", "area_mm2")
    )
    true = ~hole
    weight = np.where(true, area / area[true].sum(), area / area[hole].sum()) * len(area) / 2
    given = np.stack([clipped(evidence), clipped(bone), np.ones(len(area))], axis=1)
    found = np.zeros(3)
    for _ in range(STEPS):
        said = 0.5 + 0.5 * np.tanh(0.5 * given @ found)
        slope = given.T @ (weight * (said - true)) + RIDGE * found
        curve = (given * (weight * said * (1 - said))[:, None]).T @ given + RIDGE * np.eye(3)
        found -= np.linalg.solve(curve, slope)
    return Mixture(*(float(value) for value in found))


def limits_of(points: Points, mixture: Mixture) -> dict[str, float]:
    """The limits of a package, by the shares above: `seen_above`, `inferred_above` and `gap_above`."""
    said = probability(points.said(mixture)).astype(float)
    hole, walls = points.hole, ~points.hole & points.there
    seen, inferred = (_limit(said[hole], points.area_mm2[hole], 1 - share) for share in (SEEN_HOLES, INFERRED_HOLES))
    gap = 1 - _limit(said[walls], points.area_mm2[walls], GAP_WALLS)
    found = {"seen_above": seen, "inferred_above": inferred, "gap_above": gap}
    return {name: round(value, 3) for name, value in found.items()}


def _limit(values: Array, weight: Array, share: float) -> float:
    """The value below which so much of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][np.searchsorted(below, share)])
