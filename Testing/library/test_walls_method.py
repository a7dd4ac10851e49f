"""Place, then evidence: what the sheet of a wall is, what both networks count together, and the package of them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import Resources, Task
from OrbitalSegLib.networks import walls
from OrbitalSegLib.networks.covered import uncovered
from OrbitalSegLib.networks.sheet import Mixture, evidence_of, logit, mixed, probability, sheet_of
from OrbitalSegLib.networks.unrolling import SAMPLES, linear, unrolled
from OrbitalSegLib.networks.weights import rounded_to_bf16, write_bf16
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region

pytestmark = pytest.mark.base

CHANNELS, BANK, HIDDEN = (4, 8), 3, (5,)

SAID: dict[str, Any] = {
    "format": 1,
    "name": "tiny-walls",
    "version": "1",
    "licence": "Apache-2.0",
    "intended_use": "Tests.",
    "spacing_mm": 0.5,
    "windows_hu": [[-200, 300], [-1024, 600]],
    "volume": {"channels": list(CHANNELS)},
    "profiles": {"bank": BANK, "hidden": list(HIDDEN)},
    "mixture": {"evidence": 0.8, "bone": 0.4, "offset": -1.0},
    "limits": {"seen_above": 0.5, "inferred_above": 0.2, "gap_above": 0.9},
    "provenance": {},
    "credits": [],
}


def wall(tilt: float = 0.3, side: int = 40) -> tuple[sitk.Image, sitk.Image, np.ndarray]:
    """Place and distance, at 0.5 mm, of a flat wall through the middle of a cube; and its normal."""
    normal = np.array([0.0, np.sin(tilt), np.cos(tilt)])
    z, y, x = (np.indices((side, side, side)) - side / 2) * 0.5 + 0.13
    away = (x * normal[0] + y * normal[1] + z * normal[2]).astype(np.float32)
    return image((np.abs(away) < 0.5).astype(np.float32)), image(np.clip(away, -2.5, 2.5)), normal


def image(array: np.ndarray, spacing_mm: float = 0.5) -> sitk.Image:
    found = sitk.GetImageFromArray(array)
    found.SetSpacing([spacing_mm] * 3)
    found.SetOrigin([-3.0, 5.0, 7.0])
    return found


def packaged(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _said: None, seed: int = 1) -> Path:
    """A package of random weights."""
    rng = np.random.default_rng(seed)
    shapes = walls.shapes(CHANNELS, BANK, HIDDEN)
    drawn = {name: rng.normal(0, 1 / np.sqrt(np.prod(shape[1:]) or 1), shape) for name, shape in shapes.items()}
    data = write_bf16({name: rounded_to_bf16(values) for name, values in drawn.items()})
    said = SAID | {"weights": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    said = json.loads(json.dumps(said))
    change(said)
    folder.mkdir()
    (folder / walls.WEIGHTS).write_bytes(data)
    (folder / walls.DESCRIPTION).write_text(json.dumps(said), "utf-8")
    return folder


def test_interpolation_is_linear_and_holds_the_border() -> None:
    z, y, x = np.indices((6, 7, 8))
    ramp = image((10 * x + 20 * y + 40 * z).astype(np.int16), 0.5)
    points = np.array([[-2.0, 6.0, 8.0], [-2.1, 6.35, 8.9], [-30.0, 5.0, 7.0], [0.5, 8.0, 90.0]])
    expected = [20 * 1 + 40 * 1 + 80 * 1, 10 * 1.8 + 20 * 2.7 + 40 * 3.8, 0, 70 + 120 + 200]
    assert linear(ramp, points) == pytest.approx(expected, abs=1e-3)


def test_the_sheet_lies_on_the_mid_surface_with_its_normal() -> None:
    place, distance, normal = wall()
    sheet = sheet_of(place, distance)
    assert len(sheet.points_mm) > 1200  # 40 x 40 columns, less the border
    inner = np.all((sheet.voxels > 5) & (sheet.voxels < 34), axis=1)
    away = linear(distance, sheet.points_mm[inner])
    assert np.abs(away).max() < 0.02
    assert (sheet.normals[inner] @ normal).min() > 0.999


@pytest.mark.slow
def test_evidence_is_asked_at_the_place_and_beside_it() -> None:
    place, distance, _ = wall()
    sheet = sheet_of(place, distance)
    bone = sitk.GetArrayFromImage(distance)
    ct = image(np.where(np.abs(bone - 0.4) < 0.3, 500, -100).astype(np.int16))  # 0.4 mm beyond the place
    middle = SAMPLES // 2
    asked = []

    def said(squares: np.ndarray) -> np.ndarray:
        asked.append(len(squares))
        bone = squares[..., middle].mean(axis=(1, 2)) / 100
        return np.stack([bone, 0.2 * bone, 0 * bone], axis=1)

    found = evidence_of(ct, sheet, said)
    alone = unrolled(ct, sheet.points_mm, sheet.normals, margin=0)[..., middle].mean(axis=(1, 2)) / 100
    inner = np.all((sheet.voxels > 8) & (sheet.voxels < 31), axis=1)
    assert np.median(found.bone[inner]) > np.median(alone[inner]) + 1
    assert found.thickness_mm == pytest.approx(np.maximum(0.2 * found.bone, 0), abs=0.2)
    assert found.deviation_mm == pytest.approx(1)
    assert max(asked) < 0.4 * len(sheet.points_mm)


def test_evidence_between_the_places_that_were_asked_is_that_around() -> None:
    """Bone on the left alone: a step in 4 mm at most, and level on both sides."""
    place, distance, _ = wall(tilt=0.0)
    sheet = sheet_of(place, distance)
    away = np.abs(sitk.GetArrayFromImage(distance))
    left = np.indices(away.shape)[2] < 20
    ct = image(np.where((away < 0.6) & left, 500, -100).astype(np.int16))

    def said(squares: np.ndarray) -> np.ndarray:
        bone = np.where(squares[:, 2, 2].max(axis=1) > 200, 6.0, -6.0)
        return np.stack([bone, bone, bone], axis=1)

    bone = evidence_of(ct, sheet, said).bone
    along = sheet.voxels[:, 2]
    assert (bone[(along > 3) & (along < 16)] > 5.9).all()
    assert (bone[(along > 24) & (along < 37)] < -5.9).all()


def test_evidence_against_bone_opens_a_hole_and_evidence_for_it_makes_one_voxel_of_wall() -> None:
    place, distance, _ = wall(tilt=0.0)
    sheet = sheet_of(place, distance)
    away = np.abs(sitk.GetArrayFromImage(distance))
    left = np.indices(away.shape)[2] < 20
    thin = image(np.where((away < 0.6) & left, 0.9, 0.01).astype(np.float32))  # bone on the left alone
    cortical = image(np.full(away.shape, 0.01, np.float32))
    of_left = sheet.voxels[:, 2] < 20
    evidence = np.where(of_left, -6.0, 6.0)
    both = mixed(cortical, thin, sheet, evidence, Mixture(1.0, 0.5, 0.0))
    field = sitk.GetArrayFromImage(both.thin)
    assert field[:, 20, 10].max() < 0.05
    assert field[:, 20, 30].max() > 0.95
    assert (field[:, 20, 30] > 0.5).sum() == (sheet.voxels[:, 1:] == [20, 30]).all(axis=1).sum() == 1
    assert sitk.GetArrayFromImage(both.cortical).max() < 0.02


def test_where_there_is_no_place_the_3d_network_stands() -> None:
    place, distance, _ = wall()
    thin = image(np.random.default_rng(1).random((40, 40, 40), np.float32) * 0.9 + 0.05)
    none = sheet_of(0 * place, distance)
    assert len(evidence_of(thin, none, lambda _squares: np.zeros((0, 3), np.float32)).bone) == 0
    both = mixed(0.5 * thin, thin, none, np.zeros(0), Mixture(1.0, 1.0, 0.0))
    assert len(none.points_mm) == 0
    assert sitk.GetArrayFromImage(both.thin) == pytest.approx(sitk.GetArrayFromImage(thin), abs=1e-5)


def test_what_no_skin_covers_is_no_bone() -> None:
    """A head of fat with bone in it, a fragment 3 mm below its skin, and a marker on it."""
    z, y, x = np.indices((20, 60, 60))
    head = np.hypot(y - 30, x - 30) < 22
    hu = np.where(head, -100, -1000)
    skull, fragment, marker = (
        (np.abs(x - at) < 3) & (np.abs(y - 30) < size) & (np.abs(z - 10) < 4)
        for at, size in ((30, 12), (44, 3), (54, 3))
    )
    hu[skull | fragment | marker] = 700
    scan = image(hu.astype(np.int16))
    bone = image((skull | fragment | marker).astype(np.float32))
    assert np.array_equal(uncovered(bone, scan), marker)
    dry = image(np.where(skull | fragment | marker, 700, -1000).astype(np.int16))
    assert not uncovered(bone, dry).any()
    assert not uncovered(0 * bone, scan).any()


def test_logits_and_probabilities() -> None:
    assert probability(logit(np.array([0.01, 0.5, 0.9]))) == pytest.approx([0.01, 0.5, 0.9], abs=1e-6)
    assert logit(np.array([0.0, 1.0])) == pytest.approx([-7, 7])


def test_bf16_is_what_was_rounded() -> None:
    rng = np.random.default_rng(3)
    values = {"b": rng.normal(0, 1, (3, 4)).astype(np.float32), "a": np.array([1.0, -2.5, 3e-8], np.float32)}
    rounded = {name: rounded_to_bf16(one) for name, one in values.items()}
    from OrbitalSegLib.networks import weights

    found = weights.read(write_bf16(rounded), {"a": (3,), "b": (3, 4)}, "BF16")
    for name, one in values.items():
        assert np.array_equal(found[name], rounded[name])
        assert found[name] == pytest.approx(one, rel=2**-8)
    with pytest.raises(weights.BadWeights, match="shapes"):
        weights.read(write_bf16(rounded), {"a": (3,), "b": (3, 4)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda said: said.pop("licence"), "licence"),
        (lambda said: said.update(format=2), "format"),
        (lambda said: said["limits"].update(inferred_above=0.6), "below seen_above"),
        (lambda said: said["volume"].update(channels=[4, 9]), "shapes"),
        (lambda said: said["weights"].update(sha256="0" * 64), "damaged"),
    ],
)
def test_a_package_that_contradicts_itself_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        walls.load(packaged(tmp_path / "bad", change))
    assert caught.value.code == "bad-model"


def test_another_folder_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose another method") as caught:
        walls.load(tmp_path)
    assert caught.value.code == "no-such-model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged(tmp_path_factory.mktemp("walls") / "tiny")


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    """A sheet of bone between fat and air, and noise."""
    z = np.indices((30, 30, 30))[0]
    hu = np.where(z < 15, -100, -1000)
    hu[(z >= 15) & (z < 18)] = 400
    noise = np.random.default_rng(2).normal(0, 20, hu.shape)
    return image((hu + noise).astype(np.int16), 0.8)


def segmented(ct: sitk.Image, folder: Path, region: Region | None = None, **parameters: float) -> Any:
    pytest.importorskip("openvino")
    method = METHODS["walls"]
    task = Task(ct, region or Region(), Resources(model=folder, threads=1, precision="fp32"))
    return method.run(task, method.make_parameters(parameters), silent)


@pytest.mark.slow
def test_the_method_gives_bone_inferred_wall_and_gaps_that_are_never_bone(ct: sitk.Image, folder: Path) -> None:
    found = segmented(ct, folder, thin_above=0.5, inferred_above=0.3, gap_above=0.6)
    masks = found.classes(found.bone)
    assert set(masks) == {"bone", "cortical", "thin", "inferred", "gap"}
    bone, gap = (sitk.GetArrayFromImage(masks[name]) for name in ("bone", "gap"))
    assert bone.any()
    assert gap.any()
    assert not (bone & gap).any()
    assert found.parameters == {
        "cortical_above": 0.5, "thin_above": 0.5, "gap_above": 0.6, "inferred_above": 0.3,
    }  # fmt: skip
    assert found.measured["model"]["name"] == "tiny-walls"
    assert not METHODS["walls"].describe()[0]["default"]
    own = found.on_scan(masks)["gap"]
    assert own.GetSize() == ct.GetSize()


@pytest.mark.slow
def test_a_result_has_maps_of_thickness_and_a_result_made_of_it_keeps_them(
    ct: sitk.Image, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    limits = {"cortical_above": 0.5, "thin_above": 0.5, "inferred_above": 0.01, "gap_above": 0.9}
    job = {"contract": CONTRACT, "task": "segment", "input": str(tmp_path / "ct.nrrd"), "region": "whole"}
    job |= {"method": "walls", "model": str(folder), "threads": 1, "parameters": limits}
    lines: list[Any] = []
    assert worker.run(job | {"output": str(tmp_path / "one")}, lines.append) == 0, lines[-1]
    again = {
        "output": str(tmp_path / "two"),
        "record": str(tmp_path / "one"),
        "parameters": limits | {"thin_above": 0.6},
    }
    assert worker.run(job | again, lines.append) == 0, lines[-1]
    thickness, deviation = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"one/map-{name}.nrrd")))
        for name in ("wall-thickness", "wall-thickness-deviation")
    )
    assert (thickness > 0).any()
    assert (deviation[thickness > 0] > 0).all()
    for name in ("wall-thickness", "wall-thickness-deviation"):
        one, two = ((tmp_path / where / f"map-{name}.nrrd").read_bytes() for where in ("one", "two"))
        assert one == two


def test_the_same_scan_gives_the_same_voxels(ct: sitk.Image, folder: Path) -> None:
    one, other = (segmented(ct, folder).probabilities for _ in range(2))
    for name, field in one.items():
        assert np.array_equal(sitk.GetArrayFromImage(field), sitk.GetArrayFromImage(other[name]))


def test_the_limit_of_inferred_wall_is_the_lower_one(ct: sitk.Image, folder: Path) -> None:
    with pytest.raises(JobError, match="must not be above"):
        segmented(ct, folder, thin_above=0.4, inferred_above=0.6)


def test_engines_that_cannot_run_it_are_refused(ct: sitk.Image, folder: Path) -> None:
    method = METHODS["walls"]
    task = Task(ct, Region(), Resources(model=folder, engine="torch"))
    with pytest.raises(InputError, match="OpenVINO on the processor") as caught:
        method.run(task, method.make_parameters({}), silent)
    assert caught.value.code == "no-engine"


@pytest.mark.slow
def test_parts_of_a_large_grid_answer_as_the_whole_does(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The networks of the test see 8 voxels to each side: a halo of 32 shows them all there is."""
    pytest.importorskip("openvino")
    from OrbitalSegLib.methods import walls as method

    hu = np.random.default_rng(5).normal(0, 300, (20, 20, 90)).astype(np.int16)
    scan = image(hu, 1.0)
    whole = segmented(scan, folder).probabilities["cortical"]
    monkeypatch.setattr(method, "PART_VOXELS", 40 * 40 * 130)
    parts = segmented(scan, folder).probabilities["cortical"]
    apart = sitk.GetArrayFromImage(whole).astype(int) - sitk.GetArrayFromImage(parts)
    assert whole.GetSize()[0] > 150
    assert np.abs(apart).max() <= 1


def blurred_wall(thickness_mm: float) -> np.ndarray:
    """A square of profiles from fat into air through so much bone, as a sharp scanner shows it."""
    fine = np.arange(-6, 6, 0.05)
    hu = np.where(fine < 0, -100.0, -1000.0)
    hu[np.abs(fine) < thickness_mm / 2] = 800
    spread = np.exp(-(np.arange(-2, 2.01, 0.05) ** 2) / (2 * 0.4**2))
    along = np.interp((np.arange(SAMPLES) - SAMPLES // 2) * 0.25, fine, np.convolve(hu, spread / spread.sum(), "same"))
    noise = np.random.default_rng(4).normal(0, 15, (1, 5, 5, SAMPLES))
    return along + noise


def test_the_shipped_package_tells_bone_from_none_and_how_thick_it_is() -> None:
    shipped = walls.load()
    assert walls.load("orbital-bone-2").sha256 == shipped.sha256
    assert shipped.describe()["name"] == walls.DEFAULT
    asked = walls.ProfileNetwork(shipped.of("profiles"))
    answers = {mm: asked(blurred_wall(mm))[0] for mm in (0.0, 0.3, 0.6)}
    assert answers[0.0][0] < 0  # 0.1 mm of bone would look no other
    assert answers[0.3][0] > 1
    assert answers[0.6][0] > answers[0.3][0]
    assert answers[0.3][1] == pytest.approx(0.3, abs=0.15)
    assert answers[0.6][1] == pytest.approx(0.6, abs=0.2)
