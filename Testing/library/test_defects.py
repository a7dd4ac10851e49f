"""The openings of an orbit's walls, against the phantom's formula."""

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from broken_head import AREA_MM2
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from OrbitalSegLib import defects, worker
from OrbitalSegLib.defects import Opening, openings_of
from OrbitalSegLib.defects.places import place_on, wall_at
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.locating import SIDES
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.phantom import herniated_ml
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hole(head) -> Opening:
    (hole,) = (opening for opening in head.openings("left") if opening.name is None)
    return hole


def test_the_hole_is_the_only_opening_that_no_natural_one_explains(head, hole):
    assert hole.wall == "floor"
    assert [opening for opening in head.openings("right") if opening.name is None] == []


def test_the_holes_size_is_that_of_the_formula(hole):
    """At the hole's edge rays meet bone a little before or behind the bridge, which makes it smaller."""
    diameter_mm = 2 * np.sqrt(AREA_MM2 / np.pi)
    assert hole.area_mm2 == pytest.approx(AREA_MM2, rel=0.2)
    assert hole.longest_mm == pytest.approx(diameter_mm, rel=0.25)
    assert hole.shortest_mm == pytest.approx(diameter_mm, rel=0.25)


def test_what_has_sagged_through_the_hole_is_measured(head, hole):
    assert 2 < hole.passed_mm < 10
    assert 0.5 * herniated_ml(head.anatomy) < hole.passed_ml < 1.5 * herniated_ml(head.anatomy)


def test_natural_openings_have_their_names_on_both_sides(head):
    for side in SIDES:
        names = {opening.name for opening in head.openings(side)}
        assert {"inferior orbital fissure", "superior orbital fissure and optic canal"} <= names


def test_openings_are_numbered_on_the_surface_the_largest_first(head):
    cavity = head.measured("left")
    openings = openings_of(cavity, head.orbits.left, head.ct, head.bone)
    numbers = defects.numbers_of(cavity)
    assert [opening.number for opening in openings] == list(range(1, len(openings) + 1))
    assert set(numbers) == set(range(len(openings) + 1))
    areas = [opening.area_mm2 for opening in openings]
    assert areas == sorted(areas, reverse=True)
    for opening in openings:
        middle = defects.points_of(cavity)[numbers == opening.number].mean(axis=0)
        np.testing.assert_allclose(middle, opening.middle_mm, atol=2)


def test_without_a_probability_bone_is_only_not_seen(hole):
    assert hole.open_share is None
    assert hole.certainty == "not seen"


@pytest.mark.parametrize(("probability", "certainty"), [(0.05, "open"), (0.4, "not seen")])
def test_bone_is_missing_where_the_networks_saw_that_there_is_none(probability, certainty, head):
    bone = sitk.Cast(head.bone, sitk.sitkFloat32)
    opening = next(one for one in head.openings("left", sitk.Maximum(bone * 0, probability)) if one.name is None)
    assert opening.certainty == certainty
    assert opening.open_share == pytest.approx(float(certainty == "open"))


def test_a_place_on_the_located_orbit_is_found_again(head):
    shape = head.orbits.left.shape
    depths, angles = np.array([0.2, 0.4, 0.6, 0.8]), np.array([5.0, 95.0, 185.0, 275.0])
    start = shape.axis_mm(0.3)
    places = shape.wall_mm(depths, np.radians(angles))
    found_depths, found_angles = place_on(shape, places - start, start)
    np.testing.assert_allclose(found_depths, depths, atol=0.021)
    np.testing.assert_allclose(found_angles, angles, atol=5.1)
    assert wall_at(angles).tolist() == ["lateral", "roof", "medial", "floor"]


def job(folder: Path, ct: sitk.Image, bone: sitk.Image) -> tuple[dict, list[dict]]:
    """The last line and all lines of a job."""
    sitk.WriteImage(ct, str(folder / "ct.nrrd"))
    write_segmentation({"bone": bone}, folder / "bone.seg.nrrd")
    lines: list[dict] = []
    values = {"input": str(folder / "bone.seg.nrrd"), "ct": str(folder / "ct.nrrd"), "output": str(folder / "out")}
    worker.run({"contract": CONTRACT, "task": "defects", **values}, lines.append)
    return lines[-1], lines


def test_the_job_writes_the_table_and_the_map(tmp_path, head, hole):
    last, _ = job(tmp_path, head.ct, head.bone)
    assert last["event"] == "result"
    told = last["summary"]["orbits"]
    assert {side: told[side]["status"] for side in SIDES} == dict.fromkeys(SIDES, "found")
    (unnamed,) = (one for one in told["left"]["openings"] if one["name"] is None)
    assert unnamed["area_mm2"] == pytest.approx(hole.area_mm2, abs=0.01)
    with (tmp_path / "out" / "defects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(told[side]["openings"]) for side in SIDES)
    assert {row["side"] for row in rows} == set(SIDES)
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "out" / "orbit-left.vtp"))
    reader.Update()
    surface = reader.GetOutput()
    assert mesh.check(surface).sound
    assert surface.GetPointData().GetArray("opening").GetRange()[1] == len(told["left"]["openings"])


def test_in_thick_slices_nothing_is_listed_and_it_is_said_why(tmp_path, head):
    thick = sitk.BinShrink(head.ct, [1, 1, 4])
    last, lines = job(tmp_path, sitk.Cast(thick, sitk.sitkInt16), head.bone)
    assert last["event"] == "result"
    for side in SIDES:
        assert last["summary"]["orbits"][side] == {"status": "cannot be told", "openings": None}
    assert [line["code"] for line in lines if line["event"] == "warning"].count("defects-untold") == 2
