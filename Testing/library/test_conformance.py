"""docs/conformance.md says what the code does: its tables are those of `pacs/classes.py`."""

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

from OrbitalSegLib.archive import watching
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.pacs import address, archives, classes
from OrbitalSegLib.tasks import watch

PAGE = (Path(__file__).parents[2] / "docs/conformance.md").read_text(encoding="utf-8")


def tables(section: str) -> list[list[list[str]]]:
    """The tables of a section, each as rows of cells without its head."""
    text = re.search(rf"^#+ {re.escape(section)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in one.splitlines()[2:]] for one in found]


def uids(rows: list[list[str]]) -> list[str]:
    return [row[1].strip("`") for row in rows]


def test_classes_and_roles_are_those_of_the_code():
    rows, services = tables("2. SOP classes")
    assert uids(rows) == [*classes.IMAGES, *classes.RESULTS]
    for row in rows:
        image = row[1].strip("`") in classes.IMAGES
        assert row[0] == UID(row[1].strip("`")).name
        assert row[2:] == (["yes", "no", "yes", "no"] if image else ["no", "yes", "no", "yes"])
    assert uids(services) == [classes.VERIFICATION, classes.FIND, classes.GET]


def test_transfer_syntaxes_are_those_of_the_code():
    [rows] = tables("3. Transfer syntaxes")
    assert uids(rows) == list(classes.SYNTAXES)


def test_keys_are_those_of_the_code():
    keys = {row[0]: re.findall(r"`(\w+)`", row[1]) for row in tables("Asking an archive by DIMSE")[1]}
    assert keys == {"study": list(address.STUDY_KEYS), "series": list(address.SERIES_KEYS), "image": []}
    assert all(f"`{field}`" in PAGE for field in archives.SERIES_FIELDS)


def test_figures_and_statuses_are_those_of_the_code():
    pytest.importorskip("pynetdicom")
    from OrbitalSegLib.pacs import dimse, receiver

    asking = dict(tables("Asking an archive by DIMSE")[0])
    assert asking["calling title"].startswith(f"`{address.OWN_TITLE}`")
    assert asking["implementation class UID"] == f"`{classes.IMPLEMENTATION}`"
    assert asking["waits for an association"] == f"{dimse.CONNECT_SECONDS:g} s"
    assert asking["waits for an answer"] == f"{dimse.ANSWER_SECONDS:g} s"
    receiving, statuses = tables("Receiving by DIMSE")
    figures = dict(receiving)
    assert figures["associations at a time"] == str(receiver.MOST_ASSOCIATIONS)
    assert figures["largest PDU read"] == f"{receiver.LONGEST_PDU_BYTES} bytes"
    assert figures["largest object"].startswith(f"{watch.LARGEST_MB:g} MB")
    assert figures["connection without association"] == f"ended after {receiver.CONNECT_SECONDS:g} s"
    assert figures["PDU that is begun and not ended"] == f"ended after {receiver.PDU_SECONDS:g} s"
    assert figures["idle association"] == f"ended after {receiver.IDLE_SECONDS:g} s"
    known = (classes.SUCCESS, classes.NO_ROOM, classes.OTHER_OBJECT, classes.NOT_UNDERSTOOD)
    assert [row[0] for row in statuses] == [f"`{status:04X}`" for status in known]
    assert {*receiver.STATUSES.values()} == {classes.OTHER_OBJECT, classes.NOT_UNDERSTOOD}


def test_what_is_proposed_and_accepted_is_what_the_page_says(tmp_path, monkeypatch):
    """The classes and syntaxes on the wire, of fetching and of receiving."""
    pytest.importorskip("pynetdicom")
    from pynetdicom import AE

    proposed, accepted = [], []

    def associate(_entity, _host, _port, contexts, **_more):
        proposed.extend(contexts)
        raise OSError

    def start_server(entity, *_words, **_more):
        accepted.extend(entity.supported_contexts)
        raise OSError

    monkeypatch.setattr(AE, "associate", associate)
    monkeypatch.setattr(AE, "start_server", start_server)
    series = archives.ArchivedSeries("1", "2", None, None, "", "", None)
    place = address.address_of("dimse://127.0.0.1:1/X")
    with pytest.raises(InputError), archives.opened(place, "A") as archive:
        archive.fetch(series, ["3"], lambda _content: None)
    with pytest.raises(InputError), watching.sent_to(place, ["A"], 1, 1.0, tmp_path):
        pass
    pairs = [(image, syntax) for image in classes.IMAGES for syntax in classes.SYNTAXES]
    assert [(one.abstract_syntax, one.transfer_syntax[0]) for one in proposed][1:] == pairs
    assert proposed[0].abstract_syntax == classes.GET
    assert [(one.abstract_syntax, syntax) for one in accepted[1:] for syntax in one.transfer_syntax] == pairs
    assert accepted[0].abstract_syntax == classes.VERIFICATION
