"""How much memory the networks may take."""

import pytest

from OrbitalSegLib.networks import resources


def test_a_limit_is_what_a_person_said_or_half_of_what_is_free(monkeypatch):
    monkeypatch.setattr(resources, "free_bytes", lambda: 3_000_000_000)
    assert resources.limit_bytes(2.5) == 2_500_000_000
    assert resources.limit_bytes(None) == 1_500_000_000


def test_some_memory_is_free_here():
    assert 10**7 < resources.free_bytes() < 10**14


def test_what_linux_says_is_free_is_read(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:    1000 kB\n")
    assert resources._linux_available(tmp_path / "meminfo") == 1_024_000


@pytest.mark.parametrize(("limit", "left"), [("5000", 3000), ("1000", 0), ("max", 77)])
def test_a_container_may_have_less(tmp_path, limit, left):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert resources._group_left(tmp_path, 77) == left
    assert resources._group_left(tmp_path / "none", 77) == 77


def test_without_a_known_system_half_of_what_is_built_in_counts(monkeypatch):
    monkeypatch.setattr(resources.sys, "platform", "plan9")
    sizes = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(resources.os, "sysconf", sizes.__getitem__)
    assert resources.free_bytes() == 2_048_000
