"""Files and folders are written whole or not at all."""

import errno
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from OrbitalSegLib import files
from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.files import alone, give_name, name_together, output_error, safe_name, whole, write_image, writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace_anything(_path: Path) -> None:
    """Refuse nothing."""


def break_off(target: Path, error: type[BaseException]) -> None:
    with whole(target, replace_anything) as folder:
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
    with whole(tmp_path / "result", replace_anything) as folder:
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
    with pytest.raises(OutputError) as caught, whole(tmp_path / "a.txt", replace_anything):
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


def test_a_result_that_may_not_be_replaced_stays(tmp_path):
    def refuse(_path: Path) -> None:
        raise OutputError("exists", "No.")

    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError), whole(tmp_path / "mine", refuse):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["mine"]


def test_the_old_result_survives_whatever_stops_the_exchange(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")
    give, calls = files.give_name, []

    def fail_once(new: Path, path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise PermissionError
        give(new, path)

    monkeypatch.setattr(files, "give_name", fail_once)
    with pytest.raises(OutputError, match=r"kept beside it as a-2\.txt") as caught:
        write(tmp_path / "a.txt", "new")
    assert caught.value.code == "cannot-write"
    assert contents(tmp_path) == {"a.txt": "old", "a-2.txt": "new"}


def test_nothing_is_lost_when_nothing_can_be_named(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")

    def fail(_new: Path, _path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(files, "give_name", fail)
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "a.txt", "new")
    (private,) = tmp_path.iterdir()
    for place, text in (("old", "old"), ("new", "new")):
        assert f"{private.name}/{place}/a.txt" in caught.value.text
        assert (private / place / "a.txt").read_text() == text
    monkeypatch.undo()
    write(tmp_path / "b.txt", "another run")
    assert sorted(names(tmp_path)) == sorted([private.name, "b.txt"])


def contents(folder: Path) -> dict[str, str]:
    """Every file under a folder."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def write(path: Path, text: str) -> None:
    with whole(path, replace_anything) as target:
        target.write_text(text)


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EACCES, "cannot-write")])
def test_a_writers_error_gets_its_sentence(tmp_path, number, code):
    with pytest.raises(OutputError) as caught, writing(tmp_path):
        raise OSError(number, "no")
    assert caught.value.code == code


def test_a_name_that_no_system_takes_is_a_clear_error(tmp_path):
    with pytest.raises(OutputError) as caught, whole(tmp_path / ("x" * 300)):
        pytest.fail("the block must not run")
    assert caught.value.code == "cannot-write"


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


def test_files_that_belong_together_get_the_first_names_of_which_none_is_taken(tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    made = [private / "a", private / "b"]
    for path in made:
        path.write_text(f"our {path.name}")
    (tmp_path / "bone.vtp").write_text("theirs")
    groups = [[tmp_path / f"{stem}.stl", tmp_path / f"{stem}.vtp"] for stem in ("bone", "bone-2")]
    assert name_together(made, groups) == groups[1]
    assert contents(tmp_path) == {"bone.vtp": "theirs", "bone-2.stl": "our a", "bone-2.vtp": "our b"}


def test_a_disk_without_hard_links_still_replaces_nothing(tmp_path, monkeypatch):
    def no_links(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    (tmp_path / "new").write_text("new")
    (tmp_path / "taken").write_text("theirs")
    with pytest.raises(FileExistsError):
        give_name(tmp_path / "new", tmp_path / "taken")
    give_name(tmp_path / "new", tmp_path / "free")
    assert contents(tmp_path) == {"taken": "theirs", "free": "new"}


def test_one_run_works_in_a_folder_for_long_and_in_nobody_elses(tmp_path):
    with alone(tmp_path / "training", lambda _folder: False):
        with pytest.raises(OutputError) as caught, alone(tmp_path / "training", lambda _folder: True):
            pytest.fail("another run works there")
        assert "Another run" in caught.value.text
    with alone(tmp_path / "training", lambda _folder: False):
        pass  # it goes on
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("theirs")
    with pytest.raises(OutputError) as caught, alone(tmp_path / "photos", lambda _folder: False):
        pytest.fail("that folder is somebody's")
    assert caught.value.code == "exists"
    assert names(tmp_path / "photos") == ["a.jpg"]
