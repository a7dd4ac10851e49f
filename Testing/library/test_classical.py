"""The classical methods of the standard, on a few voxels whose answer is plain."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import postprocessing, reading, segmenting, worker
from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.experiment.phantoms import phantom, phantom_case
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.classical import CLASSICAL, splitmerge, subtraction
from OrbitalSegLib.methods.method import ByValue, Task
from OrbitalSegLib.phantom import orbit_volumes_ml
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps, silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.scan import Acquisition, Planes, Scan
from OrbitalSegLib.segmenting import First, Wish

pytestmark = pytest.mark.base

SOFT, BONE, DENSE, AIR = 40, 250, 900, -1000


def image(voxels: np.ndarray) -> sitk.Image:
    found = sitk.GetImageFromArray(voxels.astype(np.int16))
    found.SetSpacing((0.5, 0.5, 0.6))
    found.SetOrigin((-10.0, -20.0, 30.0))
    return found


def place(index: tuple[int, int, int]) -> list[float]:
    """The middle of a voxel (z, y, x), LPS mm."""
    return list(image(np.zeros((1, 1, 1))).TransformIndexToPhysicalPoint(index[::-1]))


def found(name: str, ct: sitk.Image, start: np.ndarray | None = None, **parameters: object) -> ByValue:
    method = METHODS[name]
    begin = None if start is None else sitk.GetImageFromArray(start.astype(np.uint8))
    if begin is not None:
        begin.CopyInformation(ct)
    task = Task(ct, Region(), start=begin)
    result = method.run(task, method.make_parameters(parameters), silent)
    assert result.bone.IsSameImageGeometryAs(ct)
    assert result.bone.GetPixelID() == sitk.sitkUInt8
    assert sitk.GetArrayFromImage(result.bone).max() <= 1
    return result


def bone(name: str, ct: sitk.Image, start: np.ndarray | None = None, **parameters: object) -> np.ndarray:
    return sitk.GetArrayFromImage(found(name, ct, start, **parameters).bone) > 0


def sentence(name: str, ct: sitk.Image, start: np.ndarray | None = None, **parameters: object) -> OrbitalSegError:
    with pytest.raises(OrbitalSegError) as caught:
        found(name, ct, start, **parameters)
    assert caught.value.text.endswith(".")
    return caught.value


@pytest.fixture(scope="module")
def two_blocks() -> np.ndarray:
    """Soft tissue in air, with a block of dense bone, thinner bone on it, and a second block apart from both."""
    noise = np.random.default_rng(3).normal(0, 8, (20, 24, 40))
    voxels = np.full(noise.shape, float(SOFT))
    voxels[:, :3] = AIR
    voxels[5:15, 6:20, 4:14] = DENSE
    voxels[8:12, 10:14, 14:18] = BONE
    voxels[5:15, 6:20, 26:36] = DENSE
    return voxels + noise


@pytest.fixture(scope="module")
def anatomy(two_blocks) -> np.ndarray:
    """Where there is bone in it."""
    truth = np.zeros(two_blocks.shape, bool)
    truth[5:15, 6:20, 4:14] = truth[8:12, 10:14, 14:18] = truth[5:15, 6:20, 26:36] = True
    return truth


NO_LEARNING = [method.name for method in CLASSICAL if method.has_bone]


@pytest.mark.parametrize("name", NO_LEARNING)
def test_every_method_finds_both_blocks_the_same_every_time(name, two_blocks, anatomy):
    ct = image(two_blocks)
    first = bone(name, ct)
    np.testing.assert_array_equal(first, bone(name, ct))
    dice = 2 * (first & anatomy).sum() / (first.sum() + anatomy.sum())
    assert dice > 0.9
    assert not first[two_blocks < -500].any()


@pytest.mark.parametrize("name", [name for name in NO_LEARNING if name not in ("threshold", "hysteresis")])
@pytest.mark.parametrize("fill", ["air", "soft tissue", "both"])
def test_a_region_without_bone_ends_in_a_sentence(name, fill):
    noise = np.random.default_rng(4).normal(0, 10, (12, 14, 16))
    voxels = np.full(noise.shape, AIR if fill == "air" else SOFT) + noise
    if fill == "both":
        voxels[:, :7] = AIR + noise[:, :7]
    assert sentence(name, image(voxels)).code == "empty-result"


@pytest.mark.parametrize("name", NO_LEARNING)
def test_what_lies_beyond_region_and_margin_changes_nothing(name, two_blocks):
    region = Region((-9.0, -1.0, -19.0, -9.0, 31.0, 40.0))
    wide = np.pad(two_blocks, ((0, 40), (0, 40), (0, 60)), constant_values=SOFT)
    other = wide.copy()
    other[45:, 50:, 70:] = 1500
    method = METHODS[name]
    ours, theirs = (
        method.run(Task(image(voxels), region), method.make_parameters({}), silent).bone for voxels in (wide, other)
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert sitk.GetArrayFromImage(ours).any()


# Region growing

GROWING = [method.name for method in CLASSICAL if method.begins == "seed"]
BY_PLACES = [name for name in GROWING if "seeds" in {item["name"] for item in METHODS[name].describe()}]


@pytest.mark.parametrize("name", BY_PLACES)
def test_growing_from_a_place_finds_what_hangs_together_with_it(name, two_blocks, anatomy):
    ct, one = image(two_blocks), place((10, 12, 8))
    apart = anatomy.copy()
    apart[..., :20] = False
    grown = bone(name, ct, seeds=[one])
    assert grown[10, 12, 8]
    assert not grown[apart].any()
    assert bone(name, ct, seeds=[one, place((10, 12, 30))])[apart].any()


@pytest.mark.parametrize("name", BY_PLACES)
@pytest.mark.parametrize("index", [(10, 1, 8), (10, 22, 20), (10, 12, 90)], ids=["air", "soft tissue", "outside"])
def test_a_place_that_is_no_bone_is_refused_in_words(name, index, two_blocks):
    error = sentence(name, image(two_blocks), seeds=[place((10, 12, 8)), place(index)])
    assert error.code == "bad-seed"
    assert ":".join(f"{number:g}" for number in place(index)) in error.text


@pytest.mark.parametrize("name", GROWING)
def test_growing_begins_at_what_another_method_found(name, two_blocks):
    start = np.zeros(two_blocks.shape, bool)
    start[7:13, 8:18, 6:12] = True
    grown = bone(name, image(two_blocks), start)
    assert grown[5:15, 6:20, 4:14].mean() > 0.5
    assert not grown[..., 22:].any()
    nothing = sentence(name, image(two_blocks), np.zeros(two_blocks.shape, bool))
    assert nothing.code == "empty-result"
    assert "runs first" in nothing.text


@pytest.mark.parametrize("name", BY_PLACES)
def test_places_and_another_method_are_too_much(name, two_blocks):
    error = sentence(name, image(two_blocks), np.ones(two_blocks.shape, bool), seeds=[place((10, 12, 8))])
    assert error.code == "invalid-job"


def test_connected_is_simpleitks(two_blocks):
    ct = image(two_blocks)
    theirs = sitk.ConnectedThreshold(ct, [(8, 12, 10)], 201, 32767)
    np.testing.assert_array_equal(bone("connected", ct, seeds=[place((10, 12, 8))]), sitk.GetArrayFromImage(theirs) > 0)


def test_confidence_is_simpleitks(two_blocks):
    ct, told = image(two_blocks), {"deviations": 2.5, "rounds": 4, "radius_voxels": 2}
    theirs = sitk.ConfidenceConnected(sitk.Cast(ct, sitk.sitkFloat64), [(8, 12, 10)], 3, 2.5, 2, 1)
    ours = bone("confidence", ct, seeds=[place((10, 12, 8))], **told)
    assert (ours != (sitk.GetArrayFromImage(theirs) > 0)).mean() < 0.001


def test_neighbours_across_corners_are_told_from_those_across_faces():
    voxels = np.full((3, 4, 4), SOFT)
    voxels[1, 1, 1] = voxels[1, 2, 2] = DENSE
    seeds = [place((1, 1, 1))]
    assert bone("connected", image(voxels), seeds=seeds).sum() == 1
    assert bone("connected", image(voxels), seeds=seeds, neighbours="corners").sum() == 2


def test_neighbourhoods_cross_no_thin_bridge():
    voxels = np.full((9, 9, 30), SOFT)
    voxels[2:7, 2:7, 2:10] = voxels[2:7, 2:7, 20:28] = DENSE
    voxels[4, 4, 10:20] = DENSE
    seeds = [place((4, 4, 5))]
    assert bone("connected", image(voxels), seeds=seeds)[4, 4, 24]
    passed = bone("neighbourhood", image(voxels), seeds=seeds)
    assert passed[2:7, 2:7, 2:10].all()
    assert not passed[..., 12:].any()
    assert sentence("neighbourhood", image(voxels), seeds=seeds, radius_voxels=3).code == "empty-result"


# Edges


def test_a_slope_of_sobels_is_told_in_hu_a_voxel():
    slope = np.broadcast_to(np.arange(0, 300, 30), (8, 8, 10))
    assert not bone_on_slope(slope, edge_hu=30.5).measured["edge_voxels"]
    assert bone_on_slope(slope, edge_hu=29.5).measured["edge_voxels"]


def bone_on_slope(slope: np.ndarray, edge_hu: float) -> ByValue:
    return found("sobel", image(slope), edge_hu=edge_hu, mean_hu=100)


@pytest.mark.parametrize(("name", "voxels_thin"), [("canny", 3), ("sobel", 1)])
def test_edges_are_found_whatever_the_level(name, voxels_thin):
    """A wall of 180 HU, which no threshold of 200 HU finds."""
    voxels = np.full((20, 24, 30), float(SOFT))
    voxels[4:16, 4:20, 4:12] = DENSE
    voxels[4:16, 12 : 12 + voxels_thin, 12:26] = 180
    ct = image(voxels)
    found = bone(name, ct)
    assert found[4:16, 4:20, 4:12].mean() > 0.9
    assert found[6:14, 12 : 12 + voxels_thin, 14:24].mean() > 0.6
    assert not found[6:14, 16:, 14:24].any()


# Contours and floods


def test_watershed_puts_the_border_where_the_scan_changes_fastest():
    row = np.array([40, 40, 40, 40, 90, 190, 450, 500, 500, 500, 500])
    voxels = np.broadcast_to(row, (9, 9, 11))
    line = bone("watershed", image(voxels), none_hu=60)[4, 4]
    assert line.tolist() in ([0] * 5 + [1] * 6, [0] * 6 + [1] * 5)


@pytest.mark.parametrize("name", ["geodesic", "levelset"])
def test_a_contour_grows_from_a_place_into_the_whole_block(name, two_blocks):
    start = np.zeros(two_blocks.shape, bool)
    start[8:12, 11:15, 7:11] = True
    few, many = (bone(name, image(two_blocks), start, rounds=rounds) for rounds in (5, 40))
    assert start.sum() < few.sum() < many.sum()
    assert many[7:13, 8:18, 6:12].all()
    assert not many[..., 22:].any()


# Blocks


def test_blocks_are_as_large_as_they_are_alike():
    voxels = np.zeros((16, 16, 32), np.float32)
    voxels[:, :, 16:] = 500
    voxels[3, 3, 3] = 800
    blocks = splitmerge.split(voxels, 10)
    assert len(np.unique(blocks[..., 16:])) == 1
    assert (blocks == blocks[3, 3, 3]).sum() == 1
    assert blocks.max() + 1 == len(np.unique(blocks)) == 1 + 3 * 7 + 8 + 7 - 7


def test_regions_join_the_neighbour_that_is_like_them():
    pairs = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
    count, total = np.array([9, 1, 1, 1, 9]), np.array([0.0, 40, 90, 260, 9 * 300])
    region = splitmerge.merge(pairs, count, total, 100, silent)
    assert region[0] == region[1] == region[2]
    assert region[3] == region[4] != region[0]


# The cavity of an orbit


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> tuple[Scan, float]:
    """A phantom without a fracture, and how large its orbits are by the formula, ml."""
    case = phantom_case(0, tmp_path_factory.mktemp("head"))
    return reading.read(case.ct), orbit_volumes_ml(phantom(0)[0])["left"]


@pytest.mark.slow
def test_what_is_left_of_an_orbit_without_bone_and_air_is_about_its_volume(head):
    """The planes of the located pyramid cut its corners: some 4 % are missing."""
    taken, truth_ml = head
    wish = Wish("subtraction")
    result = segmenting.segment(taken, wish, Steps(segmenting.shares(wish)))
    for side in ("left", "right"):
        assert result.segmented.measured[f"{side}_ml"] == pytest.approx(truth_ml, rel=0.08)
    cavity = sitk.GetArrayFromImage(result.masks[subtraction.CAVITY]) > 0
    hu = sitk.GetArrayFromImage(taken.image)[cavity]
    assert (hu.min() >= -600, hu.max() <= 400) == (True, True)
    assert set(result.masks) == {subtraction.CAVITY}
    assert result.segmented.structures[subtraction.CAVITY].kind == "cavity"


@pytest.mark.slow
def test_a_cavity_is_written_and_comes_out_again(head, tmp_path):
    sitk.WriteImage(head[0].image, str(tmp_path / "ct.nrrd"))
    lines: list[dict] = []
    job = {"contract": CONTRACT, "input": str(tmp_path / "ct.nrrd")}
    made = {"task": "segment", "output": str(tmp_path / "out"), "method": "subtraction", "region": "left"}
    assert worker.run(job | made, lines.append) == 0, lines
    volumes_ml = lines[-1]["summary"]["volumes_ml"]
    assert volumes_ml == {subtraction.CAVITY: pytest.approx(head[1], rel=0.08)}
    assert worker.run(job | {"task": "verify", "record": str(tmp_path / "out")}, lines.append) == 0
    assert lines[-1]["summary"]["reproduced"] is True, lines[-1]
    assert "Orbital cavity" in (tmp_path / "out" / "record.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_without_a_whole_orbit_there_is_no_cavity(head):
    taken, _ = head
    wish = Wish("subtraction", region=Region((-60.0, 60.0, 60.0, 100.0, -20.0, 20.0)))
    with pytest.raises(OrbitalSegError) as caught:
        segmenting.segment(taken, wish, Steps(segmenting.shares(wish)))
    assert caught.value.code in ("no-orbit", "region-outside")


def test_who_finds_no_bone_neither_begins_another_method_nor_is_compared(two_blocks, tmp_path):
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "experiment", "output": str(tmp_path / "x"), "cases": 1}
    assert worker.run(job | {"methods": [{"method": "subtraction"}]}, lines.append) == 2
    assert "finds no bone" in lines[-1]["text"]
    with pytest.raises(OrbitalSegError) as caught:
        combined(two_blocks, "connected", "subtraction")
    assert caught.value.code in ("no-orbit", "invalid-job")


# One after another

SMALL = postprocessing.PostprocessingParameters(minimum_object_ml=0)


def combined(voxels: np.ndarray, method: str, first: str, **of_first: float) -> np.ndarray:
    read = scan(image(voxels))
    wish = Wish(method, region=Region(), postprocess=SMALL, first=First(first, of_first))
    found = segmenting.segment(read, wish, Steps(segmenting.shares(wish)))
    assert found.steps[0]["parameters"]["from"] == first
    return sitk.GetArrayFromImage(found.masks["bone"]) > 0


def scan(ct: sitk.Image) -> Scan:
    spacing = ct.GetSpacing()
    return Scan(ct, Acquisition("nrrd", ct.GetSize()[1::-1], spacing[0], spacing[2]), Planes.of(ct), "nrrd")


def test_a_method_begins_where_another_left_off(two_blocks):
    voxels = two_blocks.copy()
    voxels[5:15, 6:20, 26:36] = 500
    both = combined(voxels, "connected", "threshold", lower_hu=400)
    one = combined(voxels, "connected", "threshold", lower_hu=700)
    assert both[5:15, 6:20, 26:36].all()
    assert not one[..., 22:].any()
    assert one[9:11, 11:13, 14:18].mean() > 0.9


def test_a_method_looks_only_where_another_found_bone(two_blocks):
    within = combined(two_blocks, "kmeans", "connected")
    assert within.any()
    assert not (within & ~bone("connected", image(two_blocks))).any()


@pytest.mark.parametrize(
    ("method", "first", "code", "word"),
    [
        ("multigrey", First("threshold"), "invalid-job", "takes nothing from another method"),
        ("otsu", First("unicorn"), "unknown-method", "unicorn"),
        ("otsu", First("threshold", {"level": 1}), "unknown-parameter", "no parameter level"),
        ("otsu", First("threshold", {"lower_hu": 3000}), "empty-result", "nothing to tell apart"),
        ("connected", First("threshold", {"lower_hu": 3000}), "empty-result", "runs first"),
    ],
)
def test_what_cannot_run_one_after_another_is_said(method, first, code, word, two_blocks):
    wish = Wish(method, region=Region(), first=first)
    with pytest.raises(OrbitalSegError) as caught:
        segmenting.segment(scan(image(two_blocks)), wish, Steps(segmenting.shares(Wish())))
    assert (caught.value.code, word in caught.value.text) == (code, True)


def test_a_result_from_places_comes_out_again(two_blocks, tmp_path):
    """A record in JSON has lists where a run has tuples."""
    sitk.WriteImage(image(two_blocks), str(tmp_path / "ct.nrrd"))
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "segment", "input": str(tmp_path / "ct.nrrd"), "output": str(tmp_path / "out")}
    told = {"region": "whole", "method": "connected", "parameters": {"seeds": [place((10, 12, 8))]}}
    assert worker.run(job | told, lines.append) == 0, lines
    again = {"contract": CONTRACT, "task": "verify", "record": str(tmp_path / "out"), "input": job["input"]}
    assert worker.run(again, lines.append) == 0
    assert lines[-1]["summary"]["reproduced"] is True, lines[-1]


def test_what_ran_first_stands_in_the_record_and_the_result_comes_out_again(two_blocks, tmp_path):
    sitk.WriteImage(image(two_blocks), str(tmp_path / "ct.nrrd"))
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "segment", "input": str(tmp_path / "ct.nrrd"), "output": str(tmp_path / "out")}
    first = {"method": "threshold", "parameters": {"lower_hu": 700}}
    told = {"region": "whole", "method": "connected", "from": first, "postprocess": {"minimum_object_ml": 0}}
    assert worker.run(job | told, lines.append) == 0, lines
    record = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["from"] == first
    again = {"contract": CONTRACT, "task": "verify", "record": str(tmp_path / "out"), "input": job["input"]}
    assert worker.run(again, lines.append) == 0
    assert lines[-1]["summary"]["reproduced"] is True, lines[-1]
    wrong = job | told | {"output": str(tmp_path / "other"), "from": {"name": "threshold"}}
    assert worker.run(wrong, lines.append) == 2
    assert "`from` must hold `method`" in lines[-1]["text"]


# Limits among the values themselves


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_otsu_finds_the_limit_between_bone_and_soft_tissue(levels, two_blocks):
    measured = found("otsu", image(two_blocks), levels=levels).measured
    assert len(measured["thresholds_hu"]) == levels
    assert SOFT + 40 < measured["limit_hu"] < DENSE - 50


def test_otsu_parts_two_values_between_which_there_is_none():
    """Every threshold between them is as good as any other."""
    voxels = np.full((6, 8, 10), 40)
    voxels[2:4, 2:6, 2:8] = 700
    assert found("otsu", image(voxels)).measured["limit_hu"] == 370
    assert bone("otsu", image(voxels)).sum() == 2 * 4 * 6


@pytest.mark.parametrize("name", ["kmeans", "fuzzycmeans"])
def test_classes_have_their_middles_where_the_tissues_are(name, two_blocks):
    measured = found(name, image(two_blocks), classes=3).measured
    low, *between, high = measured["middles_hu"]
    assert (low, high) == (pytest.approx(SOFT, abs=15), pytest.approx(DENSE, abs=15))
    assert SOFT < measured["limit_hu"] < DENSE
    assert [low, *between, high] == sorted([low, *between, high])


@pytest.mark.parametrize("name", ["otsu", "kmeans", "fuzzycmeans"])
def test_neither_air_nor_metal_moves_the_limit(name, two_blocks):
    plain = found(name, image(two_blocks)).measured["limit_hu"]
    worse = np.pad(two_blocks, ((0, 0), (40, 0), (0, 0)), constant_values=AIR)
    worse[0:3, 50:55, 0:3] = 3000
    assert found(name, image(worse)).measured["limit_hu"] == pytest.approx(plain, abs=10)


@pytest.mark.parametrize("name", [method.name for method in CLASSICAL if method.begins == "region"])
def test_bone_is_only_where_another_method_found_some(name, two_blocks):
    start = np.zeros(two_blocks.shape, bool)
    start[:, :, :20] = True
    alone = bone(name, image(two_blocks), start)
    assert alone[5:15, 6:20, 4:14].mean() > 0.9
    assert not alone[..., 20:].any()


@pytest.mark.parametrize(
    ("name", "parameters", "word"),
    [
        ("connected", {"lower_hu": 400, "certain_hu": 300}, "below"),
        ("connected", {"upper_hu": 300, "certain_hu": 300}, "upper"),
        ("connected", {"neighbours": "edges"}, "faces, corners"),
        ("neighbourhood", {"lower_hu": 400}, "below"),
        ("neighbourhood", {"radius_voxels": 1.5}, "a whole number from 1 to 5"),
        ("otsu", {"levels": 4}, "a whole number from 1 to 3"),
        ("kmeans", {"classes": 1}, "2 to 10"),
        ("kmeans", {"tissue_hu": 2500}, "Nothing is counted"),
        ("fuzzycmeans", {"fuzziness": 1}, "1.1 to 5"),
        ("canny", {"weak_hu": 90}, "higher slope"),
        ("watershed", {"none_hu": 300}, "certainly"),
        ("levelset", {"lower_hu": 400}, "below"),
        ("geodesic", {"rounds": 0}, "a whole number from 1 to 1000"),
        ("subtraction", {"air_hu": 400}, "below that of bone"),
        ("confidence", {"deviations": float("nan")}, "0.1 to 10"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_in_words(name, parameters, word):
    with pytest.raises(OrbitalSegError) as caught:
        METHODS[name].make_parameters(parameters)
    assert caught.value.code == "invalid-job"
    assert word in caught.value.text
