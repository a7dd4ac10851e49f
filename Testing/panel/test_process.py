"""The process that the panel starts: every way to end, heard and told apart."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host import LAUNCHER
from OrbitalSegLib.files import tidy
from OrbitalSegPanel import process
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.private import PrivateFolder
from OrbitalSegPanel.process import Python

RESULT = {"event": "result", "files": [], "summary": {"volumes_ml": {"bone": 1.5}}}
ERROR = {"event": "error", "code": "no-ct", "text": "This is no CT."}


@pytest.fixture(params=[[sys.executable], LAUNCHER], ids=["", "launcher"])
def command(request):
    """How a Python is started: at once, or behind a launcher, as on the desktop."""
    return request.param


@pytest.fixture
def run(tmp_path, command):
    """Starts a program in the worker's place, and waits until it has ended or `until` is so."""
    started = []

    def start(program: str, until=lambda _work, _lines: False, seconds: float = 60):
        script, folder = tmp_path / "fake.py", tmp_path / "run"
        folder.mkdir(exist_ok=True)
        script.write_text("import json, os, signal, subprocess, sys, time\n" + program, encoding="utf-8")
        work = Python([*command, str(script)], tmp_path).start({"task": "test"}, folder)
        started.append(work)
        lines, end = [], time.monotonic() + seconds
        while work.outcome is None and not until(work, lines):
            assert time.monotonic() < end, work.log()
            lines += work.poll()
            time.sleep(0.01)
        return work, lines

    yield start
    for work in started:
        work.kill()


def say(line: dict) -> str:
    return f"print({json.dumps(json.dumps(line))}, flush=True)\n"


def test_a_result_with_exit_code_0_is_a_success(run):
    work, lines = run(say({"event": "progress", "percent": 3, "step": "reading", "seconds_left": None}) + say(RESULT))
    assert work.outcome.succeeded
    assert work.outcome.result == RESULT
    assert [line["event"] for line in lines] == ["progress", "result"]


def test_the_worker_gets_its_job(run):
    work, _ = run("job = json.load(open(sys.argv[-1]))\nprint(json.dumps({'event': 'result', 'summary': job}))\n")
    assert work.outcome.result["summary"] == {"task": "test"}


def test_an_error_is_passed_on_in_its_own_words(run):
    work, _ = run(say(ERROR) + "sys.exit(3)\n")
    assert (work.outcome.code, work.outcome.text) == ("no-ct", "This is no CT.")


@pytest.mark.parametrize(
    "program", [say(RESULT) + "sys.exit(1)\n", "pass\n", say({"event": "progress", "percent": 9}), "print('x')\n"]
)
def test_a_result_counts_only_with_exit_code_0_and_the_other_way_round(run, program):
    work, _ = run(program)
    assert work.outcome.code == process.BROKEN


def test_a_crash_is_told_in_words_and_its_cause_stands_in_the_log(run):
    work, _ = run("raise RuntimeError('the cause')\n")
    assert work.outcome.code == process.CRASHED
    assert "exit code 1" in work.outcome.text
    assert "the cause" in work.log()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_worker_that_the_system_killed_is_said_to_have_lacked_memory(run):
    work, _ = run("os.kill(os.getpid(), signal.SIGKILL)\n")
    assert "memory" in work.outcome.text


def test_the_log_names_no_folder_of_the_user(run, tmp_path):
    work, _ = run("print(sys.argv[-1], file=sys.stderr)\nprint(os.path.expanduser('~/x'), file=sys.stderr)\n")
    assert str(tmp_path) not in work.log()
    assert str(Path.home()) not in work.log()
    assert "<run>" in work.log()


def test_the_log_names_no_folder_of_the_job(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    program = "import sys; print('cannot write', sys.argv[1], file=sys.stderr); print([sys.argv[1]], file=sys.stderr)"
    patient = "/data/Müller, Jane\\x"
    work = Python([sys.executable, "-c", program, patient], tmp_path).start({"task": "x", "output": patient}, folder)
    while work.outcome is None:
        work.poll()
        time.sleep(0.01)
    assert "Jane" not in work.log()
    assert work.log().count("<output>") == 2


def test_a_flood_of_lines_arrives_whole(run):
    work, lines = run("for i in range(20000): print(json.dumps({'event': 'progress', 'n': i}))\n" + say(RESULT))
    assert work.outcome.succeeded
    assert [line["n"] for line in lines[:-1]] == list(range(20000))


def test_lines_that_are_no_json_are_kept_for_the_log_only(run):
    work, lines = run("print('Hello, Grüße')\n" + say(RESULT))
    assert work.outcome.succeeded
    assert len(lines) == 1
    assert "none of the contract" in work.log()


STUBBORN = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"event": "progress", "child": child.pid}), flush=True)
if %r: signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"event": "progress"}), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="process groups of POSIX")
@pytest.mark.parametrize("ignores", [False, True])
def test_cancelling_ends_the_worker_and_all_that_it_started(run, monkeypatch, ignores):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    work, lines = run(STUBBORN % ignores, until=lambda _work, lines: len(lines) > 1)
    work.cancel()
    end = time.monotonic() + 30
    while work.outcome is None:
        assert time.monotonic() < end
        work.poll()
        time.sleep(0.01)
    assert work.outcome.cancelled
    assert not is_alive(work.pid)
    assert not is_alive(lines[0]["child"])


@pytest.mark.skipif(os.name != "posix", reason="process groups of POSIX")
def test_a_child_that_outlives_its_worker_is_ended(run):
    program = STUBBORN.replace("time.sleep(600)\n", say(RESULT)) % False
    program = program.replace("print(json", "print(json", 1)
    work, lines = run(program)
    assert work.outcome.succeeded
    assert not is_alive(lines[0]["child"])


def is_alive(pid: int) -> bool:
    """A zombie, which nobody has waited for, is not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.startswith("Z")


def test_packages_come_from_the_chosen_folder_alone(tmp_path):
    work = Python([sys.executable, "-c", "import sys; print(sys.argv)"], tmp_path).install(
        ["openvino"], tmp_path / "wheels", tmp_path
    )
    while work.outcome is None:
        work.poll()
        time.sleep(0.01)
    assert work.outcome.succeeded
    assert all(part in work.log() for part in ("--no-index", "--find-links", "<packages>", "openvino"))


def test_packages_that_cannot_be_installed_are_said_so(tmp_path):
    work = Python([sys.executable, "-c", "raise SystemExit(1)"], tmp_path).install(["openvino"], None, tmp_path)
    while work.outcome is None:
        work.poll()
        time.sleep(0.01)
    assert work.outcome.code == "not-installed"


@pytest.mark.parametrize(
    ("pip", "why"),
    [
        ("ERROR: ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407'))", "proxy"),
        ("Retrying after connection broken by 'NewConnectionError(... Failed to establish a connection'", "no network"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("ERROR: No matching distribution found for openvino", "there are none"),
    ],
)
def test_without_network_or_behind_a_proxy_the_sentence_names_the_folder_instead(tmp_path, pip, why):
    program = f"import sys; print({pip!r}, file=sys.stderr); sys.exit(1)"
    work = Python([sys.executable, "-c", program], tmp_path).install(["openvino"], None, tmp_path, 60)
    while work.outcome is None:
        work.poll()
        time.sleep(0.01)
    assert why in work.outcome.text
    assert "Packages from in section 3" in work.outcome.text


def test_packages_that_come_in_are_seen_to_come(tmp_path):
    program = (
        "import os, time; file = open(os.path.join(os.environ['TMPDIR'], 'wheel'), 'wb'); "
        "[(file.write(bytes(500_000)), file.flush(), time.sleep(0.2)) for _ in range(4)]"
    )
    work, percents = Python([sys.executable, "-c", program], tmp_path).install(["openvino"], None, tmp_path, 2), []
    while work.outcome is None:
        percents += [line["percent"] for line in work.poll()]
        time.sleep(0.01)
    assert work.outcome.succeeded
    assert percents == sorted(percents)
    assert any(20 <= percent <= 80 for percent in percents)


@pytest.mark.parametrize("unpacking", [False, True])
def test_packages_are_cancelled_until_they_are_unpacked_and_never_half(tmp_path, command, unpacking):
    said = "Installing collected packages: openvino" if unpacking else "Downloading openvino"
    # Longer than a cancelled process is waited for: where the tests were started with SIGINT ignored, so is this one's.
    program = f"import time; print({said!r}, flush=True); time.sleep({3 if unpacking else 60})"
    work = Python([*command, "-c", program], tmp_path).install(["openvino"], None, tmp_path)
    while said not in work.log():
        work.poll()
        time.sleep(0.01)
    work.cancel()
    while work.outcome is None:
        work.poll()
        time.sleep(0.01)
    assert (work.outcome.succeeded, work.outcome.cancelled) == (unpacking, not unpacking)


def test_a_private_folder_is_for_its_owner_and_goes_away(tmp_path):
    folder = PrivateFolder(tmp_path)
    if os.name == "posix":
        assert folder.path.stat().st_mode & 0o077 == 0
    (folder.path / "scan.nrrd").write_text("x")
    tidy(tmp_path)
    assert (folder.path / "scan.nrrd").is_file()
    folder.remove()
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_behind_goes_with_the_next_run_and_nothing_else_does(tmp_path):
    """In the panel's own folder, and in that of a record that was being written."""
    own, records = tmp_path / "own", tmp_path / "records"
    records.mkdir()
    (records / ".orbitalseg-notes").mkdir()  # a folder of the user's, whatever its name
    program = (
        "import os, sys; from pathlib import Path; sys.path[:0] = sys.argv[3:]; "
        "from OrbitalSegPanel.private import PrivateFolder; "
        "folder = PrivateFolder(Path(sys.argv[1])); (folder.path / 'scan.nrrd').write_text('x'); "
        "(folder.beside(Path(sys.argv[2])) / 'record').mkdir(); os._exit(9)"
    )
    folders = [str(own), str(records), str(Path(process.__file__).parents[1]), str(library_parent())]
    assert subprocess.run([sys.executable, "-c", program, *folders], check=False).returncode == 9
    assert len(list(own.iterdir())) == 1
    assert len(list(records.iterdir())) == 2
    alive = PrivateFolder(own)
    beside = alive.beside(records)
    tidy(own)
    assert list(own.iterdir()) == [alive.path]
    assert sorted(records.iterdir()) == sorted([records / ".orbitalseg-notes", beside])
    alive.remove()
    assert [path.name for path in records.iterdir()] == [".orbitalseg-notes"]
