"""Scans that come by themselves: several senders at once, out of order and twice; strangers, and what is malformed."""

import errno
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dicom_series import ct_slices, head
from orthanc import free_port
from test_batch import rows_of, study, volume

pytest.importorskip("pynetdicom")

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context

from OrbitalSegLib import worker
from OrbitalSegLib.archive.lots import Lot
from OrbitalSegLib.archive.watching import fallen_into, sent_to
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.headers import unchecked
from OrbitalSegLib.pacs import receiver
from OrbitalSegLib.pacs.address import address_of
from OrbitalSegLib.pacs.classes import IMAGES, NO_ROOM, NOT_UNDERSTOOD, OTHER_OBJECT, SUCCESS
from OrbitalSegLib.pacs.dimse import hear_all
from OrbitalSegLib.pacs.receiver import LONGEST_PDU_BYTES
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.filterwarnings(  # pynetdicom leaves sockets to the collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

TITLE, SENDER = "RECEIVER", "SCANNER"
MOST_BYTES = 200_000


@contextmanager
def listening(private: Path, quiet_s: float = 60.0) -> Iterator[tuple[int, Any]]:
    """A port, and the lots that come there."""
    port = free_port()
    private.mkdir(exist_ok=True)
    with sent_to(address_of(f"dimse://127.0.0.1:{port}/{TITLE}"), [SENDER], MOST_BYTES, quiet_s, private) as lots:
        yield port, lots


@contextmanager
def associated(port: int, calling: str = SENDER, called: str = TITLE) -> Iterator[Any]:
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    contexts = [build_context(IMAGES[0], ExplicitVRLittleEndian)]
    association = entity.associate("127.0.0.1", port, contexts, ae_title=called)
    hear_all(association)
    try:
        yield association
    finally:
        association.release()


def send(port: int, datasets: list) -> list[int]:
    with associated(port) as association:
        return [association.send_c_store(dataset).get("Status", -1) for dataset in datasets]


def images_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def series(number: int, count: int = 30) -> list:
    uids = {"StudyInstanceUID": f"1.2.{number}", "series": f"1.2.{number}.1"}
    return ct_slices(head((count, 20, 24), number), **uids)


@pytest.mark.slow
def test_four_senders_at_once_out_of_order_and_twice_are_taken_once(tmp_path):
    """Two of them send the same study. It is complete when it was quiet, and what comes again then is known."""
    sent = {number: series(number) for number in (1, 2, 3)}
    with listening(tmp_path / "private", quiet_s=0.3) as (port, lots):
        shuffled = [random.Random(number).sample(sent[number] * 2, 60) for number in (1, 2, 3)]
        with ThreadPoolExecutor(4) as senders:
            answers = list(senders.map(lambda some: send(port, some), [*shuffled, sent[1]]))
        assert {status for some in answers for status in some} == {SUCCESS}
        found = taken(lots, 3)
        assert [len(images_in(lot.source)) for lot in found] == [30, 30, 30]
        assert send(port, sent[1][:3]) == [SUCCESS] * 3
        found[0].drop()
        assert send(port, sent[1] + sent[2]) == [SUCCESS] * 60
        assert not images_in(tmp_path / "private/arriving")
        late = series(1, 31)[30:]
        assert send(port, late) == [SUCCESS]
        [lot] = taken(lots, 1)
        assert len(images_in(lot.source)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"private"}


def taken(lots: Iterator, count: int) -> list:
    found: list = []
    while len(found) < count:
        lot = next(lots)
        found += [lot] if lot else []
    return found


def test_what_arrived_before_a_crash_is_not_lost(tmp_path):
    with listening(tmp_path / "private", quiet_s=0.1) as (port, lots):
        send(port, series(1)[:5])
        taken(lots, 1)
        send(port, series(2)[:5])
    with listening(tmp_path / "private", quiet_s=0.1) as (_, lots):
        assert [len(images_in(lot.source)) for lot in taken(lots, 2)] == [5, 5]


def test_strangers_are_not_let_in(tmp_path):
    with listening(tmp_path / "private") as (port, _):
        for calling, called in (("STRANGER", TITLE), (SENDER, "OTHER"), ("", TITLE)):
            with associated(port, calling or "X", called) as association:
                assert association.is_rejected


def test_each_object_that_cannot_be_taken_has_its_status(tmp_path, monkeypatch):
    good = series(1, 3)
    nameless = series(2, 1)
    del nameless[0].StudyInstanceUID
    with unchecked():
        odd = ct_slices(head((1, 20, 24)), StudyInstanceUID="../../../etc")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:10])
        raise OSError(errno.ENOSPC, "full")

    with listening(tmp_path / "private") as (port, _):
        with unchecked():
            statuses = send(port, [*good[:1], *nameless, *odd])
        assert statuses == [SUCCESS, NOT_UNDERSTOOD, NOT_UNDERSTOOD]
        with associated(port) as association, monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            assert association.send_c_store(good[1]).Status == NO_ROOM
        assert send(port, good) == [SUCCESS] * 3
        monkeypatch.setattr("OrbitalSegLib.archive.watching.uids_of", lambda _content: ("1", "2", "3"))
        assert send(port, good[:1]) == [OTHER_OBJECT]
        monkeypatch.undo()
        big = series(4, 1)[0]
        big.PixelData = bytes(2 * MOST_BYTES)
        assert send(port, [big]) == [-1]  # the association was ended
        assert send(port, good) == [SUCCESS] * 3
    assert len(images_in(tmp_path)) == 3


# Malformed


def frame(kind: int, content: bytes, length: int | None = None) -> bytes:
    """A PDU (PS3.8, 9.3)."""
    return bytes([kind, 0]) + (len(content) if length is None else length).to_bytes(4, "big") + content


def request(calling: str = SENDER) -> bytes:
    """An A-ASSOCIATE-RQ for one class of images."""

    def item(kind: int, content: bytes) -> bytes:
        return bytes([kind, 0]) + len(content).to_bytes(2, "big") + content

    syntaxes = item(0x30, str(IMAGES[0]).encode()) + item(0x40, str(ExplicitVRLittleEndian).encode())
    user = item(0x51, (16384).to_bytes(4, "big")) + item(0x52, b"1.2.3")
    parts = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, b"\1\0\0\0" + syntaxes) + item(0x50, user)
    return frame(1, b"\0\1\0\0" + TITLE.ljust(16).encode() + calling.ljust(16).encode() + bytes(32) + parts)


def store_message() -> bytes:
    """A whole C-STORE in one P-DATA-TF."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    image = series(9, 1)[0]
    command = command_of(image)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    return frame(4, piece(command, 3) + piece(buffer.getvalue(), 2))


def piece(content: bytes, control: int) -> bytes:
    return (len(content) + 2).to_bytes(4, "big") + bytes([1, control]) + content


def command_of(image: Any) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value

    def word(number: int, value: int) -> bytes:
        return element(number, value.to_bytes(2, "little"))

    parts = element(2, str(image.SOPClassUID).encode()) + word(0x100, 1) + word(0x110, 1) + word(0x700, 0)
    parts += word(0x800, 1) + element(0x1000, str(image.SOPInstanceUID).encode())
    return element(0, len(parts).to_bytes(4, "little")) + parts


def malformed(seed: int) -> bytes:
    """What somebody sends: noise, or an association and a store, cut off, changed or announced too long."""
    chance = random.Random(seed)
    way = seed % 5
    whole = request() + store_message() + frame(5, bytes(4))
    if way == 0:
        return chance.randbytes(chance.randrange(1, 400))
    if way == 1:
        return whole[: chance.randrange(len(whole))]
    if way == 2:
        return request(chance.choice(["STRANGER", "", "\xff" * 3, SENDER])) + chance.randbytes(chance.randrange(200))
    if way == 3:
        return request() + frame(chance.randrange(9), chance.randbytes(50), chance.choice([50, 1, 2**32 - 1]))
    changed = bytearray(whole)
    for _ in range(chance.randrange(1, 20)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def throw(port: int, content: bytes) -> None:
    """Send bytes, hear what comes, and hang up."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(0.05)
        connection.sendall(content)
        connection.recv(1000)


@contextmanager
def speaking(port: int) -> Iterator[socket.socket]:
    """Who has an association, and speaks by itself."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(20)
        connection.sendall(request())
        assert connection.recv(1000)[0] == 2  # accepted
        yield connection


def test_the_bytes_that_are_changed_would_else_be_taken(tmp_path):
    with listening(tmp_path / "private") as (port, _), speaking(port) as connection:
        connection.sendall(store_message())
        assert connection.recv(1000)[0] == 4
        assert len(images_in(tmp_path)) == 1


def test_whatever_is_thrown_at_it_it_goes_on_and_writes_nowhere_else(tmp_path):
    with listening(tmp_path / "private") as (port, _):
        for seed in range(40):
            throw(port, malformed(seed))
        assert send(port, series(1, 3)) == [SUCCESS] * 3
    assert {path.name for path in tmp_path.iterdir()} == {"private"}
    assert 3 <= len(images_in(tmp_path / "private/arriving")) <= 4


def test_nobody_announces_what_would_fill_the_memory(tmp_path):
    """The connection is ended before anything of it is read, without a title too."""
    with listening(tmp_path / "private") as (port, _), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(20)
        connection.sendall(frame(1, b"", LONGEST_PDU_BYTES + 1))
        with suppress(ConnectionError):
            while connection.recv(1000):
                pass


@pytest.mark.parametrize(("first", "control"), [(command_of(series(9, 1)[0]), 0), (b"", 1)], ids=["images", "commands"])
def test_no_more_is_read_of_what_is_too_large(tmp_path, monkeypatch, first, control):
    """Whoever goes on after the limit is not listened to."""
    longest: list[int] = []
    count = receiver._count

    def counted(event: Any, most_bytes: int) -> None:
        count(event, most_bytes)
        longest.append(event.assoc.orbitalseg_bytes)

    monkeypatch.setattr(receiver, "_count", counted)
    with listening(tmp_path / "private") as (port, _), speaking(port) as connection:
        connection.sendall(frame(4, piece(first, 3)) if first else b"")
        with suppress(OSError):
            for _ in range(2000):
                connection.sendall(frame(4, piece(bytes(16_000), control)))
    assert MOST_BYTES < max(longest) < MOST_BYTES + 20_000


@pytest.mark.parametrize("begun", [b"\1\0\0", frame(1, b"abc", 1000)])
def test_who_begins_and_says_no_more_does_not_hold_the_line(tmp_path, monkeypatch, begun):
    monkeypatch.setattr(receiver, "PDU_SECONDS", 0.2)
    with listening(tmp_path / "private") as (port, _), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(8)
        connection.sendall(begun)
        with suppress(ConnectionError):
            while connection.recv(1000):
                pass


# A folder


def test_each_scan_of_a_folder_has_its_own_quiet_time(tmp_path, monkeypatch):
    """What came while another one was worked on is not taken before it was quiet."""
    clock = [0.0]
    monkeypatch.setattr("OrbitalSegLib.archive.watching.time.monotonic", lambda: clock[0])
    for name in "ab":
        (tmp_path / name).mkdir()
    with fallen_into(tmp_path, 30.0) as lots:
        assert next(lots) is None
        clock[0] = 30.0
        assert next(lots).source.name == "a"
        clock[0] = 600.0  # so long it took
        (tmp_path / "b/new.dcm").write_bytes(b"the first of many")
        assert next(lots) is None
        clock[0] = 610.0
        assert next(lots) is None
        clock[0] = 640.0
        assert next(lots).source.name == "b"


def test_links_in_a_folder_lead_nowhere_and_hold_nothing_up(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("OrbitalSegLib.archive.watching.time.monotonic", lambda: clock[0])
    folder, other = tmp_path / "in", tmp_path / "other"
    for path in (folder, folder / "a", other):
        path.mkdir()
    (folder / "link").symlink_to(other)
    (folder / "a/dangling").symlink_to(tmp_path / "none")
    with fallen_into(folder, 30.0) as lots:
        assert next(lots) is None
        clock[0] = 31.0
        assert next(lots).source.name == "a"
        assert next(lots) is None
        shutil.rmtree(folder)
        with pytest.raises(InputError, match="disk is connected"):
            next(lots)


def test_what_a_lot_held_is_known_while_it_goes(tmp_path, monkeypatch):
    """Another thread asks just when it is dropped."""
    (tmp_path / "lot").mkdir()
    (tmp_path / "lot/a.dcm").write_bytes(b"")
    lot = Lot(tmp_path / "lot", passing=True)
    rglob = Path.rglob

    def late(path: Path, pattern: str) -> Iterator[Path]:
        monkeypatch.undo()
        lot.drop()
        return rglob(path, pattern)

    monkeypatch.setattr(Path, "rglob", late)
    assert lot.images == ["a.dcm"]


# The task


def watch(source: str, results: Path, scans: int, begin: Callable[[], None], **keys: Any) -> tuple[int, list[dict]]:
    """Watch until so many scans were done; `begin` is called as soon as it watches."""
    lines: list[dict] = []
    ended = 0

    def hear(line: dict) -> None:
        nonlocal ended
        if line["event"] == "progress" and not lines:
            helper.submit(begin)
        lines.append(line)
        ended += line["event"] == "scan"
        if line["event"] == "scan" and ended == scans:
            raise KeyboardInterrupt

    jobs = [{"task": "segment", "method": "threshold", "region": "whole"}]
    job = {"contract": CONTRACT, "task": "watch", "input": source, "output": str(results), "jobs": jobs, "quiet_s": 0.3}
    with ThreadPoolExecutor(1) as helper:
        code = worker.run({**job, **keys}, hear)
    return code, lines


@pytest.mark.slow
def test_what_is_sent_becomes_results_and_leaves_no_copy(tmp_path):
    port = free_port()

    def begin() -> None:
        send(port, series(1, 40))

    place = f"dimse://127.0.0.1:{port}/{TITLE}"
    code, lines = watch(place, tmp_path / "results", 1, begin, allowed=[SENDER])
    assert (code, lines[-1]["summary"]) == (0, {"scans": 1, "done": 1, "incomplete": 0, "failed": 0})
    assert set(rows_of(tmp_path / "results")) == {"0001-A2"}
    assert not images_in(tmp_path / "results/private")


@pytest.mark.slow
def test_what_falls_into_a_folder_becomes_results(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "readme.txt").write_text("of no concern")

    def begin() -> None:
        volume(source / "a.nrrd")
        study(source / "b", 3)

    code, lines = watch(str(source), tmp_path / "results", 2, begin)
    assert (code, lines[-1]["summary"]) == (0, {"scans": 2, "done": 2, "incomplete": 0, "failed": 0})
    assert len([*(source / "b").iterdir()]) == 40


@pytest.mark.slow
def test_images_stay_where_their_scan_may_end_otherwise_another_time(tmp_path, monkeypatch):
    """A disk that was full while the result was written, and a process that died, cost no image."""
    from OrbitalSegLib.archive import one

    port, ends = free_port(), ["disk-full", "crashed", None]

    def worked(errand, new, _processes):
        end = ends.pop(0)
        new.mkdir()
        return {
            **one.failed(errand.name, InputError(end or "", "x")),
            **({} if end else {"status": "done", "code": None}),
        }

    monkeypatch.setattr(one, "_worked", worked)
    place, results = f"dimse://127.0.0.1:{port}/{TITLE}", tmp_path / "results"
    for begin, kept, more in (
        (lambda: send(port, series(1, 40)), 40, {}),
        (lambda: None, 40, {}),
        (lambda: None, 0, {"retry": True}),
    ):
        watch(place, results, 1, begin, allowed=[SENDER], **more)
        assert len(images_in(results / "private")) == kept
    assert rows_of(results)["0001-A2"]["status"] == "done"


@pytest.mark.parametrize(
    "keys",
    [
        {"input": "dimse://127.0.0.1:1/X"},
        {"input": "dicomweb://127.0.0.1:1/X", "allowed": ["A"]},
        {"input": "dimse://127.0.0.1:1/X?PatientID=1", "allowed": ["A"]},
        {"input": "in", "quiet_s": 0},
        {"input": "in", "allowed": ["a title that is too long"]},
    ],
)
def test_a_watch_that_makes_no_sense_is_told(keys, tmp_path):
    lines: list[dict] = []
    job = {"contract": CONTRACT, "task": "watch", "output": str(tmp_path / "out"), **keys}
    assert worker.run(job, lines.append) == 2
    assert lines[-1]["code"] == "invalid-job"


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.socket() as taken_port:
        taken_port.bind(("127.0.0.1", 0))
        taken_port.listen()
        place = f"dimse://127.0.0.1:{taken_port.getsockname()[1]}/X"
        lines: list[dict] = []
        job = {"contract": CONTRACT, "task": "watch", "output": str(tmp_path / "out"), "input": place, "allowed": ["A"]}
        assert worker.run(job, lines.append) == 3
        assert lines[-1]["code"] == "cannot-listen"
