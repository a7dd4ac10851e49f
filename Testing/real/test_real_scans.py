"""The main job on real scans."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk
from judges import REPAIRS, admesh_repairs, closed_and_outward, prusa_slicer_info

from OrbitalSegLib import cavity, reading, worker
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.export.surfaces import write_surface
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Task
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.networks import package
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps, silent
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import last_step
from OrbitalSegLib.segmenting import Segmentation
from OrbitalSegLib.tasks import job_from, segment

pytestmark = pytest.mark.slow

SCANS = {
    "visible-human-female/head.nii.gz": ((512, 512, 234), "borderline"),
    "toshiba-head-3mm": ((512, 512, 85), "not feasible"),
    "ge-tilted-irregular": ((512, 611, 134), "not feasible"),
    "philips-skull-phantom/straight": ((512, 512, 140), "borderline"),
    "philips-skull-phantom/tilted": ((512, 600, 54), "not feasible"),
}
"""The grid that reading gives, and the judgement for thin walls."""

BOXES_MM = json.loads((Path(__file__).parent / "reference_boxes.json").read_text(encoding="utf-8"))["boxes"]

COVERAGE = {
    "visible-human-female/head.nii.gz": {300: 0.328, 150: 0.527, 50: 0.655},
    "toshiba-head-3mm": {300: 0.141, 150: 0.219, 50: 0.344},
}
"""Share of the thin wall that a threshold in HU holds, as the scans' own description gives it."""


SURFACES = (
    ("philips-skull-phantom/straight", "threshold"),
    ("philips-skull-phantom/tilted", "threshold"),
    ("toshiba-head-3mm", "multigrey"),
)
"""Those that are judged, of both orbits, or of the right one where networks run; whole heads:
benchmarks/surface_scans.py."""


def run(job: dict) -> tuple[int, list[dict]]:
    lines: list[dict] = []
    return worker.run({"contract": CONTRACT, **job}, lines.append), lines


def found_in(scan: Path, **settings: object) -> tuple[Segmentation, dict]:
    """What `segment` finds before it makes a surface, which takes longer than the rest, and what its record says."""
    job = job_from({"contract": CONTRACT, "task": "segment", "input": str(scan), "output": "nowhere", **settings})
    record = Record()
    return segment.find(job, Steps(segment.shares(job)), record), record.entries


def segmented(scan: Path, output: Path, method: str) -> Path:
    """The result folder as a user makes it, of both orbits by a threshold, of the right one by networks."""
    region = "auto" if method == "threshold" else "right"
    job = {"task": "segment", "input": str(scan), "output": str(output), "method": method, "region": region}
    code, lines = run(job)
    assert code == 0, lines[-1]
    return output


@pytest.fixture(scope="module")
def result(real_scans, tmp_path_factory) -> Callable[[str], Path]:
    """The result folder of a scan at 300 HU; made when first asked for."""
    return cache(lambda name: segmented(real_scans / name, tmp_path_factory.mktemp("real") / "result", "threshold"))


@pytest.mark.parametrize("name", SCANS)
def test_every_scan_is_segmented_on_its_own_grid(name, real_scans):
    size, judgement = SCANS[name]
    bone, record = found_in(real_scans / name, method="threshold", region="whole", postprocess="none")
    assert tuple(record["input"]["grid"]["size"]) == size
    assert record["feasibility"]["thin_walls"] == judgement
    assert {mask.GetSize() for mask in bone.masks.values()} == {size}


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "multigrey") for name in SCANS), (next(iter(SCANS)), "singlegrey")]
)
def test_the_networks_run_on_every_scan(name, method, real_scans):
    """A slab through one orbit with its four walls: it has what two orbits have, and takes a fraction of the time."""
    require_a_package()
    x0, x1, y0, y1, z0, z1 = BOXES_MM[name]["right"]
    middle = (y0 + y1) / 2
    box = [x0 - 3, x1 + 3, middle - 10, middle + 10, z0 - 3, z1 + 3]
    bone, record = found_in(real_scans / name, method=method, region=box, grid="scan")
    assert last_step(record, "segmenting")["measured"]["model"]["name"] == package.DEFAULT
    assert bone.masks["bone"].GetSize() == SCANS[name][0]
    assert 0.03 < volume_ml(bone.masks["bone"]) / (np.prod(np.diff(np.reshape(box, (3, 2)))) / 1000) < 0.36


@pytest.mark.parametrize("name", COVERAGE)
def test_the_orbits_of_a_person_are_as_large_as_orbits_are_and_like_each_other(name, real_scans):
    bone, _ = found_in(real_scans / name, method="threshold")
    right, left = (cavity.measure(bone.scan.image, bone.masks["bone"], None, orbit) for orbit in bone.place.orbits)
    assert right is not None
    assert left is not None
    assert min(right.volume_ml, left.volume_ml) > 18
    assert max(right.volume_ml, left.volume_ml) < 32
    assert right.volume_ml == pytest.approx(left.volume_ml, rel=0.08)


def require_a_package() -> None:
    if not package.models():
        pytest.skip("no model package is shipped")


@pytest.mark.parametrize("name", COVERAGE)
def test_thresholds_hold_what_the_scans_description_says(name, real_scans, wall_coverage):
    scan = reading.read(real_scans / name)
    method = METHODS["threshold"]
    ct = wall_coverage.read(str(real_scans / name))
    for threshold_hu, share in COVERAGE[name].items():
        bone = method.run(Task(scan.image, Region()), method.make_parameters({"lower_hu": threshold_hu}), silent).bone
        bone = sitk.DICOMOrient(bone, "LPS")
        assert covered(name, ct, bone, wall_coverage) == pytest.approx(share, abs=0.0006), threshold_hu


def covered(name: str, ct: sitk.Image, bone: sitk.Image, wall_coverage: ModuleType) -> float:
    box = next(box for key, box in wall_coverage.BOXES.items() if key in name)
    return float(wall_coverage.coverage(ct, bone, box)[1])


def test_the_tilted_phantom_is_the_straight_one_moved(real_scans):
    """A plastic skull was scanned straight and with a tilted gantry, and moved in between.

    After the tilt is corrected a rigid motion must bring the two onto each other; with the slices stacked as if there
    were no tilt none does.
    """
    straight = coarse_bone(reading.read(real_scans / "philips-skull-phantom" / "straight").image)
    tilted = reading.read(real_scans / "philips-skull-phantom" / "tilted")
    corrected = dice_after_rigid_motion(straight, coarse_bone(tilted.image))
    sheared = sitk.Image(tilted.image)
    shear = np.tan(np.radians(tilted.acquisition.tilt_degrees)) * sheared.GetSpacing()[2] / sheared.GetSpacing()[1]
    voxels = sitk.GetArrayFromImage(sheared)
    for index, plane in enumerate(voxels):
        voxels[index] = np.roll(plane, round(index * shear), axis=0)
    uncorrected = sitk.GetImageFromArray(voxels)
    uncorrected.CopyInformation(sheared)
    assert corrected > 0.8
    assert dice_after_rigid_motion(straight, coarse_bone(uncorrected)) < 0.6


def coarse_bone(ct: sitk.Image) -> sitk.Image:
    """Bone fraction on an axis-aligned grid of 2 mm: what a rigid registration needs."""
    bone = sitk.SmoothingRecursiveGaussian(sitk.Cast(ct > 300, sitk.sitkFloat32), 1.5)
    corners = [
        ct.TransformIndexToPhysicalPoint([int(i * (n - 1)) for i, n in zip(corner, ct.GetSize(), strict=True)])
        for corner in np.ndindex(2, 2, 2)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    size = [int(n) for n in (high - low) / 2.0]
    return sitk.Resample(bone, size, sitk.Transform(), sitk.sitkLinear, low.tolist(), (2.0, 2.0, 2.0))


def dice_after_rigid_motion(fixed: sitk.Image, moving: sitk.Image) -> float:
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    registration = sitk.ImageRegistrationMethod()
    registration.SetMetricAsMeanSquares()
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    registration.SetOptimizerScalesFromPhysicalShift()
    registration.SetShrinkFactorsPerLevel([4, 2, 1])
    registration.SetSmoothingSigmasPerLevel([4, 2, 0])
    registration.SetInitialTransform(start, inPlace=False)
    motion = registration.Execute(fixed, moving)
    moved = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, motion, sitk.sitkLinear, -1.0))
    seen = moved >= 0  # where both scans have something to say
    a, b = sitk.GetArrayFromImage(fixed)[seen] > 0.5, moved[seen] > 0.5
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("name", SCANS)
def test_info_lists_series_and_judges_every_scan(name, real_scans):
    code, lines = run({"task": "info", "input": str(real_scans / name), "region": "whole"})
    assert code == 0, lines[-1]
    summary = lines[-1]["summary"]
    assert summary["feasibility"]["thin_walls"] == SCANS[name][1]
    assert len(summary["conditions"]) == 16
    if not name.endswith(".nii.gz"):
        listed = next(line for line in lines if line["event"] == "series")["series"]
        assert sum(item["problem"] is None for item in listed) == 1


def test_a_folder_as_found_on_a_cd_is_understood(real_scans):
    _, lines = run({"task": "info", "input": str(real_scans / "philips-skull-phantom" / "straight"), "region": "whole"})
    listed = next(line for line in lines if line["event"] == "series")["series"]
    problems = {item["number"]: item["problem"] for item in listed if item["problem"]}
    assert "scout" in problems["100"]
    assert "401" in problems
    assert [item["number"] for item in listed if item["problem"] is None] == ["202"]


@pytest.mark.parametrize(("name", "method"), SURFACES)
def test_a_surface_is_sound_and_others_find_nothing_to_repair(name, method, real_scans, result, require_tool, tmp_path):
    if method == "multigrey":
        require_a_package()
    folder = result(name) if method == "threshold" else segmented(real_scans / name, tmp_path / "result", method)
    assert {path.name for path in folder.iterdir()} >= {"segmentation.seg.nrrd", "preview.png", "log.txt"}
    bone = sitk.ReadImage(str(folder / "bone.nii.gz"))
    if method == "threshold":
        assert bone.GetSize() == SCANS[name][0]
    else:  # its slices are thicker than what the networks say
        np.testing.assert_allclose(bone.GetSpacing(), 0.5)
    stl_file = folder / "bone.stl"
    report = mesh.check(read_stl(stl_file))
    assert report.sound, report
    loaded = closed_and_outward(stl_file)
    assert loaded.volume / 1000 == pytest.approx(report.volume_ml, rel=1e-5)
    found = admesh_repairs(require_tool("admesh"), stl_file)
    assert found == {"Number of facets": report.triangles} | dict.fromkeys(REPAIRS, 0)


@pytest.mark.parametrize("format_name", ["stl", "3mf"])
def test_prusa_slicer_has_nothing_to_repair_on_the_plastic_skull(format_name, result, prusa_slicer, tmp_path):
    surface = read_stl(result("philips-skull-phantom/straight") / "bone.stl")
    info = prusa_slicer_info(prusa_slicer, write_surface(surface, tmp_path, "bone", format_name))
    assert info["manifold"] == "yes"
    assert int(info["number_of_facets"]) == surface.GetNumberOfCells()
