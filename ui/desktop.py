"""Notifications on the user's own desktop: org.freedesktop.Notifications on the session bus, version 1.2.

The daemon is no part of anybody's session, so the user's side sends them: `roam watch --notify`, started with the
session by a user unit.  It follows daemons as they come and go; when the session bus goes, the session is over.
"""

from __future__ import annotations

import asyncio
import html
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from client.control.async_client import AsyncClient
from client.control.messages import ControlError, EventData, Notice, SecretNeeded, Subscribe, TunnelStatus

from . import output
from .notifications import Note, of_notice, of_secret, of_status

_NOTIFICATIONS = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_APPLICATION, _ICON = "Roam", "network-vpn"
_PATIENCE = 5.0
RETRY = 5.0
"""Seconds before a daemon that was not there is looked for again."""
_BY_SERVER = -1  # how long it is shown

_ABSENT = frozenset({"daemon.absent", "daemon.lost", "daemon.full"})


class Desktop:
    """The session's notification server; an asynchronous context manager.

    `ControlError` where there is no session bus.  A server that is missing or refuses is no error: some desktops
    have none, and it may come later.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address or os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        self._shown: dict[str, int] = {}
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_PATIENCE):
                bus = MessageBus(bus_address=self._address, bus_type=BusType.SESSION)
                self._bus = await bus.connect()
        except (OSError, EOFError, AuthError, DBusError, InvalidAddressError, TimeoutError) as error:
            evidence = f"there is no session bus ({str(error) or 'no answer'})"
            hint = "Run it in a desktop session, where $DBUS_SESSION_BUS_ADDRESS is set."
            raise ControlError("local.fault", evidence, hint) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bus is not None:
            self._bus.disconnect()

    async def ended(self) -> None:
        """Until the session bus goes."""
        if self._bus is not None:
            with suppress(OSError, EOFError, DBusError):
                await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def show(self, note: Note) -> None:
        """Show it, in the place of what was shown about the same tunnel."""
        body = html.escape(note.body, quote=False) if await self._has_markup() else note.body
        hints = {
            "urgency": Variant("y", note.urgency),
            "category": Variant("s", note.category),
            "desktop-entry": Variant("s", "roam"),
        }
        replaces = self._shown.get(note.about, 0)
        answer = await self._call(
            "Notify",
            "susssasa{sv}i",
            *(_APPLICATION, replaces, _ICON, note.summary, body, [], hints, _BY_SERVER),
        )
        if answer:
            self._shown[note.about] = int(answer[0])

    async def _has_markup(self) -> bool:
        """Asked each time: desktops replace their servers."""
        answer = await self._call("GetCapabilities")
        return bool(answer) and "body-markup" in answer[0]

    async def _call(self, member: str, signature: str = "", *body: object) -> list[Any]:
        """What it returns; nothing where nobody answers."""
        if self._bus is None:
            return []
        message = Message(
            destination=_NOTIFICATIONS,
            path=_PATH,
            interface=_NOTIFICATIONS,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._bus.call(message)
        except (TimeoutError, OSError, EOFError, DBusError):
            return []
        is_good = answer is not None and answer.message_type is MessageType.METHOD_RETURN
        return list(answer.body) if answer is not None and is_good else []


async def follow(desktop: Desktop, path: str | None) -> None:
    """Tell of what one daemon after the other says, until the session ends."""
    following = asyncio.create_task(_follow_daemons(desktop, path))
    ended = asyncio.create_task(desktop.ended())
    try:
        await asyncio.wait((following, ended), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        for task in (following, ended):
            task.cancel()
        await asyncio.gather(following, ended, return_exceptions=True)


async def _follow_daemons(desktop: Desktop, path: str | None) -> None:
    while True:
        try:
            async with AsyncClient(path) as client:
                await _follow(desktop, client)
        except ControlError as error:
            if error.kind not in _ABSENT:
                raise
        await asyncio.sleep(RETRY)


async def _follow(desktop: Desktop, client: AsyncClient) -> None:
    """Until the daemon goes.  How things stand at the beginning is no news."""
    snapshot = await client.subscribe(Subscribe())
    known = {(status.name, status.owner): status for status in snapshot.report.tunnels}
    for question in snapshot.secrets:
        await desktop.show(of_secret(question))
    async for event in client.events():
        if (note := _note(event.data, known)) is not None:
            await desktop.show(note)


def _note(data: EventData, known: dict[tuple[str, int], TunnelStatus]) -> Note | None:
    match data:
        case TunnelStatus():
            before = known.get((data.name, data.owner))
            known[data.name, data.owner] = data
            if data.state == "off":
                del known[data.name, data.owner]
            return of_status(before, data)
        case SecretNeeded():
            return of_secret(data)
        case Notice():
            return of_notice(data)


def main(path: str | None) -> None:
    """`roam watch --notify`: until interrupted, or the session is over."""

    async def run() -> None:
        async with Desktop() as desktop:
            if sys.stderr.isatty():
                output.note("notifications are shown on your desktop; Ctrl-C ends that")
            await follow(desktop, path)

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
