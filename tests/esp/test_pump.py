"""Two pumps in two namespaces carry real traffic."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path as FilePath

import pytest

from client.ike.events import EspAlgorithms, Path
from client.system.datapath import (
    Activity,
    DataPathFailed,
    FirstInbound,
    PathCarries,
    PeerAddressSeen,
    SelectorViolation,
)
from client.system.userspace import IkeDatagram

from .children import AES_CBC, AES_GCM, AES_GCM_ESN, CHACHA20, child_pair, selectors
from .tunnel import SPARE, End, install, ping, tcp_transfer, tunnel, udp_echo

pytestmark = pytest.mark.netns

Body = Callable[[End, End], Awaitable[None]]


def run(body: Body, outer: int = 4, algorithms: EspAlgorithms = AES_GCM) -> None:
    async def with_tunnel() -> None:
        async with tunnel(outer, algorithms) as (one, other):
            await body(one, other)

    asyncio.run(with_tunnel())


@pytest.mark.parametrize("outer", [4, 6])
def test_ping_udp_and_tcp_go_through_over_both_families(outer: int) -> None:
    async def body(one: End, other: End) -> None:
        for inner in (4, 6):
            assert await ping(one, other, inner)
            assert await udp_echo(one, other, inner)
            assert await udp_echo(one, other, inner, size=5000)  # fragments inside
            assert await tcp_transfer(one, other, inner, 3 << 20)

    run(body, outer)


@pytest.mark.parametrize("algorithms", [AES_GCM_ESN, CHACHA20, AES_CBC])
def test_every_kind_of_algorithm_carries_traffic(algorithms: EspAlgorithms) -> None:
    async def body(one: End, other: End) -> None:
        assert await udp_echo(one, other, 4)
        assert await tcp_transfer(one, other, 6, 1 << 20)

    run(body, 4, algorithms)


def test_the_pump_has_no_privileges() -> None:
    async def body(one: End, other: End) -> None:
        fields = process_status(one.data_path.pid)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(fields[capabilities], 16) == 0
        assert "0" not in fields["Uid"].split() + fields["Gid"].split()
        assert fields["NoNewPrivs"] == "1"
        assert fields["Groups"].strip() == ""

    run(body)


def process_status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    status = FilePath(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


def test_marked_ike_reaches_the_parent_with_its_source_and_keepalives_do_not() -> None:
    async def body(one: End, other: End) -> None:
        target = str(one.local.address), one.local.port
        for datagram in (b"\xff", b"", b"\0\0\0", bytes(4) + b"IKE message"):
            other.natt.sendto(datagram, target)
        event = await one.next(IkeDatagram)
        assert event == IkeDatagram(b"IKE message", remote=other.local, local=one.local)

    run(body)


def test_first_packet_and_activity_are_told_once() -> None:
    async def body(one: End, other: End) -> None:
        assert await udp_echo(one, other, 4)
        first = await other.next(FirstInbound)
        active = await other.next(Activity)
        assert active.inbound_at > 0
        tallies = {row.spi_in: row for row in await other.data_path.counters()}
        assert tallies[first.spi_in].packets_in >= 1
        assert tallies[first.spi_in].dropped == 0

    run(body)


def test_move_to_a_new_socket_keeps_sequence_numbers_and_replay_state() -> None:
    async def body(one: End, other: End) -> None:
        assert await udp_echo(one, other, 4)
        before = await other.data_path.counters()
        one.leave_for(SPARE[0])
        other.leave_for(SPARE[1])
        await other.point_at(one.local)
        await one.point_at(other.local)
        assert await udp_echo(one, other, 4)
        after = await other.data_path.counters()
        assert after[0].packets_in > before[0].packets_in
        assert after[0].dropped == before[0].dropped  # a counter that had started anew would be a replay

    run(body)


def test_the_first_packet_over_a_new_path_tells_how_long_the_move_was_felt() -> None:
    async def body(one: End, other: End) -> None:
        assert await udp_echo(one, other, 4)
        moved_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        one.leave_for(SPARE[0])
        await one.point_at(other.local)
        await other.point_at(one.local)
        assert await udp_echo(one, other, 4)
        told = await one.next(PathCarries)
        assert 0 < told.before <= moved_at < told.first + 0.001

    run(body)


def test_a_replayed_packet_is_dropped_also_after_a_move() -> None:
    async def body(one: End, other: End) -> None:
        recorder = await record_one_packet(one, other)
        await other.point_at(one.local)
        one.natt.sendto(recorder, (str(other.local.address), other.local.port))
        assert await udp_echo(one, other, 4)
        one.natt.sendto(recorder, (str(other.local.address), other.local.port))
        assert await udp_echo(one, other, 4)
        assert (await other.data_path.counters())[0].dropped == 1

    run(body)


async def record_one_packet(one: End, other: End) -> bytes:
    """Let the first end send one ESP packet to a socket of ours instead of to its peer."""
    natt, local = other.natt, other.local
    other.leave_for(str(local.address))
    eavesdropper, other.natt, at = other.natt, natt, other.local
    other.local = local
    await one.point_at(at)
    assert not await udp_echo(one, other, 4, patience=0.1)
    recorded = eavesdropper.recv(2048)
    eavesdropper.close()
    await one.point_at(local)
    return recorded


def test_authentic_packets_from_another_address_are_told_once() -> None:
    async def body(one: End, other: End) -> None:
        one.leave_for(SPARE[0])
        await one.point_at(other.local)
        assert await udp_echo(
            one, other, 4
        )  # the answer goes to the old address, where the socket is still read
        assert (await other.next(PeerAddressSeen)).remote == one.local
        assert await udp_echo(one, other, 4)
        assert not [event for event in await other.waiting() if isinstance(event, PeerAddressSeen)]

    run(body)


def test_a_new_child_sa_takes_over_and_the_old_one_is_removed() -> None:
    async def body(one: End, other: End) -> None:
        assert await udp_echo(one, other, 4)
        old = (await one.data_path.counters())[0].spi_in, (await other.data_path.counters())[0].spi_in
        await install(one, other, seed="second")
        assert await udp_echo(one, other, 4)
        for end, spi_in in zip((one, other), old, strict=True):
            await end.data_path.remove(spi_in)
        assert await udp_echo(one, other, 4)
        assert len(await one.data_path.counters()) == 1

    run(body)


def test_packets_outside_the_selectors_are_told() -> None:
    async def body(one: End, other: End) -> None:
        for end in (one, other):
            for row in await end.data_path.counters():
                await end.data_path.remove(row.spi_in)
        narrow = child_pair(seed="narrow", local=selectors("10.99.0.0/16"))[0]
        wide = child_pair(seed="narrow")[1]
        await one.data_path.install(narrow, Path("wire", one.local, other.local))
        await other.data_path.install(wide, Path("wire", other.local, one.local))
        assert not await udp_echo(other, one, 4, patience=0.1)
        assert (await one.next(SelectorViolation)).spi_in == narrow.spi_in
        assert (await one.data_path.counters())[0].dropped > 0
        assert not await udp_echo(one, other, 4, patience=0.1)
        assert (await one.data_path.counters())[0].packets_out == 0

    run(body)


def test_keys_are_never_installed_twice() -> None:
    async def body(one: End, other: End) -> None:
        for row in await one.data_path.counters():
            await one.data_path.remove(row.spi_in)
        with pytest.raises(OSError, match="in use before"):
            await install(one, other, seed="")

    run(body)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT])
def test_a_pump_that_dies_is_told_and_leaves_no_interface(how: signal.Signals) -> None:
    async def body(one: End, other: End) -> None:
        assert "roam0" in one.namespace.links()
        os.kill(one.data_path.pid, how)
        failed = await one.next(DataPathFailed)
        assert how.name in failed.reason
        assert "roam0" not in one.namespace.links()
        with pytest.raises(ConnectionError):
            await one.data_path.counters()

    run(body)


def test_an_interface_that_somebody_deletes_is_told() -> None:
    async def body(one: End, other: End) -> None:
        one.namespace.netlink(lambda route: route.link("del", index=route.link_lookup(ifname="roam0")[0]))
        assert "bad state" in (await one.next(DataPathFailed)).reason

    run(body)


def test_a_signal_to_all_does_not_end_the_pump_before_its_parent() -> None:
    async def body(one: End, other: End) -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(one.data_path.pid, number)
        assert await udp_echo(one, other, 4)

    run(body)


def test_closing_leaves_no_interface_and_says_nothing() -> None:
    async def body(one: End, other: End) -> None:
        await one.data_path.close()
        assert "roam0" not in one.namespace.links()
        assert one.data_path.events().empty()

    run(body)
