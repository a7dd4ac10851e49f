"""The grid on which a result lies: the scan's own, or the probabilities' where that is finer."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("torch")

from tiny_network import SPACING_MM
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import read_segmentation, write_segmentation
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.methods.method import ByValue
from OrbitalSegLib.modelling.field import BoneField, part_of
from OrbitalSegLib.modelling.mesh import area_mm2, arrays_of, check
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.region import Region
from OrbitalSegLib.result_grid import is_finer
from OrbitalSegLib.segmenting import cut_to

pytestmark = [pytest.mark.slow, pytest.mark.learn]

BOX_MM = [-12.0, 12.0, 4.0, 24.0, -8.0, 8.0]
FINE_MM = 0.6
NAMES = ("bone", "cortical", "thin", "inferred")


def grid(spacing_mm: tuple[float, float, float]) -> sitk.Image:
    image = sitk.Image(8, 8, 8, sitk.sitkUInt8)
    image.SetSpacing(spacing_mm)
    return image


@pytest.mark.parametrize(
    ("scan_mm", "finer"),
    [
        ((0.5, 0.5, 0.5), False),
        ((0.3, 0.3, 0.4), False),
        ((0.501, 0.501, 0.503), False),
        ((0.3, 0.3, 0.6), True),
        ((0.6, 0.6, 0.5), True),
        ((0.4, 0.4, 3.0), True),
    ],
)
def test_a_grid_is_finer_where_any_side_of_the_scans_voxels_is_longer(scan_mm, finer: bool):
    assert is_finer(grid((0.5, 0.5, 0.5)), grid(scan_mm)) is finer


def test_a_threshold_has_no_grid_but_the_scans():
    ct = sitk.Cast(grid((0.4, 0.4, 3.0)), sitk.sitkInt16) + 500
    bone = sitk.Cast(ct > 300, sitk.sitkUInt8)
    found = ByValue(ct, bone, {"lower_hu": 300.0})
    cut = cut_to(found, bone, Region(), ct, "auto")
    for name, mask in found.classes(bone).items():
        assert cut.masks[name].IsSameImageGeometryAs(ct)
        assert sitk.Hash(cut.masks[name]) == sitk.Hash(mask)


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """A scan with slices of 2.5 mm."""
    taken = scan(Anatomy(), Scanner(48, 1.0, 2.5, 2.5, 30.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    image.SetSpacing((1.0, 1.0, 2.5))
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def run(output: Path | None, **job) -> dict:
    """The summary of a job."""
    lines: list[dict] = []
    out = {} if output is None else {"output": str(output)}
    worker.run({"contract": CONTRACT, **out, **job}, lines.append)
    assert lines[-1]["event"] == "result", lines[-1]
    return lines[-1]["summary"]


@pytest.fixture(scope="module")
def results(ct, tmp_path_factory, tiny_package) -> dict[str, Path]:
    """By the grid that was asked for."""
    folder = tmp_path_factory.mktemp("results")
    for asked in ("auto", "scan", FINE_MM):
        job = {"method": "multigrey", "region": BOX_MM, "grid": asked, "model": str(tiny_package.folder)}
        job |= {"surfaces": ["bone+inferred"], "formats": ["stl", "3mf"], "quality_map": True}
        run(folder / str(asked), task="segment", input=str(ct), **job)
    return {asked: folder / asked for asked in ("auto", "scan", str(FINE_MM))}


def masks_of(result: Path) -> dict[str, sitk.Image]:
    return {name: read_segmentation(result / "segmentation.seg.nrrd", name) for name in NAMES}


def record_of(result: Path) -> dict:
    return json.loads((result / "record.json").read_text(encoding="utf-8"))


def test_the_result_of_a_coarse_scan_lies_on_the_grid_of_the_probabilities(results, ct):
    fine, coarse = (masks_of(results[asked]) for asked in ("auto", "scan"))
    probability = sitk.ReadImage(str(results["auto"] / "probability-thin.nrrd"))
    for name in NAMES:
        assert fine[name].GetSpacing() == probability.GetSpacing() == (SPACING_MM,) * 3
        offset = (np.array(fine[name].GetOrigin()) - probability.GetOrigin()) / SPACING_MM
        np.testing.assert_allclose(offset, np.rint(offset), atol=1e-6)
    assert coarse["bone"].IsSameImageGeometryAs(sitk.ReadImage(str(ct)))
    grid = next(step["measured"] for step in record_of(results["auto"])["steps"] if step["step"] == "writing")["grid"]
    assert (grid["size"], grid["spacing_mm"]) == (list(fine["bone"].GetSize()), [SPACING_MM] * 3)
    label_map = sitk.ReadImage(str(results["auto"] / "bone.nii.gz"))
    assert label_map.GetSize() == fine["bone"].GetSize()


def test_a_grid_that_is_asked_for_holds_the_probabilities_above_their_limits(results, ct):
    masks, result = masks_of(results[str(FINE_MM)]), results["auto"]
    scan_image = sitk.ReadImage(str(ct))
    for name in NAMES:
        assert masks[name].GetSpacing() == pytest.approx((FINE_MM,) * 3)
        offset = (np.array(masks[name].GetOrigin()) - scan_image.GetOrigin()) / FINE_MM
        np.testing.assert_allclose(offset, np.rint(offset), atol=1e-6)
    used = next(s["parameters"] for s in record_of(result)["steps"] if s["step"] == "segmenting")
    above = np.zeros(masks["bone"].GetSize()[::-1], bool)
    for name in ("cortical", "thin"):
        field = sitk.ReadImage(str(result / f"probability-{name}.nrrd"), sitk.sitkFloat32)
        here = sitk.Resample(field, masks["bone"], sitk.Transform(), sitk.sitkLinear, 0.0)
        above |= sitk.GetArrayFromImage(here) > used[f"{name}_above"] * 255
    bone = sitk.GetArrayFromImage(masks["bone"]) > 0
    assert bone.any()
    above &= sitk.GetArrayFromImage(Region(tuple(BOX_MM)).within(masks["bone"])) > 0
    assert (bone != above).mean() < 0.02  # what post-processing removed and filled
    assert (results[str(FINE_MM)] / "bone.stl").read_bytes() == (result / "bone.stl").read_bytes()


@pytest.mark.parametrize("grid", [0.1, 1.5, -1, "fine", True, None])
def test_a_grid_that_is_none_is_refused(ct, tmp_path, grid):
    lines: list[dict] = []
    job = {"task": "segment", "input": str(ct), "output": str(tmp_path / "out"), "method": "threshold", "grid": grid}
    assert worker.run({"contract": CONTRACT, **job}, lines.append) == 2
    assert "`grid` must" in lines[-1]["text"]


def test_a_grid_of_more_voxels_than_memory_holds_is_refused_before_the_run(ct, tmp_path):
    lines: list[dict] = []
    job = {"task": "segment", "input": str(ct), "output": str(tmp_path / "out"), "method": "threshold", "grid": 0.2}
    assert worker.run({"contract": CONTRACT, **job, "memory_gb": 0.05}, lines.append) == 3
    assert lines[-1]["code"] == "too-large"
    assert "coarser grid" in lines[-1]["text"]


def test_thresholds_on_a_finer_grid_are_the_scans_voxels(ct, tmp_path):
    job = {"method": "threshold", "region": BOX_MM, "grid": 0.5}
    run(tmp_path / "out", task="segment", input=str(ct), **job)
    bone = read_segmentation(tmp_path / "out" / "segmentation.seg.nrrd")
    assert bone.GetSpacing() == (0.5, 0.5, 0.5)
    on_scan = sitk.Cast(sitk.ReadImage(str(ct)) > 300, sitk.sitkUInt8)
    expected = sitk.Resample(on_scan, bone, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    agree = sitk.GetArrayFromImage(bone) == sitk.GetArrayFromImage(expected)
    assert agree.mean() > 0.999  # crumbs are dropped


def test_nothing_lies_outside_the_region(results):
    for result in results.values():
        bone = masks_of(result)["bone"]
        outside = sitk.GetArrayFromImage(bone) & (1 - sitk.GetArrayFromImage(Region(tuple(BOX_MM)).within(bone)))
        assert not outside.any()


def test_surface_and_verdict_are_the_same_on_either_grid(results):
    assert (results["auto"] / "bone.stl").read_bytes() == (results["scan"] / "bone.stl").read_bytes()
    fine, coarse = (record_of(results[asked])["monitoring"] for asked in ("auto", "scan"))
    assert fine == coarse


def test_bone_and_inferred_wall_are_one_closed_surface_that_tells_them_apart(results):
    folder, masks = results["auto"], masks_of(results["auto"])
    made = next(s["measured"] for s in record_of(folder)["steps"] if s["step"] == "modelling")["bone+inferred"]
    assert check(read_stl(folder / "bone_inferred.stl")).sound
    together_ml = volume_ml(masks["bone"]) + volume_ml(masks["inferred"])
    assert together_ml - 1e-3 <= made["mask_volume_ml"] <= 1.02 * together_ml  # crumbs between both are filled
    assert made["source"] == "probability"
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(folder / "bone_inferred-quality.vtp"))
    reader.Update()
    points, triangles = arrays_of(reader.GetOutput())
    marked = (vtk_to_numpy(reader.GetOutput().GetPointData().GetArray("inferred")) > 0)[triangles].all(axis=1)
    assert 0 < marked.sum() < len(marked)
    assert made["inferred_area_mm2"] == pytest.approx(area_mm2(points, triangles[marked]), abs=0.02)
    with zipfile.ZipFile(folder / "bone_inferred.3mf") as archive:
        model = archive.read("3D/3dmodel.model").decode()
    assert model.count(' pid="1" p1="1"/>') == marked.sum()
    assert '<base name="Inferred wall"' in model
    with zipfile.ZipFile(folder / "bone.3mf") as archive:
        assert b"p1=" not in archive.read("3D/3dmodel.model")


def test_both_are_one_surface_of_a_stored_result_too(results, ct, tmp_path):
    result = results["auto"]
    job = {"task": "surface", "input": str(result / "segmentation.seg.nrrd"), "ct": str(ct)}
    job |= {"segment": "bone+inferred"}
    run(tmp_path / "own", record=str(result), **job)
    assert (tmp_path / "own" / "bone_inferred.stl").read_bytes() == (result / "bone_inferred.stl").read_bytes()
    said = run(tmp_path / "edited", quality_map=True, formats=["stl", "3mf"], **job)  # as one that may be edited
    assert check(read_stl(tmp_path / "edited" / "bone_inferred.stl")).sound
    masks = masks_of(result)
    assert said["volume_ml"] == pytest.approx(volume_ml(masks["bone"]) + volume_ml(masks["inferred"]), abs=1e-3)
    assert said["surface"]["source"] == "CT and mask"
    own = next(s["measured"] for s in record_of(result)["steps"] if s["step"] == "modelling")["bone+inferred"]
    assert said["surface"]["inferred_area_mm2"] == pytest.approx(own["inferred_area_mm2"], rel=0.5)
    with zipfile.ZipFile(tmp_path / "edited" / "bone_inferred.3mf") as archive:
        assert b' pid="1" p1="1"/>' in archive.read("3D/3dmodel.model")


def test_wall_that_was_painted_as_bone_is_marked_as_bone(results, tmp_path):
    masks = masks_of(results["auto"])
    masks["bone"] = sitk.Or(masks["bone"], masks["inferred"])
    write_segmentation(masks, tmp_path / "edited.seg.nrrd")
    job = {"input": str(tmp_path / "edited.seg.nrrd"), "segment": "bone+inferred"}
    said = run(tmp_path / "out", task="surface", **job)
    assert "inferred_area_mm2" not in said["surface"]
    assert said["volume_ml"] == pytest.approx(volume_ml(masks["bone"]), abs=1e-3)


def test_a_half_of_both_is_marked_by_what_lies_in_it():
    mask, inferred = np.zeros((2, 8, 4, 4), np.uint8)
    mask[:, 1:3, 1:3], inferred[:4, 1:3, 1:3] = 1, 1
    both = BoneField(*(sitk.GetImageFromArray(array) for array in (mask, mask.astype(np.float32))))
    half = part_of(replace(both, inferred=sitk.GetImageFromArray(inferred)), Region((-1, 9, -1, 9, 2.5, 9)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(half.inferred).any(axis=(1, 2)), np.arange(8) == 3)


def test_a_label_map_has_no_inferred_wall_to_take(results, tmp_path):
    lines: list[dict] = []
    job = {"task": "surface", "input": str(results["auto"] / "bone.nii.gz"), "segment": "bone+inferred"}
    assert worker.run({"contract": CONTRACT, "output": str(tmp_path / "out"), **job}, lines.append) == 3
    assert lines[-1]["code"] == "not-a-segmentation"
    assert "needs a .seg.nrrd" in lines[-1]["text"]


@pytest.mark.parametrize("asked", ["auto", "scan", str(FINE_MM)])
def test_it_is_verified_on_its_own_grid(results, ct, tiny_package, asked: str):
    said = run(None, task="verify", input=str(ct), record=str(results[asked]), model=str(tiny_package.folder))
    assert said["reproduced"], said["differences"]


def test_an_edit_of_one_voxel_is_counted_and_nothing_else_changes(results, tmp_path):
    result, before = results["auto"], masks_of(results["auto"])
    voxel = [int(i) for i in np.argwhere(sitk.GetArrayFromImage(before["bone"]) == 0)[0][::-1]]
    edited = {name: sitk.Image(mask) for name, mask in before.items()}
    edited["bone"][voxel] = 1
    write_segmentation(edited, tmp_path / "edited.seg.nrrd")
    said = run(tmp_path / "reviewed", task="review", input=str(result), edited=str(tmp_path / "edited.seg.nrrd"))
    changes = said["edits"]["segments"]
    assert (changes["bone"]["added_voxels"], changes["bone"]["removed_voxels"]) == (1, 0)
    assert changes["bone"]["added_ml"] == pytest.approx(SPACING_MM**3 / 1000)
    assert not any(changes[name]["added_voxels"] + changes[name]["removed_voxels"] for name in NAMES[1:])
    after = masks_of(tmp_path / "reviewed")
    for name in NAMES:
        different = sitk.GetArrayFromImage(before[name]) != sitk.GetArrayFromImage(after[name])
        assert different.sum() == (name == "bone")


def test_the_surface_of_what_was_edited_lies_where_the_segmentation_lies(results, ct, tmp_path):
    run(tmp_path / "out", task="surface", input=str(results["auto"] / "segmentation.seg.nrrd"), ct=str(ct))
    own, made = (read_stl(folder / "bone.stl").GetBounds() for folder in (results["auto"], tmp_path / "out"))
    np.testing.assert_allclose(made, own, atol=1.5 * SPACING_MM)


def test_other_limits_give_a_result_on_the_same_grid(results, ct, tmp_path, tiny_package):
    result, package = results["auto"], {"model": str(tiny_package.folder)}
    used = next(s["parameters"] for s in record_of(result)["steps"] if s["step"] == "segmenting")
    limits = {name: value for name, value in used.items() if name.endswith("_above")}
    job = {"method": "multigrey", "parameters": limits, "region": BOX_MM, "record": str(result), **package}
    run(tmp_path / "again", task="segment", input=str(ct), **job)
    before, after = masks_of(result), masks_of(tmp_path / "again")
    for name in NAMES:
        assert after[name].IsSameImageGeometryAs(before[name])
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after[name]), sitk.GetArrayFromImage(before[name]))


def test_a_segmentation_on_the_scans_grid_is_no_edit_of_a_finer_result(results, tmp_path):
    write_segmentation(masks_of(results["scan"]), tmp_path / "edited.seg.nrrd")
    lines: list[dict] = []
    job = {"task": "review", "input": str(results["auto"]), "edited": str(tmp_path / "edited.seg.nrrd")}
    assert worker.run({"contract": CONTRACT, "output": str(tmp_path / "out"), **job}, lines.append) == 3
    assert lines[-1]["code"] == "different-grids"
    assert "the result's own geometry" in lines[-1]["text"]
