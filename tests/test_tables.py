"""The tables that a run prints say what was counted."""

from __future__ import annotations

from tests.tables import aligned, counted


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert list(aligned([("a", "bcd", "e"), ("fgh", "i", "")])) == ["a    bcd  e", "fgh  i"]
    assert list(aligned([])) == []


def test_counts_of_several_tests_add_up_and_the_sums_come_last() -> None:
    told = [("up", "tcp", 0, 3), ("up", "udp", 1, 3), ("down", "tcp", 0, 2), ("up", "tcp", 0, 1)]
    assert list(counted("left", told)) == [
        "left          tcp  udp",
        "up            0/4  1/3",
        "down          0/2",
        "all together  0/6  1/3",
    ]
