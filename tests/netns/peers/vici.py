"""A client of charon's control protocol (VICI): what `swanctl` speaks, with its answers as plain values.

A packet is a four-octet length, a type and, for some types, a name; its body is a tree of sections, lists and
key/value pairs.  charon answers requests in order and sends registered events in between.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self, TypeAlias

Section: TypeAlias = "dict[str, str | list[str] | Section]"
Value: TypeAlias = "str | bytes | int | Sequence[str | bytes] | Mapping[str, Value]"


class Packet(IntEnum):
    """Packet types."""

    CMD_REQUEST = 0
    CMD_RESPONSE = 1
    CMD_UNKNOWN = 2
    EVENT_REGISTER = 3
    EVENT_UNREGISTER = 4
    EVENT_CONFIRM = 5
    EVENT_UNKNOWN = 6
    EVENT = 7


class Element(IntEnum):
    """Element types of a message body."""

    SECTION_START = 1
    SECTION_END = 2
    KEY_VALUE = 3
    LIST_START = 4
    LIST_ITEM = 5
    LIST_END = 6


class ViciError(Exception):
    """charon refused a command; the text is its own."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that charon told without being asked."""

    name: str
    body: Section


class Vici:
    """One connection to charon; `request` for an answer, `stream` for a list, `events` for what happens."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._waiting: list[Event] = []

    @classmethod
    def connect(cls, path: Path, timeout: float = 30.0) -> Self:
        """Raises OSError while charon does not listen; `timeout` is for each answer."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(timeout)
        try:
            connected.connect(str(path))
        except OSError:
            connected.close()
            raise
        return cls(connected)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def request(self, command: str, arguments: Mapping[str, Value] | None = None) -> Section:
        """Send a command and return its answer; raises ViciError where charon says `success = no`."""
        self._send(Packet.CMD_REQUEST, command, encode(arguments or {}))
        kind, body = self._answer()
        if kind is Packet.CMD_UNKNOWN:
            raise ViciError(f"charon knows no command {command}")
        if body.get("success") == "no":
            raise ViciError(f"{command}: {body.get('errmsg', 'refused')}")
        return body

    def stream(self, command: str, event: str, arguments: Mapping[str, Value] | None = None) -> list[Section]:
        """Send a command whose answer comes as a series of events."""
        self.register(event)
        kept, self._waiting = self._waiting, []
        try:
            self.request(command, arguments)
        finally:
            self._send(Packet.EVENT_UNREGISTER, event, b"")
            self._answer()
            received, self._waiting = self._waiting, kept
        self._waiting += [item for item in received if item.name != event]
        return [item.body for item in received if item.name == event]

    def register(self, *events: str) -> None:
        """From now on charon tells about these."""
        for name in events:
            self._send(Packet.EVENT_REGISTER, name, b"")
            if self._answer()[0] is Packet.EVENT_UNKNOWN:
                raise ViciError(f"charon knows no event {name}")

    def events(self) -> Iterator[Event]:
        """Registered events as they come; raises TimeoutError when none came for the connection's timeout."""
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            self._receive()

    def _answer(self) -> tuple[Packet, Section]:
        while (answer := self._receive()) is None:
            pass
        return answer

    def _receive(self) -> tuple[Packet, Section] | None:
        """One packet: an answer is returned, an event is kept for later."""
        data = self._read(struct.unpack("!I", self._read(4))[0])
        kind = Packet(data[0])
        if kind is not Packet.EVENT:
            return kind, decode(data[1:])
        name_end = 2 + data[1]
        self._waiting.append(Event(data[2:name_end].decode(), decode(data[name_end:])))
        return None

    def _send(self, kind: Packet, name: str, body: bytes) -> None:
        data = bytes([kind, len(name)]) + name.encode() + body
        self._socket.sendall(struct.pack("!I", len(data)) + data)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ViciError("charon closed the connection")
            data += part
        return data


def encode(section: Mapping[str, Value]) -> bytes:
    """A message body; numbers become decimal text, bytes stay as they are."""
    return b"".join(_encode_item(name, value) for name, value in section.items())


def _encode_item(name: str, value: Value) -> bytes:
    label = bytes([len(name)]) + name.encode()
    if isinstance(value, Mapping):
        return bytes([Element.SECTION_START]) + label + encode(value) + bytes([Element.SECTION_END])
    if isinstance(value, (str, bytes, int)):
        return bytes([Element.KEY_VALUE]) + label + _encode_value(value)
    items = b"".join(bytes([Element.LIST_ITEM]) + _encode_value(item) for item in value)
    return bytes([Element.LIST_START]) + label + items + bytes([Element.LIST_END])


def _encode_value(value: str | bytes | int) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("!H", len(data)) + data


def decode(data: bytes) -> Section:
    """The tree of a message body; values that are no text are shown with replacement characters."""
    top: Section = {}
    open_sections = [top]
    items: list[str] = []
    position = 0

    def take(width: int) -> str:
        nonlocal position
        size = int.from_bytes(data[position : position + width], "big")
        position += width + size
        return data[position - size : position].decode(errors="replace")

    while position < len(data):
        element = Element(data[position])
        position += 1
        match element:
            case Element.SECTION_START:
                inner: Section = {}
                open_sections[-1][take(1)] = inner
                open_sections.append(inner)
            case Element.SECTION_END:
                open_sections.pop()
            case Element.KEY_VALUE:
                name = take(1)
                open_sections[-1][name] = take(2)
            case Element.LIST_START:
                items = []
                open_sections[-1][take(1)] = items
            case Element.LIST_ITEM:
                items.append(take(2))
            case Element.LIST_END:
                pass
    return top
