"""What the methods share that let a contour move until forces are in balance [3532-1 6.3, 3532-2 B]."""

from dataclasses import asdict
from typing import Any, Protocol

import SimpleITK as sitk

from OrbitalSegLib.methods.method import ByValue
from OrbitalSegLib.methods.parameters import parameter

BALANCED = 0.005
"""It ends when the contour moves less, in voxels a round."""


def growing_parameter() -> Any:
    """How fast the contour moves outward."""
    return parameter(1.0, "Growing force", "weight", 0, 20)


def smoothing_parameter() -> Any:
    """How much bends cost. Ours: little, since a wall is nothing but bend at its rim."""
    return parameter(0.02, "Smoothing force", "weight", 0, 20)


def rounds_parameter() -> Any:
    """The most rounds. Ours: from what is certainly bone it is not far."""
    return parameter(20, "Rounds", "rounds", 1, 1000, whole=True)


def distance_to(mask: sitk.Image) -> sitk.Image:
    """Signed distance to the rim of a mask, in voxels: below 0 inside. It is half a voxel beyond the outermost middles,
    without which a contour would begin half a voxel inside and lose what is thin."""
    return sitk.SignedMaurerDistanceMap(mask, False, False, False) - 0.5


class Moving(Protocol):
    """What every contour is told that moves."""

    @property
    def growing(self) -> float: ...
    @property
    def smoothing(self) -> float: ...
    @property
    def rounds(self) -> int: ...


def moved(mover: Any, begun: sitk.Image, field: sitk.Image, parameters: Moving, ct: sitk.Image) -> ByValue:
    """What a contour encloses that begins at a distance (`distance_to`) and is moved through a field until it rests."""
    mover.SetPropagationScaling(parameters.growing)
    mover.SetCurvatureScaling(parameters.smoothing)
    mover.SetMaximumRMSError(BALANCED)
    mover.SetNumberOfIterations(parameters.rounds)
    bone = sitk.Cast(mover.Execute(begun, field) <= 0, sitk.sitkUInt8)
    measured = {"rounds": mover.GetElapsedIterations(), "moved_voxels": round(mover.GetRMSChange(), 4)}
    return ByValue(ct, bone, asdict(parameters), measured=measured)  # type: ignore[call-overload] # always a dataclass
