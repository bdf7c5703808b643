"""Both directions without a network: a socket pair is the TUN interface, another one the wire."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from client.esp import ipc
from client.esp.egress import Egress
from client.esp.ingress import Ingress
from client.esp.mmsg import Origin
from client.esp.outer import OuterSocket
from client.esp.packet import InboundSa, OutboundSa, make_pair
from client.esp.table import SaTable
from client.ike.events import ChildSa, Endpoint

from .children import child_pair, counting_rng

LOCAL = Endpoint(ip_address("192.0.2.1"), 4500)
REMOTE = Endpoint(ip_address("192.0.2.2"), 4500)


class FakeOuter(OuterSocket):
    """Takes what is sent; `room` is how many octets it takes before it blocks."""

    def __init__(self) -> None:
        self.local = LOCAL
        self.sent: list[tuple[bytes, int, int]] = []
        self.room = 1 << 30

    def fileno(self) -> int:
        return -1

    def send(self, datagrams: memoryview, size: int, traffic_class: int) -> int:
        taken = (
            min(self.room // size * size, len(datagrams)) if self.room < len(datagrams) else len(datagrams)
        )
        if taken:
            self.sent.append((bytes(datagrams[:taken]), size, traffic_class))
            self.room -= taken
        return taken

    def packets(self) -> list[bytes]:
        """Every datagram sent, one by one."""
        return [train[at : at + size] for train, size, _ in self.sent for at in range(0, len(train), size)]


@dataclass
class Turning:
    """Our end, and a peer's SAs to make and check packets with."""

    table: SaTable
    egress: Egress
    ingress: Ingress
    outer: FakeOuter
    kernel: socket.socket  # the kernel's side of the TUN interface
    ours: ChildSa
    peer_in: InboundSa
    peer_out: OutboundSa
    told: list[ipc.Report] = field(default_factory=list)

    def arrive(self, *trains: tuple[bytes, Origin]) -> bool:
        """Let datagrams, or trains of them, come in on the socket in one go."""
        reader = self.ingress._reader
        waiting = list[tuple[int, int, Origin]]()
        for number, (octets, origin) in enumerate(trains):
            start = number << 16
            reader.buffer[start : start + len(octets)] = octets
            waiting.append((start, start + len(octets), origin))
        reader.read = lambda descriptor: waiting  # type: ignore[method-assign]
        return self.ingress.drain(self.outer)

    def written(self) -> list[bytes]:
        """What was written to the TUN interface, virtio-net headers included."""
        packets = list[bytes]()
        while True:
            try:
                packets.append(self.kernel.recv(1 << 17))
            except BlockingIOError:
                return packets


def origin(*, part: int = 0, ecn: int = 0, remote: Endpoint = REMOTE) -> Origin:
    return Origin(remote, ecn, part)


@contextmanager
def turning(children: tuple[ChildSa, ChildSa] | None = None) -> Iterator[Turning]:
    """A pump's insides with one Child SA."""
    ours, theirs = children if children is not None else child_pair()
    tun, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with tun, kernel:
        tun.setblocking(False)
        kernel.setblocking(False)
        table, told = SaTable(counting_rng()), list[ipc.Report]()
        table.install(ours, outbound=True)
        egress, ingress, outer = Egress(table), Ingress(table, told.append), FakeOuter()
        egress.tun = ingress.tun = tun.fileno()
        egress.outer = outer
        ingress.expect(REMOTE)
        peer_in, peer_out = make_pair(theirs, counting_rng())
        yield Turning(table, egress, ingress, outer, kernel, ours, peer_in, peer_out, told)
