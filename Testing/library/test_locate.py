"""Finding the orbits in heads by formula; Testing/real does it on real ones."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.locating import SIDES, Orbits, locate
from OrbitalSegLib.phantom import VARIANTS, Anatomy, scan, write_series
from OrbitalSegLib.phantom.scanner import Scanner

WHOLE_HEAD = Scanner(
    matrix=110, pixel_mm=2.0, slice_thickness_mm=2.0, spacing_mm=2.0, height_mm=130.0, centre_mm=(0.0, 45.0, 5.0)
)
WITHIN_MM = 10.0
"""What is asked of each face of each box."""

INFRAORBITAL_FORAMEN_MM = np.array([31.5, -19, -27.5])
TEN_ABOVE_SUPRAORBITAL_RIM_MM = np.array([25, -21, 26.0])
"""Of the phantom, on the left."""


def scanned(anatomy: Anatomy, scanner: Scanner, folder) -> sitk.Image:
    """The head as a scanner's series gives it, whatever the position of the patient and the tilt."""
    folder.mkdir(parents=True)
    write_series(scan(anatomy, scanner), folder)
    return reading.read(folder).image


@pytest.fixture(scope="session")
def head(tmp_path_factory) -> sitk.Image:
    return scanned(Anatomy(), WHOLE_HEAD, tmp_path_factory.mktemp("head") / "series")


def true_surface_mm(side: str, anatomy: Anatomy | None = None) -> np.ndarray:
    """(n, 3): the wall of the phantom's orbit."""
    anatomy = anatomy or Anatomy()
    orbit = anatomy.orbit(side)
    shares = np.linspace(-1, 1, 41)
    p, q = (axis.ravel() for axis in np.meshgrid(shares, shares))
    inside = p**4 + 2 * orbit.roundness * (p * q) ** 2 + q**4 <= 1
    places = np.array(
        [orbit.at(u, a, b) for u in np.linspace(0, 1, 30) for a, b in zip(p[inside], q[inside], strict=True)]
    )
    turn = np.radians(anatomy.turned_degrees)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    return places @ about_z.T


def faces_of(points: np.ndarray) -> np.ndarray:
    return np.stack([points.min(axis=0), points.max(axis=0)], axis=1).ravel()


def assert_box(orbits: Orbits, side: str, true_points_mm: np.ndarray) -> None:
    box_mm = getattr(orbits, side).box_mm
    assert box_mm is not None
    np.testing.assert_allclose(box_mm, faces_of(true_points_mm), atol=WITHIN_MM)


def rotation(axis: int, degrees: float) -> np.ndarray:
    turn = sitk.VersorTransform(np.eye(3)[axis].tolist(), float(np.radians(degrees)))
    return np.reshape(turn.GetMatrix(), (3, 3))


def turned(image: sitk.Image, matrix: np.ndarray) -> sitk.Image:
    """The same voxels of a head that is turned about the origin of patient space."""
    moved = sitk.Image(image)
    moved.SetDirection((matrix @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    moved.SetOrigin((matrix @ image.GetOrigin()).tolist())
    return moved


def statuses(orbits: Orbits) -> tuple[str, str]:
    return orbits.right.status, orbits.left.status


def changed(image: sitk.Image, change) -> sitk.Image:
    """The image with other voxels: `change` is given its array and the places (x, y, z) in mm."""
    array = sitk.GetArrayFromImage(image).astype(float)
    z, y, x = (
        index * image.GetSpacing()[2 - i] + image.GetOrigin()[2 - i] for i, index in enumerate(np.indices(array.shape))
    )
    result = sitk.GetImageFromArray(np.clip(change(array, x, y, z), -1024, 3071).astype(np.int16))
    result.CopyInformation(image)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.export == "hu"])
def test_both_orbits_are_found_in_every_phantom(name, tmp_path):
    variant = VARIANTS[name]
    coarser = max(1, round(1.8 / variant.scanner.pixel_mm))
    spacing_mm = max(1.8, variant.scanner.spacing_mm)
    scanner = replace(
        variant.scanner,
        matrix=variant.scanner.matrix // coarser,
        pixel_mm=variant.scanner.pixel_mm * coarser,
        spacing_mm=spacing_mm,
        slice_thickness_mm=spacing_mm,
        missing=tuple(n // 2 for n in variant.scanner.missing),
    )
    orbits = locate(scanned(variant.anatomy, scanner, tmp_path / "series"))
    cut_off = name == "cropped-orbit"
    assert statuses(orbits) == ("cut off" if cut_off else "found", "found")
    for side in ("left",) if cut_off else SIDES:
        assert_box(orbits, side, true_surface_mm(side, variant.anatomy))


@pytest.mark.parametrize("degrees", [-30, 30])
@pytest.mark.parametrize("axis", [0, 1, 2], ids=["nodding", "leaning", "turning"])
def test_a_head_may_be_turned_by_30_degrees_about_any_axis(axis, degrees, head):
    matrix = rotation(axis, degrees)
    orbits = locate(turned(head, matrix))
    assert statuses(orbits) == ("found", "found")
    for side in SIDES:
        assert_box(orbits, side, true_surface_mm(side) @ matrix.T)


@pytest.mark.slow
def test_left_is_left_whichever_way_the_voxels_run(head):
    expected = locate(head)
    for flipped in (sitk.Flip(head, [True, False, False]), sitk.PermuteAxes(head, [2, 0, 1])):
        assert flipped.GetDirection() != head.GetDirection()
        found = locate(flipped)
        for side in SIDES:
            np.testing.assert_allclose(getattr(found, side).box_mm, getattr(expected, side).box_mm, atol=2.0)
    assert expected.left.box_mm[0] > expected.right.box_mm[1]


def test_a_mirrored_head_has_its_orbits_in_the_mirrored_places(head):
    """Whatever cells of the coarse grid they fall into."""
    voxels = sitk.GetImageFromArray(sitk.GetArrayFromImage(head)[:, :, ::-1].copy())
    voxels.CopyInformation(head)
    ends_mm = head.GetOrigin()[0], head.TransformIndexToPhysicalPoint([n - 1 for n in head.GetSize()])[0]
    found, mirrored = locate(head), locate(voxels)
    for side, other in (("left", "right"), ("right", "left")):
        box, mirror = list(getattr(found, side).box_mm), list(getattr(mirrored, other).box_mm)
        mirror[:2] = sum(ends_mm) - mirror[1], sum(ends_mm) - mirror[0]
        np.testing.assert_allclose(mirror, box, atol=1.0)


@pytest.mark.parametrize("cut", [(3, 0, 1), (4, 5, 6)])
def test_a_cropped_head_has_its_orbits_where_they_were(cut, head):
    x, y, z = cut
    found, again = locate(head), locate(head[x:, y:, z:])
    for side in SIDES:
        np.testing.assert_allclose(getattr(again, side).box_mm, getattr(found, side).box_mm, atol=1.0)


@pytest.mark.parametrize(("side", "other"), [("left", "right"), ("right", "left")])
def test_with_one_orbit_in_view_it_is_known_which(side, other, head):
    first = head.TransformPhysicalPointToIndex((SIDES[side] * 5.0 - 5.0 * (1 + SIDES[side]), 0, 0))[0]
    half = head[first:] if side == "left" else head[: first + 6]
    orbits = locate(half)
    assert getattr(orbits, side).status == "found"
    assert_box(orbits, side, true_surface_mm(side))
    assert getattr(orbits, other).status == "cut off"
    assert getattr(orbits, other).box_mm is None
    assert orbits.region() == orbits.region(side)
    assert orbits.region(other) is None


def test_orbits_without_their_floor_are_cut_off(head):
    first = head.TransformPhysicalPointToIndex((0, 0, -4.0))[2]
    orbits = locate(head[:, :, first:])
    assert statuses(orbits) == ("cut off", "cut off")
    for side in SIDES:
        assert_box(orbits, side, true_surface_mm(side))


def test_a_padded_slant_of_the_field_of_view_cuts_off_too(head):
    orbits = locate(changed(head, lambda hu, x, y, z: np.where(z < -8 - 0.3 * y, -1024, hu + 0 * x)))
    assert statuses(orbits) == ("cut off", "cut off")


@pytest.mark.parametrize(("hu", "radius_mm"), [(40, 32), (900, 22)], ids=["cut out", "filled with bone"])
def test_an_orbit_that_is_destroyed_is_missing_and_the_other_is_found(hu, radius_mm, head):
    def destroyed(old, x, y, z):
        return np.where(np.sqrt((x + 31) ** 2 + (y - 2) ** 2 + z**2) < radius_mm, hu, old)

    orbits = locate(changed(head, destroyed))
    assert statuses(orbits) == ("missing", "found")
    assert_box(orbits, "left", true_surface_mm("left"))
    assert orbits.sentence() == "The right orbit was not found, the left one found."


def test_noise_and_metal_do_not_hide_them(head):
    random = np.random.default_rng(3)

    def spoilt(hu, x, y, z):
        hu = hu + random.normal(0, 150, hu.shape)
        for place in ((20, -10, -45), (-20, -10, -45), (-45, -5, -20)):
            away = np.hypot(x - place[0], y - place[1])
            streaks = 500 * np.sign(np.sin(12 * np.arctan2(y - place[1], x - place[0]))) * np.exp(-away / 40)
            hu = hu + streaks * (np.abs(z - place[2]) < 6)
            hu[(away < 4) & (np.abs(z - place[2]) < 4)] = 3071
        return hu

    orbits = locate(changed(head, spoilt))
    assert statuses(orbits) == ("found", "found")
    for side in SIDES:
        assert_box(orbits, side, true_surface_mm(side))


@pytest.mark.parametrize("air_hu", [-1000, -1024])
def test_a_dry_skull_has_orbits(air_hu, head):
    orbits = locate(changed(head, lambda hu, *_: np.where(hu > 200, hu, air_hu)))
    assert statuses(orbits) == ("found", "found")
    for side in SIDES:
        assert_box(orbits, side, true_surface_mm(side))


def test_slices_of_6_mm_are_enough(head):
    orbits = locate(sitk.BinShrink(head, [1, 1, 3]))
    assert statuses(orbits) == ("found", "found")
    for side in SIDES:
        assert_box(orbits, side, true_surface_mm(side))


def not_a_head(what: str) -> np.ndarray:
    """HU (z, y, x) at 2 mm."""
    z, y, x = np.indices((80, 110, 150))
    if what == "noise":
        return np.random.default_rng(1).normal(0, 400, z.shape)
    body = np.where(((x - 75) / 70) ** 2 + ((y - 55) / 48) ** 2 < 1, 40, -1000)
    if what == "abdomen":
        spine = np.hypot(x - 75, y - 80) < 11
        body[spine & (z % 15 < 12)] = 500
        body[np.hypot(x - 75, y - 89) < 5] = 40
        ribs = np.abs(((x - 75) / 64) ** 2 + ((y - 55) / 43) ** 2 - 1) < 0.06
        body[ribs & ((z + y // 3) % 14 < 5)] = 600
    if what == "tube":
        body[np.abs(np.hypot(x - 75, y - 55) - 40) < 2] = 900
    return body


@pytest.mark.parametrize("what", ["noise", "abdomen", "tube", "water"])
def test_what_is_no_head_has_no_orbits(what):
    image = sitk.GetImageFromArray(not_a_head(what).astype(np.int16))
    image.SetSpacing((2.0, 2.0, 2.0))
    orbits = locate(image)
    assert statuses(orbits) == ("missing", "missing")
    assert orbits.region() is None
    assert orbits.sentence() == "Both orbits were not found."


@pytest.mark.parametrize("part", ["vault", "back"])
def test_the_rest_of_a_head_has_no_orbits(part, head):
    at = head.TransformPhysicalPointToIndex((0, 45.0, 35.0))
    rest = head[:, :, at[2] :] if part == "vault" else head[:, at[1] :]
    assert statuses(locate(rest)) == ("missing", "missing")


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 200, 2), (40, 40, 1)])
def test_an_image_too_small_for_an_orbit_has_none(size):
    for hu in (-1000, 1000):
        assert statuses(locate(sitk.Image(size, sitk.sitkInt16) + hu)) == ("missing", "missing")


def test_the_region_follows_the_head_from_above_the_brow_to_the_infraorbital_foramen(head):
    for matrix in (np.eye(3), rotation(0, 25)):
        orbits = locate(turned(head, matrix))
        both = np.reshape(orbits.region().box_mm, (3, 2))
        for side, sign in SIDES.items():
            own = np.reshape(orbits.region(side).box_mm, (3, 2))
            box = np.reshape(getattr(orbits, side).box_mm, (3, 2))
            for region in (own, both):
                assert (region[:, 0] <= box[:, 0]).all()
                assert (region[:, 1] >= box[:, 1]).all()
            for point in (INFRAORBITAL_FORAMEN_MM, TEN_ABOVE_SUPRAORBITAL_RIM_MM):
                place = matrix @ (point * (sign, 1, 1))
                assert (own[:, 0] - 3 <= place).all()
                assert (place <= own[:, 1] + 3).all()
        assert (np.diff(both)[:, 0] < (150, 100, 90)).all(), "no larger than the orbits need"


def test_progress_grows_to_the_end_and_the_answer_is_always_the_same(head):
    seen = []
    first = locate(head, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    assert locate(head) == first
