"""Two ends of a tunnel in two namespaces, each with a data path of either kind."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TypeVar

from client.ike.events import Endpoint, EspAlgorithms, Path
from client.system import userspace
from client.system.datapath import Counters, DataPathEvent
from client.system.kernel import KernelDataPath
from client.system.userspace import IkeDatagram, PumpPool, UserspaceDataPath
from client.system.xfrm_model import Limits
from tests.esp.children import AES_GCM, child_pair
from tests.esp.tunnel import INNER, OUTER, natt_socket
from tests.esp.wire import Namespace, two_namespaces

MTU = 1400
PATIENCE = 10.0
LINK = "roam0"

userspace._ANSWER_TIMEOUT = 30.0  # where the processor is emulated an interpreter takes its time to start

AnyEvent = DataPathEvent | IkeDatagram
Event = TypeVar("Event", bound=AnyEvent)


@dataclass
class End:
    """One end: its namespace, its data path, its natt socket and where that is."""

    namespace: Namespace
    number: int  # which of the two inner and outer addresses is its own
    data_path: KernelDataPath | UserspaceDataPath
    natt: socket.socket
    local: Endpoint
    encapsulate: bool
    sockets: list[socket.socket] = field(default_factory=list)

    async def point_at(self, remote: Endpoint) -> None:
        """Send to this peer from now, from the natt socket."""
        path = Path("wire", self.local, remote)
        await self.data_path.rebind(path, self.natt.fileno(), encapsulate=self.encapsulate)

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

    async def waiting(self) -> list[AnyEvent]:
        """All events up to now."""
        await self.data_path.counters()
        events = self.data_path.events()
        return [events.get_nowait() for _ in range(events.qsize())]

    async def row(self, spi_in: int | None = None) -> Counters:
        """The counters of a Child SA, or of the only one."""
        rows = await self.data_path.counters()
        return next(row for row in rows if spi_in in (None, row.spi_in))

    def ip(self, *arguments: str) -> str:
        """What iproute2 says in this namespace."""
        with self.namespace.entered():
            return subprocess.run(("ip", *arguments), capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        for opened in (*self.sockets, self.natt):
            opened.close()


@asynccontextmanager
async def tunnel(
    kinds: str = "kk",
    outer: int = 4,
    algorithms: EspAlgorithms = AES_GCM,
    *,
    encapsulate: bool = True,
    limits: Limits | None = None,
    migrate: bool = True,
    offload: bool = False,
) -> AsyncIterator[tuple[End, End]]:
    """Both ends, bound to each other, with one Child SA; `kinds` has a letter for each: kernel or userspace."""
    async with AsyncExitStack() as stack:
        namespaces = stack.enter_context(two_namespaces())
        pool = PumpPool()
        stack.push_async_callback(pool.close)
        ends = []
        for number, (namespace, kind) in enumerate(zip(namespaces, kinds, strict=True)):
            with namespace.entered():
                data_path = await _start(kind, pool, limits, migrate=migrate, offload=offload)
            stack.push_async_callback(data_path.close)
            namespace.up(LINK, f"{INNER[4][number]}/24", f"{INNER[6][number]}/64")
            end = End(
                namespace, number, data_path, *natt_socket(namespace, OUTER[outer][number]), encapsulate
            )
            stack.callback(end.close)
            ends.append(end)
        one, other = ends
        await one.point_at(other.local)
        await other.point_at(one.local)
        await install(one, other, algorithms)
        yield one, other


async def _start(
    kind: str, pool: PumpPool, limits: Limits | None, *, migrate: bool, offload: bool
) -> KernelDataPath | UserspaceDataPath:
    if kind == "u":
        return await UserspaceDataPath.start(LINK, MTU, pool)
    return await KernelDataPath.start(LINK, MTU, limits, migrate=migrate, offload=offload, guarded=False)


async def install(
    one: End, other: End, algorithms: EspAlgorithms = AES_GCM, seed: str = "", *, outbound: bool = True
) -> tuple[int, int]:
    """A Child SA at both ends; the seed makes its SPIs too.  Both ends' inbound SPIs."""
    digest = hashlib.sha256(seed.encode()).digest()
    spis = (int.from_bytes(digest[:4]) | 1 << 31, int.from_bytes(digest[4:8]) | 1 << 31)
    ours, theirs = child_pair(algorithms, seed=seed, spis=spis)
    for end, peer, child in ((other, one, theirs), (one, other, ours)):
        await end.data_path.install(child, Path("wire", end.local, peer.local), outbound=outbound)
    return spis


async def datagrams(one: End, other: End, count: int, version: int = 4) -> int:
    """Send so many datagrams one way, not waiting; how many came within a second after the last."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    loop = asyncio.get_running_loop()
    client, server = (end.namespace.socket(family, socket.SOCK_DGRAM) for end in (one, other))
    received = 0

    async def receive() -> None:
        nonlocal received
        while received < count:
            await loop.sock_recv(server, 2048)
            received += 1

    with closing(client), closing(server):
        server.bind((INNER[version][other.number], 0))
        client.connect(server.getsockname()[:2])
        receiving = asyncio.create_task(receive())
        for number in range(count):
            await loop.sock_sendall(client, number.to_bytes(4) + bytes(96))
            await asyncio.sleep(0.002)
        await asyncio.wait((receiving,), timeout=1)
        receiving.cancel()
        return received
