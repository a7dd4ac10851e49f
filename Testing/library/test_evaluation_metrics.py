"""The figures of docs/metrics.md against implementations that others wrote, on 300 random pairs of masks."""

import itertools
import warnings
from functools import cache

import pytest

pytest.importorskip("scipy")

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation.figures import evaluate
from OrbitalSegLib.evaluation.grids import LATTICE_TOLERANCE, at_voxels_of, divided, on_grid_of
from OrbitalSegLib.evaluation.overlap import overlap, overlap_by_class
from OrbitalSegLib.evaluation.surface_distances import (
    SurfaceDistances,
    largest_error,
    surface_distances,
    weighted_percentile,
)
from OrbitalSegLib.evaluation.topology import MaskTopology, topology

PAIRS = 300
OVERLAP_EQUAL = 1e-6
DISTANCE_EQUAL_MM = 1e-3
TOLERANCE_MM = 0.7
OBLIQUE = (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)


def image_of(array: np.ndarray, spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-20.0, 7.5, 300.0)) -> sitk.Image:
    """An image of a zyx array on an oblique grid."""
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing(spacing_mm)
    image.SetOrigin(origin_mm)
    image.SetDirection(OBLIQUE)
    return image


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Two blobby masks that have something to do with each other, and a spacing x y z: every second one isotropic."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(4, 16, 3)
    spacing = (float(rng.uniform(0.3, 1.2)),) * 3 if seed % 2 else tuple(rng.uniform(0.3, 2.0, 3).tolist())
    first, other = (ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 2.0)) for _ in range(2))
    second = first + rng.uniform(0, 1.5) * other * first.std() / other.std()
    truth, result = (field > np.quantile(field, rng.uniform(0.2, 0.97)) for field in (first, second))
    return truth, result, spacing


@cache
def measured(seed: int) -> SurfaceDistances:
    truth, result, spacing = random_pair(seed)
    return surface_distances(image_of(truth, spacing), image_of(result, spacing))


@pytest.fixture(scope="module")
def monai_metrics():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai import metrics

        return metrics


@pytest.fixture(scope="module")
def deepmind_tables():
    from surface_distance import lookup_tables

    return (
        lookup_tables.create_table_neighbour_code_to_surface_area,
        lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL,
    )


def one_hot(mask: np.ndarray):
    import torch

    return torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32))


@pytest.mark.parametrize("seed", range(PAIRS))
def test_overlap_is_that_of_simpleitk_and_monai(seed, monai_metrics):
    truth, result, spacing = random_pair(seed)
    found = overlap(image_of(truth, spacing), image_of(result, spacing))
    judge = sitk.LabelOverlapMeasuresImageFilter()
    judge.Execute(image_of(result), image_of(truth))
    assert found.dice == pytest.approx(judge.GetDiceCoefficient(), abs=OVERLAP_EQUAL)
    assert found.iou == pytest.approx(judge.GetJaccardCoefficient(), abs=OVERLAP_EQUAL)
    matrix = monai_metrics.get_confusion_matrix(one_hot(result), one_hot(truth), include_background=False)
    assert matrix[0, 0].int().tolist() == [
        found.true_positive,
        found.false_positive,
        found.true_negative,
        found.false_negative,
    ]
    for name in ("sensitivity", "specificity", "accuracy"):
        value = float(monai_metrics.compute_confusion_matrix_metric(name, matrix.double())[0, 0])
        assert getattr(found, name) == pytest.approx(value, abs=OVERLAP_EQUAL, nan_ok=True)


@pytest.mark.parametrize("seed", range(PAIRS))
def test_distances_are_those_of_deepminds_surface_distance(seed, deepmind):
    truth, result, spacing = random_pair(seed)
    found = measured(seed)
    theirs = deepmind.compute_surface_distances(truth, result, spacing[::-1])
    areas = [theirs["surfel_areas_gt"], theirs["surfel_areas_pred"]]
    means = deepmind.compute_average_surface_distance(theirs)
    only_forward = {**theirs, "distances_pred_to_gt": np.zeros(1), "surfel_areas_pred": np.ones(1)}
    assert found.hausdorff_95_mm == pytest.approx(deepmind.compute_robust_hausdorff(theirs, 95), abs=DISTANCE_EQUAL_MM)
    for percent in (50, 95):
        one_sided = deepmind.compute_robust_hausdorff(only_forward, percent)
        assert found.percentile_mm(percent) == pytest.approx(one_sided, abs=DISTANCE_EQUAL_MM)
    pooled = sum(mean * area.sum() for mean, area in zip(means, areas, strict=True)) / sum(map(np.sum, areas))
    assert found.average_symmetric_mm == pytest.approx(pooled, abs=DISTANCE_EQUAL_MM)
    near = deepmind.compute_surface_dice_at_tolerance(theirs, TOLERANCE_MM)
    assert found.surface_dice(TOLERANCE_MM) == pytest.approx(near, abs=OVERLAP_EQUAL)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (0.41, 0.41, 0.63), (0.3, 0.7, 1.25)])
def test_a_distance_of_whole_voxels_is_within_as_many_voxels(spacing, deepmind):
    for seed, tolerance_mm in itertools.product(range(5), (spacing[0], spacing[2], 2 * spacing[0])):
        truth, result, _ = random_pair(seed)
        found = surface_distances(image_of(truth, spacing), image_of(result, spacing))
        theirs = deepmind.compute_surface_distances(truth, result, spacing[::-1])
        near = deepmind.compute_surface_dice_at_tolerance(theirs, tolerance_mm)
        assert found.surface_dice(tolerance_mm) == pytest.approx(near, abs=OVERLAP_EQUAL)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of monai about monai
@pytest.mark.parametrize("seed", range(0, PAIRS, 10))
def test_surface_dice_is_that_of_monai_with_subvoxels(seed, monai_metrics):
    truth, result, spacing = random_pair(seed)
    found = measured(seed)
    theirs = monai_metrics.compute_surface_dice(
        one_hot(result), one_hot(truth), [TOLERANCE_MM], spacing=spacing[::-1], use_subvoxels=True
    )
    assert found.surface_dice(TOLERANCE_MM) == pytest.approx(float(theirs[0, 0]), abs=1e-5)  # theirs are 32 bits


@pytest.mark.parametrize("seed", range(PAIRS))
def test_signed_distances_are_those_of_scipy(seed, deepmind_tables):
    truth, result, spacing = random_pair(seed)
    found = measured(seed)
    areas_by_code, kernel = deepmind_tables
    mm = np.array(spacing[::-1])
    codes = [ndimage.correlate(np.pad(m, 2).astype(np.uint8), kernel, mode="constant") for m in (truth, result)]
    elements = [(code > 0) & (code < 255) for code in codes]
    distance = ndimage.distance_transform_edt(~elements[1], sampling=mm)
    way = -np.stack(np.gradient(distance, *mm), axis=-1)[elements[0]]
    normals = np.stack(
        [-ndimage.correlate1d(np.pad(truth, 2).astype(float), [-1, 1], axis, origin=0) for axis in range(3)], axis=-1
    )
    for axis, other in itertools.permutations(range(3), 2):
        normals[..., axis] = ndimage.correlate1d(normals[..., axis], [0.5, 0.5], other)
    normals = normals[elements[0]] / mm
    outward = (way * normals).sum(axis=1)
    signed = distance[elements[0]] * np.where(outward < -1e-3 * np.linalg.norm(normals, axis=1), -1, 1)
    areas = areas_by_code(mm)[codes[0][elements[0]]]
    order = np.argsort(signed)
    for percent in (50, 95):
        place = np.searchsorted(areas[order].cumsum() / areas.sum(), percent / 100)
        assert found.signed_percentile_mm(percent) == pytest.approx(signed[order][place], abs=DISTANCE_EQUAL_MM)


def ball(radius_mm: float, spacing_mm: float = 0.5, half_mm: float = 12.0) -> np.ndarray:
    axis = np.arange(-half_mm, half_mm + spacing_mm, spacing_mm)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return x**2 + y**2 + z**2 <= radius_mm**2


@pytest.mark.parametrize("change_mm", [1.0, -1.0])
def test_signed_distances_tell_too_much_bone_from_too_little(change_mm):
    truth, result = (image_of(ball(radius), (0.5,) * 3) for radius in (8.0, 8.0 + change_mm))
    found = surface_distances(truth, result)
    assert found.signed_percentile_mm(50) == pytest.approx(change_mm, abs=0.3)
    assert found.percentile_mm(50) == pytest.approx(abs(change_mm), abs=0.3)
    assert np.sign(found.signed_percentile_mm(1)) == np.sign(found.signed_percentile_mm(99)) == np.sign(change_mm)


def test_a_wall_one_voxel_thick_has_two_sides():
    sheet, moved = np.zeros((2, 9, 20, 20), bool)
    sheet[4], moved[6] = True, True
    found = surface_distances(image_of(sheet), image_of(moved))
    in_the_middle = found.truth_to_result_mm == 1.0
    assert in_the_middle.sum() > 300
    assert set(found.signed_mm[in_the_middle]) == {1.0}, "the side that faces the result must move outward to it"
    far = found.truth_to_result_mm == 2.0
    assert far.sum() > 300
    assert set(found.signed_mm[far]) == {-2.0}, "the side that looks away must move inward"


@pytest.mark.parametrize("grow_mm", [(0.5, 0.5, 0.5), (0.3, 0.7, 2.0)])
def test_areas_add_up_to_those_of_a_box(grow_mm):
    box = np.zeros((30, 30, 30), bool)
    box[5:25, 5:25, 5:25] = True
    image = image_of(box, grow_mm)
    x, y, z = (20 * mm for mm in grow_mm)
    found = surface_distances(image, image)
    assert found.truth_areas_mm2.sum() == pytest.approx(2 * (x * y + y * z + x * z), rel=0.06)
    assert found.figures() == {
        "median_mm": 0,
        "p95_mm": 0,
        "signed_median_mm": 0,
        "signed_p95_mm": 0,
        "hd95_mm": 0,
        "assd_mm": 0,
        "surface_dice": 1,
    }


FULL, EMPTY = np.ones((6, 7, 8), bool), np.zeros((6, 7, 8), bool)
BOX = np.pad(np.ones((2, 3, 4), bool), 2)


def test_two_empty_masks_give_no_overlap_and_no_distance():
    found = overlap(image_of(EMPTY), image_of(EMPTY))
    assert (found.specificity, found.accuracy) == (1, 1)
    assert np.isnan([found.sensitivity, found.dice, found.iou]).all()
    assert np.isnan(list(surface_distances(image_of(EMPTY), image_of(EMPTY)).figures().values())).all()


@pytest.mark.parametrize("found_it", [True, False])
def test_one_empty_mask_is_infinitely_far_away(found_it):
    truth, result = (EMPTY, BOX) if found_it else (BOX, EMPTY)
    counts = overlap(image_of(truth), image_of(result))
    assert (counts.dice, counts.iou) == (0, 0)
    assert counts.sensitivity == pytest.approx(np.nan if found_it else 0, nan_ok=True)
    found = surface_distances(image_of(truth), image_of(result)).figures()
    assert found["hd95_mm"] == found["assd_mm"] == np.inf
    assert found["surface_dice"] == 0
    assert found["median_mm"] == pytest.approx(np.nan if found_it else np.inf, nan_ok=True)
    assert np.isnan(found["signed_median_mm"])


def test_masks_that_do_not_meet_have_no_overlap_but_a_distance():
    first, second = np.zeros((2, 10, 10, 10), bool)
    first[1:3, 1:3, 1:3] = second[6:8, 1:3, 1:3] = True
    found = surface_distances(image_of(first), image_of(second))
    assert overlap(image_of(first), image_of(second)).dice == 0
    assert found.hausdorff_95_mm == 5.0
    assert found.surface_dice(4.9) > 0
    assert found.surface_dice(2.9) == 0


def test_a_full_mask_has_a_surface_at_the_border_of_the_image():
    found = surface_distances(image_of(FULL), image_of(FULL))
    assert found.truth_areas_mm2.sum() == pytest.approx(2 * (6 * 7 + 7 * 8 + 6 * 8), rel=0.2)
    assert np.isnan(overlap(image_of(FULL), image_of(FULL)).specificity)


def test_a_part_of_the_same_grid_is_compared_voxel_by_voxel():
    truth, result, spacing = random_pair(1)
    whole = image_of(np.pad(truth, 3), spacing), image_of(np.pad(result, 3), spacing)
    part = whole[1][2:-1, 1:-2, 3:-3]
    assert overlap(whole[0], part) == overlap(*whole)
    assert surface_distances(whole[0], part).figures() == surface_distances(*whole).figures()
    assert overlap(part, whole[0]).true_positive == overlap(whole[0], part).true_positive


@pytest.mark.parametrize("change", ["shift", "spacing", "direction"])
def test_different_grids_are_refused(change):
    truth, result = image_of(BOX), image_of(BOX)
    if change == "shift":
        result.SetOrigin([mm + 0.2 for mm in result.GetOrigin()])
    elif change == "spacing":
        result.SetSpacing((1.0, 1.0, 1.01))
    else:
        result.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
    for compare in (overlap, surface_distances, largest_error):
        with pytest.raises(InputError) as raised:
            compare(truth, result)
        assert raised.value.code == "different-grids"


def test_only_the_region_counts():
    truth, result, spacing = random_pair(7)
    region = np.zeros(truth.shape, bool)
    region[: truth.shape[0] // 2] = True
    found = overlap(image_of(truth, spacing), image_of(result, spacing), image_of(region, spacing))
    assert found == overlap(image_of(truth[region].reshape(1, 1, -1)), image_of(result[region].reshape(1, 1, -1)))


def test_the_border_of_a_region_is_no_surface():
    bar = np.zeros((20, 9, 9), bool)
    bar[2:-2, 3:6, 3:6] = True
    longer = bar.copy()
    longer[1] = bar[2]
    region = np.zeros(bar.shape, bool)
    region[8:12] = True
    images = image_of(bar), image_of(longer)
    inside = surface_distances(*images, image_of(region))
    assert inside.hausdorff_95_mm == 0
    assert inside.truth_areas_mm2.sum() < surface_distances(*images).truth_areas_mm2.sum() / 3
    assert surface_distances(*images).truth_to_result_mm.max() == 1.0


def test_bone_is_divided_by_the_images_own_values():
    truth = np.array([[[1, 1, 1, 1, 0, 0]]])
    result = np.array([[[1, 0, 1, 1, 1, 0]]])
    hu = np.array([[[199, 201, 299, 300, 250, 900]]], np.int16)
    ct = image_of(truth)
    values = sitk.GetImageFromArray(hu)
    values.CopyInformation(ct)
    found = overlap_by_class(image_of(truth), image_of(result), values)
    counts = {name: (c.true_positive, c.true_negative, c.false_positive, c.false_negative) for name, c in found.items()}
    assert counts == {"whole": (3, 1, 1, 1), "cortical": (2, 2, 1, 1), "thin": (2, 2, 1, 1)}


def test_a_percentile_counts_areas_not_elements():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 8.0])
    assert [weighted_percentile(values, weights, percent) for percent in (5, 50, 89, 95)] == [1, 2, 2, 3]


def test_the_largest_error_is_the_deepest_one():
    truth = np.zeros((20, 20, 20), bool)
    truth[2:8, 2:18, 2:18] = True
    result = truth.copy()
    result[2:8, 2:18, 2] = False  # long and thin
    result[10:15, 10:15, 10:15] = True  # small and thick
    assert largest_error(image_of(truth), image_of(result)) == (12, 12, 12)
    assert largest_error(image_of(truth), image_of(truth)) == (5, 10, 10)


def ring() -> np.ndarray:
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 2:7, 2:7] = True
    mask[2, 4, 4] = False
    return mask


def hollow() -> np.ndarray:
    mask = np.zeros((7, 7, 7), bool)
    mask[1:6, 1:6, 1:6] = True
    mask[3, 3, 3] = False
    return mask


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (EMPTY, MaskTopology(0, 0, 0)),
        (BOX, MaskTopology(1, 0, 0)),
        (FULL, MaskTopology(1, 0, 0)),
        (ring(), MaskTopology(1, 1, 0)),
        (hollow(), MaskTopology(1, 0, 1)),
        (np.concatenate([ring(), ring()]), MaskTopology(2, 2, 0)),
        (np.eye(5, dtype=bool)[None], MaskTopology(1, 0, 0)),
    ],
)
def test_pieces_tunnels_and_cavities_of_plain_shapes(mask, expected):
    assert topology(image_of(mask)) == expected


@pytest.mark.parametrize("seed", range(8))
def test_topology_is_that_of_scipys_pieces_and_of_a_count_of_cells(seed):
    mask, _, spacing = random_pair(seed)
    padded = np.pad(mask, 1)
    cells = set()  # of the closed voxels: corners, edges, faces and voxels have 0 to 3 odd coordinates
    for voxel in np.argwhere(mask):
        cells |= {tuple(2 * voxel + 1 + step) for step in itertools.product((-1, 0, 1), repeat=3)}
    euler = sum((-1) ** sum(int(c) % 2 for c in cell) for cell in cells)
    found = topology(image_of(mask, spacing))
    assert found.euler == euler
    assert found.parts == ndimage.label(mask, np.ones((3, 3, 3)))[1]
    assert found.cavities == ndimage.label(~padded)[1] - 1


def test_topology_inside_a_region():
    region = np.ones(ring().shape, bool)
    region[:, :, 6:] = False
    assert topology(image_of(ring()), image_of(region)) == MaskTopology(1, 1, 0)
    region[:, :, 5:] = False
    assert topology(image_of(ring()), image_of(region)) == MaskTopology(1, 0, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_the_same_voxels_in_another_order_of_axes_are_the_same_grid(order, flips):
    truth, result, spacing = random_pair(3)
    whole = image_of(truth, spacing), image_of(result, spacing)
    other = sitk.PermuteAxes(whole[1], order)[tuple(slice(None, None, step) for step in flips)]
    assert np.array_equal(sitk.GetArrayFromImage(on_grid_of(whole[0], other)), sitk.GetArrayFromImage(whole[1]))
    assert overlap(whole[0], other) == overlap(*whole)
    assert surface_distances(whole[0], other).figures() == surface_distances(*whole).figures()
    part = other[1:, :-1, 2:]
    assert overlap(whole[0], part) == overlap(whole[0], on_grid_of(whole[1], part))


def test_voxels_that_lie_apart_by_the_tolerance_are_others():
    truth = image_of(BOX)
    near, far = image_of(BOX), image_of(BOX)
    for image, share in ((near, 0.8), (far, 1.2)):
        image.SetOrigin(image.TransformContinuousIndexToPhysicalPoint([share * LATTICE_TOLERANCE, 0.0, 0.0]))
    assert overlap(truth, near).dice == 1
    with pytest.raises(InputError):
        overlap(truth, far)


def placed(voxels: np.ndarray, spacing_mm: tuple[float, ...], first_mm: tuple[float, ...] = (0.0,) * 3) -> sitk.Image:
    """Voxels (z, y, x) along the patient's axes; `first_mm` is the corner of the first, not its centre."""
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    image.SetSpacing(spacing_mm)
    image.SetOrigin([corner + side / 2 for corner, side in zip(first_mm, spacing_mm, strict=True)])
    return image


@pytest.mark.parametrize("parts", [(1, 1, 4), (2, 1, 3), (1, 1, 1)])
def test_the_same_bone_on_a_finer_grid_is_the_same(parts):
    voxels = np.random.default_rng(4).random((5, 8, 9)) < 0.4
    spacing = np.array([0.5, 0.5, 2.0])
    fine = voxels.repeat(parts[2], 0).repeat(parts[1], 1).repeat(parts[0], 2)
    truth, result = placed(voxels, spacing), placed(fine, (spacing / parts).tolist())
    for first, second in ((truth, result), (result, truth), (truth, sitk.DICOMOrient(result, "RAI"))):
        found = evaluate(first, second)
        assert (found["whole_dice"], found["p95_mm"]) == (1, 0)
        assert found["whole_true_positive"] == fine.sum()
        assert found["truth_tunnels"] == found["result_tunnels"]


@pytest.mark.parametrize("spacing_mm", [(0.47, 0.47, 1.25), (0.7, 0.6, 2.5), (0.3, 0.3, 0.45), (1.0, 1.0, 3.0)])
def test_no_voxel_of_a_result_on_another_grid_is_lost(spacing_mm):
    wall = np.zeros((24, 30, 30), bool)
    wall[2:22, 15, 3:27] = wall[11, 3:27, 3:27] = wall[2:22, 3:27, 8] = True
    result = placed(wall, (0.5, 0.5, 0.5), (0.13, 0.31, 0.2))
    truth = placed(np.ones([int(16 / side) for side in spacing_mm[::-1]]), spacing_mm)
    shared = divided(truth, result)
    assert all(0.2 < side <= 0.505 for side in shared.GetSpacing())
    assert sitk.GetArrayViewFromImage(shared).all()
    brought = at_voxels_of(shared, result)
    centres = np.argwhere(sitk.GetArrayViewFromImage(brought))[:, ::-1] * shared.GetSpacing() + shared.GetOrigin()
    held = np.zeros_like(wall)
    held[tuple(np.rint((centres - result.GetOrigin()) / 0.5).astype(int).T[::-1])] = True
    assert (held == wall).all()
    assert topology(brought) == topology(result)


def test_a_result_on_axes_that_are_not_parallel_is_refused():
    turned = placed(BOX, (0.5, 0.5, 0.5))
    angle = np.deg2rad(3)
    turned.SetDirection((np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1))
    with pytest.raises(InputError) as raised:
        evaluate(placed(BOX, (1.0, 1.0, 2.0)), turned)
    assert raised.value.code == "different-grids"


def test_classes_and_region_go_with_the_truths_voxels():
    truth = placed(BOX, (1.0, 1.0, 2.0))
    result = placed(BOX.repeat(4, 0).repeat(2, 1).repeat(2, 2), (0.5, 0.5, 0.5))
    hu = np.where(BOX, 250, -1000)
    hu[: hu.shape[0] // 2] += 700
    ct = sitk.GetImageFromArray(hu.astype(np.int16))
    ct.CopyInformation(truth)
    region = placed(np.ones(BOX.shape), (1.0, 1.0, 2.0))
    found, own = evaluate(truth, result, ct, region), evaluate(truth, truth, ct, region)
    for name in ("whole", "cortical", "thin"):
        assert found[f"{name}_true_positive"] == 16 * own[f"{name}_true_positive"] > 0
        assert found[f"{name}_true_negative"] == 16 * own[f"{name}_true_negative"]
        assert found[f"{name}_dice"] == 1
