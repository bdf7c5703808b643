"""State of the machine × packet: what the filter lets through, as docs/leaks.md says it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from client.ike.events import Assigned
from client.tunnel.merge import system_config
from client.tunnel.model import (
    MARK,
    SOURCE_PORTS,
    Link,
    LinkAddress,
    Lockdown,
    NetworkState,
    PortalPass,
    Route,
    Stance,
    SystemConfig,
    TunnelConfig,
    TunnelUp,
    Underlay,
)
from client.tunnel.ruleset import Chain, RuleSet
from tests.tunnel.filtered import ESP, ICMP, ICMP6, NOW, TCP, UDP, Packet, passes

ROOT = Path(__file__).resolve().parents[2]
DAEMON, USER = 990, 1000
GATEWAY, GATEWAY6 = "203.0.113.1", "2001:db8:6::1"
OURS, OURS6 = "192.168.1.5", "2001:db8:1::5"
INSIDE, INSIDE6 = "10.8.0.2", "fd01::2"
SERVER, SERVER6 = "198.51.100.9", "2001:db8:9::9"
ROUTER = "192.168.1.1"
OFFICE = "10.77.0.1"
GUEST = "172.17.0.2"

HOME = NetworkState(
    links=(
        Link(1, "lo", up=True, kind="loopback"),
        Link(2, "wlan0", up=True),
        Link(4, "docker0", up=True, kind="bridge"),
    ),
    addresses=(
        LinkAddress(2, ip_interface(f"{OURS}/24")),
        LinkAddress(2, ip_interface(f"{OURS6}/64")),
        LinkAddress(2, ip_interface("fe80::5/64")),
        LinkAddress(4, ip_interface("172.17.0.1/16")),
    ),
    routes=(
        Route(ip_network("0.0.0.0/0"), 2, gateway=ip_address(ROUTER), metric=600),
        Route(ip_network("192.168.1.0/24"), 2, metric=600, source=ip_address(OURS)),
        Route(ip_network("fe80::/64"), 2, metric=256),
        Route(ip_network("172.17.0.0/16"), 4),
    ),
)
FULL = TunnelConfig("full", ("gw.example.com",))
SPLIT = TunnelConfig("split", ("gw.example.com",), full=False, include=(ip_network("10.77.0.0/16"),))
UP = TunnelUp("roam0", Assigned(addresses=(ip_interface(INSIDE), ip_interface(INSIDE6))))
PATH = Underlay("wlan0", ip_address(OURS), ip_address(GATEWAY))
STANCE = Stance(uid=DAEMON)
PORTAL = PortalPass(USER, (ip_address(ROUTER),), NOW + 60)


def config(
    tunnels: Iterable[tuple[TunnelConfig, TunnelUp | None]] = (), stance: Stance = STANCE
) -> SystemConfig:
    by_name = {tunnel.name: (tunnel, up) for tunnel, up in tunnels}
    underlays = [PATH] if by_name else []
    return system_config(by_name, HOME, underlays, stance)


def rules(*tunnels: tuple[TunnelConfig, TunnelUp | None], stance: Stance = STANCE) -> RuleSet | None:
    return config(tunnels, stance).guard


LOCKED = replace(STANCE, lockdown=Lockdown())
STATES: dict[str, RuleSet | None] = {
    "nothing": rules(),
    "split connecting": rules((SPLIT, None)),
    "split up": rules((SPLIT, UP)),
    "full connecting": rules((FULL, None)),
    "full up": rules((FULL, UP)),
    "full, no LAN": rules((replace(FULL, allow_lan=False), UP)),
    "lockdown": rules(stance=LOCKED),
    "portal": rules((FULL, None), stance=replace(STANCE, portal=PORTAL)),
}
"""`moving`, `waiting` and `blocked` have the rules of `connecting` or of `up`: by what the tunnel carries then."""


def out(destination: str, **more: Any) -> Packet:  # noqa: ANN401 - fields of Packet
    """One of our own packets, over the uplink."""
    source = OURS if ip_address(destination).version == 4 else OURS6
    return replace(Packet(source, destination, leaves="wlan0"), **more)


def comes(source: str, **more: Any) -> Packet:  # noqa: ANN401 - fields of Packet
    """A packet that comes in over the uplink for us."""
    destination = OURS if ip_address(source).version == 4 else OURS6
    return replace(Packet(source, destination, came="wlan0"), **more)


OUR_PORT = SOURCE_PORTS[0] + 7

# The columns of the table in docs/leaks.md.
PACKETS: dict[str, Packet] = {
    "any, IPv4": out(SERVER, protocol=TCP),
    "any, IPv6": out(SERVER6, protocol=TCP),
    "ping": out(SERVER, protocol=ICMP, control=8),
    "selected": out(OFFICE),
    "DNS to the LAN": out(ROUTER, ports=(40000, 53)),
    "DNS over TLS to the LAN": out(ROUTER, protocol=TCP, ports=(40000, 853)),
    "LAN": out("192.168.1.9", protocol=TCP),
    "mDNS": out("224.0.0.251", ports=(5353, 5353)),
    "gateway, unmarked": out(GATEWAY, ports=(40000, 4500)),
    "our IKE": out(GATEWAY, ports=(OUR_PORT, 500), mark=MARK, uid=DAEMON),
    "our DNS": out(ROUTER, ports=(OUR_PORT, 53), mark=MARK, uid=DAEMON),
    "marked by another": out(SERVER, mark=MARK, uid=USER),
    "DHCP": out("255.255.255.255", ports=(68, 67), uid=0),
    "DHCPv6": out("ff02::1:2", ports=(546, 547), uid=0),
    "neighbours": out("ff02::1:ff00:1", protocol=ICMP6, control=135, hops=255),
    "ping IPv6": out(SERVER6, protocol=ICMP6, control=128, hops=255),
    "through the tunnel": replace(out(SERVER), source=INSIDE, leaves="roam0"),
    "inside address outside": replace(out("192.168.1.9"), source=INSIDE),
    "for the inside address": replace(comes(ROUTER, protocol=TCP), destination=INSIDE),
    "comes in, any": comes(SERVER, protocol=TCP),
    "comes in, from the selected": comes(OFFICE),
    "comes in, LAN": comes("192.168.1.9", protocol=TCP),
    "comes in, IKE": comes(GATEWAY, ports=(500, OUR_PORT)),
    "browser": out(SERVER, protocol=TCP, ports=(40000, 443)),
    "forwarded": Packet(GUEST, SERVER, came="docker0", leaves="wlan0"),
}

PASSING = {
    "nothing": set(PACKETS),
    "split connecting": set(PACKETS) - {"selected", "comes in, from the selected"},
    "split up": set(PACKETS)
    - {"selected", "comes in, from the selected", "inside address outside", "for the inside address"},
    "full connecting": {
        "LAN",
        "mDNS",
        "our IKE",
        "our DNS",
        "DHCP",
        "DHCPv6",
        "neighbours",
        "comes in, LAN",
        "comes in, IKE",
        "for the inside address",  # there is none
        "inside address outside",
    },
}
PASSING["full up"] = PASSING["full connecting"] - {"for the inside address", "inside address outside"} | {
    "through the tunnel"
}
PASSING["full, no LAN"] = PASSING["full up"] - {"LAN", "mDNS", "comes in, LAN"}
PASSING["lockdown"] = PASSING["full connecting"]
PASSING["portal"] = PASSING["full connecting"] | {"browser", "DNS to the LAN"}


@pytest.mark.parametrize("state", STATES)
def test_in_this_state_may_pass(state: str) -> None:
    passing = {name for name, packet in PACKETS.items() if passes(STATES[state], packet)}
    assert sorted(passing) == sorted(PASSING[state])


def test_docs_have_the_same_table() -> None:
    lines = (ROOT / "docs/leaks.md").read_text().splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("| packet |"))) :]
    states = table[0].split(" | ")[1:]
    told = {
        (state.removesuffix(" |"), name): cell
        for name, cells in map(_cells, takewhile(lambda line: line.startswith("| `"), table[2:]))
        for state, cell in zip(states, cells, strict=True)
    }
    meant = {
        (state, name): "passes" if name in PASSING[state] else "–" for state in STATES for name in PACKETS
    }
    assert told == meant


def _cells(row: str) -> tuple[str, list[str]]:
    name, *cells = (cell.strip() for cell in row.split("|")[1:-1])
    return name.strip("`"), cells


# --- what the table does not show


def test_nothing_wanted_has_no_table() -> None:
    assert STATES["nothing"] is None
    assert rules((replace(FULL, guard=False), None)) is None


def test_without_a_guard_inside_addresses_are_defended_all_the_same() -> None:
    unguarded = rules((replace(SPLIT, guard=False), UP))
    assert passes(unguarded, PACKETS["selected"])
    assert not passes(unguarded, PACKETS["for the inside address"])
    assert not passes(unguarded, PACKETS["inside address outside"])
    assert passes(unguarded, replace(PACKETS["inside address outside"], is_protected=True))


def test_what_the_kernel_makes_esp_of_passes_and_its_esp_only_to_the_gateway() -> None:
    inner = replace(PACKETS["inside address outside"], destination=SERVER, is_protected=True)
    assert passes(STATES["full up"], inner)
    outer = out(GATEWAY, protocol=ESP, mark=MARK, uid=USER)
    assert passes(STATES["full up"], outer)
    assert passes(STATES["full up"], replace(outer, protocol=UDP, ports=(OUR_PORT, 4500)))
    assert not passes(STATES["full up"], replace(outer, destination=SERVER))
    assert not passes(STATES["full connecting"], outer)
    assert passes(STATES["full up"], comes(GATEWAY, protocol=ESP))


@pytest.mark.parametrize("state", ["full connecting", "full up", "lockdown", "portal"])
def test_errors_about_our_packets_come_in_and_pings_do_not(state: str) -> None:
    too_big = comes(SERVER6, protocol=ICMP6, control=2)
    assert passes(STATES[state], too_big)
    assert passes(STATES[state], comes(SERVER, protocol=ICMP, control=3))
    assert not passes(STATES[state], replace(too_big, control=128))
    assert not passes(STATES[state], comes(SERVER, protocol=ICMP, control=8))


def test_a_router_far_away_is_no_neighbour() -> None:
    near = comes("fe80::1", protocol=ICMP6, control=134, hops=255)
    assert passes(STATES["full, no LAN"], near)
    assert not passes(STATES["full, no LAN"], replace(near, hops=64))


def test_the_portal_is_open_to_one_user_for_a_time_and_only_while_no_tunnel_stands() -> None:
    browser, dns = PACKETS["browser"], PACKETS["DNS to the LAN"]
    portal = STATES["portal"]
    assert not passes(portal, replace(browser, uid=USER + 1))
    assert not passes(portal, replace(browser, at=NOW + 60))
    assert not passes(portal, replace(browser, ports=(40000, 8443)))
    assert passes(portal, replace(dns, uid=0))
    assert not passes(portal, replace(dns, destination="192.168.1.2"))
    assert passes(portal, comes(SERVER, protocol=TCP, ports=(443, 40000)))
    through = rules((FULL, UP), stance=replace(STANCE, portal=PORTAL))
    assert not passes(through, browser)
    assert not passes(through, dns)


def test_excluded_networks_pass_and_what_is_selected_within_them_does_not() -> None:
    outside = replace(FULL, exclude=(ip_network("198.51.0.0/16"),))
    inner = replace(SPLIT, include=(ip_network("198.51.100.0/24"),))
    guard = rules((outside, None), (inner, None))
    assert passes(guard, out("198.51.7.1"))
    assert not passes(guard, out(SERVER))
    assert not passes(guard, out("198.52.0.1"))
    assert passes(guard, out("198.51.7.1", ports=(40000, 53)))


def test_lockdown_is_stricter_than_every_tunnel_beside_it() -> None:
    careless = replace(FULL, guard=False, block_other_families=False, forward="allowed")
    only_v4 = TunnelUp("roam0", Assigned(addresses=(ip_interface(INSIDE),)))
    for tunnel in (careless, SPLIT, replace(SPLIT, guard=False)):
        for up in (None, only_v4):
            guard = rules((tunnel, up), stance=LOCKED)
            for packet in ("any, IPv4", "any, IPv6", "selected", "forwarded", "comes in, any"):
                assert not passes(guard, PACKETS[packet]), (tunnel.name, packet)
    no_lan = replace(STANCE, lockdown=Lockdown(allow_lan=False))
    assert not passes(rules((FULL, UP), stance=no_lan), PACKETS["LAN"])
    assert not passes(rules(stance=no_lan), PACKETS["LAN"])


def test_lockdown_does_not_count_as_a_second_full_tunnel() -> None:
    locked = config([(FULL, UP)], LOCKED)
    assert [str(route) for route in locked.routes if route.link is None] == [
        "blackhole 0.0.0.0/0 metric 2000",
        "blackhole ::/0 metric 2000",
    ]


# --- what is forwarded


@dataclass(frozen=True)
class Forwarding:
    name: str
    packet: Packet
    tunnelled: bool
    blocked: bool
    allowed: bool


FORWARDING = [
    Forwarding("around the tunnel", PACKETS["forwarded"], False, False, True),
    Forwarding("into the tunnel", replace(PACKETS["forwarded"], leaves="roam0"), True, False, True),
    Forwarding("out of the tunnel", Packet(SERVER, GUEST, came="roam0", leaves="docker0"), True, False, True),
    Forwarding("from outside", Packet(SERVER, GUEST, came="wlan0", leaves="docker0"), False, False, True),
    Forwarding("to the LAN", Packet(GUEST, "192.168.1.9", came="docker0", leaves="wlan0"), True, True, True),
    Forwarding(
        "DNS to the LAN",
        Packet(GUEST, ROUTER, ports=(40000, 53), came="docker0", leaves="wlan0"),
        False,
        False,
        True,
    ),
    Forwarding(
        "for the inside address", Packet(ROUTER, INSIDE, came="wlan0", leaves="docker0"), False, False, False
    ),
]


@pytest.mark.parametrize("row", FORWARDING, ids=lambda row: row.name)
def test_what_is_forwarded_is(row: Forwarding) -> None:
    seen = tuple(
        passes(rules((replace(FULL, forward=word), UP)), row.packet)
        for word in ("tunnelled", "blocked", "allowed")
    )
    assert seen == (row.tunnelled, row.blocked, row.allowed)


def test_the_strictest_wish_decides_what_is_forwarded() -> None:
    open_split = replace(SPLIT, forward="allowed")
    assert passes(rules((replace(FULL, forward="allowed"), UP), (open_split, None)), PACKETS["forwarded"])
    assert not passes(rules((FULL, UP), (open_split, None)), PACKETS["forwarded"])
    unguarded = replace(SPLIT, forward="blocked", guard=False)
    assert passes(rules((replace(FULL, forward="allowed"), UP), (unguarded, None)), PACKETS["forwarded"])


def test_what_may_go_around_is_routed_around() -> None:
    around = [rule for rule in config([(replace(FULL, forward="allowed"), UP)]).rules if rule.came]
    assert [str(rule) for rule in around] == [
        "IPv4 7300: not iif lo lookup 254",
        "IPv6 7300: not iif lo lookup 254",
    ]
    assert not [rule for rule in config([(FULL, UP)]).rules if rule.came]


def test_the_portal_is_routed_too() -> None:
    added = config([(FULL, None)], replace(STANCE, portal=PORTAL)).rules
    assert [str(rule) for rule in added if rule.destination_ports] == [
        "IPv4 7300: uidrange 1000-1000 ipproto 6 dport 80-80 lookup 254",
        "IPv4 7300: uidrange 1000-1000 ipproto 6 dport 443-443 lookup 254",
        "IPv6 7300: uidrange 1000-1000 ipproto 6 dport 80-80 lookup 254",
        "IPv6 7300: uidrange 1000-1000 ipproto 6 dport 443-443 lookup 254",
        "IPv4 7300: to 192.168.1.1/32 ipproto 17 dport 53-53 lookup 254",
        "IPv4 7300: to 192.168.1.1/32 ipproto 6 dport 53-53 lookup 254",
    ]


def test_arp_tells_nobody_the_inside_address() -> None:
    for tunnel in (FULL, SPLIT, replace(FULL, guard=False)):
        guard = rules((tunnel, UP))
        assert guard is not None
        assert [str(rule) for rule in guard.rules if rule.chain is Chain.ASKED] == [
            "asked iifname != roam0 arp daddr ip 10.8.0.2 drop"
        ]
        assert Chain.ASKED not in {rule.chain for rule in guard.without_arp().rules}


# --- as few rules as it takes, and the same ones for the same facts


def test_paths_that_come_and_go_while_connecting_change_no_rule() -> None:
    other = Underlay("wwan0", ip_address("100.64.0.9"), ip_address(GATEWAY6))
    by_name = {"full": (FULL, None)}
    assert (
        system_config(by_name, HOME, [PATH], STANCE).guard
        == system_config(by_name, HOME, [other, PATH], STANCE).guard
    )


def test_only_arp_and_rules_that_let_through_can_be_done_without() -> None:
    for guard in STATES.values():
        if guard is not None:
            assert all(rule.passes or rule.chain is Chain.ASKED for rule in guard.rules if rule.optional)
            assert len(guard.without_optional().rules) < len(guard.rules)


def test_rules_read_as_nft_writes_them() -> None:
    guard = rules((SPLIT, UP))
    assert guard is not None
    lines = [str(rule) for rule in guard.rules]
    assert lines[-7:-5] == [
        "prerouting iifname != lo iifname != roam0 ip daddr 10.8.0.2/32 drop",
        "prerouting iifname != lo iifname != roam0 ip6 daddr fd01::2/128 drop",
    ]
    assert lines[-1] == (
        "size_out oifname roam0 meta nfproto ipv6 meta l4proto 6 tcp flags & (syn | rst) == syn "
        "tcp option maxseg size set 1340"
    )
    assert "postrouting ip daddr @guarded4 drop" in lines
    assert "postrouting meta mark & 0xff00 == 0x7300 meta skuid 990 accept" in lines
    assert [str(span) for span in guard.guarded] == ["10.77.0.0-10.77.255.255"]


def test_no_line_of_a_rule_could_break_a_listing() -> None:
    for guard in STATES.values():
        for rule in guard.rules if guard is not None else ():
            assert re.fullmatch(r"[ -~]{1,120}", rule.why)
