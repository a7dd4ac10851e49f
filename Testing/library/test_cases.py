"""Cases as folders: what is written comes back, and what is not whole is no case."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.evaluation.wall_points import WallPoints
from OrbitalSegLib.training.cases import Case, Flag, is_case, read_case, write_case


def image(dtype: type, spacing_mm: float, seed: int) -> sitk.Image:
    array = np.random.default_rng(seed).integers(0, 100, (6, 7, 8)).astype(dtype)
    result = sitk.GetImageFromArray(array)
    result.SetSpacing((spacing_mm,) * 3)
    result.SetOrigin((-3.0, 4.0, 5.0))
    return result


def points(count: int) -> WallPoints:
    random = np.random.default_rng(count)
    return WallPoints(
        points_mm=random.normal(size=(count, 3)).astype(np.float32),
        normals=random.normal(size=(count, 3)).astype(np.float32),
        wall=random.integers(0, 4, count).astype(np.uint8),
        side=random.integers(0, 2, count).astype(np.uint8),
        thickness_mm=random.uniform(0, 1, count).astype(np.float32),
        hole=random.integers(0, 2, count).astype(np.uint8),
        depth_mm=random.normal(size=count).astype(np.float32),
        area_mm2=random.uniform(0, 1, count).astype(np.float32),
    )


def case(count: int = 5, *, truth: bool = True) -> Case:
    return Case(
        ct=image(np.int16, 0.7, 1),
        working_ct=image(np.int16, 0.5, 2),
        clean=image(np.int16, 0.5, 3),
        label=image(np.uint8, 0.5, 4),
        walls=points(count),
        facts={"template": "none", "seed": 7},
        truth=image(np.uint8, 0.2, 5) if truth else None,
    )


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("truth", [True, False])
def test_a_case_comes_back_as_it_was_written(tmp_path: Path, count: int, truth: bool) -> None:
    written = case(count, truth=truth)
    write_case(written, tmp_path / "a")
    assert is_case(tmp_path / "a")
    read = read_case(tmp_path / "a")
    for name in ("ct", "working_ct", "clean", "label"):
        assert sitk.Hash(getattr(read, name)) == sitk.Hash(getattr(written, name)), name
        assert getattr(read, name).IsSameImageGeometryAs(getattr(written, name)), name
    for name in vars(written.walls):
        back, there = getattr(read.walls, name), getattr(written.walls, name)
        assert back.dtype == there.dtype, name
        assert np.array_equal(back, there), name
    assert {k: v for k, v in read.facts.items() if k != "case"} == written.facts
    assert (read.truth is None) == (written.truth is None)


def test_a_case_is_never_written_over_another(tmp_path: Path) -> None:
    write_case(case(), tmp_path / "a")
    with pytest.raises(OutputError) as error:
        write_case(case(3), tmp_path / "a")
    assert error.value.code == "exists"
    assert len(read_case(tmp_path / "a").walls.points_mm) == 5


def test_a_folder_without_a_case_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_case(tmp_path)
    assert error.value.code == "no-such-input"


@pytest.mark.parametrize("file", ["ct.nrrd", "label.nrrd", "walls.vtp", "case.json"])
@pytest.mark.parametrize("content", ["missing", "damaged"])
def test_a_damaged_case_says_so(tmp_path: Path, file: str, content: str) -> None:
    write_case(case(), tmp_path / "a")
    path = tmp_path / "a" / file
    path.unlink()
    if content == "damaged":
        path.write_bytes(b"\x00\x01 no such thing")
    with pytest.raises(InputError) as error:
        read_case(tmp_path / "a")
    assert error.value.code == ("no-such-input" if (file, content) == ("case.json", "missing") else "unreadable")


def test_the_bits_of_a_label_fit_its_eight_bits_and_are_disjoint() -> None:
    values = [int(flag) for flag in Flag]
    assert sum(values) <= 255
    assert sum(values) == np.bitwise_or.reduce(values)
