"""Probabilities that a result kept, thresholded anew."""

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.methods.kept import KeptProbabilities
from OrbitalSegLib.preprocessing import from_working
from OrbitalSegLib.region import Region

BOX = (-6.0, 6.0, -5.0, 5.0, -4.0, 4.0)


def image(shape_zyx, spacing, array) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin([-(n - 1) * s / 2 for n, s in zip(shape_zyx[::-1], spacing, strict=True)])
    return made


@pytest.fixture
def ct() -> sitk.Image:
    shape = (18, 30, 34)
    hu = np.random.default_rng(0).integers(-100, 600, shape).astype(np.int16)
    return image(shape, (0.45, 0.5, 0.5), hu)


@pytest.fixture
def probabilities() -> dict[str, sitk.Image]:
    shape = (30, 40, 40)
    random = np.random.default_rng(1)
    return {
        name: image(shape, (0.5, 0.5, 0.5), random.integers(0, 256, shape).astype(np.uint8))
        for name in ("cortical", "thin")
    }


@pytest.mark.parametrize("region", [Region(), Region(BOX)])
@pytest.mark.parametrize("limits", [{"cortical": 0.5, "thin": 0.5}, {"cortical": 0.2, "thin": 0.9}])
def test_bone_is_where_any_probability_is_above_its_limit_inside_the_region(ct, probabilities, region, limits):
    kept = KeptProbabilities(ct, probabilities, region)
    masks = kept.masks(limits)
    inside = sitk.GetArrayFromImage(region.within(kept.grid)) > 0
    above = {
        name: (sitk.GetArrayFromImage(from_working(field, kept.grid)) > 255 * limits[name]) & inside
        for name, field in probabilities.items()
    }
    for name, wanted in above.items():
        np.testing.assert_array_equal(sitk.GetArrayFromImage(masks[name]) > 0, wanted)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(masks["bone"]) > 0, above["cortical"] | above["thin"])
    assert masks["bone"].IsSameImageGeometryAs(kept.grid)


def test_one_network_is_split_by_the_values_of_the_scan(ct, probabilities):
    kept = KeptProbabilities(ct, {"single": probabilities["thin"]}, Region(BOX))
    masks = kept.masks({"single": 0.4})
    bone = sitk.GetArrayFromImage(masks["bone"]) > 0
    hu = sitk.GetArrayFromImage(kept.grid)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(masks["cortical"]) > 0, bone & (hu > 200))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(masks["thin"]) > 0, bone & (hu < 300))


def test_on_a_coarse_scan_the_walls_stay_that_interpolation_loses():
    voxels = np.zeros((40, 40, 40), np.uint8)
    voxels[:, :, 20] = 255
    field = image(voxels.shape, (0.5, 0.5, 0.5), voxels)
    coarse = image((20, 20, 20), (1.0, 1.0, 1.0), np.zeros((20, 20, 20), np.int16))
    coarse.SetOrigin([start + 0.25 for start in field.GetOrigin()])  # no voxel's centre lies on the wall
    kept = KeptProbabilities(coarse, {"cortical": 0 * field, "thin": field}, Region(), grid="scan")
    found = kept.masks({"cortical": 0.5, "thin": 0.6})
    assert not sitk.GetArrayFromImage(from_working(field, coarse) > 0.6 * 255).any()
    for name in ("bone", "thin"):
        assert sitk.GetArrayFromImage(found[name]).any(axis=2).all(), name
    assert not sitk.GetArrayFromImage(found["cortical"]).any()


def test_the_grid_is_that_of_the_scan_cut_to_the_region(ct, probabilities):
    grid = KeptProbabilities(ct, probabilities, Region(BOX)).grid
    assert grid.GetSpacing() == ct.GetSpacing()
    assert grid.GetNumberOfPixels() < ct.GetNumberOfPixels()
    index = ct.TransformPhysicalPointToContinuousIndex(grid.GetOrigin())
    np.testing.assert_allclose(index, np.rint(index), atol=1e-9)


def test_of_a_coarse_scan_it_is_that_of_the_probabilities(probabilities):
    coarse = image((12, 20, 20), (1.0, 0.9, 0.9), np.full((12, 20, 20), 250, np.int16))
    coarse.SetOrigin([start + 0.2 for start in probabilities["thin"].GetOrigin()])
    anchored = {name: sitk.Image(field) for name, field in probabilities.items()}
    for field in anchored.values():
        field.SetOrigin(coarse.GetOrigin())  # a working grid begins where the scan begins
    kept = KeptProbabilities(coarse, {"single": anchored["thin"]}, Region(BOX))
    own = Region(BOX).inner_part(anchored["thin"])
    masks = kept.masks({"single": 0.4})
    wanted = (sitk.GetArrayFromImage(own) > 0.4 * 255) & (sitk.GetArrayFromImage(Region(BOX).within(own)) > 0)
    for mask in masks.values():  # of 250 HU all bone is cortical and thin
        assert mask.IsSameImageGeometryAs(own)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask) > 0, wanted)


@pytest.mark.slow
def test_with_the_limits_of_a_run_it_is_that_runs_result_before_post_processing(tiny_package, tmp_path):
    import json

    from tiny_network import SPACING_MM

    from OrbitalSegLib import worker
    from OrbitalSegLib.export.segmentation import read_segmentation
    from OrbitalSegLib.phantom import Anatomy, Scanner, scan
    from OrbitalSegLib.product import CONTRACT

    taken = scan(Anatomy(), Scanner(48, SPACING_MM, SPACING_MM, SPACING_MM, 28.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    sitk.WriteImage(image, str(tmp_path / "scan.nrrd"))
    box = [-12.0, 12.0, 4.0, 24.0, -8.0, 8.0]
    job = {"contract": CONTRACT, "task": "segment", "input": str(tmp_path / "scan.nrrd"), "method": "multigrey"}
    job |= {"output": str(tmp_path / "result"), "region": box, "postprocess": "none", "smoothing": "none"}
    lines = []
    assert worker.run(job | {"model": str(tiny_package.folder), "engine": "torch"}, lines.append) == 0, lines[-1]
    record = json.loads((tmp_path / "result/record.json").read_text(encoding="utf-8"))
    used = next(step["parameters"] for step in record["steps"] if step["step"] == "segmenting")
    limits = {name: used[f"{name}_above"] for name in ("cortical", "thin")}
    fields = {name: sitk.ReadImage(str(tmp_path / f"result/probability-{name}.nrrd")) for name in limits}
    kept = KeptProbabilities(image, fields, Region(tuple(box)))
    for name, mask in kept.masks(limits).items():
        result = read_segmentation(tmp_path / "result/segmentation.seg.nrrd", name)
        whole = sitk.Resample(mask, result, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(whole), sitk.GetArrayFromImage(result))
