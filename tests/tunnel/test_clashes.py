"""Another network has what the tunnel has: the controller's table, third part, and what is told of prefixes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from client.ike.events import Assigned, Failure, Kind, Selector
from client.tunnel.assignment import HINT
from client.tunnel.controller import step
from client.tunnel.events import Apply, CloseSession, DropSession, MoveSession, Resolve, StartSession
from client.tunnel.model import NetworkChange, NetworkState, Route, TunnelConfig, TunnelUp
from client.tunnel.selection import overlaps
from client.tunnel.states import Attempt, Connecting, Leg, Moving, Resolving, Waiting
from tests.tunnel.rows import MOBILE, NOW, TO_LTE, UNROUTED, UP_FIXED, UP_WIFI, Row, check, standing
from tests.tunnel.worlds import BOTH, CONFIG, LTE_ONLY, NOTHING, UP, WIFI, network, over_lte, over_wifi

OURS = "10.77.0.2"  # inside, and on the Wi-Fi of a guest network
CLASH = network(wifi=OURS, lte=None)
INSIDE6 = ip_interface("fd77::2/128")
BOTH_FAMILIES = TunnelUp("roam0", Assigned((*UP.assigned.addresses, INSIDE6)))
LEFT = replace(BOTH_FAMILIES, assigned=Assigned((INSIDE6,)), offered=BOTH_FAMILIES.assigned)
TAKEN = Failure(
    Kind.ADDRESS_NONE, f"the gateway assigned {OURS}, which is this computer's own on wifi0", hint=HINT
)
RETRY = Waiting(TAKEN, NOW + 1.0, None, NOW)
THERE = over_wifi(OURS)
AT_HOTEL = replace(MOBILE, underlay=THERE)
GONE = f"address {WIFI.local} is gone"

ROWS = [
    Row(
        "an address that is in use on the new network is given up before the session goes there",
        standing(up=BOTH_FAMILIES),
        NetworkChange(BOTH, CLASH),
        Moving(AT_HOTEL, 0.0, origin=WIFI, doubt_at=NOW + 10),
        (Apply(LEFT), MoveSession(1, THERE, GONE)),
        {"up": LEFT},
    ),
    Row(
        "where none is left another session may get another one",
        standing(),
        NetworkChange(BOTH, CLASH),
        RETRY,
        (CloseSession(1), Apply(None)),
        {"up": None, "wanted": True},
    ),
    Row(
        "a session on its way and its replacement end too",
        standing(state=replace(TO_LTE, replacement=Attempt(2, WIFI))),
        NetworkChange(BOTH, CLASH),
        RETRY,
        (CloseSession(1), CloseSession(2), Apply(None)),
    ),
    Row(
        "a session that waits for a network does not go to that one",
        standing(NOTHING, Waiting(UNROUTED, None, MOBILE, NOW)),
        NetworkChange(NOTHING, CLASH),
        RETRY,
        (CloseSession(1), Apply(None)),
    ),
    Row(
        "on the next network the address is used again",
        standing(CLASH, replace(UP_WIFI, leg=AT_HOTEL), up=LEFT),
        NetworkChange(CLASH, LTE_ONLY),
        Moving(Leg(1, over_lte(), mobike=True), 0.0, origin=THERE, doubt_at=NOW + 10),
        (Apply(BOTH_FAMILIES), MoveSession(1, over_lte(), "wifi0 is gone")),
        {"up": BOTH_FAMILIES},
    ),
    Row(
        "what a lost session has left for its successor does not stand in its way",
        standing(BOTH, Connecting(Attempt(2, WIFI)), next_leg=3),
        NetworkChange(BOTH, CLASH),
        Connecting(Attempt(3, THERE)),
        (Apply(None), DropSession(2), StartSession(3, THERE)),
        {"up": None},
    ),
    Row(
        "nor in that of a lookup",
        standing(BOTH, Resolving(NOW + 9)),
        NetworkChange(BOTH, CLASH),
        Resolving(NOW + 9),
        (Apply(None), Resolve(CONFIG.gateways)),
        {"up": None},
    ),
    Row(
        "a network that has nothing of the tunnel's changes nothing",
        standing(up=BOTH_FAMILIES, state=UP_FIXED),
        NetworkChange(BOTH, BOTH),
        UP_FIXED,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_clash(row: Row) -> None:
    check(row)


def test_the_remark_comes_and_goes_with_the_network() -> None:
    tunnel, _ = step(standing(up=BOTH_FAMILIES), NetworkChange(BOTH, CLASH), NOW)
    assert tunnel.up is not None
    (told,) = tunnel.up.remarks
    assert told == f"the gateway assigns {OURS}, which is this computer's own on wifi0: not used"
    tunnel, _ = step(tunnel, NetworkChange(CLASH, BOTH), NOW)
    assert tunnel.up == BOTH_FAMILIES
    assert tunnel.up.remarks == ()


def test_an_address_that_becomes_the_routers_is_in_use_too() -> None:
    routed = NetworkState(
        LTE_ONLY.links, LTE_ONLY.addresses, (Route(ip_network("0.0.0.0/0"), 3, ip_address(OURS)),)
    )
    tunnel, _ = step(standing(up=BOTH_FAMILIES), NetworkChange(BOTH, routed), NOW)
    assert tunnel.up == LEFT


# --- prefixes: they need no change of state, routes and filter are made from each network anew

LOCAL = ip_network("10.77.0.0/24")
AT_HOME = NetworkState(
    CLASH.links,
    network(wifi="10.77.0.23", lte=None).addresses,
    (*CLASH.routes, Route(LOCAL, 2)),
)
SPLIT = TunnelConfig("office", ("vpn.example.com",), full=False)
BEHIND = TunnelUp(
    "roam0",
    Assigned((ip_interface("10.99.0.2/32"),)),
    (Selector(ip_address("10.64.0.0"), ip_address("10.127.255.255")),),
)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (SPLIT, "10.77.0.0/24 is a local network here, and lies within 10.64.0.0/10 behind the gateway"),
        (replace(SPLIT, include=(LOCAL,)), "`include` has 10.77.0.0/24, which is a local network here too"),
        (
            replace(SPLIT, include=(ip_network("10.77.0.8/32"),)),
            "`include` has 10.77.0.8/32, which is a local",
        ),
        (replace(SPLIT, use_ts_from_gateway=False), ""),
        (replace(SPLIT, allow_lan=False), ""),
        (replace(SPLIT, full=True), ""),
        (replace(SPLIT, full=True, include=(LOCAL,)), ""),
    ],
)
def test_what_local_networks_and_those_behind_the_gateway_have_in_common_is_told(
    config: TunnelConfig, told: str
) -> None:
    lines = list(overlaps(config, BEHIND, AT_HOME))
    assert len(lines) == bool(told)
    assert told in "".join(lines)
