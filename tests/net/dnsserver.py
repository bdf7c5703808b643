"""A name server of the test's own: UDP and TCP on one address, with answers from a table."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

Answers = Mapping[str, tuple[str, ...]]
"""By name: addresses of either family, or one alias written ">name"."""

Spoil = Callable[[bytes, bool], tuple[bytes, ...]]
"""Makes what is really sent of an honest answer; the flag is true over TCP."""


def honest(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
    return (answer,)


def silent(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
    return ()


def with_rcode(rcode: int) -> Spoil:
    def spoil(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
        return (answer[:3] + bytes([answer[3] & 0xF0 | rcode]) + answer[4:],)

    return spoil


def truncated(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
    return (answer,) if over_tcp else (answer[:2] + bytes([answer[2] | 0x02]) + answer[3:],)


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answers by `answers`, as `spoil` makes of it; `asked` counts the questions by type."""

    answers: Answers
    spoil: Spoil = honest
    asked: list[tuple[str, int, int]] = field(default_factory=list)  # name, type, the asker's port
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        for answer in self.spoil(self.answer(data, addr[1]), False):
            self.transport.sendto(answer, addr)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        for answer in self.spoil(self.answer(await reader.readexactly(size), 0), True):
            writer.write(len(answer).to_bytes(2) + answer)
        writer.close()

    def answer(self, question: bytes, port: int) -> bytes:
        name, end = read_name(question)
        (kind, _) = struct.unpack_from("!HH", question, end)
        self.asked.append((name, kind, port))
        return compose(question[: end + 4], self.records(name, kind))

    def records(self, name: str, kind: int) -> list[tuple[str, int, bytes]] | None:
        if name not in self.answers:
            return None
        records: list[tuple[str, int, bytes]] = []
        for text in self.answers[name]:
            if text.startswith(">"):
                records.append((name, 5, wire_name(text[1:])))
                records += self.records(text[1:], kind) or []
            elif kind == {4: 1, 6: 28}[ip_address(text).version]:
                records.append((name, kind, ip_address(text).packed))
        return records


def read_name(question: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    return ".".join(labels), at + 1


def wire_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def compose(question: bytes, records: list[tuple[str, int, bytes]] | None) -> bytes:
    """None: the name does not exist."""
    flags = 0x8180 | (3 if records is None else 0)
    header = question[:2] + struct.pack("!HHHHH", flags, 1, len(records or ()), 0, 0)
    body = b"".join(
        wire_name(owner) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        for owner, kind, data in records or ()
    )
    return header + question[12:] + body


@asynccontextmanager
async def serving(
    server: NameServer, address: IPv4Address | IPv6Address, port: int = 53
) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, (str(address), port))
    listener = await asyncio.start_server(server.serve_tcp, str(address), port)
    try:
        yield server
    finally:
        transport.close()
        listener.close()
        await listener.wait_closed()
