"""The control server (DESIGN 4): who is connected, what is asked of the daemon, and the events that it tells.

A connection is one task that reads requests; each request runs in a task of its own, so that a slow one (`down`
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
from collections.abc import Callable
from difflib import get_close_matches

from .access import PeerCredentials, Policy, peer_credentials
from .connection import BACKLOG_LIMIT as BACKLOG_LIMIT
from .connection import Connection as Connection
from .connection import Outlet, line_limit
from .event_log import EventLog
from .fairness import Turnstile
from .features import FEATURES
from .handlers import Caller, Handlers
from .messages import (
    CLIENT_LIMIT,
    PROTOCOL,
    SYSTEM_PREFIX,
    TOPICS,
    ControlError,
    Event,
    EventData,
    Message,
    Named,
    Snapshot,
    StatusReport,
    Subscribe,
    Welcome,
)
from .methods import METHODS
from .views import view, view_of_report
from .wire import read

OWN = frozenset({"hello", "tunnel.status", "events.subscribe"})
"""Methods that the server answers itself: they are about connections, and what a caller may see."""

log = logging.getLogger("roam.control")


class ControlServer:
    """Serves listening sockets; `publish` may be called at any time from the event loop."""

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
        self.version = version
        self.boot = boot
        self.events = EventLog()
        self.turnstile = Turnstile()
        self._handlers = handlers
        self._policy = policy
        self._wall = wall
        self._credentials = credentials
        self._connections: set[Outlet] = set()

    async def serve(self, listener: socket.socket, protocol: type[Outlet] = Connection) -> None:
        """Accept clients that speak `protocol`, until cancelled; then all connections end."""
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
                    group.create_task(self._attend(accepted, protocol))

    async def _attend(self, accepted: socket.socket, protocol: type[Outlet]) -> None:
        with contextlib.suppress(OSError):  # the client went away: nothing is left to say
            caller = self._policy.caller(self._credentials(accepted))
            reader, writer = await asyncio.open_unix_connection(sock=accepted, limit=line_limit(caller))
            try:
                await self._converse(protocol(self, caller, writer), reader, writer)
            finally:
                writer.close()

    async def _converse(
        self, connection: Outlet, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._connections) >= CLIENT_LIMIT:
            connection.refuse(ControlError("daemon.full", f"{CLIENT_LIMIT} programs are connected already"))
            return await writer.drain()
        self._connections.add(connection)
        try:
            await connection.run(reader)
        finally:
            self._connections.discard(connection)
        return None

    # What connections ask, whichever protocol they speak

    def request(self, caller: Caller, name: str, params: object) -> Message:
        """The typed request, if there is such a method and `caller` may call it."""
        method = METHODS.get(name)
        if method is None:
            raise ControlError("rpc.method", f'there is no method "{name[:64]}"')
        if caller.access < method.access:
            raise ControlError("permission.denied", f"uid {caller.uid} may not call {name}")
        return read(method.params, params)

    async def perform(self, caller: Caller, name: str, request: Message) -> Message:
        """Carry a request out; a fault of ours is a `ControlError` too, and must not take others with it."""
        try:
            if isinstance(request, Named) and name == "tunnel.status":
                return self._status(caller, request)
            if name == "hello":
                return self._welcome(caller)
            return await self._handlers.actions[name](caller, request)
        except ControlError:
            raise
        except Exception as error:
            log.exception("a request failed")
            raise ControlError("local.fault", f"the daemon failed: {type(error).__name__}") from None

    def snapshot(self, caller: Caller, request: Subscribe) -> tuple[Snapshot, tuple[Event, ...]]:
        """How things stand for a new subscriber, and the events that it has missed."""
        unknown = [topic for topic in request.topics if topic not in TOPICS]
        if unknown:
            raise ControlError("rpc.params", f'there is no topic "{unknown[0][:64]}"')
        missed = None
        if request.since is not None and request.boot == self.boot:
            missed = self.events.after(request.since)
        secrets = tuple(
            entry for entry in self._handlers.pending_secrets() if view(entry, caller) is not None
        )
        snapshot = Snapshot(self.events.seq, self._report(caller), secrets, replayed=missed is not None)
        return snapshot, missed or ()

    def _report(self, caller: Caller) -> StatusReport:
        report = view_of_report(self._handlers.status(), caller)
        return report.replace(boot=self.boot, version=self.version)

    def _status(self, caller: Caller, request: Named) -> StatusReport:
        report = self._report(caller)
        if request.name is None:
            return report
        stem = request.name.removeprefix(SYSTEM_PREFIX)
        tunnels = tuple(
            entry for entry in report.tunnels if entry.name == stem and (entry.shared or stem == request.name)
        )
        if not tunnels:
            known = [entry.name for entry in report.tunnels]
            rest = f"; there are: {', '.join(known)}" if known else ", and no tunnel is wanted now"
            close = get_close_matches(stem, known, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else ""
            raise ControlError("tunnel.unknown", f'no tunnel is called "{request.name}"{rest}', hint)
        return report.replace(tunnels=tunnels)

    def _welcome(self, caller: Caller) -> Welcome:
        methods = tuple(sorted(name for name, method in METHODS.items() if caller.access >= method.access))
        level = caller.access.name.lower()
        return Welcome(PROTOCOL, self.version, self.boot, caller.uid, level, methods, tuple(FEATURES))

    # What happens

    def publish(self, data: EventData) -> None:
        """Number an event and send it to every subscriber who may see it; never blocks."""
        event = self.events.add(data, self._wall())
        for connection in tuple(self._connections):
            connection.tell(event)
