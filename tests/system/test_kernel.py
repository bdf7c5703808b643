"""The event loop's side of the kernel data path, with tables in memory: sockets, events, failures, the end."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from client.ike.events import Endpoint, Path
from client.lab.links import set_link
from client.lab.namespaces import Namespace
from client.system.choice import what_kernel_lacks
from client.system.datapath import (
    Activity,
    DataPathFailed,
    FirstInbound,
    PeerAddressSeen,
    PoliciesMended,
    SoftLimit,
    WorkTaken,
)
from client.system.feud import FREE
from client.system.kernel import KernelDataPath, sweep_kernel
from client.system.userspace import IkeDatagram
from client.system.xfrm import Monitor, Xfrm
from client.system.xfrm_layout import Group
from client.system.xfrm_model import Direction, Flow, Limits, MappingChanged, Policy, PolicyReport, SaExpired
from client.system.xfrm_tunnel import IF_IDS, XfrmTunnel
from tests.esp.children import child_pair

from .faketables import FakeTables

pytestmark = pytest.mark.netns

LOOPBACK = IPv4Address("127.0.0.1")
PEER = Endpoint(LOOPBACK, 4500)
CHILD = child_pair(spis=(0xA1, 0xA2))[0]
NEXT = child_pair(seed="next", spis=(0xB1, 0xB2))[0]

Body = Callable[[KernelDataPath, FakeTables], Awaitable[None]]


def run(
    body: Body,
    tables: Callable[[], FakeTables] = FakeTables,
    *,
    migrates: bool = True,
    groups: Collection[Group] = (),
    offload: bool = False,
) -> None:
    """With a data path over the namespace's own loopback link."""

    async def inside() -> None:
        faked = tables()
        with ThreadPoolExecutor(max_workers=1) as worker:
            tunnel = XfrmTunnel(faked, IF_IDS[0], Limits(), migrates=migrates)
            data_path = KernelDataPath("lo", worker, tunnel, Monitor(groups), offload=offload)
            try:
                await body(data_path, faked)
            finally:
                await data_path.close()

    namespace = Namespace.create("kernel")
    try:
        namespace.run(lambda: set_link("lo", up=True))
        with namespace.entered():
            asyncio.run(inside())
    finally:
        namespace.close()


def natt() -> tuple[socket.socket, Path]:
    """A bound socket and the path that it makes."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((str(LOOPBACK), 0))
    return opened, Path("lo", Endpoint(LOOPBACK, opened.getsockname()[1]), PEER)


async def bound(data_path: KernelDataPath) -> None:
    """Bind a path, with the Child SA on it."""
    opened, path = natt()
    with closing(opened):
        await data_path.rebind(path, opened.fileno(), encapsulate=False)
        await data_path.install(CHILD, path)


async def next_event(data_path: KernelDataPath) -> object:
    async with asyncio.timeout(5):
        return await data_path.events().get()


@dataclass
class PoliciesInTheKernel(FakeTables):
    """SAs in memory, which need ESP; policies where everybody can reach them."""

    real: Xfrm = field(default_factory=Xfrm)

    def __post_init__(self) -> None:
        self.port = self.real.port

    def put_policy(self, policy: Policy) -> None:
        self.real.put_policy(policy)

    def delete_policy(self, flow: Flow, direction: Direction, if_id: int) -> None:
        self.real.delete_policy(flow, direction, if_id)

    def policies(self) -> tuple[PolicyReport, ...]:
        return self.real.policies()

    def close(self) -> None:
        self.real.close()


def policies() -> set[PolicyReport]:
    """As another program sees them."""
    with Xfrm() as tables:
        return set(tables.policies())


def ip_xfrm(*arguments: str) -> None:
    subprocess.run(("ip", "xfrm", *arguments), check=True, timeout=10)


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (("policy", "flush"), 6),
        (("policy", "update", "src", "{here}", "dst", "{there}", "dir", "out", "if_id", "{if_id}"), 1),
        (("policy", "delete", "src", "{here}", "dst", "{there}", "dir", "out", "if_id", "{if_id}"), 1),
    ],
)
def test_policies_that_ip_takes_away_or_changes_come_back_at_once(
    change: tuple[str, ...], steps: int
) -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        before = policies()
        assert await data_path.deviations() == ()
        flow = next(report.flow for report in before if report.direction == Direction.OUT)
        words = {"here": flow.source, "there": flow.destination, "if_id": hex(IF_IDS[0])}
        await asyncio.to_thread(ip_xfrm, *(word.format_map(words) for word in change))
        mended = await next_event(data_path)
        assert isinstance(mended, PoliciesMended)
        assert len(mended.steps) == steps, mended.steps
        assert tables.port not in mended.by
        assert policies() == before
        assert data_path.events().empty()

    run(body, PoliciesInTheKernel, groups=(Group.POLICY,))


def test_another_program_that_insists_is_answered_more_slowly_in_the_end() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        for _ in range(FREE):
            await asyncio.to_thread(ip_xfrm, "policy", "flush")
            assert isinstance(await next_event(data_path), PoliciesMended)
        await asyncio.to_thread(ip_xfrm, "policy", "flush")
        await data_path.counters()
        assert data_path.events().empty()
        assert len(await data_path.deviations()) == 6
        assert isinstance(await next_event(data_path), PoliciesMended)

    run(body, PoliciesInTheKernel, groups=(Group.POLICY,))


def test_first_packets_and_activity_come_from_the_counters() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        tables.use(CHILD.spi_in, 3)
        tables.use(CHILD.spi_out, 5)
        assert await next_event(data_path) == FirstInbound(CHILD.spi_in)
        active = await next_event(data_path)
        assert isinstance(active, Activity)
        assert active.inbound_at > 0
        (row,) = await data_path.counters()
        assert (row.packets_in, row.packets_out) == (3, 5)

    run(body)


def test_a_move_that_loses_sequence_numbers_asks_for_a_rekey_and_lives_on() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        opened, path = natt()
        moved = Path("lo", Endpoint(IPv4Address("198.51.100.1"), path.local_natt.port), PEER)
        with closing(opened):
            await data_path.rebind(moved, opened.fileno(), encapsulate=False)
        assert await next_event(data_path) == SoftLimit(CHILD.spi_in, sequence=True)
        await data_path.counters()
        assert data_path.events().empty()

    run(body, lambda: FakeTables(tells_last_state=False), migrates=False)


def test_what_a_device_does_is_told_once_and_what_it_drops_is_rekeyed() -> None:
    """As when it goes down: the session lives on, and its next Child SA finds another device."""

    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        taken = await next_event(data_path)
        assert isinstance(taken, WorkTaken)
        assert taken.whole
        assert taken.told.startswith(
            "sent: whole packets by the network device; received: cryptography by the"
        )
        tables.kernel.clear()
        tables.rules = {key: rule for key, rule in tables.rules.items() if rule.device is None}
        assert await next_event(data_path) == SoftLimit(CHILD.spi_in, sequence=True)
        (row,) = await data_path.counters()
        assert row.packets_out == 0
        outbound = [rule for rule in tables.rules.values() if rule.direction is Direction.OUT]
        assert {rule.device for rule in outbound} == {None}, "in software they drop what has no SA"
        tables.device.whole = errno.EINVAL
        opened, path = natt()
        with closing(opened):
            await data_path.install(NEXT, path)
        again = await next_event(data_path)
        assert isinstance(again, WorkTaken)
        assert not again.whole
        assert data_path.events().empty()

    run(body, offload=True)


def test_an_sa_that_is_gone_ends_the_data_path() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        tables.kernel.clear()
        failed = await next_event(data_path)
        assert isinstance(failed, DataPathFailed)
        assert "another program has removed SA 000000a1" in failed.reason
        with pytest.raises(ConnectionError):
            await data_path.counters()

    run(body)


def test_what_the_kernel_tells_becomes_events_once() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        (sa, _) = tables.sas()
        for report in (MappingChanged(sa.spi, LOOPBACK, 9), SaExpired(sa, hard=False)) * 2:
            data_path._take(report)
        assert await next_event(data_path) == PeerAddressSeen(Endpoint(LOOPBACK, 9))
        assert await next_event(data_path) == SoftLimit(CHILD.spi_in, sequence=False)
        assert data_path.events().empty()
        data_path._take(SaExpired(sa, hard=True))
        assert await next_event(data_path) == SoftLimit(CHILD.spi_in, sequence=False)
        tables.kernel.clear()  # it has ended, and that is known
        await data_path.counters()
        data_path._take(MappingChanged(0xDEAD, LOOPBACK, 9))
        assert data_path.events().empty()

    run(body)


def test_a_refusal_is_an_error_of_the_command() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        opened, path = natt()
        with closing(opened), pytest.raises(OSError, match="no path"):
            await data_path.install(CHILD, path)
        await bound(data_path)
        with pytest.raises(OSError, match="unknown"):
            await data_path.use_outbound(1)
        await data_path.remove(CHILD.spi_in)
        assert (tables.kernel, tables.rules) == ({}, {})
        assert await data_path.counters() == ()

    run(body)


def test_closing_twice_leaves_nothing_and_says_nothing() -> None:
    tables = FakeTables()

    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        await bound(data_path)
        await data_path.close()
        await data_path.close()
        assert data_path.events().empty()

    run(body, lambda: tables)
    assert (tables.kernel, tables.rules) == ({}, {})
    assert tables.log[-1] == "closed"


def test_ike_is_read_from_the_socket_in_use_and_the_one_before() -> None:
    async def body(data_path: KernelDataPath, tables: FakeTables) -> None:
        (first, one), (second, other) = natt(), natt()
        with (
            closing(first),
            closing(second),
            closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer,
        ):
            for opened, path in ((first, one), (second, other)):
                await data_path.rebind(path, opened.fileno(), encapsulate=False)
            peer.bind(("127.0.0.1", 0))
            remote = Endpoint(LOOPBACK, peer.getsockname()[1])
            for path in (one, other):
                for datagram in (b"\xff", b"ESP", bytes(4) + b"IKE"):
                    peer.sendto(datagram, ("127.0.0.1", path.local_natt.port))
                assert await next_event(data_path) == IkeDatagram(b"IKE", remote, path.local_natt)
            assert data_path.events().empty()

    run(body)


def test_where_the_kernel_has_no_xfrm_interfaces_none_is_made_and_nothing_stays() -> None:
    async def inside() -> None:
        try:
            data_path = await KernelDataPath.start("roam0", 1400)
        except OSError:
            assert await asyncio.to_thread(what_kernel_lacks, ()) is not None
        else:
            await data_path.close()
        assert [name for _, name in socket.if_nameindex() if name.startswith("roam")] == []

    namespace = Namespace.create("kernel")
    try:
        with namespace.entered():
            asyncio.run(inside())
            assert sweep_kernel() == ()
            with Xfrm() as xfrm:
                assert (xfrm.sas(), xfrm.policies()) == ((), ())
    finally:
        namespace.close()
