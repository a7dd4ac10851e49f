"""Augmentation: every row of Ekman's table 1 does what its name says, and not where it is forbidden."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scipy")

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training import config, presets
from OrbitalSegLib.training.augmentation import GREY, ROWS, Augmentation
from OrbitalSegLib.training.config import Sampling
from OrbitalSegLib.training.sampling import PLANES, draw
from OrbitalSegLib.training.store import FLAGS, Packed

pytestmark = pytest.mark.learn

AXIAL = PLANES["axial"]

ALWAYS: dict[str, dict[str, Any]] = {
    "rotation_3d": {"degrees": [10, 10]},
    "rotation": {"degrees": [90, 90]},
    "scaling": {"factor": [2, 2]},
    "mirror_horizontal": {},
    "mirror_vertical": {},
    "transpose": {},
    "mirror_left_right": {},
    "white_noise": {"share": 0.1},
    "streak_noise": {"share": 0.6},
    "brightness": {"hu": [50, 50]},
    "contrast": {"factor": [0.5, 0.5]},
    "blur": {"pixels": 3},
    "erasing": {"share": 0.3},
}


def only(name: str) -> Augmentation:
    return Augmentation({name: {"probability": 1, **ALWAYS[name]}})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_there_is_an_example_of_every_row() -> None:
    assert set(ALWAYS) == set(ROWS)


def test_ekmans_table_1_is_a_preset_row_by_row() -> None:
    rows = presets.load("ekman-2025").augmentation
    asked = {  # row -> probability and range, lowest and highest that the table names
        "rotation_3d": ((0, 0.5), "degrees", (-20, 20)),
        "rotation": ((0.2, 0.25), "degrees", (-45, 45)),
        "scaling": ((0.2, 1), "factor", (0.6, 1.4)),
        "mirror_horizontal": ((0.5, 0.5), None, None),
        "mirror_vertical": ((0.5, 0.5), None, None),
        "transpose": ((0.5, 0.5), None, None),
        "white_noise": ((0.1, 0.15), "share", (0.15, 0.15)),
        "streak_noise": ((0.1, 0.2), "share", (0.5, 0.7)),
        "brightness": ((0.15, 0.25), "hu", (-100, 100)),
        "contrast": ((0.15, 0.25), "factor", (0.65, 1.5)),
        "blur": ((0.25, 0.25), "pixels", (3, 3)),
    }
    assert set(rows) == set(asked)
    for name, ((least, most), key, span) in asked.items():
        assert least <= rows[name]["probability"] <= most
        if key:
            assert span[0] <= np.min(rows[name][key]) <= np.max(rows[name][key]) <= span[1]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mirror_horizontal", lambda a: a[:, ::-1]),
        ("mirror_left_right", lambda a: a[:, ::-1]),
        ("mirror_vertical", lambda a: a[::-1]),
        ("transpose", lambda a: a.T),
    ],
)
def test_a_mirror_turns_image_and_label_alike(name: str, change: Any, rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (8, 8))
    mirrored, label = only(name).mirrors(AXIAL, image, image + 1, rng)
    assert np.array_equal(mirrored, change(image))
    assert np.array_equal(label, change(image) + 1)


def test_left_and_right_are_never_mirrored_in_a_sagittal_plane(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (8, 8))
    assert np.array_equal(only("mirror_left_right").mirrors(PLANES["sagittal"], image, image, rng)[0], image)


def test_brightness_is_in_hounsfield_units_of_the_window(rng: np.random.Generator) -> None:
    patch = np.array([[0, 100, 250]], np.uint8)
    assert only("brightness").grey(patch, rng).tolist() == [[26, 126, 255]]  # 50 HU of 500 are 25.5 of 255


def test_contrast_is_about_the_middle_of_the_window(rng: np.random.Generator) -> None:
    patch = np.array([[0, 128, 255]], np.uint8)
    assert only("contrast").grey(patch, rng).tolist() == [[64, 128, 191]]


def test_white_noise_stays_below_its_share_of_the_range(rng: np.random.Generator) -> None:
    patch = np.full((64, 64), 128, np.uint8)
    spreads = [only("white_noise").grey(patch, rng).std() / 255 for _ in range(50)]
    assert max(spreads) < 0.11
    assert max(spreads) > 0.08
    assert min(spreads) < 0.02


def test_streaks_run_in_one_direction(rng: np.random.Generator) -> None:
    patch = np.full((64, 64), 128, np.uint8)
    streaked = only("streak_noise").grey(patch, rng).astype(float) - 128
    down, across = np.gradient(streaked)
    energy = np.linalg.eigvalsh(np.cov(np.stack([down.ravel(), across.ravel()])))
    assert np.abs(streaked).max() > 5
    assert energy[0] < 0.15 * energy[1]


def test_a_blur_of_three_pixels_reaches_one_pixel(rng: np.random.Generator) -> None:
    patch = np.zeros((7, 7), np.uint8)
    patch[3, 3] = 255
    blurred = only("blur").grey(patch, rng)
    assert blurred[3, 3] < 200
    assert (blurred > 0).sum() == 9


def test_erasing_gives_a_box_one_value_and_leaves_the_rest(rng: np.random.Generator) -> None:
    patch = rng.integers(0, 255, (40, 40)).astype(np.uint8)
    erased = only("erasing").grey(patch, rng)
    rows, columns = np.nonzero(erased != patch)
    assert 0 < len(rows) <= 0.3 * 0.3 * 1600 + 80
    assert len(set(erased[rows, columns])) == 1


@pytest.mark.parametrize("name", sorted(GREY))
def test_a_row_that_is_not_drawn_changes_nothing(name: str, rng: np.random.Generator) -> None:
    patch = rng.integers(0, 255, (16, 16)).astype(np.uint8)
    never = Augmentation({name: {"probability": 0, **ALWAYS[name]}})
    assert np.array_equal(never.grey(patch, rng), patch)
    assert never.geometry(AXIAL, rng) is None


def test_a_row_is_drawn_as_often_as_its_probability_says(rng: np.random.Generator) -> None:
    quarter = Augmentation({"rotation": {"probability": 0.25, "degrees": [-20, 20]}})
    turned = [quarter.geometry(AXIAL, rng) is not None for _ in range(2000)]
    assert 0.22 < np.mean(turned) < 0.28


def test_rotation_turns_in_the_plane_and_in_3d_out_of_it(rng: np.random.Generator) -> None:
    for plane in PLANES.values():
        turn = only("rotation").geometry(plane, rng)
        assert turn is not None
        across = np.eye(3)[plane[0]]
        assert np.allclose(turn @ across, across)
        assert np.linalg.det(turn) == pytest.approx(1)
        freely = only("rotation_3d").geometry(plane, rng)
        assert freely is not None
        assert np.allclose(freely @ freely.T, np.eye(3))
        assert abs((freely @ across) @ across) < 0.99


def box_case() -> Packed:
    """A bright box of 8 x 8 x 8 in the middle of 40 x 40 x 40 voxels."""
    label = np.zeros((40, 40, 40), np.uint8)
    label[16:24, 16:24, 16:24] = FLAGS["bone"]
    places = {"bone": np.array([[20, 20, 20]], np.int16)}
    return Packed(Path("box"), (label > 0) * np.uint8(200), label, FLAGS, places, {})


@pytest.mark.parametrize(("factor", "side"), [(2.0, 16), (0.5, 4), (1.0, 8)])
def test_scaling_makes_what_is_seen_larger_by_its_factor(factor: float, side: int) -> None:
    augmentation = Augmentation({"scaling": {"probability": 1, "factor": [factor, factor]}})
    batch = draw([box_case()], Sampling({"bone": 1.0}, 0), augmentation, 32, 3, np.random.default_rng(0))
    for label in batch.label:
        assert abs(np.sqrt((label & 1).sum()) - side) <= 1


def test_what_lies_outside_the_volume_is_not_scored() -> None:
    augmentation = Augmentation({})
    batch = draw([box_case()], Sampling({"bone": 1.0}, 0), augmentation, 64, 3, np.random.default_rng(0))
    for image, label in zip(batch.image, batch.label, strict=True):
        assert ((label & FLAGS["ignore"]) > 0).sum() == 64 * 64 - 40 * 40
        assert (label & 1).sum() == 64
        assert (image[(label & FLAGS["ignore"]) > 0] == 0).all()


def test_a_batch_depends_on_its_random_numbers_alone_and_holds_the_planes_alike() -> None:
    augmentation = Augmentation(presets.load("ekman-2025").augmentation)
    first, second = (
        draw([box_case()], Sampling({"bone": 1.0}, 4), augmentation, 32, 9, np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)


def test_a_structure_may_forbid_a_row() -> None:
    rows = presets.load("ekman-2025").augmentation
    mandible = Augmentation(rows, config.STRUCTURES_OF_EKMAN["mandible"].forbidden)
    assert set(rows) - set(mandible.rows) == {"mirror_horizontal", "mirror_vertical", "transpose"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"colour": {"probability": 1}}, "colour"),
        ({"blur": {"probability": 1}}, "pixels"),
        ({"blur": {"probability": 1, "pixels": 3, "hu": 2}}, "blur"),
    ],
)
def test_a_row_that_is_unknown_or_has_other_numbers_is_refused(rows: dict[str, dict[str, Any]], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Augmentation(rows)
    assert caught.value.code == "invalid-config"
