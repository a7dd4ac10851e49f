"""The phantom's truth is what it says: volumes, walls, openings, fractures."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import vtk_to_numpy

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.phantom import (
    Anatomy,
    bone_fraction,
    exact_bone_surface,
    orbit_volumes_ml,
    truth_image,
    wall_midsurfaces,
    write_truth,
)
from OrbitalSegLib.phantom.anatomy import SIDES, gradient, parts
from OrbitalSegLib.shapes import Shape

SPACING_MM = 0.45
BOX_MM = ((2.0, 57.0), (-30.0, 62.0), (-40.0, 26.0))
"""The left orbit, the sinus below it, the cheek before it and the middle cranial fossa behind it."""

ORBIT, SINUS, CELL = (27.0, 8.0, -5.0), (28.0, 6.0, -28.0), (8.0, 0.0, -1.0)
BRAIN, CHEEK, BEHIND_MAXILLA = (38.0, 50.0, 0.0), (31.0, -24.0, -33.0), (45.0, 28.0, -22.0)


def grid(box_mm, spacing_mm, offset_mm=(0.0, 0.0, 0.0)) -> sitk.Image:
    image = sitk.Image(
        [round((high - low) / s) for (low, high), s in zip(box_mm, spacing_mm, strict=True)], sitk.sitkUInt8
    )
    image.SetSpacing(spacing_mm)
    image.SetOrigin([low + o for (low, _), o in zip(box_mm, offset_mm, strict=True)])
    return image


def names_of(surface) -> np.ndarray:
    walls = surface.GetCellData().GetAbstractArray("wall")
    return np.array([walls.GetValue(i) for i in range(walls.GetNumberOfValues())])


def areas_mm2(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, i]].astype(float) for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@pytest.mark.parametrize("side", SIDES)
def test_the_volume_by_formula_is_the_volume_counted(side):
    orbit, step_mm = Anatomy().orbit(side), 0.3
    axes = [np.arange(low - 1, high + 1, step_mm) for low, high in orbit.box]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    counted_ml = (orbit.cavity.field(x, y, z) < 0).sum() * step_mm**3 / 1000
    assert orbit_volumes_ml(Anatomy())[side] == pytest.approx(counted_ml, rel=0.005)
    assert 20 < counted_ml < 35  # as in people


@pytest.mark.parametrize("thickness_mm", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 1.0), (0.3, 0.3, 0.6), (0.5, 0.5, 1.5)])
@pytest.mark.parametrize(("axis", "point"), [(0, (12.5, 9.0, -0.5)), (2, (22.0, 4.0, -13.4))], ids=["medial", "floor"])
def test_bone_summed_across_a_wall_is_its_thickness(thickness_mm, spacing_mm, axis, point):
    """The medial wall stands across the rows, the floor lies in the slices."""
    anatomy = Anatomy(wall_thickness_mm=thickness_mm)
    box = [(p - 1.5, p + 1.5) for p in point]
    box[axis] = (point[axis] - 6.0, point[axis] + 6.0)
    sums = []
    for phase in (0.0, 0.3, 0.6):
        image = grid(box, spacing_mm, [phase * s for s in spacing_mm])
        bone = sitk.GetArrayFromImage(bone_fraction(anatomy, image))
        sums.append(bone.sum(axis=2 - axis).mean() * spacing_mm[axis])
    normal = gradient(anatomy.orbit("left").wall_distance, np.array(point))
    slant = np.linalg.norm(normal) / abs(normal[axis])
    assert np.mean(sums) == pytest.approx(thickness_mm * slant, rel=0.04)


@cache
def fraction(anatomy: Anatomy) -> np.ndarray:
    return sitk.GetArrayFromImage(bone_fraction(anatomy, grid(BOX_MM, (SPACING_MM,) * 3)))


def is_open(anatomy: Anatomy, start, goal, plugs=()) -> bool:
    """Is there a way through no bone from one point to another when the plugged solids are closed?"""
    ndimage = pytest.importorskip("scipy.ndimage")
    free = fraction(anatomy) < 0.05
    axes = [low + SPACING_MM * np.arange(n) for (low, _), n in zip(BOX_MM, free.shape[::-1], strict=True)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij", sparse=True)
    for plug in plugs:
        inside = tuple(
            slice(*np.searchsorted(axis, limits)) for axis, limits in zip(axes[::-1], plug.box[::-1], strict=True)
        )
        block = (x[..., inside[2]], y[:, inside[1]], z[inside[0]])
        free[inside] &= plug.field(*block) > 0
    labels, _ = ndimage.label(free)
    at = [tuple(round((p - b[0]) / SPACING_MM) for p, b in zip(q, BOX_MM, strict=True))[::-1] for q in (start, goal)]
    assert free[at[0]]
    assert free[at[1]]
    return labels[at[0]] == labels[at[1]]


def ways_out(anatomy: Anatomy) -> dict[str, Shape]:
    """Every way out of the left orbit, a little wider than it is."""
    orbit = anatomy.orbit("left")
    natural = {name: shape.grown(0.7) for side, name, shape in parts(anatomy).openings if side == "left"}
    return {"entrance": orbit.tube.grown(3) - orbit.cavity, **natural}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("opening", "goal"),
    [
        ("superior orbital fissure", BRAIN),
        ("optic canal", BRAIN),
        ("inferior orbital fissure", BEHIND_MAXILLA),
        ("infraorbital canal", CHEEK),
        ("entrance", CHEEK),
    ],
)
def test_each_opening_alone_leads_out_of_the_orbit(opening, goal):
    anatomy = Anatomy()
    ways = ways_out(anatomy)
    # Neighbours overlap at the apex: a plug ends where the open way begins.
    plugs = [shape - ways[opening] for name, shape in ways.items() if name != opening]
    assert is_open(anatomy, ORBIT, goal, plugs)
    assert not is_open(anatomy, ORBIT, goal, ways.values())


@pytest.mark.parametrize("goal", [SINUS, CELL])
def test_a_whole_wall_is_closed(goal):
    assert not is_open(Anatomy(), ORBIT, goal)


@pytest.mark.parametrize(("wall", "goal"), [("floor", SINUS), ("medial", CELL)])
def test_a_fractured_wall_is_open(wall, goal):
    assert is_open(Anatomy(fracture=wall), ORBIT, goal)


@pytest.mark.parametrize(
    ("wall", "side", "area_mm2"),
    [("floor", "left", 150.0), ("floor", "right", 50.0), ("medial", "left", 50.0), ("medial", "right", 150.0)],
)
def test_the_hole_has_the_area_given(wall, side, area_mm2):
    """The area is the volume of bone lost from a layer in the middle of the wall, over the layer's thickness."""
    whole = Anatomy(wall_thickness_mm=1.0)
    broken = replace(whole, fracture=wall, fracture_side=side, fracture_area_mm2=area_mm2)
    orbit, step_mm, layer_mm = whole.orbit(side), 0.25, 0.6
    axes = [np.arange(low, high, step_mm, np.float32) for low, high in orbit.box]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    middle = np.abs(orbit.wall_distance(x, y, z) - 0.5) < layer_mm / 2
    places = np.argwhere(middle) * np.float32(step_mm) + np.float32([axis[0] for axis in axes])
    lost = is_bone(whole, places) & ~is_bone(broken, places)
    assert lost.sum() * step_mm**3 / layer_mm == pytest.approx(area_mm2, rel=0.1)
    assert (places[lost][:, 2] < -5).all() if wall == "floor" else (np.abs(places[lost][:, 0]) < 16).all()


@pytest.mark.parametrize("thickness_mm", [0.1, 0.5, 1.0])
def test_mid_surfaces_lie_in_the_middle_of_walls_of_that_thickness(thickness_mm):
    anatomy = Anatomy(wall_thickness_mm=thickness_mm, turned_degrees=10)
    walls = wall_midsurfaces(anatomy, 1.0)
    measured = vtk_to_numpy(walls.GetPointData().GetArray("thickness_mm"))
    assert measured == pytest.approx(thickness_mm, rel=0.05)
    assert set(names_of(walls)) == {f"{side} {wall}" for side in SIDES for wall in ("floor", "medial")}
    points, triangles = arrays_of(walls)
    areas = areas_mm2(points, triangles)
    for name in set(names_of(walls)):
        assert areas[names_of(walls) == name].sum() > 150


@pytest.mark.slow
@pytest.mark.parametrize("thickness_mm", [0.1, 0.6])
def test_the_exact_surface_parts_bone_from_the_rest(thickness_mm):
    anatomy = Anatomy(wall_thickness_mm=thickness_mm)
    surface = exact_bone_surface(anatomy, ((0.0, 54.0), (-24.0, 30.0), (-22.0, 20.0)), 0.4)
    points, triangles = arrays_of(surface)
    corners = points[triangles].astype(float)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    large = np.linalg.norm(normals, axis=1) > 0.02
    centres, normals = corners[large].mean(axis=1), normals[large]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    inner = np.all((centres > (1, -23, -21)) & (centres < (53, 29, 19)), axis=1)
    assert is_bone(anatomy, centres[inner] - 0.04 * normals[inner]).mean() > 0.97
    assert is_bone(anatomy, centres[inner] + 0.04 * normals[inner]).mean() < 0.03


def is_bone(anatomy: Anatomy, places: np.ndarray) -> np.ndarray:
    head = parts(anatomy)
    solid = np.min([shape.field(*places.T) for shape in head.bone], axis=0) < 0
    return solid & (np.min([layers.shape.field(*places.T) for layers in head.voids], axis=0) > 0)


def test_no_bone_pierces_the_skin():
    """Within the field of view, bone lies at least 1 mm below the skin."""
    shape = parts(Anatomy()).soft[0].shape
    axes = [np.arange(low, high, 1.0, np.float32) for low, high in ((0, 75), (-55, 90), (-33, 33))]
    x, y, z = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    outside = shape.field(x, y, z) > -1
    places = np.stack([x[outside], y[outside], z[outside]], axis=1)
    assert not is_bone(Anatomy(), places).any()


def test_truth_is_the_same_place_on_every_grid():
    """A grid that is turned with a turned head sees the head that is not turned."""
    straight = grid(((10.0, 40.0), (-20.0, 10.0), (-20.0, 0.0)), (0.8, 0.8, 1.0))
    turned = sitk.Image(straight)
    angle = np.radians(15)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned.SetDirection(matrix.ravel().tolist())
    turned.SetOrigin((matrix @ straight.GetOrigin()).tolist())
    expected = sitk.GetArrayFromImage(bone_fraction(Anatomy(), straight))
    found = sitk.GetArrayFromImage(bone_fraction(Anatomy(turned_degrees=15), turned))
    assert np.abs(found - expected).mean() < 1e-3
    assert (sitk.GetArrayFromImage(truth_image(Anatomy(), straight)) == (expected >= 0.5)).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wall_thickness_mm": 0.05}, "wall_thickness_mm"),
        ({"mucosa_mm": -1.0}, "mucosa_mm"),
        ({"fracture": "roof"}, "fracture"),
        ({"fracture_side": "both"}, "left or right"),
        ({"opacified": "both"}, "left or right"),
        ({"fracture_area_mm2": 1000.0}, "fracture_area_mm2"),
    ],
)
def test_a_head_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(JobError, match=said):
        Anatomy(**wrong)


def test_truth_is_written_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("OrbitalSegLib.phantom.truth.TRUTH_SPACING_MM", 0.2)
    monkeypatch.setattr("OrbitalSegLib.phantom.truth.ORBITS_MM", ((20.0, 30.0), (-5.0, 5.0), (-20.0, -10.0)))
    done = []
    write_truth(Anatomy(), tmp_path, done.append)
    assert {p.name for p in tmp_path.iterdir()} == {
        "bone.nrrd",
        "bone-surface.vtp",
        "wall-midsurfaces.vtp",
        "truth.json",
    }
    bone = sitk.ReadImage(str(tmp_path / "bone.nrrd"))
    assert bone.GetSpacing() == (0.2, 0.2, 0.2)
    assert set(np.unique(sitk.GetArrayFromImage(bone))) == {0, 1}
    assert done == sorted(done)
    assert done[-1] == 1.0
