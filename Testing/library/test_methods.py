"""The table of methods: thresholds that do what the standard says."""

from dataclasses import dataclass

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS
from OrbitalSegLib.methods.method import ByValue, Method, Task, split_by_value
from OrbitalSegLib.methods.parameters import Points, points
from OrbitalSegLib.networks import package
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region

pytestmark = pytest.mark.base

UNITS = {
    *("HU", "HU/mm", "HU/voxel", "mm", "voxels", "SD"),
    *("rounds", "thresholds", "classes", "exponent", "share", "weight"),
}
"""Of what methods without networks can be told."""


def ct(values: list[int]) -> sitk.Image:
    image = sitk.GetImageFromArray(np.array(values, np.int16).reshape(1, 1, -1))
    image.SetSpacing((0.5, 0.6, 0.7))
    image.SetOrigin((1.0, 2.0, 3.0))
    return image


def bone(name: str, values: list[int], **parameters: float) -> list[int]:
    method = METHODS[name]
    image = ct(values)
    found = method.run(Task(image, Region()), method.make_parameters(parameters), silent)
    assert found.bone.IsSameImageGeometryAs(image)
    assert found.bone.GetPixelID() == sitk.sitkUInt8
    assert found.parameters.items() >= parameters.items()
    return sitk.GetArrayFromImage(found.bone).ravel().tolist()


def test_method_a_is_bone_above_300_hu():
    assert bone("threshold", [-1024, 299, 300, 301, 3000]) == [0, 0, 0, 1, 1]


def test_the_networks_are_the_default_where_a_package_is_shipped():
    assert ("multigrey" if package.models() else "threshold") == DEFAULT_METHOD


def test_both_limits_of_the_threshold_can_be_moved():
    assert bone("threshold", [100, 200, 500, 501], lower_hu=100, upper_hu=500) == [0, 1, 1, 0]


def test_hysteresis_grows_cortical_seeds_into_connected_bone_only():
    values = [0, 160, 200, 400, 200, 160, 150, 0, 250, 250, 0]
    assert bone("hysteresis", values) == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert bone("hysteresis", values, seed_hu=220, lower_hu=180) == [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0]


def test_hysteresis_is_the_same_as_simpleitks_on_noise():
    noise = np.random.default_rng(7).normal(100, 120, (20, 30, 40)).astype(np.int16)
    image = sitk.GetImageFromArray(noise)
    method = METHODS["hysteresis"]
    ours = method.run(Task(image, Region()), method.make_parameters({}), silent).bone
    theirs = sitk.DoubleThreshold(image, 151, 301, 32767, 32767, 1, 0, True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert 0 < sitk.GetArrayFromImage(ours).sum() < (noise > 150).sum()


def test_cortical_and_thin_overlap_between_200_and_300_hu():
    image = ct([150, 200, 201, 250, 299, 300, 400])
    everything = sitk.Cast(image > 0, sitk.sitkUInt8)
    classes = {k: sitk.GetArrayFromImage(v).ravel().tolist() for k, v in split_by_value(image, everything).items()}
    assert classes == {"cortical": [0, 0, 1, 1, 1, 1, 1], "thin": [1, 1, 1, 1, 1, 0, 0]}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_every_method_describes_parameters_that_it_accepts(method):
    described = method.describe()
    assert described
    for item in described:
        assert item["title"]
        if item["kind"] == "choice":
            assert item["default"] in item["choices"]
        if item["kind"] != "number":
            continue
        if item["unit"] == "probability":  # the package says
            assert item["default"] is None
        else:
            assert item["minimum"] <= item["default"] <= item["maximum"]
        assert item["unit"] in ({"probability", "HU", "logit"} if method.needs_model else UNITS)
    defaults = {item["name"]: item["default"] for item in described if item["default"] is not None}
    assert method.make_parameters(defaults) == method.make_parameters({})


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("threshold", {"level": 3}, "unknown-parameter"),
        ("threshold", {"lower_hu": "300"}, "invalid-job"),
        ("threshold", {"lower_hu": True}, "invalid-job"),
        ("threshold", {"lower_hu": 1e9}, "invalid-job"),
        ("threshold", {"lower_hu": float("nan")}, "invalid-job"),
        ("threshold", {"lower_hu": 300, "upper_hu": 200}, "invalid-job"),
        ("hysteresis", {"seed_hu": 100}, "invalid-job"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name, parameters, code):
    with pytest.raises(JobError) as caught:
        METHODS[name].make_parameters(parameters)
    assert caught.value.code == code


def test_a_method_without_a_lower_limit_has_a_surface_too():
    values = np.full((4, 4, 4), 40, np.int16)
    values[1:3, 1:3, 1:3] = 1000
    ct = sitk.GetImageFromArray(values)
    found = ByValue(ct, ct > 500, {"window": 3.0})
    masks = found.classes(found.bone)
    assert found.fraction_source == "mask"
    for name, mask in masks.items():
        fraction = sitk.GetArrayFromImage(found.fraction(name, masks))
        np.testing.assert_array_equal(fraction > 0.5, sitk.GetArrayFromImage(mask) > 0)


@dataclass(frozen=True)
class SeedsNeeded:
    """Of a method that cannot do without places."""

    seeds: Points = points("Begins at", 2, 9)
    axis: Points = points("Runs along", 2, 2)
    middle: Points = points("Turns about", 1, 1)


SEEDED = Method("seeded", "Seeded", "a test", SeedsNeeded, lambda *_: pytest.fail("something was read"))


@pytest.mark.parametrize("words", ["here", "1:2", "1:2:3", "1:2:3:4/1:2:3", "nan:1:2/1:2:3", "1e9:0:0/1:2:3", ""])
def test_a_wrong_point_is_answered_with_the_form_and_an_example_that_works(words):
    with pytest.raises(JobError) as said:
        SEEDED.make_parameters(SEEDED.parse({"seeds": words}))
    assert said.value.text == (
        "seeds must be 2 to 9 points in mm, each as x:y:z towards the patient's left, back and head, with / between "
        "points, for example seeds=30:-20:5/31:-20:5."
    )
    _, _, example = said.value.text.rstrip(".").rpartition("=")
    assert len(SEEDED.make_parameters(SEEDED.parse({"seeds": example})).seeds) == 2


def test_one_point_is_called_one():
    with pytest.raises(JobError, match=r"^middle must be 1 point in mm, each as x:y:z .*, for example middle=30:-20:5"):
        SEEDED.make_parameters({"middle": []})


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, "seeds"),
        ({"seeds": [[1, 2, 3]]}, "seeds"),
        ({"seeds": [[1, 2, 3], [4, 5, 6]]}, "axis"),
        ({"seeds": [[1, 2, 3], [4, 5, 6]], "axis": [[0, 0, 0], [0, 0, 1], [0, 0, 2]]}, "axis"),
    ],
)
def test_a_method_that_lacks_points_is_refused_before_anything_is_read(given, lacks, monkeypatch, tmp_path):
    monkeypatch.setitem(METHODS, "seeded", SEEDED)
    job = {"contract": CONTRACT, "task": "segment", "input": str(tmp_path / "none"), "output": str(tmp_path / "out")}
    lines: list[dict] = []
    code = worker.run({**job, "method": "seeded", "parameters": given}, lines.append)
    assert code == JobError("invalid-job", "").exit_code
    assert lines[-1]["code"] == "invalid-job"
    assert lines[-1]["text"].startswith(f"{lacks} must be ")
    assert not list(tmp_path.iterdir())
