"""Runs that race for one name, things that appear meanwhile, full disks, killed runs: nothing is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.product import CONTRACT

WRITER = """
import json, resource, sys, time
from pathlib import Path
from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.files import whole, writing

print("ready", flush=True)
for line in sys.stdin:
    path, word, kind, seconds, replaces, room = json.loads(line)
    path, code, said = Path(path), 0, ""
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        with whole(path, (lambda _path: None) if replaces else None) as new, writing(path.parent):
            if kind == "folder":
                new.mkdir()
            (new / "word" if kind == "folder" else new).write_text(word)
            time.sleep(seconds)
    except OutputError as error:
        code, said = error.exit_code, error.text
    print(json.dumps([code, said]), flush=True)
"""
"""Writes what each line of its input asks for, and answers with exit code and sentence, as the worker would."""

posix = pytest.mark.skipif(os.name != "posix", reason="limits of a process, and SIGKILL")


class Writer:
    """One process."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", WRITER], stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def ask(
        self, path: Path, word: str, kind: str, seconds: float, replaces: bool = False, room: int | None = None
    ) -> None:
        self.process.stdin.write(json.dumps([str(path), word, kind, seconds, replaces, room]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[int, str]:
        code, said = json.loads(self.process.stdout.readline())
        return code, said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def writers():
    """Two of them."""
    both = Writer(), Writer()
    yield both
    for one in both:
        one.kill()


def words(folder: Path) -> dict[str, str]:
    """Everything that was written anywhere under a folder, by the name of the thing directly in it."""
    return {
        path.relative_to(folder).parts[0]: path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "owner"
    }


def kept_as(said: str) -> str:
    """The name that an error's sentence gives."""
    return said.partition("kept beside it as ")[2].partition(":")[0]


def check(folder: Path, name: str, answers: list[tuple[int, str]], wrote: list[str]) -> None:
    """Whether every exit code says where its word is."""
    found = words(folder)
    for (code, said), word in zip(answers, wrote, strict=True):
        if code == 0:
            assert found[name] == word
        elif "kept beside" in said:
            assert code == 4
            assert found[kept_as(said)] == word
        else:  # it was refused before it wrote anything
            assert code == 4
            assert word not in found.values()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_of_fifty_pairs_that_race_for_one_name_no_word_is_lost(writers, tmp_path, kind):
    chance = random.Random(kind)
    raced = 0
    for pair in range(50):
        folder = tmp_path / str(pair)
        folder.mkdir()
        wrote = [f"first {pair}", f"second {pair}"]
        same = chance.random() * 0.02
        for writer, word in zip(writers, wrote, strict=True):
            writer.ask(folder / "case", word, kind, same + chance.random() * 0.002)
        answers = [writer.answer() for writer in writers]
        assert sorted(code for code, _ in answers) == [0, 4]
        check(folder, "case", answers, wrote)
        raced += any("kept beside" in said for _, said in answers)
        assert len(list(folder.iterdir())) == len(words(folder))  # no private folder is left
    assert raced > 25


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_of_pairs_that_may_replace_the_same_no_word_is_lost(writers, tmp_path, kind):
    chance = random.Random(kind)
    for pair in range(25):
        folder = tmp_path / str(pair)
        folder.mkdir()
        writers[0].ask(folder / "case", "old", kind, 0.0)
        assert writers[0].answer() == (0, "")
        wrote = [f"first {pair}", f"second {pair}"]
        for writer, word in zip(writers, wrote, strict=True):
            writer.ask(folder / "case", word, kind, 0.01 + chance.random() * 0.002, replaces=True)
        answers = [writer.answer() for writer in writers]
        found = words(folder)
        last = [word for (code, _), word in zip(answers, wrote, strict=True) if code == 0]
        assert found["case"] in last  # both may have had their turn, one after the other
        assert all(found[kept_as(said)] == word for (code, said), word in zip(answers, wrote, strict=True) if code)


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("appears", ["folder", "empty folder", "file", "link"])
def test_what_appears_at_any_moment_is_left_as_it_is(writers, tmp_path, appears, replaces):
    chance = random.Random(appears)
    for time_of_day in range(8):
        folder = tmp_path / str(time_of_day)
        folder.mkdir()
        path = folder / "case"
        writers[0].ask(path, "mine", "folder", 0.02, replaces=replaces)
        time.sleep(chance.random() * 0.03)
        try:
            if appears == "link":
                path.symlink_to("nowhere")
            elif appears == "file":
                path.touch(exist_ok=False)
            else:
                path.mkdir()
                (path / "notes.txt").write_text("theirs") if appears == "folder" else None
            came = (path.lstat().st_ino, path.lstat().st_mode)
        except (FileExistsError, NotADirectoryError):
            came = None  # the run was first
        code, said = writers[0].answer()
        if came is None:
            assert code == 0
            continue
        if code == 0:  # what came was there at the start, and might be replaced
            assert replaces
            continue
        assert (path.lstat().st_ino, path.lstat().st_mode) == came
        if appears == "folder":
            assert (path / "notes.txt").read_text() == "theirs"
        check(folder, "case", [(code, said)], ["mine"])


def test_what_was_changed_since_the_start_is_not_replaced(writers, tmp_path):
    path = tmp_path / "case"
    path.mkdir()
    (path / "word").write_text("old")
    writers[0].ask(path, "new", "folder", 0.3, replaces=True)
    time.sleep(0.15)
    (path / "notes.txt").write_text("of the surgeon")
    code, said = writers[0].answer()
    assert (code, kept_as(said)) == (4, "case-2")
    assert {p.name: p.read_text() for p in path.iterdir()} == {"word": "old", "notes.txt": "of the surgeon"}
    assert (tmp_path / "case-2" / "word").read_text() == "new"


@posix
@pytest.mark.parametrize("replaces", [False, True])
def test_a_disk_that_takes_no_more_leaves_what_was_there(writers, tmp_path, replaces):
    path = tmp_path / "case"
    if replaces:
        path.mkdir()
        (path / "word").write_text("old")
    writers[0].ask(path, "new" * 1000, "folder", 0.0, replaces=replaces, room=100)
    code, said = writers[0].answer()
    assert code == 4
    assert "written" in said or "full" in said
    assert words(tmp_path) == ({"case": "old"} if replaces else {})


@posix
def test_the_leftovers_of_killed_runs_are_tidied_and_those_of_living_ones_are_not(writers, tmp_path):
    dead, alive = writers
    for writer in writers:
        writer.ask(tmp_path / f"case-of-{writer.process.pid}", "a word", "folder", 1.5)
    while len([p for p in tmp_path.glob(".orbitalseg-*/new/*/word") if p.read_text()]) < 2:
        time.sleep(0.01)
    dead.kill()
    stranger = tmp_path / ".orbitalseg-somebody"
    stranger.mkdir()
    third = Writer()
    third.ask(tmp_path / "case", "third", "folder", 0.0)
    assert third.answer() == (0, "")
    third.kill()
    left = list(tmp_path.glob(".orbitalseg-*/new"))
    assert [path.name for path in left[0].iterdir()] == [f"case-of-{alive.process.pid}"]
    assert len(left) == 1
    assert stranger.is_dir()
    assert alive.answer() == (0, "")
    assert sorted(words(tmp_path)) == ["case", f"case-of-{alive.process.pid}"]


@posix
@pytest.mark.parametrize("taken", [False, True])
def test_a_result_that_a_killed_run_had_moved_gets_its_name_back(tmp_path, taken):
    from OrbitalSegLib import files

    path = tmp_path / "case"
    path.mkdir()
    (path / "word").write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from OrbitalSegLib import files\n"
        "files.give_name = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with files.whole(Path(sys.argv[1]), lambda _: None) as new: new.mkdir(); (new / 'word').write_text('new')\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    if taken:
        path.mkdir()
        (path / "word").write_text("another")
    with files.whole(tmp_path / "b") as new:
        new.write_text("b")
    found = {"case": "another", "case-2": "old"} if taken else {"case": "old"}
    assert words(tmp_path) == {**found, "b": "b"}


# ---------------------------------------------------------------------------------------------------------------------
# Whole runs


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """A bony ball in soft tissue in air."""
    z, y, x = np.indices((20, 24, 24)) - np.array([10, 12, 12]).reshape(3, 1, 1, 1)
    far = np.sqrt(x**2 + y**2 + z**2)
    image = sitk.GetImageFromArray(np.where(far < 7, 1000, np.where(far < 9, 40, -1000)).astype(np.int16))
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def segment(ct: Path, output: Path, lower_hu: float, **more: object) -> tuple[int, dict]:
    """A worker process."""
    asked = {"method": "threshold", "parameters": {"lower_hu": lower_hu}, "region": "whole", "smoothing": "none"}
    job = {"contract": CONTRACT, "task": "segment", "input": str(ct), "output": str(output), **asked, **more}
    done = subprocess.run(
        [sys.executable, "-m", "OrbitalSegLib.worker", "-"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_two_whole_runs_to_one_name_keep_both_results(ct, tmp_path, overwrite):
    limits = (250.0, 350.0)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda limit: segment(ct, tmp_path / "case", limit, overwrite=overwrite), limits))
    codes = sorted(code for code, _ in runs)
    assert codes == [0, 4] or (overwrite and codes == [0, 0])  # where one began after the other had ended
    for (code, last), limit in zip(runs, limits, strict=True):
        if codes == [0, 4] and (code == 0 or "kept beside" in last["text"]):
            folder = tmp_path / ("case" if code == 0 else kept_as(last["text"]))
            assert json.loads((folder / "record.json").read_text())["settings"]["parameters"] == {"lower_hu": limit}
            assert str(tmp_path) not in str(last)
    assert not list(tmp_path.glob(".orbitalseg-*"))
