"""Percent that never falls, and an honest estimate of what is left."""

import pytest

from OrbitalSegLib import progress
from OrbitalSegLib.progress import Steps


def test_percent_runs_through_the_steps_by_their_shares():
    told = []
    steps = Steps({"reading": 1, "segmenting": 3}, lambda percent, step, _left: told.append((percent, step)))
    steps.step("reading")(0.5)
    segmenting = steps.step("segmenting")
    segmenting(1 / 3)
    segmenting(1.0)
    assert told == [
        (0.0, "reading"),
        (12.5, "reading"),
        (25.0, "segmenting"),
        (pytest.approx(50.0), "segmenting"),
        (100.0, "segmenting"),
    ]


def test_percent_never_falls_and_never_leaves_its_step():
    told = []
    steps = Steps({"a": 1, "b": 1}, lambda percent, _step, _left: told.append(percent))
    a = steps.step("a")
    for fraction in (0.8, 0.2, 7.0, -1.0):
        a(fraction)
    assert told == sorted(told)
    assert told[-1] == 50.0


def test_seconds_left_are_not_known_at_first_and_then_follow_the_time_spent(monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    told = []
    step = Steps({"a": 1}, lambda _percent, _step, left: told.append(left)).step("a")
    step(0.25)
    step(0.75)
    assert told == [None, pytest.approx(30.0), pytest.approx(10.0)]
