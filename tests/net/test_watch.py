"""When hints become a report: the decision as a table, and the watcher in a namespace that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

import pytest
from pyroute2 import IPRoute

from client.lab.laptop import wait_for
from client.lab.links import sysctl
from client.lab.namespaces import Namespace
from client.net.netlink import Notifications, snapshot
from client.net.watch import LONGEST, QUIET, Report, RoutingTouched, Settle, Watcher
from client.tunnel.model import Link, LinkAddress, NetworkChange, NetworkState


@dataclass(frozen=True)
class Row:
    name: str
    hints: list[float]
    due_at: float | None


SETTLING = [
    Row("nothing pending", [], None),
    Row("one hint", [10.0], 10.0 + QUIET),
    Row("each hint starts the quiet time anew", [10.0, 10.2, 10.4], 10.4 + QUIET),
    Row("an endless burst is cut off", [10.0 + n / 10 for n in range(20)], 10.0 + LONGEST),
]


@pytest.mark.parametrize("row", SETTLING, ids=lambda row: row.name)
def test_network_has_settled(row: Row) -> None:
    settle = Settle()
    for at in row.hints:
        settle = settle.hinted(at)
    assert settle.due_at() == (None if row.due_at is None else pytest.approx(row.due_at))


class Scene:
    """A watcher at work, and what it has reported."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.watcher = Watcher(self.reports.put_nowait)

    async def next(self) -> Report:
        async with asyncio.timeout(5):
            return await self.reports.get()

    async def change(self) -> NetworkChange:
        while True:
            report = await self.next()
            if isinstance(report, NetworkChange):
                return report


def watching(body: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        scene = Scene()
        await scene.watcher.start()
        running = asyncio.create_task(scene.watcher.run())
        try:
            await body(scene)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            scene.watcher.close()

    asyncio.run(main())


@pytest.fixture
def laptop() -> Iterator[None]:
    with ExitStack() as stack:
        namespace = Namespace.create("laptop")
        stack.callback(namespace.close)
        stack.enter_context(namespace.entered())
        sysctl("net.ipv6.conf.default.disable_ipv6", 1)  # no addresses that come by themselves
        with IPRoute() as netlink:
            netlink.link("add", ifname="wlan0", kind="veth", peer="ap0")
            netlink.link("set", index=index(netlink, "ap0"), state="up")
            netlink.link("set", index=index(netlink, "wlan0"), state="up")
            netlink.addr("add", index=index(netlink, "wlan0"), address="192.168.1.5", prefixlen=24)
            netlink.route("add", gateway="192.168.1.1")
        # The kernel finds the carrier in its own time.
        wait_for(lambda: snapshot().has_address(ip_address("192.168.1.5")), "the link does not come up")
        yield


def index(netlink: IPRoute, name: str) -> int:
    return int(netlink.link_lookup(ifname=name)[0])


async def configure(change: Callable[[IPRoute], object]) -> None:
    def inside() -> None:
        with IPRoute() as netlink:
            change(netlink)

    await asyncio.to_thread(inside)


def other_lease(netlink: IPRoute) -> None:
    wlan0 = index(netlink, "wlan0")
    netlink.addr("add", index=wlan0, address="192.168.7.9", prefixlen=24)
    netlink.addr("del", index=wlan0, address="192.168.1.5", prefixlen=24)
    netlink.route("del", gateway="192.168.1.1")
    netlink.route("add", gateway="192.168.7.1", priority=600)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.usefixtures("laptop")
def test_many_changes_give_one_report_of_the_settled_network() -> None:
    async def body(scene: Scene) -> None:
        await configure(other_lease)
        change = await scene.change()
        assert change.old.has_address(ip_address("192.168.1.5"))
        assert change.address_gone(ip_address("192.168.1.5"))
        assert change.new.has_address(ip_address("192.168.7.9"))
        default = [route for route in change.new.routes if route.destination.prefixlen == 0]
        assert [(str(route.gateway), route.metric) for route in default] == [("192.168.7.1", 600)]
        assert isinstance(await scene.next(), RoutingTouched)
        assert scene.reports.empty()
        assert scene.watcher.state == change.new

    watching(body)


@pytest.mark.netns
@pytest.mark.usefixtures("laptop")
@pytest.mark.parametrize(
    "loss",
    [
        lambda netlink: netlink.addr(
            "del", index=index(netlink, "wlan0"), address="192.168.1.5", prefixlen=24
        ),
        lambda netlink: netlink.link("set", index=index(netlink, "wlan0"), state="down"),
        lambda netlink: netlink.link("set", index=index(netlink, "ap0"), state="down"),
        lambda netlink: netlink.link("del", index=index(netlink, "wlan0")),
    ],
    ids=["address removed", "link down", "carrier lost", "link removed"],
)
def test_loss_of_the_address_in_use_does_not_wait(loss: Callable[[IPRoute], object]) -> None:
    async def body(scene: Scene) -> None:
        scene.watcher.use([ip_address("192.168.1.5")])
        began = asyncio.get_running_loop().time()
        await configure(loss)
        change = await scene.change()
        assert change.address_gone(ip_address("192.168.1.5"))
        assert asyncio.get_running_loop().time() - began < QUIET

    watching(body)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.usefixtures("laptop")
def test_what_happens_to_links_that_are_not_in_use_is_read_once_when_it_is_over() -> None:
    reads: list[NetworkState] = []

    def read() -> NetworkState:
        reads.append(snapshot())
        return reads[-1]

    def elsewhere(netlink: IPRoute) -> None:
        ap0 = index(netlink, "ap0")
        netlink.link("set", index=ap0, mtu=1400)
        netlink.addr("add", index=ap0, address="10.9.9.8", prefixlen=32)
        netlink.addr("add", index=ap0, address="10.9.9.9", prefixlen=32)
        netlink.addr("del", index=ap0, address="10.9.9.8", prefixlen=32)

    async def body(scene: Scene) -> None:
        scene.watcher = Watcher(scene.reports.put_nowait, read=read)
        await scene.watcher.start()
        scene.watcher.use([ip_address("192.168.1.5")])
        running = asyncio.create_task(scene.watcher.run())
        await configure(elsewhere)
        change = await scene.change()
        assert change.new.has_address(ip_address("10.9.9.9"))
        assert len(reads) == 2
        running.cancel()
        scene.watcher.close()

    asyncio.run(body(Scene()))


@pytest.mark.netns
@pytest.mark.usefixtures("laptop")
def test_a_rule_taken_away_is_reported_at_once() -> None:
    async def body(scene: Scene) -> None:
        began = asyncio.get_running_loop().time()
        await configure(lambda netlink: netlink.rule("del", priority=32767, table=253))
        assert isinstance(await scene.next(), RoutingTouched)
        assert asyncio.get_running_loop().time() - began < QUIET

    watching(body)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.usefixtures("laptop")
def test_a_flood_that_overruns_the_buffer_ends_in_one_complete_report() -> None:
    def flood(netlink: IPRoute) -> None:
        ap0 = index(netlink, "ap0")
        for host in range(400):
            netlink.addr("add", index=ap0, address=f"10.{1 + host // 250}.0.{1 + host % 250}", prefixlen=32)

    async def body(scene: Scene) -> None:
        scene.watcher.close()
        scene.watcher = Watcher(scene.reports.put_nowait, lambda: Notifications(receive_buffer=2048))
        await scene.watcher.start()
        running = asyncio.create_task(scene.watcher.run())
        await configure(flood)
        change = await scene.change()
        while len(change.new.addresses) < 400:  # the flood may last longer than the longest settle time
            change = await scene.change()
        assert len([entry for entry in change.new.addresses if entry.interface.version == 4]) == 401
        running.cancel()

    watching(body)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.usefixtures("laptop")
def test_what_leaves_the_network_as_it_was_is_not_a_change() -> None:
    async def body(scene: Scene) -> None:
        before = scene.watcher.state
        await configure(
            lambda netlink: netlink.route("add", dst="10.1.0.0/16", type="blackhole", table=29440)
        )
        assert isinstance(await scene.next(), RoutingTouched)
        assert scene.watcher.state == before
        assert scene.reports.empty()

    watching(body)


def wifi(address: str) -> NetworkState:
    return NetworkState((Link(2, "wlan0", up=True),), (LinkAddress(2, ip_interface(address)),))


def test_an_asked_for_look_reports_what_it_finds() -> None:
    networks = iter((wifi("192.168.1.5/24"), wifi("192.168.1.5/24"), wifi("192.168.7.9/24")))
    reports: list[Report] = []

    async def body() -> None:
        watcher = Watcher(reports.append, read=lambda: next(networks))
        assert await watcher.start() == wifi("192.168.1.5/24")
        await watcher.refresh()
        assert reports == []
        await watcher.refresh()
        assert reports == [NetworkChange(wifi("192.168.1.5/24"), wifi("192.168.7.9/24"))]
        watcher.close()

    asyncio.run(body())


def test_an_unreadable_network_keeps_the_last_one_and_is_read_again() -> None:
    networks: Iterator[NetworkState | None] = iter((wifi("192.168.1.5/24"), None, wifi("192.168.7.9/24")))

    def read() -> NetworkState:
        network = next(networks)
        if network is None:
            raise OSError(5, "no answer")
        return network

    async def body() -> None:
        reports: asyncio.Queue[Report] = asyncio.Queue()
        watcher = Watcher(reports.put_nowait, read=read)
        await watcher.start()
        await watcher.refresh()
        assert watcher.state == wifi("192.168.1.5/24")
        running = asyncio.create_task(watcher.run())
        async with asyncio.timeout(5):
            assert await reports.get() == NetworkChange(wifi("192.168.1.5/24"), wifi("192.168.7.9/24"))
        running.cancel()
        watcher.close()

    asyncio.run(body())


@pytest.mark.slow
def test_without_notifications_netifaces_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = iter((wifi("192.168.1.5/24"), wifi("192.168.7.9/24")))
    monkeypatch.setattr("client.net.watch.snapshot_by_netifaces", lambda: next(networks))
    monkeypatch.setattr("client.net.watch.POLL", 0.01)

    def refuse() -> Notifications:
        raise PermissionError(1, "not here")

    async def body() -> None:
        reports: asyncio.Queue[Report] = asyncio.Queue()
        watcher = Watcher(reports.put_nowait, refuse)
        await watcher.start()
        running = asyncio.create_task(watcher.run())
        async with asyncio.timeout(5):
            assert await reports.get() == NetworkChange(wifi("192.168.1.5/24"), wifi("192.168.7.9/24"))
        running.cancel()

    asyncio.run(body())
