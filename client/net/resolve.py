"""The gateway's name, resolved by us: with marked packets, by the underlay's own servers (DESIGN 1).

The system's resolver is of no use here: its packets would go into the tunnel that does not stand yet, or be
blocked by the guard.  In order: literals, the hosts file, the servers of resolv.conf; what worked last is
kept for the time when nothing answers.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from ..ike.events import Address
from .dnswire import Answer, BadAnswer, Query, Rcode, RecordType, decode_answer_untrusted, encode_query
from .udp import bind_marked

DNS_PORT = 53
TIMEOUT = 10.0  # seconds for one resolution as a whole
ATTEMPT = 3.0  # for one server to answer
STAGGER = 0.6  # before the next server is asked beside the one that has not answered
GRACE = 0.3  # for the other family after the first one's addresses have come
_ROUNDS = 2
_MOST_SERVERS = 3  # as resolv.conf(5)
_LARGEST_DATAGRAM = 4096
_WILDCARDS: dict[int, Address] = {4: IPv4Address(0), 6: IPv6Address(0)}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where names and servers stand; `upstream` is what systemd-resolved itself asks.

    `kept` is the `resolv_conf` from before we replaced it, where there is one.
    """

    hosts: Path = Path("/etc/hosts")
    resolv_conf: Path = Path("/etc/resolv.conf")
    upstream: Path = Path("/run/systemd/resolve/resolv.conf")
    kept: Path | None = None


class ResolveError(OSError):
    """No address; the text says which names, who was asked and what came of it."""


class _Failure(Exception):
    """A server did not give a usable answer."""


class Resolver:
    """Remembers the last good addresses of each name, and the servers that were there before our own.

    `ours` are servers behind our tunnels: wherever they are listed, they are not the underlay's.  `uplinks` is
    asked where the files list ours alone.
    """

    def __init__(
        self,
        sources: Sources | None = None,
        port: int = DNS_PORT,
        ours: Callable[[], Collection[Address]] = tuple,
        uplinks: Callable[[], Awaitable[Sequence[Address]]] | None = None,
    ) -> None:
        self._sources = sources if sources is not None else Sources()
        self._port = port
        self._ours = ours
        self._uplinks = uplinks
        self._last_servers: tuple[Address, ...] = ()
        self._last_good: dict[str, tuple[Address, ...]] = {}

    async def resolve(self, names: Sequence[str]) -> tuple[Address, ...]:
        """The addresses of all names, in the order of the names; `ResolveError` where none has any."""
        results = await asyncio.gather(*map(self._resolve_one, names), return_exceptions=True)
        addresses: list[Address] = []
        reasons: list[str] = []
        for result in results:
            if isinstance(result, ResolveError):
                reasons.append(str(result))
            elif isinstance(result, BaseException):
                raise result
            else:
                addresses += result
        if not addresses:
            raise ResolveError("; ".join(reasons) or "no name is given")
        return tuple(dict.fromkeys(addresses))

    async def _resolve_one(self, name: str) -> tuple[Address, ...]:
        with suppress(ValueError):
            return (ip_address(name),)
        known = await asyncio.to_thread(lambda: tuple(_in_hosts(self._sources.hosts, name)))
        if known:
            return known
        try:
            addresses = await self._ask_for_both(name)
        except ResolveError:
            if name not in self._last_good:
                raise
            return self._last_good[name]
        self._last_good[name] = addresses
        return addresses

    async def _ask_for_both(self, name: str) -> tuple[Address, ...]:
        """IPv6 and IPv4 at once; IPv6 first in the result."""
        servers = await self.servers()
        if not servers:
            raise ResolveError(f"no name server is configured to ask for {name}")
        tasks = [
            asyncio.create_task(self._ask_servers(name, kind, servers))
            for kind in (RecordType.AAAA, RecordType.A)
        ]
        try:
            await _both_or_enough(tasks)
        finally:
            await _end(tasks)
        addresses = [address for task in tasks for address in _addresses_of(task)]
        if not addresses:
            raise ResolveError(_explain(name, tasks, servers))
        return tuple(addresses)

    async def servers(self) -> tuple[Address, ...]:
        """The underlay's; where nobody knows any but ours, those that were known before."""
        listed = await asyncio.to_thread(_servers, self._sources)
        ours = self._ours()
        theirs = tuple(server for server in listed if server not in ours)
        if listed and not theirs and self._uplinks is not None:
            theirs = tuple(server for server in await self._uplinks() if server not in ours)
        if theirs or not listed:
            self._last_servers = theirs
        return (theirs or self._last_servers or listed)[:_MOST_SERVERS]

    async def _ask_servers(self, name: str, kind: RecordType, servers: Sequence[Address]) -> Answer:
        """The first usable answer; each server is asked twice, the next one before the last has given up."""
        attempts = iter([server for _ in range(_ROUNDS) for server in servers])
        tasks: set[asyncio.Task[Answer]] = set()
        waiting: set[asyncio.Task[Answer]] = set()
        reason = "no answer"
        try:
            while True:
                server = next(attempts, None)
                if server is not None:
                    task = asyncio.create_task(self._ask(server, name, kind))
                    tasks.add(task)
                    waiting.add(task)
                elif not waiting:
                    raise _Failure(reason)
                patience = None if server is None else STAGGER
                done, waiting = await asyncio.wait(
                    waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    reason = str(error)
        finally:
            await _end(tasks)

    async def _ask(self, server: Address, name: str, kind: RecordType) -> Answer:
        query = Query(secrets.randbits(16), name, kind)
        try:
            async with asyncio.timeout(ATTEMPT):
                answer = await self._ask_by_udp(server, query)
                if answer.truncated:
                    answer = await self._ask_by_tcp(server, query)
        except TimeoutError:
            raise _Failure(f"{server} did not answer") from None
        except (OSError, BadAnswer, ValueError) as error:
            raise _Failure(f"{server}: {error}") from error
        if answer.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            raise _Failure(f"{server} answered with error {answer.rcode}")
        return answer

    async def _ask_by_udp(self, server: Address, query: Query) -> Answer:
        """Datagrams that are no answer to us are waited out: anybody may send them."""
        loop = asyncio.get_running_loop()
        with _open(server, socket.SOCK_DGRAM) as endpoint:
            await loop.sock_connect(endpoint, self._sockaddr(server))
            await loop.sock_sendall(endpoint, encode_query(query))
            while True:
                with suppress(BadAnswer):
                    return decode_answer_untrusted(await loop.sock_recv(endpoint, _LARGEST_DATAGRAM), query)

    async def _ask_by_tcp(self, server: Address, query: Query) -> Answer:
        loop = asyncio.get_running_loop()
        with _open(server, socket.SOCK_STREAM) as connection:
            await loop.sock_connect(connection, self._sockaddr(server))
            question = encode_query(query)
            await loop.sock_sendall(connection, len(question).to_bytes(2) + question)
            size = int.from_bytes(await _read(connection, 2))
            return decode_answer_untrusted(await _read(connection, size), query)

    def _sockaddr(self, server: Address) -> tuple[str, int] | tuple[str, int, int, int]:
        if isinstance(server, IPv6Address) and server.scope_id is not None:
            bare = str(server).partition("%")[0]
            return bare, self._port, 0, socket.if_nametoindex(server.scope_id)
        return str(server), self._port


def _open(server: Address, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET if server.version == 4 else socket.AF_INET6
    endpoint = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        bind_marked(endpoint, _WILDCARDS[server.version])
    except OSError:
        endpoint.close()
        raise
    return endpoint


async def _read(connection: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        part = await loop.sock_recv(connection, size - len(data))
        if not part:
            raise BadAnswer("the connection was closed")
        data += part
    return data


async def _both_or_enough(tasks: Sequence[asyncio.Task[Answer]]) -> None:
    """Until both families are answered, or one has addresses and the other had its time of grace."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pending:
                has_addresses = any(_addresses_of(task) for task in done)
                await asyncio.wait(pending, timeout=GRACE if has_addresses else None)


async def _end(tasks: Collection[asyncio.Task[Answer]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _addresses_of(task: asyncio.Task[Answer]) -> tuple[Address, ...]:
    """What a task has found so far, without addresses that no gateway can have."""
    if not task.done() or task.cancelled() or task.exception() is not None:
        return ()
    return tuple(address for address in task.result().addresses if not _is_nonsense(address))


def _is_nonsense(address: Address) -> bool:
    return address.is_unspecified or address.is_loopback or address.is_multicast


def _explain(name: str, tasks: Iterable[asyncio.Task[Answer]], servers: Sequence[Address]) -> str:
    asked = ", ".join(map(str, servers))
    for task in tasks:
        if task.done() and not task.cancelled():
            error = task.exception()
            if error is not None:
                return f"{name} could not be resolved: {error}"
            if task.result().rcode == Rcode.NXDOMAIN:
                return f"{name} does not exist, says {asked}"
            return f"{name} has no address, says {asked}"
    return f"{name} could not be resolved: {asked} did not answer"


def _in_hosts(hosts: Path, name: str) -> Iterator[Address]:
    wanted = name.removesuffix(".").lower()
    for line in _lines(hosts):
        words = line.lower().split()
        if wanted in words[1:]:
            with suppress(ValueError):
                yield ip_address(words[0])


def _servers(sources: Sources) -> tuple[Address, ...]:
    """The name servers that answer from the underlay: not a resolver on this machine, but whom it asks."""
    kept = sources.kept
    original = kept if kept is not None and os.path.lexists(kept) else sources.resolv_conf
    servers = tuple(_configured(original))
    if servers and all(server.is_loopback for server in servers):
        servers = tuple(_configured(sources.upstream)) or servers
    return servers


def _configured(resolv_conf: Path) -> Iterator[Address]:
    for line in _lines(resolv_conf):
        match line.split():
            case ["nameserver", server, *_]:
                with suppress(ValueError):
                    yield ip_address(server)
            case _:
                pass


def _lines(file: Path) -> Iterator[str]:
    """Without comments; an unreadable file is an empty one."""
    with suppress(OSError):
        for line in file.read_text(errors="replace").splitlines():
            yield line.partition("#")[0]
