"""The checks of a mesh, each against a mesh with that one defect."""

import pytest

pytest.importorskip("trimesh")

import numpy as np
import trimesh
from vtkmodules.vtkFiltersSources import vtkPlaneSource

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.mesh import MeshReport, Topology

TETRAHEDRON = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
SOUND = MeshReport(
    triangles=4,
    open_edges=0,
    non_manifold_edges=0,
    inconsistent_edges=0,
    duplicate_triangles=0,
    degenerate_triangles=0,
    coincident_vertices=0,
    self_intersections=0,
    parts=1,
    tunnels=0,
    volume_ml=pytest.approx(1 / 6),
)


def report_of(points, triangles):
    return mesh.check(mesh.surface_of(np.asarray(points), np.asarray(triangles)))


def test_a_tetrahedron_is_sound():
    report = report_of(TETRAHEDRON, FACES)
    assert report == SOUND
    assert report.sound


def test_a_missing_triangle_leaves_open_edges():
    report = report_of(TETRAHEDRON, FACES[:3])
    assert (report.open_edges, report.sound) == (3, False)


def test_a_fin_makes_a_non_manifold_edge():
    report = report_of([*TETRAHEDRON, (5, -5, -5)], [*FACES, (0, 1, 4)])
    assert (report.non_manifold_edges, report.open_edges, report.sound) == (1, 2, False)


def test_a_triangle_the_other_way_round_is_inconsistent():
    report = report_of(TETRAHEDRON, [*FACES[:3], FACES[3][::-1]])
    assert (report.inconsistent_edges, report.sound) == (3, False)


def test_a_mesh_inside_out_has_negative_volume():
    report = report_of(TETRAHEDRON, FACES[:, ::-1])
    assert report.volume_ml == pytest.approx(-1 / 6)
    assert not report.sound


def test_a_triangle_twice_is_a_duplicate_in_whatever_order():
    report = report_of(TETRAHEDRON, [*FACES, (1, 3, 0), (2, 0, 3)])
    assert (report.duplicate_triangles, report.sound) == (2, False)


@pytest.mark.parametrize("last", [0, 4, 5], ids=["two equal vertices", "two equal positions", "a line"])
def test_triangles_without_a_height_are_degenerate(last):
    points = [*TETRAHEDRON, (0, 0, 0), (20, 0, 0)]
    report = report_of(points, [*FACES, (0, 1, last)])
    assert (report.degenerate_triangles, report.sound) == (1, False)


def test_a_low_triangle_is_no_degenerate_one_however_small_it_is():
    for scale in (1e-3, 1e3):
        assert not mesh.degenerate_triangles(
            np.array([[0, 0, 0], [1, 0, 0], [0.5, 1e-5, 0]]) * scale, FACES[:1] % 3
        ).any()


def test_vertices_at_one_place_coincide_and_others_do_not():
    points = np.array([(1, 2, 3), (3, 2, 1), (0.0, 0, 0), (1, 2, 3), (-0.0, 0, 0), (1, 2, 3.0000002)], np.float32)
    assert mesh.coincident_vertices(points).tolist() == [True, False, True, True, True, False]


def test_two_tetrahedra_that_touch_at_a_vertex_are_not_sound():
    report = report_of([*TETRAHEDRON, *-TETRAHEDRON], [*FACES, *(FACES[:, ::-1] + 4)])
    assert (report.coincident_vertices, report.parts) == (2, 2)
    assert not report.sound


def test_crossing_parts_are_not_sound():
    report = report_of([*TETRAHEDRON, *(TETRAHEDRON + 2)], [*FACES, *(FACES + 4)])
    assert (report.self_intersections, report.parts, report.sound) == (3, 2, False)


@pytest.mark.parametrize(
    ("solid", "parts", "tunnels"),
    [
        (trimesh.creation.icosphere(4, 20), 1, 0),
        (trimesh.creation.torus(20, 5), 1, 1),
        (trimesh.util.concatenate([trimesh.creation.torus(20, 5), trimesh.creation.icosphere(3, 5)]), 2, 1),
    ],
    ids=["sphere", "ring", "ring and sphere"],
)
def test_parts_tunnels_and_volume_are_those_of_the_solid(solid, parts, tunnels):
    report = report_of(solid.vertices, solid.faces)
    assert (report.parts, report.tunnels) == (parts, tunnels)
    assert report.volume_ml == pytest.approx(solid.volume / 1000, rel=1e-9)
    assert report.sound


def test_vertices_that_no_triangle_uses_are_no_parts():
    assert report_of([(9, 9, 9), *TETRAHEDRON, (8, 8, 8)], FACES + 1).parts == 1


def test_parts_are_counted_along_a_long_chain_in_whatever_order_its_vertices_are():
    number = np.random.default_rng(0).permutation(10_002)
    strip = np.stack([number[:-2], number[1:-1], number[2:]], axis=1)
    assert Topology(strip[:5000]).parts == 1
    assert Topology(np.delete(strip, [3000, 3001], axis=0)).parts == 2


def test_nothing_is_not_sound():
    report = report_of(np.zeros((0, 3)), np.zeros((0, 3), int))
    assert (report.triangles, report.parts, report.sound) == (0, 0, False)


def test_a_surface_keeps_its_own_copy_and_gives_the_same_back():
    points = TETRAHEDRON.copy()
    surface = mesh.surface_of(points, FACES)
    points[:] = 0
    again, triangles = mesh.arrays_of(surface)
    np.testing.assert_array_equal(again, TETRAHEDRON)
    np.testing.assert_array_equal(triangles, FACES)


def test_a_surface_of_other_polygons_is_refused():
    plane = vtkPlaneSource()
    plane.Update()
    with pytest.raises(ValueError, match="not triangles"):
        mesh.arrays_of(plane.GetOutput())


def test_neighbours_are_those_that_share_an_edge():
    sphere = trimesh.creation.icosphere(2)
    triangles, values = np.array(sphere.faces), np.random.default_rng(0).random((2, len(sphere.vertices) + 1))
    found = mesh.Neighbours(triangles, values.shape[1])
    assert found.count[-1] == 0  # a vertex of no triangle
    for vertex, neighbours in enumerate(sphere.vertex_neighbors):
        assert found.count[vertex] == len(neighbours)
        np.testing.assert_allclose(found.sum(values)[:, vertex], values[:, neighbours].sum(axis=1))
    np.testing.assert_array_equal(found.sum(values)[:, -1], 0)
