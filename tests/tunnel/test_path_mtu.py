"""The search for the size that a path carries, against paths that carry everything up to some size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.tunnel.path_mtu import CHECK_FIRST, CHECK_LAST, LEAST, RAISE_AFTER, SAFE, Checks, PathMtu, settled

CEILING = 1400


def search(found: PathMtu, carries: int) -> tuple[PathMtu, list[int]]:
    """To its end; and the sizes that vanished on the way."""
    lost = []
    while (size := found.next_size) is not None:
        if size > carries:
            lost.append(size)
        found = found.note(size, carried=size <= carries)
    return found, lost


def test_a_path_as_large_as_its_links_costs_one_probe() -> None:
    found = PathMtu(CEILING)
    assert (found.mtu, found.next_size) == (CEILING, CEILING)
    found = found.note(CEILING, carried=True)
    assert (found.mtu, found.next_size, found.is_reduced) == (CEILING, None, False)


def test_everything_is_small_at_once_where_the_first_probe_vanishes() -> None:
    found = PathMtu(CEILING).note(CEILING, carried=False)
    assert (found.mtu, found.next_size, found.is_reduced) == (SAFE, SAFE, True)


def test_where_the_safe_size_vanishes_too_the_least_is_used() -> None:
    found = PathMtu(CEILING).note(CEILING, carried=False).note(SAFE, carried=False)
    assert (found.mtu, found.next_size) == (LEAST, LEAST)
    assert found.note(LEAST, carried=True).mtu == LEAST


def test_where_nothing_is_answered_whatever_its_size_a_safe_one_is_used_and_no_more_asked() -> None:
    """That every path carries the least is known: who does not answer does not hear such questions."""
    found = PathMtu(CEILING)
    for size in (CEILING, SAFE, LEAST):
        assert (found.next_size, found.is_unheard) == (size, False)
        found = found.note(size, carried=False)
    assert (found.mtu, found.next_size, found.is_unheard) == (SAFE, None, True)
    assert settled(found, 5.0) == Checks(float("inf"), raise_at=5.0 + RAISE_AFTER)
    assert found.note(CEILING, carried=True) == PathMtu(CEILING, CEILING)


@given(st.integers(LEAST, 1600), st.integers(SAFE, 1500))
def test_the_search_ends_just_below_what_the_path_carries(carries: int, ceiling: int) -> None:
    found, lost = search(PathMtu(ceiling), carries)
    assert min(carries, ceiling) - 8 <= found.mtu <= min(carries, ceiling)
    assert len(lost) <= 9
    assert found.is_reduced is (carries < ceiling)


@given(st.integers(LEAST, 1500), st.integers(LEAST, 1500))
def test_a_path_that_changes_is_found_again_from_what_was_known(before: int, after: int) -> None:
    """A check of the size in use tells of the worse, one of the ceiling of the better."""
    found, _ = search(PathMtu(CEILING), before)
    for size in (found.mtu, CEILING):
        found, _ = search(found.note(size, carried=size <= after), after)
    assert found.mtu <= after
    assert found.mtu >= min(before, after, CEILING) - 8
    if after >= CEILING:
        assert found == PathMtu(CEILING, CEILING)


@pytest.mark.parametrize("size", [SAFE, 1340, CEILING])
def test_news_of_a_size_count_more_than_what_was_known(size: int) -> None:
    found, _ = search(PathMtu(CEILING), 1340)
    assert found.note(size, carried=True).mtu >= size - 8
    assert found.note(size, carried=False).mtu < size


def test_checks_for_nothing_become_rare() -> None:
    checks = Checks(0.0)
    pauses = []
    for _ in range(7):
        later = checks.after_stall(0.0)
        pauses.append(later.due)
        checks = later
    assert pauses == [min(CHECK_FIRST * 2**n, CHECK_LAST) for n in range(7)]


def test_only_a_reduced_path_is_tried_for_more_later() -> None:
    reduced = PathMtu(CEILING).note(CEILING, carried=False).note(SAFE, carried=True)
    assert settled(reduced, 5.0) == Checks(5.0 + CHECK_FIRST, raise_at=5.0 + RAISE_AFTER)
    assert settled(PathMtu(CEILING, CEILING), 5.0).raise_at == float("inf")
