"""The control server: JSON-RPC 2.0, one object a line, over a Unix socket (DESIGN 4).

A connection is one task that reads lines; each request runs in a task of its own, so that a slow one (`down`
waits for the gateway) delays nobody.  Answers and events of a connection go out in the order in which they
were made.  Events are never waited for: a client that does not read them is cut off and may come back with
`since`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from .access import PeerCredentials, Policy, peer_credentials
from .event_log import EventLog
from .handlers import Access, Caller, Handlers
from .messages import (
    CLIENT_LIMIT,
    LINE_LIMIT,
    PROTOCOL,
    SYSTEM_PREFIX,
    TOPICS,
    ControlError,
    Down,
    Empty,
    Event,
    EventData,
    Hello,
    LockdownSet,
    LockdownStatus,
    Message,
    Named,
    Notice,
    PortalOpen,
    Rekey,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    Snapshot,
    StatusReport,
    Subscribe,
    TunnelStatus,
    Up,
    Welcome,
    redacted,
)
from .wire import decode_line, encode_error, encode_notification, encode_result, read

BACKLOG_LIMIT = 1 << 20
"""Octets of events that wait for a slow reader; one more and it is cut off."""
REQUESTS_AT_ONCE = 16
"""Requests of one connection that run at the same time; the next line is read when one of them is done."""

log = logging.getLogger("roam.control")


class ControlServer:
    """Serves one listening socket; `publish` may be called at any time from the event loop."""

    def __init__(
        self,
        handlers: Handlers,
        policy: Policy,
        *,
        version: str,
        boot: str,
        wall: Callable[[], float],
        credentials: Callable[[socket.socket], PeerCredentials] = peer_credentials,
    ) -> None:
        self.handlers = handlers
        self.version = version
        self.boot = boot
        self.events = EventLog()
        self._policy = policy
        self._wall = wall
        self._credentials = credentials
        self._connections: set[Connection] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled; then all connections end."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    accepted, _address = await loop.sock_accept(listener)
                except OSError as error:
                    if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ECONNABORTED}:
                        raise
                    await asyncio.sleep(0.1)  # out of descriptors: others go away sooner or later
                else:
                    group.create_task(self._attend(accepted))

    def publish(self, data: EventData) -> None:
        """Number an event and send it to every subscriber who may see it; never blocks."""
        event = self.events.add(data, self._wall())
        for connection in tuple(self._connections):
            connection.tell(event)

    def status(self, caller: Caller) -> StatusReport:
        """The tunnels as `caller` may see them."""
        report = self.handlers.status()
        tunnels = tuple(
            seen for entry in report.tunnels if isinstance(seen := view(entry, caller), TunnelStatus)
        )
        return report.replace(boot=self.boot, version=self.version, tunnels=tunnels)

    async def _attend(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client went away: nothing is left to say
            reader, writer = await asyncio.open_unix_connection(sock=accepted, limit=LINE_LIMIT)
            try:
                await self._converse(accepted, reader, writer)
            finally:
                writer.close()

    async def _converse(
        self, accepted: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._connections) >= CLIENT_LIMIT:
            full = ControlError("daemon.full", f"{CLIENT_LIMIT} programs are connected already")
            writer.write(encode_error(None, full))
            return await writer.drain()
        connection = Connection(self, self._policy.caller(self._credentials(accepted)), writer)
        self._connections.add(connection)
        try:
            await connection.run(reader)
        finally:
            self._connections.discard(connection)
        return None


def view(data: EventData, caller: Caller) -> EventData | None:
    """What `caller` may see of an event's data: all, a redacted form, or nothing."""
    match data:
        case TunnelStatus():
            return data if caller.controls(data.owner, shared=data.shared) else redacted(data)
        case SecretNeeded():
            return data if caller.access is Access.ADMIN or caller.uid == data.owner else None
        case Notice():
            return data


class Connection:
    """One client: who it is, what it has subscribed to, and its outgoing lines."""

    def __init__(self, server: ControlServer, caller: Caller, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.caller = caller
        self._writer = writer
        self._topics: frozenset[str] = frozenset()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client closes its end; what is under way then is still answered."""
        async with asyncio.TaskGroup() as group:
            while (line := await self._next_line(reader)) is not None:
                if line.strip():
                    await self._slots.acquire()
                    group.create_task(self._answer(line))

    async def _next_line(self, reader: asyncio.StreamReader) -> bytes | None:
        try:
            line = await reader.readline()
        except ValueError:  # asyncio's word for a line over the limit; its end cannot be found any more
            self._write(
                encode_error(None, ControlError("rpc.too_long", f"a line exceeds {LINE_LIMIT} octets"))
            )
            return None
        except OSError:  # reset by the client
            return None
        return line if line.endswith(b"\n") else None

    async def _answer(self, line: bytes) -> None:
        request_id: object = None
        try:
            message = decode_line(line)
            request_id = message.get("id")
            await self._perform(request_id, message)
        except ControlError as error:
            self._write(encode_error(request_id, error))
        except Exception as error:  # a fault of ours must not take the other clients with it
            log.exception("a request failed")
            self._write(
                encode_error(
                    request_id, ControlError("local.fault", f"the daemon failed: {type(error).__name__}")
                )
            )
        finally:
            self._slots.release()
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def _perform(self, request_id: object, message: dict[str, Any]) -> None:
        name = message.get("method")
        if not isinstance(name, str) or type(request_id) not in {int, str}:
            raise ControlError("rpc.request", "a request needs a method and an id")
        method = METHODS.get(name)
        if method is None:
            raise ControlError("rpc.method", f'there is no method "{name[:64]}"')
        if self.caller.access < method.access:
            raise ControlError("permission.denied", f"uid {self.caller.uid} may not call {name}")
        request = read(method.shape, message.get("params") or {})
        if isinstance(request, Subscribe):
            return self._subscribe(request_id, request)
        return self._write(encode_result(request_id, await method.run(self, request)))

    def _subscribe(self, request_id: object, request: Subscribe) -> None:
        """Answer and register in one go: no event can fall between the snapshot and the first one told."""
        unknown = [topic for topic in request.topics if topic not in TOPICS]
        if unknown:
            raise ControlError("rpc.params", f'there is no topic "{unknown[0][:64]}"')
        events, handlers = self.server.events, self.server.handlers
        missed = None
        if request.since is not None and request.boot == self.server.boot:
            missed = events.after(request.since)
        secrets = tuple(entry for entry in handlers.pending_secrets() if view(entry, self.caller) is not None)
        snapshot = Snapshot(events.seq, self.server.status(self.caller), secrets, replayed=missed is not None)
        self._write(encode_result(request_id, snapshot))
        self._topics = frozenset(request.topics or TOPICS)
        for event in missed or ():
            self.tell(event)

    def tell(self, event: Event) -> None:
        """Send an event if this client wants it and may see it."""
        if event.topic not in self._topics:
            return
        data = view(event.data, self.caller)
        if data is None:
            return
        self._write(encode_notification("event", event.replace(data=data)))
        if self._writer.transport.get_write_buffer_size() > BACKLOG_LIMIT:
            log.warning("a client of uid %d does not read its events: cut off", self.caller.uid)
            self._topics = frozenset()
            self._writer.transport.abort()

    def _write(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)


class Method(NamedTuple):
    """A row of the method table: the access that it needs, its parameters, and what it does."""

    access: Access
    shape: type[Message]
    run: Callable[[Connection, Any], Awaitable[object]]


async def _hello(connection: Connection, _request: Hello) -> Welcome:
    caller, server = connection.caller, connection.server
    return Welcome(PROTOCOL, server.version, server.boot, caller.uid, caller.access.name.lower())


async def _status(connection: Connection, request: Named) -> StatusReport:
    report = connection.server.status(connection.caller)
    if request.name is None:
        return report
    stem = request.name.removeprefix(SYSTEM_PREFIX)
    tunnels = tuple(
        entry for entry in report.tunnels if entry.name == stem and (entry.shared or stem == request.name)
    )
    if not tunnels:
        known = ", ".join(entry.name for entry in report.tunnels)
        rest = f"; there are: {known}" if known else ", and no tunnel is wanted now"
        raise ControlError("tunnel.unknown", f'no tunnel is called "{request.name}"{rest}')
    return report.replace(tunnels=tunnels)


async def _answer_secret(connection: Connection, request: SecretAnswer) -> Empty:
    await connection.server.handlers.answer(connection.caller, request)
    return Empty()


async def _cancel_secret(connection: Connection, request: SecretCancel) -> Empty:
    await connection.server.handlers.cancel(connection.caller, request.id)
    return Empty()


async def _lockdown(connection: Connection, _request: Empty) -> LockdownStatus:
    return connection.server.handlers.lockdown()


async def _subscribed(_connection: Connection, _request: Subscribe) -> Empty:
    raise AssertionError("a subscription is answered by the connection itself")


METHODS: dict[str, Method] = {
    "hello": Method(Access.READ, Hello, _hello),
    "profile.list": Method(Access.CONTROL, Empty, lambda c, _: c.server.handlers.profiles(c.caller)),
    "tunnel.status": Method(Access.READ, Named, _status),
    "tunnel.up": Method(Access.CONTROL, Up, lambda c, request: c.server.handlers.up(c.caller, request)),
    "tunnel.down": Method(Access.CONTROL, Down, lambda c, request: c.server.handlers.down(c.caller, request)),
    "tunnel.rekey": Method(
        Access.CONTROL, Rekey, lambda c, request: c.server.handlers.rekey(c.caller, request)
    ),
    "lockdown.status": Method(Access.READ, Empty, _lockdown),
    "lockdown.set": Method(
        Access.CONTROL, LockdownSet, lambda c, request: c.server.handlers.set_lockdown(c.caller, request)
    ),
    "portal.open": Method(
        Access.CONTROL, PortalOpen, lambda c, request: c.server.handlers.open_portal(c.caller, request)
    ),
    "secret.answer": Method(Access.CONTROL, SecretAnswer, _answer_secret),
    "secret.cancel": Method(Access.CONTROL, SecretCancel, _cancel_secret),
    "events.subscribe": Method(Access.READ, Subscribe, _subscribed),
    "daemon.cleanup": Method(Access.CONTROL, Empty, lambda c, _: c.server.handlers.cleanup(c.caller)),
}
