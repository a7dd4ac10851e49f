"""The record: what it must hold, what it lacks, its schema, its seal, and its page."""

import base64
import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from OrbitalSegLib import worker
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks import schema
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.record import required
from OrbitalSegLib.record.html import texts_of
from OrbitalSegLib.record.page import page_of
from OrbitalSegLib.results import changed_entries, read_record, record_schema

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A scan, and what `segment` and `surface` make of it."""
    folder = tmp_path_factory.mktemp("record")
    voxels = np.full((20, 32, 32), -1000, np.int16)
    voxels[2:18, 3:29, 3:29] = 40
    voxels[5:15, 8:24, 8:24] = 1000
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 0.8))
    sitk.WriteImage(image, str(folder / "ct.nrrd"))
    job = {
        "contract": CONTRACT,
        "task": "segment",
        "method": "threshold",
        "region": "whole",
        "purpose": "Plate <for> & floor",
    }
    assert (
        worker.run(job | {"input": str(folder / "ct.nrrd"), "output": str(folder / "result")}, lambda _line: None) == 0
    )
    segmentation = str(folder / "result" / "segmentation.seg.nrrd")
    job = {"contract": CONTRACT, "task": "surface", "input": segmentation, "output": str(folder / "surface")}
    assert worker.run(job, lambda _line: None) == 0
    return folder


@pytest.fixture
def entries(results) -> dict:
    return read_record(results / "result")


@pytest.mark.parametrize("name", ["result", "surface"])
def test_every_record_follows_the_published_schema_and_another_validator_agrees(results, name):
    jsonschema = pytest.importorskip("jsonschema")
    entries = json.loads((results / name / "record.json").read_text(encoding="utf-8"))
    assert schema.problem(entries, record_schema()) is None
    jsonschema.Draft202012Validator(record_schema()).validate(entries)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("record",), 1),
        (("created",), "yesterday"),
        (("input", "sha256"), "abc"),
        (("input", "grid", "size"), [1, 2]),
        (("steps", 0, "seconds"), -1),
        (("feasibility", "thin_walls"), "splendid"),
        (("monitoring", "verdict"), "fine"),
        (("reviews",), [{"kind": "physician"}]),
        (("reviews",), [{"kind": "physician", "outcome": "accepted", "date": "22.11.2026"}]),
        (("outputs", 0, "file"), "../elsewhere"),
        (("outputs", 0, "file"), "/elsewhere"),
        (("outputs", 0, "sha256"), "x" * 64),
        (("secret",), "anything"),
        (("product", "name"), "Other"),
        (("input",), None),
        (("seal",), []),
    ],
)
def test_a_record_that_breaks_the_schema_is_refused_by_both_validators(entries, tmp_path, path, value):
    jsonschema = pytest.importorskip("jsonschema")
    *way, last = path
    place = entries
    for key in way:
        place = place[key]
    place[last] = value
    assert not jsonschema.Draft202012Validator(record_schema()).is_valid(entries)
    (tmp_path / "record.json").write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_record(tmp_path)
    assert caught.value.code == "no-result"


@pytest.mark.parametrize(
    "name", ["record", "product", "created", "environment", "steps", "warnings", "outputs", "seal"]
)
def test_what_every_record_holds_cannot_be_left_out(entries, name):
    del entries[name]
    assert schema.problem(entries, record_schema()) == f"{name} is missing"


def test_what_is_no_record_is_refused(tmp_path):
    for text in ("", "[]", "{}", "{", '{"record": 2}'):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(InputError, match="no result"):
            read_record(tmp_path)
    with pytest.raises(InputError, match="no result"):
        read_record(tmp_path / "nowhere")


def test_the_seal_names_what_was_changed(entries):
    assert changed_entries(entries) == []
    changed = copy.deepcopy(entries)
    changed["steps"][0]["seconds"] += 1
    changed["purpose"] = "Another"
    changed["operator_"] = None
    del changed["missing"]
    assert changed_entries(changed) == ["missing", "operator_", "purpose", "steps"]


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5))
def test_the_seal_survives_being_written_and_read(value):
    from OrbitalSegLib.results import seal_of

    entries = {"a": value, "b": {"ä": [value]}}
    entries["seal"] = seal_of(entries)
    assert changed_entries(json.loads(json.dumps(entries, ensure_ascii=False))) == []


def test_a_fresh_result_lacks_what_only_people_and_the_scanner_know(entries):
    missing = {entry["id"] for entry in entries["missing"]}
    assert {"operator", "slice-by-slice", "physician", "tube-voltage", "kernel", "scanner"} <= missing
    assert not {"purpose", "segmentation", "reconstruction", "deviation", "slice-spacing", "matrix"} & missing
    assert {entry["id"]: entry["why"] for entry in entries["missing"]}["kernel"] == "the scan does not state it"


def test_every_entry_that_the_standard_asks_for_can_be_present(entries):
    entries |= {"operator": "A. Surgeon", "reviews": [{"kind": kind, "outcome": "accepted"} for kind in KINDS]}
    names = ("manufacturer", "model", "patient_position", "tube_voltage_kv", "tube_current_ma", "rotation_time_s")
    entries["acquisition"] |= dict.fromkeys((*names, "collimation_mm", "slice_thickness_mm", "field_of_view_mm"), 1)
    entries["acquisition"] |= {"kernel": "STANDARD"}
    assert required.missing(entries) == []


KINDS = ("slice-by-slice", "physician")


@pytest.mark.parametrize("outcome", ["rejected", "incomplete"])
def test_a_review_that_did_not_accept_is_still_missing(entries, outcome):
    entries["reviews"] = [{"kind": kind, "outcome": "accepted"} for kind in KINDS]
    entries["reviews"].append({"kind": "physician", "outcome": outcome})
    missing = {entry["id"] for entry in required.missing(entries)}
    assert "physician" in missing
    assert "slice-by-slice" not in missing


class Page(HTMLParser):
    """What a page holds: its tags and where they point, and its text."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "object", "form")
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def test_the_page_is_whole_and_asks_nothing_of_the_network(results):
    text = (results / "result" / "record.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|url\(|@import", text)
    shown = base64.b64decode(page.links[0].partition(",")[2])
    assert shown == (results / "result" / "preview.png").read_bytes()


def test_the_page_says_what_the_record_says(results, entries):
    page = Page((results / "result" / "record.html").read_text(encoding="utf-8"))
    assert "not a medical device" in page.text
    assert "Plate <for> & floor" in page.text
    assert entries["input"]["sha256"] in page.text
    bone = next(output for output in entries["outputs"] if output["file"] == "bone.stl")
    assert bone["sha256"] in page.text
    assert f"{len(entries['missing'])} entries are missing" in page.text
    for row in (*entries["conditions"], *entries["monitoring"]["checks"]):
        assert row["term"] in page.text
    for warning in entries["warnings"]:
        assert warning["text"] in page.text


def reviewed(entries: dict) -> None:
    """With edits, a review, and a model package."""
    counted = {"automatic_ml": 1.0, "edited_ml": 1.5, "added_voxels": 7, "removed_voxels": 2}
    entries["edits"] = {
        "automatic": {"sha256": "0" * 64, "created": entries["created"]},
        "segments": {"bone": counted | {"added_ml": 0.7, "removed_ml": 0.2}},
    }
    review = {"kind": "physician", "outcome": "rejected", "by": "Dr. <X>", "date": "2026-11-22", "comment": "Hole"}
    entries["reviews"] = [review | {"seen": 0.5, "marked": [3]}]
    model = {"name": "tiny-1", "version": "1.0.0", "licence": "Apache-2.0", "sha256": "f" * 64}
    engine = {"name": "openvino", "precision": "bf16", "device": "cpu", "threads": 2}
    segmenting = next(step for step in entries["steps"] if step["step"] == "segmenting")
    segmenting["measured"] |= {"model": model, "engines": {"thin": engine}, "planes": ["axial"]}
    segmenting["measured"]["grid"] = {"spacing_mm": [0.5, 0.5, 0.5]}


def test_the_page_shows_edits_reviews_and_models(entries, tmp_path):
    (tmp_path / "preview.png").write_bytes(PICTURE)
    reviewed(entries)
    page = Page(page_of(entries, tmp_path))
    for text in ("7 voxels", "Dr. <X>", "rejected", "50 %", "Hole", "tiny-1 1.0.0", "f" * 64, "thin: openvino, bf16"):
        assert text in page.text


SAME = {"threshold", "Matrix", "Pixel", "Filter", "Format", "Kernel", "DICOM", "axial", "NRRD"}
"""The same in German, and the method's name."""


def test_a_page_in_german_says_all_but_names_and_figures_in_german(entries, tmp_path):
    """And what people said stays as they said it, though it be a word that has a translation."""
    reviewed(entries)
    entries["purpose"], entries["operator"] = "check", "Operator"
    said = "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions."
    entries["warnings"] = [{"code": "resampled", "text": said}]
    (tmp_path / "preview.png").write_bytes(PICTURE)
    pages = [page_of(entries, tmp_path, language) for language in ("en", "de")]
    english, german = map(texts_of, pages)
    assert len(english) == len(german) > 200
    same = {text for text, told in zip(english, german, strict=True) if text == told and re.search("[a-z]{3}", text)}
    assert same - SAME == set()
    assert '<html lang="de">' in pages[1]
    for page in pages:
        assert "<span translate='no'>check</span>" in page
        assert "<span translate='no'>Operator</span>" in page
        assert Page(page).open == []


def test_a_job_says_in_which_language_the_page_is(results, tmp_path):
    job = {"contract": CONTRACT, "task": "review", "input": str(results / "result"), "language": "de"}
    assert worker.run(job | {"output": str(tmp_path / "de")}, lambda _line: None) == 0
    assert "Protokoll eines Modells" in (tmp_path / "de" / "record.html").read_text(encoding="utf-8")
    english = read_record(results / "result")
    assert read_record(tmp_path / "de")["conditions"] == english["conditions"]  # what programs read is English
    lines: list[dict] = []
    assert worker.run(job | {"output": str(tmp_path / "xx"), "language": "xx"}, lines.append) == 2
    assert "`language` must be one of" in lines[-1]["text"]


def test_no_path_stands_in_record_and_page(results):
    for name in ("record.json", "record.html", "log.txt"):
        text = (results / "result" / name).read_text(encoding="utf-8")
        assert str(results) not in text


def test_the_record_of_a_surface_has_no_page(results):
    assert not (results / "surface" / "record.html").exists()
    assert "missing" not in read_record(results / "surface")
