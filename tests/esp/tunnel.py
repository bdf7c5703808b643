"""A tunnel between two namespaces: a userspace data path at each end, and what to send through."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol, TypeVar

from client.ike.events import Endpoint, EspAlgorithms, Path
from client.system.datapath import DataPathEvent
from client.system.userspace import IkeDatagram, PumpPool, UserspaceDataPath

from .children import AES_GCM, child_pair
from .packets import checksum
from .wire import Namespace, two_namespaces

INNER = {4: ("10.7.0.1", "10.7.0.2"), 6: ("fd07::1", "fd07::2")}
OUTER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
SPARE = ("198.51.100.1", "198.51.100.2")
MTU = 1400
PATIENCE = 10.0  # seconds after which something that should have happened has not

Event = TypeVar("Event", bound=DataPathEvent | IkeDatagram)


@dataclass
class End:
    """One end: its namespace, its data path, its natt socket and where that is."""

    namespace: Namespace
    number: int  # which of the two addresses is its own
    data_path: UserspaceDataPath
    natt: socket.socket
    local: Endpoint
    sockets: list[socket.socket] = field(default_factory=list)

    async def point_at(self, remote: Endpoint) -> None:
        """Send to this peer from now, from the natt socket."""
        path = Path("wire", self.local, remote)
        await self.data_path.rebind(path, self.natt.fileno(), encapsulate=True)

    def leave_for(self, address: str) -> None:
        """Another natt socket; the old one stays open."""
        self.sockets.append(self.natt)
        self.natt, self.local = natt_socket(self.namespace, address)

    async def next(self, kind: type[Event]) -> Event:
        """The next event of a kind, the others passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self.data_path.events().get()
                if isinstance(event, kind):
                    return event

    async def waiting(self) -> list[DataPathEvent | IkeDatagram]:
        """All events up to now."""
        await self.data_path.counters()  # the answer stands behind everything that was told before it
        events = self.data_path.events()
        return [events.get_nowait() for _ in range(events.qsize())]

    def close(self) -> None:
        for opened in (*self.sockets, self.natt):
            opened.close()


def natt_socket(namespace: Namespace, address: str) -> tuple[socket.socket, Endpoint]:
    """A UDP socket bound to an ephemeral port of an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    natt = namespace.socket(family, socket.SOCK_DGRAM)
    natt.bind((address, 0))
    return natt, Endpoint(ip_address(address), natt.getsockname()[1])


async def open_end(namespace: Namespace, number: int, outer: int, pool: PumpPool) -> End:
    """A data path with a TUN interface `roam0` that is up and has addresses."""
    with namespace.entered():
        data_path = await UserspaceDataPath.start("roam0", MTU, pool)
    namespace.up("roam0", f"{INNER[4][number]}/24", f"{INNER[6][number]}/64")
    natt, local = natt_socket(namespace, OUTER[outer][number])
    return End(namespace, number, data_path, natt, local)


@asynccontextmanager
async def tunnel(outer: int = 4, algorithms: EspAlgorithms = AES_GCM) -> AsyncIterator[tuple[End, End]]:
    """Both ends, bound to each other, with one Child SA installed."""
    async with AsyncExitStack() as stack:
        namespaces = stack.enter_context(two_namespaces())
        pool = PumpPool()
        stack.push_async_callback(pool.close)
        ends = []
        for number, namespace in enumerate(namespaces):
            end = await open_end(namespace, number, outer, pool)
            stack.callback(end.close)
            stack.push_async_callback(end.data_path.close)
            ends.append(end)
        one, other = ends
        await one.point_at(other.local)
        await other.point_at(one.local)
        await install(one, other, algorithms)
        yield one, other


async def install(one: End, other: End, algorithms: EspAlgorithms = AES_GCM, seed: str = "") -> None:
    """A Child SA at both ends; the seed makes its SPIs too."""
    digest = hashlib.sha256(seed.encode()).digest()
    spis = (int.from_bytes(digest[:4]) | 1 << 31, int.from_bytes(digest[4:8]) | 1 << 31)
    ours, theirs = child_pair(algorithms, seed=seed, spis=spis)
    for end, peer, child in ((other, one, theirs), (one, other, ours)):
        await end.data_path.install(child, Path("wire", end.local, peer.local))


class Place(Protocol):
    """Where one end of a tunnel is."""

    @property
    def namespace(self) -> Namespace: ...
    @property
    def number(self) -> int: ...


async def udp_echo(one: Place, other: Place, version: int, size: int = 1000, patience: float = 1.0) -> bool:
    """Whether a datagram of so many octets comes back unchanged in time, or another one after it."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    loop = asyncio.get_running_loop()
    client, server = (end.namespace.socket(family, socket.SOCK_DGRAM) for end in (one, other))
    with closing(client), closing(server):
        server.bind((INNER[version][other.number], 0))
        client.connect(server.getsockname()[:2])
        data = os.urandom(size)
        for _ in range(2):
            try:
                async with asyncio.timeout(patience):
                    await loop.sock_sendall(client, data)
                    received, source = await loop.sock_recvfrom(server, 1 << 16)
                    await loop.sock_sendto(server, received, source)
                    return await loop.sock_recv(client, 1 << 16) == data
            except (TimeoutError, ConnectionRefusedError):
                continue
        return False


async def tcp_transfer(one: Place, other: Place, version: int, size: int) -> bool:
    """Whether a stream of so many octets, first to second end, arrives with the same SHA-256."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    loop = asyncio.get_running_loop()
    client, server = (end.namespace.socket(family, socket.SOCK_STREAM) for end in (one, other))
    data = os.urandom(1 << 16) * (size >> 16)
    with closing(client), closing(server):
        server.bind((INNER[version][other.number], 0))
        server.listen(1)
        await loop.sock_connect(client, server.getsockname()[:2])
        accepted, _ = await loop.sock_accept(server)
        with closing(accepted):
            sending = asyncio.create_task(loop.sock_sendall(client, data))
            digest, left = hashlib.sha256(), len(data)
            while left:
                received = await loop.sock_recv(accepted, 1 << 18)
                digest.update(received)
                left -= len(received)
            await sending
    return digest.digest() == hashlib.sha256(data).digest()


async def ping(one: Place, other: Place, version: int) -> bool:
    """Whether the other end's inner address answers an ICMP echo."""
    family, protocol, request = (socket.AF_INET, 1, 8) if version == 4 else (socket.AF_INET6, 58, 128)
    loop = asyncio.get_running_loop()
    raw = one.namespace.socket(family, socket.SOCK_RAW, protocol)
    with closing(raw):
        message = bytes((request, 0, 0, 0)) + b"roam" + bytes(100)
        if version == 4:  # for ICMPv6 the kernel does it
            message = message[:2] + checksum(message).to_bytes(2) + message[4:]
        raw.connect((INNER[version][other.number], 0))
        await loop.sock_sendall(raw, message)
        try:
            async with asyncio.timeout(2):
                while True:
                    answer = await loop.sock_recv(raw, 2048)
                    if answer[20 if version == 4 else 0] in (0, 129):
                        return answer.endswith(message[4:])
        except TimeoutError:
            return False
