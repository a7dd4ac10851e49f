"""The surface of a mask: closed, outward, crossing nothing, in the right place, and no thin wall lost."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from judges import REPAIRS, admesh_repairs, closed_and_outward
from vtkmodules.vtkCommonCore import vtkSMPTools

from OrbitalSegLib.errors import Cancelled, InputError
from OrbitalSegLib.export.stl import write_stl
from OrbitalSegLib.modelling import collisions, mesh, smoothing, surface
from OrbitalSegLib.modelling.field import BoneField, agreeing, with_inferred
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of, surface_of_mask

NONE = SurfaceParameters(smoothing="none")
FAITHFUL = SurfaceParameters(smoothing="faithful")

OBLIQUE = (0.8, 0.36, 0.48, -0.6, 0.48, 0.64, 0.0, -0.8, 0.6)
LEFT_HANDED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE_LEFT_HANDED = tuple(-x for x in OBLIQUE)


def mask_of(voxels, spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0), direction=None):
    """An image of voxels in (z, y, x)."""
    image = sitk.GetImageFromArray(np.asarray(voxels, np.uint8))
    image.SetSpacing(spacing_mm)
    image.SetOrigin(origin_mm)
    if direction:
        image.SetDirection(direction)
    return image


def voxels(shape, *where):
    array = np.zeros(shape, np.uint8)
    for index in where:
        array[index] = 1
    return array


def distance_from_middle(shape):
    return np.linalg.norm([axis - (axis.max() / 2) for axis in np.indices(shape).astype(float)], axis=0)


def oblique_sheet(size):
    """A sheet one voxel thick at 45 degrees, whose voxels share edges only."""
    sheet = np.zeros((size, size, size), np.uint8)
    for step in range(2, size - 2):
        sheet[2:-2, step, step] = 1
    return sheet


MASKS = {
    "ball": distance_from_middle((24, 24, 24)) < 9,
    "sheet across x": voxels((12, 12, 12), np.s_[2:10, 2:10, 5]),
    "sheet across y": voxels((12, 12, 12), np.s_[2:10, 5, 2:10]),
    "sheet across z": voxels((12, 12, 12), np.s_[5, 2:10, 2:10]),
    "oblique sheet": oblique_sheet(14),
    "rod": voxels((5, 5, 12), np.s_[2, 2, 2:10]),
    "one voxel": voxels((1, 1, 1), 0),
    "two voxels at an edge": voxels((4, 4, 4), (1, 1, 1), (1, 2, 2)),
    "two voxels at a corner": voxels((4, 4, 4), (1, 1, 1), (2, 2, 2)),
    "hollow corner": 1 - voxels((4, 4, 4), (1, 1, 1), (2, 2, 2)),
    "checkerboard": np.indices((8, 8, 8)).sum(axis=0) % 2,
    "dust": np.random.default_rng(1).random((16, 16, 16)) < 0.1,
    "noise": np.random.default_rng(2).random((16, 16, 16)) < 0.5,
    "sponge": np.random.default_rng(3).random((16, 16, 16)) < 0.9,
    "full": np.ones((6, 7, 8)),
    "ball cut by the border": distance_from_middle((24, 24, 24))[:, 4:-9, 12:] < 11,
    "shell": np.abs(distance_from_middle((30, 30, 30)) - 11) < 0.5,
}


def measured_of(array, parameters=FAITHFUL):
    return surface_of_mask(mask_of(array), parameters)[1]


@pytest.mark.parametrize("parameters", [NONE, FAITHFUL], ids=["none", "faithful"])
@pytest.mark.parametrize("name", MASKS)
def test_every_surface_is_sound(name, parameters):
    model, measured = surface_of_mask(mask_of(MASKS[name], (0.45, 0.45, 1.0), (100, -50, -1045)), parameters)
    report = mesh.check(model)
    assert report.sound, report
    assert (report.parts, report.tunnels) == (measured["parts"], measured["tunnels"])
    assert report.triangles == measured["triangles"]
    assert report.volume_ml == measured["volume_ml"]


@pytest.mark.parametrize("name", ["checkerboard", "dust", "noise", "sponge"])
def test_the_triangles_round_every_vertex_form_one_ring(name):
    sparse = pytest.importorskip("scipy.sparse")
    csgraph = pytest.importorskip("scipy.sparse.csgraph")
    _, triangles = mesh.arrays_of(surface_of_mask(mask_of(MASKS[name]), NONE)[0])
    vertices = int(triangles.max()) + 1
    # Neighbours of a vertex are nodes; the edge of a triangle opposite the vertex connects two of them.
    ends = [
        triangles[:, corner].astype(np.int64) * vertices + triangles[:, (corner + turn) % 3]
        for turn in (1, 2)
        for corner in range(3)
    ]
    nodes, number = np.unique(np.concatenate(ends), return_inverse=True)
    first, second = np.split(number, 2)
    graph = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(len(nodes), len(nodes)))
    assert csgraph.connected_components(graph, directed=False)[0] == vertices


SHAPES = st.tuples(*[st.integers(2, 7)] * 3)


def random_sheet(shape, normal, place):
    """A sheet one voxel thick, however it leans, cut by the border: its voxels share faces, edges or corners only."""
    distance = np.tensordot(np.array(normal) / max(np.abs(normal).max(), 1e-9), np.indices(shape), 1)
    return np.abs(distance - place * distance.max()) < 0.5


def kind_of_mask(kind, shape, seed):
    """A mask (z, y, x) of one of the kinds that break a naive way of meshing."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.random(shape) < rng.uniform(0.02, 0.98)
    if kind == "sheet":
        return random_sheet(shape, rng.normal(size=3), rng.uniform(0.2, 0.8))
    if kind == "crossing sheets":
        return random_sheet(shape, rng.normal(size=3), 0.4) | random_sheet(shape, rng.normal(size=3), 0.6)
    if kind == "checkerboard":
        return (np.indices(shape).sum(axis=0) % 2 == seed % 2) & (rng.random(shape) < rng.uniform(0.7, 1.1))
    if kind == "border":
        return np.pad(rng.random(np.maximum(np.array(shape) - 1, 1)) < 0.9, [(0, 1), (1, 0), (0, 1)])
    return np.full(shape, kind == "full")


KINDS = ["noise", "sheet", "crossing sheets", "checkerboard", "border", "full"]


@pytest.fixture(scope="module")
def stl_file(tmp_path_factory):
    return tmp_path_factory.mktemp("random") / "random.stl"


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(KINDS),
    SHAPES,
    st.integers(0, 2**32 - 1),
    st.sampled_from([NONE, FAITHFUL, SurfaceParameters(smoothing="smooth")]),
    st.sampled_from([None, OBLIQUE, OBLIQUE_LEFT_HANDED]),
    st.booleans(),
)
def test_200_random_masks_give_sound_surfaces(stl_file, require_tool, kind, shape, seed, parameters, direction, soft):
    """Judged by our own checker, by trimesh, and by admesh on the file; `soft` gives the mask a bone fraction."""
    image = mask_of(kind_of_mask(kind, shape, seed), (0.45, 0.45, 3.0), (17.3, -201.7, -1045.1), direction)
    assume(sitk.GetArrayFromImage(image).any())
    event(kind)
    fraction = sitk.Cast(image, sitk.sitkFloat32)
    if soft:
        shaken = np.random.default_rng(seed).random(sitk.GetArrayFromImage(image).shape, np.float32)
        fraction = 0.8 * fraction + 0.2 * image_like(shaken, image)
    made = surface_of(BoneField(image, agreeing(fraction, image) if soft else None), parameters).mesh
    assert mesh.check(made).sound
    write_stl(made, stl_file)
    closed_and_outward(stl_file)
    found = admesh_repairs(require_tool("admesh"), stl_file)
    assert found == {"Number of facets": made.GetNumberOfCells()} | dict.fromkeys(REPAIRS, 0)


def image_like(array, grid):
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image


@pytest.mark.slow
def test_every_way_to_fill_eight_voxels_gives_a_sound_surface_of_the_right_parts():
    """All 256 neighbourhoods; voxels are joined by faces and edges, as in 18-connected components."""
    ndimage = pytest.importorskip("scipy.ndimage")
    for code in range(1, 256):
        array = np.array([code >> bit & 1 for bit in range(8)], np.uint8).reshape(2, 2, 2)
        report = mesh.check(surface_of_mask(mask_of(array), NONE)[0])
        assert report.sound
        assert report.parts == ndimage.label(array, ndimage.generate_binary_structure(3, 2))[1]


@pytest.mark.parametrize("parameters", [NONE, FAITHFUL], ids=["none", "faithful"])
@pytest.mark.parametrize("direction", [None, OBLIQUE, LEFT_HANDED, OBLIQUE_LEFT_HANDED])
def test_the_surface_lies_where_the_voxels_are_and_faces_outward(direction, parameters):
    array = np.zeros((9, 20, 30), np.uint8)
    array[2:7, 5:12, 3:25] = 1
    image = mask_of(array, (0.5, 0.7, 2.0), (10, -20, -1045), direction)
    model, measured = surface_of_mask(image, parameters)
    points, _ = mesh.arrays_of(model)
    indices = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in points.astype(float).tolist()])
    # Rounding off an edge raises the faces beside it a little.
    tolerance_voxels = 1e-3 if parameters is NONE else 0.15
    np.testing.assert_allclose(indices.min(axis=0), (2.5, 4.5, 1.5), atol=tolerance_voxels)
    np.testing.assert_allclose(indices.max(axis=0), (24.5, 11.5, 6.5), atol=tolerance_voxels)
    assert measured["volume_ml"] > 0
    assert measured["mask_volume_ml"] == pytest.approx(22 * 7 * 5 * 0.5 * 0.7 * 2 / 1000)


@pytest.mark.parametrize("parameters", [NONE, FAITHFUL], ids=["none", "faithful"])
def test_the_volume_of_a_large_body_is_the_mask_s_within_one_percent(parameters):
    array = distance_from_middle((70, 70, 70)) < 31
    measured = measured_of(array, parameters)
    assert measured["volume_ml"] == pytest.approx(measured["mask_volume_ml"], rel=0.01)
    assert measured["mask_volume_ml"] == pytest.approx(array.sum() / 1000)


def test_a_faithful_surface_is_nearer_to_a_ball_than_the_stairs_are():
    array = distance_from_middle((70, 70, 70)) < 31

    def spread_mm(parameters):
        points, _ = mesh.arrays_of(surface_of_mask(mask_of(array), parameters)[0])
        return np.linalg.norm(points - 34.5, axis=1).std()

    assert spread_mm(FAITHFUL) < 0.6 * spread_mm(NONE)


@pytest.mark.parametrize(("parameters", "tolerance_mm"), [(NONE, 1e-6), (FAITHFUL, 0.15)], ids=["none", "faithful"])
def test_bone_that_the_border_cuts_is_closed_there_by_a_flat_face(parameters, tolerance_mm):
    array = distance_from_middle((40, 40, 40))[:, :, 20:] < 15
    model, _ = surface_of_mask(mask_of(array), parameters)
    points, triangles = mesh.arrays_of(model)
    in_cut = np.abs(points[:, 0] + 0.5) <= tolerance_mm
    area_mm2 = _area_mm2(points, triangles[in_cut[triangles].all(axis=1)])
    assert points[:, 0].min() >= -0.5 - tolerance_mm
    assert area_mm2 == pytest.approx(np.pi * 15**2, rel=0.15)


def _area_mm2(points, triangles):
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (0.45, 0.45, 1.0)])
def test_a_shell_one_voxel_thick_keeps_its_volume_and_gets_no_tunnels(spacing_mm):
    """Slicer's default smoothing loses 88 % of such a shell and pierces it 1860 times."""
    radius = distance_from_middle((70, 70, 70))
    inner = radius < 30
    shell = inner & ~np.logical_and.reduce([np.roll(inner, step, axis) for axis in range(3) for step in (-1, 1)])
    image = mask_of(shell, spacing_mm)
    stairs, faithful = (surface_of_mask(image, parameters)[1] for parameters in (NONE, FAITHFUL))
    assert (stairs["parts"], stairs["tunnels"]) == (2, 0)
    assert (faithful["parts"], faithful["tunnels"]) == (2, 0)
    assert faithful["volume_ml"] == pytest.approx(stairs["volume_ml"], rel=0.03)


@pytest.mark.parametrize("name", ["sheet across x", "sheet across y", "sheet across z", "oblique sheet"])
def test_a_sheet_one_voxel_thick_stays_in_one_piece_without_tunnels(name):
    measured = measured_of(MASKS[name])
    assert (measured["parts"], measured["tunnels"]) == (1, 0)


def test_no_vertex_moves_further_than_half_a_voxel_in_any_direction():
    spacing_mm = np.array((0.5, 0.7, 2.0))
    image = mask_of(MASKS["noise"], spacing_mm.tolist())
    (stairs, _), (faithful, measured) = (surface_of_mask(image, parameters) for parameters in (NONE, FAITHFUL))
    moved_mm = mesh.arrays_of(faithful)[0] - mesh.arrays_of(stairs)[0]
    assert np.linalg.norm(moved_mm / spacing_mm, axis=1).max() <= 0.5 + 1e-5
    lengths_mm = np.linalg.norm(moved_mm, axis=1)
    assert measured["moved_median_mm"] == pytest.approx(np.median(lengths_mm), rel=1e-4)
    assert measured["moved_95_mm"] == pytest.approx(np.percentile(lengths_mm, 95), rel=1e-4)
    assert measured["moved_max_mm"] == pytest.approx(lengths_mm.max(), rel=1e-4)


def test_without_smoothing_nothing_moves():
    measured = measured_of(MASKS["noise"], NONE)
    assert measured["moved_max_mm"] == 0
    assert measured["vertices_put_back"] == 0


def test_vertices_that_collide_are_put_back(monkeypatch):
    """Real smoothing hardly ever collides within half a voxel, so it is made to: every vertex goes its own way."""

    def shaken(points, *_):
        step = np.random.default_rng(0).normal(size=points.shape)
        return points + 0.5 * step / np.linalg.norm(step, axis=1, keepdims=True)

    monkeypatch.setattr(surface, "_smoothed", shaken)
    put_back = []
    for rounds_before_growing in (8, 0):
        monkeypatch.setattr(collisions, "ROUNDS_BEFORE_GROWING", rounds_before_growing)
        model, measured = surface_of_mask(mask_of(MASKS["shell"]))
        assert mesh.check(model).sound
        put_back.append(measured["vertices_put_back"])
    assert 0 < put_back[0] < put_back[1] <= model.GetNumberOfPoints()


def test_a_collision_without_a_remedy_is_not_forgotten_while_others_are_mended():
    """Two bodies cross at all their places; a third, put back from a fourth, then hits a fifth, which can go away."""
    body = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    triangles = np.concatenate([faces + 4 * number for number in range(5)])
    stuck, fourth = [(0, 0, 0), (0.2, 0.2, 0.2)], (5, 0, 0)
    third, fifth = [(10.2, 0.2, 0.2), (5.2, 0.2, 0.2), (5.2, 0.2, 0.2)], [(20, 0, 0), (20, 0, 0), (10, 0, 0)]
    places = [
        np.concatenate([body + shift for shift in (*stuck, one, fourth, other)])
        for one, other in zip(third, fifth, strict=True)
    ]
    mended = [points[8:] for points in places]
    assert collisions.settled(mended, triangles[8:] - 8, mesh.Topology(triangles[8:] - 8)).put_back > 0
    with pytest.raises(InputError) as caught:
        collisions.settled(places, triangles, mesh.Topology(triangles))
    assert caught.value.code == "damaged-surface"


def test_a_surface_that_cannot_be_repaired_is_an_error(monkeypatch):
    monkeypatch.setattr(surface._Grid, "to_lps", lambda _, points: np.zeros_like(points))
    with pytest.raises(InputError) as caught:
        surface_of_mask(mask_of(MASKS["ball"]))
    assert caught.value.code == "damaged-surface"


def test_a_surface_that_is_not_closed_is_an_error(monkeypatch):
    whole = surface.scaffold

    def open_one(*given):
        points, triangles = whole(*given)
        return points, triangles[1:]

    monkeypatch.setattr(surface, "scaffold", open_one)
    with pytest.raises(InputError) as caught:
        surface_of_mask(mask_of(MASKS["ball"]))
    assert caught.value.code == "damaged-surface"


def test_an_empty_mask_is_an_error():
    with pytest.raises(InputError) as caught:
        surface_of_mask(mask_of(np.zeros((4, 4, 4))))
    assert caught.value.code == "empty-result"


def test_any_value_but_zero_is_bone():
    array = MASKS["ball"].astype(np.uint8)
    full, one = (measured_of(array * value) | {"seconds": None} for value in (255, 1))
    assert full == one


def test_the_same_mask_gives_the_same_surface():
    first, second = (mesh.arrays_of(surface_of_mask(mask_of(MASKS["noise"]))[0]) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_all_processors_give_the_same_surface_and_vtk_is_left_as_it_was(monkeypatch):
    found = []
    for many in (0, 1 << 30):
        monkeypatch.setattr(smoothing, "MANY", many)
        found.append(mesh.arrays_of(surface_of_mask(mask_of(MASKS["noise"]))[0])[0])
        assert vtkSMPTools.GetBackend() == "Sequential"
    np.testing.assert_array_equal(*found)


def test_the_mask_is_left_as_it_was():
    image = mask_of(MASKS["noise"])
    surface_of_mask(image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), MASKS["noise"])


def test_an_unknown_smoothing_is_refused():
    with pytest.raises(ValueError, match="strong"):
        SurfaceParameters(smoothing="strong")


def test_progress_reaches_one_and_stops_the_work():
    told = []
    surface_of_mask(mask_of(MASKS["noise"]), FAITHFUL, told.append)
    assert told[-1] == 1
    assert told == sorted(told)

    def cancel(fraction):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        surface_of_mask(mask_of(MASKS["noise"]), FAITHFUL, cancel)


def test_wall_closes_the_crumbs_between_itself_and_bone_and_no_room():
    bone, wall = np.zeros((2, 24, 24, 24), np.uint8)
    bone[4:6, 3:21, 3:21] = 1
    wall[6:18, 3:21, 3:21] = 1
    wall[7:17, 5:19, 12:19] = 0  # a room
    wall[6, 7, 7] = 0  # a crumb between both
    images = [sitk.GetImageFromArray(array) for array in (bone, wall)]
    for image in images:
        image.SetSpacing((0.5, 0.5, 0.5))
    both = with_inferred(*map(BoneField, images))
    voxels = sitk.GetArrayFromImage(both.mask)
    assert voxels[6, 7, 7] == 1
    assert voxels.sum() == bone.sum() + wall.sum() + 1
    made = surface_of(both)
    assert (made.topology.parts, made.topology.sound) == (2, True)
