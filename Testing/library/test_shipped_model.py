"""The model package that comes with the library: what it holds, and that it does what it is there for."""

import hashlib
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import monitoring
from OrbitalSegLib.evaluation.walls import HOLE_EDGE_MM, crosses, wall_figures, walls_of_phantom
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Masks, Resources, Task
from OrbitalSegLib.networks import engines, package
from OrbitalSegLib.networks.consensus import triplanar
from OrbitalSegLib.networks.engines.openvino import has_bf16
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, wall_midsurfaces
from OrbitalSegLib.preprocessing import working_grid
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region
from OrbitalSegLib.training import release

pytestmark = [pytest.mark.learn, pytest.mark.slow]

MB = 1_000_000
LEFT = 1


@pytest.fixture(scope="module")
def model() -> package.Package:
    return package.load_package(None)


def test_the_package_is_as_small_as_promised(model: package.Package) -> None:
    sizes = {path.name: path.stat().st_size for path in model.folder.iterdir()}
    assert all(size < 10 * MB for size in sizes.values())
    assert sum(sizes.values()) < 20 * MB
    assert sorted(sizes) == sorted(["card.md", "model.json", *(f"{name}.safetensors" for name in model.networks)])


GRAPHS = {
    "cortical": "98b1eff204fee1958d3f6944f072030cb8b50866b7c6afab35fea392ca0fc087",
    "single": "4336188595758173797bc6e1e7edd1672b555b300fdea8eb4eccbe6a2a2abfac",
    "thin": "9744b9b066847bbc864d2fef8fa3a4100049da3dc89391e8fdebb2687b9922d4",
}
"""SHA256 of the ONNX files that were part of the package once: what all its figures were measured with."""


def test_an_engine_gets_the_graphs_that_were_measured(model: package.Package) -> None:
    assert {name: hashlib.sha256(model.onnx(name)).hexdigest() for name in model.networks} == GRAPHS


def test_monitoring_knows_the_limits_of_this_package(model: package.Package) -> None:
    known = monitoring.shipped_limits()
    assert known["methods"]["multigrey"]["model"] == {
        "name": model.name,
        "version": model.version,
        "sha256": model.sha256,
    }


def test_it_is_the_package_of_the_recipe(model: package.Package) -> None:
    recipe = release.load(release.RECIPES / f"{package.DEFAULT}.toml")
    assert (model.name, model.version) == (recipe.name, recipe.version)
    assert sorted(model.networks) == sorted(recipe.networks)
    assert {network.channels for network in model.networks.values()} == {recipe.configured().channels}
    card = release.RECIPES / f"{package.DEFAULT}.card.md"
    assert (model.folder / "card.md").read_bytes() == card.read_bytes()


def test_bone_is_what_is_seen_and_a_lower_limit_infers(model: package.Package) -> None:
    for name in ("thin", "single"):
        network = model.networks[name]
        assert network.inferred_above is not None
        assert network.inferred_above < network.seen_above
    assert model.networks["cortical"].inferred_above is None


@pytest.fixture(scope="module")
def broken_floor() -> Anatomy:
    """Walls of 0.4 mm, and a hole in one floor."""
    return Anatomy(wall_thickness_mm=0.4, fracture="floor")


@pytest.fixture(scope="module")
def ct(broken_floor: Anatomy) -> sitk.Image:
    """The walls of the left orbit, whose floor is broken, in slices of 0.8 mm."""
    scanner = Scanner(100, 0.5, 0.8, 0.8, 56.0, (25.0, 5.0, -2.0), seed=11)
    taken = scan(broken_floor, scanner)
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetSpacing([0.5, 0.5, 0.8])
    image.SetOrigin(taken.grid.origins[0].tolist())
    return image


def classes(method: str, ct: sitk.Image) -> Masks:
    chosen = METHODS[method]
    found = chosen.run(Task(ct, Region(), Resources(threads=1)), chosen.make_parameters({}), silent)
    return found.classes(found.bone)


@pytest.mark.parametrize("method", ["multigrey", "singlegrey"])
def test_walls_of_less_than_half_a_millimetre_are_seen_and_the_hole_stays_open(
    method: str, ct: sitk.Image, broken_floor: Anatomy
) -> None:
    points, before = (
        walls_of_phantom(wall_midsurfaces(anatomy, 0.5))
        for anatomy in (broken_floor, replace(broken_floor, fracture="none"))
    )
    points, before = (walls.at(walls.side == LEFT) for walls in (points, before))
    spatial = pytest.importorskip("scipy.spatial")
    distance_mm, _ = spatial.cKDTree(points.points_mm).query(before.points_mm)
    hole = before.at(distance_mm > HOLE_EDGE_MM + 0.5)  # points lie up to half a mm apart
    bone = classes(method, ct)["bone"]
    seen, threshold = (wall_figures(points, mask).intact["thin"].share for mask in (bone, ct > 300))
    assert threshold < 0.1
    assert seen > 0.9
    assert hole.area_mm2.sum() > 50
    assert hole.area_mm2[crosses(hole, bone)].sum() < 0.05 * hole.area_mm2.sum()


def test_the_same_scan_gives_the_same_voxels(ct: sitk.Image) -> None:
    small = replace(Task(ct[:64, :64, :32], Region()), resources=Resources(threads=1))
    method = METHODS["multigrey"]
    first, second = (method.run(small, method.make_parameters({}), silent).bone for _ in range(2))
    assert (sitk.GetArrayFromImage(first) == sitk.GetArrayFromImage(second)).all()


@pytest.mark.skipif(not has_bf16(), reason="this processor does not calculate in bf16")
def test_bf16_is_nearly_fp32(model: package.Package, ct: sitk.Image) -> None:
    part = ct[10:90, 10:90, 15:65]
    bone = []
    for precision in ("fp32", "bf16"):
        running = {name: engines.choose(model, name, "openvino", precision, threads=1) for name in ("cortical", "thin")}
        found = triplanar(part, running, working_grid(part, model.spacing_mm), model.planes).probabilities
        seen = [
            model.networks[name].calibration.apply(sitk.GetArrayFromImage(image)) > model.networks[name].seen_above
            for name, image in found.items()
        ]
        bone.append(np.logical_or.reduce(seen))
    one, other = bone
    assert (one != other).mean() <= 0.0005
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) >= 0.998
