"""An orbit as points in the head's own frame: LPS mm, the origin midway between the orbits.

The shape is the phantom's formula with the proportions of real orbits. Everything is given for the left orbit; the
right one is its mirror image.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from OrbitalSegLib.orbit_solid import OrbitSolid

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

Side = Literal["right", "left"]

SIDES: dict[Side, int] = {"right": -1, "left": 1}
"""The sign of x in LPS."""

PYRAMID = OrbitSolid(
    1,
    half_width_mm=16.8,
    half_height_mm=18.0,
    depth_mm=46.0,
    roundness=0.4,
    bulge=1.3,
    medial_x_mm=11.5,
    front_y_mm=-16.0,
    recession=0.42,
    rise=0.15,
    droop=0.06,
)
_FORWARD_UP = 0.28
"""The upper rim lies before the lower one: mm forwards per mm up."""
_SADDLE_MM = 3.0
"""The rim lies this much further back at its sides, and further forward above and below."""

_ANGLES = np.arange(16) * 2 * np.pi / 16
"""Around the axis of the left orbit: 0 lateral, then up, medial, down."""


def points(depths: Floats, angles: Floats, fractions: Floats, outwards_mm: float = 0.0) -> Floats:
    """(n, 3): points of the left orbit at a share of the depth, an angle, and a share of the way to the wall."""
    formula = PYRAMID
    cosine, sine = np.cos(angles), np.sin(angles)
    reach = (cosine**4 + 2 * formula.roundness * (cosine * sine) ** 2 + sine**4) ** -0.25
    narrowing = (1 - depths) * (1 + formula.bulge * depths)
    across = fractions * reach * cosine * formula.half_width_mm * narrowing + outwards_mm * cosine
    up = fractions * reach * sine * formula.half_height_mm * narrowing + outwards_mm * sine
    behind = depths * formula.depth_mm
    x = formula.medial_x_mm + formula.half_width_mm * narrowing + across
    slant = formula.recession * (x - formula.medial_x_mm - formula.half_width_mm) - _FORWARD_UP * up
    slant += _SADDLE_MM * fractions * np.cos(2 * angles)
    return np.stack([x, behind + formula.front_y_mm + slant * (1 - depths), up + formula.rise * behind], axis=-1)


def _lattice(
    depths: tuple[float, ...], fractions: tuple[float, ...], every: int = 1, outwards_mm: float = 0.0
) -> Floats:
    places = np.array(list(product(depths, fractions, _ANGLES[::every])))
    return points(places[:, 0], places[:, 2], places[:, 1], outwards_mm)


_BONE_AROUND = np.array(
    [
        *((0, -22, 12), (2, -20, 16), (12, -26, 24), (20, -24, 26), (30, -22, 26), (40, -12, 24)),
        *((48, -2, 10), (48, -2, 2), (45, -3, -22), (47, -2, -18)),
    ]
)
"""Root of the nose, forehead, lateral rim and cheekbone."""
_FREE_AROUND = np.array(
    [
        *((52, 18, 2), (54, 22, -4), (56, 16, 6), (52, 24, 2)),
        *((25, 0, 38), (30, 20, 34), (15, 10, 36), (28, 40, 30), (40, 45, 20)),
        *((36, -40, 0), (20, -45, 10), (36, -35, -15)),
    ]
)
"""Temple, cranial cavity, and what lies before the face."""


@dataclass(frozen=True)
class OrbitModel:
    """The left orbit. Rays run from `ray_starts` and have to meet bone at `ray_ends`."""

    ray_starts: Floats
    ray_ends: Floats
    ray_weights: Floats
    thin: Flags
    """Rays to walls so thin that the air behind them counts as the wall."""
    of_rim: Flags
    walls: Floats
    wall_weights: Floats
    free: Floats
    """Points where no bone may be."""
    free_weights: Floats
    bone_around: Floats
    free_around: Floats
    surface: Floats
    region: Floats


@cache
def orbit_model() -> OrbitModel:
    """Six rings of rays from the axis and one of lines that meet the rim from in front.

    Floor and medial wall are thin and count half; the rim counts more, but little at the nose, where it has no edge.
    """
    depths = np.repeat([0.03, 0.15, 0.3, 0.45, 0.6, 0.75], len(_ANGLES))
    angles = np.tile(_ANGLES, 6)
    degrees = np.degrees(angles)
    thin = (degrees > 120) & (degrees < 315) & (depths > 0.1)
    weights = np.where(thin, 0.45, np.where(depths > 0.1, 1.0, np.where(np.abs(degrees - 187) < 38, 0.8, 1.3)))
    nothing, all_the_way = np.zeros_like(depths), np.ones_like(depths)
    rim = points(np.zeros(16), _ANGLES, np.ones(16), outwards_mm=3.0)
    rim_weights = np.where(np.abs(_ANGLES - np.pi) < 0.7, 0.3, 1.0)
    inside = np.concatenate(
        [_lattice((-0.15, 0.03, 0.2, 0.4, 0.6), (0.05, 0.4, 0.65), every=4), _lattice((0.75,), (0.05,), 8)]
    )
    entrance = _lattice((0.0,), (0.1, 0.5, 0.85), every=4)
    before = np.concatenate([entrance - (0, far_mm, 0) for far_mm in (10, 20, 30)])
    cranial = points(np.repeat([0.2, 0.4, 0.6, 0.8], 3), np.tile(_ANGLES[[3, 4, 5]], 4), np.ones(12), outwards_mm=15.0)
    temporal = points(np.repeat([0.25, 0.4], 3), np.tile(_ANGLES[[0, 1, 15]], 2), np.ones(6), outwards_mm=13.0)
    tip = points(np.ones(1), np.zeros(1), np.ones(1))
    apex = tip + np.array([0, 3, 0])  # the walls meet in front of the opening of the canal
    foramina = np.array([(20.0, -22.0, 28.0), (30.0, -22.0, 30.0), (30.0, -16.0, -31.0), (20.0, -22.0, -29.0)])
    return OrbitModel(
        ray_starts=np.concatenate([points(depths, angles, nothing), rim - (0, 14, 0)]),
        ray_ends=np.concatenate([points(depths, angles, all_the_way), rim]),
        ray_weights=np.concatenate([weights, rim_weights]),
        thin=np.concatenate([thin, np.zeros(16, bool)]),
        of_rim=np.concatenate([np.zeros(len(depths), bool), np.ones(16, bool)]),
        walls=points(depths, angles, all_the_way, outwards_mm=1.5),
        wall_weights=weights / weights.sum(),
        free=np.concatenate([inside, before]),
        free_weights=np.repeat([1 / len(inside), 0.35 / len(before)], [len(inside), len(before)]),
        bone_around=np.concatenate([_BONE_AROUND, rim[[1, 2, 3, 4, 13, 14, 15]]]),
        free_around=np.concatenate([_FREE_AROUND, cranial, temporal]),
        surface=np.concatenate([_lattice((0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95), (1.0,)), apex]),
        region=np.concatenate(
            [_lattice((0.0, 0.2, 0.5), (1.0,), outwards_mm=11.0), _lattice((1.15,), (1.0,)), foramina]
        ),
    )
