"""Traffic over the kernel's data path: families, encapsulation, algorithms, rekeys, selectors, kinds of peer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing

from client.ike.events import EspAlgorithms, Path
from client.system.datapath import Activity, FirstInbound, PeerAddressSeen, WorkTaken
from client.system.userspace import IkeDatagram
from client.system.xfrm_offload import FILTERED
from tests.esp.children import AES_CBC_ESN, AES_GCM_ESN, ALL_ALGORITHMS, CHACHA20, child_pair, selectors
from tests.esp.tunnel import OUTER, SPARE, ping, tcp_transfer, udp_echo

from .cases import case
from .ends import LINK, End, datagrams, install, tunnel
from .ledger import Ledger


async def carries(one: End, other: End) -> None:
    """Ping, UDP with fragments, and TCP, of both families."""
    for inner in (4, 6):
        assert await ping(one, other, inner), f"no ping over IPv{inner}"
        assert await udp_echo(one, other, inner), f"no UDP over IPv{inner}"
        assert await udp_echo(one, other, inner, size=5000), f"no fragments over IPv{inner}"
        assert await tcp_transfer(one, other, inner, 1 << 20), f"no TCP over IPv{inner}"


@case
async def kernel_to_kernel_in_udp_over_ipv4() -> str:
    async with tunnel("kk", 4) as (one, other):
        await carries(one, other)
        row = await one.row()
        return f"{row}"


@case
async def kernel_to_kernel_as_bare_esp_over_ipv4() -> str:
    async with tunnel("kk", 4, encapsulate=False) as (one, other):
        await carries(one, other)
        return f"{await one.row()}"


@case
async def kernel_to_kernel_in_udp_over_ipv6() -> str:
    async with tunnel("kk", 6) as (one, other):
        await carries(one, other)
        return f"{await one.row()}"


@case
async def kernel_to_userspace_with_several_algorithms() -> str:
    async with tunnel("ku", 4) as (one, other):
        await carries(one, other)
        await carries(other, one)
        return (
            f"{await one.row()} {await other.row()}; {await take_over(one, other, (AES_CBC_ESN, CHACHA20))}"
        )


@case
async def every_algorithm() -> str:
    async with tunnel() as (one, other):
        return await take_over(one, other, ALL_ALGORITHMS[1:])


async def take_over(one: End, other: End, suites: Sequence[EspAlgorithms]) -> str:
    """Child SAs with these algorithms, one after the other; AES-GCM is what a tunnel begins with."""
    for algorithms in suites:
        await install(one, other, algorithms, seed=str(algorithms))
        assert await udp_echo(one, other, 4), f"no UDP: {algorithms}"
        assert await tcp_transfer(one, other, 6, 1 << 17), f"no TCP: {algorithms}"
    return f"{len(suites)} more suites"


@case
async def a_rekey_loses_no_packet() -> str:
    async with tunnel() as (one, other):
        old = (await one.row()).spi_in, (await other.row()).spi_in
        sending = [asyncio.create_task(datagrams(*ends, 400)) for ends in ((one, other), (other, one))]
        await asyncio.sleep(0.2)
        new = await install(one, other, AES_GCM_ESN, "second", outbound=False)
        await one.data_path.use_outbound(new[0])
        assert (await other.next(FirstInbound)).spi_in in (old[1], new[1])
        await other.data_path.use_outbound(new[1])
        for _ in range(100):
            row = await one.row(new[0])
            if min(row.packets_in, row.packets_out) >= 10:
                break
            await asyncio.sleep(0.05)
        for end, spi_in in zip((one, other), old, strict=True):
            await end.data_path.remove(spi_in)
        received = [await task for task in sending]
        assert received == [400, 400], received
        assert [row.spi_in for row in await one.data_path.counters()] == [new[0]]
        return f"{received} of 400 each way, {row.packets_out} on the new SA when the old one went"


@case
async def marked_ike_reaches_us_and_keepalives_do_not() -> str:
    async with tunnel() as (one, other):
        target = str(one.local.address), one.local.port
        for datagram in (b"\xff", bytes(4) + b"IKE message"):
            other.natt.sendto(datagram, target)
        event = await one.next(IkeDatagram)
        assert event == IkeDatagram(b"IKE message", remote=other.local, local=one.local)
        return "IKE of a socket with UDP_ENCAP comes as an event"


@case
async def first_packet_and_activity_are_told_once() -> str:
    async with tunnel() as (one, other):
        assert await udp_echo(one, other, 4)
        first = await other.next(FirstInbound)
        active = await other.next(Activity)
        assert active.inbound_at > 0
        await asyncio.sleep(0.6)
        later = await other.waiting()
        assert not [event for event in later if isinstance(event, FirstInbound)], later
        return f"{first} {active}"


@case
async def another_address_of_the_peer_is_told() -> str:
    async with tunnel() as (one, other):
        one.leave_for(SPARE[0])
        await one.point_at(other.local)
        await datagrams(one, other, 3)
        seen = await other.next(PeerAddressSeen)
        assert seen.remote == one.local, seen
        return f"{seen.remote} instead of {OUTER[4][0]}"


@case
async def only_the_selectors_flows_pass() -> str:
    """Outbound and inbound; the peer's SAs carry everything, so what it sends comes in authentic."""
    async with tunnel() as (one, other):
        for end in (one, other):
            for row in await end.data_path.counters():
                await end.data_path.remove(row.spi_in)
        narrow = selectors("10.7.0.1/32", "fd07::1/128"), selectors("10.7.0.2/32", "fd07::2/128")
        ours, _ = child_pair(seed="narrow", local=narrow[0], remote=narrow[1])
        _, theirs = child_pair(seed="narrow")
        await one.data_path.install(ours, Path("wire", one.local, other.local))
        await other.data_path.install(theirs, Path("wire", other.local, one.local))
        assert await udp_echo(one, other, 4)
        other.namespace.up(LINK, "10.7.0.99/24")
        ledger = Ledger(one.namespace)
        assert await sent_from(one, "10.7.0.1", "10.7.0.99") != "received"
        before = await one.row()
        assert await sent_from(other, "10.7.0.99", "10.7.0.1", one) == "lost"
        assert (await one.row()).packets_in > before.packets_in, "it did not come"
        assert not ledger.read(), "something went out"
        ledger.close()
        assert await udp_echo(one, other, 4)
        return "dropped outbound, and inbound although authentic"


async def sent_from(end: End, source: str, destination: str, receiver: End | None = None) -> str:
    """What becomes of a datagram between two inner addresses."""
    client = end.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server = (receiver or end).namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with closing(client), closing(server):
        if receiver is not None:
            server.bind((destination, 4000))
        client.bind((source, 0))
        try:
            client.sendto(bytes(32), (destination, 4000))
            client.sendto(bytes(32), (destination, 4000))
        except OSError:
            return "refused"
        await asyncio.sleep(0.3)
        try:
            server.recv(64)
        except BlockingIOError:
            return "lost"
        return "received"


@case
async def a_device_that_takes_nothing_over_is_asked_in_vain() -> str:
    """These kernels cannot send whole packets as they should; to cryptography they agree, and do it themselves."""
    async with tunnel(encapsulate=False, offload=True) as (one, other):
        taken = await one.next(WorkTaken)
        assert not taken.whole
        assert taken.told.startswith(f"sent: all by the kernel (whole packets: {FILTERED}; "), taken.told
        assert taken.told.count("cryptography: the device takes nothing over") == 2, taken.told
        assert await udp_echo(one, other, 4)
        for end, address in zip((one, other), SPARE, strict=True):
            end.leave_for(address)
        await asyncio.gather(one.point_at(other.local), other.point_at(one.local))
        assert await udp_echo(one, other, 4)
        assert (await one.row()).packets_out == 2
        return f"traffic before and after a move; {taken.told}"


@case
async def outer_packets_bear_our_mark() -> str:
    """What bears it may leave where nothing else may, and stays where it alone may not."""
    for encapsulate in (True, False):
        async with tunnel(encapsulate=encapsulate) as (one, other):
            marked, outside = ("fwmark", "0x7300/0xff00"), ("to", "192.0.2.0/24")
            one.ip("rule", "add", *outside, "prohibit", "priority", "10")
            one.ip("rule", "add", *marked, *outside, "lookup", "main", "priority", "9")
            assert await udp_echo(one, other, 4)
            one.ip("rule", "add", *marked, *outside, "prohibit", "priority", "8")
            assert await sent_from(one, "10.7.0.1", "10.7.0.2", other) != "received"
    return "with and without UDP"
