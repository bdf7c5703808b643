"""Moves of a tunnel: when the gateway confirmed each, and how long nothing came through."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from client.daemon.passages import MOST_PASSAGES, Passages
from client.system.datapath import PathCarries
from client.tunnel.model import Underlay
from tests.daemon.world import LTE, WIFI
from tests.pair import GATEWAY

OVER_WIFI = Underlay("wifi0", ip_address(WIFI), GATEWAY)
OVER_LTE = Underlay("lte0", ip_address(LTE), GATEWAY)


def moved() -> Passages:
    passages = Passages()
    passages.note("wifi0 is gone", OVER_WIFI, OVER_LTE, 10.0)
    return passages


@pytest.mark.parametrize(
    ("carries", "gap"),
    [
        (PathCarries(before=9.5, first=10.25, outbound=10.0), 0.75),
        (
            PathCarries(before=9.5, first=10.25, outbound=9.0),
            None,
        ),  # nothing was sent: nobody missed anything
        (PathCarries(before=0.0, first=10.25, outbound=10.0), None),  # nothing came in before either
        (PathCarries(before=10.5, first=10.25, outbound=10.5), 0.0),  # the old path still brought something
    ],
)
def test_the_gap_is_from_the_last_packet_over_the_old_path_to_the_first_over_the_new(
    carries: PathCarries, gap: float | None
) -> None:
    passages = moved()
    passages.carried(carries)
    assert passages.last is not None
    assert passages.last.gap == gap


def test_a_gap_that_is_known_stays() -> None:
    passages = moved()
    passages.carried(PathCarries(before=9.5, first=10.25, outbound=10.0))
    passages.carried(PathCarries(before=9.5, first=20.0, outbound=19.0))
    assert passages.last is not None
    assert passages.last.gap == 0.75


def test_only_the_path_moved_to_is_confirmed_and_only_once() -> None:
    passages = moved()
    assert passages.last is not None
    passages.confirm(OVER_WIFI, 11.0)
    assert passages.last.confirmed is None
    passages.confirm(OVER_LTE, 12.0)
    passages.confirm(OVER_LTE, 13.0)
    assert passages.last.confirmed == 12.0


def test_where_nothing_moved_there_is_nothing_to_confirm_or_to_measure() -> None:
    passages = Passages()
    passages.confirm(OVER_LTE, 12.0)
    passages.carried(PathCarries(before=9.5, first=10.25, outbound=10.0))
    assert passages.last is None


def test_the_oldest_moves_are_forgotten() -> None:
    passages = Passages()
    for number in range(MOST_PASSAGES + 3):
        passages.note(f"move {number}", OVER_WIFI, OVER_LTE, float(number))
    assert [passage.at for passage in passages.all] == [float(n) for n in range(3, MOST_PASSAGES + 3)]
