"""Endless heads: made while training goes on, each used a few times, then gone.

Head `n` is made from seed `n` and comes into use at step `n * steps_each`, whenever it was made; `in_use` heads later
it goes. So what a training sees depends on its step alone. Other processes make heads, as many as are needed from the
last checkpoint on and `ahead` more, and wait; the training waits for a head that is not there yet.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import cKDTree

from OrbitalSegLib.evaluation.grids import voxel_indices
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.evaluation.walls import HOLE_EDGE_MM, THIN_WALLS, of_walls
from OrbitalSegLib.networks.unrolling import unrolled
from OrbitalSegLib.structures import BONE
from OrbitalSegLib.training import store
from OrbitalSegLib.training.cases import Case, Flag
from OrbitalSegLib.training.synthesis.settings import FilledSinuses, Markers, Settings
from OrbitalSegLib.training.synthesis.synthesis import synthesize
from OrbitalSegLib.training.templates.template import Template, read_template
from OrbitalSegLib.training.walls.config import Heads, Walls

Array = np.ndarray

FLAGS = {**store.FLAGS, "place": 128}
"""The flags of a packed case, and where a wall of the orbit belongs, intact or broken alike."""

PLACE_MM = 0.5
"""The label of a place reaches this far from the wall's mid-surface."""

REACH_MM = 2.5
STORED_MM = 0.02
"""The distance from the mid-surface is known this near to it, in these steps, in one signed byte."""

PLACES = ("place", "hole", BONE, "orbit")
MOST_PLACES = 4000
"""So many places of each kind a head keeps, to centre patches on."""

PROFILES = 600
"""So many points of its walls a head keeps unrolled, up to a half of them in holes."""
MISPLACED_MM = 0.3
TILTED = 0.08
"""How well the place is known where a scan is unrolled: standard deviations."""


@dataclass(frozen=True)
class Head:
    """A head as the trainings see it."""

    hu: Array
    """On the working grid (z, y, x), 16 bits."""
    label: Array
    """`FLAGS`, 8 bits."""
    distance: Array
    """From the mid-surface of the nearest wall in steps of `STORED_MM`, negative in the orbit; 127 where it is far."""
    places: dict[str, Array]
    """Voxels (n, 3) of each of `PLACES`."""
    profiles: Array
    """HU (n, 5, 5, 41) around points of floor and medial wall (see `unrolling`)."""
    thickness_mm: Array
    """Of the wall at each profile; 0 in a hole."""


ARRAYS = ("hu", "label", "distance", "profiles", "thickness_mm")


def pack(case: Case, rng: np.random.Generator) -> Head:
    """A case as the trainings see it."""
    label = store.flags_of_case(sitk.GetArrayFromImage(case.label), sitk.GetArrayFromImage(case.clean))
    distance = distance_mm(case.walls, case.working_ct)
    label[_place(label, distance)] |= np.uint8(FLAGS["place"])
    stored = np.where(np.isfinite(distance), np.rint(distance / STORED_MM), 127).astype(np.int8)
    places = {}
    for kind in PLACES:
        at = np.flatnonzero(label & FLAGS[kind])
        if len(at) > MOST_PLACES:
            at = rng.choice(at, MOST_PLACES, replace=False)
        places[kind] = np.stack(np.unravel_index(at, label.shape), axis=1).astype(np.int16)
    profiles, thickness_mm = _profiles(case, rng)
    hu = sitk.GetArrayFromImage(case.working_ct)
    return Head(hu, label, stored, places, profiles, thickness_mm.astype(np.float32))


def _place(label: Array, distance: Array) -> Array:
    """Where a wall belongs. A case's walls lack the points of holes with bone behind them: there the place is where
    the hole's band meets the border of the orbit, which is the mid-surface and knows of no hole."""
    orbit = (label & Flag.ORBIT) > 0
    border = ndimage.binary_dilation(orbit) & ndimage.binary_dilation(~orbit)
    return (np.abs(distance) < PLACE_MM) | (border & ((label & Flag.HOLE) > 0))


def distance_mm(walls: WallPoints, grid: sitk.Image) -> Array:
    """Signed distance (z, y, x) from the walls' mid-surfaces, negative in the orbit; infinite beyond `REACH_MM`."""
    result = np.full(grid.GetSize()[::-1], np.inf, np.float32)
    if not len(walls.points_mm):
        return result
    low, high = walls.points_mm.min(axis=0) - REACH_MM, walls.points_mm.max(axis=0) + REACH_MM
    ends = np.rint(voxel_indices(grid, np.array([low, high]))).astype(int)
    first, last = np.maximum(ends[0], 0), np.minimum(ends[1] + 1, grid.GetSize())
    index = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = index * np.array(grid.GetSpacing()) + np.array(grid.GetOrigin())
    away, nearest = cKDTree(walls.points_mm).query(voxels, distance_upper_bound=REACH_MM)
    near = np.isfinite(away)
    from_wall = voxels[near] - walls.points_mm[nearest[near]]
    signed = np.einsum("ij,ij->i", from_wall, walls.normals[nearest[near]])
    x, y, z = index[near].T
    beside = away[near] > np.abs(signed) + PLACE_MM  # beyond the wall's edge, where it has no distance
    result[z, y, x] = np.where(beside, np.inf, signed)
    return result


def judged(walls: WallPoints, case: Case) -> WallPoints:
    """Floor and medial wall, less the rims of holes and what is not scored."""
    clear = np.where(walls.hole != 0, walls.depth_mm > HOLE_EDGE_MM, walls.depth_mm < -HOLE_EDGE_MM)
    walls = walls.at(clear & of_walls(walls, THIN_WALLS))
    label = sitk.GetArrayFromImage(case.label)
    index = np.rint(voxel_indices(case.label, walls.points_mm)).astype(int)
    inside = np.all((index >= 0) & (index < case.label.GetSize()), axis=1)
    x, y, z = index[inside].T
    inside[inside] = (label[z, y, x] & Flag.IGNORE) == 0
    return walls.at(inside)


def _profiles(case: Case, rng: np.random.Generator) -> tuple[Array, Array]:
    walls = judged(case.walls, case)
    hole, intact = np.flatnonzero(walls.hole), np.flatnonzero(walls.hole == 0)
    hole = rng.permutation(hole)[: PROFILES // 2]
    chosen = walls.at(np.concatenate([hole, rng.permutation(intact)[: PROFILES - len(hole)]]))
    points, normals = misplaced(chosen, rng)
    return unrolled(case.ct, points, normals, rng.uniform(0, 2 * np.pi, len(points))), chosen.thickness_mm


def misplaced(walls: WallPoints, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points and normals as well as they are known where a scan is unrolled."""
    normals = walls.normals + rng.normal(0, TILTED, walls.normals.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return walls.points_mm + normals * rng.normal(0, MISPLACED_MM, (len(normals), 1)), normals


def write(head: Head, path: Path) -> None:
    """Write a head, whole or not at all."""
    part = path.with_suffix(".part")
    arrays = {name: getattr(head, name) for name in ARRAYS}
    arrays |= {f"places-{kind}": at for kind, at in head.places.items()}
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def read(path: Path) -> Head:
    """Read a head written by `write`."""
    with np.load(path) as said:
        places = {kind: said[f"places-{kind}"] for kind in PLACES}
        return Head(places=places, **{name: said[name] for name in ARRAYS})


def path_of(work: Path, number: int) -> Path:
    return work / "heads" / f"{number:07d}.npz"


def window(heads: Heads, step: int) -> range:
    """The heads that are in use at a step."""
    last = step // heads.steps_each
    return range(max(0, last + 1 - heads.in_use), last + 1)


def make(
    walls: Walls,
    templates: Path,
    work: Path,
    stop: Callable[[], bool] = lambda: False,
    *,
    wait: bool = True,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Make the heads that a training needs from its last checkpoint on; with `wait`, endlessly.

    Of several processes each makes its `share`: the one of this number, of so many.
    """
    mine, everyone = share
    (work / "heads").mkdir(parents=True, exist_ok=True)
    known: dict[str, Template] = {}
    while not stop():
        needed = window(walls.heads, checkpointed(work))
        for path in (work / "heads").glob("*.npz"):
            if int(path.stem) < needed.start:
                path.unlink(missing_ok=True)
        ahead = range(needed.start, needed.stop + walls.heads.ahead)
        missing = next((n for n in ahead if n % everyone == mine and not path_of(work, n).exists()), None)
        if missing is not None:
            name = walls.heads.templates[missing % len(walls.heads.templates)]
            if name not in known:
                known[name] = read_template(templates / name)
            case = synthesize(known[name], missing + walls.heads.first_seed, settings_of(walls.heads))
            write(pack(case, np.random.default_rng((walls.seed, missing))), path_of(work, missing))
        elif wait:
            time.sleep(2)
        else:
            return


PARTS = {"filled": FilledSinuses, "markers": Markers}
"""The settings that are a table of their own."""


def settings_of(heads: Heads) -> Settings:
    """What heads are drawn from: the usual, with the configuration's own ranges."""
    own = _ranges(heads.settings)
    parts = {name: kind(**_ranges(own[name])) for name, kind in PARTS.items() if name in own}
    return replace(Settings(), **own | parts)


def _ranges(table: dict[str, Any]) -> dict[str, Any]:
    """What TOML has as a list, as the settings have it."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def checkpointed(work: Path) -> int:
    """The step of the last checkpoint of the training that needs the oldest heads."""
    steps = [json.loads(path.read_text("utf-8"))["heads_step"] for path in work.glob("*/progress.json")]
    return min(steps, default=0)
