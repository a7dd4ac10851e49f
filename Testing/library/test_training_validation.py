"""Which checkpoint is good: walls and holes together, limits, calibration; and the eight steps to a choice."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.evaluation import coverage
from OrbitalSegLib.evaluation.reliability import Samples
from OrbitalSegLib.evaluation.wall_points import Wall, WallPoints
from OrbitalSegLib.evaluation.walls import crosses, wall_figures
from OrbitalSegLib.networks import package
from OrbitalSegLib.networks.package import Calibration, Package
from OrbitalSegLib.networks.unet import UNet
from OrbitalSegLib.training import config, dataset, finetune, presets, selection, validation
from OrbitalSegLib.training.cases import Case, write_case
from OrbitalSegLib.training.dataset import collect
from OrbitalSegLib.training.validation import ChosenLimits, Peaks

pytestmark = pytest.mark.learn

TINY = config.parse(
    {
        "name": "tiny",
        "networks": {"cortical": ["cortical"], "thin": ["thin"], "single": ["bone"]},
        "channels": [4, 8],
        "patch": 16,
        "batch": 4,
        "steps": 8,
        "precision": "fp32",
        "sampling": {"places": {"wall": 0.6, "hole": 0.2, "anywhere": 0.2}, "offset": 4},
    }
)
SHAPE = (24, 22, 20)
MM = 0.5


def image(array: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing([MM] * 3)
    return made


def case_with_a_wall(seed: int, template: str = "sheet") -> Case:
    """A horizontal sheet at y = 5.25 mm, bright below z = 6 mm and faint above, with a hole at 3 to 8 mm each way."""
    rng = np.random.default_rng(seed)
    z, _, x = np.indices(SHAPE) * MM
    sheet = np.zeros(SHAPE, bool)
    sheet[:, 10:12] = True
    hole = sheet & (x > 3) & (x < 7) & (z > 7) & (z < 11)
    clean = np.where(sheet & ~hole, np.where(z < 6, 700, 150), -60).astype(np.int16)
    clean[:, :6] = -1000
    noisy = (clean + rng.normal(0, 10, SHAPE)).astype(np.int16)
    label = (sheet & ~hole) * 1 + hole * 2
    label[:, 7:15] += 4
    zs, xs = (a.ravel() for a in np.meshgrid(np.arange(0.5, 11, 0.5), np.arange(0.5, 9, 0.5), indexing="ij"))
    in_hole = (xs > 3) & (xs < 7) & (zs > 7) & (zs < 11)
    n = len(xs)
    points = WallPoints(
        points_mm=np.stack([xs, np.full(n, 5.25), zs], axis=1),
        normals=np.tile([0.0, 1.0, 0.0], (n, 1)),
        wall=np.full(n, int(Wall.FLOOR)),
        side=np.zeros(n, int),
        thickness_mm=np.where(in_hole, 0, np.where(zs < 6, 0.8, 0.25)),
        hole=in_hole.astype(np.uint8),
        depth_mm=np.where(in_hole, np.minimum(2 - abs(xs - 5), 2 - abs(zs - 9)), -1.0),
        area_mm2=np.full(n, 0.25),
    )
    facts = {"template": template, "seed": seed}
    return Case(image(noisy), image(noisy), image(clean), image(label.astype(np.uint8)), points, facts)


class Knowing:
    """An engine that gives a probability by the grey value."""

    name, precision, device, threads = "knowing", "fp32", "cpu", 1

    def __init__(self, table: dict[tuple[int, int], float]) -> None:
        self.table = table

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        result = np.zeros(slices.shape, np.float32)
        for (low, high), value in self.table.items():
            result[(slices >= low) & (slices < high)] = value
        return result


CORTICAL = Knowing({(255, 256): 0.9, (60, 90): 0.02})
THIN = Knowing({(150, 220): 0.7, (60, 90): 0.2})  # bone of 150 HU; fat of -60 HU


def peaks_of(walls: list[float], holes: list[float], name: str = "thin") -> Peaks:
    said = np.array([*walls, *holes], np.float32)
    hole = np.arange(len(said)) >= len(walls)
    return Peaks({name: said}, np.where(hole, 0, 0.5), hole, np.ones(len(said)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    write_case(case_with_a_wall(0), tmp_path / "data" / "sheet-0")
    return tmp_path / "data"


def test_a_case_is_judged_by_walls_by_holes_and_by_its_labels(data: Path) -> None:
    row, limits = validation.validate({"cortical": CORTICAL, "thin": THIN}, TINY, collect(data))
    assert 0 < limits.inferred <= limits.seen < 0.9
    assert list(limits.calibration) == ["cortical", "thin"]
    assert row["seen_walls_closed"] == 1
    assert row["seen_walls_closed_thick"] == 1
    assert row["seen_walls_closed_from_0.2_mm"] == 1
    assert math.isnan(row["seen_walls_closed_from_0.3_mm"])
    assert row["seen_holes_closed"] == 0
    assert row["dice_cortical"] == 1
    assert row["dice_thin"] == pytest.approx(1, abs=0.02)
    assert row["score"] == 1


def test_limits_that_are_given_are_kept_with_their_calibration(data: Path) -> None:
    given = ChosenLimits(0.4, 0.3, {"cortical": Calibration(1.0, 0.0), "thin": Calibration(1.0, -3.0)})
    row, limits = validation.validate({"cortical": CORTICAL, "thin": THIN}, TINY, collect(data), limits=given)
    assert limits is given
    assert row["seen_walls_closed_thick"] == 1  # by the cortical network
    assert row["seen_walls_closed_from_0.2_mm"] == 0  # the thin one says 0.7, which is 0.1


def test_highest_probabilities_agree_with_what_a_mask_closes() -> None:
    case = case_with_a_wall(3)
    rng = np.random.default_rng(0)
    probability = image(rng.random(SHAPE).astype(np.float32) ** 4)
    peaks = validation.find_peaks(case.walls, {"thin": probability})
    judged_at = (case.walls.hole == 0) | (case.walls.depth_mm > 0.5)
    for limit in (0.2, 0.5, 0.8):
        mask = validation.mask_above({"thin": probability}, {"thin": limit})
        assert np.array_equal(peaks.probability["thin"] > limit, crosses(case.walls, mask)[judged_at])
        figures = wall_figures(case.walls, mask)
        assert peaks.closed({"thin": limit}, ~peaks.hole) == pytest.approx(figures.intact["thin"].share)
        assert peaks.closed({"thin": limit}, peaks.hole) == pytest.approx(figures.holes["thin"].share)


PLAIN = {"thin": Calibration(1.0, 0.0)}


def test_limits_are_the_lowest_that_leave_holes_open() -> None:
    walls = [0.9] * 50 + [0.6] * 40 + [0.3] * 10
    holes = [0.705] * 4 + [0.505] * 10 + [0.305] * 86
    limits = validation.choose_limits([peaks_of(walls, holes)], [], PLAIN)
    assert limits == ChosenLimits(0.51, 0.31, PLAIN)


def test_every_case_with_a_hole_counts_alike() -> None:
    """However large its holes are; the case without any does not count."""
    large, small = peaks_of([0.9], [0.205] * 97 + [0.605] * 3), peaks_of([0.9], [0.405] * 9 + [0.805])
    limits = validation.choose_limits([large, small, peaks_of([0.9], [])], [], PLAIN)
    assert limits.seen == 0.61  # 0.10 of the small case alone is 0.05 in the mean
    assert limits.inferred == 0.41


@given(st.integers(0, 10_000))
def test_limits_never_close_more_hole_than_allowed_and_none_lower_would_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hole = rng.random(200) < 0.4
    said = {name: np.where(hole, rng.random(200) ** 2, rng.random(200)).astype(np.float32) for name in ("a", "b")}
    peaks = Peaks(said, np.ones(200), hole, rng.random(200))
    limits = validation.choose_limits([peaks], [], dict.fromkeys("ab", Calibration(1.0, 0.0)))
    assert limits.inferred <= limits.seen

    def closed(seen: float, inferred: float) -> float:
        return peaks.closed({"a": seen, "b": min(seen, inferred)}, hole)

    assert closed(limits.seen, 1) <= validation.SEEN_HOLES or limits.seen == validation.LIMITS[-1]
    assert limits.seen == validation.LIMITS[0] or closed(limits.seen - 0.01, 1) > validation.SEEN_HOLES
    assert closed(limits.seen, limits.inferred) <= validation.INFERRED_HOLES or limits.seen == validation.LIMITS[-1]


def test_without_a_hole_limits_are_the_plain_ones() -> None:
    assert validation.choose_limits([peaks_of([0.9], [])], [], PLAIN) == ChosenLimits(0.5, 0.25, PLAIN)


def test_limits_rise_until_no_real_scan_leaks() -> None:
    """A head of soft tissue with a bright bone inside: what is seen leaks into tissue, what is inferred into skin."""
    hu = np.full((40, 40, 40), -1000, np.int16)
    hu[4:36, 4:36, 4:36] = 50
    hu[15:25, 15:25, 15:25] = 800
    ct = image(hu)
    box = [0.0, 20.0, 0.0, 20.0, 0.0, 20.0]
    real = validation.RealScan("head", ct, box, coverage.find_sites(ct, box))
    said = np.zeros(hu.shape, np.float32)
    said[hu == 800] = 0.95
    said[4:36, 4:36, 4:6] = 0.305  # skin
    said[10:14, 10:14, 10:14] = 0.605  # soft tissue
    covered = validation.Covered(real, {"thin": image(said)})
    holes = [peaks_of([0.9], [0.1])]
    assert validation.choose_limits(holes, [], PLAIN) == ChosenLimits(0.11, 0.11, PLAIN)
    limits = validation.choose_limits(holes, [covered], PLAIN)
    assert limits == ChosenLimits(0.61, 0.31, PLAIN)


def test_the_calibration_finds_what_moved_the_odds() -> None:
    rng = np.random.default_rng(1)
    true_logit = rng.normal(0, 2, 40_000)
    true = rng.random(len(true_logit)) < 1 / (1 + np.exp(-true_logit))
    said = 1 / (1 + np.exp(-(true_logit - 1) / 2))  # half as sure as it could be, and moved
    fitted = validation.fit_calibration(Samples(said, true, ~true), hole_share=float((~true).mean()))
    assert fitted.slope == pytest.approx(2, abs=0.1)
    assert fitted.offset == pytest.approx(1, abs=0.1)


def test_a_calibration_without_samples_changes_nothing() -> None:
    none = np.zeros(0)
    fitted = validation.fit_calibration(Samples(none, none > 0, none > 0))
    assert (fitted.slope, fitted.offset) == (1, 0)


def test_the_score_counts_real_coverage_and_takes_off_for_leaks() -> None:
    row = {"seen_walls_closed": 0.8, "seen_walls_closed_thick": 0.9, "dice_thin": 0.1}
    assert validation.score(row) == pytest.approx(0.85)
    row["scan_seen_coverage"] = 0.4
    assert validation.score(row) == pytest.approx(0.7)
    assert validation.score({**row, "scan_seen_fat": 0.01}) == pytest.approx(0.7)
    assert validation.score({**row, "scan_seen_fat": 0.03}) == pytest.approx(0.6)
    assert validation.score({**row, "scan_seen_or_inferred_fat": 0.9}) == pytest.approx(0.7)


def test_real_scans_are_covered_on_their_own_box(data: Path) -> None:
    ct = image(np.pad(sitk.GetArrayFromImage(case_with_a_wall(0).ct), 8, constant_values=-1000))
    box = [2.0, 12.0, 2.0, 14.0, 2.0, 14.0]
    real = validation.RealScan("sheet", ct, box, coverage.find_sites(ct, box))
    row, _ = validation.validate({"cortical": CORTICAL, "thin": THIN}, TINY, collect(data), [real])
    assert {"sheet_seen_coverage", "sheet_seen_or_inferred_skin", "sheet_seen_fat"} <= set(row)


def test_the_steps_that_every_network_kept_are_judged(tmp_path: Path) -> None:
    for network, steps in {"thin": (1000, 2000, 3000), "cortical": (1000, 3000, 4000)}.items():
        (tmp_path / network).mkdir()
        for step in steps:
            (tmp_path / network / f"weights-{step:06d}.pt").touch()
    assert validation.steps_of(tmp_path, ["thin", "cortical"]) == [1000, 3000]


def test_a_checkpoint_runs_as_an_engine_like_the_model_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = UNet((4, 8)).eval()
    torch.save(model.state_dict(), tmp_path / "weights-000001.pt")
    slices = np.random.default_rng(0).integers(0, 255, (2, 32, 32)).astype(np.uint8)
    found = validation.engine_of(tmp_path / "weights-000001.pt", (4, 8)).probabilities(slices)
    with torch.no_grad():
        wanted = model(torch.from_numpy(slices)[:, None].float() / 255).softmax(1)[:, 1]
    assert np.abs(found - wanted.numpy()).max() < 0.03  # bf16


@pytest.fixture
def three_sets(tmp_path: Path) -> selection.Selection:
    folders = {}
    for number, name in enumerate(("training", "validation", "test")):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        write_case(case_with_a_wall(number, f"template-{number}"), folders[name] / f"case-{number}")
    for name, rate in (("slow", 1e-4), ("quick", 1e-2)):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\nchannels = [4, 8]\npatch = 16\nbatch = 4\nprecision = "fp32"\n'
            f'[networks]\nsingle = ["bone"]\n[schedule]\nlearning_rate = {rate}\nwarm_up_steps = 2\n'
            "[sampling]\noffset = 4\nplaces = { wall = 0.7, anywhere = 0.3 }\n"
        )
    (tmp_path / "selection.toml").write_text(
        f'candidates = ["{tmp_path / "slow.toml"}", "{tmp_path / "quick.toml"}"]\nnetworks = ["single"]\nsteps = 25\n'
        'training = "training"\nvalidation = "validation"\ntest = "test"\n'
    )
    return selection.load(tmp_path / "selection.toml")


@pytest.mark.slow
def test_the_eight_steps_choose_the_better_and_open_the_test_set_once(
    three_sets: selection.Selection, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    found = selection.select(three_sets, tmp_path / "out")
    assert found is not None
    scores = {Path(name).stem: row["score"] for name, row in found["validation"].items()}
    assert scores["quick"] > scores["slow"]
    assert Path(found["chosen"]).stem == "quick"
    assert found["test_opened_before"] == 0
    assert 0 <= found["test"]["dice_single"] <= 1
    assert json.loads((tmp_path / "out" / "selection.json").read_text())["chosen"] == found["chosen"]
    final = torch.load(tmp_path / "out" / "quick-final" / "single" / "last.pt", weights_only=True)
    assert final["cases"] == ["case-0", "case-1"]  # training and validation, never test

    with pytest.raises(InputError, match="opened before") as caught:
        selection.select(three_sets, tmp_path / "out")
    assert caught.value.code == "test-opened"
    second = selection.select(three_sets, tmp_path / "out", again=True)
    assert second is not None
    assert second["test_opened_before"] == 1
    assert second["test"] == found["test"]


def test_a_selection_whose_sets_share_a_template_is_refused(three_sets: selection.Selection, tmp_path: Path) -> None:
    write_case(case_with_a_wall(9, "template-0"), three_sets.test / "case-9")
    with pytest.raises(InputError, match="template") as caught:
        selection.select(three_sets, tmp_path / "out")
    assert caught.value.code == "sides-share"
    assert not (three_sets.test / selection.LOCK).exists()


@pytest.mark.slow
def test_a_package_is_trained_further_on_own_data(tiny_package: Package, tmp_path: Path) -> None:
    for number, name in enumerate(("own", "held-out")):
        (tmp_path / name).mkdir()
        write_case(case_with_a_wall(number, f"template-{number}"), tmp_path / name / f"case-{number}")
    how = dataclasses.replace(presets.load("finetune"), steps=2, batch=2, patch=32, precision="fp32")
    sides = finetune.sides_of(dataset.collect(tmp_path / "own"), tmp_path / "held-out", tmp_path / "out")
    made = finetune.finetune(tiny_package, how, sides, tmp_path / "out")
    assert made is not None
    assert made.networks.keys() == tiny_package.networks.keys()
    assert made.provenance["hashes"]["finetuned_from"] == tiny_package.sha256
    assert "dice_thin" in made.performance["validation"]
    for name in made.networks:
        before, after = tiny_package.weights(name), made.weights(name)
        largest = max(float(np.abs(before[key] - after[key]).max()) for key in before)
        assert 0 < largest < 0.01
    assert package.read(tmp_path / "out" / "package").sha256 == made.sha256
