"""A job in JSON is understood, or refused with a sentence."""

from pathlib import Path

import pytest

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.methods.method import Resources
from OrbitalSegLib.postprocessing import PostprocessingParameters
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.region import Region
from OrbitalSegLib.tasks import job_from
from OrbitalSegLib.tasks.keys import settings_of
from OrbitalSegLib.tasks.segment import SegmentJob

pytestmark = pytest.mark.base

SEGMENT = {"contract": CONTRACT, "task": "segment", "input": "ct", "output": "result"}


def test_the_shortest_job_takes_the_contracts_defaults():
    assert job_from(SEGMENT) == SegmentJob(input=Path("ct"), output=Path("result"))


def test_every_key_of_a_job_is_understood():
    job = job_from(
        SEGMENT
        | {"overwrite": True, "series": "3", "region": [0, 1, 2, 3, 4, 5.5], "method": "hysteresis"}
        | {
            "parameters": {"seed_hu": 400},
            "postprocess": {"minimum_object_ml": 0.2, "keep_largest": 2},
            "smoothing": "none",
        }
        | {"surfaces": ["cortical", "thin"]}
        | {"model": "mine", "engine": "torch", "precision": "fp32", "device": "cpu", "threads": -1, "memory_gb": 2.5}
    )
    assert job == SegmentJob(
        input=Path("ct"),
        output=Path("result"),
        overwrite=True,
        series="3",
        region=Region((0.0, 1.0, 2.0, 3.0, 4.0, 5.5)),
        method="hysteresis",
        parameters={"seed_hu": 400},
        postprocess=PostprocessingParameters(minimum_object_ml=0.2, keep_largest=2),
        smoothing="none",
        surfaces=("cortical", "thin"),
        model=Path("mine"),
        engine="torch",
        precision="fp32",
        device="cpu",
        threads=-1,
        memory_gb=2.5,
    )
    assert job.resources == Resources(Path("mine"), "torch", "fp32", "cpu", -1, 2.5)
    assert job.wish.chosen.name == "hysteresis"


def test_what_can_be_left_out_or_named():
    assert job_from(SEGMENT | {"postprocess": "none"}).postprocess is None
    assert job_from(SEGMENT | {"region": "whole"}).region == Region()
    assert job_from(SEGMENT | {"region": "left"}).region == "left"
    for name in ("series", "model", "threads", "memory_gb"):
        assert getattr(job_from(SEGMENT | {name: None}), name) is None


def test_what_a_person_says_of_a_result_is_understood():
    review = {"kind": "physician", "outcome": "accepted", "by": " Dr. Y ", "date": "2026-11-22", "marked": [4, 2, 2]}
    job = job_from(SEGMENT | {"purpose": "A plate", "operator": "", "reviews": [review], "dicom": ["surface"] * 2})
    assert (job.purpose, job.operator, job.dicom) == ("A plate", None, ("surface",))
    assert job.reviews == (review | {"by": "Dr. Y", "marked": [2, 4], "seen": None, "comment": None},)


def test_settings_make_the_same_job_again_and_name_nobody():
    job = job_from(
        SEGMENT
        | {"region": [0, 1, 2, 3, 4, 5], "postprocess": {"keep_largest": 2}, "surfaces": ["thin"], "threads": 2}
        | {"purpose": "A plate", "operator": "X", "series": "3", "model": "mine"}
    )
    again = job_from(SEGMENT | settings_of(job) | {"contract": CONTRACT})
    assert settings_of(again) == settings_of(job)
    assert (again.region, again.postprocess, again.surfaces) == (job.region, job.postprocess, job.surfaces)
    assert not {"input", "output", "purpose", "operator", "series", "model"} & settings_of(job).keys()


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        "segment",
        {},
        {"contract": 1, "task": "segment"},
        {"contract": True, "task": "methods"},
        SEGMENT | {"region": [0, 10**400, 0, 1, 0, 1]},
        SEGMENT | {"method": "\ud800"},
        SEGMENT | {"output": "\ud800"},
        {"contract": CONTRACT},
        {"contract": CONTRACT, "task": "fly"},
        {"contract": CONTRACT, "task": "info"},
        {"contract": CONTRACT, "task": "segment", "input": "ct"},
        {"contract": CONTRACT, "task": "phantom"},
        SEGMENT | {"colour": "red"},
        SEGMENT | {"input": 5},
        SEGMENT | {"input": ""},
        SEGMENT | {"output": "a\0b"},
        SEGMENT | {"overwrite": "yes"},
        SEGMENT | {"series": 3},
        SEGMENT | {"region": "both"},
        SEGMENT | {"model": 5},
        SEGMENT | {"engine": "steam"},
        SEGMENT | {"precision": "int8"},
        SEGMENT | {"device": "abacus"},
        SEGMENT | {"threads": 0},
        SEGMENT | {"threads": 1.5},
        SEGMENT | {"threads": 5000},
        SEGMENT | {"memory_gb": 0},
        SEGMENT | {"memory_gb": "all"},
        SEGMENT | {"region": [1, 2]},
        SEGMENT | {"region": ["a"] * 6},
        SEGMENT | {"region": [True, 2, 0, 1, 0, 1]},
        SEGMENT | {"parameters": [1]},
        SEGMENT | {"postprocess": "some"},
        SEGMENT | {"postprocess": {"polish": True}},
        SEGMENT | {"postprocess": {"minimum_object_ml": "much"}},
        SEGMENT | {"postprocess": {"minimum_object_ml": float("nan")}},
        SEGMENT | {"postprocess": {"fill_objects": 3}},
        SEGMENT | {"postprocess": {"keep_largest": 1.5}},
        SEGMENT | {"smoothing": "heavy"},
        SEGMENT | {"purpose": 5},
        SEGMENT | {"purpose": "x" * 5000},
        SEGMENT | {"reviews": {}},
        SEGMENT | {"reviews": [{"kind": "physician"}]},
        SEGMENT | {"reviews": [{"kind": "nurse", "outcome": "accepted"}]},
        SEGMENT | {"reviews": [{"kind": "physician", "outcome": "fine"}]},
        SEGMENT | {"reviews": [{"kind": "physician", "outcome": "accepted", "date": "22.11.2026"}]},
        SEGMENT | {"reviews": [{"kind": "physician", "outcome": "accepted", "date": "2026-02-30"}]},
        SEGMENT | {"reviews": [{"kind": "physician", "outcome": "accepted", "seen": 2}]},
        SEGMENT | {"reviews": [{"kind": "physician", "outcome": "accepted", "marked": [-1]}]},
        SEGMENT | {"dicom": "surface"},
        SEGMENT | {"dicom": ["skin"]},
        {"contract": CONTRACT, "task": "experiment", "output": "result", "cases": 0},
        SEGMENT | {"cases": 5},
        {"contract": CONTRACT, "task": "review", "input": "result"},
        {"contract": CONTRACT, "task": "verify", "input": "ct"},
        SEGMENT | {"surfaces": "bone"},
        SEGMENT | {"surfaces": ["skin"]},
        SEGMENT | {"surfaces": [["bone"]]},
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_a_sentence(values):
    with pytest.raises(JobError) as caught:
        job_from(values)
    assert caught.value.code == "invalid-job"
    assert caught.value.text.endswith(".")


def test_an_unknown_method_is_named_with_those_that_exist():
    with pytest.raises(JobError) as caught:
        _ = job_from(SEGMENT | {"method": "magic"}).wish.chosen
    assert caught.value.code == "unknown-method"
    assert "threshold" in caught.value.text
