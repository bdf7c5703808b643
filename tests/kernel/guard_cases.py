"""The guard's packet filter and the kernel's ESP on one machine: what is protected passes, nothing else does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_interface

from client.ike.events import Assigned
from client.system.nft import Nftables
from client.tunnel.merge import system_config
from client.tunnel.model import NetworkState, Stance, TunnelConfig, TunnelUp, Underlay
from tests.esp.tunnel import INNER, ping

from .cases import case
from .ends import LINK, End, datagrams, tunnel
from .ledger import Ledger
from .path_cases import carries

FULL = TunnelConfig("office", ("gw.example.com",))
DAEMON = 990  # nobody here: what the kernel sends must pass by its mark and its destination


@contextmanager
def guarded(end: End, peer: End) -> Iterator[Nftables]:
    """The filter of a tunnel for everything stands at this end, and of routes and rules nothing."""
    inside = tuple(ip_interface(INNER[version][end.number]) for version in (4, 6))
    up = TunnelUp(LINK, Assigned(addresses=inside))
    path = Underlay("wire", end.local.address, peer.local.address)
    config = system_config({"office": (FULL, up)}, NetworkState(), [path], Stance(uid=DAEMON))
    assert config.guard is not None
    with end.namespace.entered():
        nftables = Nftables()
        nftables.replace(config.guard)
        assert not nftables.problem, nftables.problem
        assert nftables.read() is config.guard
    yield nftables
    nftables.close()


async def nothing_but_esp(one: End, other: End) -> str:
    """Traffic passes both ways; what a program sends around the tunnel does not, until the filter is gone."""
    ledger = Ledger(one.namespace)
    with guarded(one, other) as nftables:
        await carries(one, other)
        assert await ping(other, one, 4), "no ping from the other end"
        await datagrams(one, other, 50)
        assert not send_in_clear(one, other), "sent in clear"
        ledger.read()
        assert not ledger.clear, ledger.clear
        assert ledger.sent, "no ESP was seen"
        with one.namespace.entered():
            nftables.remove()
        assert send_in_clear(one, other), "the control was not sent"
    passed = len(ledger.sent)
    ledger.close()
    return f"{passed} packets of ESP, nothing else"


def send_in_clear(one: End, other: End) -> bool:
    """A datagram from our outer address to the gateway itself, unmarked; whether the kernel took it."""
    family = socket.AF_INET if one.local.address.version == 4 else socket.AF_INET6
    with one.namespace.socket(family, socket.SOCK_DGRAM) as sender, suppress(PermissionError):
        sender.bind((str(one.local.address), 0))
        sender.sendto(b"in clear", (str(other.local.address), 4500))
        return True
    return False


@case
async def the_guard_lets_esp_in_udp_pass_and_nothing_in_clear() -> str:
    async with tunnel("kk", 4) as (one, other):
        return await nothing_but_esp(one, other)


@case
async def the_guard_lets_bare_esp_pass_and_nothing_in_clear() -> str:
    async with tunnel("kk", 6, encapsulate=False) as (one, other):
        return await nothing_but_esp(one, other)
