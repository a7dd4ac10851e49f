"""Files and folders are written whole or not at all."""

import errno
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.files import output_error, safe_name, whole, write_image


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def break_off(target: Path, error: type[BaseException]) -> None:
    with whole(target, overwrite=True) as folder:
        folder.mkdir()
        (folder / "part").write_text("half")
        raise error


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    with whole(tmp_path / "a.txt") as path:
        path.write_text("half")
        assert "a.txt" not in names(tmp_path)
        path.write_text("whole")
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whatever_stops_the_block_leaves_nothing_behind(tmp_path, error):
    with pytest.raises(error):
        break_off(tmp_path / "result", error)
    assert names(tmp_path) == []


def test_an_existing_result_is_refused_and_untouched(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(OutputError) as caught, whole(tmp_path / "a.txt"):
        pytest.fail("the block must not run")
    assert caught.value.code == "exists"
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_overwriting_replaces_a_whole_folder(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "old").write_text("old")
    with whole(tmp_path / "result", overwrite=True) as folder:
        folder.mkdir()
        (folder / "new").write_text("new")
        assert names(tmp_path / "result") == ["old"]
    assert names(tmp_path) == ["result"]
    assert names(tmp_path / "result") == ["new"]


def test_a_failed_overwriting_keeps_the_old_result(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError):
        break_off(tmp_path / "a.txt", RuntimeError)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_old_result_comes_back_when_renaming_fails(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OutputError) as caught, whole(tmp_path / "a.txt", overwrite=True):
        pass  # nothing was written, so there is nothing to rename
    assert caught.value.code == "cannot-write"
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(OutputError) as caught, whole(tmp_path / "gone" / "a.txt"):
        pytest.fail("the block must not run")
    assert caught.value.code == "cannot-write"
    assert str(tmp_path) not in caught.value.text


def test_a_file_in_the_place_of_the_folder_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught, whole(tmp_path / "file" / "a.txt"):
        pytest.fail("the block must not run")
    assert caught.value.code == "cannot-write"


def test_a_full_disk_is_called_full(tmp_path):
    with pytest.raises(OutputError) as caught, whole(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.code == "disk-full"
    assert names(tmp_path) == []


@pytest.mark.parametrize(("free", "code"), [(0, "disk-full"), (1 << 40, "cannot-write")])
def test_a_writer_that_fails_without_a_cause_looks_at_the_free_space(tmp_path, monkeypatch, free, code):
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    image = sitk.Image(2, 2, 2, sitk.sitkUInt8)
    with pytest.raises(OutputError) as caught:
        write_image(image, tmp_path / "gone" / "a.nrrd")
    assert caught.value.code == code


def test_a_vanished_folder_cannot_be_written_to(tmp_path):
    assert output_error(RuntimeError(), tmp_path / "gone").code == "cannot-write"


@pytest.mark.parametrize(
    ("name", "safe"),
    [("bone", "bone"), ("thin wall/left", "thin_wall_left"), ("..", "__"), ("", "segment"), ("Knöchern", "Kn_chern")],
)
def test_a_segments_name_becomes_a_name_that_every_system_takes(name, safe):
    assert safe_name(name) == safe
    assert len(safe_name("x" * 300)) <= 80
