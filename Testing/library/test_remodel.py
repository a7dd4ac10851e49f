"""What is made again from what a result kept: its run's own surface, and what a run with other limits makes."""

import json

import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.slow

BOX_MM = [-12.0, 12.0, 4.0, 24.0, -8.0, 8.0]


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    taken = scan(Anatomy(), Scanner(48, 1.0, 1.0, 1.0, 28.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def run(output, **job) -> dict:
    """The summary of a job."""
    lines = []
    worker.run({"contract": CONTRACT, "output": str(output), **job}, lines.append)
    assert lines[-1]["event"] == "result", lines[-1]
    return lines[-1]["summary"]


@pytest.fixture(scope="module", params=["multigrey", "hysteresis"])
def result(request, ct, tmp_path_factory, tiny_package):
    folder = tmp_path_factory.mktemp(request.param) / "result"
    model = {"model": str(tiny_package.folder)} if request.param == "multigrey" else {}
    run(folder, task="segment", input=str(ct), method=request.param, region=BOX_MM, **model)
    return folder


@pytest.fixture
def surface(result, tmp_path):
    """Makes the surface of the result's bone; returns what was measured, and the folder."""

    def make(**job):
        made = run(tmp_path / "out", task="surface", input=str(result / "segmentation.seg.nrrd"), **job)
        return made["surface"], tmp_path / "out"

    return make


def test_the_surface_is_the_runs_own_to_the_byte(surface, result, ct):
    measured, folder = surface(ct=str(ct), record=str(result))
    assert (folder / "bone.stl").read_bytes() == (result / "bone.stl").read_bytes()
    steps = json.loads((result / "record.json").read_text(encoding="utf-8"))["steps"]
    modelling = next(step for step in steps if step["step"] == "modelling")
    assert measured["source"] == modelling["measured"]["bone"]["source"] in ("probability", "CT")


def test_where_another_scan_gives_other_voxels_the_mask_counts(surface, result, ct, tmp_path):
    """Those of networks come from their probabilities, whatever the scan."""
    other = sitk.ReadImage(str(ct))
    sitk.WriteImage(sitk.ShiftScale(other, 100, 1.0), str(tmp_path / "other.nrrd"))
    measured, _ = surface(ct=str(tmp_path / "other.nrrd"), record=str(result))
    has_probabilities = any(result.glob("probability-*.nrrd"))
    assert measured["source"] == ("probability" if has_probabilities else "CT and mask")


def test_only_what_lies_in_the_region_is_made(surface, result, ct):
    _, folder = surface(ct=str(ct), record=str(result), region=[2.0, 1000, -1000, 1000, -1000, 1000])
    low, high = read_stl(folder / "bone.stl").GetBounds()[:2]
    assert low > 0.5
    assert high > 8


def step(result, name: str) -> dict:
    steps = json.loads((result / "record.json").read_text(encoding="utf-8"))["steps"]
    return next(entry for entry in steps if entry["step"] == name)


@pytest.mark.parametrize("result", ["multigrey"], indirect=True)
def test_other_limits_give_what_a_run_with_them_gives(result, ct, tmp_path, tiny_package, monkeypatch):
    """One after the other: below the package's own limit of inferred wall, and above it again."""
    job = {"task": "segment", "input": str(ct), "method": "multigrey", "region": BOX_MM, "surfaces": ["inferred"]}
    job |= {"model": str(tiny_package.folder), "smoothing": "none"}
    low, high = ({"cortical_above": c, "thin_above": t} for c, t in ((0.7, 0.2), (0.45, 0.5)))
    run(tmp_path / "run", parameters=high, **job)
    monkeypatch.setattr("OrbitalSegLib.methods.by_networks.triplanar", None)  # no network runs any more
    run(tmp_path / "low", parameters=low, record=str(result), **job)
    assert step(tmp_path / "low", "segmenting")["parameters"]["inferred_above"] == 0.2
    run(tmp_path / "high", parameters=high, record=str(tmp_path / "low"), **job)
    made, kept = tmp_path / "run", tmp_path / "high"
    for name in ("segmenting", "monitoring"):
        assert step(kept, name)["parameters"] == step(made, name)["parameters"]
    assert step(kept, "writing")["measured"] == step(made, "writing")["measured"]
    for path in (*made.glob("*.stl"), *made.glob("probability-*"), made / "segmentation.seg.nrrd"):
        assert (kept / path.name).read_bytes() == path.read_bytes(), path.name
    said = json.loads((tmp_path / "low/record.json").read_text(encoding="utf-8"))["created"]
    assert step(kept, "segmenting")["measured"]["earlier_result"]["created"] == said
    assert f"the result of {said}, not again" in (kept / "record.html").read_text(encoding="utf-8")


OTHER = {
    "another scan": ({}, "another scan"),
    "another region": ({"region": [-8.0, 8.0, 4.0, 20.0, -8.0, 8.0]}, "another region"),
    "another method": ({"method": "singlegrey", "parameters": {"single_above": 0.5}}, "another way"),
    "another step": ({"parameters": {"denoise_hu": 50.0}}, "another way"),
    "no limits": ({"parameters": {}}, "Give the limits"),
}


@pytest.mark.parametrize("result", ["multigrey"], indirect=True)
@pytest.mark.parametrize("name", list(OTHER))
def test_what_is_not_of_the_result_is_refused(result, ct, tmp_path, name):
    changes, said = OTHER[name]
    if name == "another scan":
        other = sitk.ShiftScale(sitk.ReadImage(str(ct)), 1, 1.0)
        ct = tmp_path / "other.nrrd"
        sitk.WriteImage(other, str(ct))
    job = {"contract": CONTRACT, "task": "segment", "input": str(ct), "output": str(tmp_path / "out")}
    job |= {"method": "multigrey", "region": BOX_MM, "record": str(result)}
    job["parameters"] = {"cortical_above": 0.5, "thin_above": 0.5}
    lines = []
    worker.run(job | changes, lines.append)
    assert said in lines[-1]["text"]
    assert not (tmp_path / "out").exists()
