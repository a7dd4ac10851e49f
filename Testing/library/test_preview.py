"""The preview picture: what is where, in patient space, with no graphics card."""

import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from simple_skull import LEFT, RIGHT, skull
from vtkmodules.vtkFiltersSources import vtkSphereSource

from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.preview import (
    BELOW_MIDDLE_MM,
    CELLS,
    CONTOURS,
    CORONAL_BEHIND_RIM_MM,
    FRONT_AT,
    FRONT_MM_PER_PIXEL,
    FRONT_SIZE,
    HEIGHT,
    PLANE_MM_PER_PIXEL,
    PLANE_SIZE,
    WIDTH,
    draw_preview,
)

MIDDLE = (5.0, -8.0, 20.0)
CORONAL, AXIAL, SAGITTAL = range(3)
OBLIQUE = (0.9397, -0.3420, 0, 0.3420, 0.9397, 0, 0, 0, 1)


def head(spacing_mm=(1.0, 1.0, 2.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1), ball_mm=20.0):
    """A CT of a ball of bone in air around `MIDDLE`, with bright beads above, before and left of it, and the mask."""
    size = np.ceil(100 / np.array(spacing_mm)).astype(int)
    matrix = np.reshape(direction, (3, 3)) * spacing_mm
    origin = MIDDLE - matrix @ (size // 2)
    places = np.moveaxis(np.indices(size[::-1])[::-1], 0, -1) @ matrix.T + origin
    from_middle = places - MIDDLE
    ball = np.linalg.norm(from_middle, axis=-1) < ball_mm
    hu = np.where(ball, 400, -1000)
    for bead in ((30, 0, 20), (30, -20, 0), (0, -20, 20)):
        hu[np.linalg.norm(from_middle - bead, axis=-1) < 5] = 1500
    images = []
    for array in (hu.astype(np.int16), ball.astype(np.uint8)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing_mm)
        image.SetOrigin(origin.tolist())
        image.SetDirection(direction)
        images.append(image)
    return images


def ball_surface(radius_mm=20.0):
    source = vtkSphereSource()
    source.SetCenter(MIDDLE)
    source.SetRadius(radius_mm)
    source.SetThetaResolution(60)
    source.SetPhiResolution(60)
    source.Update()
    return source.GetOutput()


def drawn(tmp_path, ct, bone, surface=None, at_mm=MIDDLE, caption=("Global threshold, 300 HU",)) -> np.ndarray:
    openings_mm = [] if at_mm is None else [np.subtract(at_mm, (0, CORONAL_BEHIND_RIM_MM, 0))]
    draw_preview(ct, {"bone": bone}, surface, tmp_path / "preview.png", caption, openings_mm)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "preview.png")))


def panel(picture: np.ndarray, cell: int) -> np.ndarray:
    column, row = CELLS[cell]
    return picture[row : row + PLANE_SIZE[1], column : column + PLANE_SIZE[0]].astype(int)


def contour_of(picture: np.ndarray, cell: int) -> np.ndarray:
    """Where a panel is coloured like the contour: rows and columns."""
    colours = panel(picture, cell)
    return np.argwhere((colours[..., 0] - colours[..., 2] > 60) & (colours[..., 0] > 100))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("preview"), *head(), ball_surface())


def test_the_picture_is_large_and_coloured(picture):
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize(
    "grid", [{}, {"spacing_mm": (0.5, 0.5, 4.0)}, {"direction": OBLIQUE}], ids=["plain", "thick slices", "oblique"]
)
def test_the_contour_is_a_thin_circle_of_the_true_size_on_any_grid(tmp_path, grid):
    picture = drawn(tmp_path, *head(**grid))
    circumference_pixels = np.pi * 40 / PLANE_MM_PER_PIXEL
    slack_mm = max(grid.get("spacing_mm", (2.0,)))
    for cell in (CORONAL, AXIAL, SAGITTAL):
        places = contour_of(picture, cell)
        assert np.ptp(places, axis=0) * PLANE_MM_PER_PIXEL == pytest.approx([40, 40], abs=slack_mm + 1)
        assert circumference_pixels < len(places) < 4 * circumference_pixels


@pytest.mark.parametrize(
    ("cell", "row_mm", "column_mm"), [(CORONAL, -20, 30), (AXIAL, -20, 30), (SAGITTAL, -20, -20)], ids=str
)
def test_left_front_and_head_are_where_radiology_puts_them(picture, cell, row_mm, column_mm):
    circle = contour_of(picture, cell)
    row, column = (circle.min(axis=0) + circle.max(axis=0)) / 2
    bead = panel(picture, cell)[
        round(row + row_mm / PLANE_MM_PER_PIXEL), round(column + column_mm / PLANE_MM_PER_PIXEL)
    ]
    opposite = panel(picture, cell)[
        round(row - row_mm / PLANE_MM_PER_PIXEL), round(column - column_mm / PLANE_MM_PER_PIXEL)
    ]
    assert bead.min() > 200
    assert opposite.max() < 60


def test_a_wall_one_voxel_thick_keeps_its_contour(tmp_path):
    ct, bone = head(spacing_mm=(1.0, 1.0, 1.0))
    wall = sitk.GetArrayFromImage(bone) * 0
    wall[20:80, 20:80, 50] = 1
    thin = sitk.GetImageFromArray(wall)
    thin.CopyInformation(bone)
    picture = drawn(tmp_path, ct, thin)
    height_mm = np.ptp(contour_of(picture, CORONAL)[:, 0]) * PLANE_MM_PER_PIXEL
    assert height_mm == pytest.approx(60, abs=2)


def test_the_surface_is_seen_at_its_true_size(picture):
    column, row = FRONT_AT
    front = picture[row : row + FRONT_SIZE[1], column : column + FRONT_SIZE[0]].astype(int)
    rows, columns = np.nonzero(front[50:-60, 60:-60].min(axis=-1) > 60)
    for extent in (rows, columns):
        assert np.ptp(extent) * FRONT_MM_PER_PIXEL == pytest.approx(40, abs=1.5)


def test_without_a_point_the_middle_of_the_front_third_is_shown(tmp_path):
    places = contour_of(drawn(tmp_path, *head(), at_mm=None), CORONAL)
    radius_at_a_third_mm = np.sqrt(20**2 - (20 / 3) ** 2)
    assert np.ptp(places[:, 1]) * PLANE_MM_PER_PIXEL == pytest.approx(2 * radius_at_a_third_mm, abs=2)


def test_without_a_point_the_coronal_plane_goes_through_both_orbits(tmp_path):
    bone = skull()
    picture = drawn(tmp_path, sitk.Cast(bone, sitk.sitkInt16) * 2000 - 1000, bone, at_mm=None)
    plane = panel(picture, CORONAL).max(axis=-1)
    row = round(PLANE_SIZE[1] / 2 - BELOW_MIDDLE_MM / PLANE_MM_PER_PIXEL)
    for orbit in (RIGHT, LEFT):
        column = round(PLANE_SIZE[0] / 2 + orbit[0] / PLANE_MM_PER_PIXEL)
        assert plane[row + 5, column + 5] < 20, "air in the orbit"
    assert plane[row + 5, PLANE_SIZE[0] // 2] > 200, "bone between the orbits"


def test_the_same_result_gives_the_same_bytes(tmp_path):
    content = []
    for _ in range(2):
        drawn(tmp_path, *head(), ball_surface())
        content.append((tmp_path / "preview.png").read_bytes())
    assert content[0] == content[1]


def test_the_caption_changes_its_own_cell_only(tmp_path):
    one, other = (drawn(tmp_path, *head(), caption=[text]) for text in ("Global threshold", "Hysteresis"))
    rows, columns = np.nonzero((one != other).any(axis=-1))
    column, row = CELLS[-1]
    assert rows.size
    assert rows.min() >= row
    assert columns.min() >= column


@pytest.mark.parametrize("surface", [None, "empty"])
def test_a_result_without_a_surface_is_drawn_too(tmp_path, surface):
    ct, bone = head()
    mesh = None if surface is None else ball_surface(0.0).NewInstance()
    assert contour_of(drawn(tmp_path, ct, bone, mesh), AXIAL).size


def test_a_result_without_bone_is_drawn_without_a_contour(tmp_path):
    ct, bone = head()
    assert contour_of(drawn(tmp_path, ct, bone * 0, at_mm=None), CORONAL).size == 0


def test_a_point_outside_the_scan_is_brought_to_its_edge(tmp_path):
    assert drawn(tmp_path, *head(), at_mm=(1000.0, 0.0, 0.0)).shape == (HEIGHT, WIDTH, 3)


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path):
    ct, bone = head()
    with pytest.raises(OutputError) as caught:
        draw_preview(ct, {"bone": bone}, None, tmp_path / "missing" / "preview.png", [], [MIDDLE])
    assert caught.value.code == "cannot-write"


def test_the_contour_can_be_told_from_bone():
    assert CONTOURS["bone"][0] - CONTOURS["bone"][2] > 0.5


def test_no_graphics_is_loaded():
    code = (
        "import sys, OrbitalSegLib.preview; "
        "assert not [name for name in sys.modules if 'OpenGL' in name or name.startswith(('matplotlib', 'PIL'))]"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
