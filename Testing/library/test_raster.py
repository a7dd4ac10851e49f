"""Drawing without a graphics card: what is seen, where, and what is written beside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkAppendPolyData, vtkTriangleFilter
from vtkmodules.vtkFiltersSources import vtkCubeSource, vtkSphereSource

from OrbitalSegLib import raster
from OrbitalSegLib.raster import FrontView, colour, draw_front, draw_text, wrapped

NIGHT = colour(0.0, 0.0, 0.5)
VIEW = FrontView(left_mm=-50.0, top_mm=50.0, columns=200, rows=200, mm_per_pixel=0.5)


def sphere(centre=(0.0, 0.0, 0.0), radius=20.0) -> vtkPolyData:
    source = vtkSphereSource()
    source.SetCenter(centre)
    source.SetRadius(radius)
    source.SetThetaResolution(120)
    source.SetPhiResolution(120)
    source.Update()
    return source.GetOutput()


def box(bounds) -> vtkPolyData:
    source = vtkCubeSource()
    source.SetBounds(bounds)
    triangles = vtkTriangleFilter()
    triangles.SetInputConnection(source.GetOutputPort())
    triangles.Update()
    return triangles.GetOutput()


def together(*surfaces: vtkPolyData) -> vtkPolyData:
    appended = vtkAppendPolyData()
    for surface in surfaces:
        appended.AddInputData(surface)
    appended.Update()
    return appended.GetOutput()


def mesh_of(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    vtk_points, cells, mesh = vtkPoints(), vtkCellArray(), vtkPolyData()
    vtk_points.SetData(numpy_to_vtk(points, deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(triangles.ravel().astype(np.int64), deep=True))
    mesh.SetPoints(vtk_points)
    mesh.SetPolys(cells)
    return mesh


def covered(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture - NIGHT).max(axis=-1) > 0.02


def test_a_sphere_covers_its_disc():
    picture = draw_front(sphere(), VIEW, NIGHT)
    assert picture.shape == (200, 200, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    share = np.abs(picture - NIGHT).sum(axis=-1) > 0.1
    assert share.sum() * 0.25 == pytest.approx(np.pi * 20**2, rel=0.02)


def test_the_patients_left_is_on_the_right_and_the_head_is_up():
    rows, columns = np.nonzero(covered(draw_front(sphere((25, 0, 30), 10), VIEW, NIGHT)))
    assert columns.mean() == pytest.approx((25 + 50) / 0.5 - 0.5, abs=0.5)
    assert rows.mean() == pytest.approx((50 - 30) / 0.5 - 0.5, abs=0.5)


def test_a_box_covers_exactly_its_pixels():
    picture = draw_front(box((-10, 10, 0, 5, -20, 5)), VIEW, NIGHT)
    expected = np.zeros((200, 200), bool)
    expected[90:140, 80:120] = True
    assert np.array_equal(covered(picture), expected)


def test_edges_between_pixels_are_mixed():
    picture = draw_front(box((-10.25, 10, 0, 5, -20, 5)), VIEW, NIGHT)
    edge, inside = picture[110, 79], picture[110, 90]
    assert (np.minimum(NIGHT, inside) < edge).any()
    assert edge[0] == pytest.approx(inside[0] / 2, abs=0.1)


def test_what_is_in_front_hides_what_is_behind():
    front, back = box((-5, 5, -30, -25, -5, 5)), box((-20, 20, 0, 5, -20, 20))
    one, other = (draw_front(together(*parts), VIEW, NIGHT) for parts in ((front, back), (back, front)))
    assert np.allclose(one, other, atol=1e-6)
    assert (one[100, 100] > one[100, 70] + 0.02).all(), "the nearer box is the brighter one"


def test_what_faces_away_or_lies_too_deep_is_not_drawn():
    near, far = box((-30, -20, -100, -95, -5, 5)), box((20, 30, 80, 85, -5, 5))
    picture = covered(draw_front(together(near, far), VIEW, NIGHT))
    assert picture[:, :100].any()
    assert not picture[:, 100:].any()
    points = np.array([[-10, 0, -10], [0, 0, 10], [10, 0, -10]], np.float32)
    toward = covered(draw_front(mesh_of(points, np.array([[0, 2, 1]])), VIEW, NIGHT))
    away = covered(draw_front(mesh_of(points, np.array([[0, 1, 2]])), VIEW, NIGHT))
    assert toward.any()
    assert not away.any()


def test_light_comes_from_the_upper_left():
    picture = draw_front(sphere(), VIEW, NIGHT).sum(axis=-1)
    assert picture[85, 85] > picture[115, 115]
    assert picture[85, 85] > picture[115, 85]


def test_the_picture_is_the_same_every_time():
    assert np.array_equal(draw_front(sphere(), VIEW, NIGHT), draw_front(sphere(), VIEW, NIGHT))


@pytest.mark.parametrize("surface", [vtkPolyData(), sphere((500, 0, 0))], ids=["empty", "out of view"])
def test_nothing_to_see_is_background(surface):
    assert not covered(draw_front(surface, VIEW, NIGHT)).any()


def test_polygons_that_are_not_triangles_are_a_bug():
    square = vtkCubeSource()
    square.Update()
    with pytest.raises(ValueError, match="triangles"):
        draw_front(square.GetOutput(), VIEW, NIGHT)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_depths_agree_with_every_triangle_at_every_pixel(seed):
    view = FrontView(0.0, 12.0, 12, 12, 1.0)
    random = np.random.default_rng(seed)
    points = random.uniform((-3, 0, -3), (15, 20, 15), (24, 3)).astype(np.float32)
    triangles = np.arange(24).reshape(-1, 3)
    depth_mm, _ = raster._visible(points, triangles, view)
    assert np.allclose(depth_mm, depth_by_brute_force(points, triangles, view), atol=2e-3)


def depth_by_brute_force(points: np.ndarray, triangles: np.ndarray, view: FrontView) -> np.ndarray:
    rows, columns = np.indices((view.rows, view.columns)) + 0.5
    nearest = np.full((view.rows, view.columns), np.inf)
    for a, b, c in points[triangles].astype(float):
        system = np.array([[a[0], b[0], c[0]], [a[2], b[2], c[2]], [1, 1, 1]])
        if np.cross(b - a, c - a)[1] >= 0:
            continue
        x, z = view.left_mm + columns * view.mm_per_pixel, view.top_mm - rows * view.mm_per_pixel
        weights = np.linalg.solve(system, np.stack([x, z, np.ones_like(x)]).reshape(3, -1)).reshape(3, *x.shape)
        depth = np.tensordot([a[1], b[1], c[1]], weights, 1)
        nearest = np.where((weights >= 0).all(axis=0), np.minimum(nearest, depth), nearest)
    return nearest


def paper() -> np.ndarray:
    return np.zeros((60, 200, 3), np.float32)


def test_text_is_written_where_it_should_be():
    picture = paper()
    draw_text(picture, "OrbitalSeg", (100, 30), 20, colour(1, 1, 1), (0.5, 0.5))
    rows, columns, _ = np.nonzero(picture > 0.5)
    assert columns.mean() == pytest.approx(100, abs=8)
    assert rows.mean() == pytest.approx(30, abs=5)
    assert picture.max() > 0.9


def test_letters_have_a_dark_rim_on_bright_bone():
    picture = np.ones((60, 200, 3), np.float32)
    draw_text(picture, "L", (100, 30), 20, colour(1, 0, 0), (0.5, 0.5))
    red = (picture[..., 0] > 0.9) & (picture[..., 2] < 0.1)
    dark = picture.max(axis=-1) < 0.4
    assert red.any()
    assert dark.sum() > red.sum()
    assert (picture[:, :80] == 1).all()


@pytest.mark.parametrize("at", [(-20, 10), (190, 50), (-500, -500), (500, 500)])
def test_text_that_does_not_fit_is_cut_off(at):
    picture = paper()
    draw_text(picture, "OrbitalSeg", at, 20, colour(1, 1, 1))
    assert picture.shape == (60, 200, 3)
    assert (picture.max() > 0.5) == (abs(at[0]) < 200)


def test_no_text_changes_nothing():
    picture = paper() + 0.5
    draw_text(picture, " ", (10, 10), 20, colour(1, 1, 1))
    assert (picture == 0.5).all()


def test_the_baseline_does_not_depend_on_the_letters():
    lowest = []
    for text in ("H", "Hx", "HÉ", "H("):
        picture = paper()
        draw_text(picture, text, (10, 10), 20, colour(1, 1, 1))
        lowest.append(np.nonzero(picture[:, :24].max(axis=(1, 2)) > 0.5)[0].max())
    assert len(set(lowest)) == 1


def test_lines_are_broken_between_words_and_lose_none():
    text = "The slices are 3.0 mm thick; table A.1 asks for less than 1.25 mm."
    lines = wrapped(text, 18, 200)
    assert " ".join(lines) == text
    assert len(lines) > 2
    assert wrapped(text, 18, 10_000) == [text]
    assert wrapped("Unbreakable", 18, 10) == ["Unbreakable"]
