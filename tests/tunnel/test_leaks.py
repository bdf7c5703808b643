"""Where traffic goes is told from what stands, not from addresses that the machine happens to have."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from client.tunnel.leaks import Goes, Resolving, verdicts
from client.tunnel.merge import system_config
from client.tunnel.model import Lockdown, Stance, TunnelConfig, TunnelUp
from client.tunnel.selection import Tunnels
from tests.tunnel.test_merge import FULL, HOME, SPLIT, ranges, up

OFFICE = Resolving((ip_address("10.8.0.1"),), by="systemd-resolved")
BOTH = replace(up("10.8.0.2 fd00::2"), remote_selectors=ranges("0.0.0.0/0", "::/0"))
UNGUARDED = replace(FULL, guard=False, block_other_families=False)

ROWS: dict[str, tuple[Tunnels, Stance, tuple[Resolving, ...], tuple[Goes, Goes, Goes]]] = {
    "nothing is wanted": ({}, Stance(), (), (Goes.OUTSIDE,) * 3),
    "everything, while connecting": ({"a": (FULL, None)}, Stance(), (), (Goes.BLOCKED,) * 3),
    "everything, unguarded, while connecting": ({"a": (UNGUARDED, None)}, Stance(), (), (Goes.OUTSIDE,) * 3),
    "everything, both families": ({"a": (FULL, BOTH)}, Stance(), (OFFICE,), (Goes.TUNNELLED,) * 3),
    "everything, the gateway gives no IPv6": (
        {"a": (FULL, up())},
        Stance(),
        (OFFICE,),
        (Goes.TUNNELLED, Goes.BLOCKED, Goes.TUNNELLED),
    ),
    "everything, IPv6 let out by the profile": (
        {"a": (UNGUARDED, up())},
        Stance(),
        (OFFICE,),
        (Goes.TUNNELLED, Goes.OUTSIDE, Goes.TUNNELLED),
    ),
    "everything, and nobody could be told of the name servers": (
        {"a": (FULL, BOTH)},
        Stance(),
        (replace(OFFICE, by=""),),
        (Goes.TUNNELLED, Goes.TUNNELLED, Goes.BLOCKED),
    ),
    "some networks": (
        {"a": (SPLIT, up(selectors="10.77.0.0/24"))},
        Stance(),
        (),
        (Goes.PARTLY, Goes.OUTSIDE, Goes.OUTSIDE),
    ),
    "some networks, while connecting": (
        {"a": (SPLIT, None)},
        Stance(),
        (),
        (Goes.PARTLY, Goes.OUTSIDE, Goes.OUTSIDE),
    ),
    "some networks and their names": (
        {"a": (SPLIT, up(selectors="10.77.0.0/24"))},
        Stance(),
        (replace(OFFICE, domains=("corp.example",)),),
        (Goes.PARTLY, Goes.OUTSIDE, Goes.PARTLY),
    ),
    "lockdown, nothing wanted": ({}, Stance(lockdown=Lockdown()), (), (Goes.BLOCKED,) * 3),
    "lockdown, some networks": (
        {"a": (SPLIT, up(selectors="10.77.0.0/24"))},
        Stance(lockdown=Lockdown()),
        (),
        (Goes.BLOCKED,) * 3,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_family_and_names_have_a_verdict(row: str) -> None:
    tunnels, stance, resolving, expected = ROWS[row]
    found = verdicts(system_config(tunnels, HOME, stance=stance), resolving)
    assert [verdict.what for verdict in found] == ["IPv4", "IPv6", "DNS"]
    assert tuple(verdict.goes for verdict in found) == expected
    assert all(verdict.why for verdict in found)


def test_what_stays_beside_a_tunnel_is_named() -> None:
    ipv4, ipv6, _ = verdicts(system_config({"a": (FULL, BOTH)}, HOME), (OFFICE,))
    assert ipv4.why == "everything goes to roam0, beside it: 192.168.1.0/24"
    assert ipv6.why == "everything goes to roam0, beside it: fe80::/64"


def test_a_tunnel_behind_lockdown_is_named_as_the_only_way_out() -> None:
    tunnels: dict[str, tuple[TunnelConfig, TunnelUp | None]] = {"a": (SPLIT, up(selectors="10.77.0.0/24"))}
    config = system_config(tunnels, HOME, stance=Stance(lockdown=Lockdown(allow_lan=False)))
    assert verdicts(config, ())[0].why == "nothing leaves but 10.77.0.0/24, to its tunnel"


def test_long_lists_are_cut() -> None:
    many = replace(up(), remote_selectors=ranges(*(f"10.{number}.0.0/24" for number in range(1, 20))))
    split = replace(SPLIT, include=(), use_ts_from_gateway=True)
    assert " and 16 more to roam0" in verdicts(system_config({"a": (split, many)}, HOME), ())[0].why
