"""Trains of datagrams over a real socket pair in namespaces, and what is done where the kernel takes none."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from pyroute2 import IPRoute

from client.esp.mmsg import DatagramReader
from client.esp.outer import OuterSocket
from client.ike.events import Endpoint
from tests.esp.wire import Namespace, two_namespaces

pytestmark = pytest.mark.netns

ADDRESSES = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
Sockets = tuple[Namespace, OuterSocket, OuterSocket]


@contextmanager
def sockets(version: int) -> Iterator[Sockets]:
    """The first namespace, and a socket in each that sends to the other."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with two_namespaces() as namespaces:
        opened = [namespace.socket(family, socket.SOCK_DGRAM) for namespace in namespaces]
        for one, address in zip(opened, ADDRESSES[version], strict=True):
            one.bind((address, 4500))
        ends = [Endpoint(ip_address(address), 4500) for address in ADDRESSES[version]]
        near, far = OuterSocket(opened[0], *ends), OuterSocket(opened[1], *reversed(ends))
        try:
            yield namespaces[0], near, far
        finally:
            near.close()
            far.close()


def set_wire(namespace: Namespace, **settings: int) -> None:
    def change(route: IPRoute) -> None:
        route.link("set", index=route.link_lookup(ifname="wire")[0], **settings)

    namespace.netlink(change)


def received(outer: OuterSocket, count: int) -> tuple[list[bytes], list[tuple[int, str]]]:
    """So many datagrams, and the ECN field and sender of each list entry that they came in."""
    reader, datagrams, origins = DatagramReader(), list[bytes](), list[tuple[int, str]]()
    while len(datagrams) < count and select.select([outer.fileno()], [], [], 2)[0]:
        for start, end, origin in reader.read(outer.fileno()):
            step = origin.part or max(end - start, 1)
            datagrams += [bytes(reader.view[at : min(at + step, end)]) for at in range(start, end, step)]
            origins.append((origin.ecn, str(origin.remote)))
    return datagrams, origins


def train(count: int, size: int, last: int) -> tuple[memoryview, list[bytes]]:
    datagrams = [bytes((n,)) * size for n in range(count)] + [b"\xee" * last]
    return memoryview(b"".join(datagrams)), datagrams


@pytest.mark.parametrize("version", [4, 6])
def test_a_train_arrives_as_one_with_its_mark_and_sender(version: int) -> None:
    with sockets(version) as (_, near, far):
        octets, datagrams = train(40, 1400, 700)
        assert near.sends_trains
        assert far.receives_trains
        assert near.send(octets, 1400, 0xBA) == len(octets)
        assert received(far, 41) == (datagrams, [(2, str(near.local))])


@pytest.mark.parametrize("version", [4, 6])
def test_single_datagrams_are_read_many_at_once(version: int) -> None:
    with sockets(version) as (namespace, near, far):
        set_wire(namespace, gso_max_segs=1)
        octets, datagrams = train(20, 1400, 3)
        near.send(octets, 1400, 1)
        got, origins = received(far, 21)
        assert got == datagrams
        assert origins == [(1, str(near.local))] * 21


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_larger_than_the_path_are_sent_one_by_one(version: int) -> None:
    with sockets(version) as (namespace, near, far):
        set_wire(namespace, mtu=1300)
        octets, datagrams = train(5, 1400, 700)
        assert near.send(octets, 1400, 0) == len(octets)
        assert sorted(received(far, 6)[0]) == sorted(
            datagrams
        )  # the last one is no fragments and may overtake
        assert near.sends_trains
        octets, datagrams = train(5, 1200, 700)
        assert near.send(octets, 1200, 0) == len(octets)
        got, origins = received(far, 6)
        assert got == datagrams
        assert len(origins) == 1


def test_a_kernel_without_trains_gets_single_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    with sockets(4) as (_, near, far):
        real = near._send

        def refuse(data: memoryview, ancillary: list[tuple[int, int, bytes]]) -> None:
            if ancillary:
                raise OSError(errno.EIO, "no trains")
            real(data, ancillary)

        monkeypatch.setattr(near, "_send", refuse)
        octets, datagrams = train(5, 100, 50)
        assert near.send(octets, 100, 0) == len(octets)
        assert not near.sends_trains
        assert near.send(octets, 100, 0) == len(octets)
        assert received(far, 12)[0] == datagrams * 2


def test_a_vanished_link_loses_datagrams_and_nothing_else() -> None:
    with sockets(4) as (namespace, near, far):
        octets, _ = train(5, 100, 50)

        def down(route: IPRoute) -> None:
            route.link("set", index=route.link_lookup(ifname="wire")[0], state="down")

        namespace.netlink(down)
        assert near.send(octets, 100, 0) == len(octets)
        assert near.lost == 6
        assert received(far, 0) == ([], [])


def test_a_refusal_by_icmp_does_not_harm_the_socket() -> None:
    with sockets(4) as (_, near, far):
        target = far.local
        far.close()
        octets, _ = train(1, 100, 50)
        for _ in range(3):
            near.send(octets, 100, 0)
        reader = DatagramReader()
        assert reader.read(near.fileno()) == []
        assert near.remote == target
