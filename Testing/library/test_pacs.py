"""A PACS: scans found and fetched, results sent, by DICOMweb and DIMSE, against a real one, and all that goes wrong."""

import errno
import gzip
import json
import socketserver
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_series import PATIENT, ct_slices, head, save
from orthanc import KNOWN, PASSWORD, USER, Orthanc, free_port, need
from test_batch import rows_of, study

pytest.importorskip("pynetdicom")
pytest.importorskip("dicomweb_client")

from pynetdicom import Association, build_context

from OrbitalSegLib import worker
from OrbitalSegLib.dicom_files import save_dicom
from OrbitalSegLib.errors import InputError, JobError
from OrbitalSegLib.export.headers import unchecked
from OrbitalSegLib.pacs import address as addresses
from OrbitalSegLib.pacs.address import address_of, credentials, is_address, is_title
from OrbitalSegLib.pacs.archives import ArchivedSeries, fetch_series, opened
from OrbitalSegLib.pacs.classes import VERIFICATION
from OrbitalSegLib.pacs.dimse import DimseArchive
from OrbitalSegLib.pacs.store import Store, store_in
from OrbitalSegLib.product import CONTRACT

need()

pytestmark = pytest.mark.filterwarnings(  # pynetdicom leaves a socket that could not be connected to the collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

WAYS = ("web", "dimse")
IMAGES = 40


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Iterator[Orthanc]:
    """Two studies of a CT each, and in the first an MR besides."""
    folder = tmp_path_factory.mktemp("archive")
    made = Orthanc(folder)
    try:
        for number, date in ((1, "20260101"), (2, "20260202")):
            fill(made, study(folder / f"{number}", number, seed=number, StudyDate=date, PatientID=f"P{number}"))
        fill(made, save(ct_slices(Modality="MR", series="1.2.1.9", StudyInstanceUID="1.2.1"), folder / "mr"))
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def who(monkeypatch) -> None:
    monkeypatch.setenv(addresses.USER, USER)
    monkeypatch.setenv(addresses.PASSWORD, PASSWORD)


def fill(archive: Orthanc, folder: Path) -> None:
    """What a scanner does, by Orthanc's own door."""
    import requests

    for file in sorted(folder.iterdir()):
        url = f"http://127.0.0.1:{archive.http}/instances"
        requests.post(url, file.read_bytes(), auth=(USER, PASSWORD), timeout=30).raise_for_status()


def do(task: str, **keys: Any) -> tuple[int, dict]:
    """Exit code and last line; no line holds a secret or a name."""
    lines: list[dict] = []
    code = worker.run({"contract": CONTRACT, "task": task, **keys}, lines.append)
    said = json.dumps(lines)
    assert PASSWORD not in said
    assert PATIENT not in said
    return code, lines[-1]


def refused(code: str, task: str, **keys: Any) -> str:
    exit_code, last = do(task, **keys)
    assert (exit_code, last["event"], last.get("code")) == (3, "error", code), last
    return last["text"]


def images_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


# Found, fetched, sent


@pytest.mark.parametrize("way", WAYS)
def test_series_are_found_by_what_is_asked(archive, way):
    place = getattr(archive, way)()
    code, last = do("pacs-find", archive=place)
    assert code == 0
    found = last["summary"]["series"]
    assert [(one["study"], one["uid"], one["images"]) for one in found] == [
        ("1.2.1", "1.2.1.1", IMAGES),
        ("1.2.2", "1.2.2.1", IMAGES),
    ]
    assert found[0] == {
        **{"study": "1.2.1", "uid": "1.2.1.1", "study_date": "20260101", "number": "2", "images": IMAGES},
        **{"description": "HEAD THIN", "body_part": "HEAD"},
    }
    wildcard = [("SeriesDescription=HEAD*", ["1.2.1", "1.2.2"])]  # Debian's Orthanc knows no encoded characters
    for asked, expected in (
        *(wildcard if way == "dimse" else ()),
        ("StudyDate=20260201-", ["1.2.2"]),
        ("PatientID=P1", ["1.2.1"]),
        ("SeriesInstanceUID=1.2.2.1", ["1.2.2"]),
        ("PatientID=nobody", []),
        ("SeriesInstanceUID=1.2.1.9", []),
    ):
        _, last = do("pacs-find", archive=f"{place}?{asked}")
        assert [one["study"] for one in last["summary"]["series"]] == expected, asked


@pytest.mark.parametrize("way", WAYS)
def test_what_is_fetched_is_what_was_stored_and_is_fetched_once(archive, tmp_path, way):
    job = {"archive": f"{getattr(archive, way)()}?StudyInstanceUID=1.2.1", "output": str(tmp_path / "scans")}
    assert do("pacs-fetch", **job)[1]["summary"] == {"series": 1, "images": IMAGES, "new": IMAGES}
    files = images_in(tmp_path / "scans")
    got = sorted(map(pydicom.dcmread, files), key=lambda image: image.InstanceNumber)
    sent = ct_slices(head((IMAGES, 20, 24), 1))
    assert all(np.array_equal(one.pixel_array, other.pixel_array) for one, other in zip(got, sent, strict=True))
    assert not any("1.2.1" in str(file.relative_to(tmp_path)) for file in files)
    files[0].unlink()
    assert do("pacs-fetch", **job)[1]["summary"]["new"] == 1
    assert images_in(tmp_path / "scans") == files
    assert refused("no-ct", "pacs-fetch", archive=f"{getattr(archive, way)()}?PatientID=no", output=str(tmp_path / "x"))


@pytest.mark.slow
def test_a_batch_goes_through_an_archive_and_its_results_come_to_lie_in_their_studies(archive, tmp_path):
    """The scans leave no copy behind; the segmentation that the archive gives back lies where bone is."""
    place, results = archive.web(), tmp_path / "results"
    jobs = [
        {
            **{"task": "segment", "method": "threshold", "region": "whole"},
            **({"dicom": ["segmentation", "surface"]}),
        }
    ]
    job = {"input": place, "output": str(results), "jobs": jobs}
    code, last = do("batch", **job)
    assert (code, last["summary"]) == (0, {"scans": 2, "done": 2, "incomplete": 0, "failed": 0})
    assert set(rows_of(results)) == {"0001-A2", "0002-A2"}
    assert not [file for file in images_in(results / "private") if file.is_file()]
    single = tmp_path / "single"
    code, _ = do("segment", input=str(archive.folder / "1"), output=str(single), method="threshold", region="whole")
    made = results / "scans/0001-A2/segment"
    assert (made / "bone.stl").read_bytes() == (single / "bone.stl").read_bytes()

    before = {path: path.stat().st_mtime_ns for path in (results / "scans").rglob("*")}
    assert do("batch", **job)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in (results / "scans").rglob("*")}

    for to in (place, archive.dimse()):
        assert do("pacs-send", archive=to, files=[str(results)])[1]["summary"] == {"sent": 4}
    sent = pydicom.dcmread(made / "segmentation.dcm")
    with opened(address_of(place), KNOWN) as asked:
        answers = asked._client.search_for_series("1.2.1", fields=["Modality"])
        modalities = sorted(pydicom.Dataset.from_json(answer).Modality for answer in answers)
        back = asked._client.retrieve_instance("1.2.1", sent.SeriesInstanceUID, sent.SOPInstanceUID)
    assert modalities == ["CT", "M3D", "MR", "SEG"]
    assert np.array_equal(back.pixel_array, sent.pixel_array)
    first = back.PerFrameFunctionalGroupsSequence[0]
    positions = [tuple(one.ImagePositionPatient) for one in map(pydicom.dcmread, (archive.folder / "1").iterdir())]
    assert tuple(first.PlanePositionSequence[0].ImagePositionPatient) in positions
    assert back.FrameOfReferenceUID == sent.FrameOfReferenceUID


def test_only_what_is_asked_for_is_sent(archive, tmp_path):
    """Of a folder only what OrbitalSeg made; nothing of the scans that lie in it."""
    assert refused("no-dicom", "pacs-send", archive=archive.web(), files=[str(archive.folder / "1")])
    (tmp_path / "a.dcm").write_text("no DICOM")
    assert refused("no-dicom", "pacs-send", archive=archive.web(), files=[str(tmp_path / "a.dcm")])
    assert refused("no-such-input", "pacs-send", archive=archive.web(), files=[str(tmp_path / "none")])


@pytest.mark.parametrize("way", WAYS)
def test_results_of_a_patient_whose_id_changed_are_not_sent(archive, tmp_path, way):
    """They would come to lie in a study of nobody's, or in somebody else's."""
    place = getattr(archive, way)()
    file = next((archive.folder / "1").iterdir())
    code, last = do("pacs-send", archive=place, files=[str(file)])
    assert (code, last.get("summary")) == (0, {"sent": 1}), last
    dataset = pydicom.dcmread(file)
    dataset.PatientID = "P7"
    dataset.save_as(tmp_path / "other.dcm")
    text = refused("other-patient", "pacs-send", archive=place, files=[str(file), str(tmp_path / "other.dcm")])
    assert "nothing was sent" in text
    assert do("pacs-find", archive=f"{place}?PatientID=P7")[1]["summary"] == {"series": []}


def test_an_archive_that_stores_no_such_thing_is_said(archive, tmp_path):
    [file] = images_in(save(ct_slices()[:1], tmp_path, "{}.dcm".format))
    dataset = pydicom.dcmread(file)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.3.4"
    dataset.save_as(file)
    assert "store" in refused("bad-answer", "pacs-send", archive=archive.dimse(), files=[str(file)])


# What goes wrong


def test_a_wrong_password_and_a_stranger_are_told(archive, monkeypatch):
    assert "title" in refused("no-archive", "pacs-find", archive=archive.dimse(), calling="STRANGER")  # it hangs up
    assert refused("not-let-in", "pacs-find", archive=archive.dimse().replace("ARCHIVE", "OTHER"))
    for value in ("wrong", ""):
        monkeypatch.setenv(addresses.PASSWORD, value)
        assert "password" in refused("not-let-in", "pacs-find", archive=archive.web())


def test_an_archive_that_is_not_there_or_is_none_is_told(archive):
    port = free_port()
    for place in (f"dicomweb://127.0.0.1:{port}/x", f"dimse://127.0.0.1:{port}/X", "dimse://no-host.invalid/X"):
        assert refused("no-archive", "pacs-find", archive=place)
    assert refused("bad-answer", "pacs-find", archive=archive.web().replace("dicom-web", "other"))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_an_archive_that_closes_in_the_middle_leaves_whole_images_and_the_rest_comes_later(tmp_path, monkeypatch, way):
    made = Orthanc(tmp_path)
    try:
        fill(made, study(tmp_path / "1", 1))
        job = {"archive": getattr(made, way)(), "output": str(tmp_path / "scans")}
        keep = Store.keep

        def stop_at_the_fifth(store: Store, content: bytes) -> bool:
            if len(images_in(tmp_path / "scans")) == 5:
                made.stop()
            return keep(store, content)

        monkeypatch.setattr(Store, "keep", stop_at_the_fifth)
        refused("no-archive", "pacs-fetch", **job)
        monkeypatch.undo()
        monkeypatch.setenv(addresses.USER, USER)
        monkeypatch.setenv(addresses.PASSWORD, PASSWORD)
        got = images_in(tmp_path / "scans")
        assert 5 <= len(got) < IMAGES
        assert all(pydicom.dcmread(file).pixel_array.size for file in got)
        made.start()
        assert do("pacs-fetch", **job)[1]["summary"] == {"series": 1, "images": IMAGES, "new": IMAGES - len(got)}
    finally:
        made.stop()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_fills_leaves_whole_images_and_the_rest_comes_later(archive, tmp_path, monkeypatch, way):
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.suffix == ".dcm" and len(images_in(tmp_path / "scans")) > 3:
            write(path, content[:100])
            raise OSError(errno.ENOSPC, "full")
        return write(path, content)

    job = {"archive": f"{getattr(archive, way)()}?StudyInstanceUID=1.2.2", "output": str(tmp_path / "scans")}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        code, last = do("pacs-fetch", **job)
    assert (code, last["code"]) == (4, "disk-full")
    got = images_in(tmp_path / "scans")
    assert len(got) == 4
    assert [path.name for path in (tmp_path / "scans").iterdir() if path.name.startswith(".orbitalseg-")] == []
    assert do("pacs-fetch", **job)[1]["summary"]["new"] == IMAGES - 4


@pytest.fixture
def certificate(tmp_path) -> Path:
    """Of `localhost`, by nobody whom this computer trusts; its key lies beside it."""
    made = tmp_path / "certificate.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", made]
    named = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*new, *named], check=True, capture_output=True)
    return made


def verified_alone(place: str, certificate: Path, patch: pytest.MonkeyPatch) -> None:
    """That a certificate is verified, and the name in it: the file that says whom to trust is the only way around."""
    assert "certificate" in refused("not-trusted", "pacs-find", archive=place)
    patch.setenv(addresses.CERTIFICATES, str(certificate))
    assert do("pacs-find", archive=place)[1]["summary"] == {"series": []}
    assert refused("not-trusted", "pacs-find", archive=place.replace("localhost", "127.0.0.1"))
    patch.setenv(addresses.CERTIFICATES, str(certificate.with_name("none")))
    assert refused("no-credentials", "pacs-find", archive=place)


def test_a_certificate_is_verified_by_dimse(tmp_path, monkeypatch, certificate):
    key = str(certificate.with_name("key.pem"))
    tls = {"DicomTlsEnabled": True, "DicomTlsCertificate": str(certificate), "DicomTlsPrivateKey": key}
    tls |= {"DicomTlsTrustedCertificates": str(certificate), "DicomTlsRemoteCertificateRequired": False}
    made = Orthanc(tmp_path, **tls)
    try:
        verified_alone(made.dimse("s", "localhost"), certificate, monkeypatch)
    finally:
        made.stop()


def test_a_certificate_is_verified_by_dicomweb(monkeypatch, certificate):
    """Against a server of our own: Debian's Orthanc dies when it is asked for HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with serving(200, {"Content-Type": "application/dicom+json"}, b"[]", context) as (port, _):
        verified_alone(f"dicomwebs://localhost:{port}/x", certificate, monkeypatch)


# Addresses and credentials


@pytest.mark.parametrize(
    "text",
    [
        *(
            "dicomweb://",
            "dicomweb://host:none/x",
            "dimse://host:104",
            "dimse://host/A TITLE THAT IS TOO LONG",
            "http://x",
        ),
        *("dicomweb://host/x?Name=y", "dicomweb://host/x#y", "dimse://host/A/B\\C", "dicomweb://[x/"),
    ],
)
def test_an_address_that_makes_no_sense_is_told(text):
    with pytest.raises(JobError) as caught:
        address_of(text)
    assert caught.value.code == "invalid-job"


def test_a_password_in_an_address_is_refused_and_not_repeated():
    code, last = do("pacs-find", archive=f"dicomweb://lab:{PASSWORD}@host/x")
    assert (code, last["code"]) == (2, "invalid-job")
    assert addresses.PASSWORD in last["text"]


def test_titles_and_addresses_are_told_from_paths(tmp_path):
    assert is_address("dimses://x/Y")
    assert not is_address("C://x")
    assert not is_address(str(tmp_path))
    assert [is_title(text) for text in ("A", " A", "A" * 17, "", "Ä", "A\\B")] == [True] + [False] * 5


def test_credentials_come_from_a_file_of_its_owner_and_never_cross_a_network_in_the_clear(monkeypatch, tmp_path):
    away, here = address_of("dicomweb://host/x"), address_of("dicomweb://localhost/x")
    with pytest.raises(InputError, match="unprotected"):
        credentials(away)
    assert credentials(here).user == USER
    file = tmp_path / "credentials.json"
    file.write_text('{"token": "very secret"}')
    file.chmod(0o600)
    monkeypatch.setenv(addresses.FILE, str(file))
    found = credentials(address_of("dicomwebs://host/x"))
    assert found.token == "very secret"
    assert "secret" not in repr(found)
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod"):
        credentials(here)
    file.chmod(0o600)
    for text in ("", "[]", "{}", '{"user": 1}', '{"name": "x"}'):
        file.write_text(text)
        with pytest.raises(InputError, match="must be JSON"):
            credentials(here)


@contextmanager
def serving(
    answer: int, headers: dict[str, str], content: bytes = b"", tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[str]]]:
    """A server that always answers the same: its port, and the authorizations that it was given."""
    heard: list[str] = []

    class Always(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization", ""))
            self.send_response(answer)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_who: object) -> None:
            """Who does not trust us hangs up."""

        def finish_request(self, request: Any, who: Any) -> None:
            super().finish_request(tls.wrap_socket(request, server_side=True) if tls else request, who)

    server = Server(("127.0.0.1", 0), Always)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_is_sent_as_one_and_nothing_follows_to_another_address(monkeypatch):
    """A server that answers with another address gets no second question."""
    monkeypatch.delenv(addresses.USER)
    monkeypatch.setenv(addresses.TOKEN, "token")
    with serving(302, {"Location": "/other"}) as (port, heard):
        refused("bad-answer", "pacs-find", archive=f"dicomweb://127.0.0.1:{port}/x")
    assert heard == ["Bearer token"]


@pytest.mark.parametrize(
    "content", [b"", b"[{}]", b"[1]", b"{", b"[" * 100_000, b'[{"0020000D": {"vr": "UI"}}]', b"<html>"]
)
def test_answers_that_make_no_sense_are_told(content):
    with serving(200, {"Content-Type": "application/dicom+json"}, content) as (port, _):
        code, last = do("pacs-find", archive=f"dicomweb://127.0.0.1:{port}/x")
    assert (code, last.get("code")) == (3, "bad-answer") or (not content and last["summary"] == {"series": []})


def test_without_the_packages_it_is_said_what_to_install(monkeypatch):
    import sys

    for name in ("OrbitalSegLib.pacs.dicomweb", "dicomweb_client.web"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "dicomweb_client", None)
    assert "pip install" in refused("needs-pacs", "pacs-find", archive="dicomweb://localhost/x")


def test_an_archive_answers_an_echo(archive):
    DimseArchive(address_of(archive.dimse()), KNOWN).echo()


def test_an_answer_is_heard_however_slow_a_thread_is_to_halt(archive, monkeypatch):
    """pynetdicom's own thread would take the answer, and drop it."""
    run = Association._run_reactor

    def slow(association: Association) -> None:
        wait = association._reactor_checkpoint.wait
        if association.is_requestor:
            association._reactor_checkpoint.wait = lambda: (wait(), time.sleep(0.2))
        run(association)

    monkeypatch.setattr(Association, "_run_reactor", slow)
    monkeypatch.setattr("OrbitalSegLib.pacs.dimse.ANSWER_SECONDS", 3.0)
    with DimseArchive(address_of(archive.dimse()), KNOWN)._association([build_context(VERIFICATION)]) as association:
        time.sleep(0.1)  # it runs by now
        say = association.dimse.send_msg
        association.dimse.send_msg = lambda *words: (say(*words), time.sleep(0.4))
        assert association.send_c_echo().get("Status") == 0


# Archives that mean no good


@pytest.mark.parametrize("other", [{"StudyInstanceUID": "1.2.3"}, {"series": "1.2.3"}, {"SOPInstanceUID": "1.2.3"}])
def test_an_image_that_was_not_asked_for_is_not_kept(tmp_path, other):
    """It would lie in another study, which may be worked on."""
    asked = ct_slices()[0]
    with unchecked():
        given = ct_slices(**{key: value for key, value in other.items() if key != "SOPInstanceUID"})[0]
    given.SOPInstanceUID = given.file_meta.MediaStorageSOPInstanceUID = other.get(
        "SOPInstanceUID", asked.SOPInstanceUID
    )

    class Other:
        def images(self, _series: ArchivedSeries) -> list[str]:
            return [asked.SOPInstanceUID]

        def fetch(self, _series: ArchivedSeries, _images: list[str], keep: Any) -> None:
            content = BytesIO()
            save_dicom(given, content)
            keep(content.getvalue())

    series = ArchivedSeries(asked.StudyInstanceUID, asked.SeriesInstanceUID, None, None, "", "", None)
    with store_in(tmp_path) as store, pytest.raises(InputError) as caught:
        fetch_series(Other(), series, store)
    assert caught.value.code == "bad-answer"
    assert not images_in(tmp_path)


@pytest.mark.parametrize("uid", ["", "../../patients", "*", "1.2\\1.3"])
def test_what_an_archive_calls_a_uid_is_held_to_be_one(monkeypatch, uid):
    monkeypatch.setattr(DimseArchive, "_find", lambda *_asked: [{"StudyInstanceUID": uid, "SOPInstanceUID": uid}])
    archive = DimseArchive(address_of("dimse://127.0.0.1/X"), KNOWN)
    series = ArchivedSeries("1", "2", None, None, "", "", None)
    for ask in (archive.studies, lambda: archive.images(series)):
        with pytest.raises(InputError, match="otherwise than DICOM asks"):
            ask()
    answer = json.dumps([{"0020000D": {"vr": "UI", "Value": [uid]}}]).encode()
    with serving(200, {"Content-Type": "application/dicom+json"}, answer) as (port, heard):
        refused("bad-answer", "pacs-find", archive=f"dicomweb://127.0.0.1:{port}/x")
    assert len(heard) == 1


def test_an_answer_without_end_is_not_unpacked(monkeypatch):
    """A few bytes that unpack to many."""
    monkeypatch.setattr("OrbitalSegLib.pacs.dicomweb.MOST_JSON_BYTES", 100_000)
    packed = {"Content-Type": "application/dicom+json", "Content-Encoding": "gzip"}
    for blanks, code in ((90_000, None), (10_000_000, "bad-answer")):
        with serving(200, packed, gzip.compress(b"[" + b" " * blanks + b"]")) as (port, _):
            assert do("pacs-find", archive=f"dicomweb://127.0.0.1:{port}/x")[1].get("code") == code


def test_an_answer_that_comes_too_slowly_is_given_up(monkeypatch):
    monkeypatch.setattr("OrbitalSegLib.pacs.dicomweb.SECONDS", (10.0, 0.5))

    class Slow(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10_000)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            with suppress(OSError):
                for _ in range(100):
                    self.request.sendall(b" ")
                    time.sleep(0.1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        text = refused("bad-answer", "pacs-find", archive=f"dicomweb://127.0.0.1:{server.server_address[1]}/x")
        server.shutdown()
    assert "too slowly" in text


def test_no_proxy_hears_who_asks(monkeypatch):
    answer = {"Content-Type": "application/dicom+json"}
    with serving(200, answer, b"[]") as (proxy, heard), serving(200, answer, b"[]") as (port, asked):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert do("pacs-find", archive=f"dicomweb://127.0.0.1:{port}/x")[0] == 0
    assert not heard
    assert asked
