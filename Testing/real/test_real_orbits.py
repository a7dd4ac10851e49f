"""Finding the orbits in real scans, held against boxes that were drawn once by looking (reference_boxes.json)."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.locating import SIDES, locate

pytestmark = pytest.mark.slow

BOXES_MM = json.loads((Path(__file__).parent / "reference_boxes.json").read_text())["boxes"]
CUT_OFF = ("philips-skull-phantom/tilted",)
"""Its field of view ends in the middle of both orbits."""

WITHIN_MM = 10.0
TURNED_BY_DEGREES = 20.0


@pytest.fixture(scope="module")
def ct(real_scans) -> Callable[[str], sitk.Image]:
    return cache(lambda name: reading.read(real_scans / name).image)


@pytest.mark.parametrize("name", BOXES_MM)
def test_each_face_lies_where_a_person_sees_it(name, ct):
    orbits = locate(ct(name))
    for side in SIDES:
        orbit = getattr(orbits, side)
        assert orbit.status == ("cut off" if name in CUT_OFF else "found")
        np.testing.assert_allclose(orbit.box_mm, BOXES_MM[name][side], atol=WITHIN_MM)


@pytest.mark.parametrize("name", [name for name in BOXES_MM if name not in CUT_OFF])
def test_half_a_head_has_one_orbit_on_its_own_side(name, ct):
    head = ct(name)
    middle_mm = (BOXES_MM[name]["right"][1] + BOXES_MM[name]["left"][0]) / 2
    column = head.TransformPhysicalPointToIndex((middle_mm, *np.add(head.GetOrigin(), 1)[1:]))[0]
    for side, half in (("right", head[:column]), ("left", head[column:])):
        other = "left" if side == "right" else "right"
        orbits = locate(half)
        assert getattr(orbits, side).status == "found"
        assert getattr(orbits, other).status == "cut off"
        np.testing.assert_allclose(getattr(orbits, side).box_mm, BOXES_MM[name][side], atol=WITHIN_MM)


@pytest.mark.parametrize("name", ["visible-human-female/head.nii.gz", "toshiba-head-3mm"])
@pytest.mark.parametrize("part", ["jaw", "vault", "back"])
def test_the_rest_of_a_head_has_no_orbits(name, part, ct):
    head = ct(name)
    _, _, _, back_mm, low_mm, high_mm = BOXES_MM[name]["right"]
    at = head.TransformPhysicalPointToIndex((*np.add(head.GetOrigin(), 1)[:1], back_mm + 8, high_mm + 5))
    jaw = head.TransformPhysicalPointToIndex((*np.add(head.GetOrigin(), 1)[:2], low_mm - 8))[2]
    rest = {"jaw": head[:, :, :jaw], "vault": head[:, :, at[2] :], "back": head[:, at[1] :]}[part]
    orbits = locate(rest)
    assert (orbits.right.status, orbits.left.status) == ("missing", "missing")


@pytest.mark.parametrize("name", [name for name in BOXES_MM if name not in CUT_OFF])
def test_a_turned_head_has_its_orbits_where_they_turn_to(name, ct):
    """The middle of a box moves with the head, whatever its faces do."""
    head = ct(name)
    middles = {side: np.mean(np.reshape(BOXES_MM[name][side], (3, 2)), axis=1) for side in SIDES}
    centre = np.mean(list(middles.values()), axis=0)
    for axis in np.eye(3):
        turn = sitk.VersorTransform(axis.tolist(), float(np.radians(TURNED_BY_DEGREES)))
        matrix = np.reshape(turn.GetMatrix(), (3, 3))
        turned = sitk.Image(head)
        turned.SetDirection((matrix @ np.reshape(head.GetDirection(), (3, 3))).ravel().tolist())
        turned.SetOrigin((matrix @ (head.GetOrigin() - centre) + centre).tolist())
        orbits = locate(turned)
        for side in SIDES:
            orbit = getattr(orbits, side)
            assert orbit.status in ("found", "cut off")
            middle = np.mean(np.reshape(orbit.box_mm, (3, 2)), axis=1)
            np.testing.assert_allclose(middle, matrix @ (middles[side] - centre) + centre, atol=WITHIN_MM)
