"""The size of the link of a tunnel, and of TCP's segments in it."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from client.ike.events import Assigned
from client.tunnel.model import NetworkState, TunnelConfig, TunnelUp
from client.tunnel.sizes import carried_size, largest_segment, link_mtu

V4, V6 = ip_interface("10.8.0.2/32"), ip_interface("fd01::2/128")


def up(*addresses: object, mtu: int | None = None) -> TunnelUp:
    return TunnelUp("roam0", Assigned(addresses=addresses), mtu=mtu)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "found", "size"),
    [(1350, 1300, 1350), (None, 1300, 1300), (None, None, 1400), (1350, None, 1350)],
)
def test_the_users_word_counts_before_what_was_found_and_that_before_a_computation(
    told: int | None, found: int | None, size: int
) -> None:
    config = TunnelConfig("office", ("gw.example.com",), mtu=told)
    assert carried_size(config, up(V4, mtu=found), NetworkState(), ()) == size


def test_a_link_with_ipv6_is_as_large_as_ipv6_needs() -> None:
    assert link_mtu(up(V4, V6), 1200) == 1280
    assert link_mtu(up(V4), 1200) == 1200
    assert link_mtu(up(V4, V6), 1340) == 1340


def test_a_segment_leaves_room_for_the_headers() -> None:
    assert (largest_segment(1400, 4), largest_segment(1400, 6)) == (1360, 1340)
