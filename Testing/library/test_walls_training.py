"""Learning where walls belong and what of them is seen: labels that know of no holes, endless heads, steps that come
again, and two tiny networks that learn."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk
import torch
from tiny_template import two_boxes

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.export import NotEqual
from OrbitalSegLib.networks.sheet import Mixture, probability
from OrbitalSegLib.networks.unrolling import DEPTH_MM, unrolled
from OrbitalSegLib.networks.walls import ANSWERS, ProfileNetwork
from OrbitalSegLib.training.synthesis import synthesize
from OrbitalSegLib.training.synthesis.settings import FilledSinuses, Markers
from OrbitalSegLib.training.templates.template import write_template
from OrbitalSegLib.training.walls import config, heads, mixing, packing, pieces
from OrbitalSegLib.training.walls.asking import EvidenceAsked, VolumeAsked, placed
from OrbitalSegLib.training.walls.evidence import EvidenceLesson
from OrbitalSegLib.training.walls.training import LAST, identity_of, train
from OrbitalSegLib.training.walls.volume import VolumeLesson, changed

pytestmark = [pytest.mark.learn, pytest.mark.slow]

STILL = {
    "size_mm": [28.0, 28.0, 34.0],
    "centre": "right",
    "offset_mm": [0.0, 0.0],
    "far_share": 0.0,
    "rotation_degrees": [0.0, 0.0],
    "nod_degrees": [0.0, 0.0],
    "scale": [1.0, 1.0],
    "deformation_mm": [0.0, 0.0],
    "ripple_mm": [0.0, 0.0],
    "mirror_share": 0.0,
    "narrow_view_share": 0.0,
    "metal_share": 0.0,
    "fracture_share": 1.0,
    "holes": [1, 1],
    "hole_mm": [8.0, 8.0],
    "noise_hu": [4.0, 4.0],
    "slice_mm": [0.5, 0.5],
    "pixel_mm": [0.5, 0.5],
}
"""A flat wall at z = 0, where the template has it, with a hole of 8 mm."""

TINY = config.Walls(
    seed=3,
    heads=config.Heads(("two-boxes",), steps_each=8, in_use=2, ahead=1, settings=STILL),
    volume=config.Volume(
        (8, 16), patch=32, batch=2, offset=6, places={"place": 0.6, "hole": 0.4}, rate=config.Rate(1e-2, 5)
    ),
    evidence=config.Evidence(16, (32,), batch=64, pieces=2, rate=config.Rate(1e-2, 5)),
    average=0.8,
    checkpoint_steps=2,
)


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    write_template(two_boxes(), folder / "two-boxes")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, templates: Path) -> Path:
    """A folder with the heads of the first steps."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("walls")
    heads.make(TINY, templates, folder, wait=False)
    return folder


def copy_of(made: Path, folder: Path) -> Path:
    (folder / "heads").mkdir(parents=True)
    for path in (made / "heads").iterdir():
        (folder / "heads" / path.name).hardlink_to(path)
    return folder


def test_the_shipped_configuration_is_read(tmp_path: Path) -> None:
    walls = config.load(Path(config.__file__).with_name("walls.toml"))
    settings = heads.settings_of(walls.heads)
    assert settings.wall_mm == tuple(walls.heads.settings["wall_mm"])
    assert settings.filled == FilledSinuses(walls.heads.settings["filled"]["share"])
    assert settings.markers == Markers(walls.heads.settings["markers"]["share"])
    assert "visible-human" not in walls.heads.templates
    bad = tmp_path / "bad.toml"
    bad.write_text("seed = 1\n[heads]\ntemplates = ['skull']\nsteps_eech = 3\n", "utf-8")
    with pytest.raises(InputError, match=r"heads\.steps_eech"):
        config.load(bad)


def test_a_place_knows_of_no_holes_and_its_distance_has_a_side() -> None:
    settings = heads.settings_of(TINY.heads)
    whole, broken = (
        heads.pack(synthesize(two_boxes(), 4, replace(settings, fracture_share=share)), np.random.default_rng(1))
        for share in (0.0, 1.0)
    )
    place, same = ((head.label & heads.FLAGS["place"]) > 0 for head in (whole, broken))
    hole = (broken.label & heads.FLAGS["hole"]) > 0
    assert hole.sum() > 100
    assert not (whole.label & heads.FLAGS["hole"]).any()
    assert (same & hole).sum() > 100
    assert (place ^ same).sum() < 0.02 * place.sum()
    known = whole.distance != 127
    z = np.arange(whole.hu.shape[0])[:, None, None] * 0.5 - (settings.size_mm[2] - 0.5) / 2
    centred = z + 10.5  # the floor, 10.5 mm below the middle
    middle = known & (np.abs(centred) < 2)
    middle[:, :10] = middle[:, -10:] = middle[:, :, :10] = middle[:, :, -10:] = False
    said = whole.distance * heads.STORED_MM
    assert middle.sum() > 5000
    assert np.abs(said + centred)[middle].max() < 0.4  # the orbit lies above the wall
    assert np.median(np.abs(said + centred)[middle]) < 0.15


def test_half_of_a_broken_heads_profiles_lie_in_its_hole(made: Path) -> None:
    head = heads.read(heads.path_of(made, 0))
    assert 0.1 < (head.thickness_mm == 0).mean() <= 0.5
    assert head.profiles.shape == (len(head.thickness_mm), 5, 5, 41)
    orbit, sinus = head.profiles[..., :4].mean(), head.profiles[..., -4:].mean()
    assert orbit > sinus + 50  # from the orbit outwards


def test_profiles_run_along_the_normal() -> None:
    z = np.arange(60)[:, None, None] * 0.5
    ct = sitk.GetImageFromArray(np.broadcast_to(z * 10, (60, 40, 40)).astype(np.int16))
    ct.SetSpacing([0.5] * 3)
    square = unrolled(ct, np.array([[10.0, 10.0, 15.0]]), np.array([[0.0, 0.0, -1.0]]))[0]
    assert np.ptp(square, axis=(0, 1)).max() <= 1  # HU, by rounding
    assert square[0, 0, 20] == 150
    assert np.diff(square[0, 0]).mean() == pytest.approx(-10 * DEPTH_MM, abs=0.02)


def test_contrast_changes_tissue_and_leaves_air() -> None:
    hu = np.array([-1000.0, -950.0, -100.0, 40.0, 300.0], np.float32)
    noiseless = [values for values in (changed(hu, np.random.default_rng(n)) for n in range(60)) if values[0] == hu[0]]
    assert len(noiseless) > 20
    assert all(np.array_equal(values[:2], hu[:2]) for values in noiseless)
    assert any(abs(values[4] - hu[4]) > 5 for values in noiseless)


def test_heads_come_and_go_with_the_steps(tmp_path: Path, made: Path, templates: Path) -> None:
    assert heads.window(TINY.heads, 0) == range(1)
    assert heads.window(TINY.heads, 8) == range(2)
    assert heads.window(TINY.heads, 40) == range(4, 6)
    folder = copy_of(made, tmp_path)
    (folder / "volume").mkdir()
    (folder / "volume" / "progress.json").write_text('{"step": 20, "heads_step": 20}', "utf-8")
    heads.make(TINY, templates, folder, wait=False)
    assert sorted(path.name for path in (folder / "heads").iterdir()) == [
        "0000001.npz",
        "0000002.npz",
        "0000003.npz",
    ]


@pytest.mark.parametrize("lesson", [VolumeLesson, EvidenceLesson])
def test_a_training_that_was_stopped_goes_on_bit_by_bit(
    lesson: type[VolumeLesson | EvidenceLesson], tmp_path: Path, made: Path
) -> None:
    once, twice = copy_of(made, tmp_path / "once"), copy_of(made, tmp_path / "twice")
    assert train(TINY, lesson(TINY), once, 4, silent) == 4
    train(TINY, lesson(TINY), twice, 2, silent)
    asked = iter([False, False])
    assert train(TINY, lesson(TINY), twice, 2, silent, stop=lambda: next(asked, True)) == 3  # lost with its process
    others = replace(
        TINY,
        heads=replace(TINY.heads, settings={}),
        volume=replace(TINY.volume, places={"place": 1.0}),
        evidence=replace(TINY.evidence, drawn_share=0.25),
    )
    assert identity_of(others, lesson(others)) == identity_of(TINY, lesson(TINY))
    assert train(TINY, lesson(TINY), twice, 2, silent) == 4
    states = [torch.load(folder / lesson.name / LAST, weights_only=True) for folder in (once, twice)]
    for part in ("model", "average"):
        assert all(torch.equal(states[0][part][name], value) for name, value in states[1][part].items())
    tables = [(folder / lesson.name / "losses.csv").read_text().splitlines() for folder in (once, twice)]
    assert [len(table) for table in tables] == [3, 3]
    other = replace(TINY, average=0.5)
    with pytest.raises(InputError, match="other numbers"):
        train(other, lesson(other), once, 2, silent)


def test_a_tiny_network_finds_the_place_of_a_hole(tmp_path: Path, made: Path) -> None:
    folder = copy_of(made, tmp_path)
    train(TINY, VolumeLesson(TINY), folder, 16, silent)
    case = synthesize(two_boxes(), 900, heads.settings_of(TINY.heads))
    points = heads.judged(case.walls, case)
    said = VolumeAsked(TINY, folder).of(case.working_ct)
    found = placed(said, points.points_mm, points.normals)
    hole = points.hole != 0
    assert hole.sum() > 50
    assert found.there[hole].mean() > 0.8
    assert np.median(np.abs(found.offset_mm[found.there])) < 0.4


def test_a_place_is_found_between_voxels() -> None:
    z = (np.arange(24)[:, None, None] * 0.5 - 6.13) + np.zeros((24, 24, 24))
    said = {"distance": z.astype(np.float32), "place": (np.abs(z) < 0.5).astype(np.float32)}
    images = {name: sitk.GetImageFromArray(values) for name, values in said.items()}
    for image in images.values():
        image.SetSpacing([0.5] * 3)
    points = np.array([[6.0, 6.0, 5.5], [6.0, 6.0, 2.0]])
    found = placed(images, points, np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    assert found.there.tolist() == [True, False]
    assert found.offset_mm[0] == pytest.approx(0.63, abs=0.02)
    assert found.normals[0] == pytest.approx([0, 0, 1], abs=0.01)


def test_a_drawn_piece_is_bone_where_it_says_so() -> None:
    walls, holes = [], []
    for seed in range(12):
        piece = pieces.drawn(seed, 200)
        assert np.abs(np.linalg.norm(piece.normals, axis=1) - 1).max() < 1e-4
        middle = unrolled(piece.ct, piece.points_mm, piece.normals)[:, 2, 2, 17:24].max(axis=1)
        walls += middle[piece.thickness_mm > 0.9].tolist()
        holes += middle[piece.thickness_mm == 0].tolist()
    assert len(walls) > 100
    assert len(holes) > 100
    assert np.median(walls) > np.median(holes) + 200


def test_a_tiny_network_tells_wall_from_hole(tmp_path: Path, made: Path) -> None:
    train(TINY, EvidenceLesson(TINY), copy_of(made, tmp_path), 16, silent)
    asked = EvidenceAsked(TINY, tmp_path)
    walls, holes = [], []
    for seed in range(1000, 1010):
        piece = pieces.drawn(seed, 100)
        said = asked.of(piece.ct, piece.points_mm, piece.normals)
        walls.append(said.bone[piece.thickness_mm > 0.6])
        holes.append(said.bone[piece.thickness_mm == 0])
    wall, hole = np.concatenate(walls), np.concatenate(holes)
    assert (wall[:, None] > hole).mean() > 0.85
    away = piece.points_mm + 1.5 * piece.normals
    known, searched = (asked.of(piece.ct, away, piece.normals, search=search).bone for search in (False, True))
    assert (searched >= known).all()
    assert (searched >= said.bone - 0.01).all()


def test_a_package_gives_what_was_trained(tmp_path: Path, made: Path) -> None:
    """Weights are rounded to bf16, and neither network needs torch any more."""
    pytest.importorskip("openvino")
    folder = copy_of(made, tmp_path / "work")
    for lesson in (VolumeLesson(TINY), EvidenceLesson(TINY)):
        train(TINY, lesson, folder, 2, silent)
    stated = {"name": "tiny", "version": "1", "licence": "Apache-2.0", "intended_use": "Tests.", "credits": []}
    limits = {"seen_above": 0.5, "inferred_above": 0.2, "gap_above": 0.9}
    written = [
        packing.write_package(tmp_path / name, TINY, folder, Mixture(1.0, 0.5, -1.0), limits, stated)
        for name in ("one", "two")
    ]
    assert written[0].describe() == written[1].describe()
    case = synthesize(two_boxes(), 900, heads.settings_of(TINY.heads))
    from OrbitalSegLib.networks.engines.volumes import VolumeEngine

    volume = VolumeEngine(written[0].channels, written[0].of("volume"), "fp32", threads=1)
    said = volume.answers(sitk.GetArrayFromImage(case.working_ct))
    wanted = VolumeAsked(TINY, folder).of(case.working_ct)
    for number, name in enumerate(ANSWERS):
        found = said[number] if name == "distance" else probability(said[number])
        assert np.abs(found - sitk.GetArrayFromImage(wanted[name])).mean() < 0.02, name  # both in bf16, there
    head = heads.read(heads.path_of(made, 0))
    squares = head.profiles[..., 6:-6]
    answers = ProfileNetwork(written[0].of("profiles"))(squares)
    assert answers == pytest.approx(EvidenceAsked(TINY, folder).answers(squares), abs=0.05)
    spoilt = VolumeLesson(TINY)
    with pytest.raises(NotEqual, match="places"):
        packing.prove_equal(written[0], spoilt, EvidenceLesson(TINY))


def test_what_evidence_and_bone_count_is_found_again() -> None:
    rng = np.random.default_rng(1)
    evidence, bone = rng.normal(0, 2, (2, 20_000))
    true = Mixture(1.2, 0.4, -0.3)
    hole = rng.random(20_000) > probability(true.of(evidence, bone))
    there = np.arange(20_000) < 15_000
    hole[~there] = rng.random(5000) < 0.5  # where there is no place, evidence says nothing
    points = mixing.Points(there, evidence, bone, hole, np.ones(20_000))
    found = mixing.fitted(points)
    limits = mixing.limits_of(points, found)
    said = probability(points.said(found))
    assert (said[hole] > limits["seen_above"]).mean() == pytest.approx(0.05, abs=0.01)
    assert (said[hole] > limits["inferred_above"]).mean() == pytest.approx(0.20, abs=0.01)
    assert (said[there & ~hole] < 1 - limits["gap_above"]).mean() == pytest.approx(0.01, abs=0.002)
    assert found.evidence == pytest.approx(1.2, abs=0.06)
    assert found.bone == pytest.approx(0.4, abs=0.04)


def test_walls_are_counted_where_so_much_of_hole_area_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import walls

    hole = np.arange(40) < 20
    said = {"place found": np.concatenate([np.linspace(0.1, 0.8, 20), np.linspace(0.41, 1.0, 20)]), "hole": hole}
    area = np.ones(40)
    assert walls.limit_at(said["place found"][hole], area[hole], 0.05) == pytest.approx(np.linspace(0.1, 0.8, 20)[18])
    strict, loose = (walls.closed_at(said, "place found", area, share, ~hole) for share in (0.05, 0.2))
    assert strict == (said["place found"][20:] > np.linspace(0.1, 0.8, 20)[18]).mean()
    assert loose > strict
    told = walls.answers(np.array([0.9, 0.5, 0.1, 0.1]), np.array([0.9, 0.9, 0.9, 0.2]), (0.7, 0.3, 0.5))
    assert told.tolist() == ["seen", "inferred", "gap", "none of them"]
