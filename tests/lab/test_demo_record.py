"""The figures of the demo from a record: gaps, silences, counts, and what makes a run a bad one."""

from __future__ import annotations

from typing import Any

from client.lab.demo_record import (
    Record,
    count,
    describe_difference,
    describe_roam,
    gap_after,
    longest_silence,
    milliseconds,
    verdict,
)

MS = 1_000_000


def probe(sent: int, answered: int | None) -> dict[str, Any]:
    """A probe by milliseconds."""
    return {
        "sent_at": sent * MS,
        "due_at": sent * MS,
        "answered_at": None if answered is None else answered * MS,
    }


PROBES = [probe(0, 2), probe(20, 22), probe(40, None), probe(60, None), probe(80, 95), probe(100, 102)]


def test_a_gap_lasts_from_the_last_answer_before_to_the_first_after() -> None:
    assert gap_after(PROBES, 30 * MS) == 73 * MS


def test_an_answer_under_way_when_it_happened_counts_as_before() -> None:
    assert gap_after([probe(0, 35), probe(40, 42)], 30 * MS) == 7 * MS


def test_traffic_that_never_comes_back_has_no_gap() -> None:
    assert gap_after(PROBES[:4], 30 * MS) is None
    assert milliseconds(None) == "never"


def test_the_longest_silence_is_looked_for_between_two_moments() -> None:
    assert longest_silence(PROBES, 0, 200 * MS) == 73 * MS
    assert longest_silence(PROBES, 90 * MS, 200 * MS) == 7 * MS
    assert longest_silence(PROBES, 150 * MS, 200 * MS) is None


def test_refused_and_lost_probes_count_as_sent() -> None:
    assert count(PROBES, 0, 100 * MS) == (3, 5)


def good() -> Record:
    return Record(
        moments={"wifi_down": 30 * MS, "gateway_killed": 90 * MS},
        probes=PROBES,
        changed_while_up=["links: + roam0"],
        underlay=["192.0.2.1"],
    )


def test_a_good_run_has_nothing_wrong() -> None:
    assert verdict(good(), frozenset({"192.0.2.1"})) == []
    assert describe_roam(good()).endswith("gap 73 ms")
    assert "empty" in describe_difference(good())


def test_what_is_wrong_is_said() -> None:
    bad = good()
    bad.changed_while_up = []
    bad.left_behind = ["rules: + not mark"]
    bad.underlay = ["10.77.0.1", "192.0.2.1"]
    bad.probes = PROBES[:4]
    problems = verdict(bad, frozenset({"192.0.2.1"}))
    assert len(problems) == 5
    assert any("10.77.0.1" in problem for problem in problems)
    assert "rules: + not mark" in describe_difference(bad)
