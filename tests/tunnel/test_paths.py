"""Networks as tables of text, and the paths that are seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from client.tunnel.model import Link, LinkAddress, NetworkState, Route
from client.tunnel.paths import candidates, route_to

GATEWAY = "192.0.2.1"
GATEWAY_V6 = "2001:db8::1"


def network(links: str, addresses: str, routes: str) -> NetworkState:
    """`links` like "wlan0 wwan0- lo", a minus sign means down; `addresses` "wlan0=192.168.1.5/24".

    `routes` like "default via 192.168.1.1 dev wlan0 metric 100", with commas between them.
    """
    names = links.split()
    indices = {name.rstrip("-"): index for index, name in enumerate(names, 1)}
    return NetworkState(
        links=tuple(
            Link(
                indices[name.rstrip("-")],
                name.rstrip("-"),
                up=not name.endswith("-"),
                kind="loopback" if name == "lo" else "",
            )
            for name in names
        ),
        addresses=tuple(
            LinkAddress(indices[name], ip_interface(text))
            for name, text in (word.split("=") for word in addresses.split())
        ),
        routes=tuple(_route(line, indices) for line in routes.split(",") if line.strip()),
    )


def _route(line: str, indices: dict[str, int]) -> Route:
    destination, *words = line.split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    gateway, source = options.get("via"), options.get("src")
    default = {"default": "0.0.0.0/0", "default6": "::/0"}
    return Route(
        ip_network(default.get(destination, destination)),
        indices[options["dev"]],
        gateway=None if gateway is None else ip_address(gateway),
        metric=int(options.get("metric", 0)),
        source=None if source is None else ip_address(source),
    )


@dataclass(frozen=True)
class Row:
    name: str
    state: NetworkState
    paths: list[str]
    gateways: tuple[str, ...] = (GATEWAY,)


HOME = "wlan0=192.168.1.5/24"
TWO = network(
    "wlan0 wwan0",
    "wlan0=192.168.1.5/24 wwan0=10.64.0.9/30",
    "default via 192.168.1.1 dev wlan0 metric 100, default via 10.64.0.10 dev wwan0 metric 200",
)
DUAL = network(
    "wlan0 wwan0",
    "wlan0=192.168.1.5/24 wlan0=fe80::5/64 wlan0=2001:db8:1::5/64 wwan0=10.64.0.9/30",
    "default via 192.168.1.1 dev wlan0 metric 600, default6 via fe80::1 dev wlan0 metric 600,"
    "default via 10.64.0.10 dev wwan0 metric 700",
)

ROWS = [
    Row("no network", NetworkState(), []),
    Row(
        "one uplink",
        network("lo wlan0", HOME, "default via 192.168.1.1 dev wlan0"),
        ["wlan0 192.168.1.5 > 192.0.2.1"],
    ),
    Row(
        "two uplinks by metric",
        TWO,
        ["wlan0 192.168.1.5 > 192.0.2.1", "wwan0 10.64.0.9 > 192.0.2.1"],
    ),
    Row(
        "a longer prefix beats a better metric",
        network(
            "wlan0 wwan0",
            "wlan0=192.168.1.5/24 wwan0=10.64.0.9/30",
            "default via 192.168.1.1 dev wlan0, 192.0.2.0/24 via 10.64.0.10 dev wwan0 metric 900",
        ),
        ["wwan0 10.64.0.9 > 192.0.2.1", "wlan0 192.168.1.5 > 192.0.2.1"],
    ),
    Row(
        "a link that is down is no path",
        network(
            "wlan0- wwan0",
            "wlan0=192.168.1.5/24 wwan0=10.64.0.9/30",
            "default via 192.168.1.1 dev wlan0 metric 100, default via 10.64.0.10 dev wwan0 metric 200",
        ),
        ["wwan0 10.64.0.9 > 192.0.2.1"],
    ),
    Row("a route without an address to send from", network("wlan0", "", "default dev wlan0"), []),
    Row(
        "families alternate on each interface, IPv6 first",
        DUAL,
        [
            "wlan0 2001:db8:1::5 > 2001:db8::1",
            "wlan0 192.168.1.5 > 192.0.2.1",
            "wlan0 2001:db8:1::5 > 2001:db8::2",
            "wwan0 10.64.0.9 > 192.0.2.1",
        ],
        (GATEWAY, GATEWAY_V6, "2001:db8::2"),
    ),
    Row("no route of the family", TWO, [], (GATEWAY_V6,)),
    Row(
        "only the second uplink has IPv6: the interfaces keep the order of their best family",
        network(
            "wlan0 wwan0",
            "wlan0=192.168.1.5/24 wwan0=2001:db8:2::9/64",
            "default via 192.168.1.1 dev wlan0 metric 100, default6 via fe80::1 dev wwan0 metric 1024",
        ),
        ["wlan0 192.168.1.5 > 192.0.2.1", "wwan0 2001:db8:2::9 > 2001:db8::1"],
        (GATEWAY, GATEWAY_V6),
    ),
    Row(
        "the route's own source wins",
        network(
            "wlan0",
            "wlan0=192.168.1.5/24 wlan0=192.168.1.6/24",
            "default via 192.168.1.1 dev wlan0 src 192.168.1.6",
        ),
        ["wlan0 192.168.1.6 > 192.0.2.1"],
    ),
    Row(
        "a source that has gone is not used",
        network("wlan0", HOME, "default via 192.168.1.1 dev wlan0 src 192.168.1.99"),
        ["wlan0 192.168.1.5 > 192.0.2.1"],
    ),
    Row(
        "of two addresses the one in the router's network",
        network("eth0", "eth0=172.16.0.5/24 eth0=192.168.1.5/24", "default via 192.168.1.1 dev eth0"),
        ["eth0 192.168.1.5 > 192.0.2.1"],
    ),
    Row(
        "link-local addresses reach no gateway",
        network("eth0", "eth0=169.254.3.4/16 eth0=fe80::4/64", "default dev eth0, default6 dev eth0"),
        [],
        (GATEWAY, GATEWAY_V6),
    ),
    Row(
        "a unique local address is the second choice for a global gateway",
        network("eth0", "eth0=fd00::5/64 eth0=2a00:1::5/64", "default6 via fe80::1 dev eth0"),
        ["eth0 2a00:1::5 > 2a00:2::1"],
        ("2a00:2::1",),
    ),
    Row("loopback is no uplink", network("lo", "lo=127.0.0.1/8", "default dev lo"), []),
    Row(
        "a gateway on the link itself",
        network("eth0", "eth0=192.0.2.77/24", "192.0.2.0/24 dev eth0"),
        ["eth0 192.0.2.77 > 192.0.2.1"],
    ),
    Row(
        "an address given twice is one path",
        network("wlan0", HOME, "default via 192.168.1.1 dev wlan0"),
        ["wlan0 192.168.1.5 > 192.0.2.1"],
        (GATEWAY, GATEWAY),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_candidates_are(row: Row) -> None:
    found = candidates(row.state, tuple(ip_address(text) for text in row.gateways))
    assert [f"{path.interface} {path.local} > {path.remote}" for path in found] == row.paths


def test_route_over_a_named_link_ignores_better_ones() -> None:
    way = route_to(TWO, ip_address(GATEWAY), 2)
    assert way is not None
    assert (way.link.name, str(way.source), way.metric) == ("wwan0", "10.64.0.9", 200)


def test_route_to_an_unreachable_address_is_none() -> None:
    assert route_to(TWO, ip_address(GATEWAY_V6)) is None
