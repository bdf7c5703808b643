"""One client of the JSON-RPC socket: reads its lines, answers them, and tells it of events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from .handlers import Access, Caller
from .messages import LINE_LIMIT, TOPICS, ControlError, Event, Subscribe
from .views import view
from .wire import decode_line, encode_error, encode_notification, encode_result

if TYPE_CHECKING:
    from .server import ControlServer

BACKLOG_LIMIT = 1 << 20
"""Octets of events that wait for a slow reader; one more and it is cut off."""
READER_LINE_LIMIT = 1 << 16
"""Octets of a line of somebody who may only read: nothing that he may ask is long, and parsing takes time."""
REQUESTS_AT_ONCE = 16
"""Requests of one connection that run at the same time; the next line is read when one of them is done."""

log = logging.getLogger("roam.control")


def line_limit(caller: Caller) -> int:
    """Octets of a line, the newline included, that are taken from `caller`."""
    return READER_LINE_LIMIT if caller.access is Access.READ else LINE_LIMIT


class Outlet:
    """What connections of every protocol have: who is there, what it has subscribed to, and its outgoing lines."""

    def __init__(self, server: ControlServer, caller: Caller, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.caller = caller
        self._writer = writer
        self._topics: frozenset[str] = frozenset()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client closes its end."""
        raise NotImplementedError

    def refuse(self, error: ControlError) -> None:
        """Say, if this protocol can, why nobody listens."""

    def _encode(self, event: Event) -> bytes:
        """An event as this protocol tells it."""
        raise NotImplementedError

    def tell(self, event: Event) -> None:
        """Send an event if this client wants it and may see it."""
        if event.topic not in self._topics:
            return
        data = view(event.data, self.caller)
        if data is None:
            return
        self._write(self._encode(event.replace(data=data)))
        if self._writer.transport.get_write_buffer_size() > BACKLOG_LIMIT:
            log.warning("a client of uid %d does not read its events: cut off", self.caller.uid)
            self._topics = frozenset()
            self._writer.transport.abort()

    def _write(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)


class Connection(Outlet):
    """One client of the JSON-RPC socket."""

    def __init__(self, server: ControlServer, caller: Caller, writer: asyncio.StreamWriter) -> None:
        super().__init__(server, caller, writer)
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client closes its end; what is under way then is still answered."""
        async with asyncio.TaskGroup() as group:
            while (line := await self._next_line(reader)) is not None:
                await self.server.turnstile.pass_through()
                if line.strip():
                    await self._slots.acquire()
                    group.create_task(self._answer(line))

    async def _next_line(self, reader: asyncio.StreamReader) -> bytes | None:
        try:
            line = await reader.readline()
        except ValueError:  # asyncio's word for a line over the limit; its end cannot be found any more
            self._write(
                encode_error(
                    None, ControlError("rpc.too_long", f"a line exceeds {line_limit(self.caller)} octets")
                )
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
        finally:
            self._slots.release()
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def _perform(self, request_id: object, message: dict[str, Any]) -> None:
        name = message.get("method")
        if not isinstance(name, str) or type(request_id) not in {int, str}:
            raise ControlError("rpc.request", "a request needs a method and an id")
        request = self.server.request(self.caller, name, message.get("params") or {})
        if isinstance(request, Subscribe):
            return self._subscribe(request_id, request)
        return self._write(encode_result(request_id, await self.server.perform(self.caller, name, request)))

    def _subscribe(self, request_id: object, request: Subscribe) -> None:
        """Answer and register in one go: no event can fall between the snapshot and the first one told."""
        snapshot, missed = self.server.snapshot(self.caller, request)
        self._write(encode_result(request_id, snapshot))
        self._topics = frozenset(request.topics or TOPICS)
        for event in missed:
            self.tell(event)

    def refuse(self, error: ControlError) -> None:
        """Nothing is listened to."""
        self._write(encode_error(None, error))

    def _encode(self, event: Event) -> bytes:
        return encode_notification("event", event)
