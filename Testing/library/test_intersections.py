"""The search for self-intersections against planted ones, clean meshes, and an exact search by another way."""

import pytest

pytest.importorskip("trimesh")

import numpy as np
import trimesh
from exact import exact_pair_intersects
from hypothesis import example, given, settings
from hypothesis import strategies as st

from OrbitalSegLib.modelling.intersections import near, self_intersections
from OrbitalSegLib.modelling.mesh import Topology

TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
TETRAHEDRON_FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def intersections_of(points, triangles, among=None):
    points, triangles = np.asarray(points, float), np.asarray(triangles)
    return self_intersections(points, triangles, Topology(triangles).wrong_vertices, among=among)


def pairs_of(points, triangles, among=None):
    return {tuple(pair) for pair in intersections_of(points, triangles, among).tolist()}


def together(*meshes):
    """One mesh of several (points, triangles)."""
    points, triangles, count = [], [], 0
    for more_points, more_triangles in meshes:
        points.append(more_points)
        triangles.append(np.asarray(more_triangles) + count)
        count += len(more_points)
    return np.concatenate(points), np.concatenate(triangles)


def icosphere(subdivisions, radius=1.0):
    sphere = trimesh.creation.icosphere(subdivisions, radius)
    return np.array(sphere.vertices), np.array(sphere.faces)


def exact_pairs(points, triangles):
    """Coordinates are integers; degenerate triangles are left out."""
    points = [[int(x) for x in point] for point in points]
    corners = np.asarray(points)[np.asarray(triangles)]
    lower, upper = corners.min(axis=1), corners.max(axis=1)
    proper = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any(axis=1)
    boxes_meet = (lower[:, None] <= upper).all(axis=2) & (lower <= upper[:, None]).all(axis=2)
    return {
        (i, j)
        for i, j in np.argwhere(np.triu(boxes_meet & proper & proper[:, None], 1)).tolist()
        if exact_pair_intersects(points, list(triangles[i]), list(triangles[j]))
    }


coordinate = st.integers(0, 4)
soups = st.integers(4, 9).flatmap(
    lambda count: st.tuples(
        st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=count, max_size=count),
        st.lists(st.lists(st.integers(0, count - 1), min_size=3, max_size=3, unique=True), min_size=2, max_size=10),
    )
)


@settings(max_examples=300, deadline=None)
@example(([(0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 1, 0)], [[0, 3, 1], [0, 4, 3], [1, 3, 2], [2, 3, 4]]))
@given(soups)
def test_soups_on_a_coarse_grid_give_the_exact_pairs(soup):
    """Integers make touching, overlapping in one plane and sharing vertices the rule, not the exception."""
    points, triangles = soup
    assert pairs_of(points, triangles) == exact_pairs(points, triangles)


@pytest.mark.parametrize("seed", range(2))
def test_a_mesh_shaken_until_it_crosses_itself_gives_the_exact_pairs(seed):
    rng = np.random.default_rng(seed)
    points, triangles = icosphere(3, 100)
    shaken = np.rint(points + rng.normal(0, 6, points.shape)).astype(int)
    expected = exact_pairs(shaken, triangles)
    assert len(expected) > 20
    assert pairs_of(shaken, triangles) == expected


@pytest.mark.parametrize("seed", range(3))
def test_among_gives_the_pairs_with_a_flagged_triangle(seed):
    rng = np.random.default_rng(seed)
    points, triangles = icosphere(4, 100)
    points += rng.normal(0, 3, points.shape)
    everything = pairs_of(points, triangles)
    among = rng.random(len(triangles)) < 0.01
    expected = {pair for pair in everything if among[list(pair)].any()}
    assert 0 < len(expected) < len(everything)
    assert pairs_of(points, triangles, among) == expected


@pytest.mark.parametrize("seed", range(3))
def test_every_triangle_whose_box_meets_a_chosen_one_is_near(seed):
    rng = np.random.default_rng(seed)
    points, triangles = together(icosphere(3, 100), (rng.uniform(-100, 100, (9, 3)), np.arange(9).reshape(3, 3)))
    chosen = rng.random(len(triangles)) < 0.01
    corners = points[triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    boxes = zip(low[chosen], high[chosen], strict=True)
    meets = [(low <= upper).all(axis=1) & (high >= lower).all(axis=1) for lower, upper in boxes]
    found = near(points, triangles, chosen)
    assert found[np.any(meets, axis=0)].all()


def test_few_triangles_of_a_fine_mesh_are_near_one():
    points, triangles = icosphere(6, 100)
    chosen = np.zeros(len(triangles), bool)
    chosen[0] = True
    assert 0 < near(points, triangles, chosen).sum() < len(triangles) / 50


def test_among_nothing_gives_nothing():
    points, triangles = together((TETRAHEDRON, TETRAHEDRON_FACES), (TETRAHEDRON + 0.2, TETRAHEDRON_FACES))
    assert pairs_of(points, triangles, np.zeros(8, bool)) == set()


@pytest.mark.parametrize("offset_mm", [0, -1045])
def test_crossing_tetrahedra_are_found(offset_mm):
    points, triangles = together((TETRAHEDRON, TETRAHEDRON_FACES), (TETRAHEDRON + 0.2, TETRAHEDRON_FACES))
    pairs = pairs_of(points + offset_mm, triangles)
    # The slanted face of the first is cut by the three straight faces of the second, and by nothing else.
    assert pairs == {(2, 4), (2, 5), (2, 7)}


def test_a_vertex_pushed_through_the_opposite_side_is_found():
    points, triangles = icosphere(3)
    top = int(points[:, 2].argmax())
    points[top, 2] = -1.5
    pairs = pairs_of(points, triangles)
    touched = {pair for pair in pairs if any(top in triangles[triangle] for triangle in pair)}
    assert pairs
    assert touched == pairs


def test_a_vertex_pulled_over_its_neighbours_in_one_plane_is_found():
    fan = [[2, 0, 0], [1, 2, 0], [-1, 2, 0], [-2, 0, 0], [-1, -2, 0], [1, -2, 0], [0, 0, 0]]
    triangles = [[6, i, (i + 1) % 6] for i in range(6)]
    assert pairs_of(fan, triangles) == set()
    fan[6] = [5, 1, 0]
    assert len(pairs_of(fan, triangles)) > 3
    assert pairs_of(fan, triangles) == exact_pairs(fan, triangles)


def test_a_fold_of_two_neighbours_onto_each_other_is_found():
    points = [[0, 0, 0], [1, 0, 0], [0.3, 1, 0], [0.6, 0.7, 0]]
    assert pairs_of(points, [[0, 1, 2], [1, 0, 3]]) == {(0, 1)}
    points[3] = [0.6, 0.7, 0.001]
    assert pairs_of(points, [[0, 1, 2], [1, 0, 3]]) == set()


@pytest.mark.parametrize(
    ("shift", "expected"),
    [((0.25, 0.25, 0), {(0, 1)}), ((0.25, 0.25, 1e-3), set()), ((0.6, 0.6, 0), set()), ((1, 0, 0), {(0, 1)})],
    ids=["overlapping in a plane", "just above", "beside each other in a plane", "touching with a vertex"],
)
def test_triangles_in_one_plane(shift, expected):
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    points = np.concatenate([triangle, triangle + shift])
    assert pairs_of(points, [[0, 1, 2], [3, 4, 5]]) == expected


def test_a_vertex_that_touches_a_face_is_found_and_one_that_does_not_is_not():
    face = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    for height, expected in ((0, {(0, 1)}), (1e-6, set())):
        assert pairs_of([*face, [0.2, 0.2, height], [0, 0, 1], [1, 0, 1]], [[0, 1, 2], [3, 4, 5]]) == expected


def test_the_same_triangle_twice_is_an_intersection():
    assert pairs_of(TETRAHEDRON, [[0, 1, 2], [1, 2, 0], [0, 2, 1]]) == {(0, 1), (0, 2), (1, 2)}


def test_one_small_crossing_among_many_triangles_and_of_very_different_sizes_is_found():
    sphere = icosphere(7, 100)
    knot = together((TETRAHEDRON, TETRAHEDRON_FACES), (TETRAHEDRON + 0.2, TETRAHEDRON_FACES))
    huge = (TETRAHEDRON * 1000 - 400, TETRAHEDRON_FACES)
    points, triangles = together(sphere, (knot[0] * 1e-3 + 30, knot[1]), huge)
    first = len(sphere[1])
    assert first > 100_000
    assert pairs_of(points, triangles) == {(first + 2, first + 4), (first + 2, first + 5), (first + 2, first + 7)}


@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 0), (1, 1, 1)])
def test_a_clean_sphere_has_none_wherever_its_poles_are(direction):
    points, triangles = icosphere(5, 30)
    turned = points @ trimesh.geometry.align_vectors((0, 0, 1), direction)[:3, :3].T
    assert pairs_of(turned, triangles) == set()


def test_degenerate_triangles_are_left_to_their_own_check():
    points = [[0, 0, 0], [1, 0, 0], [2, 0, 0], [0.5, -1, -1], [0.5, 1, -1], [0.5, 0, 1]]
    assert pairs_of(points, [[0, 1, 2], [3, 4, 5]]) == set()


def test_progress_rises_to_one():
    points, triangles = icosphere(6)
    told = []
    self_intersections(points, triangles, Topology(triangles).wrong_vertices, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_nothing_gives_nothing():
    assert intersections_of(np.zeros((0, 3)), np.zeros((0, 3), int)).shape == (0, 2)
    assert intersections_of(TETRAHEDRON, TETRAHEDRON_FACES[:1]).shape == (0, 2)
