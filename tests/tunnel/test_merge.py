"""Tunnels and networks in, the text of links, rules and routes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from client.ike.events import Assigned, Kind, Network, Selector
from client.tunnel.merge import FullTunnelConflict, system_config
from client.tunnel.model import (
    Link,
    LinkAddress,
    NetworkState,
    Route,
    TunnelConfig,
    TunnelUp,
    Underlay,
)
from client.tunnel.selection import MOST_GATEWAY_PREFIXES
from client.tunnel.sizes import inner_mtu

NOWHERE = NetworkState()
FULL = TunnelConfig("full", ("gw.example.com",))
SPLIT = TunnelConfig(
    "split", ("gw.example.com",), full=False, include=(ip_network("10.77.0.0/24"),), use_ts_from_gateway=False
)

HOME = NetworkState(
    links=(Link(1, "lo", up=True, kind="loopback"), Link(2, "wlan0", up=True), Link(3, "eth0", up=False)),
    addresses=(
        LinkAddress(1, ip_interface("127.0.0.1/8")),
        LinkAddress(2, ip_interface("192.168.1.5/24")),
        LinkAddress(2, ip_interface("fe80::5/64")),
        LinkAddress(3, ip_interface("192.168.9.5/24")),
    ),
    routes=(
        Route(ip_network("0.0.0.0/0"), 2, gateway=ip_address("192.168.1.1"), metric=600),
        Route(ip_network("192.168.1.0/24"), 2, metric=600, source=ip_address("192.168.1.5")),
        Route(ip_network("192.168.9.0/24"), 3),
        Route(ip_network("fe80::/64"), 2, metric=256),
    ),
)

RULES = [
    "IPv4 7300: uidrange 0-0 ipproto 17 sport 61440-62463 lookup 254",
    "IPv4 7300: uidrange 0-0 ipproto 6 sport 61440-62463 lookup 254",
    "IPv4 7301: not fwmark 0x7300/0xff00 lookup 29440",
    "IPv6 7301: not fwmark 0x7300/0xff00 lookup 29440",
]


def ranges(*texts: str) -> tuple[Selector, ...]:
    networks: list[Network] = [ip_network(text) for text in texts]
    return tuple(Selector(network.network_address, network.broadcast_address) for network in networks)


def up(addresses: str = "10.8.0.2", selectors: str = "0.0.0.0/0", link: str = "roam0") -> TunnelUp:
    inside = tuple(ip_interface(text) for text in addresses.split())
    return TunnelUp(link, Assigned(addresses=inside), ranges(*selectors.split()))


@dataclass(frozen=True)
class Row:
    name: str
    tunnels: list[tuple[TunnelConfig, TunnelUp | None]]
    routes: list[str]
    network: NetworkState = NOWHERE


BLOCK_ALL = ["blackhole 0.0.0.0/0 metric 2000", "blackhole ::/0 metric 2000"]

ROWS = [
    Row("full, while connecting", [(FULL, None)], BLOCK_ALL),
    Row("full, up with IPv4 alone", [(FULL, up())], ["0.0.0.0/0 dev roam0 metric 100", *BLOCK_ALL]),
    Row(
        "full, up with both families",
        [(FULL, up("10.8.0.2 fd01::2", "0.0.0.0/0 ::/0"))],
        ["0.0.0.0/0 dev roam0 metric 100", "::/0 dev roam0 metric 100", *BLOCK_ALL],
    ),
    Row(
        "full, other families let out once the gateway gave none",
        [(replace(FULL, block_other_families=False), up())],
        ["0.0.0.0/0 dev roam0 metric 100", BLOCK_ALL[0]],
    ),
    Row("full, unguarded, while connecting", [(replace(FULL, guard=False), None)], []),
    Row(
        "full, unguarded, up: the other family is blocked all the same",
        [(replace(FULL, guard=False), up())],
        ["0.0.0.0/0 dev roam0 metric 100", BLOCK_ALL[1]],
    ),
    Row(
        "full, narrowed by the gateway: the rest goes nowhere",
        [(FULL, up(selectors="10.77.0.0/24 10.77.1.0/24"))],
        ["10.77.0.0/23 dev roam0 metric 100", *BLOCK_ALL, "blackhole 10.77.0.0/23 metric 2000"],
    ),
    Row(
        "full, the gateway's selectors not heeded",
        [(replace(FULL, use_ts_from_gateway=False), up(selectors="10.77.0.0/24"))],
        ["0.0.0.0/0 dev roam0 metric 100", *BLOCK_ALL],
    ),
    Row(
        "full, the local network of the uplink that is up",
        [(FULL, None)],
        [
            "fe80::/64 dev wlan0 metric 500",
            "192.168.1.0/24 dev wlan0 src 192.168.1.5 metric 500",
            *BLOCK_ALL,
        ],
        HOME,
    ),
    Row("full, no local network wanted", [(replace(FULL, allow_lan=False), None)], BLOCK_ALL, HOME),
    Row(
        "full, excluded prefixes are looked up further",
        [(replace(FULL, exclude=(ip_network("198.51.100.0/24"),)), None)],
        ["throw 198.51.100.0/24 metric 50", *BLOCK_ALL],
    ),
    Row("split, while connecting", [(SPLIT, None)], ["blackhole 10.77.0.0/24 metric 2000"]),
    Row(
        "split, up",
        [(SPLIT, up())],
        ["10.77.0.0/24 dev roam0 metric 100", "blackhole 10.77.0.0/24 metric 2000"],
    ),
    Row(
        "split, unguarded, up",
        [(replace(SPLIT, guard=False), up())],
        ["10.77.0.0/24 dev roam0 metric 100"],
    ),
    Row(
        "split, with what the gateway selects",
        [(replace(SPLIT, use_ts_from_gateway=True, include=()), up(selectors="10.78.0.0/16"))],
        ["10.78.0.0/16 dev roam0 metric 100", "blackhole 10.78.0.0/16 metric 2000"],
    ),
    Row(
        "split, a selector of everything selects nothing",
        [(replace(SPLIT, use_ts_from_gateway=True, include=()), up(selectors="0.0.0.0/0 ::/0"))],
        [],
    ),
    Row(
        "split, prefixes of a family without an inside address are guarded only",
        [(replace(SPLIT, include=(ip_network("fd77::/48"),)), up())],
        ["blackhole fd77::/48 metric 2000"],
    ),
    Row(
        "split, the local network inside the selected one is the local network's",
        [(replace(SPLIT, include=(ip_network("192.168.0.0/16"),)), None)],
        ["192.168.1.0/24 dev wlan0 src 192.168.1.5 metric 500", "blackhole 192.168.0.0/16 metric 2000"],
        HOME,
    ),
    Row(
        "split, the selected network as seen here locally is the tunnel's",
        [(replace(SPLIT, include=(ip_network("192.168.1.0/24"),)), None)],
        ["blackhole 192.168.1.0/24 metric 2000"],
        HOME,
    ),
    Row(
        "two splits, equal prefixes go to the older and overlapping ones to the longer",
        [
            (SPLIT, up()),
            (
                replace(SPLIT, include=(*SPLIT.include, ip_network("10.77.0.128/25"))),
                up("10.9.0.2", link="roam1"),
            ),
        ],
        [
            "10.77.0.0/24 dev roam0 metric 100",
            "10.77.0.128/25 dev roam1 metric 100",
            "blackhole 10.77.0.0/24 metric 2000",
            "blackhole 10.77.0.128/25 metric 2000",
        ],
    ),
    Row(
        "two splits, the older keeps its prefix also while it does not stand",
        [(SPLIT, None), (SPLIT, up("10.9.0.2", link="roam1"))],
        ["blackhole 10.77.0.0/24 metric 2000"],
    ),
    Row(
        "full beside split: a local network that the split asks for is not let out",
        [(replace(SPLIT, include=(ip_network("192.168.1.0/24"),), allow_lan=False), None), (FULL, None)],
        ["fe80::/64 dev wlan0 metric 500", "blackhole 192.168.1.0/24 metric 2000", *BLOCK_ALL],
        HOME,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_routes_are(row: Row) -> None:
    config = system_config(named(row.tunnels), row.network)
    assert [str(route) for route in config.routes] == row.routes
    assert [str(rule) for rule in config.rules] == (RULES if row.routes else [])


def named(
    tunnels: list[tuple[TunnelConfig, TunnelUp | None]],
) -> Mapping[str, tuple[TunnelConfig, TunnelUp | None]]:
    # Two rows may name one configuration twice: what counts is that they are two tunnels.
    return {f"tunnel{number}": (replace(config), up) for number, (config, up) in enumerate(tunnels)}


def test_no_tunnel_leaves_nothing() -> None:
    config = system_config({}, HOME)
    assert (config.links, config.rules, config.routes) == ((), (), ())


def test_second_full_tunnel_is_refused_and_named() -> None:
    with pytest.raises(FullTunnelConflict) as caught:
        system_config({"work": (FULL, None), "home": (replace(FULL), None)}, HOME)
    assert caught.value.failure.kind is Kind.CONFLICT_FULL_TUNNEL
    assert "work" in caught.value.failure.evidence
    assert "home" in caught.value.failure.evidence


def test_resolvers_inside_the_gateways_selectors_are_reached_through_a_split_tunnel() -> None:
    config = replace(SPLIT, include=(), use_ts_from_gateway=True)
    dns = (ip_address("10.78.0.53"), ip_address("10.99.0.53"))
    assigned = Assigned(addresses=(ip_interface("10.8.0.2"),), dns=dns, subnets=(ip_network("10.79.0.0/24"),))
    tunnel = TunnelUp("roam0", assigned, ranges("10.78.0.0/24"))
    routes = system_config({"split": (config, tunnel)}, NetworkState()).routes
    assert [str(route) for route in routes if route.link] == [
        "10.78.0.0/24 dev roam0 metric 100",
        "10.79.0.0/24 dev roam0 metric 100",
        "10.78.0.53/32 dev roam0 metric 100",
    ]


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("gatewayed", [Route(ip_network("10.1.0.0/16"), 2, gateway=ip_address("192.168.1.1"))]),
        ("on-link but not of an address of ours", [Route(ip_network("10.1.0.0/16"), 2)]),
        ("public", [Route(ip_network("198.51.100.0/24"), 2)]),
    ],
)
def test_no_route_that_a_rogue_network_offers_is_copied(name: str, routes: list[Route]) -> None:
    assert name
    network = replace(
        HOME,
        addresses=(*HOME.addresses, LinkAddress(2, ip_interface("198.51.100.7/24"))),
        routes=tuple(routes),
    )
    copied = [route for route in system_config({"full": (FULL, None)}, network).routes if route.link]
    assert copied == []


def test_one_prefix_on_two_links_gets_two_metrics_in_the_order_of_main() -> None:
    network = replace(
        HOME,
        links=(*HOME.links, Link(4, "wlan1", up=True)),
        addresses=(*HOME.addresses, LinkAddress(4, ip_interface("192.168.1.6/24"))),
        routes=(*HOME.routes, Route(ip_network("192.168.1.0/24"), 4, metric=100)),
    )
    routes = system_config({"full": (FULL, None)}, network).routes
    lan = [str(route) for route in routes if route.link and route.destination.version == 4]
    assert lan == [
        "192.168.1.0/24 dev wlan1 metric 500",
        "192.168.1.0/24 dev wlan0 src 192.168.1.5 metric 501",
    ]


def test_answers_on_the_paths_in_use_come_in_by_their_addresses_too() -> None:
    paths = [
        Underlay("wlan0", ip_address("192.168.1.5"), ip_address("192.0.2.1")),
        Underlay("wlan0", ip_address("2001:db8::5"), ip_address("2001:db8::1")),
    ]
    rules = system_config({"full": (FULL, None)}, HOME, paths).rules
    assert [str(rule) for rule in rules][2:4] == [
        f"IPv4 7300: from 192.168.1.5/32 to 192.0.2.1/32 uidrange 0-0 ipproto {protocol} lookup 254"
        for protocol in (17, 50)  # UDP, and ESP where no NAT is on the path
    ]
    assert len(rules) == len(RULES) + 2


def test_link_has_the_bare_inside_addresses() -> None:
    config = system_config({"full": (FULL, up("10.8.0.2/24 fd01::2/64"))}, HOME)
    (link,) = config.links
    assert (link.name, link.mtu) == ("roam0", 1400)
    assert [str(address) for address in link.addresses] == ["10.8.0.2/32", "fd01::2/128"]


@pytest.mark.parametrize(
    ("outer", "remote", "inner"),
    [
        (1500, "192.0.2.1", 1400),
        (1500, "2001:db8::1", 1390),
        (1428, "192.0.2.1", 1342),
        (900, "192.0.2.1", 1280),
    ],
)
def test_inner_mtu_fits_the_path(outer: int, remote: str, inner: int) -> None:
    network = NetworkState(links=(Link(2, "wlan0", up=True, mtu=outer),))
    gateway = ip_address(remote)
    path = Underlay("wlan0", gateway, gateway)
    assert inner_mtu(network, [path]) == inner
    assert inner == 1280 or inner + 64 + (20 if gateway.version == 4 else 40) <= outer


def test_profile_sets_the_mtu() -> None:
    config = system_config({"full": (replace(FULL, mtu=1300), up())}, HOME)
    assert config.links[0].mtu == 1300


def lines_to(host: str, *tunnels: tuple[TunnelConfig, TunnelUp]) -> list[str]:
    config = system_config({config.name: (config, up) for config, up in tunnels}, HOME)
    return [str(route) for route in config.routes if route.destination == ip_network(host)]


@pytest.mark.parametrize("config", [FULL, SPLIT], ids=lambda config: config.name)
def test_a_name_server_is_asked_through_the_tunnel_though_the_local_network_lies_around_it(
    config: TunnelConfig,
) -> None:
    asked = replace(up(), resolvers=(ip_address("192.168.1.53"),))
    assert lines_to("192.168.1.53/32", (config, asked)) == [
        "192.168.1.53/32 dev roam0 metric 100",
        "blackhole 192.168.1.53/32 metric 2000",
    ]


def test_a_name_server_that_the_gateway_lets_nothing_through_to_gets_no_route() -> None:
    asked = replace(up(selectors="10.77.0.0/24"), resolvers=(ip_address("192.168.1.53"),))
    assert lines_to("192.168.1.53/32", (SPLIT, asked)) == []


def test_a_name_server_of_a_family_that_the_tunnel_lacks_gets_no_route() -> None:
    asked = replace(up(selectors="0.0.0.0/0 ::/0"), resolvers=(ip_address("2001:db8::53"),))
    assert lines_to("2001:db8::53/128", (SPLIT, asked)) == []


def test_gateway_with_countless_ranges_gets_a_bounded_number_of_routes() -> None:
    odd = [
        Selector(ip_address((10 << 24) + (n << 8) + 1), ip_address((10 << 24) + (n << 8) + 254))
        for n in range(255)
    ]
    config = replace(SPLIT, include=(), use_ts_from_gateway=True)
    tunnel = TunnelUp("roam0", Assigned(addresses=(ip_interface("10.8.0.2"),)), tuple(odd))
    routes = system_config({"split": (config, tunnel)}, NetworkState()).routes
    assert len([route for route in routes if route.link]) == MOST_GATEWAY_PREFIXES


def test_selectors_of_special_ranges_and_backward_ones_are_left_alone() -> None:
    config = replace(SPLIT, include=(), use_ts_from_gateway=True)
    bad = (
        *ranges("127.0.0.0/8", "fe80::/10", "224.0.0.0/4"),
        Selector(ip_address("10.2.0.9"), ip_address("10.2.0.1")),
    )
    tunnel = TunnelUp("roam0", Assigned(addresses=(ip_interface("10.8.0.2"),)), bad)
    assert system_config({"split": (config, tunnel)}, NetworkState()).routes == ()
