"""A head in a mirror: what was found on its right is found on its left, voxel by voxel and ml by ml."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from OrbitalSegLib import cavity
from OrbitalSegLib.images import volume_ml
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.segmenting import Segmentation
from OrbitalSegLib.tasks import job_from, segment

OTHER = {"left": "right", "right": "left"}
SCANNER = Scanner(
    matrix=112, pixel_mm=1.2, slice_thickness_mm=1.2, spacing_mm=1.2, height_mm=80.0, centre_mm=(3.0, 15.0, 0.0)
)
NEAR_MM = 1.0
"""So far apart the same orbit may be located in a scan and in its mirror image."""
NEAR_ML = 0.2
"""So far apart it may be measured (docs/orbit-volume.md)."""


def mirrored(image: sitk.Image) -> sitk.Image:
    """The same place with the right side of the head where its left one was: x runs along the first axis."""
    flipped = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, :, ::-1].copy())
    flipped.CopyInformation(image)
    return flipped


def in_a_turned_frame(image: sitk.Image) -> sitk.Image:
    """The same voxels, of which the file says that x runs the other way: another way to the same mirror image."""
    turned = sitk.Image(image)
    last = image.TransformIndexToPhysicalPoint((image.GetSize()[0] - 1, 0, 0))[0]
    turned.SetOrigin((last, *image.GetOrigin()[1:]))
    turned.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    return turned


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    """A head with nothing symmetric about it: turned, off the middle, one floor broken, the other sinus full."""
    anatomy = Anatomy(turned_degrees=4.0, fracture="floor", fracture_side="left", opacified="right")
    taken = scan(anatomy, SCANNER)
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetSpacing((SCANNER.pixel_mm, SCANNER.pixel_mm, SCANNER.spacing_mm))
    image.SetOrigin(taken.grid.origins[0].tolist())
    return image


@pytest.fixture(scope="module")
def folder(ct, tmp_path_factory):
    """The scan, and its mirror image made in two ways."""
    path = tmp_path_factory.mktemp("mirrored")
    for name, image in {"ct": ct, "voxels": mirrored(ct), "frame": in_a_turned_frame(ct)}.items():
        sitk.WriteImage(image, str(path / f"{name}.nrrd"))
    return path


def found(path, **words: Any) -> tuple[Segmentation, Record]:
    job = job_from({"contract": CONTRACT, "task": "segment", "input": str(path), "output": "-", **words})
    record = Record()
    return segment.find(job, Steps(segment.shares(job)), record), record


def array_of(mask: sitk.Image) -> np.ndarray:
    """(z, y, x), x to the patient's left, whichever way the file runs."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(mask, "LPS")).astype(bool)


WAYS = ("voxels", "frame")
METHODS = st.one_of(
    st.fixed_dictionaries({"method": st.just("threshold"), "lower_hu": st.integers(100, 700)}),
    st.integers(120, 400).flatmap(
        lambda lower: st.fixed_dictionaries(
            {"method": st.just("hysteresis"), "lower_hu": st.just(lower), "seed_hu": st.integers(lower, 900)}
        )
    ),
)
X_MM = st.integers(-60, 55).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 8, 66)))


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=METHODS, way=st.sampled_from(WAYS), x_mm=st.none() | X_MM)
def test_the_mask_of_the_mirror_image_is_the_mirror_image_of_the_mask(asked, way, x_mm, ct, folder):
    method, parameters = asked["method"], {name: value for name, value in asked.items() if name != "method"}
    regions: list[Any] = ["whole", "whole"]
    if x_mm is not None:
        about = 2 * ct.TransformContinuousIndexToPhysicalPoint([(ct.GetSize()[0] - 1) / 2, 0, 0])[0]
        low, high = x_mm[0] + 0.3, x_mm[1] + 0.3  # between voxels: which side a border lies on is not asked here
        regions = [[low, high, -40.2, 60.2, -30.2, 30.2], [about - high, about - low, -40.2, 60.2, -30.2, 30.2]]
    one, _ = found(folder / "ct.nrrd", method=method, parameters=parameters, region=regions[0])
    other, _ = found(folder / f"{way}.nrrd", method=method, parameters=parameters, region=regions[1])
    assert one.masks.keys() == other.masks.keys()
    for name, mask in one.masks.items():
        np.testing.assert_array_equal(array_of(other.masks[name]), array_of(mask)[:, :, ::-1])
        assert volume_ml(other.masks[name]) == volume_ml(mask)


@pytest.fixture(scope="module")
def of_scan(folder) -> tuple[Segmentation, Record]:
    return found(folder / "ct.nrrd", method="threshold")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_is_found_and_measured_of_an_orbit_goes_with_it_to_the_other_side(way, ct, folder, of_scan):
    (one, of_one), (other, of_other) = of_scan, found(folder / f"{way}.nrrd", method="threshold")
    about = 2 * ct.TransformContinuousIndexToPhysicalPoint([(ct.GetSize()[0] - 1) / 2, 0, 0])[0]
    volumes_ml = {}
    for bone in (one, other):
        for orbit in bone.place.orbits:
            measured = cavity.measure(bone.scan.image, bone.masks["bone"], None, orbit)
            volumes_ml[bone is one, orbit.side] = measured.volume_ml
    there = {orbit.side: orbit for orbit in other.place.orbits}
    for orbit in one.place.orbits:
        again = there[OTHER[orbit.side]]
        assert orbit.status == again.status == "found"
        x0, x1, *rest = orbit.box_mm
        np.testing.assert_allclose(again.box_mm, (about - x1, about - x0, *rest), atol=NEAR_MM)
        assert volumes_ml[False, again.side] == pytest.approx(volumes_ml[True, orbit.side], abs=NEAR_ML)
    verdicts = [record.entries["monitoring"]["verdict"] for record in (of_one, of_other)]
    assert verdicts[0] == verdicts[1]
    spoke = [{row["id"]: row["verdict"] for row in r.entries["monitoring"]["checks"]} for r in (of_one, of_other)]
    assert spoke[0] == spoke[1]
