"""The scan held against table A.1 [3532-2 A]."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.acquisition import CHECKS, check
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, Planes, Scan

GOOD = Acquisition(
    file_format="DICOM",
    matrix=(512, 512),
    pixel_mm=0.29,
    slice_distance_mm=0.6,
    slice_thickness_mm=0.6,
    collimation_mm=0.6,
    tube_voltage_kv=100.0,
    tube_current_ma=300.0,
    rotation_time_s=1.0,
    field_of_view_mm=150.0,
    kernel="STANDARD",
    patient_position="HFS",
    age_months=1,
)
INSIDE = Region((-50.0, 50.0, -40.0, 20.0, -30.0, 30.0))


def scanned(acquisition: Acquisition = GOOD, height_mm: float = 66.0, distance_mm: float = 0.6) -> Scan:
    image = grid(height_mm)
    planes = Planes.of(image)
    positions = np.array([[-74.0, -74.0, z] for z in np.arange(-height_mm / 2, height_mm / 2, distance_mm)])
    return Scan(image, acquisition, replace(planes, positions_mm=positions), kind="dicom")


def grid(height_mm: float) -> sitk.Image:
    slices = int(height_mm / 0.6)
    grid = sitk.Image(256, 256, slices, sitk.sitkUInt8)
    grid.SetSpacing((0.58, 0.58, 0.6))
    grid.SetOrigin((-74.0, -74.0, -height_mm / 2))
    return grid


def verdicts(acquisition: Acquisition, region: Region = INSIDE) -> dict[str, str]:
    conditions, _ = check(scanned(acquisition), region)
    return {condition.id: condition.verdict for condition in conditions}


def test_a_scan_that_meets_the_table_meets_every_row_of_it():
    conditions, feasibility = check(scanned(), INSIDE)
    assert [row.id for row in conditions] == [row.id for row in CHECKS]
    table = {row.id: row.verdict for row in conditions if row.kind != "note"}
    assert len(table) == 12
    assert table.pop("region") == "not stated"  # whether the orbits lie inside cannot be known here
    assert set(table.values()) == {"met"}
    assert feasibility.thin_walls == "feasible"
    assert "region" in feasibility.reason


@pytest.mark.parametrize(
    ("change", "row", "verdict"),
    [
        ({"patient_position": "HFP"}, "position", "not met"),
        ({"patient_position": None}, "position", "not stated"),
        ({"matrix": (512, 511)}, "matrix", "not met"),
        ({"tube_voltage_kv": 80.0}, "tube-voltage", "met"),
        ({"tube_voltage_kv": 121.0}, "tube-voltage", "not met"),
        ({"tube_current_ma": 249.0}, "tube-current", "not met"),
        ({"tube_current_ma": None}, "tube-current", "not stated"),
        ({"collimation_mm": 1.0}, "scan-slice-thickness", "not met"),
        ({"rotation_time_s": 1.5}, "rotation-time", "met"),
        ({"rotation_time_s": 1.6}, "rotation-time", "not met"),
        ({"field_of_view_mm": 231.0}, "field-of-view", "not met"),
        ({"slice_thickness_mm": 1.25}, "slice-thickness", "not met"),
        ({"kernel": "FC30"}, "kernel", "not met"),
        ({"kernel": "FC23"}, "kernel", "met"),
        ({"kernel": "UB"}, "kernel", "met"),
        ({"kernel": "Hr40f/3"}, "kernel", "met"),
        ({"kernel": "H60s"}, "kernel", "not met"),
        ({"kernel": "BONEPLUS"}, "kernel", "not met"),
        ({"kernel": "something new"}, "kernel", "not stated"),
        ({"kernel": None}, "kernel", "not stated"),
        ({"file_format": "NRRD"}, "format", "not met"),
        ({"age_months": 4}, "age", "not met"),
        ({"age_months": None}, "age", "not stated"),
        ({"contrast_agent": True}, "contrast", "not met"),
        ({"contrast_agent": None}, "contrast", "not stated"),
        ({"tilt_degrees": 18.5}, "tilt", "not met"),
    ],
)
def test_each_row_is_judged_by_its_own_condition(change, row, verdict):
    assert verdicts(replace(GOOD, **change))[row] == verdict


def test_what_was_found_stands_in_the_row():
    conditions, _ = check(scanned(replace(GOOD, tube_voltage_kv=120.0, kernel=None)), INSIDE)
    found = {row.id: row.found for row in conditions}
    assert found["tube-voltage"] == "120 kV"
    assert found["kernel"] is None
    assert found["smallest-feature"] == "voxels of 0.58 x 0.58 x 0.60 mm"


@pytest.mark.parametrize(
    ("region", "height_mm", "verdict"),
    [
        (INSIDE, 66.0, "not stated"),
        (Region((0.0, 2.0, 0.0, 2.0, 0.0, 2.0)), 66.0, "not stated"),
        (Region((-20.0, 20.0, -20.0, 20.0, -20.0, 90.0)), 66.0, "not met"),
        (Region(), 66.0, "not stated"),
        (Region(), 30.0, "not met"),
    ],
)
def test_coverage_is_told_only_where_it_can_be_known(region, height_mm, verdict):
    conditions, _ = check(scanned(height_mm=height_mm), region)
    assert {row.id: row.verdict for row in conditions}["region"] == verdict


@pytest.mark.parametrize(
    ("change", "judgement", "word"),
    [
        ({}, "feasible", "region"),
        ({"slice_thickness_mm": 4.0}, "not feasible", "4.00 mm"),
        ({"pixel_mm": 1.2}, "not feasible", "1.20 mm"),
        ({"slice_thickness_mm": None}, "borderline", "not stated"),
        ({"collimation_mm": None}, "feasible", "scan slice thickness"),
        ({"field_of_view_mm": 231.0, "tube_voltage_kv": 140.0}, "feasible", "region"),
    ],
)
def test_the_judgement_follows_what_decides_and_says_why(change, judgement, word):
    _, feasibility = check(scanned(replace(GOOD, **change)), INSIDE)
    assert feasibility.thin_walls == judgement
    assert word in feasibility.reason


def test_a_scan_that_does_not_hold_the_region_is_not_feasible():
    _, feasibility = check(scanned(height_mm=30.0), Region())
    assert feasibility.thin_walls == "not feasible"


@pytest.mark.parametrize(
    ("distance_mm", "verdict", "judgement"),
    [
        (0.99, "met", "feasible"),
        (1.0, "not met", "borderline"),
        (1.25, "not met", "borderline"),
        (3.0, "not met", "not feasible"),
    ],
)
def test_the_distance_of_the_slices_is_measured(distance_mm, verdict, judgement):
    conditions, feasibility = check(scanned(distance_mm=distance_mm), Region())
    assert {row.id: row.verdict for row in conditions}["slice-spacing"] == verdict
    assert feasibility.thin_walls == judgement


def test_slices_that_are_missing_far_from_the_region_do_not_count():
    scan = scanned()
    positions = np.delete(scan.planes.positions_mm, [3, 4, 5], axis=0)  # 31 mm below the middle
    scan = replace(scan, planes=replace(scan.planes, positions_mm=positions))
    assert check(scan, Region((-20.0, 20.0, -20.0, 20.0, -15.0, 20.0)))[1].thin_walls == "feasible"
    _, feasibility = check(scan, Region())
    assert feasibility.thin_walls == "not feasible"
    assert "2.40 mm apart" in feasibility.reason
