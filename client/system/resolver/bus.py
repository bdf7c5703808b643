"""The system bus, as little of it as is needed: a call, a property, and when a name changes hands.

Every message to another program goes through `Bus.call`, with a time limit: a resolver that hangs must not hang us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from .outcome import Refused, Unable, Unsuitable

PATIENCE = 5.0
"""Seconds for one answer; the resolver may have to be started first."""

_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_PROPERTIES = "org.freedesktop.DBus.Properties"
_REFUSALS = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.AuthFailed",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "org.freedesktop.NetworkManager.PermissionDenied",
    }
)
_NOBODY_THERE = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.",
    "org.freedesktop.systemd1.",
)
_DISCONNECTED = "the system bus is not there"

Watcher = Callable[[str, bool], None]
"""Told a name and whether somebody owns it now."""


class Bus:
    """One connection; an asynchronous context manager.

    Raises `Unable`, `Refused` where permission lacks, and `Unsuitable` where there is no bus, or nobody
    answers to a name and nobody can be started for it.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._connection: MessageBus | None = None

    async def __aenter__(self) -> Self:
        connection: MessageBus | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
                await connection.connect()
        except (OSError, EOFError, AuthError, DBusError, InvalidAddressError, TimeoutError) as error:
            if connection is not None:
                connection.disconnect()
            raise Unsuitable(f"{_DISCONNECTED} ({str(error) or 'no answer'})") from error
        self._connection = connection
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    @property
    def own_name(self) -> str:
        """What we are called on the bus, by the bus itself; empty where it is not there."""
        return str(self._connection.unique_name or "") if self._connection is not None else ""

    async def call(
        self, service: str, path: str, interface: str, member: str, signature: str = "", *body: object
    ) -> list[Any]:
        """Call a method; what it returns."""
        if self._connection is None:
            raise Unable(_DISCONNECTED)
        message = Message(
            destination=service,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._connection.call(message)
        except TimeoutError:
            raise Unable(f"{service} did not answer {member}") from None
        except (OSError, EOFError, DBusError) as error:
            raise Unable(f"{_DISCONNECTED} ({error})") from error
        if answer is None or answer.message_type is not MessageType.METHOD_RETURN:
            raise _failure(answer, member)
        return answer.body

    async def properties(self, service: str, path: str, interface: str) -> dict[str, Any]:
        """All properties of an interface, without their D-Bus types."""
        (found,) = await self.call(service, path, _PROPERTIES, "GetAll", "s", interface)
        return {name: plain(value) for name, value in found.items()}

    async def put(self, service: str, path: str, interface: str, name: str, value: Variant) -> None:
        """Write a property."""
        await self.call(service, path, _PROPERTIES, "Set", "ssv", interface, name, value)

    async def names(self) -> frozenset[str]:
        """The names that somebody owns."""
        (names,) = await self.call(*_BUS, "ListNames")
        return frozenset(names)

    async def startable(self) -> frozenset[str]:
        """The names that would be started if asked for."""
        (names,) = await self.call(*_BUS, "ListActivatableNames")
        return frozenset(names)

    async def watch(self, names: tuple[str, ...], changed: Watcher) -> None:
        """Tell `changed` who is there, and whenever one of these names gets or loses its owner.

        Returns when the bus goes.
        """
        connection = self._connection
        if connection is None:
            raise Unable(_DISCONNECTED)

        def handle(message: Message) -> None:
            if message.member == "NameOwnerChanged" and message.sender == _BUS[0]:
                name, _, owner = message.body
                if name in names:
                    changed(name, bool(owner))

        connection.add_message_handler(handle)
        for name in names:
            rule = f"type='signal',sender='{_BUS[0]}',member='NameOwnerChanged',arg0='{name}'"
            await self.call(*_BUS, "AddMatch", "s", rule)
        for name in await self.names() & set(names):
            changed(name, True)
        try:
            await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError, DBusError):
            return


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever D-Bus can hold
    """Without the wrappers that carry D-Bus types."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _failure(answer: Message | None, member: str) -> Unable:
    if answer is None:
        return Unable(f"no answer to {member}")
    name = str(answer.error_name)
    text = f"{member}: {answer.body[0] if answer.body else name}"
    if name in _REFUSALS:
        return Refused(text, name)
    return Unsuitable(text, name) if name.startswith(_NOBODY_THERE) else Unable(text, name)
