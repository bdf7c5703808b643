"""What a namespace was given is what a snapshot shows, and no change in it goes unnoticed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from pyroute2 import IPRoute

from client.lab.laptop import wait_for
from client.lab.namespaces import Namespace
from client.net.interfaces import snapshot_by_netifaces
from client.net.netlink import Hint, Notifications, Topic, snapshot
from client.tunnel.model import NetworkState, Route

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("laptop")]

Change = Callable[[IPRoute], object]

NODAD = 0x02


@pytest.fixture
def laptop() -> Iterator[Namespace]:
    """A namespace with `wlan0` (192.168.1.5/24, default route), `wwan0` (down) and a link of Roam's own."""
    with ExitStack() as stack:
        namespace = Namespace.create("laptop")
        stack.callback(namespace.close)
        stack.enter_context(namespace.entered())
        furnish()
        wait_for(is_carried, "the links do not come up")
        yield namespace


def furnish() -> None:
    with IPRoute() as netlink:
        for name, peer in (("wlan0", "ap0"), ("wwan0", "mast0"), ("roam0", "roampeer")):
            netlink.link("add", ifname=name, kind="veth", peer=peer)
        for name in ("lo", "wlan0", "ap0", "roam0", "roampeer"):
            netlink.link("set", index=index(netlink, name), state="up")
        wlan0, roam0 = index(netlink, "wlan0"), index(netlink, "roam0")
        netlink.addr("add", index=wlan0, address="192.168.1.5", prefixlen=24)
        netlink.addr("add", index=wlan0, address="2001:db8:1::5", prefixlen=64, flags=NODAD)
        netlink.addr("add", index=roam0, address="10.8.0.2", prefixlen=32)
        netlink.route("add", gateway="192.168.1.1", oif=wlan0, priority=600, proto=16)
        netlink.route("add", dst="10.77.0.0/24", oif=roam0)
        netlink.route("add", dst="10.99.0.0/24", oif=wlan0, table=29440)
        netlink.route("add", dst="10.98.0.0/24", type="blackhole")


def is_carried() -> bool:
    """The kernel finds the carrier in its own time, and then gives the link-local routes."""
    state = snapshot()
    local = {route.link for route in state.routes if route.destination == ip_network("fe80::/64")}
    return all(
        links(state)[name].startswith("up") and number(state, name) in local for name in ("wlan0", "ap0")
    )


def index(netlink: IPRoute, name: str) -> int:
    return int(netlink.link_lookup(ifname=name)[0])


def links(state: NetworkState) -> dict[str, str]:
    return {link.name: f"{'up' if link.up else 'down'} {link.mtu} {link.kind}" for link in state.links}


def addresses(state: NetworkState, link: int) -> set[str]:
    usable = (entry.interface for entry in state.addresses if entry.link == link)
    return {str(interface) for interface in usable if not interface.ip.is_link_local}


def number(state: NetworkState, name: str) -> int:
    return next(link.index for link in state.links if link.name == name)


def test_snapshot_is_what_was_configured(laptop: Namespace) -> None:
    assert laptop.inode == os.stat("/proc/thread-self/ns/net").st_ino
    state = snapshot()
    assert links(state) == {
        "lo": "up 65536 loopback",
        "wlan0": "up 1500 veth",
        "ap0": "up 1500 veth",
        "wwan0": "down 1500 veth",
        "mast0": "down 1500 veth",
    }
    wlan0 = number(state, "wlan0")
    assert addresses(state, wlan0) == {"192.168.1.5/24", "2001:db8:1::5/64"}
    assert {route for route in state.routes if route.destination.version == 4} == {
        Route(ip_network("0.0.0.0/0"), wlan0, ip_address("192.168.1.1"), 600, None, 16),
        Route(ip_network("192.168.1.0/24"), wlan0, None, 0, ip_address("192.168.1.5"), 2),
    }


def test_an_unchanged_network_gives_an_equal_snapshot() -> None:
    assert snapshot() == snapshot()


def test_deprecated_and_tentative_addresses_are_left_out() -> None:
    with IPRoute() as netlink:
        wlan0, mast0 = index(netlink, "wlan0"), index(netlink, "mast0")
        netlink.addr("add", index=wlan0, address="2001:db8:2::5", prefixlen=64, flags=NODAD, preferred=0)
        netlink.addr("add", index=mast0, address="2001:db8:3::5", prefixlen=64)
    state = snapshot()
    assert addresses(state, wlan0) == {"192.168.1.5/24", "2001:db8:1::5/64"}
    assert addresses(state, mast0) == set()


def test_a_link_without_carrier_is_not_up() -> None:
    with IPRoute() as netlink:
        netlink.link("set", index=index(netlink, "ap0"), state="down")
    wait_for(lambda: links(snapshot())["wlan0"] == "down 1500 veth", "the carrier stays")
    assert not snapshot().has_address(ip_address("192.168.1.5"))


def test_each_hop_of_a_multipath_route_is_a_route() -> None:
    with IPRoute() as netlink:
        wlan0 = index(netlink, "wlan0")
        hops = [{"oif": wlan0, "gateway": f"192.168.1.{host}"} for host in (2, 3)]
        netlink.route("add", dst="203.0.113.0/24", multipath=hops, priority=7)
    found = [route for route in snapshot().routes if route.destination == ip_network("203.0.113.0/24")]
    assert [(str(route.gateway), route.link, route.metric) for route in found] == [
        ("192.168.1.2", wlan0, 7),
        ("192.168.1.3", wlan0, 7),
    ]


def test_an_ipv6_router_of_an_ipv4_route_is_seen() -> None:
    with IPRoute() as netlink:
        via = {"family": 10, "addr": "fe80::1"}
        netlink.route("add", dst="203.0.113.0/24", via=via, oif=index(netlink, "wlan0"))
    (found,) = [route for route in snapshot().routes if route.destination == ip_network("203.0.113.0/24")]
    assert found.gateway == ip_address("fe80::1")


def test_netifaces_sees_the_same_addresses_and_default_route() -> None:
    by_netlink, by_netifaces = snapshot(), snapshot_by_netifaces()
    wlan0 = number(by_netlink, "wlan0")
    assert addresses(by_netifaces, wlan0) == addresses(by_netlink, wlan0)
    assert by_netifaces.has_address(ip_address("192.168.1.5"))
    assert {link.index for link in by_netifaces.links} == {link.index for link in by_netlink.links}
    defaults = [route for route in by_netifaces.routes if route.destination.prefixlen == 0]
    assert [(str(route.gateway), route.link) for route in defaults] == [("192.168.1.1", wlan0)]
    assert Route(ip_network("192.168.1.0/24"), wlan0) in by_netifaces.routes


async def told(notifications: Notifications) -> frozenset[Hint]:
    async with asyncio.timeout(5):
        await notifications.wait()
    return notifications.take()


def configure(change: Change) -> None:
    with IPRoute() as netlink:
        change(netlink)


def listening(listen: Callable[[Notifications], Awaitable[None]], receive_buffer: int = 1 << 20) -> None:
    async def body() -> None:
        with closing(Notifications(receive_buffer)) as notifications:
            await listen(notifications)

    asyncio.run(body())


CHANGES: list[tuple[str, Change, Hint, str | None]] = [
    (
        "address added",
        lambda netlink: netlink.addr("add", index=index(netlink, "wlan0"), address="10.9.9.9", prefixlen=24),
        Hint(Topic.ADDRESS),
        "wlan0",
    ),
    (
        "address removed",
        lambda netlink: netlink.addr(
            "del", index=index(netlink, "wlan0"), address="192.168.1.5", prefixlen=24
        ),
        Hint(Topic.ADDRESS, removed=True),
        "wlan0",
    ),
    (
        "route added",
        lambda netlink: netlink.route("add", dst="10.5.0.0/16", oif=index(netlink, "wlan0")),
        Hint(Topic.ROUTE),
        None,
    ),
    (
        "route removed",
        lambda netlink: netlink.route("del", dst="10.98.0.0/24", type="blackhole"),
        Hint(Topic.ROUTE, removed=True),
        None,
    ),
    (
        "rule added",
        lambda netlink: netlink.rule("add", priority=9, table=77, family=10),
        Hint(Topic.RULE),
        None,
    ),
    (
        "rule removed",
        lambda netlink: netlink.rule("del", priority=32767, table=253),
        Hint(Topic.RULE, removed=True),
        None,
    ),
    (
        "link changed",
        lambda netlink: netlink.link("set", index=index(netlink, "wlan0"), mtu=1400),
        Hint(Topic.LINK),
        "wlan0",
    ),
    (
        "link removed",
        lambda netlink: netlink.link("del", index=index(netlink, "wwan0")),
        Hint(Topic.LINK, removed=True),
        "wwan0",
    ),
]


@pytest.mark.parametrize(
    ("change", "hint", "link"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_change_gives_its_hint(change: Change, hint: Hint, link: str | None) -> None:
    expected = replace(hint, link=socket.if_nametoindex(link) if link else 0)

    async def listen(notifications: Notifications) -> None:
        await asyncio.to_thread(configure, change)
        assert expected in await told(notifications)

    listening(listen)


def test_an_overrun_buffer_is_one_hint_and_the_next_snapshot_has_everything() -> None:
    def add_addresses(netlink: IPRoute) -> None:
        ap0 = index(netlink, "ap0")
        for host in range(400):
            netlink.addr("add", index=ap0, address=f"10.{1 + host // 250}.0.{1 + host % 250}", prefixlen=32)

    async def listen(notifications: Notifications) -> None:
        await asyncio.to_thread(configure, add_addresses)
        assert Hint(Topic.LOST) in await told(notifications)
        state = await asyncio.to_thread(snapshot)
        assert len(addresses(state, number(state, "ap0"))) == 400
        await asyncio.to_thread(configure, lambda netlink: netlink.rule("add", priority=9, table=77))
        assert Hint(Topic.RULE) in await told(notifications)  # it hears again

    listening(listen, receive_buffer=2048)


def test_waiting_may_be_cancelled_without_losing_a_hint() -> None:
    async def listen(notifications: Notifications) -> None:
        waiting = asyncio.create_task(notifications.wait())
        await asyncio.to_thread(configure, lambda netlink: netlink.rule("add", priority=9, table=77))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert Hint(Topic.RULE) in await told(notifications)
        assert notifications.take() == frozenset()

    listening(listen)


def test_nothing_of_the_machine_is_in_a_namespaces_snapshot() -> None:
    assert ip_interface("192.168.1.5/24") in {entry.interface for entry in snapshot().addresses}
    assert "eth0" not in links(snapshot())
