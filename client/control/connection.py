"""One client of the JSON-RPC socket: reads its lines, answers them, and tells it of events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from .handlers import Caller
from .messages import LINE_LIMIT, TOPICS, ControlError, Event, Subscribe
from .views import view
from .wire import decode_line, encode_error, encode_notification, encode_result

if TYPE_CHECKING:
    from .server import ControlServer

BACKLOG_LIMIT = 1 << 20
"""Octets of events that wait for a slow reader; one more and it is cut off."""
REQUESTS_AT_ONCE = 16
"""Requests of one connection that run at the same time; the next line is read when one of them is done."""

log = logging.getLogger("roam.control")


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
