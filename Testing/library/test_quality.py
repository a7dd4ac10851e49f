"""What the report of a surface says is true: distances, thickness, what thickening added."""

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.distances import signed_distances_mm
from OrbitalSegLib.modelling.field import BoneField
from OrbitalSegLib.modelling.gaps import gaps
from OrbitalSegLib.modelling.model import ModelParameters, model_of
from OrbitalSegLib.modelling.slits import joined
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of, surface_of_mask
from OrbitalSegLib.modelling.surface_quality import quality, shells
from OrbitalSegLib.modelling.thickening import thickened
from OrbitalSegLib.modelling.thickness import walls


def image_of(array, spacing_mm=(1.0, 1.0, 1.0), dtype=np.uint8):
    image = sitk.GetImageFromArray(np.asarray(array, dtype))
    image.SetSpacing(spacing_mm)
    return image


def plate(thickness_voxels, spacing_mm=(0.5, 0.5, 0.4)):
    array = np.zeros((12, 24, 24))
    array[5 : 5 + thickness_voxels, 3:21, 3:21] = 1
    return image_of(array, spacing_mm)


def nearest_by_force(point, points, triangles):
    """Distance of a point to a triangle mesh: to every triangle's plane, edges and corners, one by one."""
    best = np.inf
    for a, b, c in points[triangles].astype(float):
        normal = np.cross(b - a, c - a)
        normal /= np.linalg.norm(normal)
        foot = point - (point - a) @ normal * normal
        if all(np.cross(q - p, foot - p) @ normal >= 0 for p, q in ((a, b), (b, c), (c, a))):
            best = min(best, abs((point - a) @ normal))
        for p, q in ((a, b), (b, c), (c, a)):
            along = np.clip((point - p) @ (q - p) / ((q - p) @ (q - p)), 0, 1)
            best = min(best, np.linalg.norm(point - p - along * (q - p)))
    return best


def test_distances_are_those_of_a_search_through_every_triangle():
    inside = np.linalg.norm(np.indices((7, 7, 7)) - 3, axis=0) < 2.6
    points, triangles = mesh.arrays_of(surface_of_mask(image_of(inside, (0.5, 0.7, 1.1)))[0])
    places = np.random.default_rng(0).uniform(-1, 7, (40, 3)) * (0.5, 0.7, 1.1)
    found = signed_distances_mm(places, points, triangles)
    expected = [nearest_by_force(place, points, triangles) for place in places]
    np.testing.assert_allclose(np.abs(found), expected, atol=1e-5)
    middle = 3 * np.array([0.5, 0.7, 1.1])
    assert signed_distances_mm(middle[None], points, triangles)[0] < 0
    assert signed_distances_mm(middle[None] + 10, points, triangles)[0] > 0


@pytest.mark.parametrize("voxels", [1, 2, 5])
def test_a_plate_is_as_thick_as_its_voxels(voxels):
    made = surface_of(BoneField(plate(voxels)), SurfaceParameters("none"))
    found = walls(made.points, made.triangles)
    flat = np.abs(found.thickness_mm - 0.4 * voxels) < 1e-5
    # The edges are bevelled by half a voxel.
    assert found.area_mm2[flat].sum() == pytest.approx(2 * 8.5 * 8.5, rel=0.05)


def test_the_report_s_deviation_is_that_of_a_search_through_every_triangle():
    inside = np.linalg.norm(np.indices((5, 5, 5)) - 2, axis=0) < 1.9
    made = surface_of(BoneField(image_of(inside, (0.5, 0.7, 1.1))), SurfaceParameters("smooth"))
    found = quality(made.points, made.triangles, (made.unsmoothed, made.triangles), 0.8).report["deviation_mm"]
    expected = [nearest_by_force(point, made.unsmoothed, made.triangles) for point in made.points.astype(float)]
    assert max(expected) > 0.1
    for name, percent in (("median", 50), ("p95", 95), ("p99", 99), ("maximum", 100)):
        assert found[name] == pytest.approx(np.percentile(expected, percent), abs=1e-4), name
    furthest = made.points[np.argmax(expected)]
    np.testing.assert_allclose(found["maximum_at_mm"], furthest, atol=0.051)


def test_the_deviation_of_two_bodies_is_that_of_deepminds_surface_distance(deepmind):
    z, y, x = np.indices((30, 34, 38)) - np.array([14.5, 16.5, 18.5])[:, None, None, None]
    bodies = [(x / 14) ** 2 + (y / 12) ** 2 + (z / 10) ** 2 < 1, (x / 15) ** 2 + (y / 12.5) ** 2 + (z / 8) ** 2 < 1]
    theirs = deepmind.compute_surface_distances(*bodies, (0.5, 0.4, 0.4))
    one, other = (surface_of(BoneField(image_of(body, (0.4, 0.4, 0.5)))) for body in bodies)
    there, back = (
        quality(a.points, a.triangles, (b.points, b.triangles), 0.8).report["deviation_mm"]
        for a, b in ((one, other), (other, one))
    )
    half_a_voxel_mm = 0.25
    assert max(there["p95"], back["p95"]) == pytest.approx(
        deepmind.compute_robust_hausdorff(theirs, 95), abs=half_a_voxel_mm
    )
    assert max(there["maximum"], back["maximum"]) == pytest.approx(
        deepmind.compute_robust_hausdorff(theirs, 100), abs=half_a_voxel_mm
    )


def test_the_thickness_of_a_shell_does_not_depend_on_how_it_leans():
    radius = np.linalg.norm(np.indices((40, 40, 40)) - 19.5, axis=0)
    fraction = np.clip(16 - radius + 0.5, 0, 1) - np.clip(13 - radius + 0.5, 0, 1)
    image = image_of(fraction, dtype=np.float32)
    made = surface_of(BoneField(image > 0.5, image), SurfaceParameters("none"))
    found = walls(made.points, made.triangles)
    assert np.average(found.thickness_mm, weights=found.area_mm2) == pytest.approx(3, rel=0.03)
    outer = np.linalg.norm(found.places_mm - 19.5, axis=1) > 14.5
    assert found.area_mm2[outer].sum() == pytest.approx(4 * np.pi * 16**2, rel=0.05)


def test_a_thin_plate_is_thickened_to_both_sides_and_what_was_added_is_counted():
    made = surface_of(BoneField(plate(1)), SurfaceParameters("faithful"))
    points, moved_mm, measured = thickened(made.points, made.triangles, 0.8)
    assert mesh.check(mesh.surface_of(points, made.triangles)).sound
    inner = (np.abs(made.points[:, :2] - 5.75) < 3).all(axis=1)
    heights = [np.ptp(some[inner, 2]) for some in (made.points, points)]
    assert heights[1] == pytest.approx(0.8, abs=0.1)
    added_mm3 = 1000 * (mesh.volume_ml(points, made.triangles) - mesh.volume_ml(made.points, made.triangles))
    assert measured["added_mm3"] == pytest.approx(added_mm3, abs=1e-3)
    assert added_mm3 > 0.6 * 9 * 9 * 0.4
    assert np.median(moved_mm[inner]) == pytest.approx(0.2, abs=0.05)
    assert moved_mm.max() < 0.4 + 1e-6


def test_a_thick_plate_is_left_alone():
    made = surface_of(BoneField(plate(5)), SurfaceParameters("none"))
    _, moved_mm, measured = thickened(made.points, made.triangles, 0.3)
    assert (moved_mm == 0).mean() > 0.9
    assert measured["added_mm3"] < 1


def test_separate_shells_are_listed_with_their_volume_and_place():
    array = np.zeros((8, 8, 20))
    array[2:6, 2:6, 2:6] = 1
    array[2:4, 2:4, 14:16] = 1
    made = surface_of(BoneField(image_of(array)), SurfaceParameters("none"))
    first, second = shells(made.points, made.triangles, made.topology)
    assert first["volume_ml"] + second["volume_ml"] == pytest.approx(made.measured["volume_ml"], abs=2e-4)
    assert first["middle_mm"] == pytest.approx([3.5, 3.5, 3.5], abs=0.05)
    assert second["middle_mm"] == pytest.approx([14.5, 2.5, 2.5], abs=0.05)


def test_a_wall_that_goes_on_below_the_limit_is_proposed_and_a_hole_is_not():
    fraction = np.zeros((9, 20, 20), np.float32)
    fraction[4] = 0.7
    fraction[4, 5:8, 5:8] = 0.3  # an artefact
    fraction[4, 13:16, 13:16] = 0  # a hole
    image = image_of(fraction, (0.5, 0.5, 0.5), np.float32)
    (found,) = gaps(BoneField(image > 0.5, image))
    assert found["area_mm2"] == pytest.approx(9 * 0.25)
    assert found["middle_mm"] == pytest.approx([3, 3, 2])
    assert found["mean_fraction"] == pytest.approx(0.3)


@pytest.mark.parametrize("parameters", [ModelParameters(), ModelParameters("smooth", 0.1, 0.8)], ids=["plain", "all"])
def test_a_model_is_sound_and_reported(parameters):
    pytest.importorskip("manifold3d")
    radius = np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0)
    fraction = np.clip(8 - radius + 0.5, 0, 1) - np.clip(7.4 - radius + 0.5, 0, 1)
    image = image_of(fraction, dtype=np.float32)
    made = model_of(BoneField(image >= 0.2, image), parameters)
    assert mesh.check(made.surface).sound
    report = made.measured["quality"]
    assert report["triangles"] == len(made.triangles)
    assert report["deviation_mm"]["maximum"] == pytest.approx(np.abs(made.of_vertices["deviation_mm"]).max(), abs=1e-3)
    assert report["tunnels"] == {"before": 0, "after": 0}
    assert report["volume_ml"]["after"] == pytest.approx(mesh.check(made.surface).volume_ml)
    assert all(len(values) == len(made.points) for values in made.of_vertices.values())


def wall_between_two_layers(holes_voxels=2):
    """A wall that passes from one layer of voxels to the next; on the way both hold 0.4 of a voxel."""
    fraction = np.zeros((9, 12, 24), np.float32)
    fraction[4, :, :12] = fraction[5, :, 12:] = 0.8
    fraction[4:6, :, 12 - holes_voxels // 2 : 12 + (holes_voxels + 1) // 2] = 0.4
    return image_of(fraction, (0.5, 0.5, 0.5), np.float32)


@pytest.mark.parametrize(("wide", "pieces"), [(1, 1), (2, 1), (3, 1), (4, 0)])
def test_a_slit_of_up_to_three_voxels_between_two_layers_is_joined(wide, pieces):
    image = wall_between_two_layers(wide)
    field, listed = joined(BoneField(image > 0.5, image))
    assert len(listed) == pieces
    labels = sitk.RelabelComponent(sitk.ConnectedComponent(field.mask != 0, True))
    assert sitk.GetArrayFromImage(labels).max() == 2 - pieces
    if pieces:
        assert listed[0]["mean_fraction"] == pytest.approx(0.4)
        assert listed[0]["area_mm2"] == pytest.approx(2 * wide * 12 * 0.25)
        made = surface_of(field).measured
        assert (made["parts"], made["tunnels"]) == (1, 0)


@pytest.mark.parametrize(("wide", "pieces"), [(1, 1), (2, 0)])
def test_a_slit_wider_than_1_6_mm_is_left_open(wide, pieces):
    image = wall_between_two_layers(wide)
    image.SetSpacing((1.0, 1.0, 1.0))
    assert len(joined(BoneField(image > 0.5, image))[1]) == pieces


def test_what_holds_less_than_half_a_voxel_across_is_not_joined():
    image = wall_between_two_layers()
    fainter = sitk.Cast(sitk.ShiftScale(image, 0, 0.6), sitk.sitkFloat32)
    mask = image > 0.5
    assert joined(BoneField(mask, fainter))[1] == []


def test_nothing_is_joined_where_a_person_may_have_edited_or_there_is_no_fraction():
    image = wall_between_two_layers()
    for field in (BoneField(image > 0.5, image, edited=True), BoneField(image > 0.5)):
        assert joined(field) == (field, [])


def test_a_model_lists_the_slits_that_were_joined():
    image = wall_between_two_layers()
    made = model_of(BoneField(image > 0.5, image), ModelParameters())
    found = made.measured["slits_joined"]
    assert found["pieces"] == 1
    assert found["area_mm2"] == pytest.approx(2 * 2 * 12 * 0.25)
    assert [piece["mean_fraction"] for piece in found["largest"]] == [pytest.approx(0.4)]
    assert made.measured["parts"] == 1
