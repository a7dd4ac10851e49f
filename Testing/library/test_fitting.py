"""A wall keeps its bone, however thin it is for its voxels."""

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.methods.fraction import fraction_of_ct, fraction_of_probability
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.field import BoneField, agreeing, field_of_edited
from OrbitalSegLib.modelling.fitting import fit
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of

SUPPORT = 0.12
"""Above this fraction a voxel belongs to the wall."""


def wall_fraction(thickness_mm, spacing_mm, normal, size_mm=(14.0, 14.0, 8.0), radius_mm=6.0, samples=5):
    """The bone fraction of a round plate through the middle of a grid, by samples in each voxel; and its middle."""
    shape = [int(s / d) for s, d in zip(size_mm, spacing_mm, strict=True)]
    spacing = np.array(spacing_mm)
    middle = (np.array(shape) - 1) / 2 * spacing + 0.11 * normal
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    places = np.stack(np.meshgrid(*(np.arange(n) * d for n, d in zip(shape, spacing, strict=True)), indexing="ij"))
    fraction = np.zeros(shape)
    for x in steps:
        for y in steps:
            for z in np.repeat(steps, 4) + np.tile((np.arange(4) + 0.5) / 4 - 0.5, samples) / samples:
                relative = places + (np.array([x, y, z]) * spacing - middle)[:, None, None, None]
                height = np.tensordot(normal, relative, 1)
                across = (relative**2).sum(axis=0) - height**2
                fraction += (np.abs(height) < thickness_mm / 2) & (across < radius_mm**2)
    image = sitk.GetImageFromArray((fraction / samples**3 / 4).transpose(2, 1, 0).astype(np.float32))
    image.SetSpacing(spacing_mm)
    return image, middle


def test_a_vertex_whose_normal_vanishes_stays_where_it_is():
    # Two opposite triangles: the mean normal at each vertex is none.
    points = np.array([[2.0, 2.0, 2.0], [3.0, 2.0, 2.0], [2.0, 3.0, 2.0]])
    found = fit(points, np.array([[0, 1, 2], [0, 2, 1]]), np.ones((6, 6, 6), np.float32), np.array([0.5, 0.5, 0.8]))
    np.testing.assert_array_equal(found.points, points)
    assert np.isinf(found.thickness_mm).all()


def inner_part(points, triangles, middle, normal, radius_mm=3.0):
    """Mean thickness over the area of the plate's inner part, and the heights of its vertices."""
    relative = points.astype(float) - middle
    height = relative @ normal
    inside = np.sqrt(np.maximum((relative**2).sum(axis=1) - height**2, 0)) < radius_mm
    chosen = triangles[inside[triangles].all(axis=1)]
    a, b, c = (relative[corner] for corner in chosen.T)
    area = np.cross(b - a, c - a) @ normal / 2
    return (area * height[chosen].mean(axis=1)).sum() / (np.abs(area).sum() / 2), height[inside]


def tilted(degrees):
    angle = np.radians(degrees)
    return np.array([np.sin(angle), 0.1, np.cos(angle)]) / np.sqrt(1.01)


@pytest.mark.parametrize("smoothing", ["none", "faithful"])
@pytest.mark.parametrize(
    ("thickness_mm", "spacing_mm", "normal"),
    [
        (0.3, (0.4, 0.4, 0.6), np.array([0.0, 0.0, 1.0])),
        (0.3, (0.5, 0.5, 1.0), tilted(20)),
        (0.8, (0.4, 0.4, 0.6), tilted(20)),
    ],
    ids=["half a voxel", "a third of a voxel, tilted", "1.5 voxels"],
)
def test_a_wall_is_as_thick_as_its_bone_and_has_no_tunnel(thickness_mm, spacing_mm, normal, smoothing):
    image, middle = wall_fraction(thickness_mm, spacing_mm, normal)
    made = surface_of(BoneField(image >= SUPPORT, image, "fraction"), SurfaceParameters(smoothing))
    assert mesh.check(made.mesh).sound
    assert (made.measured["parts"], made.measured["tunnels"]) == (1, 0)
    found_mm, height = inner_part(made.points, made.triangles, middle, normal)
    assert found_mm == pytest.approx(thickness_mm, rel=0.03)
    assert np.percentile(np.abs(np.abs(height) - thickness_mm / 2), 95) < max(0.05, 0.3 * spacing_mm[2])


@pytest.mark.parametrize(
    ("thickness_mm", "spacing_mm", "normal"),
    [(0.3, (0.4, 0.4, 0.6), np.array([0.0, 0.0, 1.0])), (0.5, (0.5, 0.5, 1.0), tilted(20))],
    ids=["half a voxel", "half a voxel, tilted"],
)
def test_the_rim_of_a_wall_lies_where_its_bone_ends(thickness_mm, spacing_mm, normal):
    image, middle = wall_fraction(thickness_mm, spacing_mm, normal)
    made = surface_of(BoneField(image >= SUPPORT, image, "fraction"))
    relative = made.points - middle
    one = np.cross(normal, (0, 1, 0)) / np.linalg.norm(np.cross(normal, (0, 1, 0)))
    u, v = relative @ one, relative @ np.cross(normal, one)
    sector = ((np.arctan2(v, u) + np.pi) / (2 * np.pi) * 36).astype(int) % 36
    furthest = [np.hypot(u, v)[sector == number].max() for number in range(36)]
    assert np.median(furthest) == pytest.approx(6, abs=0.15)


def test_a_body_s_surface_lies_where_half_of_a_voxel_is_bone():
    z, y, x = np.indices((24, 24, 24)) - 11.5
    radius = np.sqrt(x**2 + y**2 + z**2)
    image = sitk.GetImageFromArray(np.clip(8 - radius + 0.5, 0, 1).astype(np.float32))
    made = surface_of(BoneField(image > 0.5, image, "fraction"), SurfaceParameters("none"))
    distance = np.abs(np.linalg.norm(made.points - 11.5, axis=1) - 8)
    assert np.percentile(distance, 95) < 0.09
    assert distance.max() < 0.15
    assert made.measured["volume_ml"] == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.01)


def test_memory_is_estimated_first():
    image = sitk.GetImageFromArray(np.ones((4, 4, 4), np.float32))
    with pytest.raises(InputError) as caught:
        surface_of(BoneField(image > 0, image), allowed_bytes=1000)
    assert caught.value.code == "too-large"


def row(values, pixel_type=np.float32):
    return sitk.GetImageFromArray(np.array(values, pixel_type).reshape(1, 1, -1))


def values_of(image):
    return sitk.GetArrayFromImage(image).ravel().tolist()


def test_the_fraction_of_a_ct_is_one_half_at_the_limit_and_nothing_in_soft_tissue():
    found = values_of(fraction_of_ct(row([-1000, 60, 180, 300, 420, 540, 1500]), 300))
    assert found == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])


def test_there_is_no_bone_above_an_upper_limit():
    assert values_of(fraction_of_ct(row([300, 1000, 3000]), 300, 2000)) == pytest.approx([0.5, 1, 0])


def test_the_fraction_of_a_probability_is_one_half_at_the_limit():
    found = values_of(fraction_of_probability(row([0, 51, 102, 204, 255], np.uint8), 0.4))
    assert found == pytest.approx([0, 0.25, 0.5, 1, 1])


def test_what_was_painted_or_erased_wins():
    assert values_of(agreeing(row([0.1, 0.4, 0.6, 0.9]), row([1, 0, 0, 1], np.uint8))) == pytest.approx(
        [1, 0.4, 0, 0.9]
    )


def test_an_edited_mask_follows_the_ct_where_they_agree_and_the_edit_elsewhere():
    ct = row([0, 0, 200, 600, 1000, 1000, 0, 0])
    mask = row([0, 0, 0, 1, 1, 0, 0, 1], np.uint8)
    found = field_of_edited(mask, ct)
    values = sitk.GetArrayFromImage(found.fraction).ravel()
    assert found.source == "CT and mask"
    assert ((values >= 0.5) == (sitk.GetArrayFromImage(mask).ravel() == 1)).all()
    assert values[5] == 0  # erased bone
    assert values[7] == 1  # painted air


def test_an_edited_mask_has_the_same_fraction_wherever_its_file_ends():
    hu = np.full((6, 7, 8), 40.0, np.float32)
    hu[2:4, 2:5, 2:6] = 900
    hu[2:4, 2:5, 1] = 600
    ct = sitk.GetImageFromArray(hu)
    mask = sitk.Cast(ct > 300, sitk.sitkUInt8)
    whole = sitk.GetArrayFromImage(field_of_edited(mask, ct).fraction)[2:4, 2:5, 1:6]
    cropped = sitk.GetArrayFromImage(field_of_edited(mask[1:6, 2:5, 2:4], ct).fraction)
    np.testing.assert_array_equal(whole, cropped)
    assert (cropped != 1).any()


def test_a_mask_alone_has_no_fraction():
    assert field_of_edited(row([0, 1], np.uint8), None).fraction is None
