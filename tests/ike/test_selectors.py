"""Traffic selectors: what two lists have in common, and whether a choice stays within an offer."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.events import Selector
from client.ike.selectors import (
    ANY_IPV4,
    ANY_IPV6,
    all_within,
    intersect,
    is_within,
    narrow,
    networks_of,
    selector_of,
    selectors_of_addresses,
)
from tests.ike.strategies import SELECTORS

NET = selector_of(ip_network("10.77.0.0/24"))
HOST = selector_of(ip_network("10.77.0.9/32"))
NET6 = selector_of(ip_network("fd77::/64"))


def selector(first: str, last: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> Selector:
    return Selector(ip_address(first), ip_address(last), protocol, *ports)


DNS_ONLY = selector("10.77.0.0", "10.77.0.255", 17, (53, 53))


def tcp(first: int, last: int) -> Selector:
    return selector("10.77.0.0", "10.77.0.255", 6, (first, last))


WEB_ONLY = tcp(80, 443)
OPAQUE = selector("10.77.0.0", "10.77.0.255", 132, (65535, 0))


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (ANY_IPV4, NET, NET),
        (NET, HOST, HOST),
        (ANY_IPV6, NET6, NET6),
        (NET, NET6, None),
        (ANY_IPV4, ANY_IPV6, None),
        (NET, DNS_ONLY, DNS_ONLY),
        (WEB_ONLY, DNS_ONLY, None),
        (HOST, WEB_ONLY, selector("10.77.0.9", "10.77.0.9", 6, (80, 443))),
        (NET, selector_of(ip_network("10.77.1.0/24")), None),
        (
            selector("10.0.0.0", "10.0.0.10"),
            selector("10.0.0.5", "10.0.0.20"),
            selector("10.0.0.5", "10.0.0.10"),
        ),
        (
            WEB_ONLY,
            selector("10.77.0.0", "10.77.0.255", 6, (443, 8443)),
            selector("10.77.0.0", "10.77.0.255", 6, (443, 443)),
        ),
    ],
)
def test_what_two_selectors_have_in_common(one: Selector, other: Selector, common: Selector | None) -> None:
    assert intersect(one, other) == common
    assert intersect(other, one) == common


@given(SELECTORS, SELECTORS)
def test_the_common_part_is_within_both(one: Selector, other: Selector) -> None:
    common = intersect(one, other)
    if common is not None:
        assert is_within(common, (one,))
        assert is_within(common, (other,))
        assert common.first <= common.last  # type: ignore[operator]


@given(st.lists(SELECTORS, max_size=4), st.lists(SELECTORS, max_size=4))
def test_narrowing_never_goes_beyond_what_is_wanted_or_offered(
    offered: list[Selector], wanted: list[Selector]
) -> None:
    chosen = narrow(offered, wanted)
    assert len(set(chosen)) == len(chosen)
    for part in chosen:
        assert is_within(part, offered)
        assert is_within(part, wanted)


def test_narrowing_keeps_every_common_part_once() -> None:
    assert narrow((ANY_IPV4, ANY_IPV6, NET), (NET, NET6, HOST)) == (NET, HOST, NET6)


def test_nothing_in_common_is_nothing() -> None:
    assert narrow((NET,), (NET6,)) == ()
    assert narrow((), (NET,)) == ()


@pytest.mark.parametrize(
    ("chosen", "offered", "within"),
    [
        ((NET,), (ANY_IPV4,), True),
        ((NET, NET6), (ANY_IPV4, ANY_IPV6), True),
        ((ANY_IPV4,), (NET,), False),
        ((NET, ANY_IPV6), (ANY_IPV4, NET6), False),
        ((), (ANY_IPV4,), False),
        ((NET,), (), False),
        ((NET,), (DNS_ONLY,), False),
        ((DNS_ONLY,), (NET,), True),
        # Both halves are offered, and their sum is not: a choice of several is to be made of several.
        (
            (selector("10.0.0.0", "10.0.0.255"),),
            (selector("10.0.0.0", "10.0.0.127"), selector("10.0.0.128", "10.0.0.255")),
            False,
        ),
    ],
)
def test_a_choice_must_be_some_of_the_offer(
    chosen: tuple[Selector, ...], offered: tuple[Selector, ...], within: bool
) -> None:
    assert all_within(chosen, offered) is within


@pytest.mark.parametrize("wide", [ANY_IPV4, NET])
def test_opaque_ports_are_not_any_ports(wide: Selector) -> None:
    """65535-0 means ports that nobody can see (RFC 7296 section 3.13.1): a range of ports does not hold them."""
    assert intersect(OPAQUE, selector("10.77.0.0", "10.77.0.255", 132, (0, 1000))) is None
    assert not is_within(wide, (OPAQUE,))


def test_networks_and_addresses_become_selectors_and_back() -> None:
    networks = [ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32")]
    assert networks_of(selector_of(network) for network in networks) == tuple(networks)
    (alone,) = selectors_of_addresses([ip_interface("10.99.0.10/24")])
    assert alone == selector("10.99.0.10", "10.99.0.10")


def test_a_range_that_is_no_prefix_becomes_several() -> None:
    networks = networks_of([selector("10.0.0.1", "10.0.0.6")])
    assert [str(network) for network in networks] == [
        "10.0.0.1/32",
        "10.0.0.2/31",
        "10.0.0.4/31",
        "10.0.0.6/32",
    ]


def test_every_address_of_a_network_and_no_other_is_within_its_selector() -> None:
    offered = selector_of(ip_network("10.77.0.248/29"))
    for last in range(256):
        host = selector(f"10.77.0.{last}", f"10.77.0.{last}")
        assert is_within(host, (offered,)) is (last >= 248)
