"""Monitoring: figures that are what they say, and verdicts with their reasons."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import monitoring
from OrbitalSegLib.acquisition import MET, NOT_MET, Condition, Feasibility
from OrbitalSegLib.locating import Orbit
from OrbitalSegLib.monitoring import CHECK, DO_NOT_USE, TRUST, Range, Run, judge, limits_from, measures
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import last_step
from OrbitalSegLib.segmenting import Segmentation
from OrbitalSegLib.tasks import job_from, segment

MODEL = {"name": "model-1", "version": "1.0.0", "sha256": "a" * 64}

LIMITS = {
    "source": "a test",
    "input": {"noise_hu": {"low": 5.0, "high": 25.0}, "metal_ml": {"low": 0.0, "high": 0.0}},
    "methods": {"multigrey": {"model": MODEL, "output": {"wall_completeness": {"low": 0.9, "high": 1.0}}}},
}


def kernel(verdict: str = MET) -> Condition:
    return Condition("kernel", "Kernel", "standard", "STANDARD" if verdict == MET else "BONE", verdict, "advice")


GOOD = Run(
    method="multigrey",
    needs_model=True,
    model=MODEL,
    conditions=[kernel()],
    feasibility=Feasibility("feasible", "Every condition that decides is met."),
    orbits={"right": "found", "left": "found"},
    measures={"noise_hu": 12.0, "metal_ml": 0.0, "wall_completeness": 0.97},
)


def spoke(found: dict) -> set[str]:
    return {row["id"] for row in found["checks"] if row["verdict"] != TRUST}


def test_a_run_within_all_limits_is_trusted():
    found = judge(GOOD, LIMITS)
    assert found["verdict"] == TRUST
    assert found["reasons"] == []
    assert found["limits"] == "a test"
    assert spoke(found) == set()


@pytest.mark.parametrize(
    ("change", "verdict", "check"),
    [
        ({"feasibility": Feasibility("borderline", "Matrix.")}, CHECK, "table-a1"),
        ({"feasibility": Feasibility("not feasible", "Slices.")}, DO_NOT_USE, "table-a1"),
        ({"conditions": [kernel(NOT_MET)]}, CHECK, "kernel"),
        ({"orbits": {"right": "cut off", "left": "found"}}, CHECK, "orbits"),
        ({"orbits": {"right": "missing", "left": "missing"}}, DO_NOT_USE, "orbits"),
        ({"orbits": {}}, CHECK, "orbits"),
        ({"model": MODEL | {"sha256": "b" * 64}}, CHECK, "method"),
        ({"method": "singlegrey"}, CHECK, "method"),
        ({"method": "threshold", "needs_model": False, "model": None}, CHECK, "method"),
        ({"measures": {"noise_hu": 26.0}}, CHECK, "noise_hu"),
        ({"measures": {"noise_hu": 4.0}}, CHECK, "noise_hu"),
        ({"measures": {"noise_hu": 60.0}}, DO_NOT_USE, "noise_hu"),
        ({"measures": {"metal_ml": 0.01}}, CHECK, "metal_ml"),
        ({"measures": {"fat_hu": None}}, CHECK, "fat_hu"),  # every orbit has fat: not where it was looked for
        ({"measures": {"soft_hu": None}}, CHECK, "soft_hu"),
        ({"measures": {"wall_completeness": 0.85}}, CHECK, "wall_completeness"),
        ({"measures": {"wall_completeness": 0.5}}, DO_NOT_USE, "wall_completeness"),
    ],
)
def test_each_thing_that_is_wrong_speaks_alone_and_says_why(change, verdict, check):
    found = judge(replace(GOOD, **change), LIMITS)
    assert found["verdict"] == verdict
    assert spoke(found) == {check}
    assert len(found["reasons"]) == 1
    assert found["reasons"][0].endswith(".")


def test_the_worst_reason_comes_first():
    bad = replace(GOOD, orbits={"right": "cut off", "left": "found"}, measures={"noise_hu": 90.0})
    found = judge(bad, LIMITS)
    assert found["verdict"] == DO_NOT_USE
    assert "90 HU" in found["reasons"][0]
    assert "right cut off" in found["reasons"][1]


WARNED = ("orientation-unknown", "Left and right are not known.")


def test_what_reading_said_comes_first_and_what_followed_from_it_is_no_reason(monkeypatch):
    noisy = {"measures": {"noise_hu": 90.0}, "orbits": {"right": "cut off", "left": "found"}}
    found = judge(replace(GOOD, warnings=[("resampled", "Evened out."), WARNED], **noisy), LIMITS)
    assert (found["verdict"], found["reasons"][0]) == (DO_NOT_USE, WARNED[1])
    assert spoke(found) == {"orientation-unknown", "noise_hu", "orbits"}
    assert len(found["reasons"]) == 3
    monkeypatch.setitem(monitoring.OF_READING, WARNED[0], DO_NOT_USE)
    found = judge(replace(GOOD, warnings=[WARNED], **noisy), LIMITS)
    assert found["verdict"] == DO_NOT_USE
    assert found["reasons"] == [
        WARNED[1],
        "Not every orbit is whole in this scan and region: right cut off, left found.",
    ]
    assert spoke(found) == {"orientation-unknown", "noise_hu", "orbits"}


def test_a_warning_that_weighs_speaks_once_and_others_do_not():
    found = judge(replace(GOOD, warnings=[WARNED, (WARNED[0], "Nor is up."), ("resampled", "Evened out.")]), LIMITS)
    assert found["verdict"] == CHECK
    assert found["reasons"] == ["Left and right are not known. Nor is up."]
    assert [row["id"] for row in found["checks"]].count("orientation-unknown") == 1


def test_every_warning_that_weighs_is_in_the_docs_with_its_verdict_and_in_the_contract():
    docs = Path(__file__).parents[2] / "docs"
    page, contract = ((docs / name).read_text(encoding="utf-8") for name in ("monitoring.md", "contracts.md"))
    rows = re.findall(r"^\| `([a-z-]+)` \| (check|do not use) \|$", page, re.MULTILINE)
    assert dict(rows) == monitoring.OF_READING
    for code in monitoring.OF_READING:
        assert f"`{code}`" in contract


def test_what_was_not_measured_says_nothing():
    found = judge(replace(GOOD, measures={"noise_hu": None}), LIMITS)
    assert found["verdict"] == TRUST
    assert "noise_hu" not in {row["id"] for row in found["checks"]}


def test_limits_hold_their_samples_with_some_room():
    samples = [{"noise_hu": value, "parts": None} for value in (10.0, 14.0, 12.0)]
    assert limits_from(samples, lambda _check: True, 0.25) == {"noise_hu": {"low": 9.0, "high": 15.0}}


def test_an_open_limit_lets_everything_pass_on_its_side():
    assert Range(None, 3.0).judge(-100) == TRUST
    assert Range(3.0, None).judge(2.9) == CHECK
    assert Range(None, None).judge(1e9) == TRUST


def test_the_shipped_limits_say_where_they_come_from_and_name_checks_that_exist():
    limits = monitoring.shipped_limits()
    assert limits["source"]
    ids = {check.id for check in monitoring.CHECKS}
    for group in (limits["input"], *(method["output"] for method in limits["methods"].values())):
        assert set(group) <= ids
        assert all(limit["low"] <= limit["high"] for limit in group.values())


def test_every_check_is_described_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for name in (*(check.id for check in monitoring.CHECKS), "table-a1", "kernel", "orbits", "method"):
        assert f"`{name}`" in page


# ---------------------------------------------------------------------------------------------------------------------
# Figures

EYE = np.array([30.0, -10.0, 0.0])


def image_of(voxels: np.ndarray, spacing_mm: float = 1.0, origin=(0.0, -40.0, -30.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([spacing_mm] * 3)
    image.SetOrigin(origin)
    return image


def head(noise_hu: float = 0.0) -> np.ndarray:
    """Fat beside soft tissue, with a block of bone between."""
    voxels = np.full((60, 60, 60), 50.0)
    voxels[:, :, 30:] = -100
    voxels[20:40, 20:40, 25:35] = 1000
    return voxels + np.random.default_rng(1).normal(0, noise_hu, voxels.shape)


def figures(voxels: np.ndarray) -> dict:
    ct = image_of(np.rint(voxels).astype(np.int16))
    return measures.of_input(ct, Region(), ct > 500)


def test_figures_of_the_input_are_what_they_say():
    found = figures(head(noise_hu=15.0))
    assert (found["pixel_mm"], found["slice_mm"]) == (1.0, 1.0)
    assert found["noise_hu"] == pytest.approx(15, rel=0.1)
    assert found["fat_hu"] == pytest.approx(-100, abs=4)
    assert found["soft_hu"] == pytest.approx(50, abs=4)
    assert found["bone_hu"] == pytest.approx(1000, abs=40)
    assert found["metal_ml"] == 0
    assert found["step_hu"] == 1


@pytest.mark.parametrize("noise_hu", [5.0, 40.0, 80.0])
def test_noise_grows_with_noise(noise_hu):
    assert figures(head(noise_hu))["noise_hu"] == pytest.approx(noise_hu, rel=0.15)


def test_metal_and_coarse_steps_are_seen():
    voxels = head()
    voxels[0:10, 0:10, 0:10] = 3071
    assert figures(voxels)["metal_ml"] == pytest.approx(1.0)
    assert figures(head(noise_hu=30.0) // 16 * 16)["step_hu"] == 16


def test_air_alone_has_no_figures_of_tissue():
    found = figures(np.full((20, 20, 20), -1000.0))
    assert found["noise_hu"] is found["fat_hu"] is found["soft_hu"] is found["bone_hu"] is None
    assert found["step_hu"] == 0


ORBIT = Orbit(
    side="left",
    status="found",
    box_mm=(10.0, 50.0, -26.0, 20.0, -20.0, 20.0),
    region_mm=(0.0, 60.0, -30.0, 30.0, -30.0, 30.0),
    opening_mm=(30.0, -26.0, 0.0),
)


def cup(hole: bool = False) -> sitk.Image:
    """A shell of bone 18 mm around the orbit's middle, open in front, on a 0.5 mm grid; perhaps with a hole below."""
    axes = np.meshgrid(np.arange(-30, 30, 0.5), np.arange(-40, 30, 0.5), np.arange(0, 60, 0.5), indexing="ij")
    z, y, x = axes
    away = np.sqrt((x - 30) ** 2 + (y + 10) ** 2 + z**2)
    bone = (np.abs(away - 18) < 1) & (y > -16)
    if hole:
        bone &= ~((np.hypot(x - 30, y + 6) < 8) & (z < 0))
    return image_of(bone.astype(np.uint8), 0.5)


def test_a_whole_wall_is_complete_and_a_hole_shows():
    assert measures.wall_completeness(cup(), ORBIT) == pytest.approx(1.0, abs=0.01)
    holed = measures.wall_completeness(cup(hole=True), ORBIT)
    cap = (1 - np.cos(np.arcsin(8 / 18))) / 2  # of the sphere of all directions; the rays fill a little over half of it
    assert 1 - holed == pytest.approx(cap / 0.55, rel=0.25)
    assert measures.wall_completeness(0 * cup(), ORBIT) == 0


def test_figures_of_the_output_are_what_they_say():
    bone = cup()
    field = sitk.Cast(255 * bone, sitk.sitkUInt8)
    found = measures.of_output(bone, bone, {"thin": field}, [ORBIT])
    assert found["parts"] == 1
    assert found["boundary_step"] == 1
    assert "symmetry" not in found
    blurred = sitk.Cast(255 * sitk.SmoothingRecursiveGaussian(sitk.Cast(bone, sitk.sitkFloat32), 1.0), sitk.sitkUInt8)
    assert measures.of_output(bone, bone, {"thin": blurred}, [])["boundary_step"] < 0.5


def test_two_orbits_that_are_alike_are_symmetric():
    bone = cup()
    found = measures.of_output(bone, bone, {}, [ORBIT, replace(ORBIT, side="right")])
    assert found["symmetry"] == 1
    assert "boundary_step" not in found


# ---------------------------------------------------------------------------------------------------------------------
# Whole scans and boxes

SCANNER = Scanner(
    matrix=100, pixel_mm=2.0, slice_thickness_mm=2.0, spacing_mm=2.0, height_mm=130.0, centre_mm=(0.0, 35.0, -5.0)
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    """A head whose teeth, far below the orbits, hold metal."""
    taken = scan(Anatomy(), SCANNER)
    voxels = taken.voxels.copy()
    voxels[:5, 45:55, 45:55] = 3071
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin(taken.grid.origins[0].tolist())
    path = tmp_path_factory.mktemp("head") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def monitored(path: Path, region) -> tuple[Segmentation, Record]:
    values = {"contract": CONTRACT, "task": "segment", "input": str(path), "output": "-", "method": "threshold"}
    job, record = job_from(values | {"region": region}), Record()
    return segment.find(job, Steps(segment.shares(job)), record), record


def row_of(record: Record, name: str) -> dict:
    return next(row for row in record.entries["monitoring"]["checks"] if row["id"] == name)


@pytest.mark.slow
def test_a_whole_scan_is_monitored_where_its_orbits_are(phantom):
    (auto, of_auto), (whole, of_whole) = (monitored(phantom, region) for region in ("auto", "whole"))
    assert sitk.GetArrayFromImage(whole.masks["bone"]).sum() > 1.5 * sitk.GetArrayFromImage(auto.masks["bone"]).sum()
    assert row_of(of_whole, "orbits")["found"] == "right found, left found"
    figures = [last_step(record.entries, "monitoring")["measured"] for record in (of_auto, of_whole)]
    assert {"wall_completeness", "symmetry", "parts"} <= figures[1].keys()
    assert figures[1]["metal_ml"] == 0
    for name, found in figures[0].items():
        assert figures[1][name] == pytest.approx(found, rel=0.02), name
    assert of_whole.entries["monitoring"]["verdict"] == of_auto.entries["monitoring"]["verdict"]
    assert whole.place.middle_mm == auto.place.middle_mm


@pytest.mark.slow
def test_a_box_is_monitored_for_the_orbits_that_it_holds(phantom):
    left, right = [-5.0, 75.0, -60.0, 60.0, -50.0, 50.0], [-75.0, 5.0, -60.0, 60.0, -50.0, 50.0]
    for box, side in ((left, "left"), (right, "right")):
        bone, record = monitored(phantom, box)
        assert row_of(record, "orbits")["found"] == f"{side} found"
        assert 0.3 < row_of(record, "wall_completeness")["found"] <= 1
        assert "symmetry" not in last_step(record.entries, "monitoring")["measured"]
        assert bone.place.middle_mm is None
    _, record = monitored(phantom, [*left[:5], 8.0])
    assert row_of(record, "orbits")["found"] == "left cut off"
    assert row_of(record, "orbits")["verdict"] == DO_NOT_USE
    assert [w["code"] for w in record.entries["warnings"]].count("orbit-cut-off") == 1
    _, record = monitored(phantom, [-40.0, 40.0, 60.0, 130.0, -40.0, 40.0])
    assert row_of(record, "orbits")["verdict"] == CHECK
    assert monitoring.NO_ORBIT in record.entries["monitoring"]["reasons"]


@pytest.mark.parametrize("region", ["whole", "auto", [0.0, 40.0, 0.0, 40.0, 0.0, 30.0]])
def test_a_scan_without_orbits_says_so_once(region, tmp_path):
    voxels = np.full((30, 40, 40), -1000, np.int16)
    voxels[5:25, 8:32, 8:32] = 1000
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "ct.nrrd"))
    _, record = monitored(tmp_path / "ct.nrrd", region)
    about = [warning["code"] for warning in record.entries["warnings"] if "orbit" in warning["code"]]
    assert about == ["orbits-not-found"]
    assert row_of(record, "orbits")["verdict"] == (CHECK if isinstance(region, list) else DO_NOT_USE)
    assert len([reason for reason in record.entries["monitoring"]["reasons"] if "rbit" in reason]) == 1
