"""The plane of symmetry of a face, against the phantom, which has one but for its sinuses and its fracture."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.locating import MISSING, Orbits, locate
from OrbitalSegLib.locating.poses import rotation
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.symmetry import mirrored, plane_of

pytestmark = pytest.mark.slow

TURNED_DEGREES = 6.0
NORMAL = np.array([np.cos(np.radians(TURNED_DEGREES)), np.sin(np.radians(TURNED_DEGREES)), 0.0])


@pytest.fixture(scope="module")
def head() -> tuple[sitk.Image, Orbits]:
    """Bone above 300 HU of a turned head whose left floor is broken, and its orbits."""
    anatomy = Anatomy(fracture="floor", fracture_side="left", opacified="right", turned_degrees=TURNED_DEGREES)
    scanner = Scanner(matrix=175, pixel_mm=0.8, slice_thickness_mm=0.8, spacing_mm=0.8, height_mm=84.0,
                      centre_mm=(0.0, 15.0, 0.0))  # fmt: skip
    taken = scan(anatomy, scanner)
    ct = sitk.GetImageFromArray(taken.voxels)
    ct.SetSpacing([scanner.pixel_mm] * 2 + [scanner.spacing_mm])
    ct.SetOrigin(taken.grid.origins[0].tolist())
    return ct > 300, locate(ct)


def moved(orbits: Orbits, degrees: float, shift_mm: float) -> Orbits:
    """As if the orbits had been located elsewhere."""
    pose = orbits.right.shape.pose
    turn = rotation(np.radians([[0.0, degrees, -degrees]]))
    other = replace(pose, rotation=turn @ pose.rotation, place=pose.place + shift_mm * NORMAL)
    return replace(orbits, right=replace(orbits.right, shape=replace(orbits.right.shape, pose=other)))


@pytest.mark.parametrize(("degrees", "shift_mm"), [(0.0, 0.0), (1.5, -1.5)])
def test_the_plane_of_a_broken_turned_head_is_found_wherever_its_orbits_were_located(degrees, shift_mm, head):
    bone, orbits = head
    plane = plane_of(bone, moved(orbits, degrees, shift_mm))
    assert np.degrees(np.arccos(min(plane.normal @ NORMAL, 1.0))) < 0.2
    assert abs(plane.middle_mm @ NORMAL) < 0.2
    assert plane.alike > 0.8
    assert 0 <= plane.uncertain_degrees < 0.3
    assert 0 <= plane.uncertain_mm < 0.2


def test_a_side_without_bone_moves_the_plane_little(head):
    bone, orbits = head
    grid = (bone.GetSize(), bone.GetOrigin(), bone.GetSpacing())
    places = sitk.PhysicalPointSource(sitk.sitkVectorFloat32, *grid)
    box = (sitk.VectorIndexSelectionCast(places, 0) > 18) & (sitk.VectorIndexSelectionCast(places, 2) < -4)
    plane = plane_of(bone & (box == 0), orbits)
    whole = plane_of(bone, orbits)
    assert np.degrees(np.arccos(min(plane.normal @ NORMAL, 1.0))) < 0.5
    assert abs(plane.middle_mm @ NORMAL) < 0.5
    assert plane.alike < whole.alike


def test_nothing_is_said_where_no_orbit_was_found_or_there_is_no_bone(head):
    bone, orbits = head
    assert plane_of(bone, MISSING) is None
    assert plane_of(bone & 0, orbits) is None


def test_mirroring_twice_is_nothing_and_the_plane_stays():
    places = np.array([[1.0, 2, 3], [-4, 5, 6]])
    middle = np.array([1.0, 0, 0])
    np.testing.assert_allclose(mirrored(places, middle, np.array([1.0, 0, 0])), [[1, 2, 3], [6, 5, 6]])
    twice = mirrored(mirrored(places, middle, NORMAL), middle, NORMAL)
    np.testing.assert_allclose(twice, places)
